"""Every major of PostgreSQL that is alive, behind segue: logging in, the protocol's beginnings, psql, encryption on both legs, and a
column renamed. All other tests run on Debian's 15."""

import os
import shutil
import socket

import psycopg2
import pytest

from certificates import Certificates
from cluster import HOST, SCRAM_PASSWORD, SCRAM_USER, Cluster
from dialogue import Q, Dialogue
from proxy import PATIENCE_S, ConsoleError, psql
from servers.releases import MAJORS, Release
from test_passthrough import run_psql

GREASE = 3 << 16 | 9999  # what libpq asks for from 19 on, to find out who does not negotiate


@pytest.fixture(scope="module", params=MAJORS, ids=lambda major: f"server_{major}")
def cluster(request):
    release = Release(request.param)
    made = Cluster(release.programs)
    made.release, made.major = release, request.param
    yield made
    made.destroy()
    release.remove()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


# ---- No mapping ----

def test_psql_prints_the_same(cluster, start_segue):
    directly = run_psql(cluster.conninfo(cluster.create_database("same_name")))
    cluster.create_database("same_name")
    through = run_psql(start_segue(control="same_name").conninfo())
    assert "payload" in directly[1] and "division by zero" in directly[2]
    assert through == directly


def attempt(conninfo, password):
    """Who one is then, or why one may not come in."""
    try:
        conn = psycopg2.connect(conninfo, password=password)
    except psycopg2.OperationalError as error:
        return str(error).split("FATAL")[-1]
    cursor = conn.cursor()
    cursor.execute("SELECT current_user, current_setting('server_version_num')::int / 10000")
    return cursor.fetchone()


def test_scram(cluster, plain, database):
    assert attempt(plain.conninfo(database, SCRAM_USER), SCRAM_PASSWORD) == (SCRAM_USER, cluster.major)
    refused = attempt(plain.conninfo(database, SCRAM_USER), "wrong")
    assert "password authentication failed" in refused
    assert refused == attempt(cluster.conninfo(database, SCRAM_USER), "wrong")


def packet(version, *pairs):
    body = version.to_bytes(4, "big") + b"".join(part + b"\0" for pair in pairs for part in pair) + b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body


USER, DATABASE = (b"user", b"postgres"), (b"database", b"postgres")
BEGINNINGS = {
    "minor 1": packet(3 << 16 | 1, USER, DATABASE),
    "minor 2": packet(3 << 16 | 2, USER, DATABASE),
    "grease": packet(GREASE, USER, DATABASE, (b"_pq_.test_protocol_negotiation", b"")),
    "unknown options": packet(3 << 16, USER, (b"_pq_.one", b"1"), DATABASE, (b"_pq_.two", b"on")),
    "a thousand unknown options": packet(3 << 16, USER, *[(b"_pq_.o%d" % i, b"") for i in range(600)]),
    "minor 3 and an option": packet(3 << 16 | 3, USER, (b"_pq_.x", b"")),
    "user twice": packet(3 << 16, (b"user", b"nobody"), USER),
    "user twice, the last is nobody": packet(3 << 16, USER, (b"user", b"nobody")),
    "database twice": packet(3 << 16, USER, (b"database", b"nowhere"), DATABASE),
    "no user": packet(3 << 16, DATABASE),
    "empty user": packet(3 << 16, (b"user", b""), DATABASE),
    "empty database": packet(3 << 16, USER, (b"database", b"")),
    "a user too long for a name": packet(3 << 16, (b"user", b"u" * 100), DATABASE),
    "setting twice": packet(3 << 16, USER, (b"DateStyle", b"German"), (b"datestyle", b"SQL, DMY")),
    "options": packet(3 << 16, USER, (b"options", b"-c search_path=a,b -c geqo=off --work_mem=77kB")),
    "bad option": packet(3 << 16, USER, (b"options", b"-c no_such_thing=1")),
    "bad setting": packet(3 << 16, USER, (b"client_encoding", b"nonsense")),
    "replication": packet(3 << 16, USER, (b"replication", b"true")),
    "replication=nonsense": packet(3 << 16, USER, (b"replication", b"maybe")),
}


