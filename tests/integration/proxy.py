"""A segue process under test, and its console as an operator would use it: through psql."""

import csv
import io
import os
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg2

from cluster import HOST, PG_BIN, die_with_parent, free_port

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SEGUE_BUILD_DIR", ROOT / "build" / "dev"))
SANITIZER_REPORT = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:)")
# Long enough for the slowest machine: a wait that ends by itself, never a measure of speed.
PATIENCE_S = 180


class ConsoleError(Exception):
    def __init__(self, text):
        super().__init__(text)
        found = re.search(r"(?:ERROR|FATAL):\s+([0-9A-Z]{5}): ", text)
        self.sqlstate = found.group(1) if found else None


def psql(conninfo, *arguments, stdin=None, check=True, env=None):
    """psql as a script would call it; its standard output. Raises ConsoleError with what it said otherwise."""
    done = subprocess.run(
        [str(PG_BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-d", conninfo,
         *arguments],
        input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, encoding="utf-8",
        errors="backslashreplace", timeout=PATIENCE_S * 2, env={**os.environ, "PGCONNECT_TIMEOUT": "30", **(env or {})}, check=False)
    if check and done.returncode != 0:
        raise ConsoleError(done.stderr)
    return done.stdout if check else done


class Console:
    """The virtual database `segue`."""

    def __init__(self, conninfo):
        self.conninfo = conninfo

    def run(self, *commands):
        """Each command in a session of its own, as `psql -c` does it."""
        for command in commands:
            psql(self.conninfo, "-c", command)

    def rows(self, command):
        return list(csv.DictReader(io.StringIO(psql(self.conninfo, "--csv", "-c", command))))

    def migration(self, name):
        return next(row for row in self.rows("SHOW MIGRATIONS") if row["name"] == name)

    def wait(self, name, what):
        self.run(f"WAIT {name} FOR {what} TIMEOUT {PATIENCE_S}")

    # The operator's moves, each with the wait for what it leads to.
    def start(self, name):
        self.run(f"START {name}")
        self.wait(name, "verified")

    def switch(self, name):
        self.run(f"SWITCH {name}")
        self.wait(name, "read_new")

    def contract(self, name):
        self.run(f"CONTRACT {name}")
        self.wait(name, "new_only")

    def window(self, name):
        """Takes a migration that is planned through its whole window, yielding each phase once it is reached."""
        yield "planned"
        self.start(name)
        yield "dual_write"
        self.switch(name)
        yield "read_new"
        self.contract(name)
        yield "new_only"


class Segue:
    """`segue serve` in front of a cluster. control: the database whose migrations it serves; None: a plain proxy."""

    def __init__(self, cluster, control=None, options=(), upstream=None):
        self.cluster = cluster
        self.control = control
        self.port = free_port()
        self.options = list(options)
        self.upstream = upstream or f"host={HOST} port={cluster.port} sslmode=disable"
        self.process = None
        self.log = tempfile.NamedTemporaryFile(prefix="segue-log-", suffix=".txt", delete=False)

    def start(self):
        command = die_with_parent() + [
            str(BUILD / "segue"), "serve", "--listen", f"{HOST}:{self.port}", "--workers", "2"]
        if self.upstream:
            command += ["--upstream", self.upstream]
        if self.control is not None:
            command += ["--control", self.cluster.conninfo(self.control)]
        ready, self.was_ready = threading.Event(), False
        self.process = subprocess.Popen(command + self.options, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, stdout=self.log)
        threading.Thread(target=self._read_log, args=(self.process.stderr, ready), daemon=True).start()
        if not ready.wait(PATIENCE_S) or not self.was_ready:
            raise RuntimeError("segue did not become ready:\n" + self.log_text())
        return self

    def _read_log(self, stream, ready):
        wanted = f"ready listen={HOST}:{self.port}".encode()
        for line in stream:
            self.log.write(line)
            self.log.flush()
            if wanted in line:
                self.was_ready = True
                ready.set()
        # The end of the log is the end of the process.
        ready.set()

    def log_text(self):
        return Path(self.log.name).read_text(encoding="utf-8", errors="replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self):
        """Pulls the plug and starts the same process again."""
        self.kill9()
        return self.start()

    def stop(self):
        """An orderly end; with it come the reports of the sanitizers."""
        if self.alive():
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill9()
                raise AssertionError("segue did not end on SIGINT:\n" + self.log_text()) from None
        status, text = self.process.returncode, self.log_text()
        assert not SANITIZER_REPORT.search(text), text
        assert status in (0, -signal.SIGKILL), f"segue ended with {status}:\n{text}"

    def memory_kb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def conninfo(self, database=None, user="postgres"):
        return f"host={HOST} port={self.port} user={user} dbname={database or self.control} sslmode=disable"

    def url(self, database=None):
        return f"postgres://postgres@{HOST}:{self.port}/{database or self.control}"

    def connect(self, database=None, user="postgres", **options):
        conn = psycopg2.connect(self.conninfo(database, user), **options)
        conn.autocommit = True
        return conn

    @property
    def console(self):
        return Console(self.conninfo("segue"))
