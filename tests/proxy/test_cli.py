"""The program from the command line: `segue rewrite`, `segue check`, and what needs no server of `segue serve`."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

SEGUE = Path(os.environ["SEGUE_BUILD_DIR"]) / "segue"
# Ends a test that hangs; never a measure of speed.
PATIENCE_S = 120

SCHEMA = """
CREATE TABLE users (user_id bigint PRIMARY KEY, nickname varchar(100));
CREATE SCHEMA shop;
CREATE TABLE shop.product (id int, "user" text, price numeric);
"""


def segue(*arguments, stdin=""):
    return subprocess.run([SEGUE, *arguments], input=stdin.encode() if isinstance(stdin, str) else stdin,
                          capture_output=True, timeout=PATIENCE_S, check=False)


@pytest.fixture
def schema(tmp_path):
    path = tmp_path / "schema.sql"
    path.write_text(SCHEMA)
    return str(path)


@pytest.fixture
def rewrite(schema):
    """`segue rewrite` with the nickname's mapping."""
    def run(*arguments, stdin=""):
        return segue("rewrite", "--schema", schema, "--mapping", "public.users.nickname=username", *arguments, stdin=stdin)
    return run


# ---- rewrite ----

# Text that is no concern of the mapping, with everything that a printer from a tree would change or lose.
UNCONCERNED = [
    "",
    "\n",
    "SELECT 1",
    "-- a comment\n\nselect  1 ;;\n/* another */ SELECT 'it''s; ' || $$;$$ -- end",
    "\tSELECT nickname\r\nFROM other ;\n\n\n",
    "this is ; no SQL ( at all",
    "SELECT 'un-terminated",
]


@pytest.mark.parametrize("text", UNCONCERNED)
def test_what_is_not_concerned_comes_out_byte_for_byte(rewrite, text):
    done = rewrite(stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, text.encode(), b"")


def test_bytes_that_are_not_utf8_pass(rewrite):
    text = b"SELECT 'gr\xf6\xdfe'; SELECT 2"
    assert rewrite(stdin=text).stdout == text


def test_only_the_statement_that_is_concerned_changes(rewrite):
    done = rewrite(stdin="SELECT 1; -- first\nINSERT INTO users (user_id, nickname) VALUES (1, 'a'); -- second\nSELECT 2")
    assert done.stdout.decode() == ("SELECT 1; -- first\nINSERT INTO users (user_id, nickname, username) "
                                    "VALUES (1, 'a', 'a'); -- second\nSELECT 2")
    assert done.returncode == 0


@pytest.mark.parametrize("phase, wanted", [
    ("planned", "SELECT nickname AS username FROM users"),
    ("dual_write", "SELECT nickname AS username FROM users"),
    ("read_new", "SELECT username FROM users"),
    ("new_only", "SELECT username FROM users"),
])
def test_phases(rewrite, phase, wanted):
    assert rewrite("--phase", phase, stdin="SELECT username FROM users").stdout.decode() == wanted


def test_the_default_phase_is_dual_write(rewrite):
    text = "UPDATE users SET nickname = 'a'"
    assert rewrite(stdin=text).stdout == rewrite("--phase", "dual_write", stdin=text).stdout != text.encode()


def test_star(rewrite):
    shapes = {star: rewrite("--star", star, stdin="SELECT * FROM users").stdout for star in ("both", "old", "new")}
    assert len(set(shapes.values())) == 3
    assert b"username" in shapes["new"] and b"username" not in shapes["old"]


def test_mappings_are_written_as_sql_names_are(schema):
    done = segue("rewrite", "--schema", schema, "--mapping", 'Shop.product."user"=creator', "--mapping", "users.nickname=username",
                 "--search-path", "shop, public",
                 stdin="UPDATE product SET \"user\" = 'a'; UPDATE users SET nickname = 'b'")
    assert done.stdout.decode() == ("UPDATE product SET \"user\" = 'a', creator = 'a'; "
                                    "UPDATE users SET nickname = 'b', username = 'b'")


REFUSED = "SELECT 1;\n\n-- it would hold on to the column\nCREATE RULE r AS ON INSERT TO users DO NOTHING;\nSELECT 2;\n"


