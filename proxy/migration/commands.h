/*
 * commands — what an operator may ask of a migration. Each call is one short transaction on a control connection: it
 * checks, records the request in schema `segue` and returns; the engine does the work. A call that fails fills *reterr
 * (SQLSTATE, detail, hint) and changes nothing. The connection belongs to the caller's thread.
 */
#ifndef SEGUE_MIGRATION_COMMANDS_H
#define SEGUE_MIGRATION_COMMANDS_H

#include "segue/error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

struct sg_migration_option {
    const char *name, *value; /* WITH (name = value, ...), names folded to lower case */
};

/* CREATE MIGRATION name ON [schema.]table RENAME COLUMN old TO new [WITH (...)]. Names folded/unquoted already. */
struct sg_migration_spec {
    const char *name;
    const char *database; /* IN db; NULL when left out. Must be the control database */
    const char *schema;   /* NULL: found by the control role's search_path */
    const char *table;
    const char *old_name, *new_name;
    const struct sg_migration_option *options;
    size_t options_len;
    const char *by; /* console user, for the history */
};

bool sg_migration_create(PGconn *conn, const struct sg_migration_spec *spec, struct sg_error *reterr);

enum sg_migration_verb {
    SG_MIGRATION_START,
    SG_MIGRATION_SWITCH,
    SG_MIGRATION_CONTRACT,
    SG_MIGRATION_RETIRE,
    SG_MIGRATION_RETIRE_FORCE,
    SG_MIGRATION_ROLLBACK,
    SG_MIGRATION_DROP,
    SG_MIGRATION_PAUSE_BACKFILL,
    SG_MIGRATION_RESUME_BACKFILL,
    SG_MIGRATION_VERIFY,
};

bool sg_migration_request(PGconn *conn, enum sg_migration_verb verb, const char *name, const char *by,
                          struct sg_error *reterr);

/* SET BACKFILL m key = value, ... */
bool sg_migration_set_backfill(PGconn *conn, const char *name, const struct sg_migration_option *options,
                               size_t options_len, struct sg_error *reterr);

/* One WITH or SET BACKFILL option that is about pace: checks it and points one of the two at its value. */
bool sg_backfill_option(const struct sg_migration_option *option, const char **ret_batch_rows,
                        const char **ret_max_p99_ratio, struct sg_error *reterr);

/* One look for WAIT m FOR what. DONE: reached or passed. FAILED: cannot be reached any more, *reterr says why. */
enum sg_wait { SG_WAIT_NOT_YET, SG_WAIT_DONE, SG_WAIT_FAILED };
enum sg_wait sg_migration_wait_check(PGconn *conn, const char *name, const char *what, struct sg_error *reterr);

/* Does every live proxy serve the mappings as they are now, with no session left on older ones? */
bool sg_migration_is_served(PGconn *conn, bool *ret_served, struct sg_error *reterr);

/* The SHOW commands that read rows: SQL to run on the control connection whose result is shown as it is. */
extern const char sg_sql_show_migrations[]; /* no parameters */
extern const char sg_sql_show_migration[];  /* $1: name; phase history included as rows */
extern const char sg_sql_show_backfill[];
extern const char sg_sql_show_barrier[];
/* PREFLIGHT m: rows (level, what, detail, hint); level is blocker or warning. NULL and *reterr on failure. */
PGresult *sg_migration_preflight(PGconn *conn, const char *name, struct sg_error *reterr);

#endif
