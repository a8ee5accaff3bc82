"""Other projects' own tests, from Debian's source packages: fetched when they are first needed, kept in the user's cache and copied
to the build folder, never part of this repository."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Package(NamedTuple):
    name: str
    version: str  # the one wanted; where the mirrors have dropped it, what they have instead
    folders: dict  # what is kept: a name of ours, and where it is in the archive


# The list of explained differences was made with this version. Mirrors drop one when the next point release is out: whatever
# they have instead will do, and where it differs the list says so.
POSTGRESQL = Package("postgresql-15", "15.18-0+deb12u1", {
    "regress": "src/test/regress", "isolation": "src/test/isolation", "libpq_pipeline": "src/test/modules/libpq_pipeline"})
PGPOOL = Package("pgpool2", "4.3.5-1+deb12u1", {"pgproto": "src/test/regression/tests"})
ATTEMPTS, PAUSE_S, APT_TIMEOUT_S = 4, 5, 300


class NotAvailable(Exception):
    """The package could not be had; the text says what was tried."""


def deb_src(text, is_deb822):
    """The same places as the system's own packages come from, as sources; only Debian's."""
    if is_deb822:
        stanzas = [s for s in re.split(r"\n\s*\n", text) if re.search(r"^URIs:.*\bdebian", s, re.M)]
        return "\n\n".join(re.sub(r"^Types:.*$", "Types: deb-src", s, flags=re.M) for s in stanzas) + "\n"
    lines = [line for line in text.splitlines() if re.match(r"deb\s.*\bdebian", line)]
    return "\n".join(re.sub(r"^deb\s", "deb-src ", line) for line in lines) + "\n"


def write_sources(directory):
    directory.mkdir(parents=True, exist_ok=True)
    system = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in system:
        if file.suffix in {".list", ".sources"} and file.is_file():
            text = deb_src(file.read_text(encoding="utf-8"), file.suffix == ".sources")
            (directory / file.name).write_text(text, encoding="utf-8")


class Apt:
    """apt-get with lists of its own: what the system knows stays as it is, and no root is needed."""

    def __init__(self, directory):
        self.directory = directory
        write_sources(directory / "sources.d")
        (directory / "lists" / "partial").mkdir(parents=True)
        (directory / "cache" / "archives" / "partial").mkdir(parents=True)
        options = {"Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": directory / "sources.d",
                   "Dir::State::lists": directory / "lists", "Dir::Cache": directory / "cache",
                   "APT::Sandbox::User": "", "Acquire::Retries": "3"}
        self.options = [f"-o{key}={value}" for key, value in options.items()]

    def run(self, program, *arguments):
        done = subprocess.run([program, *self.options, *arguments], cwd=self.directory, stdin=subprocess.DEVNULL,
                              capture_output=True, encoding="utf-8", timeout=APT_TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise NotAvailable(f"{program} {' '.join(arguments)}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout

    def versions(self, package):
        """The one wanted first, then the others, as apt lists them."""
        known = re.findall(r"^Version: (\S+)$", self.run("apt-cache", "showsrc", package.name), re.M)
        return sorted(set(known), key=lambda v: (v != package.version, known.index(v)))

    def fetch(self, package):
        """The upstream tarball, verified by apt against Debian's signatures."""
        self.run("apt-get", "-q", "update")
        failures = []
        for version in self.versions(package):
            try:
                self.run("apt-get", "-q", "source", "--download-only", f"{package.name}={version}")
                return next(self.directory.glob("*.orig.tar.*"))
            except NotAvailable as failure:
                failures.append(str(failure))
        raise NotAvailable("\n".join(failures) or f"no source package {package.name} in the lists of Debian's mirrors")


def extract(tarball, package, destination):
    """Of the archive, the folders wanted, under their names of ours."""
    whole = destination / "whole"
    with tarfile.open(tarball) as archive:
        top = archive.next().name.split("/")[0]
        wanted = tuple(f"{top}/{path}/" for path in package.folders.values())
        archive.extractall(whole, members=[m for m in archive.getmembers() if m.name.startswith(wanted) and (m.isfile() or m.isdir())])
    kept = destination / "kept"
    kept.mkdir()
    for name, path in package.folders.items():
        os.rename(whole / top / path, kept / name)
    return kept


def fetch_with_patience(package, directory):
    for attempt in range(1, ATTEMPTS + 1):
        work = Path(tempfile.mkdtemp(dir=directory, prefix="apt-"))
        try:
            return extract(Apt(work).fetch(package), package, work), work
        except (NotAvailable, subprocess.TimeoutExpired) as failure:
            shutil.rmtree(work)
            if attempt == ATTEMPTS:
                raise NotAvailable(
                    f"The tests of {package.name} could not be fetched from Debian's mirrors, after {attempt} attempts. "
                    "This test needs the network once; what it fetches stays in the user's cache.\n" + str(failure)) from None
            time.sleep(PAUSE_S * attempt)
    raise AssertionError("not reached")


def put(folder, place):
    """A folder in its place, as a whole or not at all. Two runs at once may both do it; the first one's stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=place.parent, prefix="put-"))
    try:
        os.rename(shutil.copytree(folder, work / "copy"), place)
    except OSError:
        assert place.is_dir(), f"{place} cannot be made"
    shutil.rmtree(work)


def folder(package, name, build):
    """One of the package's folders. The network is needed once for a user, not for each build folder."""
    kept = build / f"{package.name}-suites"
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segue" / f"{package.name}-suites"
    if not kept.is_dir() and not cached.is_dir():
        build.mkdir(parents=True, exist_ok=True)
        found, work = fetch_with_patience(package, build)
        put(found, cached)
        shutil.rmtree(work)
    if not kept.is_dir():
        put(cached, kept)
    return kept / name
