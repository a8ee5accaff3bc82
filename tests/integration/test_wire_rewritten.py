"""An old application's conversation, byte for byte: with a server that never heard of the new name, and through segue in
each phase of the migration.

Only what must differ is masked: the table's OID and the column's number in a RowDescription, where in PostgreSQL's own
source an error was raised, and the row that a constraint's detail quotes."""

import struct

import pytest

from dialogue import DONE, B, C, D, Dialogue, E, H, P, Q, S, X, data
from proxy import Segue

TABLE = """
CREATE TABLE users (user_id int PRIMARY KEY, nickname varchar(20) NOT NULL DEFAULT 'nobody', email text);
CREATE TABLE orders (order_id int, user_id int);
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
    TRUNCATE users, orders;
    INSERT INTO users SELECT g, 'n' || g, NULL FROM generate_series(1, 20) g;
    INSERT INTO orders SELECT g, g % 5 + 1 FROM generate_series(1, 20) g $$;
"""
# The direct twin of fill() in the migrated database: both columns, or the one there is.
FILL = """
DO $$ DECLARE columns text; BEGIN
    SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND attname IN ('nickname', 'username') AND NOT attisdropped;
    TRUNCATE users, orders;
    EXECUTE format('INSERT INTO users (user_id, %s) SELECT g, %s FROM generate_series(1, 20) g', columns,
                   (SELECT string_agg('''n'' || g', ', ') FROM regexp_matches(columns, 'name', 'g')));
    INSERT INTO orders SELECT g, g % 5 + 1 FROM generate_series(1, 20) g;
END $$
"""

DIALOGUES = {}


def dialogue(function):
    DIALOGUES[function.__name__] = function
    return function


@dialogue
def statements(d):
    for sql in ["select user_id, nickname from users order by user_id limit 3",
                "insert into users (user_id, nickname) values (30, 'thirty'), (31, 'é''t') returning nickname, user_id",
                "insert into users (user_id) values (32) returning nickname",
                "update users set nickname = upper(nickname) where user_id < 3 returning nickname",
                "update users u set (nickname, email) = (u.nickname || '!', 'x') where nickname like 'N%'",
                "delete from users where nickname = 'n7' returning users.nickname",
                "insert into users (user_id, nickname) values (1, 'one') on conflict (user_id) do update set "
                "nickname = excluded.nickname || users.nickname returning nickname",
                "select o.order_id, u.nickname from orders o join users u using (user_id) where u.nickname > 'n' order by 1",
                "with w as (select nickname as n from users) select count(*), max(n) from w",
                "select count(distinct nickname) from users; select nickname from users where user_id = 5",
                "select count(*) from users group by nickname having nickname = 'n5'",
                "/* nickname */ select 'nickname' as \"nickname\" -- nickname"]:
        d.say(Q(sql), ready=1)


@dialogue
def errors_and_their_positions(d):
    for sql in ["select nickname, nope from users", "select 'é', nickname, nope from users",
                "update users set nickname = 'x' where nope = 1", "select nickname from users where nickname = 1",
                "select nickname fro users", "insert into users (user_id, nickname) values (99, 'x', 3)",
                "select nickname from users; select nickname, 1 / 0 from users; select 1",
                "update users set nickname = repeat('x', 21)"]:
        d.say(Q(sql), P(sql), S, ready=2)


@dialogue
def transactions(d):
    d.say(Q("begin; update users set nickname = 'tx' where user_id = 1"), Q("select nickname from users where user_id = 1"),
          Q("savepoint s"), Q("update users set nickname = 'sp' where user_id = 1; select 1/0"), Q("rollback to s"),
          Q("select nickname from users where user_id = 1"), Q("rollback"), Q("select nickname from users where user_id = 1"),
          ready=8)


