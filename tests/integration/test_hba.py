"""auth_type = hba: the server with the same file is the oracle of who is let in, and of what the others are told."""

import os
import random
import signal
import socket
import ssl
import subprocess

import psycopg2
import pytest

from certificates import Certificates, make_certificate
from cluster import HBA, HOST, SCRAM_PASSWORD, SCRAM_USER
from proxy import BUILD, PATIENCE_S, ConsoleError, psql
from test_limits import startup
from waiting import until
from wire import error_fields

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
USERS = ["hba_a", "hba_b", "hba_c", "hba_rep"]
GROUPS = ["hba_g", "hba_h"]
FILES = int(os.environ.get("SEGUE_SOAK", "10"))
SEED = int(os.environ.get("SEGUE_SEED", "7"))


def logs(segue, text):
    """The log comes through a pipe: it may be behind what a client has been told."""
    until(lambda: text in segue.log_text(), f"the log does not say: {text}")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def roles(cluster):
    cluster.admin(*(f"CREATE ROLE {name} LOGIN" for name in USERS), *(f"CREATE ROLE {name}" for name in GROUPS),
                  "ALTER ROLE hba_rep REPLICATION", "ALTER ROLE hba_c SUPERUSER",
                  "GRANT hba_g TO hba_a", "GRANT hba_h TO hba_g", "GRANT hba_h TO hba_b",
                  "CREATE DATABASE hba_a", "CREATE DATABASE hba_h", 'CREATE DATABASE "hba x"')
    yield USERS
    cluster.admin("DROP DATABASE hba_a", "DROP DATABASE hba_h", 'DROP DATABASE "hba x"',
                  *(f"DROP ROLE {name}" for name in USERS + GROUPS))


# ---- Clients: what they are let in as, or told ----

