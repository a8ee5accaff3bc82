"""The engine on partitioned tables and inheritance trees: what the steps leave behind on every table below, and tables that
come and go meanwhile."""

import psycopg2
import pytest
from migration_fixtures import cluster, columns, database, driver, sql  # noqa: F401

PARTITIONED = """
CREATE TABLE team (name text PRIMARY KEY);
INSERT INTO team SELECT 'n' || g FROM generate_series(0, 9) g;
CREATE TABLE t (id int, part int, a varchar(40) COLLATE "C" NOT NULL DEFAULT 'n1', b int,
  CONSTRAINT a_long CHECK (length(a) > 1), CONSTRAINT a_key UNIQUE (a, id, part) INCLUDE (b),
  CONSTRAINT a_team FOREIGN KEY (a) REFERENCES team ON UPDATE CASCADE, PRIMARY KEY (part, id)) PARTITION BY RANGE (part);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE "t%2" (b int, a varchar(40) COLLATE "C" NOT NULL, part int NOT NULL, id int NOT NULL,
  CONSTRAINT own CHECK (a <> 'x' OR b > 0), CONSTRAINT a_long CHECK (length(a) > 1)) PARTITION BY RANGE (part);
CREATE TABLE t21 PARTITION OF "t%2" FOR VALUES FROM (10) TO (20);
CREATE TABLE t22 (part int NOT NULL, id int NOT NULL, gone text, a varchar(40) COLLATE "C" NOT NULL DEFAULT 'n2', b int,
  CONSTRAINT leaf_check CHECK (a <> 'y'), CONSTRAINT own CHECK (a <> 'x' OR b > 0),
  CONSTRAINT a_long CHECK (length(a) > 1));
ALTER TABLE t22 DROP COLUMN gone;
ALTER TABLE "t%2" ATTACH PARTITION t22 FOR VALUES FROM (20) TO (30);
ALTER TABLE t ATTACH PARTITION "t%2" FOR VALUES FROM (10) TO (30);
CREATE INDEX a_desc ON t (a varchar_pattern_ops DESC NULLS LAST, b) WHERE a <> 'a';
CREATE UNIQUE INDEX a_upper ON t (upper(a), id, part);
CREATE INDEX "on %s" ON "t%2" ((lower(a) || 'a'));
CREATE INDEX leaf_only ON t22 USING hash (a);
CREATE UNIQUE INDEX leaf_unique ON t1 (id, a);
CREATE INDEX untouched ON t (b);
ALTER TABLE t22 ALTER COLUMN a SET STATISTICS 300;
COMMENT ON COLUMN t21.a IS 'the a of 21';
COMMENT ON INDEX a_desc IS 'sorted';
COMMENT ON CONSTRAINT leaf_check ON t22 IS 'leaf';
INSERT INTO t SELECT g, g % 30, 'n' || g % 10, g FROM generate_series(1, 600) g;
"""

INHERITED = """
CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'd0', b int, CONSTRAINT a_long CHECK (length(a) > 1));
CREATE TABLE c1 (own int, UNIQUE (a, own)) INHERITS (t);
CREATE TABLE c2 (b int, a text NOT NULL DEFAULT 'd2', id int PRIMARY KEY, CONSTRAINT a_long CHECK (length(a) > 1));
ALTER TABLE c2 INHERIT t;
CREATE TABLE c3 (late date, a text DEFAULT 'd3') INHERITS (c1, c2);
ALTER TABLE t ADD CONSTRAINT only_here CHECK (a <> 'zz') NO INHERIT;
CREATE INDEX t_a ON t (a); CREATE INDEX c3_a ON c3 (late, a); CREATE UNIQUE INDEX c2_a ON c2 (a, id);
INSERT INTO t SELECT g, 'v' || g, g FROM generate_series(1, 200) g;
INSERT INTO c1 SELECT g, 'v' || g, g, g FROM generate_series(201, 400) g;
INSERT INTO c2 SELECT g, 'v' || g, g FROM generate_series(401, 600) g;
INSERT INTO c3 (id, a) SELECT g, 'v' || g FROM generate_series(601, 800) g;
"""


