"""Clients that encrypt: libpq in every mode, Python's own TLS at every split, and what must be refused."""

import os
import socket
import ssl
import struct
import subprocess
import threading
import time

import psycopg2
import pytest

from certificates import Certificates
from cluster import HOST
from proxy import PATIENCE_S, ConsoleError, psql

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSSENC_REQUEST = struct.pack("!ii", 8, 80877104)
STARTUP = struct.pack("!ihh", 8 + len(b"user\0postgres\0database\0postgres\0\0"), 3, 0) + \
    b"user\0postgres\0database\0postgres\0\0"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def conninfo(segue, database, **options):
    options = {"host": HOST, "port": segue.port, "user": "postgres", "dbname": database, **options}
    return " ".join(f"{name}={value}" for name, value in options.items())


def ask(segue, database, sql="SELECT 1", **options):
    with psycopg2.connect(conninfo(segue, database, **options)) as conn, conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0], conn.info.ssl_in_use


@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
def test_libpq_in_every_mode(start_segue, database, certificates, mode):
    segue = start_segue(options=certificates.options(mode))
    authority = certificates.authority[1]
    assert ask(segue, database, sslmode="prefer") == (1, True)
    assert ask(segue, database, sslmode="require") == (1, True)
    assert ask(segue, database, sslmode="verify-ca", sslrootcert=authority) == (1, True)
    assert ask(segue, database, sslmode="verify-full", sslrootcert=authority, host="localhost", hostaddr=HOST) == (1, True)
    with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
        ask(segue, database, sslmode="verify-ca", sslrootcert=certificates.stranger[1])
    if mode != "require":
        assert ask(segue, database, sslmode="disable") == (1, False)
        return
    with pytest.raises(psycopg2.OperationalError, match="segue accepts encrypted connections only"):
        ask(segue, database, sslmode="disable")
    assert segue.alive()


def test_a_certificate_is_asked_for_and_checked(start_segue, database, certificates):
    segue = start_segue(options=certificates.options("verify-ca", ca_file=certificates.authority[1]))
    key, cert = certificates.client
    assert ask(segue, database, sslmode="require", sslkey=key, sslcert=cert) == (1, True)
    for key, cert in [certificates.stranger, (certificates.directory / "none", certificates.directory / "none")]:
        with pytest.raises(psycopg2.OperationalError):
            ask(segue, database, sslmode="require", sslkey=key, sslcert=cert)


def test_large_values_both_ways(start_segue, database, certificates):
    segue = start_segue(options=certificates.options("require"))
    with psycopg2.connect(conninfo(segue, database, sslmode="require")) as conn, conn.cursor() as cursor:
        for size in (0, 1, 16383, 16384, 16385, 65536, 5_000_000):
            text = "x" * size
            cursor.execute("SELECT %s || 'y'", (text,))
            assert cursor.fetchone()[0] == text + "y"
        cursor.execute("SELECT count(*) FROM (SELECT repeat('z', 1000) FROM generate_series(1, 50000)) s")
        cursor.execute("SELECT repeat('z', 1000) FROM generate_series(1, 50000)")
        assert sum(len(row[0]) for row in cursor) == 50_000_000


def test_the_console(start_segue, database, certificates):
    segue = start_segue(control=database, options=certificates.options("require"))
    console = conninfo(segue, "segue", sslmode="require")
    assert "client_tls_sslmode" in psql(console, "-c", "SHOW CONFIG")
    assert psql(console, "-At", "-c", "\\conninfo").find("SSL connection") > 0
    with pytest.raises(ConsoleError, match="encrypted connections only"):
        psql(conninfo(segue, "segue", sslmode="disable"), "-c", "SHOW VERSION")


def test_a_cancel_reaches_an_encrypted_session(start_segue, database, certificates):
    segue = start_segue(options=certificates.options("allow"))
    with psycopg2.connect(conninfo(segue, database, sslmode="require")) as conn, conn.cursor() as cursor:
        cursor.execute("SET statement_timeout = 600000")
        threading.Timer(0.5, conn.cancel).start()
        with pytest.raises(psycopg2.errors.QueryCanceled, match="user request"):
            cursor.execute("SELECT pg_sleep(500)")


def plain(segue):
    return socket.create_connection((HOST, segue.port), PATIENCE_S)


def client_context(certificates, **options):
    context = ssl.create_default_context(cafile=str(certificates.authority[1]))
    for name, value in options.items():
        setattr(context, name, value)
    return context


def login(sock):
    sock.sendall(STARTUP)
    got = b""
    while not got.endswith(b"Z\0\0\0\x05I"):
        more = sock.recv(4096)
        assert more, got
        got += more
    return got


