/*
 * db — the few things every file of this room does with libpq: connect with known settings, run one statement, turn
 * what went wrong into an sg_error, and tell a passing trouble from a lasting one.
 *
 * A connection belongs to one thread. Statement texts are constants; values go in as parameters, and DDL (which takes
 * no parameters) is composed by the server itself with format('%I'), so no identifier is ever quoted by hand.
 */
#ifndef SEGUE_MIGRATION_DB_H
#define SEGUE_MIGRATION_DB_H

#include "segue/error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* Advisory locks of segue: (SG_LOCK_CLASS, what). They are local to the database. */
#define SG_LOCK_CLASS       0x73656775
#define SG_LOCK_SCHEMA      1
#define SG_LOCK_COORDINATOR 2

/* search_path is pg_catalog only: names in composed DDL and in expressions that the server prints come out qualified.
 */
PGconn *sg_db_connect(const char *conninfo, const char *application_name, struct sg_error *reterr);

/* How long the calling thread waits for one answer, in milliseconds; 0, as at first: for as long as it takes. Then the
 * connection is given up: a server that stands still would hold up what else the thread has to do. */
void sg_db_set_patience(int patience_ms);

/* params end with a NULL only by params_len; a NULL entry is SQL NULL. The result is the caller's to PQclear. */
PGresult *sg_db_query(PGconn *conn, const char *sql, int params_len, const char *const *params,
                      struct sg_error *reterr);
bool sg_db_run(PGconn *conn, const char *sql, int params_len, const char *const *params, struct sg_error *reterr);
bool sg_db_exec(PGconn *conn, const char *sql, struct sg_error *reterr);

/* The first column of the first row. false on failure, no row, or NULL (with *reterr set in every case). */
bool sg_db_int(PGconn *conn, const char *sql, int params_len, const char *const *params, int64_t *ret_value,
               struct sg_error *reterr);

#define SG_ARGS(...)                                                                                  \
    (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), (const char *const[]) { \
        __VA_ARGS__                                                                                   \
    }

/* A number as a parameter; the buffer lives as long as the enclosing block. */
struct sg_num {
    char text[24];
};
struct sg_num sg_num_of(int64_t value);

/* Ends a transaction that failed; harmless outside one. */
void sg_db_rollback(PGconn *conn);
void sg_db_error_from(PGconn *conn, const PGresult *result, struct sg_error *reterr);

/* Lock timeout, deadlock, serialization failure, cancel: the same statement may well succeed in a moment. */
bool sg_db_is_transient(const struct sg_error *err);
bool sg_db_is(const struct sg_error *err, const char *sqlstate);
bool sg_db_is_lost(PGconn *conn);

#endif
