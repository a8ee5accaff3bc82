"""A throw-away PostgreSQL: data in a directory of its own, loopback only, gone at the end."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2

PG_BIN = Path(os.environ.get("SEGUE_PG_BIN", "/usr/lib/postgresql/15/bin"))
HOST = "127.0.0.1"
SCRAM_USER, SCRAM_PASSWORD = "scram_user", "correct horse"

CONF = """
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
max_prepared_transactions = 10
shared_buffers = 64MB
timezone = 'UTC'
log_timezone = 'UTC'
autovacuum_naptime = 10min
password_encryption = 'scram-sha-256'
"""

HBA = f"""
local all all trust
host all {SCRAM_USER} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
"""


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def die_with_parent(*, user=None):
    """The prefix of a command that must not outlive the test, also when the test runner itself is killed."""
    prefix = ["setpriv", "--pdeathsig", "KILL" if user is None else "INT"]
    # PostgreSQL does not run as root.
    if user is not None and os.geteuid() == 0:
        prefix += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return prefix


class Cluster:
    """programs: where initdb and postgres are, for another release than the tools'. They go with any."""

    server_programs = PG_BIN  # of the clusters of one run: conftest.py

    def __init__(self, programs=None):
        self.programs = programs or self.server_programs
        self.dir = Path(tempfile.mkdtemp(prefix="segue-pg-"))
        self.port = free_port()
        self.process = None
        self.databases = 0
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.dir, account.pw_uid, account.pw_gid)
        os.chmod(self.dir, 0o755)
        self._run([self.programs / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                   "--locale=C.UTF-8", "--no-sync", "-N"])
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(CONF + f"port = {self.port}\nunix_socket_directories = '{self.dir}'\n")
        (self.data / "pg_hba.conf").write_text(HBA, encoding="utf-8")
        self.start()
        with self.connect("postgres") as conn:
            conn.autocommit = True
            conn.cursor().execute(f"CREATE ROLE {SCRAM_USER} LOGIN PASSWORD '{SCRAM_PASSWORD}'")
        conn.close()

    @property
    def data(self):
        return self.dir / "data"

    @property
    def log(self):
        return self.dir / "server.log"

    def _run(self, command):
        subprocess.run(die_with_parent(user="postgres") + [str(c) for c in command], check=True, cwd="/",
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                die_with_parent(user="postgres") + [str(self.programs / "postgres"), "-D", str(self.data)],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "HOME": str(self.dir)})
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg2.OperationalError:
                if self.process.poll() is not None:
                    raise RuntimeError("postgres did not start:\n" + self.log.read_text(errors="replace")) from None
                time.sleep(0.05)

    def configure(self, **settings):
        """Settings that need a restart."""
        self.admin(*(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()))
        self.stop()
        self.start()

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast shutdown. SIGQUIT: immediate, as a crash."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(60)

    def destroy(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.dir, ignore_errors=True)

    def conninfo(self, database, user="postgres"):
        return f"host={HOST} port={self.port} user={user} dbname={database} sslmode=disable"

    def connect(self, database, **options):
        return psycopg2.connect(self.conninfo(database), **options)

    def create_database(self, name=None):
        if name is None:
            self.databases += 1
            name = f"t{self.databases}"
        # Not from template1: a session on it would be in the way.
        self.admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}" TEMPLATE template0')
        return name

    def encrypt(self, key, certificate):
        """Turns TLS on."""
        owner = self.data.stat()
        for source, name in ((key, "server.key"), (certificate, "server.crt")):
            target = self.data / name
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
            os.chown(target, owner.st_uid, owner.st_gid)
        self.admin("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")

    def drop_database(self, name):
        self.admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def admin(self, *statements):
        conn = self.connect("postgres")
        conn.autocommit = True
        try:
            for statement in statements:
                conn.cursor().execute(statement)
        finally:
            conn.close()
