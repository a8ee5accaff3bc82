/*
 *                       main loop                                       other threads
 *   app_start: hub, console, server ------------------------------> workers (hub, console_adopt)
 *              control ---------------------------------------------> control: engine up, on_first_try
 *   on_wakeup <-- uv_async -- on_first_try (ready line), on_request (RELOAD, SHUTDOWN from console threads)
 *   on_signal: HUP -> sg_app_reload   USR1 -> app_pause   USR2 -> app_resume   TERM -> sg_app_drain   INT ->
 * sg_app_stop sg_app_stop: workers joined, own handles closed -> loop runs out -> app_free: console, control, server,
 * hub
 *
 * Invariants:
 *  1. Console threads use engine and server, workers use console and hub: whoever uses is ended before what is used.
 *  2. The ready line comes once, and only after the control side's first try: a client that connects on it meets either
 *     the mappings or a refusal, not chance.
 */
#include "proxy/process/serve_app.h"

#include "proxy/admin/console.h"
#include "proxy/cli.h"
#include "proxy/control.h"
#include "proxy/http/http.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/net/hub.h"
#include "proxy/net/server.h"
#include "proxy/process/serve_config.h"
#include "proxy/process/systemd.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int signals[SG_SERVE_SIGNALS] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};

/* ---- Pause ---- */

#define QUIET_LOOK_MS 20

static void on_quiet_look(uv_timer_t *timer) {
    struct sg_app *app = timer->data;
    if (sg_server_pausing(app->server) == 0) {
        uv_timer_stop(timer);
        sg_log(SG_LOG_INFO, "paused: every session is between two transactions");
    }
}

static void app_pause(struct sg_app *app) {
    if (sg_server_pause(app->server, NULL, true)) {
        sg_log(SG_LOG_INFO, "pausing: transactions finish, what comes next waits");
        uv_timer_start(&app->quiet, on_quiet_look, QUIET_LOOK_MS, QUIET_LOOK_MS);
    }
}

static void app_resume(struct sg_app *app) {
    uv_timer_stop(&app->quiet);
    if (sg_server_pause(app->server, NULL, false))
        sg_log(SG_LOG_INFO, "resumed");
    else
        sg_log(SG_LOG_WARN, "nothing to resume: segue is not paused as a whole");
}

/* ---- Ready ---- */

static bool write_pidfile(struct sg_app *app, struct sg_error *reterr) {
    const struct sg_config *config = app->config;
    if (!config->pidfile[0])
        return true;
    FILE *file = fopen(config->pidfile, "we");
    bool good = file && fprintf(file, "%d\n", (int)getpid()) > 0;
    if (file && fclose(file) != 0)
        good = false;
    if (!good)
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "cannot write pid file \"%s\": %s", config->pidfile,
                     strerror(errno));
    app->pidfile_written = good;
    return good;
}

/* The one before us steps back, and everything that there is one of is ours from now on. */
static void take_place(struct sg_app *app) {
    struct sg_error err;
    pid_t before = app->takeover.from;
    if (!sg_takeover_finish(&app->takeover, &err))
        sg_log_error(SG_LOG_WARN, &err, "going on all the same");
    sg_server_accept(app->server);
    if (!write_pidfile(app, &err) || !sg_app_offer_place(app, &err))
        sg_log_error(SG_LOG_ERROR, &err, "going on all the same");
    sg_log(SG_LOG_INFO, "took over from process %d", (int)before);
    sg_systemd_notify("MAINPID=%d", (int)getpid());
}

static void become_ready(struct sg_app *app) {
    if (app->takeover.fd >= 0)
        take_place(app);
    atomic_store(&app->accepts_clients, true);
    sg_log_event(SG_LOG_INFO, "ready", SG_LOG_WORD("listen", sg_server_address(app->server)));
    sg_systemd_notify("READY=1\nSTATUS=listening on %s", sg_server_address(app->server));
}

/* ---- Wake-ups of the main loop ---- */

