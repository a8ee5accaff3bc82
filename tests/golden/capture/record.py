#!/usr/bin/env python3
"""Records what object-relational mappers send, and writes it down as golden cases: see README.md here.

usage: record.py LIBRARY…      all of them without one
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent
sys.path[:0] = [str(GOLDEN), str(GOLDEN.parent / "integration")]

from cases import PHASES  # noqa: E402
from cluster import Cluster, HOST  # noqa: E402
from libpq import Connection  # noqa: E402
from libraries import LIBRARIES  # noqa: E402
from moment import frozen  # noqa: E402
from relay import Relay  # noqa: E402

SCHEMA, ROWS = (HERE / "schema.sql").read_text(), (HERE / "rows.sql").read_text()
SEGUE = Path(os.environ.get("SEGUE_BUILD_DIR", GOLDEN.parents[1] / "build" / "dev")) / "segue"
NAMES = {"nickname": "the old version", "username": "the new version"}
# What a library asks the catalogs about the table is no statement on the table.
ABOUT_CATALOGS = re.compile(r"pg_catalog|pg_class|pg_attr|information_schema|regclass", re.I)


def make_tables(cluster, name):
    """The application's tables as its version knows them."""
    conn = Connection(cluster.conninfo(cluster.create_database("app")))
    conn.must(SCHEMA.replace("nickname", name))
    return conn


def fill(conn, name):
    conn.must("SET lock_timeout = '10s'; TRUNCATE users, posts, comments RESTART IDENTITY CASCADE;"
              + ROWS.replace("nickname", name))


def play(cluster, library, name):
    """Runs the program under one name: [(title, why, [(sql, parameters)])]."""
    direct = make_tables(cluster, name)
    scenes = []
    with Relay(cluster.port) as relay:
        environment = {**os.environ, **library.environment, "NAME": name, "PGHOST": HOST, "PGPORT": str(relay.port),
                       "PGDATABASE": "app", "PGUSER": "postgres", "PGSSLMODE": "disable", "TZ": "UTC"}
        with subprocess.Popen(library.command, cwd=library.directory, env=environment, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            for line in program.stdout:
                title, _, why = line.rstrip("\n").partition("\t")
                if scenes:
                    scenes[-1][2].extend(relay.take(direct.parameter_types))
                scenes.append((title, why, []))
                fill(direct, name)
                program.stdin.write("go\n")
                program.stdin.flush()
        if program.returncode or not scenes:
            sys.exit(f"{library.title}: the program ended with {program.returncode}")
        scenes[-1][2].extend(relay.take(direct.parameter_types))
    direct.close()
    return scenes


def rewritten(sql, phase):
    """(action, text or reason)"""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as schema:
        schema.write(SCHEMA)
        schema.flush()
        done = subprocess.run(
            [str(SEGUE), "rewrite", "--json", "--schema", schema.name, "--mapping", "public.users.nickname=username",
             "--phase", phase], input=sql, capture_output=True, text=True, check=False)
    parts = [json.loads(line) for line in done.stdout.splitlines()]
    for part in parts:
        if part["action"] == "refuse":
            return "refuse", part["reason"]
    text = "".join(part["sql"] for part in parts)
    return "pass" if text == sql else "rewrite", text


def block(info, text):
    return f"```{info}\n{text}\n```\n"


def answers(sql):
    """The blocks of every phase, neighbours that agree in one."""
    groups = []
    for phase in PHASES:
        answer = rewritten(sql, phase)
        if groups and groups[-1][1] == answer:
            groups[-1][0].append(phase)
        else:
            groups.append(([phase], answer))
    for phases, (action, text) in groups:
        every = len(phases) == len(PHASES)
        if action == "pass":
            yield f"Untouched in {'every phase' if every else ' and '.join(phases)}.\n"
        elif action == "refuse":
            yield block("refused " + ("every phase" if every else " ".join(phases)), text)
        else:
            yield block(" ".join(phases), text)


class Oracle:
    """The oracle of execute.py is a view. What a view cannot do is said as the old version would say it."""

    def __init__(self, cluster):
        self.conn = Connection(cluster.conninfo(cluster.create_database("views")))
        self.conn.must(SCHEMA + "ALTER TABLE users RENAME TO base; CREATE VIEW users AS"
                       " SELECT id, nickname, email, logins, lock_version, created_at, updated_at,"
                       " nickname AS username FROM base;")

    def block(self, sql):
        self.conn.must("BEGIN")
        refused = [r for r in self.conn.query("PREPARE s AS " + sql) if r.sqlstate]
        self.conn.must("ROLLBACK; DEALLOCATE ALL")
        if not refused:
            return ""
        # A selected column keeps the label by which it was asked for; elsewhere the name is only the old one.
        text = re.sub(r'((?:"?users"?|\bT\d|\bu(?:\d_\d)?)\.)("?)username\2(?=,|\s+FROM )(?=.* FROM )',
                      r"\1\2nickname\2 AS \2NEW\2", sql, flags=re.I | re.S)
        text = text.replace("username", "nickname").replace("u.*", "u.*, u.nickname AS NEW").replace("NEW", "username")
        return block("oracle", text)


def write(library, scenes, oracle):
    """One file: for every scene what each version sent, without what has been seen already."""
    out = [f"# {library.title}\n\nRecorded from {library.versions()} by `capture/record.py`; times are replaced by one"
           " moment.\nStatements that do not name the table are left out, and so are those seen before in this file.\n",
           block("schema", SCHEMA.strip()), block("mappings", "public.users.nickname = username"),
           block("rows", ROWS.strip())]
    seen, cases = set(), 0
    for old, new in zip(*scenes):
        for version, (title, why, statements) in zip(NAMES.values(), (old, new)):
            fresh = [s for s in statements if re.search(r"\busers\b", s[0]) and not ABOUT_CATALOGS.search(s[0])]
            fresh = [(frozen(sql), parameters) for sql, parameters in fresh if frozen(sql) not in seen]
            fresh = list({sql: (sql, parameters) for sql, parameters in reversed(fresh)}.values())[::-1]
            for number, (sql, parameters) in enumerate(fresh, 1):
                seen.add(sql)
                cases += 1
                told = "".join(answers(sql))
                nth = f", statement {number}" if len(fresh) > 1 else ""
                values = "\n".join("NULL" if p is None else frozen(p) for p in parameters or ())
                out.append("".join([
                    f"## {title}: {version}{nth}\n\n{why}\n\n", block("sql", sql),
                    "" if "```refused every" in told else oracle.block(sql), block("parameters", values) if values else "", told]))
    path = GOLDEN / f"orm_{library.name}.md"
    path.write_text("\n".join(out), encoding="utf-8")
    print(f"{path.name}: {cases} cases")


def main():
    wanted = [library for library in LIBRARIES if library.name in (sys.argv[1:] or [library.name])]
    if not wanted:
        sys.exit(__doc__)
    cluster = Cluster()
    try:
        oracle = Oracle(cluster)
        for library in wanted:
            library.prepare()
            write(library, [play(cluster, library, name) for name in NAMES], oracle)
    finally:
        cluster.destroy()


if __name__ == "__main__":
    main()
