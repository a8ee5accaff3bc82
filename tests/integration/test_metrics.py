"""The HTTP side: metrics that Prometheus can read and that are true, health that follows what happens, JSON of the console, and
logs as JSON."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import urllib.error
import urllib.request

import psycopg2
import pytest

import exposition
from certificates import Certificates
from cluster import HOST, die_with_parent, free_port
from proxy import BUILD, PATIENCE_S, ROOT
from waiting import until
from wire import Wire

CREATE = "CREATE MIGRATION m ON users RENAME COLUMN nickname TO username"


class Http:
    def __init__(self, port):
        self.port = port

    def get(self, path, method="GET", headers=None):
        request = urllib.request.Request(f"http://{HOST}:{self.port}{path}", method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read().decode()

    def families(self):
        status, headers, text = self.get("/metrics")
        assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return exposition.parse(text)

    def value(self, name, **labels):
        """The one sample whose labels include these; None when there is none."""
        family = self.families().get(name)
        found = [value for _, own, value in (family.samples if family else []) if labels.items() <= own.items()]
        assert len(found) <= 1, (name, labels, found)
        return found[0] if found else None

    def rows(self, name):
        status, headers, text = self.get(f"/api/{name}")
        assert status == 200 and headers["Content-Type"] == "application/json", text
        return json.loads(text)["rows"]


@pytest.fixture
def start_http(start_segue):
    def start(**arguments):
        port = free_port()
        options = arguments.pop("options", [])
        return start_segue(options=[*options, "--http", f"{HOST}:{port}"], **arguments), Http(port)
    return start


# ---- Metrics ----

def test_a_strict_parser_is_strict():
    good = '# HELP a_total Some.\n# TYPE a_total counter\na_total{x="1\\n\\"\\\\"} 2\n'
    assert exposition.parse(good)["a_total"].samples == [("a_total", {"x": '1\n"\\'}, 2.0)]
    histogram = ('# HELP h Some.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n')
    exposition.parse(histogram)
    for bad in [good[:-1], good + good, good.replace("a_total{", "b{"), good.replace(" 2\n", "\n"),
                good.replace(" counter", " thing"), good.replace("_total", ""), good.replace(" 2\n", " -2\n"),
                good + 'a_total{x="1\\n\\"\\\\"} 2\n', good.replace("\\n", "\\t"), good.replace('"}', '",}'),
                "a 1\n" + good, good.replace("# TYPE a_total counter\n", ""), histogram.replace(" 2\nh_sum", " 0\nh_sum"),
                histogram.replace('"+Inf"', '"2"'), histogram.replace("h_count 2", "h_count 1")]:
        with pytest.raises(exposition.BadExposition):
            exposition.parse(bad)


def test_every_family_is_documented(start_http, database, direct):
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text); INSERT INTO users VALUES (1, 'a')")
    segue, http = start_http(control=database)
    segue.console.run(CREATE)
    segue.console.start("m")
    families = http.families()
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    told = dict(line.split("`")[1::2][:1] + [line] for line in page.splitlines() if line.startswith(("| `segue_", "| `process_")))
    assert set(told) == set(families), set(told) ^ set(families)
    for name, line in told.items():
        assert f"| {families[name].type} |" in line, name


def test_numbers_move_with_what_is_done(start_http, database):
    segue, http = start_http(control=database)
    wire = Wire(segue.port, database)
    before = http.families()
    for _ in range(3):
        wire.query("SELECT 1")
    after = http.families()

    def gained(name, pick=lambda labels: True):
        total = lambda families: sum(v for n, labels, v in families[name].samples if n == name and pick(labels))
        return total(after) - total(before)

    of_database = lambda labels: labels["database"] == database
    assert gained("segue_queries_total") == gained("segue_transactions_total") == 3
    assert gained("segue_database_queries_total", of_database) == gained("segue_database_transactions_total", of_database) == 3
    assert gained("segue_logins_total") == 0 and gained("segue_client_received_bytes_total") == 3 * (5 + 9)
    assert gained("segue_plan_lookups_total") == 0, "no mapping: nobody looks"
    counted = lambda families, name: sum(v for n, _, v in families[name].samples if n == name + "_count")
    for name in ("segue_query_duration_seconds", "segue_phase_duration_seconds"):
        assert counted(after, name) - counted(before, name) == 3
    assert http.value("segue_clients", state="active") == http.value("segue_servers", state="active") == 1
    assert http.value("segue_pool_clients", database=database, user="postgres", state="active") == 1
    assert http.value("segue_workers") == http.value("segue_workers_answering") == 2
    ticks = int(open(f"/proc/{segue.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[19])
    booted = int(re.search(r"^btime (\d+)$", open("/proc/stat", encoding="ascii").read(), re.M).group(1))
    assert abs(http.value("process_start_time_seconds") - (booted + ticks / os.sysconf("SC_CLK_TCK"))) < 2
    assert http.value("segue_build_info") == 1
    wire.query("BEGIN")
    assert http.value("segue_clients_in_transaction") == 1
    wire.close()


def test_durations_are_where_they_belong(start_http, database, direct):
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text); INSERT INTO users VALUES (1, 'a')")
    segue, http = start_http(control=database)
    segue.console.run(CREATE)
    segue.console.start("m")
    wire = Wire(segue.port, database)
    slow = "UPDATE users SET nickname = 'b' WHERE id = 1 AND pg_sleep(0.3) IS NOT NULL"
    buckets = lambda phase: {labels["le"]: value for name, labels, value in
                             http.families()["segue_phase_duration_seconds"].samples
                             if name.endswith("_bucket") and labels["phase"] == phase}
    before = buckets("dual_write")
    assert wire.query(slow).error is None
    assert wire.query("SELECT 1").error is None
    after = buckets("dual_write")
    below = [le for le in after if le != "+Inf" and float(le) < 0.3]
    assert all(after[le] == before[le] for le in below) and after["+Inf"] == before["+Inf"] + 1
    assert buckets("none")["+Inf"] >= 1
    assert http.value("segue_rewritten_total") >= 1 and http.value("segue_plan_lookups_total", result="miss") >= 1
    wire.query("SELECT * FROM users FOR UPDATE OF nobody; CREATE RULE r AS ON INSERT TO users DO NOTHING")
    assert http.value("segue_refused_total") >= 1
    wire.close()


def test_a_migration_in_the_metrics(start_http, database, direct):
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text);"
                            "INSERT INTO users SELECT g, 'n' FROM generate_series(1, 500) g; ANALYZE users")
    segue, http = start_http(control=database)
    assert http.value("segue_control_connected") == 1 and http.value("segue_mappings") == 0
    assert 0 < http.value("segue_lease_remaining_seconds") <= http.value("segue_lease_seconds") == 10
    segue.console.run(CREATE)
    assert http.value("segue_migration_info", migration="m", phase="planned") == 1
    # Somebody's transaction holds up the barrier.
    holder = Wire(segue.port, database)
    holder.query("BEGIN")
    holder.query("INSERT INTO users VALUES (1000, 'x')")
    segue.console.run("START m")
    until(lambda: http.value("segue_barrier_holders", migration="m", holder="transaction"))
    holder.query("COMMIT")
    segue.console.wait("m", "verified")
    assert http.value("segue_migration_info", migration="m", phase="dual_write", state="verified") == 1
    assert http.value("segue_backfill_rows_done", migration="m") >= 500
    assert http.value("segue_barrier_holders", migration="m") is None and http.value("segue_mappings") == 1
    assert http.value("segue_barrier_epoch") == http.value("segue_barrier_acknowledged_epoch") > 0
    assert http.value("segue_control_coordinator") == 1 and http.value("segue_control_rows_read") == 1
    holder.close()


def test_names_cannot_break_the_format(start_http, cluster, database):
    name = 'a"b\\c\nd {} le="1" é'
    cluster.admin('DROP ROLE IF EXISTS "a""b\\c\nd {} le=""1"" é"', 'CREATE ROLE "a""b\\c\nd {} le=""1"" é" LOGIN')
    segue, http = start_http(control=database)
    wire = Wire(segue.port, database, user=name)
    assert http.value("segue_pool_clients", user=name, state="active") == 1
    assert [row["user"] for row in http.rows("clients") if row["user"] == name] == [name]
    wire.close()
    # Not UTF-8: replaced, and still readable for everybody.
    body = struct.pack("!i", 3 << 16) + b"user\0postgres\0database\0" + database.encode() + b"\0application_name\0x\xff\xc3y\0\0"
    with socket.create_connection((HOST, segue.port)) as raw:
        raw.sendall(struct.pack("!i", len(body) + 4) + body)
        until(lambda: [row for row in http.rows("clients") if row["application_name"].startswith("x")])
        assert http.families()


def test_tls_is_counted(start_http, database, tmp_path_factory):
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    segue, http = start_http(control=database, options=certificates.options("allow"))
    assert http.value("segue_tls_connections", side="client") == 0
    conn = psycopg2.connect(segue.conninfo().replace("disable", "require"))
    assert http.value("segue_tls_connections", side="client") == 1 and http.value("segue_tls_connections", side="server") == 0
    conn.close()


# ---- Health ----

def checks(http):
    status, _, text = http.get("/readyz")
    return status, {line.rsplit(" ", 1)[1]: not line.startswith("not") for line in text.splitlines()}


def test_readiness_follows_the_control_connection(start_http, cluster, database):
    segue, http = start_http(control=database, options=["--set", "lease_ms=4000"])
    until(lambda: checks(http) == (200, {"workers": True, "listening": True, "control": True, "lease": True}))
    assert http.get("/healthz")[0] == 200
    cluster.stop()
    try:
        until(lambda: checks(http)[0] == 503 and not checks(http)[1]["control"])
        until(lambda: not checks(http)[1]["lease"])
        assert http.get("/healthz")[0] == 200, "a database that is away is no reason to restart"
        assert http.value("segue_control_connected") == 0 and http.value("segue_lease_remaining_seconds") < 1.4
        assert http.value("segue_ready", check="control") == 0 and http.value("segue_ready", check="workers") == 1
        assert http.get("/api/migrations")[0] == 503 and http.get("/api/clients")[0] == 200
    finally:
        cluster.start()
    until(lambda: checks(http)[0] == 200)


def test_readiness_ends_with_the_drain(start_http, database):
    segue, http = start_http(control=database)
    wire = Wire(segue.port, database)
    wire.query("BEGIN")
    assert checks(http)[0] == 200
    segue.process.send_signal(signal.SIGTERM)
    until(lambda: checks(http) == (503, {"workers": True, "listening": False, "control": True, "lease": True}))
    assert http.get("/healthz")[0] == 200
    wire.query("COMMIT")
    wire.close()
    segue.process.wait(PATIENCE_S)


def test_a_plain_proxy_is_ready_without_control(start_http):
    segue, http = start_http()
    assert checks(http)[0] == 200
    families = http.families()
    assert families["segue_control_configured"].samples[0][2] == 0 and "segue_lease_seconds" not in families
    conn = segue.connect("postgres")
    assert [row["database"] for row in http.rows("clients")] == ["postgres"]
    status, _, text = http.get("/api/migrations")
    assert status == 503 and "plain proxy" in json.loads(text)["error"]["message"]
    conn.close()


# ---- JSON and the page ----

def test_the_api_is_the_console(start_http, database, direct):
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text)")
    segue, http = start_http(control=database)
    segue.console.run(CREATE)
    conn = segue.connect(application_name="somebody")
    row = next(row for row in http.rows("clients") if row["application_name"] == "somebody")
    assert row["type"] == "C" and isinstance(row["port"], int) and row["epoch"] is None and row["database"] == database
    for command in [row["command"] for row in segue.console.rows("SHOW HELP")]:
        words = command.split()
        if words[0] != "SHOW" or command == "SHOW MIGRATION migration":
            continue
        names = set(segue.console.rows(" ".join(words[:2]))[0]) if segue.console.rows(" ".join(words[:2])) else None
        rows = http.rows(words[1].lower())
        assert names is None or set(rows[0]) == names, command
    migration = http.rows("migrations")[0]
    assert migration["name"] == "m" and migration["rows_done"] == 0 and migration["detail"] is None
    assert any(row["item"] == "phase" and row["value"] == "planned" for row in http.rows("migration/m"))
    conn.close()


def test_nothing_can_be_changed_or_had_by_a_trick(start_http, database):
    segue, http = start_http(control=database)
    for path, status in {"/api/nothing": 404, "/api/": 404, "/api/clients;reload": 404, "/api/CLIENTS": 404,
                         '/api/migration/x"; RELOAD; --': 404, "/api/blockers/m": 501, "/nothing": 404, "/metrics/": 404,
                         "/../etc/passwd": 404, "/api/migration/" + "x" * 5000: 404}.items():
        assert http.get(urllib.request.quote(path))[0] == status, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, headers, _ = http.get("/metrics", method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"
    # A name that was made to point here (DNS rebinding) is not answered to; names that mean the loopback are.
    assert http.get("/api/clients", headers={"Host": f"attacker.example:{http.port}"})[0] == 403
    assert http.get("/api/clients", headers={"Host": "127.0.0.1.attacker.example"})[0] == 403
    for host in ("localhost", f"localhost:{http.port}", f"127.0.0.1:{http.port}", "[::1]:1"):
        assert http.get("/healthz", headers={"Host": host})[0] == 200
    status, headers, text = http.get("/")
    assert status == 200 and "/metrics" in text and "script" not in text and "not well" not in text
    assert headers["Cache-Control"] == "no-store"
    assert "reloaded" not in segue.log_text()


def test_a_port_that_is_taken_is_said(cluster):
    with socket.create_server((HOST, 0)) as taken:
        done = subprocess.run([str(BUILD / "segue"), "serve", "--listen", f"{HOST}:0", "--upstream", f"host={HOST}",
                               "--http", f"{HOST}:{taken.getsockname()[1]}"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "http_listen: cannot listen on" in done.stderr and "Address already in use" in done.stderr
    done = subprocess.run([str(BUILD / "segue"), "serve", "--listen", f"{HOST}:0", "--upstream", f"host={HOST}",
                           "--http", "nonsense:words:1"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "http_listen" in done.stderr


def test_slow_and_many_readers_hold_up_nobody(start_http, database):
    segue, http = start_http(control=database)
    idle = [socket.create_connection((HOST, http.port)) for _ in range(20)]
    for conn in idle:
        conn.sendall(b"GET /metrics HT")
    wire = Wire(segue.port, database)
    assert wire.query("SELECT 1").error is None and http.get("/healthz")[0] == 200
    for conn in idle:
        conn.close()
    wire.close()


# ---- Logs ----

def test_logs_as_json(cluster, database, direct, tmp_path):
    direct.cursor().execute("CREATE TABLE users (id int PRIMARY KEY, nickname text)")
    name = 'evil"\\ \n{"event":"ready"}'
    cluster.admin('DROP ROLE IF EXISTS "evil""\\ \n{""event"":""ready""}"', 'CREATE ROLE "evil""\\ \n{""event"":""ready""}" LOGIN')
    port = free_port()
    log = str(tmp_path / "segue.json")
    process = subprocess.Popen(
        [*die_with_parent(), str(BUILD / "segue"), "serve", "--listen", f"{HOST}:{port}", "--upstream",
         f"host={HOST} port={cluster.port}", "--control", cluster.conninfo(database), "--set", "log_format=json", "--set",
         f"logfile={log}"], stderr=subprocess.DEVNULL)
    try:
        lines = lambda: [json.loads(line) for line in open(log, encoding="utf-8")] if os.path.exists(log) else []
        find = lambda event, **fields: [line for line in lines() if line["event"] == event and fields.items() <= line.items()]
        ready = until(lambda: find("ready"))[0]
        assert ready["listen"] == f"{HOST}:{port}" and ready["level"] == "info" and ready["pid"] == process.pid
        wire = Wire(port, database, user=name, application_name="x\ny")
        login = find("login", user=name)[0]
        assert login["database"] == database and login["tls"] == "off" and login["client"].startswith(HOST)
        console = Wire(port, "segue")
        console.query(CREATE)
        console.query("START m")
        console.query("WAIT m FOR dual_write")
        assert wire.query("CREATE RULE r AS ON INSERT TO users DO NOTHING").error
        refused = until(lambda: find("refused"))[0]
        assert refused["user"] == name and refused["migration"] == "m" and refused["level"] == "warning"
        wire.close()
        logout = until(lambda: find("logout", id=login["id"]))[0]
        assert logout["session_ms"] >= 0 and len(find("ready")) == 1
        assert all(set(line) >= {"ts", "level", "pid", "event"} for line in lines())
        console.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def test_logins_need_not_be_logged(start_segue):
    segue = start_segue(options=["--set", "log_connections=0", "--set", "log_disconnections=0"])
    segue.connect("postgres").close()
    segue.stop()
    assert "login" not in segue.log_text() and "logout" not in segue.log_text()
