"""Both application versions write a partitioned table and an inheritance tree through whichever table they like, while the
phases change beneath them and partitions come and go."""

import io

import pytest

from apps import App

USERS = """
CREATE TABLE users (region int NOT NULL, user_id bigint NOT NULL, nickname varchar(100) NOT NULL, hits int NOT NULL DEFAULT 0,
  PRIMARY KEY (region, user_id), CONSTRAINT users_nickname_key UNIQUE (nickname, region)) PARTITION BY LIST (region);
CREATE TABLE users_0 PARTITION OF users FOR VALUES IN (0);
CREATE TABLE users_1 (hits int NOT NULL DEFAULT 0, nickname varchar(100) NOT NULL, user_id bigint NOT NULL, region int NOT NULL);
ALTER TABLE users ATTACH PARTITION users_1 FOR VALUES IN (1);
CREATE TABLE users_9 PARTITION OF users FOR VALUES IN (9);
CREATE SEQUENCE ids;
INSERT INTO users SELECT g % 2, nextval('ids'), 'user' || g FROM generate_series(1, 2000) g;
"""

ACCOUNTS = """
CREATE TABLE account (id bigserial PRIMARY KEY, nickname text, note text);
CREATE TABLE account_0 (tier int, UNIQUE (nickname, tier)) INHERITS (account);
CREATE TABLE account_1 (note text, nickname text, id bigint PRIMARY KEY DEFAULT nextval('account_id_seq'));
ALTER TABLE account_1 INHERIT account;
INSERT INTO account_0 (nickname) SELECT 'user' || g FROM generate_series(1, 500) g;
INSERT INTO account_1 (nickname) SELECT 'user' || g FROM generate_series(1, 500) g;
"""


def rows(conn, statement, values=None):
    cur = conn.cursor()
    cur.execute(statement, values)
    return cur.fetchall() if cur.description else None


def both_ways(cursor, name, worker, turn):
    """What is written through the parent is read through the partition, and the other way round; rows move."""
    value, here = f"{name}-{worker}-{turn}", turn % 2
    written, read = ("users", f"users_{here}") if turn % 3 else (f"users_{here}", "users")
    cursor.execute("BEGIN")
    cursor.execute(f"INSERT INTO {written} (region, user_id, {name}) VALUES (%s, nextval('ids'), %s) RETURNING user_id", (here, value))
    user_id, = cursor.fetchone()
    cursor.execute(f"SELECT nickname, username FROM {read} WHERE user_id = %s AND {name} = %s", (user_id, value))
    assert cursor.fetchall() == [(value, value)]
    cursor.execute(f"UPDATE users SET region = %s, {name} = {name} || '!' WHERE region = %s AND user_id = %s RETURNING *",
                   (1 - here, here, user_id))
    assert cursor.fetchall() == [(1 - here, user_id, value + "!", 0, value + "!")]
    cursor.execute(f"SELECT username FROM ONLY users_{1 - here} WHERE nickname = %s", (value + "!",))
    assert cursor.fetchall() == [(value + "!",)]
    cursor.execute("INSERT INTO users_1 VALUES (0, %s, nextval('ids'), 1) RETURNING username, region", (value + "p",))
    assert cursor.fetchall() == [(value + "p", 1)]
    cursor.copy_expert("COPY users_1 FROM STDIN", io.StringIO(f"0\t{value}c\t{user_id}\t1\n" if here else ""))
    cursor.execute("COMMIT" if turn % 4 else "ROLLBACK")
    cursor.execute(f"INSERT INTO users (region, user_id, {name}, hits) VALUES (0, nextval('ids'), %s, 1)"
                   f" ON CONFLICT ({name}, region) DO UPDATE SET hits = users.hits + 1", (f"shared-{turn // 5}",))


def children(cursor, name, worker, turn):
    value, child = f"{name}-{worker}-{turn}", f"account_{turn % 2}"
    cursor.execute(f"INSERT INTO {child} ({name}, note) VALUES (%s, 'x') RETURNING id", (value,))
    account, = cursor.fetchone()
    cursor.execute(f"UPDATE account SET {name} = {name} || '!' WHERE id = %s RETURNING nickname, username", (account,))
    assert cursor.fetchall() == [(value + "!",) * 2]
    cursor.execute("SELECT count(*) FROM ONLY account WHERE username = %s", (value + "!",))
    assert cursor.fetchone() == (0,)
    cursor.execute(f"DELETE FROM {child} WHERE {name} = %s RETURNING username", (value + "!",))
    assert cursor.fetchall() == [(value + "!",)]


def nothing_left(direct):
    assert rows(direct, "SELECT relname FROM pg_class WHERE relname ~ '^segue_' UNION ALL SELECT conname FROM pg_constraint"
                        " WHERE conname ~ '^segue_' UNION ALL SELECT tgname FROM pg_trigger WHERE tgname ~ 'segue'") == []


def test_partitions_under_load(segue, direct):
    rows(direct, USERS)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    with App(segue.connect, "nickname", both_ways) as old_app, App(segue.connect, "username", both_ways) as new_app:
        for phase in segue.console.window("m"):
            old_app.progress()
            new_app.progress()
            if phase == "dual_write":
                rows(direct, "CREATE TABLE users_2 PARTITION OF users FOR VALUES IN (2);"
                             "INSERT INTO users VALUES (2, 1, 'past segue')")
            if phase == "read_new":
                rows(direct, "ALTER TABLE users DETACH PARTITION users_9")
            if phase in ("dual_write", "read_new"):
                assert rows(direct, "SELECT count(*) FROM users WHERE nickname IS DISTINCT FROM username") == [(0,)]
    for app in (old_app, new_app):
        app.check()
    client = segue.connect()
    assert rows(client, "SELECT nickname FROM users_2") == [("past segue",)]
    rows(client, "INSERT INTO users_9 VALUES (9, 1, 'apart')")
    assert rows(client, "SELECT nickname, username FROM users_9") == [("apart", "apart")]
    assert rows(direct, "SELECT sum(hits) FROM users") == [(sum(old_app.done) + sum(new_app.done),)]
    assert rows(direct, "SELECT conname::text, contype::text, coninhcount FROM pg_constraint WHERE conrelid = 'users'::regclass"
                        " AND contype <> 'n' ORDER BY 1") == [("users_nickname_key", "u", 0), ("users_pkey", "p", 0)]
    nothing_left(direct)


def test_inheritance_under_load(segue, direct):
    rows(direct, ACCOUNTS)
    segue.console.run("CREATE MIGRATION m ON account RENAME COLUMN nickname TO username")
    with App(segue.connect, "nickname", children) as old_app, App(segue.connect, "username", children) as new_app:
        for phase in segue.console.window("m"):
            old_app.progress()
            new_app.progress()
    for app in (old_app, new_app):
        app.check()
    assert rows(direct, "SELECT count(*), count(DISTINCT username) FROM account") == [(1000, 500)]
    nothing_left(direct)


@pytest.mark.parametrize("table, above", [("users_1", "public.users"), ("account_0", "public.account")])
def test_a_table_below_sends_its_migration_up(segue, direct, table, above):
    rows(direct, USERS + ACCOUNTS)
    with pytest.raises(Exception, match=f"comes from {above}") as refused:
        segue.console.run(f"CREATE MIGRATION m ON {table} RENAME COLUMN nickname TO username")
    assert f"CREATE MIGRATION ... ON {above}" in str(refused.value)
