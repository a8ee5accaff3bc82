/*
 *                        nothing to hit yet
 *   sg_session_cancel ----------------------> WAITING --on_timer, it runs--> send
 *          |                                  ^  |  \
 *          |            too early, perhaps    |  |   \--nothing came: sg_session_cancel_settle, or tried enough--> end
 *          \--> send --> IN FLIGHT --on_sent--+  |                                                                 ^
 *                           |    \---------------|------settled, or the statement had been running for long--------+
 *                           |                    |
 *                           +--- sg_session_cancel_settle: nothing is left to be hit ------------------------------+
 *
 * Its target is what the client waits for when it asks: the statement at the front of the queue, or the one that we
 * hold, or whose bytes have not been read yet. The next ReadyForQuery or ErrorResponse that reaches the client settles
 * it, by the cancel or not.
 *
 * Invariants:
 *   1. No batch begins on the server while a cancel is in flight: the server closes that connection only when it has
 *      sent the signal, so what begins afterwards cannot be hit.
 *   2. While it waits to be repeated, only its target may begin.
 *   3. It is repeated only while nothing of the client but its target can be hit, and only if it may have come before
 *      the server ran the target (PostgreSQL ignores it then) or did not reach the server at all.
 *   4. A cancel that hits a message of our own is a cancel of the statement that message is for: its error is the
 *      client's (session_facts.c, session_reply.c). If it arrives between the two, it is repeated.
 */
#include "session_cancel.h"

#include "cancel.h"
#include "cancel_order.h"
#include "keys.h"
#include "session.h"
#include "session_tls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* A server that has got its statement so long ago runs it, however busy the machine is. */
#define EARLY_MS 1000
/* Waits double from the first to the last. */
#define FIRST_WAIT_MS 10
#define LAST_WAIT_MS  640
#define HELD_WAIT_MS  100
/* Two seconds in all; a cancel that takes long to get through takes this from them. */
#define TRIES_MAX 8

struct sg_session_cancel {
    struct sg_session *session; /* held */
    uv_timer_t timer;
    struct sg_cancel_order *orders; /* they wait until it has been sent once */
    uint64_t sent_ms;
    unsigned tries;
    bool is_in_flight;
    bool has_target;
    bool is_settled;
    bool is_abandoned; /* the session is over, and the server may not know yet */
    bool is_again;     /* asked for once more, with another target, while the last one is still in flight */
};

/* ---- The target ---- */

/* Has the client sent something that has not been forwarded? */
static bool is_more_coming(const struct sg_session *s) {
    uv_os_fd_t fd;
    int unread = 0;
    if (s->is_stalled || s->rest.len > 0) {
        return true;
    }
    return s->is_client_open && uv_fileno(&s->client.handle, &fd) == 0 && ioctl(fd, FIONREAD, &unread) == 0 &&
           unread > 0;
}

/* The server may have been reading, not running, when the signal came. */
static bool may_be_early(const struct sg_session_cancel *c) {
    const struct sg_session *s = c->session;
    return s->state == SG_SESSION_LINGER || s->expect.len == 0 || c->sent_ms < s->since_ms + EARLY_MS;
}

bool sg_session_cancel_holds(const struct sg_session *s) {
    const struct sg_session_cancel *c = s->cancel;
    if (!c) {
        return false;
    }
    return c->is_in_flight ? s->is_batch_start || s->expect.len == 0 : s->is_batch_start && s->expect.len > 0;
}

/* ---- Ends ---- */

static void on_timer_closed(uv_handle_t *handle) {
    struct sg_session_cancel *c = handle->data;
    sg_session_release(c->session);
    free(c);
}

