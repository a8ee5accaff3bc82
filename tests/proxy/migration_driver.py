"""migration_driver as Python sees it: an engine that can be killed, and commands that answer or raise."""

import os
import signal
import subprocess
import time
from pathlib import Path

DRIVER = Path(os.environ.get("SEGUE_BUILD_DIR", "build/dev")) / "migration_driver"
SECONDS = 60  # how long anything may take before the test gives up; no test asserts a time


class Refused(Exception):
    """A command that failed: sqlstate, message, detail, hint."""

    def __init__(self, text):
        super().__init__(text)
        lines = text.splitlines() + ["", "", ""]
        self.sqlstate, _, self.message = lines[0].partition(": ")
        self.detail, self.hint = lines[1], lines[2]


class Driver:
    def __init__(self, conninfo, log):
        self.conninfo, self.log = conninfo, log
        self.engines = []

    def engine(self, batch_rows=5000, lease_ms=700):
        process = subprocess.Popen([DRIVER, self.conninfo, "engine", str(batch_rows), str(lease_ms)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        if process.stdout.readline() != "ready\n":
            process.communicate()
            raise RuntimeError(f"the engine did not start: status {process.returncode}")
        self.engines.append(process)
        return process

    def stop(self):
        """Orderly, so that the sanitizers speak."""
        statuses = []
        for process in self.engines:
            process.stdin.close()
            try:
                statuses.append(process.wait(SECONDS))
            except subprocess.TimeoutExpired:
                process.kill()
                statuses.append("hangs")
            process.stdout.close()
        self.engines = []
        return [status for status in statuses if status not in (0, -signal.SIGKILL)]

    @staticmethod
    def kill(process):
        process.send_signal(signal.SIGKILL)
        process.wait()

    def run(self, *words):
        done = subprocess.run([DRIVER, self.conninfo, *[str(word) for word in words]], capture_output=True, text=True,
                              check=False, timeout=SECONDS * 2)
        if done.returncode != 0:
            raise Refused(done.stderr)
        lines = [line.split("|") for line in done.stdout.splitlines()]
        return [dict(zip(lines[0], line)) for line in lines[1:]]

    def create(self, name, table, old, new, *options, schema="-"):
        self.run("create", name, schema, table, old, new, *options)

    def show(self, name):
        return next(row for row in self.run("show") if row["name"] == name)

    def wait(self, name, what):
        self.run("wait", name, what, SECONDS)

    def until(self, name, condition):
        """Polls SHOW MIGRATIONS; fails early when the migration does."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            row = self.show(name)
            if condition(row):
                return row
            assert row["state"] != "failed", row["detail"]
            time.sleep(0.005)
        raise AssertionError(f"time is up: {row}")

    def rolled_back(self, name):
        self.until(name, lambda row: (row["phase"], row["state"]) == ("planned", "idle"))

    def whole_window(self, name):
        self.run("start", name)
        self.wait(name, "verified")
        self.run("switch", name)
        self.wait(name, "read_new")
        self.run("contract", name)
        self.wait(name, "new_only")
