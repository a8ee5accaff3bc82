/*
 * The life of a session.
 *
 *   sg_session_open --> START --sg_startup_feed--> DIAL --sg_session_relay--> RELAY
 *                         |  \    \--> AUTH --^     |                         |   |
 *                         |   \--CancelRequest--> CANCEL                      |   |
 *                         |                         |  cancel is through      |   |
 *                         |                         v                         |   |
 *                         +--sg_session_close---> CLOSED <--server closed--+  |   |
 *                         |                         ^                      |  |   |
 *                         |                         |         LINGER <-----+--+   |  client_gone: Terminate (and a
 *                         |                         |                             |  cancel, if busy) is sent, the
 *                         |                         |                             |  server's last words are dropped
 *                         +--sg_session_fatal--> FLUSH <--server_gone-------------+
 *                                                          what is queued for the client goes out
 *
 * Invariants:
 *   1. A side is read only while the other side's queue is clear: a session holds at most one chunk each way.
 *   2. Only whole messages, and the beginnings of messages whose rest is forwarded too, reach the other side; a message
 *      of ours goes out only at a boundary (sg_flow_at_boundary).
 *   3. expect has an entry for each forwarded message the server still has to answer, in order. Ours included.
 *   4. has_snapshots and an entry in expect imply a pin; it is dropped only at ReadyForQuery 'I' with expect empty.
 *   5. The status byte of ReadyForQuery is the only source of the transaction's state.
 *   6. A session that neither reads nor writes owns no buffer.
 *   7. holds counts every handle and callback that refers to the session; memory goes when it is 0, after CLOSED.
 */
#include "session.h"

#include "databases.h"
#include "pause.h"
#include "proxy/log.h"
#include "session_auth.h"
#include "session_cancel.h"
#include "session_copy.h"
#include "session_dial.h"
#include "session_facts.h"
#include "session_lease.h"
#include "session_limits.h"
#include "session_sql.h"
#include "session_tls.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_MS 10000 /* the server's time to go after Terminate */
#define FLUSH_MS  5000  /* the client's time to take our last words */
#define PART_MS   1000  /* and then to close its side */

static void client_gone(struct sg_session *s, int error);
static void close_half(struct sg_session *s);
static void close_server(struct sg_session *s);
static void server_gone(struct sg_session *s);
static void relay_client(struct sg_session *s, const uint8_t *chunk, size_t len);
static void hear_client(struct sg_session *s);

#define session_of(ptr, member) ((struct sg_session *)((char *)(ptr)-offsetof(struct sg_session, member)))

/* ---- Reading ---- */

static void on_client_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf) {
    struct sg_session *s = stream->data;
    if (nread < 0) {
        client_gone(s, (int)nread);
        return;
    }
    sg_trace_from_client(s, (size_t)nread);
    sg_session_take(s, (const uint8_t *)buf->base, (size_t)nread);
}

void sg_session_take(struct sg_session *s, const uint8_t *bytes, size_t len) {
    enum sg_tls_progress tls = SG_TLS_DONE;
    bool is_closed = true;
    if (s->tls.stream) {
        tls = sg_session_tls_read(s, &bytes, &len, &is_closed);
    }
    bool is_waiting =
        s->is_held || s->state == SG_SESSION_DIAL || (s->state == SG_SESSION_RELAY && (s->is_stalled || !s->is_heard));
    if (is_waiting && len > 0) {
        sg_pause_keep(s, bytes, len);
    } else if (s->state == SG_SESSION_START && len > 0) {
        sg_buf_put(&s->rest, bytes, len);
        sg_startup_feed(s);
    } else if (s->state == SG_SESSION_AUTH && len > 0) {
        sg_session_auth_take(s, bytes, len);
    } else if (s->state == SG_SESSION_RELAY && len > 0) {
        relay_client(s, bytes, len);
    }
    /* In every other state the client's words no longer matter. */
    if (tls == SG_TLS_FAILED && s->state != SG_SESSION_CLOSED) {
        client_gone(s, is_closed ? UV_EOF : UV_ECONNRESET);
    }
}

void sg_session_read_client(struct sg_session *s, bool on) {
    if (on == s->is_client_reading || !s->is_client_open || s->is_client_eof) {
        return;
    }
    s->is_client_reading = on;
    if (!on) {
        uv_read_stop(&s->client.stream);
    } else if (uv_read_start(&s->client.stream, sg_worker_alloc_cb, on_client_read) < 0) {
        sg_session_close(s);
    }
}

