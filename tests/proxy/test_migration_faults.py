"""The engine among adversities: killed at every step, cut off, overtaken, among writers and open transactions."""

import threading
import time

import psycopg2
import pytest
from migration_driver import Refused
from migration_fixtures import SLOW_INDEX, USERS, cluster, columns, database, driver, sql  # noqa: F401


# ---- Killed ----

@pytest.mark.parametrize("phase, state", [
    ("planned", "expanding"), ("dual_write", "barrier"), ("dual_write", "backfilling"), ("dual_write", "mirroring"),
    ("dual_write", "verifying"), ("dual_write", "verified")])
def test_killed_on_the_way_to_verified(driver, sql, phase, state):
    sql(USERS + ";" + SLOW_INDEX + "CREATE UNIQUE INDEX ON users (nickname)")
    engine = driver.engine(batch_rows=100)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    order = ["expanding", "barrier", "backfilling", "mirroring", "verifying", "verified"]
    driver.until("m", lambda row: order.index(row["state"]) >= order.index(state))
    driver.kill(engine)
    sql("INSERT INTO users VALUES (100000, 'while dead')")
    driver.engine(batch_rows=100)
    driver.wait("m", "verified")
    assert sql("SELECT count(*), count(*) FILTER (WHERE username IS DISTINCT FROM nickname) FROM users") == [(3001, 0)]
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 50, 100, 200, 400])
def test_killed_while_contracting(driver, sql, delay_ms):
    sql(USERS + ";" + SLOW_INDEX + "CREATE UNIQUE INDEX nick_key ON users (nickname)")
    engine = driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    driver.run("contract", "m")
    time.sleep(delay_ms / 1000)
    driver.kill(engine)
    driver.engine()
    driver.wait("m", "new_only")
    assert sql("SELECT count(*), count(username) FROM users") == [(3000, 2700)]
    assert sql("SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE indrelid = 'users'::regclass"
               " AND indisvalid ORDER BY 1") == [("nick_key",), ("slow_idx",), ("users_pkey",)]
    assert sql("SELECT count(*) FROM pg_class WHERE relname ~ '^segue_' OR relname ~ '^scratch'") == [(0,)]
    with pytest.raises(psycopg2.errors.UniqueViolation):
        sql("INSERT INTO users VALUES (5000, NULL, 'nick1')")


@pytest.mark.parametrize("delay_ms", [0, 10, 30, 60, 120])
def test_killed_while_rolling_back(driver, sql, delay_ms):
    sql(USERS)
    engine = driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    driver.run("rollback", "m")
    time.sleep(delay_ms / 1000)
    driver.kill(engine)
    driver.engine()
    driver.rolled_back("m")
    assert columns(sql, "users") == ["user_id", "nickname", "email"]


def test_lost_connections(driver, sql):
    """The server ends every one of our connections, again and again."""
    sql(USERS)
    driver.engine(batch_rows=20)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    for _ in range(15):
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'segue %'")
        time.sleep(0.1)
    driver.wait("m", "verified")
    assert sql("SELECT count(*) FROM users WHERE username IS DISTINCT FROM nickname") == [(0,)]


def test_another_proxy_takes_over(driver, sql):
    sql(USERS)
    first = driver.engine(batch_rows=10)
    driver.engine(batch_rows=10)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling" and row["rows_done"] != "0")
    assert sql("SELECT count(*) FROM segue.proxy WHERE expires_at > now()") == [(2,)]
    driver.kill(first)
    driver.wait("m", "verified")
    assert sql("SELECT count(*) FROM users WHERE username IS DISTINCT FROM nickname") == [(0,)]


# ---- Writers during the window ----

def test_upserts_of_the_same_keys_while_the_unique_index_moves(driver, sql, cluster, database):
    """Two unique indexes on equal columns make ON CONFLICT raise 23505 on the one that is not the arbiter, unless upserts
    of the same key queue. Every session upserts the same keys at the same instants, as a proxy in read_new would; an old
    snapshot keeps the index build, and with it the time of two unique indexes, from ending."""
    sql(USERS + "; CREATE UNIQUE INDEX ON users (nickname); CREATE SEQUENCE ids START 1000000")
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    driver.run("switch", "m")
    driver.wait("m", "read_new")
    stranger = cluster.connect(database)
    stranger.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
    errors, dropped = [], []
    together = threading.Barrier(6)

    def upsert():
        conn = cluster.connect(database)
        conn.autocommit = True
        cursor = conn.cursor()
        for n in range(1000000):
            try:
                together.wait(60)
                cursor.execute("INSERT INTO users (user_id, nickname, username) VALUES (nextval('ids'), 'k' || %(n)s,"
                               " 'k' || %(n)s) ON CONFLICT (nickname) DO UPDATE SET email = 'again'", {"n": n})
            except psycopg2.errors.UndefinedColumn:
                dropped.append(n)  # the old column is gone: no proxy would send this any more
                together.abort()
            except threading.BrokenBarrierError:
                break
            except psycopg2.Error as error:
                errors.append(str(error))
        conn.close()

    threads = [threading.Thread(target=upsert) for _ in range(6)]
    for thread in threads:
        thread.start()
    driver.run("contract", "m")
    twins = "SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND indisunique AND indisready"
    driver.until("m", lambda row: sql(twins) == [(3,)])
    rows = sql("SELECT count(*) FROM users")[0][0]
    driver.until("m", lambda row: errors or sql("SELECT count(*) FROM users")[0][0] > rows + 300)
    stranger.rollback()
    driver.wait("m", "new_only")
    for thread in threads:
        thread.join()
    stranger.close()
    assert dropped and errors == []
    assert sql("SELECT count(*) - count(DISTINCT username) FROM users WHERE username IS NOT NULL") == [(0,)]


