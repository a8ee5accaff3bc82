"""What the commands refuse, and what they say."""

import psycopg2
import pytest
from migration_driver import Driver, Refused
from migration_fixtures import USERS, cluster, database, driver, sql  # noqa: F401


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
    "ALTER TABLE t RENAME TO p; CREATE TABLE t () INHERITS (p)": ("55000", "comes from p"),
    "CREATE TABLE q (o text); CREATE TABLE c () INHERITS (t, q)": ("55000", "also from public.q"),
    "CREATE TABLE c () INHERITS (t); CREATE TABLE d (n text) INHERITS (c)": ("42701", "n of public.d exists already"),
    "CREATE TABLE c () INHERITS (t); CREATE VIEW v AS SELECT o FROM c": ("55000", "view public.v"),
    "CREATE TABLE c () INHERITS (t); ALTER TABLE c ALTER o SET DEFAULT md5(random()::text)": ("55000", "volatile"),
    "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f () INHERITS (t) SERVER s":
        ("0A000", "foreign table"),
    "CREATE TYPE y AS (id int, o text); DROP TABLE t; CREATE TABLE t OF y": ("0A000", "made of a type"),
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
    "DROP TABLE t; CREATE TABLE t (id int, o text) PARTITION BY LIST (o)": ("55000", "partition key of public.t"),
    "DROP TABLE t; CREATE TABLE t (id int, o text) PARTITION BY LIST (id);"
    "CREATE TABLE c PARTITION OF t FOR VALUES IN (1) PARTITION BY RANGE (lower(o), id)": ("55000", "key of public.c"),
    "DROP TABLE t; CREATE TABLE p (id int, o text) PARTITION BY LIST (id); CREATE TABLE t PARTITION OF p DEFAULT":
        ("55000", "comes from p"),
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


def test_a_view_that_came_since_is_told_before_the_point_of_no_return(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    sql("CREATE VIEW names AS SELECT nickname FROM users")
    with pytest.raises(Refused) as refused:
        driver.run("contract", "m")
    assert "view public.names" in refused.value.message
    assert (driver.show("m")["phase"], driver.show("m")["state"]) == ("read_new", "verified")
    sql("DROP VIEW names")
    driver.run("contract", "m")
    driver.wait("m", "new_only")


def test_switch_proves_again_what_was_verified(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    fence = sql("SELECT conname FROM pg_constraint WHERE conname LIKE 'segue_fence%'")[0][0]
    sql(f"ALTER TABLE users DROP CONSTRAINT {fence}; ALTER TABLE users DISABLE TRIGGER ALL;"
        " UPDATE users SET username = 'torn' WHERE user_id <= 5; ALTER TABLE users ENABLE TRIGGER ALL")
    driver.run("switch", "m")
    with pytest.raises(Refused) as refused:
        driver.wait("m", "read_new")
    assert "failed" in refused.value.message
    assert driver.show("m")["phase"] == "dual_write"
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    assert sql("SELECT count(*) FROM users WHERE username = 'torn'") == [(0,)]


def test_a_small_table_is_counted(driver, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, o text); INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g")
    driver.engine(batch_rows=1)
    driver.create("m", "t", "o", "n")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling" and row["rows_total"] != "0")
    assert driver.show("m")["rows_total"] == "100"
