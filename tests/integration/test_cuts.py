"""Connections cut at every message and inside each, on both sides of segue (protocol.md 1, 47, 48).

A dialogue is recorded once, with a relay on either side of segue. Then it is held again and again, and each time one of the
relays cuts it: at a boundary, inside a header, inside a body; by an orderly end or a reset. Whatever is left standing must have
got whole messages, or the beginning of one that the other side itself never ended; a client that can be told is told; and
nothing of it is left in segue or in the server.

SEGUE_SOAK: so many cuts of each dialogue; by default a few of them, which SEGUE_SEED draws."""

import os
import random
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest

from certificates import Certificates
from cluster import HOST
from dialogue import DONE, B, C, D, E, P, Q, S, X, data, fail, startup
from proxy import PATIENCE_S
from cutting import BACK, FORWARD, Relay
from wire import TIMEOUT_S, error_fields

SEED, CUTS = int(os.environ.get("SEGUE_SEED", "1")), int(os.environ.get("SEGUE_SOAK", "25"))
SSL_REQUEST = struct.pack("!ii", 8, 80877103)

WHILE_S = 0.15  # what a client waits for an answer to what may not be a question any more

SETUP = """
CREATE TABLE t (a int, b text);
CREATE TABLE mapped (id serial PRIMARY KEY, nickname text);
INSERT INTO mapped (nickname) VALUES ('one'), ('two');
"""

# What is said, and the kinds of messages that are waited for after each.
PLAIN = {
    "simple": [(Q("begin"), b"Z"), (Q("insert into t values (1, 'x'); select * from t; select nope"), b"EZ"), (Q("rollback"), b"Z"),
               (Q(""), b"IZ"), (Q("select 1; select 2"), b"TDTDZ"), (X, b"")],
    "extended": [(P("select a, b from t where a > $1", "s") + D("S", "s") + S, b"1tTZ"),
                 (B([b"0"], "s", "p") + D("P", "p") + E("p", 1) + E("p") + C("P", "p") + S, b"2TC3Z"),
                 (P("selec") + B() + E() + S, b"EZ"), (C("S", "s") + S + X, b"3Z")],
    "copy_in": [(Q("copy t from stdin"), b"G"), (data(b"1\tone\n") + data(b"2\ttw"), b""), (data(b"o\n") + DONE, b"CZ"),
                (P("copy t from stdin") + B() + E() + S, b"G"), (data(b"3\tthree\n") + fail("enough") + S, b"EZ"), (X, b"")],
    "copy_out": [(Q("copy (select g, repeat('x', 2000) from generate_series(1, 30) g) to stdout"), b"HdcCZ"), (X, b"")],
    "pipeline": [(b"".join(P(f"select {i}, repeat('y', 500)") + B() + D("P") + E() + (S if i % 4 == 0 else b"")
                           for i in range(12)) + S + X, b"ZZZZ")],
    "large": [(Q("select '" + "z" * 100000 + "', repeat('w', 200000)"), b"DCZ"),
              (P("select $1::text") + B([b"v" * 100000]) + E() + S + X, b"DCZ")],
}
MAPPED = {
    "rewritten": [(Q("insert into mapped (nickname) values ('new') returning nickname"), b"DCZ"),
                  (P("update mapped set nickname = $1 where id = $2 returning *", "s") + S, b"1Z"),
                  (B([b"three", b"1"], "s") + D("P") + E() + S, b"2TDCZ"), (Q("alter table mapped drop column nickname"), b"EZ"),
                  (Q("begin; update mapped set nickname = 'torn'; select nickname from mapped"), b"DCZ"), (Q("commit"), b"Z"), (X, b"")],
    "rewritten_copy": [(Q("copy mapped (nickname) from stdin"), b"G"),
                       (data(b"a\nb\n") + data(b"half"), b""), (data(b" done\n") + DONE, b"CZ"),
                       (Q("copy mapped (id, nickname) to stdout"), b"HdcCZ"), (X, b"")],
    "asked": [(Q("create temp table passing (id int)"), b"CZ"), (Q("select nickname from mapped limit 1"), b"DCZ"),
              (P("select nickname from mapped where id = $1") + B([b"1"]) + E() + S, b"12DCZ"), (X, b"")],
}


# ---- What a stream is made of ----


def messages(stream, is_frontend):
    """Where each message ends, and the beginning of one at the end. A client's begin with packets that have no type."""
    at, ends, is_packet = 0, [], is_frontend
    while True:
        head = 4 if is_packet else 5
        if len(stream) - at < head:
            break
        size = struct.unpack_from("!i", stream, at + head - 4)[0] + head - 4
        if len(stream) - at < size:
            break
        is_packet = is_packet and stream[at:at + size] == SSL_REQUEST
        at += size
        ends.append(at)
    return ends, bytes(stream[at:])


