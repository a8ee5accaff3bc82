"""What segue does at its limits, and how it parts from its clients: too many, too slow, at the end of its own life."""

import resource
import signal
import socket
import struct
import time

import psycopg2
import pytest

from cluster import HOST
from proxy import PATIENCE_S
from wire import Wire, error_fields, message

STARTUP = b"user\0postgres\0database\0postgres\0\0"


def startup(major=3, body=STARTUP):
    return struct.pack("!ihh", len(body) + 8, major, 0) + body


def connect(segue):
    return socket.create_connection((HOST, segue.port), PATIENCE_S)


def everything(client):
    """What comes until the other side closes."""
    got = b""
    while True:
        more = client.recv(65536)
        if not more:
            return got
        got += more


def processor_s(segue):
    fields = open(f"/proc/{segue.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def sessions_of(direct):
    cursor = direct.cursor()
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                   " AND backend_type = 'client backend'")
    return cursor.fetchone()[0]


@pytest.fixture
def direct(cluster, database):
    conn = cluster.connect(database)
    conn.autocommit = True
    yield conn
    conn.close()


def test_one_client_too_many(start_segue, database):
    segue = start_segue(options=["--set", "max_client_conn=3"])
    conns = [segue.connect(database) for _ in range(3)]
    with pytest.raises(psycopg2.OperationalError, match="no room for another client"):
        segue.connect(database)
    conns.pop().close()
    deadline = time.monotonic() + PATIENCE_S
    while True:  # the place is free when the server session has ended
        try:
            segue.connect(database).close()
            break
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline


def test_a_login_that_takes_too_long(start_segue):
    segue = start_segue(options=["--set", "client_login_timeout=1"])
    with connect(segue) as silent:
        assert silent.recv(100) == b"", "who says nothing is told nothing"
    with connect(segue) as late:
        late.sendall(struct.pack("!ii", 8, 80877103))
        assert late.recv(1) == b"N"
        assert late.recv(100) == b""


def test_out_of_descriptors_it_waits_without_burning_the_processor(start_segue, database):
    segue = start_segue()
    _, hard = resource.prlimit(segue.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(segue.process.pid, resource.RLIMIT_NOFILE, (60, hard))
    crowd = [connect(segue) for _ in range(80)]
    deadline = time.monotonic() + PATIENCE_S
    while "cannot accept clients" not in segue.log_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before, since = processor_s(segue), time.monotonic()
    time.sleep(2)
    assert processor_s(segue) - before < (time.monotonic() - since) / 2, "accept is tried again and again"
    for client in crowd:
        client.close()
    segue.connect(database).close()


def test_a_drain_lets_transactions_end(start_segue, database):
    segue = start_segue()
    idle, busy = Wire(segue.port, database), Wire(segue.port, database)
    busy.query("BEGIN")
    segue.process.send_signal(signal.SIGTERM)
    kind, body = idle.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P01")
    with pytest.raises(ConnectionError):
        idle.receive()
    assert busy.query("SELECT 1").status == "T", "a transaction goes on"
    assert busy.query("COMMIT").tags == ["COMMIT"]
    kind, body = busy.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P01")
    idle.socket.close()
    busy.socket.close()
    segue.process.wait(PATIENCE_S)
    assert segue.process.returncode == 0


def test_clients_that_vanish_at_any_byte(start_segue, database, direct):
    """The server must be left without sessions, and segue without a trace."""
    segue = start_segue(control=database)
    body = b"user\0postgres\0database\0" + database.encode() + b"\0\0"
    wire = Wire(segue.port, database)
    words = (startup(body=body) + message(b"Q", b"SELECT 1\0") + wire.parse("s", "SELECT $1::text") +
             wire.bind("s", ["x" * 1000]) + wire.execute() + wire.sync() +
             message(b"Q", b"SELECT repeat('x', 100000)\0") + message(b"Q", b"SELECT pg_sleep(1000)\0"))
    wire.close()
    for at in range(0, len(words) + 1, 11):
        client = connect(segue)
        client.sendall(words[:at])
        if at % 2:  # a reset instead of an orderly close
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    deadline = time.monotonic() + PATIENCE_S
    control_sessions = 2  # at most: the engine's own
    while sessions_of(direct) > control_sessions:
        assert time.monotonic() < deadline, "server sessions are left behind"
        time.sleep(0.1)
    Wire(segue.port, database).close()


def test_statements_deallocated_by_sql_leave_nothing_behind(start_segue, database):
    """As PDO and psycopg do it, by a Query and by a pipeline. What is remembered of a session is bounded: a driver that goes
    on like this for days must not reach the bound."""
    segue = start_segue(control=database)
    wire = Wire(segue.port, database)
    for i in range(50):
        wire.prepare(f"s{i}", f"SELECT {i}")
        wire.prepare(f"Pipelined {i}", f"SELECT {i}")
        assert wire.query(f"DEALLOCATE s{i}").tags == ["DEALLOCATE"]
        wire.send(wire.parse("", f'DEALLOCATE "Pipelined {i}"'), wire.bind(""), wire.execute(), wire.sync())
        assert wire.until_ready()[-2][0] == b"C"
    wire.prepare("kept", "SELECT 1")
    assert wire.query("DEALLOCATE nothing").error.sqlstate == "26000"
    assert wire.query("BEGIN; DEALLOCATE nothing").error.sqlstate == "26000"
    assert wire.query("DEALLOCATE kept").error.sqlstate == "25P02", "a failed transaction ends no statement"
    wire.query("ROLLBACK")
    stats = {row["name"]: row["value"] for row in segue.console.rows("SHOW COUNTERS")}
    assert int(stats["prepared_statements"]) == 1
    assert wire.run("kept").rows == [("1",)]
    wire.close()


def test_sql_prepared_before_the_window(start_segue, database, direct):
    """PREPARE before the migration, EXECUTE in every phase of it: as good as a statement of the protocol."""
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text)")
    segue = start_segue(control=database)
    wire = Wire(segue.port, database)
    wire.query("PREPARE ins AS INSERT INTO users VALUES ($1, $2)")
    wire.query("PREPARE \"Get\" AS SELECT * FROM users WHERE nickname = $1")
    wire.query("PREPARE typed(int) AS SELECT nickname FROM users WHERE id = $1")
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    for number, _ in enumerate(segue.console.window("m")):
        assert wire.query(f"EXECUTE ins({number}, 'n{number}')").raise_error().tags == ["INSERT 0 1"]
        got = wire.query(f"execute \"Get\"('n{number}')").raise_error()
        assert got.labels == ["id", "nickname"] and [tuple(row) for row in got.rows] == [(str(number), f"n{number}")]
        assert [kind for kind, _ in got.messages] == [b"T", b"D", b"C", b"Z"], "the client sees nothing of it"
        refused = wire.query(f"EXECUTE typed({number})")
        assert refused.error is None or refused.error.sqlstate == "0A000"
    cursor = direct.cursor()
    cursor.execute("SELECT id, username FROM users ORDER BY id")
    assert cursor.fetchall() == [(i, f"n{i}") for i in range(4)]
    wire.close()


