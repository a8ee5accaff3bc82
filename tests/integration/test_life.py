"""The life of the process, as its clients see it: pause and resume, kill, drain, reload."""

import select
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from cluster import HOST, PG_BIN
from proxy import PATIENCE_S, ConsoleError
from waiting import until
from wire import Wire, cstr, error_fields, message


def is_silent(wire, seconds=0.15):
    """Nothing comes. Can only miss an answer, never invent one."""
    return not select.select([wire.socket], [], [], seconds)[0]


def query(sql):
    return message(b"Q", cstr(sql))


def running(cluster, database):
    """What the server does for clients of the database at this moment."""
    conn = cluster.connect(database)
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
                       " AND pid <> pg_backend_pid() AND application_name NOT LIKE 'segue%'")
        (count,) = cursor.fetchone()
    conn.close()
    return count


class Bench:
    """pgbench through segue, in the background."""

    def __init__(self, segue, database, *arguments):
        self.process = subprocess.Popen(
            [str(PG_BIN / "pgbench"), "-n", "-h", HOST, "-p", str(segue.port), "-U", "postgres", *arguments, database],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self):
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out


@pytest.fixture
def bench_tables(cluster, database):
    subprocess.run([str(PG_BIN / "pgbench"), "-i", "-q", "-s", "1", "-h", HOST, "-p", str(cluster.port), "-U", "postgres",
                    database], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return database


# ---- Pause and resume ----


def test_pause_lets_a_transaction_finish_and_holds_the_next(segue, database):
    busy, idle = Wire(segue.port, database), Wire(segue.port, database)
    busy.query("BEGIN")
    pause = threading.Thread(target=segue.console.run, args=("PAUSE",))
    pause.start()
    until(lambda: "pauses every database" in segue.log_text())
    idle.send(query("SELECT 1"))
    assert is_silent(idle), "the next transaction waits"
    assert busy.query("SELECT 2").rows == [("2",)], "the one that is open goes on"
    assert pause.is_alive(), "PAUSE returns when all is quiet, and not before"
    assert busy.query("COMMIT").tags == ["COMMIT"]
    pause.join(PATIENCE_S)
    assert not pause.is_alive()
    busy.send(query("SELECT 3"))
    assert is_silent(busy)
    segue.console.run("RESUME")
    assert [row for w in (idle, busy) for row in Answered(w).rows] == [("1",), ("3",)]


class Answered:
    def __init__(self, wire):
        from wire import Answer
        answer = Answer(wire.until_ready())
        self.rows, self.tags, self.error = answer.rows, answer.tags, answer.error


@pytest.mark.parametrize("has_snapshots", [True, False])
def test_pause_within_a_pipeline(start_segue, database, has_snapshots):
    """Batches sent at once: those that began go to their Sync, the rest waits as it came, and nothing changes places."""
    segue = start_segue(control=database)
    target = database if has_snapshots else "postgres"
    wire = Wire(segue.port, target)
    wire.query("CREATE TEMP TABLE seen (n int)")
    wire.query("BEGIN")
    pause = threading.Thread(target=segue.console.run, args=("PAUSE",))
    pause.start()
    until(lambda: "pauses every database" in segue.log_text())
    wire.send(query("COMMIT"), *(part for n in range(20) for part in (
        wire.parse("", f"INSERT INTO seen VALUES ({n}) RETURNING n"), wire.bind(""), wire.execute(), wire.sync())))
    assert Answered(wire).tags == ["COMMIT"]
    pause.join(PATIENCE_S)
    assert is_silent(wire)
    segue.console.run("RESUME")
    assert [Answered(wire).rows for _ in range(20)] == [[(str(n),)] for n in range(20)]
    wire.close()


def test_pause_waits_for_the_sync_of_a_batch(segue, database):
    wire = Wire(segue.port, database)
    wire.send(wire.parse("s", "SELECT 1"), message(b"H"))
    assert wire.receive()[0] == b"1"
    pause = threading.Thread(target=segue.console.run, args=("PAUSE",))
    pause.start()
    until(lambda: "pauses every database" in segue.log_text())
    wire.send(wire.bind("s"), wire.execute(), message(b"H"))
    assert [wire.receive()[0] for _ in range(3)] == [b"2", b"D", b"C"]
    assert pause.is_alive(), "a batch without its Sync is a transaction"
    wire.send(wire.sync())
    assert Answered(wire).error is None
    pause.join(PATIENCE_S)
    assert not pause.is_alive()
    segue.console.run("RESUME")
    assert wire.query("SELECT 1").rows == [("1",)]


def test_pause_and_copy_from_stdin(segue, database):
    wire = Wire(segue.port, database)
    wire.query("CREATE TABLE t (n int)")
    wire.send(query("COPY t FROM STDIN"))
    assert wire.receive()[0] == b"G"
    pause = threading.Thread(target=segue.console.run, args=("PAUSE",))
    pause.start()
    until(lambda: "pauses every database" in segue.log_text())
    wire.send(message(b"d", b"1\n2\n"), message(b"c"), query("SELECT sum(n) FROM t"))
    assert Answered(wire).tags == ["COPY 2"]
    pause.join(PATIENCE_S)
    assert is_silent(wire)
    segue.console.run("RESUME")
    assert Answered(wire).rows == [("3",)]


def test_logins_wait_for_resume(segue, database):
    segue.console.run("PAUSE")
    got = []
    login = threading.Thread(target=lambda: got.append(segue.connect(database)))
    login.start()
    login.join(0.3)
    assert login.is_alive()
    segue.console.run("RESUME")
    login.join(PATIENCE_S)
    assert got[0].cursor().execute("SELECT 1") is None
    got[0].close()


def test_a_login_that_waits_goes_where_the_database_is_when_it_goes_on(cluster, start_segue, tmp_path, database):
    """PAUSE, the database moves, RELOAD, RESUME."""
    config = tmp_path / "segue.ini"
    config.write_text(f"[databases]\n{database} = host={HOST} port=1\n")
    segue = start_segue(options=["-c", str(config)])
    segue.process.send_signal(signal.SIGUSR1)
    until(lambda: "paused: every session" in segue.log_text())
    got = []
    login = threading.Thread(target=lambda: got.append(segue.connect(database)))
    login.start()
    login.join(0.15)
    config.write_text(f"[databases]\n{database} = host={HOST} port={cluster.port}\n")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded" in segue.log_text())
    segue.process.send_signal(signal.SIGUSR2)
    login.join(PATIENCE_S)
    cursor = got[0].cursor()
    cursor.execute("SELECT current_database()")
    assert cursor.fetchone() == (database,)
    got[0].close()


def test_one_database_is_paused_the_other_goes_on(segue, database):
    ours, other = Wire(segue.port, database), Wire(segue.port, "postgres")
    segue.console.run(f"PAUSE {database}")
    ours.send(query("SELECT 1"))
    assert other.query("SELECT 2").rows == [("2",)]
    assert is_silent(ours)
    with pytest.raises(ConsoleError) as failed:
        segue.console.run("RESUME")
    assert failed.value.sqlstate == "55000", "as a whole it is not paused"
    with pytest.raises(ConsoleError):
        segue.console.run("RESUME postgres")
    segue.console.run("PAUSE", f"RESUME {database}")
    assert is_silent(ours), "paused as a whole, still"
    segue.console.run("RESUME")
    assert Answered(ours).rows == [("1",)]


def test_a_client_that_goes_away_while_it_waits_has_asked_for_nothing(segue, cluster, database):
    wire, gone, login = Wire(segue.port, database), Wire(segue.port, database), None
    wire.query("CREATE TABLE deeds (n int)")
    segue.console.run("PAUSE")
    gone.send(query("INSERT INTO deeds VALUES (1)"))
    assert is_silent(gone)
    login = psycopg2.extensions.connection(segue.conninfo(database), async_=1)
    login.poll()
    gone.socket.close()
    login.close()
    until(lambda: sessions(cluster, database) == 1)
    segue.console.run("RESUME")
    assert wire.query("SELECT count(*) FROM deeds").rows == [("0",)]


def sessions(cluster, database):
    conn = cluster.connect("postgres")
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name NOT LIKE 'segue%%'",
                       (database,))
        (count,) = cursor.fetchone()
    conn.close()
    return count


