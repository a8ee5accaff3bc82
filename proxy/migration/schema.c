#include "proxy/migration/schema.h"

#include "proxy/migration/db.h"

#include <stdlib.h>

/* One entry per version; entry i brings version i to version i + 1. Never edit an entry that has been released. */
static const char *const upgrades[] = {
    /* Without CREATE on the database IF NOT EXISTS would still fail, so the schema may also be made by an
       administrator. */
    "DO $$ BEGIN IF to_regnamespace('segue') IS NULL THEN CREATE SCHEMA segue; END IF; END $$;"

    /* With a key, like all of them: a publication of all tables would forbid to update it otherwise. */
    "CREATE TABLE segue.meta (version int PRIMARY KEY);"
    "INSERT INTO segue.meta VALUES (0);"

    /* Grows by one at every change of any mapping, in the same transaction. */
    "CREATE TABLE segue.epoch (one boolean PRIMARY KEY DEFAULT true CHECK (one), value bigint NOT NULL);"
    "INSERT INTO segue.epoch (value) VALUES (1);"

    "CREATE TABLE segue.migration ("
    "  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  name text NOT NULL UNIQUE,"
    "  kind text NOT NULL,"
    "  strategy text NOT NULL,"
    "  relid oid NOT NULL,"
    "  schema_name text NOT NULL," /* as they were at creation; relid is what counts */
    "  table_name text NOT NULL,"
    "  old_name text NOT NULL,"
    "  new_name text NOT NULL,"
    "  phase text NOT NULL DEFAULT 'planned'"
    "    CHECK (phase IN ('planned', 'dual_write', 'read_new', 'new_only', 'retired')),"
    "  state text NOT NULL DEFAULT 'idle' CHECK (state IN ('idle', 'expanding', 'barrier', 'backfilling', 'paused',"
    "    'mirroring', 'verifying', 'verified', 'contracting', 'failed')),"
    "  verb text CHECK (verb IN ('start', 'verify', 'switch', 'contract', 'rollback'))," /* what is being carried out */
    "  phase_epoch bigint NOT NULL,"                /* the epoch at which the phase began: what a barrier waits for */
    "  made_column boolean NOT NULL DEFAULT false," /* only a column that segue made may be dropped by a rollback */
    "  rolled_back boolean NOT NULL DEFAULT false,"
    "  guard boolean NOT NULL DEFAULT true,"
    "  paused boolean NOT NULL DEFAULT false,"
    "  batch_rows int CHECK (batch_rows BETWEEN 1 AND 1000000)," /* NULL: the proxy's configuration */
    "  max_p99_ratio float8 CHECK (max_p99_ratio >= 1),"
    "  shape jsonb NOT NULL," /* the table's columns when the mapping was made */
    "  detail text,"
    "  divergent bigint," /* rows that differed when last counted; NULL: not counted yet */
    "  changed_by text NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());"

    "CREATE TABLE segue.history ("
    "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  migration_id int NOT NULL,"
    "  name text NOT NULL," /* outlives the migration's row */
    "  at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  who text NOT NULL, phase text NOT NULL, state text NOT NULL, why text);"
    "CREATE INDEX ON segue.history (migration_id, id);"

    "CREATE TABLE segue.backfill ("
    "  migration_id int PRIMARY KEY REFERENCES segue.migration ON DELETE CASCADE,"
    "  pass int NOT NULL DEFAULT 1,"
    "  last_key text[],"                      /* tables with a primary key: the last key of the last window */
    "  next_block bigint NOT NULL DEFAULT 0," /* tables without: the first heap block not looked at yet */
    "  pass_left bigint NOT NULL DEFAULT 0,"  /* rows of this pass that were locked by somebody, so skipped */
    "  pass_copied bigint NOT NULL DEFAULT 0,"
    "  copied bigint NOT NULL DEFAULT 0,"
    "  rows_done bigint NOT NULL DEFAULT 0,"  /* looked at in the first pass */
    "  rows_total bigint NOT NULL DEFAULT 0," /* an estimate; grows when the table does */
    "  rate float8,"                          /* rows looked at per second, over the recent batches */
    "  throttled boolean NOT NULL DEFAULT false,"
    "  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()) WITH (fillfactor = 50);"

    "CREATE TABLE segue.proxy ("
    "  id uuid PRIMARY KEY,"
    "  host text NOT NULL,"
    "  epoch bigint NOT NULL," /* no session of this proxy is served by, or pinned to, an older one */
    "  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  expires_at timestamptz NOT NULL);"

    "CREATE TABLE segue.reference (migration_id int NOT NULL, name text NOT NULL, last_seen timestamptz NOT NULL,"
    "  PRIMARY KEY (migration_id, name));"

    /* Where repaired rows come from. Written by the guard in the writers' own transactions: no key, no contention. */
    "CREATE UNLOGGED TABLE segue.guard_origin (migration_id int NOT NULL, at timestamptz NOT NULL,"
    "  application_name text, role text, query text);"

    "CREATE FUNCTION segue.migration_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp"
    " AS $$ BEGIN"
    "  IF TG_OP = 'INSERT' OR NEW.phase <> OLD.phase OR NEW.state <> OLD.state THEN"
    "    INSERT INTO segue.history (migration_id, name, who, phase, state, why)"
    "    VALUES (NEW.id, NEW.name, NEW.changed_by, NEW.phase, NEW.state, coalesce(NEW.verb, NEW.detail));"
    "  END IF;"
    "  NEW.updated_at := clock_timestamp();"
    "  PERFORM pg_notify('segue', '');"
    "  RETURN NEW;"
    "END $$;"
    "CREATE TRIGGER changed BEFORE INSERT OR UPDATE ON segue.migration"
    "  FOR EACH ROW EXECUTE FUNCTION segue.migration_changed();"

    /* Two columns of a rename have the same type; the question is only whether the type's = tells every change. It does
     * for the types named here. For the others (citext, numeric scale, json that has no = at all, points that are equal
     * when merely near, non-deterministic collations) the images are compared, which needs no operator of the type. */
    "CREATE FUNCTION segue.has_exact_equality(typ oid, coll oid) RETURNS boolean LANGUAGE sql STABLE"
    " SET search_path = pg_catalog, pg_temp AS $$"
    "  WITH RECURSIVE base(oid, typtype, typbasetype) AS ("
    "    SELECT t.oid, t.typtype, t.typbasetype FROM pg_type t WHERE t.oid = typ"
    "    UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.typbasetype"
    "      WHERE b.typtype = 'd')"
    "  SELECT bool_or(typtype = 'e' OR oid IN ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype,"
    "    'text'::regtype, 'varchar'::regtype, 'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype,"
    "    'uuid'::regtype, 'bytea'::regtype, 'oid'::regtype))"
    "    AND coalesce((SELECT collisdeterministic FROM pg_collation c WHERE c.oid = coll), true)"
    "  FROM base WHERE typtype <> 'd' $$;"
    "CREATE FUNCTION segue.differs(exact boolean, a text, b text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    " SET search_path = pg_catalog, pg_temp AS $$"
    "  SELECT format(CASE WHEN exact THEN '%s IS DISTINCT FROM %s'"
    "                     ELSE 'pg_catalog.record_image_ne(ROW(%s), ROW(%s))' END, a, b) $$;"

    /* pg_depend does not record built-in functions, so the stored tree is asked which functions it calls. */
    "CREATE FUNCTION segue.is_volatile(expr pg_node_tree) RETURNS boolean LANGUAGE sql STABLE"
    " SET search_path = pg_catalog, pg_temp AS $$"
    "  SELECT coalesce(expr::text LIKE '%NEXTVALUEEXPR%' OR EXISTS (SELECT 1"
    "    FROM regexp_matches(expr::text, ':(?:funcid|opfuncid) (\\d+)', 'g') AS f(id)"
    "    JOIN pg_proc p ON p.oid = f.id[1]::oid WHERE p.provolatile = 'v'), false) $$;"

    /* A migration next to what the catalog says of its table now. Every statement that is composed starts here. */
    "CREATE VIEW segue.target AS"
    "  SELECT m.id, m.relid, c.relkind, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS tab,"
    "    m.old_name, m.new_name, format('%I', m.old_name) AS old, format('%I', m.new_name) AS new,"
    "    o.attnum AS old_num, w.attnum AS new_num, o.attnotnull AS old_not_null, o.atttypid AS old_type,"
    "    segue.has_exact_equality(coalesce(o.atttypid, w.atttypid), coalesce(o.attcollation, w.attcollation)) AS exact,"
    "    pg_get_expr(od.adbin, od.adrelid) AS old_default, pg_get_expr(wd.adbin, wd.adrelid) AS new_default,"
    "    segue.is_volatile(od.adbin) AS old_volatile, segue.is_volatile(wd.adbin) AS new_volatile,"
    "    format_type(coalesce(o.atttypid, w.atttypid), coalesce(o.atttypmod, w.atttypmod)) AS type,"
    "    format('segue.guard_%s', m.id) AS guard_fn, format('%I', '~segue_guard_' || m.id) AS guard_trigger,"
    "    format('segue.guard_%s_repaired', m.id) AS guard_seq, format('segue_fence_%s', m.id) AS fence,"
    "    format('segue_nn_%s', m.id) AS not_null_check, format('segue.scratch_%s', m.id) AS scratch, m.guard"
    "  FROM segue.migration m"
    "  JOIN pg_class c ON c.oid = m.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  LEFT JOIN pg_attribute o ON o.attrelid = m.relid AND o.attname = m.old_name AND NOT o.attisdropped"
    "  LEFT JOIN pg_attribute w ON w.attrelid = m.relid AND w.attname = m.new_name AND NOT w.attisdropped"
    "  LEFT JOIN pg_attrdef od ON od.adrelid = o.attrelid AND od.adnum = o.attnum"
    "  LEFT JOIN pg_attrdef wd ON wd.adrelid = w.attrelid AND wd.adnum = w.attnum;"

    /* What stands on the old column and needs a twin on the new one. An index that belongs to a constraint has its
     * dependency on the column through the constraint, hence the two ways to find it. */
    "CREATE VIEW segue.old_index AS"
    "  SELECT t.id, i.indexrelid, i.indisunique, i.indisclustered, x.relname AS name, n.nspname,"
    "    k.conname, s.spcname, format('segue_i%s_%s', t.id, i.indexrelid) AS twin,"
    "    format('segue_u%s_%s', t.id, i.indexrelid) AS unique_twin,"
    "    substr(pg_get_indexdef(i.indexrelid), length(format('CREATE %sINDEX %I ON %s USING ',"
    "      CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname, t.tab)) + 1) AS definition"
    "  FROM segue.target t JOIN pg_index i ON i.indrelid = t.relid"
    "  JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace"
    "  LEFT JOIN pg_tablespace s ON s.oid = x.reltablespace"
    "  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'u'"
    "  WHERE i.indisvalid AND NOT i.indisprimary AND NOT i.indisexclusion AND (t.old_num = ANY (i.indkey::int2[])"
    "    OR EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid"
    "      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relid AND d.refobjsubid = t.old_num));"

    "CREATE VIEW segue.old_constraint AS"
    "  SELECT t.id, k.oid, k.contype, k.conname AS name, format('segue_c%s_%s', t.id, k.oid) AS twin,"
    "    regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') AS definition, k.convalidated, k.conkey"
    "  FROM segue.target t JOIN pg_constraint k ON k.conrelid = t.relid"
    "  WHERE k.contype IN ('c', 'f') AND t.old_num = ANY (k.conkey) AND k.conname <> t.fence;",

    /* A migration is carried through on all tables below its own: partitions, inheritance children, of any depth. */
    "DROP VIEW segue.old_constraint, segue.old_index, segue.target;"

    /* Which they are and what their columns were, so that a table which leaves the tree meanwhile is not forgotten. The
     * migration's own table is not among them. */
    "CREATE TABLE segue.member ("
    "  migration_id int REFERENCES segue.migration ON DELETE CASCADE,"
    "  relid oid,"
    "  shape jsonb NOT NULL,"
    "  PRIMARY KEY (migration_id, relid));"

    /* The table that is being copied: they come in the order of their oids. */
    "ALTER TABLE segue.backfill ADD COLUMN leaf oid;"

    /* All tables of all migrations. `level` grows downwards; `is_top`: nothing of the migration stands above it. A
     * function, so that the planner knows that they are few, and asks the catalog by its indexes. */
    "CREATE FUNCTION segue.tree() RETURNS TABLE (id int, relid oid, level int, is_top boolean) LANGUAGE sql STABLE"
    " ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$"
    "  WITH RECURSIVE tree(id, relid, level) AS ("
    "    (SELECT id, relid, 0 FROM segue.migration UNION SELECT migration_id, relid, 0 FROM segue.member)"
    "    UNION SELECT t.id, i.inhrelid, t.level + 1 FROM tree t JOIN pg_inherits i ON i.inhparent = t.relid)"
    "  SELECT id, relid, max(level), NOT EXISTS (SELECT 1 FROM pg_inherits i JOIN tree p ON p.relid = i.inhparent"
    "      AND p.id = t.id WHERE i.inhrelid = t.relid) FROM tree t GROUP BY id, relid $$;"

    /* A table of a migration next to what the catalog says of it now. Every statement that is composed starts here.
     * `has_rows`: rows are stored in it. */
    "CREATE VIEW segue.part AS"
    "  SELECT m.id, e.relid, e.level, e.relid = m.relid AS is_root, c.relkind, c.relispartition AS is_partition,"
    "    e.is_top, c.relkind = 'r' AS has_rows, n.nspname, c.relname,"
    "    format('%I.%I', n.nspname, c.relname) AS tab,"
    "    m.old_name, m.new_name, format('%I', m.old_name) AS old, format('%I', m.new_name) AS new,"
    "    o.attnum AS old_num, w.attnum AS new_num, o.attnotnull AS old_not_null, w.attnotnull AS new_not_null,"
    "    o.attislocal AS old_local, w.attislocal AS new_local, o.atttypid AS old_type,"
    "    segue.has_exact_equality(coalesce(o.atttypid, w.atttypid), coalesce(o.attcollation, w.attcollation)) AS exact,"
    "    pg_get_expr(od.adbin, od.adrelid) AS old_default, pg_get_expr(wd.adbin, wd.adrelid) AS new_default,"
    "    segue.is_volatile(od.adbin) AS old_volatile, segue.is_volatile(wd.adbin) AS new_volatile,"
    "    format_type(coalesce(o.atttypid, w.atttypid), coalesce(o.atttypmod, w.atttypmod)) AS type,"
    "    format('segue.guard_%s', m.id) AS guard_fn, format('%I', '~segue_guard_' || m.id) AS guard_trigger,"
    "    format('segue.guard_%s_repaired', m.id) AS guard_seq, format('segue_fence_%s', m.id) AS fence,"
    "    format('segue_nn_%s', m.id) AS not_null_check, format('segue.scratch_%s', m.id) AS scratch, m.guard"
    "  FROM segue.tree() e JOIN segue.migration m USING (id)"
    "  JOIN pg_class c ON c.oid = e.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  LEFT JOIN pg_attribute o ON o.attrelid = e.relid AND o.attname = m.old_name AND NOT o.attisdropped"
    "  LEFT JOIN pg_attribute w ON w.attrelid = e.relid AND w.attname = m.new_name AND NOT w.attisdropped"
    "  LEFT JOIN pg_attrdef od ON od.adrelid = o.attrelid AND od.adnum = o.attnum"
    "  LEFT JOIN pg_attrdef wd ON wd.adrelid = w.attrelid AND wd.adnum = w.attnum;"
    "CREATE VIEW segue.target AS SELECT * FROM segue.part WHERE is_root;"

    /*
     * Members that are not in segue.member yet, with the columns that clients see in them. A partition made during the
     * window is made from its parent as that stands then; where the two stand alike, it is seen as the parent is.
     */
    "CREATE VIEW segue.found_member AS"
    "  WITH columns AS (SELECT p.id, p.relid, p.is_root, p.old_name, p.new_name, p.old_num,"
    "      (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a"
    "       WHERE a.attrelid = p.relid AND a.attnum > 0 AND NOT a.attisdropped) AS names"
    "    FROM segue.part p WHERE coalesce(p.old_num, p.new_num) IS NOT NULL),"
    "  known AS (SELECT c.*, CASE WHEN c.is_root THEN m.shape ELSE k.shape END AS shape FROM columns c"
    "    JOIN segue.migration m USING (id) LEFT JOIN segue.member k ON k.migration_id = c.id AND k.relid = c.relid),"
    "  ordered AS (SELECT f.*, coalesce((SELECT array_agg(s ->> 'name' ORDER BY n) FROM (SELECT k.shape FROM known k"
    "        WHERE k.id = f.id AND k.names = f.names AND k.shape IS NOT NULL ORDER BY k.is_root DESC, k.relid LIMIT 1)"
    "        AS alike, jsonb_array_elements(alike.shape) WITH ORDINALITY AS e(s, n)),"
    "      (SELECT array_agg(CASE WHEN name = f.new_name THEN f.old_name ELSE name END ORDER BY n)"
    "       FROM unnest(f.names) WITH ORDINALITY AS own(name, n) WHERE name <> f.new_name OR f.old_num IS NULL)"
    "      ) AS shape_names FROM known f WHERE f.shape IS NULL)"
    "  SELECT o.id AS migration_id, o.relid, (SELECT jsonb_agg(jsonb_build_object('name', u.name, 'type',"
    "      format_type(a.atttypid, NULL), 'default_sql', pg_get_expr(d.adbin, d.adrelid), 'is_generated',"
    "      a.attgenerated <> '', 'is_identity', a.attidentity <> '') ORDER BY u.n)"
    "    FROM unnest(o.shape_names) WITH ORDINALITY AS u(name, n)"
    "    JOIN pg_attribute a ON a.attrelid = o.relid AND NOT a.attisdropped"
    "      AND a.attname = CASE WHEN u.name = o.old_name AND o.old_num IS NULL THEN o.new_name ELSE u.name END"
    "    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum) AS shape"
    "  FROM ordered o;"

    /* What stands on the old column and needs a twin on the new one. An index that belongs to a constraint has its
     * dependency on the column through the constraint, hence the two ways to find it. `parent`: the index of the
     * partitioned table that it is a part of. */
    "CREATE VIEW segue.old_index AS"
    "  SELECT t.id, t.relid, t.tab, t.level, x.relkind, i.indexrelid, i.indisunique, i.indisclustered,"
    "    x.relname AS name, n.nspname, k.conname, k.oid AS conoid, s.spcname,"
    "    (SELECT h.inhparent FROM pg_inherits h JOIN pg_index u ON u.indexrelid = h.inhparent"
    "     WHERE h.inhrelid = i.indexrelid AND u.indisvalid) AS parent,"
    "    format('segue_i%s_%s', t.id, i.indexrelid) AS twin, format('segue_u%s_%s', t.id, i.indexrelid) AS unique_twin,"
    "    substr(pg_get_indexdef(i.indexrelid), length(format('CREATE %sINDEX %I ON %s%s USING ',"
    "      CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname, CASE x.relkind WHEN 'I' THEN 'ONLY ' END, t.tab)) + "
    "1)"
    "      AS definition"
    "  FROM segue.part t JOIN pg_index i ON i.indrelid = t.relid"
    "  JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace"
    "  LEFT JOIN pg_tablespace s ON s.oid = x.reltablespace"
    "  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'u'"
    "  WHERE i.indisvalid AND NOT i.indisprimary AND NOT i.indisexclusion AND (t.old_num = ANY (i.indkey::int2[])"
    "    OR EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid"
    "      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relid AND d.refobjsubid = t.old_num));"

    /* Without the checks that come down from a parent: their twins come down, too. Foreign keys are each table's own,
     * and know the one above (`parent`); those that PostgreSQL keeps for the partitions of the table referred to are
     * part of the one that names it. */
    "CREATE VIEW segue.old_constraint AS"
    "  SELECT t.id, t.relid, t.tab, t.level, t.relkind, k.oid, k.contype, k.conname AS name, nullif(k.conparentid, 0) "
    "AS"
    "    parent, format('segue_c%s_%s', t.id, k.oid) AS twin,"
    "    regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') AS definition, k.convalidated, k.conkey"
    "  FROM segue.part t JOIN pg_constraint k ON k.conrelid = t.relid"
    "  WHERE t.old_num = ANY (k.conkey) AND k.conname <> t.fence AND CASE k.contype WHEN 'c' THEN k.coninhcount = 0"
    "    WHEN 'f' THEN NOT EXISTS (SELECT 1 FROM pg_constraint u WHERE u.oid = k.conparentid AND u.conrelid = "
    "k.conrelid)"
    "    ELSE false END;",

    /* A proxy whose lease was over may have sent statements that have not begun yet: the server processes of its host
     * are waited for (barrier.c). NULL: a unix socket. */
    "ALTER TABLE segue.proxy ADD COLUMN address inet;"
    "CREATE TABLE segue.straggler (pid int NOT NULL, started_at timestamptz NOT NULL, PRIMARY KEY (pid, started_at));",
};

