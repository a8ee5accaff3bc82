#include "proxy/migration/rollback.h"

#include "proxy/migration/barrier.h"
#include "proxy/migration/guard.h"

/*
 * From here on proxies in planned write the old column only: what stands on the new one must not refuse their rows.
 * What came down from a table above goes with that one's, and cannot go by itself.
 */
static const char unbind_sql[] =
    "WITH t AS (SELECT * FROM segue.part WHERE id = $1 AND new_num IS NOT NULL),"
    " twin_index AS (SELECT i.tab, i.nspname, i.unique_twin, k.conname, k.coninhcount FROM segue.old_index i"
    "   JOIN pg_class x ON x.relname = i.unique_twin JOIN pg_namespace n ON n.oid = x.relnamespace AND n.nspname = "
    "i.nspname"
    "   LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.contype = 'u'"
    "   WHERE i.id = $1 AND NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhrelid = x.oid))"
    " SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', tab, fence) FROM t WHERE is_top"
    " UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', tab, not_null_check) FROM t WHERE has_rows"
    " UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', tab, k.conname) FROM t JOIN pg_constraint k"
    "   ON k.conrelid = t.relid AND k.coninhcount = 0 AND k.conname LIKE format('segue\\_c%s\\_%%', id)"
    " UNION ALL (SELECT format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL', tab, new) FROM t WHERE new_not_null"
    "   ORDER BY level)"
    " UNION ALL SELECT CASE WHEN conname IS NOT NULL THEN format('ALTER TABLE %s DROP CONSTRAINT %I', tab, conname)"
    "   ELSE format('DROP INDEX %I.%I', nspname, unique_twin) END FROM twin_index";

/* Its indexes and constraints go with the column. Not a column that the operator made, and not the only one left of the
 * two after somebody has dropped the old one by hand. A child keeps what it has by itself, so it is asked after. */
static const char drop_new_sql[] =
    "SELECT format('ALTER TABLE %s DROP COLUMN %s', tab, new) FROM segue.part t JOIN segue.migration m USING (id)"
    " WHERE t.id = $1 AND m.made_column AND t.new_local AND t.old_num IS NOT NULL ORDER BY t.level";

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
