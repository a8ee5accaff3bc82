"""The console of a running segue as an operator meets it: who may come in, WAIT in all its ends, a server that goes away,
draining; and drivers that were not made for consoles."""

import os
import re
import signal
import socket
import threading

import psycopg2
import psycopg2.extensions
import pytest

from cluster import HOST, SCRAM_PASSWORD, SCRAM_USER
from proxy import PATIENCE_S, ROOT, ConsoleError, psql
from waiting import until

CREATE = "CREATE MIGRATION m ON users RENAME COLUMN nickname TO username"


@pytest.fixture
def table(direct):
    direct.cursor().execute("CREATE TABLE users (user_id bigint PRIMARY KEY, nickname varchar(100));"
                            "INSERT INTO users SELECT g, 'n' || g FROM generate_series(1, 1000) g")


class Background:
    """A command in a console session of its own."""

    def __init__(self, segue, command):
        self.conn = segue.connect("segue")
        self.error = None
        self.is_done = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(command,), daemon=True)
        self.thread.start()

    def run(self, command):
        try:
            self.conn.cursor().execute(command)
        except psycopg2.Error as error:
            self.error = error
        self.is_done.set()

    def result(self):
        assert self.is_done.wait(PATIENCE_S)
        return self.error


def waits(direct):
    """How many console sessions have a control connection."""
    cursor = direct.cursor()
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'segue console'")
    return cursor.fetchone()[0]


# ---- Who may come in ----

