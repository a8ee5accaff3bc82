"""What the operator is told: who uses which name, what is rewritten, what was refused and why."""

import threading

import pytest

from proxy import ConsoleError
from wire import Wire

USERS = "CREATE TABLE users (user_id serial PRIMARY KEY, nickname text, \"Größe\" int)"
REFUSED = "CREATE RULE r AS ON UPDATE TO users DO ALSO SELECT 'secret', nickname FROM users /* traced */"


@pytest.fixture
def window(segue, direct):
    direct.cursor().execute(USERS)
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")
    return segue


def find(rows, **wanted):
    return [row for row in rows if all(wanted[key] in row[key] for key in wanted)]


def test_refused(window, database):
    old = Wire(window.port, database, application_name="old app")
    for _ in range(3):
        assert old.query(REFUSED).error.sqlstate == "0A000"
    old.query("SET application_name = 'pool'; SELECT pg_sleep(0.05)").raise_error()
    old.send(old.parse("x", REFUSED.replace("secret", "other secret")), old.sync())
    old.until_ready()
    rows = window.console.rows("SHOW REFUSED")
    [first] = find(rows, application_name="old app")
    [second] = find(rows, application_name="pool")
    assert (first["count"], second["count"], first["user"], first["database"]) == ("3", "1", "postgres", database)
    assert (first["migration"], first["sqlstate"]) == ("m", "0A000") and first["reason"] and first["hint"]
    assert first["statement"] == second["statement"] \
        == "CREATE RULE r AS ON UPDATE TO users DO ALSO SELECT ?, nickname FROM users"
    assert rows.index(second) < rows.index(first)  # the latest comes first
    line = next(line for line in window.log_text().splitlines() if "refused user=" in line)
    assert 'application_name="old app"' in line and 'migration="m"' in line and "SELECT ?, nickname" in line
    assert "secret" not in window.log_text() and "secret" not in str(rows)
    old.close()


def test_refused_stays_bounded(window, database):
    wire = Wire(window.port, database)
    for number in range(600):
        wire.query(f"CREATE RULE r{number} AS ON UPDATE TO users DO ALSO SELECT nickname FROM users")
    wire.query("CREATE RULE last_one AS ON UPDATE TO users DO ALSO SELECT '" + "x" * 100_000 + "', nickname FROM users")
    rows = window.console.rows("SHOW REFUSED")
    assert 100 <= len(rows) <= 2 * 128
    assert all(len(row["statement"]) < 1100 for row in rows)
    assert window.log_text().count("refused user=") < 600
    wire.close()


def test_rewrites_and_references(window, database):
    new = Wire(window.port, database, application_name="new app")
    for name in "xyz":
        new.query(f"INSERT INTO users (username) VALUES ('{name}') -- {name}").raise_error()
    new.prepare("s", "SELECT username FROM users WHERE user_id = $1")
    for key in range(5):
        new.run("s", str(key))
    new.query("SELECT * FROM users").raise_error()
    new.query("SELECT \"Größe\" FROM users WHERE nickname = 'a'").raise_error()
    new.query("SELECT 1").raise_error()
    rewrites = window.console.rows("SHOW REWRITES")
    [insert] = find(rewrites, statement="INSERT")
    assert insert["statement"] == "INSERT INTO users (username) VALUES (?)"
    assert insert["rewritten"] == "INSERT INTO users (username, nickname) VALUES (?, ?)"
    assert (insert["count"], insert["database"], insert["migration"]) == ("3", database, "m")
    [select] = find(rewrites, statement="SELECT username")
    assert int(select["count"]) >= 5
    assert find(rewrites, statement="SELECT 1") == []
    for command in ("SHOW REFERENCES", "SHOW REFERENCES m"):
        rows = window.console.rows(command)
        assert {row["name"] for row in rows if row["application_name"] == "new app"} == {"username", "nickname", "*"}
    [username] = find(rows, name="username", application_name="new app")
    assert int(username["count"]) >= 8 and username["user"] == "postgres"
    [nickname] = find(rows, name="nickname", application_name="new app")
    assert nickname["statement"] == 'SELECT "Größe" FROM users WHERE nickname = ?'
    assert window.console.rows("SHOW REFERENCES nobody") == []
    new.close()


def test_asked_while_sessions_work(window, database):
    """Notes are read and written by different threads."""
    over = threading.Event()

    def work(number):
        wire = Wire(window.port, database, application_name=f"app {number}")
        turn = 0
        while not over.is_set():
            wire.query(f"SELECT username, {turn} AS c{turn % 700} FROM users LIMIT 1").raise_error()
            wire.query(REFUSED)
            turn += 1
        wire.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(15):
            for command in ("SHOW REFUSED", "SHOW REWRITES", "SHOW REFERENCES"):
                window.console.rows(command)
    finally:
        over.set()
        for worker in workers:
            worker.join()
    seen = {row["application_name"] for row in window.console.rows("SHOW REFUSED")}
    assert {f"app {number}" for number in range(4)} <= seen


def test_explain_rewrite_for_a_client(start_segue, database, direct, tmp_path, cluster):
    direct.cursor().execute(USERS)
    config = tmp_path / "segue.ini"
    config.write_text("[clients]\napplication_name billing-v2 = new\nuser elder = old\n", encoding="utf-8")
    segue = start_segue(control=database, options=["-c", str(config)])
    segue.console.run("CREATE MIGRATION m ON users RENAME COLUMN nickname TO username")
    segue.console.start("m")

    def sql(clause):
        [row] = segue.console.rows(f"EXPLAIN REWRITE {clause} 'SELECT * FROM users'")
        return row["sql"]

    both, new, old = sql(""), sql('APPLICATION "billing-v2"'), sql("AS USER elder")
    assert "users.nickname, " in both and "AS username" in both
    assert "AS username" in new and "users.nickname, " not in new
    assert "users.nickname" in old and "username" not in old
    assert sql('AS USER elder APPLICATION "billing-v2"') == new  # the first rule that fits
    with pytest.raises(ConsoleError):
        segue.console.run("EXPLAIN REWRITE AS elder 'SELECT 1'")
