"""Beginnings, ends and oddities on the wire, with a server that says exactly what the case needs."""

import resource
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from cluster import HOST, free_port
from dialogue import B, Dialogue, E, P, Q, S, X, raw, read_exactly, read_to_end, startup
from fake import KEY, OK, READY, error
from proxy import PATIENCE_S, Segue
from waiting import until
from wire import cstr, error_fields, message

SSL_REQUEST, GSS_REQUEST = struct.pack("!ii", 8, 80877103), struct.pack("!ii", 8, 80877104)
ROW = message(b"D", b"\0\1" + struct.pack("!i", 4) + b"half")


# ---- Beginnings ----


def test_start_up_packet_and_login_are_relayed_as_they_are(faked):
    """Unknown parameters, their order, an authentication nobody knows, NULs in it, a 32-byte cancel key, a negotiation."""
    challenge, answer = message(b"R", struct.pack("!i", 99) + b"a\0b\xff"), message(b"p", b"\0\1\0secret\0")
    greeting = [message(b"v", struct.pack("!ii", 3 << 16, 1) + cstr("_pq_.x")), OK,
                message(b"K", struct.pack("!i", 1) + b"k" * 32), message(b"S", cstr("a") + cstr("b")), READY]

    def script(line):
        packet = line.startup()
        line.say(challenge)
        said = line.read_message()
        line.say(*greeting)
        return packet, said, line.read_message()

    server, segue = faked(script)
    packet = startup("ann", "shop", version=3 << 16 | 2, options="-c x=y", **{"_pq_.x": "1", "zzz": "", "é": "ü"})
    with raw(segue) as sock:
        for byte in packet:
            sock.sendall(bytes([byte]))
        assert read_exactly(sock, len(challenge)) == challenge
        sock.sendall(answer)
        assert read_exactly(sock, len(b"".join(greeting))) == b"".join(greeting)
        sock.sendall(X)
        assert server.wait() == [(packet, answer, X)]


@pytest.mark.parametrize("requests", [[SSL_REQUEST], [GSS_REQUEST], [GSS_REQUEST, SSL_REQUEST], [SSL_REQUEST, GSS_REQUEST]])
def test_encryption_is_declined_and_the_session_goes_on(faked, requests):
    server, segue = faked(lambda line: line.welcome())
    packet = startup("ann", "shop")
    with raw(segue) as sock:
        for request in requests:
            sock.sendall(request[:3])
            sock.sendall(request[3:])
            assert read_exactly(sock, 1) == b"N"
        sock.sendall(packet)
        assert server.wait() == [packet]


@pytest.mark.parametrize("content", [
    SSL_REQUEST + startup("ann", "shop"),  # sent before the answer: could be passed off as encrypted
    SSL_REQUEST + b"\x16\x03\x01",
    b"\x16\x03\x01\x02\x00\x01\x00",  # TLS without asking
    struct.pack("!i", 7) + b"abc",
    struct.pack("!i", 10001),
    struct.pack("!i", -1),
    struct.pack("!ii", 8, 1234 << 16 | 1),
    struct.pack("!iii", 12, 80877103, 0),
    struct.pack("!ii", 15, 80877102) + b"1234abc",
    struct.pack("!ii", 273, 80877102) + b"k" * 265,
    b"GET / HTTP/1.1\r\n\r\n",
], ids=lambda content: content[:12].hex())
def test_what_is_no_beginning_is_not_answered(faked, content):
    """Nothing of it reaches the server, and the next client is served."""
    server, segue = faked(lambda line: (line.welcome(), line.read_message())[0])
    with raw(segue) as sock:
        sock.sendall(content)
        assert read_to_end(sock) in (b"", b"N")
    with Dialogue(segue.port).log_in("shop", user="after") as d:
        d.say_last(X)
        assert d.kinds == b"RKZ"
    assert server.wait() == [startup("after", "shop")]


def test_encryption_is_asked_for_once(faked):
    _, segue = faked(lambda line: line.welcome())
    with raw(segue) as sock:
        sock.sendall(SSL_REQUEST)
        assert read_exactly(sock, 1) == b"N"
        sock.sendall(SSL_REQUEST)
        assert read_to_end(sock) == b""


@pytest.mark.parametrize("packet", [
    startup("ann", "shop", version=2 << 16),
    startup("ann", "shop", version=4 << 16 | 1),
    startup("ann", "shop")[:-1] + b"x",
], ids=["2.0", "4.1", "no terminator"])
def test_a_bad_start_up_message_gets_a_reason_where_one_can_be_read(faked, packet):
    _, segue = faked(lambda line: line.welcome())
    with Dialogue(segue.port) as d:
        d.say_last(packet)
        assert d.kinds in (b"E", b"") and not d.partial
        if d.kinds:
            fields = error_fields(d.messages[0][1])
            assert fields["V"] == "FATAL" and fields["C"] in ("0A000", "08P01")


