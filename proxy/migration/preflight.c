#include "proxy/migration/preflight.h"

#include "proxy/migration/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * $1 relid, $2 old, $3 new, $4 guard, $5 migration id or NULL. `t` has the table and everything below it, also what was
 * below it when the migration was made. `mentions` looks for the column's name as a word, in bodies that the dependency
 * catalog cannot see into.
 */
static const char subject_sql[] =
    "WITH RECURSIVE tree(relid) AS ("
    "  (SELECT $1::oid UNION SELECT relid FROM segue.member WHERE migration_id = $5::int)"
    "  UNION SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid),"
    " t AS (SELECT c.oid AS relid, c.oid = $1::oid AS is_root, c.relname, c.relkind, c.relowner, c.relispartition,"
    "   c.relpersistence, c.reloftype, n.nspname, format('%I.%I', n.nspname, c.relname) AS tab, a.attnum AS num,"
    "   a.atttypid, a.attgenerated, a.attidentity, a.attinhcount, d.adbin, format('%I', $2::text) AS old,"
    "   format('%I', $3::text) AS new, '(^|\\W)' || regexp_replace($2::text, '(\\W)', '\\\\\\1', 'g') || '($|\\W)' AS"
    "   mentions, $4::boolean AS guard"
    "  FROM tree JOIN pg_class c ON c.oid = tree.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped"
    "  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum)"
    " SELECT level, what, detail, hint, sqlstate FROM (";
static const char order_sql[] =
    ") AS finding(level, what, detail, hint, sqlstate) ORDER BY level, sqlstate DESC, what, detail";

/* One SELECT: what (a text), detail and hint (expressions), and where they come from. */
struct finding {
    const char *sqlstate; /* "01000": a warning */
    const char *what, *detail, *hint, *from;
};

#define LATER "'segue cannot carry this through yet'"

/* The table and the two names. */
static const struct finding table_findings[] = {
    {"42809", "not a table",
     "format('%s is a %s', tab, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'"
     " WHEN 'f' THEN 'foreign table' ELSE 'relation of kind ' || relkind::text END)",
     "'Only ordinary tables have columns to migrate.'", "t WHERE is_root AND relkind NOT IN ('r', 'p')"},
    {"42809", "system table", "format('%s belongs to the system', tab)", "NULL",
     "t WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'segue')"},
    {"42809", "temporary table", "format('%s belongs to one session', tab)", "NULL", "t WHERE relpersistence = 't'"},
    {"0A000", "typed table", "format('%s is made of a type, which decides on its columns', tab)",
     "'ALTER TABLE ... NOT OF.'", "t WHERE reloftype <> 0"},
    {"42703", "no such column", "format('column %s of %s does not exist', old, tab)", "NULL",
     "t WHERE is_root AND num IS NULL"},
    {"42701", "name taken", "format('column %s of %s exists already', new, tab)",
     "'Choose another name, or drop that column first.'",
     "t WHERE EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = relid AND a.attname = $3 AND NOT "
     "a.attisdropped)"},
    {"42710", "mapping exists",
     "format('migration \"%s\" maps %s to %s of %I.%I', m.name, m.old_name, m.new_name, m.schema_name, m.table_name)",
     "'Finish and RETIRE that migration, or roll it back and DROP it.'",
     "t JOIN segue.part p USING (relid) JOIN segue.migration m ON m.id = p.id WHERE m.phase <> 'retired'"
     " AND m.id IS DISTINCT FROM $5::int AND (m.old_name IN ($2, $3) OR m.new_name IN ($2, $3))"},
};

