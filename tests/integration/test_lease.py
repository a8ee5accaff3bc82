"""A process that cannot be sure of the mappings any more sends nothing (proxy/migration/lease.h): two segue processes on one
database, and one of them, or its control connection, stands still while the other moves on."""

import os
import re
import signal
import threading

import psycopg2
import pytest

from proxy import PATIENCE_S
from waiting import until
from wire import Wire, message

LEASE = ["--set", "lease_ms=1500"]
USERS = """CREATE TABLE users (user_id int PRIMARY KEY, nickname text);
           INSERT INTO users SELECT g, 'user' || g FROM generate_series(1, 100) g"""


def run(conn, sql):
    cursor = conn.cursor()
    cursor.execute(sql)
    return cursor


def one(conn, sql):
    return run(conn, sql).fetchone()[0]


@pytest.fixture
def pair(start_segue, database, direct):
    """The second carries migrations on: it has come first."""
    run(direct, USERS)
    second, first = (start_segue(control=database, options=LEASE) for _ in range(2))
    first.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    until(lambda: served(first) and served(second))
    return first, second


def served(segue):
    with segue.connect() as conn:
        return "username" in [column.name for column in run(conn, "SELECT * FROM users LIMIT 0").description]


def stop(process):
    os.kill(process, signal.SIGSTOP)


def resume(process):
    os.kill(process, signal.SIGCONT)


def control_backends(direct, segue):
    """The server processes behind a segue's control connections; each segue's own by the ports of its sockets."""
    ports = set()
    inodes = {match.group(1) for fd in os.listdir(f"/proc/{segue.process.pid}/fd")
              if (match := re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{segue.process.pid}/fd/{fd}")))}
    for line in open(f"/proc/{segue.process.pid}/net/tcp", encoding="ascii").read().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes:
            ports.add(int(fields[1].split(":")[1], 16))
    rows = run(direct, "SELECT pid, client_port FROM pg_stat_activity WHERE application_name = 'segue watcher'").fetchall()
    found = [pid for pid, port in rows if port in ports]
    assert len(found) == 1, (rows, ports)
    return found


def epoch(direct):
    return one(direct, "SELECT value FROM segue.epoch")


def go_on_without(segue, direct, name="m"):
    """Through the whole window, by the other process alone."""
    console = segue.console
    for _ in console.window(name):
        pass
    return epoch(direct)


def test_a_stopped_process_is_passed_by_and_sends_nothing_of_before(pair, direct):
    """It is stopped in the middle of everything, the migration goes through all its phases, and it wakes up."""
    first, second = pair
    idle, busy, reader = (first.connect() for _ in range(3))
    run(idle, "UPDATE users SET username = 'before' WHERE user_id = 1")
    run(reader, "BEGIN")
    run(reader, "SELECT 1")
    wire = Wire(first.port, first.control)
    wire.send(wire.parse("p", "UPDATE users SET nickname = $1 WHERE user_id = $2", (25, 23)), wire.sync())
    wire.until_ready()
    stop(first.process.pid)
    # What arrives while it stands still lies in its sockets, and is looked at when it wakes up.
    done = []
    thread = threading.Thread(target=lambda: done.append(run(busy, "UPDATE users SET nickname = 'late' WHERE user_id = 2")))
    thread.start()
    wire.send(wire.bind("p", ("prepared", "3")), wire.execute(), wire.sync())
    go_on_without(second, direct)
    resume(first.process.pid)
    thread.join(PATIENCE_S)
    assert done and done[0].rowcount == 1
    wire.until_ready()
    # A transaction that began in an epoch long gone can be ended, but not gone on with.
    with pytest.raises(psycopg2.errors.SerializationFailure, match="has moved on"):  # pylint: disable=no-member
        run(reader, "UPDATE users SET nickname = 'stale' WHERE user_id = 4")
    run(reader, "ROLLBACK")
    run(reader, "UPDATE users SET nickname = 'fresh' WHERE user_id = 4")
    rows = dict(run(direct, "SELECT user_id, username FROM users WHERE user_id < 6").fetchall())
    assert rows == {1: "before", 2: "late", 3: "prepared", 4: "fresh", 5: "user5"}
    assert "joining anew" in first.log_text()
    wire.close()


def test_a_stuck_control_connection_holds_statements_back_and_comes_back_by_itself(pair, direct):
    """The server process behind it stands still; the way to everything else is open."""
    first, second = pair
    conn, other = first.connect(), first.connect()
    run(other, "BEGIN")
    run(other, "UPDATE users SET nickname = 'in time' WHERE user_id = 7")
    backends = control_backends(direct, first)
    for pid in backends:
        stop(pid)
    done = threading.Event()

    def work():
        # While the lease holds they are sent; then one waits, and is refused; and some time one is sent again.
        while not done.is_set():
            try:
                run(conn, f"UPDATE users SET nickname = 'after {len(refused)}' WHERE user_id = 8")
                if refused:
                    done.set()
            except psycopg2.errors.CannotConnectNow as error:  # pylint: disable=no-member
                refused.append(error)

    refused = []
    # What it did in time may be committed at any time; the barrier waits for it.
    console = second.console
    console.run("START m")
    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: refused)
    assert "lost touch" in str(refused[0])
    run(other, "COMMIT")
    console.wait("m", "verified")
    # Nobody lets the stopped process go on: segue gives it up, and connects anew.
    thread.join(PATIENCE_S)
    assert done.is_set()
    for pid in backends:
        resume(pid)
    rows = run(direct, "SELECT nickname, username FROM users WHERE user_id IN (7, 8) ORDER BY user_id").fetchall()
    assert rows == [("in time", "in time"), (f"after {len(refused)}",) * 2]
    assert "the lease is back" in first.log_text()


def test_a_refused_statement_fails_its_transaction_and_its_batch(pair, direct):
    first, _ = pair
    wire, psycopg = Wire(first.port, first.control), first.connect()
    run(psycopg, "BEGIN")
    run(psycopg, "UPDATE users SET nickname = 'gone' WHERE user_id = 9")
    backends = control_backends(direct, first)
    for pid in backends:
        stop(pid)
    try:
        until(lambda: one(direct, "SELECT bool_or(expires_at < clock_timestamp()) FROM segue.proxy"))
        with pytest.raises(psycopg2.errors.CannotConnectNow):  # pylint: disable=no-member
            run(psycopg, "SELECT 1")
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):  # pylint: disable=no-member
            run(psycopg, "SELECT 1")  # at once: it has waited
        run(psycopg, "COMMIT")
        with pytest.raises(psycopg2.errors.CannotConnectNow):  # pylint: disable=no-member
            run(psycopg, "SELECT 1")  # likewise
        batch = wire.parse("", "UPDATE users SET nickname = 'batch' WHERE user_id = 10") + wire.bind("") + wire.execute()
        wire.send(batch, wire.sync())
        kinds = [kind for kind, _ in wire.until_ready()]
        assert kinds == [b"E", b"Z"]
        wire.send(message(b"Q", b"SELECT 1\0"))
        assert [kind for kind, _ in wire.until_ready()] == [b"E", b"Z"]
    finally:
        for pid in backends:
            resume(pid)
    until(lambda: one_of(wire) == "1")
    rows = run(direct, "SELECT nickname FROM users WHERE user_id IN (9, 10) ORDER BY user_id").fetchall()
    assert rows == [("user9",), ("user10",)]
    wire.close()


