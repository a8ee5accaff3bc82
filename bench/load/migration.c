#include "bench/load/migration.h"

#include "bench/load/complaints.h"
#include "bench/load/database.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS         200
#define CONSOLE_TRIES   600
#define CONSOLE_WAIT_MS 100
#define PARAMS_MAX      64

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* ---- Console ---- */

/* Where --console does not say: as the old app, to the virtual database. */
static PGconn *connect_as_app(const char *conninfo) {
    char *message = NULL;
    PQconninfoOption *parsed = PQconninfoParse(conninfo, &message);
    if (!parsed) {
        sg_complain_aloud("error: --old: %s", message ? message : "out of memory");
        PQfreemem(message);
        return NULL;
    }
    const char *keys[PARAMS_MAX] = {0}, *values[PARAMS_MAX] = {0};
    size_t len = 0;
    for (PQconninfoOption *option = parsed; option->keyword && len < PARAMS_MAX - 2; option++) {
        if (!option->val || strcmp(option->keyword, "dbname") == 0)
            continue;
        keys[len] = option->keyword;
        values[len++] = option->val;
    }
    keys[len] = "dbname";
    values[len] = "segue";
    PGconn *conn = PQconnectdbParams(keys, values, 0);
    PQconninfoFree(parsed);
    return conn;
}

/* With --reconnect a proxy that is away for a moment is waited for. NULL and a complaint otherwise. */
static PGconn *connect_console(const struct sg_options *options) {
    int tries = options->reconnect ? CONSOLE_TRIES : 1;
    for (int i = 1;; i++) {
        PGconn *conn = options->console_conninfo ? PQconnectdb(options->console_conninfo)
                                                 : connect_as_app(options->app_conninfo[SG_APP_OLD]);
        if (!conn || PQstatus(conn) == CONNECTION_OK)
            return conn;
        if (i == tries) {
            sg_complain_aloud("error: cannot connect to the console: %s", PQerrorMessage(conn));
            PQfinish(conn);
            return NULL;
        }
        PQfinish(conn);
        pause_ms(CONSOLE_WAIT_MS);
    }
}

