/*
 *      start --> next_host --unix, address---------> next_address --connect--> on_connect --ok--> finish(0)
 *                  ^ | ^ \---name--> on_lookup --addresses-->  ^ |                  |
 *                  | | |                 |                     | |               failed, or out of time: close the
 * stream | | +-----------------+---- none left ------|-+                  v | |     no such name +------------
 * on_attempt_closed | no host left | v on_pause_over <-- pause (hope and time left) -- round_over --> finish(error)
 *
 * Encrypted, there is a leg between on_connect and finish (PostgreSQL docs, 55.2.10):
 *
 *      on_connect --SSLRequest--> on_input --'S'--> shake <--> on_input ... --> finish(0)
 *                                     \--'N': finish(0) in the clear, or the dial fails, by the mode
 *
 * Invariants:
 *   1. One timer, and one thing it is for: the attempt in hand, or the pause.
 *   2. What is closing, looked up or connecting when the dial is given up ends first; the same callbacks lead to
 * finish.
 *   3. As in libpq, an address that cannot be reached or has no time for us leads to the next; what is wrong with the
 *      encryption or the login there is wrong with the set-up, and ends the dial.
 */
#include "dial.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- Routes ---- */

static uint64_t now_ms(void) {
    return uv_hrtime() / 1000000;
}

static unsigned random_below(unsigned n) {
    uint32_t value = 0;
    if (getrandom(&value, sizeof(value), 0) != sizeof(value)) {
        value = (uint32_t)uv_hrtime();
    }
    return value % n; /* balance, not secrets: that n does not divide 2^32 is nothing */
}

static void shuffle(uint8_t *order, size_t len) {
    for (size_t i = len; i > 1; i--) {
        size_t j = random_below((unsigned)i);
        uint8_t moved = order[i - 1];
        order[i - 1] = order[j];
        order[j] = moved;
    }
}

/* 0: fits as far as is known; 2: does not; 1: who knows. */
static int doubt(const struct sg_host *host, enum sg_wanted target) {
    enum sg_role role = sg_host_role(host);
    return sg_role_fits(role, target) ? 0 : role == SG_ROLE_UNKNOWN ? 1 : 2;
}

/* What is known of the hosts decides the order, never whether they are tried. */
static void begin_round(struct sg_route *route) {
    const struct sg_upstream *up = route->upstream;
    uint8_t plain[SG_HOSTS_MAX];
    size_t len = 0;
    unsigned turn = up->balance == SG_BALANCE_ROUND_ROBIN
                        ? atomic_fetch_add_explicit(&((struct sg_upstream *)up)->turn, 1, memory_order_relaxed)
                        : 0;
    for (size_t i = 0; i < up->len; i++) {
        plain[i] = (uint8_t)((i + turn) % up->len);
    }
    if (up->balance == SG_BALANCE_RANDOM) {
        shuffle(plain, up->len);
    }
    for (int wanted = 0; wanted <= 2; wanted++) {
        for (size_t i = 0; i < up->len; i++) {
            if (doubt(&up->hosts[plain[i]], up->target) == wanted) {
                route->order[len++] = plain[i];
            }
        }
    }
    route->len = (uint8_t)len;
    route->at = 0;
    route->has_hope = false;
}

void sg_route_to(struct sg_route *route, const struct sg_upstream *upstream, size_t host, unsigned wait_ms) {
    *route = (struct sg_route){.upstream = upstream, .len = 1, .is_last_resort = true, .status = UV_EADDRNOTAVAIL};
    route->order[0] = (uint8_t)host;
    route->until_ms = wait_ms > 0 ? now_ms() + wait_ms : UINT64_MAX;
}

void sg_route_begin(struct sg_route *route, const struct sg_upstream *upstream, unsigned wait_ms, unsigned pause_ms) {
    *route = (struct sg_route){.upstream = upstream, .pause_ms = pause_ms, .status = UV_EADDRNOTAVAIL};
    route->until_ms = wait_ms > 0 ? now_ms() + wait_ms : UINT64_MAX;
    begin_round(route);
}

