"""The engine and the commands on a real PostgreSQL, with no proxy in between: what the steps leave behind, on tables,
names, types and keys of every kind."""

import psycopg2
import pytest
from migration_driver import Refused
from migration_fixtures import STANDING, USERS, cluster, columns, database, described, driver, sql  # noqa: F401


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
