"""Other people's tests of the protocol, through segue with no mapping: what they print, and what goes over the wire, is what it is
without segue. test_regress.py runs PostgreSQL's regression tests with mappings.

By default the parts that tell most; with SEGUE_SOAK=1 all of it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from certificates import Certificates
from cluster import HOST, PG_BIN, die_with_parent
from proxy import BUILD, PATIENCE_S, Segue, psql
from regress import source, suite

WHOLE = "SEGUE_SOAK" in os.environ
PGXS_TEST = PG_BIN.parent / "lib" / "pgxs" / "src" / "test"
INCLUDES = ("/usr/include/postgresql", "/usr/include/postgresql/15/server", "/usr/include/postgresql/internal")


def through(start_segue, database, way, certificates):
    """A connection string: in clear, encrypted on the client's side, or to a database whose migrations segue serves."""
    if way == "encrypted":
        segue = start_segue(options=certificates.options("require"))
        return f"host={HOST} port={segue.port} user=postgres dbname={database} sslmode=require"
    return start_segue(control=database if way == "controlled" else None).conninfo(database)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


# ---- libpq_pipeline: PostgreSQL's test of libpq's pipeline mode, with a trace of every message ----

@pytest.fixture(scope="module")
def libpq_pipeline(tmp_path_factory):
    folder = source.folder(source.POSTGRESQL, "libpq_pipeline", BUILD)
    program = tmp_path_factory.mktemp("libpq_pipeline") / "libpq_pipeline"
    subprocess.run(["gcc", "-O1", "-w", "-DFRONTEND", *(f"-I{path}" for path in INCLUDES), "-o", program,
                    folder / "libpq_pipeline.c", f"-L{PG_BIN.parent / 'lib'}", "-lpgcommon", "-lpgport", "-lpq", "-lm"], check=True)
    return program, folder / "traces"


