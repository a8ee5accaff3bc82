#include "proxy/migration/expand.h"

#include "proxy/migration/guard.h"

/*
 * The default is set after the column was added, so that existing rows stay NULL (no rewrite, no stored missing value)
 * and get their value from the backfill. A volatile default is not copied at all: it would be evaluated once for each
 * column; the guard fills the new column from the old one instead. Of the attribute options only the documented ones
 * are copied (n_distinct, n_distinct_inherited): servers have been seen to keep stamps of their own beside them.
 *
 * ADD COLUMN goes down to all tables below. One that has the old column by itself, not only from above, gets the new
 * one by itself first; PostgreSQL then merges the two. Settings are each table's own.
 */
static const char add_column_sql[] =
    "SELECT format('ALTER TABLE %s ADD COLUMN %s %s%s', tab, new, type,"
    "   (SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation l"
    "    JOIN pg_namespace n ON n.oid = l.collnamespace JOIN pg_type y ON y.oid = a.atttypid"
    "    WHERE l.oid = a.attcollation AND l.oid <> y.typcollation))"
    " FROM segue.part t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = t.old_num"
    " WHERE t.id = $1 AND t.old_local ORDER BY t.level DESC";

static const char column_settings_sql[] =
    "SELECT unnest(ARRAY["
    " CASE WHEN t.old_default IS NOT NULL AND NOT t.old_volatile THEN"
    "   format('ALTER TABLE ONLY %s ALTER COLUMN %s SET DEFAULT %s', tab, new, t.old_default) END,"
    " CASE WHEN a.attstorage <> y.typstorage THEN format('ALTER TABLE ONLY %s ALTER COLUMN %s SET STORAGE %s', tab, "
    "new,"
    "   CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) END,"
    " CASE WHEN a.attstattarget >= 0 THEN"
    "   format('ALTER TABLE ONLY %s ALTER COLUMN %s SET STATISTICS %s', tab, new, a.attstattarget) END,"
    " (SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %s SET (%s)', tab, new, string_agg(format('%I = %L',"
    "   split_part(o, '=', 1), split_part(o, '=', 2)), ', ')) FROM unnest(a.attoptions) AS o WHERE o LIKE "
    "'n\\_distinct%' HAVING count(*) > 0),"
    " (SELECT format('COMMENT ON COLUMN %s.%s IS %L', tab, new, d) FROM col_description(t.relid, t.old_num) AS d"
    "  WHERE d IS NOT NULL)])"
    " FROM segue.part t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = t.old_num"
    " JOIN pg_type y ON y.oid = a.atttypid WHERE t.id = $1";

static const char grants_sql[] =
    "SELECT format('GRANT %s (%s) ON TABLE %s TO %s%s', g.privilege_type, new, tab,"
    "   CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,"
    "   CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END)"
    " FROM segue.part t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = t.old_num,"
    " aclexplode(a.attacl) AS g WHERE t.id = $1";

/* The backfill's row may be left from an earlier window that was rolled back. */
static const char begin_window_sql[] =
    "WITH forgotten AS (DELETE FROM segue.backfill WHERE migration_id = $1)"
    " UPDATE segue.migration SET made_column = true, rolled_back = false, divergent = NULL WHERE id = $1";

enum sg_turn sg_expand(struct sg_task *task, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    struct sg_error err;
    bool done = sg_task_begin(task, true, &err) && sg_task_compose(task, add_column_sql, NULL, &err) &&
                sg_task_compose(task, column_settings_sql, NULL, &err) &&
                sg_task_compose(task, grants_sql, NULL, &err) &&
                sg_db_run(task->conn, begin_window_sql, SG_ARGS(id.text), &err) &&
                (!task->guard || sg_guard_install(task, SG_GUARD_DUAL_WRITE, &err)) &&
                sg_task_move(task, SG_PHASE_DUAL_WRITE, SG_STATE_BARRIER, SG_VERB_START, NULL, &err) &&
                sg_task_commit(task, &err);
    if (!done) {
        return sg_task_give_way(task, &err, reterr);
    }
    task->calm_p99_us = 0; /* the yardstick of an earlier window says nothing of this one */
    task->rest_ms = 0;
    return SG_TURN_MORE;
}
