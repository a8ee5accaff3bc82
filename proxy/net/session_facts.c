#include "session_facts.h"

#include "session_notes.h"
#include "session_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So often one message may make us ask: each time a plan asks for names that it has not been told. */
#define ROUNDS_MAX 8u

/* Of a prepared statement and of a portal: both are gone when the answer has come. */
#define PROBE_NAME "segue_facts"

/*
 * A row for each element of $1. The first: whether there are temporary tables, and the settings that say how a text is
 * read. The others: what the name means here and now, as a fact says it, in hexadecimal UTF-8: the client's encoding
 * cannot spoil it. The names are resolved by the server's own to_regclass; pg_identify_object sees what it sees, also
 * where the transaction's snapshot is older, and then the columns are not told. Everything is qualified, because any
 * function or operator may be hidden by the client's search_path.
 */
static const char probe_sql[] =
    "SELECT CASE WHEN q.n OPERATOR(pg_catalog.=) 1 THEN pg_catalog.concat_ws(' ',"
    " pg_catalog.pg_my_temp_schema()::pg_catalog.oid, pg_catalog.current_setting('standard_conforming_strings'),"
    " pg_catalog.current_setting('client_encoding')) ELSE (SELECT pg_catalog.encode(pg_catalog.convert_to("
    "pg_catalog.concat('\"', pg_catalog.replace(i.schema, '\"', '\"\"'), '\"', CASE WHEN EXISTS (SELECT FROM"
    " pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) r.oid) THEN (SELECT pg_catalog.string_agg("
    "pg_catalog.concat(' \"', pg_catalog.replace(a.attname::pg_catalog.text, '\"', '\"\"'), '\"'), '' ORDER BY"
    " a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) r.oid AND a.attnum"
    " OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped) ELSE '?' END), 'UTF8'), 'hex') FROM (SELECT"
    " pg_catalog.to_regclass(q.name)::pg_catalog.oid AS oid OFFSET 0) r, LATERAL pg_catalog.pg_identify_object("
    "'pg_catalog.pg_class'::pg_catalog.regclass, r.oid, 0) i WHERE r.oid IS NOT NULL) END"
    " FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS q(name, n) ORDER BY q.n";

/* ---- The probe goes out ---- */

static struct sg_side *probe_side(struct sg_session *s, bool is_end) {
    struct sg_side *side = sg_worker_side(s->worker);
    side->is_probe = true;
    side->is_probe_end = is_end;
    return side;
}

static void put_array(struct sg_buf *out, const struct sg_plan *plan) {
    sg_buf_put(out, "{\"\"", 3);
    for (size_t i = 0; plan && i < plan->asks_len; i++) {
        sg_buf_put(out, ",\"", 2);
        for (size_t k = 0; k < plan->asks[i].len; k++) {
            uint8_t c = (uint8_t)plan->asks[i].ptr[k];
            if (c == '"' || c == '\\') {
                sg_buf_put_u8(out, '\\');
            }
            sg_buf_put_u8(out, c);
        }
        sg_buf_put_u8(out, '"');
    }
    sg_buf_put_u8(out, '}');
}

static void put_bind(struct sg_buf *out, const struct sg_plan *plan) {
    sg_msg_begin(out, 'B');
    sg_buf_put_cstr(out, PROBE_NAME);
    sg_buf_put_cstr(out, PROBE_NAME);
    sg_buf_put_u16(out, 0);
    sg_buf_put_u16(out, 1);
    size_t at = out->len;
    sg_buf_put_u32(out, 0);
    put_array(out, plan);
    uint32_t len = (uint32_t)(out->len - at - 4);
    for (size_t i = 0; i < 4; i++) {
        out->data[at + i] = (uint8_t)(len >> (24 - 8 * i));
    }
    sg_buf_put_u16(out, 0);
    sg_msg_end(out);
}

static void put_execute(struct sg_buf *out) {
    sg_msg_begin(out, 'E');
    sg_buf_put_cstr(out, PROBE_NAME);
    sg_buf_put_u32(out, 0);
    sg_msg_end(out);
}

