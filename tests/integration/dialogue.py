"""Raw conversations, recorded message by message, so that two ways to the same server can be compared byte for byte."""

import random
import selectors
import socket
import struct

from cluster import HOST
from wire import TIMEOUT_S, cstr, message

# ---- Client messages ----


def Q(sql):
    return message(b"Q", cstr(sql))


def P(sql, name="", oids=()):
    return message(b"P", cstr(name) + cstr(sql) + struct.pack(f"!h{len(oids)}I", len(oids), *oids))


def B(values=(), statement="", portal="", formats=(), results=()):
    """Values are bytes, or None for NULL."""
    body = cstr(portal) + cstr(statement) + struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    body += struct.pack("!h", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message(b"B", body + struct.pack(f"!h{len(results)}h", len(results), *results))


def D(kind, name=""):
    return message(b"D", kind.encode() + cstr(name))


def C(kind, name=""):
    return message(b"C", kind.encode() + cstr(name))


def E(portal="", rows=0):
    return message(b"E", cstr(portal) + struct.pack("!i", rows))


def data(content):
    return message(b"d", content)


def fail(reason):
    return message(b"f", cstr(reason))


S, H, DONE, X = message(b"S"), message(b"H"), message(b"c"), message(b"X")


def startup(user, database, version=3 << 16, **parameters):
    settings = {"user": user, "database": database, **parameters}
    body = struct.pack("!i", version) + b"".join(cstr(k) + cstr(v) for k, v in settings.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


# ---- Without a conversation ----


def raw(segue):
    """A connection to it, and no more."""
    sock = socket.create_connection((HOST, segue.port), TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_to_end(sock):
    content = b""
    while True:
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            return content
        if not more:
            return content
        content += more


def read_exactly(sock, size):
    content = b""
    while len(content) < size:
        more = sock.recv(size - len(content))
        assert more, content
        content += more
    return content


# ---- The conversation ----


class Closed(Exception):
    """The other side ended the connection before what was waited for came."""


class Dialogue:
    """cut: the bytes are sent in pieces of random length up to this, each in a packet of its own; None: all at once."""

    def __init__(self, port, cut=None):
        self.socket = socket.create_connection((HOST, port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.random = random.Random(1)
        self.cut = cut
        self.partial = b""
        self.messages = []  # all that came: (kind, body)
        self.at = 0  # those before it have been waited for
        self.is_over = False

    def log_in(self, database, user="postgres", **parameters):
        self.say(startup(user, database, **parameters), ready=1)
        return self

    def _take(self):
        """Reads what is there."""
        try:
            more = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            more = b""
        self.is_over = not more
        self.partial += more
        at = 0
        while len(self.partial) - at >= 5:
            end = at + 1 + struct.unpack_from("!i", self.partial, at + 1)[0]
            if end > len(self.partial):
                break
            self.messages.append((self.partial[at:at + 1], self.partial[at + 5:end]))
            at = end
        self.partial = self.partial[at:]

    def _give(self, rest):
        """Sends what fits; the rest."""
        piece = rest if self.cut is None else rest[:self.random.randint(1, self.cut)]
        try:
            return rest[self.socket.send(piece):]
        except BlockingIOError:
            return rest
        except (BrokenPipeError, ConnectionResetError):
            return memoryview(b"")

    def _pump(self, content, enough):
        """Sends and receives at once, as a client must that does not want to deadlock on a long pipeline."""
        rest = memoryview(content)
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            while rest or not enough():
                if self.is_over:
                    if enough():
                        return
                    raise Closed(self.messages[-3:])
                selector.modify(self.socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if rest else 0))
                events = selector.select(TIMEOUT_S)
                assert events, f"nothing came after {self.messages[-5:]!r}"
                if events[0][1] & selectors.EVENT_READ:
                    self._take()
                if rest and events[0][1] & selectors.EVENT_WRITE:
                    rest = self._give(rest)

    def say(self, *content, ready=0, kinds=b""):
        """Sends, then waits until as many ReadyForQuery have come and then messages of these kinds in this order."""

        def enough():
            at, wanted = self.at, [b"Z"] * ready + [kinds[i:i + 1] for i in range(len(kinds))]
            for kind in wanted:
                while at < len(self.messages) and self.messages[at][0] != kind:
                    at += 1
                if at == len(self.messages):
                    return False
                at += 1
            enough.at = at
            return True

        self._pump(b"".join(content), enough)
        self.at = max(self.at, enough.at)
        return self

    def say_until(self, content, enough):
        """Sends, then waits until enough() says so."""
        self._pump(content, enough)
        self.at = len(self.messages)
        return self

    def say_last(self, *content):
        """Sends, then waits for the other side to close."""
        return self.say_until(b"".join(content), lambda: self.is_over)

    def no_more(self):
        """Proves that nothing is left over: what an extra Sync is answered with is one ReadyForQuery."""
        before = len(self.messages)
        self.say(S, ready=1)
        assert self.messages[before:] == [(b"Z", self.messages[-1][1])], self.messages[before:][:5]
        return self

    def record(self):
        """All that came, without what differs from session to session."""
        masked = [(kind, b"" if kind == b"K" else body) for kind, body in self.messages]
        return masked, bytes(self.partial), self.is_over

    @property
    def kinds(self):
        return b"".join(kind for kind, _ in self.messages)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
