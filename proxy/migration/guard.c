/*
 * Why a sequence and a table: every repaired row is counted with nextval (no lock, not undone by a rollback, which is
 * right for a count of attempts); the sequence stays until the migration is dropped, to be shown. The origin is
 * recorded once per session and application_name, remembered in a session setting, so that even a writer that has every
 * row repaired adds one insert per session, into an unlogged table without any key.
 *
 * Why SECURITY DEFINER: application roles have no rights on schema segue. The search_path is fixed, the function takes
 * no arguments and cannot be called other than as a trigger.
 *
 * Why a lock per upserted key while contracting: from the moment the unique index on the new column enforces anything
 * until the old column is gone, the table has two unique indexes that mean the same. INSERT ... ON CONFLICT (one of
 * them) raises 23505 on the other when two sessions insert the same key at the same instant, because only the arbiter
 * is checked without raising. BEFORE triggers run ahead of that check, so a transaction-level advisory lock on the key
 * puts the two sessions one behind the other, and the second sees the first one's row. Only statements that have the
 * word CONFLICT in them take it: a bulk load does not fill the lock table.
 *
 * Tables below: PostgreSQL gives partitions the trigger of the partitioned table; an inheritance child gets one of its
 * own, and so does a partition that was detached. There is one function for all of them, in which the defaults of the
 * table that the row is for count: those of the row's own table, and for a partition also those of the table above,
 * because the row may have come that way.
 */
#include "proxy/migration/guard.h"

/* One lock for each unique index that has the column, on a hash of its key. Where equal keys may have different texts,
 * or the key is an expression, all upserts share one lock. An index of one table below is for its rows alone: others
 * need not have its columns. Those that are part of a partitioned table's index are locked by that one. */
#define UPSERT_LOCKS                                                                                        \
    "SELECT format(E'  IF TG_OP = ''INSERT'' AND current_query() ~* ''conflict'' THEN\\n%s  END IF;\\n',"   \
    "  string_agg(format(E'    %sPERFORM pg_advisory_xact_lock(hashtext(''segue.upsert.%s''), %s);%s\\n',"  \
    "    CASE WHEN i.relkind = 'i' THEN format('IF TG_RELID = %s THEN ', i.relid) END, i.indexrelid,"       \
    "    CASE WHEN k.hashable THEN format('hashtext(concat_ws(''|'', %s))', k.texts) ELSE '0' END,"         \
    "    CASE WHEN i.relkind = 'i' THEN ' END IF;' END, '') , '' ORDER BY i.indexrelid))"                   \
    " FROM segue.old_index i JOIN pg_index x USING (indexrelid), LATERAL (SELECT x.indexprs IS NULL"        \
    "   AND bool_and(segue.has_exact_equality(a.atttypid, a.attcollation)) AS hashable,"                    \
    "   string_agg(format('NEW.%I::text', a.attname), ', ' ORDER BY a.attnum) AS texts FROM pg_attribute a" \
    "   WHERE a.attrelid = x.indrelid AND a.attnum = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1])) k"

/* Is the column's value other than the default? Of which table, where they have different ones, depends on the row. */
#define DIFFERS(which, of)                                                                    \
    "segue.differs(t.exact, 'NEW.' || t." which ", format('(%s)::%s', coalesce(" of "." which \
    "_default, 'NULL'), t.type))"
#define GIVEN(which)                                                                                          \
    "coalesce((SELECT format('CASE TG_RELID %s ELSE %s END', string_agg(format('WHEN %s THEN %s%s', p.relid," \
    "   CASE WHEN p.is_partition THEN format('%s AND ', " DIFFERS(which, "t") ") END, " DIFFERS(              \
        which, "p") "), ' '),"                                                                                \
                    "   " DIFFERS(which, "t") ") FROM segue.part p WHERE p.id = t.id AND p." which            \
                                              "_default IS DISTINCT FROM t." which                            \
                                              "_default HAVING count(*) > 0), " DIFFERS(which, "t") ")"

