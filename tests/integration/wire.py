"""A small protocol client for what drivers hide: named prepared statements, pipelines, raw bytes."""

import socket
import struct

from cluster import HOST

TIMEOUT_S = 120


class ServerError(Exception):
    def __init__(self, fields):
        super().__init__(f"{fields.get('S')} {fields.get('C')}: {fields.get('M')}")
        self.fields = fields
        self.sqlstate = fields.get("C")


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def cstr(text):
    return text.encode() + b"\0"


def error_fields(body):
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


class Wire:
    def __init__(self, port, database, user="postgres", host=HOST, **parameters):
        self.socket = socket.create_connection((host, port), TIMEOUT_S)
        self.buffer = b""
        self.parameters = {}
        settings = {"user": user, "database": database, **parameters}
        body = struct.pack("!i", 3 << 16) + b"".join(cstr(k) + cstr(v) for k, v in settings.items()) + b"\0"
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.until_ready()

    # ---- Messages ----

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def _fill(self, size):
        while len(self.buffer) < size:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            self.buffer += more

    def receive(self):
        """One message: (kind, body)."""
        self._fill(5)
        kind, length = self.buffer[:1], struct.unpack("!i", self.buffer[1:5])[0]
        self._fill(1 + length)
        body, self.buffer = self.buffer[5:1 + length], self.buffer[1 + length:]
        if kind == b"S":
            name, value = body.split(b"\0")[:2]
            self.parameters[name.decode()] = value.decode()
        return kind, body

    def until_ready(self):
        """Everything up to ReadyForQuery, which is the last one. FATAL raises at once: nothing follows it."""
        got = []
        while True:
            kind, body = self.receive()
            got.append((kind, body))
            if kind == b"E" and error_fields(body).get("V") == "FATAL":
                raise ServerError(error_fields(body))
            if kind == b"Z":
                return got

    # ---- What a driver does with them ----

    def parse(self, name, sql, oids=()):
        return message(b"P", cstr(name) + cstr(sql) + struct.pack(f"!h{len(oids)}i", len(oids), *oids))

    def bind(self, statement, values=(), portal=""):
        body = cstr(portal) + cstr(statement) + struct.pack("!hh", 0, len(values))
        for value in values:
            data = None if value is None else str(value).encode()
            body += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
        return message(b"B", body + struct.pack("!h", 0))

    def describe(self, statement):
        return message(b"D", b"S" + cstr(statement))

    def execute(self, portal="", rows=0):
        return message(b"E", cstr(portal) + struct.pack("!i", rows))

    def close_statement(self, name):
        return message(b"C", b"S" + cstr(name))

    def sync(self):
        return message(b"S")

    def prepare(self, name, sql):
        """Parse and Describe; the labels of its rows, None when it gives none."""
        self.send(self.parse(name, sql), self.describe(name), self.sync())
        return Answer(self.until_ready()).raise_error().labels

    def run(self, name, *values):
        """Bind and Execute of a statement prepared before: no Describe, as a driver that knows the shape."""
        self.send(self.bind(name, values), self.execute(), self.sync())
        return Answer(self.until_ready()).raise_error()

    def query(self, sql):
        self.send(message(b"Q", cstr(sql)))
        return Answer(self.until_ready())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.send(message(b"X"))
        except OSError:
            pass
        self.socket.close()


class Answer:
    """What came back for one Query or one batch up to Sync."""

    def __init__(self, messages):
        self.messages = messages
        self.labels, self.rows, self.tags, self.error = None, [], [], None
        for kind, body in messages:
            if kind == b"T":
                self.labels = row_labels(body)
            elif kind == b"D":
                self.rows.append(row_values(body))
            elif kind == b"C":
                self.tags.append(body[:-1].decode())
            elif kind == b"E":
                self.error = ServerError(error_fields(body))
            elif kind == b"Z":
                self.status = body.decode()

    def raise_error(self):
        if self.error is not None:
            raise self.error
        return self

    @property
    def kinds(self):
        return b"".join(kind for kind, _ in self.messages)


def row_labels(body):
    labels, at = [], 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        end = body.index(b"\0", at)
        labels.append(body[at:end].decode())
        at = end + 1 + 18
    return labels


def row_values(body):
    values, at = [], 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        size = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        values.append(None if size < 0 else body[at:at + size].decode())
        at += max(size, 0)
    return tuple(values)
