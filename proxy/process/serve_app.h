/*
 * serve_app — the process `segue serve` as its main thread sees it: what serve.c, serve_end.c and serve_reload.c share.
 */
#ifndef SEGUE_SERVE_APP_H
#define SEGUE_SERVE_APP_H

#include "proxy/process/handover.h"
#include "proxy/process/serve.h"

#include <stdatomic.h>
#include <uv.h>

struct sg_console;
struct sg_control;
struct sg_http;
struct sg_hub;
struct sg_server;

#define SG_SERVE_SIGNALS 5

struct sg_app {
    struct sg_config *config;
    struct sg_serve_options options;
    char *control_database, *control_user; /* NULL: a plain proxy */
    uv_loop_t loop;
    uv_signal_t signal_handles[SG_SERVE_SIGNALS];
    uv_async_t wakeup;
    _Atomic unsigned requests;    /* bits 1 << enum sg_console_request, set by console threads */
    _Atomic bool first_try_ended; /* set by the control thread */
    struct sg_hub *hub;
    struct sg_console *console;
    struct sg_server *server;
    struct sg_control *control;
    struct sg_http *http;         /* NULL: none */
    _Atomic bool accepts_clients; /* from the ready line until the process begins to leave */
    enum { SG_APP_UP, SG_APP_LEAVING, SG_APP_DRAINING, SG_APP_STOPPING } life;
    struct sg_handover *handover; /* NULL: nobody can take our place */
    struct sg_takeover takeover;  /* fd -1: we take nobody's */
    bool is_replaced;             /* another process has our place, and speaks to the service manager */
    uv_timer_t quiet;             /* runs while a pause by signal is not complete */
    uv_timer_t patience;          /* runs while we are replaced, until our sessions are drained */
    bool ready_told, pidfile_written;
};

/* ---- serve_end.c ---- */

/* At once. */
void sg_app_stop(struct sg_app *app);
/* When the clients have left. */
void sg_app_leave(struct sg_app *app);
/* When each client is between two transactions; once more: at once. */
void sg_app_drain(struct sg_app *app);
/* Lets another process take our place from now on. */
bool sg_app_offer_place(struct sg_app *app, struct sg_error *reterr);

/* ---- serve_reload.c ---- */

void sg_app_reload(struct sg_app *app);
void sg_app_raise_descriptor_limit(const struct sg_config *config);

#endif