#define VERSION ((int)(sizeof(upgrades) / sizeof(upgrades[0])))

/* 0 when there is no schema yet. */
static bool read_version(PGconn *conn, int64_t *ret_version, struct sg_error *reterr) {
    int64_t exists;
    if (!sg_db_int(conn, "SELECT (to_regclass('segue.meta') IS NOT NULL)::int", 0, NULL, &exists, reterr)) {
        return false;
    }
    if (!exists) {
        *ret_version = 0;
        return true;
    }
    return sg_db_int(conn, "SELECT version FROM segue.meta", 0, NULL, ret_version, reterr);
}

/* Subscribers of a publication of all tables stop at the first row of a table that they do not have. An administrator
 * who has seen to that says so by making the schema. */
static bool is_unpublished(PGconn *conn, struct sg_error *reterr) {
    PGresult *rows = sg_db_query(conn,
                                 "SELECT string_agg(quote_ident(pubname), ', ' ORDER BY pubname) FROM pg_publication"
                                 " WHERE puballtables AND to_regnamespace('segue') IS NULL",
                                 0, NULL, reterr);
    if (!rows) {
        return false;
    }
    bool is_fine = PQgetisnull(rows, 0, 0);
    if (!is_fine) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     "publication of all tables (%s): its subscribers would stop at the tables of schema \"segue\"",
                     PQgetvalue(rows, 0, 0));
        sg_error_hint(reterr, "Publish tables or schemas by name; or see to it that the subscribers have these tables, "
                              "then CREATE SCHEMA segue AUTHORIZATION the control role.");
    }
    PQclear(rows);
    return is_fine;
}