def trace(program, test, conninfo, file, is_compared):
    """What it says, and what went over the wire. What is traced of the others than PostgreSQL's authors compare depends on what the
    socket takes at a time."""
    done = subprocess.run([program, "-r", "700", *(["-t", file] if is_compared else []), test, conninfo], capture_output=True,
                          text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return (done.stdout, done.stderr, file.read_text()) if is_compared else done.stdout


@pytest.fixture(scope="module")
def traced_directly(cluster, libpq_pipeline, tmp_path_factory):
    program, traces = libpq_pipeline
    tests = subprocess.run([program, "tests"], check=True, capture_output=True, text=True).stdout.split()
    compared = {file.stem: file.read_text() for file in traces.glob("*.trace")}
    assert len(tests) >= 11 and len(compared) >= 9
    conninfo, file = cluster.conninfo(cluster.create_database()), tmp_path_factory.mktemp("traces") / "trace"
    got = {test: trace(program, test, conninfo, file, test in compared) for test in tests}
    assert {test: got[test][2] for test in compared} == compared
    return got


@pytest.mark.parametrize("way", ["plain", "encrypted", "controlled"])
def test_p36_libpq_pipeline(database, start_segue, libpq_pipeline, traced_directly, certificates, tmp_path, way):
    conninfo = through(start_segue, database, way, certificates)
    for test, expected in traced_directly.items():
        got = trace(libpq_pipeline[0], test, conninfo, tmp_path / "trace", isinstance(expected, tuple))
        assert got == expected, test


# ---- pgproto: message scripts of pgpool-II ----

def play(script, conninfo):
    part = dict(item.split("=") for item in conninfo.split())
    done = subprocess.run(["pgproto", "-h", part["host"], "-p", part["port"], "-u", part["user"], "-d", part["dbname"], "-f", script],
                          capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_S)
    return done.returncode, done.stdout, done.stderr


def test_p24_p40_p44_pgproto(cluster, start_segue):
    scripts = sorted(source.folder(source.PGPOOL, "pgproto", BUILD).rglob("*.data"))
    assert len(scripts) >= 7

    def play_all(conninfo, directly):
        psql(directly, "-c", "CREATE TABLE pgbench_accounts AS SELECT g AS aid FROM generate_series(1, 3) g")
        return {str(script): play(script, conninfo) for script in scripts}

    name = cluster.create_database("pgproto")
    directly = play_all(cluster.conninfo(name), cluster.conninfo(name))
    cluster.create_database(name)
    assert play_all(start_segue().conninfo(name), cluster.conninfo(name)) == directly
    said = "".join(done[2] for done in directly.values())
    assert "CopyInResponse" in said and "FunctionCallResponse" in said and "ParameterDescription" in said


# ---- PostgreSQL's isolation tests: sessions that wait for each other, looked up by their process ids ----

# Locks, deadlocks, cancels by time-out, notifications, COPY and DDL that runs beside others. The rest asks the same of the wire.
TELLING = ("read-write-unique", "deadlock-simple", "deadlock-soft", "detach-partition-concurrently-2", "eval-plan-qual-trigger",
           "lock-update-delete", "insert-conflict-do-nothing", "multiple-cic", "async-notify", "timeouts", "temp-schema-cleanup",
           "fk-deadlock", "nowait", "skip-locked", "sequence-ddl", "plpgsql-toast", "drop-index-concurrently-1", "vacuum-conflict")


def test_p10_p12_isolation(cluster, start_segue):
    """Their own verdict: what each session printed, and when it waited, is what PostgreSQL's authors expect."""
    tests = Path(tempfile.mkdtemp(prefix="segue-isolation-"))
    os.chmod(tests, 0o755)
    shutil.copytree(source.folder(source.POSTGRESQL, "isolation", BUILD), tests / "input")
    output = tests / "output"
    output.mkdir()
    if os.geteuid() == 0:
        shutil.chown(output, "postgres")
    name = cluster.create_database("isolation_regression")
    what = [f"--schedule={tests}/input/isolation_schedule"] if WHOLE else list(TELLING)
    done = subprocess.run(
        die_with_parent(user="postgres") +
        [str(PGXS_TEST / "isolation" / "pg_isolation_regress"), "--use-existing", f"--host={HOST}", f"--port={start_segue().port}",
         "--user=postgres", f"--dbname={name}", f"--bindir={PG_BIN}", f"--inputdir={tests}/input", f"--outputdir={output}", *what],
        cwd=output, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, "PGSSLMODE": "disable"},
        timeout=suite.PASS_TIMEOUT_S, check=False)
    differs = (output / "regression.diffs").read_text() if (output / "regression.diffs").exists() else ""
    shutil.rmtree(tests)
    assert done.returncode == 0, done.stdout + done.stderr + differs
    assert done.stdout.count("... ok") == (115 if WHOLE else len(TELLING))


# ---- PostgreSQL's regression tests ----

SPEAKING = ("copy", "copy2", "copyselect", "copydml", "prepare", "portals", "transactions", "prepared_xacts", "plancache", "async",
            "guc", "errors", "largeobject", "psql_crosstab", "temp", "strings")


@pytest.fixture(scope="module")
def tests():
    made = suite.Tests(source.folder(source.POSTGRESQL, "regress", BUILD))
    if not WHOLE:
        made.choose(SPEAKING)
    yield made
    made.remove()


def test_p14_p15_p40_p44_p53_regression_tests(tests):
    def printed(through_segue):
        run = suite.Pass(tests)
        segue = Segue(run.cluster) if through_segue else None
        try:
            run.setup()
            port = segue.start().port if segue else run.cluster.port
            run.rest(port)
            return run.results(port)
        finally:
            if segue:
                segue.stop()
            run.destroy()

    directly, through_segue = printed(False), printed(True)
    assert len(directly) >= len(SPEAKING)
    for test, text in directly.items():
        assert through_segue[test] == text, test