def test_a_refusal_names_file_and_line(rewrite, tmp_path):
    path = tmp_path / "app.sql"
    path.write_text(REFUSED)
    done = rewrite(str(path))
    assert done.returncode == 3
    assert done.stdout.decode() == "SELECT 1;\nSELECT 2;\n"
    assert done.stderr.decode().startswith(f"{path}:4: refused: ")
    assert rewrite(stdin=REFUSED).stderr.decode().startswith("-:4: refused: ")


def test_json(rewrite):
    done = rewrite("--json", stdin=REFUSED + "INSERT INTO users (nickname) VALUES ('\"\u00fc')")
    objects = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [list(o) for o in objects] == [["action", "sql", "reason"]] * len(objects)
    assert [o["action"] for o in objects if o["sql"].strip()] == ["pass", "refuse", "pass", "rewrite"]
    refused = objects[1]
    assert refused["reason"] and refused["sql"].endswith("CREATE RULE r AS ON INSERT TO users DO NOTHING;")
    assert objects[0]["reason"] is None
    assert objects[-1]["sql"].endswith("VALUES ('\"\u00fc', '\"\u00fc')")


def test_files_in_order(rewrite, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"SELECT '{name}';\n")
    assert rewrite(str(tmp_path / "b"), str(tmp_path / "a"), "-", stdin="SELECT 'c'").stdout == b"SELECT 'b';\nSELECT 'a';\nSELECT 'c'"
    done = rewrite(str(tmp_path / "a"), str(tmp_path / "missing"))
    assert done.returncode == 1 and b"missing" in done.stderr and done.stdout == b"SELECT 'a';\n"


@pytest.mark.parametrize("arguments", [
    [],
    ["--mapping", "users.nickname"],
    ["--mapping", "users=nickname=username"],
    ["--mapping", "a.b.c.d=e"],
    ["--mapping", "users.nickname=user.name"],
    ["--mapping", "users.\"nickname=username"],
    ["--mapping", "users.nicknam=username"],
    ["--mapping", "nobody.nickname=username"],
    ["--mapping", "users.nickname=username", "--mapping", "users.username=handle"],
    ["--mapping", "users.nickname=username", "--phase", "retired"],
    ["--mapping", "users.nickname=username", "--star", "none"],
    ["--mapping", "users.nickname=username", "--schema", "/nonexistent"],
    ["--mapping", "users.nickname=username", "--no-such-option"],
])
def test_bad_usage(schema, arguments):
    done = segue("rewrite", "--schema", schema, *arguments, stdin="SELECT 1")
    assert done.returncode == 2
    assert done.stdout == b"" and done.stderr.strip()


def test_a_schema_that_is_no_sql(tmp_path):
    path = tmp_path / "schema.sql"
    path.write_text("CREATE TABLE users (")
    done = segue("rewrite", "--schema", str(path), "--mapping", "users.nickname=username", stdin="SELECT 1")
    assert done.returncode == 2 and b"schema.sql" in done.stderr


# ---- check, and the program itself ----

def test_check(tmp_path):
    path = tmp_path / "segue.ini"
    path.write_text("[databases]\n* = host=127.0.0.1\n")
    assert segue("check", "-c", str(path)).returncode == 0
    path.write_text("[databases]\n* = host=127.0.0.1\n[segue]\nlisten_prot = 1\nworkers = many\n")
    done = segue("check", "-c", str(path))
    assert done.returncode == 2
    assert done.stderr.decode() == (f'{path}:4: unknown key "listen_prot"; did you mean "listen_port"?\n'
                                    f'{path}:5: workers: "many" is not a number\n')
    assert segue("check").returncode == 2
    assert segue("check", "-c", str(tmp_path / "missing.ini")).returncode == 2


@pytest.mark.parametrize("command", [[], ["serve"], ["rewrite"], ["check"]])
def test_help_and_version(command):
    done = segue(*command, "--help")
    assert done.returncode == 0 and b"Usage: segue" in done.stdout and done.stderr == b""
    done = segue(*command, "--version")
    assert done.returncode == 0 and done.stdout.startswith(b"segue ")
    if command:
        assert segue(*command, "--no-such-option").returncode == 2


def test_the_man_page_has_every_option_of_the_help():
    page = (Path(__file__).resolve().parents[2] / "docs" / "segue.1").read_text(encoding="utf-8").replace("\\-", "-")
    helps = "".join(segue(command, "--help").stdout.decode() for command in ("serve", "rewrite", "check"))
    options = set(re.findall(r"--[a-z][a-z-]+", helps))
    assert len(options) > 10
    assert options == set(re.findall(r"--[a-z][a-z-]+", page))


