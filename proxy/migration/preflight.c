#include "proxy/migration/preflight.h"

#include "proxy/migration/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * $1 relid, $2 old, $3 new, $4 guard, $5 migration id or NULL. One SELECT a finding: (level, what, detail, hint,
 * sqlstate). `mentions` looks for the column's name as a word, in bodies that the dependency catalog cannot see into.
 */
#define SUBJECT                                                                                                   \
    "WITH t AS (SELECT c.oid AS relid, c.relname, c.relkind, c.relowner, c.relispartition, c.relpersistence,"     \
    "   n.nspname, format('%I.%I', n.nspname, c.relname) AS tab, a.attnum AS num, a.atttypid, a.attgenerated,"    \
    "   a.attidentity, d.adbin, format('%I', $2::text) AS old, format('%I', $3::text) AS new,"                    \
    "   '(^|\\W)' || regexp_replace($2::text, '(\\W)', '\\\\\\1', 'g') || '($|\\W)' AS mentions"                  \
    "  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                                             \
    "  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped" \
    "  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.oid = $1::oid)"

#define BLOCK(what, detail, hint, state) "SELECT 'blocker', " what ", " detail ", " hint ", '" state "' "
#define WARN(what, detail, hint)         "SELECT 'warning', " what ", " detail ", " hint ", '01000' "
#define NEXT                             " UNION ALL "
#define LATER                            "'segue cannot carry this through yet'"

/* The table and the two names. */
#define TABLE_BLOCKERS                                                                                                \
    BLOCK("'not a table'",                                                                                            \
          "format('%s is a %s', tab, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'"             \
          " WHEN 'f' THEN 'foreign table' ELSE 'relation of kind ' || relkind::text END)",                            \
          "'Only ordinary tables have columns to migrate.'", "42809")                                                 \
    "FROM t WHERE relkind NOT IN ('r', 'p')" NEXT BLOCK(                                                              \
        "'system table'", "format('%s belongs to the system', tab)", "NULL",                                          \
        "42809") "FROM t WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'segue')" NEXT             \
        BLOCK("'temporary table'", "format('%s belongs to one session', tab)", "NULL",                                \
              "42809") "FROM t WHERE relpersistence = 't'" NEXT                                                       \
            BLOCK("'partitions or inheritance'",                                                                      \
                  "format('%s is partitioned, a partition, or has parents or children', tab)", LATER,                 \
                  "0A000") "FROM t WHERE relkind = 'p' OR relispartition OR EXISTS (SELECT 1 FROM pg_inherits i "     \
                           "WHERE t.relid IN (i.inhrelid,"                                                            \
                           " i.inhparent))" NEXT BLOCK("'no such column'",                                            \
                                                       "format('column %s of %s does not exist', old, tab)", "NULL",  \
                                                       "42703") "FROM t WHERE num IS NULL" NEXT                       \
                               BLOCK("'name taken'", "format('column %s of %s exists already', new, tab)",            \
                                     "'Choose another name, or drop that column first.'",                             \
                                     "42701") "FROM t WHERE EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = " \
                                              "relid AND a.attname = $3 AND NOT"                                      \
                                              "   a.attisdropped)" NEXT BLOCK(                                        \
                                                  "'mapping exists'",                                                 \
                                                  "format('migration \"%s\" maps %s to %s of this table', m.name, "   \
                                                  "m.old_name,"                                                       \
                                                  " m.new_name)",                                                     \
                                                  "'Finish and RETIRE that migration, or roll it back and DROP it.'", \
                                                  "42710") "FROM t JOIN segue.migration m USING (relid) WHERE "       \
                                                           "m.phase <> 'retired' AND m.id IS DISTINCT FROM $5::int"   \
                                                           "   AND (m.old_name IN ($2, $3) OR m.new_name IN ($2, $3))"

