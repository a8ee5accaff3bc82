/*
 * Invariants:
 *   1. A worker's report is never newer than an epoch it may still serve: it reports a higher number only after the
 *      older snapshot can no longer be pinned.
 *   2. A mailbox holds one reference or NULL, and changes only by atomic exchange: whoever gets the pointer out owns
 * it.
 *   3. The end of the lease is read before the least epoch, and written after it: whoever sees a lease that holds sees
 * an epoch that goes with it, or a higher one.
 *   4. The lock orders control-side calls among themselves; the worker's side (take, report, latency) never takes it.
 */
#include "hub_seat.h"

#include "latency.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

struct sg_hub_seat {
    struct sg_hub_seat *next;
    void (*wake)(void *arg);
    void *wake_arg;
    _Atomic(struct sg_snapshot *) mailbox;
    _Atomic uint64_t oldest_epoch;
    struct sg_latency latency;
};

struct sg_hub {
    char *database;
    atomic_bool is_ready;
    _Atomic uint64_t min_epoch;
    _Atomic int64_t granted_until_ms; /* 0: never yet */
    pthread_mutex_t lock;             /* seats, latest */
    struct sg_hub_seat *seats;
    struct sg_snapshot *latest;
};

struct sg_hub *sg_hub_new(const char *database) {
    struct sg_hub *hub = calloc(1, sizeof(*hub));
    if (!hub || (database && !(hub->database = strdup(database)))) {
        abort();
    }
    pthread_mutex_init(&hub->lock, NULL);
    return hub;
}

void sg_hub_free(struct sg_hub *hub) {
    if (!hub) {
        return;
    }
    while (hub->seats) {
        sg_hub_detach(hub, hub->seats);
    }
    if (hub->latest) {
        sg_snapshot_unref(hub->latest);
    }
    pthread_mutex_destroy(&hub->lock);
    free(hub->database);
    free(hub);
}

static void put_in_mailbox(struct sg_hub_seat *seat, struct sg_snapshot *snapshot) {
    struct sg_snapshot *unread = atomic_exchange(&seat->mailbox, sg_snapshot_ref(snapshot));
    if (unread) {
        sg_snapshot_unref(unread);
    }
}

void sg_hub_publish(struct sg_hub *hub, struct sg_snapshot *snapshot) {
    pthread_mutex_lock(&hub->lock);
    struct sg_snapshot *before = hub->latest;
    hub->latest = sg_snapshot_ref(snapshot);
    for (struct sg_hub_seat *seat = hub->seats; seat; seat = seat->next) {
        put_in_mailbox(seat, snapshot);
        if (seat->wake) {
            seat->wake(seat->wake_arg);
        }
    }
    pthread_mutex_unlock(&hub->lock);
    if (before) {
        sg_snapshot_unref(before);
    }
}

struct sg_snapshot *sg_hub_current(struct sg_hub *hub) {
    pthread_mutex_lock(&hub->lock);
    struct sg_snapshot *snapshot = hub->latest ? sg_snapshot_ref(hub->latest) : NULL;
    pthread_mutex_unlock(&hub->lock);
    return snapshot;
}

uint64_t sg_hub_oldest_epoch(const struct sg_hub *hub) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&hub->lock;
    uint64_t oldest = UINT64_MAX;
    pthread_mutex_lock(lock);
    for (struct sg_hub_seat *seat = hub->seats; seat; seat = seat->next) {
        uint64_t epoch = atomic_load_explicit(&seat->oldest_epoch, memory_order_acquire);
        oldest = epoch < oldest ? epoch : oldest;
    }
    pthread_mutex_unlock(lock);
    return oldest;
}

void sg_hub_set_ready(struct sg_hub *hub, bool ready) {
    atomic_store(&hub->is_ready, ready);
}

int64_t sg_hub_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake_all(struct sg_hub *hub) {
    pthread_mutex_lock(&hub->lock);
    for (struct sg_hub_seat *seat = hub->seats; seat; seat = seat->next) {
        if (seat->wake) {
            seat->wake(seat->wake_arg);
        }
    }
    pthread_mutex_unlock(&hub->lock);
}

