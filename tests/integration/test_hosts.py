"""Section [databases]: several names, several servers, and what happens when one of them will not do."""

import signal
import socket
import struct
import threading

import psycopg2
import pytest

from cluster import HOST, free_port
from fake import KEY, OK, READY, FakeServer, error
from proxy import PATIENCE_S, Segue
from waiting import until
from wire import Wire, cstr, message


class FileSegue(Segue):
    """A segue whose [databases] stand in a file, which can be written anew."""

    def __init__(self, cluster, path, databases, settings="", **arguments):
        super().__init__(cluster, **arguments)
        self.path = path
        self.write(databases, settings)
        self.options = ["-c", str(path)] + self.options

    def write(self, databases, settings=""):
        self.path.write_text(f"[databases]\n{databases}\n[segue]\n{settings}\n", encoding="utf-8")

    def reload(self, databases, settings=""):
        before = self.log_text().count("reloaded")
        self.write(databases, settings)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.log_text().count("reloaded") > before)


@pytest.fixture
def serve(cluster, tmp_path):
    started = []

    def start(databases, settings="", **arguments):
        segue = FileSegue(cluster, tmp_path / f"segue{len(started)}.ini", databases, settings, **arguments)
        started.append(segue)
        segue.upstream = None
        return segue.start()

    yield start
    for segue in started:
        segue.stop()


@pytest.fixture
def fakes():
    made = []

    def make(script):
        made.append(FakeServer(script))
        return made[-1]

    yield make
    for fake in made:
        fake.close()


def one(conn, sql):
    cursor = conn.cursor()
    cursor.execute(sql)
    return cursor.fetchone()[0]


def startup_parameters(packet):
    parts = packet[8:].split(b"\0")
    return list(zip(parts[0:-2:2], parts[1:-2:2]))


def to_the_end(line):
    """A server goes when the client says goodbye."""
    last = None
    try:
        while last != message(b"X"):
            last = line.read_message()
    except ConnectionError:
        pass
    return last


# ---- Names ----


def test_an_alias_leads_to_another_database(cluster, database, serve):
    segue = serve(f"alias = host={HOST} port={cluster.port} dbname={database}\nreal = host={HOST} port={cluster.port} dbname=postgres")
    assert one(segue.connect("alias"), "SELECT current_database()") == database
    assert one(segue.connect("real"), "SELECT current_database()") == "postgres"
    with pytest.raises(psycopg2.OperationalError, match="no such database: other"):
        segue.connect("other")


def test_an_entry_of_its_own_comes_before_the_star(cluster, database, serve):
    segue = serve(f"{database} = host={HOST} port={cluster.port} dbname=postgres\n* = host={HOST} port={cluster.port}")
    assert one(segue.connect(database), "SELECT current_database()") == "postgres"
    assert one(segue.connect("template1"), "SELECT current_database()") == "template1"


def test_what_a_session_starts_with(cluster, database, serve):
    segue = serve(f"d = host={HOST} port={cluster.port} dbname={database} options='-c work_mem=12345kB -c geqo=off'"
                  " client_encoding=LATIN1 timezone=Asia/Tokyo datestyle='German'")
    with Wire(segue.port, "d") as wire:
        assert wire.parameters["client_encoding"] == "LATIN1"
        assert (wire.parameters["TimeZone"], wire.parameters["DateStyle"]) == ("Asia/Tokyo", "German, DMY")
    # The client's own word counts, however it is spelled, and its options are added to the entry's.
    with Wire(segue.port, "d", options="-c work_mem=54321kB", timezone="UTC", client_encoding="UTF8") as wire:
        assert (wire.parameters["TimeZone"], wire.parameters["client_encoding"]) == ("UTC", "UTF8")
        assert wire.query("SELECT current_setting('work_mem') || current_setting('geqo')").rows == [("54321kBoff",)]


def test_a_packet_that_nothing_is_changed_about_is_relayed_as_it_is(fakes, serve):
    fake = fakes(lambda line: line.welcome())
    segue = serve(f"* = {fake.conninfo}")
    Wire(segue.port, "d", odd="\xff value", **{"_pq_.x": "1"}).socket.close()
    packet = fake.wait()[0]
    assert startup_parameters(packet) == [(b"user", b"postgres"), (b"database", b"d"), (b"odd", "\xff value".encode()),
                                          (b"_pq_.x", b"1")]


def test_a_reload_concerns_those_who_come_later(cluster, database, serve):
    here = f"host={HOST} port={cluster.port}"
    segue = serve(f"d = {here} dbname={database}")
    before = segue.connect("d")
    segue.reload(f"d = {here} dbname=postgres\ne = {here} dbname={database}")
    assert one(before, "SELECT current_database()") == database
    assert one(segue.connect("d"), "SELECT current_database()") == "postgres"
    assert one(segue.connect("e"), "SELECT current_database()") == database
    # One that is not right changes nothing.
    segue.write("d = hots=nowhere")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: "the configuration stays as it was" in segue.log_text())
    assert one(segue.connect("d"), "SELECT current_database()") == "postgres"