/* $2: mode. A volatile default cannot be compared with, so there the column counts as set when the other one is not. */
static const char function_sql[] =
    "WITH t AS (SELECT *, segue.differs(exact, 'NEW.' || new, 'NEW.' || old) AS differ,"
    "   segue.differs(exact, 'NEW.' || old, 'OLD.' || old) AS old_changed,"
    "   segue.differs(exact, 'NEW.' || new, 'OLD.' || new) AS new_changed,"
    "   CASE WHEN old_volatile THEN 'NOT new_set' ELSE " GIVEN(
        "old") " END AS old_given,"
               "   CASE WHEN new_volatile THEN 'NOT old_set' ELSE " GIVEN(
                   "new") " END AS new_given"
                          "  FROM segue.target t WHERE id = $1),"
                          " piece AS (SELECT *,"
                          "   CASE WHEN old_volatile THEN format('new_set := %s; old_set := %s;', new_given, old_given)"
                          "        ELSE format('old_set := %s; new_set := %s;', old_given, new_given) END AS on_insert,"
                          "   format('old_set := %s; new_set := %s;', old_changed, new_changed) AS on_update,"
                          "   CASE $2::text WHEN 'dual_write' THEN 'new_set AND NOT old_set' ELSE 'new_set OR NOT "
                          "old_set' END AS take_new,"
                          "   CASE WHEN $2::text = 'contract' THEN 'NOT take_new'"
                          "        ELSE format('(CASE TG_OP WHEN ''INSERT'' THEN %s ELSE old_set OR new_set END)',"
                          "          CASE WHEN old_volatile THEN 'new_set' ELSE 'true' END) END AS is_repair,"
                          "   CASE WHEN $2::text = 'contract' THEN (" UPSERT_LOCKS
                          " WHERE i.id = t.id AND i.indisunique AND i.parent IS NULL HAVING count(*) > 0) END AS "
                          "upsert_locks,"
                          "   format('segue.guard_seen_%s', id) AS seen FROM t)"
                          "SELECT format('CREATE SEQUENCE IF NOT EXISTS %s', guard_seq) FROM piece"
                          " UNION ALL "
                          "SELECT format('CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SECURITY "
                          "DEFINER"
                          "   SET search_path = pg_catalog, pg_temp AS %L', guard_fn, format($body$\n"
                          "-- mode: %12$s\n"
                          "DECLARE old_set boolean; new_set boolean; take_new boolean;\n"
                          "BEGIN\n"
                          "  IF %1$s THEN\n"
                          "    IF TG_OP = 'INSERT' THEN %2$s\n"
                          "    ELSE %3$s\n"
                          "    END IF;\n"
                          "    take_new := %4$s;\n"
                          "    IF take_new THEN NEW.%5$s := NEW.%6$s; ELSE NEW.%6$s := NEW.%5$s; END IF;\n"
                          "    IF %7$s THEN\n"
                          "      PERFORM nextval('%8$s');\n"
                          "      IF current_setting('%9$s', true) IS DISTINCT FROM current_setting('application_name') "
                          "THEN\n"
                          "        PERFORM set_config('%9$s', current_setting('application_name'), false);\n"
                          "        INSERT INTO segue.guard_origin VALUES (%10$s, clock_timestamp(), "
                          "current_setting('application_name'),\n"
                          "          session_user, left(current_query(), 500));\n"
                          "      END IF;\n"
                          "    END IF;\n"
                          "  END IF;\n"
                          "%11$s"
                          "  RETURN NEW;\n"
                          "END $body$, differ, on_insert, on_update, take_new, old, new, is_repair, guard_seq, seen, "
                          "id, upsert_locks, "
                          "$2::text))"
                          " FROM piece"
                          " UNION ALL "
                          "SELECT format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC', guard_fn) FROM piece";

/* The upsert lock is for rows whose columns agree, too: then the trigger has no WHEN. */
static const char trigger_sql[] =
    "SELECT statement FROM segue.part t, LATERAL (VALUES"
    " (1, format('DROP TRIGGER IF EXISTS %s ON %s', guard_trigger, tab), NOT is_partition),"
    " (2, format('CREATE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW %s EXECUTE FUNCTION %s()', "
    "guard_trigger, "
    "tab,"
    "   CASE WHEN $2::text <> 'contract' OR NOT EXISTS (SELECT 1 FROM segue.old_index i WHERE i.id = t.id"
    "     AND i.indisunique) THEN format('WHEN (%s)', segue.differs(exact, 'NEW.' || new, 'NEW.' || old)) END, "
    "guard_fn), NOT is_partition),"
    " (3, format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %s', tab, guard_trigger), true)) AS s(n, statement, wanted)"
    " WHERE id = $1 AND wanted ORDER BY n, level, relid";

static const char drop_sql[] =
    "SELECT format('DROP TRIGGER IF EXISTS %s ON %s', guard_trigger, tab) FROM segue.part WHERE id = $1 AND NOT "
    "is_partition"
    " UNION ALL SELECT format('DROP FUNCTION IF EXISTS %s()', guard_fn) FROM segue.target WHERE id = $1";

static const char *mode_name(enum sg_guard_mode mode) {
    static const char *const names[] = {"dual_write", "read_new", "contract"};
    return names[mode];
}

bool sg_guard_install(struct sg_task *task, enum sg_guard_mode mode, struct sg_error *reterr) {
    return sg_task_compose(task, function_sql, mode_name(mode), reterr) &&
           sg_task_compose(task, trigger_sql, mode_name(mode), reterr);
}

bool sg_guard_change(struct sg_task *task, enum sg_guard_mode mode, struct sg_error *reterr) {
    return !task->guard || sg_task_compose(task, function_sql, mode_name(mode), reterr);
}

bool sg_guard_drop(struct sg_task *task, struct sg_error *reterr) {
    return sg_task_compose(task, drop_sql, NULL, reterr);
}
