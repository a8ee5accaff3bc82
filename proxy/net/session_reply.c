#include "session_reply.h"

#include "session_auth.h"
#include "session_facts.h"
#include "session_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_reply(struct sg_session *s) {
    struct sg_buf *message = &s->worker->message;
    sg_flow_emit(&s->from_server, message->data, message->len);
    message->len = 0;
}

/* The server's message, field by field, with another position. */
static enum sg_verdict send_with_position(struct sg_session *s, const struct sg_message *m, int position) {
    struct sg_buf *out = &s->worker->message;
    struct sg_span value;
    size_t cursor = 0;
    char code;
    char number[16];
    snprintf(number, sizeof(number), "%d", position);
    sg_msg_begin(out, m->type);
    while (sg_error_field_next(m->body, m->have, &cursor, &code, &value)) {
        sg_buf_put_u8(out, (uint8_t)code);
        if (code == 'P') {
            sg_buf_put_cstr(out, number);
        } else {
            sg_buf_put_span_cstr(out, value);
        }
    }
    sg_buf_put_u8(out, 0);
    sg_msg_end(out);
    send_reply(s);
    return SG_ABSORB;
}

static enum sg_verdict map_position(struct sg_session *s, const struct sg_message *m, const struct sg_side *side) {
    if (!side || !side->plan || m->have < m->body_bytes) {
        return SG_FORWARD;
    }
    struct sg_span position = sg_error_field(m->body, m->have, 'P');
    int server_position = position.ptr ? atoi(position.ptr) : 0; /* NUL-terminated in the message */
    if (server_position <= 0) {
        return SG_FORWARD;
    }
    int mapped = sg_plan_map_position(side->plan, sg_text_sql(side->text), server_position);
    return mapped == server_position ? SG_FORWARD : send_with_position(s, m, mapped);
}

void sg_reply_send_error(struct sg_session *s, const struct sg_error *err) {
    sg_msg_error(&s->worker->message, "ERROR", err);
    send_reply(s);
}

/* In a transaction that has failed the server looks at no statement beyond its grammar: that comes first. */
static void say_refused(struct sg_session *s, const struct sg_error *refusal) {
    struct sg_error err = {0};
    bool is_failed = s->tx_status == 'E' && !s->is_answered;
    bool is_grammar = strcmp(refusal->sqlstate, sg_sqlstate_code(SG_SQLSTATE_SYNTAX_ERROR)) == 0;
    bool is_about_that = strcmp(refusal->sqlstate, sg_sqlstate_code(SG_SQLSTATE_IN_FAILED_SQL_TRANSACTION)) == 0;
    if (is_failed && !is_grammar && !is_about_that) {
        sg_error_set(&err, SG_SQLSTATE_IN_FAILED_SQL_TRANSACTION,
                     "current transaction is aborted, commands ignored until end of transaction block");
        refusal = &err;
    }
    sg_reply_send_error(s, refusal);
}

/* A renewal ahead of a Query has failed: kept for that Query, which is about to fail for want of the statement. */
static void keep_renewal_error(struct sg_session *s, const struct sg_message *m) {
    if (s->renewal_error.len == 0 && m->have == m->body_bytes) {
        sg_buf_put(&s->renewal_error, m->body, m->have);
    }
}

static bool is_for_want_of_renewal(const struct sg_session *s, const struct sg_message *m, const struct sg_side *side) {
    struct sg_span code = sg_error_field(m->body, m->have, 'C');
    return side->is_renewed && s->renewal_error.len > 0 && m->have == m->body_bytes &&
           (sg_span_eq_cstr(code, "26000") || sg_span_eq_cstr(code, "25P02"));
}

/* The reason instead, without a position: that is one in a text of long ago. */
static enum sg_verdict say_renewal_error(struct sg_session *s) {
    struct sg_buf *out = &s->worker->message;
    struct sg_span value;
    size_t cursor = 0;
    char code;
    sg_msg_begin(out, 'E');
    while (sg_error_field_next(s->renewal_error.data, s->renewal_error.len, &cursor, &code, &value)) {
        if (code != 'P') {
            sg_buf_put_u8(out, (uint8_t)code);
            sg_buf_put_span_cstr(out, value);
        }
    }
    sg_buf_put_u8(out, 0);
    sg_msg_end(out);
    send_reply(s);
    return SG_ABSORB;
}

enum sg_verdict sg_reply_error(struct sg_session *s, const struct sg_message *m) {
    struct sg_expectation front;
    if (s->login) {
        sg_session_auth_note_error(s, m);
        return SG_FORWARD;
    }
    if (!s->is_logged_in && sg_session_tls_explain(s, m)) {
        return SG_ABSORB;
    }
    if (!sg_expect_front(&s->expect, &front)) {
        return SG_FORWARD;
    }
    if (front.disposition == SG_REPLY_HIDE) {
        keep_renewal_error(s, m);
        return SG_ABSORB;
    }
    if (front.side && is_for_want_of_renewal(s, m, front.side)) {
        return say_renewal_error(s);
    }
    if (!front.side) {
        return SG_FORWARD;
    }
    if (front.side->is_probe) {
        return sg_probe_error(s, m);
    }
    if (front.disposition != SG_REPLY_REPLACE_ERROR) {
        return map_position(s, m, front.side);
    }
    /* Our own text failed to parse, as it was meant to. Anything else (a shutdown, a cancel) is the server's to say. */
    bool is_ours = m->have == m->body_bytes && sg_span_eq_cstr(sg_error_field(m->body, m->have, 'C'), "42601");
    if (!is_ours) {
        return SG_FORWARD;
    }
    say_refused(s, front.side->error);
    return SG_ABSORB;
}

enum sg_verdict sg_reply_notice(struct sg_session *s, const struct sg_message *m) {
    struct sg_expectation front;
    if (sg_expect_front(&s->expect, &front) && (front.disposition == SG_REPLY_HIDE || sg_probe_is_front(s))) {
        return SG_ABSORB;
    }
    bool is_known = sg_expect_front(&s->expect, &front) && front.disposition != SG_REPLY_REPLACE_ERROR;
    return is_known ? map_position(s, m, front.side) : SG_FORWARD;
}
