"""PostgreSQL's own regression tests through segue, with mappings in force in their database: what psql prints is what it
prints without segue. Every difference is explained in regress/explained.md, and nothing there is out of date.

Two kinds of mappings are in force, in each of the phases. Tables that no test knows, in a schema of their own, are called
by words that nearly every statement contains, and their columns by names that the tests use everywhere: so the rewriter
reads all of this SQL, and finds that it is not concerned. And tables of the tests themselves: so hundreds of statements are
rewritten. `star = old` keeps the shape of these tables what the tests know."""

from pathlib import Path

import pytest

from proxy import BUILD, Segue
from regress import differences, source, suite

LIST = Path(__file__).parent / "regress" / "explained.md"
PHASES = ("dual_write", "read_new", "new_only")
# Reserved words, as names of tables that have no other rows or readers than ours.
WORDS = ("from", "where", "order", "group", "create", "to", "on", "with", "null", "distinct", "in", "and", "not", "or")
COLUMNS = (("a", "b"), ("f1", "f2"), ("x", "y"), ("id", "q1"))
# Tables of test_setup that no script replaces or shadows.
TABLES = ("int2_tbl", "int4_tbl", "text_tbl")
OLD, NEW = "f1", "g1"


@pytest.fixture(scope="module")
def tests():
    made = suite.Tests(source.folder(source.POSTGRESQL, "regress", BUILD))
    yield made
    made.remove()


@pytest.fixture
def start_pass(tests):
    """Passes end with the test, their segue before their cluster."""
    started = []

    def start():
        made = suite.Pass(tests)
        started.append(made)
        made.setup()
        return made

    yield start
    for made in started:
        made.destroy()


@pytest.fixture(scope="module")
def direct(tests):
    """What every pass is compared with."""
    alone = suite.Pass(tests)
    try:
        alone.setup()
        alone.rest(alone.cluster.port)
        return alone.results(alone.cluster.port)
    finally:
        alone.destroy()


def explained():
    return differences.Explained(LIST.read_text(encoding="utf-8"))


def make_words(cluster):
    """The tables that no test knows; what is to be renamed in them."""
    conn = cluster.connect(suite.DATABASE)
    conn.autocommit = True
    cursor = conn.cursor()
    cursor.execute("CREATE SCHEMA words")
    for word in WORDS:
        cursor.execute(f'CREATE TABLE words."{word}" (id integer, a integer, f1 text, x text)')
    conn.close()
    return [(f'words."{word}"', *COLUMNS[i % len(COLUMNS)]) for i, word in enumerate(WORDS)]


def migrate(segue, renames, phase):
    """Side by side, each step of all of them together."""
    console = segue.console
    names = [f"m{i}" for i in range(len(renames))]
    for name, (table, old, new) in zip(names, renames):
        console.run(f"CREATE MIGRATION {name} ON {table} RENAME COLUMN {old} TO {new}")
    for command, state, reached in (("START", "verified", "dual_write"), ("SWITCH", "read_new", "read_new"),
                                    ("CONTRACT", "new_only", "new_only")):
        console.run(*(f"{command} {name}" for name in names))
        for name in names:
            console.wait(name, state)
        if reached == phase:
            return


@pytest.mark.parametrize("phase", PHASES)
def test_prints_the_same(phase, direct, start_pass):
    run = start_pass()
    segue = Segue(run.cluster, control=suite.DATABASE, options=["--set", "star=old"]).start()
    try:
        migrate(segue, make_words(run.cluster) + [(f"public.{table}", OLD, NEW) for table in TABLES], phase)
        run.rest(segue.port)
        results = run.results(segue.port)
    finally:
        segue.stop()
    new, gone = explained().compare(phase, direct, results)
    (BUILD / f"regress-{phase}.md").write_text(new + "\n", encoding="utf-8")
    assert not new, f"differs, and is not explained (also in {BUILD}/regress-{phase}.md):\n{new}"
    assert not gone, f"is explained, and does not differ any more:\n{gone}"


def test_list_names_known_phases():
    assert explained().phases() <= set(PHASES)
