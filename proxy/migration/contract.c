/*
 * Why unique indexes are built only now: two unique indexes that mean the same make concurrent INSERT ... ON CONFLICT
 * raise 23505 on the one that is not the arbiter (guard.c says how this short window is got through). During the long
 * dual-writing phases the unique index on the old column alone is enough, because the columns are equal.
 *
 * Why the guard goes on filling the old column until it is dropped: proxies still in read_new, and direct sessions, go
 * on reading and checking uniqueness by it.
 *
 * While the tables are locked for the turn, those that have come below are written down once more: from here on the old
 * column's place in them cannot be seen.
 */
#include "proxy/migration/contract.h"

#include "proxy/migration/barrier.h"
#include "proxy/migration/catalog.h"
#include "proxy/migration/guard.h"
#include "proxy/migration/mirror.h"
#include "proxy/migration/verify.h"

static const char is_prepared_sql[] =
    "SELECT count(*) FROM segue.target t JOIN pg_proc p ON p.oid = to_regproc(t.guard_fn)"
    " WHERE t.id = $1 AND p.prosrc LIKE '%-- mode: contract%'";

/* DROP NOT NULL goes down; a table below may have been NOT NULL by itself. Defaults are each table's own. From
 * PostgreSQL 18 on NOT NULL has a name, which a renamed column keeps. In a tree of tables it is let be: RENAME
 * CONSTRAINT goes down, and fails where a table below calls its own otherwise. */
static const char turn_sql[] =
    "SELECT statement FROM segue.part t, LATERAL (VALUES"
    " (1, CASE WHEN is_top THEN format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', tab, fence) END),"
    " (2, CASE WHEN old_not_null THEN format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL', tab, old) END),"
    " (3, (SELECT format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', tab, w.conname, o.conname)"
    "   FROM pg_constraint o JOIN pg_constraint w ON w.conrelid = relid AND w.contype = 'n' AND w.conkey = "
    "ARRAY[new_num]"
    "   WHERE o.conrelid = relid AND o.contype = 'n' AND o.conkey = ARRAY[old_num] AND w.coninhcount = 0"
    "   AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = relid))),"
    " (4, CASE WHEN old_default IS NOT NULL AND new_default IS NULL THEN"
    "   format('ALTER TABLE ONLY %s ALTER COLUMN %s SET DEFAULT %s', tab, new, old_default) END),"
    " (5, CASE WHEN old_default IS NOT NULL THEN"
    "   format('ALTER TABLE ONLY %s ALTER COLUMN %s DROP DEFAULT', tab, old) END)) AS s(n, statement)"
    " WHERE id = $1 ORDER BY n, level, relid";

/*
 * All statements are composed before the first one runs, while the old column's indexes can still be asked for their
 * names. A sequence owned by the old column would be dropped with it. What a partitioned table's index or constraint
 * has below goes with it, and cannot go by itself; names are each table's own. A unique constraint of a partitioned
 * table could not be made of an index, so it is one already (mirror.c).
 */
static const char drop_sql[] =
    "WITH t AS (SELECT * FROM segue.part WHERE id = $1 AND old_num IS NOT NULL),"
    " i AS (SELECT i.*, EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = i.relid AND k.contype = 'u'"
    "   AND k.conname = i.unique_twin) AS has_constraint FROM segue.old_index i WHERE i.id = $1)"
    " SELECT format('ALTER SEQUENCE %s OWNED BY %s.%s', d.objid::regclass, tab, new) FROM t JOIN pg_depend d"
    "   ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relid"
    "   AND d.refobjsubid = t.old_num AND d.deptype = 'a' JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " UNION ALL SELECT format('DROP TRIGGER IF EXISTS %s ON %s', guard_trigger, tab) FROM t WHERE NOT is_partition"
    " UNION ALL (SELECT format('ALTER TABLE %s DROP COLUMN %s', tab, old) FROM t WHERE old_local ORDER BY level)"
    " UNION ALL SELECT format('DROP INDEX IF EXISTS %I.%I', nspname, twin) FROM i WHERE indisunique AND parent IS NULL"
    " UNION ALL SELECT CASE"
    "   WHEN has_constraint THEN format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', tab, unique_twin, conname)"
    "   WHEN conname IS NOT NULL THEN format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I', tab, conname,"
    "     unique_twin)"
    "   ELSE format('ALTER INDEX %I.%I RENAME TO %I', nspname, CASE WHEN indisunique THEN unique_twin ELSE twin END, "
    "name)"
    "   END FROM i"
    " UNION ALL SELECT format('COMMENT ON INDEX %I.%I IS %L', nspname, name, obj_description(indexrelid, 'pg_class'))"
    "   FROM i WHERE obj_description(indexrelid, 'pg_class') IS NOT NULL"
    " UNION ALL SELECT format('ALTER TABLE %s CLUSTER ON %I', tab, name) FROM i WHERE indisclustered"
    " UNION ALL SELECT format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', t.tab, k.twin, k.name)"
    "   FROM t JOIN segue.old_constraint k USING (id, relid)"
    /* The twins that a table had from above when it was detached: it has got its own since. */
    " UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', tab, w.conname) FROM t JOIN pg_constraint w"
    "   ON w.conrelid = t.relid AND w.contype = 'c' AND w.coninhcount = 0 AND w.conname LIKE "
    "format('segue\\_c%s\\_%%', id)"
    "   WHERE NOT EXISTS (SELECT 1 FROM segue.old_constraint k WHERE (k.id, k.relid, k.twin) = (t.id, t.relid, "
    "w.conname))"
    " UNION ALL SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.name, t.tab, obj_description(k.oid, "
    "'pg_constraint'))"
    "   FROM t JOIN segue.old_constraint k USING (id, relid) WHERE obj_description(k.oid, 'pg_constraint') IS NOT NULL";

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
        !sg_guard_install(task, SG_GUARD_CONTRACT, &err) || !sg_db_exec(task->conn, sg_sql_note_members, &err) ||
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
