"""A server that says exactly what a test wants, when it wants: what a real one does only by accident."""

import socket
import struct
import threading

from cluster import HOST
from wire import TIMEOUT_S, cstr, message

OK = message(b"R", struct.pack("!i", 0))
READY = message(b"Z", b"I")
KEY = message(b"K", struct.pack("!i", 4711) + b"keyy")


class SilentConnection(ConnectionError):
    """As PostgreSQL takes no note of: a cancel whose reason went away while it connected, a probe."""


class Line:
    """One connection of segue to the fake server."""

    def __init__(self, sock):
        self.socket = sock
        sock.settimeout(TIMEOUT_S)

    def startup(self):
        """The first packet, whole."""
        if not self.socket.recv(1, socket.MSG_PEEK):
            raise SilentConnection("closed without a word")
        head = self.read(4)
        return head + self.read(struct.unpack("!i", head)[0] - 4)

    def read(self, size):
        content = b""
        while len(content) < size:
            more = self.socket.recv(size - len(content))
            if not more:
                raise ConnectionError(f"{len(content)} of {size} bytes")
            content += more
        return content

    def read_message(self):
        head = self.read(5)
        return head + self.read(struct.unpack("!i", head[1:])[0] - 4)

    def read_to_end(self):
        content = b""
        while True:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return content
            if not more:
                return content
            content += more

    def say(self, *content):
        self.socket.sendall(b"".join(content))

    def welcome(self):
        packet = self.startup()
        self.say(OK, KEY, READY)
        return packet

    def close(self):
        self.socket.close()


class FakeServer:
    """Each connection is given to script(line) in a thread of its own. What a script returns or raises is collected."""

    def __init__(self, script):
        self.script = script
        self.results, self.failures = [], []
        self.done = threading.Condition()
        self.port = 0
        self.listen()

    @property
    def conninfo(self):
        return f"host={HOST} port={self.port} sslmode=disable"

    def listen(self):
        self.listener = socket.create_server((HOST, self.port), backlog=1000)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def deaf(self):
        """Refuses connections until listen is called again."""
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self.listener.close()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Line(sock),), daemon=True).start()

    def _serve(self, line):
        result = failure = None
        try:
            result = self.script(line)
        except SilentConnection:
            line.close()
            return
        except Exception as error:  # pylint: disable=broad-except
            failure = error
        line.close()
        with self.done:
            (self.failures if failure else self.results).append(failure or result)
            self.done.notify_all()

    def wait(self, count=1):
        """What the first connections' scripts returned."""
        with self.done:
            assert self.done.wait_for(lambda: len(self.results) + len(self.failures) >= count, TIMEOUT_S)
            assert not self.failures, self.failures
            return self.results

    def close(self):
        self.listener.close()


def error(sqlstate, text, severity=b"FATAL"):
    fields = b"S" + severity + b"\0V" + severity + b"\0" + (b"C" + cstr(sqlstate) if sqlstate else b"") + b"M" + cstr(text)
    return message(b"E", fields + b"\0")
