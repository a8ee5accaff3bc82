"""PREPARE, EXECUTE and DEALLOCATE in SQL, however they are sent: what was prepared in one phase is right in every later one,
and says what it always said."""

import pytest

from wire import Answer, Wire, message

USERS = """
CREATE TABLE users (user_id serial PRIMARY KEY, nickname varchar(100), score int DEFAULT 1);
INSERT INTO users (nickname) SELECT 'user' || g FROM generate_series(1, 20) g;
CREATE TYPE mood AS ENUM ('fine', 'bad');
"""

# How a text may look that prepares; {} is the name.
PREPARED = {
    "plain": "PREPARE {} AS UPDATE users SET nickname = $2 WHERE user_id = $1",
    "commented": "/* app:7 */ PREPARE /**/ {} -- here\n AS UPDATE users SET username = $2 WHERE user_id = $1 -- there",
    "typed": "PREPARE {} (int, varchar(3)) AS UPDATE users SET nickname = $2 WHERE user_id = $1",
    "among": "SELECT 1; PREPARE {} AS UPDATE users SET username = $2 WHERE user_id = $1; SELECT 2",
    "quoted": 'prepare "{} Q"(int) as UPDATE users SET nickname = $2 WHERE user_id = $1;',
}


def name_of(key):
    return f'"{key} Q"' if key == "quoted" else key


def window(segue, direct):
    direct.cursor().execute(USERS)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    return segue.console.window("m")


def check(direct, phase, user_id, value):
    cur = direct.cursor()
    columns = {"planned": ["nickname"], "new_only": ["username"]}.get(phase, ["nickname", "username"])
    for column in columns:
        cur.execute(f"SELECT {column} FROM users WHERE user_id = %s", (user_id,))
        assert cur.fetchone() == (value,), (phase, column)


def extended(wire, sql):
    """One statement through Parse, Bind, Describe, Execute."""
    wire.send(wire.parse("", sql), wire.bind(""), message(b"D", b"P\0"), wire.execute(), wire.sync())
    return Answer(wire.until_ready())


def simple(wire, sql):
    return wire.query(sql)


@pytest.mark.parametrize("send", [simple, extended])
def test_prepared_once_and_executed_in_every_phase(database, segue, direct, send):
    wire = None
    for phase in window(segue, direct):
        if wire is None:
            wire = Wire(segue.port, database)
            for key, sql in PREPARED.items():
                if send is simple or key != "among":
                    send(wire, sql.format(key)).raise_error()
            send(wire, "PREPARE star AS SELECT * FROM users WHERE user_id = $1").raise_error()
            wire.prepare("through", "UPDATE users SET nickname = $2 WHERE user_id = $1")
        for user_id, key in enumerate([*PREPARED, "through"], start=1):
            if send is extended and key == "among":
                continue
            value = f"{phase}-{key}"
            answer = send(wire, f"EXECUTE {name_of(key)} ({user_id}, '{value}')").raise_error()
            assert answer.tags == ["UPDATE 1"]
            check(direct, phase, user_id, value)
            assert send(wire, f"EXECUTE star({user_id})").raise_error().rows == [(str(user_id), value, "1", value)]
            # And through the protocol, what SQL has prepared.
            value = f"{phase}-{key}-bound"
            name = name_of(key).strip('"')
            assert wire.run(name, str(user_id), value).tags == ["UPDATE 1"]
            check(direct, phase, user_id, value)
        wire.send(wire.describe("star"), wire.sync())
        assert Answer(wire.until_ready()).labels == ["user_id", "nickname", "score", "username"]
        seen = wire.query("SELECT name, from_sql, parameter_types FROM pg_prepared_statements ORDER BY name").rows
        assert ("typed", "t", '{integer,"character varying"}') in seen
        assert {name for name, from_sql, _ in seen if from_sql == "f"} <= {"through", ""}
        assert not any(name.startswith("segue") for name, *_ in seen)
    wire.close()


def test_explain_and_create_table_as(database, segue, direct):
    wire = None
    for phase in window(segue, direct):
        if wire is None:
            wire = Wire(segue.port, database)
            wire.query("PREPARE q (int) AS SELECT user_id, username FROM users WHERE user_id = $1").raise_error()
            wire.query("PREPARE w AS UPDATE users SET nickname = $2 WHERE user_id = $1").raise_error()
        assert wire.query(f"CREATE TEMP TABLE x_{phase} AS EXECUTE q(3)").raise_error().tags == ["SELECT 1"]
        assert wire.query(f"SELECT * FROM x_{phase}").raise_error().rows[0][0] == "3"
        wire.query(f"/* . */ EXPLAIN (ANALYZE, COSTS OFF) EXECUTE w(4, 'e-{phase}')").raise_error()
        check(direct, phase, 4, f"e-{phase}")
        extended(wire, f"EXPLAIN ANALYZE VERBOSE EXECUTE w(4, 'f-{phase}')").raise_error()
        check(direct, phase, 4, f"f-{phase}")
    wire.close()


