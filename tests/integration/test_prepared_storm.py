"""Prepared statements in every way at once: random batches of messages, the same to segue and to a server whose table has
one column under both names. What comes back must be the same, message by message, before, in and after every phase.

SEGUE_STORM_SEED chooses the batches, SEGUE_STORM_BATCHES how many each session sends in a phase."""

import os
import random

from wire import Wire, error_fields, message, row_labels, row_values

SEED = int(os.environ.get("SEGUE_STORM_SEED", "7"))
BATCHES = int(os.environ.get("SEGUE_STORM_BATCHES", "40"))
SESSIONS = 6

USERS = """
CREATE TABLE users (user_id int PRIMARY KEY, nickname varchar(100) NOT NULL, score int DEFAULT 1);
INSERT INTO users SELECT g, 'user' || g, 0 FROM generate_series(0, 99) g;
"""
TWIN = """
CREATE TABLE base (user_id int PRIMARY KEY, nickname varchar(100) NOT NULL, score int DEFAULT 1);
INSERT INTO base SELECT g, 'user' || g, 0 FROM generate_series(0, 99) g;
CREATE VIEW users AS SELECT user_id, nickname, score, nickname AS username FROM base;
"""


class Storm:
    """What one session sends. Every row it touches is its own."""

    def __init__(self, number, seed):
        self.random = random.Random(seed * 1000 + number)
        self.first = number * 10

    def pick(self, *choices):
        return self.random.choice(choices)

    def name(self):
        return self.pick("a", "b", "c", "d")

    def row(self):
        return self.first + self.random.randrange(10)

    def inner(self):
        """A statement with $1 and $2, or without parameters."""
        column, other = self.pick(("nickname", "username"), ("username", "nickname"), ("nickname", "nickname"))
        own = f"user_id BETWEEN {self.first} AND {self.first + 9}"
        return self.pick(
            f"UPDATE users SET {column} = $2 WHERE user_id = $1 AND {own}",
            f"UPDATE users SET {column} = $2, score = score + 1 WHERE user_id = $1 AND {own} RETURNING {other}",
            f"SELECT {column}, user_id FROM users WHERE user_id = $1 AND {other} <> $2",
            f"SELECT * FROM users WHERE user_id = {self.row()}",
            f"SELECT max({column}), count(*) FROM users WHERE {own}",
            f"UPDATE users SET {column} = upper({other}) WHERE user_id = {self.row()}",
            "SELECT $1::int + 1, $2::text",
            "SELECT 1")

    def execute(self):
        arguments = self.pick("", f"({self.row()}, 'v{self.random.randrange(1000)}')", f"({self.row()}, NULL)", "(1)")
        return f"EXECUTE {self.name()}{arguments}"

    def prepare(self):
        types = self.pick("", "", " (int, text)", "(int)")
        return f"{self.pick('', '/* x */ ')}PREPARE {self.name()}{types} AS {self.inner()}"

    def end(self):
        return self.pick(f"DEALLOCATE {self.name()}", f"DEALLOCATE {self.name()}", "DEALLOCATE ALL", "DISCARD ALL")

    def control(self):
        return self.pick("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "SELECT 1/0", "SELEC", "")

    def statement(self):
        return self.pick(self.execute, self.execute, self.prepare, self.end, self.control)()

    def query(self):
        texts = [self.statement() for _ in range(self.pick(1, 1, 1, 2, 3))]
        # The one combination that is refused by design: a text that ends a failed transaction and then executes.
        if len(texts) > 1 and any(t.startswith(("ROLLBACK", "COMMIT")) for t in texts):
            texts = texts[:1]
        return message(b"Q", "; ".join(texts).encode() + b"\0")

    def bind(self, wire):
        values = self.pick((), (str(self.row()), f"b{self.random.randrange(1000)}"), (str(self.row()),))
        return wire.bind(self.pick(self.name(), self.name(), ""), values, portal=self.pick("", "", "x"))

    def pipeline(self, wire):
        made = []
        for _ in range(self.random.randrange(1, 9)):
            kind = self.random.randrange(10)
            if kind < 2:
                # EXECUTE of a statement that is itself DEALLOCATE or EXECUTE: the server may fall over it.
                made.append(self.pick(wire.parse("", self.statement()), wire.parse("", self.inner()),
                                      wire.parse(self.name(), self.pick(self.inner, self.inner, self.prepare)())))
            elif kind < 5:
                made += [self.bind(wire), message(b"E", self.pick(b"\0", b"\0", b"x\0") + b"\0\0\0\0")]
            elif kind == 5:
                made.append(wire.describe(self.pick(self.name(), "")))
            elif kind == 6:
                made.append(wire.close_statement(self.pick(self.name(), "")))
            elif kind == 7:
                made.append(message(b"H"))
            elif kind == 8:
                made += [wire.parse("", self.statement()), wire.bind(""), message(b"D", b"P\0"), wire.execute()]
            else:
                made.append(wire.sync())
        return [*made, wire.sync()]

    def batch(self, wire):
        made = []
        for _ in range(self.pick(1, 1, 2, 4)):
            made += [self.query()] if self.random.random() < 0.4 else self.pipeline(wire)
        return made


def said(wire, marker):
    """All that came up to the marker's answer, in a form that can be compared."""
    seen = []
    while True:
        kind, body = wire.receive()
        if kind == b"D" and row_values(body) == (marker,):
            wire.until_ready()
            return seen
        if kind == b"E":
            seen.append(("E", error_fields(body)["C"]))
        elif kind == b"T":
            seen.append(("T", row_labels(body)))
        elif kind == b"D":
            seen.append(("D", row_values(body)))
        elif kind == b"t":
            seen.append(("t", body.hex()))
        elif kind not in (b"S", b"N"):
            seen.append((kind.decode(), body.rstrip(b"\0").decode()))


def ask(wire, messages, marker):
    wire.send(*messages, message(b"Q", b"ROLLBACK\0"), message(b"Q", f"SELECT '{marker}'".encode() + b"\0"))
    return said(wire, marker)


def contents(conn, columns, table):
    cur = conn.cursor()
    cur.execute(f"SELECT user_id, score, {columns} FROM {table} ORDER BY user_id")
    return cur.fetchall()


def explain(number, history):
    """The end of the session's story, and where it parts."""
    lines = [f"seed {SEED}, session {number}"]
    for phase, turn, batch, got, wanted in history[-40:]:
        lines.append(f"-- {phase} {turn}")
        lines += [f"   {m[:1].decode()} {m[5:]!r}" for m in batch]
        same = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
        lines.append(f"   both: {got[:same]}")
        if got != wanted:
            lines.append(f"   segue:  {got[same:]}\n   server: {wanted[same:]}")
    return "\n".join(lines)


def test_storm(cluster, database, segue, direct):
    direct.cursor().execute(USERS)
    twin_name = cluster.create_database()
    twin = cluster.connect(twin_name)
    twin.autocommit = True
    twin.cursor().execute(TWIN)
    history = {number: [] for number in range(SESSIONS)}
    storms = [Storm(number, SEED) for number in range(SESSIONS)]
    wires = [(Wire(segue.port, database), Wire(cluster.port, twin_name)) for _ in storms]
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    for phase in segue.console.window("m"):
        for turn in range(BATCHES):
            for number, (storm, (ours, theirs)) in enumerate(zip(storms, wires)):
                batch = storm.batch(ours)
                marker = f"end {phase} {turn}"
                got, wanted = ask(ours, batch, marker), ask(theirs, batch, marker)
                history[number].append((phase, turn, batch, got, wanted))
                assert got == wanted, explain(number, history[number])
        wanted = contents(twin, "nickname", "base")
        for column in {"planned": ["nickname"], "new_only": ["username"]}.get(phase, ["nickname", "username"]):
            assert contents(direct, column, "users") == wanted
    for pair in wires:
        for wire in pair:
            wire.close()
    twin.close()
    cluster.drop_database(twin_name)
    reprepared = next(int(row["value"]) for row in segue.console.rows("SHOW COUNTERS") if row["name"] == "reprepared")
    assert reprepared >= SESSIONS