static void on_signal(uv_signal_t *handle, int signum) {
    struct sg_app *app = handle->data;
    switch (signum) {
    case SIGHUP:
        sg_app_reload(app);
        return;
    case SIGTERM:
        sg_app_drain(app);
        return;
    case SIGUSR1:
        app_pause(app);
        return;
    case SIGUSR2:
        app_resume(app);
        return;
    default:
        sg_log(SG_LOG_INFO, "stopping at once");
        sg_app_stop(app);
    }
}

static void on_wakeup(uv_async_t *handle) {
    struct sg_app *app = handle->data;
    if (app->life == SG_APP_STOPPING)
        return;
    /* Who has been told to end meanwhile takes nobody's place any more. */
    if (atomic_load(&app->first_try_ended) && !app->ready_told && app->life == SG_APP_UP) {
        app->ready_told = true;
        become_ready(app);
    }
    unsigned requests = atomic_exchange(&app->requests, 0);
    if (requests & 1u << SG_CONSOLE_RELOAD)
        sg_app_reload(app);
    if (requests & 1u << SG_CONSOLE_LEAVE)
        sg_app_leave(app);
    if (requests & 1u << SG_CONSOLE_DRAIN)
        sg_app_drain(app);
    if (requests & 1u << SG_CONSOLE_SHUTDOWN) {
        sg_log(SG_LOG_INFO, "stopping at once, as the console asked");
        sg_app_stop(app);
    }
}

static void on_request(void *arg, enum sg_console_request request) {
    struct sg_app *app = arg;
    atomic_fetch_or(&app->requests, 1u << request);
    uv_async_send(&app->wakeup);
}

static void on_first_try(void *arg) {
    struct sg_app *app = arg;
    atomic_store(&app->first_try_ended, true);
    uv_async_send(&app->wakeup);
}

static void on_engine(void *arg, struct sg_engine *engine) {
    struct sg_app *app = arg;
    sg_console_set_engine(app->console, engine);
}

static void on_trouble(void *arg, const struct sg_error *why) {
    struct sg_app *app = arg;
    sg_console_set_trouble(app->console, why);
}

/* ---- Coming up ---- */

/* Of the process whose place we take, or else of the service manager. */
static bool take_sockets(struct sg_app *app, struct sg_sockets *ret_given, struct sg_error *reterr) {
    const char *path = app->config->handover_socket;
    if (!sg_systemd_sockets(ret_given, reterr))
        return false;
    if (app->options.is_takeover && !path[0])
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "--takeover needs the key handover_socket");
    bool good = !app->options.is_takeover || (path[0] && sg_takeover_ask(path, &app->takeover, reterr));
    if (!good || app->takeover.fd >= 0) {
        sg_sockets_close(ret_given);
        *ret_given = app->takeover.sockets;
        app->takeover.sockets.len = 0;
    }
    return good;
}

static bool start_server(struct sg_app *app, struct sg_error *reterr) {
    struct sg_server_config server = {
        .control_database = app->control_database, .hub = app->hub, .console = app->console};
    struct sg_config_faults faults = {0};
    bool good = sg_serve_settings(app->config, NULL, &server, &faults);
    sg_serve_log_faults("", &faults);
    sg_config_faults_free(&faults);
    if (!good) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "the configuration has faults");
        return false;
    }
    struct sg_sockets given;
    bool has_given = take_sockets(app, &given, reterr);
    app->server = has_given ? sg_server_start(&app->loop, &server, &given, reterr) : NULL;
    sg_serve_settings_free(&server);
    return app->server != NULL;
}

static bool accepts_clients(void *arg) {
    struct sg_app *app = arg;
    return atomic_load(&app->accepts_clients);
}

static bool start_http(struct sg_app *app, struct sg_error *reterr) {
    struct sg_http_config http = {
        .listen = app->config->http_listen, .console = app->console, .is_serving = accepts_clients, .arg = app};
    if (!http.listen[0])
        return true;
    app->http = sg_http_start(&http, reterr);
    if (!app->http)
        return false;
    sg_log_event(SG_LOG_INFO, "http", SG_LOG_WORD("listen", sg_http_address(app->http)));
    if (!sg_http_is_loopback(app->http))
        sg_log(SG_LOG_WARN, "http_listen: whoever reaches %s may read metrics, statements and settings",
               sg_http_address(app->http));
    return true;
}

