"""Servers of other majors than Debian's: packages of binaries from npm, at the versions of the lock file. Fetched when they are
first needed, kept in the user's cache, never part of this repository."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MAJORS = (13, 14, 16, 17, 18)
INPUTS = ("package.json", "package-lock.json", ".npmrc")


def symlinks(package):
    """The archive cannot hold them: a list of them does, and the package's install script would make them."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text(encoding="utf-8")):
        source, target = package / link["source"], package / link["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(source, target.parent))


def fetch(place):
    """As a whole or not at all."""
    with tempfile.TemporaryDirectory(dir=place.parent) as directory:
        work = Path(directory) / "work"
        work.mkdir()
        for name in INPUTS:
            shutil.copy(HERE / name, work)
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=work, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
        for major in MAJORS:
            symlinks(work / "node_modules" / f"server-{major}")
        os.rename(work, place)


def cached():
    """The folder of all packages, by what the lock file says."""
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in INPUTS)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segue"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"servers-{digest}"
    # Two test files may want them at once.
    with open(cache / "servers.lock", "wb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not place.is_dir():
            fetch(place)
    return place


def link_or_copy(source, target):
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


class Release:
    """A server's programs and its libpq, where the server's account may read them: not in the user's home."""

    def __init__(self, major):
        self.major = major
        self.dir = Path(tempfile.mkdtemp(prefix=f"segue-server-{major}-"))
        os.chmod(self.dir, 0o755)
        native = cached() / "node_modules" / f"server-{major}" / "native"
        shutil.copytree(native, self.dir / "native", symlinks=True, copy_function=link_or_copy)

    @property
    def programs(self):
        """initdb, pg_ctl and postgres; nothing else comes with it."""
        return self.dir / "native" / "bin"

    @property
    def libraries(self):
        """In LD_LIBRARY_PATH, Debian's psql and psycopg2 use this release's libpq."""
        return self.dir / "native" / "lib"

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
