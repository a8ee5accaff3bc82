"""Statements prepared once and executed for ever: in every phase they write both columns, and their rows keep the shape that
was described at first."""

from pathlib import Path

import pytest

from node import NodeProcess
from wire import Wire, message

HERE = Path(__file__).resolve().parent

USERS = """
CREATE TABLE users (user_id serial PRIMARY KEY, nickname varchar(100), score int DEFAULT 1);
INSERT INTO users (nickname) SELECT 'user' || g FROM generate_series(1, 500) g;
"""

STATEMENTS = {
    "insert_old": "INSERT INTO users (nickname) VALUES ($1) RETURNING user_id",
    "insert_new": "INSERT INTO users (username) VALUES ($1) RETURNING user_id",
    "insert_short": "INSERT INTO users VALUES (DEFAULT, $1) RETURNING *",
    "update_old": "UPDATE users SET nickname = $2 WHERE user_id = $1",
    "update_new": "UPDATE users SET username = $2 WHERE user_id = $1",
    "star": "SELECT * FROM users WHERE user_id = $1",
    "both": "SELECT nickname, username FROM users WHERE username = $1",
    "other": "SELECT $1::text",
}


def phases(segue, direct):
    direct.cursor().execute(USERS)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    return segue.console.window("m")


def assert_dual(direct, phase):
    if phase in ("dual_write", "read_new"):
        cur = direct.cursor()
        cur.execute("SELECT count(*) FROM users WHERE nickname IS DISTINCT FROM username")
        assert cur.fetchone() == (0,)


def test_named_statements_live_through_the_window(database, segue, direct):
    window = phases(segue, direct)
    wire, labels = Wire(segue.port, database), {}
    # One is prepared before there is any migration's phase but planned, the others are executed in all of them.
    for phase in window:
        if not labels:
            labels = {name: wire.prepare(name, sql) for name, sql in STATEMENTS.items()}
            assert labels["star"] == ["user_id", "nickname", "score", "username"]
        for name in ("insert_old", "insert_new"):
            value = f"{name}-{phase}"
            [(key,)] = wire.run(name, value).rows
            assert wire.run("star", key).rows == [(key, value, "1", value)]
            assert wire.run("both", value).rows == [(value, value)]
        [row] = wire.run("insert_short", f"short-{phase}").rows
        assert row[1:] == (f"short-{phase}", "1", f"short-{phase}")
        assert wire.run("update_old", "7", f"by-old-{phase}").tags == ["UPDATE 1"]
        assert wire.run("star", "7").rows == [("7", f"by-old-{phase}", "1", f"by-old-{phase}")]
        assert wire.run("update_new", "7", f"by-new-{phase}").tags == ["UPDATE 1"]
        assert wire.run("star", "7").rows == [("7", f"by-new-{phase}", "1", f"by-new-{phase}")]
        assert wire.run("other", phase).rows == [(phase,)]
        # Described again, they are what they were.
        for name in STATEMENTS:
            wire.send(wire.describe(name), wire.sync())
            described = [body for kind, body in wire.until_ready() if kind == b"T"]
            assert (b"".join(described) == b"") == (labels[name] is None)
        assert_dual(direct, phase)
    wire.close()


def test_prepared_again_inside_a_pipeline_and_a_transaction(database, segue, direct):
    """The preparing-again must not disturb what a client has under way."""
    wire = None
    for phase in phases(segue, direct):
        if wire is None:
            wire = Wire(segue.port, database)
            for name, sql in STATEMENTS.items():
                wire.prepare(name, sql)
        # In one batch: executed, failed, skipped, and executed in the next.
        wire.send(wire.bind("star", ("1",)), wire.execute(), wire.bind("update_new", ("1", f"p-{phase}")), wire.execute(),
                  wire.bind("star", ("no number",)), wire.execute(), wire.bind("update_old", ("1", "skipped")), wire.execute(),
                  wire.sync(), wire.bind("star", ("1",)), wire.execute(), wire.sync())
        first, second = wire.until_ready(), wire.until_ready()
        assert [kind for kind, _ in first] == [b"2", b"D", b"C", b"2", b"C", b"E", b"Z"]
        assert [kind for kind, _ in second] == [b"2", b"D", b"C", b"Z"]
        wire.query("BEGIN").raise_error()
        assert wire.run("update_old", "2", f"t-{phase}").status == "T"
        assert wire.query("SELECT nope").status == "E"
        with pytest.raises(Exception, match="25P02"):
            wire.run("star", "2")
        assert wire.query("ROLLBACK").status == "I"
        assert_dual(direct, phase)
    wire.close()


def test_replaced_closed_and_deallocated(database, segue, direct):
    wire = None
    for phase in phases(segue, direct):
        wire = wire or Wire(segue.port, database)
        for value in ("one", "two"):
            wire.send(wire.parse("", f"SELECT username, '{value}' FROM users WHERE nickname = $1"), wire.bind("", ("user5",)),
                      wire.execute(), wire.sync())
            assert b"D" in [kind for kind, _ in wire.until_ready()]
        wire.prepare("s", STATEMENTS["star"])
        wire.send(wire.parse("s", "SELECT 1"), wire.sync())
        assert wire.until_ready()[0][0] == b"E"
        wire.send(wire.close_statement("s"), wire.sync())
        assert wire.until_ready()[0][0] == b"3"
        wire.prepare("s", "SELECT username FROM users WHERE nickname = $1")
        assert wire.run("s", "user5").rows == [("user5",)]
        wire.query("DEALLOCATE s").raise_error()
        wire.send(wire.bind("s", ("user5",)), wire.execute(), wire.sync())
        assert wire.until_ready()[0][0] == b"E"
        wire.prepare("s", "SELECT nickname FROM users WHERE username = $1")
        wire.query("DISCARD ALL").raise_error()
        wire.send(wire.bind("s", ("user5",)), wire.execute(), wire.sync())
        assert wire.until_ready()[0][0] == b"E"
    wire.close()


def test_a_cancel_does_not_hit_what_comes_next(database, segue, direct):
    """A query that was rewritten can be cancelled, and the session goes on."""
    direct.cursor().execute(USERS)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    wire = Wire(segue.port, database)
    wire.query("SET statement_timeout = 100").raise_error()
    wire.send(message(b"Q", b"SELECT username, pg_sleep(600) FROM users\0"))
    answer = wire.until_ready()
    assert b"57014" in b"".join(body for kind, body in answer if kind == b"E")
    assert wire.query("SELECT username FROM users WHERE user_id = 3").rows == [("user3",)]
    wire.close()


def test_javascript_named_statements(database, segue, direct):
    """The `pg` driver keeps its named statements for the life of the connection; one connection sees the whole window."""
    window = phases(segue, direct)
    with NodeProcess(HERE / "js" / "window.js", segue.url()) as app:
        for phase in window:
            assert app.ask(phase) == "fine"
            assert_dual(direct, phase)
