/*
 * task — one migration as the engine works on it: its row as last read, what the process remembers between two turns
 * (nothing that a restart would miss), and the short transaction in which every change of phase or state happens.
 *
 *      sg_task_load ... sg_task_begin (lock the row, is it still what was read?; lock the table)
 *                       sg_task_compose (the server prints the DDL, the server runs it)
 *                       sg_task_move (phase, state, verb; epoch + 1 when the phase changes)
 *                       sg_task_commit
 */
#ifndef SEGUE_MIGRATION_TASK_H
#define SEGUE_MIGRATION_TASK_H

#include "proxy/migration/db.h"
#include "proxy/migration/engine.h"
#include "segue/catalog.h"

#include <stdint.h>

#define SG_STATES(X)              \
    X(IDLE, "idle")               \
    X(EXPANDING, "expanding")     \
    X(BARRIER, "barrier")         \
    X(BACKFILLING, "backfilling") \
    X(PAUSED, "paused")           \
    X(MIRRORING, "mirroring")     \
    X(VERIFYING, "verifying")     \
    X(VERIFIED, "verified")       \
    X(CONTRACTING, "contracting") \
    X(FAILED, "failed")

/* What is being carried out. NONE: the migration rests. */
#define SG_VERBS(X)         \
    X(NONE, "")             \
    X(START, "start")       \
    X(VERIFY, "verify")     \
    X(SWITCH, "switch")     \
    X(CONTRACT, "contract") \
    X(ROLLBACK, "rollback")

enum sg_state {
#define X(name, text) SG_STATE_##name,
    SG_STATES(X)
#undef X
};
enum sg_verb {
#define X(name, text) SG_VERB_##name,
    SG_VERBS(X)
#undef X
};

const char *sg_state_name(enum sg_state state);
const char *sg_verb_name(enum sg_verb verb);

/* What a step says to its caller. ERROR leaves *reterr set and no transaction open. */
enum sg_turn {
    SG_TURN_MORE, /* something was done; go on at once */
    SG_TURN_WAIT, /* nothing can be done before task->wait_ms has passed */
    SG_TURN_ERROR,
};

struct sg_task {
    struct sg_task *next;
    int64_t id;

    /* The row, as sg_task_load found it. */
    char name[SG_NAME_BYTES];
    enum sg_phase phase;
    enum sg_state state;
    enum sg_verb verb;
    bool guard, paused, made_column;
    bool table_exists;
    int batch_rows;
    double max_p99_ratio;
    uint64_t phase_epoch;

    /* Lent by the runner for the length of a turn. */
    PGconn *conn;
    const struct sg_engine_config *config;
    struct sg_hub *hub;
    const char *proxy_id;

    /* Memory between turns; any of it may be lost. */
    int wait_ms;
    int64_t due_ms;         /* not before; monotonic */
    int tries;              /* of the step that is being retried */
    char *lockers;          /* barrier: virtual transactions waited for, as an array literal; NULL: not collected */
    uint64_t lockers_epoch; /* the phase_epoch they were collected for */
    uint64_t calm_p99_us;   /* the clients' p99 before the backfill began; 0: not known */
    int rest_ms;            /* pause between batches */
    char replay_lsn[24];    /* switch: what every standby must have replayed; "" until asked */
};

bool sg_task_load(struct sg_task *task, struct sg_error *reterr);
void sg_task_free(struct sg_task *task);

/* Opens a transaction with lock_timeout, locks the migration's row, and, when lock_table, the table and all below it in
 * ACCESS EXCLUSIVE mode: one lock wait, bounded, before anything is done. 40001 when the row is no longer what
 * sg_task_load read. */
bool sg_task_begin(struct sg_task *task, bool lock_table, struct sg_error *reterr);

/* plan_sql is a query ($1: migration id, $2: arg) whose first column is statements, run in order; NULLs are skipped. */
bool sg_task_compose(struct sg_task *task, const char *plan_sql, const char *arg, struct sg_error *reterr);

/* For a plan that has a row as long as the table exists: it may be dropped between any two statements. */
bool sg_task_table_is_there(const PGresult *plan, struct sg_error *reterr);

bool sg_task_move(struct sg_task *task, enum sg_phase phase, enum sg_state state, enum sg_verb verb, const char *detail,
                  struct sg_error *reterr);
bool sg_task_commit(struct sg_task *task, struct sg_error *reterr);

/* begin + move + commit, for a change of state with no DDL. */
enum sg_turn sg_task_go(struct sg_task *task, enum sg_state state, enum sg_verb verb, const char *detail,
                        struct sg_error *reterr);

/* The usual end of a step whose transaction could not be done: ROLLBACK, then WAIT with jittered back-off when the
 * trouble is a passing one, ERROR otherwise. */
enum sg_turn sg_task_give_way(struct sg_task *task, const struct sg_error *err, struct sg_error *reterr);

/* Records that the step failed and why; the migration rests until it is asked to go on or back. */
void sg_task_fail(struct sg_task *task, const struct sg_error *err);

#endif
