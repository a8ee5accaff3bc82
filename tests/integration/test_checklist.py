"""Cases of docs/protocol.md that no other file is about."""

import os
import socket
import struct
import time

import pytest

from dialogue import B, D, Dialogue, E, P, Q, S, X, startup
from fake import KEY, OK, READY, error
from proxy import PATIENCE_S
from wire import Wire, cstr, error_fields, message

TABLE = "CREATE TABLE users (id int PRIMARY KEY, nickname text); INSERT INTO users VALUES (1, 'one')"


@pytest.fixture
def mapped(segue, direct):
    direct.cursor().execute(TABLE)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    return segue


def test_p07_the_database_is_the_users_where_none_is_named(cluster, start_segue):
    """It is the database with the mappings all the same."""
    database = cluster.create_database("namesake")
    cluster.admin("DROP ROLE IF EXISTS namesake", "CREATE ROLE namesake SUPERUSER LOGIN")
    conn = cluster.connect(database)
    conn.autocommit = True
    conn.cursor().execute(TABLE)
    conn.close()
    segue = start_segue(control=database)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    body = struct.pack("!i", 3 << 16) + cstr("user") + cstr("namesake") + b"\0"
    with Dialogue(segue.port) as d:
        d.say(struct.pack("!i", len(body) + 4) + body, Q("UPDATE users SET nickname = 'two'"),
              Q("SELECT nickname = username, current_database() FROM users"), ready=3)
        assert (b"D", b"\0\2\0\0\0\1t\0\0\0\x08namesake") in d.messages, d.messages[-4:]


def test_p07_a_name_given_twice_is_the_last_one(cluster, database, mapped):
    """As the server takes it: otherwise a session without mappings could be had of a database with some."""
    body = struct.pack("!i", 3 << 16) + b"".join(map(cstr, ["user", "nobody", "database", "postgres", "user", "postgres",
                                                            "database", database])) + b"\0"
    with Dialogue(mapped.port) as d:
        d.say(struct.pack("!i", len(body) + 4) + body, Q("UPDATE users SET nickname = 'three'"),
              Q("SELECT nickname = username, current_user FROM users"), ready=3)
        assert (b"D", b"\0\2\0\0\0\1t\0\0\0\x08postgres") in d.messages, d.messages[-4:]


def test_p10_a_large_password_message_of_a_kind_nobody_knows(faked):
    secret = message(b"p", bytes(range(256)) * 4000)

    def script(line):
        line.startup()
        line.say(message(b"R", struct.pack("!i", 7)), message(b"R", struct.pack("!i", 8) + b"\0" * 100000))
        said = line.read_message()
        line.say(OK, KEY, READY)
        return said

    server, segue = faked(script)
    with Dialogue(segue.port) as d:
        d.say(startup("ann", "shop"), kinds=b"RR").say(secret, ready=1)
    assert server.wait() == [secret]


@pytest.mark.parametrize("is_mapped", [False, True])
def test_p38_a_cached_plan_that_changes_its_result_is_relayed(database, direct, segue, is_mapped):
    cursor = direct.cursor()
    cursor.execute(TABLE)
    if is_mapped:
        segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
        segue.console.start("m")
    cursor.execute("CREATE TABLE other AS SELECT 1 AS a")
    wire = Wire(segue.port, database)
    wire.prepare("s", "SELECT o.* FROM other o")
    assert wire.run("s").rows == [("1",)]
    cursor.execute("ALTER TABLE other ADD b int")
    wire.send(wire.bind("s"), wire.execute(), wire.sync())
    answer = wire.until_ready()
    kinds = [kind for kind, _ in answer]
    fields = error_fields(answer[0][1])
    assert kinds == [b"E", b"Z"] and fields["C"] == "0A000" and fields["M"] == "cached plan must not change result type"
    wire.prepare("again", "SELECT o.* FROM other o")
    assert wire.run("again").rows == [("1", None)]
    wire.close()


def test_p46_what_nobody_asked_for_comes_through_wherever_it_stands(faked):
    """Between any two messages of the server."""
    said = [message(b"N", b"SNOTICE\0C00000\0Mby the way\0\0"), message(b"S", cstr("TimeZone") + cstr("UTC")),
            message(b"A", struct.pack("!i", 9) + cstr("channel") + cstr(""))]
    answer = [message(b"1"), message(b"2"), message(b"T", b"\0\0"), message(b"D", b"\0\0"), message(b"C", cstr("SELECT 1")), READY]
    spread = [part for one in answer for part in (*said, one)] + said

    def script(line):
        line.welcome()
        for kind in (b"P", b"B", b"D", b"E", b"S"):
            assert line.read_message()[:1] == kind
        line.say(*spread)
        line.read_message()

    server, segue = faked(script)
    with Dialogue(segue.port).log_in("shop") as d:
        before = len(d.messages)
        d.say_until(P("x") + B() + D("P") + E() + S, lambda: len(d.messages) >= before + len(spread))
        assert [message(*one) for one in d.messages[before:]] == spread
        d.say(X)
    server.wait()


