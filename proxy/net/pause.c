#include "pause.h"

#include "session.h"
#include "session_auth.h"
#include "session_notes.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES 65536u /* of a client that waits; more stays in the kernel */

/* ---- Which databases ---- */

struct sg_pauses {
    _Atomic unsigned refs;
    bool is_all;
    size_t len;
    char names[][SG_NAME_BYTES];
};

static struct sg_pauses *pauses_new(size_t cap) {
    struct sg_pauses *pauses = calloc(1, sizeof(*pauses) + cap * SG_NAME_BYTES);
    if (!pauses) {
        abort();
    }
    atomic_init(&pauses->refs, 1);
    return pauses;
}

static bool name_is(const char name[SG_NAME_BYTES], const char *database) {
    return strncmp(name, database, SG_NAME_BYTES - 1) == 0; /* a longer one is cut as the server cuts it */
}

struct sg_pauses *sg_pauses_with(const struct sg_pauses *of, const char *database, bool on) {
    struct sg_pauses *pauses = pauses_new((of ? of->len : 0) + 1);
    pauses->is_all = database ? of && of->is_all : on;
    for (size_t i = 0; of && i < of->len; i++) {
        if (!database || !name_is(of->names[i], database)) {
            memcpy(pauses->names[pauses->len++], of->names[i], SG_NAME_BYTES);
        }
    }
    if (database && on) {
        strncpy(pauses->names[pauses->len++], database, SG_NAME_BYTES - 1);
    }
    return pauses;
}

bool sg_pauses_lists(const struct sg_pauses *pauses, const char *database) {
    if (!pauses || !database) {
        return pauses && pauses->is_all;
    }
    for (size_t i = 0; i < pauses->len; i++) {
        if (name_is(pauses->names[i], database)) {
            return true;
        }
    }
    return false;
}

bool sg_pauses_any(const struct sg_pauses *pauses) {
    return pauses && (pauses->is_all || pauses->len > 0);
}

bool sg_pauses_has(const struct sg_pauses *pauses, const char *database) {
    return sg_pauses_lists(pauses, NULL) || sg_pauses_lists(pauses, database);
}

struct sg_pauses *sg_pauses_ref(struct sg_pauses *pauses) {
    atomic_fetch_add_explicit(&pauses->refs, 1, memory_order_relaxed);
    return pauses;
}

void sg_pauses_unref(struct sg_pauses *pauses) {
    if (pauses && atomic_fetch_sub_explicit(&pauses->refs, 1, memory_order_acq_rel) == 1) {
        free(pauses);
    }
}

/* ---- Becoming quiet ---- */

/* Between two transactions: also not inside a batch that a Sync has yet to end. */
static bool is_at_rest(const struct sg_session *s) {
    return s->tx_status == 'I' && s->expect.len == 0 && !s->is_unsynced && !s->is_skipping;
}

/* Does the server do, or may it yet do, something for it? */
static bool is_active(const struct sg_session *s) {
    bool has_server = s->state == SG_SESSION_DIAL || s->state == SG_SESSION_RELAY || s->state == SG_SESSION_LINGER;
    return has_server && !s->is_replicating && !is_at_rest(s);
}

static void set_pausing(struct sg_session *s, bool on) {
    if (s->is_pausing != on) {
        s->is_pausing = on;
        atomic_fetch_add(&s->worker->shared->pausing, on ? 1 : -1);
    }
}

void sg_pause_look(struct sg_session *s) {
    if (s->is_pausing && !is_active(s)) {
        set_pausing(s, false);
    }
}

/* ---- Holding ---- */

static void hold(struct sg_session *s) {
    int limit_ms = s->worker->config->query_wait_timeout_ms;
    s->is_held = true;
    sg_trace_wait(s);
    if (limit_ms > 0) {
        uv_timer_start(&s->timer, sg_session_time_up, (uint64_t)limit_ms, 0);
    } else {
        uv_timer_stop(&s->timer);
    }
}

bool sg_pause_holds_login(struct sg_session *s) {
    s->is_paused = s->who && !s->is_console && sg_pauses_has(s->worker->pauses, s->who->database);
    if (s->is_paused) {
        hold(s);
    }
    return s->is_paused;
}

enum sg_verdict sg_pause_before_message(struct sg_session *s) {
    bool is_inside = s->is_logged_in && s->expect.len == 0 && !is_at_rest(s);
    bool is_in_batch = s->is_logged_in && s->expect.len > 0 && (!s->is_batch_start || s->is_copy_in);
    if (is_inside || is_in_batch) {
        return SG_FORWARD;
    }
    if (s->expect.len == 0) {
        hold(s);
    }
    return sg_session_stall(s, 0); /* whether a transaction is open is known when all is answered */
}

void sg_pause_keep(struct sg_session *s, const uint8_t *bytes, size_t len) {
    sg_buf_put(&s->rest, bytes, len);
    if (s->rest.len >= KEPT_BYTES) {
        sg_session_read_client(s, false);
    }
}

void sg_pause_time_up(struct sg_session *s) {
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue is paused, and has been for longer than %d ms",
                 s->worker->config->query_wait_timeout_ms);
    sg_error_hint(&err, "query_wait_timeout sets how long a client waits for RESUME.");
    s->is_held = false;
    sg_session_fatal(s, &err);
}

static void go_on(struct sg_session *s) {
    int login_ms = s->worker->config->client_login_timeout_ms;
    s->is_held = false;
    uv_timer_stop(&s->timer);
    if (s->state == SG_SESSION_RELAY) {
        sg_session_unstall(s);
        return;
    }
    if (login_ms > 0) {
        uv_timer_start(&s->timer, sg_session_time_up, (uint64_t)login_ms, 0);
    }
    if (s->state == SG_SESSION_START) {
        sg_session_read_client(s, true);
        sg_startup_feed(s);
    } else if (s->state == SG_SESSION_AUTH) {
        sg_session_auth_go_on(s);
    }
}

void sg_pause_apply(struct sg_worker *w, struct sg_pauses *pauses) {
    sg_pauses_unref(w->pauses);
    w->pauses = pauses;
    for (struct sg_session *s = w->sessions, *next; s; s = next) {
        next = s->next;
        s->is_paused = s->who && !s->is_console && sg_pauses_has(pauses, s->who->database);
        set_pausing(s, s->is_paused && is_active(s));
        if (s->is_held && !s->is_paused) {
            go_on(s);
        }
    }
}
