"""Clients that segue authenticates itself, with real libpq and a real server: every type, every secret, TLS on each side."""

import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import psycopg2
import psycopg2.extras
import pytest

from certificates import Certificates
from cluster import HOST
from logins import PASSWORD, Client, await_log, failed_password, login, refusal, sasl, settings, write_users
from proxy import ROOT, ConsoleError, psql
from wire import message

ROLES = {"alice": "scram-sha-256", "bob": "md5", "carol": "password", "dora": "trust", "gone": "trust"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secrets(cluster, certificates):
    """The cluster with TLS, and a role for each thing a server may ask for. What pg_authid has of them."""
    hba = cluster.data / "pg_hba.conf"
    lines = [f"host all,replication {role} all {method}\n" for role, method in ROLES.items()]
    hba.write_text("".join(lines) + hba.read_text(encoding="utf-8"), encoding="utf-8")
    cluster.encrypt(*certificates.server)  # which reads the rules, too
    cluster.admin(
        *[f"SET password_encryption = '{'md5' if method == 'md5' else 'scram-sha-256'}'; "
          f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD '{PASSWORD}'" for role, method in ROLES.items()],
        "ALTER ROLE gone VALID UNTIL '2001-01-01'",
        "CREATE ROLE mute LOGIN", "CREATE ROLE group_only PASSWORD 'geheim'",
        "CREATE ROLE asker LOGIN SUPERUSER PASSWORD 'question'")
    return read_secrets(cluster)


def read_secrets(cluster):
    with cluster.connect("postgres") as conn, conn.cursor() as cursor:
        cursor.execute("SELECT rolname, coalesce(rolpassword, '') FROM pg_authid WHERE rolname !~ '^pg_'")
        return dict(cursor.fetchall())


# ---- Types and secrets ----

def test_a_secret_of_scram_opens_the_server_that_has_the_same(start_segue, secrets, write_users):
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users(secrets), log_level="debug"))
    assert login(segue, "alice") == "alice"
    for user, password in (("alice", "wrong"), ("alice", PASSWORD + " "), ("nobody", PASSWORD), ("mute", PASSWORD), ("bob", PASSWORD)):
        assert refusal(segue, user, password) == failed_password(user)
    await_log(segue, "wrong password", "no such user", "its secret is of MD5")
    log = segue.log_text()
    for secret in (PASSWORD, *(part for part in secrets["alice"].split("$")[2].split(":"))):
        assert secret not in log


@pytest.mark.parametrize("auth_type, kind, user, is_fine", [
    ("scram-sha-256", "plain", "alice", True), ("scram-sha-256", "plain", "bob", True), ("scram-sha-256", "plain", "carol", True),
    ("scram-sha-256", "stored", "dora", True), ("md5", "stored", "alice", True), ("md5", "stored", "bob", True),
    ("md5", "plain", "alice", True), ("md5", "plain", "carol", True), ("trust", "plain", "alice", True),
    ("trust", "plain", "bob", True), ("trust", "stored", "bob", True), ("trust", "stored", "dora", True),
    ("trust", "stored", "alice", False), ("scram-sha-256", "stored", "carol", False), ("trust", "none", "carol", False),
    ("trust", "none", "bob", False), ("trust", "none", "dora", True),
])
def test_what_leads_to_the_server(start_segue, secrets, write_users, auth_type, kind, user, is_fine):
    users = {"plain": {user: PASSWORD}, "stored": {user: secrets[user]}, "none": {}}[kind]
    segue = start_segue(options=settings(auth_type=auth_type, auth_file=write_users(users)))
    if is_fine:
        assert login(segue, user) == user
    else:
        assert "segue cannot log in to the server as user" in refusal(segue, user)
    if auth_type != "trust":
        assert refusal(segue, user, "wrong") == failed_password(user)


def test_a_secret_that_is_not_the_servers_any_more(start_segue, cluster, secrets, write_users):
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users(secrets)))
    other = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users({"alice": PASSWORD + "x"})))
    assert refusal(other, "alice", PASSWORD + "x") == failed_password("alice")  # the server's own words
    await_log(other, 'does not let "alice" in')
    cluster.admin(f"ALTER ROLE alice PASSWORD '{PASSWORD}'")  # the same password, another salt
    try:
        assert "its secret of the user is not the one that segue has" in refusal(segue, "alice")
    finally:
        secrets.update(read_secrets(cluster))