/* What the column itself is. */
#define COLUMN_BLOCKERS                                                                                                \
    BLOCK("'primary key'", "format('column %s is part of the primary key', old)", LATER, "55000")                      \
    "FROM t WHERE EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = relid AND i.indisprimary"                        \
    "   AND num = ANY (i.indkey::int2[]))" NEXT BLOCK(                                                                 \
        "'generated or identity column'", "format('column %s gets its value from the server', old)", LATER,            \
        "55000") "FROM t WHERE attgenerated <> '' OR attidentity <> ''" NEXT                                           \
        BLOCK("'constrained domain'",                                                                                  \
              "format('type %s is a domain with constraints, and adding a column of it rewrites the"                   \
              " table', format_type(atttypid, NULL))",                                                                 \
              "'Use the base type and a CHECK constraint.'",                                                           \
              "55000") "FROM t WHERE EXISTS (WITH RECURSIVE b AS (SELECT y.* FROM pg_type y WHERE y.oid = atttypid "   \
                       "UNION ALL"                                                                                     \
                       "   SELECT y.* FROM b JOIN pg_type y ON y.oid = b.typbasetype WHERE b.typtype = 'd') SELECT 1 " \
                       "FROM b"                                                                                        \
                       "   WHERE b.typtype = 'd' AND (b.typnotnull OR EXISTS (SELECT 1 FROM pg_constraint k WHERE "    \
                       "k.contypid = b.oid)))" NEXT BLOCK(                                                             \
                           "'volatile default'",                                                                       \
                           "format('the default of %s is volatile: without the guard nothing could give both"          \
                           " columns the same value', old)",                                                           \
                           "'Leave the guard on.'",                                                                    \
                           "55000") "FROM t WHERE NOT $4::boolean AND segue.is_volatile(adbin)"

/* What stands on the column. */
#define DEPENDENT_BLOCKERS                                                                                             \
    BLOCK(                                                                                                             \
        "CASE d.classid WHEN 'pg_rewrite'::regclass THEN 'view or rule' WHEN 'pg_trigger'::regclass THEN 'trigger'"    \
        " WHEN 'pg_policy'::regclass THEN 'row-level security policy' WHEN 'pg_attrdef'::regclass"                     \
        " THEN 'generated column' WHEN 'pg_publication_rel'::regclass THEN 'publication'"                              \
        " WHEN 'pg_proc'::regclass THEN 'function' ELSE 'dependent object' END",                                       \
        "format('%s names column %s', coalesce((SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0)"        \
        " FROM pg_rewrite r WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN')," \
        " pg_describe_object(d.classid, d.objid, d.objsubid)), old)",                                                  \
        "'Drop it or make it independent of the column before the migration, and make it anew afterwards.'", "55000")  \
    "FROM t JOIN (SELECT DISTINCT classid, objid, objsubid, refobjid, refobjsubid FROM pg_depend"                      \
    "     WHERE refclassid = 'pg_class'::regclass) d ON d.refobjid = relid AND d.refobjsubid = num"                    \
    " WHERE d.classid NOT IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_statistic_ext'::regclass)"          \
    "   AND NOT EXISTS (SELECT 1 FROM pg_attrdef own WHERE d.classid = 'pg_attrdef'::regclass AND own.oid = d.objid"   \
    "     AND own.adrelid = relid AND own.adnum = num)"                                                                \
    "   AND NOT EXISTS (SELECT 1 FROM pg_trigger g WHERE d.classid = 'pg_trigger'::regclass AND g.oid = d.objid"       \
    "     AND g.tgname LIKE '~segue_guard_%')" NEXT BLOCK(                                                             \
        "'foreign key pointing here'", "format('%s of %s refers to column %s', k.conname, k.conrelid::regclass, old)", \
        LATER, "55000") "FROM t JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = relid AND num = ANY "        \
                        "(k.confkey)" NEXT BLOCK(                                                                      \
                            "'constraint'", "format('%s: %s', k.conname, pg_get_constraintdef(k.oid))", LATER,         \
                            "55000") "FROM t JOIN pg_constraint k ON k.conrelid = relid AND num = ANY "                \
                                     "(k.conkey) WHERE k.contype = 'x'"                                                \
                                     "   OR (k.contype = 'u' AND k.condeferrable)"                                     \
                                     "   OR (k.contype = 'f' AND pg_get_constraintdef(k.oid) ~ 'SET "                  \
                                     "(NULL|DEFAULT) \\(')" NEXT BLOCK(                                                \
                                         "'replica identity'",                                                         \
                                         "format('index %s is the replica identity', i.indexrelid::regclass)",         \
                                         "'ALTER TABLE ... REPLICA IDENTITY FULL or another index first.'",            \
                                         "55000") "FROM t JOIN pg_index i ON i.indrelid = relid AND "                  \
                                                  "i.indisreplident AND num = ANY (i.indkey::int2[])" NEXT BLOCK(      \
                                                      "'trigger function'",                                            \
                                                      "format('trigger %I runs function %s, whose text "               \
                                                      "mentions %s', g.tgname, p.oid::regprocedure, old)",             \
                                                      "'Teach the function both names or take it off for "             \
                                                      "the time of the migration.'",                                   \
                                                      "55000") "FROM t JOIN pg_trigger g ON g.tgrelid = "              \
                                                               "relid AND NOT g.tgisinternal AND "                     \
                                                               "g.tgname NOT LIKE '~segue_guard_%'"                    \
                                                               "   JOIN pg_proc p ON p.oid = g.tgfoid "                \
                                                               "AND p.prosrc ~ mentions"

