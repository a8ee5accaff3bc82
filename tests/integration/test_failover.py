"""A primary that dies, a standby that takes its place, and clients that go on: through segue, in the middle of a migration."""

import os
import shutil
import signal
import threading
from pathlib import Path

import psycopg2
import pytest

from cluster import HOST, PG_BIN, Cluster, free_port
from proxy import PATIENCE_S, Segue
from waiting import until


class Standby(Cluster):
    """A streaming copy of another cluster."""

    def __init__(self, primary):  # pylint: disable=super-init-not-called
        self.dir = Path(f"{primary.dir}-standby")
        self.port = free_port()
        self.process, self.databases, self.programs = None, 0, primary.programs
        self.dir.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
        self._run([PG_BIN / "pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync",
                   "-d", primary.conninfo("postgres") + " application_name=standby"])
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"port = {self.port}\nunix_socket_directories = '{self.dir}'\n")
        self.start()

    def promote(self):
        self._run([PG_BIN / "pg_ctl", "promote", "-D", self.data, "-W"])


@pytest.fixture
def primary():
    made = Cluster()
    with open(made.data / "pg_hba.conf", "a", encoding="utf-8") as hba:
        hba.write("host replication all 127.0.0.1/32 trust\n")
    made.admin("SELECT pg_reload_conf()")
    yield made
    made.destroy()


@pytest.fixture
def standby(primary):
    made = Standby(primary)
    # From here on what a client was told is committed is on the standby, too.
    primary.admin("ALTER SYSTEM SET synchronous_standby_names = '*'", "ALTER SYSTEM SET synchronous_commit = 'on'",
                  "SELECT pg_reload_conf()")
    until(lambda: one(primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == 1)
    yield made
    made.destroy()


def one(cluster, sql, database="postgres"):
    conn = cluster.connect(database)
    try:
        cursor = conn.cursor()
        cursor.execute(sql)
        return cursor.fetchone()[0]
    finally:
        conn.close()


class Writer(threading.Thread):
    """Counts up a row of its own. What it was told is done must be there; whether the last one was done it cannot know."""

    def __init__(self, segue, database, number, name):
        super().__init__(daemon=True)
        self.segue, self.database, self.number, self.name = segue, database, number, name
        self.done, self.after = 0, 0
        self.lost = []
        self.ending, self.failed_over = threading.Event(), threading.Event()

    def run(self):
        conn = None
        while not self.ending.is_set():
            try:
                conn = conn or self.segue.connect(self.database)
                cursor = conn.cursor()
                cursor.execute(f"UPDATE users SET {self.name} = %s WHERE user_id = %s RETURNING {self.name}",
                               (str(self.done + 1), self.number))
                cursor.fetchone()
                self.done += 1
                self.after += self.failed_over.is_set()
            except psycopg2.Error as error:
                # Every failure says what it is, in whole messages: an end of the connection, or a refusal.
                self.lost.append(error)
                if conn is not None:
                    conn.close()
                conn = None


def test_a_standby_is_promoted_under_load_in_the_middle_of_a_migration(primary, standby, tmp_path):
    database = primary.create_database("shop")
    conn = primary.connect(database)
    conn.autocommit = True
    conn.cursor().execute("CREATE TABLE users (user_id int PRIMARY KEY, nickname text);"
                          "INSERT INTO users SELECT g, '0' FROM generate_series(1, 20) g")
    conn.close()
    until(lambda: one(standby, f"SELECT count(*) FROM pg_database WHERE datname = '{database}'") == 1)
    both = f"host={HOST},{HOST} port={primary.port},{standby.port}"
    config = tmp_path / "segue.ini"
    config.write_text(f"[databases]\n* = {both} target_session_attrs=read-write\n"
                      f"reader = {both} dbname={database} target_session_attrs=standby\n"
                      "[segue]\nlease_ms = 3000\nserver_connect_timeout = 60\nserver_login_retry = 0.1\n"
                      f"control_conninfo = {both} dbname={database} user=postgres target_session_attrs=read-write\n",
                      encoding="utf-8")
    segue = Segue(primary, options=["-c", str(config)])
    segue.upstream = None
    segue.start()
    try:
        with segue.connect("reader") as reader:
            cursor = reader.cursor()
            cursor.execute("SELECT pg_is_in_recovery()")
            assert cursor.fetchone()[0]
        segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
        segue.console.start("m")
        writers = [Writer(segue, database, number, ("nickname", "username")[number % 2]) for number in range(1, 7)]
        for writer in writers:
            writer.start()
        until(lambda: min(writer.done for writer in writers) > 20)
        primary.stop(signal.SIGQUIT)  # as a crash
        standby.promote()
        until(lambda: not one(standby, "SELECT pg_is_in_recovery()"))
        for writer in writers:
            writer.failed_over.set()
        until(lambda: min(writer.after for writer in writers) > 20)
        # The control connection has come back by itself, to the new primary, and the migration goes on.
        until(lambda: told(segue, "SWITCH m"))
        segue.console.wait("m", "read_new")
        segue.console.contract("m")
        for writer in writers:
            writer.ending.set()
            writer.join(PATIENCE_S)
        for writer in writers:
            value = int(one(standby, f"SELECT username FROM users WHERE user_id = {writer.number}", database))
            assert value in (writer.done, writer.done + 1)
            assert writer.lost and all(is_honest(error) for error in writer.lost), writer.lost
    finally:
        segue.stop()


def told(segue, command):
    try:
        segue.console.run(command)
        return True
    except Exception:  # pylint: disable=broad-except
        return False


def is_honest(error):
    text = str(error)
    return any(words in text for words in (
        "closed the connection unexpectedly", "terminating connection", "starting up", "not accepting connections",
        "cannot connect to the server", "lost touch", "will not do", "recovery"))
