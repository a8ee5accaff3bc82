/*
 * Statements on their way to the server.
 *
 * Refusing. The proxy cannot answer a statement by itself: earlier replies may be outstanding, and the server must end
 * up in the state that an error leaves behind (transaction failed, rest of the pipeline skipped). So the server is sent
 * a statement that cannot parse, in the refused one's place, and its error is replaced by ours when it comes. Nothing
 * of the refused text reaches the server.
 */
#include "session_rewrite.h"

#include "session_copy.h"
#include "session_facts.h"
#include "session_notes.h"
#include "session_renew.h"
#include "session_sql.h"

#include <stdlib.h>

/* No SQL ever begins like this, so it fails in the raw parser, before the server looks at anything else. */
#define UNPARSABLE "segue refused this statement; the client was told why"
/* For a refused Bind or Describe. Its Parse fails, so no statement of this name ever exists. */
#define REFUSED_NAME   "segue_refused"
#define HEAD_MAX_BYTES 4096u /* two names; the server cuts them at 63 bytes */
/* While nothing is mapped, a longer text passes unread: it might hold a PREPARE, and that is noted. */
#define READ_MAX_BYTES (1u << 20)

/* ---- How much to hold ---- */

static const struct sg_installed *snapshot_in_force(const struct sg_session *s) {
    return s->pin ? s->pin : s->worker->installed;
}

/* Does it matter which statement a Bind names? Not while all are right as they are and none was rewritten. */
static bool are_names_needed(const struct sg_session *s) {
    const struct sg_statements *st = &s->statements;
    return s->has_prepared_sql || s->portals.first || s->has_suspects || s->facts.is_used || s->facts.is_doubtful ||
           (st->versions > 0 && (st->rewritten > 0 || st->uniform_epoch != snapshot_in_force(s)->epoch));
}

static size_t longest_query(const struct sg_session *s) {
    return snapshot_in_force(s)->mappings == 0 ? READ_MAX_BYTES : SG_STATEMENT_HOLD_BYTES;
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
        return m->body_bytes <= longest_query(s) ? m->body_bytes : 0;
    case 'P':
        return parse_need(s, m);
    case 'B':
        return are_names_needed(s) ? bind_need(m) : 0;
    case 'D':
        return are_names_needed(s) && is_small ? m->body_bytes : 0;
    case 'C':
        return s->statements.versions > 0 && is_small ? m->body_bytes : 0;
    case 'E':
        return s->portals.first && is_small ? m->body_bytes : 0;
    default:
        return 0;
    }
}

/* ---- Sending ---- */

void sg_rewrite_send(struct sg_session *s) {
    struct sg_buf *message = &s->worker->message;
    sg_flow_emit(&s->from_client, message->data, message->len);
    message->len = 0;
}

/* sql: the text, as far as it is known. plan: of the rewriter, if it was that which refused. */
static struct sg_side *error_side(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan,
                                  const struct sg_error *err) {
    struct sg_side *side = sg_worker_side(s->worker);
    side->error = malloc(sizeof(*side->error));
    if (!side->error) {
        abort();
    }
    *side->error = *err;
    sg_count(&s->worker->counters.refused, 1);
    sg_notes_refused(s, sql, plan, err);
    return side;
}

static enum sg_verdict refuse_query(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan,
                                    const struct sg_error *err) {
    sg_msg_query(&s->worker->message, SG_SPAN_LIT(UNPARSABLE));
    sg_rewrite_send(s);
    sg_session_expect(s, SG_EXPECT_QUERY, SG_REPLY_REPLACE_ERROR, error_side(s, sql, plan, err));
    return SG_ABSORB;
}

static void send_failing_parse(struct sg_session *s, struct sg_span name, struct sg_side *side) {
    if (name.len == 0) {
        /* Also a Parse that fails ends the unnamed statement there was. */
        side->version = sg_statements_add_close(&s->statements, name);
    }
    sg_msg_parse(&s->worker->message, name, SG_SPAN_LIT(UNPARSABLE), 0, NULL);
    sg_rewrite_send(s);
    sg_session_expect(s, SG_EXPECT_PARSE, SG_REPLY_REPLACE_ERROR, side);
}

