"""COPY FROM STDIN into a table under migration: in every phase, in every format, rows and errors are those of a twin table
with one column, and both columns are written."""

import io
import os
import re
import struct
import time
from pathlib import Path

import psycopg2
import pytest

from proxy import PATIENCE_S, psql
from wire import Wire, error_fields, message

SANITIZED = bool(os.environ.get("SEGUE_SANITIZE"))
BIG_MB = int(os.environ.get("SEGUE_COPY_MB", "10" if SANITIZED else "100"))

# `born` has no default and `email` one: a column that is not named must be filled as ever.
TABLE = """
CREATE TABLE {0} (user_id int PRIMARY KEY, nickname varchar(40), email text DEFAULT 'none', born date);
"""

PGCOPY = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)


def tuples(*rows):
    out = PGCOPY
    for row in rows:
        out += struct.pack("!h", len(row))
        for value in row:
            out += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return out + struct.pack("!h", -1)


def int4(n):
    return struct.pack("!i", n)


# (statement, data): {t} is the table, {n} the name that the client uses for the column.
CASES = [
    ("COPY {t} FROM STDIN", b"1\tann\ta@x\t2001-02-03\n2\t\\N\t\\N\t\\N\n3\ta\\tb\\\\\\nc\t\t\\N\n"),
    ("COPY {t} FROM STDIN", b"1\tann\ta@x\t\\N\n\\.\nwhatever comes here\n"),
    ("COPY {t} FROM STDIN", b"1\tann\ta@x\t\\N\r\n2\tbob\tb@x\t\\N\r\n"),
    ("COPY {t} FROM STDIN", b"1\tann\ta@x\t\\N\r2\tbob\tb@x\t\\N"),
    ("COPY {t} FROM STDIN", "1\tünï©ødé 名前\ta\t\\N\n".encode()),
    ("COPY {t} FROM STDIN", b""),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\n2\t\\N\n"),
    ("COPY {t} ({n}, user_id) FROM STDIN", b"ann\t1\n\\N\t2\n\t3\n"),
    ("copy {t}(user_id , {n} ) from stdin", b"1\tann\\\nb\n"),
    ("COPY public.{t} (user_id, {n}, email) FROM STDIN (DELIMITER '|', NULL 'nil')", b"1|ann|x\n2|nil|nil\n3|a\\|b|\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN WITH DELIMITER AS ',' NULL AS ''", b"1,ann\n2,\n"),
    ("COPY {t} (user_id, email) FROM STDIN", b"1\tann\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN WITH (HEADER)", b"who\tever\n1\tann\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN WITH (HEADER MATCH)", b"user_id\t{n}\n1\tann\n"),
    ("COPY {t} FROM STDIN WITH (HEADER MATCH)", b"user_id\tnickname\temail\tborn\n1\tann\t\\N\t\\N\n"),
    ("COPY {t} FROM STDIN WITH (FORMAT csv, HEADER MATCH)", b"user_id,\"nickname\",email,born\n1,ann,,\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN WITH (FORMAT csv)", b"1,\"a,\"\"b\"\"\nc\"\n2,\n3,\"\"\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN CSV HEADER QUOTE '''' ESCAPE '\\'", b"\'a\nb\',c\n1,\'it\\\'s, so\'\n2,\\\n"),
    ("COPY {t} ({n}, user_id) FROM STDIN (FORMAT csv)", b"\\.,1\n\"\\.\",2\nb,3\n\\.\nc,4\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NOT_NULL ({n}))", b"1,nil\n2,\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NULL (user_id, {n}))", b"1,\"nil\"\n2,nil\n"),
    ("COPY {t} (user_id, {n}, email) FROM STDIN CSV NULL 'nil' FORCE NOT NULL {n}, email", b"1,nil,nil\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN WHERE {n} <> 'bob' AND user_id > 0", b"1\tann\n2\tbob\n-3\tc\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN (ENCODING 'LATIN1')", b"1\t\xe9\xe8\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN (ENCODING 'SJIS')", b"1\t\x95\x5c\n2\t\x83\x5c\x83\x7c\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN (ENCODING 'GB18030', FORMAT csv)", b"1,\"\x81\x5c\"\n2,\x81\x30\x81\x30\n"),
    ("COPY {t} FROM STDIN (FORMAT binary)", tuples((int4(1), b"ann", None, None), (int4(2), None, b"", int4(7)))),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT binary)", tuples((int4(1), b"ann"), (int4(2), b"x" * 40))),
    ("COPY BINARY {t} ({n}, user_id) FROM STDIN", tuples((b"ann", int4(1)))),
    # What is wrong is as wrong as ever, and on the same line.
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\n2\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\n2\tbob\tc\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\n2\tbob\tbob\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\n\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\nx\tbob\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\r\n2\tbob\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\n1\tbob\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\tann\n2\t\xff\xff\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN", b"1\t" + b"x" * 41 + b"\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN CSV", b"1,ann\n2,\"bob\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN (HEADER MATCH)", b"user_id\tother\n1\tann\n"),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT binary)", tuples((int4(1),))),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT binary)", tuples((int4(1), b"ann", b"ann"))),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT binary)", tuples((int4(1), b"ann"))[:-9]),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT binary)", b"not at all"),
    ("COPY {t} (user_id, {n}, nothing) FROM STDIN", b""),
    ("COPY {t} (user_id, {n}) FROM STDIN (DELIMITER 'ab')", b""),
    ("COPY {t} (user_id, {n}) FROM STDIN (FORMAT csv, FORCE_NULL (born))", b""),
]


