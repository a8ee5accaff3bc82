"""One segue takes the place of another, and what the service manager passes and hears: no client is refused or reset."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg2
import pytest

from cluster import HOST, PG_BIN, die_with_parent, free_port
from proxy import BUILD, PATIENCE_S, Segue
from waiting import until
from wire import Wire, error_fields

SHORT_CONNECTIONS = 3000 if os.environ.get("SEGUE_SOAK") else 700


@pytest.fixture
def place(request, cluster, database):
    """Where one segue after the other serves: the same port, socket directory, pid file and hand-over socket."""
    made = Place(cluster, database)
    yield made
    for segue in made.all:
        if getattr(getattr(request.node, "report_call", None), "failed", False):
            print(f"---- log of {segue.process.pid if segue.process else '-'} ----\n{segue.log_text()[-8000:]}")
        segue.stop()


class Place:
    def __init__(self, cluster, database):
        self.cluster, self.database = cluster, database
        self.dir = Path(tempfile.mkdtemp(prefix="segue-place-"))
        self.port = free_port()
        self.all = []

    @property
    def pidfile(self):
        return self.dir / "pid"

    @property
    def door(self):
        return self.dir / "handover"

    def new(self, *options, control=True):
        segue = Segue(self.cluster, control=self.database if control else None, options=[
            "--set", f"unix_socket_dir={self.dir}", "--set", f"pidfile={self.pidfile}",
            "--set", f"handover_socket={self.door}", *options])
        segue.port = self.port
        self.all.append(segue)
        return segue

    def start(self, *options, **more):
        return self.new(*options, **more).start()

    def fail(self, *options):
        """A start that comes to nothing; what it said."""
        segue = self.new(*options)
        self.all.remove(segue)
        try:
            segue.start()
        except RuntimeError:
            pass
        assert segue.process.wait(PATIENCE_S) == 1
        return segue.log_text()

    def pid(self):
        return int(self.pidfile.read_text())


def test_no_short_connection_is_lost_in_many_hand_overs(place):
    """pgbench connects anew for each transaction, by TCP and by the Unix socket, and fails on any connection that does."""
    clients = 4
    place.start()
    script = place.dir / "one.sql"
    script.write_text("SELECT 1;\n")
    benches = [subprocess.Popen(
        [str(PG_BIN / "pgbench"), "-n", "-C", "-f", str(script), "-c", str(clients), "-t", str(SHORT_CONNECTIONS // clients),
         "-h", host, "-p", str(place.port), "-U", "postgres", place.database],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for host in (HOST, str(place.dir))]
    hand_overs = 0
    while any(bench.poll() is None for bench in benches):
        before = place.all[-1]
        place.start("--takeover")
        assert place.pid() == place.all[-1].process.pid
        assert before.process.wait(PATIENCE_S) == 0
        hand_overs += 1
    for bench in benches:
        out, _ = bench.communicate(timeout=PATIENCE_S)
        assert bench.returncode == 0, out
        assert f"processed: {SHORT_CONNECTIONS // clients * clients}/" in out and "failed transactions: 0" in out, out
    assert hand_overs >= 3


def test_sessions_stay_with_the_old_process_as_long_as_they_like(place):
    old = place.start()
    wire = Wire(place.port, place.database)
    wire.query("CREATE TEMP TABLE mine (n int)")
    wire.query("BEGIN")
    new = place.start("--takeover")
    assert wire.query("INSERT INTO mine VALUES (1)").tags == ["INSERT 0 1"]
    assert wire.query("COMMIT").tags == ["COMMIT"]
    assert wire.query("SELECT n FROM mine").rows == [("1",)]
    fresh = Wire(place.port, place.database)
    assert fresh.query("SELECT 2").rows == [("2",)]
    assert old.alive() and place.pid() == new.process.pid
    wire.close()
    assert old.process.wait(PATIENCE_S) == 0
    assert place.pid() == new.process.pid, "the pid file is the new one's"
    assert (place.dir / f".s.PGSQL.{place.port}").exists() and place.door.exists()
    assert fresh.query("SELECT 3").rows == [("3",)]
    fresh.close()


def test_the_old_process_drains_when_its_time_is_over(place):
    old = place.start("--set", "handover_wait=200ms")
    busy, idle = Wire(place.port, place.database), Wire(place.port, place.database)
    busy.query("BEGIN")
    place.start("--takeover")
    kind, body = idle.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P01")
    assert busy.query("COMMIT").tags == ["COMMIT"], "a transaction is waited for all the same"
    kind, body = busy.receive()
    assert (kind, error_fields(body)["C"]) == (b"E", "57P01")
    assert old.process.wait(PATIENCE_S) == 0


def test_a_new_process_that_fails_changes_nothing(place):
    old = place.start()
    wire = Wire(place.port, place.database)
    assert "/nonexistent" in place.fail("--takeover", "--set", "client_tls_sslmode=require",
                                        "--set", "client_tls_cert_file=/nonexistent")
    # One that dies after it has been given the sockets.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
        guest.connect(str(place.door))
        guest.send(b"segue-handover 1 want")
        words, fds, _, _ = socket.recv_fds(guest, 512, 8)
        assert words == b"segue-handover 1 sockets" and len(fds) == 2
        for fd in fds:
            os.close(fd)
    until(lambda: "has not taken over after all" in old.log_text())
    assert place.pid() == old.process.pid
    Wire(place.port, place.database).close()
    assert wire.query("SELECT 1").rows == [("1",)]
    wire.close()
    place.start("--takeover")
    assert old.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("words", [b"take", b"segue-handover 2 want", b"", b"x" * 4000])
def test_other_words_at_the_door(place, words):
    old = place.start(control=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
        guest.connect(str(place.door))
        guest.send(words)
        assert guest.recv(512) == b""
    assert old.alive() and place.door.exists()
    place.start("--takeover", control=False)
    assert old.process.wait(PATIENCE_S) == 0


def test_sec_another_user_gets_no_sockets(place):
    if os.geteuid() != 0:
        pytest.skip("needs a second user")
    old = place.start(control=False)
    os.chmod(place.dir, 0o755)
    assert os.stat(place.door).st_mode & 0o777 == 0o600
    os.chmod(place.door, 0o777)  # whoever opens the door is still looked at
    ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])\n"
           "try: s.send(b'segue-handover 1 want'); print(s.recv(512))\n"
           "except OSError as error: print(error)")
    done = subprocess.run(die_with_parent(user="postgres") + ["/usr/bin/python3", "-c", ask, str(place.door)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert "sockets" not in done.stdout and done.stdout
    until(lambda: "another user" in old.log_text())
    assert old.alive()


def test_who_is_paused_is_not_replaced(place):
    old = place.start()
    old.console.run(f"PAUSE {place.database}")
    assert "RESUME first" in place.fail("--takeover")
    old.console.run(f"RESUME {place.database}")
    place.start("--takeover")
    assert old.process.wait(PATIENCE_S) == 0


def test_takeover_of_nobody_is_a_start(place):
    place.start("--takeover", control=False).kill9()
    assert place.door.exists(), "a killed process leaves its sockets behind"
    place.start("--takeover", control=False)
    Wire(place.port, place.database).close()


def test_takeover_without_a_place_to_meet(place):
    done = subprocess.run([str(BUILD / "segue"), "serve", "--listen", f"{HOST}:0", "--upstream", "host=127.0.0.1", "--takeover"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1 and "handover_socket" in done.stderr


def test_the_new_process_carries_a_migration_on(place):
    """The old one serves its sessions with the mappings as they change, and no longer coordinates."""
    old = place.start()
    wire = Wire(place.port, place.database)
    wire.query("CREATE TABLE users (user_id int PRIMARY KEY, nickname text)")
    wire.query("INSERT INTO users SELECT g, 'n' || g FROM generate_series(1, 500) g")
    old.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    old.console.start("m")
    assert "coordinates the migrations" in old.log_text()
    new = place.start("--takeover")
    until(lambda: "coordinates the migrations" in new.log_text())
    assert wire.query("UPDATE users SET nickname = 'by old' WHERE user_id = 1 RETURNING username").rows == [("by old",)]
    new.console.switch("m")
    assert wire.query("SELECT username, nickname FROM users WHERE user_id = 1").rows == [("by old", "by old")]
    new.console.contract("m")
    assert wire.query("SELECT nickname FROM users WHERE user_id = 1").rows == [("by old",)]
    assert old.alive()
    wire.close()
    assert old.process.wait(PATIENCE_S) == 0


# ---- The service manager ----


class Manager:
    """Passes sockets as systemd does, and hears what it would be told."""

    def __init__(self, directory, abstract=False):
        self.heard = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"\0segue-test-{os.getpid()}-{id(self)}" if abstract else str(directory / f"notify-{id(self)}")
        self.socket.bind(path)
        self.address = "@" + path[1:] if abstract else path
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self):
        while True:
            words = self.socket.recv(4096)
            if not words:
                return
            self.heard.append(words.decode())

    def start(self, arguments, sockets=(), pid=None):
        """Like Popen; the sockets become descriptors 3 and on."""
        def pass_on():
            # From high numbers down to 3 and on, so that none is overwritten before it has been moved.
            high = [os.dup2(sock.fileno(), 100 + i) for i, sock in enumerate(sockets)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
        # Its own process id is known only to itself: a shell puts it into the variable.
        env = {**os.environ, "NOTIFY_SOCKET": self.address, "LISTEN_FDS": str(len(sockets))}
        return subprocess.Popen(
            ["/bin/sh", "-c", f'LISTEN_PID={"$$" if pid is None else pid} exec "$0" "$@"', str(BUILD / "segue"), "serve",
             *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, text=True, close_fds=False, preexec_fn=pass_on)


@pytest.fixture
def managed(tmp_path, cluster):
    started = []

    def start(arguments=(), **more):
        manager = Manager(tmp_path, abstract=more.pop("abstract", False))
        manager.process = manager.start(["--upstream", f"host={HOST} port={cluster.port} sslmode=disable", "--workers", "1",
                                         *arguments], **more)
        started.append(manager.process)
        return manager

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE_S)
        process.stderr.close()


def listening(family, address):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen(16)
    return sock


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears_how_it_goes(managed, tmp_path, abstract):
    config = tmp_path / "segue.ini"
    config.write_text(f"[segue]\nlisten_port = {free_port()}\n")
    manager = managed(["-c", str(config)], abstract=abstract)
    until(lambda: manager.heard)
    assert manager.heard[0].startswith("READY=1\nSTATUS=")
    manager.process.send_signal(signal.SIGHUP)
    until(lambda: len(manager.heard) >= 3)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reloading, usec = manager.heard[1].split("\nMONOTONIC_USEC=")
    assert reloading == "RELOADING=1" and 0 < int(usec) <= before
    assert manager.heard[2] == "READY=1"
    manager.process.send_signal(signal.SIGTERM)
    assert manager.process.wait(PATIENCE_S) == 0
    until(lambda: "STOPPING=1" in manager.heard)


def test_sockets_of_the_service_manager_are_served(managed, tmp_path, database):
    port, path = free_port(), str(tmp_path / ".s.PGSQL.6432")
    with listening(socket.AF_INET, (HOST, port)) as tcp, listening(socket.AF_UNIX, path) as unix:
        early = socket.create_connection((HOST, port), PATIENCE_S)  # before there is anybody to accept it
        manager = managed(["--listen", "203.0.113.1:1"], sockets=[tcp, unix])
        until(lambda: manager.heard)
        assert f"{HOST}:{port}" in manager.heard[0]
        body = b"\0\3\0\0user\0postgres\0database\0" + database.encode() + b"\0\0"
        early.sendall((len(body) + 4).to_bytes(4, "big") + body)
        assert early.recv(1) == b"R"
        early.close()
        conn = psycopg2.connect(host=str(tmp_path), port=6432, user="postgres", dbname=database)
        conn.close()
        manager.process.send_signal(signal.SIGTERM)
        assert manager.process.wait(PATIENCE_S) == 0
        assert os.path.exists(path), "the file is the manager's"
        # A restart: who comes in between waits in the queue.
        between = socket.create_connection((HOST, port), PATIENCE_S)
        again = managed(sockets=[tcp, unix], abstract=True)
        until(lambda: again.heard)
        between.sendall((len(body) + 4).to_bytes(4, "big") + body)
        assert between.recv(1) == b"R"
        between.close()


def test_sockets_for_another_process_are_not_taken(managed, tmp_path, database):
    port = free_port()
    with listening(socket.AF_INET, (HOST, free_port())) as other:
        manager = managed(["--listen", f"{HOST}:{port}"], sockets=[other], pid=1)
        until(lambda: manager.heard)
        Wire(port, database).close()


def test_a_descriptor_that_is_no_listening_socket(managed):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        manager = managed(["--listen", f"{HOST}:0"], sockets=[datagram])
        assert manager.process.wait(PATIENCE_S) == 1
        assert "not a listening stream socket" in manager.process.stderr.read()


def test_a_hand_over_under_the_service_manager_names_the_new_process(managed, tmp_path, database):
    common = ["--listen", f"{HOST}:{free_port()}", "--set", f"handover_socket={tmp_path}/door"]
    old = managed(common)
    until(lambda: old.heard)
    new = managed([*common, "--takeover"], abstract=True)
    until(lambda: old.process.poll() is not None)
    assert f"MAINPID={new.process.pid}" in old.heard and "STOPPING=1" not in old.heard
    until(lambda: len(new.heard) >= 2)
    assert new.heard[0] == f"MAINPID={new.process.pid}" and new.heard[1].startswith("READY=1")
