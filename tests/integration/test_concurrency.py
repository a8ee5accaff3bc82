"""Both application versions hammer one table while the phases change beneath them: no error, nothing lost, nothing torn."""

import random

import pytest

from apps import App

USERS = """
CREATE TABLE users (user_id bigserial PRIMARY KEY, nickname varchar(100) NOT NULL, hits int NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX users_nickname_key ON users (nickname);
INSERT INTO users (nickname) SELECT 'user' || g FROM generate_series(1, 5000) g;
"""


@pytest.fixture
def migrated(segue, direct):
    direct.cursor().execute(USERS)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    return segue


def carry_through(segue, direct, *apps):
    """The whole window, with proof in every phase that all workers are still at it."""
    for phase in segue.console.window("m"):
        for app in apps:
            app.progress()
        if phase in ("dual_write", "read_new"):
            cur = direct.cursor()
            cur.execute("SELECT count(*) FROM users WHERE nickname IS DISTINCT FROM username")
            assert cur.fetchone() == (0,)


def transactions(cursor, name, worker, turn):
    """A few statements in a transaction; what is read in it is what was written in it, and after it, too."""
    value = f"{name}-{worker}-{turn}"
    cursor.execute("BEGIN")
    cursor.execute(f"INSERT INTO users ({name}) VALUES (%s), (%s) RETURNING user_id", (value + "a", value + "b"))
    first, second = [row[0] for row in cursor.fetchall()]
    cursor.execute("SELECT nickname, username FROM users WHERE user_id IN (%s, %s) ORDER BY user_id", (first, second))
    assert cursor.fetchall() == [(value + "a",) * 2, (value + "b",) * 2]
    cursor.execute(f"UPDATE users SET {name} = {name} || '!' WHERE user_id = %s", (first,))
    cursor.execute("DELETE FROM users WHERE user_id = %s RETURNING nickname, username", (second,))
    assert cursor.fetchall() == [(value + "b",) * 2]
    cursor.execute("COMMIT" if turn % 3 else "ROLLBACK")
    cursor.execute(f"SELECT user_id FROM users WHERE {name} = %s", (value + "a!",))
    assert cursor.fetchall() == ([(first,)] if turn % 3 else [])


def test_transactions_of_both_versions(migrated, direct):
    with App(migrated.connect, "nickname", transactions, workers=3) as old_app, \
            App(migrated.connect, "username", transactions, workers=3) as new_app:
        carry_through(migrated, direct, old_app, new_app)
    old_app.check()
    new_app.check()


def upsert_the_same_keys(cursor, name, worker, turn):
    key = f"user{random.randrange(1, 20)}"
    cursor.execute(f"INSERT INTO users ({name}, hits) VALUES (%s, 1) ON CONFLICT ({name}) DO UPDATE "
                   "SET hits = users.hits + 1 RETURNING nickname, username", (key,))
    assert cursor.fetchall() == [(key, key)]


def insert_the_same_new_keys(cursor, name, worker, turn):
    """Keys that nobody has yet, so that the two versions race for the insert itself."""
    key = f"shared-{turn}"
    cursor.execute(f"INSERT INTO users ({name}, hits) VALUES (%s, 1) ON CONFLICT ({name}) DO UPDATE "
                   "SET hits = users.hits + 1", (key,))


@pytest.mark.parametrize("work", [upsert_the_same_keys, insert_the_same_new_keys])
def test_upserts_of_the_same_keys(migrated, direct, work):
    """Every upsert counts once, whoever wins the race."""
    with App(migrated.connect, "nickname", work, workers=3) as old_app, \
            App(migrated.connect, "username", work, workers=3) as new_app:
        carry_through(migrated, direct, old_app, new_app)
    old_app.check()
    new_app.check()
    cur = direct.cursor()
    cur.execute("SELECT sum(hits) FROM users")
    assert cur.fetchone() == (sum(old_app.done) + sum(new_app.done),)


def test_rollback_under_load(migrated, direct):
    with App(migrated.connect, "nickname", transactions) as old_app, App(migrated.connect, "username", transactions) as new_app:
        for until in ("dual_write", "read_new"):
            for phase in migrated.console.window("m"):
                if phase == until:
                    break
            old_app.progress()
            migrated.console.run("ROLLBACK m")
            while (row := migrated.console.migration("m"))["phase"] != "planned" or row["state"] != "idle":
                assert row["state"] != "failed", row["detail"]
            old_app.progress()
            new_app.progress()
        carry_through(migrated, direct, old_app, new_app)
    old_app.check()
    new_app.check()
