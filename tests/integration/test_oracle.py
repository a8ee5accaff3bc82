"""The one rule of the contract, tried with random statements: whatever a client sends, in every phase, answer and table are
those of a plain table whose column answers to both names. `SEGUE_SOAK=n` runs n statements a phase instead of the few of
CI; `SEGUE_SEED` repeats a run that failed."""

import collections
import os
import random

import pytest

from proxy import PATIENCE_S
from statements import FAILING, NEW, OLD, SCHEMA, TEMPLATES, Generator
from wire import Wire, error_fields, message, row_labels, row_values

SANITIZED = bool(os.environ.get("SEGUE_SANITIZE"))
STATEMENTS = int(os.environ.get("SEGUE_SOAK", "150" if SANITIZED else "700"))
SEEDS = [int(os.environ["SEGUE_SEED"])] if "SEGUE_SEED" in os.environ else [1, 2]
# Of the statements generated; all of them are within what segue says it can do.
MOST_REFUSED = 0.0


def digest(messages, ordered):
    """What a client sees of a batch: for each result its labels and types, rows, tag; the SQLSTATE; the state it ends in."""
    seen, rows = [], []
    for kind, body in messages:
        if kind == b"T":
            seen.append(("labels", row_labels(body)))
        elif kind == b"D":
            rows.append(row_values(body))
        elif kind == b"C":
            # None sorts before any text.
            seen.append(("rows", rows if ordered else sorted(rows, key=lambda r: [(v is not None, v) for v in r])))
            seen.append(("tag", body[:-1].decode()))
            rows = []
        elif kind == b"E":
            seen.append(("error", error_fields(body)["C"]))
            rows = []
        elif kind in (b"I", b"Z", b"n", b"s"):
            seen.append((kind.decode(), body.decode()))
    return seen


def assert_same(got, wanted, where):
    if got != wanted:
        pytest.fail(f"{where}\n  through segue: {got}\n  on the twin:   {wanted}", pytrace=False)


def refused_by_segue(messages):
    """Says segue itself so? The server never answers 0A000 to what is generated here."""
    return any(kind == b"E" and error_fields(body)["C"] == "0A000" for kind, body in messages)


class Side:
    """One of the two ends: a connection, and how a statement is sent on it."""

    def __init__(self, wire, text):
        self.wire, self.text = wire, text

    def run(self, statement, mode, name):
        wire, sql = self.wire, self.text(statement)
        if mode == "simple":
            wire.send(message(b"Q", sql.encode() + b"\0"))
        elif mode == "unnamed":
            wire.send(wire.parse("", sql), wire.describe(""), wire.bind("", statement.values), wire.execute(), wire.sync())
        else:
            wire.send(wire.parse(name, sql), wire.sync())
            first = wire.until_ready()
            if first[0][0] == b"E":
                return first
            wire.send(wire.describe(name), wire.bind(name, statement.values), wire.execute(), wire.close_statement(name),
                      wire.sync())
        return wire.until_ready()