/* Where it stands among others. */
static const struct finding tree_findings[] = {
    {"55000", "inherited column",
     "format('column %s of %s comes from %s', old, tab, (SELECT string_agg(i.inhparent::regclass::text, ', ')"
     " FROM pg_inherits i WHERE i.inhrelid = relid))",
     "format('CREATE MIGRATION ... ON %s: the tables below are carried along.', (WITH RECURSIVE up(o, n) AS ("
     "  SELECT relid, 0 UNION ALL SELECT i.inhparent, n + 1 FROM up JOIN pg_inherits i ON i.inhrelid = o"
     "    JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = $2 AND NOT a.attisdropped)"
     "  SELECT o::regclass FROM up ORDER BY n DESC, o LIMIT 1))",
     "t WHERE is_root AND attinhcount > 0"},
    {"55000", "second parent", "format('%s has column %s also from %s', tab, old, i.inhparent::regclass)",
     "'ALTER TABLE ... NO INHERIT one of the two parents.'",
     "t JOIN pg_inherits i ON i.inhrelid = relid JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = $2"
     " AND NOT a.attisdropped WHERE NOT is_root AND i.inhparent NOT IN (SELECT relid FROM tree)"},
    {"0A000", "foreign table", "format('%s is a foreign table, which segue cannot give a column', tab)",
     "'DETACH it, or take it out of the inheritance, for the time of the migration.'",
     "t WHERE NOT is_root AND relkind = 'f'"},
    {"55000", "partition key", "format('column %s is part of the partition key of %s', old, tab)",
     "'PostgreSQL cannot change what a table is partitioned by: make a new table, and move the rows.'",
     "t WHERE EXISTS (SELECT 1 FROM pg_partitioned_table k WHERE k.partrelid = relid"
     "   AND (num = ANY (k.partattrs::int2[]) OR EXISTS (SELECT 1 FROM pg_depend d WHERE k.partexprs IS NOT NULL"
     "     AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.objid = relid"
     "     AND d.refobjid = relid AND num IN (d.objsubid, d.refobjsubid) AND 0 IN (d.objsubid, d.refobjsubid)"
     "     AND d.deptype = 'i')))"},
    {"55000", "detach in progress", "format('%s is being detached', tab)",
     "'ALTER TABLE ... DETACH PARTITION ... FINALIZE.'",
     "t JOIN pg_inherits i ON i.inhrelid = relid WHERE to_jsonb(i) ->> 'inhdetachpending' = 'true'"},
    {"55000", "volatile default below",
     "format('the default of %s in %s is volatile, and not that of the table above', old, tab)",
     "format('ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT, or give it the same one.', tab, old)",
     "t WHERE NOT is_root AND segue.is_volatile(adbin) AND pg_get_expr(adbin, relid) IS DISTINCT FROM"
     " (SELECT pg_get_expr(r.adbin, r.relid) FROM t AS r WHERE r.is_root)"},
};

/* What the column itself is. */
static const struct finding column_findings[] = {
    {"55000", "primary key", "format('column %s is part of the primary key of %s', old, tab)", LATER,
     "t WHERE EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = relid AND i.indisprimary"
     " AND num = ANY (i.indkey::int2[]))"},
    {"55000", "generated or identity column", "format('column %s of %s gets its value from the server', old, tab)",
     LATER, "t WHERE attgenerated <> '' OR attidentity <> ''"},
    {"55000", "constrained domain",
     "format('type %s is a domain with constraints, and adding a column of it rewrites the table',"
     " format_type(atttypid, NULL))",
     "'Use the base type and a CHECK constraint.'",
     "t WHERE is_root AND EXISTS (WITH RECURSIVE b AS (SELECT y.* FROM pg_type y WHERE y.oid = atttypid UNION ALL"
     "   SELECT y.* FROM b JOIN pg_type y ON y.oid = b.typbasetype WHERE b.typtype = 'd') SELECT 1 FROM b"
     "   WHERE b.typtype = 'd' AND (b.typnotnull OR EXISTS (SELECT 1 FROM pg_constraint k WHERE k.contypid = b.oid)))"},
    {"55000", "volatile default",
     "format('the default of %s is volatile: without the guard nothing could give both columns the same value', old)",
     "'Leave the guard on.'", "t WHERE NOT guard AND segue.is_volatile(adbin)"},
};

