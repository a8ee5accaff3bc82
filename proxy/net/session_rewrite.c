/*
 * Statements on their way to the server.
 *
 * Refusing. The proxy cannot answer a statement by itself: earlier replies may be outstanding, and the server must end
 * up in the state that an error leaves behind (transaction failed, rest of the pipeline skipped). So the server is sent
 * a statement that cannot parse, in the refused one's place, and its error is replaced by ours when it comes. Nothing
 * of the refused text reaches the server.
 *
 * Renewing. A statement prepared in an older epoch is closed and prepared again before it is used; the two replies are
 * swallowed. A cancel cannot hit "our" statement instead of the client's: Close and Parse come in the same batch right
 * before the client's message, an error in them is the error of that message, and the server skips the rest of the
 * batch exactly as if the client's own message had been cancelled.
 */
#include "session_rewrite.h"

#include "deallocate.h"
#include "session_copy.h"

#include <stdlib.h>

/* No SQL ever begins like this, so it fails in the raw parser, before the server looks at anything else. */
#define UNPARSABLE "segue refused this statement; the client was told why"
/* For a refused Bind or Describe. Its Parse fails, so no statement of this name ever exists. */
#define REFUSED_NAME   "segue_refused"
#define HEAD_MAX_BYTES 4096u /* two names; the server cuts them at 63 bytes */

/* ---- How much to hold ---- */

static const struct sg_installed *snapshot_in_force(const struct sg_session *s) {
    return s->pin ? s->pin : s->worker->installed;
}

/* Does it matter which statement a Bind names? Not while all are right as they are and none was rewritten. */
static bool are_names_needed(const struct sg_session *s) {
    const struct sg_statements *st = &s->statements;
    return s->has_deallocations || sg_copy_has_portals(s) ||
           (st->versions > 0 && (st->rewritten > 0 || st->uniform_epoch != snapshot_in_force(s)->epoch));
}

static size_t parse_need(const struct sg_session *s, const struct sg_message *m) {
    if (m->body_bytes <= SG_STATEMENT_HOLD_BYTES) {
        return m->body_bytes;
    }
    bool has_name = memchr(m->body, '\0', m->have) != NULL;
    return has_name || m->have > HEAD_MAX_BYTES ? 0 : m->have + 1;
}

static size_t bind_need(const struct sg_message *m) {
    struct sg_bind_head head;
    bool is_enough = m->have > HEAD_MAX_BYTES || sg_bind_head_read(m->body, m->have, &head) != SG_READ_MORE;
    return is_enough ? 0 : m->have + 1;
}

size_t sg_rewrite_need(const struct sg_session *s, const struct sg_message *m) {
    bool is_small = m->body_bytes <= HEAD_MAX_BYTES;
    switch (m->type) {
    case 'Q':
        if (snapshot_in_force(s)->mappings == 0) {
            return is_small ? m->body_bytes : 0; /* it may be PREPARE */
        }
        return m->body_bytes <= SG_STATEMENT_HOLD_BYTES ? m->body_bytes : 0;
    case 'P':
        return parse_need(s, m);
    case 'B':
        return are_names_needed(s) ? bind_need(m) : 0;
    case 'D':
        return are_names_needed(s) && is_small ? m->body_bytes : 0;
    case 'C':
        return s->statements.versions > 0 && is_small ? m->body_bytes : 0;
    case 'E':
        return (sg_copy_has_portals(s) || s->deallocation) && is_small ? m->body_bytes : 0;
    default:
        return 0;
    }
}

/* ---- Sending ---- */

static void send_message(struct sg_session *s) {
    struct sg_buf *message = &s->worker->message;
    sg_flow_emit(&s->from_client, message->data, message->len);
    message->len = 0;
}

static struct sg_side *error_side(struct sg_session *s, const struct sg_error *err) {
    struct sg_side *side = sg_worker_side(s->worker);
    side->error = malloc(sizeof(*side->error));
    if (!side->error) {
        abort();
    }
    *side->error = *err;
    sg_count(&s->worker->counters.refused, 1);
    return side;
}