class Door:
    """Where clients knock: the server or segue."""

    def __init__(self, port, unix_dir):
        self.port, self.path = port, f"{unix_dir}/.s.PGSQL.{port}"

    def connect(self, source):
        if source == "unix":
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(PATIENCE_S)
            client.connect(self.path)
            return client
        return socket.create_connection((HOST, self.port), PATIENCE_S, source_address=(source, 0))

    def knock(self, source, encrypted, user, database, replication):
        """"in", or the error's SQLSTATE and text."""
        with self.connect(source) as client:
            if encrypted:
                client.sendall(SSL_REQUEST)
                assert client.recv(1) == b"S"
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                client = context.wrap_socket(client)
            parameters = {"user": user, "database": database, **({"replication": replication} if replication else {})}
            client.sendall(startup(body=b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0"))
            got = b""
            while len(got) < 5 or len(got) < 1 + int.from_bytes(got[1:5], "big"):
                more = client.recv(4096)
                assert more, got
                got += more
            if encrypted:
                client.close()
        if got[:1] == b"R":
            return "in"
        fields = error_fields(got[5:])
        return fields["C"], fields["M"]


def every_client():
    for source in "127.0.0.1", "127.0.0.2", "127.1.2.3", "unix":
        for encrypted in (False, True) if source == "127.0.0.1" else (False,):
            for user in USERS:
                for database, replication in (("hba_a", None), ("hba_h", "database"), ("hba x", None), ("hba_h", "y")):
                    if not replication or user == "hba_rep":
                        yield source, encrypted, user, database, replication


def draw_file(rng):
    """Lines of every kind that both sides know, without regular expressions: the server here is older than those."""
    def names(choices):
        return rng.choice([",", ", "]).join(rng.sample(choices, rng.choice([1, 1, 1, 2, 3])))
    lines = []
    for _ in range(rng.randrange(2, 9)):
        databases = names(["all", '"all"', "sameuser", "samerole", "samegroup", "replication", '"replication"', "hba_a",
                           '"hba x"', "hba_h", '"h"ba_a', '@dbs'])
        users = names(["all", "hba_a", '"hba_b"', "+hba_g", "+hba_h", '"+hba_g"', "hba_c", "hba_rep", "+hba_a", "+nobody"])
        method = rng.choice(["trust", "trust", "reject"])
        kind = rng.choice(["local", "host", "host", "hostssl", "hostnossl", "hostnogssenc"])
        address = "" if kind == "local" else rng.choice([
            "127.0.0.1/32", "127.0.0.0/8", "127.0.0.0/30", "127.0.0.2 255.255.255.255", "0.0.0.0/0", "::/0", "all", "samehost",
            "samenet", "127.1.2.3  255.0.0.255", "localhost", ".nowhere.invalid", "10.0.0.0/8"])
        blank = rng.choice([" ", "\t", "   ", " \\\n  "])
        comment = rng.choice(["", "", " # why", "#"])
        lines.append(blank.join(part for part in [kind, databases, users, address, method] if part) + comment)
        if rng.random() < 0.2:
            lines.append(rng.choice(["", "# nothing", "   "]))
    return "\n".join(lines) + "\n"


def reload_server(cluster, text):
    conn = cluster.admin_conn
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_conf_load_time()")
        before = cursor.fetchone()[0]
        (cluster.data / "pg_hba.conf").write_text(text, encoding="utf-8")
        cursor.execute("SELECT pg_reload_conf()")

        def is_loaded():
            cursor.execute("SELECT pg_conf_load_time()")
            return cursor.fetchone()[0] != before
        until(is_loaded, "the server does not reload")


@pytest.fixture(scope="module")
def oracle(cluster, certificates, roles):
    """The server with TLS, and a session on it that outlives its hba files."""
    key, cert = certificates.server
    for name, source in ("server.key", key), ("server.crt", cert):
        (cluster.data / name).write_bytes(source.read_bytes())
        os.chmod(cluster.data / name, 0o600)
        if os.geteuid() == 0:
            stat = os.stat(cluster.data)
            os.chown(cluster.data / name, stat.st_uid, stat.st_gid)
    (cluster.data / "dbs").write_text("hba_h # of the second kind\n\"hba x\"\n", encoding="utf-8")
    cluster.admin_conn = cluster.connect("postgres")
    cluster.admin_conn.autocommit = True
    cluster.admin_conn.cursor().execute("ALTER SYSTEM SET ssl = on")
    reload_server(cluster, HBA)
    yield cluster
    reload_server(cluster, HBA)
    cluster.admin_conn.close()


def hba_options(directory, text, *options, ident=None):
    (directory / "hba.conf").write_text(text, encoding="utf-8")
    settings = {"auth_type": "hba", "auth_hba_file": directory / "hba.conf", "auth_user": "postgres", "auth_dbname": "postgres"}
    if ident is not None:
        (directory / "ident.conf").write_text(ident, encoding="utf-8")
        settings["auth_ident_file"] = directory / "ident.conf"
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")] + list(options)


def reload_segue(segue, directory, text):
    (directory / "hba.conf").write_text(text, encoding="utf-8")
    before = segue.log_text().count("reload")
    segue.process.send_signal(signal.SIGHUP)
    until(lambda: segue.log_text().count("reload") > before, "segue does not reload")


def test_the_server_with_the_same_file_lets_the_same_clients_in(start_segue, oracle, certificates, tmp_path):
    rng = random.Random(SEED)
    (tmp_path / "dbs").write_text((oracle.data / "dbs").read_text(encoding="utf-8"), encoding="utf-8")
    tls = certificates.options("allow")
    segue = start_segue(options=hba_options(tmp_path, "local all all trust\n", "--set", f"unix_socket_dir={tmp_path}", *tls))
    server, proxy = Door(oracle.port, oracle.dir), Door(segue.port, tmp_path)
    clients, counts = list(every_client()), {"in": 0, "out": 0}
    for number in range(FILES):
        text = draw_file(rng)
        reload_server(oracle, text)
        wanted = [server.knock(*client) for client in clients]
        reload_server(oracle, HBA + "\nhost replication all 127.0.0.1/32 trust\n")
        reload_segue(segue, tmp_path, text)
        for client, answer in zip(clients, wanted):
            assert proxy.knock(*client) == answer, f"seed {SEED}, file {number}, client {client}:\n{text}"
            counts["in" if answer == "in" else "out"] += 1
    assert min(counts.values()) > FILES * 4, counts


# ---- Methods ----

def conninfo(segue, database, user, **options):
    options = {"host": HOST, "port": segue.port, "user": user, "dbname": database, "sslmode": "disable", **options}
    return " ".join(f"{name}='{value}'" for name, value in options.items())


def whoami(segue, database, user, **options):
    with psycopg2.connect(conninfo(segue, database, user, **options)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return cursor.fetchone()[0]


def refusal(segue, database, user, **options):
    with pytest.raises(psycopg2.OperationalError) as caught:
        psycopg2.connect(conninfo(segue, database, user, **options))
    return str(caught.value)


def test_each_line_has_its_method(start_segue, oracle, database, tmp_path):
    text = f"host all {SCRAM_USER} all scram-sha-256\nhost all hba_a all reject\nhost all /^hba_[bc]$ localhost passthrough\n"
    segue = start_segue(options=hba_options(tmp_path, text))
    assert whoami(segue, database, SCRAM_USER, password=SCRAM_PASSWORD) == SCRAM_USER
    assert "password authentication failed" in refusal(segue, database, SCRAM_USER, password="wrong")
    assert "pg_hba.conf rejects connection" in refusal(segue, database, "hba_a")
    assert whoami(segue, database, "hba_b") == "hba_b"
    assert "no pg_hba.conf entry" in refusal(segue, database, "postgres")
    logs(segue, f'{tmp_path / "hba.conf"}:2 "host all hba_a all reject"')
    logs(segue, "no line of auth_hba_file fits")
    assert SCRAM_PASSWORD not in segue.log_text()


def test_passthrough_leaves_the_password_to_the_server(start_segue, database, tmp_path):
    segue = start_segue(options=hba_options(tmp_path, "host all all all passthrough\n"))
    assert whoami(segue, database, SCRAM_USER, password=SCRAM_PASSWORD) == SCRAM_USER
    assert "password authentication failed" in refusal(segue, database, SCRAM_USER, password="wrong")


def test_peer_with_a_map(start_segue, oracle, database, tmp_path):
    me = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    text = "local all hba_a,hba_b peer map=m\nlocal all +hba_h peer map=g\nlocal all all peer\n"
    ident = f"m {me} hba_a\nm somebody hba_b\ng /^(.*)$ +hba_h\n"
    segue = start_segue(options=hba_options(tmp_path, text, "--set", f"unix_socket_dir={tmp_path}", ident=ident))
    at = {"host": tmp_path, "port": segue.port}
    assert whoami(segue, database, "hba_a", **at) == "hba_a"
    assert "Peer authentication failed" in refusal(segue, database, "hba_b", **at)
    assert "Peer authentication failed" in refusal(segue, database, "hba_rep", **at), "the two names differ"
    logs(segue, "the map does not have the two names")


def test_certificates_by_name_map_and_subject(start_segue, oracle, database, certificates, tmp_path):
    text = ("hostssl all hba_b all cert map=m\nhostssl all hba_c all trust clientcert=verify-ca\n"
            "hostssl all hba_a all cert map=d clientname=DN\nhostssl all all all cert\nhost all all all reject\n")
    tls = certificates.options("allow", ca_file=certificates.authority[1])
    segue = start_segue(options=hba_options(tmp_path, text, *tls, ident="m postgres hba_b\nd CN=postgres hba_a\n"))
    key, cert = certificates.client
    mine = {"sslmode": "require", "sslkey": key, "sslcert": cert}
    none = {"sslmode": "require", "sslkey": tmp_path / "none", "sslcert": tmp_path / "none"}
    other_key, other_cert = make_certificate(tmp_path, "somebody", certificates.authority)
    other = {"sslmode": "require", "sslkey": other_key, "sslcert": other_cert}
    for user in "postgres", "hba_a", "hba_b", "hba_c":
        assert whoami(segue, database, user, **mine) == user
        assert "valid client certificate" in refusal(segue, database, user, **none)
    assert whoami(segue, database, "hba_c", **other) == "hba_c", "whose it is does not matter for verify-ca"
    for user in "postgres", "hba_a", "hba_b":
        assert "certificate authentication failed" in refusal(segue, database, user, **other)
    assert "certificate authentication failed" in refusal(segue, database, "hba_rep", **mine)
    assert "pg_hba.conf rejects" in refusal(segue, database, "postgres")


def test_the_console_is_a_database_like_any_other(start_segue, database, tmp_path):
    text = "host segue postgres all trust\nhost segue all all reject\nhost all all all trust\n"
    segue = start_segue(control=database, options=hba_options(tmp_path, text))
    assert "hba.conf" in psql(conninfo(segue, "segue", "postgres"), "-c", "SHOW CONFIG")
    with pytest.raises(ConsoleError, match="pg_hba.conf rejects connection"):
        psql(conninfo(segue, "segue", SCRAM_USER), "-c", "SHOW VERSION")


def test_groups_that_cannot_be_looked_up_let_nobody_in(start_segue, oracle, database, tmp_path):
    text = "host all hba_c all trust\nhost all +hba_g all trust\n"
    segue = start_segue(options=hba_options(tmp_path, text, "--set", "auth_user=no_such_role"))
    assert whoami(segue, database, "hba_c") == "hba_c"
    assert "segue cannot look up groups at the moment" in refusal(segue, database, "hba_a")
    logs(segue, 'role "no_such_role" does not exist')


# ---- Files with faults ----

def test_check_tells_all_faults_of_all_files(tmp_path):
    (tmp_path / "segue.ini").write_text(
        f"[databases]\n* = host={HOST}\n[segue]\nauth_type = hba\nauth_hba_file = {tmp_path}/hba.conf\n"
        f"auth_ident_file = {tmp_path}/ident.conf\n", encoding="utf-8")
    (tmp_path / "hba.conf").write_text("local all all md5\nhost all +g all trust\nhostt all all all trust\ninclude more.conf\n",
                                       encoding="utf-8")
    (tmp_path / "more.conf").write_text("\nhost all all 1.2.3.4/40 trust\nlocal all all peer map=x\n", encoding="utf-8")
    (tmp_path / "ident.conf").write_text("m /( x\n", encoding="utf-8")
    check = lambda: subprocess.run([BUILD / "segue", "check", "-c", tmp_path / "segue.ini"], capture_output=True, text=True,
                                   check=False)
    done = check()
    assert done.returncode == 2
    assert done.stderr.replace(f"{tmp_path}/", "").splitlines() == [
        'ident.conf:1: invalid regular expression "(": Unmatched ( or \\(',
        'hba.conf:3: invalid connection type "hostt"',
        'more.conf:2: invalid CIDR mask in address "1.2.3.4/40"',
        'more.conf:3: there is no map "x" in auth_ident_file']
    (tmp_path / "hba.conf").write_text("local all all md5\nhost all +g all trust\n", encoding="utf-8")
    (tmp_path / "ident.conf").write_text("m x y\n", encoding="utf-8")
    assert check().stderr.replace(f"{tmp_path}/", "").splitlines() == [
        "hba.conf:1: the method needs secrets: give auth_file or auth_user",
        "hba.conf:2: groups are looked up on the server: give auth_user"]
    (tmp_path / "hba.conf").write_text("local all all peer map=m\nhost all all all passthrough\n", encoding="utf-8")
    assert check().returncode == 0
    ini = (tmp_path / "segue.ini").read_text(encoding="utf-8")
    (tmp_path / "segue.ini").write_text(ini.replace(f"* = host={HOST}", f"* = host={HOST} user=app"), encoding="utf-8")
    assert "hba.conf:2: passthrough is the client's own login" in check().stderr


def test_a_bad_file_at_a_reload_leaves_the_old_one_in_force(start_segue, oracle, database, tmp_path):
    segue = start_segue(options=hba_options(tmp_path, "host all hba_a all trust\nhost all all all reject\n"))
    reload_segue(segue, tmp_path, "host all all all trust\nhost all all 1.2.3.4/40 trust\nnonsense\n")
    logs(segue, "stays as it was")
    logs(segue, 'hba.conf:2: invalid CIDR mask in address "1.2.3.4/40"')
    logs(segue, 'hba.conf:3: invalid connection type "nonsense"')
    assert whoami(segue, database, "hba_a") == "hba_a"
    assert "pg_hba.conf rejects" in refusal(segue, database, "hba_b")
    reload_segue(segue, tmp_path, "host all hba_b all trust\n")
    assert whoami(segue, database, "hba_b") == "hba_b"
    assert "no pg_hba.conf entry" in refusal(segue, database, "hba_a")


def test_a_start_with_a_bad_file_fails_and_says_why(tmp_path):
    options = hba_options(tmp_path, "nonsense\n")
    done = subprocess.run([BUILD / "segue", "serve", "--listen", f"{HOST}:0", "--upstream", f"host={HOST}", *options],
                          capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert f'{tmp_path}/hba.conf:1: invalid connection type "nonsense"' in done.stderr
