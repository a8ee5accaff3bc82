#include "proxy/migration/verify.h"

#include <stdlib.h>

/* Tables below get it from above. */
static const char add_fence_sql[] =
    "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (NOT (%s)) NOT VALID', tab, fence,"
    "   segue.differs(exact, new, old)) FROM segue.part t WHERE id = $1 AND is_top"
    " AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = t.relid AND k.conname = t.fence)";

/* Table by table, from below: the statement on the one above then finds them proved, and no lock is held for longer
 * than one table takes. */
static const char validate_sql[] =
    "SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', tab, fence) FROM segue.part t"
    " JOIN pg_constraint k ON k.conrelid = t.relid AND k.conname = t.fence"
    " WHERE id = $1 AND NOT k.convalidated ORDER BY t.level DESC, t.relid";

static const char count_sql[] =
    "SELECT format('UPDATE segue.migration SET divergent = %s WHERE id = %s',"
    "   string_agg(format('(SELECT count(*) FROM %s WHERE %s)', tab, segue.differs(exact, new, old)), ' + '), id)"
    " FROM segue.part WHERE id = $1 AND is_top GROUP BY id";

static bool add_fence(struct sg_task *task, struct sg_error *reterr) {
    return sg_task_begin(task, false, reterr) && sg_task_compose(task, add_fence_sql, NULL, reterr) &&
           sg_task_commit(task, reterr);
}

bool sg_verify_fence(struct sg_task *task, struct sg_error *reterr) {
    if (!add_fence(task, reterr)) {
        sg_db_rollback(task->conn);
        return false;
    }
    return sg_task_compose(task, validate_sql, NULL, reterr);
}

/* The count is what the operator sees; that it is zero follows from the validation only while the fence stands. */
static bool count_divergent(struct sg_task *task, int64_t *ret_divergent, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    return sg_task_compose(task, count_sql, NULL, reterr) &&
           sg_db_int(task->conn, "SELECT divergent FROM segue.migration WHERE id = $1", SG_ARGS(id.text), ret_divergent,
                     reterr);
}

enum sg_turn sg_verify_turn(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    int64_t divergent;
    bool valid = sg_verify_fence(task, &err);
    if (!valid && !sg_db_is(&err, "23514")) {
        return sg_task_give_way(task, &err, reterr);
    }
    if (!count_divergent(task, &divergent, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    if (valid && divergent == 0) {
        return sg_task_go(task, SG_STATE_VERIFIED, SG_VERB_NONE, NULL, reterr);
    }
    if (task->phase == SG_PHASE_DUAL_WRITE) {
        return sg_task_go(task, SG_STATE_BACKFILLING, task->verb, NULL, reterr);
    }
    /* Clients read the new column already: which of the two values is right is not for segue to decide. */
    return sg_task_go(task, SG_STATE_FAILED, SG_VERB_NONE, "rows differ although the new column is read; see divergent",
                      reterr);
}
