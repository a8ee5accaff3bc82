#include "strangers.h"

#include "proxy/log.h"
#include "session.h"

#define SPARE     64   /* clients of a worker beyond that, so that a small limit is not a trap */
#define SILENT_MS 1000 /* without a word, while others wait for a descriptor */

static void drop(struct sg_session *s) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    sg_log_limited(&limit, SG_LOG_WARN, "a client that has not said who it is makes room for others");
    sg_strangers_remove(s);
    sg_session_close(s);
}

/* Twice as many as there can be sessions: all of them may come back at once, and who is too many is to be told so.
 * Accepted clients are shared out evenly. */
static bool is_crowded(struct sg_worker *w) {
    const struct sg_server_config *config = w->config;
    uint64_t open = atomic_load_explicit(&w->open_sessions, memory_order_relaxed);
    uint64_t most = 2 * (uint64_t)config->max_client_conn / (uint64_t)config->workers + SPARE;
    return config->max_client_conn > 0 && open > most;
}

void sg_strangers_add(struct sg_session *s) {
    struct sg_worker *w = s->worker;
    struct sg_strangers *all = &w->strangers;
    s->since_ms = uv_now(&w->loop);
    s->is_stranger = true;
    s->stranger_before = all->newest;
    if (all->newest) {
        all->newest->stranger_after = s;
    } else {
        all->oldest = s;
    }
    all->newest = s;
    if (all->oldest != s && is_crowded(w)) {
        drop(all->oldest);
    }
}

void sg_strangers_remove(struct sg_session *s) {
    struct sg_strangers *all = &s->worker->strangers;
    if (!s->is_stranger) {
        return;
    }
    s->is_stranger = false;
    if (s->stranger_before) {
        s->stranger_before->stranger_after = s->stranger_after;
    } else {
        all->oldest = s->stranger_after;
    }
    if (s->stranger_after) {
        s->stranger_after->stranger_before = s->stranger_before;
    } else {
        all->newest = s->stranger_before;
    }
    s->stranger_before = s->stranger_after = NULL;
}

void sg_strangers_make_room(struct sg_worker *w) {
    uint64_t now_ms = uv_now(&w->loop);
    while (w->strangers.oldest && now_ms - w->strangers.oldest->since_ms >= SILENT_MS) {
        drop(w->strangers.oldest);
    }
}
