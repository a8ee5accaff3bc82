#!/usr/bin/env python3
"""Runs the golden cases on a real server: what a case expects must mean what the client said.

For every file there is an oracle and, for every phase, a database in the state the migration has then. The oracle is
PostgreSQL's own idea of one column that answers to two names: an updatable view over the table that has the column
twice, with the statement run on it as the client sent it. Where a view cannot serve (ONLY, TABLESAMPLE, a constraint's
name, a count of columns) the case says in an `oracle` block what the statement means on the table with the old column.

Compared: results row by row, labels, types, tags, SQLSTATEs, parameter types, and after it the contents of every table;
while both columns exist, under both names. In dual_write also with a new column that the backfill has not reached, and
for the transactions that are still of the phase before when the tables change: planned on tables that have the new column
already, new_only on tables that have the old one still.

usage: execute.py [-v] [PART-OF-A-FILE-NAME…]
"""

import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from cases import PHASES, quote, read  # noqa: E402
from cluster import Cluster  # noqa: E402
from libpq import Connection  # noqa: E402


def other_name(statement, mapping):
    """An index of the schema block for the new column, as the mirror step would make it."""
    return re.sub(rf'"?\b{re.escape(mapping.old)}\b"?', lambda _: quote(mapping.new), statement)


# The part of the migration's guard that the rewriter counts on for a default that gives another value each time.
GUARD = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE take_new boolean;
BEGIN
  IF TG_OP = 'INSERT' THEN take_new := NEW.{new} IS NOT NULL;
  ELSE take_new := NEW.{new} IS DISTINCT FROM OLD.{new} AND NEW.{old} IS NOT DISTINCT FROM OLD.{old};
  END IF;
  IF take_new THEN NEW.{old} := NEW.{new}; ELSE NEW.{new} := NEW.{old}; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {relation} FOR EACH ROW
  WHEN (NEW.{new} IS DISTINCT FROM NEW.{old}) EXECUTE FUNCTION {name}();
