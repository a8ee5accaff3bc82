"""Logging in to a segue that authenticates its clients itself: by libpq, and byte by byte."""

import socket
import struct
import time

import psycopg2
import pytest

from cluster import HOST
from wire import error_fields, message

PASSWORD = "geheim, \"so\" ä"


def quote(text):
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture
def write_users(tmp_path):
    def write(users):
        path = tmp_path / "users.txt"
        path.write_text("".join(f"{quote(user)} {quote(secret)}\n" for user, secret in users.items()), encoding="utf-8")
        path.chmod(0o600)
        return path

    return write


def settings(**keys):
    return [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]


def login(segue, user, password=PASSWORD, database="postgres", sql="SELECT current_user", **options):
    options = {"sslmode": "disable", **options}
    conn = psycopg2.connect(host=HOST, port=segue.port, user=user, password=password, dbname=database, **options)
    try:
        with conn.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]
    finally:
        conn.close()


def refusal(segue, user, password=PASSWORD, **options):
    with pytest.raises(psycopg2.OperationalError) as caught:
        login(segue, user, password, **options)
    return str(caught.value).split("failed: ", 1)[-1].strip()


def await_log(segue, *texts):
    """What segue logs may come a moment after what it says."""
    while not all(text in segue.log_text() for text in texts):
        assert segue.alive()
        time.sleep(0.02)


def failed_password(user):
    return f'FATAL:  password authentication failed for user "{user}"'


class Client:
    """Bytes to segue, messages back."""

    def __init__(self, segue, minor=0, **parameters):
        self.socket = socket.create_connection((HOST, segue.port), 60)
        body = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in parameters.items()) + b"\0"
        self.socket.sendall(struct.pack("!iHH", len(body) + 8, 3, minor) + body)
        self.file = self.socket.makefile("rb")

    def send(self, *content):
        self.socket.sendall(b"".join(content))

    def close(self):
        self.file.close()
        self.socket.close()

    def receive(self):
        kind = self.file.read(1)
        if not kind:
            return b"", b""
        return kind, self.file.read(struct.unpack("!i", self.file.read(4))[0] - 4)

    def fatal(self):
        kind, body = self.receive()
        assert kind == b"E", (kind, body)
        assert self.receive() == (b"", b"")
        fields = error_fields(body)
        assert fields["S"] == "FATAL"
        return fields["C"], fields["M"]


def sasl(mechanism, data):
    return message(b"p", mechanism + b"\0" + struct.pack("!i", len(data)) + data)