def begin(port, first):
    """What the server says to a StartupMessage, and to a query if it comes to that."""
    talk = Dialogue(port)
    talk.say_until(first, lambda: talk.is_over or b"Z" in talk.kinds)
    if not talk.is_over:
        talk.say(Q("SHOW search_path"), ready=1)
        talk.socket.close()
    return talk.record()


def test_p05_p07_p08_how_a_session_begins(cluster, plain):
    """Versions and options that the server does not know, names given twice or not at all: the server's own answer, once."""
    for name, first in BEGINNINGS.items():
        directly, through = begin(cluster.port, first), begin(plain.port, first)
        assert through == directly, name
        if name in ("grease", "unknown options"):
            assert [kind for kind, _ in through[0]].count(b"v") == 1


def test_p05_another_major(plain, cluster):
    """In segue's own words: it cannot know how the packets of another one are laid out."""
    first = packet(4 << 16, USER, DATABASE)
    for port in (cluster.port, plain.port):
        (kind, body), = begin(port, first)[0]
        assert kind == b"E" and b"C0A000" in body and b"unsupported frontend protocol 4.0" in body


# ---- Encryption ----

def encrypt(cluster, certificates):
    for source, name in zip(certificates.server, ("server.key", "server.crt")):
        shutil.copy(source, cluster.data / name)
        if os.geteuid() == 0:
            shutil.chown(cluster.data / name, "postgres", "postgres")
    cluster.admin("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
    # The postmaster takes it up in its own time.
    while True:
        with socket.create_connection((HOST, cluster.port), PATIENCE_S) as s:
            s.sendall((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"))
            if s.recv(1) == b"S":
                return


ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def test_tls_on_both_legs(cluster, database, start_segue, certificates):
    encrypt(cluster, certificates)
    authority = certificates.authority[1]
    segue = start_segue(upstream=f"host=localhost hostaddr={HOST} port={cluster.port} sslmode=verify-full sslrootcert={authority}",
                        options=certificates.options("require"))
    conninfo = f"host=localhost hostaddr={HOST} port={segue.port} user=postgres dbname={database} sslmode=verify-full " \
        f"sslrootcert={authority}"
    assert psql(conninfo, "-At", "-c", ENCRYPTED) == "t\n"
    if cluster.major >= 17:
        # libpq of the server's own release; Debian's does not know it yet.
        libpq = {"LD_LIBRARY_PATH": str(cluster.release.libraries)}
        assert psql(conninfo + " sslnegotiation=direct", "-At", "-c", ENCRYPTED, env=libpq) == "t\n"


def test_scram_with_segue_as_an_end_of_it(cluster, database, start_segue, certificates, tmp_path):
    """Each of the two channels bound for itself; with the newest libpq in protocol 3.2, too."""
    encrypt(cluster, certificates)
    users = tmp_path / "users"
    with cluster.connect("postgres") as conn, conn.cursor() as cursor:
        cursor.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (SCRAM_USER,))
        users.write_text(f'"{SCRAM_USER}" "{cursor.fetchone()[0]}"\n', encoding="ascii")
    authority = certificates.authority[1]
    segue = start_segue(upstream=f"host=localhost hostaddr={HOST} port={cluster.port} sslmode=verify-full sslrootcert={authority}",
                        options=certificates.options("require") + ["--set", "auth_type=scram-sha-256", "--set", f"auth_file={users}"])
    conninfo = f"host=localhost hostaddr={HOST} port={segue.port} user={SCRAM_USER} dbname={database} sslmode=verify-full " \
        f"sslrootcert={authority} channel_binding=require"
    libpq = {"PGPASSWORD": SCRAM_PASSWORD}
    assert psql(conninfo, "-At", "-c", ENCRYPTED, env=libpq) == "t\n"
    if cluster.major >= 18:
        libpq["LD_LIBRARY_PATH"] = str(cluster.release.libraries)
        newest = conninfo + " sslnegotiation=direct min_protocol_version=3.2 max_protocol_version=latest"
        assert psql(newest, "-At", "-c", ENCRYPTED, env=libpq) == "t\n"
    with pytest.raises(ConsoleError, match="password authentication failed"):
        psql(conninfo, "-At", "-c", ENCRYPTED, env={**libpq, "PGPASSWORD": "wrong"})


# ---- A column renamed ----

PERSON = """
CREATE TABLE kind (name varchar(20) PRIMARY KEY);
INSERT INTO kind VALUES ('a'), ('b'), ('c');
CREATE TABLE person (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    kind varchar(20) COLLATE "C" NOT NULL DEFAULT 'a' REFERENCES kind ON UPDATE CASCADE,
    year int NOT NULL,
    decade int GENERATED ALWAYS AS (year / 10) STORED,
    CONSTRAINT kind_is_short CHECK (length(kind) < year),
    CONSTRAINT one_a_year UNIQUE (year, kind)
);
CREATE INDEX person_lower ON person (lower(kind) DESC NULLS LAST, year) INCLUDE (id) WITH (fillfactor = 70);
COMMENT ON COLUMN person.kind IS 'what they are';
ALTER TABLE person ALTER COLUMN kind SET STATISTICS 200;
GRANT SELECT (kind) ON person TO scram_user;
INSERT INTO person (kind, year) SELECT substr('abc', g % 3 + 1, 1), 1000 + g FROM generate_series(1, 500) g;
"""
# What only newer servers know, on the column and beside it.
NEWER = {
    15: "CREATE UNIQUE INDEX person_nulls ON person (year, kind) NULLS NOT DISTINCT",
    18: """ALTER TABLE person RENAME CONSTRAINT person_kind_not_null TO a_kind_is_a_must;
           ALTER TABLE person ADD CONSTRAINT kind_is_unchecked CHECK (kind <> 'z') NOT ENFORCED,
               ADD century int GENERATED ALWAYS AS (year / 100) VIRTUAL""",
}
SHAPE = """
SELECT 'column', a.attname, format_type(a.atttypid, a.atttypmod), concat(a.attnotnull, a.attgenerated, a.attidentity),
       pg_get_expr(d.adbin, d.adrelid), concat_ws('|', a.attstattarget, a.attacl, l.collname, col_description(a.attrelid, a.attnum))
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = 'person'::regclass AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'constraint', conname, contype::text, convalidated::text, pg_get_constraintdef(oid), NULL FROM pg_constraint
WHERE conrelid = 'person'::regclass
UNION ALL SELECT 'index', indexrelid::regclass::text, NULL, indisvalid::text, pg_get_indexdef(indexrelid), NULL FROM pg_index
WHERE indrelid = 'person'::regclass
UNION ALL SELECT 'trigger', tgname, NULL, NULL, NULL, NULL FROM pg_trigger WHERE tgrelid = 'person'::regclass AND NOT tgisinternal
ORDER BY 1, 2
"""


def schema_for(major):
    return ";".join([PERSON, *(sql for since, sql in NEWER.items() if major >= since)])


def query(conn, statement):
    cursor = conn.cursor()
    cursor.execute(statement)
    return ([d.name for d in cursor.description], cursor.fetchall()) if cursor.description else cursor.statusmessage


def both_names(app, phase, year):
    """An application of before writes and reads, one of after does, and the server's refusals name what they did before."""
    assert query(app, f"INSERT INTO person (kind, year) VALUES ('a', {year}) RETURNING kind") == (["kind"], [("a",)])
    assert query(app, f"INSERT INTO person (sort, year) VALUES ('b', {year}) RETURNING sort") == (["sort"], [("b",)])
    assert query(app, f"SELECT kind, p.sort FROM person p WHERE year = {year} ORDER BY sort") == (
        ["kind", "sort"], [("a", "a"), ("b", "b")])
    assert query(app, f"UPDATE person SET sort = 'c' WHERE year = {year} AND kind = 'b'") == "UPDATE 1"
    for name in ("kind", "sort"):
        for value, state in (("'nope'", "23503"), ("NULL", "23502"), ("'a'", "23505"), (f"'{'x' * 21}'", "22001")):
            with pytest.raises(psycopg2.Error) as failed:
                query(app, f"INSERT INTO person ({name}, year) VALUES ({value}, {year})")
            assert failed.value.pgcode == state, (phase, name, value)
    # Inside the server, past segue.
    query(app, "UPDATE kind SET name = 'cc' WHERE name = 'c'")
    assert query(app, f"SELECT kind FROM person WHERE year = {year} AND sort = 'cc'")[1] == [("cc",)]
    query(app, "UPDATE kind SET name = 'c' WHERE name = 'cc'")


def old_and_new_rows(app, year):
    """The rows that RETURNING knows since PostgreSQL 18: their columns have both names, their star the old shape."""
    labels, rows = query(app, f"UPDATE person SET kind = 'b' WHERE year = {year} AND sort = 'a' RETURNING old.sort, new.kind, new.*")
    assert (labels[:2], rows[0][:2]) == (["sort", "kind"], ("a", "b"))
    assert labels[2:] == ["id", "kind", "year", "decade", "century"]


def test_a_column_is_renamed(cluster, database, start_segue, direct):
    schema = schema_for(cluster.major)
    query(direct, schema)
    expected = cluster.connect(cluster.create_database("expected"))
    expected.autocommit = True
    query(expected, schema)
    query(expected, "ALTER TABLE person RENAME COLUMN kind TO sort")
    segue = start_segue(control=database, options=["--set", "star=old"])
    segue.console.run("CREATE MIGRATION m ON person RENAME COLUMN kind TO sort")
    app = segue.connect()
    for step, phase in enumerate(segue.console.window("m")):
        both_names(app, phase, 2000 + step)
        if cluster.major >= 18:
            old_and_new_rows(app, 2000 + step)
    assert query(direct, SHAPE) == query(expected, SHAPE)
    assert query(direct, "SELECT count(*) FROM person")[1] == [(508,)]
    expected.close()


# What would be lost or refused half-way: since which server, until which.
OBSTACLES = {
    "ALTER TABLE person ADD loud text GENERATED ALWAYS AS (upper(kind)) STORED": (13, 18, "loud"),
    "ALTER TABLE person ADD loud text GENERATED ALWAYS AS (upper(kind)) VIRTUAL": (18, 18, "loud"),
    "ALTER TABLE person ALTER kind DROP NOT NULL, ADD CONSTRAINT must NOT NULL kind NOT VALID": (18, 18, "must"),
    "CREATE EXTENSION btree_gist; ALTER TABLE person ADD during int4range, "
    "ADD CONSTRAINT apart UNIQUE (kind, during WITHOUT OVERLAPS)": (18, 18, "apart"),
}


def test_what_cannot_be_carried_over_is_said_at_once(cluster, segue, direct):
    for obstacle, (since, until, said) in OBSTACLES.items():
        if not since <= cluster.major <= until:
            continue
        query(direct, "DROP TABLE IF EXISTS person, kind")
        query(direct, schema_for(cluster.major))
        query(direct, obstacle)
        before = query(direct, SHAPE)
        with pytest.raises(ConsoleError) as failed:
            segue.console.run("CREATE MIGRATION m ON person RENAME COLUMN kind TO sort")
        assert said in str(failed.value) and failed.value.sqlstate == "55000", obstacle
        assert query(direct, SHAPE) == before