@pytest.mark.parametrize("server", ["disable", "require"])
@pytest.mark.parametrize("client", ["disable", "require"])
def test_the_four_rows_of_tls(start_segue, cluster, secrets, certificates, write_users, client, server):
    """Each channel is bound for itself; where segue relayed, the last row could not work."""
    segue = start_segue(upstream=f"host=localhost hostaddr={HOST} port={cluster.port} sslmode={server}",
                        options=settings(auth_type="scram-sha-256", auth_file=write_users(secrets)) + certificates.options("allow"))
    sql = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    expected = "true" if server == "require" else "false"
    for binding in ("disable", "prefer") + (("require",) if client == "require" else ()):
        assert login(segue, "alice", sql=sql, sslmode=client, channel_binding=binding) == expected
        assert refusal(segue, "alice", "wrong", sslmode=client, channel_binding=binding) == failed_password("alice")


def test_certificates(start_segue, secrets, certificates, write_users, tmp_path):
    segue = start_segue(options=settings(auth_type="cert") +
                        certificates.options("allow", ca_file=certificates.authority[1]))
    key, cert = certificates.client
    shown = {"sslmode": "require", "sslkey": str(key), "sslcert": str(cert)}
    assert login(segue, "postgres", None, **shown) == "postgres"
    expected = 'FATAL:  certificate authentication failed for user "{}"'
    assert refusal(segue, "dora", None, **shown) == expected.format("dora")
    nothing = {"sslmode": "require", "sslkey": str(tmp_path / "none"), "sslcert": str(tmp_path / "none")}
    assert refusal(segue, "postgres", None, **nothing) == expected.format("postgres")
    assert refusal(segue, "postgres", None) == expected.format("postgres")


@pytest.mark.parametrize("auth_type, options", [("scram-sha-256", {}), ("md5", {}), ("trust", {}), ("cert", {})])
def test_the_console(start_segue, database, cluster, secrets, certificates, write_users, auth_type, options):
    users = write_users({**secrets, "postgres": "master", "dora": "d"})
    segue = start_segue(control=database, options=settings(auth_type=auth_type, auth_file=users) +
                        certificates.options("allow", ca_file=certificates.authority[1]))
    key, cert = certificates.client
    shown = f" sslmode=require sslkey={key} sslcert={cert}" if auth_type == "cert" else " sslmode=require"
    console = f"host={HOST} port={segue.port} dbname=segue" + shown
    assert "segue" in psql(console + " user=postgres password=master", "-c", "SHOW VERSION")
    if auth_type == "cert":
        return
    with pytest.raises(ConsoleError, match="may not use the console"):
        psql(console + " user=dora password=d", "-c", "SHOW VERSION")
    if auth_type != "trust":
        for user in ("postgres", "nobody"):
            with pytest.raises(ConsoleError, match="28P01|password authentication failed"):
                psql(console + f" user={user} password=wrong", "-c", "SHOW VERSION")


def test_a_session_is_as_good_as_any(start_segue, database, cluster, secrets, write_users):
    """Rewriting, cancelling, replication: what follows the login does not know of it."""
    segue = start_segue(control=database, options=settings(auth_type="scram-sha-256", auth_file=write_users({**secrets, "postgres": "m"})))
    conn = psycopg2.connect(host=HOST, port=segue.port, user="postgres", password="m", dbname=database, sslmode="disable")
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("CREATE TABLE users (id int PRIMARY KEY, nickname text)")
        console = f"host={HOST} port={segue.port} user=postgres password=m dbname=segue sslmode=disable"
        psql(console, "-c", "CREATE MIGRATION m ON public.users RENAME nickname TO username", check=False)
        cursor.execute("INSERT INTO users VALUES (1, 'a')")
        cursor.execute("SELECT nickname FROM users")
        assert cursor.fetchone() == ("a",)
        cursor.execute("SET statement_timeout = 600000")
        threading.Timer(0.3, conn.cancel).start()
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("SELECT pg_sleep(500)")
    conn.close()
    replication = psycopg2.connect(host=HOST, port=segue.port, user="alice", password=PASSWORD, dbname="x", sslmode="disable",
                                   connection_factory=psycopg2.extras.PhysicalReplicationConnection)
    with replication.cursor() as cursor:
        cursor.execute("IDENTIFY_SYSTEM")
        assert len(cursor.fetchone()) == 4
    replication.close()