void sg_rewrite_fail(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan, const struct sg_error *err) {
    send_failing_parse(s, SG_SPAN_LIT(REFUSED_NAME), error_side(s, sql, plan, err));
}

static enum sg_verdict refuse_parse(struct sg_session *s, const struct sg_parse *parse, const struct sg_plan *plan,
                                    const struct sg_error *err) {
    send_failing_parse(s, parse->name, error_side(s, parse->sql, plan, err));
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

void sg_rewrite_set_not_remembered(struct sg_error *err) {
    sg_error_set(err, SG_SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "segue cannot remember the text of this prepared statement");
    sg_error_detail(err,
                    "A migration is under way in this database, and a prepared statement must be rewritten in each "
                    "of its phases. This session's prepared statements are larger than segue keeps.");
    sg_error_hint(err, "Close prepared statements that are no longer used, or connect again.");
}

void sg_rewrite_note_use(struct sg_session *s, const struct sg_version *v) {
    if (v->plan) {
        sg_snapshot_note_use(s->pin->snapshot, v->plan->used_old);
        sg_notes_used(s, sg_text_sql(v->text), v->plan);
    }
}

void sg_rewrite_side_plan(struct sg_side *side, const struct sg_plan *plan, struct sg_text *text) {
    side->plan = sg_plan_ref(plan);
    side->text = sg_text_ref(text);
}

/* ---- Query ---- */

static struct sg_side *side_or_new(struct sg_session *s, struct sg_side *side) {
    return side ? side : sg_worker_side(s->worker);
}

/* plan NULL: the text goes out as it is. side may be NULL. */
static enum sg_verdict send_query(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan,
                                  struct sg_side *side) {
    if (plan) {
        side = side_or_new(s, side);
        side->plan = sg_plan_ref(plan);
        side->text = sg_text_intern(&s->worker->texts, sql, 0, NULL);
        side->is_copy = plan->copy != NULL;
        sg_msg_query(&s->worker->message, plan->sql);
        sg_rewrite_send(s);
        sg_count(&s->worker->counters.rewritten, 1);
    }
    /* A Query ends the unnamed statement, also if it fails. */
    if (sg_statements_find(&s->statements, SG_SPAN_LIT(""))) {
        side = side_or_new(s, side);
        side->version = sg_statements_add_close(&s->statements, SG_SPAN_LIT(""));
    }
    sg_session_expect(s, SG_EXPECT_QUERY, SG_REPLY_FORWARD, side);
    return plan ? SG_ABSORB : SG_FORWARD;
}

static enum sg_verdict on_query(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan) {
    struct sg_error err; /* set where it is used: it is large, and this is every statement's way */
    struct sg_prepared_ops ops = {0};
    struct sg_side *side = NULL;
    enum sg_renewal renewal = sg_sql_before_query(s, sql, &ops, &err);
    if (renewal == SG_RENEWAL_WAIT) {
        return sg_session_stall(s, s->probe.state == SG_PROBE_ASKED ? UINT32_MAX : 0);
    }
    if (renewal == SG_RENEWAL_OVER) {
        return SG_ABSORB;
    }
    if (renewal == SG_RENEWAL_REFUSED) {
        return refuse_query(s, sql, NULL, &err);
    }
    sg_facts_note_query(s, sql, &ops);
    if (ops.n > 0) {
        side = sg_worker_side(s->worker);
        side->is_renewed = renewal == SG_RENEWAL_SENT;
        sg_sql_note_query(s, &ops, plan, side);
    }
    return send_query(s, sql, plan, side);
}

enum sg_verdict sg_rewrite_query(struct sg_session *s, const struct sg_message *m) {
    struct sg_error err;
    struct sg_query query = {0};
    bool is_read = m->have == m->body_bytes && sg_query_read(m->body, m->have, &query) == SG_READ_OK;
    if (s->pin->mappings == 0 && !is_read) {
        s->has_unseen = true; /* longer than is read; a malformed one fails */
        return send_query(s, query.sql, NULL, NULL);
    }
    if (m->body_bytes > SG_STATEMENT_HOLD_BYTES) {
        set_too_long(&err);
        return refuse_query(s, query.sql, NULL, &err);
    }
    if (!is_read) {
        set_malformed(&err);
        return refuse_query(s, query.sql, NULL, &err);
    }
    struct sg_planned planned;
    enum sg_verdict verdict = sg_facts_plan(s, query.sql, s->star, false, &planned);
    if (verdict != SG_FORWARD) {
        return verdict;
    }
    if (sg_rewrite_is_refusal(planned.plan)) {
        return refuse_query(s, query.sql, planned.plan, planned.plan->error);
    }
    const struct sg_plan *plan =
        planned.plan ? sg_plan_ref(planned.plan) : NULL; /* others may be made before it is sent */
    verdict = on_query(s, query.sql, plan);
    sg_plan_unref(plan);
    return verdict;
}

/* Of any message that carries or uses a statement, in its place. */
enum sg_verdict sg_rewrite_refuse(struct sg_session *s, const struct sg_message *m, const struct sg_error *err) {
    struct sg_query query = {0};
    if (m->type != 'Q' && m->type != 'F') {
        sg_rewrite_fail(s, SG_SPAN_LIT(""), NULL, err);
        return SG_ABSORB;
    }
    if (m->type == 'Q' && m->have == m->body_bytes) {
        sg_query_read(m->body, m->have, &query);
    }
    return refuse_query(s, query.sql, NULL, err);
}

/* ---- Parse ---- */

/* A Parse that is forwarded as it is. text NULL: too long to be remembered. */
static enum sg_verdict forward_parse(struct sg_session *s, struct sg_span name, struct sg_text *text,
                                     const struct sg_planned *planned) {
    struct sg_side *side = sg_worker_side(s->worker);
    side->version = sg_statements_add(&s->statements, name, text, NULL, s->pin->epoch);
    side->version->batch = s->batch;
    /* Before the first mapping `*` can only mean the table as it is then: that shape stays the statement's. */
    side->version->star = s->pin->mappings == 0 ? SG_STAR_OLD : s->star;
    side->version->reading = sg_facts_reading(s);
    sg_facts_note_version(side->version, planned);
    sg_session_expect(s, SG_EXPECT_PARSE, SG_REPLY_FORWARD, side);
    return SG_FORWARD;
}

static void send_parse(struct sg_session *s, struct sg_span name, struct sg_text *text,
                       const struct sg_planned *planned) {
    const struct sg_plan *plan = planned->plan;
    struct sg_side *side = sg_worker_side(s->worker);
    side->version = sg_statements_add(&s->statements, name, text, plan, s->pin->epoch);
    side->version->batch = s->batch;
    side->version->star = s->star;
    side->version->reading = sg_facts_reading(s);
    sg_facts_note_version(side->version, planned);
    sg_rewrite_side_plan(side, plan, text);
    sg_msg_parse(&s->worker->message, name, plan->sql, text->nparams, sg_text_oids(text));
    sg_rewrite_send(s);
    sg_session_expect(s, SG_EXPECT_PARSE, SG_REPLY_FORWARD, side);
    sg_count(&s->worker->counters.rewritten, 1);
}

static enum sg_verdict parse_too_long(struct sg_session *s, const struct sg_message *m) {
    struct sg_error err = {0};
    const uint8_t *end = memchr(m->body, '\0', m->have);
    const struct sg_parse parse = {.name = {(const char *)m->body, end ? (size_t)(end - m->body) : 0}};
    if (end && s->pin->mappings == 0) {
        return forward_parse(s, parse.name, NULL, &(struct sg_planned){0});
    }
    set_too_long(&err);
    return refuse_parse(s, &parse, NULL, &err);
}

enum sg_verdict sg_rewrite_parse(struct sg_session *s, const struct sg_message *m) {
    struct sg_error err;
    struct sg_parse parse = {0};
    if (m->body_bytes > SG_STATEMENT_HOLD_BYTES) {
        return parse_too_long(s, m);
    }
    if (sg_parse_read(m->body, m->have, &parse) != SG_READ_OK) {
        set_malformed(&err);
        sg_rewrite_fail(s, SG_SPAN_LIT(""), NULL, &err);
        return SG_ABSORB;
    }
    struct sg_planned planned;
    enum sg_verdict verdict = sg_facts_plan(s, parse.sql, s->star, true, &planned);
    if (verdict != SG_FORWARD) {
        return verdict;
    }
    if (sg_rewrite_is_refusal(planned.plan)) {
        return refuse_parse(s, &parse, planned.plan, planned.plan->error);
    }
    struct sg_text *text = NULL;
    if (s->statements.text_bytes + parse.sql.len <= s->worker->config->session_statement_bytes) {
        text = sg_text_intern(&s->worker->texts, parse.sql, parse.nparams, parse.param_oids);
    } else if (s->pin->mappings > 0) {
        sg_rewrite_set_not_remembered(&err);
        return refuse_parse(s, &parse, NULL, &err);
    }
    if (text) {
        sg_text_judge(text);
        s->has_prepared_sql = s->has_prepared_sql || text->may_prepare;
    }
    sg_facts_note_parse(s, parse.sql, text);
    verdict = SG_ABSORB;
    if (planned.plan) {
        send_parse(s, parse.name, text, &planned);
    } else {
        verdict = forward_parse(s, parse.name, text, &planned);
    }
    sg_text_unref(text);
    return verdict;
}

/* ---- Using a statement: Bind, Describe ---- */

static enum sg_verdict use(struct sg_session *s, struct sg_span name, enum sg_expect_kind kind) {
    struct sg_statement *statement = sg_statements_find(&s->statements, name);
    struct sg_side *side = NULL;
    if (statement && !statement->newest->is_gone) {
        struct sg_version *newest = statement->newest;
        bool may_run = newest->text && newest->text->may_prepare && !newest->is_sql;
        enum sg_verdict verdict = may_run ? sg_sql_use(s, newest->text) : SG_FORWARD;
        verdict = verdict == SG_FORWARD ? sg_renew_before_use(s, name, newest) : verdict;
        if (verdict != SG_FORWARD) {
            return verdict;
        }
        const struct sg_version *v = statement->newest;
        sg_rewrite_note_use(s, v);
        if (v->plan) {
            side = sg_worker_side(s->worker);
            sg_rewrite_side_plan(side, v->plan, v->text);
        }
    }
    sg_session_expect(s, kind, SG_REPLY_FORWARD, side);
    return SG_FORWARD;
}

static enum sg_verdict forward_malformed(struct sg_session *s, enum sg_expect_kind kind) {
    struct sg_error err;
    set_malformed(&err);
    sg_rewrite_fail(s, SG_SPAN_LIT(""), NULL, &err);
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
        sg_portals_bind(&s->portals, head.portal, version);
        sg_facts_note_bind(s, version);
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

struct sg_side *sg_rewrite_execute(struct sg_session *s, const struct sg_message *m) {
    struct sg_execute execute;
    sg_facts_note_run(s, false);
    if (!s->portals.first || m->have < m->body_bytes || sg_execute_read(m->body, m->have, &execute) != SG_READ_OK) {
        return NULL; /* malformed: the server says so */
    }
    const struct sg_portal *portal = sg_portals_find(&s->portals, execute.portal);
    if (!portal) {
        return NULL;
    }
    return portal->plan && portal->plan->copy ? sg_copy_side(s, portal) : sg_sql_execute(s, portal);
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