def one_of(wire):
    answer = wire.query("SELECT 1")
    return answer.rows[0][0] if answer.rows else None


def test_a_short_stop_is_not_noticed(pair, direct):
    """Shorter than the lease, and longer than two thirds of it: held, not refused, and nothing begins anew."""
    first, second = pair
    conn = first.connect()
    run(conn, "BEGIN")
    run(conn, "UPDATE users SET nickname = 'kept' WHERE user_id = 11")
    stop(first.process.pid)
    threading.Event().wait(1.2)
    resume(first.process.pid)
    run(conn, "UPDATE users SET nickname = nickname || '!' WHERE user_id = 11")
    run(conn, "COMMIT")
    assert one(second.connect(), "SELECT username FROM users WHERE user_id = 11") == "kept!"


def test_load_on_both_through_a_whole_migration_with_one_stopped_now_and_then(pair, direct):
    """Clients of both processes write under either name, each its own rows, and read them back."""
    first, second = pair
    ending = threading.Event()
    failures, counts = [], [0] * 6

    def client(number):
        segue, name = (first, second)[number % 2], ("nickname", "username")[number // 3]
        conn = segue.connect()
        while not ending.is_set():
            value = f"c{number}-{counts[number]}"
            try:
                run(conn, f"UPDATE users SET {name} = '{value}' WHERE user_id = {20 + number}")
                got = one(conn, f"SELECT {name} FROM users WHERE user_id = {20 + number}")
            except psycopg2.errors.CannotConnectNow:  # pylint: disable=no-member
                continue  # told so, and nothing was done
            if got != value:
                failures.append((number, value, got))
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    pausing = threading.Thread(target=stop_now_and_then, args=(first.process.pid, ending))
    pausing.start()
    try:
        go_on_without(second, direct)
    finally:
        ending.set()
        pausing.join()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert not failures and min(counts) > 0
    rows = dict(run(direct, "SELECT user_id, username FROM users WHERE user_id BETWEEN 20 AND 25").fetchall())
    assert rows == {20 + number: f"c{number}-{counts[number] - 1}" for number in range(6)}


def stop_now_and_then(pid, ending):
    while not ending.is_set():
        stop(pid)
        ending.wait(2)
        resume(pid)
        ending.wait(0.5)