static void on_server_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);

static void read_server(struct sg_session *s, bool on) {
    if (on == s->is_server_reading || !s->is_server_open) {
        return;
    }
    s->is_server_reading = on;
    if (!on) {
        uv_read_stop(&s->server.stream);
    } else if (uv_read_start(&s->server.stream, sg_worker_alloc_cb, on_server_read) < 0) {
        sg_session_close(s);
    }
}

/* ---- Relaying ---- */

enum sg_verdict sg_session_stall(struct sg_session *s, uint32_t until) {
    s->stalled_until = until;
    return SG_STALL;
}

static void protocol_violation(struct sg_session *s) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_PROTOCOL_VIOLATION, "invalid message length");
    sg_session_cancel_busy(s);
    sg_session_fatal(s, &err);
}

static void relay_client(struct sg_session *s, const uint8_t *chunk, size_t len) {
    size_t taken = 0;
    enum sg_feed result = sg_flow_feed(&s->from_client, chunk, len, &taken);
    sg_copy_flush(s);
    s->is_stalled = result == SG_FEED_STALLED;
    if (s->is_stalled) {
        sg_buf_put(&s->rest, chunk + taken, len - taken);
    }
    if (result == SG_FEED_BAD || s->from_client.is_barred) {
        (s->from_client.is_barred ? sg_lease_end : protocol_violation)(s);
        return;
    }
    /* When the server no longer takes our bytes, what it said last is still to be read: on_server_read ends it. */
    bool is_wanted = result == SG_FEED_OK || s->is_held;
    sg_session_read_client(s, is_wanted && sg_outq_is_clear(&s->to_server) && s->to_server.error == 0);
}

void sg_session_unstall(struct sg_session *s) {
    if (!s->is_stalled || s->is_held || s->state != SG_SESSION_RELAY || s->is_console ||
        s->expect.len > s->stalled_until || !sg_outq_is_clear(&s->to_server)) {
        return;
    }
    struct sg_buf rest = s->rest;
    s->rest = (struct sg_buf){0};
    relay_client(s, rest.data, rest.len);
    sg_buf_free(&rest);
}

static void not_a_server(struct sg_session *s) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT, "what answers at %s is not a PostgreSQL server", s->host->label);
    sg_session_fatal(s, &err);
}

static void relay_server(struct sg_session *s, const uint8_t *chunk, size_t len) {
    size_t taken = 0;
    enum sg_feed result = sg_flow_feed(&s->from_server, chunk, len, &taken);
    if (!s->is_server_known && (result == SG_FEED_STOPPED || result == SG_FEED_BAD)) {
        not_a_server(s);
        return;
    }
    if (result == SG_FEED_STOPPED && s->refused_by != SG_REFUSED_BY_NONE) {
        sg_session_limits_refuse(s);
        return;
    }
    if (result == SG_FEED_STOPPED && sg_way_is_rejected(s) && sg_way_go_on(s)) {
        return;
    }
    if (result == SG_FEED_STOPPED && s->state != SG_SESSION_RELAY) {
        return; /* the client was told why */
    }
    if (result == SG_FEED_STOPPED && (s->is_console || s->login)) {
        (s->login ? sg_session_auth_failed : sg_startup_to_console)(s);
        return;
    }
    if (result == SG_FEED_BAD) {
        server_gone(s);
        return;
    }
    if (s->to_client.error != 0) {
        client_gone(s, s->to_client.error);
        return;
    }
    read_server(s, sg_outq_is_clear(&s->to_client));
    if (!s->is_heard) {
        hear_client(s);
    }
    sg_session_unstall(s);
    if (s->is_pausing) {
        sg_pause_look(s);
    }
    if (s->state == SG_SESSION_RELAY && sg_worker_is_draining(s->worker)) {
        sg_session_drain(s);
    }
}

static void on_server_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf) {
    struct sg_session *s = stream->data;
    if (nread < 0) {
        server_gone(s);
        return;
    }
    const uint8_t *bytes = (const uint8_t *)buf->base;
    size_t len = (size_t)nread;
    enum sg_tls_progress tls = SG_TLS_DONE;
    bool is_closed;
    sg_trace_from_server(s, len);
    if (s->server_tls) {
        tls = sg_session_tls_read_server(s, &bytes, &len, &is_closed);
    }
    if (s->state == SG_SESSION_RELAY && len > 0) {
        relay_server(s, bytes, len);
    }
    if (tls == SG_TLS_FAILED && s->is_server_open) {
        server_gone(s);
    }
}

