"""segue asks the session's server what a name means, in the client's own stream of messages. The client must not notice: not in
a pipeline, not behind an error, not when the question itself is what fails."""

import pytest

from proxy import PATIENCE_S
from tenants import make_world, world  # noqa: F401 - fixtures
from wire import Answer, Wire, message


# ---- Pipelines ----

def test_a_path_set_in_the_same_pipeline(world):
    w = world.wire(search_path="b")
    w.send(message(b"Q", b"SET search_path = a\0"), message(b"Q", b"UPDATE users SET nickname = 'p1' WHERE id = 1\0"),
           message(b"Q", b"SET search_path = b\0"), message(b"Q", b"UPDATE users SET nickname = 'p2' WHERE id = 1\0"))
    for tag in ("SET", "UPDATE 1", "SET", "UPDATE 1"):
        assert Answer(w.until_ready()).raise_error().tags == [tag]
    assert world.both("a")[0] == (1, "p1", "p1") and world.old("b")[0] == (1, "p2")
    # The same in one unsynced batch, and with what the server says between, byte for byte.
    run = lambda sql: [w.parse("", sql), w.bind(""), w.execute()]
    w.send(*run("SET search_path = a"), *run("UPDATE users SET nickname = 'q1' WHERE id = 1"),
           *run("SET search_path = b"), *run("UPDATE users SET nickname = 'q2' WHERE id = 1"), w.sync())
    assert Answer(w.until_ready()).raise_error().kinds == b"12C" * 4 + b"Z"
    assert world.both("a")[0] == (1, "q1", "q1") and world.old("b")[0] == (1, "q2")
    w.close()


def test_a_set_that_is_undone_by_an_error_in_the_pipeline(world):
    w = world.wire(search_path="b")
    run = lambda sql: [w.parse("", sql), w.bind(""), w.execute()]
    w.send(*run("SET search_path = a"), *run("SELECT nickname FROM users WHERE id = 1"), *run("SELECT 1/0"),
           *run("SELECT nickname FROM users"), w.sync(), *run("SELECT nickname FROM users WHERE id = 1"), w.sync())
    first, second = Answer(w.until_ready()), Answer(w.until_ready())
    assert first.rows == [("a one",)] and first.error.sqlstate == "22012"
    assert second.raise_error().rows == [("b one",)]
    w.close()


def test_behind_an_error_nothing_is_asked(world):
    w = world.wire(search_path="a")
    run = lambda sql: [w.parse("", sql), w.bind(""), w.execute()]
    for _ in range(20):
        w.send(*run("selec"), *run("UPDATE users SET nickname = 'no' WHERE id = 1"), w.sync(),
               *run("SELECT nickname FROM users WHERE id = 1"), w.sync())
        assert Answer(w.until_ready()).kinds == b"EZ"
        assert Answer(w.until_ready()).raise_error().rows == [("a one",)]
        w.query("SET search_path = a").raise_error()  # so that it is not known
    # In a transaction that has failed without our knowing it.
    w.send(message(b"Q", b"BEGIN\0"), message(b"Q", b"SELECT 1/0\0"), message(b"Q", b"SET search_path = b\0"),
           message(b"Q", b"SELECT nickname FROM users\0"), message(b"Q", b"ROLLBACK\0"))
    answers = [Answer(w.until_ready()) for _ in range(5)]
    assert [a.error.sqlstate if a.error else None for a in answers] == [None, "22012", "25P02", "25P02", None]
    assert [a.status for a in answers] == ["T", "E", "E", "E", "I"]
    w.close()


