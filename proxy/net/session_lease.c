/*
 *                      lease holds                      lease over
 *      statement  -->  epoch known? --yes--> send       wait ----granted again----> (as on the left)
 *                        |                                |
 *                        no: it began before a time       lease_ms later
 *                        of which nothing is known        v
 *                        v                               refused (57P03), and all that follow at once, until it is back
 *                      refused (40001)
 *
 * Invariants:
 *   1. The clock is read when a message is looked at and again before its bytes are written: between the two the
 * process may have been stopped, and a plan may have taken its time. What passed the first and not the second ends the
 *      session; nothing of it has been sent.
 *   2. Whatever may read or write rows waits or is refused: without the lease, segue does not know which tables are
 *      mapped, so no table is free of suspicion.
 *   3. What ends a transaction goes through: what the transaction did, it did in time, and holds locks that barriers
 * wait for. COPY data, too: the statement that takes them has begun. Sync, Flush, Close and Terminate touch no rows.
 *   4. A transaction begun under an epoch that the lease no longer vouches for is not gone on with. It can be ended.
 *   5. A refusal is an error in the statement's place (session_rewrite.c): the server fails the transaction as it would
 *      for any other, and the client may begin another.
 */
#include "session_lease.h"

#include "session_rewrite.h"

#include <string.h>
#include <strings.h>

#define LOOK_MS 100

/* ---- Waiting ---- */

static void on_look(uv_timer_t *timer) {
    sg_lease_look(timer->data);
}

void sg_lease_start(struct sg_worker *w) {
    uv_timer_init(&w->loop, &w->lease_timer);
    w->lease_timer.data = w;
}

static void wait(struct sg_session *s) {
    struct sg_worker *w = s->worker;
    if (s->lease.is_waiting) {
        return;
    }
    s->lease.is_waiting = true;
    s->lease.since_ms = sg_hub_clock_ms();
    if (w->lease_waiting++ == 0) {
        uv_timer_start(&w->lease_timer, on_look, LOOK_MS, LOOK_MS);
    }
}

void sg_lease_forget(struct sg_session *s) {
    struct sg_worker *w = s->worker;
    if (s->lease.is_waiting) {
        s->lease.is_waiting = false;
        if (--w->lease_waiting == 0) {
            uv_timer_stop(&w->lease_timer);
        }
    }
}

void sg_lease_look(struct sg_worker *w) {
    for (struct sg_session *s = w->sessions, *next; s && w->lease_waiting > 0; s = next) {
        next = s->next;
        if (s->lease.is_waiting) {
            sg_session_unstall(s);
        }
    }
}

/* ---- The gate ---- */

static bool is_gated(uint8_t type) {
    return memchr("QPBDEF", type, 6) != NULL;
}

/* A Query that is nothing but the end of a transaction. */
static bool ends_transaction(const struct sg_message *m) {
    static const char *const words[] = {"commit", "end", "rollback", "abort"};
    struct sg_query query;
    if (m->type != 'Q' || m->have < m->body_bytes || sg_query_read(m->body, m->have, &query) != SG_READ_OK) {
        return false;
    }
    const char *at = query.sql.ptr, *stop = at + query.sql.len;
    while (at < stop && (*at == ' ' || *at == '\n')) {
        at++;
    }
    const char *semicolon = memchr(at, ';', (size_t)(stop - at));
    for (const char *c = semicolon ? semicolon + 1 : stop; c < stop; c++) {
        if (*c != ' ' && *c != '\n') {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(stop - at) >= len && strncasecmp(at, words[i], len) == 0 &&
            (at + len == stop || strchr(" \n;", at[len]))) {
            return true;
        }
    }
    return false;
}

static void say_out_of_touch(struct sg_session *s, struct sg_error *err) {
    *err = (struct sg_error){0};
    sg_error_set(err, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue has lost touch with the control database");
    sg_error_detail(err,
                    "The mappings may have changed since, and no statement is sent by those of before. It was waited "
                    "for them for %d ms.",
                    s->worker->config->lease_ms);
    sg_error_hint(err, "The control connection comes back by itself when its server can be reached. Try again.");
}

static void say_overtaken(struct sg_error *err) {
    *err = (struct sg_error){0};
    sg_error_set(err, SG_SQLSTATE_SERIALIZATION_FAILURE, "a migration has moved on since this transaction began");
    sg_error_detail(err,
                    "segue had lost touch with the control database for a while, and the others did not wait for it.");
    sg_error_hint(err, "Repeat the transaction.");
}

static enum sg_gate out_of_touch(struct sg_session *s, struct sg_error *ret_err) {
    bool is_up = s->lease.is_waiting && sg_hub_clock_ms() - s->lease.since_ms >= s->worker->config->lease_ms;
    if (!s->lease.is_refusing && !is_up) {
        wait(s);
        return SG_GATE_WAIT;
    }
    sg_lease_forget(s);
    s->lease.is_refusing = true;
    say_out_of_touch(s, ret_err);
    return SG_GATE_REFUSED;
}

enum sg_gate sg_lease_gate(struct sg_session *s, const struct sg_message *m, struct sg_error *ret_err) {
    struct sg_worker *w = s->worker;
    uint64_t min_epoch;
    if (!is_gated(m->type)) {
        return SG_GATE_OPEN;
    }
    if (!sg_hub_is_granted(w->config->hub, &min_epoch)) {
        return ends_transaction(m) ? SG_GATE_OPEN : out_of_touch(s, ret_err);
    }
    sg_lease_forget(s);
    s->lease.is_refusing = false;
    if (!s->pin && w->installed->epoch < min_epoch) {
        sg_worker_install(w); /* it was published before the lease was granted */
    }
    const struct sg_installed *in_force = s->pin ? s->pin : w->installed;
    if (in_force->epoch < min_epoch && !ends_transaction(m)) {
        say_overtaken(ret_err);
        return SG_GATE_REFUSED;
    }
    s->lease.is_passing = true;
    return SG_GATE_OPEN;
}

bool sg_lease_may_send(void *owner) {
    struct sg_session *s = owner;
    uint64_t min_epoch;
    bool is_passing = s->lease.is_passing;
    s->lease.is_passing = false;
    return !is_passing || sg_hub_is_granted(s->worker->config->hub, &min_epoch);
}

void sg_lease_end(struct sg_session *s) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_CONNECTION_FAILURE, "segue has lost touch with the control database");
    sg_error_detail(&err, "The lease ran out while a statement was on its way: it was not sent.");
    sg_error_hint(&err, "Connect again.");
    sg_session_fatal(s, &err);
}