static void end_flush(struct sg_session *s);

static void on_client_clear(struct sg_outq *q) {
    struct sg_session *s = session_of(q, to_client);
    if (s->state == SG_SESSION_FLUSH) {
        end_flush(s);
    } else if (s->state == SG_SESSION_RELAY && q->error != 0) {
        client_gone(s, q->error);
    } else if (s->state == SG_SESSION_RELAY) {
        read_server(s, true);
    }
}

static void on_server_clear(struct sg_outq *q) {
    struct sg_session *s = session_of(q, to_server);
    if (s->is_server_cut && s->is_server_open) {
        close_half(s);
    }
    if (s->state != SG_SESSION_RELAY || q->error != 0) {
        return;
    }
    if (s->is_stalled) {
        sg_session_unstall(s);
    } else if (!s->is_client_bye && s->is_heard) {
        sg_session_read_client(s, true);
    }
}

void sg_session_relay(struct sg_session *s, struct sg_span first) {
    struct sg_worker *w = s->worker;
    s->server.handle.data = s;
    sg_socket_options_set(&w->config->sockets, &s->server.handle);
    s->is_server_open = true;
    s->holds++;
    if (s->state != SG_SESSION_DIAL) {
        close_server(s); /* the client did not wait */
        return;
    }
    s->state = SG_SESSION_RELAY;
    sg_trace_server(s);
    sg_outq_init(&s->to_server, &s->server.stream, on_server_clear);
    s->to_server.tls = s->server_tls;
    if (s->server_tls) {
        sg_tls_collect(s->server_tls, &w->records);
    }
    s->from_client = (struct sg_flow){.scanner = {.max_body_bytes = w->config->max_packet_bytes},
                                      .need = sg_client_need,
                                      .decide = sg_client_decide,
                                      .divert = sg_copy_divert,
                                      .may_send = s->has_snapshots ? sg_lease_may_send : NULL,
                                      .owner = s,
                                      .out = &s->to_server,
                                      .desk = &w->desk};
    s->from_server = (struct sg_flow){.scanner = {.max_body_bytes = UINT32_MAX},
                                      .need = sg_server_need,
                                      .decide = sg_server_decide,
                                      .owner = s,
                                      .out = &s->to_client,
                                      .desk = &w->desk};
    sg_expect_push(&s->expect, SG_EXPECT_STARTUP, SG_REPLY_FORWARD, NULL);
    uv_buf_t buf = uv_buf_init((char *)first.ptr, (unsigned)first.len);
    sg_outq_write(&s->to_server, &buf, 1);
    read_server(s, true);
    if (sg_session_auth_relay(s)) {
        s->is_heard = true; /* and has to wait */
        return;
    }
    hear_client(s);
}

/* From now on what the client says is for the server; it may have said something already. */
static void hear_client(struct sg_session *s) {
    if (s->state != SG_SESSION_RELAY || !sg_way_hears_client(s)) {
        return;
    }
    struct sg_buf rest = s->rest;
    s->is_heard = true;
    s->rest = (struct sg_buf){0};
    relay_client(s, rest.data, rest.len);
    sg_buf_free(&rest);
}

void sg_session_unrelay(struct sg_session *s, void (*on_closed)(uv_handle_t *handle)) {
    struct sg_expectation startup;
    sg_expect_pop(&s->expect, &startup);
    s->is_heard = s->is_stalled = false;
    s->is_server_open = s->is_server_reading = s->is_server_known = s->is_server_error = s->has_key = false;
    sg_flow_free(&s->from_server);
    sg_tls_free(s->server_tls);
    s->server_tls = s->to_server.tls = NULL;
    uv_close(&s->server.handle, on_closed);
}

bool sg_session_is_idle(const struct sg_session *s) {
    return s->tx_status == 'I' && s->expect.len == 0 && !s->is_stalled &&
           sg_scanner_at_boundary(&s->from_client.scanner);
}

/* ---- Ends ---- */

static void on_handle_closed(uv_handle_t *handle) {
    sg_session_release(handle->data);
}

static void close_client(struct sg_session *s) {
    if (s->is_client_open) {
        s->is_client_open = s->is_client_reading = false;
        uv_close(&s->client.handle, on_handle_closed);
    }
}

static void close_server(struct sg_session *s) {
    if (s->is_server_open) {
        if (s->has_key) {
            sg_keys_remove(&s->worker->shared->keys, s);
        }
        s->is_server_open = s->is_server_reading = false;
        uv_close(&s->server.handle, on_handle_closed);
    }
}