def test_mappings_hold_for_every_name_of_the_control_database(cluster, database, direct, serve):
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text); INSERT INTO users VALUES (1, 'ann')")
    here = f"host={HOST} port={cluster.port}"
    segue = serve(f"alias = {here} dbname={database}\nraw = {here} dbname={database} rewrite=0\n* = {here}", control=database)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    for name in (database, "alias"):
        assert one(segue.connect(name), "SELECT username FROM users") == "ann"
    with pytest.raises(psycopg2.errors.UndefinedColumn):  # pylint: disable=no-member
        one(segue.connect("raw"), "SELECT username FROM users")


def test_the_console_is_reached_by_an_alias_alone(cluster, database, serve):
    segue = serve(f"alias = host={HOST} port={cluster.port} dbname={database}", control=database)
    assert [row["name"] for row in segue.console.rows("SHOW DATABASES")] == ["alias"]


# ---- Hosts ----


def test_the_next_host_when_one_is_down(cluster, database, serve):
    down = free_port()
    segue = serve(f"* = host={HOST},{HOST} port={down},{cluster.port}", "server_login_retry = 0")
    assert one(segue.connect(database), "SELECT 1") == 1


def test_a_host_with_several_addresses(cluster, database, serve):
    # The server listens on IPv4 only; localhost is both.
    segue = serve(f"* = host=localhost port={cluster.port} load_balance_hosts=random", "server_login_retry = 0")
    for _ in range(4):
        assert one(segue.connect(database), "SELECT 1") == 1


def test_57p03_leads_to_the_next_host(cluster, database, fakes, serve):
    def starting(line):
        line.startup()
        line.say(error("57P03", "the database system is starting up"))

    fake = fakes(starting)
    segue = serve(f"* = host={HOST},{HOST} port={fake.port},{cluster.port}", "server_login_retry = 0")
    assert one(segue.connect(database), "SELECT 1") == 1
    fake.wait()


def test_the_server_has_the_last_word_when_none_will_do(fakes, serve):
    def starting(line):
        line.startup()
        line.say(error("57P03", "the database system is starting up"))

    fake = fakes(starting)
    segue = serve(f"* = {fake.conninfo}", "server_login_retry = 0.1\nserver_connect_timeout = 1")
    with pytest.raises(psycopg2.OperationalError, match="the database system is starting up"):
        segue.connect("d")
    assert len(fake.results) > 1


@pytest.mark.parametrize("sqlstate", ["28P01", "53300", "3D000"])
def test_other_errors_are_the_clients(fakes, serve, sqlstate):
    """A second host would hide what is wrong with the first."""
    def refusing(line):
        line.startup()
        line.say(error(sqlstate, "no"))

    fake, other = fakes(refusing), fakes(lambda line: line.welcome())
    segue = serve(f"* = host={HOST},{HOST} port={fake.port},{other.port}")
    with pytest.raises(psycopg2.OperationalError, match="no"):
        segue.connect("d")
    assert not other.results


def test_a_server_that_is_gone_before_its_first_word(fakes, serve):
    fake, other = fakes(lambda line: line.startup()), fakes(lambda line: (line.welcome(), to_the_end(line))[0])
    segue = serve(f"* = host={HOST},{HOST} port={fake.port},{other.port}")
    Wire(segue.port, "d").socket.close()
    assert other.wait()[0] == fake.wait()[0]


def test_a_client_waits_for_a_server_that_comes_back(serve):
    """Nobody listens; then somebody does."""
    port = free_port()
    segue = serve(f"* = host={HOST} port={port}", "server_login_retry = 0.05")
    got = []
    thread = threading.Thread(target=lambda: got.append(Wire(segue.port, "d")))
    thread.start()
    until(lambda: "ready" in segue.log_text())
    with socket.create_server((HOST, port)) as server:
        sock, _ = server.accept()
        head = sock.recv(4)
        sock.recv(struct.unpack("!i", head)[0] - 4)
        sock.sendall(OK + KEY + READY)
        thread.join(PATIENCE_S)
        assert got
        got[0].socket.close()
        sock.close()