def test_a_table_that_is_dropped_meanwhile(driver, sql):
    sql(USERS)
    driver.engine(batch_rows=10)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    sql("DROP TABLE users")
    with pytest.raises(Refused) as refused:
        driver.wait("m", "verified")
    assert "does not exist" in refused.value.detail or "dropped" in refused.value.detail
    driver.run("drop", "m")
    assert driver.run("show") == []


def test_a_table_that_is_renamed_meanwhile(driver, sql):
    sql(USERS)
    driver.engine(batch_rows=10)
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    sql("CREATE SCHEMA app; ALTER TABLE users RENAME TO people; ALTER TABLE people SET SCHEMA app")
    driver.run("set", "m", "batch_rows=1000")
    driver.wait("m", "verified")
    assert driver.show("m")["table"] == "app.people"
    assert sql("SELECT count(*) FROM app.people WHERE username IS DISTINCT FROM nickname") == [(0,)]


def test_the_old_column_dropped_by_hand_does_not_cost_the_values(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("start", "m")
    driver.wait("m", "verified")
    sql("ALTER TABLE users DROP COLUMN nickname CASCADE")
    driver.run("rollback", "m")
    driver.until("m", lambda row: (row["phase"], row["state"]) == ("planned", "idle"))
    assert sql("SELECT count(username) FROM users") == [(2700,)]


# ---- Barriers and locks ----

def test_a_transaction_that_wrote_before_is_waited_for_and_shown(driver, sql, cluster, database):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    writer = cluster.connect(database, application_name="forgetful")
    writer.cursor().execute("INSERT INTO users VALUES (9000, 'open')")
    driver.run("start", "m")
    driver.until("m", lambda row: any(line["application_name"] == "forgetful" and line["state"] == "idle in transaction"
                                      for line in driver.run("barrier")))
    assert driver.show("m")["phase"] == "planned"
    writer.commit()
    driver.wait("m", "verified")
    assert driver.run("barrier") == []
    assert sql("SELECT username FROM users WHERE user_id = 9000") == [("open",)]
    writer.close()


def test_a_prepared_transaction_is_waited_for_and_named(driver, sql, cluster, database):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    sql("BEGIN; INSERT INTO users VALUES (9000, 'p'); PREPARE TRANSACTION 'left behind'")
    assert [line["what"] for line in driver.run("preflight", "m")] == ["prepared transactions"]
    driver.run("start", "m")
    driver.until("m", lambda row: any(line["holder"] == "prepared transaction" and line["query"] == "left behind"
                                      for line in driver.run("barrier")))
    sql("COMMIT PREPARED 'left behind'")
    driver.wait("m", "verified")
    assert sql("SELECT username FROM users WHERE user_id = 9000") == [("p",)]


def test_rows_that_somebody_holds_locked_are_come_back_for(driver, sql, cluster, database):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username")
    driver.run("set", "m", "batch_rows=100")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    holder = cluster.connect(database)
    holder.cursor().execute("SELECT 1 FROM users WHERE user_id = 2999 FOR UPDATE")
    driver.until("m", lambda row: row["rows_done"] == "3000")
    assert sql("SELECT pass_left FROM segue.backfill") and driver.show("m")["state"] == "backfilling"
    holder.rollback()
    driver.wait("m", "verified")
    holder.close()


# ---- Pace ----

def test_pause_and_resume(driver, sql):
    sql(USERS)
    driver.engine()
    driver.create("m", "users", "nickname", "username", "batch_rows=10")
    driver.run("start", "m")
    driver.until("m", lambda row: row["state"] == "backfilling")
    driver.run("pause", "m")
    driver.until("m", lambda row: row["state"] == "paused")
    time.sleep(0.3)
    done = driver.show("m")["rows_done"]
    time.sleep(0.3)
    assert driver.show("m")["rows_done"] == done != "3000"
    driver.run("set", "m", "batch_rows=1000", "max_p99_ratio=2")
    driver.run("resume", "m")
    driver.wait("m", "verified")
    with pytest.raises(Refused) as refused:
        driver.run("pause", "m")
    assert refused.value.sqlstate == "55000"
