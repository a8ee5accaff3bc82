/*
 * worker — one thread with one loop: a share of the sessions, and what they use together (read buffer, rewriter,
 * interned texts, the installed snapshot).
 *
 * Everything in struct sg_worker belongs to the worker's thread, the fields marked "any thread" excepted.
 */
#ifndef SEGUE_NET_WORKER_H
#define SEGUE_NET_WORKER_H

#include "dial.h"
#include "flow.h"
#include "histogram.h"
#include "hub_seat.h"
#include "journal.h"
#include "keys.h"
#include "proxy/memory.h"
#include "server.h"
#include "side.h"
#include "statements.h"
#include "strangers.h"
#include "tally.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define SG_READ_BYTES 65536
/* What one read may decrypt to: it can complete a record that came before, and what came with the handshake. Nothing
 * is left undecrypted for want of room. */
#define SG_PLAIN_BYTES (SG_READ_BYTES + 17000 + 4096)

struct sg_cancel;
struct sg_cancel_order;
struct sg_pauses;
struct sg_lookups;
struct sg_session;
struct sg_survey;

/* A snapshot in use by this worker. Sessions pin it by a plain count; the snapshot's own count is taken once. */
struct sg_installed {
    struct sg_snapshot *snapshot;
    uint64_t epoch;
    size_t mappings;
    unsigned refs; /* sessions pinned, plus one while it is the worker's current one */
};

#define SG_COUNTERS(X) \
    X(logins)          \
    X(refused_logins)  \
    X(cancels)         \
    X(client_bytes)    \
    X(server_bytes)    \
    X(transactions)    \
    X(statements)      \
    X(rewritten)       \
    X(refused)         \
    X(reprepared)      \
    X(probes)

/* Of the rewriter, which knows no other threads: copied after each plan. */
#define SG_PLAN_COUNTERS(X) \
    X(prefilter_pass)       \
    X(cache_hit)            \
    X(shape_hit)            \
    X(cold)                 \
    X(evicted)              \
    X(cache_plans)          \
    X(cache_bytes)

/* Written by the worker, read by any thread. */
struct sg_counters {
#define X(name) _Atomic uint64_t name;
    SG_COUNTERS(X)
    SG_PLAN_COUNTERS(X)
#undef X
};

/* Of the one writer: no locked instruction. */
static inline void sg_count(_Atomic uint64_t *counter, uint64_t n) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* What all workers share and only read, the session count excepted. */
struct sg_shared {
    struct sg_keys keys;
    _Atomic uint64_t sessions;  /* logged in or logging in */
    _Atomic uint64_t last_id;   /* of a session */
    _Atomic int64_t pausing;    /* pause.h, inv. 3 */
    struct sg_limits *limits;   /* logged in, by user and database */
    struct sg_lookups *lookups; /* threads that run auth_query */
};

struct sg_worker {
    struct sg_shared *shared;
    int number; /* from 0 */
    /* In force. Read where it is needed, and not kept beyond a callback: a reload puts another in its place. */
    const struct sg_server_config *config;
    _Atomic(const struct sg_server_config *) next_config; /* any thread: a mailbox, holds a reference or NULL */
    uv_loop_t loop;
    uv_async_t wake;
    uv_thread_t thread;

    pthread_mutex_t inbox_lock; /* any thread: fds to serve, and orders */
    int *inbox;
    size_t inbox_len, inbox_cap;
    struct sg_order *orders, **last_order;
    _Atomic int drain;              /* any thread: enum sg_drain */
    atomic_bool is_stopping;        /* any thread */
    atomic_bool is_short;           /* any thread: descriptors have run out */
    _Atomic uint64_t open_sessions; /* any thread: every client socket, login or not */
    struct sg_crowd crowd;          /* of those */
    void (*on_empty)(void *arg);    /* called from the worker when it drains and its last session ends */
    void *on_empty_arg;