class Pair:
    """The mapped table through segue, and its twin, directly."""

    def __init__(self, segue, database, direct):
        self.segue, self.database, self.direct = segue, database, direct
        cur = direct.cursor()
        cur.execute(TABLE.format("users") + TABLE.format("twin"))
        segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")

    def rows(self, phase):
        cur = self.direct.cursor()
        column = "username" if phase == "new_only" else "nickname"
        cur.execute(f"SELECT user_id, {column}, email, born FROM users ORDER BY user_id")
        got = cur.fetchall()
        cur.execute("SELECT user_id, nickname, email, born FROM twin ORDER BY user_id")
        wanted = cur.fetchall()
        if phase in ("dual_write", "read_new"):
            cur.execute("SELECT count(*) FROM users WHERE nickname IS DISTINCT FROM username")
            assert cur.fetchone() == (0,)
        cur.execute("TRUNCATE users; TRUNCATE twin")
        return got, wanted


@pytest.fixture
def pair(segue, database, direct):
    return Pair(segue, database, direct)


def copy(conn, sql, data, size=8192):
    """How it ends: the count of rows, or SQLSTATE and the line that is to blame."""
    cur = conn.cursor()
    try:
        cur.copy_expert(sql, io.BytesIO(data), size)
        return cur.rowcount
    except psycopg2.Error as error:
        line = re.search(r"line (\d+)", error.diag.context or "")
        return error.pgcode, line and line.group(1)


def filled(case, table, name):
    sql, data = case
    return sql.format(t=table, n=name), data.replace(b"{n}", name.encode())


def test_every_case_in_every_phase(pair):
    through, direct = pair.segue.connect(pair.database), pair.direct
    for phase in pair.segue.console.window("m"):
        for case in CASES:
            for name in ("nickname", "username"):
                for size in (8192, 1):
                    sql, data = filled(case, "users", name)
                    got = copy(through, sql, data, size)
                    wanted = copy(direct, *filled(case, "twin", "nickname"))
                    assert got == wanted, (phase, sql, size)
                    got, wanted = pair.rows(phase)
                    assert got == wanted, (phase, sql, size)
    through.close()


def test_both_names_in_one_list(pair):
    """An application that writes both already. In the phases with one column the second of the two is dropped."""
    through = pair.segue.connect(pair.database)
    twice = "COPY users (user_id, nickname, username) FROM STDIN"
    for phase in pair.segue.console.window("m"):
        assert copy(through, twice, b"1\tann\tann\n2\t\\N\t\\N\n") == 2
        assert copy(through, "COPY users (username, user_id, nickname) FROM STDIN CSV", b"bob,3,bob\n") == 1
        assert copy(through, f"{twice} BINARY", tuples((int4(4), b"cat", b"cat"))) == 1
        copy(pair.direct, "COPY twin (user_id, nickname) FROM STDIN", b"1\tann\n2\t\\N\n3\tbob\n4\tcat\n")
        got, wanted = pair.rows(phase)
        assert got == wanted, phase
        # Too short for the client's list, though not for the server's.
        assert copy(through, twice, b"1\tann\n") == ("22P04", "1"), phase
        assert pair.rows(phase) == ([], [])
    through.close()


