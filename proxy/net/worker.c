#include "worker.h"

#include "cancel.h"
#include "cancel_order.h"
#include "deadlines.h"
#include "pause.h"
#include "server_config.h"
#include "session.h"
#include "session_cancel.h"
#include "session_lease.h"
#include "survey.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- Snapshots ---- */

static void installed_unref(struct sg_installed *installed) {
    if (--installed->refs == 0) {
        sg_snapshot_unref(installed->snapshot);
        free(installed);
    }
}

/* Pins are in the order of epochs, so the oldest is the first. */
static void report_oldest(struct sg_worker *w) {
    const struct sg_installed *oldest = w->oldest_pin ? w->oldest_pin->pin : w->installed;
    if (oldest && oldest->epoch != w->reported_epoch) {
        w->reported_epoch = oldest->epoch;
        sg_hub_report(w->seat, oldest->epoch);
    }
}

void sg_worker_count_plans(struct sg_worker *w) {
    struct sg_rewriter_stats stats;
    sg_rewriter_stats(w->rewriter, &stats);
#define X(name) atomic_store_explicit(&w->counters.name, stats.name, memory_order_relaxed);
    SG_PLAN_COUNTERS(X)
#undef X
}

void sg_worker_install(struct sg_worker *w) {
    struct sg_snapshot *snapshot = sg_hub_take(w->seat);
    if (!snapshot) {
        return;
    }
    struct sg_installed *installed = malloc(sizeof(*installed));
    if (!installed) {
        abort();
    }
    *installed = (struct sg_installed){.snapshot = snapshot,
                                       .epoch = sg_snapshot_epoch(snapshot),
                                       .mappings = sg_snapshot_mappings(snapshot),
                                       .refs = 1};
    if (w->installed) {
        installed_unref(w->installed);
    }
    w->installed = installed;
    report_oldest(w);
}

void sg_worker_pin(struct sg_worker *w, struct sg_session *s) {
    s->pin = w->installed;
    s->pin->refs++;
    s->pin_next = NULL;
    s->pin_prev = w->newest_pin;
    if (w->newest_pin) {
        w->newest_pin->pin_next = s;
    } else {
        w->oldest_pin = s;
    }
    w->newest_pin = s;
}

void sg_worker_unpin(struct sg_worker *w, struct sg_session *s) {
    struct sg_installed *pin = s->pin;
    if (s->pin_prev) {
        s->pin_prev->pin_next = s->pin_next;
    } else {
        w->oldest_pin = s->pin_next;
    }
    if (s->pin_next) {
        s->pin_next->pin_prev = s->pin_prev;
    } else {
        w->newest_pin = s->pin_prev;
    }
    s->pin = NULL;
    s->pin_next = s->pin_prev = NULL;
    if (pin->epoch != w->installed->epoch) {
        report_oldest(w);
    }
    installed_unref(pin);
}

/* ---- Settings ---- */

struct sg_tls_context *sg_worker_tls(const struct sg_worker *w) {
    return sg_tls_context_ref(w->config->client_tls);
}

void sg_worker_configure(struct sg_worker *w, const struct sg_server_config *config) {
    sg_server_config_unref(atomic_exchange(&w->next_config, sg_server_config_ref(config)));
    uv_async_send(&w->wake);
}

static void take_config(struct sg_worker *w) {
    const struct sg_server_config *next = atomic_exchange(&w->next_config, NULL);
    if (next) {
        sg_server_config_unref(w->config);
        w->config = next;
        sg_deadlines_set(w);
    }
}

/* ---- Shared small things ---- */

struct sg_side *sg_worker_side(struct sg_worker *w) {
    struct sg_side *side = w->free_sides;
    if (side) {
        w->free_sides = side->next;
    } else if (!(side = malloc(sizeof(*side)))) {
        abort();
    }
    *side = (struct sg_side){0};
    return side;
}

void sg_worker_side_free(struct sg_worker *w, struct sg_side *side) {
    if (side->plan) {
        sg_plan_unref(side->plan);
    }
    sg_text_unref(side->text);
    free(side->error);
    side->next = w->free_sides;
    w->free_sides = side;
}

/* One buffer for all reads of the worker: what is read is consumed before the next read, or copied. */
void sg_worker_alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    struct sg_session *s = handle->data;
    *ret_buf = uv_buf_init((char *)s->worker->read_buf, SG_READ_BYTES);
}

/* ---- Sessions come and go ---- */

