/*
 *                       main loop                                       other threads
 *   app_start: hub, console, server ------------------------------> workers (hub, console_adopt)
 *              control ---------------------------------------------> control: engine up, on_first_try
 *   on_wakeup <-- uv_async -- on_first_try (ready line), on_request (RELOAD, SHUTDOWN from console threads)
 *   on_signal: HUP -> app_reload   USR1 -> app_pause   USR2 -> app_resume   TERM -> app_drain   INT -> app_stop
 *   app_stop: workers joined, own handles closed -> loop runs out -> app_free: console, control, server, hub
 *
 *      UP --SHUTDOWN WAIT_FOR_CLIENTS--> LEAVING --TERM--> DRAINING --TERM, INT--> STOPPING
 *       \__TERM, SHUTDOWN WAIT_FOR_SERVERS___\_______________^  \__on_drained__________^
 *
 * Invariants:
 *  1. Console threads use engine and server, workers use console and hub: whoever uses is ended before what is used.
 *  2. The ready line comes once, and only after the control side's first try: a client that connects on it meets either
 *     the mappings or a refusal, not chance.
 */
#include "proxy/serve.h"

#include "proxy/admin/console.h"
#include "proxy/cli.h"
#include "proxy/control.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/net/hub.h"
#include "proxy/net/server.h"
#include "proxy/serve_config.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

static const int signals[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

struct app {
    struct sg_config *config;
    sg_serve_reload *reload;
    void *reload_arg;
    char *control_database, *control_user; /* NULL: a plain proxy */
    uv_loop_t loop;
    uv_signal_t signal_handles[SIGNALS];
    uv_async_t wakeup;
    _Atomic unsigned requests;    /* bits 1 << enum sg_console_request, set by console threads */
    _Atomic bool first_try_ended; /* set by the control thread */
    struct sg_hub *hub;
    struct sg_console *console;
    struct sg_server *server;
    struct sg_control *control;
    enum { UP, LEAVING, DRAINING, STOPPING } life;
    uv_timer_t quiet; /* runs while a pause by signal is not complete */
    bool ready_told, pidfile_written;
};

/* ---- Going ---- */

static void app_stop(struct app *app) {
    if (app->life == STOPPING)
        return;
    app->life = STOPPING;
    if (app->console)
        sg_console_set_server(app->console, NULL); /* from now on nobody asks its workers */
    if (app->server)
        sg_server_stop(app->server);
    for (size_t i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&app->signal_handles[i], NULL);
    uv_close((uv_handle_t *)&app->quiet, NULL);
    uv_close((uv_handle_t *)&app->wakeup, NULL);
}

static void on_drained(void *arg) {
    sg_log(SG_LOG_INFO, "drained: no session is left");
    app_stop(arg);
}

static void app_leave(struct app *app) {
    if (app->life != UP)
        return;
    app->life = LEAVING;
    sg_log(SG_LOG_INFO, "accepting no more clients: the end comes when the last one has left");
    sg_server_drain(app->server, SG_DRAIN_CLIENTS, on_drained, app);
}

static void app_drain(struct app *app) {
    if (app->life >= DRAINING) {
        app_stop(app);
        return;
    }
    app->life = DRAINING;
    sg_log(SG_LOG_INFO, "draining: sessions end between two transactions; once more ends them at once");
    if (app->console)
        sg_console_end_sessions(app->console);
    sg_server_drain(app->server, SG_DRAIN_TRANSACTIONS, on_drained, app);
}

/* ---- Pause ---- */

#define QUIET_LOOK_MS 20

static void on_quiet_look(uv_timer_t *timer) {
    struct app *app = timer->data;
    if (sg_server_pausing(app->server) == 0) {
        uv_timer_stop(timer);
        sg_log(SG_LOG_INFO, "paused: every session is between two transactions");
    }
}

static void app_pause(struct app *app) {
    if (sg_server_pause(app->server, NULL, true)) {
        sg_log(SG_LOG_INFO, "pausing: transactions finish, what comes next waits");
        uv_timer_start(&app->quiet, on_quiet_look, QUIET_LOOK_MS, QUIET_LOOK_MS);
    }
}

static void app_resume(struct app *app) {
    uv_timer_stop(&app->quiet);
    if (sg_server_pause(app->server, NULL, false))
        sg_log(SG_LOG_INFO, "resumed");
    else
        sg_log(SG_LOG_WARN, "nothing to resume: segue is not paused as a whole");
}

/* ---- Reload ---- */

/* Two descriptors a session, one for each client that is still to say who it is (net/strangers.h), some for the
 * program. */
static void raise_descriptor_limit(const struct sg_config *config) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->max_client_conn * 3 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        sg_log(SG_LOG_WARN, "max_client_conn = %lld needs %llu file descriptors, the system allows %llu",
               (long long)config->max_client_conn, (unsigned long long)wanted, (unsigned long long)limit.rlim_cur);
}

