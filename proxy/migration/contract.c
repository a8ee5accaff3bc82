/*
 * Why unique indexes are built only now: two unique indexes that mean the same make concurrent INSERT ... ON CONFLICT
 * raise 23505 on the one that is not the arbiter (guard.c says how this short window is got through). During the long
 * dual-writing phases the unique index on the old column alone is enough, because the columns are equal.
 *
 * Why the guard goes on filling the old column until it is dropped: proxies still in read_new, and direct sessions, go
 * on reading and checking uniqueness by it.
 */
#include "proxy/migration/contract.h"

#include "proxy/migration/barrier.h"
#include "proxy/migration/guard.h"
#include "proxy/migration/mirror.h"
#include "proxy/migration/verify.h"

static const char is_prepared_sql[] =
    "SELECT count(*) FROM segue.target t JOIN pg_proc p ON p.oid = to_regproc(t.guard_fn)"
    " WHERE t.id = $1 AND p.prosrc LIKE '%-- mode: contract%'";

static const char turn_sql[] =
    "SELECT unnest(ARRAY["
    " format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', tab, fence),"
    " CASE WHEN old_not_null THEN format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL', tab, old) END,"
    " CASE WHEN old_default IS NOT NULL AND new_default IS NULL THEN"
    "   format('ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s', tab, new, old_default) END,"
    " CASE WHEN old_default IS NOT NULL THEN format('ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT', tab, old) END])"
    " FROM segue.target WHERE id = $1";

/*
 * All statements are composed before the first one runs, while the old column's indexes can still be asked for their
 * names. A sequence owned by the old column would be dropped with it.
 */
static const char drop_sql[] =
    "WITH t AS (SELECT * FROM segue.target WHERE id = $1 AND old_num IS NOT NULL)"
    " SELECT format('ALTER SEQUENCE %s OWNED BY %s.%s', d.objid::regclass, tab, new) FROM t JOIN pg_depend d"
    "   ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relid"
    "   AND d.refobjsubid = t.old_num AND d.deptype = 'a' JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " UNION ALL SELECT format('DROP TRIGGER IF EXISTS %s ON %s', guard_trigger, tab) FROM t"
    " UNION ALL SELECT format('ALTER TABLE %s DROP COLUMN %s', tab, old) FROM t"
    " UNION ALL SELECT format('DROP INDEX IF EXISTS %I.%I', i.nspname, i.twin) FROM t JOIN segue.old_index i USING (id)"
    "   WHERE i.indisunique"
    " UNION ALL SELECT CASE WHEN i.conname IS NOT NULL"
    "   THEN format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I', tab, i.conname, i.unique_twin)"
    "   ELSE format('ALTER INDEX %I.%I RENAME TO %I', i.nspname,"
    "     CASE WHEN i.indisunique THEN i.unique_twin ELSE i.twin END, i.name) END"
    "   FROM t JOIN segue.old_index i USING (id)"
    " UNION ALL SELECT format('COMMENT ON INDEX %I.%I IS %L', i.nspname, i.name, obj_description(i.indexrelid, "
    "'pg_class'))"
    "   FROM t JOIN segue.old_index i USING (id) WHERE obj_description(i.indexrelid, 'pg_class') IS NOT NULL"
    " UNION ALL SELECT format('ALTER TABLE %s CLUSTER ON %I', tab, i.name) FROM t JOIN segue.old_index i USING (id)"
    "   WHERE i.indisclustered"
    " UNION ALL SELECT format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', tab, k.twin, k.name)"
    "   FROM t JOIN segue.old_constraint k USING (id)"
    " UNION ALL SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.name, tab, obj_description(k.oid, "
    "'pg_constraint'))"
    "   FROM t JOIN segue.old_constraint k USING (id) WHERE obj_description(k.oid, 'pg_constraint') IS NOT NULL";

static enum sg_turn prepare(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    if (!sg_task_begin(task, true, &err) || !sg_guard_install(task, SG_GUARD_CONTRACT, &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return SG_TURN_MORE;
}

static enum sg_turn turn_to_new_only(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    /* The one fact that everything after this rests on. Whatever happened to the fence meanwhile, it is proved here. */
    if (!sg_verify_fence(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    if (!sg_task_begin(task, true, &err) || !sg_task_compose(task, turn_sql, NULL, &err) ||
        !sg_guard_install(task, SG_GUARD_CONTRACT, &err) ||
        !sg_task_move(task, SG_PHASE_NEW_ONLY, SG_STATE_CONTRACTING, SG_VERB_CONTRACT, NULL, &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return SG_TURN_MORE;
}

static enum sg_turn drop_old(struct sg_task *task, struct sg_error *reterr) {
    struct sg_error err;
    if (!sg_task_begin(task, true, &err) || !sg_task_compose(task, drop_sql, NULL, &err) ||
        !sg_guard_drop(task, &err) || !sg_task_move(task, SG_PHASE_NEW_ONLY, SG_STATE_IDLE, SG_VERB_NONE, NULL, &err) ||
        !sg_task_commit(task, &err)) {
        return sg_task_give_way(task, &err, reterr);
    }
    return SG_TURN_MORE;
}

static enum sg_turn towards_new_only(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    int64_t prepared;
    if (!sg_db_int(task->conn, is_prepared_sql, SG_ARGS(id.text), &prepared, reterr)) {
        return SG_TURN_ERROR;
    }
    if (!prepared) {
        return prepare(task, reterr);
    }
    for (enum sg_twins twins = SG_TWINS_ALL; twins <= SG_TWINS_UNIQUE; twins++) {
        bool complete = false;
        enum sg_turn turn = sg_mirror_build(task, twins, &complete, reterr);
        if (turn != SG_TURN_MORE || !complete) {
            return turn;
        }
    }
    return turn_to_new_only(task, reterr);
}

enum sg_turn sg_contract_turn(struct sg_task *task, struct sg_error *reterr) {
    if (task->phase == SG_PHASE_READ_NEW) {
        return towards_new_only(task, reterr);
    }
    enum sg_turn turn = sg_barrier_wait(task, reterr);
    return turn == SG_TURN_MORE ? drop_old(task, reterr) : turn;
}