def test_load_is_balanced(fakes, serve):
    servers = [fakes(lambda line: line.welcome()) for _ in range(2)]
    ports = ",".join(str(fake.port) for fake in servers)
    segue = serve(f"r = host={HOST},{HOST} port={ports} load_balance_hosts=round-robin\n"
                  f"x = host={HOST},{HOST} port={ports} load_balance_hosts=random\n"
                  f"d = host={HOST},{HOST} port={ports}")
    for _ in range(4):
        Wire(segue.port, "r").socket.close()
    until(lambda: [len(fake.results) for fake in servers] == [2, 2])
    for _ in range(3):
        Wire(segue.port, "d").socket.close()
    until(lambda: [len(fake.results) for fake in servers] == [5, 2])
    for _ in range(40):  # that all go one way comes about once in a million million
        Wire(segue.port, "x").socket.close()
    until(lambda: sum(len(fake.results) for fake in servers) == 47)
    assert min(len(servers[0].results) - 5, len(servers[1].results) - 2) > 0


# ---- Roles ----


def status(name, value):
    return message(b"S", cstr(name) + cstr(value))


def server_of_role(standby, read_only=False, password=False):
    """A server of PostgreSQL 14 or later, as far as its login goes."""
    def script(line):
        line.startup()
        if password:
            line.say(message(b"R", struct.pack("!i", 3)))
            line.read_message()
        line.say(OK, status("client_encoding", "UTF8"), status("DateStyle", "ISO, MDY"),
                 status("in_hot_standby", "on" if standby else "off"),
                 status("default_transaction_read_only", "on" if read_only else "off"), KEY, READY)
        return to_the_end(line)

    return script


WANTED = {  # primary, primary that is read-only, standby
    "any": (True, True, True),
    "read-write": (True, False, False),
    "read-only": (False, True, True),
    "primary": (True, True, False),
    "standby": (False, False, True),
    "prefer-standby": (True, True, True),
}
ROLES = ((False, False), (False, True), (True, False))


@pytest.mark.parametrize("wanted", WANTED)
def test_target_session_attrs(fakes, serve, wanted):
    servers = [fakes(server_of_role(*role)) for role in ROLES]
    entries = "\n".join(f"d{i} = {fake.conninfo} target_session_attrs={wanted}" for i, fake in enumerate(servers))
    segue = serve(entries, "server_login_retry = 0")
    for i, fits in enumerate(WANTED[wanted]):
        if fits:
            with Wire(segue.port, f"d{i}") as wire:
                assert wire.parameters["in_hot_standby"] == ("on" if ROLES[i][0] else "off")
        else:
            with pytest.raises(Exception, match="read-only|hot standby"):
                Wire(segue.port, f"d{i}")


@pytest.mark.parametrize("wanted, expected", [("read-write", 1), ("standby", 0), ("prefer-standby", 0), ("any", 0)])
def test_the_right_host_of_two(fakes, serve, wanted, expected):
    servers = [fakes(server_of_role(standby=True)), fakes(server_of_role(standby=False))]
    segue = serve(f"* = host={HOST},{HOST} port={servers[0].port},{servers[1].port} target_session_attrs={wanted}")
    for _ in range(3):
        with Wire(segue.port, "d") as wire:
            assert wire.parameters["in_hot_standby"] == ("on" if expected == 0 else "off")
    servers[expected].wait(3)
    # The wrong one was asked once at most: what it said is remembered.
    assert len(servers[1 - expected].results) <= 1


def test_a_login_that_has_begun_cannot_be_moved_but_the_next_goes_right(fakes, serve):
    servers = [fakes(server_of_role(standby=True, password=True)), fakes(server_of_role(standby=False, password=True))]
    segue = serve(f"* = host={HOST},{HOST} port={servers[0].port},{servers[1].port} target_session_attrs=primary")
    with pytest.raises(psycopg2.OperationalError, match="server is in hot standby mode"):
        psycopg2.connect(segue.conninfo("d") + " password=x")
    for _ in range(2):
        psycopg2.connect(segue.conninfo("d") + " password=x").close()
    assert servers[1].wait(2) and len(servers[0].results) == 1


def test_an_older_server_is_asked(fakes, serve):
    def script(standby):
        def play(line):
            line.welcome()
            question = line.read_message()
            assert b"pg_is_in_recovery" in question
            value = b"t" if standby else b"f"
            columns = b"".join(cstr(name) + struct.pack("!ihihih", 0, 0, 16, 1, -1, 0) for name in ("a", "b"))
            line.say(message(b"T", struct.pack("!h", 2) + columns),
                     message(b"D", struct.pack("!h", 2) + (struct.pack("!i", 1) + value) * 2),
                     message(b"C", cstr("SELECT 1")), READY)
            return to_the_end(line)
        return play

    servers = [fakes(script(True)), fakes(script(False))]
    segue = serve(f"* = host={HOST},{HOST} port={servers[0].port},{servers[1].port} target_session_attrs=read-write")
    wire = Wire(segue.port, "d")
    assert wire.parameters == {}
    wire.send(message(b"X"))
    assert servers[1].wait()[0] == message(b"X")