static bool is_ok(const PGresult *res) {
    ExecStatusType status = PQresultStatus(res);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool command(struct sg_migration_run *run, const char *verb) {
    PGconn *conn = connect_console(run->options);
    if (!conn)
        return false;
    char sql[512];
    snprintf(sql, sizeof(sql), "%s %s", verb, run->options->migration);
    PGresult *res = PQexec(conn, sql);
    bool ok = is_ok(res);
    if (!ok)
        sg_complain_aloud("error: %s: %s", sql, PQerrorMessage(conn));
    PQclear(res);
    PQfinish(conn);
    return ok;
}

/* phase, state and progress of our migration; false when it is not there. */
struct progress {
    char phase[32], state[32], detail[256];
    long long rows_done, rows_total;
};

static void copy_field(char *into, size_t size, const PGresult *res, int row, const char *column) {
    int at = PQfnumber(res, column);
    snprintf(into, size, "%s", at >= 0 ? PQgetvalue(res, row, at) : "");
}

static bool look(PGconn *conn, const char *migration, struct progress *ret_progress) {
    PGresult *res = PQexec(conn, "SHOW MIGRATIONS");
    bool found = false;
    for (int row = 0; row < PQntuples(res) && !found; row++) {
        char name[128], done[32], total[32];
        copy_field(name, sizeof(name), res, row, "name");
        found = strcmp(name, migration) == 0;
        if (!found)
            continue;
        copy_field(ret_progress->phase, sizeof(ret_progress->phase), res, row, "phase");
        copy_field(ret_progress->state, sizeof(ret_progress->state), res, row, "state");
        copy_field(ret_progress->detail, sizeof(ret_progress->detail), res, row, "detail");
        copy_field(done, sizeof(done), res, row, "rows_done");
        copy_field(total, sizeof(total), res, row, "rows_total");
        ret_progress->rows_done = strtoll(done, NULL, 10);
        ret_progress->rows_total = strtoll(total, NULL, 10);
    }
    PQclear(res);
    return found;
}

static bool create_migration(struct sg_migration_run *run) {
    const struct sg_options *options = run->options;
    PGconn *conn = connect_console(options);
    if (!conn)
        return false;
    struct progress progress;
    bool ok = look(conn, options->migration, &progress);
    if (!ok) {
        char *on = sg_statement_render("ON {t} RENAME COLUMN {o} TO {n}", &options->names, options->names.new_name);
        char sql[1024];
        const char *with = options->migration_with;
        snprintf(sql, sizeof(sql), "CREATE MIGRATION %s %s%s%s%s", options->migration, on, with ? " WITH (" : "",
                 with ? with : "", with ? ")" : "");
        free(on);
        PGresult *res = PQexec(conn, sql);
        ok = is_ok(res);
        if (!ok)
            sg_complain_aloud("error: %s: %s", sql, PQerrorMessage(conn));
        PQclear(res);
    }
    PQfinish(conn);
    return ok;
}

/* ---- Waiting ---- */

static void show_progress(const struct sg_migration_run *run, const struct progress *now, char last_state[32]) {
    bool moved = strcmp(now->state, last_state) != 0;
    snprintf(last_state, 32, "%s", now->state);
    if (moved || isatty(STDERR_FILENO))
        fprintf(stderr, "%s%7.1f s  %s, %s, %lld of %lld rows%s", isatty(STDERR_FILENO) ? "\r\033[K" : "",
                sg_metrics_elapsed_s(run->metrics), now->phase, now->state, now->rows_done, now->rows_total,
                isatty(STDERR_FILENO) ? "" : "\n");
}

/* The answer to WAIT has come, or the connection is gone. */
static bool has_answer(PGconn *conn, int timeout_ms) {
    struct pollfd ready = {.fd = PQsocket(conn), .events = POLLIN};
    if (poll(&ready, 1, timeout_ms) > 0 && !PQconsumeInput(conn))
        return true;
    return !PQisBusy(conn);
}

enum wait_result { WAIT_DONE, WAIT_FAILED, WAIT_LOST };

/* One WAIT on one connection, watched over another. */
static enum wait_result wait_once(struct sg_migration_run *run, PGconn *waiter, PGconn *watcher, const char *what) {
    char sql[256], last_state[32] = "";
    snprintf(sql, sizeof(sql), "WAIT %s FOR %s TIMEOUT %d", run->options->migration, what, run->options->timeout_s);
    if (!PQsendQuery(waiter, sql))
        return WAIT_LOST;
    while (!has_answer(waiter, POLL_MS)) {
        struct progress progress = {0};
        if (look(watcher, run->options->migration, &progress))
            show_progress(run, &progress, last_state);
    }
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    enum wait_result result = WAIT_LOST;
    PGresult *res;
    while ((res = PQgetResult(waiter)) != NULL) {
        bool lost = PQstatus(waiter) == CONNECTION_BAD;
        result = is_ok(res) ? WAIT_DONE : lost && run->options->reconnect ? WAIT_LOST : WAIT_FAILED;
        if (result == WAIT_FAILED)
            sg_complain_aloud("error: %s: %s", sql, PQresultErrorMessage(res));
        PQclear(res);
    }
    return result;
}

static bool wait_for(struct sg_migration_run *run, const char *what) {
    enum wait_result result;
    double until_s = sg_metrics_elapsed_s(run->metrics) + run->options->timeout_s;
    do {
        PGconn *waiter = connect_console(run->options);
        PGconn *watcher = waiter ? connect_console(run->options) : NULL;
        result = watcher ? wait_once(run, waiter, watcher, what) : WAIT_FAILED;
        PQfinish(waiter);
        PQfinish(watcher);
    } while (result == WAIT_LOST && sg_metrics_elapsed_s(run->metrics) < until_s);
    if (result == WAIT_LOST)
        sg_complain_aloud("error: WAIT for %s: the console was lost", what);
    return result == WAIT_DONE;
}

/* The mapping is in new_only before the column goes: wait for that, too. */
static bool wait_dropped(struct sg_migration_run *run) {
    double until_s = sg_metrics_elapsed_s(run->metrics) + run->options->timeout_s;
    bool has_old = true, has_new;
    while (run->direct && sg_metrics_elapsed_s(run->metrics) < until_s) {
        if (!sg_database_columns(run->direct, &run->options->names, &has_old, &has_new))
            return false;
        if (!has_old)
            return true;
        pause_ms(POLL_MS);
    }
    if (run->direct)
        sg_complain_aloud("error: the old column is still there %d s after new_only", run->options->timeout_s);
    return !run->direct;
}

/* ---- Stages ---- */

/* Ends the stage that lasts, counts its rows where both columns are there, and begins the next. */
static bool next_stage(struct sg_migration_run *run, const char *name) {
    struct sg_metrics *metrics = run->metrics;
    struct sg_stage *stage = metrics->stages_len > 0 ? &metrics->stages[metrics->stages_len - 1] : NULL;
    if (stage && run->direct &&
        (strcmp(stage->name, "dual_write") == 0 || strcmp(stage->name, "verified") == 0 ||
         strcmp(stage->name, "read_new") == 0))
        stage->differing = sg_database_split_rows(run->direct, &run->options->names);
    sg_metrics_stage(metrics, name);
    if (stage && run->stage_done)
        run->stage_done(stage);
    return true;
}

static bool soak(struct sg_migration_run *run) {
    pause_ms(run->options->soak_s * 1000L);
    return true;
}

static bool start_new_app(struct sg_migration_run *run) {
    sg_fleet_start(run->fleet, SG_APP_NEW);
    return true;
}

bool sg_migration_drive(struct sg_migration_run *run) {
    next_stage(run, "before");
    sg_fleet_start(run->fleet, SG_APP_OLD);
    return soak(run) && create_migration(run) && next_stage(run, "planned") && start_new_app(run) && soak(run) &&
           next_stage(run, "dual_write") && command(run, "START") && wait_for(run, "verified") &&
           next_stage(run, "verified") && soak(run) && next_stage(run, "read_new") && command(run, "SWITCH") &&
           wait_for(run, "read_new") && soak(run) && next_stage(run, "contract") && command(run, "CONTRACT") &&
           wait_for(run, "new_only") && wait_dropped(run) && next_stage(run, "new_only") && soak(run);
}
