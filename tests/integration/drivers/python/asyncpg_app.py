"""The script of README.md with asyncpg: named prepared statements, everything binary, its own cache of statements."""

import asyncio
import datetime
import decimal
import sys
import uuid

import asyncpg

URL, COLUMN = sys.argv[1:3]
FIRST = 1_000_000


def say(step, *values):
    print(step, *[repr(value) for value in values])


async def failing(step, awaited):
    try:
        await awaited
        say(step, "no error")
    except asyncpg.PostgresError as error:
        say(step, error.sqlstate, error.message, error.as_dict().get("position"))


async def statements(conn):
    row = await conn.fetchrow(
        "SELECT $1::int, $2::text, $3::numeric, $4::bytea, $5::jsonb, $6::text[], $7::date, $8::uuid, $9::float8, $10::bool",
        7, "héllo ' \\ $1", decimal.Decimal("12.3400"), b"\0\1\xff", '{"a": [1]}', ["x", None],
        datetime.date(2026, 2, 28), uuid.UUID(int=5), 1.5, None)
    say("types", [str(v) for v in row])
    for i in range(12):
        say("read", dict(await conn.fetchrow(f"SELECT {COLUMN}, city FROM users WHERE user_id = $1", i + 1)))
    insert = f"INSERT INTO users (user_id, {COLUMN}) VALUES ($1, $2)"
    say("insert", tuple(await conn.fetchrow(f"{insert} RETURNING user_id, {COLUMN}, city", FIRST, "first")))
    say("update", await conn.execute(f"UPDATE users SET {COLUMN} = upper({COLUMN}) WHERE user_id = $1", FIRST))
    await conn.executemany(f"INSERT INTO users (user_id, {COLUMN}) VALUES ($1, $2)",
                           [(FIRST + n, f"many {n}") for n in range(1, 500)])
    prepared = await conn.prepare(f"SELECT user_id, {COLUMN} FROM users WHERE {COLUMN} LIKE $1 ORDER BY 1")
    say("prepared", [a.name for a in prepared.get_attributes()], [p.name for p in prepared.get_parameters()],
        [tuple(r) for r in await prepared.fetch("many 1%")][:5])
    await failing("duplicate", conn.execute(f"INSERT INTO users (user_id, {COLUMN}) VALUES ($1, 'x')", FIRST))
    await failing("syntax", conn.fetch(f"SELECT {COLUMN} FRM users"))
    await failing("no column", conn.fetch(f"SELECT {COLUMN}, nothing FROM users WHERE user_id = $1", 1))
    say("multi", await conn.execute(f"UPDATE users SET {COLUMN} = {COLUMN} WHERE user_id = 3; SELECT 2"))


async def transactions(conn):
    outer = conn.transaction()
    await outer.start()
    await conn.execute(f"UPDATE users SET {COLUMN} = 'gone' WHERE user_id = 1")
    inner = conn.transaction()
    await inner.start()
    await failing("in transaction", conn.execute("SELECT 1/0"))
    await failing("aborted", conn.execute("SELECT 1"))
    await inner.rollback()
    say("after savepoint", await conn.fetchval(f"SELECT {COLUMN} FROM users WHERE user_id = 1"))
    await outer.rollback()
    async with conn.transaction():
        total = 0
        async for row in conn.cursor(f"SELECT user_id, {COLUMN} FROM users ORDER BY user_id", prefetch=300):
            total += row[0] * 31 + sum(row[1].encode())
        say("streamed", total)


async def main():
    conn = await asyncpg.connect(URL, timeout=30)
    await statements(conn)
    await transactions(conn)
    say("copied", await conn.copy_records_to_table("users", columns=["user_id", COLUMN],
                                                   records=[(FIRST + n, f"copied {n}") for n in range(1000, 3000)]))
    out = []

    async def keep(block):
        out.append(block)

    await conn.copy_from_query(f"SELECT user_id, {COLUMN} FROM users WHERE user_id >= $1", FIRST + 2990, output=keep)
    say("copy out", b"".join(out))
    told = asyncio.get_running_loop().create_future()
    await conn.add_listener("told", lambda _conn, _pid, channel, payload: told.set_result((channel, payload)))
    await conn.execute("NOTIFY told, 'something'")
    say("notify", await asyncio.wait_for(told, 30))
    try:
        await conn.execute("SELECT pg_sleep(60)", timeout=0.3)
    except asyncio.TimeoutError:
        # The server signals twice for a cancel: what follows waits until that is over.
        await asyncio.sleep(0.2)
        say("cancel", await conn.fetchval("SELECT 'usable'"))
    say("large", len(await conn.fetchval("SELECT repeat('x', 3000000) || $1::text", "y" * 1_000_000)))
    async with asyncpg.create_pool(URL, min_size=4, max_size=8) as pool:
        async def work(k):
            return await pool.fetchval(f"SELECT {COLUMN} FROM users WHERE user_id = $1", k)
        say("together", await asyncio.gather(*[work(k) for k in range(1, 200)]))
    say("delete", await conn.execute("DELETE FROM users WHERE user_id BETWEEN $1 AND $2", FIRST + 1, FIRST + 250))
    await conn.close()


asyncio.run(main())
