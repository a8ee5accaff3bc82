"""The script of README.md with psycopg 3: extended protocol, binary parameters and results, pipelines, server-side cursors."""

import datetime
import decimal
import sys
import threading
import uuid

import psycopg
from psycopg.types.json import Jsonb

URL, COLUMN = sys.argv[1:3]
FIRST = 1_000_000


def say(step, *values):
    print(step, *[repr(value) for value in values])


def failing(step, run):
    try:
        run()
        say(step, "no error")
    except psycopg.Error as error:
        say(step, error.sqlstate, error.diag.message_primary, error.diag.statement_position)


def types(conn):
    values = (7, "héllo ' \\ $1", decimal.Decimal("12.3400"), b"\0\1\xff", Jsonb({"a": [1]}), ["x", None],
              datetime.date(2026, 2, 28), uuid.UUID(int=5), 1.5, True, None)
    for binary in (False, True):
        cur = conn.cursor(binary=binary)
        cur.execute("SELECT " + ", ".join(["%b" if binary else "%s"] * len(values)), values)
        say("types", binary, cur.fetchone())


def pipelined(conn):
    with conn.pipeline() as pipeline:
        cursors = [conn.execute(f"SELECT {COLUMN} FROM users WHERE user_id = %s", (n,)) for n in range(1, 40)]
        conn.execute(f"UPDATE users SET {COLUMN} = {COLUMN} || '!' WHERE user_id = %s", (FIRST,))
        last = conn.execute(f"SELECT {COLUMN} FROM users WHERE user_id = %s", (FIRST,))
        pipeline.sync()
        say("pipeline", [c.fetchone() for c in cursors], last.fetchone())

    def broken():
        with conn.pipeline():
            conn.execute(f"UPDATE users SET {COLUMN} = 'never' WHERE user_id = 2")
            conn.execute("SELECT 1/0")
            conn.execute(f"SELECT {COLUMN} FROM users WHERE user_id = 2")

    failing("broken pipeline", broken)
    say("after it", conn.execute(f"SELECT {COLUMN} FROM users WHERE user_id = 2").fetchone())


def transactions(conn):
    def outer():
        with conn.transaction():
            conn.execute(f"UPDATE users SET {COLUMN} = 'gone' WHERE user_id = 1")
            failing("inner", inner)
            say("after savepoint", conn.execute(f"SELECT {COLUMN} FROM users WHERE user_id = 1").fetchone())
            raise psycopg.Rollback()

    def inner():
        with conn.transaction():
            conn.execute("SELECT 1/0")

    try:
        outer()
    except psycopg.Rollback:
        pass
    with conn.transaction(), conn.cursor("named", binary=True) as cur:
        cur.itersize = 300
        cur.execute(f"SELECT user_id, {COLUMN} FROM users ORDER BY user_id")
        say("streamed", sum(row[0] * 31 + sum(row[1].encode()) for row in cur))


def copies(conn):
    cur = conn.cursor()
    with cur.copy(f"COPY users (user_id, {COLUMN}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int8", "varchar"])
        for n in range(1000, 3000):
            copy.write_row((FIRST + n, f"copied {n}"))
    say("copied", cur.rowcount)
    with cur.copy(f"COPY (SELECT user_id, {COLUMN} FROM users WHERE user_id >= {FIRST + 2990}) TO STDOUT") as copy:
        say("copy out", [bytes(block) for block in copy])

    def stopped():
        with cur.copy(f"COPY users (user_id, {COLUMN}) FROM STDIN") as copy:
            copy.write(f"{FIRST + 5000}\tnever\n")
            raise psycopg.DataError("the client's own")

    failing("copy fail", stopped)


def main():
    conn = psycopg.connect(URL, autocommit=True)
    types(conn)
    for i in range(12):
        cur = conn.execute(f"SELECT {COLUMN}, city FROM users WHERE user_id = %s", (i + 1,))
        say("read", cur.fetchone(), [d.name for d in cur.description])
    insert = f"INSERT INTO users (user_id, {COLUMN}) VALUES (%s, %s)"
    say("insert", conn.execute(f"{insert} RETURNING user_id, {COLUMN}, city", (FIRST, "first")).fetchone())
    say("update", conn.execute(f"UPDATE users SET {COLUMN} = upper({COLUMN}) WHERE user_id = %s", (FIRST,)).rowcount)
    cur = conn.cursor()
    cur.executemany(f"INSERT INTO users (user_id, {COLUMN}) VALUES (%s, %s) RETURNING {COLUMN}",
                    [(FIRST + n, f"many {n}") for n in range(1, 500)], returning=True)
    say("many", cur.rowcount, cur.fetchone())
    pipelined(conn)
    failing("duplicate", lambda: conn.execute(f"INSERT INTO users (user_id, {COLUMN}) VALUES (%s, 'x')", (FIRST,)))
    failing("syntax", lambda: conn.execute(f"SELECT {COLUMN} FRM users"))
    failing("no column", lambda: conn.execute(f"SELECT {COLUMN}, nothing FROM users WHERE user_id = %s", (1,)))
    transactions(conn)
    copies(conn)
    told = []
    conn.add_notify_handler(lambda n: told.append((n.channel, n.payload)))
    conn.execute("LISTEN told")
    conn.execute("NOTIFY told, 'something'")
    conn.execute("SELECT 1")
    say("notify", told)
    canceller = threading.Timer(0.3, conn.cancel)
    canceller.start()
    failing("cancel", lambda: conn.execute("SELECT pg_sleep(60)"))
    # The server signals twice for a cancel: what follows waits until that is over.
    canceller.join()
    say("large", len(conn.execute("SELECT repeat('x', 3000000) || %s::text", ("y" * 1_000_000,)).fetchone()[0]))
    say("delete", conn.execute("DELETE FROM users WHERE user_id BETWEEN %s AND %s", (FIRST + 1, FIRST + 250)).rowcount)
    conn.close()


main()
