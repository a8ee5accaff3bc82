"""Every driver does through segue what it does directly: the same lines, the same rows; in clear with its login passed through, and
with TLS on both sides and SCRAM done by segue; and, while the column is being renamed, under either of its names. The programs
are in drivers/."""

import subprocess

import pytest

from certificates import make_certificate
from cluster import HOST, SCRAM_PASSWORD, SCRAM_USER
from drivers_build import COMMANDS
from proxy import PATIENCE_S, Segue

TABLE = """
CREATE TABLE users (user_id bigint PRIMARY KEY, {column} varchar(100) NOT NULL, city text DEFAULT 'here');
CREATE TABLE cities (city text, since date);
INSERT INTO users SELECT g, 'row ' || g, 'city ' || g % 7 FROM generate_series(1, 2000) g;
GRANT ALL ON users, cities TO public;
"""


def url(driver, port, database, tls):
    password = SCRAM_PASSWORD.replace(" ", "%20")
    mode = "require" if tls else "disable"
    if driver == "jdbc":
        return f"jdbc:postgresql://{HOST}:{port}/{database}?user={SCRAM_USER}&password={password}&sslmode={mode}"
    return f"postgresql://{SCRAM_USER}:{password}@{HOST}:{port}/{database}?sslmode={mode}"


class World:
    """One database that nobody migrates, to be used directly and through segue; one in the middle of the renaming."""

    def __init__(self, cluster, plain, mapped, clear, encrypted):
        self.cluster, self.plain, self.mapped, self.clear, self.encrypted = cluster, plain, mapped, clear, encrypted

    def run(self, command, driver, port, database, tls, column):
        """What a program says, and the rows that it leaves behind; the table is then as it was."""
        done = subprocess.run([*command, url(driver, port, database, tls), column], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        with self.cluster.connect(database) as conn, conn.cursor() as cur:
            cur.execute(f"SELECT user_id, {column}, city FROM users ORDER BY user_id")
            rows = cur.fetchall()
            cur.execute("DELETE FROM users WHERE user_id > 2000")
        conn.close()
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        return done.stdout, rows


def encrypting(cluster, control, where):
    """A segue that encrypts on both sides and authenticates clients itself: it asks the server for their secrets."""
    key, cert = make_certificate(where, "localhost")
    cluster.encrypt(*make_certificate(where, "server"))
    keys = {"client_tls_sslmode": "allow", "client_tls_key_file": key, "client_tls_cert_file": cert,
            "server_tls_sslmode": "require", "auth_type": "scram-sha-256", "auth_user": "postgres", "auth_dbname": "postgres"}
    return Segue(cluster, control=control, upstream=f"host={HOST} port={cluster.port}",
                 options=[part for name, value in keys.items() for part in ("--set", f"{name}={value}")])


@pytest.fixture(scope="module")
def world(cluster, tmp_path_factory):
    plain, mapped = cluster.create_database(), cluster.create_database()
    for database in (plain, mapped):
        with cluster.connect(database) as conn, conn.cursor() as cur:
            cur.execute(TABLE.format(column="nickname"))
        conn.close()
    encrypted = encrypting(cluster, mapped, tmp_path_factory.mktemp("certificates")).start()
    clear = Segue(cluster, control=mapped).start()
    clear.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    clear.console.start("m")
    yield World(cluster, plain, mapped, clear, encrypted)
    clear.stop()
    encrypted.stop()


@pytest.mark.parametrize("driver", COMMANDS)
def test_driver(driver, world):
    command = COMMANDS[driver]()
    said, left = world.run(command, driver, world.cluster.port, world.plain, False, "nickname")
    assert said.count("\n") > 20, said
    for tls, segue in ((False, world.clear), (True, world.encrypted)):
        for database, column in ((world.plain, "nickname"), (world.mapped, "nickname"), (world.mapped, "username")):
            got = world.run(command, driver, segue.port, database, tls, column)
            assert got == (said.replace("nickname", column), left), f"{database}, {column}, TLS {tls}"
