/*
 *      start --unix, address--------------> try_next --connect--> on_connect --ok--> finish(0)
 *        \---name--> on_lookup --addresses-->  ^  \                   |
 *                        \                     |   none left          failed: close the stream
 *                         \--error--> finish   |    \--> finish       v
 *                                              +---------------- on_attempt_closed
 *
 * Encrypted, there is a leg between on_connect and finish (PostgreSQL docs, 55.2.10):
 *
 *      on_connect --SSLRequest--> on_input --'S'--> shake <--> on_input ... --> finish(0)
 *                                     \--'N': finish(0) in the clear, or the attempt fails, by the mode
 *
 * Giving up (time, cancel) closes the stream or cancels the look-up; the same callbacks then lead to finish.
 */
#include "upstream.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *option_of(const PQconninfoOption *options, const char *keyword) {
    for (const PQconninfoOption *o = options; o && o->keyword; o++) {
        if (strcmp(o->keyword, keyword) == 0) {
            return o->val && *o->val ? o->val : NULL;
        }
    }
    return NULL;
}

/* The first of a comma-separated list. */
static void copy_first(char *dst, size_t size, const char *list) {
    size_t len = strcspn(list, ",");
    snprintf(dst, size, "%.*s", (int)len, list);
}

static void fill(struct sg_upstream *up, const PQconninfoOption *given, const PQconninfoOption *defaults) {
    const char *host = option_of(given, "hostaddr");
    host = host ? host : option_of(given, "host");
    host = host ? host : option_of(defaults, "hostaddr");
    host = host ? host : option_of(defaults, "host");
    const char *port = option_of(given, "port");
    port = port ? port : option_of(defaults, "port");
    copy_first(up->host, sizeof(up->host), host ? host : "/var/run/postgresql");
    copy_first(up->port, sizeof(up->port), port ? port : "5432");
    const char *name = option_of(given, "host");
    copy_first(up->name, sizeof(up->name), name ? name : up->host);
    up->is_unix = up->host[0] == '/' || up->host[0] == '@';
    if (up->is_unix) {
        snprintf(up->label, sizeof(up->label), "%s/.s.PGSQL.%s", up->host, up->port);
    } else {
        snprintf(up->label, sizeof(up->label), strchr(up->host, ':') ? "[%s]:%s" : "%s:%s", up->host, up->port);
    }
}

bool sg_upstream_parse(const char *conninfo, struct sg_upstream *ret_upstream, struct sg_error *reterr) {
    char *why = NULL;
    PQconninfoOption *given = PQconninfoParse(conninfo ? conninfo : "", &why);
    if (!given) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "upstream connection string: %s",
                     why ? why : "out of memory");
        PQfreemem(why);
        return false;
    }
    PQconninfoOption *defaults = PQconndefaults();
    struct sg_upstream up = {0};
    fill(&up, given, defaults);
    PQconninfoFree(given);
    PQconninfoFree(defaults);
    char *end = NULL;
    long port = strtol(up.port, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "upstream port \"%s\" is not a port number", up.port);
        return false;
    }
    *ret_upstream = up;
    return true;
}

static void on_timer_closed(uv_handle_t *handle) {
    struct sg_dial *dial = handle->data;
    dial->on_done(dial, dial->status);
}

static void finish(struct sg_dial *dial, int status) {
    dial->status = status;
    if (dial->addresses) {
        freeaddrinfo(dial->addresses);
        dial->addresses = NULL;
    }
    if (status < 0) {
        sg_tls_free(dial->tls);
        dial->tls = NULL;
    }
    sg_tls_context_unref(dial->context);
    sg_outq_free(&dial->out);
    uv_close((uv_handle_t *)&dial->timer, on_timer_closed);
}

static void try_next(struct sg_dial *dial);

static void on_attempt_closed(uv_handle_t *handle) {
    try_next(handle->data);
}

/* ---- Encryption ---- */

static void close_attempt(struct sg_dial *dial) {
    if (!uv_is_closing(&dial->stream->handle)) {
        uv_close(&dial->stream->handle, on_attempt_closed);
    }
}

/* What is wrong with this server's encryption would not be better at its next address. */
static void fail_encryption(struct sg_dial *dial, const char *message) {
    if (message) {
        sg_error_set(&dial->error, SG_SQLSTATE_CANNOT_CONNECT, "%s", message);
    }
    dial->status = UV_EPROTO;
    dial->next = NULL;
    close_attempt(dial);
}

static void finish_connected(struct sg_dial *dial) {
    uv_read_stop(&dial->stream->stream);
    finish(dial, 0);
}

static void shake(struct sg_dial *dial) {
    enum sg_tls_progress progress = sg_tls_shake(dial->tls, &dial->error);
    sg_outq_flush_tls(&dial->out);
    dial->is_shaken = progress == SG_TLS_DONE;
    if (progress == SG_TLS_FAILED) {
        fail_encryption(dial, NULL);
    } else if (dial->is_shaken && sg_outq_is_clear(&dial->out)) {
        finish_connected(dial);
    }
}

static void on_out_clear(struct sg_outq *out) {
    struct sg_dial *dial = (struct sg_dial *)((char *)out - offsetof(struct sg_dial, out));
    if (out->error == 0 && dial->is_shaken && !uv_is_closing(&dial->stream->handle)) {
        finish_connected(dial);
    }
}