static void start_control(struct sg_app *app) {
    const struct sg_config *config = app->config;
    struct sg_engine_config engine = {
        .control_conninfo = config->control_conninfo,
        .backfill_batch_rows = (int)config->backfill_batch_rows,
        .backfill_max_p99_ratio = config->backfill_max_p99_ratio,
        .lock_timeout_ms = (int)config->control_lock_timeout_ms,
        .poll_ms = (int)config->control_poll_ms,
        .lease_ms = (int)config->lease_ms,
    };
    struct sg_control_events events = {on_first_try, on_engine, on_trouble, app};
    app->control = sg_control_start(&engine, app->hub, &events);
}

static void start_loop(struct sg_app *app) {
    if (uv_loop_init(&app->loop) != 0)
        abort();
    uv_async_init(&app->loop, &app->wakeup, on_wakeup);
    app->wakeup.data = app;
    uv_timer_init(&app->loop, &app->quiet);
    uv_timer_init(&app->loop, &app->patience);
    app->quiet.data = app->patience.data = app;
    for (size_t i = 0; i < SG_SERVE_SIGNALS; i++) {
        uv_signal_init(&app->loop, &app->signal_handles[i]);
        app->signal_handles[i].data = app;
        uv_signal_start(&app->signal_handles[i], on_signal, signals[i]);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* What is there so far is taken down by app_free, also when this fails half-way. */
static bool app_start(struct sg_app *app, struct sg_error *reterr) {
    const struct sg_config *config = app->config;
    if (!sg_serve_open_log(config, reterr))
        return false;
    if (config->control_conninfo[0] &&
        !sg_control_target(config->control_conninfo, &app->control_database, &app->control_user)) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "control_conninfo is not a connection string");
        return false;
    }
    sg_app_raise_descriptor_limit(config);
    app->hub = sg_hub_new(app->control_database);
    /* In a plain proxy nobody can log in to it: then only the HTTP side asks. */
    struct sg_console_config console = {
        .control_conninfo = config->control_conninfo,
        .control_user = app->control_user,
        .database = app->control_database,
        .on_request = on_request,
        .on_request_arg = app,
        .config = config,
        .hub = app->hub,
    };
    app->console = sg_console_new(&console);
    sg_hub_set_ready(app->hub, !app->control_database);
    if (!start_server(app, reterr))
        return false;
    /* The pid file comes after the port is ours: a second start by mistake must not overwrite that of the first.
     * Whoever takes over gets all of it when it is ready (take_place). */
    if (app->takeover.fd < 0) {
        if (!write_pidfile(app, reterr) || !sg_app_offer_place(app, reterr))
            return false;
        sg_server_accept(app->server);
    }
    sg_console_set_server(app->console, app->server);
    if (!start_http(app, reterr))
        return false;
    if (app->control_database)
        start_control(app);
    else
        on_first_try(app);
    return true;
}

static void app_free(struct sg_app *app) {
    sg_http_stop(app->http);
    sg_console_free(app->console);
    sg_control_stop(app->control);
    if (app->server)
        sg_server_free(app->server);
    sg_hub_free(app->hub);
    uv_loop_close(&app->loop);
    if (app->pidfile_written)
        unlink(app->config->pidfile);
    free(app->control_database);
    free(app->control_user);
    sg_config_free(app->config);
}

int sg_serve(struct sg_config *config, const struct sg_serve_options *options) {
    struct sg_app app = {.config = config, .options = *options, .takeover = {.fd = -1}};
    struct sg_error err;
    sg_memory_setup();
    start_loop(&app);
    bool started = app_start(&app, &err);
    if (started) {
        sg_log(SG_LOG_INFO, "segue %s, %s", SEGUE_VERSION,
               app.control_database ? "with a control database" : "a plain proxy: no control connection is configured");
        uv_run(&app.loop, UV_RUN_DEFAULT);
        sg_log(SG_LOG_INFO, "stopped");
    } else {
        sg_log_error(SG_LOG_ERROR, &err, "cannot start");
        sg_app_stop(&app);
        uv_run(&app.loop, UV_RUN_DEFAULT);
    }
    app_free(&app);
    sg_log_close();
    return started ? SG_EXIT_OK : SG_EXIT_FAILED;
}
