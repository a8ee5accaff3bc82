"""Drivers' own test suites, directly and through segue: each test must end alike. It takes minutes and fetches their sources, so it
stands behind SEGUE_SOAK."""

import os
import re
import shutil
import subprocess

import pytest

from cluster import HOST
from drivers_build import DRIVERS

pytestmark = pytest.mark.skipif("SEGUE_SOAK" not in os.environ, reason="minutes: set SEGUE_SOAK=1")

# What the suites want to find.
ROLES = ["pgx_md5", "pqgossltest", "pqgosslcert"]
EXTENSIONS = "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20,0)"
GO_ENDED = re.compile(r"--- (PASS|FAIL|SKIP): (\S+)")
UNITTEST_ENDED = re.compile(r"^(test\w+ \(\S+\)).* \.\.\. (ok|FAIL|ERROR|skipped)", re.M)


def ended(command, cwd, **environment):
    """How each of a suite's tests ended."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
                          env={**os.environ, **environment}, check=False)
    said = done.stdout + done.stderr
    if command[0] == "go":
        return {name: how for how, name in GO_ENDED.findall(said)}
    return dict(UNITTEST_ENDED.findall(said))


def go_sources(module, where):
    """A module as the go command has it, where its tests may write."""
    subprocess.run(["go", "mod", "download"], cwd=DRIVERS / "go", check=True)
    found = subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=DRIVERS / "go", capture_output=True,
                           text=True, check=True).stdout.strip()
    made = where / "suite"
    shutil.copytree(found, made)
    subprocess.run(["chmod", "-R", "u+w", str(made)], check=True)
    return made


def pgx(where):
    sources = go_sources("github.com/jackc/pgx/v5", where)
    return lambda port, database: ended(
        ["go", "test", "-count=1", "-p", "1", "-v", "./..."], sources,
        PGX_TEST_DATABASE=f"host={HOST} port={port} user=postgres dbname={database} sslmode=disable",
        PGX_TEST_TCP_CONN_STRING=f"host={HOST} port={port} user=postgres dbname={database} sslmode=disable")


def lib_pq(where):
    sources = go_sources("github.com/lib/pq", where)
    return lambda port, database: ended(
        ["go", "test", "-count=1", "-v", "."], sources, PGHOST=HOST, PGPORT=str(port), PGUSER="postgres", PGDATABASE=database,
        PGSSLMODE="disable")


def psycopg2(where):
    subprocess.run(["/usr/bin/python3", "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--dest", str(where),
                    "psycopg2==2.9.5"], check=True)
    subprocess.run(["tar", "-xf", str(where / "psycopg2-2.9.5.tar.gz"), "-C", str(where)], check=True)
    return lambda port, database: ended(
        ["/usr/bin/python3", "-c", "import tests, unittest; unittest.main(defaultTest='tests.test_suite')", "--verbose"],
        where / "psycopg2-2.9.5", PSYCOPG2_TESTDB=database, PSYCOPG2_TESTDB_HOST=HOST, PSYCOPG2_TESTDB_PORT=str(port),
        PSYCOPG2_TESTDB_USER="postgres")


@pytest.mark.parametrize("suite,least", [(pgx, 1200), (lib_pq, 230), (psycopg2, 600)])
def test_own_suite(suite, least, cluster, database, plain, tmp_path):
    cluster.admin(*[f"DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD 'secret'; EXCEPTION WHEN duplicate_object THEN END $$"
                    for role in ROLES])
    with cluster.connect(database) as conn, conn.cursor() as cur:
        cur.execute(EXTENSIONS)
    conn.close()
    run = suite(tmp_path)
    direct = run(cluster.port, database)
    assert len(direct) >= least
    assert run(plain.port, database) == direct
