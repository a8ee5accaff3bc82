"""One pass of PostgreSQL's regression tests: a fresh cluster, pg_regress, a folder of what psql printed."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from cluster import HOST, PG_BIN, Cluster, die_with_parent

DATABASE = "regression"
PG_REGRESS = PG_BIN.parent / "lib" / "pgxs" / "src" / "test" / "regress" / "pg_regress"
HEADERS = Path("/usr/include/postgresql/15/server")
PASS_TIMEOUT_S = 420
# What pg_regress sets for the database when it creates it itself.
SETTINGS = ("lc_messages = 'C'", "lc_monetary = 'C'", "lc_numeric = 'C'", "lc_time = 'C'", "bytea_output = 'hex'",
            "timezone_abbreviations = 'Default'")
COPY_IN = re.compile(r"^\\?copy\b[^;]*\bfrom\s+stdin\b", re.I)


def with_ends_of_data(script):
    """psql 15.19 and later, when a COPY FROM STDIN fails, skips all that follows up to a line `\\.`; scripts that were
    written before have none after a COPY that is meant to fail, and would lose all that follows. A COPY without such a
    line before the next COPY, or the script's end, is one of them."""
    lines = script.split(b"\n")
    kept = []
    for i, line in enumerate(lines):
        kept.append(line)
        if not COPY_IN.match(line.decode("utf-8", "replace")):
            continue
        for following in lines[i + 1:]:
            if following == b"\\." or COPY_IN.match(following.decode("utf-8", "replace")):
                break
        else:
            following = b""
        if following != b"\\.":
            kept.append(b"\\.")
    return b"\n".join(kept)


class Tests:
    """The scripts, and the C functions they call, where the server's account may read them."""

    def __init__(self, source):
        self.dir = Path(tempfile.mkdtemp(prefix="segue-regress-"))
        os.chmod(self.dir, 0o755)
        self.input = self.dir / "input"
        shutil.copytree(source, self.input)
        for script in (self.input / "sql").glob("*.sql"):
            script.write_bytes(with_ends_of_data(script.read_bytes()))
        self.libraries = self.dir / "lib"
        self.libraries.mkdir()
        for name in ("autoinc.so", "refint.so"):
            shutil.copy(PG_BIN.parent / "lib" / name, self.libraries)
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", f"-I{HEADERS}", "-o", self.libraries / "regress.so",
                        self.input / "regress.c"], check=True)
        schedule = (self.input / "parallel_schedule").read_text(encoding="utf-8")
        # Run by itself, before the mappings are made.
        self.schedule = self.dir / "schedule"
        self.schedule.write_text(re.sub(r"^test: test_setup\n", "", schedule, flags=re.M), encoding="utf-8")
        self.names = [name for group in re.findall(r"^test: (.*)$", schedule, re.M) for name in group.split()]

    def choose(self, names):
        """Only these, all at once as the server bears it. What others would have left for them is missing on every way."""
        assert set(names) <= set(self.names)
        self.names = ["test_setup", *names]
        self.schedule.write_text("".join(f"test: {name}\n" for name in names), encoding="utf-8")

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Pass:
    """A cluster with the database of the tests, and what comes out of them."""

    def __init__(self, tests):
        self.tests = tests
        self.cluster = Cluster()
        self.output = self.cluster.dir / "output"
        self.output.mkdir()
        if os.geteuid() == 0:
            # The server itself writes files there.
            shutil.chown(self.output, "postgres")
        self.cluster.create_database(DATABASE)
        self.cluster.admin("ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()",
                           *(f"ALTER DATABASE {DATABASE} SET {setting}" for setting in SETTINGS))

    def run(self, port, *arguments):
        """pg_regress's own verdict does not matter: it compares with what a PostgreSQL of another build printed."""
        command = [PG_REGRESS, "--use-existing", f"--host={HOST}", f"--port={port}", "--user=postgres",
                   f"--dbname={DATABASE}", f"--bindir={PG_BIN}", f"--dlpath={self.tests.libraries}",
                   f"--inputdir={self.tests.input}", f"--outputdir={self.output}", *arguments]
        done = subprocess.run(die_with_parent(user="postgres") + [str(part) for part in command], cwd=self.output,
                              stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace",
                              env={**os.environ, "PGSSLMODE": "disable"}, timeout=PASS_TIMEOUT_S, check=False)
        assert done.returncode in (0, 1), done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def setup(self):
        """The tables of the tests, straight into the server."""
        self.run(self.cluster.port, "test_setup")

    def rest(self, port):
        return self.run(port, f"--schedule={self.tests.schedule}")

    def results(self, port):
        """What each test printed, without what differs from run to run."""
        masks = [(str(self.cluster.dir), "DIR"), (f"port={port}", "port=PORT"), (f'port "{port}"', 'port "PORT"')]
        results = {}
        for name in self.tests.names:
            text = (self.output / "results" / f"{name}.out").read_text(encoding="utf-8", errors="backslashreplace")
            for what, mask in masks:
                text = text.replace(what, mask)
            results[name] = text
        return results

    def destroy(self):
        self.cluster.destroy()