/* What stands on the column. A partition's copies of what stands on the table above are not told again. */
static const struct finding dependent_findings[] = {
    {"55000", "dependent object",
     "format('%s names column %s', coalesce((SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0)"
     " FROM pg_rewrite r WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'),"
     " pg_describe_object(d.classid, d.objid, d.objsubid)), old)",
     "'Drop it or make it independent of the column before the migration, and make it anew afterwards.'",
     "t JOIN (SELECT DISTINCT classid, objid, objsubid, refobjid, refobjsubid FROM pg_depend"
     "     WHERE refclassid = 'pg_class'::regclass) d ON d.refobjid = relid AND d.refobjsubid = num"
     /* A generated column is of pg_class before PostgreSQL 15, and would go with the old column without a word. */
     " WHERE (d.classid NOT IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_statistic_ext'::regclass)"
     "     OR d.classid = 'pg_class'::regclass AND d.objsubid > 0)"
     "   AND NOT EXISTS (SELECT 1 FROM pg_attrdef own WHERE d.classid = 'pg_attrdef'::regclass AND own.oid = d.objid"
     "     AND own.adrelid = relid AND own.adnum = num)"
     "   AND NOT EXISTS (SELECT 1 FROM pg_trigger g WHERE d.classid = 'pg_trigger'::regclass AND g.oid = d.objid"
     "     AND (g.tgname LIKE '~segue_guard_%' OR g.tgparentid <> 0))"},
    {"55000", "foreign key pointing here",
     "format('%s of %s refers to column %s', k.conname, k.conrelid::regclass, old)", LATER,
     "t JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = relid AND num = ANY (k.confkey)"
     " AND k.conparentid = 0"},
    {"55000", "constraint", "format('%s: %s', k.conname, pg_get_constraintdef(k.oid))", LATER,
     "t JOIN pg_constraint k ON k.conrelid = relid AND num = ANY (k.conkey) AND k.conparentid = 0"
     " WHERE k.contype = 'x' OR (k.contype = 'u' AND k.condeferrable)"
     "   OR (k.contype = 'f' AND pg_get_constraintdef(k.oid) ~ 'SET (NULL|DEFAULT) \\(')"
     /* PostgreSQL 18: WITHOUT OVERLAPS and PERIOD; NOT NULL that has not been proved. */
     "   OR to_jsonb(k) ->> 'conperiod' = 'true' OR (k.contype = 'n' AND NOT k.convalidated)"},
    {"55000", "replica identity", "format('index %s is the replica identity', i.indexrelid::regclass)",
     "'ALTER TABLE ... REPLICA IDENTITY FULL or another index first.'",
     "t JOIN pg_index i ON i.indrelid = relid AND i.indisreplident AND num = ANY (i.indkey::int2[])"},
    {"55000", "trigger function",
     "format('trigger %I runs function %s, whose text mentions %s', g.tgname, p.oid::regprocedure, old)",
     "'Teach the function both names or take it off for the time of the migration.'",
     "t JOIN pg_trigger g ON g.tgrelid = relid AND NOT g.tgisinternal AND g.tgparentid = 0"
     " AND g.tgname NOT LIKE '~segue_guard_%' JOIN pg_proc p ON p.oid = g.tgfoid AND p.prosrc ~ mentions"},
};

/* What the control role may not do. */
static const struct finding privilege_findings[] = {
    {"42501", "not the owner", "format('role %I does not own %s', current_user, tab)",
     "format('GRANT %I TO %I, or ALTER TABLE ... OWNER TO.', pg_get_userbyid(relowner), current_user)",
     "t WHERE NOT pg_has_role(relowner, 'USAGE')"},
    {"42501", "no CREATE on the schema", "format('role %I may not create indexes in schema %I', current_user, nspname)",
     "format('GRANT CREATE ON SCHEMA %I TO %I.', nspname, current_user)",
     "t WHERE NOT has_schema_privilege(nspname, 'CREATE')"},
    {"42501", "row-level security", "format('policies hide rows of %s from role %I', tab, current_user)",
     "format('ALTER ROLE %I BYPASSRLS.', current_user)",
     "t WHERE relkind IN ('r', 'p') AND row_security_active(relid)"},
    {"42501", "no REFERENCES on a table", "format('role %I may not refer to %s', current_user, k.confrelid::regclass)",
     "'GRANT REFERENCES on it.'",
     "t JOIN pg_constraint k ON k.conrelid = relid AND k.contype = 'f' AND num = ANY (k.conkey)"
     " WHERE NOT has_table_privilege(k.confrelid, 'REFERENCES')"},
};