def test_a_statement_that_is_asked_about_and_does_not_come_to_be(world):
    """Its Parse fails in the batch before, and that is not known yet when it is used. The same to segue and to the server."""
    heard = []
    for port in (world.segue.port, world.cluster.port):
        w = Wire(port, world.database)
        for _ in range(10):
            w.send(message(b"Q", b"BEGIN\0"), message(b"Q", b"SET LOCAL search_path = a\0"),
                   w.parse("s0", "INSERT INTO users (id, nope) VALUES (1, 'x') RETURNING nickname"), w.sync(),
                   w.describe("s0"), w.bind("s0"), w.execute(), w.sync(), w.close_statement("s0"), w.sync(),
                   message(b"Q", b"ROLLBACK\0"), message(b"Q", b"BEGIN\0"), message(b"Q", b"SET LOCAL search_path = b\0"),
                   message(b"Q", b"DELETE FROM users WHERE nickname = 'b one'; SELECT nickname FROM users\0"),
                   message(b"Q", b"ROLLBACK\0"))
            answers = [Answer(w.until_ready()) for _ in range(10)]
            heard.append([(a.kinds, a.rows, a.error and a.error.sqlstate) for a in answers])
        w.close()
    assert heard[:10] == heard[10:]


def test_a_query_in_the_middle_of_a_batch(world):
    w = world.wire(search_path="a")
    w.send(w.parse("", "SELECT 1"), w.bind(""), w.execute(), message(b"Q", b"SELECT nickname FROM users WHERE id = 1\0"),
           w.sync())
    first = Answer(w.until_ready()).raise_error()
    assert first.rows == [("1",), ("a one",)]
    assert Answer(w.until_ready()).kinds == b"Z"
    w.close()


def test_the_clients_unnamed_statement_and_portal_survive(world):
    w = world.wire(search_path="a")
    w.send(w.parse("", "SELECT 41"), w.sync())
    w.until_ready()
    w.send(w.parse("named", "SELECT nickname FROM users WHERE id = 1"), w.bind(""), w.parse("other", "SELECT email FROM users u, orders"
           " WHERE nickname = 'a one'"), w.execute(), w.sync())
    assert Answer(w.until_ready()).raise_error().rows == [("41",)]
    w.close()


# ---- Settings that say how a text is read ----

def test_settings_changed_in_the_same_pipeline(segue, database, direct):
    direct.cursor().execute("CREATE TABLE people (id int PRIMARY KEY, nickname text); INSERT INTO people VALUES (1, 'x')")
    segue.console.run("CREATE MIGRATION m ON people RENAME COLUMN nickname TO username")
    segue.console.start("m")
    w = Wire(segue.port, database)
    run = lambda sql: [w.parse("", sql), w.bind(""), w.execute()]
    # With the strings of the SQL standard off, the second quote is a part of the string.
    sql = "UPDATE people SET nickname = 'a\\', username = ' || nickname || 'b' WHERE id = 1"
    w.send(*run("SET standard_conforming_strings = off"), *run(sql), *run("SELECT nickname, username FROM people"),
           *run("SELECT 1/0"), w.sync())
    answer = Answer(w.until_ready())
    assert answer.rows == [("a', username = xb",) * 2] and answer.error.sqlstate == "22012"
    # It was undone with the batch: the same text is read as the standard says.
    w.send(*run("SELECT nickname FROM people WHERE nickname <> 'a\\'"), w.sync())
    assert Answer(w.until_ready()).raise_error().rows == [("x",)]
    w.query("SET standard_conforming_strings = off").raise_error()
    w.send(*run("SET standard_conforming_strings = on"), *run("UPDATE people SET nickname = 'a\\' WHERE id = 1"), w.sync())
    Answer(w.until_ready()).raise_error()
    with direct.cursor() as cursor:
        cursor.execute("SELECT nickname, username FROM people")
        assert cursor.fetchall() == [("a\\", "a\\")]
    # Queries in flight one behind the other.
    w.send(message(b"Q", b"SET client_encoding = 'LATIN1'\0"),
           message(b"Q", "UPDATE people SET nickname = 'é' WHERE id = 1\0".encode("latin-1")),
           message(b"Q", b"SET client_encoding = 'UTF8'\0"),
           message(b"Q", "UPDATE people SET nickname = nickname || 'é' WHERE id = 1\0".encode()))
    for _ in range(4):
        Answer(w.until_ready()).raise_error()
    with direct.cursor() as cursor:
        cursor.execute("SELECT nickname, username FROM people")
        assert cursor.fetchall() == [("éé", "éé")]
    w.close()


