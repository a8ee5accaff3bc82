/*
 * session — one connection of one app version. A statement goes out in one of three ways: as text with literals in it,
 * with parameters, or prepared once when the connection was made and executed through every phase of the migration.
 * Owned by one thread.
 */
#ifndef SEGUE_BENCH_SESSION_H
#define SEGUE_BENCH_SESSION_H

#include "bench/load/metrics.h"
#include "bench/load/statements.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct sg_session {
    enum sg_app app;
    unsigned client; /* number, for messages */
    const char *conninfo;
    const struct sg_dialect *dialect;
    struct sg_metrics *metrics;
    bool may_reconnect;   /* a lost connection is a break, not an error */
    uint64_t interval_ns; /* at most one statement in this time; 0: as fast as it goes */
    uint64_t next_ns;
    uint64_t random_state; /* not 0 */
    PGconn *conn;          /* NULL until connected */
    bool lost;             /* the connection broke under the last statement */
};

uint64_t sg_random(uint64_t *state);
/* 0 .. below-1; below > 0. */
size_t sg_session_random(struct sg_session *session, size_t below);

/* Connects and prepares every statement, at most so many tries, a tenth of a second apart. False when that failed:
 * complained of and counted. */
bool sg_session_connect(struct sg_session *session, int tries);
void sg_session_close(struct sg_session *session);

/* Runs a statement in a way of its choice. NULL when it failed: counted and complained of. The result is the caller's.
 */
PGresult *sg_session_run(struct sg_session *session, enum sg_statement statement, const char *const *params);

/* An answer that is not what it must be: counted, and complained of with the statement and its parameters. */
void sg_session_mismatch(struct sg_session *session, enum sg_statement statement, const char *const *params,
                         const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void sg_session_checked(struct sg_session *session, unsigned checks);

#endif
