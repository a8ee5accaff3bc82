#include "proxy/migration/rollback.h"

#include "proxy/migration/barrier.h"
#include "proxy/migration/guard.h"

/* From here on proxies in planned write the old column only: what stands on the new one must not refuse their rows. */
static const char unbind_sql[] =
    "WITH t AS (SELECT * FROM segue.target WHERE id = $1 AND new_num IS NOT NULL)"
    " SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', tab, unnest(ARRAY[fence, not_null_check])) FROM t"
    " UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', tab, k.twin)"
    "   FROM t JOIN segue.old_constraint k USING (id)"
    " UNION ALL SELECT format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL', tab, new) FROM t"
    " UNION ALL SELECT format('DROP INDEX IF EXISTS %I.%I', i.nspname, i.unique_twin)"
    "   FROM t JOIN segue.old_index i USING (id)";

/* Its indexes and constraints go with the column. Not a column that the operator made, and not the only one left of the
 * two after somebody has dropped the old one by hand. */
static const char drop_new_sql[] =
    "SELECT format('ALTER TABLE %s DROP COLUMN %s', tab, new) FROM segue.target t JOIN segue.migration m USING (id)"
    " WHERE t.id = $1 AND m.made_column AND t.new_num IS NOT NULL AND t.old_num IS NOT NULL";

static const char end_window_sql[] =
    "UPDATE segue.migration SET made_column = false, rolled_back = true, divergent = NULL WHERE id = $1";

static enum sg_turn to_dual_write(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    /* A contract that had begun has put in its own guard, whatever the migration's options say. */
    if (!sg_task_begin(task, true, &err) ||
        !(task->guard ? sg_guard_install(task, SG_GUARD_DUAL_WRITE, &err) : sg_guard_drop(task, &err)) ||
        !sg_task_move(task, SG_PHASE_DUAL_WRITE, SG_STATE_BARRIER, SG_VERB_ROLLBACK, NULL, &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return SG_TURN_MORE;
}

static enum sg_turn to_planned(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    if (!sg_task_begin(task, true, &err) || !sg_task_compose(task, unbind_sql, NULL, &err) ||
        !sg_task_move(task, SG_PHASE_PLANNED, SG_STATE_BARRIER, SG_VERB_ROLLBACK, NULL, &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return SG_TURN_MORE;
}

static enum sg_turn clean_up(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    struct sg_error err;
    /* Before expand there is nothing on the table, so a reader of it need not be waited for. */
    bool is_clean = !task->made_column;
    if (!sg_task_begin(task, !is_clean, &err) || (!is_clean && !sg_guard_drop(task, &err)) ||
        (!is_clean && !sg_task_compose(task, drop_new_sql, NULL, &err)) ||
        !sg_db_run(task->conn, end_window_sql, SG_ARGS(id.text), &err) ||
        !sg_task_move(task, SG_PHASE_PLANNED, SG_STATE_IDLE, SG_VERB_NONE, "rolled back", &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return SG_TURN_MORE;
}

enum sg_turn sg_rollback_turn(struct sg_task *task, struct sg_error *reterr) {
    enum sg_turn turn = sg_barrier_wait(task, reterr);
    if (turn != SG_TURN_MORE) {
        return turn;
    }
    return task->phase == SG_PHASE_READ_NEW     ? to_dual_write(task, reterr)
           : task->phase == SG_PHASE_DUAL_WRITE ? to_planned(task, reterr)
                                                : clean_up(task, reterr);
}
