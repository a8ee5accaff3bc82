#include "bench/load/session.h"

#include "bench/load/complaints.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECONNECT_PAUSE_MS 100
/* After an error, so that a broken server is not hammered. */
#define ERROR_PAUSE_MS 20

enum way { WAY_LITERALS, WAY_PARAMS, WAY_PREPARED, WAYS };
static const char *const way_names[] = {"simple, literals", "extended, parameters", "prepared"};

uint64_t sg_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

size_t sg_session_random(struct sg_session *session, size_t below) {
    return (size_t)((sg_random(&session->random_state) >> 11) % below);
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void count_error(struct sg_session *session) {
    atomic_fetch_add(&sg_metrics_now(session->metrics, session->app)->errors, 1);
}

static void ignore_notice(void *arg, const PGresult *res) {
    (void)arg;
    (void)res;
}

/* "$1 = 'x', $2 = NULL" for messages; malloc'd. */
static char *params_text(enum sg_statement statement, const char *const *params) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    size_t params_len = strlen(sg_statement_params(statement));
    for (size_t i = 0; params && i < params_len; i++)
        fprintf(out, "%s$%zu = %s%s%s", i ? ", " : "", i + 1, params[i] ? "'" : "", params[i] ? params[i] : "NULL",
                params[i] ? "'" : "");
    fclose(out);
    return text;
}

static bool prepare_all(struct sg_session *session) {
    for (int i = 0; i < SG_STMTS; i++) {
        PGresult *res = PQprepare(session->conn, sg_statement_name(i), session->dialect->sql[i], 0, NULL);
        bool ok = PQresultStatus(res) == PGRES_COMMAND_OK;
        if (!ok && (PQstatus(session->conn) != CONNECTION_BAD || !session->may_reconnect)) {
            count_error(session);
            sg_complain("error: %s client %u, preparing %s: %s    %s", sg_app_name(session->app), session->client,
                        sg_statement_name(i), PQresultErrorMessage(res), session->dialect->sql[i]);
        }
        PQclear(res);
        if (!ok && PQstatus(session->conn) == CONNECTION_BAD)
            return false;
    }
    return true;
}

static bool connect_once(struct sg_session *session, bool last_try) {
    session->conn = PQconnectdb(session->conninfo);
    if (PQstatus(session->conn) == CONNECTION_OK) {
        PQsetNoticeReceiver(session->conn, ignore_notice, NULL);
        PQsetErrorVerbosity(session->conn, PQERRORS_VERBOSE);
        if (prepare_all(session))
            return true;
    } else if (last_try) {
        count_error(session);
        sg_complain("error: %s client %u cannot connect: %s", sg_app_name(session->app), session->client,
                    PQerrorMessage(session->conn));
    }
    sg_session_close(session);
    return false;
}

bool sg_session_connect(struct sg_session *session, int tries) {
    session->lost = false;
    for (int i = 1; i <= tries; i++) {
        if (connect_once(session, i == tries))
            return true;
        pause_ms(RECONNECT_PAUSE_MS);
    }
    return false;
}

void sg_session_close(struct sg_session *session) {
    PQfinish(session->conn);
    session->conn = NULL;
}

/* The statement with its parameters as literals; malloc'd. */
static char *with_literals(struct sg_session *session, enum sg_statement statement, const char *const *params) {
    const char *kinds = sg_statement_params(statement);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    for (const char *c = session->dialect->sql[statement]; *c; c++) {
        if (c[0] != '$' || c[1] < '1' || c[1] > '9') {
            fputc(*c, out);
            continue;
        }
        char *end;
        size_t i = strtoul(c + 1, &end, 10) - 1;
        c = end - 1;
        if (!params[i] || kinds[i] == 'i') {
            fputs(params[i] ? params[i] : "NULL", out);
        } else {
            char *literal = PQescapeLiteral(session->conn, params[i], strlen(params[i]));
            fputs(literal ? literal : "NULL", out);
            PQfreemem(literal);
        }
    }
    fclose(out);
    return text;
}

static PGresult *send(struct sg_session *session, enum sg_statement statement, const char *const *params,
                      enum way way) {
    int params_len = (int)strlen(sg_statement_params(statement));
    if (way == WAY_PREPARED)
        return PQexecPrepared(session->conn, sg_statement_name(statement), params_len, params, NULL, NULL, 0);
    if (way == WAY_PARAMS)
        return PQexecParams(session->conn, session->dialect->sql[statement], params_len, NULL, params, NULL, NULL, 0);
    char *sql = with_literals(session, statement, params);
    PGresult *res = PQexec(session->conn, sql);
    free(sql);
    return res;
}

static void keep_pace(struct sg_session *session) {
    if (session->interval_ns == 0)
        return;
    uint64_t now_ns = sg_now_ns();
    if (now_ns < session->next_ns) {
        uint64_t wait_ns = session->next_ns - now_ns;
        nanosleep(&(struct timespec){(time_t)(wait_ns / 1000000000ULL), (long)(wait_ns % 1000000000ULL)}, NULL);
    } else {
        session->next_ns = now_ns; /* what was missed is not made up for */
    }
    session->next_ns += session->interval_ns;
}

static void failed(struct sg_session *session, enum sg_statement statement, const char *const *params, enum way way,
                   const PGresult *res) {
    session->lost = PQstatus(session->conn) == CONNECTION_BAD;
    if (session->lost && session->may_reconnect) {
        atomic_fetch_add(&sg_metrics_now(session->metrics, session->app)->breaks, 1);
        return;
    }
    char *text = params_text(statement, params);
    const char *message = res ? PQresultErrorMessage(res) : PQerrorMessage(session->conn);
    count_error(session);
    sg_complain("error: %s client %u in %s (%s): %s    %s\n    %s", sg_app_name(session->app), session->client,
                session->metrics->stages[atomic_load(&session->metrics->stage)].name, way_names[way],
                *message ? message : PQerrorMessage(session->conn), session->dialect->sql[statement], text);
    free(text);
    pause_ms(ERROR_PAUSE_MS);
}

PGresult *sg_session_run(struct sg_session *session, enum sg_statement statement, const char *const *params) {
    enum way way = (enum way)sg_session_random(session, WAYS);
    keep_pace(session);
    uint64_t began_ns = sg_now_ns();
    PGresult *res = send(session, statement, params, way);
    ExecStatusType status = PQresultStatus(res);
    sg_metrics_statement(session->metrics, session->app, began_ns);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return res;
    failed(session, statement, params, way, res);
    PQclear(res);
    return NULL;
}

void sg_session_mismatch(struct sg_session *session, enum sg_statement statement, const char *const *params,
                         const char *fmt, ...) {
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    char *text = params_text(statement, params);
    struct sg_metrics *metrics = session->metrics;
    atomic_fetch_add(&sg_metrics_now(metrics, session->app)->mismatches, 1);
    sg_complain("wrong answer: %s client %u in %s: %s\n    %s\n    %s", sg_app_name(session->app), session->client,
                metrics->stages[atomic_load(&metrics->stage)].name, what, session->dialect->sql[statement], text);
    free(text);
}

void sg_session_checked(struct sg_session *session, unsigned checks) {
    atomic_fetch_add_explicit(&sg_metrics_now(session->metrics, session->app)->checks, checks, memory_order_relaxed);
}