def test_md5_and_password_by_a_file_of_rules(start_segue, secrets, write_users, tmp_path):
    """The password in clear is held against whatever secret there is, and leads to a server that wants it so."""
    hba = tmp_path / "hba.conf"
    hba.write_text("host all alice,carol,nobody,mute all password\nhost all bob all md5\nhost all dora all trust\n", encoding="utf-8")
    segue = start_segue(options=settings(auth_type="hba", auth_hba_file=hba, auth_file=write_users(secrets), log_level="debug"))
    for user in ("alice", "carol", "bob"):
        assert login(segue, user) == user
    assert login(segue, "dora", None) == "dora"
    for user in ("alice", "carol", "bob", "nobody", "mute"):
        assert refusal(segue, user, "wrong") == failed_password(user)
    client = Client(segue, user="alice", database="postgres")
    assert client.receive() == (b"R", struct.pack("!i", 3))
    client.send(message(b"p", PASSWORD.encode() + b"\0"), message(b"Q", b"SELECT 'early'\0"), message(b"X"))
    content = b""
    while True:
        kind, body = client.receive()
        if not kind:
            break
        content += body if kind == b"D" else b""
    assert b"early" in content
    assert PASSWORD not in segue.log_text() and "early" not in segue.log_text()


def test_a_pause_holds_who_is_about_to_get_in(start_segue, database, cluster, secrets, write_users, tmp_path):
    """It comes between the server's question, which was segue's, and the answer: nothing reaches the server before RESUME."""
    hba = tmp_path / "hba.conf"
    hba.write_text("host all alice all password\nhost all postgres all trust\n", encoding="utf-8")
    segue = start_segue(control=database, options=settings(auth_type="hba", auth_hba_file=hba, auth_file=write_users(secrets)))
    client = Client(segue, user="alice", database=database)
    assert client.receive() == (b"R", struct.pack("!i", 3))
    segue.console.run("PAUSE")
    client.send(message(b"p", PASSWORD.encode() + b"\0"))
    while [row["state"] for row in segue.console.rows("SHOW CLIENTS") if row["user"] == "alice"] != ["waiting"]:
        time.sleep(0.02)
    with cluster.connect("postgres") as conn, conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'")
        assert cursor.fetchone() == (0,)
    segue.console.run("RESUME")
    kinds = []
    while not kinds or kinds[-1] != b"Z":
        kinds.append(client.receive()[0])
        assert kinds[-1] not in (b"E", b"")
    assert kinds[0] == b"R"


def test_an_entry_that_names_the_role(start_segue, cluster, secrets, write_users, tmp_path):
    """The client is known to segue alone; the server knows the entry's user, by the entry's password or that of auth_file."""
    users = write_users({"app": "x", "alice": PASSWORD, "bob": secrets["bob"], "asker": "question"})
    config = tmp_path / "segue.ini"
    where = f"host={HOST} port={cluster.port}"
    config.write_text(f"""[databases]
one = {where} dbname=postgres user=carol password='{PASSWORD}'
two = {where} dbname=postgres user=alice
three = {where} dbname=postgres user=bob
four = {where} dbname=postgres user=carol
five = {where} dbname=postgres
[segue]
auth_type = scram-sha-256
auth_file = {users}
auth_user = asker
auth_query = SELECT 'app2', 'y' WHERE $1 = 'app2' AND current_database() = 'postgres'
""", encoding="utf-8")
    segue = start_segue(upstream="host=127.0.0.1 port=1", options=["-c", str(config)])
    for database, user in (("one", "carol"), ("two", "alice"), ("three", "bob")):
        assert login(segue, "app", "x", database=database) == user
        assert login(segue, "app2", "y", database=database) == user
        assert refusal(segue, "app", PASSWORD, database=database) == failed_password("app")
    assert "segue cannot log in to the server as user \"carol\"" in refusal(segue, "app", "x", database="four")
    assert login(segue, "alice", database="five") == "alice"


