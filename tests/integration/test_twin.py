"""Statements drawn at random from a grammar, against the twin: in every phase, for clients that use the old names, the new
names, and both. Every case runs in a transaction that is rolled back, and what it did is compared before that.

`SEGUE_SOAK=n` draws n cases a phase and kind of client instead of the few of CI, `SEGUE_SEED` others than CI's: so that two
runs on two processors are two halves of one."""

import collections
import os

import pytest

from oracle.compare import Oracle, Tally
from oracle.generator import KINDS, OPEN, Generator
from oracle.shrink import Shrinker, show
from oracle.sides import Session
from oracle.world import DDL, MAPPINGS, RESET, ROWS, TABLES, state_function
from oracle.tree import quote
from proxy import PATIENCE_S

SANITIZED = bool(os.environ.get("SEGUE_SANITIZE"))
CASES = int(os.environ.get("SEGUE_SOAK", "40" if SANITIZED else "400"))
SEED = os.environ.get("SEGUE_SEED", "1")
# The names that a client uses, and what `*` shows it.
STYLES = [("old", "both"), ("new", "both"), ("mixed", "both"), ("old", "old"), ("new", "new")]
READINGS = {"planned": ["old"], "dual_write": ["old", "new"], "read_new": ["old", "new"], "new_only": ["new"]}
# Of what is valid on the twin.
MOST_REFUSED = 0.01
LEAST_VALID = 0.85
# How many failures are shown, and how many cases run between the sweepings of what was rolled back.
MOST_SHOWN, SWEEP = 6, 2000


def session(port, database, shape="both"):
    made = Session(port, database, application_name=shape, options="-c statement_timeout=4000")
    made.socket.settimeout(PATIENCE_S)
    return made


def reproduce(oracle, case, difference):
    """The smallest case that fails in the same way, as text."""
    def fails(smaller):
        found = oracle.one(smaller)
        return None if found is None else found.kind

    if fails(case) == difference.kind:
        Shrinker(case, difference.kind, fails).shrink()
        difference = oracle.one(case) or difference
    return f"\n    {show(case)}\n  on the twin:\n    {show(case, twin=True)}\n  got:  {difference.got}\n  want: {difference.wanted}"


def run_cases(mapped, twin, has_both, style, numbers):
    """(what was counted, the failures as text)"""
    tally, failures, kinds = Tally(), [], collections.Counter()
    names, shape = style
    oracle = Oracle(session(*mapped, shape), session(*twin), has_both)
    for number, case, difference in oracle.check(Generator(SEED, names, shape), numbers, tally):
        kinds[difference.kind] += 1
        if kinds[difference.kind] == 1 and len(failures) < MOST_SHOWN:
            failures.append(f"seed {SEED}, {names} names, star {shape}, case {number}, {case.kind}, {case.mode}:" +
                            reproduce(oracle, case, difference))
    for one in oracle.sessions:
        one.close()
    return tally, failures


def prepare(conn, readings=None, counters=()):
    cursor = conn.cursor()
    if readings is None:
        cursor.execute(DDL + ROWS)
        cursor.execute(RESET)
        readings = ["old"]
    cursor.execute(state_function(readings, counters))
    # Rows come in one order from both sides, although the backfill has moved some.
    for table in TABLES:
        if table.key and not table.is_parted:
            cursor.execute(f"CLUSTER {table.relation} USING {quote(table.name + '_pkey')}")
    cursor.execute("VACUUM ANALYZE")


class Twins:
    """The database that segue serves, and its twin."""

    def __init__(self, cluster, database, direct):
        self.cluster, self.database, self.direct = cluster, database, direct
        prepare(direct)
        self.twin = database + "_twin"
        # Made from the other, so that its types have the same numbers.
        direct.close()
        cluster.admin(f"CREATE DATABASE {self.twin} TEMPLATE {database}")
        self.conns = [cluster.connect(name) for name in (database, self.twin)]
        for conn in self.conns:
            conn.autocommit = True

    def counters(self):
        cursor = self.conns[0].cursor()
        cursor.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' AND relname ~ '^guard_.*_repaired$' ORDER BY 1")
        return [row[0] for row in cursor.fetchall()]

    def run(self, port, phase, styles, cases):
        prepare(self.conns[0], READINGS[phase], self.counters())
        total, failures = Tally(), []
        has_both = len(READINGS[phase]) == 2
        for at in range(0, cases, SWEEP):
            numbers = range(at, min(at + SWEEP, cases))
            for style in styles:
                tally, failed = run_cases((port, self.database), (self.cluster.port, self.twin), has_both, style, numbers)
                total.merge(tally)
                failures += failed
            for conn in self.conns:
                conn.cursor().execute("VACUUM")
            if failures:
                break
        print(f"{phase}: {told(total)}")
        if failures:
            pytest.fail(f"phase {phase}: {total.differences} differences\n" + "\n".join(failures[:MOST_SHOWN]), pytrace=False)
        assert total.refused_valid <= MOST_REFUSED * total.valid, told(total)
        return total

    def without_volatile_default(self):
        """Which cannot be migrated without a guard."""
        for conn in self.conns:
            conn.cursor().execute('ALTER TABLE orders ALTER "Total Price" SET DEFAULT 11')

    def close(self):
        for conn in self.conns:
            conn.close()
        self.cluster.drop_database(self.twin)