void sg_route_reject(struct sg_route *route, const char *label, const struct sg_error *why, bool may_pass) {
    route->status = UV_ECONNREFUSED;
    route->error = *why;
    route->failed_label = label;
    route->has_hope = route->has_hope || may_pass;
}

static uint64_t left_ms(const struct sg_route *route) {
    uint64_t now = now_ms();
    return route->until_ms > now ? route->until_ms - now : 0;
}

/* What a server does that is down for a moment, or a network; and clients that are silent make room (strangers.h). */
static bool may_pass(int status) {
    static const int passing[] = {UV_ECONNREFUSED, UV_ENOENT,    UV_ECONNRESET, UV_EHOSTUNREACH,
                                  UV_ENETUNREACH,  UV_ETIMEDOUT, UV_EAI_AGAIN,  UV_EOF,
                                  UV_EAGAIN,       UV_EMFILE,    UV_ENFILE};
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (status == passing[i]) {
            return true;
        }
    }
    return false;
}

/* ---- Ends ---- */

static void on_timer_closed(uv_handle_t *handle) {
    struct sg_dial *dial = handle->data;
    dial->on_done(dial, dial->status);
}

static void forget_addresses(struct sg_dial *dial) {
    if (dial->addresses) {
        freeaddrinfo(dial->addresses);
    }
    dial->addresses = dial->next = NULL;
    dial->addresses_left = 0;
}

static void drop_encryption(struct sg_dial *dial) {
    sg_tls_free(dial->tls);
    dial->tls = NULL;
    sg_outq_free(&dial->out);
    dial->out = (struct sg_outq){0};
    dial->is_shaken = false;
}

static void finish(struct sg_dial *dial, int status) {
    dial->status = status;
    forget_addresses(dial);
    if (status < 0) {
        drop_encryption(dial);
    } else {
        sg_outq_free(&dial->out);
    }
    sg_tls_context_unref(dial->context);
    uv_close((uv_handle_t *)&dial->timer, on_timer_closed);
}

static void next_address(struct sg_dial *dial);
static void next_host(struct sg_dial *dial);

static void on_attempt_closed(uv_handle_t *handle) {
    struct sg_dial *dial = handle->data;
    drop_encryption(dial);
    next_address(dial);
}

static void close_attempt(struct sg_dial *dial) {
    if (!uv_is_closing(&dial->stream->handle)) {
        uv_close(&dial->stream->handle, on_attempt_closed);
    }
}

/* ---- Encryption ---- */

static void fail_encryption(struct sg_dial *dial, const char *message) {
    if (message) {
        sg_error_set(&dial->error, SG_SQLSTATE_CANNOT_CONNECT, "%s", message);
    }
    dial->status = UV_EPROTO;
    dial->is_final = true;
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
        dial->tls = dial->out.tls = sg_tls_new(dial->context, dial->host->name);
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
        sg_error_set(&dial->error, SG_SQLSTATE_CANNOT_CONNECT,
                     "the server closed the connection while encryption was agreed on");
        dial->status = (int)nread; /* as one that goes down does: there may be another */
        close_attempt(dial);
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
        dial->status = dial->out.error ? dial->out.error : UV_ECONNRESET;
        close_attempt(dial);
    }
}

/* ---- One address ---- */

static void on_attempt_timeout(uv_timer_t *timer) {
    struct sg_dial *dial = timer->data;
    dial->status = UV_ETIMEDOUT;
    if (dial->is_looking_up) {
        uv_cancel((uv_req_t *)&dial->lookup);
    } else {
        close_attempt(dial);
    }
}

/* The addresses that are left share the time that is left, unless the operator has said what each may have. */
static void start_timer(struct sg_dial *dial) {
    const struct sg_route *route = dial->route;
    if (!route) {
        return; /* whoever dials one address has a timer of his own */
    }
    uint64_t left = left_ms(route), share;
    if (route->upstream->connect_timeout_ms > 0) {
        share = route->upstream->connect_timeout_ms < left ? route->upstream->connect_timeout_ms : left;
    } else if (route->until_ms != UINT64_MAX) {
        size_t others = (size_t)(route->len - route->at) + (dial->addresses_left > 0 ? dial->addresses_left - 1 : 0);
        share = left / (others + 1);
    } else {
        uv_timer_stop(&dial->timer);
        return;
    }
    uv_timer_start(&dial->timer, on_attempt_timeout, share + 1, 0);
}