static enum sg_verdict refuse_query(struct sg_session *s, const struct sg_error *err) {
    sg_msg_query(&s->worker->message, SG_SPAN_LIT(UNPARSABLE));
    send_message(s);
    sg_session_expect(s, SG_EXPECT_QUERY, SG_REPLY_REPLACE_ERROR, error_side(s, err));
    return SG_ABSORB;
}

static void send_failing_parse(struct sg_session *s, struct sg_span name, const struct sg_error *err) {
    struct sg_side *side = error_side(s, err);
    if (name.len == 0) {
        /* Also a Parse that fails ends the unnamed statement there was. */
        side->version = sg_statements_add_close(&s->statements, name);
    }
    sg_msg_parse(&s->worker->message, name, SG_SPAN_LIT(UNPARSABLE), 0, NULL);
    send_message(s);
    sg_session_expect(s, SG_EXPECT_PARSE, SG_REPLY_REPLACE_ERROR, side);
}

static enum sg_verdict refuse_parse(struct sg_session *s, struct sg_span name, const struct sg_error *err) {
    send_failing_parse(s, name, err);
    return SG_ABSORB;
}

static void set_malformed(struct sg_error *err) {
    sg_error_set(err, SG_SQLSTATE_PROTOCOL_VIOLATION, "invalid message format");
}

static void set_too_long(struct sg_error *err) {
    sg_error_set(err, SG_SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "segue cannot rewrite a statement of more than %u MB",
                 SG_STATEMENT_HOLD_BYTES >> 20);
    sg_error_detail(err, "A migration is under way in this database: each statement must be looked at as a whole.");
    sg_error_hint(err, "Send large values as parameters, or with COPY.");
}

static void set_not_remembered(struct sg_error *err) {
    sg_error_set(err, SG_SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "segue cannot remember the text of this prepared statement");
    sg_error_detail(err,
                    "A migration is under way in this database, and a prepared statement must be rewritten in each "
                    "of its phases. This session's prepared statements are larger than segue keeps.");
    sg_error_hint(err, "Close prepared statements that are no longer used, or connect again.");
}

/* ---- Planning ---- */

/* NULL: the text goes out as it is. The result is valid until the next call. */
static const struct sg_plan *plan_of(struct sg_session *s, struct sg_span sql, enum sg_star star, bool extended) {
    if (s->pin->mappings == 0) {
        return NULL;
    }
    struct sg_request request = {
        .sql = sql,
        .star = star,
        .backslash_quotes = s->is_backslash_quotes,
        .unsafe_encoding = s->is_unsafe_encoding,
        .utf8 = s->is_utf8,
        .extended = extended,
    };
    const struct sg_plan *plan = sg_rewriter_plan(s->worker->rewriter, s->pin->snapshot, &request);
    if (plan) {
        sg_snapshot_note_use(s->pin->snapshot, plan->used_old);
    }
    return plan && plan->action == SG_PASS ? NULL : plan;
}

static bool is_refusal(const struct sg_plan *plan) {
    return plan && plan->action == SG_REFUSE;
}

/* What maps positions in the server's errors back into the client's text. */
static void side_set_plan(struct sg_side *side, const struct sg_plan *plan, struct sg_text *text) {
    side->plan = sg_plan_ref(plan);
    side->text = sg_text_ref(text);
}

/* ---- SQL that makes, runs and ends prepared statements ---- */

static void send_parse(struct sg_session *s, struct sg_span name, struct sg_text *text, const struct sg_plan *plan,
                       enum sg_star star, enum sg_disposition disposition) {
    struct sg_side *side = sg_worker_side(s->worker);
    side->version = sg_statements_add(&s->statements, name, text, plan, s->pin->epoch);
    side->version->batch = s->batch;
    side->version->star = star;
    if (plan) {
        side_set_plan(side, plan, text);
    }
    sg_msg_parse(&s->worker->message, name, plan ? plan->sql : sg_text_sql(text), text->nparams, sg_text_oids(text));
    send_message(s);
    sg_session_expect(s, SG_EXPECT_PARSE, disposition, side);
}

/* The transaction has failed for certain: the server answers everything with 25P02, a renewed Parse as well, but not
 * the Close before it. */
static bool is_known_failed(const struct sg_session *s) {
    return s->tx_status == 'E' && s->expect.runs == 0;
}