def test_names_that_exist_and_names_that_do_not(database, segue, direct):
    wire = None
    for phase in window(segue, direct):
        if wire is None:
            wire = Wire(segue.port, database)
            wire.query("PREPARE p AS UPDATE users SET nickname = $1 WHERE user_id = 5").raise_error()
        # The name is taken: what it stands for stays, also when the new one was among other statements.
        assert wire.query("PREPARE p AS SELECT username FROM users").error.sqlstate == "42P05"
        assert wire.query("SELECT 1; PREPARE p AS SELECT username FROM users; SELECT 2").error.sqlstate == "42P05"
        assert extended(wire, "PREPARE p AS SELECT username FROM users").error.sqlstate == "42P05"
        wire.query(f"EXECUTE p('a-{phase}')").raise_error()
        check(direct, phase, 5, f"a-{phase}")
        assert wire.query("EXECUTE nobody(1)").error.sqlstate == "26000"
        # Prepared statements do not roll back.
        wire.query("BEGIN; PREPARE t AS UPDATE users SET username = $1 WHERE user_id = 6; ROLLBACK").raise_error()
        wire.query(f"EXECUTE t('b-{phase}')").raise_error()
        check(direct, phase, 6, f"b-{phase}")
        wire.query("BEGIN; DEALLOCATE t; ROLLBACK").raise_error()
        assert wire.query("EXECUTE t('c')").error.sqlstate == "26000"
        # What came before the error has happened, what came behind it has not.
        assert wire.query("PREPARE u AS SELECT nickname FROM users WHERE user_id = 6; SELECT 1/0; DEALLOCATE p") \
            .error.sqlstate == "22012"
        assert wire.query("EXECUTE u").raise_error().rows == [(f"b-{phase}",)]
        wire.query("DEALLOCATE u; PREPARE u AS SELECT username FROM users WHERE user_id = 6; EXECUTE u; DEALLOCATE u").raise_error()
        wire.query(f"EXECUTE p('d-{phase}')").raise_error()
        check(direct, phase, 5, f"d-{phase}")
    wire.close()


def test_ended_all_at_once(database, segue, direct):
    """Also in the middle of a pipeline: what comes behind it must not be prepared again."""
    keep = Wire(segue.port, database)
    endings = ["DEALLOCATE ALL", "/* */ DEALLOCATE PREPARE ALL", "DISCARD ALL"]
    old = {}
    for phase in window(segue, direct):
        for number, ending in enumerate(endings):
            for key, wire in list(old.items()):
                if key[0] != number or not wire:
                    continue
                old[key] = None
                if key[1] == "simple":
                    wire.send(message(b"Q", ending.encode() + b"\0"), wire.bind("p", ("x",)), wire.execute(), wire.sync())
                    kinds = b"".join(k for k, _ in wire.until_ready() + wire.until_ready() if k != b"S")
                    assert kinds == b"CZEZ"
                else:
                    wire.send(wire.parse("", ending), wire.bind(""), wire.execute(), wire.bind("p", ("x",)), wire.execute(),
                              wire.bind("q", ("x",)), wire.sync())
                    kinds = b"".join(k for k, _ in wire.until_ready() if k != b"S")
                    assert kinds == b"12CEZ"
                assert wire.query("EXECUTE q('x')").error.sqlstate == "26000"
                assert wire.query("SELECT count(*) FROM pg_prepared_statements").rows == [("0",)]
                wire.close()
            for how in ("simple", "extended"):
                wire = Wire(segue.port, database)
                wire.prepare("p", "UPDATE users SET nickname = $1 WHERE user_id = 7")
                wire.query("PREPARE q AS UPDATE users SET nickname = $1 WHERE user_id = 7").raise_error()
                old[number, how, phase] = wire
    for wire in old.values():
        if wire:
            wire.close()
    keep.close()


def test_in_transactions_that_failed(database, segue, direct):
    wire = None
    for phase in window(segue, direct):
        if wire is None:
            wire = Wire(segue.port, database)
            wire.query("PREPARE p (int, text) AS UPDATE users SET nickname = $2 WHERE user_id = $1").raise_error()
        else:
            wire.query("BEGIN").raise_error()
            assert wire.query("SELECT 1/0").status == "E"
            assert wire.query("EXECUTE p(8, 'x')").error.sqlstate == "25P02"
            assert extended(wire, "EXECUTE p(8, 'x')").error.sqlstate == "25P02"
            answer = wire.query("ROLLBACK; EXECUTE p(8, 'x')")
            if phase == "read_new":  # it is the same statement as in dual_write
                check(direct, phase, 8, "x")
            else:
                assert (answer.error.sqlstate, answer.status) == ("25P02", "E")
                assert "ROLLBACK by itself" in answer.error.fields["H"]
            wire.query("ROLLBACK").raise_error()
        # The failing Query and the next are sent together: whether the transaction fails is not known yet.
        wire.send(message(b"Q", b"BEGIN\0"), message(b"Q", b"SELECT 1/0\0"), message(b"Q", b"EXECUTE p(8, 'x')\0"),
                  message(b"Q", b"ROLLBACK\0"), message(b"Q", f"EXECUTE p(8, 'y-{phase}')\0".encode()))
        answers = [Answer(wire.until_ready()) for _ in range(5)]
        assert [a.error and a.error.sqlstate for a in answers] == [None, "22012", "25P02", None, None]
        check(direct, phase, 8, f"y-{phase}")
        wire.query("BEGIN").raise_error()
        wire.query(f"SAVEPOINT a; EXECUTE p(8, 'z-{phase}')").raise_error()
        assert wire.query("SELECT 1/0").status == "E"
        wire.query("ROLLBACK TO a").raise_error()
        wire.query(f"EXECUTE p(9, 'z-{phase}'); COMMIT").raise_error()
        check(direct, phase, 8, f"y-{phase}")
        check(direct, phase, 9, f"z-{phase}")
    wire.close()


