"""A statement that segue refuses must look like one that the server refused: the same replies around it, the same
transaction state, the same things undone, wherever in a pipeline it stands.

So each dialogue is held twice: with the server, where the bad statement names a column that does not exist, and with segue,
where it is one that cannot be rewritten. Errors are compared by their place, the rest byte for byte."""

import pytest

from dialogue import DONE, B, C, D, Dialogue, E, H, P, Q, S, data
from proxy import Segue
from wire import error_fields

SETUP = """
CREATE TABLE t (a int PRIMARY KEY, b text);
CREATE TABLE mapped (id int PRIMARY KEY, nickname text);
"""
BAD_FOR_THE_SERVER = ("SELECT nope FROM mapped", "42703")
BAD_FOR_SEGUE = ("CREATE VIEW v AS SELECT nickname FROM mapped", "0A000")

DIALOGUES = {}


def dialogue(function):
    DIALOGUES[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def world(cluster):
    database = cluster.create_database("refusals")
    conn = cluster.connect(database)
    conn.autocommit = True
    conn.cursor().execute(SETUP)
    segue = Segue(cluster, control=database).start()
    segue.console.run("CREATE MIGRATION m ON mapped RENAME COLUMN nickname TO username")
    yield database, conn, segue
    conn.close()
    segue.stop()


@dialogue
def alone(d, bad):
    d.say(Q(bad), ready=1).say(P(bad), S, ready=1).say(P(bad), D("S"), B(), D("P"), E(), S, ready=1)


@dialogue
def in_a_transaction(d, bad):
    d.say(Q("begin"), Q("insert into t values (1)"), Q(bad), Q("select 1"), Q("commit"), Q("select count(*) from t"), ready=6)
    d.say(Q("begin"), Q("insert into t values (1)"), P(bad), S, P("select 1"), S, Q("commit"), Q("select count(*) from t"),
          ready=6)
    d.say(Q("begin"), Q("savepoint s"), P(bad), S, Q("rollback to s"), Q("insert into t values (1)"), Q("commit"),
          Q("select count(*) from t"), ready=7)


@dialogue
def in_a_failed_transaction(d, bad):
    d.say(Q("begin"), Q("select 1/0"), Q(bad), P(bad), S, P(bad), B(), E(), S, Q("selec"), ready=6)
    d.say(Q("rollback"), P(bad), S, ready=2)


@dialogue
def in_the_middle_of_a_batch(d, bad):
    d.say(P("insert into t values ($1)", "i"), B([b"1"], "i"), E(), P(bad), B(), E(), B([b"2"], "i"), E(), S, ready=1)
    d.say(Q("select count(*) from t"), B([b"3"], "i"), E(), S, Q("select count(*) from t"), ready=3)


@dialogue
def in_every_batch_of_a_pipeline(d, bad):
    good = [P("select 1") + B() + E(), P("insert into t values (1)", "") + B() + E()]
    d.say(*[b"".join([*good, P(bad), B(), D("P"), E(), *good, S]) for _ in range(100)], ready=100)
    d.say(Q("select count(*) from t"), ready=1)


@dialogue
def between_good_batches(d, bad):
    d.say(*[P("select 1") + B() + E() + S + P(bad) + B() + E() + S + Q(bad) + Q("select 2") for _ in range(50)], ready=200)


@dialogue
def behind_an_error(d, bad):
    d.say(P("selec"), P(bad), B(), E(), S, P("select 1/0"), B(), E(), P(bad), S, Q("select 1"), ready=3)
    d.say(P("selec"), Q(bad), P(bad), S, P(bad), S, ready=2)


@dialogue
def twice_in_a_batch(d, bad):
    d.say(P(bad), P(bad), B(), P(bad), S, Q(bad), S, ready=3)


@dialogue
def flushed(d, bad):
    d.say(P("select 1"), P(bad), H, kinds=b"1E").say(B(), H, S, ready=1)


@dialogue
def names_afterwards(d, bad):
    d.say(P(bad, "x"), S, B([], "x"), S, P("select 1", "x"), S, B([], "x"), E(), S, ready=4)
    d.say(P(bad, "x"), S, B([], "x"), E(), S, C("S", "x"), S, B([], "x"), S, ready=4)
    d.say(P("select 1"), S, P(bad), S, B(), E(), S, ready=3)
    d.say(P("select 1", "y"), P(bad), S, B([], "y"), E(), S, ready=2)


@dialogue
def closed_in_the_failed_batch(d, bad):
    d.say(P("select 1", "z"), S, P(bad), C("S", "z"), S, B([], "z"), E(), S, ready=3)


@dialogue
def portals(d, bad):
    d.say(Q("begin"), P("select generate_series(1, 5)"), B(portal="p"), E("p", 2), S, ready=2)
    d.say(P(bad), S, E("p", 2), S, Q("rollback"), ready=3)


@dialogue
def around_copy(d, bad):
    d.say(Q("copy t from stdin"), data(b"1\tx\n"), DONE, Q(bad), Q("copy t to stdout"), P(bad), S, ready=4)
    d.say(P("copy t from stdin"), B(), E(), data(b"2\tx\n"), S, DONE, P(bad), B(), E(), S, Q("select count(*) from t"), ready=2)


@dialogue
def behind_a_copy_that_failed(d, bad):
    """The Sync is sent while the server seems to read data and would ignore it, but reaches it after the data's error, and
    is answered. That answer must not be taken for the refused query's."""
    d.say(Q("copy t from stdin"), kinds=b"G").say(data(b"no number\n"), S, Q(bad), S, Q("select 1"), ready=5)
    d.say(Q("copy t from stdin"), kinds=b"G").say(data(b"no number\n"), S, S, P(bad), S, Q(bad), Q("select 1"), ready=6)


@dialogue
def unsynced_before_a_query(d, bad):
    d.say(P("insert into t values (1)"), B(), E(), Q("select 1"), P(bad), S, Q("select count(*) from t"), ready=3)


def talk(world, port, function, bad, cut):
    database, conn, _ = world
    text, sqlstate = bad
    conn.cursor().execute("TRUNCATE t")
    with Dialogue(port, cut).log_in(database) as d:
        function(d, text)
        d.no_more()
        messages, partial, is_over = d.record()
    told = []
    for kind, body in messages:
        is_refusal = kind == b"E" and error_fields(body)["C"] == sqlstate
        if kind == b"E" and not is_refusal:
            # Who raised it shows only in the place of PostgreSQL's source.
            body = {field: value for field, value in error_fields(body).items() if field not in "FLR"}
        told.append((kind, "refused") if is_refusal else (kind, body))
    assert (b"E", "refused") in told
    return told, partial, is_over


@pytest.mark.parametrize("cut", [None, 1, 17])
@pytest.mark.parametrize("name", DIALOGUES)
def test_a_refusal_is_an_error_like_any_other(world, cluster, name, cut):
    expected = talk(world, cluster.port, DIALOGUES[name], BAD_FOR_THE_SERVER, None)
    got = talk(world, world[2].port, DIALOGUES[name], BAD_FOR_SEGUE, cut)
    assert got == expected


def test_nothing_of_a_query_with_one_refused_statement_reaches_the_server(world):
    database, conn, segue = world
    conn.cursor().execute("TRUNCATE t")
    with Dialogue(segue.port).log_in(database) as d:
        d.say(Q("insert into t values (1); commit; " + BAD_FOR_SEGUE[0] + "; insert into t values (2)"), ready=1)
        refusal = error_fields(d.messages[-2][1])
        assert (refusal["C"], d.messages[-2][0]) == ("0A000", b"E") and refusal["D"] and refusal["H"]
        d.say(Q("select count(*) from t"), ready=1)
        assert d.messages[-3] == (b"D", b"\0\1\0\0\0\x010")