static bool upgrade(PGconn *conn, struct sg_error *reterr) {
    struct sg_num cls = sg_num_of(SG_LOCK_CLASS), lock = sg_num_of(SG_LOCK_SCHEMA);
    int64_t version = 0;
    if (!sg_db_run(conn, "SELECT pg_advisory_xact_lock($1, $2)", SG_ARGS(cls.text, lock.text), reterr) ||
        !read_version(conn, &version, reterr) || (version == 0 && !is_unpublished(conn, reterr))) {
        return false;
    }
    for (; version < VERSION; version++) {
        if (!sg_db_exec(conn, upgrades[version], reterr) ||
            !sg_db_exec(conn, "UPDATE segue.meta SET version = version + 1", reterr)) {
            return false;
        }
    }
    return true;
}

static void explain_failure(struct sg_error *reterr) {
    if (sg_db_is(reterr, "42501")) {
        sg_error_set(reterr, SG_SQLSTATE_INSUFFICIENT_PRIVILEGE,
                     "the control role may not create or use schema \"segue\" in the control database");
        sg_error_hint(reterr, "GRANT CREATE ON DATABASE ... to the control role, or CREATE SCHEMA segue AUTHORIZATION "
                              "that role.");
    } else if (sg_db_is(reterr, "25006")) {
        sg_error_hint(reterr, "The control connection must lead to the primary server, not to a standby.");
    }
}

bool sg_schema_ensure(PGconn *conn, struct sg_error *reterr) {
    int64_t version;
    struct sg_error err;
    if (!read_version(conn, &version, &err)) {
        explain_failure(&err);
        *reterr = err;
        return false;
    }
    if (version > VERSION) {
        sg_error_set(reterr, SG_SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     "schema \"segue\" was made by a newer segue (version %d, this one knows %d)", (int)version,
                     VERSION);
        sg_error_hint(reterr, "Upgrade this proxy before it joins.");
        return false;
    }
    if (version == VERSION) {
        return true;
    }
    if (!sg_db_exec(conn, "BEGIN", &err) || !upgrade(conn, &err) || !sg_db_exec(conn, "COMMIT", &err)) {
        sg_db_rollback(conn);
        explain_failure(&err);
        *reterr = err;
        return false;
    }
    return true;
}
