"""A relay in front of PostgreSQL that remembers the statements passing through, with the values bound to them."""

import datetime
import socket
import struct
import threading

_EPOCH = datetime.datetime(2000, 1, 1)
_ARRAYS = {1016: 20, 1007: 23, 1005: 21, 1009: 25, 1015: 1043}


def _binary(raw, oid):
    """Text of a value that was sent in binary."""
    if oid in (20, 21, 23, 26):
        return str(int.from_bytes(raw, "big", signed=True))
    if oid == 16:
        return "t" if raw[0] else "f"
    if oid in (1114, 1184):
        moment = _EPOCH + datetime.timedelta(microseconds=int.from_bytes(raw, "big", signed=True))
        return moment.isoformat(" ") + ("+00" if oid == 1184 else "")
    if oid in _ARRAYS:
        count, at, items = struct.unpack_from("!i", raw, 12)[0] if raw[:4] != b"\0\0\0\0" else 0, 20, []
        for _ in range(count):
            size = struct.unpack_from("!i", raw, at)[0]
            items.append(_binary(raw[at + 4:at + 4 + size], _ARRAYS[oid]))
            at += 4 + size
        return "{" + ",".join(items) + "}"
    if oid in (25, 1043, 1042, 114, 705):
        return raw.decode()
    raise ValueError(f"a binary value of type {oid} is not known here: {raw!r}")


class _Client:
    """The client's side of one connection: cuts it into messages and reads those that carry statements."""

    def __init__(self, on_statement):
        self.buffer, self.started, self.statements, self.on_statement = b"", False, {}, on_statement

    def feed(self, data):
        self.buffer += data
        while True:
            head = 1 if self.started else 0
            if len(self.buffer) < head + 4:
                return
            size = head + struct.unpack_from("!i", self.buffer, head)[0]
            if len(self.buffer) < size:
                return
            message, self.buffer = self.buffer[:size], self.buffer[size:]
            if self.started:
                self.message(message[:1], message[5:])
            else:
                self.started = struct.unpack_from("!i", message, 4)[0] == 196608

    def message(self, kind, body):
        if kind == b"Q":
            self.on_statement(body[:-1].decode(), None, None)
        elif kind == b"P":
            name, sql, types = body.split(b"\0", 2)
            count = struct.unpack_from("!h", types)[0]
            self.statements[name] = (sql.decode(), struct.unpack_from(f"!{count}I", types, 2))
        elif kind == b"B":
            _, name, rest = body.split(b"\0", 2)
            sql, types = self.statements[name]
            self.on_statement(sql, types, self.values(rest))

    @staticmethod
    def values(rest):
        """[(is binary, bytes or None)]"""
        count = struct.unpack_from("!h", rest)[0]
        formats = struct.unpack_from(f"!{count}h", rest, 2)
        at, found = 2 + 2 * count, []
        number = struct.unpack_from("!h", rest, at)[0]
        at += 2
        for i in range(number):
            size = struct.unpack_from("!i", rest, at)[0]
            at += 4
            binary = bool(formats and formats[i if len(formats) > 1 else 0])
            found.append((binary, None if size < 0 else rest[at:at + size]))
            at += max(size, 0)
        return found


class Relay:
    """on_answer: called with what the server says, a connection's next bytes at a time."""

    def __init__(self, upstream_port, on_answer=lambda data: None):
        self.upstream_port, self.on_answer = upstream_port, on_answer
        self.seen, self.lock = [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def take(self, types_of):
        """[(sql, values as text or None)] since the last time. types_of: asks the server for what the client left open."""
        with self.lock:
            seen, self.seen = self.seen, []
        return [(sql, None if values is None else self._texts(sql, types, values, types_of)) for sql, types, values in seen]

    @staticmethod
    def _texts(sql, types, values, types_of):
        if any(binary for binary, _ in values) and (len(types) < len(values) or 0 in types):
            types = types_of(sql)
        return [None if raw is None else _binary(raw, types[i]) if binary else raw.decode()
                for i, (binary, raw) in enumerate(values)]

    def _remember(self, sql, types, values):
        with self.lock:
            self.seen.append((sql, types, values))

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.upstream_port))
            reader = _Client(self._remember)
            threading.Thread(target=self._pump, args=(client, server, reader.feed), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, self.on_answer), daemon=True).start()

    @staticmethod
    def _pump(source, target, look):
        try:
            while data := source.recv(65536):
                look(data)
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
