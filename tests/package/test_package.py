"""The Debian package: made, installed, started as its unit says, upgraded, removed, purged."""

import os
import re
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import HOST, Cluster, free_port  # noqa: E402
from overlay import NotPossible, Overlay  # noqa: E402
from proxy import psql  # noqa: E402

BUILD = Path(os.environ["SEGUE_BUILD_DIR"])
INSIDE = "/tmp/segue.deb"
INI = "/etc/segue/segue.ini"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def deb(tmp_path_factory):
    where = tmp_path_factory.mktemp("deb")
    done = subprocess.run(["cpack", "--config", str(BUILD / "CPackConfig.cmake"), "-B", str(where)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = where.glob("*.deb")
    return made


@pytest.fixture
def machine(deb):
    try:
        overlay = Overlay()
    except NotPossible as why:
        pytest.skip(f"no overlay of this machine: {why}")
    overlay.put(deb, INSIDE)
    yield overlay
    overlay.destroy()


@pytest.fixture
def installed(machine):
    machine.run("dpkg", "-i", INSIDE)
    return machine


def what_is_left(machine):
    found = machine.run("find", "/etc", "/usr/bin", "/usr/share", "/lib", "/var/lib/systemd", "/var/log", "/run", "-xdev",
                        "-path", "*segue*").splitlines()
    return found


def unit(machine):
    """The unit's settings; the last of a key, as systemd reads those that are no lists."""
    text = machine.run("cat", "/lib/systemd/system/segue.service")
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"^\w+=", line))


def test_the_package_names_what_it_needs(deb):
    fields = subprocess.run(["dpkg-deb", "--field", str(deb), "Depends"], capture_output=True, text=True,
                            check=True).stdout
    for library in ("libc6", "libpq5", "libssl3", "libuv1", "libpg-query", "libinih1", "adduser"):
        assert library in fields, fields


def test_installs_for_a_user_of_its_own(installed):
    assert "install ok installed" in installed.run("dpkg-query", "-W", "-f=${Status}", "segue")
    assert installed.run("stat", "-c", "%a %U:%G", INI).strip() == "640 root:segue"
    assert installed.run("stat", "-c", "%a %U:%G", "/etc/segue").strip() == "750 root:segue"
    assert installed.run("segue", "--version").startswith("segue ")
    assert "good" in installed.run("runuser", "-u", "segue", "--", "segue", "check", "-c", INI)
    assert installed.run("runuser", "-u", "nobody", "--", "cat", INI, check=False).returncode != 0
    # Enabled, so that the next boot starts it.
    installed.run("test", "-L", "/etc/systemd/system/multi-user.target.wants/segue.service")


def test_the_unit_is_sound_and_hardened(installed):
    if installed.run("which", "systemd-analyze", check=False).returncode != 0:
        pytest.skip("no systemd-analyze here")
    said = installed.run("systemd-analyze", "--man=no", "verify", "/lib/systemd/system/segue.service",
                         "/lib/systemd/system/segue.socket", check=False)
    about_us = [line for line in said.stderr.splitlines() if "segue" in line]
    assert not about_us, about_us
    judged = installed.run("systemd-analyze", "security", "--offline=true", "--no-pager",
                           "/lib/systemd/system/segue.service")
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)[1])
    assert exposure <= 2.0, judged


class Notifications:
    """systemd's end of sd_notify: a datagram socket, at a path that both sides of the overlay see."""

    def __init__(self):
        self.name = f"\0segue-package-{os.getpid()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name)

    def wait_for(self, wanted):
        seen, end = "", time.monotonic() + PATIENCE_S
        while wanted not in seen.split("\n"):
            ready, _, _ = select.select([self.socket], [], [], max(0, end - time.monotonic()))
            assert ready, f"{wanted} never came; so far: {seen!r}"
            seen += self.socket.recv(4096).decode() + "\n"


def test_starts_reloads_and_stops_as_the_unit_says(installed):
    cluster = Cluster()
    try:
        port = free_port()
        installed.run("sed", "-i", f"s/port=5432/port={cluster.port}/; s/^listen_port.*/listen_port = {port}/", INI)
        installed.run("install", "-d", "-o", "segue", "/run/segue")
        systemd = Notifications()
        command = installed.command("setpriv", "--reuid=segue", "--regid=segue", "--init-groups", "--pdeathsig", "KILL",
                                    "env", f"NOTIFY_SOCKET=@{systemd.name[1:]}", *unit(installed)["ExecStart"].split())
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            systemd.wait_for("READY=1")
            conninfo = f"host={HOST} port={port} user=postgres dbname=postgres sslmode=disable"
            assert psql(conninfo, "-At", "-c", "SELECT 1").strip() == "1"
            installed.run("test", "-S", f"/run/segue/.s.PGSQL.{port}")
            inner = installed.run("pgrep", "-x", "segue").split()[0]
            installed.run("kill", "-HUP", inner)
            systemd.wait_for("RELOADING=1")
            systemd.wait_for("READY=1")
            installed.run("kill", "-TERM", inner)
            systemd.wait_for("STOPPING=1")
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
    finally:
        cluster.destroy()


def test_an_upgrade_keeps_what_the_administrator_wrote(installed):
    installed.run("sed", "-i", "s/^listen_port.*/listen_port = 7000/", INI)
    installed.run("chmod", "0600", INI)
    installed.run("chown", "segue", INI)
    installed.run("dpkg", "-i", INSIDE)
    assert "listen_port = 7000" in installed.run("cat", INI)
    assert installed.run("stat", "-c", "%a %U", INI).strip() == "600 segue"


def test_remove_keeps_the_configuration_and_purge_leaves_nothing(installed):
    installed.run("dpkg", "-r", "segue")
    assert installed.run("test", "-e", "/usr/bin/segue", check=False).returncode != 0
    assert installed.run("test", "-e", "/lib/systemd/system/segue.service", check=False).returncode != 0
    installed.run("test", "-f", INI)
    installed.run("install", "-d", "/var/log/segue")
    installed.run("dpkg", "-P", "segue")
    assert what_is_left(installed) == []
    assert installed.run("getent", "passwd", "segue", check=False).returncode != 0
    # And again from nothing.
    installed.run("dpkg", "-i", INSIDE)
    installed.run("segue", "check", "-c", INI)