void sg_hub_grant(struct sg_hub *hub, uint64_t min_epoch, int64_t until_ms) {
    bool had_ended = atomic_load_explicit(&hub->granted_until_ms, memory_order_relaxed) <= sg_hub_clock_ms();
    atomic_store_explicit(&hub->min_epoch, min_epoch, memory_order_relaxed);
    atomic_store_explicit(&hub->granted_until_ms, until_ms, memory_order_release);
    if (had_ended) {
        wake_all(hub); /* sessions may be waiting */
    }
}

bool sg_hub_is_granted(const struct sg_hub *hub, uint64_t *ret_min_epoch) {
    if (atomic_load_explicit(&hub->granted_until_ms, memory_order_acquire) <= sg_hub_clock_ms()) {
        return false;
    }
    *ret_min_epoch = atomic_load_explicit(&hub->min_epoch, memory_order_relaxed);
    return true;
}

uint64_t sg_hub_p99_us(const struct sg_hub *hub) {
    pthread_mutex_t *lock = (pthread_mutex_t *)&hub->lock;
    uint64_t sums[SG_LATENCY_BUCKETS] = {0};
    uint64_t now_ns = uv_hrtime();
    pthread_mutex_lock(lock);
    for (struct sg_hub_seat *seat = hub->seats; seat; seat = seat->next) {
        sg_latency_sum(&seat->latency, now_ns, sums);
    }
    pthread_mutex_unlock(lock);
    return sg_latency_p99_us(sums);
}

struct sg_hub_seat *sg_hub_attach(struct sg_hub *hub, void (*wake)(void *arg), void *arg) {
    struct sg_hub_seat *seat = calloc(1, sizeof(*seat));
    if (!seat) {
        abort();
    }
    seat->wake = wake;
    seat->wake_arg = arg;
    pthread_mutex_lock(&hub->lock);
    seat->next = hub->seats;
    hub->seats = seat;
    if (hub->latest) {
        put_in_mailbox(seat, hub->latest);
        wake(arg);
    }
    pthread_mutex_unlock(&hub->lock);
    return seat;
}

void sg_hub_quiet(struct sg_hub *hub, struct sg_hub_seat *seat) {
    pthread_mutex_lock(&hub->lock);
    seat->wake = NULL;
    pthread_mutex_unlock(&hub->lock);
}

void sg_hub_detach(struct sg_hub *hub, struct sg_hub_seat *seat) {
    pthread_mutex_lock(&hub->lock);
    struct sg_hub_seat **link = &hub->seats;
    while (*link && *link != seat) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = seat->next;
    }
    pthread_mutex_unlock(&hub->lock);
    struct sg_snapshot *unread = sg_hub_take(seat);
    if (unread) {
        sg_snapshot_unref(unread);
    }
    free(seat);
}

struct sg_snapshot *sg_hub_take(struct sg_hub_seat *seat) {
    /* Looked at for every new session: a plain load first keeps the common answer free of a locked instruction. */
    if (!atomic_load_explicit(&seat->mailbox, memory_order_relaxed)) {
        return NULL;
    }
    return atomic_exchange(&seat->mailbox, NULL);
}

void sg_hub_report(struct sg_hub_seat *seat, uint64_t oldest_epoch) {
    atomic_store_explicit(&seat->oldest_epoch, oldest_epoch, memory_order_release);
}

void sg_hub_latency(struct sg_hub_seat *seat, uint64_t now_ns, uint64_t elapsed_ns) {
    sg_latency_add(&seat->latency, now_ns, elapsed_ns);
}

const char *sg_hub_database(const struct sg_hub *hub) {
    return hub->database;
}

bool sg_hub_is_ready(const struct sg_hub *hub) {
    return atomic_load_explicit(&hub->is_ready, memory_order_acquire);
}