void sg_session_time_up(uv_timer_t *timer) {
    struct sg_session *s = timer->data;
    if (s->is_held) {
        sg_pause_time_up(s);
        return;
    }
    if (s->state == SG_SESSION_FLUSH || s->state == SG_SESSION_LINGER || s->state == SG_SESSION_START) {
        sg_session_close(s); /* in START nobody who speaks the protocol waits for a word */
        return;
    }
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_CONNECTION_FAILURE, "login took longer than %d ms",
                 s->worker->config->client_login_timeout_ms);
    sg_error_hint(&err, "client_login_timeout sets how long a login may take.");
    sg_session_fatal(s, &err);
}

/* The end of a session that the server would not learn of by itself. */
static void say_goodbye(struct sg_session *s) {
    static const uint8_t terminate[] = {'X', 0, 0, 0, 4};
    uv_buf_t buf = uv_buf_init((char *)terminate, sizeof(terminate));
    sg_outq_write(&s->to_server, &buf, 1);
}

static void close_half(struct sg_session *s) {
    uv_os_fd_t fd;
    if (uv_fileno(&s->server.handle, &fd) == 0) {
        shutdown(fd, SHUT_WR);
    }
}

/* Behind half a message, whose rest never comes, nothing can be said: there the end of the stream says it. */
static void part_with_server(struct sg_session *s) {
    if (sg_flow_at_boundary(&s->from_client)) {
        say_goodbye(s);
    } else {
        s->is_server_cut = true;
        if (sg_outq_is_clear(&s->to_server)) {
            close_half(s);
        }
    }
}

static void client_gone(struct sg_session *s, int error) {
    s->is_client_eof = true;
    if (s->is_client_reading) {
        s->is_client_reading = false;
        uv_read_stop(&s->client.stream);
    }
    bool is_bye = s->is_client_bye && sg_flow_at_boundary(&s->from_client);
    if (s->state == SG_SESSION_CANCEL || (s->state == SG_SESSION_RELAY && is_bye && error == UV_EOF)) {
        return; /* said goodbye and closed its half: what the server still sends is delivered */
    }
    if (s->state == SG_SESSION_FLUSH && error == UV_EOF && !sg_outq_is_clear(&s->to_client)) {
        return;
    }
    if (s->state != SG_SESSION_RELAY || !s->is_logged_in || !s->is_server_open || s->is_console) {
        sg_session_close(s);
        return;
    }
    if (!is_bye) {
        part_with_server(s);
    }
    s->state = SG_SESSION_LINGER;
    if (s->expect.len > 0 && !is_bye) {
        sg_session_cancel(s, NULL); /* until the server has gone: it would run the statement to its end */
    }
    s->is_held = false;
    close_client(s);
    read_server(s, true);
    uv_timer_start(&s->timer, sg_session_time_up, LINGER_MS, 0);
}

void sg_session_end(struct sg_session *s) {
    s->state = SG_SESSION_FLUSH;
    close_server(s);
    uv_timer_start(&s->timer, sg_session_time_up, FLUSH_MS, 0);
    if (sg_outq_is_clear(&s->to_client)) {
        end_flush(s);
    }
}

/* All is written. Closing now, with bytes of the client unread, would make the kernel send a reset that may overtake
 * our last words: close our half and wait for the client to close its own. */
static void end_flush(struct sg_session *s) {
    uv_os_fd_t fd;
    sg_session_tls_end(s);
    if (s->to_client.error != 0 || s->is_client_eof || uv_fileno(&s->client.handle, &fd) < 0) {
        sg_session_close(s);
        return;
    }
    shutdown(fd, SHUT_WR);
    uv_timer_start(&s->timer, sg_session_time_up, PART_MS, 0);
    sg_session_read_client(s, true);
}

static void server_gone(struct sg_session *s) {
    if (s->state != SG_SESSION_RELAY) {
        sg_session_close(s);
        return;
    }
    if (s->way && sg_way_go_on(s)) {
        return;
    }
    bool has_explained = s->is_server_error || s->is_client_bye || !sg_flow_at_boundary(&s->from_server);
    if (!has_explained) {
        struct sg_error err = {0};
        sg_error_set(&err, SG_SQLSTATE_CONNECTION_FAILURE, "the server at %s closed the connection unexpectedly",
                     s->host->label);
        sg_session_fatal(s, &err);
        return;
    }
    sg_session_end(s);
}