static void send_probe(struct sg_session *s, const struct sg_plan *plan) {
    static const enum sg_expect_kind kinds[] = {SG_EXPECT_CLOSE,   SG_EXPECT_PARSE, SG_EXPECT_BIND,
                                                SG_EXPECT_EXECUTE, SG_EXPECT_CLOSE, SG_EXPECT_CLOSE};
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    struct sg_buf *out = &s->worker->message;
    sg_msg_close(out, 'S', SG_SPAN_LIT(PROBE_NAME)); /* left over from one that failed */
    sg_msg_parse(out, SG_SPAN_LIT(PROBE_NAME), SG_SPAN_LIT(probe_sql), 0, NULL);
    put_bind(out, plan);
    put_execute(out);
    sg_msg_close(out, 'P', SG_SPAN_LIT(PROBE_NAME));
    sg_msg_close(out, 'S', SG_SPAN_LIT(PROBE_NAME));
    sg_msg_begin(out, s->probe.is_synced ? 'S' : 'H');
    sg_msg_end(out);
    sg_flow_emit(&s->from_client, out->data, out->len);
    out->len = 0;
    for (size_t i = 0; i < KINDS; i++) {
        bool is_end = i + 1 == KINDS && !s->probe.is_synced;
        sg_session_expect(s, kinds[i], SG_REPLY_SWALLOW, probe_side(s, is_end));
    }
    if (s->probe.is_synced) {
        sg_session_expect(s, SG_EXPECT_SYNC, SG_REPLY_SWALLOW, probe_side(s, true));
    }
    sg_count(&s->worker->counters.probes, 1);
}

/* plan NULL: only the settings are asked for. */
static void ask(struct sg_session *s, const struct sg_plan *plan) {
    s->probe.state = SG_PROBE_ASKED;
    s->probe.has_failed = false;
    s->probe.is_synced = s->probe.is_query && !s->is_unsynced;
    s->probe.rows = 0;
    s->probe.rounds++;
    s->probe.plan = plan ? sg_plan_ref(plan) : NULL;
    send_probe(s, plan);
}

/* ---- Planning ---- */

/* The server would say this to whatever is sent now. */
static const struct sg_error failed_error = {
    .sqlstate = "25P02",
    .message = "current transaction is aborted, commands ignored until end of transaction block",
};
static const struct sg_plan failed_plan = {.action = SG_REFUSE, .error = &failed_error};

static const struct sg_error unasked_error = {
    .sqlstate = "0A000",
    .message = "segue cannot find out which tables the names in this statement mean",
    .hint = "Write the tables' schemas in the statement.",
};
static const struct sg_plan unasked_plan = {.action = SG_REFUSE, .error = &unasked_error};

/* The transaction has failed for certain: nothing can be asked in it. */
static bool is_known_failed(const struct sg_session *s) {
    return s->tx_status == 'E' && s->expect.runs == 0;
}

static enum sg_verdict ask_or_not(struct sg_session *s, const struct sg_plan *plan, struct sg_planned *ret_planned) {
    if (s->is_skipping) {
        return SG_ABSORB; /* as the server would: it drops everything up to a Sync */
    }
    if (is_known_failed(s) || s->is_copy_in || s->probe.rounds == ROUNDS_MAX) {
        ret_planned->plan = is_known_failed(s) ? &failed_plan : &unasked_plan;
        return SG_FORWARD;
    }
    ask(s, plan);
    return sg_session_stall(s, UINT32_MAX);
}

/* The message in hand has been answered by what became of the probe, or the server would not have answered it. */
static enum sg_verdict drop_message(struct sg_session *s) {
    static const uint8_t sync[] = {'S', 0, 0, 0, 4};
    bool needs_ready = s->probe.state == SG_PROBE_FAILED && s->probe.is_query && !s->probe.is_synced;
    if (needs_ready) { /* a Query that fails is followed by ReadyForQuery, wherever it stands */
        sg_flow_emit(&s->from_client, sync, sizeof(sync));
        sg_session_expect(s, SG_EXPECT_SYNC, SG_REPLY_FORWARD, NULL);
    }
    return SG_ABSORB;
}

/* Would other settings make other text of it? */
static bool is_sensitive(struct sg_span sql) {
    for (size_t i = 0; i < sql.len; i++) {
        if ((uint8_t)sql.ptr[i] >= 0x80 || sql.ptr[i] == '\\') {
            return true;
        }
    }
    return false;
}

