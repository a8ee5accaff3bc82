#include "session_renew.h"

#include "session_facts.h"
#include "session_rewrite.h"

#include <string.h>

/* What runs PREPARE in the extended protocol: a statement and a portal of ours. The client's unnamed ones stay. */
#define OUR_NAME "segue_prepare"

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

static bool is_right(struct sg_session *s, const struct sg_version *v) {
    return v->epoch == s->pin->epoch && !v->is_lost && !sg_facts_are_stale(s, v);
}

/* If what is in flight fails, the name stands for a version that is not right. */
static bool may_fall_back(struct sg_session *s, const struct sg_version *v) {
    for (const struct sg_version *older = v->older; v->is_pending && older; older = older->older) {
        if (!older->is_gone && !is_right(s, older)) {
            return true;
        }
    }
    return false;
}

static void set_pipelined(struct sg_error *err, struct sg_span name) {
    sg_error_set(err, SG_SQLSTATE_FEATURE_NOT_SUPPORTED,
                 "segue cannot prepare statement \"%.*s\" again for the migration that is under way", (int)name.len,
                 name.ptr);
    sg_error_detail(err, "It is executed by a Query message in the middle of a pipeline of the extended protocol.");
    sg_error_hint(err, "Send Sync before the Query, or EXECUTE through the extended protocol.");
}

static void set_behind_failed(struct sg_error *err, struct sg_span name) {
    sg_error_set(err, SG_SQLSTATE_IN_FAILED_SQL_TRANSACTION,
                 "segue cannot prepare statement \"%.*s\" again for the migration that is under way", (int)name.len,
                 name.ptr);
    sg_error_detail(err, "The transaction has failed, and the text that executes the statement begins by ending it.");
    sg_error_hint(err, "Send the ROLLBACK by itself, before the rest.");
}

/* ---- Sending ---- */

static void send_close(struct sg_session *s, uint8_t kind, struct sg_span name, enum sg_disposition disposition,
                       struct sg_version *renewal) {
    struct sg_side *side = NULL;
    if (renewal) {
        side = sg_worker_side(s->worker);
        side->renewal = renewal;
    }
    sg_msg_close(&s->worker->message, kind, name);
    sg_rewrite_send(s);
    sg_session_expect(s, SG_EXPECT_CLOSE, disposition, side);
}

static void send_parse(struct sg_session *s, struct sg_span name, struct sg_span sql, const struct sg_text *types,
                       enum sg_disposition disposition, struct sg_side *side) {
    uint16_t nparams = types ? types->nparams : 0;
    sg_msg_parse(&s->worker->message, name, sql, nparams, types ? sg_text_oids(types) : NULL);
    sg_rewrite_send(s);
    sg_session_expect(s, SG_EXPECT_PARSE, disposition, side);
}

/* PREPARE is run again as it was, so that its types are what they were declared as and the server goes on listing it
 * as made by SQL. A statement of our name may be left over from one that failed. */
static void run_prepare(struct sg_session *s, struct sg_span sql, enum sg_disposition disposition,
                        struct sg_side *side) {
    const struct sg_span ours = SG_SPAN_LIT(OUR_NAME);
    struct sg_buf *message = &s->worker->message;
    send_close(s, 'S', ours, disposition, NULL);
    send_parse(s, ours, sql, NULL, disposition, NULL);
    sg_msg_begin(message, 'B');
    sg_buf_put_span_cstr(message, ours);
    sg_buf_put_span_cstr(message, ours);
    sg_buf_put_u16(message, 0);
    sg_buf_put_u16(message, 0);
    sg_buf_put_u16(message, 0);
    sg_msg_end(message);
    sg_rewrite_send(s);
    sg_session_expect(s, SG_EXPECT_BIND, disposition, NULL);
    sg_msg_begin(message, 'E');
    sg_buf_put_span_cstr(message, ours);
    sg_buf_put_u32(message, 0);
    sg_msg_end(message);
    sg_rewrite_send(s);
    sg_session_expect(s, SG_EXPECT_EXECUTE, disposition, side);
    send_close(s, 'P', ours, disposition, NULL);
    send_close(s, 'S', ours, disposition, NULL);
}

static void renew(struct sg_session *s, struct sg_span name, const struct sg_version *v,
                  const struct sg_planned *planned, enum sg_disposition disposition) {
    const struct sg_plan *plan = planned->plan;
    struct sg_side *side = sg_worker_side(s->worker);
    struct sg_version *fresh = sg_statements_add(&s->statements, name, v->text, plan, s->pin->epoch);
    fresh->batch = s->batch;
    fresh->star = v->star;
    fresh->reading = v->reading;
    fresh->is_sql = v->is_sql;
    sg_facts_note_version(fresh, planned);
    side->version = fresh;
    if (plan) {
        sg_rewrite_side_plan(side, plan, v->text);
    }
    if (name.len > 0) {
        send_close(s, 'S', name, disposition, fresh);
    }
    struct sg_span sql = plan ? plan->sql : sg_text_sql(v->text);
    if (v->is_sql) {
        run_prepare(s, sql, disposition, side);
    } else {
        send_parse(s, name, sql, v->text, disposition, side);
    }
    sg_count(&s->worker->counters.reprepared, 1);
    s->trace.tally->now.server_parse_count++;
}

/* ---- Deciding ---- */

/* Would the text, sent again, be read as it was? Not if client_encoding or standard_conforming_strings has changed
 * since, and it has something that depends on it. */