# ---- auth_query ----

@pytest.fixture
def asking(start_segue, secrets, write_users):
    def start(**keys):
        users = write_users({"asker": "question"})
        return start_segue(options=settings(auth_type="scram-sha-256", auth_file=users, auth_user="asker", **keys))

    return start


def test_the_server_is_asked(asking, cluster):
    segue = asking()
    assert login(segue, "alice") == "alice"
    assert login(segue, "asker", "question") == "asker"
    for user in ("nobody", "mute", "group_only", "gone", "bob", "a" * 63, "a" * 64, "x' OR true --", "ä"):
        assert refusal(segue, user) == failed_password(user[:63])  # as the server cuts names
    cluster.admin("CREATE ROLE fleeting LOGIN PASSWORD 'one'")
    assert login(segue, "fleeting", "one") == "fleeting"
    cluster.admin("ALTER ROLE fleeting PASSWORD 'two'")  # nothing is remembered
    assert refusal(segue, "fleeting", "one") == failed_password("fleeting")
    assert login(segue, "fleeting", "two") == "fleeting"
    cluster.admin("ALTER ROLE fleeting VALID UNTIL '2001-01-01'")
    assert refusal(segue, "fleeting", "two") == failed_password("fleeting")
    cluster.admin("DROP ROLE fleeting")
    assert refusal(segue, "fleeting", "two") == failed_password("fleeting")
    await_log(segue, "VALID UNTIL has passed")


def test_sec_a_query_that_forgets_valid_until(asking):
    """CVE-2025-2291 of another proxy: pg_shadow's password is there after its time."""
    segue = asking(auth_query="SELECT usename, passwd FROM pg_shadow WHERE usename = $1")
    assert login(segue, "dora") == "dora"
    assert refusal(segue, "gone") == failed_password("gone")


def test_sec_search_path_does_not_reach_the_query(asking, cluster):
    """CVE-2025-12819 of another proxy: a pg_authid, or an operator, of the client's own choice answered the query."""
    forged = read_secrets(cluster)["dora"]
    cluster.admin("CREATE SCHEMA evil", "CREATE TABLE evil.pg_authid AS SELECT * FROM pg_authid",
                  f"UPDATE evil.pg_authid SET rolpassword = '{forged}' WHERE rolname = 'postgres'",
                  "CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2000-01-01' $$",
                  "ALTER ROLE asker SET search_path = evil, pg_catalog", "GRANT USAGE ON SCHEMA evil TO public",
                  "ALTER DATABASE postgres SET search_path = evil, pg_catalog")
    try:
        segue = asking()
        for options in ("", "-c search_path=evil,pg_catalog", "-csearch_path=evil"):
            assert refusal(segue, "postgres", PASSWORD, options=options) == failed_password("postgres")
            assert login(segue, "dora", options=options, sql="SELECT pg_catalog.current_setting('search_path')").startswith("evil")
    finally:
        cluster.admin("DROP SCHEMA evil CASCADE", "ALTER ROLE asker RESET search_path", "ALTER DATABASE postgres RESET search_path")


