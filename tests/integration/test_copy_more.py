"""COPY beyond one stream: several in one message, and files that the server reads."""

import psycopg2
import pytest

from wire import Answer, Wire, error_fields, message

TABLES = """
CREATE TABLE users (user_id int PRIMARY KEY, nickname varchar(10) {0}, email text DEFAULT 'none');
CREATE TABLE plain (id int, word text);
"""
DONE, FAIL = message(b"c"), message(b"f", b"given up\0")


def data(text):
    return message(b"d", text)


def query(sql):
    return message(b"Q", sql.encode() + b"\0")


def window(segue, direct, options="", default=""):
    direct.cursor().execute(TABLES.format(default))
    segue.console.run(f"CREATE MIGRATION m ON users RENAME COLUMN nickname TO username {options}")
    return segue.console.window("m")


def contents(direct, phase, order="user_id"):
    cur = direct.cursor()
    columns = {"planned": ["nickname"], "new_only": ["username"]}.get(phase, ["nickname", "username"])
    readings = []
    for column in columns:
        cur.execute(f"SELECT user_id, {column}, email FROM users ORDER BY {order}")
        readings.append(cur.fetchall())
    assert all(reading == readings[0] for reading in readings)
    cur.execute("SELECT id, word FROM plain ORDER BY 1")
    words = cur.fetchall()
    cur.execute("TRUNCATE users; TRUNCATE plain")
    return readings[0], words


SEVERAL = ("COPY plain FROM STDIN; COPY users (user_id, nickname) FROM STDIN; SELECT 7; COPY users (username, user_id)"
           " FROM STDIN (FORMAT csv); COPY plain (id) FROM STDIN; COPY users FROM STDIN")
STREAMS = [b"1\tone\n", b"1\tann\n2\t\\N\n", b"\"b,b\",3\n", b"2\n", b"4\tdan\td@x\n"]


def test_several_in_one_message(database, segue, direct):
    wire = Wire(segue.port, database)
    wanted = ([(1, "ann", "none"), (2, None, "none"), (3, "b,b", "none"), (4, "dan", "d@x")], [(1, "one"), (2, None)])
    for phase in window(segue, direct):
        # One after the other, as libpq would do it; all of it at once; and byte by byte.
        wire.send(query(SEVERAL))
        for stream, columns in zip(STREAMS, (2, 2, 2, 1, 3)):
            while True:
                kind, body = wire.receive()
                if kind == b"G":
                    break
            assert body[2] == columns
            wire.send(data(stream), DONE)
        answer = Answer(wire.until_ready()).raise_error()
        assert answer.tags == ["COPY 1"] and contents(direct, phase) == wanted
        whole = query(SEVERAL) + b"".join(data(stream) + DONE for stream in STREAMS)
        for pieces in ([whole], [whole[i:i + 1] for i in range(len(whole))]):
            for piece in pieces:
                wire.send(piece)
            answer = Answer(wire.until_ready()).raise_error()
            assert answer.tags == ["COPY 1", "COPY 2", "SELECT 1", "COPY 1", "COPY 1", "COPY 1"]
            assert contents(direct, phase) == wanted
    wire.close()


def test_one_of_several_fails(database, segue, direct):
    wire = Wire(segue.port, database)
    for phase in window(segue, direct):
        for streams in ([data(b"1\tone\n") + DONE, data(b"1\tann\n1\tagain\n") + DONE],
                        [data(b"1\tone\n") + DONE, data(b"1\tann\n") + FAIL],
                        [data(b"1\tone\tmore\n") + DONE]):
            wire.send(query("COPY plain FROM STDIN; COPY users (user_id, username) FROM STDIN; COPY users FROM STDIN"), *streams)
            assert Answer(wire.until_ready()).error.sqlstate in ("23505", "57014", "22P04")
            assert wire.query("SELECT count(*) FROM users").rows == [("0",)]
        wire.send(query("COPY users (user_id, nickname) FROM STDIN"), data(b"8\tworks\n"), DONE)
        Answer(wire.until_ready()).raise_error()
        assert contents(direct, phase) == ([(8, "works", "none")], [])
    wire.close()


@pytest.mark.parametrize("default", ["", "DEFAULT 'dflt'", "DEFAULT 'v' || (random() * 1000)::int"])
def test_a_file_that_the_server_reads(cluster, database, segue, direct, default):
    # Beside the server's data: pytest's own directories are closed to others whenever some pytest starts.
    path = cluster.dir / "rows.csv"
    path.write_text("1,ann\n2,\n3,dflt\n4,\"\"\n", encoding="utf-8")
    path.chmod(0o644)
    conn = segue.connect(database)
    wanted = [(1, "ann", "none"), (2, None, "none"), (3, "dflt", "none"), (4, "", "none")]
    for phase in window(segue, direct, default=default):
        for name in ("nickname", "username"):
            conn.cursor().execute(f"COPY users (user_id, {name}) FROM '{path}' (FORMAT csv)")
            assert contents(direct, phase)[0] == wanted, (phase, name)
            conn.cursor().execute(f"COPY users (user_id, {name}) FROM PROGRAM 'cat {path}' (FORMAT csv, FORCE_NULL ({name}))")
            assert contents(direct, phase)[0] == wanted[:3] + [(4, None, "none")], (phase, name)
            conn.cursor().execute(f"COPY users (user_id, {name}) FROM '{path}' (FORMAT csv) WHERE {name} = 'ann'")
            assert contents(direct, phase)[0] == wanted[:1], (phase, name)
        path.write_text("1,ann,a\n", encoding="utf-8")
        conn.cursor().execute(f"COPY users FROM '{path}' (FORMAT csv)")
        assert contents(direct, phase)[0] == [(1, "ann", "a")]
        path.write_text("1,ann\n2,\n3,dflt\n4,\"\"\n", encoding="utf-8")
    conn.close()


def test_a_file_without_the_guard(database, segue, direct):
    conn = segue.connect(database)
    for phase in window(segue, direct, "WITH (guard = off)"):
        if phase in ("dual_write", "read_new"):
            with pytest.raises(psycopg2.errors.FeatureNotSupported, match="guard is off") as caught:
                conn.cursor().execute("COPY users (user_id, nickname) FROM PROGRAM 'echo 1'")
            assert caught.value.diag.message_hint
        else:
            conn.cursor().execute("COPY users (user_id, username) FROM PROGRAM 'printf \"1\\tann\\n\"'")
            assert contents(direct, phase)[0] == [(1, "ann", "none")]
        conn.cursor().execute("COPY users (user_id, email) FROM PROGRAM 'printf \"1\\tx\\n\"'")
        assert contents(direct, phase)[0] == [(1, None, "x")]
    conn.close()
