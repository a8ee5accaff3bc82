"""What the tests of the migration engine share: a cluster a file, a database a test, a driver, and tables."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from cluster import Cluster  # noqa: E402
from migration_driver import Driver  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    made = Cluster()
    yield made
    made.destroy()


@pytest.fixture
def database(cluster):
    name = cluster.create_database()
    yield name
    cluster.drop_database(name)


@pytest.fixture
def driver(cluster, database, tmp_path):
    with open(tmp_path / "engine.log", "w", encoding="utf-8") as log:
        made = Driver(cluster.conninfo(database), log)
        yield made
        bad = made.stop()
    text = (tmp_path / "engine.log").read_text(encoding="utf-8")
    print(text[-8000:])
    assert not bad, f"engines ended with {bad}"
    assert "Sanitizer" not in text


@pytest.fixture
def sql(cluster, database):
    conn = cluster.connect(database)
    conn.autocommit = True

    def run(text, *values):
        with conn.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description else None

    yield run
    conn.close()


USERS = """CREATE TABLE users (user_id bigint PRIMARY KEY, nickname varchar(100), email text);
           INSERT INTO users SELECT g, CASE WHEN g % 10 > 0 THEN 'nick' || g END FROM generate_series(1, 3000) g;
           ANALYZE users"""

SLOW_INDEX = """CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
                  'BEGIN PERFORM pg_sleep(0.0002); RETURN lower($1); END';
                CREATE INDEX slow_idx ON users (slow(nickname));"""


def columns(sql, table):
    return [name for name, in sql("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                                  " AND NOT attisdropped ORDER BY attnum", table)]


def described(sql, table, new, old):
    """Everything the catalog says of a table and its indexes and constraints, with the new name read as the old one."""
    parts = sql("""SELECT 'index ' || pg_get_indexdef(indexrelid) || indisvalid || indisclustered FROM pg_index
                     WHERE indrelid = %(t)s::regclass
                   UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated
                     FROM pg_constraint WHERE conrelid = %(t)s::regclass
                   UNION ALL SELECT format('column %s %s %s %s %s %s %s %s %s', attname, format_type(atttypid, atttypmod),
                     attnotnull, attstorage, attstattarget, attcollation,
                     array(SELECT o FROM unnest(attoptions) o WHERE o LIKE 'n@_distinct%' ESCAPE '@'), attacl,
                     col_description(attrelid, attnum)) || coalesce(pg_get_expr(adbin, adrelid), '')
                     FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                     WHERE attrelid = %(t)s::regclass AND attnum > 0 AND NOT attisdropped
                   UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger
                     WHERE tgrelid = %(t)s::regclass AND NOT tgisinternal
                """.replace("%(t)s", f"'{table}'"))
    return sorted(line.replace(new, old) for line, in parts)


STANDING = """
CREATE TABLE team (name text PRIMARY KEY);
INSERT INTO team SELECT 'n' || g FROM generate_series(0, 9) g;
CREATE ROLE reader_{db};
CREATE TABLE t (id int, part int, a varchar(40) COLLATE "C" NOT NULL DEFAULT 'n1', b int, PRIMARY KEY (part, id),
  CONSTRAINT a_long CHECK (length(a) > 1 AND a <> 'x "a" x'), CONSTRAINT a_later CHECK (a <> 'zz') NOT VALID,
  CONSTRAINT a_b_key UNIQUE (a, id) INCLUDE (b) WITH (fillfactor = 80),
  CONSTRAINT a_team FOREIGN KEY (a) REFERENCES team ON UPDATE CASCADE ON DELETE RESTRICT);
CREATE INDEX a_desc ON t (a varchar_pattern_ops DESC NULLS LAST, b) WHERE a <> 'a';
CREATE INDEX "A expr" ON t USING btree ((lower(a) || 'a'), (b + 1)) TABLESPACE pg_default;
CREATE INDEX a_hash ON t USING hash (a);
CREATE UNIQUE INDEX a_unique ON t (upper(a), id) WHERE b > 0;
CREATE INDEX a_only_where ON t (b) WHERE a IS NOT NULL;
CREATE INDEX untouched ON t (b);
CREATE INDEX a_cluster ON t (a, b);
ALTER TABLE t CLUSTER ON a_cluster;
ALTER TABLE t ALTER COLUMN a SET STATISTICS 300;
ALTER TABLE t ALTER COLUMN a SET STORAGE EXTERNAL;
ALTER TABLE t ALTER COLUMN a SET (n_distinct = -0.5);
GRANT SELECT (a), UPDATE (a) ON t TO reader_{db} WITH GRANT OPTION;
GRANT SELECT (a) ON t TO PUBLIC;
COMMENT ON COLUMN t.a IS 'the ''a''';
COMMENT ON INDEX a_desc IS 'sorted';
COMMENT ON CONSTRAINT a_long ON t IS 'long';
INSERT INTO t SELECT g, g % 3, 'n' || g % 10, g FROM generate_series(1, 500) g;
"""