static void take_inbox(struct sg_worker *w) {
    pthread_mutex_lock(&w->inbox_lock);
    int *fds = w->inbox;
    size_t len = w->inbox_len;
    w->inbox = NULL;
    w->inbox_len = w->inbox_cap = 0;
    pthread_mutex_unlock(&w->inbox_lock);
    bool is_closed = atomic_load(&w->is_stopping);
    for (size_t i = 0; i < len; i++) {
        if (is_closed) {
            close(fds[i]);
            atomic_fetch_sub(&w->open_sessions, 1);
        } else {
            sg_session_open(w, fds[i]);
        }
    }
    free(fds);
}

struct sg_order {
    struct sg_order *next;
    void (*carry_out)(struct sg_worker *w, void *arg);
    void *arg;
};

void sg_worker_post(struct sg_worker *w, void (*carry_out)(struct sg_worker *w, void *arg), void *arg) {
    struct sg_order *order = calloc(1, sizeof(*order));
    if (!order) {
        abort();
    }
    order->carry_out = carry_out;
    order->arg = arg;
    pthread_mutex_lock(&w->inbox_lock);
    *w->last_order = order;
    w->last_order = &order->next;
    pthread_mutex_unlock(&w->inbox_lock);
    uv_async_send(&w->wake);
}

static void take_orders(struct sg_worker *w) {
    pthread_mutex_lock(&w->inbox_lock);
    struct sg_order *orders = w->orders;
    w->orders = NULL;
    w->last_order = &w->orders;
    pthread_mutex_unlock(&w->inbox_lock);
    while (orders) {
        struct sg_order *order = orders;
        orders = order->next;
        order->carry_out(w, order->arg);
        free(order);
    }
}

static void cancel_session(struct sg_worker *w, void *arg) {
    struct sg_cancel_order *order = arg;
    struct sg_span key = {(char *)order->key, order->key_bytes};
    struct sg_session *s = sg_keys_session(&w->shared->keys, w, order->pid, key);
    if (s) {
        sg_session_cancel(s, order);
    } else {
        sg_cancel_order_done(order); /* it has ended meanwhile: nothing runs */
    }
}

void sg_worker_order(struct sg_worker *w, struct sg_cancel_order *order) {
    sg_worker_post(w, cancel_session, order);
}

static void check_empty(struct sg_worker *w) {
    if (atomic_load(&w->drain) != SG_DRAIN_NONE && atomic_load(&w->open_sessions) == 0 && w->on_empty) {
        void (*on_empty)(void *arg) = w->on_empty;
        w->on_empty = NULL;
        on_empty(w->on_empty_arg);
    }
}

void sg_worker_session_over(struct sg_worker *w, struct sg_session *s) {
    sg_lease_forget(s);
    if (s->pin) {
        sg_worker_unpin(w, s);
    }
    sg_strangers_remove(s);
    sg_limits_leave(w->shared->limits, &s->place);
    if (s->prev) {
        s->prev->next = s->next;
    } else {
        w->sessions = s->next;
    }
    if (s->next) {
        s->next->prev = s->prev;
    }
    sg_pause_look(s);
    if (s->is_counted) {
        atomic_fetch_sub_explicit(&w->shared->sessions, 1, memory_order_relaxed);
    }
    sg_memory_left(&w->crowd, atomic_fetch_sub(&w->open_sessions, 1) - 1);
    check_empty(w);
}

/* ---- The loop ---- */

static void for_each_session(struct sg_worker *w, void (*act)(struct sg_session *s)) {
    for (struct sg_session *s = w->sessions, *next; s; s = next) {
        next = s->next;
        act(s);
    }
}

static void on_wake(uv_async_t *async) {
    struct sg_worker *w = async->data;
    take_config(w);
    sg_worker_install(w);
    sg_survey_answer(w);
    take_orders(w);
    take_inbox(w);
    if (atomic_exchange(&w->is_short, false)) {
        sg_strangers_make_room(w);
    }
    if (atomic_load(&w->is_stopping)) {
        for_each_session(w, sg_session_close);
        sg_cancel_stop_all(w);
        uv_close((uv_handle_t *)&w->deadlines, NULL);
        uv_close((uv_handle_t *)&w->lease_timer, NULL);
        uv_close((uv_handle_t *)&w->stats_period, NULL);
        uv_close((uv_handle_t *)async, NULL);
        return;
    }
    if (sg_worker_is_draining(w)) {
        for_each_session(w, sg_session_drain);
    }
    check_empty(w);
}