def told(tally):
    lines = [f"{tally.cases} cases, {tally.statements} statements, {tally.valid} cases valid, {tally.refused_valid} of them refused"]
    for reason, count in tally.refused.most_common():
        lines.append(f"  {count} x {reason}: {tally.examples[reason][:400]}")
    return "\n".join(lines + ["  errors: " + ", ".join(f"{state} {count}" for state, count in tally.errors.most_common())])


@pytest.fixture
def twins(cluster, database, direct):
    made = Twins(cluster, database, direct)
    yield made
    made.close()


def phases(console, guard):
    """Takes all the mappings through the window together, yielding each phase."""
    names = [f"m{i}" for i in range(len(MAPPINGS))]
    for name, (table, column) in zip(names, MAPPINGS):
        console.run(f"CREATE MIGRATION {name} ON {table.relation} RENAME COLUMN {quote(column.name)} TO {quote(column.new)} "
                    f"WITH (guard = {guard})")
    yield "planned"
    for phase, command in (("dual_write", console.start), ("read_new", console.switch), ("new_only", console.contract)):
        for name in names:
            command(name)
        yield phase


@pytest.mark.parametrize("guard", ["on", "off"])
def test_drawn_statements_in_every_phase(twins, start_segue, tmp_path, guard):
    config = tmp_path / "segue.ini"
    config.write_text("[clients]\napplication_name old = old\napplication_name new = new\n", encoding="utf-8")
    segue = start_segue(control=twins.database, options=["-c", str(config)])
    if guard == "off":
        twins.without_volatile_default()
    styles, cases = (STYLES, CASES) if guard == "on" else ([("mixed", "both")], CASES)
    total = Tally()
    for phase in phases(segue.console, guard):
        total.merge(twins.run(segue.port, phase, styles, cases))
    print("all phases: " + told(total))


def test_the_statements_mean_one_thing(twins, cluster):
    """Two plain tables give the same for all that is drawn, most of it works, and every kind of it does."""
    tally = Tally()
    oracle = Oracle(session(cluster.port, twins.database), session(cluster.port, twins.twin), False)
    # What the twin is sent, on both sides.
    generator = Generator(SEED, "old")
    written = generator.case

    def plain(number):
        case = written(number)
        for step in case.steps:
            step.node = Twin(step.node)
        return case

    generator.case = plain
    for number, _, difference in oracle.check(generator, range(CASES), tally):
        pytest.fail(f"case {number}: {difference.got} {difference.wanted}\n{show(written(number), twin=True)}", pytrace=False)
    assert tally.valid >= LEAST_VALID * tally.cases, told(tally)
    assert CASES < 300 or all(tally.kinds[kind] for _, kind in KINDS if kind not in OPEN)


class Twin:
    """A tree written as for the twin, whoever asks."""

    def __init__(self, node):
        self.node = node

    def sql(self, text):
        return self.node.sql(type(text)(True, text.numbers))


def test_a_difference_is_found_and_made_small(twins, cluster):
    """Without segue the new names are unknown: that shows, and shrinks to a statement that is hardly more than the name."""
    tally = Tally()
    oracle = Oracle(session(cluster.port, twins.database), session(cluster.port, twins.twin), False)
    found = next((case, difference) for _, case, difference in oracle.check(Generator(SEED, "new"), range(200), tally)
                 if difference.kind[0] == "error" and difference.kind[-1] == "42703")
    text = reproduce(oracle, *found)
    assert len(show(found[0])) < 250, text


