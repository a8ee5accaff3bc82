#include "proxy/migration/mirror.h"

#include <stdlib.h>
#include <string.h>

static const char scratch_sql[] =
    "SELECT format('CREATE TABLE %s (LIKE %s)', scratch, tab) FROM segue.target WHERE id = $1"
    " UNION ALL SELECT format('ALTER TABLE %s DROP COLUMN IF EXISTS %s', scratch, new) FROM segue.target WHERE id = $1"
    " UNION ALL SELECT format('CREATE INDEX i%s ON %s USING %s', i.indexrelid, t.scratch, i.definition)"
    "   FROM segue.old_index i JOIN segue.target t USING (id) WHERE id = $1"
    " UNION ALL SELECT format('ALTER TABLE %s ADD CONSTRAINT c%s %s', t.scratch, k.oid, k.definition)"
    "   FROM segue.old_constraint k JOIN segue.target t USING (id) WHERE id = $1 AND k.contype = 'c'"
    " UNION ALL SELECT format('ALTER TABLE %s RENAME COLUMN %s TO %s', scratch, old, new)"
    "   FROM segue.target WHERE id = $1";

/*
 * Runs inside the scratch transaction and answers what is missing: (kind, first, then, validate, tablespace).
 * Foreign keys are not tried out on the scratch table, which would lock the tables they refer to; there the list of
 * columns is the whole difference, and it comes first in the definition.
 */
static const char missing_sql[] =
    "WITH t AS (SELECT * FROM segue.target WHERE id = $1),"
    " wanted_index AS (SELECT i.*, t.tab, t.scratch, CASE $2::text WHEN 'unique' THEN unique_twin ELSE twin END AS "
    "name_of_twin,"
    "   to_regclass(format('segue.i%s', i.indexrelid)) AS model"
    "  FROM segue.old_index i JOIN t USING (id) WHERE $2::text <> 'unique' OR i.indisunique),"
    " missing_index AS (SELECT 'index' AS kind,"
    "   CASE WHEN x.indexrelid IS NOT NULL THEN format('DROP INDEX CONCURRENTLY %I.%I', w.nspname, w.name_of_twin) END "
    "AS first,"
    "   format('CREATE %sINDEX CONCURRENTLY %I ON %s USING %s', CASE $2::text WHEN 'unique' THEN 'UNIQUE ' END,"
    "     w.name_of_twin, w.tab, substr(pg_get_indexdef(w.model), length(format('CREATE INDEX i%s ON %s USING ',"
    "       w.indexrelid, w.scratch)) + 1)) AS then, NULL AS validate, coalesce(w.spcname, '') AS tablespace"
    "  FROM wanted_index w LEFT JOIN pg_class c ON c.relname = w.name_of_twin"
    "     AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = w.nspname)"
    "   LEFT JOIN pg_index x ON x.indexrelid = c.oid WHERE x.indisvalid IS NOT TRUE),"
    " not_null AS (SELECT 'not null', NULL,"
    "   CASE WHEN k.oid IS NULL THEN format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s IS NOT NULL) NOT VALID', tab,"
    "     not_null_check, new) END,"
    "   format('ALTER TABLE %s VALIDATE CONSTRAINT %I', tab, not_null_check), NULL"
    "  FROM t JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = t.new_num"
    "   LEFT JOIN pg_constraint k ON k.conrelid = t.relid AND k.conname = t.not_null_check"
    "  WHERE t.old_not_null AND NOT a.attnotnull),"
    " body AS (SELECT k.*, t.tab, t.relid, CASE WHEN k.contype = 'c'"
    "   THEN regexp_replace((SELECT pg_get_constraintdef(s.oid) FROM pg_constraint s WHERE s.conname = 'c' || k.oid"
    "     AND s.conrelid = to_regclass(t.scratch)), ' NOT VALID$', '')"
    "   ELSE (SELECT format('FOREIGN KEY (%s)', string_agg(CASE WHEN a.attnum = t.old_num THEN t.new"
    "        ELSE quote_ident(a.attname) END, ', ' ORDER BY u.n)) || substr(k.definition,"
    "        length(format('FOREIGN KEY (%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY u.n))) + 1)"
    "     FROM unnest(k.conkey) WITH ORDINALITY AS u(num, n)"
    "     JOIN pg_attribute a ON a.attrelid = t.relid AND a.attnum = u.num) END AS text"
    "  FROM segue.old_constraint k JOIN t USING (id)),"
    " missing_constraint AS (SELECT 'constraint', NULL,"
    "   CASE WHEN w.oid IS NULL THEN format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', tab, twin, text) END,"
    "   CASE WHEN b.convalidated THEN format('ALTER TABLE %s VALIDATE CONSTRAINT %I', tab, twin) END, NULL"
    "  FROM body b LEFT JOIN pg_constraint w ON w.conrelid = b.relid AND w.conname = b.twin"
    "  WHERE w.oid IS NULL OR (b.convalidated AND NOT w.convalidated))"
    " SELECT * FROM missing_index"
    " UNION ALL SELECT * FROM not_null WHERE $2::text <> 'unique'"
    " UNION ALL SELECT * FROM missing_constraint WHERE $2::text <> 'unique' LIMIT 1";

