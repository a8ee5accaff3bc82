"""The SHOW commands an operator of PgBouncer knows: its columns, in its order, and numbers that are true."""

import csv
import io
import os
import re
import signal
import socket
import struct
import subprocess
import threading

import psycopg2
import pytest

from certificates import Certificates
from cluster import HOST, die_with_parent, free_port
from proxy import ROOT, psql
from waiting import until
from wire import Wire, message

SOCKET = ["type", "user", "database", "replication", "state", "addr", "port", "local_addr", "local_port", "connect_time",
          "request_time", "wait", "wait_us", "close_needed", "ptr", "link", "remote_pid", "tls", "application_name",
          "prepared_statements", "id"]
BUFFERS = ["recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain", "pkt_avail", "send_avail"]
OWN = ["transaction", "epoch", "worker"]
SUMS = ["server_assignment_count", "xact_count", "query_count", "received", "sent", "xact_time", "query_time", "wait_time",
        "client_parse_count", "server_parse_count", "bind_count"]
BARE = ["bytes_" + name if name in ("received", "sent") else name for name in SUMS]
# As PgBouncer 1.24 names them, and segue's own behind.
COLUMNS = {
    "CLIENTS": SOCKET + OWN,
    "SERVERS": SOCKET + OWN,
    "SOCKETS": SOCKET + BUFFERS + OWN,
    "ACTIVE_SOCKETS": SOCKET + BUFFERS + OWN,
    "POOLS": ["database", "user", "cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active",
              "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait",
              "maxwait_us", "pool_mode", "load_balance_hosts"],
    "DATABASES": ["name", "host", "port", "database", "force_user", "pool_size", "min_pool_size", "reserve_pool_size",
                  "server_lifetime", "pool_mode", "load_balance_hosts", "max_connections", "current_connections",
                  "max_client_connections", "current_client_connections", "paused", "disabled", "reserve_pool"],
    "USERS": ["name", "pool_size", "reserve_pool_size", "pool_mode", "max_user_connections", "current_connections",
              "max_user_client_connections", "current_client_connections"],
    "STATS": ["database"] + ["total_" + name for name in SUMS]
             + ["avg_" + {"received": "recv"}.get(name, name) for name in SUMS],
    "STATS_TOTALS": ["database"] + BARE,
    "STATS_AVERAGES": ["database"] + BARE[:8] + ["avg_" + name for name in BARE[8:]],
    "TOTALS": ["name", "value"],
    "COUNTERS": ["name", "value"],
    "LISTS": ["list", "items"],
    "MEM": ["name", "size", "used", "free", "memtotal"],
    "STATE": ["key", "value"],
}


def table(text):
    return list(csv.reader(io.StringIO(text)))


def header(segue, command):
    return table(psql(segue.console.conninfo, "--csv", "-c", f"SHOW {command}"))[0]


def only(rows, **wanted):
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, (wanted, rows)
    return found[0]


# ---- Columns ----

def test_columns_and_order(segue):
    page = (ROOT / "docs" / "console.md").read_text(encoding="utf-8").split("## What the answers hold")[1]
    for command, columns in COLUMNS.items():
        assert header(segue, command) == columns, command
        told = re.search(rf"^\| `SHOW {command}` \| (.*) \|$", page, re.M).group(1)
        assert re.findall(r"`(\w+)`", told) == columns, command
    helped = {row["command"] for row in segue.console.rows("SHOW HELP")}
    assert helped >= {f"SHOW {command}" for command in COLUMNS}