# ---- Errors that hit the question ----

@pytest.mark.parametrize("extended", [False, True])
def test_a_cancel_that_hits_the_question(world, extended):
    """A lock on the catalog holds the question up: a cancel ends it as it would have ended the statement."""
    w = world.wire(search_path="a")
    key = w.query("SELECT pg_backend_pid()").raise_error().rows[0][0]
    blocker = world.cluster.connect(world.database)
    blocker.cursor().execute("LOCK TABLE pg_catalog.pg_attribute IN ACCESS EXCLUSIVE MODE")
    w.send(message(b"Q", b"BEGIN\0"))
    w.until_ready()
    sql = "SELECT nickname FROM users, fresh_and_unknown"
    w.send(*([w.parse("", sql), w.bind(""), w.execute(), w.sync()] if extended else [message(b"Q", sql.encode() + b"\0")]))
    other = world.cluster.connect("postgres")
    other.autocommit = True
    canceller = other.cursor()
    for _ in range(PATIENCE_S * 20):
        canceller.execute("SELECT wait_event_type = 'Lock' AND pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = %s",
                          (int(key),))
        if canceller.fetchone()[0]:
            break
        canceller.execute("SELECT pg_sleep(0.05)")
    answer = Answer(w.until_ready())
    assert answer.error.sqlstate == "57014" and answer.status == "E"
    assert answer.kinds == b"EZ"
    assert w.query("SELECT 1").error.sqlstate == "25P02"
    blocker.rollback()
    w.query("ROLLBACK").raise_error()
    assert w.query("SELECT nickname FROM users WHERE id = 1").raise_error().rows == [("a one",)]
    for conn in (blocker, other):
        conn.close()
    w.close()


def test_a_question_that_is_not_answered(world):
    """A role that may not look into the catalog gets an error that says so, and goes on."""
    world.cursor.execute("CREATE ROLE blind LOGIN; GRANT USAGE ON SCHEMA a TO blind; GRANT SELECT ON a.users TO blind")
    world.cursor.execute("REVOKE SELECT ON pg_catalog.pg_attribute FROM PUBLIC")
    try:
        w = world.wire(user="blind", search_path="a")
        for _ in range(2):
            answer = w.query("SELECT nickname FROM users WHERE id = 1")
            assert answer.error.sqlstate == "0A000" and "42501" in answer.error.fields["D"] and answer.status == "I"
            assert "schemas" in answer.error.fields["H"]
        w.send(w.parse("", "SELECT nickname FROM users"), w.bind(""), w.execute(), w.sync())
        assert Answer(w.until_ready()).kinds == b"EZ"
        assert w.query("SELECT nickname FROM a.users WHERE id = 1").raise_error().rows == [("a one",)]
        w.close()
    finally:
        world.cursor.execute("GRANT SELECT ON pg_catalog.pg_attribute TO PUBLIC; REVOKE ALL ON a.users FROM blind;"
                             "REVOKE ALL ON SCHEMA a FROM blind; DROP ROLE blind")


def test_a_hostile_path(world):
    """Operators and functions of the client's own, in front of PostgreSQL's."""
    world.cursor.execute("""
        CREATE SCHEMA evil;
        CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$ SELECT 'b.users'::regclass $$;
        CREATE FUNCTION evil.concat(VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_concat';
        CREATE FUNCTION evil.eq(int8, int4) RETURNS bool LANGUAGE sql AS 'SELECT false';
        CREATE OPERATOR evil.= (FUNCTION = evil.eq, LEFTARG = int8, RIGHTARG = int4);
        CREATE TABLE evil.pg_attribute (attname text);
        CREATE DOMAIN evil.text AS int;
    """)
    w = world.wire()
    w.query("SET search_path = evil, a, pg_catalog").raise_error()
    assert w.query("SELECT username FROM users WHERE id OPERATOR(pg_catalog.=) 1").raise_error().rows == [("a one",)]
    w.close()