static bool is_same_sql(const struct sg_version *v, const struct sg_plan *plan) {
    struct sg_span before = v->plan ? v->plan->sql : sg_text_sql(v->text);
    struct sg_span now = plan ? plan->sql : sg_text_sql(v->text);
    return sg_span_eq(before, now);
}

/* What the completion of this text does to what is remembered; NULL: nothing. */
static struct sg_side *deallocation_side(struct sg_session *s, struct sg_span sql) {
    char name[SG_NAME_BYTES];
    if (sg_deallocation_of(sql, name) != SG_DEALLOCATE_ONE || !sg_statements_find(&s->statements, sg_span_of(name))) {
        return NULL;
    }
    struct sg_side *side = sg_worker_side(s->worker);
    side->version = sg_statements_add_close(&s->statements, sg_span_of(name));
    return side;
}

/* A Query ends the unnamed statement, also if it fails. side may be NULL, and is returned or made. */
static struct sg_side *end_unnamed(struct sg_session *s, struct sg_side *side) {
    if ((side && side->version) || !sg_statements_find(&s->statements, SG_SPAN_LIT(""))) {
        return side;
    }
    side = side ? side : sg_worker_side(s->worker);
    side->version = sg_statements_add_close(&s->statements, SG_SPAN_LIT(""));
    return side;
}

/* PREPARE in SQL: a statement like those of Parse, and EXECUTE names either. */
static struct sg_side *sql_prepare_side(struct sg_session *s, const struct sg_sql_statement *sql) {
    bool is_remembered = s->statements.text_bytes + sql->inner.len <= s->worker->shared->config.session_statement_bytes;
    struct sg_text *text = is_remembered ? sg_text_intern(&s->worker->texts, sql->inner, 0, NULL) : NULL;
    struct sg_side *side = sg_worker_side(s->worker);
    side->version = sg_statements_add(&s->statements, sg_span_of(sql->name), text, NULL, s->pin->epoch);
    side->version->batch = s->batch;
    side->version->star = s->pin->mappings == 0 ? SG_STAR_OLD : s->star;
    side->version->has_types = sql->has_types;
    sg_text_unref(text);
    return side;
}

static void set_prepared_before(struct sg_error *err, struct sg_span name) {
    sg_error_set(err, SG_SQLSTATE_FEATURE_NOT_SUPPORTED,
                 "segue cannot prepare statement \"%.*s\" again for the migration that is under way", (int)name.len,
                 name.ptr);
    sg_error_detail(err, "It was prepared by PREPARE with declared parameter types, or is executed inside a pipeline.");
    sg_error_hint(err, "DEALLOCATE it and PREPARE it again, without parameter types.");
}

/* As renew, ahead of a Query: with a Sync, because a Query behind an error would be skipped. */
static void renew_for_execute(struct sg_session *s, struct sg_span name, struct sg_version *v,
                              const struct sg_plan *plan) {
    static const uint8_t sync[] = {'S', 0, 0, 0, 4};
    sg_msg_close(&s->worker->message, 'S', name);
    send_message(s);
    sg_session_expect(s, SG_EXPECT_CLOSE, SG_REPLY_HIDE, NULL);
    send_parse(s, name, v->text, plan, v->star, SG_REPLY_HIDE);
    sg_flow_emit(&s->from_client, sync, sizeof(sync));
    sg_session_expect(s, SG_EXPECT_SYNC, SG_REPLY_HIDE, NULL);
    sg_count(&s->worker->counters.reprepared, 1);
}

/* EXECUTE of a statement that may be of an older epoch. False: it must be refused. */
static bool prepare_execute(struct sg_session *s, struct sg_span name, struct sg_error *reterr) {
    struct sg_statement *statement = sg_statements_find(&s->statements, name);
    struct sg_version *v = statement ? statement->newest : NULL;
    if (!v || v->is_gone || (v->epoch == s->pin->epoch && !v->is_lost) || is_known_failed(s)) {
        return true;
    }
    if (!v->text) {
        set_not_remembered(reterr);
        return s->pin->mappings == 0;
    }
    const struct sg_plan *plan = plan_of(s, sg_text_sql(v->text), v->star, true);
    if (is_refusal(plan)) {
        *reterr = *plan->error;
        return false;
    }
    if (!v->is_lost && is_same_sql(v, plan)) {
        sg_version_carry_over(&s->statements, v, plan, s->pin->epoch);
        return true;
    }
    if (v->has_types || v->is_pending || s->is_unsynced) {
        set_prepared_before(reterr, name);
        return false;
    }
    renew_for_execute(s, name, v, plan);
    return true;
}

