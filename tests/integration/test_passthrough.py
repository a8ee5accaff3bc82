"""Without a mapping, a client cannot tell segue from the server: the same statements, the same answers."""

import io
import random
import re
import select
import signal
import socket
import subprocess
import threading
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest

from cluster import HOST, PG_BIN, SCRAM_PASSWORD, SCRAM_USER, Cluster, free_port
from node import node
from proxy import PATIENCE_S, psql
from wire import Wire, error_fields, message

HERE = Path(__file__).resolve().parent


@pytest.fixture(params=["plain", "controlled"])
def both_ways(request, cluster, database, start_segue):
    """both_ways(work): work(conninfo) on a fresh database directly, then on another fresh one of the same name through
    segue; returns the two results. Once through a plain proxy and once through one with a control connection."""

    def run(work):
        name = cluster.create_database("same_name")
        directly = work(cluster.conninfo(name))
        cluster.create_database(name)
        segue = start_segue(control=name if request.param == "controlled" else None)
        return directly, work(segue.conninfo(name))

    yield run


def run_psql(conninfo):
    done = psql(conninfo, "-a", "-f", str(HERE / "sql" / "passthrough.sql"), check=False, env={"TZ": "UTC"})
    said = re.sub(r"server process with PID \d+", "server process with PID n", done.stdout)
    return done.returncode, said, done.stderr


def test_psql(both_ways):
    directly, through = both_ways(run_psql)
    assert "payload" in directly[1] and "division by zero" in directly[2]
    assert through == directly