def test_a_refused_login_is_relayed_with_all_its_fields(faked):
    refusal = message(b"E", b"SFATAL\0Mno luck today\0?what is this\0\0")  # no SQLSTATE, a field nobody knows

    def script(line):
        line.startup()
        line.say(refusal)

    _, segue = faked(script)
    with raw(segue) as sock:
        sock.sendall(startup("ann", "shop"))
        assert read_to_end(sock) == refusal


def held_connections(port):
    """Those that clients have made to the port, and that segue has not closed: also when the client has."""
    established, close_wait = "01", "08"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] in (established, close_wait) for line in lines)


def test_a_client_that_leaves_before_the_login_is_over(faked):
    """It is noticed at once, whatever the server does: no time-out has to end the session."""
    has_come = threading.Event()
    server, segue = faked(lambda line: (line.startup(), has_come.set(), line.read_to_end()),
                          options=["--set", "client_login_timeout=0"])
    with raw(segue) as sock:
        sock.sendall(startup("ann", "shop"))
        assert has_come.wait(PATIENCE_S)
    assert server.wait()[0] == (startup("ann", "shop"), None, b"")
    assert segue.alive()


def test_a_client_that_leaves_while_the_server_is_dialled(start_segue):
    segue = start_segue(upstream=f"host={HOST} port={free_port()}",
                        options=["--set", "client_login_timeout=0", "--set", "server_connect_timeout=0"])
    with raw(segue) as sock:
        sock.sendall(startup("ann", "shop"))
        until(lambda: held_connections(segue.port))
    until(lambda: not held_connections(segue.port))


def test_port_scans_cost_nothing(cluster, database, plain):
    for _ in range(200):
        raw(plain).close()
    with Dialogue(plain.port).log_in(database) as d:
        d.say(Q("select 1"), ready=1)


# ---- In the middle ----


def test_what_newer_servers_say_is_relayed(faked):
    unknown = [message(b"~", b"new"), message(b"\xf0", b""), message(b"A", struct.pack("!i", 1) + b"c\0p\0"),
               message(b"N", b"SNOTICE\0Mhello\0\0"), message(b"S", b"odd, not two strings"), message(b"Z", b"I")]

    def script(line):
        line.welcome()
        asked = line.read_message()
        for byte in b"".join(unknown):
            line.say(bytes([byte]))
        return asked, line.read_message()

    server, segue = faked(script)
    with Dialogue(segue.port).log_in("shop") as d:
        new = message(b"\x80", b"from a newer client")
        d.say(new, ready=1).say_last(X)
        assert [message(kind, body) for kind, body in d.messages[3:]] == unknown
        assert server.wait() == [(new, X)]


def test_a_cancel_reaches_the_server_with_the_key_it_gave(faked):
    long_key = b"0123456789abcdef" * 16

    def script(line):
        packet = line.startup()
        if packet[4:8] == struct.pack("!i", 80877102):
            return packet
        line.say(OK, message(b"K", struct.pack("!i", 77) + long_key), READY)
        return packet, line.read_message()

    server, segue = faked(script)
    cancel = struct.pack("!iii", 268, 80877102, 77) + long_key
    with Dialogue(segue.port).log_in("shop") as d:
        with raw(segue) as sock:
            for byte in cancel:
                sock.sendall(bytes([byte]))
            sock.shutdown(socket.SHUT_WR)
            assert read_to_end(sock) == b""
        d.say_last(X)
    assert cancel in server.wait(2)


# ---- Ends ----


@pytest.mark.parametrize("cut", range(1, len(ROW), 3))
def test_a_server_that_dies_inside_a_message(faked, cut):
    """The client gets what came and nothing more: a message of ours would be read as the rest of the server's."""

    def script(line):
        line.welcome()
        line.read_message()
        line.say(ROW, ROW[:cut])

    _, segue = faked(script)
    with Dialogue(segue.port).log_in("shop") as d:
        d.say_last(Q("select 1"))
        if cut >= 5:
            assert (d.kinds, d.partial) == (b"RKZD", ROW[:cut])
        else:
            # The header was not complete, so nothing of the message has been handed on.
            assert d.kinds in (b"RKZD", b"RKZDE") and d.partial in (b"", ROW[:cut])