static enum sg_verdict forward_query(struct sg_session *s, const struct sg_message *m) {
    struct sg_query query;
    struct sg_side *side = NULL;
    if (m->have == m->body_bytes && sg_query_read(m->body, m->have, &query) == SG_READ_OK) {
        char name[SG_NAME_BYTES];
        struct sg_sql_statement sql = sg_sql_statement_of(query.sql);
        struct sg_error err = {0};
        if (sql.kind == SG_SQL_EXECUTE && !prepare_execute(s, sg_span_of(sql.name), &err)) {
            return refuse_query(s, &err);
        }
        side = sql.kind == SG_SQL_PREPARE ? sql_prepare_side(s, &sql) : deallocation_side(s, query.sql);
        s->is_clearing = s->statements.versions > 0 && sg_deallocation_of(query.sql, name) == SG_DEALLOCATE_ALL;
    }
    sg_session_expect(s, SG_EXPECT_QUERY, SG_REPLY_FORWARD, end_unnamed(s, side));
    return SG_FORWARD;
}

/* A text that deallocates was parsed, and now it is bound: to the unnamed portal, as drivers do it. */
static void note_bound_text(struct sg_session *s, struct sg_span portal, const struct sg_version *v) {
    char name[SG_NAME_BYTES];
    if (portal.len > 0) {
        return;
    }
    sg_text_unref(s->deallocation);
    s->deallocation = NULL;
    if (s->has_deallocations && v && v->text && sg_deallocation_of(sg_text_sql(v->text), name) == SG_DEALLOCATE_ONE) {
        s->deallocation = sg_text_ref(v->text);
    }
}

struct sg_side *sg_rewrite_execute(struct sg_session *s, const struct sg_message *m) {
    struct sg_execute execute;
    if (!s->deallocation || m->have < m->body_bytes || sg_execute_read(m->body, m->have, &execute) != SG_READ_OK ||
        execute.portal.len > 0) {
        return NULL;
    }
    return deallocation_side(s, sg_text_sql(s->deallocation));
}

/* ---- Query ---- */

enum sg_verdict sg_rewrite_query(struct sg_session *s, const struct sg_message *m) {
    struct sg_error err = {0};
    struct sg_query query = {0};
    if (s->pin->mappings == 0) {
        return forward_query(s, m);
    }
    if (m->body_bytes > SG_STATEMENT_HOLD_BYTES) {
        set_too_long(&err);
        return refuse_query(s, &err);
    }
    if (sg_query_read(m->body, m->have, &query) != SG_READ_OK) {
        set_malformed(&err);
        return refuse_query(s, &err);
    }
    const struct sg_plan *plan = plan_of(s, query.sql, s->star, false);
    if (is_refusal(plan)) {
        return refuse_query(s, plan->error);
    }
    if (!plan) {
        return forward_query(s, m);
    }
    struct sg_side *side = sg_worker_side(s->worker);
    side->plan = sg_plan_ref(plan);
    side->text = sg_text_intern(&s->worker->texts, query.sql, 0, NULL);
    side->is_copy = plan->copy != NULL;
    sg_msg_query(&s->worker->message, plan->sql);
    send_message(s);
    sg_session_expect(s, SG_EXPECT_QUERY, SG_REPLY_FORWARD, end_unnamed(s, side));
    sg_count(&s->worker->counters.rewritten, 1);
    return SG_ABSORB;
}

/* ---- Parse ---- */

/* A Parse that is forwarded as it is. text NULL: too long to be remembered. */
static enum sg_verdict forward_parse(struct sg_session *s, struct sg_span name, struct sg_text *text) {
    struct sg_side *side = sg_worker_side(s->worker);
    side->version = sg_statements_add(&s->statements, name, text, NULL, s->pin->epoch);
    side->version->batch = s->batch;
    /* Before the first mapping `*` can only mean the table as it is then: that shape stays the statement's. */
    side->version->star = s->pin->mappings == 0 ? SG_STAR_OLD : s->star;
    sg_session_expect(s, SG_EXPECT_PARSE, SG_REPLY_FORWARD, side);
    return SG_FORWARD;
}

