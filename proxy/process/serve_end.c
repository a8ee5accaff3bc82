/*
 * How the process comes to its end, by itself or by another that takes its place.
 *
 *      UP --SHUTDOWN WAIT_FOR_CLIENTS, on_taken--> LEAVING --TERM, handover_wait--> DRAINING --TERM, INT--> STOPPING
 *       \_____TERM, SHUTDOWN WAIT_FOR_SERVERS_______\_____________________________^  \___on_drained________^
 */
#include "proxy/admin/console.h"
#include "proxy/control.h"
#include "proxy/http/http.h"
#include "proxy/log.h"
#include "proxy/net/server.h"
#include "proxy/process/serve_app.h"
#include "proxy/process/systemd.h"

static void notify_stopping(const struct sg_app *app) {
    if (!app->is_replaced)
        sg_systemd_notify("STOPPING=1");
}

/* Who is about to end is nobody to be replaced, and no coordinator: another proxy carries the migrations on. */
static void step_back(struct sg_app *app) {
    atomic_store(&app->accepts_clients, false);
    sg_handover_close(app->handover);
    app->handover = NULL;
    sg_control_retire(app->control);
}

void sg_app_stop(struct sg_app *app) {
    if (app->life == SG_APP_STOPPING)
        return;
    app->life = SG_APP_STOPPING;
    atomic_store(&app->accepts_clients, false);
    notify_stopping(app);
    sg_handover_close(app->handover);
    app->handover = NULL;
    sg_takeover_drop(&app->takeover);
    if (app->console)
        sg_console_set_server(app->console, NULL); /* from now on nobody asks its workers */
    if (app->server)
        sg_server_stop(app->server);
    for (size_t i = 0; i < SG_SERVE_SIGNALS; i++)
        uv_close((uv_handle_t *)&app->signal_handles[i], NULL);
    uv_close((uv_handle_t *)&app->quiet, NULL);
    uv_close((uv_handle_t *)&app->patience, NULL);
    uv_close((uv_handle_t *)&app->wakeup, NULL);
}

static void on_drained(void *arg) {
    sg_log(SG_LOG_INFO, "drained: no session is left");
    sg_app_stop(arg);
}

void sg_app_leave(struct sg_app *app) {
    if (app->life != SG_APP_UP)
        return;
    app->life = SG_APP_LEAVING;
    notify_stopping(app);
    step_back(app);
    sg_log(SG_LOG_INFO, "accepting no more clients: the end comes when the last one has left");
    sg_server_drain(app->server, SG_DRAIN_CLIENTS, on_drained, app);
}

void sg_app_drain(struct sg_app *app) {
    if (app->life >= SG_APP_DRAINING) {
        sg_app_stop(app);
        return;
    }
    app->life = SG_APP_DRAINING;
    notify_stopping(app);
    step_back(app);
    sg_log(SG_LOG_INFO, "draining: sessions end between two transactions; once more ends them at once");
    if (app->console)
        sg_console_end_sessions(app->console);
    sg_server_drain(app->server, SG_DRAIN_TRANSACTIONS, on_drained, app);
}

/* ---- Hand-over ---- */

static bool on_offer(void *arg, struct sg_sockets *ret_sockets, struct sg_error *reterr) {
    struct sg_app *app = arg;
    if (sg_server_has_pauses(app->server)) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     "it is paused, and the new process would not be: RESUME first");
        return false;
    }
    sg_server_sockets(app->server, ret_sockets);
    return true;
}

static void on_patience_over(uv_timer_t *timer) {
    struct sg_app *app = timer->data;
    sg_log(SG_LOG_INFO, "handover_wait is over");
    if (app->life < SG_APP_DRAINING)
        sg_app_drain(app);
}

static void on_taken(void *arg, pid_t by) {
    struct sg_app *app = arg;
    app->is_replaced = true;
    app->pidfile_written = false;
    sg_server_yield(app->server);
    sg_http_yield(app->http);
    if (by > 0) /* from another container it has no number here */
        sg_systemd_notify("MAINPID=%d", (int)by);
    sg_log(SG_LOG_INFO, "process %d has taken over: our sessions go on until their clients leave", (int)by);
    if (app->config->handover_wait > 0)
        uv_timer_start(&app->patience, on_patience_over, (uint64_t)app->config->handover_wait, 0);
    sg_app_leave(app);
}

bool sg_app_offer_place(struct sg_app *app, struct sg_error *reterr) {
    const struct sg_handover_events events = {on_offer, on_taken, app};
    if (!app->config->handover_socket[0])
        return true;
    app->handover = sg_handover_open(&app->loop, app->config->handover_socket, &events, reterr);
    return app->handover != NULL;
}
