#include "proxy/migration/mirror.h"

#include "proxy/migration/lease.h"

#include <stdlib.h>
#include <string.h>

#define TURN_MS 500

/* An empty table like the one the object stands on, with the object and nothing else. $2: an index or constraint. */
static const char scratch_sql[] =
    "WITH o AS (SELECT id, relid, CASE WHEN indexrelid = $2::oid THEN definition ELSE pg_get_constraintdef(conoid) END"
    "     AS model, indexrelid = $2::oid AS is_index FROM segue.old_index WHERE id = $1 AND $2::oid IN (indexrelid, "
    "conoid)"
    "   UNION ALL SELECT id, relid, definition, false FROM segue.old_constraint"
    "     WHERE id = $1 AND oid = $2::oid AND contype = 'c'),"
    " t AS (SELECT p.*, o.model, o.is_index FROM segue.part p JOIN o USING (id, relid))"
    " SELECT statement FROM t, LATERAL (VALUES"
    "   (1, format('CREATE TABLE %s (LIKE %s)', scratch, tab)),"
    "   (2, format('ALTER TABLE %s DROP COLUMN IF EXISTS %s', scratch, new)),"
    "   (3, CASE WHEN is_index THEN format('CREATE INDEX model ON %s USING %s', scratch, model)"
    "      ELSE format('ALTER TABLE %s ADD CONSTRAINT model %s', scratch, model) END),"
    "   (4, format('ALTER TABLE %s RENAME COLUMN %s TO %s', scratch, old, new))) AS s(n, statement) ORDER BY n";

/* How the object's definition reads on the scratch table. */
static const char model_sql[] =
    "SELECT coalesce((SELECT regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') FROM pg_constraint k"
    "     WHERE k.conrelid = to_regclass(scratch) AND k.conname = 'model'),"
    "   substr(pg_get_indexdef(to_regclass('segue.model')), length(format('CREATE INDEX model ON %s USING ', scratch)) "
    "+ 1))"
    " FROM segue.target WHERE id = $1";

/*
 * $2: 'all' or 'unique'. What is missing next, of one kind: (kind, object, before, statement, tablespace). `statement`
 * of a kind that is defined anew has a %s for the definition; `before` is run first. The order is by kind, and within
 * it from below: what stands on a partitioned table is put together of what stands on its partitions, without a scan.
 *
 *   rename      a partition that came meanwhile got its twin from PostgreSQL, under a name of PostgreSQL's
 *   index       on one table, CONCURRENTLY
 *   constraint  a unique index of a partition made into the constraint that the one above asks for
 *   parent      on a partitioned table, without its partitions; attach: with them, one after another
 *   not null    by a check that is added not valid, proved, and taken away again
 *   add         a CHECK or foreign key, not valid; valid: proved, table by table
 *   add above   a foreign key of a partitioned table, which cannot be NOT VALID before PostgreSQL 18, and is valid at
 * once where it finds those of the partitions
 *
 * Foreign keys are not tried out on the scratch table, which would lock the tables they refer to; there the list of
 * columns is the whole difference, and it comes first in the definition.
 */