class Oracle:
    def __init__(self, seed, mapped, twin, direct, twin_direct):
        self.seed = seed
        self.generator = Generator(seed)
        self.dice = random.Random(seed + 1)
        self.mapped = Side(mapped, lambda s: s.mapped)
        self.twin = Side(twin, lambda s: s.twin)
        self.direct, self.twin_direct = direct, twin_direct
        self.count, self.refused, self.errors = 0, collections.Counter(), collections.Counter()

    def both(self, sql):
        for side in (self.mapped, self.twin):
            side.wire.query(sql).raise_error()

    def one(self, phase):
        mode = self.dice.choice(["simple", "simple", "unnamed", "named"])
        style = self.dice.choice(["old", "new", "mixed"])
        statement = self.generator.statement(style, mode != "simple")
        self.count += 1
        where = f"seed {self.seed}, statement {self.count}, phase {phase}, {mode}: {statement}"
        got = self.mapped.run(statement, mode, f"s{self.count}")
        if refused_by_segue(got):
            fields = next(error_fields(body) for kind, body in got if kind == b"E")
            self.refused[fields["M"] + " | " + statement.mapped] += 1
            return False
        wanted = self.twin.run(statement, mode, f"s{self.count}")
        assert_same(digest(got, statement.ordered), digest(wanted, statement.ordered), where)
        self.errors.update(error_fields(body)["C"] for kind, body in wanted if kind == b"E")
        return True

    def several(self, phase):
        """Some statements in one Query message: one answer each, and an implicit transaction around all."""
        parts = [self.generator.statement(self.dice.choice(["old", "new"]), False) for _ in range(self.dice.randrange(2, 5))]
        self.count += len(parts)
        answers = []
        for side in (self.mapped, self.twin):
            side.wire.send(message(b"Q", "; ".join(side.text(part) for part in parts).encode() + b"\0"))
            answers.append(side.wire.until_ready())
            if refused_by_segue(answers[0]):
                self.refused[error_fields(answers[0][0][1])["M"]] += 1
                return
        where = f"seed {self.seed}, phase {phase}: " + "; ".join(str(part) for part in parts)
        assert_same(digest(answers[0], False), digest(answers[1], False), where)

    def transaction(self, phase):
        self.both("BEGIN")
        for _ in range(self.dice.randrange(1, 6)):
            if self.dice.random() < 0.3:
                self.both_tolerant("SAVEPOINT s")
            if not self.one(phase):
                # A refusal fails the transaction here and nothing was tried there.
                self.both("ROLLBACK")
                return
            if self.dice.random() < 0.2:
                self.both_tolerant("ROLLBACK TO s")
        self.both(self.dice.choice(["COMMIT", "ROLLBACK"]))

    def both_tolerant(self, sql):
        answers = [digest(side.wire.query(sql).messages, True) for side in (self.mapped, self.twin)]
        assert answers[0] == answers[1], (self.seed, self.count, sql)

    def compare_tables(self, phase):
        name = {"new_only": NEW}.get(phase, OLD)
        cur, twin = self.direct.cursor(), self.twin_direct.cursor()
        for table, columns, key in (("users", f"user_id, {name}, email, score, born", "1"), ("archive", "*", "1, 2, 3, 4, 5"),
                                    ("post", "*", "1")):
            cur.execute(f"SELECT {columns} FROM {table} ORDER BY {key}")
            twin.execute(f"SELECT {columns.replace(NEW, OLD)} FROM {table} ORDER BY {key}")
            assert cur.fetchall() == twin.fetchall(), f"seed {self.seed}, after {self.count} statements, phase {phase}: {table}"
        if phase in ("dual_write", "read_new"):
            cur.execute(f"SELECT count(*) FROM users WHERE {OLD} IS DISTINCT FROM {NEW}")
            assert cur.fetchone() == (0,), f"seed {self.seed}, after {self.count} statements, phase {phase}: rows differ"

    def phase(self, phase):
        until = self.count + STATEMENTS
        step = 0
        while self.count < until:
            pick = self.dice.random()
            if pick < 0.06:
                self.transaction(phase)
            elif pick < 0.12:
                self.several(phase)
            else:
                self.one(phase)
            step += 1
            if step % 25 == 0:
                self.compare_tables(phase)
        self.compare_tables(phase)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_statements_in_every_phase(cluster, database, segue, direct, seed):
    twin_database = cluster.create_database("twin")
    twin_direct = cluster.connect(twin_database)
    twin_direct.autocommit = True
    for conn in (direct, twin_direct):
        conn.cursor().execute(SCHEMA)
    segue.console.run(f"CREATE MIGRATION m ON users RENAME COLUMN {OLD} TO {NEW}")
    mapped, twin = Wire(segue.port, database), Wire(cluster.port, twin_database)
    mapped.socket.settimeout(PATIENCE_S)
    oracle = Oracle(seed, mapped, twin, direct, twin_direct)
    try:
        for phase in segue.console.window("m"):
            oracle.phase(phase)
    finally:
        print(f"seed {seed}: {oracle.count} statements, refused {sum(oracle.refused.values())}, errors {dict(oracle.errors)}")
        for reason, times in oracle.refused.most_common(40):
            print(f"  {times} x {reason}")
    mapped.close()
    twin.close()
    assert len(oracle.errors) >= 4, "the statements are too tame to show whether errors agree"
    assert sum(oracle.refused.values()) <= MOST_REFUSED * oracle.count


def test_the_generator_itself(cluster):
    """On two plain tables, all that is generated gives the same; and every template works, unless it is there to fail: a
    statement that never gets past its first error would test nothing."""
    sides = []
    for name in (cluster.create_database(name) for name in ("one", "two")):
        conn = cluster.connect(name)
        conn.autocommit = True
        conn.cursor().execute(SCHEMA)
        sides.append(Side(Wire(cluster.port, name), lambda s: s.twin))
        conn.close()
    generator, errors, worked = Generator(7), collections.defaultdict(collections.Counter), set()
    for i in range(2500):
        statement = generator.statement("mixed", i % 2 == 0)
        one, two = (side.run(statement, "unnamed" if i % 2 == 0 else "simple", "") for side in sides)
        assert digest(one, statement.ordered) == digest(two, statement.ordered), str(statement)
        failed = [error_fields(body)["C"] for kind, body in one if kind == b"E"]
        errors[statement.template].update(failed)
        if not failed:
            worked.add(statement.template)
    never = {template: dict(errors[template]) for _, template in TEMPLATES if template not in worked}
    assert not never
    assert not worked & {template for _, template in FAILING}
