"""Cancels race queries on many sessions (protocol.md 12): none reaches another session, none is lost, none hits what the client
sends next, and one that meets a statement of segue's own cancels the client's.

Each session sends a statement, has it cancelled after a moment that is often too short for the server to have begun, and
then sends the next, which nobody cancels. A statement that runs for ever must be cancelled; one that does not may have ended.
SEGUE_SOAK: how many cancels, 10,000 for the whole; SEGUE_SEED: which."""

import os
import random
import socket
import struct
import threading
import time

from cluster import HOST
from proxy import PATIENCE_S
from tenants import probes, tables
from wire import Answer, Wire, message

SEED, CANCELS = int(os.environ.get("SEGUE_SEED", "1")), int(os.environ.get("SEGUE_SOAK", "800"))
SESSIONS, BYSTANDERS = 12, 3
MOMENTS_S = (0, 0, 0, 0.0005, 0.001, 0.003, 0.02)
FOR_EVER = "pg_sleep(100000)"


class Session(Wire):
    """Knows its key. Its cancels go by a connection each, as a client's do."""

    def __init__(self, port, database, **parameters):
        self.key, self.port = None, port
        super().__init__(port, database, **parameters)

    def receive(self):
        kind, body = super().receive()
        if kind == b"K":
            self.key = body
        return kind, body

    def cancel(self):
        with socket.create_connection((HOST, self.port), PATIENCE_S) as sock:
            sock.sendall(struct.pack("!ii", 8 + len(self.key), 80877102) + self.key)
            assert sock.recv(1) == b"", "a cancel is answered by the end of the connection"


def query(sql):
    return message(b"Q", sql.encode() + b"\0")


class Victim:
    """One session and its statements. prepared: the names of those it has, each a statement for ever and one that ends."""

    def __init__(self, wire, seed, table):
        self.wire, self.random, self.table = wire, random.Random(seed), table
        self.wire.prepare("ever", f"SELECT nickname, {FOR_EVER} FROM {table} WHERE id = $1::int")
        self.wire.prepare("ends", f"UPDATE {table} SET nickname = $2 WHERE id = $1::int")
        self.count = self.cancelled = 0

    def for_ever(self):
        """Not the same text twice, so that it is planned anew, and asks anew what its names mean."""
        n = self.random.randint(1, 10**9)
        return self.random.choice([
            lambda: query(f"SELECT {FOR_EVER}"),
            lambda: query(f"SELECT nickname AS n{n}, {FOR_EVER} FROM {self.table} WHERE id = 1"),
            lambda: query(f"UPDATE {self.table} SET nickname = '{n}' WHERE id = 2 AND {FOR_EVER} IS NOT NULL"),
            lambda: self.wire.parse("", f"SELECT nickname AS n{n}, {FOR_EVER} FROM {self.table} WHERE id = 1")
            + self.wire.bind("") + self.wire.execute() + self.wire.sync(),
            lambda: self.wire.bind("ever", [1]) + self.wire.execute() + self.wire.sync(),
            lambda: query(f"SELECT 1; SELECT {FOR_EVER}"),
        ])()

    def that_ends(self):
        value = f"v{self.count}"
        return self.random.choice([
            lambda: query(f"UPDATE {self.table} SET nickname = '{value}' WHERE id = 1"),
            lambda: self.wire.bind("ends", [1, value]) + self.wire.execute() + self.wire.sync(),
            lambda: self.wire.bind("ends", [1, value]) + self.wire.execute() + self.wire.bind("ends", [2, value])
            + self.wire.execute() + self.wire.sync(),
        ])()

    def begin_anew(self):
        """What prepared statements become, and what segue has been told, is forgotten now and then."""
        draw = self.random.random()
        if draw < 0.1:
            self.wire.query("SET search_path TO a").raise_error()
            self.wire.query("DISCARD PLANS").raise_error()
        elif draw < 0.2:
            self.wire.query("CREATE TEMP TABLE IF NOT EXISTS passing (id int)").raise_error()
            self.wire.query("DROP TABLE passing").raise_error()

    def cancel_later(self):
        moment = self.random.choice(MOMENTS_S)

        def run():
            time.sleep(moment)
            self.wire.cancel()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def turn(self):
        self.count += 1
        self.begin_anew()
        is_for_ever = self.random.random() < 0.7
        self.wire.send(self.for_ever() if is_for_ever else self.that_ends())
        thread = self.cancel_later()
        answer = Answer(self.wire.until_ready())
        # The next one at once, if this cancel was the end of the last: it may still be on its way. Otherwise it may not even
        # have been sent, and then it is meant for what runs when it comes: a client waits for it.
        if answer.error is None:
            thread.join()
        after = self.wire.query(f"SELECT 'next', nickname FROM {self.table} WHERE id = 1")
        thread.join()
        again = self.wire.query("SELECT 'once more'")
        assert not is_for_ever or answer.error, answer.messages
        assert answer.error is None or answer.error.sqlstate == "57014", answer.error
        assert after.error is None and len(after.rows) == 1, f"hit by the cancel of the one before: {after.messages}"
        assert again.error is None and again.rows == [("once more",)], again.messages
        self.cancelled += answer.error is not None


