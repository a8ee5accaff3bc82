"""Hundreds of clients that do what no client should: segue's memory is bounded, others are served, nothing is left.

SEGUE_SOAK: how many messages are spoilt in each dialogue; SEGUE_SEED: which."""

import os
import random
import socket
import struct
import threading

import pytest

from cluster import HOST
from dialogue import Dialogue, Q, X, raw, startup
from fake import OK, READY
from proxy import PATIENCE_S
from cutting import BACK, FORWARD
from test_cuts import MAPPED, PLAIN, SETUP, Stage, quiet_again, what_is_open
from waiting import until
from wire import message

SEED, SPOILT = int(os.environ.get("SEGUE_SEED", "1")), int(os.environ.get("SEGUE_SOAK", "4"))
# The sanitizers have memory of their own.
SANITIZED = bool(os.environ.get("SEGUE_SANITIZE"))
CLIENTS, RESULT = 500, message(b"D", b"\0\1" + struct.pack("!i", 60000) + b"x" * 60000)
KEY = message(b"K", struct.pack("!i", 1) + b"keyy")


class Torrent:
    """A server whose every answer is 20 MB long, until it is told to stop; and one row to a client called `quick`."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.is_over = False

    def __call__(self, line):
        packet = line.startup()
        if packet[4:8] == struct.pack("!i", 80877102):
            return
        line.say(OK, KEY, READY)
        line.read_message()
        is_quick = b"quick" in packet
        try:
            for i in range(1 if is_quick else 330):
                if self.is_over:
                    return
                line.say(RESULT)
                if i == 0:
                    self.begun.release()
            line.say(message(b"C", b"SELECT 1\0"), READY)
            line.read_to_end()
        except OSError:
            pass  # the client has gone, and segue with it


def descriptors(segue):
    return len([fd for fd in os.listdir(f"/proc/{segue.process.pid}/fd")])


def test_p51_many_clients_that_stop_reading(faked):
    """What a client does not take stays with the server: one chunk of it is held, whatever the answer's length."""
    torrent = Torrent()
    _, segue = faked(torrent)
    with Dialogue(segue.port).log_in("shop", user="quick") as d:
        d.say(Q("x"), ready=1)
    before, open_before = segue.memory_kb(), descriptors(segue)
    crowd = []
    for _ in range(CLIENTS):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((HOST, segue.port))
        sock.sendall(startup("slow", "shop") + Q("x"))
        crowd.append(sock)
    for _ in range(CLIENTS + 1):
        assert torrent.begun.acquire(timeout=PATIENCE_S)
    with Dialogue(segue.port).log_in("shop", user="quick") as d:
        d.say(Q("x"), ready=1)  # and this one is served meanwhile
    held = segue.memory_kb() - before
    assert SANITIZED or held < CLIENTS * 160, f"{held} kB for {CLIENTS} clients, whose answers are 10 GB"
    torrent.is_over = True
    for sock in crowd:
        sock.close()
    until(lambda: descriptors(segue) <= open_before + 2, "descriptors are left")
    assert SANITIZED or segue.memory_kb() - before < 40000


def test_p13_start_ups_that_dawdle(start_segue, database):
    """A byte now and then. Who speaks at an ordinary pace is served among them; all are gone when their time is up."""
    segue = start_segue(options=["--set", "client_login_timeout=2"])
    packet = startup("postgres", database)
    open_before = descriptors(segue)
    crowd = [raw(segue) for _ in range(200)]
    for at in range(0, 20, 5):
        for sock in crowd:
            sock.sendall(packet[at:at + 5])
        with Dialogue(segue.port).log_in(database) as d:
            d.say(Q("select 1"), ready=1).say_last(X)
    for sock in crowd:
        assert sock.recv(100) == b""
        sock.close()
    until(lambda: descriptors(segue) <= open_before + 2, "descriptors are left")


# ---- Spoilt messages ----


def spoil(draw, content):
    """Another byte, one less, one more, or a stretch of anything."""
    kind, at = draw.choice("bbbdis"), draw.randrange(len(content))
    if kind == "b":
        return content[:at] + bytes([draw.choice([0, 255, content[at] ^ 1, draw.randrange(256)])]) + content[at + 1:]
    if kind == "d":
        return content[:at] + content[at + 1:]
    if kind == "i":
        return content[:at] + bytes([draw.randrange(256)]) + content[at:]
    return content[:at] + draw.randbytes(draw.randint(1, 40))


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("name", ["extended", "copy_in", "rewritten", "asked"])
def test_what_is_spoilt_ends_or_is_answered(cluster, start_segue, database, direct, name, side):
    """Anything may come of it but a crash, a hang or a leak: the sanitizers listen. Side: whose message is spoilt."""
    direct.cursor().execute(SETUP)
    stage = Stage(cluster, start_segue, database, control=database if name in MAPPED else None)
    try:
        if name in MAPPED:
            stage.segue.console.run("CREATE MIGRATION m ON mapped RENAME COLUMN nickname TO username")
            stage.segue.console.start("m")
        before, draw = what_is_open(stage, direct), random.Random(f"{SEED} {name} {side}")
        dialogue = {**PLAIN, **MAPPED}[name]
        for _ in range(SPOILT):
            stage.hold_spoilt(dialogue, FORWARD if side == "client" else BACK, lambda content: spoil(draw, content),
                              draw.randrange(6))
            assert stage.segue.alive()
        quiet_again(stage, direct, before)
        assert stage.hold(dialogue)[2].got.endswith(b"Z\0\0\0\5I"), "the next one is served"
    finally:
        stage.close()