/* The answer to SSLRequest. What an attacker adds to it is read as TLS, and fails as such. */
static void on_answer(struct sg_dial *dial, char answer) {
    enum sg_tls_mode mode = sg_tls_context_mode(dial->context);
    if (answer == 'S') {
        dial->tls = dial->out.tls = sg_tls_new(dial->context, dial->upstream->name);
        shake(dial);
    } else if (answer == 'N' && mode < SG_TLS_REQUIRE) {
        finish_connected(dial);
    } else {
        fail_encryption(dial, answer == 'N' ? "the server does not accept encrypted connections"
                                            : "the server does not understand the request for encryption");
    }
}

static void give_input(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    struct sg_dial *dial = handle->data;
    *ret_buf = uv_buf_init((char *)dial->input, dial->tls ? sizeof(dial->input) : 1);
}

static void on_input(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf) {
    struct sg_dial *dial = stream->data;
    if (nread < 0) {
        fail_encryption(dial, "the server closed the connection while encryption was agreed on");
    } else if (nread > 0 && !dial->tls) {
        on_answer(dial, buf->base[0]);
    } else if (nread > 0) {
        sg_tls_feed(dial->tls, buf->base, (size_t)nread);
        shake(dial);
    }
}

static void ask_for_encryption(struct sg_dial *dial) {
    static const uint8_t request[] = {0, 0, 0, 8, 4, 210, 22, 47}; /* SSLRequest */
    uv_buf_t buf = uv_buf_init((char *)request, sizeof(request));
    sg_outq_init(&dial->out, &dial->stream->stream, on_out_clear);
    sg_outq_write(&dial->out, &buf, 1);
    if (dial->out.error != 0 || uv_read_start(&dial->stream->stream, give_input, on_input) < 0) {
        close_attempt(dial);
    }
}

/* ---- Connecting ---- */

static void on_connect(uv_connect_t *req, int status) {
    struct sg_dial *dial = req->data;
    dial->is_connecting = false;
    if (status == 0 && !dial->is_given_up) {
        if (dial->context && !dial->upstream->is_unix) {
            ask_for_encryption(dial);
        } else {
            finish(dial, 0);
        }
        return;
    }
    if (!dial->is_given_up) {
        dial->status = status;
    }
    close_attempt(dial);
}

static void connect_unix(struct sg_dial *dial) {
    uv_pipe_init(dial->loop, &dial->stream->pipe, 0);
    dial->stream->handle.data = dial;
    dial->is_connecting = true;
    uv_pipe_connect(&dial->connect, &dial->stream->pipe, dial->upstream->label, on_connect);
}

static void connect_tcp(struct sg_dial *dial, const struct sockaddr *address) {
    uv_tcp_init(dial->loop, &dial->stream->tcp);
    dial->stream->handle.data = dial;
    int rc = uv_tcp_connect(&dial->connect, &dial->stream->tcp, address, on_connect);
    if (rc < 0) {
        dial->status = rc;
        uv_close(&dial->stream->handle, on_attempt_closed);
        return;
    }
    dial->is_connecting = true;
    uv_tcp_nodelay(&dial->stream->tcp, 1); /* for the handshake */
}

static void try_next(struct sg_dial *dial) {
    if (dial->is_given_up || !dial->next) {
        finish(dial, dial->status ? dial->status : UV_EADDRNOTAVAIL);
        return;
    }
    struct addrinfo *address = dial->next;
    dial->next = address->ai_next;
    connect_tcp(dial, address->ai_addr);
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *addresses) {
    struct sg_dial *dial = req->data;
    dial->is_looking_up = false;
    dial->addresses = dial->next = addresses;
    if (dial->is_given_up || status < 0) {
        finish(dial, dial->is_given_up ? dial->status : status);
        return;
    }
    try_next(dial);
}

static void give_up(struct sg_dial *dial, int status) {
    if (dial->is_given_up || uv_is_closing((uv_handle_t *)&dial->timer)) {
        return; /* decided already; on_done is on its way */
    }
    dial->is_given_up = true;
    dial->status = status;
    if (dial->is_looking_up) {
        uv_cancel((uv_req_t *)&dial->lookup);
    } else if (!uv_is_closing(&dial->stream->handle)) {
        uv_close(&dial->stream->handle, on_attempt_closed);
    }
}

static void on_timeout(uv_timer_t *timer) {
    give_up(timer->data, UV_ETIMEDOUT);
}

void sg_dial_cancel(struct sg_dial *dial) {
    give_up(dial, UV_ECANCELED);
}

void sg_dial_start(struct sg_dial *dial, uv_loop_t *loop, const struct sg_upstream *upstream,
                   struct sg_tls_context *context, union sg_stream *stream,
                   void (*on_done)(struct sg_dial *dial, int status)) {
    *dial =
        (struct sg_dial){.upstream = upstream, .loop = loop, .context = context, .stream = stream, .on_done = on_done};
    dial->lookup.data = dial->connect.data = dial->timer.data = dial;
    uv_timer_init(loop, &dial->timer);
    dial->timer.data = dial;
    if (upstream->connect_timeout_ms > 0) {
        uv_timer_start(&dial->timer, on_timeout, upstream->connect_timeout_ms, 0);
    }
    if (upstream->is_unix) {
        connect_unix(dial);
        return;
    }
    struct sockaddr_storage address;
    int port = atoi(upstream->port);
    if (uv_ip4_addr(upstream->host, port, (struct sockaddr_in *)&address) == 0 ||
        uv_ip6_addr(upstream->host, port, (struct sockaddr_in6 *)&address) == 0) {
        connect_tcp(dial, (struct sockaddr *)&address);
        return;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    int rc = uv_getaddrinfo(loop, &dial->lookup, on_lookup, upstream->host, upstream->port, &hints);
    if (rc < 0) {
        finish(dial, rc);
        return;
    }
    dial->is_looking_up = true;
}