def test_what_answers_is_not_postgresql(start_segue):
    with socket.create_server((HOST, 0)) as other:
        segue = start_segue(upstream=f"host={HOST} port={other.getsockname()[1]}")
        with connect(segue) as client:
            client.sendall(startup())
            upstream, _ = other.accept()
            upstream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            got = everything(client)
            upstream.close()
    assert got[:1] == b"E" and error_fields(got[5:])["C"] == "08001", got


def test_one_answer_to_each_kind_of_garbage(start_segue):
    segue = start_segue()
    cases = [(b"GET / HTTP/1.1\r\n\r\n", None), (startup(major=2), "0A000"), (struct.pack("!ihh", 9, 3, 0) + b"x", "08P01"),
             (struct.pack("!ihh", 7, 3, 0), "08P01"), (struct.pack("!ihh", 10001, 3, 0), "08P01"),
             (struct.pack("!ii", 8, 80877103) + startup(), None), (struct.pack("!ii", 8, 80877104) * 2, None)]
    for garbage, sqlstate in cases:
        with connect(segue) as client:
            client.sendall(garbage)
            try:
                got = everything(client)
            except ConnectionResetError:
                got = b""
            assert (error_fields(got[5:])["C"] if got else None) == sqlstate, garbage


def test_a_statement_that_runs_too_long_is_cancelled(start_segue, database):
    segue = start_segue(options=["--set", "query_timeout=1"])
    conn = segue.connect(database)
    with conn.cursor() as cursor:
        for _ in range(2):  # and the next one has its own time
            with pytest.raises(psycopg2.errors.QueryCanceled):
                cursor.execute("SELECT pg_sleep(300)")
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    conn.close()
    assert "longer than query_timeout" in segue.log_text()


def query(sql):
    return b"Q" + struct.pack("!i", len(sql) + 5) + sql + b"\0"


def logged_in(segue, *queries):
    """A client that has said all it will say."""
    client = connect(segue)
    client.sendall(startup() + b"".join(map(query, queries)))
    return client


def test_a_client_that_is_idle_too_long_is_dropped(start_segue, database):
    segue = start_segue(options=["--set", "client_idle_timeout=1"])
    busy, in_transaction = segue.connect(database), segue.connect(database)
    in_transaction.autocommit = False
    in_transaction.cursor().execute("SELECT 1")
    with logged_in(segue, b"SELECT 1") as idle:
        busy.cursor().execute("SELECT pg_sleep(3)")
        last = everything(idle)
    assert b"C57P05\0" in last and b"client_idle_timeout" in last and b"D\0\0\0\x0b" in last
    in_transaction.cursor().execute("SELECT 1")
    in_transaction.close()
    busy.close()


def test_a_client_that_is_idle_in_a_transaction_too_long_is_dropped(start_segue, database):
    segue = start_segue(options=["--set", "idle_transaction_timeout=1"])
    idle = segue.connect(database)
    with logged_in(segue, b"BEGIN", b"CREATE TABLE never (id int)") as in_transaction:
        last = everything(in_transaction)
    assert b"C25P03\0" in last and b"idle_transaction_timeout" in last
    with idle.cursor() as cursor:
        cursor.execute("SELECT to_regclass('never')")
        assert cursor.fetchone() == (None,)
    idle.close()