/* What the control role may not do. */
#define PRIVILEGE_BLOCKERS                                                                                            \
    BLOCK("'not the owner'", "format('role %I does not own %s', current_user, tab)",                                  \
          "format('GRANT %I TO %I, or ALTER TABLE ... OWNER TO.', pg_get_userbyid(relowner), current_user)", "42501") \
    "FROM t WHERE NOT pg_has_role(relowner, 'USAGE')" NEXT BLOCK(                                                     \
        "'no CREATE on the schema'", "format('role %I may not create indexes in schema %I', current_user, nspname)",  \
        "format('GRANT CREATE ON SCHEMA %I TO %I.', nspname, current_user)",                                          \
        "42501") "FROM t WHERE NOT has_schema_privilege(nspname, 'CREATE')" NEXT                                      \
        BLOCK("'row-level security'", "format('policies hide rows of %s from role %I', tab, current_user)",           \
              "format('ALTER ROLE %I BYPASSRLS.', current_user)",                                                     \
              "42501") "FROM t WHERE relkind = 'r' AND row_security_active(relid)" NEXT                               \
            BLOCK("'no REFERENCES on a table'",                                                                       \
                  "format('role %I may not refer to %s', current_user, k.confrelid::regclass)",                       \
                  "'GRANT REFERENCES on it.'", "42501") "FROM t JOIN pg_constraint k ON k.conrelid = relid AND "      \
                                                        "k.contype = 'f' AND num = ANY (k.conkey)"                    \
                                                        "   WHERE NOT has_table_privilege(k.confrelid, 'REFERENCES')"