def test_direct_tls_needs_alpn(start_segue, certificates):
    segue = start_segue(options=certificates.options("allow"))
    context = client_context(certificates)
    context.set_alpn_protocols(["postgresql"])
    with context.wrap_socket(plain(segue), server_hostname="localhost") as sock:
        assert sock.selected_alpn_protocol() == "postgresql"
        assert login(sock)[:1] == b"R"
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        with client_context(certificates).wrap_socket(plain(segue), server_hostname="localhost") as sock:
            login(sock)
    other = client_context(certificates)
    other.set_alpn_protocols(["h2"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        other.wrap_socket(plain(segue), server_hostname="localhost")
    assert segue.alive()


def test_gssenc_is_declined_and_then_tls_accepted(start_segue, certificates):
    segue = start_segue(options=certificates.options("allow"))
    sock = plain(segue)
    sock.sendall(GSSENC_REQUEST)
    assert sock.recv(1) == b"N"
    sock.sendall(SSL_REQUEST)
    assert sock.recv(1) == b"S"
    with client_context(certificates).wrap_socket(sock, server_hostname="localhost") as encrypted:
        assert login(encrypted)[:1] == b"R"


def test_an_encrypted_cancel_leaves_nothing_for_the_next_client(start_segue, certificates):
    """The worker that is asked hands the request to the session's; whose goodbye it is must not reach another client."""
    segue = start_segue(options=certificates.options("allow"))
    context = client_context(certificates)

    def encrypted():
        sock = plain(segue)
        sock.sendall(SSL_REQUEST)
        assert sock.recv(1) == b"S"
        return context.wrap_socket(sock, server_hostname="localhost")

    with encrypted() as session:
        key = login(session).partition(b"K\0\0\0\x0c")[2][:8]
        for _ in range(4):  # of both workers
            with encrypted() as canceller:
                canceller.sendall(b"\0\0\0\x10" + b"\x04\xd2\x16\x2e" + key)
                assert canceller.recv(100) == b""
            with encrypted() as another:
                assert login(another)[:1] == b"R"


@pytest.mark.parametrize("injected", [STARTUP, b"\x16", SSL_REQUEST])
def test_bytes_before_the_handshake_end_the_connection(start_segue, certificates, injected):
    """What an attacker puts in front of the handshake must not be taken for the client's (CVE-2021-23214)."""
    segue = start_segue(options=certificates.options("allow"))
    with plain(segue) as sock:
        sock.sendall(SSL_REQUEST + injected)
        assert sock.recv(100) == b""


def test_garbage_and_half_handshakes(start_segue, database, certificates):
    segue = start_segue(options=certificates.options("allow"))
    for words in (b"\x16\x03\x01\x02\x00" + b"\xff" * 512, b"\x16", b"\x16\x03\x01\xff\xff" + b"\0" * 70000):
        with plain(segue) as sock:
            try:
                sock.sendall(words)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
            except OSError:
                pass  # closed, with some of it unread
    assert ask(segue, database, sslmode="require") == (1, True)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_byte_at_a_time(start_segue, certificates, version):
    segue = start_segue(options=certificates.options("require"))
    context = client_context(certificates, minimum_version=version, maximum_version=version)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with plain(segue) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def drive(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        sock.sendall(bytes([byte]))
                    incoming.write(sock.recv(4096))

        sock.sendall(SSL_REQUEST)
        assert sock.recv(1) == b"S"
        drive(tls.do_handshake)
        tls.write(STARTUP)
        got = b""
        while not got.endswith(b"Z\0\0\0\x05I"):
            got += drive(lambda: tls.read(4096))
        assert got[:1] == b"R"


def wait_for_certificate(segue, database, authority):
    """RELOAD is answered before it is done."""
    while True:
        try:
            ask(segue, database, sslmode="verify-ca", sslrootcert=authority)
            return
        except psycopg2.OperationalError:
            time.sleep(0.05)


def test_certificates_are_read_again_without_a_restart(start_segue, database, certificates, tmp_path):
    key, cert = tmp_path / "now.key", tmp_path / "now.pem"
    key.write_bytes(certificates.stranger[0].read_bytes())
    cert.write_bytes(certificates.stranger[1].read_bytes())
    config = tmp_path / "segue.ini"
    config.write_text("[segue]\nclient_tls_sslmode = require\n"
                      f"client_tls_key_file = {key}\nclient_tls_cert_file = {cert}\n", encoding="utf-8")
    segue = start_segue(control=database, options=["-c", str(config)])
    authority = certificates.authority[1]
    with psycopg2.connect(conninfo(segue, database, sslmode="require")) as old:
        with pytest.raises(psycopg2.OperationalError, match="certificate verify failed"):
            ask(segue, database, sslmode="verify-ca", sslrootcert=authority)
        key.write_bytes(certificates.server[0].read_bytes())
        cert.write_bytes(certificates.server[1].read_bytes())
        psql(conninfo(segue, "segue", sslmode="require"), "-c", "RELOAD")
        with old.cursor() as cursor:
            cursor.execute("SELECT 2")
            assert cursor.fetchone() == (2,)
        wait_for_certificate(segue, database, authority)
        key.write_text("nonsense", encoding="ascii")
        psql(conninfo(segue, "segue", sslmode="require"), "-c", "RELOAD")
    while "TLS private key" not in segue.log_text():
        time.sleep(0.05)
    assert ask(segue, database, sslmode="verify-ca", sslrootcert=authority) == (1, True)


# ---- The way to the server ----

@pytest.fixture(scope="module")
def tls_cluster(cluster, certificates):
    """The cluster, with TLS and with a role that has to say a password."""
    owner = cluster.data.stat()
    for source, name in zip(certificates.server, ("server.key", "server.crt")):
        target = cluster.data / name
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        os.chown(target, owner.st_uid, owner.st_gid)
    hba = cluster.data / "pg_hba.conf"
    hba.write_text("host all secretive all scram-sha-256\n" + hba.read_text(encoding="utf-8"), encoding="utf-8")
    cluster.admin("ALTER SYSTEM SET ssl = on", "CREATE ROLE secretive LOGIN PASSWORD 'geheim'", "SELECT pg_reload_conf()")
    return cluster


def upstream(cluster, **options):
    options = {"host": "localhost", "hostaddr": HOST, "port": cluster.port, **options}
    return " ".join(f"{name}={value}" for name, value in options.items())


IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_the_way_to_the_server_in_every_mode(start_segue, tls_cluster, database, certificates, mode):
    segue = start_segue(upstream=upstream(tls_cluster, sslmode=mode, sslrootcert=certificates.authority[1]))
    assert ask(segue, database, IS_ENCRYPTED, sslmode="disable") == (True, False)


def test_the_way_to_the_server_by_keys(start_segue, tls_cluster, database, certificates):
    options = ["--set", "server_tls_sslmode=verify-full", "--set", f"server_tls_ca_file={certificates.authority[1]}"]
    segue = start_segue(upstream=upstream(tls_cluster), options=options + certificates.options("require"))
    assert ask(segue, database, IS_ENCRYPTED, sslmode="require") == (True, True)


@pytest.mark.parametrize("mode, options, says", [
    ("verify-ca", {"sslrootcert": "stranger"}, "certificate of the server is not accepted"),
    ("verify-full", {"sslrootcert": "authority", "host": "elsewhere"}, "certificate of the server is not accepted"),
])
def test_a_server_that_cannot_be_trusted(start_segue, tls_cluster, database, certificates, mode, options, says):
    options["sslrootcert"] = getattr(certificates, options["sslrootcert"])[1]
    segue = start_segue(upstream=upstream(tls_cluster, sslmode=mode, **options))
    with pytest.raises(psycopg2.OperationalError, match=says):
        ask(segue, database, sslmode="disable")
    assert segue.alive()


def test_a_server_without_encryption(start_segue, fake_server):
    for mode, is_fine in (("prefer", True), ("require", False)):
        segue = start_segue(upstream=f"host={HOST} port={fake_server.port} sslmode={mode}")
        with plain(segue) as sock:
            sock.sendall(STARTUP)
            got = sock.recv(4096)
        assert got.startswith(b"R" if is_fine else b"E"), got
        assert is_fine or b"does not accept encrypted connections" in got


@pytest.fixture
def fake_server():
    """Says no to encryption, and lets everybody in who goes on without."""
    listener = socket.create_server((HOST, 0))

    def serve():
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn:
                if conn.recv(8) == SSL_REQUEST:
                    conn.sendall(b"N")
                if conn.recv(4096):
                    conn.sendall(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
                    conn.recv(4096)

    threading.Thread(target=serve, daemon=True).start()

    class Server:
        port = listener.getsockname()[1]

    yield Server
    listener.close()


@pytest.mark.parametrize("client, server, options, is_fine", [
    ("disable", "disable", {}, True),
    ("disable", "require", {}, True),
    ("require", "disable", {}, True),
    ("require", "require", {"channel_binding": "disable"}, True),
    ("require", "require", {}, False),
])
def test_scram_over_both_legs(start_segue, tls_cluster, database, certificates, client, server, options, is_fine):
    """The four rows of the table: with both legs encrypted a client cannot bind to the channel of the other one."""
    segue = start_segue(upstream=upstream(tls_cluster, sslmode=server), options=certificates.options("allow"))
    login = {"user": "secretive", "password": "geheim", "sslmode": client, **options}
    if is_fine:
        assert ask(segue, database, IS_ENCRYPTED, **login) == (server == "require", client == "require")
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            ask(segue, database, **{**login, "password": "wrong"})
        return
    with pytest.raises(psycopg2.OperationalError, match="channel_binding=disable"):
        ask(segue, database, **login)


def test_a_cancel_on_the_way_to_the_server(start_segue, tls_cluster, database):
    segue = start_segue(upstream=upstream(tls_cluster, sslmode="require"))
    with psycopg2.connect(conninfo(segue, database, sslmode="disable")) as conn, conn.cursor() as cursor:
        threading.Timer(0.5, conn.cancel).start()
        with pytest.raises(psycopg2.errors.QueryCanceled, match="user request"):
            cursor.execute("SELECT pg_sleep(500)")


def test_large_values_on_both_legs(start_segue, tls_cluster, database, certificates):
    segue = start_segue(upstream=upstream(tls_cluster, sslmode="require"), options=certificates.options("require"))
    with psycopg2.connect(conninfo(segue, database, sslmode="require")) as conn, conn.cursor() as cursor:
        text = "x" * 5_000_000
        cursor.execute("SELECT %s || 'y'", (text,))
        assert cursor.fetchone()[0] == text + "y"
