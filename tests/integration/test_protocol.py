"""Versions of the protocol and what comes with them: 3.2 as libpq 18 speaks it, long cancel keys, options and minors that nobody
knows; messages that come when nobody asked."""

import os
import socket
import struct
import subprocess
import sys

import psycopg2
import pytest

from certificates import Certificates
from cluster import HOST, Cluster, die_with_parent
from dialogue import B, D, Dialogue, E, P, Q, S, startup
from fake import OK, READY, FakeServer
from proxy import PATIENCE_S, Segue, psql
from servers.releases import Release
from test_passthrough import wait_for
from test_servers import DATABASE, USER, packet
from wire import cstr, message

V32 = 3 << 16 | 2


@pytest.fixture(scope="module")
def cluster():
    release = Release(18)
    made = Cluster(release.programs)
    made.libpq = {"LD_LIBRARY_PATH": str(release.libraries)}
    yield made
    made.destroy()
    release.remove()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def psql18(cluster, conninfo, *commands, check=True):
    arguments = [part for command in commands for part in ("-c", command)]
    return psql(conninfo, "-At", *arguments, env=cluster.libpq, check=check)


# ---- libpq 18 ----

WAYS = {
    "plain": ({}, "sslmode=disable"),
    "encrypted": ({"mode": "require"}, "sslmode=require"),
    "direct TLS": ({"mode": "require"}, "sslmode=require sslnegotiation=direct"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_p06_libpq_18(cluster, database, start_segue, certificates, way, version):
    options, ending = WAYS[way]
    segue = start_segue(control=database, options=certificates.options(**options) if options else [])
    conninfo = f"host={HOST} port={segue.port} user=postgres {ending} min_protocol_version={version} max_protocol_version={version}"
    assert psql18(cluster, f"{conninfo} dbname={database}", "SELECT 1", "SELECT 2") == "1\n2\n"
    # The console is reached by the same login, under keys of its own.
    assert psql18(cluster, f"{conninfo} dbname=segue", "SHOW VERSION").startswith("segue")


SLEEPER = """
import os, signal, sys, threading, psycopg2
conn = psycopg2.connect(sys.argv[1])
conn.autocommit = True
cursor = conn.cursor()
print(conn.info.backend_pid, flush=True)
threading.Thread(target=lambda: (sys.stdin.readline(), conn.cancel())).start()
try:
    cursor.execute(sys.argv[2])
    print("not cancelled")
except psycopg2.Error as error:
    print(error.pgcode)
cursor.execute(sys.argv[3])
print(cursor.fetchone()[0])
"""


def cancelled_by_libpq(cluster, conninfo, statement, is_running, next_statement="SELECT 'next'"):
    program = subprocess.Popen(die_with_parent() + [sys.executable, "-c", SLEEPER, conninfo, statement, next_statement],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **cluster.libpq})
    is_running(int(program.stdout.readline()))
    said, _ = program.communicate("now\n", PATIENCE_S)
    return said.split()


SLEEPS = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"


@pytest.mark.parametrize("way", ["plain", "encrypted"])
def test_p06_p11_a_long_cancel_key(cluster, database, start_segue, certificates, direct, way):
    """libpq 18 gets 32 bytes for a key, and its cancel hits its own query."""
    options, ending = WAYS[way]
    segue = start_segue(options=certificates.options(**options) if options else [])
    conninfo = f"host={HOST} port={segue.port} user=postgres dbname={database} {ending} min_protocol_version=3.2"
    assert cancelled_by_libpq(cluster, conninfo, "SELECT pg_sleep(600)",
                              lambda pid: wait_for(direct.cursor(), SLEEPS, (pid,), ("PgSleep",))) == ["57014", "next"]


def cancel(port, pid, key):
    with socket.create_connection((HOST, port), PATIENCE_S) as s:
        s.sendall(struct.pack("!iii", 12 + len(key), 80877102, pid) + key)
        assert s.recv(1) == b""


def log_in_32(port, database):
    talk = Dialogue(port).say(startup("postgres", database, V32), ready=1)
    body, = [body for kind, body in talk.messages if kind == b"K"]
    return talk, struct.unpack("!i", body[:4])[0], body[4:]


def test_p06_p11_only_the_whole_key_cancels(cluster, database, plain, direct):
    talk, pid, key = log_in_32(plain.port, database)
    other, _, other_key = log_in_32(plain.port, database)
    assert len(key) == 32 and len(other_key) == 32 and key != other_key
    talk.say(Q("SELECT pg_sleep(600)"))
    wait_for(direct.cursor(), SLEEPS, (pid,), ("PgSleep",))
    for wrong in (key[:4], key[:31], key + b"\0", bytes(32), key[:31] + bytes([key[31] ^ 1]), other_key, key * 8):
        cancel(plain.port, pid, wrong)
    wait_for(direct.cursor(), SLEEPS, (pid,), ("PgSleep",))
    cancel(plain.port, pid, key)
    talk.say(ready=1)
    assert any(kind == b"E" and b"C57014\0" in body for kind, body in talk.messages)
    talk.say(Q("SELECT 1"), ready=1).no_more()
    other.no_more()


def test_p05_libpq_18_and_a_server_that_knows_3_0_only(cluster, database):
    """What a server of 2022 says to it, through a segue in front of it."""
    old = Cluster()
    segue = Segue(old)
    try:
        segue.start()
        for conninfo in (old.conninfo("postgres"), segue.conninfo("postgres")):
            assert psql18(cluster, conninfo + " max_protocol_version=latest", "SELECT 1") == "1\n"
            refused = psql18(cluster, conninfo + " min_protocol_version=3.2", "SELECT 1", check=False)
            assert refused.returncode != 0 and "protocol version" in refused.stderr
    finally:
        segue.stop()
        old.destroy()


# ---- Where segue speaks for the server ----

def test_p05_versions_where_segue_authenticates(cluster, database, start_segue, tmp_path):
    """It answers before the server is asked: 3.2 at most, every unknown option by its name, and once."""
    users = tmp_path / "users"
    users.write_text('"postgres" ""\n', encoding="ascii")
    segue = start_segue(options=["--set", "auth_type=trust", "--set", f"auth_file={users}"])
    many = [(b"_pq_.option%d" % i, b"") for i in range(400)]
    for minor, options in ((0, []), (2, []), (9999, []), (0, many), (2, many[:1]), (3, many)):
        talk = Dialogue(segue.port).say(packet(3 << 16 | minor, USER, DATABASE, *options), ready=1)
        answers = [body for kind, body in talk.messages if kind == b"v"]
        if minor <= 2 and not options:
            assert not answers
            continue
        expected = struct.pack("!ii", 3 << 16 | min(minor, 2), len(options)) + b"".join(cstr(n.decode()) for n, _ in options)
        assert answers == [expected] and talk.messages[0][0] == b"v"
        talk.say(Q("SELECT 1"), ready=1).no_more()


def test_p05_p06_the_console(database, segue):
    """Its keys are segue's; versions are negotiated as with any database."""
    for minor in (0, 2, 9999):
        talk = Dialogue(segue.port).say(packet(3 << 16 | minor, USER, (b"database", b"segue"), (b"_pq_.x", b"")), ready=1)
        assert [kind for kind, _ in talk.messages].count(b"v") == 1
        talk.say(Q("SHOW VERSION"), ready=1)
        assert b"D" in talk.kinds


def test_p07_a_database_name_too_long(cluster, start_segue):
    """The server cuts it to 63 bytes. It is the same database then, with the same mappings."""
    name, longer = "d" * 63, "d" * 63 + "-and-more"
    cluster.create_database(name)
    psql(cluster.conninfo(name), "-c", "CREATE TABLE users (id int PRIMARY KEY, nickname text)")
    segue = start_segue(control=name)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    for database in (name, longer):
        with psycopg2.connect(segue.conninfo(database)) as conn, conn.cursor() as cursor:
            cursor.execute("INSERT INTO users (id, nickname) VALUES (%s, 'x') RETURNING username", (len(database),))
            assert cursor.fetchone() == ("x",)
        conn.close()
    # A user's name is the database's where none is given.
    cluster.admin(f'CREATE ROLE "{name}" LOGIN SUPERUSER')
    talk = Dialogue(segue.port).say(packet(3 << 16, (b"user", longer.encode())), ready=1)
    talk.say(Q("SELECT username FROM users WHERE id = 63"), ready=1)
    assert (b"D", struct.pack("!hi", 1, 1) + b"x") in talk.messages


# ---- Messages nobody asked for ----

NOTICE = message(b"N", b"SNOTICE\0VNOTICE\0C00000\0Mby the way\0\0")
PARAMETER = message(b"S", cstr("in_hot_standby") + cstr("off"))
NOTIFICATION = message(b"A", struct.pack("!i", 4711) + cstr("news") + cstr("extra"))
ASIDE = NOTICE + PARAMETER + NOTIFICATION
# A message of a type that is not known yet, and one of a known type with more in it than known.
LATER = message(b"%", b"from the future") + message(b"N", b"SNOTICE\0zunheard of\0Mlater\0\0")


@pytest.mark.parametrize("aside", [ASIDE, LATER], ids=["notices", "unknown"])
def test_p46_p52_anything_anywhere(start_segue, aside):
    """Between any two messages of the server, in the middle of a result, while nobody asks, before the login is over: a client
    gets what the server sent. What comes first must be known, or it is no server."""
    row = message(b"D", struct.pack("!hi", 1, 1) + b"x")
    answers = [message(b"1"), message(b"2"), message(b"T", struct.pack("!h", 0)), row, row, message(b"C", cstr("SELECT 2")), READY]
    copy = [message(b"G", b"\0\0\0"), message(b"C", cstr("COPY 1")), READY]

    def script(line):
        line.startup()
        said = b"".join(part + aside for part in (NOTICE, OK, message(b"K", struct.pack("!i", 1) + b"keyy"), READY))
        line.say(said)
        while line.read_message()[:1] != b"S":
            pass
        part = b"".join(aside + answer for answer in answers) + aside
        line.say(part)
        line.read_message()
        line.say(aside, copy[0], aside)
        while line.read_message()[:1] != b"c":
            line.say(aside)
        rest = b"".join(aside + answer for answer in copy[1:])
        line.say(rest)
        assert line.read_message()[:1] == b"X"
        return said + part + aside + copy[0] + aside * 3 + rest

    fake = FakeServer(script)
    segue = start_segue(upstream=fake.conninfo)
    talk = Dialogue(segue.port).say(startup("postgres", "postgres"), ready=1)
    talk.say(P("SELECT"), B(), D("P"), E(), S, ready=1)
    talk.say(Q("COPY t FROM STDIN"), kinds=b"G")
    talk.say(message(b"d", b"1\n"), message(b"d", b"2\n"), message(b"c"), ready=1)
    talk.say_last(message(b"X"))
    expected, = fake.wait()
    assert b"".join(message(kind, body) for kind, body in talk.messages) == expected