def described(sql, tables, new, old):
    """What the catalog says of each of the tables, with the new name read as the old one: columns by name, because the
    new one stands last. NOT NULL is said of the column, not of the constraint that it is since PostgreSQL 18."""
    text = """SELECT 'index ' || pg_get_indexdef(i.indexrelid) || ' ' || indisvalid || coalesce(' in ' || h.inhparent::regclass, '')
                || coalesce(' ' || obj_description(i.indexrelid), '')
                FROM pg_index i LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE indrelid = %s::regclass
              UNION ALL SELECT concat_ws(' ', 'constraint', conname, pg_get_constraintdef(oid), convalidated, coninhcount,
                (SELECT conname FROM pg_constraint u WHERE u.oid = k.conparentid), obj_description(oid, 'pg_constraint'))
                FROM pg_constraint k WHERE conrelid = %s::regclass AND contype <> 'n'
              UNION ALL SELECT concat_ws(' ', 'column', attname, format_type(atttypid, atttypmod), attnotnull, attislocal,
                attinhcount, attstattarget, attcollation, col_description(attrelid, attnum), pg_get_expr(adbin, adrelid))
                FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
              UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger
                WHERE tgrelid = %s::regclass AND NOT tgisinternal"""
    return {table: sorted(line.replace(new, old) for line, in sql(text, *[f'"{table}"'] * 4)) for table in tables}


def assert_same(after, before):
    for table, lines in before.items():
        assert [line for line in after[table] if line not in lines] == [], table
        assert [line for line in lines if line not in after[table]] == [], table


def nothing_left(sql):
    assert sql("SELECT relname FROM pg_class WHERE relname ~ '^segue_' OR relname ~ '^scratch'"
               " UNION ALL SELECT conname FROM pg_constraint WHERE conname ~ '^segue_'"
               " UNION ALL SELECT tgname FROM pg_trigger WHERE tgname ~ 'segue_guard'") == []


def to_read_new(driver):
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")


def to_new_only(driver):
    driver.run("contract", "m")
    driver.wait("m", "new_only")


@pytest.mark.parametrize("schema, tables, rows", [
    (PARTITIONED, ["t", "t1", "t%2", "t21", "t22"], 600), (INHERITED, ["t", "c1", "c2", "c3"], 800)],
    ids=["partitioned", "inherited"])
def test_whole_window_on_a_tree(driver, sql, schema, tables, rows):
    """All that stands on the column, on whichever table, is there afterwards; and after a rollback, from the last phase
    that has one, everything is as it was."""
    sql(schema)
    sql("CREATE TABLE before AS SELECT tableoid AS tab, id, a FROM t")
    before = described(sql, tables, "a", "a")
    driver.engine(batch_rows=50)
    driver.create("m", "t", "a", "zz_new")
    to_read_new(driver)
    assert int(driver.show("m")["rows_done"]) >= rows
    driver.run("rollback", "m")
    driver.rolled_back("m")
    assert_same(described(sql, tables, "zz_new", "a"), before)
    nothing_left(sql)
    to_read_new(driver)
    to_new_only(driver)
    assert_same(described(sql, tables, "zz_new", "a"), before)
    assert sql("SELECT count(*), count(zz_new) FROM (SELECT tableoid, id, zz_new FROM t INTERSECT TABLE before) x") == [(rows, rows)]
    nothing_left(sql)


def test_the_guard_on_every_table(driver, sql):
    """Rows written by whichever way, under either name, with the defaults of whichever table."""
    sql(PARTITIONED + "ALTER TABLE t DROP CONSTRAINT a_team")
    driver.engine()
    driver.create("m", "t", "a", "n")
    to_read_new(driver)
    sql("""INSERT INTO t (id, part, n) VALUES (1001, 1, 'only new'), (1002, 21, 'only new');
           INSERT INTO t22 (id, part, n) VALUES (1003, 21, 'only new'); INSERT INTO t21 (id, part, a) VALUES (1004, 11, 'only old');
           INSERT INTO t (id, part) VALUES (1005, 21); INSERT INTO t22 (id, part) VALUES (1006, 21);
           UPDATE t SET part = 12, n = 'moved' WHERE id = 1001; UPDATE t21 SET a = 'old' WHERE id = 1004""")
    assert sql("SELECT id, a, n, tableoid::regclass::text FROM t WHERE id > 1000 ORDER BY id") == [
        (1001, "moved", "moved", "t21"), (1002, "only new", "only new", "t22"), (1003, "only new", "only new", "t22"),
        (1004, "old", "old", "t21"), (1005, "n1", "n1", "t22"), (1006, "n2", "n2", "t22")]


