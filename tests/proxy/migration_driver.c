/*
 * Drives the migration room without a proxy around it, for migration_test.py.
 *
 *   migration_driver CONNINFO engine [batch_rows [lease_ms]]     runs an engine until stdin ends; prints "ready"
 *   migration_driver CONNINFO create NAME SCHEMA|- TABLE OLD NEW [OPTION=VALUE]...
 *   migration_driver CONNINFO start|switch|contract|retire|retire_force|rollback|drop|pause|resume|verify NAME
 *   migration_driver CONNINFO set NAME OPTION=VALUE...
 *   migration_driver CONNINFO wait NAME WHAT SECONDS
 *   migration_driver CONNINFO preflight NAME
 *   migration_driver CONNINFO show|barrier|backfill | show1 NAME
 *
 * Rows come out one a line, fields separated by '|'. An error goes to stderr as SQLSTATE, message, detail, hint and
 * ends with status 1.
 */
#include "proxy/migration/commands.h"
#include "proxy/migration/engine.h"
#include "proxy/net/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OPTIONS 8

static int tell(const struct sg_error *err) {
    fprintf(stderr, "%s: %s\n%s\n%s\n", err->sqlstate, err->message, err->detail, err->hint);
    return 1;
}

static size_t read_options(char **argv, int argc, struct sg_migration_option *options) {
    size_t len = 0;
    for (int i = 0; i < argc && len < MAX_OPTIONS; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals) {
            *equals = '\0';
            options[len++] = (struct sg_migration_option){argv[i], equals + 1};
        }
    }
    return len;
}

static int run_engine(const char *conninfo, char **argv, int argc) {
    struct sg_engine_config config = {.control_conninfo = conninfo,
                                      .backfill_batch_rows = argc > 0 ? atoi(argv[0]) : 0,
                                      .lease_ms = argc > 1 ? atoi(argv[1]) : 1500,
                                      .poll_ms = 50};
    struct sg_hub *hub = sg_hub_new("test");
    struct sg_error err;
    struct sg_engine *engine = sg_engine_start(&config, hub, &err);
    if (!engine) {
        sg_hub_free(hub);
        return tell(&err);
    }
    puts("ready");
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    sg_engine_stop(engine);
    sg_hub_free(hub);
    return 0;
}

static int print_rows(PGresult *rows) {
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s", PQresultErrorMessage(rows));
        PQclear(rows);
        return 1;
    }
    for (int i = -1; i < PQntuples(rows); i++) {
        for (int j = 0; j < PQnfields(rows); j++) {
            printf("%s%s", j > 0 ? "|" : "", i < 0 ? PQfname(rows, j) : PQgetvalue(rows, i, j));
        }
        putchar('\n');
    }
    PQclear(rows);
    return 0;
}

static int create(PGconn *conn, char **argv, int argc) {
    struct sg_migration_option options[MAX_OPTIONS];
    struct sg_error err;
    struct sg_migration_spec spec = {.name = argv[0],
                                     .schema = strcmp(argv[1], "-") == 0 ? NULL : argv[1],
                                     .table = argv[2],
                                     .old_name = argv[3],
                                     .new_name = argv[4],
                                     .options = options,
                                     .options_len = read_options(argv + 5, argc - 5, options),
                                     .by = "tester"};
    return sg_migration_create(conn, &spec, &err) ? 0 : tell(&err);
}

static int set(PGconn *conn, char **argv, int argc) {
    struct sg_migration_option options[MAX_OPTIONS];
    size_t options_len = read_options(argv + 1, argc - 1, options);
    struct sg_error err;
    return sg_migration_set_backfill(conn, argv[0], options, options_len, &err) ? 0 : tell(&err);
}

static int wait_for(PGconn *conn, const char *name, const char *what, int seconds) {
    struct sg_error err;
    for (int i = 0; i < seconds * 50; i++) {
        switch (sg_migration_wait_check(conn, name, what, &err)) {
        case SG_WAIT_DONE:
            return 0;
        case SG_WAIT_FAILED:
            return tell(&err);
        case SG_WAIT_NOT_YET:
            usleep(20000);
        }
    }
    fprintf(stderr, "57014: time is up\n");
    return 1;
}

static int request(PGconn *conn, const char *verb, const char *name) {
    static const char *const verbs[] = {
        [SG_MIGRATION_START] = "start",
        [SG_MIGRATION_SWITCH] = "switch",
        [SG_MIGRATION_CONTRACT] = "contract",
        [SG_MIGRATION_RETIRE] = "retire",
        [SG_MIGRATION_RETIRE_FORCE] = "retire_force",
        [SG_MIGRATION_ROLLBACK] = "rollback",
        [SG_MIGRATION_DROP] = "drop",
        [SG_MIGRATION_PAUSE_BACKFILL] = "pause",
        [SG_MIGRATION_RESUME_BACKFILL] = "resume",
        [SG_MIGRATION_VERIFY] = "verify",
    };
    struct sg_error err;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i], verb) == 0) {
            return sg_migration_request(conn, (enum sg_migration_verb)i, name, "tester", &err) ? 0 : tell(&err);
        }
    }
    fprintf(stderr, "unknown command %s\n", verb);
    return 2;
}

static int preflight(PGconn *conn, const char *name) {
    struct sg_error err;
    PGresult *rows = sg_migration_preflight(conn, name, &err);
    return rows ? print_rows(rows) : tell(&err);
}

static int run_command(PGconn *conn, const char *command, char **argv, int argc) {
    if (strcmp(command, "show") == 0) {
        return print_rows(PQexec(conn, sg_sql_show_migrations));
    }
    if (strcmp(command, "barrier") == 0) {
        return print_rows(PQexec(conn, sg_sql_show_barrier));
    }
    if (strcmp(command, "backfill") == 0) {
        return print_rows(PQexec(conn, sg_sql_show_backfill));
    }
    if (strcmp(command, "show1") == 0 && argc == 1) {
        const char *params[] = {argv[0]};
        return print_rows(PQexecParams(conn, sg_sql_show_migration, 1, NULL, params, NULL, NULL, 0));
    }
    if (strcmp(command, "create") == 0 && argc >= 5) {
        return create(conn, argv, argc);
    }
    if (strcmp(command, "set") == 0 && argc >= 1) {
        return set(conn, argv, argc);
    }
    if (strcmp(command, "wait") == 0 && argc == 3) {
        return wait_for(conn, argv[0], argv[1], atoi(argv[2]));
    }
    if (strcmp(command, "preflight") == 0 && argc == 1) {
        return preflight(conn, argv[0]);
    }
    return argc == 1 ? request(conn, command, argv[0]) : 2;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        return 2;
    }
    if (strcmp(argv[2], "engine") == 0) {
        return run_engine(argv[1], argv + 3, argc - 3);
    }
    PGconn *conn = PQconnectdb(argv[1]);
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "08001: %s", PQerrorMessage(conn));
        PQfinish(conn);
        return 1;
    }
    int status = run_command(conn, argv[2], argv + 3, argc - 3);
    PQfinish(conn);
    return status;
}
