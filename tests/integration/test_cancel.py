"""Cancels: each reaches the session it is for, is not lost, and hits nothing else (protocol.md 11, 12, 48).

The server is a fake one, which ignores a cancel when the test wants it to: as PostgreSQL does when the signal comes while it
reads its next command."""

import queue
import socket
import struct
import threading
import time

import pytest

from cluster import HOST
from dialogue import Dialogue, Q, X, raw, read_to_end
from fake import OK, READY, error
from proxy import PATIENCE_S, Segue
from wire import error_fields, message

DONE = message(b"C", b"SELECT 1\0") + READY
CANCELLED = error("57014", "canceling statement due to user request", b"ERROR") + READY


def cancel_request(key, pid=4711):
    return struct.pack("!iii", 12 + len(key), 80877102, pid) + key


class Server:
    """What reaches it: cancels, and what the one session says, a message at a time; None is the end of what it says. A cancel's
    connection stays open while hold says so, the session's until leave is called: it is busy."""

    def __init__(self, key=b"keyy"):
        self.key, self.cancels, self.heard, self.session = key, queue.Queue(), queue.Queue(), None
        self.hold = False
        self.left = threading.Event()

    def __call__(self, line):
        packet = line.startup()
        if packet[4:8] == struct.pack("!i", 80877102):
            self.cancels.put(packet)
            while self.hold:
                time.sleep(0.005)
            return
        line.say(OK, message(b"K", struct.pack("!i", 4711) + self.key), READY)
        self.session = line
        try:
            while True:
                self.heard.put(line.read_message())
            self.left.wait(PATIENCE_S)
        except ConnectionError as end:
            self.heard.put(None if str(end).startswith("0 ") else str(end))
            self.left.wait(PATIENCE_S)

    def hear(self):
        return self.heard.get(timeout=PATIENCE_S)

    def cancelled(self):
        return self.cancels.get(timeout=PATIENCE_S)

    def leave(self):
        self.session.socket.shutdown(socket.SHUT_RDWR)
        self.left.set()

    def is_quiet(self):
        """For long enough that a repetition would have come."""
        time.sleep(0.3)
        return self.cancels.empty()


@pytest.fixture
def running(request, faked):
    """A client whose query runs, at a server that will say when it is done; the segue between them."""
    server = Server(**getattr(request, "param", {}))
    _, segue = faked(server)
    with Dialogue(segue.port).log_in("shop") as d:
        d.say(Q("long"))
        assert server.hear() == Q("long")
        yield d, server, segue


def ask(segue, server):
    """A client's cancel: returns when it is told, by the end of the connection, that it has been carried out."""
    with raw(segue) as sock:
        sock.sendall(cancel_request(server.key))
        assert read_to_end(sock) == b""


@pytest.mark.parametrize("running", [{}, {"key": b"a long key of protocol 3.2"}, {"key": b"k" * 256}], indirect=True,
                         ids=["3.0", "3.2", "longest"])
def test_p12_a_cancel_that_came_too_early_is_repeated(running):
    """The server had not begun: it ignores a signal that comes while it reads its next command."""
    d, server, segue = running
    ask(segue, server)
    for _ in range(3):
        assert server.cancelled() == cancel_request(server.key)
    server.session.say(CANCELLED)
    d.say(ready=1)
    assert d.kinds == b"RKZEZ"
    d.say(Q("next"))
    assert server.hear() == Q("next")
    while not server.cancels.empty():
        server.cancelled()
    assert server.is_quiet(), "what comes next is not cancelled"
    server.session.say(DONE)
    d.say(ready=1)


def test_p12_what_comes_next_waits_until_the_cancel_is_over(running):
    """The statement ends by itself while its cancel is on the way: the next one must not be hit in its place."""
    d, server, segue = running
    server.hold = True
    with raw(segue) as sock:
        sock.sendall(cancel_request(server.key))
        server.cancelled()
        server.session.say(DONE)
        d.say(Q("next"), ready=1)
        time.sleep(0.3)
        assert server.heard.empty(), "begun under a cancel that may still hit it"
        server.hold = False
        assert server.hear() == Q("next")
        assert read_to_end(sock) == b""
    assert server.is_quiet()
    server.session.say(DONE)
    d.say(ready=1)


def test_p12_a_pipeline_loses_one_statement_to_a_cancel(running):
    """The second has been sent already, as it would have been directly. It runs."""
    d, server, segue = running
    d.say(Q("second"))
    assert server.hear() == Q("second")
    ask(segue, server)
    server.cancelled()
    server.session.say(CANCELLED)
    d.say(ready=1)
    time.sleep(0.1)
    while not server.cancels.empty():
        server.cancelled()
    assert server.is_quiet()
    server.session.say(DONE)
    d.say(ready=1)


