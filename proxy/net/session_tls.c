#include "session_tls.h"

#include "proxy/log.h"

static enum sg_tls_mode mode_of(const struct sg_session *s) {
    struct sg_tls_context *tls = s->is_unix ? NULL : sg_worker_client_tls(s->worker);
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
    struct sg_tls_context *context = sg_worker_client_tls(s->worker);
    if (!context) { /* the files have just been taken out of the configuration */
        sg_session_close(s);
        return;
    }
    s->tls.stream = sg_tls_new(context, NULL);
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

enum sg_tls_progress sg_session_tls_read(struct sg_session *s, const uint8_t **bytes, size_t *len,
                                         bool *ret_is_closed) {
    uint8_t *plain = s->worker->plain_buf;
    size_t n = 0, part;
    sg_tls_feed(s->tls.stream, *bytes, *len);
    *bytes = plain;
    *len = 0;
    *ret_is_closed = false;
    enum sg_tls_progress progress = s->tls.is_ready ? SG_TLS_DONE : shake(s);
    while (progress == SG_TLS_DONE && n < SG_PLAIN_BYTES) {
        progress = sg_tls_read(s->tls.stream, plain + n, SG_PLAIN_BYTES - n, &part, ret_is_closed);
        n += part;
    }
    sg_outq_flush_tls(&s->to_client); /* answers to what TLS says to itself */
    *len = n;
    return progress;
}

void sg_session_tls_end(struct sg_session *s) {
    if (s->tls.stream && s->tls.is_ready) {
        sg_tls_shutdown(s->tls.stream);
        sg_outq_flush_tls(&s->to_client);
    }
}