#define TWIN_NAME "CASE $2::text WHEN 'unique' THEN i.unique_twin ELSE i.twin END"
static const char missing_sql[] =
    "WITH p AS (SELECT * FROM segue.part WHERE id = $1),"
    " w AS (SELECT i.*, " TWIN_NAME " AS twin_name, y.indexrelid AS twin_oid, y.indisvalid, k.oid AS twin_constraint,"
    "    (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = x.oid) AS twin_parent"
    "  FROM segue.old_index i LEFT JOIN pg_class x ON x.relname = " TWIN_NAME
    "    AND x.relnamespace = (SELECT oid FROM pg_namespace n WHERE n.nspname = i.nspname)"
    "  LEFT JOIN pg_index y ON y.indexrelid = x.oid AND y.indrelid = i.relid"
    "  LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.conrelid = i.relid AND k.contype = 'u'"
    "  WHERE i.id = $1 AND ($2::text <> 'unique' OR i.indisunique)),"
    " f AS (SELECT k.*, u.oid AS twin_oid FROM segue.old_constraint k LEFT JOIN pg_constraint u ON u.conrelid = k.relid"
    "    AND u.conname = k.twin WHERE k.id = $1 AND $2::text <> 'unique'),"
    " body AS (SELECT f.oid, CASE WHEN f.contype = 'c' THEN '%s' ELSE (SELECT replace(format('FOREIGN KEY (%s)',"
    "      string_agg(CASE WHEN a.attnum = p.old_num THEN p.new ELSE quote_ident(a.attname) END, ', ' ORDER BY u.n))"
    "      || substr(f.definition, length(format('FOREIGN KEY (%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY "
    "u.n)))"
    "      + 1), '%', '%%') FROM unnest(f.conkey) WITH ORDINALITY AS u(num, n)"
    "      JOIN pg_attribute a ON a.attrelid = f.relid AND a.attnum = u.num) END AS text FROM f JOIN p USING (relid)),"
    " missing(kind, level, object, before, statement, tablespace) AS ("
    "  SELECT 'rename', w.level, c.oid, NULL, format('ALTER INDEX %I.%I RENAME TO %I', w.nspname, c.relname, "
    "w.twin_name), NULL"
    "   FROM w JOIN w AS up ON up.indexrelid = w.parent JOIN pg_inherits h ON h.inhparent = up.twin_oid"
    "   JOIN pg_index y ON y.indexrelid = h.inhrelid AND y.indrelid = w.relid JOIN pg_class c ON c.oid = h.inhrelid"
    "   WHERE w.twin_oid IS NULL"
    "  UNION ALL SELECT 'rename', f.level, c.oid, NULL, format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', f.tab, "
    "c.conname,"
    "    f.twin), NULL FROM f JOIN f AS up ON up.oid = f.parent JOIN pg_constraint c ON c.conparentid = up.twin_oid"
    "    AND c.conrelid = f.relid WHERE f.twin_oid IS NULL"
    "  UNION ALL SELECT 'index', w.level, w.indexrelid,"
    "    CASE WHEN w.twin_oid IS NOT NULL THEN format('DROP INDEX CONCURRENTLY %I.%I', w.nspname, w.twin_name) END,"
    "    replace(format('CREATE %sINDEX CONCURRENTLY %I ON %s USING ', CASE $2::text WHEN 'unique' THEN 'UNIQUE ' END,"
    "      w.twin_name, w.tab), '%', '%%') || '%s', coalesce(w.spcname, '')"
    "   FROM w WHERE w.relkind = 'i' AND w.indisvalid IS NOT TRUE"
    "  UNION ALL SELECT 'constraint', w.level, w.indexrelid, NULL, format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE "
    "USING"
    " INDEX %I', w.tab, w.twin_name, w.twin_name), NULL FROM w"
    "   WHERE $2::text = 'unique' AND w.relkind = 'i' AND w.parent IS NOT NULL AND w.conoid IS NOT NULL"
    "     AND w.indisvalid AND w.twin_constraint IS NULL"
    "  UNION ALL SELECT 'parent', w.level, CASE $2::text WHEN 'unique' THEN coalesce(w.conoid, w.indexrelid) ELSE"
    "    w.indexrelid END, NULL, replace(CASE"
    "      WHEN $2::text = 'unique' AND w.conoid IS NOT NULL THEN format('ALTER TABLE ONLY %s ADD CONSTRAINT %I ', "
    "w.tab,"
    "        w.twin_name) ELSE format('CREATE %sINDEX %I ON ONLY %s USING ', CASE $2::text WHEN 'unique' THEN 'UNIQUE "
    "' END,"
    "        w.twin_name, w.tab) END, '%', '%%') || '%s', coalesce(w.spcname, '') FROM w"
    "   WHERE w.relkind = 'I' AND w.twin_oid IS NULL"
    "  UNION ALL SELECT 'attach', w.level, w.indexrelid, NULL, format('ALTER INDEX %I.%I ATTACH PARTITION %I.%I', "
    "up.nspname,"
    "    up.twin_name, w.nspname, w.twin_name), NULL FROM w JOIN w AS up ON up.indexrelid = w.parent"
    "   WHERE w.twin_oid IS NOT NULL AND up.twin_oid IS NOT NULL AND w.twin_parent IS NULL"
    "  UNION ALL SELECT 'not null check', p.level, p.relid, NULL, format('ALTER TABLE %s ADD CONSTRAINT %I CHECK"
    " (%s IS NOT NULL) NO INHERIT NOT VALID', tab, not_null_check, new), NULL FROM p"
    "   WHERE has_rows AND old_not_null AND NOT new_not_null AND $2::text <> 'unique'"
    "     AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = p.relid AND k.conname = p.not_null_check)"
    "  UNION ALL SELECT 'not null valid', p.level, p.relid, NULL, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', tab,"
    "    not_null_check), NULL FROM p JOIN pg_constraint k ON k.conrelid = p.relid AND k.conname = p.not_null_check"
    "   WHERE NOT k.convalidated AND $2::text <> 'unique'"
    "  UNION ALL SELECT 'not null', p.level, p.relid, NULL, format('ALTER TABLE %s%s ALTER COLUMN %s SET NOT NULL;%s',"
    "    CASE WHEN EXISTS (SELECT 1 FROM pg_inherits h JOIN p AS c ON c.relid = h.inhrelid WHERE h.inhparent = p.relid"
    "      AND NOT c.old_not_null) THEN 'ONLY ' END, tab, new,"
    "    CASE WHEN has_rows THEN format('ALTER TABLE %s DROP CONSTRAINT %I', tab, not_null_check) END), NULL"
    "   FROM p WHERE old_not_null AND NOT new_not_null AND $2::text <> 'unique'"
    "  UNION ALL SELECT CASE WHEN s.not_valid THEN 'add' ELSE 'add above' END, f.level, f.oid, NULL,"
    "    replace(format('ALTER TABLE %s ADD CONSTRAINT %I ', f.tab, f.twin), '%', '%%') || b.text"
    "      || CASE WHEN s.not_valid THEN ' NOT VALID' ELSE '' END, NULL"
    "   FROM f JOIN body b USING (oid), LATERAL (SELECT f.contype = 'c' OR f.relkind = 'r' AS not_valid) AS s"
    "   WHERE f.twin_oid IS NULL AND (s.not_valid OR f.parent IS NULL)"
    "  UNION ALL SELECT 'valid', p.level, k.oid, NULL, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p.tab, "
    "k.conname), NULL"
    "   FROM p JOIN pg_constraint k ON k.conrelid = p.relid AND NOT k.convalidated JOIN f ON f.twin = k.conname AND"
    "     f.convalidated)"
    " SELECT kind, object, before, statement, tablespace FROM (SELECT *, min(turn) OVER () AS first FROM missing,"
    "   LATERAL array_position(ARRAY['rename', 'index', 'constraint', 'parent', 'attach', 'not null check',"
    "     'not null valid', 'not null', 'add', 'valid', 'add above'], kind) AS turn) AS m"
    " WHERE turn = first ORDER BY level DESC, object LIMIT 100";