def answers(wire):
    return [(kind, error_fields(body)["C"] if kind == b"E" else body) for kind, body in wire.until_ready()
            if kind not in (b"N", b"S")]


IN_RESPONSE = {"text": b"\0\0\2\0\0\0\0", "binary": b"\1\0\2\0\1\0\1"}


def test_messages_cut_anywhere(pair):
    """CopyData messages need not end where rows do; the client is told of the columns that it named."""
    data = {"text": b"1\ta\\\\b\r\n2\t\\N\r\n\\.\r\n", "csv": b"1,\"a\"\"\n,\"\n2,\n",
            "binary": tuples((int4(1), b"ann"), (int4(2), None))}
    sql = "COPY {} (user_id, nickname) FROM STDIN (FORMAT {})"
    wire = Wire(pair.segue.port, pair.database)
    for phase in pair.segue.console.window("m"):
        for form, whole in data.items():
            for cut in range(len(whole) + 1):
                wire.send(message(b"Q", sql.format("users", form).encode() + b"\0"))
                assert wire.receive() == (b"G", IN_RESPONSE["binary" if form == "binary" else "text"])
                wire.send(message(b"d", whole[:cut]), message(b"H"), message(b"d"), message(b"d", whole[cut:]),
                          message(b"c"))
                assert answers(wire)[0] == (b"C", b"COPY 2\0"), (phase, form, cut)
                copy(pair.direct, sql.format("twin", form), whole)
                got, wanted = pair.rows(phase)
                assert got == wanted, (phase, form, cut)
    wire.close()


def test_the_dialogue_around_the_data(pair):
    wire = Wire(pair.segue.port, pair.database)
    sql = b"COPY users (user_id, nickname) FROM STDIN\0"
    row = message(b"d", b"1\tann\n")
    for phase in pair.segue.console.window("m"):
        # CopyFail, and after it a session that works.
        wire.send(message(b"Q", sql), row, message(b"f", b"no more\0"))
        assert [a for a in answers(wire) if a[0] == b"E"] == [(b"E", "57014")]
        # Data before the server has asked for them; a second statement behind.
        wire.send(message(b"Q", sql), row, message(b"c"), message(b"Q", b"SELECT 1\0"))
        assert answers(wire)[1:] == [(b"C", b"COPY 1\0"), (b"Z", b"I")]
        assert [kind for kind, _ in answers(wire)] == [b"T", b"D", b"C", b"Z"]
        # An error in the middle, while the client goes on. Which of the two it is depends on triggers: with the guard
        # of the migration rows are inserted one by one.
        wire.send(message(b"Q", sql), row, message(b"d", b"x\ty\n" * 100000), row, message(b"c"))
        assert answers(wire)[-2:] in [[(b"E", code), (b"Z", b"I")] for code in ("22P02", "23505")]
        # A COPY that the server refuses: what the client sends is for nobody.
        wire.send(message(b"Q", b"COPY users (user_id, nickname, none) FROM STDIN\0"), row, message(b"c"),
                  message(b"Q", b"SELECT 1\0"))
        assert answers(wire)[0] == (b"E", "42703")
        assert [kind for kind, _ in answers(wire)] == [b"T", b"D", b"C", b"Z"]
        # With other statements in one message, and in a transaction that fails.
        wire.send(message(b"Q", b"BEGIN; DELETE FROM users; " + sql), row, message(b"c"))
        assert answers(wire)[-2:] == [(b"C", b"COPY 1\0"), (b"Z", b"T")]
        wire.send(message(b"Q", sql), row, row, message(b"c"))
        assert answers(wire)[-2:] == [(b"E", "23505"), (b"Z", b"E")]
        assert wire.query("ROLLBACK").tags == ["ROLLBACK"]
        pair.direct.cursor().execute("INSERT INTO twin VALUES (1, 'ann')")
        got, wanted = pair.rows(phase)
        assert got == wanted, phase
    wire.close()


