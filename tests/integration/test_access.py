"""Who is let in, and what those cost who are not: strangers, floods, limits, descriptors; what is set on sockets."""

import os
import re
import resource
import signal
import socket
import struct
import time
from pathlib import Path

import psycopg2
import pytest

from cluster import HOST, SCRAM_PASSWORD, SCRAM_USER
from test_limits import connect, processor_s, startup
from waiting import until
from wire import ServerError, Wire

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def is_closed(client):
    """Has the other side hung up? Nothing else is ever said to a client that has said nothing."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


# ---- Strangers ----

def test_p13_port_scans_and_health_checks_do_not_flood_the_log(start_segue, database):
    segue = start_segue()
    Wire(segue.port, database).close()
    before = segue.log_text().count("\n")
    words = [b"", b"\0", SSL_REQUEST, SSL_REQUEST[:5], b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\xff" * 100,
             startup(body=b"user\0x\0"), struct.pack("!ii", 16, 80877102) + b"12345678"]
    for number in range(300):
        client = connect(segue)
        client.sendall(words[number % len(words)])
        if number % 2:
            reset(client)
        else:
            client.close()
    Wire(segue.port, database).close()
    lines = segue.log_text().count("\n") - before
    assert lines < 30, f"{lines} lines of log for 300 clients that never were:\n{segue.log_text()}"


def test_p13_silent_clients_do_not_keep_others_out(start_segue, database):
    """More silent clients than there can ever be sessions: the oldest of them go, and who speaks is served."""
    segue = start_segue(options=["--set", "max_client_conn=20"])
    silent = []
    for number in range(300):
        silent.append(connect(segue))
        silent[-1].sendall([b"", SSL_REQUEST, startup()[:20]][number % 3])
    with segue.connect(database) as conn:
        conn.cursor().execute("SELECT 1")
    until(lambda: sum(map(is_closed, silent[:60])) == 60, "the oldest are still there")
    # What was sent to the others was at most the answer to SSLRequest.
    late = [client for client in silent[-60:] if number_of(client) is not None]
    assert len(late) == 60, "who came last need not go"
    conn.close()
    for client in silent:
        client.close()


def number_of(client):
    """How many bytes wait; None when the other side has hung up."""
    client.setblocking(False)
    try:
        return len(client.recv(10)) or None
    except BlockingIOError:
        return 0
    except ConnectionResetError:
        return None


def test_p55_silent_clients_make_room_when_descriptors_run_out(start_segue, database):
    segue = start_segue()
    _, hard = resource.prlimit(segue.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(segue.process.pid, resource.RLIMIT_NOFILE, (60, hard))
    crowd = [connect(segue) for _ in range(120)]
    segue.connect(database).close()  # nobody of the crowd has left
    until(lambda: "cannot accept clients" in segue.log_text(), "descriptors have not run out")
    for client in crowd:
        client.close()


def test_p55_sessions_that_use_up_all_descriptors_are_waited_for(start_segue, database):
    """There is nobody to send away: accepting pauses, and goes on when one leaves."""
    segue = start_segue()
    conns = [segue.connect(database) for _ in range(5)]
    open_now = len(os.listdir(f"/proc/{segue.process.pid}/fd"))
    _, hard = resource.prlimit(segue.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(segue.process.pid, resource.RLIMIT_NOFILE, (open_now, hard))
    waiting = connect(segue)
    body = b"user\0postgres\0database\0" + database.encode() + b"\0\0"
    waiting.sendall(startup(body=body))
    until(lambda: "cannot accept clients" in segue.log_text(), "descriptors have not run out")
    before, since = processor_s(segue), time.monotonic()
    time.sleep(1)
    assert processor_s(segue) - before < (time.monotonic() - since) / 2, "accept is tried again and again"
    for conn in conns[:2]:
        conn.close()
    assert waiting.recv(1) == b"R"
    waiting.close()
    for conn in conns[2:]:
        conn.cursor().execute("SELECT 1")
        conn.close()


# ---- Limits by user and database ----

def refused(segue, database, user="postgres"):
    with pytest.raises(psycopg2.OperationalError) as caught:
        segue.connect(database, user=user)
    return str(caught.value)


@pytest.fixture
def roles(cluster):
    names = ["lim_a", "lim_b", "lim_c"]
    cluster.admin(*(f"CREATE ROLE {name} LOGIN" for name in names))
    yield names
    cluster.admin(*(f"DROP ROLE {name}" for name in names))


def test_sessions_are_limited_by_user_and_by_database(start_segue, database, cluster, roles, tmp_path):
    config = tmp_path / "segue.ini"
    text = ("[segue]\nmax_user_connections = 3\nmax_db_connections = 6\n"
            "[users]\nlim_b = max_user_connections=1\nlim_c = max_user_connections=0\n")
    config.write_text(text, encoding="utf-8")
    segue = start_segue(options=["-c", str(config)])
    conns = [segue.connect(database, user="lim_a") for _ in range(3)]
    assert 'too many connections for role "lim_a"' in refused(segue, database, "lim_a")
    conns.append(segue.connect(database, user="lim_b"))
    assert 'too many connections for role "lim_b"' in refused(segue, database, "lim_b")
    conns += [segue.connect(database, user="lim_c") for _ in range(2)]
    assert f'too many connections for database "{database}"' in refused(segue, database, "lim_c")
    other = cluster.create_database()
    conns += [segue.connect(other, user="lim_c") for _ in range(3)]
    assert "lim_a" in refused(segue, other, "lim_a"), "a user has one count, wherever he is"
    conns.pop(0).close()
    until(lambda: reconnects(segue, other, "lim_a", conns), "a place that was given up is not free")
    with pytest.raises(ServerError) as caught:
        Wire(segue.port, other, user="lim_a")
    assert caught.value.sqlstate == "53300" and "max_user_connections" in caught.value.fields["H"]
    config.write_text(text.replace("max_user_connections = 3", "max_user_connections = 4"), encoding="utf-8")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: reconnects(segue, other, "lim_a", conns), "a reload does not take the new limit up")
    for conn in conns:
        conn.close()
    cluster.drop_database(other)


def test_an_entry_of_databases_has_a_limit_of_its_own(start_segue, database, cluster, tmp_path):
    config = tmp_path / "segue.ini"
    where = f"host={HOST} port={cluster.port}"
    config.write_text(
        f"[databases]\none = {where} dbname={database} max_db_connections=1\n"
        f"free = {where} dbname={database} max_db_connections=0\n* = {where}\n"
        "[segue]\nmax_db_connections = 2\n[users]\npostgres = max_user_connections=50\n", encoding="utf-8")
    segue = start_segue(control="postgres", options=["-c", str(config)])
    conns = [segue.connect("one")]
    assert 'too many connections for database "one"' in refused(segue, "one")
    conns += [segue.connect("free") for _ in range(3)]
    conns += [segue.connect(database) for _ in range(2)]
    assert f'too many connections for database "{database}"' in refused(segue, database)
    shown = {row["name"]: (row["max_connections"], row["current_connections"]) for row in segue.console.rows("SHOW DATABASES")}
    assert shown["one"] == ("1", "1") and shown["free"] == ("0", "3") and shown[database] == ("2", "2")
    users = {row["name"]: (row["max_user_connections"], row["current_connections"]) for row in segue.console.rows("SHOW USERS")}
    assert users["postgres"] == ("50", "6")
    for conn in conns:
        conn.close()


def reconnects(segue, database, user, conns):
    try:
        conns.append(segue.connect(database, user=user))
        return True
    except psycopg2.OperationalError as error:
        assert "too many connections" in str(error)
        return False


def test_who_has_not_proved_who_he_is_takes_nobodys_place(start_segue, database):
    segue = start_segue(options=["--set", "max_user_connections=1"])
    body = b"user\0" + SCRAM_USER.encode() + b"\0database\0" + database.encode() + b"\0\0"
    strangers = [connect(segue) for _ in range(5)]
    for stranger in strangers:
        stranger.sendall(startup(body=body))
        assert stranger.recv(1) == b"R", "the server asks for a password"
    conn = segue.connect(database, user=SCRAM_USER, password=SCRAM_PASSWORD)
    with pytest.raises(psycopg2.OperationalError, match="too many connections for role"):
        segue.connect(database, user=SCRAM_USER, password=SCRAM_PASSWORD)
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        segue.connect(database, user=SCRAM_USER, password="wrong")
    conn.close()
    for stranger in strangers:
        stranger.close()


# ---- Sockets ----

def timers(segue):
    """Of the connections of this process: {"client" or "server": {(timer, 1/100 s)}}; timer 2 is keepalive's, 0 is none."""
    ours = set()
    for fd in os.listdir(f"/proc/{segue.process.pid}/fd"):
        found = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{segue.process.pid}/fd/{fd}"))
        if found:
            ours.add(found.group(1))
    result = {"client": set(), "server": set()}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        local, remote = (int(fields[i].split(":")[1], 16) for i in (1, 2))
        if fields[3] != "01" or fields[9] not in ours:
            continue
        timer, when = fields[5].split(":")
        side = "client" if local == segue.port else "server" if remote == segue.cluster.port else None
        if side:
            result[side].add((int(timer, 16), int(when, 16)))
    return result


def test_keepalive_is_set_on_both_sides_and_taken_up_by_a_reload(start_segue, database, tmp_path):
    config = tmp_path / "segue.ini"
    config.write_text("[segue]\ntcp_keepidle = 3000\n", encoding="utf-8")
    segue = start_segue(options=["-c", str(config)])
    conn = segue.connect(database)
    found = timers(segue)
    for side in "client", "server":
        assert found[side] and all(timer == 2 and 200000 < when <= 300000 for timer, when in found[side]), found
    config.write_text("[segue]\ntcp_keepalive = 0\ntcp_user_timeout = 90000\ntcp_socket_buffer = 100kB\n", encoding="utf-8")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded" in segue.log_text(), "it does not reload")
    conn.close()
    until(lambda: not any(timers(segue).values()), "the old connection is still there")
    conn = segue.connect(database)
    found = timers(segue)
    assert {timer for timers_of in found.values() for timer, _ in timers_of} == {0}, found
    conn.close()
