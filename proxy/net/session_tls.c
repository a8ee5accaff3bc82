#include "session_tls.h"

#include "proxy/log.h"

#include <string.h>

static enum sg_tls_mode mode_of(const struct sg_session *s) {
    struct sg_tls_context *tls = s->is_unix ? NULL : sg_worker_tls(s->worker);
    enum sg_tls_mode mode = tls ? sg_tls_context_mode(tls) : SG_TLS_DISABLE;
    sg_tls_context_unref(tls);
    return mode;
}

bool sg_session_tls_is_offered(const struct sg_session *s) {
    return mode_of(s) != SG_TLS_DISABLE;
}

bool sg_session_tls_is_required(const struct sg_session *s) {
    return mode_of(s) >= SG_TLS_REQUIRE;
}

void sg_session_tls_begin(struct sg_session *s, bool direct) {
    struct sg_tls_context *context = sg_worker_tls(s->worker);
    if (!context) { /* the files have just been taken out of the configuration */
        sg_session_close(s);
        return;
    }
    s->tls.stream = sg_tls_new(context, NULL);
    sg_tls_collect(s->tls.stream, &s->worker->records);
    s->tls.is_direct = direct;
    s->to_client.tls = s->tls.stream;
    sg_tls_context_unref(context);
}

static void log_failure(const struct sg_error *why) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    sg_log_limited(&limit, SG_LOG_INFO, "TLS with a client failed: %s", why->message);
}

/* A client of direct TLS could be any: only ALPN says that it wants PostgreSQL. */
static enum sg_tls_progress shake(struct sg_session *s) {
    struct sg_error err = {0};
    enum sg_tls_progress progress = sg_tls_shake(s->tls.stream, &err);
    sg_outq_flush_tls(&s->to_client);
    if (progress == SG_TLS_DONE && s->tls.is_direct && !sg_tls_has_alpn(s->tls.stream)) {
        sg_error_set(&err, SG_SQLSTATE_PROTOCOL_VIOLATION, "direct TLS without the ALPN protocol \"postgresql\"");
        progress = SG_TLS_FAILED;
    }
    if (progress == SG_TLS_FAILED) {
        log_failure(&err);
    }
    s->tls.is_ready = progress == SG_TLS_DONE;
    return progress;
}

/* All that is there, into the worker's buffer. */
static enum sg_tls_progress decrypt(struct sg_worker *worker, struct sg_outq *out, const uint8_t **bytes, size_t *len,
                                    bool *ret_is_closed) {
    enum sg_tls_progress progress;
    size_t n = 0, part;
    do {
        progress = sg_tls_read(out->tls, worker->plain_buf + n, SG_PLAIN_BYTES - n, &part, ret_is_closed);
        n += part;
    } while (progress == SG_TLS_DONE && sg_tls_has_input(out->tls) && n < SG_PLAIN_BYTES);
    sg_outq_flush_tls(out); /* answers to what TLS says to itself */
    *bytes = worker->plain_buf;
    *len = n;
    return progress;
}

enum sg_tls_progress sg_session_tls_read(struct sg_session *s, const uint8_t **bytes, size_t *len,
                                         bool *ret_is_closed) {
    sg_tls_lend(s->tls.stream, *bytes, *len);
    enum sg_tls_progress progress = s->tls.is_ready ? SG_TLS_DONE : shake(s);
    *len = 0;
    *ret_is_closed = false;
    return progress == SG_TLS_DONE ? decrypt(s->worker, &s->to_client, bytes, len, ret_is_closed) : progress;
}

enum sg_tls_progress sg_session_tls_read_server(struct sg_session *s, const uint8_t **bytes, size_t *len,
                                                bool *ret_is_closed) {
    sg_tls_lend(s->server_tls, *bytes, *len);
    return decrypt(s->worker, &s->to_server, bytes, len, ret_is_closed);
}

bool sg_session_tls_unbind(struct sg_session *s, const struct sg_message *m) {
    static const char bound[] = "SCRAM-SHA-256-PLUS";
    struct sg_buf *out = &s->worker->message;
    bool has_bound = false;
    sg_msg_begin(out, m->type);
    sg_buf_put(out, m->body, 4);
    for (const uint8_t *p = m->body + 4, *end = m->body + m->have; p < end;) {
        const uint8_t *stop = memchr(p, '\0', (size_t)(end - p));
        size_t len = stop ? (size_t)(stop - p) + 1 : (size_t)(end - p);
        bool is_bound = len == sizeof(bound) && memcmp(p, bound, len) == 0;
        has_bound |= is_bound;
        if (!is_bound) {
            sg_buf_put(out, p, len);
        }
        p += len;
    }
    sg_msg_end(out);
    if (has_bound) {
        sg_flow_emit(&s->from_server, out->data, out->len);
    }
    out->len = 0;
    return has_bound;
}

bool sg_session_tls_explain(struct sg_session *s, const struct sg_message *m) {
    struct sg_buf *out = &s->worker->message;
    bool has_two_channels = s->server_tls && s->tls.stream && m->have == m->body_bytes && m->have > 0;
    if (!has_two_channels || !memmem(m->body, m->have, "channel binding", strlen("channel binding"))) {
        return false;
    }
    sg_msg_begin(out, m->type);
    sg_buf_put(out, m->body, m->have - 1);
    sg_buf_put_u8(out, 'H');
    sg_buf_put_cstr(out,
                    "Connect with channel_binding=disable, or have segue authenticate its clients itself (auth_type = "
                    "scram-sha-256): between client and server stands segue, and both its sides are encrypted.");
    sg_buf_put_u8(out, 0);
    sg_msg_end(out);
    sg_flow_emit(&s->from_server, out->data, out->len);
    out->len = 0;
    return true;
}

struct sg_tls *sg_session_tls_detach(struct sg_session *s) {
    struct sg_tls *tls = s->tls.stream;
    s->tls.stream = s->to_client.tls = NULL;
    if (tls) {
        sg_tls_collect(tls, NULL); /* the worker's buffer stays with its thread */
    }
    return tls;
}

void sg_session_tls_end(struct sg_session *s) {
    if (s->tls.stream && s->tls.is_ready) {
        sg_tls_shutdown(s->tls.stream);
        sg_outq_flush_tls(&s->to_client);
    }
}
