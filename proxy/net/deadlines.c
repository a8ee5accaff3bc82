#include "deadlines.h"

#include "proxy/log.h"
#include "session.h"
#include "session_cancel.h"

static void end_idle(struct sg_session *s, enum sg_sqlstate state, const char *message, const char *key) {
    struct sg_error err = {0};
    sg_error_set(&err, state, "%s", message);
    sg_error_hint(&err, "%s in segue's configuration sets how long that may be.", key);
    sg_session_fatal(s, &err);
}

static bool is_over(int limit_ms, uint64_t age_ms) {
    return limit_ms > 0 && age_ms > (uint64_t)limit_ms;
}

static void check(struct sg_session *s, const struct sg_server_config *config) {
    if (s->state != SG_SESSION_RELAY || !s->is_logged_in || s->is_client_bye || s->is_replicating || s->is_held) {
        return;
    }
    uint64_t age_ms = uv_now(&s->worker->loop) - s->since_ms;
    if (s->expect.len > 0) {
        if (!s->is_overdue && is_over(config->query_timeout_ms, age_ms)) {
            s->is_overdue = true;
            sg_log(SG_LOG_INFO, "a statement has run for longer than query_timeout: cancelled");
            sg_session_cancel(s, NULL);
        }
    } else if (s->tx_status != 'I' && is_over(config->idle_transaction_timeout_ms, age_ms)) {
        end_idle(s, SG_SQLSTATE_IDLE_IN_TRANSACTION_TIMEOUT,
                 "terminating connection due to idle-in-transaction timeout", "idle_transaction_timeout");
    } else if (s->tx_status == 'I' && is_over(config->client_idle_timeout_ms, age_ms)) {
        end_idle(s, SG_SQLSTATE_IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout",
                 "client_idle_timeout");
    }
}

static void on_tick(uv_timer_t *timer) {
    struct sg_worker *w = timer->data;
    for (struct sg_session *s = w->sessions, *next; s; s = next) {
        next = s->next;
        check(s, w->config);
    }
}

static int shorter(int a_ms, int b_ms) {
    return a_ms <= 0 || (b_ms > 0 && b_ms < a_ms) ? b_ms : a_ms;
}

void sg_deadlines_set(struct sg_worker *worker) {
    const struct sg_server_config *config = worker->config;
    int shortest_ms =
        shorter(shorter(config->query_timeout_ms, config->idle_transaction_timeout_ms), config->client_idle_timeout_ms);
    if (shortest_ms > 0) {
        uint64_t tick_ms = shortest_ms / 4 > 1000 ? 1000 : (uint64_t)shortest_ms / 4 + 1;
        uv_timer_start(&worker->deadlines, on_tick, tick_ms, tick_ms);
    } else {
        uv_timer_stop(&worker->deadlines);
    }
}

void sg_deadlines_init(struct sg_worker *worker) {
    uv_timer_init(&worker->loop, &worker->deadlines);
    worker->deadlines.data = worker;
    sg_deadlines_set(worker);
}