"""


def add_new_columns(conn, file):
    for mapping in file.mappings:
        bare, default = mapping.bare.replace("NOT NULL", ""), mapping.default
        old, new = quote(mapping.old), quote(mapping.new)
        conn.must(f"ALTER TABLE {mapping.relation} ADD COLUMN {new} {bare}")
        conn.must(f"UPDATE {mapping.relation} SET {new} = {old}")
        if mapping.default_is_volatile:
            conn.must(GUARD.format(name=quote(f"guard_{mapping.new}"), new=new, old=old, relation=mapping.relation))
        elif default:
            conn.must(f"ALTER TABLE {mapping.relation} ALTER COLUMN {new} SET DEFAULT {default}")
        if "NOT NULL" in mapping.definition:
            conn.must(f"ALTER TABLE {mapping.relation} ALTER COLUMN {new} SET NOT NULL")
        for line in file.schema.split("\n"):
            if line.startswith("CREATE UNIQUE INDEX") and other_name(line, mapping) != line:
                conn.must(other_name(line, mapping))


def make_stale(conn, file):
    """As before the backfill: what the new column holds is not the truth yet."""
    for mapping in file.mappings:
        conn.must(f"ALTER TABLE {mapping.relation} DISABLE TRIGGER USER")
        conn.must(f"UPDATE {mapping.relation} SET {quote(mapping.new)} = DEFAULT")
        conn.must(f"ALTER TABLE {mapping.relation} ENABLE TRIGGER USER")


def prepare_drop(conn, file):
    for mapping in file.mappings:
        if mapping.default_is_volatile:
            conn.must(f"DROP FUNCTION {quote(f'guard_{mapping.new}')} CASCADE")
            conn.must(f"ALTER TABLE {mapping.relation} ALTER COLUMN {quote(mapping.new)} SET DEFAULT {mapping.default}")
        for constraint in ("NOT NULL", "DEFAULT"):
            conn.must(f"ALTER TABLE {mapping.relation} ALTER COLUMN {quote(mapping.old)} DROP {constraint}")


def drop_old_columns(conn, file):
    for mapping in file.mappings:
        conn.must(f"ALTER TABLE {mapping.relation} DROP COLUMN {quote(mapping.old)} CASCADE")
    # A child that had the column before it became one still has it.
    for relation, mappings in file.mapped_tables().items():
        for mapping in mappings:
            conn.must(f"ALTER TABLE {relation} DROP COLUMN IF EXISTS {quote(mapping.old)} CASCADE")


def make_views(conn, file):
    for relation, mappings in file.mapped_tables().items():
        schema, table = quote(mappings[0].schema), mappings[0].table
        columns = [quote(c) for c in mappings[0].shape] + [f"{quote(m.old)} AS {quote(m.new)}" for m in mappings]
        conn.must(f"ALTER TABLE {relation} RENAME TO {quote(table + '__base')}")
        conn.must(f"CREATE VIEW {relation} AS SELECT {', '.join(columns)} FROM {schema}.{quote(table + '__base')}")


class State:
    """One database: the tables of a file in one state. Every run in it is rolled back."""

    # How the tables come to be in this state, and the names under which they must hold what the oracle holds.
    KINDS = {
        "view": ([make_views], ["old"]),
        "planned": ([], ["old"]),
        "planned, early": ([add_new_columns], ["old"]),
        "dual_write": ([add_new_columns], ["old", "new"]),
        "dual_write, stale": ([add_new_columns, make_stale], ["old"]),
        "read_new": ([add_new_columns], ["old", "new"]),
        "new_only, late": ([add_new_columns, prepare_drop], ["new"]),
        "new_only": ([add_new_columns, prepare_drop, drop_old_columns], ["new"]),
    }

    def __init__(self, cluster, file, kind):
        self.cluster, self.file, self.kind, self.conn = cluster, file, kind, None

    def open(self):
        self.conn = Connection(self.cluster.conninfo(self.cluster.create_database(re.sub(r"\W+", "_", self.kind))))
        self.conn.must(self.file.schema)
        self.conn.must(self.file.rows)
        for step in self.KINDS[self.kind][0]:
            step(self.conn, self.file)

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def contents(self):
        """Every table's rows under the clients' columns: a list of readings that must all be the same."""
        return [self._reading(name) for name in self.KINDS[self.kind][1]] + (
            [self._torn()] if self.kind == "dual_write, stale" else [])

    def _torn(self):
        """Rows written by the statement whose columns differ, though the new one is not just waiting for the backfill."""
        torn = []
        for mapping in self.file.mappings:
            old, new = quote(mapping.old), quote(mapping.new)
            torn += self.conn.must(
                f"SELECT {old}, {new} FROM {mapping.relation} WHERE xmin = pg_current_xact_id()::xid"
                f" AND {new} IS DISTINCT FROM {old} AND {new} IS DISTINCT FROM {mapping.stale}")[0].rows
        return {"torn": torn}

    def _reading(self, name):
        mapped = self.file.mapped_tables()
        reading = {}
        for schema, table in self.file.columns:
            columns, relation = "*", f"{quote(schema)}.{quote(table)}"
            if relation in mapped:
                physical = {m.old: getattr(m, name) for m in mapped[relation]}
                columns = ", ".join(quote(physical.get(c, c)) for c in mapped[relation][0].shape)
                if self.kind == "view":
                    relation = f"{quote(schema)}.{quote(table + '__base')}"
            rows = self.conn.must(f"SELECT {columns} FROM {relation}")[0].rows
            reading[f"{schema}.{table}"] = sorted(rows, key=repr)
        return reading

    def run(self, case, sql):
        """(results, contents, parameter types); contents are None after an error."""
        if self.conn is None or not self._begin(case):
            self.close()
            self.open()
            self._begin(case)
        parameters = [] if case.options.get("extended") == "on" else case.parameters
        types = None if parameters is None else self.conn.parameter_types(sql)
        results = self.conn.query(sql, parameters)
        if case.then:
            results += self.conn.query(case.then)
        if "order by" not in sql.lower():
            for result in results:
                result.rows.sort(key=repr)
        contents = None if any(r.sqlstate for r in results) else self.contents()
        if self.conn.in_transaction():
            self.conn.must("ROLLBACK")
            self.conn.must("DEALLOCATE ALL")  # which no ROLLBACK does
        else:
            self.close()  # the statement committed: the next case starts from new tables
        return results, contents, types

    def _begin(self, case):
        self.conn.must("BEGIN")
        for sequence in self.conn.must("SELECT oid::regclass FROM pg_class WHERE relkind = 'S'")[0].rows:
            self.conn.must(f"ALTER SEQUENCE {sequence[0]} RESTART")  # transactional, unlike nextval
        if case.setup:
            self.conn.must(case.setup)
        return True


def differences(wanted, got):
    (wanted_results, wanted_contents, wanted_types), (results, contents, types) = wanted, got
    if results != wanted_results:
        yield f"results\n    oracle {show(wanted_results)}\n    got    {show(results)}"
    if types != wanted_types:
        yield f"parameter types: oracle {wanted_types}, got {types}"
    if wanted_contents is not None and contents is not None:
        for reading in contents:
            if reading not in (wanted_contents[0], {"torn": []}):
                yield f"table contents\n    oracle {wanted_contents[0]}\n    got    {reading}"


def show(results):
    return "; ".join(f"{r.sqlstate} {r.message}" if r.sqlstate else
                     f"{r.tag} {[c[0] for c in r.columns]} {[c[1:] for c in r.columns]} {r.rows}" for r in results)


class Run:
    def __init__(self, cluster, verbose):
        self.cluster, self.verbose, self.checks, self.failures = cluster, verbose, 0, 0

    def file(self, path):
        file = read(path)
        states = {kind: State(self.cluster, file, kind) for kind in State.KINDS}
        for case in file.cases:
            self.case(path, case, states)
        for state in states.values():
            state.close()

    def case(self, path, case, states):
        if case.oracle is None:
            wanted = states["view"].run(case, case.sql)
        else:
            wanted = states["planned"].run(case, case.oracle)
        for phase in PHASES:
            sql = case.expected[phase]
            if sql is None:
                self.refusal(path, case, phase, wanted[0])
            kinds = [] if sql is None else [k for k in State.KINDS if k.split(",")[0] == phase]
            for kind in kinds:
                self.checks += 1
                for difference in differences(wanted, states[kind].run(case, sql)):
                    self.failures += 1
                    print(f'{path}:{case.line}: "{case.title}" in {kind}: {difference}\n    sql    {sql}')
        if self.verbose:
            print(f"{path.name}:{case.line}: {case.title}: {show(wanted[0])}")


    def refusal(self, path, case, phase, wanted):
        """A refusal with an SQLSTATE of PostgreSQL's own says what the server would have said."""
        sqlstate = case.refused[phase].split(":")[0]
        if len(sqlstate) == 5 and sqlstate != "0A000":
            self.checks += 1
            if wanted[-1].sqlstate != sqlstate:
                self.failures += 1
                print(f'{path}:{case.line}: "{case.title}" in {phase}: refused with {sqlstate}\n'
                      f"    oracle {show(wanted)}\n    sql    {case.sql}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("-v", "--verbose", action="store_true", help="print what the oracle answered")
    arguments.add_argument("parts", nargs="*", metavar="PART-OF-A-FILE-NAME")
    options = arguments.parse_args()
    paths = [p for p in sorted(HERE.glob("*.md")) if p.name != "README.md"
             and (not options.parts or any(part in p.name for part in options.parts))]
    cluster = Cluster()
    try:
        run = Run(cluster, options.verbose)
        for path in paths:
            run.file(path)
    finally:
        cluster.destroy()
    print(f"{run.checks} executions, {run.failures} differences")
    return 1 if run.failures or not run.checks else 0


if __name__ == "__main__":
    sys.exit(main())