static bool must_settle(const struct sg_session *s, struct sg_span sql) {
    return s->facts.is_unsettled && !s->probe.is_settled && is_sensitive(sql);
}

/* The first statement under mappings, or the first again. Temporary tables may have been made before anybody looked. */
static void begin(struct sg_session *s) {
    s->has_facts_begun = true;
    s->has_suspects = s->statements.versions > 0;
    if (s->batch > 0 && !s->facts.is_doubtful) {
        s->facts.is_doubtful = s->facts.is_unlooked = true;
    }
}

static struct sg_request request_of(const struct sg_session *s, struct sg_span sql, enum sg_star star, bool extended) {
    return (struct sg_request){
        .sql = sql,
        .star = star,
        .can_ask = true,
        .backslash_quotes = s->is_backslash_quotes,
        .encoding = s->encoding,
        .extended = extended,
    };
}

static const struct sg_plan *plan_with_facts(struct sg_session *s, struct sg_request *request) {
    struct sg_buf *text = &s->worker->facts;
    text->len = 0;
    for (;;) {
        request->is_doubtful = s->facts.is_doubtful;
        request->facts = (struct sg_span){(const char *)text->data, text->len};
        const struct sg_plan *plan = sg_rewriter_plan(s->worker->rewriter, s->pin->snapshot, request);
        sg_worker_count_plans(s->worker);
        if (!plan || plan->action != SG_ASK || !sg_facts_compose(&s->facts, plan->asks, plan->asks_len, text)) {
            return plan;
        }
    }
}

enum sg_verdict sg_facts_plan(struct sg_session *s, struct sg_span sql, enum sg_star star, bool extended,
                              struct sg_planned *ret_planned) {
    *ret_planned = (struct sg_planned){.plan = NULL};
    if (s->pin->mappings == 0) {
        s->has_facts_begun = false; /* nobody looks at what is sent now */
        sg_facts_note(&s->facts, SG_EFFECT_CHANGES);
        return SG_FORWARD;
    }
    if (!s->has_facts_begun) {
        begin(s);
    }
    sg_facts_refresh(&s->facts, s->pin->epoch, s->batch);
    if (must_settle(s, sql)) {
        return ask_or_not(s, NULL, ret_planned);
    }
    struct sg_request request = request_of(s, sql, star, extended);
    const struct sg_plan *plan = plan_with_facts(s, &request);
    ret_planned->is_doubted = s->facts.is_doubtful;
    ret_planned->generation = s->facts.generation;
    if (!plan) {
        return SG_FORWARD;
    }
    if (plan->action == SG_ASK) {
        return ask_or_not(s, plan, ret_planned);
    }
    ret_planned->has_facts = plan->has_facts;
    s->facts.is_used = s->facts.is_used || plan->has_facts;
    if (plan->hides_names) {
        sg_facts_doubt(&s->facts);
    }
    sg_snapshot_note_use(s->pin->snapshot, plan->used_old);
    sg_notes_used(s, sql, plan);
    ret_planned->plan = plan->action == SG_PASS ? NULL : plan;
    return SG_FORWARD;
}

bool sg_facts_are_stale(struct sg_session *s, const struct sg_version *v) {
    if (s->pin->mappings == 0) {
        return false;
    }
    sg_facts_refresh(&s->facts, s->pin->epoch, s->batch);
    return v->is_doubted != s->facts.is_doubtful || (v->has_facts && v->generation != s->facts.generation);
}

void sg_facts_note_version(struct sg_version *v, const struct sg_planned *planned) {
    v->has_facts = planned->has_facts;
    v->is_doubted = planned->is_doubted;
    v->generation = planned->generation;
}

struct sg_reading sg_facts_reading(const struct sg_session *s) {
    return (struct sg_reading){s->encoding, s->is_backslash_quotes};
}

void sg_facts_note_unsure(const struct sg_session *s, struct sg_version *v) {
    v->has_facts = s->facts.is_used;
    v->is_doubted = s->facts.is_doubtful;
    v->generation = s->facts.generation - 1u;
}

