"""The same bytes to the server and through segue: the same bytes come back, however they are cut on the way.

Each dialogue is a function that talks; the runner lets it talk to the server first, then to a plain proxy, then to one whose
control database this is and which has a mapping in force (on a table that the dialogue does not touch), so that every
statement goes by the rewriter."""

import struct

import pytest

from dialogue import DONE, B, C, D, Dialogue, E, H, P, Q, S, X, data, fail
from proxy import Segue
from wire import error_fields, message

SETUP = """
CREATE TABLE t (a int PRIMARY KEY, b text);
CREATE TABLE c (a int, b text);
CREATE TABLE empty ();
CREATE TABLE mapped (id int PRIMARY KEY, nickname text);
"""

DIALOGUES, LONG_DIALOGUES = {}, {}
# Where a mapping is in force segue reads these itself, and says in its own words what is wrong with them.
OWN_WORDS = {"malformed_bodies", "malformed_and_skipped"}


def dialogue(function):
    DIALOGUES[function.__name__] = function
    return function


def long_dialogue(function):
    """Too long to be sent in small pieces."""
    LONG_DIALOGUES[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def world(cluster):
    """The database, and each way to it: a port by name."""
    database = cluster.create_database("dialogues")
    conn = cluster.connect(database)
    conn.autocommit = True
    conn.cursor().execute(SETUP)
    plain, mapped = Segue(cluster).start(), Segue(cluster, control=database).start()
    mapped.console.run("CREATE MIGRATION m ON mapped RENAME COLUMN nickname TO username")
    yield database, conn, {"direct": cluster.port, "plain": plain.port, "mapped": mapped.port}
    conn.close()
    plain.stop()
    mapped.stop()


def talk(world, way, function, cut):
    database, conn, ports = world
    conn.cursor().execute("TRUNCATE t, c; INSERT INTO t VALUES (1, 'one'), (2, NULL), (3, '')")
    with Dialogue(ports[way], cut).log_in(database, options="-c geqo=on") as talking:
        function(talking)
        if not talking.is_over:
            talking.no_more()
        return talking.record()


def only_sqlstates(record):
    return [(kind, error_fields(body)["C"] if kind == b"E" else body) for kind, body in record[0]], *record[1:]


def check(world, function, way, cut):
    expected = talk(world, "direct", function, None)
    got = talk(world, way, function, cut)
    if way == "mapped" and function.__name__ in OWN_WORDS:
        expected, got = only_sqlstates(expected), only_sqlstates(got)
    for i, (theirs, ours) in enumerate(zip(expected[0], got[0])):
        assert ours == theirs, f"message {i}, after {expected[0][max(i - 3, 0):i]}"
    assert len(got[0]) == len(expected[0])
    assert got[1:] == expected[1:]


# ---- Simple queries ----


@dialogue
def simple(d):
    for sql in ["", ";", "-- only a comment", "select a, b from t order by a", "select from t",
                "insert into t values (9, 'x'); select 1/0; insert into t values (10, 'y')", "select count(*) from t",
                "insert into t values (9, 'x'); commit; insert into t values (1, 'dup')", "select count(*) from t",
                "selec 1", "select 'é', nope from t", "do $$ begin raise notice 'hello'; end $$",
                "set timezone = 'UTC'", "set client_encoding = 'LATIN1'", "reset client_encoding", "show geqo"]:
        d.say(Q(sql), ready=1)


@dialogue
def transactions(d):
    for sql in ["begin", "select 1/0", "select 1", "commit", "begin; select 1", "savepoint a", "select nope",
                "rollback to a", "release a", "commit and chain", "rollback", "start transaction read only",
                "insert into t values (4, 'x')", "end"]:
        d.say(Q(sql), ready=1)


@dialogue
def queries_without_waiting(d):
    d.say(*[Q(f"select {i}; select {i} / (1 - ({i} % 7) / 6)") for i in range(100)], ready=100)


@dialogue
def odd_rows(d):
    d.say(Q("select from t"), Q("select * from empty"), Q("select null, ''"), ready=3)
    d.say(Q("select " + ", ".join(f"{i} as c{i}" for i in range(1600))), ready=1)


@dialogue
def function_call(d):
    abs_int4 = struct.pack("!IhhhI", 1397, 1, 1, 1, 4) + struct.pack("!ih", -5, 1)
    d.say(message(b"F", abs_int4), message(b"F", struct.pack("!IhhhiIh", 1397, 0, 0, 0, 0, 0, 0)[:12]), ready=2)


# ---- The extended protocol ----


@dialogue
def describe_and_close(d):
    d.say(P("select a, b from t where a = $1", "s1"), D("S", "s1"), B([b"1"], "s1", "p1"), D("P", "p1"), E("p1"), S, ready=1)
    d.say(P("insert into t values ($1, $2)", "s2", [0, 25]), D("S", "s2"), S, ready=1)
    d.say(B([b"4", None], "s2"), D("P"), E(), S, ready=1)
    d.say(C("S", "s1"), C("P", "never"), C("S", ""), C("S", "s1"), B([b"1"], "s1"), S, ready=1)
    d.say(P("", "s3"), D("S", "s3"), B([], "s3"), D("P"), E(), S, ready=1)


@dialogue
def names_that_are_not_there(d):
    d.say(B([], "nope"), S, D("S", "nope"), S, D("P", "nope"), S, E("nope"), S, ready=4)
    d.say(P("select 1", "s"), S, P("select 2", "s"), S, P("select 3", ""), P("select 4", ""), B(), E(), S, ready=3)


@dialogue
def formats(d):
    d.say(P("select $1::int, $2::text, $3::bytea", "s"), S, ready=1)
    one, text, raw = struct.pack("!i", 7), b"zo\xc3\xab", b"\0\xff\0"
    d.say(B([one, text, raw], "s", formats=[1, 0, 1], results=[1, 0, 1]), E(), S, ready=1)
    d.say(B([one, text, raw], "s", formats=[1]), E(), B([None, None, None], "s", results=[1]), E(), S, ready=1)
    d.say(B([one, text], "s"), E(), S, ready=1)


@dialogue
def portal_suspended(d):
    d.say(P("select generate_series(1, 10)"), B(portal="p"), E("p", 4), E("p", 4), E("p", 4), E("p", 4), S, ready=1)
    d.say(Q("begin"), P("select generate_series(1, 10)"), B(portal="p"), E("p", 3), S, E("p", 3), S, ready=3)
    d.say(Q("commit"), E("p", 3), S, ready=2)


@dialogue
def flush(d):
    d.say(P("select $1::int"), D("S"), H, kinds=b"1tT")
    d.say(B([b"5"]), H, kinds=b"2")
    d.say(E(), H, kinds=b"DC")
    d.say(P("select 1/0"), B(), E(), H, kinds=b"E")
    d.say(H, P("select 1"), H, S, ready=1)


@dialogue
def pipeline_with_one_sync(d):
    d.say(*[P(f"select {i}, $1::text") + B([b"x"]) + D("P") + E() for i in range(400)], S, ready=1)


@dialogue
def pipeline_with_many_syncs(d):
    d.say(*[P(f"select {i} / ({i} % 7)") + B() + D("P") + E() + S for i in range(300)], ready=300)


@dialogue
def syncs(d):
    d.say(S * 1000, ready=1000)


@dialogue
def error_skip(d):
    d.say(P("select 1/0"), B(), E(), P("select 2", "s2"), B([], "s2"), D("P"), C("S", "s2"), E(), H, Q("select 'skipped'"),
          message(b"F", b"junk"), DONE, data(b"junk"), S, ready=1)
    d.say(B([], "s2"), S, P("selec"), P("select 3", "s3"), S, B([], "s3"), S, P("select 4"), B(), E(), S, ready=4)


@dialogue
def errors_in_a_transaction(d):
    d.say(P("begin"), B(), E(), P("insert into t values (1, 'dup')"), B(), E(), P("select 1"), B(), E(), S, ready=1)
    d.say(P("select 1"), B(), E(), S, P("rollback"), B(), E(), S, P("select 1"), B(), E(), S, ready=3)


@dialogue
def query_inside_a_batch(d):
    d.say(P("select 1", "s1"), Q("select 2"), S, B([], "s1"), E(), Q("select 3"), S, ready=4)
    d.say(P("select nope"), Q("select 'skipped'"), S, P("select 4"), B(portal="p"), Q("select 5"), E("p"), S, ready=3)


@dialogue
def unnamed_statement_and_query(d):
    d.say(P("select 1"), S, B(), E(), S, Q("select 2"), B(), E(), S, ready=4)


@dialogue
def sql_level_prepare(d):
    d.say(Q("prepare q as select 1"), B([], "q"), E(), S, P("select 2", "w"), S, Q("execute w"), Q("deallocate w"),
          B([], "w"), S, Q("prepare q2 as select 1; deallocate all"), B([], "q"), S, Q("discard all"), ready=9)


@dialogue
def malformed_bodies(d):
    d.say(message(b"Q", b"select 1"), ready=1)
    d.say(message(b"Q", b"select 1\0 tail\0"), ready=1)
    d.say(message(b"P", b"\0select 1\0\0\3"), S, ready=1)
    d.say(message(b"B", b"no end"), S, ready=1)
    d.say(message(b"D", b"Xs\0"), S, message(b"C", b"Xs\0"), S, message(b"D", b""), S, ready=3)
    d.say(message(b"E", b"\0\0"), S, message(b"S", b"more"), ready=2)


@dialogue
def malformed_and_skipped(d):
    d.say(P("selec"), message(b"P", b"junk"), message(b"B", b"junk"), message(b"D", b"junk"), S, ready=1)


@dialogue
def unknown_type(d):
    d.say(Q("select 1"), ready=1).say_last(message(b"y", b"what"))


# ---- COPY ----


@dialogue
def copy_in(d):
    d.say(Q("copy c from stdin"), kinds=b"G")
    d.say(data(b"1\tann\n2\tzo"), data(b"\xc3"), data(b"\xab\n"), data(b""), data(b"\\.\n"), DONE, ready=1)
    d.say(Q("copy c from stdin with (format csv, header)"), data(b'a,b\n3,"x\r'), data(b'\ny"\n'), DONE, ready=1)
    d.say(Q("select * from c order by a"), ready=1)


@dialogue
def copy_in_ignores_sync_and_flush(d):
    d.say(Q("copy c from stdin"), kinds=b"G")
    d.say(S, data(b"1\ta\n"), H, S, S, data(b"2\tb\n"), DONE, ready=1)
    d.say(P("copy c from stdin"), B(), E(), S, kinds=b"12G")
    d.say(data(b"3\tc\n"), S, H, DONE, S, ready=1)


@dialogue
def copy_in_without_waiting(d):
    d.say(P("copy c from stdin"), B(), E(), S, data(b"1\ta\n"), S, DONE, S, P("select count(*) from c"), B(), E(), S, ready=2)
    d.say(P("copy c from stdin"), B(), E(), data(b"1\ta\n"), DONE, P("select 1"), B(), E(), S, ready=1)
    d.say(Q("copy c from stdin"), data(b"2\tb\n"), DONE, Q("select count(*) from c"), S, ready=3)
    d.say(Q("copy c from stdin"), S, data(b"2\tb\n"), S, DONE, S, Q("select count(*) from c"), ready=3)


@dialogue
def copies_in_one_query(d):
    d.say(Q("copy c from stdin; select 'between'; copy c from stdin"), kinds=b"G")
    d.say(data(b"1\ta\n"), S, DONE, kinds=b"CTDCG").say(S, data(b"2\tb\n"), DONE, ready=1)
    d.say(Q("copy c from stdin; copy c from stdin; copy c from stdin"), data(b"3\ta\n"), DONE, data(b"4\ta\n"), S, DONE,
          S, fail("enough"), S, Q("select count(*) from c"), ready=3)


@dialogue
def copy_fail(d):
    d.say(Q("copy c from stdin"), data(b"1\ta\n"), fail("changed my mind"), ready=1)
    d.say(P("copy c from stdin"), B(), E(), data(b"1\ta\n"), fail("again"), P("select 'skipped'"), S, ready=1)
    d.say(P("copy c from stdin"), B(), E(), data(b"1\ta\n"), S, fail("and again"), S, S, ready=2)


@dialogue
def copy_error_while_the_client_sends(d):
    rows = [data(b"%d\tx\n" % i) for i in range(50)]
    d.say(Q("copy c from stdin"), *rows, data(b"bad\tx\n"), *rows, DONE, Q("select 1"), ready=2)
    d.say(P("copy c from stdin"), B(), E(), *rows, data(b"bad\tx\n"), *rows, DONE, S, Q("select 1"), ready=2)
    d.say(Q("copy c from stdin"), *rows, data(b"bad\tx\n"), S, S, ready=3)


@dialogue
def copy_that_does_not_begin(d):
    d.say(Q("copy nope from stdin"), data(b"1\ta\n"), DONE, Q("select 1"), ready=2)
    d.say(P("copy nope from stdin"), B(), E(), data(b"1\ta\n"), DONE, S, Q("select 1"), ready=2)
    d.say(P("selec"), B(), E(), data(b"1\ta\n"), S, DONE, S, Q("select 1"), ready=3)


@dialogue
def stray_copy_messages(d):
    d.say(data(b"junk"), DONE, fail("junk"), Q("select 1"), DONE, Q("select 2"), data(b"junk"), S, ready=3)
    d.say(P("select 1"), DONE, B(), fail("x"), E(), DONE, S, DONE, Q("copy c from stdin"), data(b"1\ta\n"), DONE, S, ready=3)


@dialogue
def copy_out(d):
    for sql in ["copy t to stdout", "copy (select a, b from t order by a) to stdout (format binary)",
                "copy (select 1/0) to stdout", "copy (select 1 / (3 - g) from generate_series(1, 5) g) to stdout",
                "copy t to stdout; copy c from stdin"]:
        d.say(Q(sql), *([data(b"1\ta\n"), DONE] if "from stdin" in sql else []), ready=1)
    d.say(P("copy t to stdout"), B(), E(), P("select 1"), B(), E(), S, ready=1)


# ---- The end ----


@dialogue
def terminate(d):
    d.say(Q("begin"), Q("insert into t values (77, 'x')"), ready=2).say_last(X)


@dialogue
def terminate_behind_a_query(d):
    d.say_last(Q("select generate_series(1, 20000)"), X)


@dialogue
def messages_behind_terminate(d):
    d.say_last(Q("select 1"), X, Q("insert into t values (78, 'never')"))


# ---- Long ones ----


LONG_TEXT = "select length('" + "x" * (17 << 20) + "')"


@long_dialogue
def long_values(d):
    d.say(P("select length($1), $1"), B([b"y" * (20 << 20)]), E(), S, ready=1)
    d.say(Q("select repeat('z', 30000000)"), P("select 1"), B(), E(), S, ready=2)


@long_dialogue
def pipeline_with_much_output(d):
    d.say(*[P("select repeat('x', 100000)") + B() + E() + (S if i % 10 == 0 else H) for i in range(200)], S, ready=21)


@long_dialogue
def pipeline_of_many_messages(d):
    d.say(P("select $1::int", "s"), *[B([b"%d" % i], "s") + E() for i in range(100000)], S, ready=1)


@long_dialogue
def pipeline_of_many_batches(d):
    d.say(P("select $1::int", "s"), *[B([b"%d" % i], "s") + E() + S for i in range(30000)], ready=30000)


@long_dialogue
def copy_of_many_messages(d):
    d.say(Q("copy c from stdin"), *[data(b"%d\tx\n" % i) for i in range(200000)], DONE, Q("select count(*) from c"), ready=2)
    d.say(Q("copy c to stdout"), ready=1)


def long_texts(d):
    d.say(Q("begin"), Q(LONG_TEXT), Q("commit"), P(LONG_TEXT), B(), E(), S, ready=4)


def test_texts_too_long_to_be_held_are_streamed_by_a_plain_proxy(world):
    check(world, long_texts, "plain", None)


def test_texts_too_long_to_be_held_are_refused_where_they_would_have_to_be_read(world):
    masked, _, _ = talk(world, "mapped", long_texts, None)
    errors = [error_fields(body) for kind, body in masked if kind == b"E"]
    assert [error["C"] for error in errors] == ["54000", "54000"]
    assert all(error["H"] for error in errors)
    # BEGIN, the refusal in a transaction that is failed by it, the end of that, the refusal again
    assert b"".join(kind for kind, _ in masked).endswith(b"CZEZCZEZZ")
    assert [body for kind, body in masked if kind == b"Z"][1:4] == [b"T", b"E", b"I"]


@pytest.mark.parametrize("way", ["plain", "mapped"])
@pytest.mark.parametrize("name", [*DIALOGUES, *LONG_DIALOGUES])
def test_at_once(world, name, way):
    check(world, {**DIALOGUES, **LONG_DIALOGUES}[name], way, None)


@pytest.mark.parametrize("cut", [1, 23])
@pytest.mark.parametrize("way", ["plain", "mapped"])
@pytest.mark.parametrize("name", DIALOGUES)
def test_in_pieces(world, name, way, cut):
    check(world, DIALOGUES[name], way, cut)
