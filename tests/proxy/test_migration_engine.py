"""The engine and the commands on a real PostgreSQL, with no proxy in between: what the steps leave behind, killed
processes, lost connections, and everything that stands on a column."""

import sys
import threading
import time
from pathlib import Path

import psycopg2
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from cluster import Cluster  # noqa: E402
from migration_driver import Driver, Refused  # noqa: E402


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
    parts = sql("""SELECT 'index ' || pg_get_indexdef(indexrelid) || indisvalid || indisclustered FROM pg_index WHERE indrelid = %(t)s::regclass
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


# ---- The whole way ----

def test_the_whole_window(driver, sql):
    sql(USERS)
    driver.engine(batch_rows=500)
    driver.create("m", "users", "nickname", "username")
    driver.whole_window("m")
    assert columns(sql, "users") == ["user_id", "email", "username"]
    assert sql("SELECT count(*), count(username) FROM users") == [(3000, 2700)]
    row = driver.show("m")
    assert (row["rows_done"], row["rows_total"], row["divergent"], row["detail"]) == ("3000", "3000", "0", "")
    driver.run("retire", "m")
    driver.wait("m", "retired")
    driver.run("drop", "m")
    assert driver.run("show") == []


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


def test_all_that_stands_on_the_column(driver, sql, database):
    sql(STANDING.replace("{db}", database))
    before = described(sql, "t", "a", "a")
    driver.engine(batch_rows=50)
    driver.create("m", "t", "a", "zz_new")
    driver.whole_window("m")
    after = described(sql, "t", "zz_new", "a")
    assert [line for line in after if line not in before] == []
    assert [line for line in before if line not in after] == []
    assert sql("SELECT count(*) FROM t WHERE zz_new = 'n' || id % 10") == [(500,)]
    sql(f"DROP OWNED BY reader_{database}; DROP ROLE reader_{database}")


@pytest.mark.parametrize("schema, table, old, new", [
    ("public", "product", "user", "creator"),
    ("public", "select", "Order \"by\"", "GROUP"),
    ("Öffentlich", "tä'b%s", "näme$1", "%I \\ "),
    ("public", "t" * 63, "o" * 63, "n" * 63),
    ("a.b", "c;d", "--x", "/*y*/"),
    ("public", "t", "$guard$", "$body$"),
])
def test_names_of_every_kind(driver, sql, schema, table, old, new):
    def q(name):
        return '"' + name.replace('"', '""') + '"'

    where, o, n = f"{q(schema)}.{q(table)}", q(old), q(new)
    sql(f"CREATE SCHEMA IF NOT EXISTS {q(schema)}")
    sql(f"""CREATE TABLE {where} (id serial PRIMARY KEY, {o} text UNIQUE NOT NULL CHECK ({o} <> ''));
            CREATE INDEX ON {where} (lower({o})) WHERE {o} > 'a';
            INSERT INTO {where} ({o}) SELECT 'v' || g FROM generate_series(1, 200) g""")
    driver.engine()
    driver.create("weird \" 'name'", table, old, new, schema=schema)
    driver.run("start", "weird \" 'name'")
    driver.wait("weird \" 'name'", "verified")
    sql(f"INSERT INTO {where} ({o}) VALUES ('behind')")
    assert sql(f"SELECT {n} FROM {where} WHERE {o} = 'behind'") == [("behind",)]
    driver.run("switch", "weird \" 'name'")
    driver.wait("weird \" 'name'", "read_new")
    driver.run("contract", "weird \" 'name'")
    driver.wait("weird \" 'name'", "new_only")
    assert sql(f"SELECT count(*) FROM {where} WHERE {n} LIKE 'v%'") == [(200,)]


@pytest.mark.parametrize("type_, one, other", [
    ("json", "'{\"a\":1}'", "'{\"a\": 1}'"),
    ("xml", "'<a/>'", "'<a></a>'"),
    ("point", "'(1,2)'", "'(1,2.0000000001)'"),
    ("numeric", "1.0", "1.00"),
    ("json[]", "ARRAY['1']::json[]", "ARRAY['2']::json[]"),
    ("float8", "'0'", "'-0'"),
    ("interval", "'1 day'", "'24 hours'"),
    ("text COLLATE \"ci\"", "'Bob'", "'bob'"),
    ("mood", "'sad'", "'ok'"),
    ("plain_domain", "'a'", "'b'"),
    ("int4range", "'[1,5)'", "'[1,6)'"),
    ("bytea", "'\\x00ff'", "'\\x00fe'"),
    ("bpchar", "'a'", "'a '"),
    ("pair", "'(1,a)'", "'(1,b)'"),
])
def test_types_whose_equality_is_missing_or_not_exact(driver, sql, type_, one, other):
    """1.0 and 1.00 are equal and yet not the same value: a change from one to the other must be carried over."""
    sql("""CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
           CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN plain_domain AS text; CREATE TYPE pair AS (n int, t text)""")
    sql(f"CREATE TABLE t (id int PRIMARY KEY, v {type_}); INSERT INTO t VALUES (1, {one}), (2, NULL), (3, {other})")
    driver.engine()
    driver.create("m", "t", "v", "w")
    driver.run("start", "m")
    driver.wait("m", "verified")
    same = "SELECT bool_and(record_image_eq(ROW(v), ROW(w))) FROM t"
    assert sql(same) == [(True,)]
    sql(f"UPDATE t SET v = {other} WHERE id = 1")
    sql(f"INSERT INTO t (id, w) VALUES (4, {other})")
    assert sql(same) == [(True,)]
    assert sql("SELECT bool_and(record_image_eq(ROW(v), ROW((SELECT v FROM t WHERE id = 3)))) FROM t WHERE id IN (1, 4)") == [(True,)]


def test_keys_of_every_kind(driver, sql):
    """Composite, reserved, bytea, timestamptz and float keys, and no key at all."""
    sql("""CREATE TABLE k1 (a bytea, "order" timestamptz, c float8, v text, PRIMARY KEY (c, "order", a));
           INSERT INTO k1 SELECT decode(md5(g::text), 'hex'), timestamptz '2020-01-01' + g * interval '1.000001 s',
             g / 3.0, 'v' || g FROM generate_series(1, 1000) g;
           INSERT INTO k1 VALUES ('', '-infinity', 'NaN', 'x'), ('', 'infinity', '-infinity', 'y');
           CREATE TABLE k2 (v text); INSERT INTO k2 SELECT CASE WHEN g % 2 = 0 THEN 'v' || g END FROM generate_series(1, 2000) g;
           CREATE TABLE k3 (id text COLLATE "C" PRIMARY KEY, v text);
           INSERT INTO k3 SELECT chr(60 + g % 60) || '''"\\%,{}' || g, 'v' FROM generate_series(1, 1000) g;
           CREATE TABLE k4 (v text)""")
    driver.engine(batch_rows=37)
    for table in ("k1", "k2", "k3", "k4"):
        driver.create(table, table, "v", "w")
        driver.run("start", table)
    for table in ("k1", "k2", "k3", "k4"):
        driver.wait(table, "verified")
        assert sql(f"SELECT count(*) FROM {table} WHERE v IS DISTINCT FROM w") == [(0,)]
    assert driver.show("k1")["rows_done"] == "1002"


def test_defaults_that_are_evaluated_once(driver, sql):
    """Both columns get one value, whether the default is constant, stable, volatile or a sequence's."""
    sql("""CREATE TABLE t (id int PRIMARY KEY, s serial, r text DEFAULT md5(random()::text), c text DEFAULT 'const',
             n timestamptz DEFAULT now())""")
    driver.engine()
    names = {"s": "s2", "r": "r2", "c": "c2", "n": "n2"}
    for old, new in names.items():
        driver.create(old, "t", old, new)
        driver.run("start", old)
        driver.wait(old, "verified")
    sql("INSERT INTO t (id) SELECT generate_series(1, 100)")
    for old, new in names.items():
        assert sql(f"SELECT count(*) FROM t WHERE {old} IS DISTINCT FROM {new} OR {new} IS NULL") == [(0,)]
    assert sql("SELECT max(s), count(DISTINCT r) FROM t") == [(100, 100)]
    assert all(driver.show(old)["repaired"] == "0" for old in names), "a default is not somebody's write"
    for old in names:
        driver.run("switch", old)
        driver.wait(old, "read_new")
    sql("INSERT INTO t (id) VALUES (101)")
    for old in names:
        driver.run("contract", old)
        driver.wait(old, "new_only")
    sql("INSERT INTO t (id) VALUES (102)")
    assert sql("SELECT s2, c2, r2 IS NOT NULL, n2 IS NOT NULL FROM t WHERE id = 102") == [(102, "const", True, True)]
    assert sql("SELECT pg_get_serial_sequence('t', 's2')") == [("public.t_s_seq",)]


# ---- The guard ----

def test_who_wins_when_only_one_column_is_written(driver, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, o text DEFAULT 'd', x int)")
    driver.engine()
    driver.create("m", "t", "o", "n")
    driver.run("start", "m")
    driver.wait("m", "verified")

    def after(statement):
        sql("DELETE FROM t")
        sql(statement)
        return sql("SELECT o, n FROM t")[0]

    both_cases = {
        "INSERT INTO t (id, o) VALUES (1, 'a')": ("a", "a"),
        "INSERT INTO t (id, n) VALUES (1, 'b')": ("b", "b"),
        "INSERT INTO t (id) VALUES (1)": ("d", "d"),
        "INSERT INTO t (id, o, n) VALUES (1, NULL, NULL)": (None, None),
        "INSERT INTO t (id, o) VALUES (1, 'a'); UPDATE t SET n = 'b'": ("b", "b"),
        "INSERT INTO t (id, o) VALUES (1, 'a'); UPDATE t SET o = 'b'": ("b", "b"),
        "INSERT INTO t (id, o) VALUES (1, 'a'); UPDATE t SET o = NULL": (None, None),
        "INSERT INTO t (id, o) VALUES (1, 'a'); UPDATE t SET x = 1": ("a", "a"),
    }
    for statement, outcome in both_cases.items():
        assert after(statement) == outcome, statement
    assert after("INSERT INTO t (id, o, n) VALUES (1, 'a', 'b')") == ("a", "a")
    assert after("INSERT INTO t (id) VALUES (1); UPDATE t SET o = 'a', n = 'b'") == ("a", "a")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    for statement, outcome in both_cases.items():
        assert after(statement) == outcome, statement
    assert after("INSERT INTO t (id, o, n) VALUES (1, 'a', 'b')") == ("b", "b")
    assert after("INSERT INTO t (id) VALUES (1); UPDATE t SET o = 'a', n = 'b'") == ("b", "b")
    assert int(driver.show("m")["repaired"]) > 0


def test_a_role_without_rights_on_schema_segue_is_repaired_and_recorded(driver, sql, cluster, database):
    sql(f"CREATE TABLE t (id int PRIMARY KEY, o text); CREATE ROLE app_{database} LOGIN; GRANT ALL ON t TO app_{database}")
    driver.engine()
    driver.create("m", "t", "o", "n")
    driver.run("start", "m")
    driver.wait("m", "verified")
    app = psycopg2.connect(cluster.conninfo(database, user=f"app_{database}") + " application_name=cron")
    with app, app.cursor() as cursor:
        for i in range(20):
            cursor.execute("INSERT INTO t (id, o) VALUES (%s, 'x')", (i,))
    app.close()
    assert sql("SELECT count(*) FROM t WHERE o = n") == [(20,)]
    assert driver.show("m")["repaired"] == "20"
    assert sql("SELECT role, application_name, count(*) FROM segue.guard_origin GROUP BY 1, 2") == [
        (f"app_{database}", "cron", 1)], "one line a session, not one a row"
    driver.run("rollback", "m")
    driver.rolled_back("m")
    sql(f"DROP OWNED BY app_{database}; DROP ROLE app_{database}")


def test_cascades_are_carried_over(driver, sql):
    sql("""CREATE TABLE team (name text PRIMARY KEY); INSERT INTO team VALUES ('red'), ('blue');
           CREATE TABLE t (id int PRIMARY KEY, team text REFERENCES team ON UPDATE CASCADE ON DELETE SET NULL);
           INSERT INTO t VALUES (1, 'red'), (2, 'blue')""")
    driver.engine()
    driver.create("m", "t", "team", "club")
    driver.run("start", "m")
    driver.wait("m", "verified")
    sql("UPDATE team SET name = 'green' WHERE name = 'red'; DELETE FROM team WHERE name = 'blue'")
    assert sql("SELECT id, team, club FROM t ORDER BY id") == [(1, "green", "green"), (2, None, None)]


def test_without_a_guard_a_writer_behind_the_back_is_caught_by_the_fence(driver, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, o text); INSERT INTO t VALUES (1, 'a')")
    driver.engine()
    driver.create("m", "t", "o", "n", "guard=off")
    driver.run("start", "m")
    driver.wait("m", "verified")
    assert sql("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass") == [(0,)]
    with pytest.raises(psycopg2.errors.CheckViolation):
        sql("INSERT INTO t (id, o) VALUES (2, 'b')")
    sql("INSERT INTO t (id, o, n) VALUES (2, 'b', 'b')")
    driver.run("rollback", "m")
    driver.rolled_back("m")
    sql("INSERT INTO t (id, o) VALUES (3, 'c')")
    assert columns(sql, "t") == ["id", "o"]


def test_the_triggers_of_the_application_stay_silent_during_the_backfill(driver, sql):
    sql("""CREATE TABLE t (id int PRIMARY KEY, o text, touched int DEFAULT 0);
           CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END';
           CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
           INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g""")
    driver.engine()
    driver.create("m", "t", "o", "n")
    driver.run("start", "m")
    driver.wait("m", "verified")
    assert sql("SELECT max(touched), count(n) FROM t") == [(0, 100)]


# ---- Way back ----

def test_rollback_leaves_the_table_as_it_was(driver, sql, database):
    sql(STANDING.replace("{db}", database))
    before = described(sql, "t", "a", "a")
    driver.engine(batch_rows=50)
    driver.create("m", "t", "a", "zz_new")
    for until in ("dual_write", "verified", "read_new"):
        driver.run("start", "m")
        driver.wait("m", "verified" if until == "read_new" else until)
        if until == "read_new":
            driver.run("switch", "m")
            driver.wait("m", "read_new")
        driver.run("rollback", "m")
        driver.rolled_back("m")
        assert described(sql, "t", "a", "a") == before
        with pytest.raises(Refused) as refused:
            driver.wait("m", "verified")
        assert "rolled back" in refused.value.message
    sql(f"DROP OWNED BY reader_{database}; DROP ROLE reader_{database}")


def test_rollback_in_the_middle_of_everything(driver, sql, cluster, database):
    """Also while an index build waits for a stranger's transaction: the runner's statement is cancelled."""
    sql(USERS + "; CREATE INDEX ON users (nickname)")
    driver.engine(batch_rows=10)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    driver.run("rollback", "m")
    driver.rolled_back("m")
    assert columns(sql, "users") == ["user_id", "nickname", "email"]

    stranger = cluster.connect(database)
    stranger.cursor().execute("SELECT 1 FROM users")
    driver.run("set", "m", "batch_rows=5000")
    driver.run("start", "m")  # waits for the table's lock: stranger reads it
    driver.until("m", lambda row: row["state"] == "expanding")
    driver.run("rollback", "m")
    driver.rolled_back("m")
    stranger.rollback()
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] in ("backfilling", "mirroring"))
    stranger.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
    driver.until("m", lambda row: row["state"] in ("mirroring", "verifying", "verified"))
    driver.run("rollback", "m")
    stranger.rollback()
    driver.rolled_back("m")
    assert columns(sql, "users") == ["user_id", "nickname", "email"]
    stranger.close()


def test_a_column_that_segue_did_not_make_is_never_dropped(driver, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, o text)")
    driver.engine()
    driver.create("m", "t", "o", "n")
    sql("ALTER TABLE t ADD COLUMN n text")
    with pytest.raises(Refused) as refused:
        driver.run("start", "m")
    assert refused.value.sqlstate == "42701"
    with pytest.raises(Refused):
        driver.run("rollback", "m")
    assert columns(sql, "t") == ["id", "o", "n"]
    driver.run("drop", "m")


# ---- Killed ----

@pytest.mark.parametrize("phase, state", [
    ("planned", "expanding"), ("dual_write", "barrier"), ("dual_write", "backfilling"), ("dual_write", "mirroring"),
    ("dual_write", "verifying"), ("dual_write", "verified")])
def test_killed_on_the_way_to_verified(driver, sql, phase, state):
    sql(USERS + ";" + SLOW_INDEX + "CREATE UNIQUE INDEX ON users (nickname)")
    engine = driver.engine(batch_rows=100)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    order = ["expanding", "barrier", "backfilling", "mirroring", "verifying", "verified"]
    driver.until("m", lambda row: order.index(row["state"]) >= order.index(state))
    driver.kill(engine)
    sql("INSERT INTO users VALUES (100000, 'while dead')")
    driver.engine(batch_rows=100)
    driver.wait("m", "verified")
    assert sql("SELECT count(*), count(*) FILTER (WHERE username IS DISTINCT FROM nickname) FROM users") == [(3001, 0)]
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 50, 100, 200, 400])
def test_killed_while_contracting(driver, sql, delay_ms):
    sql(USERS + ";" + SLOW_INDEX + "CREATE UNIQUE INDEX nick_key ON users (nickname)")
    engine = driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    driver.run("contract", "m")
    time.sleep(delay_ms / 1000)
    driver.kill(engine)
    driver.engine()
    driver.wait("m", "new_only")
    assert sql("SELECT count(*), count(username) FROM users") == [(3000, 2700)]
    assert sql("SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE indrelid = 'users'::regclass"
               " AND indisvalid ORDER BY 1") == [("nick_key",), ("slow_idx",), ("users_pkey",)]
    assert sql("SELECT count(*) FROM pg_class WHERE relname ~ '^segue_' OR relname ~ '^scratch'") == [(0,)]
    with pytest.raises(psycopg2.errors.UniqueViolation):
        sql("INSERT INTO users VALUES (5000, NULL, 'nick1')")


@pytest.mark.parametrize("delay_ms", [0, 10, 30, 60, 120])
def test_killed_while_rolling_back(driver, sql, delay_ms):
    sql(USERS)
    engine = driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    driver.run("rollback", "m")
    time.sleep(delay_ms / 1000)
    driver.kill(engine)
    driver.engine()
    driver.rolled_back("m")
    assert columns(sql, "users") == ["user_id", "nickname", "email"]


def test_lost_connections(driver, sql):
    """The server ends every one of our connections, again and again."""
    sql(USERS)
    driver.engine(batch_rows=20)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    for _ in range(15):
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'segue %'")
        time.sleep(0.1)
    driver.wait("m", "verified")
    assert sql("SELECT count(*) FROM users WHERE username IS DISTINCT FROM nickname") == [(0,)]


def test_another_proxy_takes_over(driver, sql):
    sql(USERS)
    first = driver.engine(batch_rows=10)
    driver.engine(batch_rows=10)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling" and row["rows_done"] != "0")
    assert sql("SELECT count(*) FROM segue.proxy WHERE expires_at > now()") == [(2,)]
    driver.kill(first)
    driver.wait("m", "verified")
    assert sql("SELECT count(*) FROM users WHERE username IS DISTINCT FROM nickname") == [(0,)]


# ---- Writers during the window ----

def test_upserts_of_the_same_keys_while_the_unique_index_moves(driver, sql, cluster, database):
    """Two unique indexes on equal columns make ON CONFLICT raise 23505 on the one that is not the arbiter, unless upserts
    of the same key queue. Every session upserts the same keys at the same instants, as a proxy in read_new would; an old
    snapshot keeps the index build, and with it the time of two unique indexes, from ending."""
    sql(USERS + "; CREATE UNIQUE INDEX ON users (nickname); CREATE SEQUENCE ids START 1000000")
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    stranger = cluster.connect(database)
    stranger.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
    errors, dropped = [], []
    together = threading.Barrier(6)

    def upsert():
        conn = cluster.connect(database)
        conn.autocommit = True
        cursor = conn.cursor()
        for n in range(1000000):
            try:
                together.wait(60)
                cursor.execute("INSERT INTO users (user_id, nickname, username) VALUES (nextval('ids'), 'k' || %(n)s,"
                               " 'k' || %(n)s) ON CONFLICT (nickname) DO UPDATE SET email = 'again'", {"n": n})
            except psycopg2.errors.UndefinedColumn:
                dropped.append(n)  # the old column is gone: no proxy would send this any more
                together.abort()
            except threading.BrokenBarrierError:
                break
            except psycopg2.Error as error:
                errors.append(str(error))
        conn.close()

    threads = [threading.Thread(target=upsert) for _ in range(6)]
    for thread in threads:
        thread.start()
    driver.run("contract", "m")
    twins = "SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND indisunique AND indisready"
    driver.until("m", lambda row: sql(twins) == [(3,)])
    rows = sql("SELECT count(*) FROM users")[0][0]
    driver.until("m", lambda row: errors or sql("SELECT count(*) FROM users")[0][0] > rows + 300)
    stranger.rollback()
    driver.wait("m", "new_only")
    for thread in threads:
        thread.join()
    stranger.close()
    assert dropped and errors == []
    assert sql("SELECT count(*) - count(DISTINCT username) FROM users WHERE username IS NOT NULL") == [(0,)]


def test_a_table_that_is_dropped_meanwhile(driver, sql):
    sql(USERS)
    driver.engine(batch_rows=10)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    sql("DROP TABLE users")
    with pytest.raises(Refused) as refused:
        driver.wait("m", "verified")
    assert "does not exist" in refused.value.detail or "dropped" in refused.value.detail
    driver.run("drop", "m")
    assert driver.run("show") == []


def test_a_table_that_is_renamed_meanwhile(driver, sql):
    sql(USERS)
    driver.engine(batch_rows=10)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    sql("CREATE SCHEMA app; ALTER TABLE users RENAME TO people; ALTER TABLE people SET SCHEMA app")
    driver.run("set", "m", "batch_rows=1000")
    driver.wait("m", "verified")
    assert driver.show("m")["table"] == "app.people"
    assert sql("SELECT count(*) FROM app.people WHERE username IS DISTINCT FROM nickname") == [(0,)]


def test_the_old_column_dropped_by_hand_does_not_cost_the_values(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    sql("ALTER TABLE users DROP COLUMN nickname CASCADE")
    driver.run("rollback", "m")
    driver.until("m", lambda row: (row["phase"], row["state"]) == ("planned", "idle"))
    assert sql("SELECT count(username) FROM users") == [(2700,)]


# ---- Barriers and locks ----

def test_a_transaction_that_wrote_before_is_waited_for_and_shown(driver, sql, cluster, database):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    writer = cluster.connect(database, application_name="forgetful")
    writer.cursor().execute("INSERT INTO users VALUES (9000, 'open')")
    driver.run("start", "m")
    driver.until("m", lambda row: any(line["application_name"] == "forgetful" and line["state"] == "idle in transaction"
                                      for line in driver.run("barrier")))
    assert driver.show("m")["phase"] == "planned"
    writer.commit()
    driver.wait("m", "verified")
    assert driver.run("barrier") == []
    assert sql("SELECT username FROM users WHERE user_id = 9000") == [("open",)]
    writer.close()


def test_a_prepared_transaction_is_waited_for_and_named(driver, sql, cluster, database):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    sql("BEGIN; INSERT INTO users VALUES (9000, 'p'); PREPARE TRANSACTION 'left behind'")
    assert [line["what"] for line in driver.run("preflight", "m")] == ["prepared transactions"]
    driver.run("start", "m")
    driver.until("m", lambda row: any(line["holder"] == "prepared transaction" and line["query"] == "left behind"
                                      for line in driver.run("barrier")))
    sql("COMMIT PREPARED 'left behind'")
    driver.wait("m", "verified")
    assert sql("SELECT username FROM users WHERE user_id = 9000") == [("p",)]


def test_rows_that_somebody_holds_locked_are_come_back_for(driver, sql, cluster, database):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("set", "m", "batch_rows=100")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    holder = cluster.connect(database)
    holder.cursor().execute("SELECT 1 FROM users WHERE user_id = 2999 FOR UPDATE")
    driver.until("m", lambda row: row["rows_done"] == "3000")
    assert sql("SELECT pass_left FROM segue.backfill") and driver.show("m")["state"] == "backfilling"
    holder.rollback()
    driver.wait("m", "verified")
    holder.close()


# ---- Pace ----

def test_pause_and_resume(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username", "batch_rows=10")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    driver.run("pause", "m")
    driver.until("m", lambda row: row["state"] == "paused")
    time.sleep(0.3)
    done = driver.show("m")["rows_done"]
    time.sleep(0.3)
    assert driver.show("m")["rows_done"] == done != "3000"
    driver.run("set", "m", "batch_rows=1000", "max_p99_ratio=2")
    driver.run("resume", "m")
    driver.wait("m", "verified")
    with pytest.raises(Refused) as refused:
        driver.run("pause", "m")
    assert refused.value.sqlstate == "55000"


# ---- What is refused ----

BLOCKED = {
    "CREATE VIEW v AS SELECT * FROM t": ("55000", "view public.v"),
    "CREATE MATERIALIZED VIEW v AS SELECT o FROM t": ("55000", "view public.v"),
    "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (o)": ("55000", "primary key"),
    "ALTER TABLE t ADD COLUMN g text GENERATED ALWAYS AS (upper(o)) STORED": ("55000", "column o"),
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (o = 'a')": ("55000", "policy p"),
    "CREATE PUBLICATION p FOR TABLE t (id, o)": ("55000", "publication"),
    "ALTER TABLE t ALTER o SET NOT NULL; CREATE UNIQUE INDEX ri ON t (o); ALTER TABLE t REPLICA IDENTITY USING INDEX ri":
        ("55000", "replica identity"),
    "CREATE TABLE c () INHERITS (t)": ("0A000", "children"),
    "CREATE UNIQUE INDEX u ON t (o); CREATE TABLE r (o text REFERENCES t (o))": ("55000", "refers to column o"),
    "ALTER TABLE t ADD UNIQUE (o) DEFERRABLE": ("55000", "DEFERRABLE"),
    "ALTER TABLE t ADD EXCLUDE (o WITH =)": ("55000", "EXCLUDE"),
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.o := 1; RETURN NEW; END';"
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()": ("55000", "trigger g"),
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER g BEFORE UPDATE OF o ON t FOR EACH ROW EXECUTE FUNCTION f()": ("55000", "trigger g"),
    "CREATE DOMAIN d AS text CHECK (value <> ''); ALTER TABLE t ALTER o TYPE d": ("55000", "domain"),
    "ALTER TABLE t RENAME o TO x; ALTER TABLE t ADD o int GENERATED ALWAYS AS IDENTITY": ("55000", "server"),
    "ALTER TABLE t DROP COLUMN o": ("42703", "does not exist"),
    "ALTER TABLE t ADD COLUMN n text": ("42701", "exists already"),
    "DROP TABLE t": ("42P01", "does not exist"),
    "DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id, ''::text AS o": ("42809", "view"),
    "DROP TABLE t; CREATE TABLE t (id int, o text) PARTITION BY LIST (id)": ("0A000", "partition"),
    "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(o) FROM t; END": ("55000", "function"),
    "CREATE RULE r AS ON UPDATE TO t WHERE new.o = 'z' DO INSTEAD NOTHING": ("55000", "rule"),
}


@pytest.mark.parametrize("obstacle", BLOCKED)
def test_what_stands_in_the_way(driver, sql, obstacle):
    sql("CREATE TABLE t (id int PRIMARY KEY, o text)")
    sql(obstacle)
    driver.engine()
    state, said = BLOCKED[obstacle]
    with pytest.raises(Refused) as refused:
        driver.create("m", "t", "o", "n")
    assert refused.value.sqlstate == state
    assert said in refused.value.message + refused.value.detail
    assert driver.run("show") == []


def test_all_obstacles_are_told_at_once(driver, sql):
    sql("""CREATE TABLE t (id int PRIMARY KEY, o text, n text); CREATE VIEW v AS SELECT o FROM t;
           CREATE VIEW w AS SELECT o FROM t""")
    driver.engine()
    with pytest.raises(Refused) as refused:
        driver.create("m", "t", "o", "n")
    assert refused.value.sqlstate == "55000"
    for part in ("view public.v", "view public.w", "column n of public.t exists already"):
        assert part in refused.value.detail


def test_clashes_and_bad_input(driver, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, o text, p text); CREATE TABLE s (o text)")
    driver.engine()
    driver.create("m", "t", "o", "n")
    for words, state in [
        (("m", "-", "s", "o", "n"), "42710"),        # the migration's name
        (("m2", "-", "t", "o", "x"), "42710"),       # the column
        (("m2", "-", "t", "p", "n"), "42710"),       # the new name
        (("m2", "nowhere", "t", "p", "q"), "42P01"),
        (("m" * 41, "-", "t", "p", "q"), "22023"),
        (("m2", "-", "t", "p", "q" * 64), "22023"),
        (("m2", "-", "t", "p", "xmin"), "42701"),
        (("m2", "-", "t", "p", "p"), "42701"),
        (("m2", "-", "t", "p", "q", "strategy=alias"), "0A000"),
        (("m2", "-", "t", "p", "q", "colour=red"), "22023"),
        (("m2", "-", "t", "p", "q", "batch_rows=0"), "22023"),
        (("m2", "-", "t", "p", "q", "guard=maybe"), "22023"),
        (("m2", "pg_catalog", "pg_class", "relname", "q"), "42809"),
    ]:
        with pytest.raises(Refused) as refused:
            driver.run("create", *words)
        assert refused.value.sqlstate == state, (words, refused.value)
    driver.create("m2", "t", "p", "q")
    driver.create("m3", "s", "o", "n")
    for verb in ("switch", "contract", "retire", "rollback", "pause", "resume", "verify"):
        with pytest.raises(Refused) as refused:
            driver.run(verb, "m")
        assert refused.value.sqlstate == "55000", verb
    with pytest.raises(Refused) as refused:
        driver.run("start", "nobody")
    assert refused.value.sqlstate == "42704"
    with pytest.raises(Refused) as refused:
        driver.run("wait", "m", "nonsense", 1)
    assert refused.value.sqlstate == "22023"


def test_a_failed_step_says_why_and_can_be_taken_up_again(driver, sql):
    """A name that the twin of an index wants is taken."""
    sql(USERS + "; CREATE INDEX nick_idx ON users (nickname)")
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    oid = sql("SELECT 'nick_idx'::regclass::oid")[0][0]
    migration = sql("SELECT id FROM segue.migration")[0][0]
    sql(f"CREATE TABLE segue_i{migration}_{oid} ()")
    driver.run("start", "m")
    with pytest.raises(Refused) as refused:
        driver.wait("m", "verified")
    assert "failed" in refused.value.message and "already exists" in refused.value.detail
    assert driver.show("m")["state"] == "failed"
    sql(f"DROP TABLE segue_i{migration}_{oid}")
    driver.run("start", "m")
    driver.wait("m", "verified")


def test_divergence_is_found_again_by_verify(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    fence = sql("SELECT conname FROM pg_constraint WHERE conname LIKE 'segue_fence%'")[0][0]
    sql(f"ALTER TABLE users DROP CONSTRAINT {fence}; SET session_replication_role = replica;"
        " ALTER TABLE users DISABLE TRIGGER ALL; UPDATE users SET username = 'torn' WHERE user_id <= 5;"
        " RESET session_replication_role")
    driver.run("verify", "m")
    driver.until("m", lambda row: row["state"] == "verified" and row["divergent"] == "0")
    assert sql("SELECT count(*) FROM users WHERE username IS DISTINCT FROM nickname") == [(0,)]
    assert sql("SELECT count(*) FROM pg_constraint WHERE conname = %s AND convalidated", fence) == [(1,)]


def test_retire_waits_until_nobody_uses_the_old_name(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.whole_window("m")
    sql("INSERT INTO segue.reference SELECT id, 'nickname', now() FROM segue.migration")
    with pytest.raises(Refused) as refused:
        driver.run("retire", "m")
    assert "still needed" in refused.value.message
    driver.run("retire_force", "m")
    driver.wait("m", "retired")


def test_a_role_that_may_do_too_little_is_told_so(driver, sql, cluster, database):
    sql(f"CREATE ROLE weak_{database} LOGIN; CREATE TABLE t (id int PRIMARY KEY, o text)")
    weak = Driver(cluster.conninfo(database, user=f"weak_{database}"), driver.log)
    with pytest.raises(RuntimeError):
        weak.engine()
    sql(f"CREATE SCHEMA segue AUTHORIZATION weak_{database}")
    weak.engine()
    with pytest.raises(Refused) as refused:
        weak.create("m", "t", "o", "n", schema="public")
    assert "does not own" in refused.value.detail + refused.value.message
    sql(f"ALTER TABLE t OWNER TO weak_{database}; GRANT CREATE ON SCHEMA public TO weak_{database}")
    weak.create("m", "t", "o", "n", schema="public")
    weak.whole_window("m")
    assert weak.stop() == []
    sql(f"DROP OWNED BY weak_{database}; DROP ROLE weak_{database}")