/* The validated CHECK spares SET NOT NULL its scan. */
static const char set_not_null_sql[] =
    "SELECT unnest(ARRAY[format('ALTER TABLE %s ALTER COLUMN %s SET NOT NULL', tab, new),"
    " format('ALTER TABLE %s DROP CONSTRAINT %I', tab, not_null_check)]) FROM segue.target WHERE id = $1";

enum { KIND, FIRST, THEN, VALIDATE, TABLESPACE };

static const char *field(const PGresult *row, int column) {
    return PQgetisnull(row, 0, column) ? NULL : PQgetvalue(row, 0, column);
}

static PGresult *find_missing(struct sg_task *task, enum sg_twins twins, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    PGresult *row = NULL;
    if (sg_db_exec(task->conn, "BEGIN", reterr) && sg_task_compose(task, scratch_sql, NULL, reterr)) {
        row =
            sg_db_query(task->conn, missing_sql, SG_ARGS(id.text, twins == SG_TWINS_UNIQUE ? "unique" : "all"), reterr);
    }
    sg_db_rollback(task->conn);
    return row;
}

/* CREATE INDEX CONCURRENTLY cannot run in a transaction; one that a crash left invalid is dropped first. */
static bool build_index(struct sg_task *task, const PGresult *row, struct sg_error *reterr) {
    const char *first = field(row, FIRST);
    return (!first || sg_db_exec(task->conn, first, reterr)) &&
           sg_db_run(task->conn, "SELECT set_config('default_tablespace', $1, false)", SG_ARGS(field(row, TABLESPACE)),
                     reterr) &&
           sg_db_exec(task->conn, field(row, THEN), reterr);
}

static bool add_constraint(struct sg_task *task, const PGresult *row, struct sg_error *reterr) {
    const char *add = field(row, THEN), *validate = field(row, VALIDATE);
    if (add &&
        !(sg_task_begin(task, false, reterr) && sg_db_exec(task->conn, add, reterr) && sg_task_commit(task, reterr))) {
        return false;
    }
    return !validate || sg_db_exec(task->conn, validate, reterr);
}

static bool set_not_null(struct sg_task *task, const PGresult *row, struct sg_error *reterr) {
    return add_constraint(task, row, reterr) && sg_task_begin(task, true, reterr) &&
           sg_task_compose(task, set_not_null_sql, NULL, reterr) && sg_task_commit(task, reterr);
}

enum sg_turn sg_mirror_build(struct sg_task *task, enum sg_twins twins, bool *ret_complete, struct sg_error *reterr) {
    struct sg_error err;
    PGresult *row = find_missing(task, twins, &err);
    if (!row) {
        return sg_task_give_way(task, &err, reterr);
    }
    bool ok = true, complete = PQntuples(row) == 0;
    if (!complete) {
        const char *kind = field(row, KIND);
        ok = strcmp(kind, "index") == 0      ? build_index(task, row, &err)
             : strcmp(kind, "not null") == 0 ? set_not_null(task, row, &err)
                                             : add_constraint(task, row, &err);
    }
    PQclear(row);
    if (!ok) {
        return sg_task_give_way(task, &err, reterr);
    }
    *ret_complete = complete;
    return SG_TURN_MORE;
}