static void on_connect(uv_connect_t *req, int status) {
    struct sg_dial *dial = req->data;
    dial->is_connecting = false;
    if (uv_is_closing(&dial->stream->handle)) {
        return; /* given up, or out of time */
    }
    if (status < 0) {
        dial->status = status;
        close_attempt(dial);
    } else if (dial->context && !dial->host->is_unix) {
        ask_for_encryption(dial);
    } else {
        finish(dial, 0);
    }
}

static void connect_unix(struct sg_dial *dial) {
    uv_pipe_init(dial->loop, &dial->stream->pipe, 0);
    dial->stream->handle.data = dial;
    dial->is_connecting = true;
    start_timer(dial);
    uv_pipe_connect(&dial->connect, &dial->stream->pipe, dial->host->label, on_connect);
}

static void connect_tcp(struct sg_dial *dial, const struct sockaddr *address) {
    uv_tcp_init(dial->loop, &dial->stream->tcp);
    dial->stream->handle.data = dial;
    start_timer(dial);
    int rc = uv_tcp_connect(&dial->connect, &dial->stream->tcp, address, on_connect);
    if (rc < 0) {
        dial->status = rc;
        close_attempt(dial);
        return;
    }
    dial->is_connecting = true;
    uv_tcp_nodelay(&dial->stream->tcp, 1); /* for the handshake */
}

/* ---- One host ---- */

/* This host, or this address of it, is through, with dial->status. */
static void note_failure(struct sg_dial *dial) {
    struct sg_route *route = dial->route;
    if (route && dial->status < 0) {
        route->status = dial->status;
        route->error = dial->error;
        route->failed_label = dial->host->label;
        route->has_hope = route->has_hope || may_pass(dial->status);
    }
    if (route && route->on_exhausted && (dial->status == UV_EMFILE || dial->status == UV_ENFILE)) {
        route->on_exhausted(route->on_exhausted_arg);
    }
}

static void next_address(struct sg_dial *dial) {
    note_failure(dial);
    if (dial->is_given_up || dial->is_final || !dial->route) {
        finish(dial, dial->status ? dial->status : UV_EADDRNOTAVAIL);
    } else if (dial->next) {
        struct addrinfo *address = dial->next;
        dial->next = address->ai_next;
        connect_tcp(dial, address->ai_addr);
        dial->addresses_left--;
    } else {
        forget_addresses(dial);
        next_host(dial);
    }
}

static size_t length_of(const struct addrinfo *list) {
    size_t n = 0;
    for (; list; list = list->ai_next) {
        n++;
    }
    return n;
}

/* The chain is freed as a whole: what changes places is where the links point to, not the links. */
static void shuffle_addresses(struct addrinfo *list, size_t n) {
    for (struct addrinfo *a = list; n > 1; a = a->ai_next, n--) {
        struct addrinfo *b = a;
        for (unsigned skip = random_below((unsigned)n); skip > 0; skip--) {
            b = b->ai_next;
        }
        struct sockaddr *address = a->ai_addr;
        a->ai_addr = b->ai_addr;
        b->ai_addr = address;
    }
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *addresses) {
    struct sg_dial *dial = req->data;
    dial->is_looking_up = false;
    dial->addresses = dial->next = addresses;
    dial->addresses_left = length_of(addresses);
    if (status < 0 || dial->is_given_up) {
        dial->status = dial->status ? dial->status : status; /* out of time comes before cancelled */
        dial->next = NULL;
    } else if (dial->route->upstream->balance == SG_BALANCE_RANDOM) {
        shuffle_addresses(addresses, dial->addresses_left);
    }
    next_address(dial);
}

