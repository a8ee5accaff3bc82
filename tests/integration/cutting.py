"""A relay that records both directions of a session, and does it harm when it is told to: cuts it after so many bytes of one
direction, at whatever place of a message that is, or spoils a piece of what it hands on."""

import selectors
import socket
import struct
import threading

from cluster import HOST
from wire import TIMEOUT_S

CANCEL = struct.pack("!i", 80877102)
FORWARD, BACK = 0, 1  # from who connected; from who was connected to


class Pair:
    """A connection and the one behind it. said: what has been handed on, by direction."""

    def __init__(self, sock, target):
        self.sockets = [sock, socket.create_connection((HOST, target), TIMEOUT_S)]
        for one in self.sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cut, self.spoil, self.pieces = None, None, 0
        self.said = [bytearray(), bytearray()]
        self.has_ended = [False, False]
        self.over = threading.Event()

    def room(self, direction):
        """How much may still be handed on; None: as much as comes."""
        if self.cut is None or self.cut[0] != direction:
            return None
        return self.cut[1] - len(self.said[direction])

    def is_cut(self):
        return self.cut is not None and self.room(self.cut[0]) <= 0


class Relay:
    def __init__(self, target):
        self.target, self.name, self.cut, self.spoil, self.session, self.pairs = target, b"", None, None, None, []
        self.listener = socket.create_server((HOST, 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.waker, wake = socket.socketpair()
        self.selector.register(wake, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def arm(self, name, cut=None, spoil=None):
        """The next session that begins with a packet with this in it is recorded as session. cut: direction, bytes, reset (or an
        orderly end). spoil: direction, what it does to content, to which of the pieces that come."""
        self.spoil = spoil
        self.pairs, self.name, self.cut, self.session = [], name, cut, None

    def wait_over(self):
        """Until everything that came since it was armed has ended."""
        for pair in list(self.pairs):
            assert pair.over.wait(TIMEOUT_S), f"still open after {bytes(pair.said[FORWARD][-50:])!r}"

    def close(self):
        self.waker.close()
        self.thread.join()
        self.listener.close()

    # ---- In its thread ----

    def _run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                key.data()

    def _accept(self):
        sock, _ = self.listener.accept()
        try:
            pair = Pair(sock, self.target)
        except OSError:
            sock.close()
            return
        self.pairs.append(pair)
        for direction in (FORWARD, BACK):
            self.selector.register(pair.sockets[direction], selectors.EVENT_READ, lambda d=direction: self._read(pair, d))

    def _read(self, pair, direction):
        if pair.over.is_set():
            return
        source, target = pair.sockets[direction], pair.sockets[1 - direction]
        try:
            more = source.recv(65536)
            if more and not pair.said[FORWARD] and self.name in more and more[4:8] != CANCEL:
                # Who is cut in front of the server's first word tries again, and then this is the session.
                self.session, pair.cut, pair.spoil, self.cut, self.spoil = pair, self.cut, self.spoil, None, None
            more = self._spoilt(pair, direction, more[:pair.room(direction)])
            target.sendall(more)
        except OSError:
            self._kill(pair)
            return
        pair.said[direction] += more
        if pair.is_cut():
            self._kill(pair)
        elif not more:
            self._end(pair, direction)

    @staticmethod
    def _spoilt(pair, direction, content):
        if not pair.spoil or pair.spoil[0] != direction or not content:
            return content
        pair.pieces += 1
        return pair.spoil[1](content) if pair.pieces == pair.spoil[2] + 1 else content

    def _end(self, pair, direction):
        pair.has_ended[direction] = True
        self.selector.unregister(pair.sockets[direction])
        if all(pair.has_ended):
            self._kill(pair, is_unregistered=True)
            return
        try:
            pair.sockets[1 - direction].shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _kill(self, pair, is_unregistered=False):
        for direction, sock in enumerate(pair.sockets):
            if not is_unregistered and not pair.has_ended[direction]:
                self.selector.unregister(sock)
            if pair.cut is not None and pair.cut[2]:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                try:
                    sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            sock.close()
        pair.over.set()
