"""PostgreSQL's own tools and servers as clients: parallel dump and restore, base backup, a standby and a subscriber that follow through
segue, in clear, encrypted, and where migrations are served."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from certificates import Certificates
from cluster import HOST, PG_BIN, Cluster, die_with_parent, free_port
from proxy import PATIENCE_S, ConsoleError, psql
from test_passthrough import FILL


@pytest.fixture(scope="module")
def cluster():
    made = Cluster()
    made.configure(wal_level="logical", max_wal_senders=20, max_replication_slots=20)
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def ways(*chosen):
    """By default these ways, with SEGUE_SOAK all of them."""
    every = ("plain", "encrypted", "controlled")
    return pytest.mark.parametrize("way", every if "SEGUE_SOAK" in os.environ else chosen, indirect=True)


@pytest.fixture
def way(request, start_segue, database, certificates):
    """A connection string without a database: in clear, encrypted, and to where migrations are served."""
    if request.param == "encrypted":
        return f"host={HOST} port={start_segue(options=certificates.options('require')).port} user=postgres sslmode=require"
    port = start_segue(control=database if request.param == "controlled" else None).port
    return f"host={HOST} port={port} user=postgres sslmode=disable"


def run(program, *arguments, user=None):
    done = subprocess.run(die_with_parent(user=user) + [str(PG_BIN / program), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd="/",
                          env={**os.environ, "HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    return done.stdout


class Question:
    """One session that asks until the answer is the one wanted."""

    def __init__(self, cluster, database="postgres"):
        conn = cluster.connect(database)
        conn.autocommit = True
        self.cursor = conn.cursor()

    def ask(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchone()

    def wait(self, sql, *wanted):
        while self.ask(sql) != wanted:
            time.sleep(0.02)


def as_text(conninfo):
    return run("pg_dump", "--restrict-key=same", "--exclude-schema=segue", "-d", conninfo)


@ways("controlled")
def test_p08_parallel_dump_and_restore(cluster, database, way, tmp_path):
    """pg_dump -j: several sessions on one exported snapshot. pg_restore -j: COPY, indexes and constraints side by side."""
    psql(cluster.conninfo(database), "-c", FILL)
    run("pg_dump", "--format=directory", "--exclude-schema=segue", "-j", "4", "-f", tmp_path / "dump", "-d",
        f"{way} dbname={database}")
    restored = cluster.create_database()
    run("pg_restore", "-j", "4", "-d", f"{way} dbname={restored}", tmp_path / "dump")
    assert as_text(cluster.conninfo(restored)) == as_text(cluster.conninfo(database))


# ---- Replication: CopyBoth, for as long as it lasts ----

class Standby(Cluster):
    """Made by pg_basebackup, following by itself."""

    def __init__(self, primary, way):
        self.programs = primary.programs
        self.dir = primary.dir / f"standby-{free_port()}"
        self.dir.mkdir()
        self.port = free_port()
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres", "postgres")
        run("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync", "--create-slot",
            "--slot", f"standby_{self.port}", "-d", way, user="postgres")
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"port = {self.port}\nunix_socket_directories = '{self.dir}'\nwal_retrieve_retry_interval = 100\n")
        self.start()


@ways("encrypted")
def test_p08_p44_base_backup_and_a_standby(cluster, database, way):
    primary = Question(cluster, database)
    psql(cluster.conninfo(database), "-c", "CREATE TABLE t AS SELECT g FROM generate_series(1, 100000) g")
    standby = Standby(cluster, way)
    try:
        psql(cluster.conninfo(database), "-c", "INSERT INTO t SELECT g FROM generate_series(100001, 200000) g")
        Question(standby, database).wait("SELECT count(*), sum(g) FROM t", 200000, 20000100000)
        assert primary.ask("SELECT state FROM pg_stat_replication") == ("streaming",)
        # It follows again after it was down.
        standby.stop(signal.SIGQUIT)
        psql(cluster.conninfo(database), "-c", "DELETE FROM t WHERE g <> 7")
        standby.start()
        Question(standby, database).wait("SELECT count(*), sum(g) FROM t", 1, 7)
    finally:
        standby.destroy()
        primary.wait("SELECT count(*) FROM pg_replication_slots WHERE active", 0)
        primary.ask(f"SELECT pg_drop_replication_slot('standby_{standby.port}')")


@pytest.fixture
def subscriber(cluster):
    """Another database of the same server: the slot is made first, as the two would wait for each other otherwise."""
    name = cluster.create_database()
    yield name
    psql(cluster.conninfo(name), "-c", "ALTER SUBSCRIPTION s DISABLE", "-c", "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
         "-c", "DROP SUBSCRIPTION s")
    cluster.drop_database(name)


@ways("encrypted", "controlled")
def test_p08_p44_logical_replication(cluster, database, way, subscriber):
    """A subscription's first copy of the table, and its changes, both ways of CopyBoth at once."""
    publisher = cluster.conninfo(database)
    psql(publisher, "-c", "CREATE TABLE t (id int PRIMARY KEY, v text)", "-c", "CREATE PUBLICATION p FOR TABLE t",
         "-c", "INSERT INTO t SELECT g, 'before' FROM generate_series(1, 20000) g",
         "-c", "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    psql(cluster.conninfo(subscriber), "-c", "CREATE TABLE t (id int PRIMARY KEY, v text)",
         "-c", f"CREATE SUBSCRIPTION s CONNECTION '{way} dbname={database}' PUBLICATION p WITH (create_slot = false)")
    psql(publisher, "-c", "INSERT INTO t SELECT g, repeat('x', 3000) FROM generate_series(20001, 22000) g",
         "-c", "UPDATE t SET v = 'after' WHERE id <= 1000", "-c", "DELETE FROM t WHERE id > 21000")
    summary, publishing, subscribing = "SELECT count(*), sum(id), sum(length(v)) FROM t", Question(cluster, database), \
        Question(cluster, subscriber)
    subscribing.wait(summary, *publishing.ask(summary))
    psql(cluster.conninfo(subscriber), "-c", "ALTER SUBSCRIPTION s DISABLE")
    publishing.wait("SELECT active FROM pg_replication_slots WHERE slot_name = 's'", False)
    publishing.ask("SELECT pg_drop_replication_slot('s')")


