"""The script of README.md with psycopg2: libpq, simple protocol, literals put into the text."""

import decimal
import io
import os
import sys
import threading

import psycopg2
import psycopg2.extras

URL, COLUMN = sys.argv[1:3]
FIRST = 1_000_000


def say(step, *values):
    print(step, *[repr(value) for value in values])


def failing(step, cursor, sql, *arguments):
    try:
        cursor.execute(sql, arguments)
        say(step, "no error")
    except psycopg2.Error as error:
        say(step, error.pgcode, error.diag.message_primary, error.diag.statement_position)


def main():
    conn = psycopg2.connect(URL)
    conn.autocommit = True
    cur = conn.cursor()
    cur.execute("SELECT %s::int, %s::text, %s::numeric, %s::bytea, %s::jsonb, %s::text[], %s::date, %s",
                (7, "héllo ' \\ $1", decimal.Decimal("12.3400"), b"\0\1\xff", psycopg2.extras.Json({"a": [1]}), ["x", None],
                 "2026-02-28", None))
    say("types", *[bytes(v) if isinstance(v, memoryview) else v for v in cur.fetchone()])
    for i in range(12):
        cur.execute(f"SELECT {COLUMN}, city FROM users WHERE user_id = %s", (i + 1,))
        say("read", cur.fetchone(), [d.name for d in cur.description])
    cur.execute(f"INSERT INTO users (user_id, {COLUMN}) VALUES (%s, %s) RETURNING user_id, {COLUMN}, city", (FIRST, "first"))
    say("insert", cur.fetchone())
    cur.execute(f"UPDATE users SET {COLUMN} = upper({COLUMN}) WHERE user_id = %s RETURNING {COLUMN}", (FIRST,))
    say("update", cur.fetchall(), cur.rowcount)
    psycopg2.extras.execute_values(cur, f"INSERT INTO users (user_id, {COLUMN}) VALUES %s",
                                   [(FIRST + n, f"many {n}") for n in range(1, 500)])
    say("many", cur.rowcount)
    cur.execute(f"SELECT 1; SELECT {COLUMN} FROM users WHERE user_id = 3; SELECT 'last'")
    say("multi", cur.fetchall())
    failing("duplicate", cur, f"INSERT INTO users (user_id, {COLUMN}) VALUES (%s, 'x')", FIRST)
    failing("syntax", cur, f"SELECT {COLUMN} FRM users")
    failing("no column", cur, f"SELECT {COLUMN}, nothing FROM users")
    conn.autocommit = False
    cur.execute(f"UPDATE users SET {COLUMN} = 'gone' WHERE user_id = 1")
    cur.execute("SAVEPOINT s")
    failing("in transaction", cur, "SELECT 1/0")
    failing("aborted", cur, "SELECT 1")
    cur.execute("ROLLBACK TO s")
    cur.execute(f"SELECT {COLUMN} FROM users WHERE user_id = 1")
    say("after savepoint", cur.fetchone())
    conn.rollback()
    with conn.cursor("named") as streamed:
        streamed.itersize = 500
        streamed.execute(f"SELECT user_id, {COLUMN} FROM users ORDER BY user_id")
        say("streamed", sum(hash_of(row) for row in streamed))
    conn.commit()
    conn.autocommit = True
    cur.copy_expert(f"COPY users (user_id, {COLUMN}) FROM STDIN",
                    io.StringIO("".join(f"{FIRST + n}\tcopied {n}\n" for n in range(1000, 3000))))
    out = io.StringIO()
    cur.copy_expert(f"COPY (SELECT user_id, {COLUMN} FROM users WHERE user_id >= {FIRST + 2990}) TO STDOUT", out)
    say("copy", cur.rowcount, out.getvalue())
    cur.execute("LISTEN told")
    cur.execute("NOTIFY told, 'something'")
    conn.poll()
    say("notify", [(n.channel, n.payload) for n in conn.notifies])
    canceller = threading.Timer(0.3, conn.cancel)
    canceller.start()
    failing("cancel", cur, "SELECT pg_sleep(60)")
    # The server signals twice for a cancel: what follows waits until that is over.
    canceller.join()
    cur.execute("SELECT repeat('x', 3000000) || %s", ("y" * 1_000_000,))
    say("large", len(cur.fetchone()[0]))
    say("together", sorted(together()))
    cur.execute(f"DELETE FROM users WHERE user_id BETWEEN %s AND %s", (FIRST + 1, FIRST + 250))
    say("delete", cur.rowcount)
    conn.close()


def hash_of(row):
    return row[0] * 31 + sum(row[1].encode())


def together():
    """Eight connections at once."""
    results = []

    def work(k):
        with psycopg2.connect(URL) as conn, conn.cursor() as cur:
            for n in range(20):
                cur.execute(f"INSERT INTO users (user_id, {COLUMN}) VALUES (%s, %s)", (FIRST + 10_000 + k * 100 + n, f"{k}/{n}"))
            cur.execute(f"SELECT count({COLUMN}) FROM users WHERE user_id BETWEEN %s AND %s",
                        (FIRST + 10_000 + k * 100, FIRST + 10_099 + k * 100))
            results.append((k, cur.fetchone()[0]))
        conn.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


os.environ.setdefault("PGCONNECT_TIMEOUT", "30")
main()