def test_roles(start_segue, cluster, database, table):
    cluster.admin("DROP ROLE IF EXISTS watcher", "DROP ROLE IF EXISTS stranger", "CREATE ROLE watcher LOGIN",
                  "CREATE ROLE stranger LOGIN")
    segue = start_segue(control=database, options=["--set", f"admin_users=postgres, {SCRAM_USER}",
                                                   "--set", "stats_users=watcher"])
    with pytest.raises(psycopg2.OperationalError, match="may not use the console"):
        segue.connect("segue", user="stranger")
    watcher = segue.connect("segue", user="watcher").cursor()
    watcher.execute("SHOW MIGRATIONS")
    assert watcher.fetchall() == []
    for command in (CREATE, "RELOAD", "SHUTDOWN", "EXPLAIN REWRITE 'SELECT 1'"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            watcher.execute(command)
    # The password is the server's to judge.
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        segue.connect("segue", user=SCRAM_USER, password="wrong")
    admin = segue.connect("segue", user=SCRAM_USER, password=SCRAM_PASSWORD).cursor()
    admin.execute(CREATE)
    watcher.execute("SHOW MIGRATIONS")
    assert watcher.fetchone()[0] == "m"


def test_without_a_control_connection_there_is_no_console(plain):
    with pytest.raises(psycopg2.OperationalError, match="console is not available"):
        plain.connect("segue")


# ---- WAIT ----

def test_wait_ends_when_the_state_is_reached(segue, table):
    segue.console.run(CREATE)
    waiting = Background(segue, "WAIT m FOR verified")
    segue.console.run("START m")
    assert waiting.result() is None
    segue.console.run("WAIT m FOR backfilled", "WAIT m FOR dual_write TIMEOUT 0")


def test_wait_ends_when_the_time_is_up(segue, table):
    segue.console.run(CREATE)
    with pytest.raises(ConsoleError) as failed:
        segue.console.run("WAIT m FOR verified TIMEOUT 0.2")
    assert failed.value.sqlstate == "57014" and "phase planned, state idle" in str(failed.value)
    with pytest.raises(ConsoleError) as failed:
        segue.console.run("WAIT nobody FOR verified TIMEOUT 0.2")
    assert failed.value.sqlstate == "42704"


def test_wait_can_be_cancelled(segue, table, direct):
    segue.console.run(CREATE)
    waiting = Background(segue, "WAIT m FOR verified")
    until(lambda: waits(direct))
    waiting.conn.cancel()
    assert waiting.result().pgcode == "57014"
    cursor = waiting.conn.cursor()
    cursor.execute("SHOW MIGRATIONS")
    assert cursor.fetchone()[0] == "m", "the session goes on after a cancel"


def test_a_client_that_goes_away_waits_no_more(segue, table, direct):
    segue.console.run(CREATE)
    waiting = Background(segue, "WAIT m FOR verified")
    until(lambda: waits(direct) == 1)
    # psycopg2's own close would wait for the command to end.
    with socket.socket(fileno=os.dup(waiting.conn.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
    assert waiting.result() is not None
    until(lambda: waits(direct) == 0)


def test_wait_outlives_the_server(segue, cluster, database, table, direct):
    segue.console.run(CREATE)
    waiting = Background(segue, "WAIT m FOR verified")
    until(lambda: waits(direct))
    cluster.stop()
    cluster.start()
    until(lambda: not psql(segue.conninfo("segue"), "-c", "START m", check=False).returncode)
    assert waiting.result() is None


# ---- What it answers ----

def test_commands_that_cannot_be_carried_out_say_why(segue, table):
    for command, sqlstate in {"START m": "42704", "SHOW MIGRATION m": "42704", "SHOW BLOCKERS m": "0A000", "SELECT 1": "42601",
                              "CREATE MIGRATION m ON t ADD COLUMN c int DEFAULT (1)": "0A000",
                              "EXPLAIN REWRITE IN elsewhere 'SELECT 1'": "42704"}.items():
        with pytest.raises(ConsoleError) as failed:
            segue.console.run(command)
        assert failed.value.sqlstate == sqlstate, command
    assert segue.console.rows("SHOW MIGRATIONS") == []


def test_show(segue):
    config = {row["key"]: row["value"] for row in segue.console.rows("SHOW CONFIG")}
    assert config["listen_port"] == str(segue.port)
    assert "password" not in config["control_conninfo"]
    assert segue.console.rows("SHOW VERSION")[0]["version"].startswith("segue ")
    assert segue.console.rows("SHOW DATABASES")[0]["host"] == HOST
    before = {row["name"]: int(row["value"]) for row in segue.console.rows("SHOW COUNTERS")}
    conn = segue.connect()
    conn.cursor().execute("SELECT 1")
    after = {row["name"]: int(row["value"]) for row in segue.console.rows("SHOW COUNTERS")}
    assert after["statements"] == before["statements"] + 1
    assert after["sessions"] > 0
    conn.close()


def test_statements_that_differ_in_literals_are_planned_once(segue, table):
    segue.console.run(CREATE)
    segue.console.start("m")
    conn = segue.connect()
    conn.set_session(autocommit=True)
    cursor = conn.cursor()

    def run(sql):
        before = {row["name"]: int(row["value"]) for row in segue.console.rows("SHOW COUNTERS")}
        cursor.execute(sql)
        after = {row["name"]: int(row["value"]) for row in segue.console.rows("SHOW COUNTERS")}
        return {name: after[name] - before[name] for name in after if name.startswith("plan") and after[name] != before[name]}

    for i in range(5001, 5004):
        counted = run(f"INSERT INTO users (user_id, nickname) VALUES ({i}, 'it''s {i * 7919}')")
        if i == 5001:
            assert counted["plans_made"] == 1 and counted["plan_cache_entries"] == 1 and counted["plan_cache_bytes"] > 0
        else:
            assert counted == {"plans_by_shape": 1}
    assert run("SELECT 1") == {"plans_not_needed": 1}
    cursor.execute("SELECT user_id, username, nickname FROM users WHERE user_id > 5000 ORDER BY 1")
    assert cursor.fetchall() == [(i, f"it's {i * 7919}", f"it's {i * 7919}") for i in range(5001, 5004)]
    conn.close()


def test_the_reference_lists_the_columns(segue, table):
    page = (ROOT / "docs" / "console.md").read_text(encoding="utf-8").split("## What the answers hold")[1]
    segue.console.run(CREATE)
    for command, argument in [("SHOW MIGRATIONS", ""), ("SHOW MIGRATION", "m"), ("SHOW BACKFILL", ""), ("SHOW BARRIER", ""),
                              ("PREFLIGHT", "m"), ("EXPLAIN REWRITE", "'SELECT 1'"), ("SHOW CONFIG", ""), ("SHOW COUNTERS", ""),
                              ("SHOW HELP", ""), ("SHOW VERSION", "")]:
        header = psql(segue.conninfo("segue"), "--csv", "-c", f"{command} {argument}").splitlines()[0].split(",")
        told = re.sub(r"\([^)]*\)", "", re.search(rf"^\| `{command}` \| (.*) \|$", page, re.M).group(1))
        assert re.findall(r"`(\w+)`", told)[:len(header)] == header, command


def test_explain_rewrite_is_what_clients_get(segue, table):
    sql = "INSERT INTO users (user_id, nickname) VALUES (5000, 'a')"
    quoted = sql.replace("'", "''")
    segue.console.run(CREATE)
    assert segue.console.rows(f"EXPLAIN REWRITE '{quoted}'")[0]["action"] == "pass"
    segue.console.start("m")
    row = segue.console.rows(f"EXPLAIN REWRITE '{quoted}'")[0]
    assert row["action"] == "rewrite" and "username" in row["sql"] and row["mappings"] == "m (dual_write: old)"
    row = segue.console.rows("EXPLAIN REWRITE 'CREATE RULE r AS ON INSERT TO users DO NOTHING'")[0]
    assert row["action"] == "refuse" and row["sql"] == "" and row["reason"]
    assert segue.console.rows("EXPLAIN REWRITE 'SELECT 1'")[0] == {
        "action": "pass", "mappings": "", "sql": "SELECT 1", "reason": "", "hint": ""}


def test_rules_for_clients(start_segue, cluster, database, table, tmp_path):
    ini = tmp_path / "segue.ini"
    ini.write_text(f"[databases]\n* = host={HOST} port={cluster.port}\n[segue]\nstar = both\n"
                   f"[clients]\napplication_name billing v2 = new\nuser {SCRAM_USER} = old\n")
    segue = start_segue(control=database, options=["-c", str(ini)])
    segue.console.run(CREATE)
    segue.console.start("m")
    cluster.admin(f"ALTER ROLE {SCRAM_USER} SUPERUSER")

    def shape(**who):
        cursor = segue.connect(**who).cursor()
        cursor.execute("SELECT * FROM users WHERE user_id = 1")
        return [column.name for column in cursor.description], cursor.fetchone()

    assert shape() == (["user_id", "nickname", "username"], (1, "n1", "n1"))
    assert shape(application_name="billing v2") == (["user_id", "username"], (1, "n1"))
    assert shape(application_name="billing v1") == shape()
    assert shape(user=SCRAM_USER, password=SCRAM_PASSWORD) == (["user_id", "nickname"], (1, "n1"))


def test_drivers_that_open_transactions(segue, table):
    conn = psycopg2.connect(segue.conninfo("segue"))
    cursor = conn.cursor()
    cursor.execute(CREATE)
    conn.rollback()
    cursor.execute("SHOW MIGRATIONS")
    assert cursor.fetchone()[0] == "m", "a command takes effect at once"
    assert any("no transactions" in notice for notice in conn.notices)
    conn.commit()
    conn.close()


# ---- Coming and going ----

def test_a_control_role_that_may_not_log_in_makes_a_plain_proxy(start_segue, cluster, database):
    cluster.admin("DROP ROLE IF EXISTS locked_out", "CREATE ROLE locked_out NOLOGIN")
    segue = start_segue(options=["--control", cluster.conninfo(database, user="locked_out")])
    assert "CANNOT LOG IN" in segue.log_text()
    conn = segue.connect(database)
    conn.cursor().execute("CREATE TABLE t (a int)")
    # It keeps trying: the role is let in, and the engine comes up without a restart.
    cluster.admin("ALTER ROLE locked_out LOGIN SUPERUSER")
    until(lambda: "migration engine started" in segue.log_text())
    conn.cursor().execute("INSERT INTO t VALUES (1)")
    conn.close()


def test_a_control_database_that_is_down_holds_its_clients_back(start_segue, cluster, database):
    cluster.stop()
    segue = start_segue(control=database)
    with pytest.raises(psycopg2.OperationalError, match="does not know the mappings"):
        segue.connect()
    cluster.start()
    until(lambda: "migration engine started" in segue.log_text())
    segue.connect().cursor().execute("SELECT 1")


def test_the_console_says_why_there_is_no_engine(start_segue, cluster, database):
    cluster.admin("DROP ROLE IF EXISTS powerless", "CREATE ROLE powerless LOGIN")
    segue = start_segue(options=["--control", cluster.conninfo(database, user="powerless")])
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState) as failed:
        segue.connect("segue", user="powerless").cursor().execute("SHOW MIGRATIONS")
    assert 'schema "segue"' in failed.value.diag.message_detail
    cluster.admin(f'GRANT CREATE ON DATABASE "{database}" TO powerless')
    until(lambda: "migration engine started" in segue.log_text())
    cursor = segue.connect("segue", user="powerless").cursor()
    cursor.execute("SHOW MIGRATIONS")
    assert cursor.fetchall() == []
    cluster.drop_database(database)
    cluster.admin("DROP ROLE powerless")


def test_a_drain_lets_transactions_end(segue, table):
    busy = segue.connect()
    busy.autocommit = False
    busy.cursor().execute("UPDATE users SET nickname = 'x' WHERE user_id = 1")
    waiting = Background(segue, "SHOW VERSION")
    assert waiting.result() is None
    segue.console.run("SHUTDOWN WAIT_FOR_SERVERS")
    until(lambda: "draining" in segue.log_text())
    with pytest.raises(psycopg2.OperationalError):
        segue.connect()
    busy.cursor().execute("UPDATE users SET nickname = 'y' WHERE user_id = 2")
    busy.commit()
    assert segue.process.wait(PATIENCE_S) == 0
    with pytest.raises(psycopg2.Error):
        waiting.conn.cursor().execute("SHOW VERSION")


def test_a_second_term_ends_what_does_not_end(segue, table):
    busy = segue.connect()
    busy.autocommit = False
    busy.cursor().execute("UPDATE users SET nickname = 'x' WHERE user_id = 1")
    segue.process.send_signal(signal.SIGTERM)
    until(lambda: "draining" in segue.log_text())
    segue.process.send_signal(signal.SIGTERM)
    assert segue.process.wait(PATIENCE_S) == 0
    with pytest.raises(psycopg2.Error):
        busy.commit()
