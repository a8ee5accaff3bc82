"""Random pipelines: whatever order legal messages come in, segue answers what the server answers.

A dialogue is drawn from a seed and sent without waiting, in random pieces, to the server and through segue; the replies are
compared byte for byte. Statements that segue refuses stand beside those that the server refuses (see test_wire_refusals),
and the mappings change while all this goes on, so that prepared statements are renewed in the middle of it.

SEGUE_SOAK: how many dialogues; SEGUE_SEED: where to begin."""

import os
import random
import threading

import pytest

from dialogue import DONE, B, C, D, Dialogue, E, H, P, Q, S, data, fail
from test_wire_rewritten import mask
from wire import error_fields

SEED, DIALOGUES = int(os.environ.get("SEGUE_SEED", "1")), int(os.environ.get("SEGUE_SOAK", "100"))

SETUP = """
CREATE TABLE t (a int PRIMARY KEY, b text);
CREATE TABLE c (a int, b text);
CREATE TABLE mapped (id int PRIMARY KEY, nickname text);
CREATE TABLE other (id int PRIMARY KEY, title text);
INSERT INTO mapped SELECT g, 'n' || g FROM generate_series(1, 5) g;
"""
BAD_FOR_THE_SERVER = ("SELECT nope FROM mapped", "42703")
BAD_FOR_SEGUE = ("ALTER TABLE mapped ALTER COLUMN nickname SET STATISTICS 10", "0A000")

PLAIN = ["select 1", "select 'x', null", "", "select generate_series(1, 5)", "insert into t values (1, 'one')",
         "select count(*) from t", "begin", "commit", "rollback", "savepoint s", "rollback to s", "select 1/0", "selec",
         "set timezone = 'UTC'", "copy t to stdout", "deallocate all", "discard plans",
         "update mapped set nickname = upper(nickname) where id = 1", "delete from mapped where id > 5 returning nickname",
         "select nickname from mapped where id < 4 order by id", "select id, nickname as n from mapped order by 1"]
BAD = "bad"
SEVERAL = ["select 1; select 2", "insert into t values (2, 'two'); select 1/0", "begin; select 1", "select 3; commit",
           "select nickname from mapped where id = 1; selec", ";;"]
PARAMETERS = ["select $1::int + 1", "insert into t values ($1, 'p')", "select nickname from mapped where id = $1",
              "update mapped set nickname = nickname || 'x' where id = $1 returning nickname",
              "insert into mapped (id, nickname) values ($1, 'new')"]
STATEMENTS, PORTALS = ["", "s1", "s2"], ["", "p1"]


class Monkey:
    """The same seed draws the same messages, but for the text of what is refused."""

    def __init__(self, seed, bad):
        self.random, self.bad = random.Random(seed), bad

    def text(self, texts):
        text = self.random.choice(texts)
        return self.bad if text is BAD else text

    def copy(self):
        rows = [data(self.random.choice([b"5\tx\n", b"6\ty\n", b"6\ty\n", b"", b"no number\n"]))
                for _ in range(self.random.randint(0, 4))]
        rows.insert(self.random.randint(0, len(rows)), self.random.choice([S, H, b""]))
        return b"".join(rows) + self.random.choice([DONE, DONE, fail("enough")])

    def step(self):
        draw = self.random.choice
        kind = draw("QQPPPPBBBBBEEEEEDDCSSSSHxymrr")
        if kind == "Q":
            return Q(self.text([*PLAIN, *SEVERAL, BAD, BAD]))
        if kind == "P":
            return P(self.text([*PLAIN, *PARAMETERS, *PARAMETERS, BAD]), draw(STATEMENTS))
        if kind == "B":
            return B(draw([[], [b"7"], [b"2"], [None]]), draw(STATEMENTS), draw(PORTALS))
        if kind == "E":
            return E(draw(PORTALS), draw([0, 0, 2]))
        if kind == "D":
            return D("S", draw(STATEMENTS)) if self.random.random() < 0.5 else D("P", draw(PORTALS))
        if kind == "C":
            return C("S", draw(STATEMENTS)) if self.random.random() < 0.5 else C("P", draw(PORTALS))
        if kind == "x":
            return Q("copy c from stdin") + self.copy()
        if kind == "y":
            return P("copy c from stdin") + B() + E() + self.copy() + S
        if kind == "m":
            return draw([DONE, data(b"stray"), fail("stray")])
        if kind == "r":
            return P(draw(PARAMETERS), "s1") + S + b"".join(B([b"%d" % i], "s1") + E() for i in range(3)) + S
        return {"S": S, "H": H}[kind]

    def dialogue(self):
        steps = [self.step() for _ in range(self.random.randint(1, 40))]
        return b"".join(steps) + S + Q("rollback") + Q("select 'the end'")