    struct sg_hub *hub; /* any thread: it stays, whatever becomes of the configuration */
    struct sg_hub_seat *seat;
    struct sg_installed *installed; /* NULL: no snapshot yet */
    uint64_t reported_epoch;
    struct sg_session *oldest_pin, *newest_pin; /* in the order of pinning, so in the order of epochs */
    struct sg_rewriter *rewriter;

    struct sg_session *sessions;
    struct sg_strangers strangers; /* of those */
    struct sg_pauses *pauses;      /* NULL: none */
    struct sg_side *free_sides;
    struct sg_texts texts;
    struct sg_flow_desk desk;
    struct sg_buf message; /* under construction */
    struct sg_buf facts;   /* likewise, of a request */
    struct sg_buf copied;  /* likewise, of CopyData; empty between two chunks */
    struct sg_buf records; /* of TLS, on their way to a socket; empty between two callbacks */
    struct sg_counters counters;
    struct sg_histogram waits;                       /* of every session, in ms of the loop's clock */
    struct sg_histogram phase_waits[SG_WAIT_PHASES]; /* on the control database, in us */
    struct sg_tallies tallies;
    uv_timer_t stats_period;
    struct sg_journal journal;
    _Atomic(struct sg_survey *) survey; /* any thread: a mailbox, see survey.h */
    uv_timer_t lease_timer;             /* session_lease.c: running while any session waits */
    unsigned lease_waiting;
    struct sg_cancel *cancels; /* under way */
    uv_timer_t deadlines;      /* running while there are any */
    uint8_t read_buf[SG_READ_BYTES];
    uint8_t plain_buf[SG_PLAIN_BYTES];
};

struct sg_worker *sg_worker_start(struct sg_shared *shared, int number, const struct sg_server_config *config,
                                  void (*on_empty)(void *arg), void *arg);
/* Any thread. Takes a reference. */
void sg_worker_configure(struct sg_worker *worker, const struct sg_server_config *config);
/* Any thread. The worker owns fd from now on. */
void sg_worker_serve(struct sg_worker *worker, int fd);
/* Any thread. For a session of this worker, if it is still there; the order is taken over. */
void sg_worker_order(struct sg_worker *worker, struct sg_cancel_order *order);
/* Any thread. Clients cannot be accepted for want of descriptors. */
void sg_worker_make_room(struct sg_worker *worker);
void sg_worker_drain(struct sg_worker *worker, enum sg_drain how);
/* Any thread. carry_out is called once, on the worker's thread, in the order of posting; after the thread has ended, by
 * sg_worker_free: then there are no sessions any more. */
void sg_worker_post(struct sg_worker *worker, void (*carry_out)(struct sg_worker *worker, void *arg), void *arg);
/* Ends all sessions, joins the thread. The worker's report to the hub stands until sg_worker_free. */
void sg_worker_stop(struct sg_worker *worker);
void sg_worker_free(struct sg_worker *worker);

/* ---- For sessions, on the worker's thread ---- */

static inline bool sg_worker_is_draining(const struct sg_worker *worker) {
    return atomic_load_explicit(&worker->drain, memory_order_relaxed) == SG_DRAIN_TRANSACTIONS;
}

/* After a statement has been planned. */
void sg_worker_count_plans(struct sg_worker *worker);
/* A reference to what clients may encrypt with now; NULL: nothing. */
struct sg_tls_context *sg_worker_tls(const struct sg_worker *worker);
/* Takes a newer snapshot out of the mailbox, if there is one. */
void sg_worker_install(struct sg_worker *worker);
/* A transaction of the session begins: it sees the installed snapshot until unpinned. */
void sg_worker_pin(struct sg_worker *worker, struct sg_session *session);
void sg_worker_unpin(struct sg_worker *worker, struct sg_session *session);
struct sg_side *sg_worker_side(struct sg_worker *worker);
/* Gives back what the side owns, and the side. */
void sg_worker_side_free(struct sg_worker *worker, struct sg_side *side);
void sg_worker_alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf);
/* Called by each session when its memory is about to go. */
void sg_worker_session_over(struct sg_worker *worker, struct sg_session *session);

#endif