def test_a_pause_that_is_cancelled_leaves_nothing_paused(segue, database):
    busy, idle = Wire(segue.port, database), Wire(segue.port, database)
    busy.query("BEGIN")
    console = psycopg2.connect(segue.conninfo("segue"))
    console.autocommit = True
    failed = []

    def pause():
        try:
            console.cursor().execute("PAUSE")
        except psycopg2.Error as error:
            failed.append(error.pgcode)

    thread = threading.Thread(target=pause)
    thread.start()
    until(lambda: "pauses every database" in segue.log_text())
    idle.send(query("SELECT 1"))
    assert is_silent(idle)
    console.cancel()
    thread.join(PATIENCE_S)
    assert failed == ["57014"]
    assert Answered(idle).rows == [("1",)]
    console.close()


def test_whoever_waits_too_long_is_told(start_segue, database):
    segue = start_segue(control=database, options=["--set", "query_wait_timeout=300ms"])
    wire = Wire(segue.port, database)
    segue.console.run("PAUSE")
    wire.send(query("SELECT 1"))
    kind, body = wire.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P03") and "query_wait_timeout" in error_fields(body)["H"]
    with pytest.raises(psycopg2.OperationalError, match="paused"):
        segue.connect(database)
    segue.console.run("RESUME")
    segue.connect(database).close()