static bool is_read_alike(const struct sg_session *s, const struct sg_version *v) {
    const struct sg_reading now = sg_facts_reading(s);
    struct sg_span sql = sg_text_sql(v->text);
    bool is_alike = now.backslash_quotes == v->reading.backslash_quotes || !memchr(sql.ptr, '\\', sql.len);
    for (size_t i = 0; is_alike && now.encoding != v->reading.encoding && i < sql.len; i++) {
        is_alike = (uint8_t)sql.ptr[i] < 0x80;
    }
    return is_alike;
}

static void set_read_otherwise(struct sg_error *err) {
    sg_error_set(err, SG_SQLSTATE_FEATURE_NOT_SUPPORTED,
                 "segue cannot prepare this statement again for the migration that is under way");
    sg_error_detail(err,
                    "client_encoding or standard_conforming_strings has changed since it was prepared, and its text "
                    "would now mean something else.");
    sg_error_hint(err, "Prepare it again, or SET them back.");
}

enum need { RIGHT_AS_IT_IS, REFUSED, TO_RENEW, TO_WAIT, OVER };

/* v is not right. */
static enum need look_at(struct sg_session *s, struct sg_version *v, struct sg_planned *ret_planned,
                         struct sg_error *reterr) {
    if (!v->text) {
        sg_rewrite_set_not_remembered(reterr);
        return s->pin->mappings > 0 ? REFUSED : RIGHT_AS_IT_IS;
    }
    if (s->pin->mappings > 0 && !is_read_alike(s, v)) {
        set_read_otherwise(reterr);
        return REFUSED;
    }
    enum sg_verdict verdict = sg_facts_plan(s, sg_text_sql(v->text), v->star, !v->is_sql, ret_planned);
    if (verdict != SG_FORWARD) {
        return verdict == SG_STALL ? TO_WAIT : OVER;
    }
    if (sg_rewrite_is_refusal(ret_planned->plan)) {
        *reterr = *ret_planned->plan->error;
        return REFUSED;
    }
    if (!v->is_lost && is_same_sql(v, ret_planned->plan)) {
        sg_version_carry_over(&s->statements, v, ret_planned->plan, s->pin->epoch);
        sg_facts_note_version(v, ret_planned);
        return RIGHT_AS_IT_IS;
    }
    return TO_RENEW;
}

/* A Parse in an earlier batch is still unanswered: which version the name stands for is known only when it is. That
 * answer comes by itself, because a Sync lies between. */
static bool is_ambiguous(struct sg_session *s, const struct sg_version *v) {
    return v->batch != s->batch && !s->is_copy_in && may_fall_back(s, v);
}

enum sg_verdict sg_renew_before_use(struct sg_session *s, struct sg_span name, struct sg_version *v) {
    struct sg_error err = {0};
    struct sg_planned planned = {0};
    if (is_ambiguous(s, v)) {
        /* Looked at anew with every reply: what follows that Sync has none yet. */
        return sg_session_stall(s, UINT32_MAX);
    }
    if (is_right(s, v) || is_known_failed(s)) {
        return SG_FORWARD;
    }
    if (v->is_pending && v->batch != s->batch && !s->is_copy_in) {
        return sg_session_stall(s, UINT32_MAX); /* likewise: if it fails, nothing is to be asked for it */
    }
    switch (look_at(s, v, &planned, &err)) {
    case RIGHT_AS_IT_IS:
        break;
    case TO_WAIT:
        return SG_STALL;
    case OVER:
        return SG_ABSORB;
    case REFUSED:
        sg_rewrite_fail(s, v->text ? sg_text_sql(v->text) : SG_SPAN_LIT(""), NULL, &err);
        break;
    case TO_RENEW:
        renew(s, name, v, &planned, SG_REPLY_SWALLOW);
        break;
    }
    return SG_FORWARD;
}

static void renew_as_a_batch(struct sg_session *s, struct sg_span name, const struct sg_version *v,
                             const struct sg_planned *planned) {
    static const uint8_t sync[] = {'S', 0, 0, 0, 4};
    renew(s, name, v, planned, SG_REPLY_HIDE);
    sg_flow_emit(&s->from_client, sync, sizeof(sync));
    sg_session_expect(s, SG_EXPECT_SYNC, SG_REPLY_HIDE, NULL);
}

enum sg_renewal sg_renew_before_query(struct sg_session *s, struct sg_span name, bool is_alone, bool is_settled,
                                      struct sg_error *reterr) {
    struct sg_planned planned = {0};
    struct sg_statement *statement = sg_statements_find(&s->statements, name);
    struct sg_version *v = statement ? statement->newest : NULL;
    bool is_open = v && may_fall_back(s, v);
    if (!v || (v->is_gone && !is_open) || (is_right(s, v) && !is_open) || s->is_copy_in) {
        return SG_RENEWAL_NONE; /* a Query ends a COPY with an error, and is not run itself */
    }
    if (v->is_pending && !is_settled && !s->is_unsynced) {
        return SG_RENEWAL_WAIT;
    }
    enum need need = is_open ? TO_RENEW : look_at(s, v, &planned, reterr);
    if (need == TO_WAIT || need == OVER) {
        return need == OVER ? SG_RENEWAL_OVER : SG_RENEWAL_WAIT;
    }
    if (need != TO_RENEW) {
        return need == REFUSED ? SG_RENEWAL_REFUSED : SG_RENEWAL_NONE;
    }
    if (s->is_unsynced) {
        set_pipelined(reterr, name);
        return SG_RENEWAL_REFUSED;
    }
    if (!is_settled) {
        return SG_RENEWAL_WAIT;
    }
    if (s->tx_status == 'E') {
        set_behind_failed(reterr, name);
        return is_alone ? SG_RENEWAL_NONE : SG_RENEWAL_REFUSED; /* alone, it fails as anything would */
    }
    renew_as_a_batch(s, name, v, &planned);
    return SG_RENEWAL_SENT;
}