static enum sg_verdict parse_too_long(struct sg_session *s, const struct sg_message *m) {
    struct sg_error err = {0};
    const uint8_t *end = memchr(m->body, '\0', m->have);
    struct sg_span name = {(const char *)m->body, end ? (size_t)(end - m->body) : 0};
    if (end && s->pin->mappings == 0) {
        return forward_parse(s, name, NULL);
    }
    set_too_long(&err);
    return refuse_parse(s, name, &err);
}

enum sg_verdict sg_rewrite_parse(struct sg_session *s, const struct sg_message *m) {
    struct sg_error err = {0};
    struct sg_parse parse = {0};
    if (m->body_bytes > SG_STATEMENT_HOLD_BYTES) {
        return parse_too_long(s, m);
    }
    if (sg_parse_read(m->body, m->have, &parse) != SG_READ_OK) {
        set_malformed(&err);
        return refuse_parse(s, SG_SPAN_LIT(REFUSED_NAME), &err);
    }
    enum sg_star star = s->star;
    const struct sg_plan *plan = plan_of(s, parse.sql, star, true);
    if (is_refusal(plan)) {
        return refuse_parse(s, parse.name, plan->error);
    }
    struct sg_text *text = NULL;
    if (s->statements.text_bytes + parse.sql.len <= s->worker->shared->config.session_statement_bytes) {
        text = sg_text_intern(&s->worker->texts, parse.sql, parse.nparams, parse.param_oids);
    } else if (s->pin->mappings > 0) {
        set_not_remembered(&err);
        return refuse_parse(s, parse.name, &err);
    }
    char name[SG_NAME_BYTES];
    s->has_deallocations = s->has_deallocations || sg_deallocation_of(parse.sql, name) == SG_DEALLOCATE_ONE;
    enum sg_verdict verdict = SG_ABSORB;
    if (plan) {
        send_parse(s, parse.name, text, plan, star, SG_REPLY_FORWARD);
        sg_count(&s->worker->counters.rewritten, 1);
    } else {
        verdict = forward_parse(s, parse.name, text);
    }
    sg_text_unref(text);
    return verdict;
}

/* ---- Using a statement: Bind, Describe ---- */

/* A Parse in an earlier batch is still unanswered: which version the name stands for is known only when it is. That
 * answer comes by itself, because a Sync lies between. */
static bool is_ambiguous(const struct sg_session *s, const struct sg_version *v) {
    if (!v->is_pending || v->batch == s->batch || s->is_copy_in) {
        return false;
    }
    for (const struct sg_version *older = v->older; older; older = older->older) {
        if (!older->is_gone && (older->is_lost || older->epoch != s->pin->epoch)) {
            return true;
        }
    }
    return false;
}

static void renew(struct sg_session *s, struct sg_span name, struct sg_version *v, const struct sg_plan *plan) {
    if (name.len > 0) {
        sg_msg_close(&s->worker->message, 'S', name);
        send_message(s);
        sg_session_expect(s, SG_EXPECT_CLOSE, SG_REPLY_SWALLOW, NULL);
    }
    send_parse(s, name, v->text, plan, v->star, SG_REPLY_SWALLOW);
    sg_count(&s->worker->counters.reprepared, 1);
}