def test_extended_protocol(pair):
    wire = Wire(pair.segue.port, pair.database)
    sql, other = "COPY users (user_id, username) FROM STDIN", "COPY twin (user_id, nickname) FROM STDIN"
    wire.prepare("mine", sql)
    wire.prepare("plain", other)
    row = message(b"d", b"1\tann\n")
    data = (row[:-1] + b"\n", message(b"c"))
    done = [(b"2", b""), (b"G", IN_RESPONSE["text"]), (b"C", b"COPY 1\0"), (b"Z", b"I")]
    for phase in pair.segue.console.window("m"):
        # A named statement from before the window; one portal name for two statements.
        for statement in ("mine", "plain"):
            wire.send(wire.bind(statement, portal="p"), wire.execute("p"), *data, wire.sync())
            assert answers(wire) == done, (phase, statement)
        got, wanted = pair.rows(phase)
        assert got == wanted, phase
        # As drivers do it: wait for CopyInResponse, with a Sync before the data.
        wire.send(wire.parse("", sql), wire.bind(""), wire.execute(), wire.sync())
        assert [wire.receive()[0] for _ in range(3)] == [b"1", b"2", b"G"]
        wire.send(*data, wire.sync())
        assert answers(wire) == [(b"C", b"COPY 1\0"), (b"Z", b"I")]
        # Errors: of the data, and of the client's will; what was sent behind is skipped up to the Sync.
        for end, code in ((message(b"c"), "22P02"), (message(b"f", b"no more\0"), "57014")):
            bad = b"x\tann\n" if code == "22P02" else b"2\tbob\n"
            wire.send(wire.parse("", sql), wire.bind(""), wire.execute(), message(b"d", bad), end, wire.sync(),
                      wire.bind("mine"), wire.execute(), *data, wire.sync())
            assert answers(wire)[-2:] == [(b"E", code), (b"Z", b"I")], (phase, code)
            assert [a for a in answers(wire) if a[0] == b"E"] == [(b"E", "23505")], (phase, code)
        # And two portals in one transaction, executed in the other order.
        assert wire.query("BEGIN; DELETE FROM users").tags[-1].startswith("DELETE")
        wire.send(wire.bind("plain", portal="a"), wire.bind("mine", portal="b"), wire.execute("b"), *data,
                  wire.execute("a"), *data, wire.sync())
        assert [a for a in answers(wire) if a[0] == b"C"] == [(b"C", b"COPY 1\0")] * 2
        assert wire.query("COMMIT").tags == ["COMMIT"]
        got, wanted = pair.rows(phase)
        assert got == wanted, phase
    wire.close()


def test_a_client_that_goes_away(pair):
    """In the middle of a message: nothing of what it sent stays, and its server session ends."""
    pair.segue.console.start("m")
    wire = Wire(pair.segue.port, pair.database, application_name="goes away")
    wire.send(message(b"Q", b"COPY users (user_id, nickname) FROM STDIN\0"), message(b"d", b"1\tann\n" * 2),
              message(b"d", b"2\tbob\n" * 1000)[:-3])
    assert wire.receive()[0] == b"G"
    wire.socket.close()
    cur = pair.direct.cursor()
    deadline = time.monotonic() + PATIENCE_S
    there = (1,)
    while there != (0,) and time.monotonic() < deadline:
        cur.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'goes away'")
        there = cur.fetchone()
    assert there == (0,)
    assert pair.rows("dual_write") == ([], [])


def test_psql(pair, tmp_path):
    file = tmp_path / "users.csv"
    file.write_text("user_id,nickname\n1,ann\n2,\"b,\n\"\"c\"\"\"\n", encoding="ascii")
    command = r"\copy {} (user_id, nickname) FROM '{}' WITH (FORMAT csv, HEADER)"
    for phase in pair.segue.console.window("m"):
        psql(pair.segue.conninfo(pair.database), "-c", command.format("users", file))
        psql(pair.segue.conninfo(pair.database), "-c", command.format("twin", file))
        got, wanted = pair.rows(phase)
        assert got == wanted and len(got) == 2, phase


