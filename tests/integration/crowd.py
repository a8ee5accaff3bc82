"""segue between many clients that cost little and a server that does, and how much memory it takes meanwhile."""

import contextlib
import re
import resource
import subprocess
from pathlib import Path

from cluster import die_with_parent
from proxy import BUILD, PATIENCE_S

CROWD = BUILD / "segue-crowd"


def descriptors():
    """How many sessions a process may have: two descriptors each."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // 2


@contextlib.contextmanager
def running(*arguments):
    """The process, and the first line it says."""
    with subprocess.Popen([*die_with_parent(), str(CROWD), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, encoding="ascii") as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextlib.contextmanager
def stub(certificate=None):
    """The server: its port."""
    arguments = ["--key", certificate[0], "--cert", certificate[1]] if certificate else []
    with running("stub", *map(str, arguments)) as line:
        yield int(line.removeprefix("port "))


def reach(segue, tls):
    return ["--port", str(segue.port), "--database", segue.control or "shop", *(["--tls"] if tls else [])]


@contextlib.contextmanager
def crowd(segue, clients, tls=False):
    """So many clients that have logged in, worked a little, and sit."""
    with running("sit", *reach(segue, tls), "--clients", str(clients)) as line:
        assert line == f"seated {clients}"
        yield


def move(segue, task, count, tls=False):
    """One client moves so many bytes: copy-in, copy-out, bind, row."""
    done = subprocess.run([str(CROWD), task, *reach(segue, tls), "--bytes", str(count)], stdout=subprocess.PIPE,
                          encoding="ascii", timeout=PATIENCE_S * 4, check=True)
    assert done.stdout == "done\n"


def growth_kb(segue, work):
    """By how much the process grew at most while work() ran."""
    before = segue.memory_kb()
    process = Path(f"/proc/{segue.process.pid}")
    (process / "clear_refs").write_text("5", encoding="ascii")  # VmHWM begins anew
    work()
    return int(re.search(r"VmHWM:\s+(\d+)", (process / "status").read_text(encoding="ascii")).group(1)) - before