void sg_session_fatal(struct sg_session *s, const struct sg_error *err) {
    if (s->state == SG_SESSION_CLOSED || s->state == SG_SESSION_FLUSH) {
        return;
    }
    s->is_held = false;
    bool may_speak = s->state != SG_SESSION_RELAY || sg_flow_at_boundary(&s->from_server);
    if (may_speak) {
        struct sg_buf message = {0};
        sg_msg_error(&message, "FATAL", err);
        uv_buf_t buf = uv_buf_init((char *)message.data, (unsigned)message.len);
        sg_outq_write(&s->to_client, &buf, 1);
        sg_buf_free(&message);
    }
    if (s->state == SG_SESSION_RELAY && s->is_logged_in && sg_flow_at_boundary(&s->from_client)) {
        say_goodbye(s);
    }
    if (s->dial) {
        sg_dial_cancel(s->dial);
    }
    sg_session_auth_end(s);
    sg_session_end(s);
}

void sg_session_close(struct sg_session *s) {
    if (s->state == SG_SESSION_CLOSED) {
        return;
    }
    s->state = SG_SESSION_CLOSED;
    sg_trace_end(s);
    sg_session_cancel_stop(s);
    s->is_held = false;
    sg_session_auth_end(s);
    if (s->dial) {
        sg_dial_cancel(s->dial);
    }
    close_client(s);
    close_server(s);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
}

static void free_session(struct sg_session *s) {
    struct sg_expectation entry;
    while (sg_expect_pop(&s->expect, &entry)) {
        sg_session_discard(s, &entry);
    }
    sg_expect_free(&s->expect);
    sg_copy_stop(s);
    sg_portals_forget(&s->portals);
    sg_buf_free(&s->renewal_error);
    sg_plan_unref(s->probe.plan); /* of a question that failed, and whose session ended before ReadyForQuery */
    sg_facts_free(&s->facts);
    free(s->who);
    sg_statements_free(&s->statements);
    sg_flow_free(&s->from_client);
    sg_flow_free(&s->from_server);
    sg_outq_free(&s->to_client);
    sg_outq_free(&s->to_server);
    sg_tls_free(s->tls.stream);
    sg_tls_free(s->server_tls);
    sg_way_end(s);
    sg_databases_unref(s->databases);
    sg_buf_free(&s->rest);
    free(s->long_key);
    free(s->console_user);
    sg_worker_session_over(s->worker, s);
    free(s);
}

void sg_session_release(struct sg_session *s) {
    if (--s->holds == 0) {
        free_session(s);
    }
}

/* ---- Beginning ---- */

static bool open_client(struct sg_session *s, int fd) {
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    s->is_unix = getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.ss_family == AF_UNIX;
    int rc;
    if (s->is_unix) {
        uv_pipe_init(&s->worker->loop, &s->client.pipe, 0);
        rc = uv_pipe_open(&s->client.pipe, fd);
    } else {
        uv_tcp_init(&s->worker->loop, &s->client.tcp);
        rc = uv_tcp_open(&s->client.tcp, fd);
        sg_socket_options_set(&s->worker->config->sockets, &s->client.handle);
    }
    s->client.handle.data = s;
    s->is_client_open = true;
    s->holds++;
    if (rc < 0) {
        close(fd);
    }
    return rc == 0;
}

void sg_session_open(struct sg_worker *worker, int fd) {
    struct sg_session *s = calloc(1, sizeof(*s));
    if (!s) {
        abort();
    }
    s->worker = worker;
    s->state = SG_SESSION_START;
    s->id = atomic_fetch_add_explicit(&worker->shared->last_id, 1, memory_order_relaxed) + 1;
    s->next = worker->sessions;
    if (s->next) {
        s->next->prev = s;
    }
    worker->sessions = s;
    sg_expect_init(&s->expect);
    sg_statements_init(&s->statements, &worker->texts);
    uv_timer_init(&worker->loop, &s->timer);
    s->timer.data = s;
    s->holds = 1; /* the timer */
    sg_trace_begin(s, fd);
    bool is_open = open_client(s, fd);
    sg_outq_init(&s->to_client, &s->client.stream, on_client_clear);
    if (!is_open) {
        sg_session_close(s);
        return;
    }
    int login_ms = worker->config->client_login_timeout_ms;
    if (login_ms > 0) {
        uv_timer_start(&s->timer, sg_session_time_up, (uint64_t)login_ms, 0);
    }
    sg_session_read_client(s, true);
    sg_strangers_add(s);
}