def test_what_is_refused_and_what_is_read_in_its_encoding(pair):
    conn = pair.segue.connect(pair.database)
    pair.segue.console.start("m")
    for sql in ("COPY users FROM '/dev/null' (HEADER MATCH)", "COPY users FROM PROGRAM 'true' (HEADER MATCH)"):
        with pytest.raises(psycopg2.errors.FeatureNotSupported) as caught:
            conn.cursor().execute(sql)
        assert caught.value.diag.message_hint
    conn.set_client_encoding("SJIS")
    assert copy(conn, "COPY users (user_id, nickname) FROM STDIN", b"1\t\x95\x5c\n") == 1
    assert copy(conn, "COPY users (user_id, nickname) FROM STDIN (ENCODING 'BIG5')", b"2\t\xa5\x5c\n") == 1
    assert pair.rows("dual_write")[0] == [(1, "表", "none", None), (2, "功", "none", None)]
    conn.close()


class Rows:
    """A file of about so many bytes."""

    def __init__(self, size, delimiter=b"\t", twice=False):
        self.left, self.n, self.buffer = size, 0, b""
        fields = [b"%(n)d", b"user number %(n)d", b"x" * 60, b"2001-02-03"] + [b"user number %(n)d"] * twice
        self.row = delimiter.join(fields) + b"\n"
        self.counted = delimiter.join(fields[:4]) + b"\n"

    def read(self, size):
        while len(self.buffer) < size and self.left > 0:
            numbers = [{b"n": n} for n in range(self.n, self.n + 1000)]
            self.n += 1000
            self.left -= sum(len(self.counted % n) for n in numbers)  # so that there are as many rows either way
            self.buffer += b"".join(self.row % n for n in numbers)
        got, self.buffer = self.buffer[:size], self.buffer[size:]
        return got


def peak_kb(segue):
    status = Path(f"/proc/{segue.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))


def timed(conn, statement, **options):
    begun = time.monotonic()
    conn.cursor().copy_expert(statement, Rows(BIG_MB << 20, **options), 65536)
    return time.monotonic() - begun


def test_long_streams_take_no_memory(pair):
    """The speed is printed beside that of a client which sends both columns itself: to the server it is the same work,
    and segue lets its data pass."""
    cur = pair.direct.cursor()
    pair.segue.console.start("m")
    conn = pair.segue.connect(pair.database)
    conn.cursor().copy_expert("COPY users FROM STDIN", Rows(1 << 20), 65536)
    cur.execute("TRUNCATE users")
    before = peak_kb(pair.segue)
    for form, options in (("text", {}), ("csv", {"delimiter": b","})):
        rewritten_s = timed(conn, f"COPY users FROM STDIN (FORMAT {form})", **options)
        cur.execute("SELECT count(*), count(*) FILTER (WHERE nickname = username) FROM users")
        count, both = cur.fetchone()
        cur.execute("TRUNCATE users")
        plain_s = timed(conn, f"COPY users (user_id, nickname, email, born, username) FROM STDIN (FORMAT {form})",
                        twice=True, **options)
        cur.execute("SELECT count(*) FROM users")
        assert (count, both) == (cur.fetchone()[0], count)
        cur.execute("TRUNCATE users")
        print(f"\nCOPY of {BIG_MB} MB of {form}: {BIG_MB / rewritten_s:.0f} MB/s, "
              f"{100 * plain_s / rewritten_s:.0f} % of that of a client which sends both columns")
    grown_kb = peak_kb(pair.segue) - before
    print(f"segue grew by {grown_kb} kB")
    assert grown_kb < 16 << 10
    conn.close()


def test_one_long_value(pair):
    """Memory is bounded by the value that is repeated."""
    pair.direct.cursor().execute("ALTER TABLE users ALTER nickname TYPE text; ALTER TABLE twin ALTER nickname TYPE text")
    pair.segue.console.start("m")
    conn = pair.segue.connect(pair.database)
    value = b"long " * (1 << 20)
    assert copy(conn, "COPY users (nickname, user_id) FROM STDIN", value + b"\t1\n", 65536) == 1
    assert copy(conn, "COPY users (user_id, username) FROM STDIN BINARY", tuples((int4(2), value)), 65536) == 1
    cur = pair.direct.cursor()
    cur.execute("SELECT count(*) FROM users WHERE nickname = username AND nickname = %s", (value.decode(),))
    assert cur.fetchone() == (2,)
    conn.close()
