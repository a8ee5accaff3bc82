#include "proxy/admin/run.h"

#include "proxy/admin/registry.h"
#include "proxy/migration/db.h"
#include "proxy/migration/engine.h"

#include <string.h>

bool sg_command_returns_rows(const struct sg_command *command) {
    switch (command->id) {
    case SG_COMMAND_PREFLIGHT:
    case SG_COMMAND_EXPLAIN_REWRITE:
    case SG_COMMAND_SHOW_MIGRATIONS:
    case SG_COMMAND_SHOW_MIGRATION:
    case SG_COMMAND_SHOW_BACKFILL:
    case SG_COMMAND_SHOW_BARRIER:
    case SG_COMMAND_SHOW_REFERENCES:
    case SG_COMMAND_SHOW_REWRITES:
    case SG_COMMAND_SHOW_REFUSED:
    case SG_COMMAND_SHOW_DATABASES:
    case SG_COMMAND_SHOW_STATS:
    case SG_COMMAND_SHOW_COUNTERS:
    case SG_COMMAND_SHOW_STATS_TOTALS:
    case SG_COMMAND_SHOW_STATS_AVERAGES:
    case SG_COMMAND_SHOW_TOTALS:
    case SG_COMMAND_SHOW_CLIENTS:
    case SG_COMMAND_SHOW_SERVERS:
    case SG_COMMAND_SHOW_SOCKETS:
    case SG_COMMAND_SHOW_ACTIVE_SOCKETS:
    case SG_COMMAND_SHOW_POOLS:
    case SG_COMMAND_SHOW_USERS:
    case SG_COMMAND_SHOW_LISTS:
    case SG_COMMAND_SHOW_MEM:
    case SG_COMMAND_SHOW_STATE:
    case SG_COMMAND_SHOW_CONFIG:
    case SG_COMMAND_SHOW_VERSION:
    case SG_COMMAND_SHOW_HELP:
        return true;
    default:
        return false;
    }
}

/* ---- The control connection ---- */

PGconn *sg_admin_session_control(struct sg_admin_session *session, struct sg_error *reterr) {
    /* A server that went away since the last command shows when the socket is read; nothing is sent for that. */
    if (session->control && (!PQconsumeInput(session->control) || PQstatus(session->control) != CONNECTION_OK)) {
        PQfinish(session->control);
        session->control = NULL;
    }
    if (!session->control)
        session->control = sg_db_connect(session->console->control_conninfo, "segue console", reterr);
    return session->control;
}

bool sg_admin_session_engine_runs(struct sg_admin_session *session, struct sg_error *reterr) {
    struct sg_console *console = session->console;
    if (!console->control_conninfo[0]) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "segue runs as a plain proxy");
        sg_error_hint(reterr, "Migrations need a control connection: start segue with --control.");
        return false;
    }
    pthread_mutex_lock(&console->lock);
    bool runs = console->engine != NULL;
    if (!runs) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the migration engine has not started yet");
        sg_error_detail(reterr, "%s", console->trouble);
        sg_error_hint(reterr, "It keeps trying; segue's log says more.");
    }
    pthread_mutex_unlock(&console->lock);
    return runs;
}

static void wake_engine(struct sg_admin_session *session) {
    struct sg_console *console = session->console;
    pthread_mutex_lock(&console->lock);
    if (console->engine)
        sg_engine_wake(console->engine);
    pthread_mutex_unlock(&console->lock);
}

/* ---- Migrations ---- */

static bool create(struct sg_admin_session *session, const struct sg_command *command, struct sg_error *reterr) {
    const struct sg_migration_spec spec = {
        .name = command->migration,
        .database = command->database,
        .schema = command->schema,
        .table = command->table,
        .old_name = command->old_name,
        .new_name = command->new_name,
        .options = command->options,
        .options_len = command->options_len,
        .by = session->user,
    };
    PGconn *control = sg_admin_session_control(session, reterr);
    return control && sg_migration_create(control, &spec, reterr);
}

static bool request(struct sg_admin_session *session, enum sg_migration_verb verb, const struct sg_command *command,
                    struct sg_error *reterr) {
    PGconn *control = sg_admin_session_control(session, reterr);
    return control && sg_migration_request(control, verb, command->migration, session->user, reterr);
}

