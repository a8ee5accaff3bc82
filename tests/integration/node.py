"""Runs the project's JavaScript programs, with their packages as the lock file names them."""

import fcntl
import os
import subprocess

from cluster import die_with_parent
from proxy import PATIENCE_S


def install(directory):
    """npm ci, unless what is installed is what the lock file names already."""
    lock, done = directory / "package-lock.json", directory / "node_modules" / ".package-lock.json"
    # Two test files may want the same packages at once.
    with open(lock, "rb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit"], cwd=directory, check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            os.utime(done)


def node(script, *arguments, **environment):
    """Standard output of a program that must succeed."""
    install(script.parent)
    done = subprocess.run(["node", str(script), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_S * 2, env={**os.environ, **environment}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class NodeProcess:
    """A program that answers a line with a line, for as long as the test goes on."""

    def __init__(self, script, *arguments, **environment):
        install(script.parent)
        self.process = subprocess.Popen(
            die_with_parent() + ["node", str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1, env={**os.environ, **environment})

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