def test_a_publication_of_all_tables(cluster, database, start_segue):
    """segue's own tables would be published, too, and the subscribers stop at them: nothing is made before somebody says so."""
    psql(cluster.conninfo(database), "-c", "CREATE PUBLICATION everything FOR ALL TABLES")
    segue = start_segue(control=database)
    with pytest.raises(ConsoleError, match="does not know the mappings"):
        psql(segue.conninfo(), "-c", "SELECT 1")
    assert "(everything): its subscribers would stop" in segue.log_text()
    assert Question(cluster, database).ask("SELECT to_regnamespace('segue')") == (None,)
    psql(cluster.conninfo(database), "-c", "CREATE SCHEMA segue", "-c", "CREATE TABLE users (id int PRIMARY KEY, nickname text)")
    while psql(segue.conninfo(), "-c", "SELECT 1", check=False).returncode != 0:
        time.sleep(0.1)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    assert list(segue.console.window("m"))[-1] == "new_only"


@ways("plain")
def test_p08_p44_pg_recvlogical(cluster, database, way, tmp_path):
    """Commands of the replication protocol and SQL in one session; an end that the client asks for."""
    conninfo = f"{way} dbname={database}"
    run("pg_recvlogical", "-d", conninfo, "--slot", "r", "--create-slot", "-P", "test_decoding")
    psql(cluster.conninfo(database), "-c", "CREATE TABLE t (v text)", "-c", "INSERT INTO t VALUES ('one'), ('two')")
    end = Question(cluster, database).ask("SELECT pg_current_wal_insert_lsn()")[0]
    run("pg_recvlogical", "-d", conninfo, "--slot", "r", "--start", "--endpos", end, "-f", tmp_path / "changes")
    changes = (tmp_path / "changes").read_text()
    assert "table public.t: INSERT: v[text]:'one'" in changes and "'two'" in changes
    run("pg_recvlogical", "-d", conninfo, "--slot", "r", "--drop-slot")
    for question, said in (("IDENTIFY_SYSTEM", database), ("SELECT count(*) FROM t", "2")):
        assert psql(f"{conninfo} replication=database", "-At", "-c", question).strip().split("|")[-1] == said