def test_signals_pause_and_resume_under_load(segue, cluster, bench_tables):
    bench = Bench(segue, bench_tables, "-c", "8", "-T", "3")
    until(lambda: running(cluster, bench_tables) > 0)
    for _ in range(3):
        segue.process.send_signal(signal.SIGUSR1)
        paused = segue.log_text().count("paused: every session") + 1
        until(lambda: segue.log_text().count("paused: every session") == paused)
        assert running(cluster, bench_tables) == 0
        time.sleep(0.1)
        assert running(cluster, bench_tables) == 0, "quiet means quiet"
        segue.process.send_signal(signal.SIGUSR2)
        until(lambda: running(cluster, bench_tables) > 0)
    status, out = bench.finish()
    assert status == 0 and "number of failed transactions: 0" in out, out


# ---- Kill ----


def test_kill_ends_sessions_and_holds_those_that_come(segue, cluster, database):
    busy, idle, other = Wire(segue.port, database), Wire(segue.port, database), Wire(segue.port, "postgres")
    busy.send(query("SELECT pg_sleep(1000)"))
    until(lambda: running(cluster, database) == 1)
    segue.console.run(f"KILL {database}")
    for wire in (busy, idle):
        kind, body = wire.receive()
        assert (kind, error_fields(body)["C"]) == (b"E", "57P01")
    until(lambda: sessions(cluster, database) == 0)
    assert other.query("SELECT 1").rows == [("1",)]
    again = psycopg2.extensions.connection(segue.conninfo(database), async_=1)
    assert not select.select([again], [], [], 0.3)[0] or again.poll() != psycopg2.extensions.POLL_OK
    segue.console.run(f"RESUME {database}")
    segue.connect(database).close()
    again.close()


def test_kill_client_that_is_not_there(segue):
    with pytest.raises(ConsoleError) as failed:
        segue.console.run("KILL_CLIENT 999999")
    assert failed.value.sqlstate == "42704"


@pytest.mark.parametrize("command", ["PAUSE", "RESUME", "KILL", "KILL_CLIENT 1", "SHUTDOWN WAIT_FOR_CLIENTS"])
def test_sec_stats_users_may_not_touch_clients(start_segue, cluster, database, command):
    """CVE-2026-6667: KILL by the stats role."""
    cluster.admin("DROP ROLE IF EXISTS watcher", "CREATE ROLE watcher LOGIN")
    segue = start_segue(control=database, options=["--set", "stats_users=watcher"])
    conn = segue.connect("segue", user="watcher")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        conn.cursor().execute(command)
    conn.close()
    segue.connect(database).close()
    cluster.admin("DROP ROLE watcher")


# ---- Drain ----


def test_p54_a_drain_under_load_loses_no_transaction(segue, cluster, bench_tables):
    """pgbench reports the clients that were ended, but what it was told is committed is: history has as many rows as
    transactions that it counted, and no transaction is cut in two."""
    bench = Bench(segue, bench_tables, "-c", "8", "-T", "60")
    conn = cluster.connect(bench_tables)
    conn.autocommit = True

    def committed():
        with conn.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pgbench_history")
            return cursor.fetchone()[0]

    until(lambda: committed() > 50)
    segue.process.send_signal(signal.SIGTERM)
    assert segue.process.wait(PATIENCE_S) == 0
    _, out = bench.finish()
    assert "terminating connection: segue is shutting down" in out, out
    with conn.cursor() as cursor:
        cursor.execute("SELECT (SELECT sum(delta) FROM pgbench_history), (SELECT sum(abalance) FROM pgbench_accounts),"
                       " (SELECT sum(bbalance) FROM pgbench_branches)")
        assert len(set(cursor.fetchone())) == 1
    conn.close()
    assert running(cluster, bench_tables) == 0


def test_who_comes_during_a_drain_is_told(start_segue, database):
    """Accepted, or still in the queue of the socket, when the signal came."""
    import socket
    segue = start_segue()
    busy = Wire(segue.port, database)
    busy.query("BEGIN")
    newcomers = [socket.create_connection((HOST, segue.port), PATIENCE_S) for _ in range(20)]
    segue.process.send_signal(signal.SIGTERM)
    until(lambda: "draining" in segue.log_text())
    for newcomer in newcomers:
        body = b"\0\3\0\0" + b"user\0postgres\0database\0postgres\0\0"
        newcomer.sendall((len(body) + 4).to_bytes(4, "big") + body)
    for newcomer in newcomers:
        got = b""
        while more := newcomer.recv(4096):
            got += more
        assert error_fields(got[5:])["C"] in ("57P03", "57P01")
        newcomer.close()
    assert busy.query("COMMIT").tags == ["COMMIT"]
    assert segue.process.wait(PATIENCE_S) == 0


