"""kill -9 at any step, start again: the migration goes on where it was, and nothing differs."""

import os

import pytest

from apps import App
from proxy import ConsoleError

ROWS = 20_000 if os.environ.get("SEGUE_SANITIZE") else 100_000

USERS = f"""
CREATE TABLE users (user_id bigserial PRIMARY KEY, nickname varchar(100) NOT NULL, filler text);
CREATE UNIQUE INDEX users_nickname_key ON users (nickname);
INSERT INTO users (nickname, filler) SELECT 'user' || g, repeat('x', 50) FROM generate_series(1, {ROWS}) g;
"""


def write_and_read_back(cursor, name, worker, turn):
    """One row under this version's name, seen under both."""
    value = f"{name}-{worker}-{turn}"
    cursor.execute(f"INSERT INTO users ({name}) VALUES (%s) ON CONFLICT ({name}) DO NOTHING", (value,))
    cursor.execute("SELECT nickname, username FROM users WHERE nickname = %s", (value,))
    assert cursor.fetchall() == [(value, value)]
    cursor.execute(f"UPDATE users SET {name} = %s WHERE username = %s", (value + "+", value))
    cursor.execute(f"SELECT {name} FROM users WHERE nickname = %s", (value + "+",))
    assert cursor.fetchall() == [(value + "+",)]


@pytest.fixture
def slow_segue(start_segue, database, direct):
    """Small batches, so that there is a middle to kill it in; they do not give way to the applications."""
    direct.cursor().execute(USERS)
    return start_segue(control=database, options=["--set", "backfill_batch_rows=500",
                                                   "--set", "backfill_max_p99_ratio=1000"])


def count(direct, what):
    cur = direct.cursor()
    cur.execute(f"SELECT count(*) FROM users WHERE {what}")
    return cur.fetchone()[0]


def finish(console, direct):
    for _ in console_window(console):
        row = console.migration("m")
        assert row["state"] != "failed", row["detail"]
    cur = direct.cursor()
    cur.execute("SELECT attname::text FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped "
                "ORDER BY attnum")
    assert [row[0] for row in cur.fetchall()] == ["user_id", "filler", "username"]
    cur.execute(f"SELECT count(*) FROM users WHERE user_id <= {ROWS} AND username <> 'user' || user_id")
    assert cur.fetchone() == (0,)


def move(console, verb, phase):
    """A move out of that phase. One that was taken before the kill goes on by itself: then this one is refused."""
    if console.migration("m")["phase"] != phase:
        return
    try:
        console.run(f"{verb} m")
    except ConsoleError as refused:
        assert refused.sqlstate == "55000", refused
        assert f"carrying out {verb.lower()}" in str(refused) or console.migration("m")["phase"] != phase, refused


def console_window(console):
    """The rest of the way, from wherever it is."""
    console.wait("m", "verified")
    yield "dual_write"
    move(console, "SWITCH", "dual_write")
    console.wait("m", "read_new")
    yield "read_new"
    move(console, "CONTRACT", "read_new")
    console.wait("m", "new_only")
    yield "new_only"


def test_killed_in_the_middle_of_the_backfill(slow_segue, direct):
    segue, console = slow_segue, slow_segue.console
    console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    with App(segue.connect, "nickname", write_and_read_back, reconnect=True, pause_s=0.01) as old_app, \
            App(segue.connect, "username", write_and_read_back, reconnect=True, pause_s=0.01) as new_app:
        old_app.progress()
        console.run("START m")
        for fifths in (1, 2, 3):
            while (row := console.migration("m"))["state"] != "backfilling" or int(row["rows_done"]) < ROWS * fifths // 5:
                assert row["state"] in ("expanding", "barrier", "backfilling"), row
            segue.restart()
            # It goes on from where it was, not from the start.
            assert int(console.migration("m")["rows_done"]) >= int(row["rows_done"])
            old_app.progress()
            new_app.progress()
        console.wait("m", "verified")
        assert count(direct, "nickname IS DISTINCT FROM username") == 0
        finish(console, direct)
        old_app.progress()
        new_app.progress()
    old_app.check()
    new_app.check()


@pytest.mark.parametrize("verb, states", [
    ("START", ("expanding", "barrier")), ("START", ("mirroring",)), ("START", ("verifying",)),
    ("SWITCH", None), ("CONTRACT", ("contracting",)), ("CONTRACT", None),
])
def test_killed_in_another_step(slow_segue, direct, verb, states):
    """states None: as soon as the command has been taken."""
    segue, console = slow_segue, slow_segue.console
    console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username WITH (batch_rows = 20000)")
    with App(segue.connect, "nickname", write_and_read_back, reconnect=True, pause_s=0.01) as old_app, \
            App(segue.connect, "username", write_and_read_back, reconnect=True, pause_s=0.01) as new_app:
        if verb != "START":
            console.start("m")
        if verb == "CONTRACT":
            console.switch("m")
        console.run(f"{verb} m")
        if states is not None:
            cur = direct.cursor()
            # A step may be over before it is seen: then it is killed after it, which must do no harm either.
            past = {"START": "verified", "SWITCH": "idle", "CONTRACT": "idle"}[verb]
            while True:
                cur.execute("SELECT state FROM segue.migration WHERE name = 'm'")
                if cur.fetchone()[0] in (*states, past):
                    break
        segue.restart()
        finish(console, direct)
        old_app.progress()
        new_app.progress()
    old_app.check()
    new_app.check()


def test_killed_while_rolling_back(slow_segue, direct):
    segue, console = slow_segue, slow_segue.console
    console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username WITH (batch_rows = 20000)")
    console.start("m")
    console.run("ROLLBACK m")
    segue.restart()
    while (row := console.migration("m"))["phase"] != "planned":
        assert row["state"] != "failed", row["detail"]
    cur = direct.cursor()
    cur.execute("SELECT count(*), count(nickname) FROM users")
    assert cur.fetchone() == (ROWS, ROWS)
    cur = segue.connect().cursor()
    cur.execute("SELECT username FROM users WHERE nickname = 'user7'")
    assert cur.fetchone() == ("user7",)