enum { KIND, OBJECT, BEFORE, STATEMENT, TABLESPACE };

/* One row of what is missing. */
struct missing {
    const PGresult *rows;
    int row;
};

static const char *field(const struct missing *m, int column) {
    return PQgetisnull(m->rows, m->row, column) ? NULL : PQgetvalue(m->rows, m->row, column);
}

static bool is_kind(const struct missing *m, const char *kind) {
    return strcmp(field(m, KIND), kind) == 0;
}

/* The statement to run, complete; free it. NULL and *reterr on failure. */
static char *complete(struct sg_task *task, const struct missing *m, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    const char *statement = field(m, STATEMENT);
    char *text = NULL;
    bool is_defined = is_kind(m, "index") || is_kind(m, "parent") || strncmp(field(m, KIND), "add", 3) == 0;
    if (!is_defined) {
        text = strdup(statement);
    } else {
        PGresult *model = NULL;
        if (sg_db_exec(task->conn, "BEGIN", reterr) && sg_task_compose(task, scratch_sql, field(m, OBJECT), reterr)) {
            model = sg_db_query(task->conn, model_sql, SG_ARGS(id.text), reterr);
        }
        sg_db_rollback(task->conn);
        PGresult *whole = model ? sg_db_query(task->conn, "SELECT format($1, $2::text)",
                                              SG_ARGS(statement, PQgetvalue(model, 0, 0)), reterr)
                                : NULL;
        text = whole ? strdup(PQgetvalue(whole, 0, 0)) : NULL;
        PQclear(model);
        PQclear(whole);
    }
    return text;
}

/* What scans rows runs by itself, for as long as it takes; everything else is a short transaction under the lock
 * timeout. CREATE INDEX CONCURRENTLY cannot run in a transaction; one that a crash left invalid is dropped first. */
static bool build(struct sg_task *task, const struct missing *m, const char *statement, struct sg_error *reterr) {
    bool by_itself = is_kind(m, "index") || is_kind(m, "valid") || is_kind(m, "not null valid");
    const char *before = field(m, BEFORE), *tablespace = field(m, TABLESPACE);
    if (tablespace &&
        !sg_db_run(task->conn, "SELECT set_config('default_tablespace', $1, false)", SG_ARGS(tablespace), reterr)) {
        return false;
    }
    if (by_itself) {
        return (!before || sg_db_exec(task->conn, before, reterr)) && sg_db_exec(task->conn, statement, reterr);
    }
    return sg_task_begin(task, is_kind(m, "not null"), reterr) && sg_db_exec(task->conn, statement, reterr) &&
           sg_task_commit(task, reterr);
}

static bool build_one(struct sg_task *task, const struct missing *m, struct sg_error *reterr) {
    char *statement = complete(task, m, reterr);
    bool ok = statement && build(task, m, statement, reterr);
    free(statement);
    return ok;
}

enum sg_turn sg_mirror_build(struct sg_task *task, enum sg_twins twins, bool *ret_complete, struct sg_error *reterr) {
    struct sg_num id = sg_num_of(task->id);
    struct sg_error err;
    PGresult *rows =
        sg_db_query(task->conn, missing_sql, SG_ARGS(id.text, twins == SG_TWINS_UNIQUE ? "unique" : "all"), &err);
    if (!rows) {
        return sg_task_give_way(task, &err, reterr);
    }
    /* Of one kind, so that none waits for another. A tree has hundreds, and asking what is missing costs more than most
     * of them; but a turn is short, and other requests and migrations come in between. */
    bool ok = true, is_complete = PQntuples(rows) == 0;
    int64_t end_ms = sg_now_ms() + TURN_MS;
    for (int i = 0; ok && i < PQntuples(rows) && (i == 0 || sg_now_ms() < end_ms); i++) {
        ok = build_one(task, &(struct missing){rows, i}, &err);
    }
    PQclear(rows);
    if (!ok) {
        return sg_task_give_way(task, &err, reterr);
    }
    *ret_complete = is_complete;
    return SG_TURN_MORE;
}