#define WARNINGS                                                                                                                                                                                                          \
    WARN("'prepared transactions'",                                                                                                                                                                                       \
         "format('%s prepared transaction(s) hold up barriers: %s', count(*),"                                                                                                                                            \
         " string_agg(gid, ', ' ORDER BY gid))",                                                                                                                                                                          \
         "'COMMIT PREPARED or ROLLBACK PREPARED them.'")                                                                                                                                                                  \
    "FROM pg_prepared_xacts WHERE database = current_database() HAVING count(*) > 0" NEXT WARN(                                                                                                                           \
        "'function text'", "format('the text of %s mentions both %s and %s', p.oid::regprocedure, relname, old)",                                                                                                         \
        "'Statements inside functions do not pass through segue: they see the physical columns.'") "FROM t JOIN "                                                                                                         \
                                                                                                   "pg_proc p ON "                                                                                                        \
                                                                                                   "p.prosrc ~ "                                                                                                          \
                                                                                                   "mentions AND "                                                                                                        \
                                                                                                   "p.prosrc ~ "                                                                                                          \
                                                                                                   "relname JOIN "                                                                                                        \
                                                                                                   "pg_namespace n "                                                                                                      \
                                                                                                   "ON n.oid = "                                                                                                          \
                                                                                                   "p.pronamespace"                                                                                                       \
                                                                                                   " WHERE n.nspname "                                                                                                    \
                                                                                                   "NOT IN "                                                                                                              \
                                                                                                   "('pg_catalog', "                                                                                                      \
                                                                                                   "'information_"                                                                                                        \
                                                                                                   "schema', "                                                                                                            \
                                                                                                   "'segue')" NEXT                                                                                                        \
                                                                                                       WARN(                                                                                                              \
                                                                                                           "'publicat"                                                                                                    \
                                                                                                           "ion'",                                                                                                        \
                                                                                                           "format('%"                                                                                                    \
                                                                                                           "s is "                                                                                                        \
                                                                                                           "published"                                                                                                    \
                                                                                                           " by %s: "                                                                                                     \
                                                                                                           "its "                                                                                                         \
                                                                                                           "subscribe"                                                                                                    \
                                                                                                           "rs need "                                                                                                     \
                                                                                                           "column "                                                                                                      \
                                                                                                           "%s "                                                                                                          \
                                                                                                           "first', "                                                                                                     \
                                                                                                           "tab, "                                                                                                        \
                                                                                                           "p."                                                                                                           \
                                                                                                           "pubname, "                                                                                                    \
                                                                                                           "new)",                                                                                                        \
                                                                                                           "'Add the "                                                                                                    \
                                                                                                           "column "                                                                                                      \
                                                                                                           "on the "                                                                                                      \
                                                                                                           "subscribe"                                                                                                    \
                                                                                                           "rs "                                                                                                          \
                                                                                                           "before "                                                                                                      \
                                                                                                           "START.'") "FROM t JOIN pg_publication_tables p ON p.schemaname = t.nspname AND p.tablename = t.relname" NEXT  \
                                                                                                           WARN(                                                                                                          \
                                                                                                               "'ext"                                                                                                     \
                                                                                                               "ende"                                                                                                     \
                                                                                                               "d "                                                                                                       \
                                                                                                               "stat"                                                                                                     \
                                                                                                               "isti"                                                                                                     \
                                                                                                               "cs'",                                                                                                     \
                                                                                                               "form"                                                                                                     \
                                                                                                               "at('"                                                                                                     \
                                                                                                               "stat"                                                                                                     \
                                                                                                               "isti"                                                                                                     \
                                                                                                               "cs "                                                                                                      \
                                                                                                               "obje"                                                                                                     \
                                                                                                               "ct "                                                                                                      \
                                                                                                               "%I "                                                                                                      \
                                                                                                               "goes"                                                                                                     \
                                                                                                               " wit"                                                                                                     \
                                                                                                               "h "                                                                                                       \
                                                                                                               "the "                                                                                                     \
                                                                                                               "old "                                                                                                     \
                                                                                                               "colu"                                                                                                     \
                                                                                                               "mn',"                                                                                                     \
                                                                                                               " s."                                                                                                      \
                                                                                                               "stxn"                                                                                                     \
                                                                                                               "ame"                                                                                                      \
                                                                                                               ")",                                                                                                       \
                                                                                                               "'CRE"                                                                                                     \
                                                                                                               "ATE "                                                                                                     \
                                                                                                               "STAT"                                                                                                     \
                                                                                                               "ISTI"                                                                                                     \
                                                                                                               "CS "                                                                                                      \
                                                                                                               "on "                                                                                                      \
                                                                                                               "the "                                                                                                     \
                                                                                                               "new "                                                                                                     \
                                                                                                               "colu"                                                                                                     \
                                                                                                               "mn "                                                                                                      \
                                                                                                               "afte"                                                                                                     \
                                                                                                               "r "                                                                                                       \
                                                                                                               "SWIT"                                                                                                     \
                                                                                                               "CH."                                                                                                      \
                                                                                                               "'") "FROM t JOIN pg_statistic_ext s ON s.stxrelid = relid AND num = ANY (s.stxkeys::int2[])" NEXT         \
                                                                                                               WARN(                                                                                                      \
                                                                                                                   "'"                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "i"                                                                                                    \
                                                                                                                   "g"                                                                                                    \
                                                                                                                   "g"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   "'",                                                                                                   \
                                                                                                                   "f"                                                                                                    \
                                                                                                                   "o"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "m"                                                                                                    \
                                                                                                                   "a"                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "("                                                                                                    \
                                                                                                                   "'"                                                                                                    \
                                                                                                                   "%"                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "i"                                                                                                    \
                                                                                                                   "g"                                                                                                    \
                                                                                                                   "g"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "("                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   ")"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "o"                                                                                                    \
                                                                                                                   "f"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "%"                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "f"                                                                                                    \
                                                                                                                   "i"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "f"                                                                                                    \
                                                                                                                   "o"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "v"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "y"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "o"                                                                                                    \
                                                                                                                   "w"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "h"                                                                                                    \
                                                                                                                   "a"                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "h"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "b"                                                                                                    \
                                                                                                                   "a"                                                                                                    \
                                                                                                                   "c"                                                                                                    \
                                                                                                                   "k"                                                                                                    \
                                                                                                                   "f"                                                                                                    \
                                                                                                                   "i"                                                                                                    \
                                                                                                                   "l"                                                                                                    \
                                                                                                                   "l"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "c"                                                                                                    \
                                                                                                                   "o"                                                                                                    \
                                                                                                                   "p"                                                                                                    \
                                                                                                                   "i"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   "'"                                                                                                    \
                                                                                                                   ","                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "c"                                                                                                    \
                                                                                                                   "o"                                                                                                    \
                                                                                                                   "u"                                                                                                    \
                                                                                                                   "n"                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "("                                                                                                    \
                                                                                                                   "*"                                                                                                    \
                                                                                                                   ")"                                                                                                    \
                                                                                                                   ","                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "a"                                                                                                    \
                                                                                                                   "b"                                                                                                    \
                                                                                                                   ")",                                                                                                   \
                                                                                                                   "'"                                                                                                    \
                                                                                                                   "O"                                                                                                    \
                                                                                                                   "n"                                                                                                    \
                                                                                                                   "l"                                                                                                    \
                                                                                                                   "y"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "a"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   "u"                                                                                                    \
                                                                                                                   "p"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   "u"                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "r"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "m"                                                                                                    \
                                                                                                                   "a"                                                                                                    \
                                                                                                                   "y"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "k"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "p"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "h"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "m"                                                                                                    \
                                                                                                                   " "                                                                                                    \
                                                                                                                   "s"                                                                                                    \
                                                                                                                   "i"                                                                                                    \
                                                                                                                   "l"                                                                                                    \
                                                                                                                   "e"                                                                                                    \
                                                                                                                   "n"                                                                                                    \
                                                                                                                   "t"                                                                                                    \
                                                                                                                   "."                                                                                                    \
                                                                                                                   "'") "FROM t JOIN pg_trigger g ON g.tgrelid = relid AND NOT g.tgisinternal AND g.tgtype::int & 16 > 0" \
                                                                                                                        "   AND g.tgname NOT LIKE '~segue_guard_%'"                                                       \
                                                                                                                        " WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) GROUP BY tab" NEXT       \
                                                                                                                            WARN(                                                                                         \
                                                                                                                                "'disk space'",                                                                           \
                                                                                                                                "format('every row of %s is written once more: up to %s until VACUUM has gone by', tab,"  \
                                                                                                                                " pg_size_pretty(pg_total_relation_size(relid)))",                                        \
                                                                                                                                "NULL") "FROM t WHERE relkind = 'r' AND pg_total_relation_size(relid) > 1 << 28"

static const char preflight_sql[] =
    SUBJECT " SELECT level, what, detail, hint, sqlstate FROM (" TABLE_BLOCKERS NEXT COLUMN_BLOCKERS NEXT
        DEPENDENT_BLOCKERS NEXT PRIVILEGE_BLOCKERS NEXT WARNINGS
            ") AS finding(level, what, detail, hint, sqlstate) ORDER BY level, sqlstate DESC, what, detail";

static const char dependents_sql[] = SUBJECT " SELECT level, what, detail, hint, sqlstate FROM (" DEPENDENT_BLOCKERS
                                             ") AS finding(level, what, detail, hint, sqlstate) ORDER BY what, detail";

enum { LEVEL, WHAT, DETAIL, HINT, STATE };

PGresult *sg_preflight(PGconn *conn, const struct sg_preflight_subject *subject, struct sg_error *reterr) {
    return sg_db_query(conn, preflight_sql,
                       SG_ARGS(subject->relid, subject->old_name, subject->new_name, subject->guard ? "t" : "f",
                               subject->migration_id),
                       reterr);
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
    return has_no_blockers(
        sg_db_query(conn, dependents_sql, SG_ARGS(subject->relid, subject->old_name, subject->new_name), reterr),
        reterr);
}
