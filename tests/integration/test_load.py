"""segue-load judges segue, so it must find what is wrong: here there is no proxy, and the table is at fault."""

import json
import subprocess
import threading
import time

from proxy import BUILD

ROWS = 5000


def load(cluster, database, *arguments, seconds=2):
    app = cluster.conninfo(database) + " application_name=app"
    command = [BUILD / "segue-load", "--old", app, "--new", app, "--direct", cluster.conninfo(database),
               "--clients", "4", "--rows", str(ROWS), "--seconds", str(seconds), *arguments]
    return subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def at_work(direct):
    """Rows with a version above 0 have been written by a client."""
    cur = direct.cursor()
    while True:
        cur.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'app' AND query LIKE 'UPDATE%users%'")
        if cur.fetchone()[0] > 0:
            return


def test_nothing_is_wrong(cluster, database, tmp_path):
    report = tmp_path / "report.json"
    done = load(cluster, database, "--init", "--new-name", "nickname", "--json", report, "--html", tmp_path / "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["ok"] and told["errors"] == told["mismatches"] == told["differing"] == 0
    assert told["checks"] > told["statements"] > 1000
    assert told["audited_rows"] > ROWS
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<svg") == 2


def test_two_columns_that_nobody_keeps_equal(cluster, database, direct, tmp_path):
    assert load(cluster, database, "--init", "--new-name", "nickname", seconds=1).returncode == 0
    direct.cursor().execute("ALTER TABLE users ADD COLUMN username varchar(100); UPDATE users SET username = nickname")
    report = tmp_path / "report.json"
    done = load(cluster, database, "--json", report)
    assert done.returncode == 1, done.stdout
    assert "wrong answer: " in done.stderr
    stage = json.loads(report.read_text(encoding="utf-8"))["stages"][0]
    assert stage["old"]["errors"] > 0 and stage["new"]["errors"] > 0 and stage["differing"] > 0


def test_one_row_changed_behind_its_back(cluster, database, direct):
    def tamper():
        at_work(direct)
        direct.cursor().execute("UPDATE users SET nickname = 'stranger' WHERE user_id BETWEEN 70 AND 80")

    assert load(cluster, database, "--init", "--new-name", "nickname", seconds=1).returncode == 0
    stranger = threading.Thread(target=tamper)
    stranger.start()
    done = load(cluster, database, "--new-name", "nickname", "--mix", "read=20,hot=1")
    stranger.join()
    assert done.returncode == 1, done.stdout
    assert "stranger" in done.stderr


def test_a_row_that_vanished(cluster, database, direct):
    assert load(cluster, database, "--init", "--new-name", "nickname", seconds=1).returncode == 0
    direct.cursor().execute(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF random() < 0.01 THEN RETURN NULL; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER lose BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION lose()")
    done = load(cluster, database, "--new-name", "nickname")
    assert done.returncode == 1, done.stdout
    assert "wrong answer" in done.stderr


def kill_all(direct):
    cur = direct.cursor()
    cur.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'app'")
    return cur.fetchone()[0]


def test_lost_connections_are_errors(cluster, database, direct):
    killer = threading.Thread(target=lambda: (at_work(direct), kill_all(direct)))
    killer.start()
    done = load(cluster, database, "--init", "--new-name", "nickname")
    killer.join()
    assert done.returncode == 1, done.stdout
    assert "terminat" in done.stderr or "closed the connection" in done.stderr


def test_lost_connections_are_found_out_about(cluster, database, direct, tmp_path):
    """With --reconnect each statement that was on its way has happened or has not, and the client finds out which."""
    def kill_again_and_again():
        for _ in range(5):
            time.sleep(0.5)  # spread over the run: not all of them while the clients are still coming
            at_work(direct)
            kill_all(direct)

    report = tmp_path / "report.json"
    killer = threading.Thread(target=kill_again_and_again)
    killer.start()
    done = load(cluster, database, "--init", "--new-name", "nickname", "--reconnect", "--json", report, seconds=5)
    killer.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(report.read_text(encoding="utf-8"))["breaks"] > 0


def test_usage():
    for wrong in (["--clients", "3"], ["--rows", "ten"], ["--mix", "read"], ["--mix", "sleep=3"], ["--init"], ["--what"], ["x"]):
        done = subprocess.run([BUILD / "segue-load", "--old", "", "--new", "", *wrong], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr, wrong
    assert subprocess.run([BUILD / "segue-load"], capture_output=True, check=False).returncode == 2