static bool set_backfill(struct sg_admin_session *session, const struct sg_command *command, struct sg_error *reterr) {
    PGconn *control = sg_admin_session_control(session, reterr);
    return control &&
           sg_migration_set_backfill(control, command->migration, command->options, command->options_len, reterr);
}

static bool show_rows(struct sg_admin_session *session, const char *sql, const char *parameter,
                      struct sg_result *result, struct sg_error *reterr) {
    PGconn *control = sg_admin_session_control(session, reterr);
    PGresult *rows = control ? sg_db_query(control, sql, parameter ? 1 : 0, &parameter, reterr) : NULL;
    if (!rows)
        return false;
    sg_result_from_pg(result, rows);
    PQclear(rows);
    return true;
}

static bool show_migration(struct sg_admin_session *session, const struct sg_command *command, struct sg_result *result,
                           struct sg_error *reterr) {
    if (!show_rows(session, sg_sql_show_migration, command->migration, result, reterr))
        return false;
    if (result->rows)
        return true;
    sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "migration \"%s\" does not exist", command->migration);
    sg_error_hint(reterr, "SHOW MIGRATIONS lists them.");
    return false;
}

static bool preflight(struct sg_admin_session *session, const struct sg_command *command, struct sg_result *result,
                      struct sg_error *reterr) {
    PGconn *control = sg_admin_session_control(session, reterr);
    PGresult *rows = control ? sg_migration_preflight(control, command->migration, reterr) : NULL;
    if (!rows)
        return false;
    sg_result_from_pg(result, rows);
    PQclear(rows);
    return true;
}

static bool run_migration_command(struct sg_admin_session *session, const struct sg_command *command,
                                  struct sg_result *result, struct sg_error *reterr) {
    switch (command->id) {
    case SG_COMMAND_CREATE_RENAME:
        return create(session, command, reterr);
    case SG_COMMAND_PREFLIGHT:
        return preflight(session, command, result, reterr);
    case SG_COMMAND_START:
        return request(session, SG_MIGRATION_START, command, reterr);
    case SG_COMMAND_SWITCH:
        return request(session, SG_MIGRATION_SWITCH, command, reterr);
    case SG_COMMAND_CONTRACT:
        return request(session, SG_MIGRATION_CONTRACT, command, reterr);
    case SG_COMMAND_RETIRE:
        return request(session, command->flag ? SG_MIGRATION_RETIRE_FORCE : SG_MIGRATION_RETIRE, command, reterr);
    case SG_COMMAND_ROLLBACK:
        return request(session, SG_MIGRATION_ROLLBACK, command, reterr);
    case SG_COMMAND_DROP:
        return request(session, SG_MIGRATION_DROP, command, reterr);
    case SG_COMMAND_PAUSE_BACKFILL:
        return request(session, SG_MIGRATION_PAUSE_BACKFILL, command, reterr);
    case SG_COMMAND_RESUME_BACKFILL:
        return request(session, SG_MIGRATION_RESUME_BACKFILL, command, reterr);
    case SG_COMMAND_VERIFY:
        return request(session, SG_MIGRATION_VERIFY, command, reterr);
    case SG_COMMAND_SET_BACKFILL:
        return set_backfill(session, command, reterr);
    case SG_COMMAND_WAIT:
        return sg_admin_session_wait(session, command, reterr);
    case SG_COMMAND_SHOW_MIGRATIONS:
        return show_rows(session, sg_sql_show_migrations, NULL, result, reterr);
    case SG_COMMAND_SHOW_MIGRATION:
        return show_migration(session, command, result, reterr);
    case SG_COMMAND_SHOW_BACKFILL:
        return show_rows(session, sg_sql_show_backfill, NULL, result, reterr);
    case SG_COMMAND_SHOW_BARRIER:
        return show_rows(session, sg_sql_show_barrier, NULL, result, reterr);
    default:
        sg_error_set(reterr, SG_SQLSTATE_INTERNAL_ERROR, "command %d has no function", (int)command->id);
        return false;
    }
}

/* ---- What drivers send ---- */