@pytest.fixture(scope="module")
def pgbouncer(tmp_path_factory):
    """Debian's own, to be compared with."""
    directory = tmp_path_factory.mktemp("pgbouncer")
    port = free_port()
    config = directory / "pgbouncer.ini"
    config.write_text(f"[databases]\n* = host={HOST} port=1\n[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {port}\n"
                      "auth_type = any\nunix_socket_dir =\n", encoding="ascii")
    # Read by another user than ours, as which a test's directories are closed.
    process = subprocess.Popen(die_with_parent(user="postgres") + ["pgbouncer", "-q", "/dev/stdin"], stdin=open(config, "rb"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    conninfo = f"host={HOST} port={port} user=any dbname=pgbouncer"
    until(lambda: psql(conninfo, "-c", "SHOW VERSION", check=False).returncode == 0)
    yield conninfo
    process.terminate()
    process.wait()


def test_whatever_reads_pgbouncer_finds_its_columns(segue, pgbouncer):
    for command in COLUMNS:
        asked = psql(pgbouncer, "--csv", "-c", f"SHOW {command}", check=False)
        if asked.returncode != 0:
            continue  # newer than Debian's, or ours
        theirs, ours = table(asked.stdout)[0], header(segue, command)
        if command == "DATABASES":
            # Renamed in 1.24: the old name is still there, at the end.
            assert "reserve_pool" in ours
            theirs.remove("reserve_pool")
        assert [name for name in ours if name in theirs] == theirs, command
    for command in ("TOTALS", "LISTS"):
        theirs, ours = [[row[0] for row in table(psql(where, "--csv", "-c", f"SHOW {command}"))]
                        for where in (pgbouncer, segue.console.conninfo)]
        assert [name for name in ours if name in theirs] == theirs, command


# ---- Clients and servers ----

def test_a_client_and_its_server(segue, database):
    conn = segue.connect(application_name="shop, with a comma")
    cursor = conn.cursor()
    cursor.execute("SELECT pg_backend_pid(), inet_client_port()")
    pid, server_local_port = cursor.fetchone()
    client = only(segue.console.rows("SHOW CLIENTS"), application_name="shop, with a comma")
    server = only(segue.console.rows("SHOW SERVERS"), remote_pid=str(pid))
    local = socket.fromfd(conn.fileno(), socket.AF_INET, socket.SOCK_STREAM).getsockname()
    assert client["type"] == "C" and server["type"] == "S"
    assert (client["user"], client["database"], client["state"]) == ("postgres", database, "active")
    assert (client["addr"], int(client["port"])) == local
    assert (client["local_addr"], int(client["local_port"])) == (HOST, segue.port)
    assert (server["addr"], int(server["port"])) == (HOST, segue.cluster.port)
    assert (server["local_addr"], int(server["local_port"])) == (HOST, server_local_port)
    assert client["link"] == server["ptr"] and server["link"] == client["ptr"] and client["ptr"] != server["ptr"]
    assert client["id"] == server["id"] and client["transaction"] == "idle" and client["tls"] == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+", client["connect_time"])

    # What the client says of itself later, and where its transaction stands.
    cursor.execute("SET application_name = 'renamed'; BEGIN")
    assert only(segue.console.rows("SHOW CLIENTS"), id=client["id"])["application_name"] == "renamed"
    states = lambda: only(segue.console.rows("SHOW CLIENTS"), id=client["id"])["transaction"]
    assert states() == "idle in transaction"
    with pytest.raises(psycopg2.Error):
        cursor.execute("SELECT 1/0")
    assert states() == "idle in transaction (aborted)"
    cursor.execute("ROLLBACK; PREPARE p AS SELECT 1; PREPARE q AS SELECT 2")
    assert only(segue.console.rows("SHOW CLIENTS"), id=client["id"])["prepared_statements"] == "2"
    conn.close()
    until(lambda: not [row for row in segue.console.rows("SHOW CLIENTS") if row["id"] == client["id"]])


def test_other_databases_are_shown_too(segue):
    conn = segue.connect("postgres", application_name="elsewhere")
    conn.cursor().execute("SET application_name = 'still elsewhere'")
    row = only(segue.console.rows("SHOW CLIENTS"), application_name="still elsewhere")
    assert row["database"] == "postgres" and row["epoch"] == ""
    conn.close()


def test_replication_is_named(segue, database):
    for parameter, shown in (("database", "logical"), ("off", "none")):
        wire = Wire(segue.port, database, replication=parameter, application_name=f"r {parameter}")
        assert only(segue.console.rows("SHOW CLIENTS"), application_name=f"r {parameter}")["replication"] == shown
        wire.close()


def test_tls_is_named(start_segue, database, tmp_path_factory):
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    segue = start_segue(control=database, options=certificates.options("allow"))
    conn = psycopg2.connect(segue.conninfo().replace("disable", "require") + " application_name=hidden")
    row = only(segue.console.rows("SHOW CLIENTS"), application_name="hidden")
    assert re.fullmatch(r"TLSv1\.\d/\S+", row["tls"])
    assert only(segue.console.rows("SHOW SERVERS"), id=row["id"])["tls"] == ""
    conn.close()


def test_who_has_not_logged_in(segue):
    with socket.create_connection((HOST, segue.port)) as quiet:
        row = until(lambda: [row for row in segue.console.rows("SHOW SOCKETS") if row["state"] == "cl_login"])[0]
        assert int(row["port"]) == quiet.getsockname()[1] and (row["user"], row["database"]) == ("(nouser)", "(nodb)")
        assert not [row for row in segue.console.rows("SHOW CLIENTS") if row["user"] == "(nouser)"], "as PgBouncer"
        assert only(segue.console.rows("SHOW LISTS"), list="login_clients")["items"] == "1"


def test_a_client_that_waits_for_its_server(segue, cluster, database):
    """The server's accept queue is there, its answer is not."""
    pid = cluster.process.pid
    console = segue.connect("segue")
    cursor = console.cursor()
    cursor.execute("SHOW CLIENTS")
    os.kill(pid, signal.SIGSTOP)
    try:
        with socket.create_connection((HOST, segue.port)) as waiting:
            body = b"user\0postgres\0database\0" + database.encode() + b"\0application_name\0patient\0\0"
            waiting.sendall(struct.pack("!ihh", len(body) + 8, 3, 0) + body)

            def look():
                cursor.execute("SHOW CLIENTS")
                names = [column.name for column in cursor.description]
                rows = [dict(zip(names, row)) for row in cursor.fetchall()]
                return [row for row in rows if row["application_name"] == "patient" and int(row["wait_us"]) > 0]

            assert until(look)[0]["state"] == "waiting"
    finally:
        os.kill(pid, signal.SIGCONT)
    console.close()


def test_what_segue_holds_of_a_socket(segue, database):
    """A client that does not read: what the socket does not take is held, and shown."""
    wire = Wire(segue.port, database, application_name="slow")
    wire.send(message(b"Q", b"SELECT repeat('x', 1000000) FROM generate_series(1, 50)\0"))
    row = until(lambda: [row for row in segue.console.rows("SHOW ACTIVE_SOCKETS")
                         if row["application_name"] == "slow" and row["type"] == "C" and row["send_avail"] != "0"])[0]
    assert row["state"] == "cl_active" and row["transaction"] == "active"
    wire.close()


# ---- Numbers ----

def stats(segue, database, command="SHOW STATS"):
    rows = [row for row in segue.console.rows(command) if row["database"] == database]
    return {name: int(value) for name, value in rows[0].items() if name != "database"} if rows else {}


def test_stats_count_what_was_done(segue, database, cluster):
    wire = Wire(segue.port, database)
    first = stats(segue, database)
    assert first["total_server_assignment_count"] == 1 and first["total_xact_count"] == 0
    assert wire.query("SELECT pg_sleep(0.1)").error is None
    wire.prepare("p", "SELECT 1")
    for _ in range(3):
        wire.run("p")
    wire.query("BEGIN")
    wire.query("SELECT pg_sleep(0.1)")
    wire.query("COMMIT")
    now = stats(segue, database)
    gained = {name[6:]: now[name] - first[name] for name in now if name.startswith("total_")}
    assert gained["server_assignment_count"] == 0
    # Four queries; a Parse with its Sync is a transaction of its own.
    assert gained["query_count"] == 4 + 3 and gained["xact_count"] == 2 + 1 + 3
    assert gained["client_parse_count"] == gained["server_parse_count"] == 1 and gained["bind_count"] == 3
    assert gained["received"] > 0 and gained["sent"] > 0
    # Both sleeps lie in both; a moment is no more exact than a turn of the loop.
    assert gained["query_time"] >= 190_000 and gained["xact_time"] >= 190_000
    totals = stats(segue, database, "SHOW STATS_TOTALS")
    assert (totals["xact_count"], totals["bytes_received"]) == (now["total_xact_count"], now["total_received"])
    wire.close()
    # Another database has a row of its own, and TOTALS has both.
    other = cluster.create_database("other_one")
    with_other = Wire(segue.port, other)
    with_other.query("SELECT 1")
    assert stats(segue, other)["total_query_count"] == 1
    everything = {row["name"]: int(row["value"]) for row in segue.console.rows("SHOW TOTALS")}
    assert everything["total_query_count"] == now["total_query_count"] + 1
    with_other.close()
    cluster.drop_database(other)


def test_averages_are_of_the_recent_past(start_segue, database):
    segue = start_segue(control=database, options=["--set", "stats_period=1"])
    wire = Wire(segue.port, database)
    wire.query("SELECT pg_sleep(0.2)")
    until(lambda: stats(segue, database, "SHOW STATS_AVERAGES")["query_time"] >= 190_000)
    # Two periods without a query: the average is of nothing any more, the total stays.
    until(lambda: stats(segue, database, "SHOW STATS_AVERAGES")["query_time"] == 0)
    assert stats(segue, database)["total_query_time"] >= 190_000
    wire.close()


def test_renewed_statements_are_parses_of_the_server_alone(segue, database, direct):
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text)")
    wire = Wire(segue.port, database)
    wire.prepare("p", "UPDATE users SET nickname = 'x'")
    wire.run("p")
    before = stats(segue, database)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    assert wire.run("p").error is None
    after = stats(segue, database)
    assert after["total_client_parse_count"] == before["total_client_parse_count"]
    assert after["total_server_parse_count"] > before["total_server_parse_count"]
    wire.close()


def test_pools_users_databases_lists(segue, database, cluster):
    cluster.admin("DROP ROLE IF EXISTS app_one", "CREATE ROLE app_one LOGIN")
    conns = [segue.connect(user="app_one"), segue.connect(user="app_one"), segue.connect()]
    pool = only(segue.console.rows("SHOW POOLS"), database=database, user="app_one")
    assert (pool["cl_active"], pool["sv_active"], pool["cl_waiting"], pool["pool_mode"]) == ("2", "2", "0", "session")
    user = only(segue.console.rows("SHOW USERS"), name="app_one")
    assert user["current_connections"] == user["current_client_connections"] == "2"
    found = only(segue.console.rows("SHOW DATABASES"), name=database)
    assert found["current_connections"] == "3" and found["port"] == str(cluster.port) and found["database"] == database
    assert only(segue.console.rows("SHOW LISTS"), list="used_clients")["items"] == "3"
    assert only(segue.console.rows("SHOW LISTS"), list="users")["items"] == "2"
    for conn in conns:
        conn.close()
    until(lambda: only(segue.console.rows("SHOW POOLS"), database=database, user="app_one")["cl_active"] == "0")


def test_mem_and_state(segue):
    memory = {row["name"]: {name: int(value) for name, value in row.items() if name != "name"}
              for row in segue.console.rows("SHOW MEM")}
    for row in memory.values():
        assert row["memtotal"] == row["size"] * (row["used"] + row["free"])
    assert memory["worker"]["used"] == 2 and memory["resident"]["used"] > 1_000_000
    assert abs(memory["resident"]["used"] / 1024 - segue.memory_kb()) < 4096
    state = {row["key"]: row["value"] for row in segue.console.rows("SHOW STATE")}
    assert state["active"] == "yes" and state["paused"] == state["suspended"] == "no"


def test_a_pause_is_shown(segue, database):
    conn = segue.connect()
    paused = lambda: only(segue.console.rows("SHOW DATABASES"), name=database)["paused"]
    assert paused() == "0"
    segue.console.run(f"PAUSE {database}")
    assert paused() == "1" and only(segue.console.rows("SHOW STATE"), key="paused")["value"] == "no"
    segue.console.run(f"RESUME {database}", "PAUSE")
    assert only(segue.console.rows("SHOW STATE"), key="paused")["value"] == "yes"
    thread = threading.Thread(target=lambda: conn.cursor().execute("SELECT 1"))
    thread.start()
    until(lambda: only(segue.console.rows("SHOW POOLS"), database=database)["cl_waiting"] == "1")
    segue.console.run("RESUME")
    thread.join()
    assert only(segue.console.rows("SHOW POOLS"), database=database)["cl_waiting"] == "0"
    conn.close()


def test_who_may_look(start_segue, cluster, database):
    cluster.admin("DROP ROLE IF EXISTS watcher", "CREATE ROLE watcher LOGIN")
    segue = start_segue(control=database, options=["--set", "stats_users=watcher"])
    conn = segue.connect("segue", user="watcher")
    cursor = conn.cursor()
    for command in COLUMNS:
        cursor.execute(f"SHOW {command}")
        assert [column.name for column in cursor.description] == COLUMNS[command]
    conn.close()