/* Makes sure that the server's statement is right for the pinned epoch. SG_FORWARD: the message may follow. */
static enum sg_verdict prepare_use(struct sg_session *s, struct sg_span name, struct sg_version *v) {
    struct sg_error err = {0};
    if (is_ambiguous(s, v)) {
        return sg_session_stall(s,
                                UINT32_MAX); /* looked at anew with every reply: what follows that Sync has none yet */
    }
    if ((v->epoch == s->pin->epoch && !v->is_lost) || is_known_failed(s)) {
        return SG_FORWARD;
    }
    if (v->has_types && s->pin->mappings > 0) {
        set_prepared_before(&err, name);
        send_failing_parse(s, SG_SPAN_LIT(REFUSED_NAME), &err);
        return SG_FORWARD;
    }
    if (!v->text) {
        if (s->pin->mappings > 0) {
            set_not_remembered(&err);
            send_failing_parse(s, SG_SPAN_LIT(REFUSED_NAME), &err);
        }
        return SG_FORWARD;
    }
    const struct sg_plan *plan = plan_of(s, sg_text_sql(v->text), v->star, true);
    if (is_refusal(plan)) {
        send_failing_parse(s, SG_SPAN_LIT(REFUSED_NAME), plan->error);
    } else if (!v->is_lost && is_same_sql(v, plan)) {
        sg_version_carry_over(&s->statements, v, plan, s->pin->epoch);
    } else {
        renew(s, name, v, plan);
    }
    return SG_FORWARD;
}

static enum sg_verdict use(struct sg_session *s, struct sg_span name, enum sg_expect_kind kind) {
    struct sg_statement *statement = sg_statements_find(&s->statements, name);
    struct sg_side *side = NULL;
    if (statement && !statement->newest->is_gone) {
        if (prepare_use(s, name, statement->newest) == SG_STALL) {
            return SG_STALL;
        }
        const struct sg_version *v = statement->newest;
        if (v->plan) {
            sg_snapshot_note_use(s->pin->snapshot, v->plan->used_old);
            side = sg_worker_side(s->worker);
            side_set_plan(side, v->plan, v->text);
        }
    }
    sg_session_expect(s, kind, SG_REPLY_FORWARD, side);
    return SG_FORWARD;
}

static enum sg_verdict forward_malformed(struct sg_session *s, enum sg_expect_kind kind) {
    struct sg_error err = {0};
    set_malformed(&err);
    send_failing_parse(s, SG_SPAN_LIT(REFUSED_NAME), &err);
    sg_session_expect(s, kind, SG_REPLY_FORWARD, NULL);
    return SG_FORWARD;
}

enum sg_verdict sg_rewrite_bind(struct sg_session *s, const struct sg_message *m) {
    struct sg_bind_head head;
    if (!are_names_needed(s)) {
        sg_session_expect(s, SG_EXPECT_BIND, SG_REPLY_FORWARD, NULL);
        return SG_FORWARD;
    }
    if (sg_bind_head_read(m->body, m->have, &head) != SG_READ_OK) {
        return forward_malformed(s, SG_EXPECT_BIND);
    }
    enum sg_verdict verdict = use(s, head.statement, SG_EXPECT_BIND);
    if (verdict == SG_FORWARD) {
        const struct sg_statement *statement = sg_statements_find(&s->statements, head.statement);
        const struct sg_version *version = statement ? statement->newest : NULL;
        sg_copy_bind(s, head.portal, version);
        note_bound_text(s, head.portal, version);
    }
    return verdict;
}

enum sg_verdict sg_rewrite_describe(struct sg_session *s, const struct sg_message *m) {
    struct sg_target target;
    if (!are_names_needed(s)) {
        sg_session_expect(s, SG_EXPECT_DESCRIBE, SG_REPLY_FORWARD, NULL);
        return SG_FORWARD;
    }
    if (sg_target_read(m->body, m->have, &target) != SG_READ_OK) {
        return forward_malformed(s, SG_EXPECT_DESCRIBE);
    }
    if (target.kind != 'S') {
        sg_session_expect(s, SG_EXPECT_DESCRIBE, SG_REPLY_FORWARD, NULL);
        return SG_FORWARD;
    }
    return use(s, target.name, SG_EXPECT_DESCRIBE);
}

enum sg_verdict sg_rewrite_close(struct sg_session *s, const struct sg_message *m) {
    struct sg_target target;
    struct sg_side *side = NULL;
    bool is_statement = m->have == m->body_bytes && sg_target_read(m->body, m->have, &target) == SG_READ_OK &&
                        target.kind == 'S' && sg_statements_find(&s->statements, target.name);
    if (is_statement) {
        side = sg_worker_side(s->worker);
        side->version = sg_statements_add_close(&s->statements, target.name);
    }
    sg_session_expect(s, SG_EXPECT_CLOSE, SG_REPLY_FORWARD, side);
    return SG_FORWARD;
}