def test_shutdown_wait_for_clients_ends_nobody(segue, database):
    wire = Wire(segue.port, database)
    segue.console.run("SHUTDOWN WAIT_FOR_CLIENTS")

    def is_refused():
        try:
            segue.connect(database).close()
        except psycopg2.OperationalError:
            return True
        return False

    until(is_refused)
    assert wire.query("SELECT 1").rows == [("1",)]
    assert segue.alive()
    wire.close()
    assert segue.process.wait(PATIENCE_S) == 0


def test_what_is_held_at_a_drain_is_told_and_was_not_sent(segue, direct, database):
    wire = Wire(segue.port, database)
    wire.query("CREATE TABLE deeds (n int)")
    segue.console.run("PAUSE")
    wire.send(query("INSERT INTO deeds VALUES (1)"))
    assert is_silent(wire)
    segue.process.send_signal(signal.SIGTERM)
    kind, body = wire.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P01")
    assert segue.process.wait(PATIENCE_S) == 0
    cursor = direct.cursor()
    cursor.execute("SELECT count(*) FROM deeds")
    assert cursor.fetchone() == (0,)


# ---- Cancel while held ----


def test_a_cancel_while_held_is_for_what_was_held(segue, database):
    """The one who cancels is let go at once; the statement is cancelled when it begins, and nothing behind it is."""
    conn = psycopg2.connect(segue.conninfo(database))
    conn.autocommit = True
    segue.console.run("PAUSE")
    got = []

    def run():
        try:
            conn.cursor().execute("SELECT pg_sleep(1000)")
        except psycopg2.Error as error:
            got.append(error.pgcode)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)  # it has most likely been sent: if not, the cancel is for nothing yet, and is sent again below
    conn.cancel()
    segue.console.run("RESUME")
    while thread.is_alive():
        thread.join(1)
        if thread.is_alive():
            conn.cancel()
    assert got == ["57014"]
    cursor = conn.cursor()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)
    conn.close()


# ---- Reload ----


def test_limits_change_under_those_who_are_there(start_segue, tmp_path, database):
    config = tmp_path / "segue.ini"
    config.write_text("[segue]\nmax_client_conn = 2\n")
    segue = start_segue(options=["-c", str(config)])
    first, second = Wire(segue.port, database), Wire(segue.port, database)
    with pytest.raises(psycopg2.OperationalError, match="no room for another client"):
        segue.connect(database)
    config.write_text("[segue]\nmax_client_conn = 3\nidle_transaction_timeout = 200ms\nworkers = 7\n")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded" in segue.log_text())
    assert "reload: workers has changed, which takes effect at the next start" not in segue.log_text(), "--workers overrides it"
    third = Wire(segue.port, database)
    first.query("BEGIN")
    kind, body = first.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "25P03")
    assert second.query("SELECT 1").rows == [("1",)], "an idle client is none of it"
    for wire in (first, second, third):
        wire.close()


def test_a_reload_with_faults_names_them_all_and_changes_nothing(start_segue, tmp_path, database):
    config = tmp_path / "segue.ini"
    config.write_text("[segue]\nmax_client_conn = 2\n")
    segue = start_segue(options=["-c", str(config)])
    held = [Wire(segue.port, database) for _ in range(2)]
    config.write_text("[segue]\nmax_client_conn = 3\nquery_timeout = soon\nmax_clients = 4\n[database]\n")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: "stays as it was" in segue.log_text())
    log = segue.log_text()
    assert f"{config}:3: query_timeout" in log and f'{config}:4: unknown key "max_clients"' in log
    assert f"{config}:5: unknown section [database]" in log
    with pytest.raises(psycopg2.OperationalError, match="no room for another client"):
        segue.connect(database)
    for wire in held:
        wire.close()


def test_what_the_configuration_points_to_is_read_before_anything_changes(start_segue, tmp_path, database):
    """A certificate that is not there, and a file of secrets that is not there: both are told at once."""
    config = tmp_path / "segue.ini"
    config.write_text("[segue]\nmax_client_conn = 2\n")
    segue = start_segue(options=["-c", str(config)])
    config.write_text("[segue]\nmax_client_conn = 1\nclient_tls_sslmode = require\nclient_tls_cert_file = /nowhere/crt\n"
                      "client_tls_key_file = /nowhere/key\nauth_type = scram-sha-256\nauth_file = /nowhere/users\n")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: "stays as it was" in segue.log_text())
    log = segue.log_text()
    assert f"{config}:4: client_tls" in log and "/nowhere/users" in log
    for wire in [Wire(segue.port, database) for _ in range(2)]:
        wire.close()