static bool set_parameter(const struct sg_command *command, struct sg_error *reterr) {
    /* Settings of a session that mean nothing here, but that drivers make without being asked. */
    static const char *const harmless[] = {
        "application_name", "client_encoding", "client_min_messages",         "datestyle",         "extra_float_digits",
        "intervalstyle",    "search_path",     "standard_conforming_strings", "statement_timeout", "timezone"};
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        if (strcmp(command->parameter, harmless[i]) == 0)
            return true;
    if (sg_config_key_find(command->parameter) >= 0) {
        sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "\"%s\" cannot be set from the console yet",
                     command->parameter);
        sg_error_hint(reterr, "Change the configuration file and RELOAD.");
    } else {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"",
                     command->parameter);
    }
    return false;
}

static const char no_transactions[] = "the console has no transactions: every command takes effect at once";

static bool run_process_command(struct sg_admin_session *session, const struct sg_command *command,
                                struct sg_result *result, struct sg_error *reterr) {
    struct sg_console *console = session->console;
    switch (command->id) {
    case SG_COMMAND_RELOAD:
        console->on_request(console->on_request_arg, SG_CONSOLE_RELOAD);
        return true;
    case SG_COMMAND_SHUTDOWN:
        console->on_request(console->on_request_arg, SG_CONSOLE_SHUTDOWN);
        return true;
    case SG_COMMAND_SHUTDOWN_SERVERS:
        console->on_request(console->on_request_arg, SG_CONSOLE_DRAIN);
        return true;
    case SG_COMMAND_SHUTDOWN_CLIENTS:
        console->on_request(console->on_request_arg, SG_CONSOLE_LEAVE);
        return true;
    case SG_COMMAND_PAUSE:
    case SG_COMMAND_RESUME:
    case SG_COMMAND_KILL:
    case SG_COMMAND_KILL_CLIENT:
        return sg_admin_session_hold(session, command, reterr);
    case SG_COMMAND_BEGIN:
    case SG_COMMAND_COMMIT:
    case SG_COMMAND_ABORT:
        result->warning = no_transactions;
        return true;
    case SG_COMMAND_SET:
        return set_parameter(command, reterr);
    case SG_COMMAND_RESET: /* a pool giving a session back; there is nothing to reset */
        return true;
    case SG_COMMAND_DISCARD:
    case SG_COMMAND_DEALLOCATE:
        sg_admin_session_forget(session);
        return true;
    case SG_COMMAND_LATER:
        sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "%s is not supported yet", command->doc);
        sg_error_hint(reterr, "SHOW HELP lists the commands that are.");
        return false;
    case SG_COMMAND_EXPLAIN_REWRITE:
        return sg_admin_session_explain(session, command, result, reterr);
    default:
        return sg_admin_session_show(session, command, result, reterr);
    }
}

/* ---- All ---- */

static bool is_about_migrations(const struct sg_command *command) {
    return command->id >= SG_COMMAND_CREATE_RENAME && command->id <= SG_COMMAND_SHOW_BARRIER &&
           command->id != SG_COMMAND_EXPLAIN_REWRITE;
}

static bool changes_something(const struct sg_command *command) {
    return !sg_command_returns_rows(command) && command->id != SG_COMMAND_WAIT;
}

/* At once, and not step by step by the engine. */
static bool changes_mappings(const struct sg_command *command) {
    return command->id == SG_COMMAND_CREATE_RENAME || command->id == SG_COMMAND_DROP ||
           command->id == SG_COMMAND_RETIRE;
}

bool sg_admin_session_run(struct sg_admin_session *session, const struct sg_command *command, struct sg_result *result,
                          struct sg_error *reterr) {
    if (command->role == SG_ROLE_ADMIN && !session->is_admin) {
        sg_error_set(reterr, SG_SQLSTATE_INSUFFICIENT_PRIVILEGE, "only admins may do this");
        sg_error_detail(reterr, "\"%s\" is in stats_users and may only look.", session->user);
        return false;
    }
    result->tag = sg_command_tag(command);
    if (!is_about_migrations(command))
        return run_process_command(session, command, result, reterr);
    /* WAIT waits for the engine, too: a proxy that was just started again need not fail it. */
    bool may_run = command->id == SG_COMMAND_WAIT || sg_admin_session_engine_runs(session, reterr);
    if (!may_run || !run_migration_command(session, command, result, reterr))
        return false;
    if (changes_something(command))
        wake_engine(session);
    if (changes_mappings(command))
        sg_admin_session_settle(session);
    return true;
}