def test_a_server_that_dies_between_messages(faked):
    def script(line):
        line.welcome()
        line.read_message()
        line.say(ROW)

    _, segue = faked(script)
    with Dialogue(segue.port).log_in("shop") as d:
        d.say_last(Q("select 1"))
        assert d.kinds == b"RKZDE" and d.partial == b""
        fields = error_fields(d.messages[-1][1])
        assert (fields["V"], fields["C"]) == ("FATAL", "08006")


def test_a_server_that_says_why_it_goes(faked):
    farewell = error("57P01", "terminating connection due to administrator command")

    def script(line):
        line.welcome()
        line.say(farewell)

    _, segue = faked(script)
    with Dialogue(segue.port) as d:
        d.say_last(startup("ann", "shop"))
        assert d.kinds == b"RKZE" and message(*d.messages[-1]) == farewell


@pytest.mark.parametrize("length", [3, -1, -2147483648])
def test_a_server_with_an_illegal_length(faked, length):
    def script(line):
        line.welcome()
        line.read_message()
        line.say(ROW, b"D" + struct.pack("!i", length) + b"junk" * 100)
        return line.read_to_end()

    server, segue = faked(script)
    with Dialogue(segue.port).log_in("shop") as d:
        d.say_last(Q("select 1"))
        assert d.kinds == b"RKZDE" and d.partial == b""
    server.wait()
    assert segue.alive()


@pytest.mark.parametrize("size", [10, 5000, 300000])
def test_a_client_that_dies_inside_a_message(faked, size):
    """What was begun is never completed, least of all by a message of ours."""
    server, segue = faked(lambda line: (line.welcome(), line.read_to_end())[1])
    query = Q("x" * size)
    d = Dialogue(segue.port).log_in("shop")
    d.socket.setblocking(True)
    d.socket.sendall(query[:-3])
    d.close()
    came = server.wait(1)[0]
    assert query[:-3].startswith(came)


def test_a_client_that_dies_inside_a_message_while_its_query_runs(database, plain, direct):
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1000)%' AND pid <> pg_backend_pid()"
    cursor = direct.cursor()

    def wait_for(count):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            cursor.execute(running + " AND state = 'active'")
            if cursor.fetchone()[0] == count:
                return True
            time.sleep(0.02)
        return False

    d = Dialogue(plain.port).log_in(database)
    d.say(Q("select pg_sleep(1000)"), Q("select 'never sent whole'")[:-4])
    assert wait_for(1)
    d.close()
    assert wait_for(0)


def test_half_close_behind_terminate_delivers_everything(cluster, database, plain):
    query = Q("select repeat('x', 1000) from generate_series(1, 20000)")
    answers = []
    for port in (cluster.port, plain.port):
        with Dialogue(port).log_in(database) as d:
            d.say(query, X)
            d.socket.shutdown(socket.SHUT_WR)
            d.say_last()
            answers.append(d.record())
    assert answers[0][0][-2][0] == b"C" and answers[0] == answers[1]


# ---- Limits ----


def test_no_statement_is_held_for_who_has_not_logged_in(cluster, database, segue):
    """A client may send ahead, but what it sends stays in the kernel until it is known."""
    before = segue.memory_kb()
    text = Q("select '" + "x" * (15 << 20) + "'")
    socks = []
    for _ in range(12):
        sock = raw(segue)
        sock.sendall(startup("scram_user", database))
        assert sock.recv(1) == b"R"  # asked for a password: not logged in
        sock.setblocking(False)
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[sock.send(rest):]
        except BlockingIOError:
            pass
        assert rest, "all of it was taken"
        socks.append(sock)
    assert segue.memory_kb() - before < 64 << 10
    for sock in socks:
        sock.close()


def test_who_sends_ahead_of_the_login_is_served(cluster, database, segue):
    with Dialogue(segue.port) as d:
        d.say(startup("postgres", database), Q("select 1"), P("select 2"), B(), E(), S, ready=3)
        assert d.kinds.endswith(b"ZTDCZ12DCZ")


def test_more_clients_than_descriptors(cluster, database):
    """No descriptor left to accept with: those who are in are served, and those who wait are once there is room."""
    segue = Segue(cluster)
    segue.start()
    try:
        resource.prlimit(segue.process.pid, resource.RLIMIT_NOFILE, (60, 60))
        first = Dialogue(segue.port).log_in(database)
        crowd = [raw(segue) for _ in range(100)]
        first.say(Q("select 1"), ready=1)
        for sock in crowd:
            sock.close()
        with Dialogue(segue.port).log_in(database) as d:
            d.say(Q("select 2"), ready=1)
        first.say(Q("select 3"), ready=1).close()
    finally:
        segue.stop()