static void end(struct sg_session_cancel *c) {
    sg_cancel_order_done(c->orders);
    c->session->cancel = NULL;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

void sg_session_cancel_settle(struct sg_session *s) {
    struct sg_session_cancel *c = s->cancel;
    c->is_settled = true;
    if (!c->is_in_flight) {
        end(c);
    }
}

void sg_session_cancel_stop(struct sg_session *s) {
    if (s->cancel && s->cancel->is_in_flight) {
        /* Where it is we who have left the server, it may still run the statement. */
        s->cancel->is_abandoned = !s->is_server_open && !s->cancel->is_settled;
    } else if (s->cancel) {
        end(s->cancel);
    }
}

void sg_session_cancel_busy(struct sg_session *s) {
    if (s->state == SG_SESSION_RELAY && s->is_logged_in && s->expect.len > 0) {
        sg_session_cancel(s, NULL);
    }
}

/* ---- Sending ---- */

static void wait_longer(struct sg_session_cancel *c);

static bool is_moot(void *arg) {
    const struct sg_session_cancel *c = arg;
    return (c->is_settled && c->has_target) || (c->session->state == SG_SESSION_CLOSED && !c->is_abandoned);
}

static void on_sent(void *arg, bool is_sent) {
    struct sg_session_cancel *c = arg;
    struct sg_session *s = c->session;
    c->is_in_flight = false;
    if (is_sent) {
        sg_cancel_order_done(c->orders);
        c->orders = NULL;
    }
    if (s->state == SG_SESSION_CLOSED) {
        end(c);
        return;
    }
    if (c->is_again) {
        c->is_again = c->is_settled = false;
        c->tries = 0;
        wait_longer(c);
    } else if (c->is_settled || (is_sent && !may_be_early(c))) {
        end(c);
    } else {
        wait_longer(c);
    }
    sg_session_unstall(s);
}

static void put_request(struct sg_buf *packet, const struct sg_session *s) {
    sg_msg_begin(packet, 0);
    sg_buf_put_u32(packet, 80877102u); /* CancelRequest */
    sg_buf_put_u32(packet, s->key_pid);
    sg_buf_put(packet, sg_session_key(s), s->key_bytes);
    sg_msg_end(packet);
}

static void send_it(struct sg_session_cancel *c) {
    struct sg_buf packet = {0};
    put_request(&packet, c->session);
    c->is_in_flight = true;
    c->sent_ms = uv_now(&c->session->worker->loop);
    sg_cancel_start(c->session->worker, c->session, (struct sg_span){(char *)packet.data, packet.len},
                    &(struct sg_cancel_owner){.is_moot = is_moot, .on_done = on_sent, .arg = c});
    sg_buf_free(&packet);
}

static void on_timer(uv_timer_t *timer) {
    struct sg_session_cancel *c = timer->data;
    struct sg_session *s = c->session;
    if (s->expect.len > 0) {
        send_it(c);
    } else if (is_more_coming(s)) {
        wait_longer(c);
    } else {
        end(c); /* what had come was nothing that runs: a farewell, half a message */
    }
}

static void wait_longer(struct sg_session_cancel *c) {
    const struct sg_session *s = c->session;
    unsigned wait_ms = c->tries < 6 ? (unsigned)FIRST_WAIT_MS << c->tries : LAST_WAIT_MS;
    if (s->is_held) { /* by a pause: it is tried as often as any other when that is over */
        uv_timer_start(&c->timer, on_timer, HELD_WAIT_MS, 0);
    } else if (c->tries++ < TRIES_MAX || s->state == SG_SESSION_LINGER) {
        uv_timer_start(&c->timer, on_timer, wait_ms, 0);
    } else {
        end(c);
    }
}

static struct sg_session_cancel *begin(struct sg_session *s) {
    struct sg_session_cancel *c = calloc(1, sizeof(*c));
    if (!c) {
        abort();
    }
    c->session = s;
    s->cancel = c;
    s->holds++;
    uv_timer_init(&s->worker->loop, &c->timer);
    c->timer.data = c;
    return c;
}

void sg_session_cancel(struct sg_session *s, struct sg_cancel_order *order) {
    if (!s->has_key || !s->is_server_open) {
        sg_cancel_order_done(order);
        return;
    }
    struct sg_session_cancel *c = s->cancel ? s->cancel : begin(s);
    if (order && s->is_held) {
        sg_cancel_order_done(order); /* a pause may be long; the statement is cancelled as soon as it begins */
    } else if (order) {
        order->next = c->orders;
        c->orders = order;
    }
    bool has_target = s->expect.len > 0 || is_more_coming(s);
    if (c->is_in_flight) {
        c->is_again = c->is_again || (c->is_settled && has_target);
        return;
    }
    uv_timer_stop(&c->timer);
    c->tries = 0;
    c->has_target = has_target;
    c->is_settled = !has_target; /* sent all the same: who knows what runs is the server */
    if (has_target && s->expect.len == 0) {
        wait_longer(c);
    } else {
        send_it(c);
    }
}

/* ---- From the worker that was asked to the session's ---- */

bool sg_session_cancel_pass_on(struct sg_session *s, const struct sg_startup *startup) {
    struct sg_worker *owner = sg_keys_worker(&s->worker->shared->keys, startup->cancel_pid, startup->cancel_key);
    uv_os_fd_t ours;
    int fd = owner && uv_fileno(&s->client.handle, &ours) == 0 ? fcntl(ours, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0) {
        return false;
    }
    struct sg_cancel_order *order =
        sg_cancel_order_new(fd, sg_session_tls_detach(s), startup->cancel_pid, startup->cancel_key);
    sg_session_close(s); /* takes ours out of the loop */
    sg_worker_order(owner, order);
    return true;
}