class Bystander:
    """Runs one short statement after the other, and is never cancelled."""

    def __init__(self, wire, table):
        self.wire, self.table, self.count = wire, table, 0
        wire.prepare("s", f"SELECT nickname, pg_sleep(0.002) FROM {table} WHERE id = $1::int")

    def turn(self):
        self.count += 1
        assert len(self.wire.run("s", 1).rows) == 1
        assert len(self.wire.query(f"SELECT nickname, pg_sleep(0.001) FROM {self.table} WHERE id = 2").raise_error().rows) == 1


def storm(port, database, count, search_path, meanwhile=lambda: None):
    """Until all victims have had their turns, and the work that goes on meanwhile is done."""
    over, failures = threading.Event(), []
    victims = [Victim(Session(port, database, options=f"-c search_path={search_path}"), SEED * 1000 + i, "users")
               for i in range(SESSIONS)]
    bystanders = [Bystander(Session(port, database, options=f"-c search_path={search_path}"), "users") for _ in range(BYSTANDERS)]

    def run(turn, is_enough):
        try:
            while not is_enough() and not failures:
                turn()
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    def victim_runs(victim):
        run(victim.turn, lambda: victim.count >= count / SESSIONS and not working.is_alive())

    working = threading.Thread(target=run, args=(lambda: (meanwhile(), over.set()), over.is_set))
    working.start()
    threads = [threading.Thread(target=victim_runs, args=(victim,)) for victim in victims]
    stop = threading.Event()
    others = [threading.Thread(target=run, args=(other.turn, stop.is_set)) for other in bystanders]
    for thread in threads + others:
        thread.start()
    for thread in threads:
        thread.join()
    working.join()
    stop.set()
    for thread in others:
        thread.join()
    assert not failures, f"SEGUE_SEED={SEED}: {failures}"
    assert sum(victim.count for victim in victims) >= count
    assert sum(victim.cancelled for victim in victims) > count / 2 and all(other.count > 0 for other in bystanders)
    for one in victims + bystanders:
        one.wire.close()


def test_p12_cancel_storm_without_mappings(start_segue, database, direct):
    direct.cursor().execute(tables("a"))
    segue = start_segue()
    storm(segue.port, database, CANCELS // 2, "a")


def test_p12_cancel_storm_through_the_whole_window(segue, database, direct):
    cursor = direct.cursor()
    cursor.execute(tables("a") + tables("b"))
    phases = []
    segue.console.run("CREATE MIGRATION m ON a.users RENAME COLUMN nickname TO username")
    segue.console.run("CREATE MIGRATION other ON b.users RENAME COLUMN nickname TO username")
    before = probes(segue)
    storm(segue.port, database, CANCELS // 2, "a,b", lambda: phases.extend(segue.console.window("m")))
    assert phases == ["planned", "dual_write", "read_new", "new_only"]
    assert probes(segue) > before, "no statement of segue's own was under way"