static const struct finding warnings[] = {
    {"01000", "prepared transactions",
     "format('%s prepared transaction(s) hold up barriers: %s', count(*), string_agg(gid, ', ' ORDER BY gid))",
     "'COMMIT PREPARED or ROLLBACK PREPARED them.'",
     "pg_prepared_xacts WHERE database = current_database() HAVING count(*) > 0"},
    {"01000", "function text", "format('the text of %s mentions both %s and %s', p.oid::regprocedure, relname, old)",
     "'Statements inside functions do not pass through segue: they see the physical columns.'",
     "t JOIN pg_proc p ON p.prosrc ~ mentions AND p.prosrc ~ relname JOIN pg_namespace n ON n.oid = p.pronamespace"
     " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'segue')"},
    {"01000", "publication",
     "format('%s is published by %s: its subscribers need column %s first', tab, p.pubname, new)",
     "'Add the column on the subscribers before START.'",
     "t JOIN pg_publication_tables p ON p.schemaname = t.nspname AND p.tablename = t.relname"},
    {"01000", "extended statistics", "format('statistics object %I goes with the old column', s.stxname)",
     "'CREATE STATISTICS on the new column after SWITCH.'",
     "t JOIN pg_statistic_ext s ON s.stxrelid = relid AND num = ANY (s.stxkeys::int2[])"},
    {"01000", "triggers", "format('%s trigger(s) of %s fire for every row that the backfill copies', count(*), tab)",
     "'Only a superuser may keep them silent.'",
     "t JOIN pg_trigger g ON g.tgrelid = relid AND NOT g.tgisinternal AND g.tgtype::int & 16 > 0 AND g.tgparentid = 0"
     " AND g.tgname NOT LIKE '~segue_guard_%' WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
     " GROUP BY tab"},
    {"01000", "disk space",
     "format('every row of %s is written once more: up to %s until VACUUM has gone by', max(tab) FILTER (WHERE "
     "is_root),"
     " pg_size_pretty(sum(pg_total_relation_size(relid))))",
     "NULL", "t WHERE relkind = 'r' OR is_root HAVING sum(pg_total_relation_size(relid)) > 1 << 28"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
struct section {
    const struct finding *findings;
    size_t len;
};
static const struct section all_sections[] = {
    {table_findings, COUNT(table_findings)},         {tree_findings, COUNT(tree_findings)},
    {column_findings, COUNT(column_findings)},       {dependent_findings, COUNT(dependent_findings)},
    {privilege_findings, COUNT(privilege_findings)}, {warnings, COUNT(warnings)},
};
static const struct section dependents[] = {{dependent_findings, COUNT(dependent_findings)}};

enum { LEVEL, WHAT, DETAIL, HINT, STATE };

static PGresult *look(PGconn *conn, const struct sg_preflight_subject *subject, const struct section *sections,
                      size_t n, struct sg_error *reterr) {
    char *sql = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&sql, &len);
    if (!out) {
        abort();
    }
    fputs(subject_sql, out);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sections[i].len; k++) {
            const struct finding *f = &sections[i].findings[k];
            fprintf(out, "%s SELECT '%s', '%s', %s, %s, '%s' FROM %s", i + k > 0 ? " UNION" : "",
                    strcmp(f->sqlstate, "01000") == 0 ? "warning" : "blocker", f->what, f->detail, f->hint, f->sqlstate,
                    f->from);
        }
    }
    fputs(order_sql, out);
    fclose(out);
    PGresult *rows = sg_db_query(conn, sql,
                                 SG_ARGS(subject->relid, subject->old_name, subject->new_name,
                                         subject->guard ? "t" : "f", subject->migration_id),
                                 reterr);
    free(sql);
    return rows;
}

PGresult *sg_preflight(PGconn *conn, const struct sg_preflight_subject *subject, struct sg_error *reterr) {
    return look(conn, subject, all_sections, COUNT(all_sections), reterr);
}

static void append(char *text, size_t size, const char *part) {
    size_t len = strlen(text);
    if (len < size - 1) {
        snprintf(text + len, size - len, "%s%s", len > 0 ? "; " : "", part);
    }
}

static void tell_blockers(const PGresult *rows, int blockers, struct sg_error *reterr) {
    char details[sizeof(reterr->detail) * 4] = "";
    for (int i = 0; i < blockers; i++) {
        append(details, sizeof(details), PQgetvalue(rows, i, DETAIL));
    }
    if (blockers == 1) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "%s", PQgetvalue(rows, 0, DETAIL));
        memcpy(reterr->sqlstate, PQgetvalue(rows, 0, STATE), 6);
        sg_error_detail(reterr, "%s", PQgetvalue(rows, 0, WHAT));
        sg_error_hint(reterr, "%s", PQgetvalue(rows, 0, HINT));
        return;
    }
    sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE, "%d things stand in the way of this migration",
                 blockers);
    sg_error_detail(reterr, "%s", details);
    sg_error_hint(reterr, "%s", PQgetvalue(rows, 0, HINT));
}

/* Takes the rows over. */
static bool has_no_blockers(PGresult *rows, struct sg_error *reterr) {
    if (!rows) {
        return false;
    }
    int blockers = 0;
    while (blockers < PQntuples(rows) && strcmp(PQgetvalue(rows, blockers, LEVEL), "blocker") == 0) {
        blockers++;
    }
    if (blockers > 0) {
        tell_blockers(rows, blockers, reterr);
    }
    PQclear(rows);
    return blockers == 0;
}

bool sg_preflight_passes(PGconn *conn, const struct sg_preflight_subject *subject, struct sg_error *reterr) {
    return has_no_blockers(sg_preflight(conn, subject, reterr), reterr);
}

bool sg_preflight_lets_go(PGconn *conn, const struct sg_preflight_subject *subject, struct sg_error *reterr) {
    return has_no_blockers(look(conn, subject, dependents, COUNT(dependents), reterr), reterr);
}