def test_unknown_commands():
    assert segue().returncode == 2
    done = segue("sevre")
    assert done.returncode == 2 and b"sevre" in done.stderr


# ---- serve, without a server behind it ----

class Serving:
    """A process whose log is read up to its ready line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", SEGUE, "serve", *arguments],
                                        stderr=subprocess.PIPE, text=True)
        self.log = ""
        self.address = self.read_to("ready listen=").rsplit("ready listen=", 1)[1].strip()

    def read_to(self, what):
        for line in self.process.stderr:
            self.log += line
            if what in line:
                return line
        raise AssertionError(f"the log ended before {what!r}:\n{self.log}")

    def end(self, signum):
        self.process.send_signal(signum)
        self.log += self.process.stderr.read()
        return self.process.wait(PATIENCE_S)


UPSTREAM = ["--upstream", "host=127.0.0.1 port=1"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_orderly(signum):
    serving = Serving("--listen", "127.0.0.1:0", *UPSTREAM)
    host, port = serving.address.rsplit(":", 1)
    assert host == "127.0.0.1" and int(port) > 0
    assert serving.end(signum) == 0
    assert serving.log.count("ready listen=") == 1
    assert "Sanitizer" not in serving.log


def test_a_port_that_is_taken(tmp_path):
    pidfile = tmp_path / "segue.pid"
    first = Serving("--listen", "127.0.0.1:0", "--set", f"pidfile={pidfile}", *UPSTREAM)
    done = segue("serve", "--listen", first.address, "--set", f"pidfile={pidfile}", *UPSTREAM)
    assert done.returncode == 1 and b"cannot start" in done.stderr
    assert pidfile.read_text() == f"{first.process.pid}\n", "the second start took the first one's pid file away"
    assert first.end(signal.SIGTERM) == 0
    assert not pidfile.exists()


def test_reload(tmp_path):
    path, log = tmp_path / "segue.ini", tmp_path / "segue.log"
    path.write_text("[databases]\n* = host=127.0.0.1 port=1\n[segue]\nlisten_port = 0\n")
    serving = Serving("-c", str(path))
    path.write_text(f"[databases]\n* = host=127.0.0.1 port=1\n[segue]\nlisten_port = 7\nlogfile = {log}\nlog_format = json\n")
    serving.process.send_signal(signal.SIGHUP)
    serving.read_to("reload: listen_port has changed, which takes effect at the next start")
    serving.read_to("reloaded")
    path.write_text("[segue]\nlog_fromat = text\n")
    serving.process.send_signal(signal.SIGHUP)
    serving.read_to("stays as it was")
    assert "did you mean" in serving.log and "log_format" in serving.log
    # Rotation: the old file is moved away, and HUP makes a new one.
    path.write_text(f"[databases]\n* = host=127.0.0.1 port=1\n[segue]\nlisten_port = 0\nlogfile = {log}\n")
    log.rename(tmp_path / "segue.log.1")
    serving.process.send_signal(signal.SIGHUP)
    serving.read_to("reloaded")
    assert serving.end(signal.SIGINT) == 0
    assert "stopped" in log.read_text()
    assert all(json.loads(line) for line in (tmp_path / "segue.log.1").read_text().splitlines())


def test_a_control_database_that_is_down_holds_nothing_up():
    serving = Serving("--listen", "127.0.0.1:0", *UPSTREAM, "--control", "host=127.0.0.1 port=1 dbname=shop user=x")
    assert "migration engine cannot start" in serving.log
    assert serving.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("arguments, what", [
    (["--listen", "::1", *UPSTREAM], "HOST:PORT"),
    (["--set", "workers"], "KEY=VALUE"),
    (["--set", "wrkers=2", *UPSTREAM], "did you mean"),
    ([], "no database"),
    (["--upstream", "nonsense"], "command line: --upstream"),
    (["stray", *UPSTREAM], "unexpected argument"),
    (["-c", "/nonexistent.ini"], "/nonexistent.ini"),
])
def test_bad_configuration(arguments, what):
    done = segue("serve", *arguments)
    assert done.returncode == 2 and what in done.stderr.decode()