def test_tables_that_come_and_go(driver, sql, cluster, database):
    """A partition that is made or attached during the window has its part in the rest of it; one that is detached stays
    in the migration as a table of its own, to its end."""
    sql(PARTITIONED)
    tables = ["t", "t1", "t%2", "t21", "t22"]
    driver.engine()
    driver.create("m", "t", "a", "n")
    sql("CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (30) TO (40)")
    sql("ALTER TABLE t DETACH PARTITION t1")
    driver.run("start", "m")
    driver.wait("m", "verified")
    sql("""CREATE TABLE t4 PARTITION OF t FOR VALUES FROM (40) TO (50);
           CREATE TABLE t5 (LIKE t22 INCLUDING ALL); INSERT INTO t5 (part, id, a, n) VALUES (55, 1, 'n1', 'n1');
           ALTER TABLE t ATTACH PARTITION t5 FOR VALUES FROM (50) TO (60)""")
    driver.until("m", lambda row: sql("SELECT count(*) FROM segue.member WHERE relid = 't5'::regclass") == [(1,)])
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    sql("""ALTER TABLE "t%2" DETACH PARTITION t21; CREATE TABLE t6 PARTITION OF t FOR VALUES FROM (60) TO (70);
           INSERT INTO t (id, part, n, b) VALUES (1, 65, 'n5', 1), (2, 45, 'n6', 1)""")
    with pytest.raises(psycopg2.errors.CheckViolation):  # no guard yet, but the fence
        sql("UPDATE t21 SET n = 'n0' WHERE a <> 'n0'")
    to_new_only(driver)
    for table in tables + ["t3", "t4", "t5", "t6"]:
        assert "a" not in columns(sql, f'"{table}"') and "n" in columns(sql, f'"{table}"'), table
    nothing_left(sql)
    assert sql("SELECT count(*) FROM t") == [(203,)] and sql("SELECT count(n) FROM t1") == [(200,)]
    # Only names that PostgreSQL chose for a partition made meanwhile may differ from those of a plain rename.
    twin = cluster.create_database("twin_of_" + database)
    conn = cluster.connect(twin)
    conn.autocommit = True
    conn.cursor().execute(PARTITIONED + """ALTER TABLE t RENAME COLUMN a TO n;
        CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (30) TO (40); ALTER TABLE t DETACH PARTITION t1;
        ALTER TABLE "t%2" DETACH PARTITION t21""")

    def there(text, *values):
        with conn.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall()

    def shape_of(run, table):
        return [line for line in described(run, [table], "\0", "")[table] if not line.startswith("index")]

    for table in ["t", "t1", "t%2", "t21", "t22"]:
        assert shape_of(sql, table) == shape_of(there, table), table
    conn.close()


@pytest.mark.parametrize("leaf", [1, 3])
def test_killed_among_the_tables(driver, sql, leaf):
    sql(PARTITIONED + """CREATE TABLE t3 (LIKE t INCLUDING ALL);
        INSERT INTO t3 SELECT g, 30, 'n1', g FROM generate_series(1, 200) g;
        ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM (30) TO (40); CREATE TABLE t0 PARTITION OF t DEFAULT""")
    engine = driver.engine(batch_rows=20)
    driver.create("m", "t", "a", "n")
    driver.run("start", "m")
    passed = "SELECT count(*) FROM segue.part p JOIN segue.backfill b ON b.migration_id = p.id WHERE has_rows AND p.relid <= b.leaf"
    driver.until("m", lambda row: row["state"] not in ("expanding", "barrier", "backfilling") or sql(passed)[0][0] >= leaf)
    driver.kill(engine)
    sql("INSERT INTO t (id, part, a) VALUES (5000, 5, 'n7'), (5001, 35, 'n8'); UPDATE t1 SET n = 'n9' WHERE id = 1")
    driver.engine(batch_rows=20)
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    assert sql("SELECT count(*), count(*) FILTER (WHERE n IS DISTINCT FROM a) FROM t") == [(802, 0)]
    assert int(driver.show("m")["rows_done"]) in (800, 801, 802)
    to_new_only(driver)
    nothing_left(sql)
