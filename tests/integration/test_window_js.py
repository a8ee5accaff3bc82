"""An old and a new version of a JavaScript application (bench/apps/js, the `pg` driver), started before the window and running
through all of it. Neither is told anything."""

import json
import os
import signal
import subprocess

from cluster import die_with_parent
from node import install
from proxy import PATIENCE_S, ROOT

APPS = ROOT / "bench" / "apps" / "js"
FIRST_ID = 2_000_000_000_000_000

USERS = """
CREATE TABLE users (user_id bigint PRIMARY KEY, nickname varchar(100) NOT NULL, city text DEFAULT 'here');
CREATE INDEX users_nickname ON users (nickname);
INSERT INTO users SELECT g, 'row ' || g FROM generate_series(1, 20000) g;
"""


class Application:
    def __init__(self, script, url):
        self.process = subprocess.Popen(die_with_parent() + ["node", str(APPS / script)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, "DATABASE_URL": url})

    def end(self):
        """What it says of itself."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, json.loads(said)


def rows_of(direct, parity):
    cur = direct.cursor()
    cur.execute("SELECT count(*) FROM users WHERE user_id >= %s AND user_id %% 2 = %s", (FIRST_ID, parity))
    return cur.fetchone()[0]


def wait_for_work(direct, *applications):
    """Both go on inserting in this phase."""
    before = [rows_of(direct, parity) for parity in (0, 1)]
    while any(rows_of(direct, parity) < was + 20 for parity, was in enumerate(before)):
        assert all(application.process.poll() is None for application in applications)


def test_both_versions_through_the_window(database, segue, direct):
    install(APPS)
    direct.cursor().execute(USERS)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    applications = [Application(script, segue.url()) for script in ("old-app.mjs", "new-app.mjs")]
    try:
        for phase in segue.console.window("m"):
            wait_for_work(direct, *applications)
            if phase in ("dual_write", "read_new"):
                cur = direct.cursor()
                cur.execute("SELECT count(*) FROM users WHERE nickname IS DISTINCT FROM username")
                assert cur.fetchone() == (0,)
    finally:
        ends = [application.end() for application in applications]
    for status, told in ends:
        assert (status, told["errors"]) == (0, 0), told
        assert told["inserts"] > 100 and told["updates"] > 20 and told["peer_reads"] > 20, told
    cur = direct.cursor()
    cur.execute("SELECT count(*) FROM users WHERE user_id <= 20000 AND username <> 'row ' || user_id")
    assert cur.fetchone() == (0,)
