"""Every driver does through segue what it does directly: the same lines, the same rows; in clear and under TLS, with a SCRAM
login, and, while the column is being renamed, under either of its names. The programs are in drivers/."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from certificates import make_certificate
from cluster import HOST, SCRAM_PASSWORD, SCRAM_USER
from node import install
from proxy import PATIENCE_S, Segue

DRIVERS = Path(__file__).resolve().parent / "drivers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "segue" / "drivers"
JDBC = "/usr/share/java/postgresql.jar"
EDITION_2021_CARGO = (1, 78)

TABLE = """
CREATE TABLE users (user_id bigint PRIMARY KEY, {column} varchar(100) NOT NULL, city text DEFAULT 'here');
CREATE TABLE cities (city text, since date);
INSERT INTO users SELECT g, 'row ' || g, 'city ' || g % 7 FROM generate_series(1, 2000) g;
GRANT ALL ON users, cities TO public;
"""


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


def url(driver, port, database, tls):
    password = SCRAM_PASSWORD.replace(" ", "%20")
    mode = "require" if tls else "disable"
    if driver == "jdbc":
        return f"jdbc:postgresql://{HOST}:{port}/{database}?user={SCRAM_USER}&password={password}&sslmode={mode}"
    return f"postgresql://{SCRAM_USER}:{password}@{HOST}:{port}/{database}?sslmode={mode}"


def run(command, *arguments):
    done = subprocess.run([*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


class World:
    """One database that nobody migrates, to be used directly and through segue; one in the middle of the renaming."""

    def __init__(self, cluster, segue, plain, mapped):
        self.cluster, self.segue, self.plain, self.mapped = cluster, segue, plain, mapped

    def rows(self, database, column):
        """What the program left behind; and the table as it was."""
        with self.cluster.connect(database) as conn, conn.cursor() as cur:
            cur.execute(f"SELECT user_id, {column}, city FROM users ORDER BY user_id")
            rows = cur.fetchall()
            cur.execute("DELETE FROM users WHERE user_id > 2000")
        conn.close()
        return rows


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture(scope="module")
def world(cluster, certificate):
    plain, mapped = cluster.create_database(), cluster.create_database()
    for database in (plain, mapped):
        with cluster.connect(database) as conn, conn.cursor() as cur:
            cur.execute(TABLE.format(column="nickname"))
        conn.close()
    key, cert = certificate
    segue = Segue(cluster, control=mapped, options=[
        "--set", "client_tls_sslmode=allow", "--set", f"client_tls_key_file={key}", "--set", f"client_tls_cert_file={cert}"]).start()
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    yield World(cluster, segue, plain, mapped)
    segue.stop()


@pytest.mark.parametrize("driver", COMMANDS)
def test_driver(driver, world):
    command = COMMANDS[driver]()
    said = run(command, url(driver, world.cluster.port, world.plain, False), "nickname")
    assert said.count("\n") > 20, said
    left = world.rows(world.plain, "nickname")

    def through_segue(database, column, tls):
        got = run(command, url(driver, world.segue.port, database, tls), column)
        assert got == said.replace("nickname", column), f"{database}, {column}, TLS {tls}"
        return world.rows(database, column)

    for tls in (False, True):
        assert through_segue(world.plain, "nickname", tls) == left
        assert through_segue(world.mapped, "nickname", tls) == left
        assert through_segue(world.mapped, "username", tls) == left