const struct sg_plan *sg_facts_plan_again(struct sg_session *s, struct sg_span sql, enum sg_star star) {
    if (s->pin->mappings == 0) {
        return NULL;
    }
    struct sg_request request = request_of(s, sql, star, false);
    const struct sg_plan *plan = plan_with_facts(s, &request);
    return plan && plan->action == SG_REWRITE ? plan : NULL;
}

enum sg_verdict sg_facts_before_message(struct sg_session *s) {
    switch (s->probe.state) {
    case SG_PROBE_ASKED:
        return sg_session_stall(s, UINT32_MAX);
    case SG_PROBE_FAILED:
    case SG_PROBE_SKIPPED:
        return drop_message(s);
    case SG_PROBE_NONE:
    case SG_PROBE_ANSWERED:
        break;
    }
    return SG_FORWARD;
}

/* ---- What is sent ---- */

/* EXECUTE does what the statement does. */
static enum sg_effect effect_of_run(struct sg_session *s, const struct sg_prepared_op *op) {
    struct sg_statement *statement = op->name ? sg_statements_find(&s->statements, sg_span_of(op->name)) : NULL;
    const struct sg_text *text = statement && !statement->newest->older ? statement->newest->text : NULL;
    return op->kind == SG_PREPARED_RUN && text ? sg_text_effect(sg_text_sql(text)) : SG_EFFECT_CHANGES;
}

void sg_facts_note_query(struct sg_session *s, struct sg_span sql, const struct sg_prepared_ops *ops) {
    if (s->pin->mappings == 0) {
        return;
    }
    bool is_run = ops->n == 1 && ops->statements == 1 && ops->v[0].kind == SG_PREPARED_RUN;
    enum sg_effect effect = is_run ? effect_of_run(s, &ops->v[0]) : sg_text_effect(sql);
    sg_facts_note(&s->facts, sg_snapshot_is_fickle(s->pin->snapshot) ? SG_EFFECT_CHANGES : effect);
}

void sg_facts_note_parse(struct sg_session *s, struct sg_span sql, const struct sg_text *text) {
    if (s->pin->mappings > 0 && !s->has_suspects) {
        s->has_suspects = (text ? text->effect : sg_text_effect(sql)) != SG_EFFECT_NONE;
    }
}

void sg_facts_note_bind(struct sg_session *s, const struct sg_version *v) {
    if (!s->has_suspects || !v) {
        return;
    }
    if (v->text) {
        sg_text_judge(v->text);
    }
    enum sg_effect effect = v->text ? v->text->effect : SG_EFFECT_CHANGES;
    s->bound_effect = effect > s->bound_effect ? effect : s->bound_effect;
}

void sg_facts_note_run(struct sg_session *s, bool is_function) {
    bool is_fickle = s->pin && s->pin->mappings > 0 && sg_snapshot_is_fickle(s->pin->snapshot);
    sg_facts_note(&s->facts, is_function || is_fickle ? SG_EFFECT_CHANGES : s->bound_effect);
}

void sg_facts_message_over(struct sg_session *s) {
    s->probe.state = SG_PROBE_NONE;
    s->probe.is_settled = false;
    s->probe.rounds = 0;
}

/* ---- The probe's replies ---- */

bool sg_probe_is_front(const struct sg_session *s) {
    struct sg_expectation front;
    return s->probe.state == SG_PROBE_ASKED && sg_expect_front(&s->expect, &front) && front.side &&
           front.side->is_probe;
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c - 'a' + 10;
}

static struct sg_span unhex(struct sg_session *s, struct sg_span value) {
    struct sg_buf *out = &s->worker->facts;
    out->len = 0;
    for (size_t i = 0; value.ptr && i + 1 < value.len; i += 2) {
        sg_buf_put_u8(out, (uint8_t)(digit(value.ptr[i]) << 4 | digit(value.ptr[i + 1])));
    }
    return (struct sg_span){(const char *)out->data, out->len};
}

static struct sg_span next_word(struct sg_span *rest) {
    const char *space = memchr(rest->ptr, ' ', rest->len);
    size_t len = space ? (size_t)(space - rest->ptr) : rest->len;
    struct sg_span word = {rest->ptr, len};
    rest->ptr += space ? len + 1 : len;
    rest->len -= space ? len + 1 : len;
    return word;
}