def test_the_documented_ways(start_segue, cluster, write_users):
    """docs/authentication.md: a role that is no superuser asks by a function; and the file that psql writes."""
    text = (ROOT / "docs" / "authentication.md").read_text(encoding="utf-8")
    function = re.search(r"```sql\n(.*?)```", text, re.S)[1]
    query = re.search(r"^-- auth_query = (.*)$", function, re.M)[1]
    command = re.search(r"^    (psql -Atc \"SELECT format.*?\")$", text, re.M | re.S)[1]
    cluster.admin("CREATE ROLE segue_auth LOGIN PASSWORD 'ask'", "CREATE SCHEMA segue_auth",
                  "GRANT USAGE ON SCHEMA segue_auth TO segue_auth", function)
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users({"segue_auth": "ask"}), auth_user="segue_auth",
                                         auth_query=query, auth_dbname="postgres"))
    assert login(segue, "alice") == "alice"
    for user in ("nobody", "gone", "mute", "group_only"):
        assert refusal(segue, user) == failed_password(user)
    environment = {**os.environ, "PGHOST": HOST, "PGPORT": str(cluster.port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
    users = write_users({})
    users.write_bytes(subprocess.run(["bash", "-c", command], env=environment, check=True, capture_output=True).stdout)
    segue = start_segue(options=settings(auth_type="md5", auth_file=users))
    assert login(segue, "alice") == "alice"
    assert login(segue, "bob") == "bob"


def test_queries_of_no_use(asking, secrets):
    for query, says in (("SELECT $1::text", "must return the user's name and the secret"),
                        ("SELECT $1::text, 'x' FROM generate_series(1, 2)", "more than one row"),
                        ("SELECT nonsense($1)", "does not exist"),
                        ("SELECT 1", "supplies 1 parameters")):
        segue = asking(auth_query=query)
        assert refusal(segue, "dora") == "FATAL:  segue cannot check passwords at the moment"
        await_log(segue, says)
        assert login(segue, "asker", "question") == "asker"  # of the file
    segue = asking(auth_query=f"SELECT 'alice', '{secrets['dora']}' WHERE $1 <> ''")
    assert refusal(segue, "dora") == failed_password("dora")  # another user's row


def test_a_server_that_cannot_be_asked(start_segue, secrets, write_users):
    options = settings(auth_type="scram-sha-256", auth_file=write_users({"asker": "question"}), auth_user="asker")
    segue = start_segue(upstream=f"host={HOST} port=1 sslmode=disable", options=options)
    assert refusal(segue, "alice") == "FATAL:  segue cannot check passwords at the moment"
    await_log(segue, "cannot connect as auth_user")
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users({"asker": "wrong"}), auth_user="nobody"))
    assert refusal(segue, "alice") == "FATAL:  segue cannot check passwords at the moment"


def test_many_log_in_at_once(asking):
    segue = asking(auth_dbname="postgres")
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    psqls = [subprocess.Popen(["psql", "-XAtqc", "SELECT 1", f"host={HOST} port={segue.port} user=alice dbname=postgres sslmode=disable"],
                              env=environment, stdout=subprocess.PIPE) for _ in range(24)]
    assert [p.communicate()[0] for p in psqls] == [b"1\n"] * 24


def test_a_query_that_hangs_holds_up_nobody_else(start_segue, cluster, secrets, write_users, tmp_path):
    """And the process ends at once all the same: start_segue stops it while they hang."""
    config = tmp_path / "segue.ini"
    with socket.create_server((HOST, 0)) as mute:
        config.write_text(f"""[databases]
postgres = host={HOST} port={cluster.port}
mute = host={HOST} port={mute.getsockname()[1]}
[segue]
auth_type = scram-sha-256
auth_file = {write_users({"dora": "x", "asker": "q"})}
auth_user = asker
auth_dbname = mute
""", encoding="utf-8")
        segue = start_segue(upstream=f"host={HOST} port=1", options=["-c", str(config)])
        waiting = [Client(segue, user="alice", database="postgres") for _ in range(20)]
        gone = [Client(segue, user="alice", database="postgres") for _ in range(20)]
        for client in gone:
            client.close()
        assert login(segue, "dora", "x") == "dora"
        assert len(waiting) == 20 and segue.alive()


def test_logins_abandoned_at_every_moment(asking):
    segue = asking()
    first = sasl(b"SCRAM-SHA-256", b"n,,n=,r=abc")
    for turn in range(150):
        client = Client(segue, user=("alice", "nobody")[turn % 2], database="postgres")
        if turn % 3:
            client.send(first[:turn % len(first)])
        if turn % 5 == 0:
            client.receive()
        client.close()
    assert login(segue, "alice") == "alice"


# ---- Reload ----

def test_secrets_are_read_again(start_segue, write_users):
    path = write_users({"dora": "one"})
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=path))
    assert login(segue, "dora", "one") == "dora"
    write_users({"dora": "two"})
    segue.process.send_signal(signal.SIGHUP)
    await_log(segue, "reloaded")
    assert login(segue, "dora", "two") == "dora"
    assert refusal(segue, "dora", "one") == failed_password("dora")
    path.write_text('"dora" "three"\nnonsense\n', encoding="utf-8")
    segue.process.send_signal(signal.SIGHUP)
    await_log(segue, "stays as it was", f'{path}:2: not "user" "secret"')
    assert login(segue, "dora", "two") == "dora"