def run_pgbench(conninfo, mode):
    bench = str(PG_BIN / "pgbench")
    subprocess.run([bench, "-i", "-q", "-s", "1", conninfo], check=True, capture_output=True)
    done = subprocess.run([bench, "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "100", conninfo], check=False,
                          capture_output=True, text=True)
    return done.returncode, re.findall(r"number of .*(?:processed|failed).*", done.stdout)


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(cluster, database, plain, mode):
    status, counts = run_pgbench(plain.conninfo(database), mode)
    assert status == 0
    assert "number of transactions actually processed: 400/400" in counts[0]
    assert "0 (0.000%)" in counts[1]


FILL = """
CREATE TABLE parent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text DEFAULT 'x', data bytea);
CREATE TABLE child (id int, parent bigint REFERENCES parent, CHECK (id > 0)) PARTITION BY RANGE (id);
CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM (1) TO (1000);
CREATE VIEW seen AS SELECT p.name, c.id FROM parent p JOIN child c ON c.parent = p.id;
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS 'SELECT i * 2';
INSERT INTO parent (name, data) SELECT 'n' || g, decode(md5(g::text), 'hex') FROM generate_series(1, 5000) g;
INSERT INTO child SELECT g, g FROM generate_series(1, 999) g;
SELECT lo_from_bytea(777, decode(repeat('ab', 100000), 'hex'));
"""


@pytest.mark.parametrize("form", [["--format=plain"], ["--format=plain", "--inserts"], ["--format=tar"]])
def test_pg_dump(cluster, database, plain, form, tmp_path):
    psql(cluster.conninfo(database), "-c", FILL)

    def dump(conninfo):
        # The key is random otherwise.
        return subprocess.run([str(PG_BIN / "pg_dump"), "--restrict-key=same", *form, "-d", conninfo], check=True,
                              capture_output=True).stdout

    directly, through = dump(cluster.conninfo(database)), dump(plain.conninfo(database))
    if form == ["--format=tar"]:
        # The archive carries the time it was made.
        directly, through = [subprocess.run([str(PG_BIN / "pg_restore"), "--restrict-key=same", "-f", "-"], input=dumped,
                                            check=True, capture_output=True).stdout for dumped in (directly, through)]
        directly, through = [re.sub(rb"-- Started on .*|-- Completed on .*", b"", text) for text in (directly, through)]
    assert len(directly) > 100000
    assert through == directly


def test_javascript_driver(both_ways):
    def run(conninfo):
        part = psycopg2.extensions.parse_dsn(conninfo)
        return node(HERE / "js" / "passthrough.js",
                    f"postgres://{part['user']}@{part['host']}:{part['port']}/{part['dbname']}")

    directly, through = both_ways(run)
    assert directly.count("\n") > 30
    assert through == directly


# ---- psycopg2 (libpq) ----

def observe(cursor, statement, values=None):
    """What a client sees of one statement."""
    try:
        cursor.execute(statement, values)
    except psycopg2.Error as error:
        diag = error.diag
        return (error.pgcode, diag.severity, diag.message_primary, diag.message_detail, diag.message_hint,
                diag.statement_position, diag.table_name, diag.column_name, diag.constraint_name)
    labels = [(d.name, d.type_code) for d in cursor.description or ()]
    return cursor.statusmessage, labels, cursor.fetchall() if cursor.description else None


def run_psycopg2(conninfo):
    seen = []
    conn = psycopg2.connect(conninfo)
    cur = conn.cursor()
    seen.append(observe(cur, "CREATE TABLE t (a int PRIMARY KEY, b text)"))
    conn.commit()
    seen.append(observe(cur, "INSERT INTO t SELECT g, 'b' || g FROM generate_series(1, 1000) g RETURNING *"))
    seen.append(observe(cur, "SELECT * FROM t WHERE a = ANY(%s)", ([1, 5, 9],)))
    seen.append(observe(cur, "INSERT INTO t VALUES (1, 'twice')"))
    seen.append(observe(cur, "SELECT 'aborted'"))
    conn.rollback()
    seen.append(observe(cur, "CREATE TABLE t (a int PRIMARY KEY, b text); SELECT 1"))
    conn.rollback()

    rows = "".join(f"{i}\tvalue {i}\\n\\t\n" for i in range(20000))
    cur.copy_expert("COPY t FROM STDIN", io.StringIO(rows))
    seen.append(cur.rowcount)
    conn.commit()
    out = io.StringIO()
    cur.copy_expert("COPY (SELECT * FROM t ORDER BY a) TO STDOUT", out)
    seen.append(out.getvalue())
    binary = io.BytesIO()
    cur.copy_expert("COPY t TO STDOUT (FORMAT binary)", binary)
    cur.execute("TRUNCATE t")
    binary.seek(0)
    cur.copy_expert("COPY t FROM STDIN (FORMAT binary)", binary)
    seen.append((cur.rowcount, observe(cur, "SELECT count(*), md5(string_agg(b, ',' ORDER BY a)) FROM t")))
    try:
        cur.copy_expert("COPY t FROM STDIN", io.StringIO("1\ta\nnot a number\tb\n"))
    except psycopg2.Error as error:
        seen.append((error.pgcode, str(error)))
    conn.rollback()

    named = conn.cursor("portal", scrollable=True)
    named.itersize = 100
    named.execute("SELECT a FROM t ORDER BY a")
    seen.append([named.fetchone() for _ in range(250)])
    named.scroll(-10)
    seen.append(named.fetchmany(5))
    named.close()

    large = conn.lobject(0, "wb")
    large.write(b"0123456789" * 50000)
    oid = large.oid
    large.close()
    again = conn.lobject(oid, "rb")
    again.seek(499990)
    seen.append(again.read())
    again.unlink()

    cur.execute("DO $$ BEGIN RAISE NOTICE 'a'; RAISE WARNING 'b'; END $$")
    seen.append(list(conn.notices))
    seen.append(observe(cur, "SELECT pg_sleep(60)") if cur.execute("SET statement_timeout = 50") is None else None)
    conn.rollback()
    seen.append({name: conn.get_parameter_status(name) for name in (
        "server_version", "client_encoding", "DateStyle", "integer_datetimes", "standard_conforming_strings", "TimeZone",
        "is_superuser", "session_authorization", "in_hot_standby", "default_transaction_read_only")})
    conn.close()
    return seen


def test_psycopg2(both_ways):
    directly, through = both_ways(run_psycopg2)
    for step, (expected, got) in enumerate(zip(directly, through)):
        assert got == expected, f"step {step}"
    assert len(through) == len(directly)


def test_start_up_parameters_reach_the_server(cluster, database, plain):
    options = "-c search_path=pg_catalog -c work_mem=7MB"
    conn = plain.connect(database, options=options, application_name="named", client_encoding="LATIN1")
    cur = conn.cursor()
    for setting, value in {"search_path": "pg_catalog", "work_mem": "7MB", "application_name": "named",
                           "client_encoding": "LATIN1"}.items():
        cur.execute(f"SHOW {setting}")
        assert cur.fetchone()[0] == value


def test_listen_notify(database, plain):
    listener, other = plain.connect(database), plain.connect(database)
    listener.cursor().execute("LISTEN news")
    other.cursor().execute("NOTIFY news, 'extra'")
    # Nothing is asked: the notification must come by itself.
    assert select.select([listener], [], [], PATIENCE_S)[0]
    listener.poll()
    assert [(n.channel, n.payload, n.pid) for n in listener.notifies] == [("news", "extra", other.info.backend_pid)]


def wait_for(cursor, query, values, wanted):
    """Asks the server, on a connection of its own, until it says so."""
    for _ in range(PATIENCE_S * 100):
        cursor.execute(query, values)
        if cursor.fetchone() == wanted:
            return
        select.select([], [], [], 0.01)
    raise AssertionError(f"never became {wanted}: {query}")


STATE = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"


def test_cancel(database, plain, direct):
    conn = plain.connect(database)
    failed = []

    def sleep():
        try:
            conn.cursor().execute("SELECT pg_sleep(600)")
        except psycopg2.Error as error:
            failed.append(error.pgcode)

    thread = threading.Thread(target=sleep)
    thread.start()
    wait_for(direct.cursor(), STATE, (conn.info.backend_pid,), ("PgSleep",))
    conn.cancel()
    thread.join()
    assert failed == ["57014"]
    # The cancel hit that query, and nothing after it.
    cur = conn.cursor()
    for i in range(100):
        cur.execute("SELECT %s", (i,))
        assert cur.fetchone() == (i,)


def test_cancel_with_a_wrong_key_is_silent(database, plain, direct):
    conn = plain.connect(database)
    pid = conn.info.backend_pid
    with socket.create_connection((HOST, plain.port)) as s:
        s.sendall((16).to_bytes(4, "big") + (80877102).to_bytes(4, "big") + pid.to_bytes(4, "big") + b"\x00\x01\x02\x03")
        assert s.recv(1) == b""
    cur = conn.cursor()
    cur.execute("SELECT 1")
    assert cur.fetchone() == (1,)


def test_big_rows(database, plain):
    size = 64 << 20
    conn = plain.connect(database)
    cur = conn.cursor()
    cur.execute("CREATE TABLE big (t text)")
    text = "0123456789abcdef" * (size // 16)
    cur.execute("INSERT INTO big VALUES (%s)", (text,))
    cur.execute("SELECT t, md5(t) FROM big")
    got, checksum = cur.fetchone()
    assert len(got) == size and got == text
    cur.execute("SELECT md5(%s)", (text,))
    assert cur.fetchone() == (checksum,)


def test_a_slow_reader_costs_a_bounded_buffer(database, plain, direct):
    wire = Wire(plain.port, database)
    before = plain.memory_kb()
    wire.send(message(b"Q", b"SELECT repeat('x', 1000000) FROM generate_series(1, 400)\0"))
    # Nobody reads: the server itself must come to a halt, rather than segue take 400 MB.
    wait_for(direct.cursor(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND datname = %s",
             (database,), (1,))
    held = plain.memory_kb() - before
    assert held < 32 * 1024, f"{held} kB held for a client that does not read"
    rows = sum(1 for kind, _ in wire.until_ready() if kind == b"D")
    assert rows == 400
    wire.close()


def test_a_slow_server_costs_a_bounded_buffer(database, plain, direct):
    locked = direct.cursor()
    locked.execute("CREATE TABLE target (t text)")
    locked.execute("BEGIN; LOCK target")
    wire = Wire(plain.port, database)
    before = plain.memory_kb()
    # The server waits for the lock and reads nothing; the client goes on sending until nobody takes any more.
    wire.send(message(b"Q", b"COPY target FROM STDIN\0"))
    wire.socket.setblocking(False)
    row = message(b"d", b"y" * 100000 + b"\n")
    sent, pending, idle = 0, b"", 0
    while idle < 20 and sent < 400 << 20:
        pending = pending or row
        if select.select([], [wire.socket], [], 0.1)[1]:
            done = wire.socket.send(pending)
            pending, sent, idle = pending[done:], sent + done, 0
        else:
            idle += 1
    assert sent < 400 << 20, "segue took everything from a client whose server reads nothing"
    assert plain.memory_kb() - before < 32 * 1024
    wire.socket.setblocking(True)
    locked.execute("ROLLBACK")
    wire.send(pending, message(b"c"))
    assert b"C" in {kind for kind, _ in wire.until_ready()}
    wire.close()


# ---- Who may come in ----

def test_scram(database, plain):
    conn = psycopg2.connect(plain.conninfo(database, SCRAM_USER), password=SCRAM_PASSWORD)
    cur = conn.cursor()
    cur.execute("SELECT current_user")
    assert cur.fetchone() == (SCRAM_USER,)


@pytest.mark.parametrize("change, said", [
    ({"user": SCRAM_USER, "password": "wrong"}, 'FATAL:  password authentication failed for user "scram_user"'),
    ({"dbname": "nowhere"}, 'FATAL:  database "nowhere" does not exist'),
    ({"user": "nobody"}, 'FATAL:  role "nobody" does not exist'),
])
def test_the_server_says_no(cluster, database, plain, change, said):
    def attempt(conninfo):
        with pytest.raises(psycopg2.OperationalError) as failed:
            psycopg2.connect(conninfo, **change)
        return re.sub(r"port \d+", "port n", str(failed.value))

    through = attempt(plain.conninfo(database))
    assert said in through
    assert through == attempt(cluster.conninfo(database))


# ---- When things break ----

def test_the_server_is_down(cluster, database, start_segue):
    segue = start_segue(upstream=f"host={HOST} port={free_port()}", options=["--set", "server_connect_timeout=1"])
    for _ in range(3):
        with pytest.raises(psycopg2.OperationalError) as failed:
            segue.connect(database)
        assert "FATAL" in str(failed.value)
    assert segue.alive()


def test_the_server_is_killed_in_the_middle_of_a_query(start_segue):
    own = Cluster()
    try:
        segue = start_segue(upstream=f"host={HOST} port={own.port} sslmode=disable",
                            options=["--set", "server_connect_timeout=2"])
        wire = Wire(segue.port, "postgres")
        watcher = own.connect("postgres")
        watcher.autocommit = True
        wire.send(message(b"Q", b"SELECT pg_sleep(600)\0"))
        wait_for(watcher.cursor(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", None, (1,))
        own.stop(signal.SIGQUIT)
        # The server's own last words, or segue's: an error at a message boundary, then the end. Never silence.
        kinds = []
        with pytest.raises(ConnectionError):
            while True:
                kinds.append(wire.receive()[0])
        assert b"E" in kinds
        with pytest.raises(psycopg2.OperationalError, match="FATAL"):
            segue.connect("postgres")
        own.start()
        cur = segue.connect("postgres").cursor()
        cur.execute("SELECT 1")
        assert cur.fetchone() == (1,)
    finally:
        own.destroy()


def test_one_backend_is_terminated(database, plain, direct):
    wire, neighbour = Wire(plain.port, database, application_name="doomed"), plain.connect(database)
    direct.cursor().execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
                            "WHERE application_name = 'doomed'")
    # The server's own words reach a client that asked for nothing, and then the connection ends.
    kind, body = wire.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P01")
    with pytest.raises(ConnectionError):
        wire.receive()
    cur = neighbour.cursor()
    cur.execute("SELECT 1")
    assert cur.fetchone() == (1,)


def test_a_client_that_vanishes_frees_its_server_session(database, plain, direct):
    wire = Wire(plain.port, database, application_name="vanishing")
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanishing'"
    wait_for(direct.cursor(), count, None, (1,))
    wire.send(message(b"Q", b"SELECT pg_sleep(600)\0"))
    wait_for(direct.cursor(), "SELECT wait_event FROM pg_stat_activity WHERE application_name = 'vanishing'", None, ("PgSleep",))
    wire.socket.close()
    wait_for(direct.cursor(), count, None, (0,))


GARBAGE = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500,
    b"\x00\x00\x00\x00",
    b"\x00\x00\x00\x07\x00\x03\x00",
    b"\xff\xff\xff\xff\x00\x03\x00\x00",
    b"\x7f\xff\xff\xff\x00\x03\x00\x00" + b"a" * 1000,
    b"\x00\x00\x00\x08\x00\x02\x00\x00",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f" * 50,
    b"\x00\x00\x00\x0c\x00\x03\x00\x00user",
    b"\x00\x00\x00\x09\x00\x03\x00\x00\x00",
    b"",
]


def test_garbage_on_the_port(database, plain):
    dice = random.Random(1)
    pieces = GARBAGE + [dice.randbytes(dice.randrange(1, 3000)) for _ in range(200)]
    for garbage in pieces:
        with socket.create_connection((HOST, plain.port), PATIENCE_S) as s:
            try:
                s.sendall(garbage)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass
    cur = plain.connect(database).cursor()
    cur.execute("SELECT 1")
    assert cur.fetchone() == (1,)


@pytest.mark.parametrize("garbage", [b"Q\x00\x00\x00\x03", b"Q\xff\xff\xff\xff", b"P\x7f\xff\xff\xff" + b"x" * 100])
def test_garbage_in_a_session(database, plain, direct, garbage):
    wire = Wire(plain.port, database, application_name="garbage")
    wire.send(garbage)
    wire.socket.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionError):
        while True:
            wire.receive()
    wait_for(direct.cursor(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'garbage'", None, (0,))
    assert plain.connect(database).closed == 0


def test_extended_pipeline_with_an_error_in_the_middle(cluster, database, plain):
    def run(port):
        w = Wire(port, database)
        w.send(w.parse("", "SELECT 1"), w.bind(""), w.execute(),
               w.parse("", "SELECT 1/0"), w.bind(""), w.execute(),
               w.parse("", "SELECT 'skipped'"), w.bind(""), w.execute(), w.sync(),
               w.parse("s", "SELECT 'after'"), w.describe("s"), w.bind("s"), w.execute(), w.sync(),
               message(b"Q", b"SELECT 'simple'\0"))
        messages = [w.until_ready() for _ in range(3)]
        w.close()
        return messages

    assert run(plain.port) == run(cluster.port)


def test_copy_skips_sync_and_survives_failure(cluster, database, plain):
    """In copy-in the server ignores Sync and Flush: a proxy that counts one ReadyForQuery a Sync hangs here."""
    def run(port):
        w = Wire(port, database)
        w.query("CREATE TEMP TABLE c (i int)").raise_error()
        seen = []
        w.send(message(b"Q", b"COPY c FROM STDIN\0"), message(b"d", b"1\n"), message(b"S"), message(b"H"),
               message(b"d", b"2\n"), message(b"c"))
        seen.append(w.until_ready())
        w.send(message(b"Q", b"COPY c FROM STDIN\0"), message(b"d", b"3\n"), message(b"f", b"no more\0"))
        seen.append(w.until_ready())
        w.send(w.parse("", "COPY c FROM STDIN"), w.bind(""), w.execute(), message(b"d", b"x\n"), message(b"d", b"4\n"),
               message(b"c"), w.sync())
        seen.append(w.until_ready())
        seen.append(w.query("SELECT * FROM c").rows)
        w.close()
        return seen

    assert run(plain.port) == run(cluster.port)