def test_a_renewal_that_fails_says_why(database, segue, direct):
    """The table has gone: EXECUTE must say so, and not that the statement does not exist."""
    direct.cursor().execute(USERS)
    wire = Wire(segue.port, database)
    for name in ("p", "q", "r"):
        wire.query(f"PREPARE {name} (mood) AS INSERT INTO users (nickname) VALUES ($1::text)").raise_error()
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    direct.cursor().execute("ALTER TYPE mood RENAME TO temper")
    assert wire.query("EXECUTE p('fine')").error.sqlstate == "42704"
    assert wire.query("EXECUTE p('fine')").error.sqlstate == "42704"
    wire.query("BEGIN").raise_error()
    answer = wire.query("SELECT 1; EXECUTE q('fine'); EXECUTE p('fine')")
    assert (answer.error.sqlstate, answer.status) == ("42704", "E")
    wire.query("ROLLBACK").raise_error()
    assert wire.query("SELECT nope; EXECUTE q('fine')").error.sqlstate == "42703"
    assert extended(wire, "EXECUTE r('fine')").error.sqlstate == "42704"
    direct.cursor().execute("ALTER TYPE temper RENAME TO mood")
    for name in ("p", "q", "r"):
        wire.query(f"EXECUTE {name}('fine')").raise_error()
    cur = direct.cursor()
    cur.execute("SELECT count(*), count(*) FILTER (WHERE nickname = username) FROM users WHERE nickname = 'fine'")
    assert cur.fetchone() == (3, 3)
    wire.close()


def test_deeper_in_pipelines(database, segue, direct):
    """EXECUTE through statements prepared long ago, several in one batch, with errors before and behind."""
    wire = None
    for phase in window(segue, direct):
        if wire is None:
            wire = Wire(segue.port, database)
            wire.query("PREPARE p AS UPDATE users SET nickname = $2 WHERE user_id = $1").raise_error()
            wire.query("PREPARE q AS SELECT username FROM users WHERE user_id = $1").raise_error()
            wire.prepare("run_p", "EXECUTE p(11, 'by text')")
            wire.prepare("run_q", "EXECUTE q(12)")
            wire.prepare("make", "PREPARE made AS SELECT nickname FROM users WHERE user_id = 12")
            wire.prepare("end", "DEALLOCATE made")
        direct.cursor().execute("UPDATE users SET %s = 'before' WHERE user_id = 11"
                                % ("username" if phase == "new_only" else "nickname"))
        wire.send(wire.bind("run_p"), wire.execute(), wire.bind("run_q"), wire.execute(),
                  wire.bind("make"), wire.execute(), wire.bind("made"), wire.execute(), wire.bind("end", portal="x"),
                  wire.execute("x"), wire.bind("run_q"), message(b"H"), wire.execute(),
                  wire.bind("made"), wire.execute(), wire.bind("make"), wire.execute(), wire.sync())
        assert b"".join(k for k, _ in wire.until_ready()) == b"2C2DC2C2DC2C2DCEZ"
        check(direct, phase, 11, "before")  # all of it was rolled back
        assert wire.run("run_p").tags == ["UPDATE 1"]
        check(direct, phase, 11, "by text")
        wire.send(wire.parse("", "SELECT 1/0"), wire.bind(""), wire.execute(), wire.bind("run_p"), wire.execute(), wire.sync(),
                  wire.bind("run_q"), wire.execute(), wire.sync())
        assert b"".join(k for k, _ in wire.until_ready()) == b"1EZ"
        assert b"".join(k for k, _ in wire.until_ready()) == b"2DCZ"
    wire.close()


def test_a_text_too_long_to_be_read(database, segue, direct):
    """Before anything is mapped: what it prepared is not known, and so it is not executed in the window."""
    direct.cursor().execute(USERS)
    wire = Wire(segue.port, database)
    padding = "-" * (2 << 20)
    wire.query(f"PREPARE p AS UPDATE users SET nickname = $1 WHERE user_id = 1; --{padding}").raise_error()
    wire.query("EXECUTE p('one')").raise_error()
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    assert wire.query("EXECUTE p('two')").error.sqlstate == "0A000"
    assert extended(wire, "EXECUTE p('two')").error.sqlstate == "0A000"
    wire.query("DEALLOCATE p; PREPARE p AS UPDATE users SET nickname = $1 WHERE user_id = 1").raise_error()
    wire.query("EXECUTE p('three')").raise_error()
    check(direct, "dual_write", 1, "three")
    wire.close()