def records(stream):
    """Where each record of TLS ends; in front of them stands a packet or its answer."""
    at, ends = (8 if stream.startswith(SSL_REQUEST) else 1), []
    while at < len(stream):
        ends.append(at)
        at += 5 + struct.unpack_from("!H", stream, at + 3)[0]
    return ends + [at]


def places(ends, draw):
    """Each end; within each piece one place in its first bytes and one further back."""
    begin = 0
    for end in ends:
        yield end
        if end - begin > 1:
            yield begin + draw.randint(1, min(4, end - begin - 1))
            yield begin + draw.randint(1, end - begin - 1)
        begin = end


# ---- The dialogue ----


class Client:
    """Says what the dialogue says, waits for what it waits for, until the other side is gone."""

    def __init__(self, port):
        self.said, self.got, self.is_over = b"", b"", False
        self.socket = socket.create_connection((HOST, port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def encrypt(self, context):
        if context:
            self.socket.sendall(SSL_REQUEST)
            if self.socket.recv(1) != b"S":
                raise ConnectionError("cut in front of TLS")
            self.socket = context.wrap_socket(self.socket)

    def _read(self):
        try:
            more = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            more = b""
        self.is_over = not more
        self.got += more

    def kinds_since(self, at):
        ends, _ = messages(self.got[at:], False)
        return bytes(self.got[at + begin] for begin in [0, *ends][:len(ends)])

    def hold(self, dialogue):
        for content, kinds in dialogue:
            at = len(self.got)
            try:
                self.socket.sendall(content)
                self.said += content
            except (ConnectionError, ssl.SSLError):
                pass
            while not self.is_over and not is_in(kinds, self.kinds_since(at)):
                self._read()
        while not self.is_over:
            self._read()

    def close(self):
        self.socket.close()


def is_in(kinds, came):
    """In this order, with others between."""
    came = iter(came)
    return all(kind in came for kind in kinds)


class Stage:
    """Client, relay, segue, relay, server."""

    def __init__(self, cluster, start_segue, database, control=None, options=()):
        self.near, self.database, self.context = None, database, None
        self.far = Relay(cluster.port)
        self.segue = start_segue(control=control, upstream=f"host={HOST} port={self.far.port} sslmode=disable", options=options)
        self.near = Relay(self.segue.port)
        self.runs = 0

    def hold(self, dialogue, near_cut=None, far_cut=None):
        """What went over the wires, near and far, and the client."""
        name = self._next_name()
        self.near.arm(b"", near_cut)
        self.far.arm(name.encode(), far_cut)
        client = self._talk(name, dialogue)
        self.near.wait_over()
        self.far.wait_over()
        far = self.far.session
        return self.near.session.said, far.said if far else [b"", b""], client

    def hold_spoilt(self, dialogue, direction, spoil, piece):
        """Where one piece of what the client or the server says becomes something else."""
        name = self._next_name()
        harm = (direction, spoil, piece)
        self.near.arm(b"", spoil=harm if direction == FORWARD else None)
        self.far.arm(name.encode(), spoil=harm if direction == BACK else None)
        self._talk(name, dialogue, WHILE_S)
        self.near.wait_over()
        self.far.wait_over()

    def _next_name(self):
        self.runs += 1
        return f"run {self.runs:09}"

    def _talk(self, name, dialogue, timeout_s=TIMEOUT_S):
        client = Client(self.near.port)
        client.socket.settimeout(timeout_s)
        try:
            client.encrypt(self.context)
            client.hold([(startup("postgres", self.database, application_name=name), b"Z"), *dialogue])
        except (ConnectionError, ssl.SSLError):
            pass
        except TimeoutError:
            assert timeout_s < TIMEOUT_S, f"{name}: nothing comes after {client.got[-60:]!r}"
        finally:
            client.close()
        return client

    def descriptors(self):
        """What it has open; but for /dev/null, which libuv keeps in reserve for each loop once it has needed it."""
        names = {}
        for entry in Path(f"/proc/{self.segue.process.pid}/fd").iterdir():
            try:
                names[entry.name] = os.readlink(entry)
            except FileNotFoundError:
                pass  # closed meanwhile
        return {number: name for number, name in names.items() if name != "/dev/null"}

    def close(self):
        for relay in (self.near, self.far):
            relay.close()


@pytest.fixture
def make_stage(cluster, start_segue, database, direct):
    direct.cursor().execute(SETUP)
    made = []

    def make(**arguments):
        made.append(Stage(cluster, start_segue, database, **arguments))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


# ---- What must be true of each ----


def check_server_side(near, far, is_plain, is_reset):
    """What has reached the server. A reset takes with it what has not been read."""
    sent, arrived = bytes(near[FORWARD]), bytes(far[FORWARD])
    _, clients_rest = messages(sent, True)
    _, rest = messages(arrived, True)
    if rest:
        is_theirs = rest in sent if is_reset else clients_rest.startswith(rest)
        assert is_theirs, f"{arrived[-60:]!r} of {sent[-60:]!r}"
    if is_plain:
        theirs = arrived if sent.startswith(arrived) else arrived.removesuffix(X)
        assert sent.startswith(theirs), f"{arrived[-60:]!r} of {sent[-60:]!r}"


def check_client_side(far, got, is_plain, is_reset, is_bye):
    """What the client has been given."""
    said = bytes(far[BACK])
    ends, rest = messages(got, False)
    _, servers_rest = messages(said, False)
    assert not rest or (rest in said if is_reset else servers_rest.startswith(rest)), f"{got[-60:]!r} of {said[-60:]!r}"
    begins = [0, *ends]
    last = got[begins[-2]:] if len(ends) > 0 else b""
    is_ours = last[:1] == b"E" and error_fields(last[5:]).get("V") == "FATAL"
    if not rest and not is_reset and not is_bye:
        assert is_ours and error_fields(last[5:])["C"] == "08006", got[-100:]
    if is_plain:
        theirs = got[:begins[-2]] if is_ours else got
        assert said.startswith(theirs), f"{got[-60:]!r} of {said[-60:]!r}"


def what_is_open(stage, direct):
    """Sessions at the server, descriptors of segue."""
    cursor = direct.cursor()
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                   " AND backend_type = 'client backend'")
    return cursor.fetchone()[0], stage.descriptors()


def quiet_again(stage, direct, before):
    """No descriptor is left, and no session at the server."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        now = what_is_open(stage, direct)
        if now[0] <= before[0] and len(now[1]) <= len(before[1]):
            return
        assert time.monotonic() < deadline, f"open are {now}, before {before}"
        time.sleep(0.05)


def cuts_of(stage, dialogue, draw):
    """Where this one can be cut: the relay, the direction, the byte."""
    near, far, _ = stage.hold(dialogue)
    for which, said, is_tls in (("near_cut", near, stage.context), ("far_cut", far, None)):
        for direction in (FORWARD, BACK):
            stream = bytes(said[direction])
            ends = records(stream) if is_tls else messages(stream, direction == FORWARD)[0]
            assert ends and ends[-1] == len(stream)
            yield from ((which, (direction, place, draw.random() < 0.3)) for place in places(ends, draw))


def cut_everywhere(stage, direct, name, dialogue, is_plain):
    draw = random.Random(f"{SEED} {name}")
    before = what_is_open(stage, direct)
    cuts = list(cuts_of(stage, dialogue, draw))
    draw.shuffle(cuts)
    for which, cut in cuts[:CUTS]:
        near, far, client = stage.hold(dialogue, **{which: cut})
        where = f"{name}, {which} {cut}, SEGUE_SEED={SEED}"
        try:
            if which == "far_cut":
                check_client_side(far, client.got, is_plain, cut[2], client.said.endswith(X))
            elif stage.context:
                assert messages(far[FORWARD], True)[1] == b"", "a record that is not whole says nothing"
            else:
                check_server_side(near, far, is_plain, cut[2])
        except AssertionError as failure:
            raise AssertionError(f"{where}: {failure}") from failure
    quiet_again(stage, direct, before)
    got = stage.hold(dialogue)[2].got
    assert messages(got, False)[1] == b"" and got[-6:] == b"Z\0\0\0\5I", "and the next one is served"


@pytest.mark.parametrize("name", PLAIN)
def test_p48_p47_cut(make_stage, direct, name):
    cut_everywhere(make_stage(), direct, name, PLAIN[name], True)


@pytest.mark.parametrize("name", MAPPED)
def test_p48_p47_cut_where_statements_are_rewritten(make_stage, database, direct, name):
    stage = make_stage(control=database)
    stage.segue.console.run("CREATE MIGRATION m ON mapped RENAME COLUMN nickname TO username")
    stage.segue.console.start("m")
    cut_everywhere(stage, direct, name, MAPPED[name], False)
    cursor = direct.cursor()
    cursor.execute("SELECT count(*), count(*) FILTER (WHERE nickname IS DISTINCT FROM username) FROM mapped")
    rows, torn = cursor.fetchone()
    assert rows >= 2 and torn == 0


def test_p48_p47_cut_inside_tls(make_stage, direct, tmp_path):
    certificates = Certificates(tmp_path)
    stage = make_stage(options=certificates.options("require"))
    stage.context = ssl.create_default_context(cafile=str(certificates.authority[1]))
    stage.context.check_hostname = False
    cut_everywhere(stage, direct, "tls", PLAIN["simple"] + [], True)