static void tell_changes(const struct sg_config *before, const struct sg_config *now) {
    for (size_t i = 0; i < sg_config_keys(); i++)
        if (!sg_config_same(before, now, i) && sg_config_key_change(i) != SG_CHANGE_RELOAD)
            sg_log(SG_LOG_WARN, "reload: %s has changed, which takes effect at the next start", sg_config_key_name(i));
    if (!sg_config_same_databases(before, now))
        sg_log(SG_LOG_WARN, "reload: [databases] has changed, which takes effect at the next start");
}

static void app_reload(struct app *app) {
    struct sg_config_faults faults = {0};
    struct sg_error err;
    struct sg_config *config = app->reload(app->reload_arg, &faults);
    for (size_t i = 0; i < faults.len; i++)
        sg_log(SG_LOG_ERROR, "reload: %s:%d: %s", faults.list[i].file ? faults.list[i].file : "command line",
               faults.list[i].line, faults.list[i].message);
    sg_config_faults_free(&faults);
    if (!config) {
        sg_log(SG_LOG_ERROR, "reload: the configuration stays as it was");
        return;
    }
    struct sg_server_config server = {0};
    if (!sg_serve_settings(config, &server, &err) || !sg_serve_open_log(config, &err)) {
        sg_serve_settings_free(&server);
        sg_log_error(SG_LOG_ERROR, &err, "reload: the configuration stays as it was");
        sg_config_free(config);
        return;
    }
    raise_descriptor_limit(config);
    sg_server_reconfigure(app->server, &server);
    sg_serve_settings_free(&server);
    tell_changes(app->config, config);
    /* Only what a reload can change is taken over, so that SHOW CONFIG keeps showing what is in force. */
    for (size_t i = 0; i < sg_config_keys(); i++)
        if (sg_config_key_change(i) != SG_CHANGE_RELOAD)
            sg_config_keep(config, app->config, i);
    sg_config_keep_databases(config, app->config);
    if (app->console)
        sg_console_set_config(app->console, config);
    sg_config_free(app->config);
    app->config = config;
    sg_log(SG_LOG_INFO, "reloaded %s", config->file ? config->file : "(no file)");
}

/* ---- Wake-ups of the main loop ---- */

static void on_signal(uv_signal_t *handle, int signum) {
    struct app *app = handle->data;
    switch (signum) {
    case SIGHUP:
        app_reload(app);
        return;
    case SIGTERM:
        app_drain(app);
        return;
    case SIGUSR1:
        app_pause(app);
        return;
    case SIGUSR2:
        app_resume(app);
        return;
    default:
        sg_log(SG_LOG_INFO, "stopping at once");
        app_stop(app);
    }
}