@dialogue
def prepared(d):
    d.say(P("select nickname, user_id from users where nickname = $1", "s"), D("S", "s"), S, ready=1)
    d.say(P("insert into users (user_id, nickname, email) values ($1, $2, $3)", "i", [0, 1043]), D("S", "i"), S, ready=1)
    d.say(B([b"n3"], "s"), D("P"), E(), B([b"n4"], "s", results=[0, 1]), E(), S, ready=1)
    d.say(B([struct.pack("!i", 40), b"forty", None], "i", formats=[1, 0, 0]), D("P"), E(), S, ready=1)
    d.say(B([b"40", b"again", None], "i"), E(), S, B([b"41", b"x" * 30, None], "i"), E(), S, C("S", "i"), S, ready=3)
    d.say(P("update users set nickname = $1 where user_id = $2 returning nickname"), D("S"), B([b"upd", b"5"]), E(), S, ready=1)


@dialogue
def portals(d):
    d.say(Q("begin"), P("select nickname from users order by user_id"), B(portal="p"), D("P", "p"), E("p", 3), H, ready=1,
          kinds=b"s")
    d.say(E("p", 3), S, E("p"), S, Q("commit"), ready=3)


@dialogue
def pipeline(d):
    d.say(P("insert into users (user_id, nickname) values ($1, $2)", "i"), P("select nickname from users where user_id = $1", "s"),
          *[B([b"%d" % i, b"p%d" % i], "i") + E() + B([b"%d" % i], "s") + E() for i in range(1000, 1200)], S, ready=1)
    d.say(*[B([b"%d" % i, b"p"], "i") + E() + B([b"1"], "s") + E() + S for i in range(1195, 1205)], ready=10)


@dialogue
def pipeline_of_texts(d):
    d.say(*[P(f"update users set nickname = 'u{i}' where user_id = {i % 20} returning nickname, {i} / ({i} % 5)") + B() + D("P") +
            E() + S for i in range(100)], Q("select count(*) from users where nickname like 'u%'"), ready=101)


@dialogue
def copy_of_another_table_between(d):
    d.say(Q("copy orders from stdin"), data(b"1\t2\n"), DONE, Q("update users set nickname = 'c' where user_id = 1"),
          P("select nickname from users where user_id = 1"), B(), E(), S, Q("copy orders to stdout"), ready=4)


@dialogue
def terminate(d):
    d.say_last(Q("begin; update users set nickname = 'never'"), Q("select count(*) from users where nickname = 'never'"), X)


def mask(kind, body):
    if kind == b"T":
        out, at = body[:2], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            end = body.index(b"\0", at)
            out += body[at:end + 1] + b"oid" + body[end + 7:end + 19]
            at = end + 19
        return out
    if kind in (b"E", b"N"):
        return b"\0".join(field for field in body.split(b"\0") if field[:1] not in (b"D", b"F", b"L", b"R"))
    return body


def talk(port, database, function, cut=None):
    with Dialogue(port, cut).log_in(database) as d:
        function(d)
        if not d.is_over:
            d.no_more()
        messages, partial, is_over = d.record()
    return [(kind, mask(kind, body)) for kind, body in messages], partial, is_over


@pytest.fixture(scope="module")
def expected(cluster):
    """What each dialogue hears from a server with the old name only."""
    database = cluster.create_database("twin")
    conn = cluster.connect(database)
    conn.autocommit = True
    conn.cursor().execute(TABLE)
    heard = {}
    for name, function in DIALOGUES.items():
        conn.cursor().execute("SELECT fill()")
        heard[name] = talk(cluster.port, database, function)
    conn.close()
    return heard


def test_an_old_application_hears_the_same_in_every_phase(cluster, expected):
    database = cluster.create_database("rewritten")
    conn = cluster.connect(database)
    conn.autocommit = True
    conn.cursor().execute(TABLE)
    segue = Segue(cluster, control=database).start()
    try:
        segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
        for phase in segue.console.window("m"):
            for name, function in DIALOGUES.items():
                for cut in (None, 7):
                    conn.cursor().execute(FILL)
                    got = talk(segue.port, database, function, cut)
                    for i, (theirs, ours) in enumerate(zip(expected[name][0], got[0])):
                        assert ours == theirs, (phase, name, cut, i, expected[name][0][max(i - 3, 0):i])
                    assert len(got[0]) == len(expected[name][0]), (phase, name, cut)
                    assert got[1:] == expected[name][1:]
    finally:
        conn.close()
        segue.stop()