def is_the_end(messages):
    return len(messages) > 2 and messages[-1][0] == b"Z" and (b"D", b"\0\1\0\0\0\x07the end") in messages[-4:]


def talk(port, database, seed, bad, cut):
    with Dialogue(port, cut).log_in(database) as d:
        # The server ends a session that sends it other messages than data while it copies.
        d.say_until(Monkey(seed, bad[0]).dialogue(), lambda: d.is_over or is_the_end(d.messages))
        if not d.is_over:
            d.no_more()
        told = []
        messages, partial, is_over = d.record()
        assert not partial
        for kind, body in messages:
            if kind == b"E":
                fields = error_fields(body)
                # Who raised it shows only in the place of PostgreSQL's source.
                body = "refused" if fields["C"] == bad[1] else {k: v for k, v in fields.items() if k not in "FLR"}
            elif kind == b"T":
                body = mask(kind, body)
            told.append((kind, body))
        return [*told, is_over]


class Way:
    """One way to a database of its own. The table is filled by this way too: in every phase as an application would."""

    def __init__(self, cluster, name, port=None, bad=BAD_FOR_THE_SERVER):
        self.database, self.bad = cluster.create_database(name), bad
        self.port = port or cluster.port
        conn = cluster.connect(self.database)
        with conn, conn.cursor() as cursor:
            cursor.execute(SETUP)
        conn.close()

    def reset(self):
        with Dialogue(self.port).log_in(self.database) as d:
            d.say(Q("truncate t, c"), Q("update mapped set nickname = 'n' || id"), ready=2)
            assert b"E" not in d.kinds, d.messages

    def talk(self, seed, cut=None):
        self.reset()
        return talk(self.port, self.database, seed, self.bad, cut)


@pytest.fixture(scope="module")
def directly(cluster):
    return Way(cluster, "directly")


@pytest.fixture
def through(cluster, start_segue):
    """Through a segue that has a mapping in force; the segue itself."""
    way = Way(cluster, cluster.create_database(), bad=BAD_FOR_SEGUE)
    segue = start_segue(control=way.database)
    way.port = segue.port
    segue.console.run("CREATE MIGRATION m ON mapped RENAME COLUMN nickname TO username")
    return way, segue


def check(directly, way, seed):
    expected = directly.talk(seed)
    got = way.talk(seed, random.Random(seed).choice([None, None, 200, 30, 5]))
    for i, (theirs, ours) in enumerate(zip(expected, got)):
        assert ours == theirs, f"SEGUE_SEED={seed}: message {i}, after {expected[max(i - 3, 0):i]}"
    assert len(got) == len(expected), f"SEGUE_SEED={seed}"


def test_random_pipelines(directly, through):
    for seed in range(SEED, SEED + DIALOGUES):
        check(directly, through[0], seed)


def check_while(directly, way, work):
    """Dialogues for as long as the work goes on, but at least as many as were asked for."""
    failures = []

    def run():
        try:
            work()
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    working = threading.Thread(target=run)
    working.start()
    seed = SEED
    try:
        while working.is_alive() or seed < SEED + DIALOGUES:
            check(directly, way, seed)
            seed += 1
    finally:
        working.join()
    assert not failures, failures


def test_random_pipelines_while_another_mapping_comes_and_goes(directly, through):
    way, segue = through

    def change():
        for _ in range(50):
            segue.console.run("CREATE MIGRATION o ON other RENAME COLUMN title TO name", "DROP MIGRATION o")

    check_while(directly, way, change)


def test_random_pipelines_through_the_whole_window(directly, through):
    way, segue = through
    phases = []
    check_while(directly, way, lambda: phases.extend(segue.console.window("m")))
    assert phases == ["planned", "dual_write", "read_new", "new_only"]
