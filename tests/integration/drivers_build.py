"""How the programs in drivers/ are built and called."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from node import install

DRIVERS = Path(__file__).resolve().parent / "drivers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "segue" / "drivers"
JDBC = "/usr/share/java/postgresql.jar"
EDITION_2021_CARGO = (1, 78)


def built(name, command, cwd, made):
    """A program compiled once for a state of its sources: two test runs may want it at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ, "CARGO_TARGET_DIR": str(CACHE / "cargo")}, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


def python(name):
    return lambda: ["/usr/bin/python3", str(DRIVERS / "python" / f"{name}_app.py")]


def node(script):
    def command():
        install(DRIVERS / "node")
        return ["node", str(DRIVERS / "node" / script)]
    return command


def go(name):
    def command():
        made = CACHE / f"go-{name}"
        return [str(built(f"go-{name}", ["go", "build", "-buildvcs=false", "-o", str(made), f"./{name}"], DRIVERS / "go", made))]
    return command


def jdbc():
    classes = CACHE / "jdbc"
    built("jdbc", ["javac", "-cp", JDBC, "-d", str(classes), str(DRIVERS / "jdbc" / "JdbcApp.java")], DRIVERS, classes)
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{JDBC}", "JdbcApp"]


def tokio():
    said = subprocess.run(["cargo", "--version"], capture_output=True, text=True, check=False).stdout \
        if shutil.which("cargo") else ""
    if not said or tuple(int(part) for part in said.split()[1].split(".")[:2]) < EDITION_2021_CARGO:
        pytest.skip(f"tokio-postgres needs a newer cargo than {said.strip() or 'none'}")
    made = CACHE / "cargo" / "debug" / "segue-drivers-tokio"
    return [str(built("cargo", ["cargo", "build", "--locked", "-q"], DRIVERS / "tokio", made))]


COMMANDS = {
    "psycopg2": python("psycopg2"),
    "psycopg3": python("psycopg3"),
    "asyncpg": python("asyncpg"),
    "pg": node("pg_app.js"),
    "postgres_js": node("postgres_app.mjs"),
    "jdbc": jdbc,
    "lib_pq": go("lib_pq"),
    "pgx": go("pgx"),
    "tokio": tokio,
}