static void look_up(struct sg_dial *dial) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    start_timer(dial);
    int rc = uv_getaddrinfo(dial->loop, &dial->lookup, on_lookup, dial->host->address, dial->host->port, &hints);
    dial->is_looking_up = rc == 0;
    if (rc < 0) {
        dial->status = rc;
        dial->is_final = true;
        next_address(dial);
    }
}

/* ---- All hosts ---- */

static void on_pause_over(uv_timer_t *timer) {
    struct sg_dial *dial = timer->data;
    dial->is_pausing = false;
    dial->route->is_last_resort = false;
    begin_round(dial->route);
    next_host(dial);
}

/* A little apart from each other, so that a crowd that waits for one server does not come as one. */
static void round_over(struct sg_dial *dial) {
    struct sg_route *route = dial->route;
    uint64_t pause = route->pause_ms ? route->pause_ms / 2 + random_below(route->pause_ms + 1) : 0;
    if (route->upstream->target == SG_WANTED_PREFER_STANDBY && !route->is_last_resort) {
        route->is_last_resort = true;
        begin_round(route);
        next_host(dial);
    } else if (pause > 0 && route->has_hope && left_ms(route) > pause) {
        dial->is_pausing = true;
        uv_timer_start(&dial->timer, on_pause_over, pause, 0);
    } else {
        dial->error = route->error;
        finish(dial, route->status);
    }
}

static void next_host(struct sg_dial *dial) {
    struct sg_route *route = dial->route;
    dial->status = 0;
    dial->error = (struct sg_error){0};
    if (route->at == route->len) {
        uv_timer_stop(&dial->timer);
        round_over(dial);
        return;
    }
    dial->host = &route->upstream->hosts[route->order[route->at++]];
    struct sockaddr_storage address;
    int port = atoi(dial->host->port);
    if (dial->host->is_unix) {
        connect_unix(dial);
    } else if (uv_ip4_addr(dial->host->address, port, (struct sockaddr_in *)&address) == 0 ||
               uv_ip6_addr(dial->host->address, port, (struct sockaddr_in6 *)&address) == 0) {
        connect_tcp(dial, (struct sockaddr *)&address);
    } else {
        look_up(dial);
    }
}

/* ---- Beginning, and giving up ---- */

static void begin(struct sg_dial *dial, uv_loop_t *loop, struct sg_tls_context *context, union sg_stream *stream,
                  void (*on_done)(struct sg_dial *dial, int status)) {
    *dial = (struct sg_dial){.loop = loop, .context = context, .stream = stream, .on_done = on_done};
    dial->lookup.data = dial->connect.data = dial->timer.data = dial;
    uv_timer_init(loop, &dial->timer);
    dial->timer.data = dial;
}

void sg_dial_start(struct sg_dial *dial, uv_loop_t *loop, struct sg_route *route, struct sg_tls_context *context,
                   union sg_stream *stream, void (*on_done)(struct sg_dial *dial, int status)) {
    begin(dial, loop, context, stream, on_done);
    dial->route = route;
    next_host(dial);
}

void sg_dial_again(struct sg_dial *dial, uv_loop_t *loop, const struct sg_host *host, const struct sockaddr *address,
                   struct sg_tls_context *context, union sg_stream *stream,
                   void (*on_done)(struct sg_dial *dial, int status)) {
    begin(dial, loop, context, stream, on_done);
    dial->host = host;
    if (host->is_unix) {
        connect_unix(dial);
    } else {
        connect_tcp(dial, address);
    }
}

void sg_dial_cancel(struct sg_dial *dial) {
    if (dial->is_given_up || uv_is_closing((uv_handle_t *)&dial->timer)) {
        return; /* decided already; on_done is on its way */
    }
    dial->is_given_up = true;
    dial->status = UV_ECANCELED;
    if (dial->is_looking_up) {
        uv_cancel((uv_req_t *)&dial->lookup);
    } else if (dial->is_pausing) {
        finish(dial, UV_ECANCELED);
    } else {
        close_attempt(dial);
    }
}