static void on_stats_period(uv_timer_t *timer);

static void start_stats_period(struct sg_worker *w) {
    uv_timer_start(&w->stats_period, on_stats_period, (uint64_t)w->config->stats_period_ms, 0);
}

static void on_stats_period(uv_timer_t *timer) {
    struct sg_worker *w = timer->data;
    sg_tallies_mark(&w->tallies, uv_now(&w->loop));
    start_stats_period(w);
}

static void start_stats(struct sg_worker *w) {
    sg_tallies_init(&w->tallies, uv_now(&w->loop));
    uv_timer_init(&w->loop, &w->stats_period);
    w->stats_period.data = w;
    start_stats_period(w);
}

static void run(void *arg) {
    struct sg_worker *w = arg;
    uv_run(&w->loop, UV_RUN_DEFAULT);
}

static void wake_cb(void *arg) {
    struct sg_worker *w = arg;
    uv_async_send(&w->wake);
}

struct sg_worker *sg_worker_start(struct sg_shared *shared, int number, const struct sg_server_config *config,
                                  void (*on_empty)(void *arg), void *arg) {
    struct sg_worker *w = calloc(1, sizeof(*w));
    if (!w) {
        abort();
    }
    w->shared = shared;
    w->number = number;
    w->config = sg_server_config_ref(config);
    w->on_empty = on_empty;
    w->on_empty_arg = arg;
    w->last_order = &w->orders;
    pthread_mutex_init(&w->inbox_lock, NULL);
    sg_arena_init(&w->desk.scratch, 4096);
    w->rewriter = sg_rewriter_new(config->plan_cache_bytes);
    if (uv_loop_init(&w->loop) < 0 || uv_async_init(&w->loop, &w->wake, on_wake) < 0) {
        abort();
    }
    w->wake.data = w;
    sg_deadlines_init(w);
    sg_lease_start(w);
    start_stats(w);
    w->hub = config->hub;
    w->seat = sg_hub_attach(w->hub, wake_cb, w);
    if (uv_thread_create(&w->thread, run, w) < 0) {
        abort();
    }
    return w;
}

void sg_worker_serve(struct sg_worker *w, int fd) {
    atomic_fetch_add(&w->open_sessions, 1);
    pthread_mutex_lock(&w->inbox_lock);
    if (w->inbox_len == w->inbox_cap) {
        size_t cap = w->inbox_cap ? w->inbox_cap * 2 : 16;
        int *inbox = realloc(w->inbox, cap * sizeof(*inbox));
        if (!inbox) {
            abort();
        }
        w->inbox = inbox;
        w->inbox_cap = cap;
    }
    w->inbox[w->inbox_len++] = fd;
    pthread_mutex_unlock(&w->inbox_lock);
    uv_async_send(&w->wake);
}

void sg_worker_make_room(struct sg_worker *w) {
    atomic_store(&w->is_short, true);
    uv_async_send(&w->wake);
}

void sg_worker_drain(struct sg_worker *w, enum sg_drain how) {
    atomic_store(&w->drain, how);
    uv_async_send(&w->wake);
}

void sg_worker_stop(struct sg_worker *w) {
    sg_hub_quiet(w->hub, w->seat);
    atomic_store(&w->is_stopping, true);
    uv_async_send(&w->wake);
    uv_thread_join(&w->thread);
    uv_loop_close(&w->loop);
}

static void free_sides(struct sg_worker *w) {
    while (w->free_sides) {
        struct sg_side *side = w->free_sides;
        w->free_sides = side->next;
        free(side);
    }
}

void sg_worker_free(struct sg_worker *w) {
    sg_hub_detach(w->hub, w->seat);
    sg_server_config_unref(w->config);
    sg_server_config_unref(atomic_load(&w->next_config));
    if (w->installed) {
        installed_unref(w->installed);
    }
    free_sides(w);
    take_orders(w);
    sg_pauses_unref(w->pauses);
    sg_survey_decline(w);
    sg_journal_free(&w->journal);
    sg_tallies_free(&w->tallies);
    sg_rewriter_free(w->rewriter);
    sg_arena_free(&w->desk.scratch);
    sg_buf_free(&w->message);
    sg_buf_free(&w->facts);
    sg_buf_free(&w->copied);
    sg_buf_free(&w->records);
    sg_texts_free(&w->texts);
    pthread_mutex_destroy(&w->inbox_lock);
    free(w->inbox);
    free(w);
}
