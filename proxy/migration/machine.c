/*
 * Invariants
 *   1. The row in segue.migration is the whole state: (verb, phase, state) says what is done next, and every step can
 * be done again from its beginning. Nothing is remembered elsewhere that a restart would miss.
 *   2. A change of phase and the DDL that goes with it are one transaction, which also adds one to the epoch.
 *   3. A phase is left only after the barrier of its epoch: at most two neighbouring phases are live at a time.
 *   4. Backfill begins after the barrier of dual_write; nobody reads the new column before the fence is validated;
 *      the old column is dropped after the barrier of new_only.
 *   5. Each transition locks the row and checks that (verb, phase, state) are what its decision was based on, so a
 *      request of the operator is never overwritten.
 *   6. A resting migration has no verb. A step that fails for good leaves state failed and the reason, and rests.
 *
 *   CREATE                START                                                           SWITCH
 *     |     planned          |       dual_write                                              |      read_new
 *     v                      v                                                               v
 *   idle -----------> expanding --sg_expand--> barrier --+                 +--> verified --> barrier --> verified
 *     ^        (barrier of planned)                      |                 |   (switch_over)  (settle)      |
 *     |                                       (settle)   v                 |                                | CONTRACT
 *     |                                 paused <--> backfilling <----------+ rows differ                    v
 *     |                                       sg_backfill_turn             |                           contracting
 *     |                                                  v                 |                       sg_contract_turn
 *     |                                              mirroring --> verifying                                |
 *     |                                         sg_mirror_build   sg_verify_turn                new_only    v
 *     |                                                                                     contracting (barrier)
 *     +--- sg_rollback_turn, from any state of dual_write and read_new                          |  drop_old
 *                                                                                               v
 *                                                                                       idle --RETIRE--> retired
 */
#include "proxy/migration/machine.h"

#include "proxy/migration/backfill.h"
#include "proxy/migration/barrier.h"
#include "proxy/migration/contract.h"
#include "proxy/migration/expand.h"
#include "proxy/migration/guard.h"
#include "proxy/migration/mirror.h"
#include "proxy/migration/rollback.h"
#include "proxy/migration/verify.h"

#include <stdio.h>

/* Statements that were planned before the mapping existed have gone before the first column is added. */
static enum sg_turn expand_turn(struct sg_task *task, struct sg_error *reterr) {
    enum sg_turn turn = sg_barrier_wait(task, reterr);
    return turn == SG_TURN_MORE ? sg_expand(task, reterr) : turn;
}

/* The barrier after a change of phase. */
static enum sg_turn settle(struct sg_task *task, enum sg_state next, enum sg_verb verb, struct sg_error *reterr) {
    enum sg_turn turn = sg_barrier_wait(task, reterr);
    return turn == SG_TURN_MORE ? sg_task_go(task, next, verb, NULL, reterr) : turn;
}

static enum sg_turn mirror_turn(struct sg_task *task, struct sg_error *reterr) {
    bool complete = false;
    enum sg_turn turn = sg_mirror_build(task, SG_TWINS_ALL, &complete, reterr);
    return turn == SG_TURN_MORE && complete ? sg_task_go(task, SG_STATE_VERIFYING, task->verb, NULL, reterr) : turn;
}

static enum sg_turn start_turn(struct sg_task *task, struct sg_error *reterr) {
    if (task->phase == SG_PHASE_PLANNED) {
        return expand_turn(task, reterr);
    }
    switch (task->state) {
    case SG_STATE_BARRIER:
        return settle(task, SG_STATE_BACKFILLING, SG_VERB_START, reterr);
    case SG_STATE_BACKFILLING:
        return sg_backfill_turn(task, reterr);
    case SG_STATE_PAUSED:
        if (!task->paused) {
            return sg_task_go(task, SG_STATE_BACKFILLING, task->verb, NULL, reterr);
        }
        task->wait_ms = 1000;
        return SG_TURN_WAIT;
    case SG_STATE_MIRRORING:
        return mirror_turn(task, reterr);
    default:
        return sg_verify_turn(task, reterr);
    }
}

/*
 * A standby that serves reads must have the copied rows before the new column is read. Logical subscribers are not
 * asked: what they hold is their own. Without the right to see replay_lsn there is nothing to wait for.
 */
static const char standbys_sql[] =
    "SELECT count(*) FROM pg_stat_replication r WHERE r.state = 'streaming' AND r.replay_lsn < $1::pg_lsn"
    " AND NOT EXISTS (SELECT 1 FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')";

static enum sg_turn wait_for_standbys(struct sg_task *task, struct sg_error *reterr) {
    if (task->replay_lsn[0] == '\0') {
        PGresult *row = sg_db_query(task->conn, "SELECT pg_current_wal_lsn()", 0, NULL, reterr);
        if (!row) {
            return SG_TURN_ERROR;
        }
        snprintf(task->replay_lsn, sizeof(task->replay_lsn), "%s", PQgetvalue(row, 0, 0));
        PQclear(row);
    }
    int64_t behind;
    if (!sg_db_int(task->conn, standbys_sql, SG_ARGS(task->replay_lsn), &behind, reterr)) {
        return SG_TURN_ERROR;
    }
    task->wait_ms = 100;
    return behind > 0 ? SG_TURN_WAIT : SG_TURN_MORE;
}

static enum sg_turn switch_over(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    /* State verified was true once; if the fence has gone since, it is put back and proved again (inv. 4). */
    if (!sg_verify_fence(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    enum sg_turn turn = wait_for_standbys(task, reterr);
    if (turn != SG_TURN_MORE) {
        return turn;
    }
    if (!sg_task_begin(task, false, &err) || !sg_guard_change(task, SG_GUARD_READ_NEW, &err) ||
        !sg_task_move(task, SG_PHASE_READ_NEW, SG_STATE_BARRIER, SG_VERB_SWITCH, NULL, &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    task->replay_lsn[0] = '\0'; /* a later SWITCH asks anew */
    return SG_TURN_MORE;
}

enum sg_turn sg_machine_turn(struct sg_task *task, struct sg_error *reterr) {
    if (!task->table_exists) {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_TABLE, "the table has been dropped; DROP MIGRATION is what is left");
        return SG_TURN_ERROR;
    }
    switch (task->verb) {
    case SG_VERB_START:
    case SG_VERB_VERIFY: /* from verifying; in dual_write it may have to backfill again, as in start */
        return start_turn(task, reterr);
    case SG_VERB_SWITCH:
        return task->phase == SG_PHASE_DUAL_WRITE ? switch_over(task, reterr)
                                                  : settle(task, SG_STATE_VERIFIED, SG_VERB_NONE, reterr);
    case SG_VERB_CONTRACT:
        return sg_contract_turn(task, reterr);
    case SG_VERB_ROLLBACK:
        return sg_rollback_turn(task, reterr);
    case SG_VERB_NONE:
        break;
    }
    task->wait_ms = 1000;
    return SG_TURN_WAIT;
}
