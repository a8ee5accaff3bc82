"""Messages in flight while the mappings change under them."""

import pytest

from dialogue import DONE, B, Dialogue, E, P, Q, S, data
from wire import error_fields

SETUP = "CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE mapped (id int PRIMARY KEY, nickname text)"


@pytest.fixture
def talking(segue, direct):
    """A session in a transaction that began before the newest snapshot: whatever it sends from now on is judged by an
    older one than its next transaction will be."""
    direct.cursor().execute(SETUP)
    with Dialogue(segue.port).log_in(segue.control) as d:
        d.say(Q("begin"), Q("select 1"), ready=2)
        segue.console.run("CREATE MIGRATION m ON mapped RENAME COLUMN nickname TO username")
        yield d


def kinds_of(d, *content, ready):
    before = len(d.messages)
    d.say(*content, ready=ready)
    return b"".join(kind for kind, _ in d.messages[before:])


def test_copy_with_an_early_sync(talking):
    """The Sync waits for the replies before it, and the server for the data behind it: one of them must give way."""
    assert kinds_of(talking, Q("copy t from stdin"), S, data(b"1\n"), S, DONE, S, ready=2) == b"GCZZ"
    assert kinds_of(talking, P("copy t from stdin"), B(), E(), S, data(b"2\n"), DONE, S, ready=1) == b"12GCZ"
    assert kinds_of(talking, Q("commit"), Q("select * from t"), ready=2) == b"CZTDDCZ"


def test_pipelines_across_the_change(talking):
    batch = P("select 1") + B() + E() + S
    assert kinds_of(talking, batch * 50, Q("commit"), batch * 50, ready=101) == b"12DCZ" * 50 + b"CZ" + b"12DCZ" * 50


def test_statements_of_before(talking):
    """Prepared in the old epoch and used in the new one, in the middle of a pipeline that also changes the epoch."""
    talking.say(P("insert into mapped (id, nickname) values ($1, 'x')", "old"), S, ready=1)
    use = [B([b"%d" % i], "old") + E() + S for i in range(60)]
    assert kinds_of(talking, *use[:20], Q("commit"), *use[20:], ready=61) == b"2CZ" * 20 + b"CZ" + b"2CZ" * 40
    assert kinds_of(talking, Q("select username from mapped"), ready=1) == b"T" + b"D" * 60 + b"CZ"


def test_an_unknown_name_is_still_unknown(talking):
    assert kinds_of(talking, Q("commit"), Q("select nope from mapped"), ready=2) == b"CZEZ"
    assert error_fields(talking.messages[-2][1])["C"] == "42703"
