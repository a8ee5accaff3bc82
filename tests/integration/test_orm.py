"""Real object-relational mappers, started once and at work through the whole window. The programs are those whose statements are
recorded as golden cases (tests/golden/capture). Each goes through its scenes in every phase; after each scene the tables
hold, and in each the program was told, what it is on a plain table whose column has the name it uses."""

import itertools
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from cluster import HOST, die_with_parent
from proxy import PATIENCE_S

CAPTURE = Path(__file__).resolve().parents[1] / "golden" / "capture"
sys.path.insert(1, str(CAPTURE))

from relay import Relay  # noqa: E402

PROGRAMS = {"django": ["/usr/bin/python3", "django_app.py"], "active_record": ["/usr/bin/ruby", "active_record_app.rb"]}
MOMENT = re.compile(r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?")
TABLES = ("users", "posts", "comments")
SCHEMA = (CAPTURE / "schema.sql").read_text(encoding="utf-8")
ROWS = (CAPTURE / "rows.sql").read_text(encoding="utf-8")


CLEAR = "".join(f"DELETE FROM {t}; ALTER SEQUENCE {t}_id_seq RESTART;" for t in reversed(TABLES))


class Answers:
    """What the server says to a client that has one connection: labels, types, rows, tags and SQLSTATEs."""

    def __init__(self):
        self.buffer, self.kept = b"", []

    def feed(self, data):
        self.buffer += data
        while len(self.buffer) >= 5 and len(self.buffer) > (size := struct.unpack_from("!i", self.buffer, 1)[0]):
            kind, body, self.buffer = self.buffer[:1], self.buffer[5:size + 1], self.buffer[size + 1:]
            if kind == b"T":
                self.kept.append(self.columns(body))
            elif kind == b"D":
                self.kept.append(self.row(body))
            elif kind == b"C":
                self.kept.append(body[:-1].decode())
            elif kind == b"E":
                self.kept.append("error " + body.decode().split("\0C")[1][:5])

    @staticmethod
    def columns(body):
        """Label, type and modifier; not where in which table the column is."""
        found, at = [], 2
        for _ in range(struct.unpack_from("!h", body)[0]):
            end = body.index(b"\0", at)
            found.append((body[at:end].decode(), struct.unpack_from("!I", body, end + 7)[0], struct.unpack_from("!i", body, end + 13)[0]))
            at = end + 19
        return found

    @staticmethod
    def row(body):
        found, at = [], 2
        for _ in range(struct.unpack_from("!h", body)[0]):
            size = struct.unpack_from("!i", body, at)[0]
            found.append(None if size < 0 else MOMENT.sub("then", body[at + 4:at + 4 + size].decode()))
            at += 4 + max(size, 0)
        return tuple(found)

    def take(self):
        """Rows are sorted: the order that a statement asks for is the golden cases' business."""
        kept, self.kept = self.kept, []
        return [each for kind, run in itertools.groupby(kept, type) for each in (sorted(run, key=repr) if kind is tuple else run)]


def contents(direct, name):
    cur = direct.cursor()
    found = []
    for table in TABLES:
        columns = f"id, {name}, email, logins, lock_version, created_at, updated_at" if table == "users" else "*"
        cur.execute(f"SELECT t::text FROM (SELECT {columns} FROM {table} ORDER BY id) t")
        found.append([MOMENT.sub("then", row) for row, in cur.fetchall()])
    return found


def play(program, name, port, direct, database, on_round):
    """Runs the program; on_round(number) makes what a round runs on, and says under which names the tables hold it: a list of
    rounds, each a list of (title, answers, contents under each name)."""
    rounds, physical = [], []

    def end_scene():
        if rounds and rounds[-1]:
            rounds[-1][-1] += (answers.take(), [contents(direct, each) for each in physical[-1]])

    answers = Answers()
    with Relay(port, answers.feed) as relay:
        environment = {**os.environ, "NAME": name, "PGHOST": HOST, "PGPORT": str(relay.port), "PGDATABASE": database,
                       "PGUSER": "postgres", "PGSSLMODE": "disable", "PGGSSENCMODE": "disable", "TZ": "UTC",
                       "ROUNDS": str(len(on_round)), "UNIQUE_BY": "users_nickname_key"}
        with subprocess.Popen(die_with_parent() + PROGRAMS[program], cwd=CAPTURE, env=environment, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as running:
            for line in running.stdout:
                title = line.split("\t")[0]
                end_scene()
                if title == "Create":
                    physical.append(on_round[len(rounds)]())
                    rounds.append([])
                rounds[-1].append((title,))
                direct.cursor().execute(CLEAR + ROWS.replace("nickname", physical[-1][0]))
                running.stdin.write("go\n")
                running.stdin.flush()
            end_scene()
            assert running.wait(PATIENCE_S) == 0
    assert len(rounds) == len(on_round)
    return rounds


@pytest.fixture(name="plain_round")
def fixture_plain_round(cluster):
    """The second round of a program that has the database to itself: in the first it gets to know the tables."""
    def run(program, name):
        database = cluster.create_database()
        direct = psycopg2.connect(cluster.conninfo(database))
        direct.autocommit = True
        direct.cursor().execute(SCHEMA)
        if name != "nickname":
            direct.cursor().execute(f"ALTER TABLE users RENAME COLUMN nickname TO {name}")
        rounds = play(program, name, cluster.port, direct, database, [lambda: [name]] * 2)
        direct.close()
        cluster.drop_database(database)
        return rounds[1]
    return run


# Active Record reads the catalogs to know its columns: its new version is started once its column is there, and names the unique
# index of its upserts, which is on the old column still.
@pytest.mark.parametrize("program, name, first", [("django", "nickname", "planned"), ("django", "username", "planned"),
                                                  ("active_record", "nickname", "planned"), ("active_record", "username", "dual_write")])
def test_through_the_window(start_segue, cluster, database, direct, plain_round, program, name, first):
    wanted = plain_round(program, name)
    direct.cursor().execute(SCHEMA)
    segue = start_segue(control=database, options=["--set", f"star={'old' if name == 'nickname' else 'new'}"])
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    window = segue.console.window("m")
    both = ["nickname", "username"]
    names = {"planned": ["nickname"], "dual_write": both, "read_new": both, "new_only": ["username"]}
    phases = list(names)[list(names).index(first):]
    while next(window) != first:
        pass
    turns = [lambda: names[first]] * 2 + [lambda: names[next(window)]] * (len(phases) - 1)
    rounds = play(program, name, segue.port, direct, database, turns)
    # A column that the program knows only because the catalogs show it is in its joins: other rows, but no other tables.
    same_answers = (program, name) != ("active_record", "username")
    for phase, scenes in zip(phases, rounds[1:]):
        assert [s[0] for s in scenes] == [s[0] for s in wanted]
        for (title, answers, tables), (_, answers_wanted, tables_wanted) in zip(scenes, wanted):
            for each in tables:
                assert each == tables_wanted[0], (phase, title)
            if same_answers:
                assert answers == answers_wanted, (phase, title)
            assert not [a for a in answers if "error 0A000" in a], (phase, title)