@pytest.mark.parametrize("is_mapped", [False, True])
def test_p53_an_error_of_any_length(database, mapped, plain, is_mapped):
    """Also where the place in it would have to be mapped back."""
    segue = mapped if is_mapped else plain
    sql = "DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 3000000); END $$"
    name = "nickname" if is_mapped else "id::text"
    with Dialogue(segue.port).log_in(database) as d:
        d.say(Q(sql), ready=1)
        assert error_fields(d.messages[-2][1])["M"] == "x" * 3000000
        d.say(Q(f"SELECT ('a' || repeat({name}, 300000))::int FROM users"), ready=1)
        fields = error_fields(d.messages[-2][1])
        assert fields["C"] == "22P02" and len(fields["M"]) > 300000
        d.say(P(f"SELECT {name}, $1::int FROM users"), B([b"y" * 200000]), E(), S, ready=1)
        assert len(error_fields(d.messages[-2][1])["M"]) > 200000
        d.no_more()


def test_p54_terminate_in_a_transaction_undoes_it(database, mapped, direct):
    with Dialogue(mapped.port).log_in(database) as d:
        d.say(Q("BEGIN"), Q("UPDATE users SET nickname = 'never'"), ready=2).say_last(X)
    cursor = direct.cursor()
    cursor.execute("SELECT nickname, username FROM users FOR UPDATE")
    assert cursor.fetchall() == [("one", "one")]


def test_p50_who_breaks_the_protocol_leaves_nothing_running(database, plain, direct):
    """The server is left, and would run the statement to its end."""
    cursor, deadline = direct.cursor(), time.monotonic() + PATIENCE_S
    running = ("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100000)%' AND state = 'active'"
               " AND pid <> pg_backend_pid()")
    for wanted in (1, 0):
        if wanted:
            d = Dialogue(plain.port).log_in(database).say(Q("SELECT pg_sleep(100000)"))
        else:
            d.say_last(b"Q" + struct.pack("!i", 3))
            assert error_fields(d.messages[-1][1])["C"] == "08P01"
            d.close()
        while cursor.execute(running) or cursor.fetchone() != (wanted,):
            assert time.monotonic() < deadline, f"not {wanted}"
            time.sleep(0.02)


def test_p49_half_a_terminate_is_none(database, plain):
    """A type that says goodbye, a length that wants more, the end: the server waits for the rest, which never comes."""
    with Dialogue(plain.port).log_in(database) as d:
        d.say(X[:1] + struct.pack("!i", 1000) + b"not all of it")
        d.socket.shutdown(socket.SHUT_WR)
        d.say_last()
        assert d.kinds.endswith(b"Z")


def test_sec_options_of_the_protocol_leave_nothing_behind(database, plain):
    """Another proxy leaked each unknown one, to whoever had not logged in yet."""
    def knock(count):
        for _ in range(count):
            options = {f"_pq_.option_{i}": "x" * 300 for i in range(25)}
            with Dialogue(plain.port) as d:
                d.say_last(startup("nobody here", database, **options))
                assert d.kinds[-1:] == b"E"

    knock(50)
    before = plain.memory_kb()
    knock(400)
    assert os.environ.get("SEGUE_SANITIZE") or plain.memory_kb() - before < 1500, "400 knocks with 8 kB of options each"


def test_sec_an_error_without_a_code_anywhere(faked):
    """CVE-2026-6666 of another proxy, which looked for the SQLSTATE."""
    bare = [message(b"E", b"\0"), message(b"E", b""), message(b"E", b"SERROR\0Mno code\0\0"), message(b"E", b"C\0\0"),
            message(b"E", b"C12"), message(b"N", b"\0")]

    def script(line):
        line.welcome()
        for one in bare:
            line.read_message()
            line.say(one, READY)
        line.read_message()

    _, segue = faked(script)
    with Dialogue(segue.port).log_in("shop") as d:
        for one in bare:
            d.say(Q("x"), ready=1)
            assert message(*d.messages[-2]) == one
        d.say(X)


def test_sec_a_server_that_refuses_without_a_code(faked):
    def script(line):
        line.startup()
        line.say(message(b"E", b"\0"))

    _, segue = faked(script)
    with Dialogue(segue.port) as d:
        d.say_last(startup("ann", "shop"))
        assert d.messages == [(b"E", b"\0")]


def test_p09_what_the_server_says_at_the_login_comes_as_it_is(faked):
    """Too many clients there: the code is the server's."""
    refusal = error("53300", "sorry, too many clients already")

    def script(line):
        line.startup()
        line.say(refusal)

    _, segue = faked(script)
    with Dialogue(segue.port) as d:
        d.say_last(startup("ann", "shop"))
        assert [message(*one) for one in d.messages] == [refusal]


def test_p50_lengths_that_cannot_be(database, segue, direct):
    """Of a client's message: at most 1 GB, at least 4 bytes. Nothing of it reaches the server, and it is told."""
    direct.cursor().execute(TABLE)
    for is_mapped in (False, True):
        if is_mapped:
            segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
        for kind in (b"Q", b"P", b"d", b"X", b"~"):
            for length in (3, 0, -1, -2147483648, 0x7fffffff):
                with Dialogue(segue.port).log_in(database) as d:
                    d.say_last(kind + struct.pack("!i", length) + b"SELECT 1\0")
                    last = d.messages[-1]
                    assert last[0] == b"E" and error_fields(last[1])["C"] == "08P01", (kind, length, last)
    assert segue.alive()