static void on_wakeup(uv_async_t *handle) {
    struct app *app = handle->data;
    if (app->life == STOPPING)
        return;
    if (atomic_load(&app->first_try_ended) && !app->ready_told) {
        app->ready_told = true;
        sg_log(SG_LOG_INFO, "ready listen=%s", sg_server_address(app->server));
    }
    unsigned requests = atomic_exchange(&app->requests, 0);
    if (requests & 1u << SG_CONSOLE_RELOAD)
        app_reload(app);
    if (requests & 1u << SG_CONSOLE_LEAVE)
        app_leave(app);
    if (requests & 1u << SG_CONSOLE_DRAIN)
        app_drain(app);
    if (requests & 1u << SG_CONSOLE_SHUTDOWN) {
        sg_log(SG_LOG_INFO, "stopping at once, as the console asked");
        app_stop(app);
    }
}

static void on_request(void *arg, enum sg_console_request request) {
    struct app *app = arg;
    atomic_fetch_or(&app->requests, 1u << request);
    uv_async_send(&app->wakeup);
}

static void on_first_try(void *arg) {
    struct app *app = arg;
    atomic_store(&app->first_try_ended, true);
    uv_async_send(&app->wakeup);
}

static void on_engine(void *arg, struct sg_engine *engine) {
    struct app *app = arg;
    sg_console_set_engine(app->console, engine);
}

static void on_trouble(void *arg, const struct sg_error *why) {
    struct app *app = arg;
    sg_console_set_trouble(app->console, why);
}

/* ---- Coming up ---- */

static bool write_pidfile(struct app *app, struct sg_error *reterr) {
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

static bool start_server(struct app *app, struct sg_error *reterr) {
    struct sg_server_config server = {
        .control_database = app->control_database, .hub = app->hub, .console = app->console};
    if (!sg_serve_settings(app->config, &server, reterr))
        return false;
    app->server = sg_server_start(&app->loop, &server, reterr);
    sg_serve_settings_free(&server);
    return app->server != NULL;
}

static void start_control(struct app *app) {
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

static void start_loop(struct app *app) {
    if (uv_loop_init(&app->loop) != 0)
        abort();
    uv_async_init(&app->loop, &app->wakeup, on_wakeup);
    app->wakeup.data = app;
    uv_timer_init(&app->loop, &app->quiet);
    app->quiet.data = app;
    for (size_t i = 0; i < SIGNALS; i++) {
        uv_signal_init(&app->loop, &app->signal_handles[i]);
        app->signal_handles[i].data = app;
        uv_signal_start(&app->signal_handles[i], on_signal, signals[i]);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* What is there so far is taken down by app_free, also when this fails half-way. */
static bool app_start(struct app *app, struct sg_error *reterr) {
    const struct sg_config *config = app->config;
    if (!sg_serve_open_log(config, reterr))
        return false;
    if (config->control_conninfo[0] &&
        !sg_control_target(config->control_conninfo, &app->control_database, &app->control_user)) {
        sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "control_conninfo is not a connection string");
        return false;
    }
    raise_descriptor_limit(config);
    app->hub = sg_hub_new(app->control_database);
    if (app->control_database) {
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
    }
    sg_hub_set_ready(app->hub, !app->control_database);
    /* The pid file comes after the port is ours: a second start by mistake must not overwrite that of the first. */
    if (!start_server(app, reterr) || !write_pidfile(app, reterr))
        return false;
    if (app->console)
        sg_console_set_server(app->console, app->server);
    if (app->control_database)
        start_control(app);
    else
        on_first_try(app);
    return true;
}

static void app_free(struct app *app) {
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

int sg_serve(struct sg_config *config, sg_serve_reload *reload, void *reload_arg) {
    struct app app = {.config = config, .reload = reload, .reload_arg = reload_arg};
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
        app_stop(&app);
        uv_run(&app.loop, UV_RUN_DEFAULT);
    }
    app_free(&app);
    sg_log_close();
    return started ? SG_EXIT_OK : SG_EXIT_FAILED;
}
