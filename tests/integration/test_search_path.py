"""One table name in many schemas, temporary tables that hide others, tables made a moment ago: what an unqualified name means
is known to the session's server alone, and segue asks it. What must come out is what PostgreSQL would have done."""

import io
import random
import threading

import pytest

from tenants import make_world, probes, tables, world  # noqa: F401 - fixtures
from wire import Answer, Wire

# ---- Where the path comes from ----

WAYS = {
    "SET": lambda w, path: w.query(f"SET search_path = {path}"),
    "SET SESSION": lambda w, path: w.query(f"SET SESSION search_path TO {path}"),
    "set_config": lambda w, path: w.query(f"SELECT set_config('search_path', '{path}', false)"),
    "pg_settings": lambda w, path: w.query(f"UPDATE pg_settings SET setting = '{path}' WHERE name = 'search_path'"),
    "escaped": lambda w, path: w.query(f"SELECT U&\"set\\005fconfig\"('search_path', '{path}', false)"),
    "DO": lambda w, path: w.query(f"DO $$BEGIN PERFORM set_config('search_path', '{path}', false); END$$"),
    "EXECUTE": lambda w, path: (w.query("DEALLOCATE ALL"), w.query("PREPARE p AS SELECT set_config('search_path', $1, false)"),
                                w.query(f"EXECUTE p('{path}')")),
    "second in a text": lambda w, path: w.query(f"SELECT 1; SET search_path = {path}"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_set_the_path(world, way):
    w = world.wire()
    for schema in ("a", "b", "a", "c", "a"):
        WAYS[way](w, schema)
        assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [(f"{schema} one",)]
        w.query(f"UPDATE users SET nickname = 'via {way}' WHERE id = 2").raise_error()
        w.query(f"UPDATE users SET nickname = '{schema} two' WHERE id = 2").raise_error()
        answer = w.query("SELECT username FROM users WHERE id = 2")
        if schema == "a":
            assert answer.raise_error().rows == [("a two",)]
        else:
            assert answer.error.sqlstate == "42703"
    assert world.both("a") == [(1, "a one", "a one"), (2, "a two", "a two")]
    w.close()


def test_where_the_path_comes_from_at_login(world):
    cursor = world.cursor
    cursor.execute("CREATE ROLE path_role LOGIN SUPERUSER; ALTER ROLE path_role SET search_path = a")
    cursor.execute(f"ALTER DATABASE {world.database} SET search_path = b")
    try:
        for parameters, schema in (({}, "b"), ({"user": "path_role"}, "a"), ({"options": "-c search_path=c"}, "c"),
                                   ({"search_path": "a"}, "a")):
            w = world.wire(**parameters)
            assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [(f"{schema} one",)]
            w.query("SET search_path = a; RESET search_path").raise_error()
            assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [(f"{schema} one",)]
            w.query("SET search_path = a").raise_error()
            w.query("RESET ALL").raise_error()
            assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [(f"{schema} one",)]
            w.query("SET search_path = c").raise_error()
            w.query("DISCARD ALL").raise_error()
            assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [(f"{schema} one",)]
            w.close()
    finally:
        cursor.execute("DROP ROLE path_role")


def test_the_user_in_the_path(world):
    world.cursor.execute("CREATE ROLE tenant_user SUPERUSER; CREATE SCHEMA tenant_user")
    world.cursor.execute(tables("tenant_user"))
    try:
        w = world.wire()
        w.query("SET search_path = \"$user\", a").raise_error()
        assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [("a one",)]
        w.query("SET ROLE tenant_user").raise_error()
        assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [("tenant_user one",)]
        w.query("RESET ROLE").raise_error()
        assert w.query("UPDATE users SET nickname = 'x' WHERE id = 1").raise_error().tags == ["UPDATE 1"]
        w.query("BEGIN; SET LOCAL SESSION AUTHORIZATION tenant_user").raise_error()
        assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [("tenant_user one",)]
        w.query("COMMIT").raise_error()
        assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [("x",)]
        w.close()
        assert world.both("a")[0] == (1, "x", "x")
    finally:
        world.cursor.execute("DROP SCHEMA tenant_user CASCADE; DROP ROLE tenant_user")


# ---- Transactions ----

def test_a_path_for_a_transaction(world):
    w = world.wire(search_path="b")
    seen = lambda: w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows[0][0]
    for end in ("COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "END"):
        w.query("BEGIN").raise_error()
        w.query("SET LOCAL search_path = a").raise_error()
        assert seen() == "a one" and seen() == "a one"
        w.query("SAVEPOINT s").raise_error()
        w.query("SET search_path = c").raise_error()
        assert seen() == "c one"
        w.query("ROLLBACK TO s").raise_error()
        assert seen() == "a one"
        w.query(end).raise_error()
        assert seen() == "b one"
        w.query("ROLLBACK").raise_error()
    # SET that is rolled back; and by an error.
    w.query("BEGIN").raise_error()
    w.query("SET search_path = a").raise_error()
    assert seen() == "a one"
    assert w.query("SELECT 1/0").error
    assert w.query("SELECT nickname FROM users").error.sqlstate == "25P02"
    w.query("ROLLBACK").raise_error()
    assert seen() == "b one"
    w.query("BEGIN; SET search_path = a; COMMIT").raise_error()
    assert seen() == "a one"
    w.close()


def test_the_facts_are_asked_once_while_nothing_changes(world):
    w = world.wire(search_path="a")
    w.query("SELECT nickname FROM users").raise_error()
    before = probes(world.segue)
    for i in range(20):
        w.query(f"UPDATE users SET nickname = 'x{i}' WHERE id = 1").raise_error()
        w.query("BEGIN").raise_error()
        w.query("SELECT u.nickname FROM users u").raise_error()
        w.query("ROLLBACK").raise_error()
        w.query("SELECT 1").raise_error()
    assert probes(world.segue) == before
    # Names that can mean only one thing are never asked for.
    w.query("SET search_path = b").raise_error()
    w.query("SELECT nickname FROM a.users JOIN b.orders USING (id)").raise_error()
    assert probes(world.segue) == before
    w.query("SELECT nickname FROM users").raise_error()
    assert probes(world.segue) == before + 1
    w.close()


# ---- Prepared statements ----

def test_prepared_statements_follow_the_path(make_world):
    world = make_world("a", "b")
    w = world.wire(search_path="a")
    w.prepare("read", "SELECT nickname FROM users WHERE id = 1")
    w.prepare("write", "UPDATE users SET nickname = $1 WHERE id = 2")
    w.query("PREPARE sql_read AS SELECT nickname FROM users WHERE id = 1").raise_error()
    for i, schema in enumerate("abcacbbca"):
        w.query(f"SET search_path = {schema}").raise_error()
        assert w.run("read").rows == [(f"{schema} one",)]
        w.run("write", f"{schema}{i}")
        assert w.query("EXECUTE sql_read").raise_error().rows == [(f"{schema} one",)]
        found = world.both(schema)[1][1:] if schema != "c" else world.old(schema)[1][1:] * 2
        assert found == (f"{schema}{i}", f"{schema}{i}")
    # In one pipeline.
    w.send(*[m for s in "abc" for m in (w.parse("", f"SET search_path = {s}"), w.bind(""), w.execute(), w.bind("read"),
                                        w.execute())], w.sync())
    assert Answer(w.until_ready()).raise_error().rows == [("a one",), ("b one",), ("c one",)]
    # A SET that was prepared long ago.
    w.prepare("to_a", "SELECT set_config('search_path', 'a', false)")
    w.prepare("to_b", "SET search_path = b")
    for s in "abba":
        w.run(f"to_{s}")
        assert w.run("read").rows == [(f"{s} one",)]
    w.send(w.bind("to_b"), w.execute(), w.bind("read"), w.execute(), w.bind("to_a"), w.execute(), w.bind("read"), w.execute(), w.sync())
    assert [row[0] for row in Answer(w.until_ready()).raise_error().rows] == ["b one", "a", "a one"]
    w.close()


def test_prepared_statements_through_the_phases(world):
    w = world.wire(search_path="a")
    w.prepare("read", "SELECT nickname FROM users WHERE id = 1")
    world.segue.console.switch("m_a")
    assert w.run("read").rows == [("a one",)]
    w.query("SET search_path = b").raise_error()
    assert w.run("read").rows == [("b one",)]
    world.segue.console.contract("m_a")
    for schema in "abab":
        w.query(f"SET search_path = {schema}").raise_error()
        assert w.run("read").rows == [(f"{schema} one",)]
    w.close()


# ---- Temporary tables, and tables made a moment ago ----

def test_temporary_tables_come_first(world):
    w = world.wire(search_path="a")
    assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [("a one",)]
    w.prepare("read", "SELECT nickname FROM users WHERE id = 1")
    w.query("CREATE TEMP TABLE users (id int, nickname text)").raise_error()
    w.query("INSERT INTO users VALUES (1, 'temporary')").raise_error()
    assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [("temporary",)]
    assert w.query("SELECT username FROM users").error.sqlstate == "42703"
    assert w.query("SELECT username FROM a.users WHERE id = 1").raise_error().rows == [("a one",)]
    w.query("SET search_path = a, pg_temp").raise_error()
    assert w.query("SELECT username FROM users WHERE id = 1").raise_error().rows == [("a one",)]
    assert w.query("SELECT nickname FROM pg_temp.users").raise_error().rows == [("temporary",)]
    w.query("SET search_path = a").raise_error()
    w.query("DROP TABLE users").raise_error()
    assert w.query("SELECT username FROM users WHERE id = 1").raise_error().rows == [("a one",)]
    assert w.run("read").rows == [("a one",)]
    # Until the end of the transaction only.
    for end in ("COMMIT", "ROLLBACK"):
        w.query("BEGIN").raise_error()
        w.query("CREATE TEMP TABLE users ON COMMIT DROP AS SELECT 1 AS id, 'gone soon'::text AS nickname").raise_error()
        assert w.query("SELECT nickname FROM users").raise_error().rows == [("gone soon",)]
        w.query(end).raise_error()
        assert w.query("SELECT username FROM users WHERE id = 1").raise_error().rows == [("a one",)]
    w.query("SELECT 1 AS id, 'into' AS nickname INTO TEMP users").raise_error()
    assert w.query("SELECT nickname FROM users").raise_error().rows == [("into",)]
    w.query("DISCARD TEMP").raise_error()
    assert w.query("SELECT username FROM users WHERE id = 1").raise_error().rows == [("a one",)]
    w.close()


def test_a_temporary_table_hides_a_name_that_is_unique(segue, database, direct):
    direct.cursor().execute("CREATE TABLE people (id int PRIMARY KEY, nickname text); INSERT INTO people VALUES (1, 'real')")
    early = Wire(segue.port, database)
    early.query("CREATE TEMP TABLE people AS SELECT 1 AS id, 'from before'::text AS nickname").raise_error()
    plain = Wire(segue.port, database)
    plain.query("SELECT 1").raise_error()
    segue.console.run("CREATE MIGRATION m ON public.people RENAME COLUMN nickname TO username")
    segue.console.start("m")
    # A session that is older than the mapping: nobody has watched it make its table.
    assert early.query("SELECT nickname FROM people").raise_error().rows == [("from before",)]
    assert early.query("UPDATE people SET nickname = 'x'").raise_error().tags == ["UPDATE 1"]
    before = probes(segue)
    for _ in range(3):
        assert plain.query("SELECT username FROM people").raise_error().rows == [("real",)]
    assert probes(segue) == before + 1
    late = Wire(segue.port, database)
    assert late.query("SELECT username FROM people").raise_error().rows == [("real",)]
    assert probes(segue) == before + 1
    late.query("CREATE TEMP TABLE people (nickname text)").raise_error()
    late.query("INSERT INTO people VALUES ('late')").raise_error()
    assert late.query("SELECT nickname FROM people").raise_error().rows == [("late",)]
    for w in (early, plain, late):
        w.close()
    with direct.cursor() as cursor:
        cursor.execute("SELECT * FROM people")
        assert cursor.fetchall() == [(1, "real", "real")]


def test_tables_made_a_moment_ago(world):
    w = world.wire(search_path="a")
    w.query("CREATE TEMP TABLE fresh (id int, nickname text)").raise_error()
    w.query("INSERT INTO fresh VALUES (1, 'fresh')").raise_error()
    w.query("CREATE TEMP TABLE plain (key int)").raise_error()
    w.query("INSERT INTO plain VALUES (1)").raise_error()
    answer = w.query("SELECT nickname FROM users, plain WHERE id = key").raise_error()
    assert answer.rows == [("a one",)] and answer.labels == ["nickname"]
    assert w.query("SELECT username FROM users JOIN plain ON id = key").raise_error().rows == [("a one",)]
    assert w.query("UPDATE users SET nickname = username || '!' FROM plain WHERE id = key").raise_error().tags == ["UPDATE 1"]
    assert world.both("a")[0] == (1, "a one!", "a one!")
    # nickname is fresh's own: with the table as it will be, that is all the name can mean.
    assert w.query("SELECT nickname FROM users u, fresh f WHERE u.id = f.id").raise_error().rows == [("fresh",)]
    w.query("BEGIN").raise_error()
    w.query("CREATE SCHEMA d").raise_error()
    w.query("CREATE TABLE d.users (id int, nickname text)").raise_error()
    w.query("SET LOCAL search_path = d").raise_error()
    w.query("INSERT INTO users (id, nickname) VALUES (7, 'new tenant')").raise_error()
    assert w.query("SELECT nickname FROM users").raise_error().rows == [("new tenant",)]
    w.query("ROLLBACK").raise_error()
    assert w.query("SELECT username FROM users WHERE id = 2").raise_error().rows == [("a two",)]
    # System catalogs are not in the snapshot either.
    assert w.query("SELECT nickname FROM users, pg_class WHERE relname = 'pg_class' AND id = 2").raise_error().rows == [("a two",)]
    w.close()


def test_a_new_tenant(world):
    w = world.wire()
    w.query("CREATE SCHEMA d").raise_error()
    w.query("SET search_path = d").raise_error()
    w.query("CREATE TABLE users (id int PRIMARY KEY, nickname text)").raise_error()
    w.query("INSERT INTO users VALUES (1, 'd one')").raise_error()
    assert w.query("SELECT nickname FROM users").raise_error().rows == [("d one",)]
    w.query("SET search_path = a").raise_error()
    assert w.query("SELECT username FROM users WHERE id = 1").raise_error().rows == [("a one",)]
    w.close()


def test_copy_goes_where_the_name_leads(world):
    conn = world.connect()
    cursor = conn.cursor()
    for schema in ("a", "b", "a"):
        cursor.execute(f"SET search_path = {schema}")
        cursor.execute("DELETE FROM users WHERE id > 2")
        with cursor.connection.cursor() as copier:
            copier.copy_expert("COPY users (id, nickname) FROM STDIN", io.StringIO(f"3\t{schema} three\n"))
    conn.close()
    assert world.both("a")[2] == (3, "a three", "a three") and world.old("b")[2] == (3, "b three")


# ---- Functions ----

def test_functions_that_set_the_path(cluster, database, make_world):
    """Nobody sees in a statement what a function does: where there are such, nothing is taken for granted."""
    conn = cluster.connect(database)
    conn.autocommit = True
    conn.cursor().execute("""
        CREATE FUNCTION to_tenant(name text) RETURNS void LANGUAGE plpgsql AS
            $$ BEGIN EXECUTE format('SET search_path = %I', name); END $$""")
    conn.close()
    world = make_world("a")
    w = world.wire()
    w.prepare("go", "SELECT public.to_tenant($1)")
    w.query("SET search_path = a").raise_error()
    w.query("SET search_path = public").raise_error()
    for schema in "abacba":
        w.query(f"SELECT public.to_tenant('{schema}')").raise_error()
        assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [(f"{schema} one",)]
        w.run("go", "b")
        w.send(w.bind("go", (schema,)), w.execute(), w.parse("", "UPDATE users SET nickname = nickname || '' RETURNING nickname"),
               w.bind(""), w.execute(), w.sync())
        assert Answer(w.until_ready()).raise_error().rows[1] == (f"{schema} one",)
    w.close()


def test_functions_that_make_temporary_tables(database, segue, direct):
    direct.cursor().execute("""
        CREATE TABLE people (id int PRIMARY KEY, nickname text);
        INSERT INTO people VALUES (1, 'real');
        CREATE FUNCTION hide() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            CREATE TEMP TABLE People AS SELECT 1 AS id, 'hidden'::text AS nickname; END $$""")
    segue.console.run("CREATE MIGRATION m ON people RENAME COLUMN nickname TO username")
    segue.console.start("m")
    w = Wire(segue.port, database)
    assert w.query("SELECT username FROM people").raise_error().rows == [("real",)]
    w.query("SELECT hide()").raise_error()
    assert w.query("UPDATE people SET nickname = nickname || '!' RETURNING nickname").raise_error().rows == [("hidden!",)]
    w.close()


# ---- Several statements in one message ----

def test_statements_behind_a_set_in_one_message(world):
    w = world.wire(search_path="b")
    answer = w.query("SET search_path = a; SELECT nickname FROM users")
    assert answer.error.sqlstate == "0A000" and "behind others" in answer.error.fields["M"]
    assert "message" in answer.error.fields["H"]
    assert w.query("SHOW search_path").rows == [("b",)]
    assert w.query("BEGIN; SELECT nickname FROM users WHERE id = 1; COMMIT").raise_error().rows == [("b one",)]
    w.close()


# ---- At random ----

SCHEMAS = ["a", "b", "c", "public", "pg_temp", "nowhere", '"$user"', "pg_catalog"]


def random_move(rng, in_transaction):
    """Something that may change what names mean; and whether a transaction is open behind it."""
    path = ", ".join(rng.sample(SCHEMAS, rng.randint(1, 4)))
    local = in_transaction and rng.random() < .5
    move = rng.randrange(12)
    if move < 3:
        return f"SET {'LOCAL' if local else 'SESSION'} search_path = {path}", in_transaction
    if move == 3:
        return f"SELECT set_config('search_path', '{path}', {'true' if local else 'false'})", in_transaction
    if move == 4 and not in_transaction:
        return "BEGIN", True
    if move == 5 and in_transaction:
        return rng.choice(["COMMIT", "ROLLBACK"]), False
    if move == 6:
        return "DROP TABLE IF EXISTS pg_temp.users", in_transaction
    if move == 7:
        return "CREATE TEMP TABLE IF NOT EXISTS users AS SELECT 1 AS id, 'temporary one'::text AS nickname", in_transaction
    return ("RESET search_path" if move == 8 else "SELECT 1"), in_transaction


def test_random_paths_agree_with_the_server(make_world):
    """The same moves in a session that goes round segue: each statement must find the same table. With prepared ones, too,
    which PostgreSQL does not analyse anew for every table that should hide theirs."""
    world = make_world("a", "c")
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    w, direct = world.wire(search_path="a"), Wire(world.cluster.port, world.database, search_path="a")
    sql = "SELECT nickname FROM users WHERE id = 1"
    w.prepare("read", sql)
    direct.prepare("read", sql)
    in_transaction = False
    for step in range(400):
        move, in_transaction = random_move(rng, in_transaction)
        both = [move, "SAVEPOINT s"] if in_transaction else [move]
        for statement in both:
            w.query(statement).raise_error()
            direct.query(statement).raise_error()
        kind = rng.choice(["query", "parse", "bind", "update"])
        if kind == "query":
            answer = w.query(sql)
        elif kind == "parse":
            w.send(w.parse("", sql), w.bind(""), w.execute(), w.sync())
            answer = Answer(w.until_ready())
        elif kind == "bind":
            w.send(w.bind("read"), w.execute(), w.sync())
            answer = Answer(w.until_ready())
        else:
            answer = w.query("UPDATE users SET nickname = nickname || '' WHERE id = 1 RETURNING nickname")
        if kind == "bind":
            direct.send(direct.bind("read"), direct.execute(), direct.sync())
            wanted = Answer(direct.until_ready())
        else:
            wanted = direct.query(sql)
        outcome = [(a.rows, a.error.sqlstate if a.error else None) for a in (answer, wanted)]
        assert outcome[0] == outcome[1], f"seed {seed}, step {step}, {move}, {kind}"
        if answer.error and in_transaction:
            w.query("ROLLBACK TO s").raise_error()
            direct.query("ROLLBACK TO s").raise_error()
    w.close()
    direct.close()
    for schema in ("a", "c"):
        assert all(old == new for _, old, new in world.both(schema))


def test_many_sessions_with_a_path_each(make_world):
    """One worker, one cache, the same texts: nobody gets another tenant's plan."""
    world = make_world("a", "c")
    failures = []

    def tenant(schema, n):
        try:
            w = world.wire(search_path=schema)
            for i in range(40):
                w.query(f"INSERT INTO users (id, nickname) VALUES ({n}, 'v{i}') ON CONFLICT (id) DO UPDATE SET nickname ="
                        " excluded.nickname").raise_error()
                got = w.query(f"SELECT nickname FROM users WHERE id = {n}").raise_error().rows
                assert got == [(f"v{i}",)], (schema, got)
            w.close()
        except BaseException as failure:  # noqa: B902 - reported by the test
            failures.append(failure)

    threads = [threading.Thread(target=tenant, args=("abc"[n % 3], 100 + n)) for n in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for schema in ("a", "c"):
        assert all(old == new for _, old, new in world.both(schema))