def test_p12_a_cancel_while_nothing_runs_is_sent_once(running):
    d, server, segue = running
    server.session.say(DONE)
    d.say(ready=1)
    ask(segue, server)
    assert server.cancelled() == cancel_request(server.key)
    assert server.is_quiet()
    d.say(Q("next"))
    assert server.hear() == Q("next")
    assert server.is_quiet()
    server.session.say(DONE)
    d.say(ready=1)


def test_p12_a_statement_that_has_been_running_is_cancelled_once(running):
    """A second signal would hit what its handler of the first does."""
    d, server, segue = running
    time.sleep(1.2)
    ask(segue, server)
    server.cancelled()
    assert server.is_quiet()
    server.session.say(CANCELLED)
    d.say(ready=1)


def test_p12_a_cancel_is_repeated_until_the_server_can_be_reached(faked):
    server = Server()
    fake, segue = faked(server)
    with Dialogue(segue.port).log_in("shop") as d:
        d.say(Q("long"))
        assert server.hear() == Q("long")
        time.sleep(1.2)  # runs for certain: one that got through would not be repeated
        fake.deaf()
        with raw(segue) as sock:
            sock.sendall(cancel_request(server.key))
            time.sleep(0.2)
            fake.listen()
            assert server.cancelled() == cancel_request(server.key)
            assert read_to_end(sock) == b""
        assert server.is_quiet()
        server.session.say(CANCELLED)
        d.say(ready=1)


def test_p11_a_cancel_for_another_process_is_forwarded(cluster, running):
    """Several segues behind a balancer: the one that is asked need not be the session's."""
    d, server, segue = running
    other = Segue(cluster, upstream=segue.upstream).start()
    try:
        ask(other, server)
        assert server.cancelled() == cancel_request(server.key)
        assert server.is_quiet(), "what runs there is not known here"
    finally:
        other.stop()
    server.session.say(CANCELLED)
    d.say(ready=1)


def test_p11_a_wrong_key_reaches_nobody_here(running):
    d, server, segue = running
    for wrong in (b"wrng", server.key[:-1] + b"?", server.key + b"x", server.key[:4]):
        if wrong == server.key or len(wrong) > 256:
            continue
        with raw(segue) as sock:
            sock.sendall(cancel_request(wrong))
            assert read_to_end(sock) == b""
        assert server.cancelled() == cancel_request(wrong), "forwarded: it may be right for another process"
    assert server.is_quiet()
    server.session.say(DONE)
    d.say(ready=1)


@pytest.mark.parametrize("reset", [False, True])
def test_p48_who_vanishes_is_cancelled_until_the_server_has_gone(running, reset):
    """The server would run the statement to its end, and notice only then."""
    d, server, _ = running
    if reset:
        d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    d.close()
    for _ in range(3):
        server.cancelled()
    assert server.hear() == X
    server.leave()


def test_p48_who_vanishes_inside_a_message_is_cancelled_and_nothing_is_made_up(running):
    d, server, _ = running
    d.say(Q("x" * 5000)[:4000])
    d.close()
    for _ in range(3):
        server.cancelled()
    server.session.say(CANCELLED)
    assert server.hear() in (None, "3995 of 5001 bytes"), "half a message, then the end of the stream"
    server.leave()


def test_p11_who_cancels_and_leaves_at_once(running):
    """The cancel is carried out also for a client that does not wait."""
    d, server, segue = running
    sock = socket.create_connection((HOST, segue.port))
    sock.sendall(cancel_request(server.key))
    sock.close()
    assert server.cancelled() == cancel_request(server.key)
    server.session.say(CANCELLED)
    d.say(ready=1)


def test_p12_a_statement_that_a_pause_holds_is_cancelled_when_it_goes_on(segue, database):
    """It has not reached the server, and its client gave it up."""
    with Dialogue(segue.port).log_in(database) as d:
        key = next(body for kind, body in d.messages if kind == b"K")
        segue.console.run(f"PAUSE {database}")
        d.say(Q("SELECT pg_sleep(1000)"))
        for _ in range(2):
            with raw(segue) as sock:
                sock.sendall(struct.pack("!ii", 8 + len(key), 80877102) + key)
                assert read_to_end(sock) == b"", "who cancels does not wait for the end of the pause"
        time.sleep(2.5)  # longer than a cancel is repeated otherwise
        segue.console.run(f"RESUME {database}")
        d.say(Q("SELECT 'next'"), ready=2)
        assert d.kinds.endswith(b"EZTDCZ")
        assert error_fields(next(body for kind, body in d.messages if kind == b"E"))["C"] == "57014"
