"""Fixtures: one throw-away cluster a test file, a fresh database and a segue process a test."""

import os

import pytest

from cluster import Cluster
from fake import FakeServer
from proxy import Segue
from servers.releases import Release


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(scope="session", autouse=True)
def server_of_the_run():
    """SEGUE_SERVER=18: the whole run on PostgreSQL 18."""
    major = os.environ.get("SEGUE_SERVER")
    release = Release(int(major)) if major else None
    if release:
        Cluster.server_programs = release.programs
    yield
    if release:
        release.remove()


@pytest.fixture(scope="module")
def cluster():
    made = Cluster()
    yield made
    made.destroy()


@pytest.fixture
def database(cluster):
    name = cluster.create_database()
    yield name
    cluster.drop_database(name)


@pytest.fixture
def start_segue(request, cluster):
    """Starts segue processes that end with the test: orderly, so that the sanitizers speak, and with the log shown when
    the test failed."""
    started = []

    def start(**arguments):
        segue = Segue(cluster, **arguments)
        started.append(segue)
        return segue.start()

    yield start
    report = getattr(request.node, "report_call", None)
    for segue in started:
        if report is not None and report.failed:
            print(f"---- log of segue on port {segue.port} ----\n{segue.log_text()[-20000:]}")
        segue.stop()


@pytest.fixture
def segue(start_segue, database):
    """A segue that serves the migrations of the test's database."""
    return start_segue(control=database)


@pytest.fixture
def plain(start_segue):
    """A segue without a control connection."""
    return start_segue()


@pytest.fixture
def direct(cluster, database):
    """A connection to the test's database that goes round the proxy: to look, not to change."""
    conn = cluster.connect(database)
    conn.autocommit = True
    yield conn
    conn.close()


@pytest.fixture
def faked(cluster):
    """faked(script): a segue in front of a fake server with this script."""
    made = []

    def make(script, options=()):
        server = FakeServer(script)
        segue = Segue(cluster, upstream=server.conninfo, options=options).start()
        made.append((server, segue))
        return server, segue

    yield make
    for server, segue in made:
        segue.stop()
        server.close()