static void take_settings(struct sg_session *s, struct sg_span value) {
    struct sg_span temporary = next_word(&value), strings = next_word(&value);
    if (sg_span_eq_cstr(temporary, "0")) {
        sg_facts_no_temporary(&s->facts);
    }
    sg_facts_setting(s, SG_SPAN_LIT("standard_conforming_strings"), strings, false);
    sg_facts_setting(s, SG_SPAN_LIT("client_encoding"), value, false);
    s->probe.is_settled = true;
}

void sg_probe_row(struct sg_session *s, const struct sg_message *m) {
    size_t cursor = 0, row = s->probe.rows++;
    struct sg_span value;
    if (m->have < m->body_bytes || !sg_data_value_next(m->body, m->have, &cursor, &value)) {
        return; /* what is not known is asked again, ROUNDS_MAX times */
    }
    if (row == 0) {
        take_settings(s, value);
    } else if (s->probe.plan && row <= s->probe.plan->asks_len) {
        sg_facts_add(&s->facts, s->probe.plan->asks[row - 1], unhex(s, value), s->batch);
    }
}

static void end_probe(struct sg_session *s, enum sg_probe_state state) {
    s->probe.state = state;
    if (s->probe.plan) {
        sg_plan_unref(s->probe.plan);
        s->probe.plan = NULL;
    }
}

/* Errors that hit a session whatever it does: cancelled, timed out, shut down, out of something, not to be serialized.
 */
static bool is_anybodys(struct sg_span sqlstate) {
    static const char *const classes[] = {"25", "40", "53", "57", "58"};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (sqlstate.len == 5 && memcmp(sqlstate.ptr, classes[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

/* The client's statement fails in the probe's place. Its error is the client's; one that only a question could raise
 * says so. */
enum sg_verdict sg_probe_error(struct sg_session *s, const struct sg_message *m) {
    s->probe.has_failed = true;
    if (!s->probe.is_synced) {
        end_probe(s, SG_PROBE_FAILED);
    }
    struct sg_span sqlstate = sg_error_field(m->body, m->have, 'C'), text = sg_error_field(m->body, m->have, 'M');
    if (m->have < m->body_bytes || !sqlstate.ptr || is_anybodys(sqlstate)) {
        return SG_FORWARD;
    }
    struct sg_error err = unasked_error;
    snprintf(err.detail, sizeof(err.detail), "The server did not answer: %.*s (%.*s)", (int)text.len, text.ptr,
             (int)sqlstate.len, sqlstate.ptr);
    sg_reply_send_error(s, &err);
    return SG_ABSORB;
}

void sg_probe_completed(struct sg_session *s, struct sg_side *side) {
    side->is_probe = false;
    if (side->is_probe_end) {
        end_probe(s, SG_PROBE_ANSWERED);
    }
}

void sg_probe_skipped(struct sg_session *s) {
    if (s->probe.state == SG_PROBE_ASKED && !s->probe.has_failed) {
        end_probe(s, SG_PROBE_SKIPPED);
    }
}

bool sg_probe_ready(struct sg_session *s, struct sg_side *side) {
    bool has_failed = s->probe.has_failed;
    side->is_probe = false;
    end_probe(s, has_failed ? SG_PROBE_FAILED : SG_PROBE_ANSWERED);
    return has_failed;
}

/* ---- Settings ---- */

void sg_facts_setting(struct sg_session *s, struct sg_span name, struct sg_span value, bool is_reported) {
    if (sg_span_eq_cstr(name, "client_encoding")) {
        s->encoding = sg_encoding_from_name(value);
        if (is_reported) {
            s->reported.encoding = s->encoding;
        }
    } else if (sg_span_eq_cstr(name, "standard_conforming_strings")) {
        s->is_backslash_quotes = sg_span_eq_cstr(value, "off");
        if (is_reported) {
            s->reported.is_backslash_quotes = s->is_backslash_quotes;
        }
    }
}

void sg_facts_restore_settings(struct sg_session *s) {
    s->encoding = s->reported.encoding;
    s->is_backslash_quotes = s->reported.is_backslash_quotes;
}
