"""Logins on the wire: garbage, protocol versions, and servers that are not to be trusted with a password."""

import struct

import pytest

from logins import Client, login, sasl, settings, write_users
from wire import error_fields, message


@pytest.fixture(scope="module", autouse=True)
def dora(cluster):
    cluster.admin("CREATE ROLE dora LOGIN")


@pytest.mark.parametrize("content, code", [
    (message(b"Q", b"SELECT 1\0"), "08P01"), (b"p\0\0\0\x03", "08P01"), (b"p\x7f\xff\xff\xff", "08P01"), (b"p\xff\xff\xff\xff", "08P01"),
    (message(b"p", b""), "08P01"), (message(b"p", b"x" * 65535), "08P01"), (b"GET / HTTP/1.1\r\n\r\n", "08P01"),
    (sasl(b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"), "08P01"), (sasl(b"PLAIN", b"x"), "08P01"),
    (sasl(b"SCRAM-SHA-256", b"n,a=dora,n=,r=abc"), "0A000"), (sasl(b"SCRAM-SHA-256", b"y" * 2000), "08P01"),
    (sasl(b"SCRAM-SHA-256", b"n,,n=,r=abc") + message(b"p", b"c=biws,r=abc,p=" + b"A" * 44), "08P01"),
], ids=range(12))
def test_sec_garbage_before_the_login(start_segue, write_users, content, code):
    """CVE-2026-6664 of another proxy: an overflow of the length before the login."""
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users({"dora": "x"})))
    client = Client(segue, user="dora")
    assert client.receive() == (b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0")
    client.send(content)
    kind, body = client.receive()
    if kind == b"R":  # the challenge
        kind, body = client.receive()
    assert kind == b"E" and error_fields(body)["C"] == code, body
    assert client.receive() == (b"", b"")
    assert login(segue, "dora", "x") == "dora"


def test_an_exchange_a_byte_at_a_time_and_queries_sent_early(start_segue, write_users):
    segue = start_segue(options=settings(auth_type="trust", auth_file=write_users({})))
    client = Client(segue, user="dora", database="postgres")
    client.send(message(b"Q", b"SELECT 'early'\0"), message(b"X"))
    kinds, content = [], b""
    while True:
        kind, body = client.receive()
        if not kind:
            break
        kinds.append(kind)
        content += body if kind == b"D" else b""
    assert kinds.count(b"R") == 1 and b"early" in content and kinds[-1] == b"Z"
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users({"dora": "x"})))
    client = Client(segue, user="dora")
    client.receive()
    for byte in sasl(b"SCRAM-SHA-256", b"n,,n=,r=abc"):
        client.send(bytes([byte]))
    kind, body = client.receive()
    assert kind == b"R" and body.startswith(struct.pack("!i", 11) + b"r=abc")


def test_sec_unknown_users_meet_the_same_salt(start_segue, write_users):
    segue = start_segue(options=settings(auth_type="scram-sha-256", auth_file=write_users({"dora": "x"})))
    salts = []
    for user in ("dora", "dora", "nobody", "nobody", "else"):
        client = Client(segue, user=user)
        client.receive()
        client.send(sasl(b"SCRAM-SHA-256", b"n,,n=,r=abc"))
        _, challenge = client.receive()
        _, salt, iterations = challenge[4:].split(b",")
        assert iterations == b"i=4096" and len(salt) == 26
        salts.append(salt)
    assert salts[0] == salts[1] and salts[2] == salts[3] and len(set(salts)) == 3


def test_p05_versions_and_options_of_the_protocol(start_segue, write_users):
    segue = start_segue(options=settings(auth_type="trust", auth_file=write_users({})))
    client = Client(segue, minor=9999, user="dora", database="postgres", **{"_pq_.one": "1", "_pq_.two": "2"})
    kind, body = client.receive()
    assert kind == b"v" and body == struct.pack("!II", 3 << 16 | 2, 2) + b"_pq_.one\0_pq_.two\0"
    kinds = []
    while not kinds or kinds[-1] != b"Z":
        kind, body = client.receive()
        assert kind != b"E", body
        kinds.append(kind)
    assert b"v" not in kinds and kinds[0] == b"R"  # what the server said to it is not repeated
    many = {f"_pq_.o{i}": "" for i in range(600)}
    kind, body = Client(segue, user="dora", database="postgres", **many).receive()
    assert (kind, body) == (b"v", struct.pack("!II", 3 << 16, 600) + b"".join(name.encode() + b"\0" for name in many))
    client = Client(segue, minor=2, user="dora", database="postgres")
    assert client.receive()[0] == b"R"
    client = Client(segue, database="postgres")
    assert client.fatal() == ("28000", "no PostgreSQL user name specified in startup packet")


# ---- A server that is not to be trusted ----

def request(code, body=b""):
    return message(b"R", struct.pack("!i", code) + body)


SASL = request(10, b"SCRAM-SHA-256\0\0")
SIGNATURE = b"v=" + b"A" * 43 + b"="


def challenge(first, nonce=b"x", rest=b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"):
    ours = first.split(b"r=")[-1]
    return request(11, b"r=" + ours + nonce + rest)


SCRIPTS = {
    "in without a proof": lambda line: line.say(request(0)),
    "nonce overflow": lambda line: line.say(challenge(line.read_message(), b"n" * 5000)),
    "a huge nonce": lambda line: line.say(challenge(line.read_message(), b"n" * 200_000)),
    "another nonce": lambda line: (line.read_message(), line.say(request(11, b"r=abc,s=AAAA,i=4096"))),
    "absurd iterations": lambda line: line.say(challenge(line.read_message(), rest=b",s=AAAA,i=2147483647")),
    "wrong signature": lambda line: (line.say(challenge(line.read_message())), line.read_message(), line.say(request(12, SIGNATURE))),
    "no signature": lambda line: (line.say(challenge(line.read_message())), line.read_message(), line.say(request(0))),
    "downgrade": lambda line: (line.read_message(), line.say(request(3))),
    "no SASL that is known": None,
    "Kerberos": None,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_sec_a_malicious_server(faked, write_users, name):
    """CVE-2026-6665 of another proxy: an overflow by the server's nonce. And a server that only feigns to know the password."""
    def script(line):
        line.startup()
        if name == "Kerberos":
            line.say(request(7))
        elif name == "no SASL that is known":
            line.say(request(10, b"SCRAM-SHA-512\0\0"))
        else:
            line.say(SASL)
            SCRIPTS[name](line)
        line.say(request(0), message(b"Z", b"I"))
        line.read_to_end()

    _, segue = faked(script, options=settings(auth_type="trust", auth_file=write_users({"dora": "secret"})))
    client = Client(segue, user="dora")
    code, text = client.fatal()
    assert code == "08001" and text.startswith('segue cannot log in to the server as user "dora": ')
    assert segue.alive()


def test_sec_an_error_without_a_code_during_the_login(faked, write_users):
    """CVE-2026-6666 of another proxy. And whatever the server says is the client's to read, as it is."""
    error = message(b"E", b"SFATAL\0Mno code at all\0?what is this\0\0")

    def script(line):
        line.startup()
        line.say(SASL)
        line.read_message()
        line.say(error)
        line.close()

    _, segue = faked(script, options=settings(auth_type="trust", auth_file=write_users({"dora": "secret"})))
    client = Client(segue, user="dora")
    assert message(*client.receive()) == error
    assert segue.alive()
