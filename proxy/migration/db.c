#include "proxy/migration/db.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Whatever the role or database settings say, the engine's own statements must mean the same. Timeouts are off because
 * a validation may take hours; the short DDL transactions set lock_timeout for themselves. */
static const char session_settings[] =
    "SELECT pg_catalog.set_config(name, value, false) FROM (VALUES ('search_path', 'pg_catalog, pg_temp'),"
    " ('statement_timeout', '0'), ('lock_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),"
    " ('default_transaction_isolation', 'read committed'), ('default_transaction_read_only', 'off'),"
    " ('default_transaction_deferrable', 'off'), ('client_min_messages', 'warning'), ('extra_float_digits', '1'),"
    " ('datestyle', 'ISO'), ('quote_all_identifiers', 'off'), ('jit', 'off'),"
    " ('standard_conforming_strings', 'on'))"
    " AS s(name, value)";

/* A server that never looks at its client would go on building an index, and holding the coordinator's lock, for a
 * process that is gone. Servers before 14 do not have the setting. */
static const char notice_our_end[] = "SELECT pg_catalog.set_config(name, '2000', false) FROM pg_catalog.pg_settings"
                                     " WHERE name = 'client_connection_check_interval'";

static void ignore_notice(void *arg, const PGresult *result) {
    (void)arg;
    (void)result;
}

PGconn *sg_db_connect(const char *conninfo, const char *application_name, struct sg_error *reterr) {
    /* A dead network must show before the lease (10 s by default) runs out. What the operator wrote comes later and
     * wins, except for the encoding this code is written for. */
    const char *const keys[] = {"connect_timeout",  "keepalives_idle",           "keepalives_interval",
                                "keepalives_count", "tcp_user_timeout",          "dbname",
                                "client_encoding",  "fallback_application_name", NULL};
    const char *const values[] = {"3", "2", "1", "3", "3000", conninfo, "UTF8", application_name, NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    if (!conn) {
        abort();
    }
    if (PQstatus(conn) != CONNECTION_OK) {
        sg_error_set(reterr, SG_SQLSTATE_CANNOT_CONNECT, "cannot connect to the control database");
        sg_error_detail(reterr, "%s", PQerrorMessage(conn));
        sg_error_hint(reterr, "Check the control connection string and that the role may log in.");
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    /* Such a database may hold any bytes, and would refuse to show those that are no UTF-8. */
    const char *server = PQparameterStatus(conn, "server_encoding");
    if (server && strcmp(server, "SQL_ASCII") == 0) {
        PQsetClientEncoding(conn, server);
    }
    if (!sg_db_exec(conn, session_settings, reterr) || !sg_db_exec(conn, notice_our_end, reterr)) {
        PQfinish(conn);
        return NULL;
    }
    return conn;
}

static void trim_newlines(char *text) {
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n') {
        text[--len] = '\0';
    }
}

void sg_db_error_from(PGconn *conn, const PGresult *result, struct sg_error *reterr) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!message) {
        sg_error_set(reterr, SG_SQLSTATE_CONNECTION_FAILURE, "%s", PQerrorMessage(conn));
        trim_newlines(reterr->message);
        return;
    }
    sg_error_set(reterr, SG_SQLSTATE_INTERNAL_ERROR, "%s", message);
    if (state && strlen(state) == 5) {
        memcpy(reterr->sqlstate, state, 6);
    }
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (detail) {
        sg_error_detail(reterr, "%s", detail);
    }
    if (hint) {
        sg_error_hint(reterr, "%s", hint);
    }
}

static _Thread_local int patience_ms;

void sg_db_set_patience(int ms) {
    patience_ms = ms;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the next result is there, or there will be none. */
static void await(PGconn *conn, int64_t until_ms) {
    while (PQisBusy(conn)) {
        int64_t left_ms = until_ms - now_ms();
        struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
        if (left_ms <= 0) {
            shutdown(fd.fd, SHUT_RDWR); /* libpq takes it from here: the connection is lost */
        } else if (poll(&fd, 1, (int)left_ms) <= 0) {
            continue;
        }
        if (!PQconsumeInput(conn)) {
            return;
        }
    }
}

/* As PQexec does it: the last result, or the first error. */
static PGresult *run_patiently(PGconn *conn, const char *sql, int params_len, const char *const *params) {
    int64_t until_ms = now_ms() + patience_ms;
    int sent =
        params_len > 0 ? PQsendQueryParams(conn, sql, params_len, NULL, params, NULL, NULL, 0) : PQsendQuery(conn, sql);
    PGresult *last = NULL, *next = NULL;
    while (sent) {
        await(conn, until_ms);
        next = PQgetResult(conn);
        if (!next) {
            break;
        }
        if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
            PQclear(next);
        } else {
            PQclear(last);
            last = next;
        }
        sent = PQstatus(conn) == CONNECTION_OK;
    }
    return last;
}

static PGresult *run(PGconn *conn, const char *sql, int params_len, const char *const *params) {
    if (patience_ms > 0) {
        return run_patiently(conn, sql, params_len, params);
    }
    return params_len > 0 ? PQexecParams(conn, sql, params_len, NULL, params, NULL, NULL, 0) : PQexec(conn, sql);
}

PGresult *sg_db_query(PGconn *conn, const char *sql, int params_len, const char *const *params,
                      struct sg_error *reterr) {
    PGresult *result = run(conn, sql, params_len, params);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
        sg_db_error_from(conn, result, reterr);
        PQclear(result);
        return NULL;
    }
    return result;
}

bool sg_db_run(PGconn *conn, const char *sql, int params_len, const char *const *params, struct sg_error *reterr) {
    PGresult *result = sg_db_query(conn, sql, params_len, params, reterr);
    PQclear(result);
    return result != NULL;
}

bool sg_db_exec(PGconn *conn, const char *sql, struct sg_error *reterr) {
    return sg_db_run(conn, sql, 0, NULL, reterr);
}

bool sg_db_int(PGconn *conn, const char *sql, int params_len, const char *const *params, int64_t *ret_value,
               struct sg_error *reterr) {
    PGresult *result = sg_db_query(conn, sql, params_len, params, reterr);
    if (!result) {
        return false;
    }
    bool found = PQntuples(result) > 0 && !PQgetisnull(result, 0, 0);
    if (found) {
        *ret_value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    } else {
        sg_error_set(reterr, SG_SQLSTATE_INTERNAL_ERROR, "a row that must exist in schema segue is missing");
        sg_error_detail(reterr, "%.200s", sql);
    }
    PQclear(result);
    return found;
}

struct sg_num sg_num_of(int64_t value) {
    struct sg_num num;
    snprintf(num.text, sizeof(num.text), "%" PRId64, value);
    return num;
}

void sg_db_rollback(PGconn *conn) {
    if (PQtransactionStatus(conn) != PQTRANS_IDLE) {
        PQclear(run(conn, "ROLLBACK", 0, NULL));
    }
}

bool sg_db_is(const struct sg_error *err, const char *sqlstate) {
    return strcmp(err->sqlstate, sqlstate) == 0;
}

bool sg_db_is_transient(const struct sg_error *err) {
    return sg_db_is(err, "55P03") || sg_db_is(err, "40P01") || sg_db_is(err, "40001") || sg_db_is(err, "57014");
}

bool sg_db_is_lost(PGconn *conn) {
    return PQstatus(conn) != CONNECTION_OK;
}
