/* Ends that come from our side: a drain, which waits for a good moment, and KILL, which does not. */
#include "session.h"
#include "session_cancel.h"

#define LAST_CALL_MS 1000 /* during a drain: a newcomer's time to say what it wants */

/* Who has not said yet what it wants gets a moment to do so, and then a proper answer. */
static void drain_start(struct sg_session *s) {
    if (s->is_held) {
        sg_startup_refuse_shutdown(s);
    } else if (!uv_is_active((uv_handle_t *)&s->timer) || uv_timer_get_due_in(&s->timer) > LAST_CALL_MS) {
        uv_timer_start(&s->timer, sg_session_time_up, LAST_CALL_MS, 0);
    }
}

void sg_session_drain(struct sg_session *s) {
    if (s->state == SG_SESSION_START) {
        drain_start(s);
        return;
    }
    /* Replication is never between two transactions: it goes on from where it was, elsewhere. */
    bool may_end = !s->is_logged_in || s->is_replicating || s->is_held || sg_session_is_idle(s);
    if ((s->state != SG_SESSION_RELAY && s->state != SG_SESSION_AUTH) || !may_end || s->is_client_bye) {
        return;
    }
    struct sg_error err = {0};
    sg_error_set(&err, SG_SQLSTATE_ADMIN_SHUTDOWN, "terminating connection: segue is shutting down");
    sg_session_fatal(s, &err);
}

void sg_session_kill(struct sg_session *s) {
    struct sg_error err = {0};
    sg_session_cancel_busy(s);
    sg_error_set(&err, SG_SQLSTATE_ADMIN_SHUTDOWN, "terminating connection: an administrator of segue has killed it");
    sg_session_fatal(s, &err);
}
