"""What differs between two passes, and the list of differences that are explained.

The list is a document: a heading `##` and prose for each reason, below it headings `### TEST: PHASE...`, and what it explains
there: hunks, as a diff without context has them, each as often as it occurs; or what is masked before they are taken, as a
regular expression, what takes its place, and how often it must be found."""

import collections
import itertools
import re
import subprocess
import tempfile
import zlib
from pathlib import Path

# (test, phase, hunk) -> how often.
Hunks = collections.Counter
MOST_LINES = 40
BLOCK = re.compile(r"^(#{2,3} [^\n]*\n|```(?:diff|mask)[^\n]*\n.*?^```$)", re.M | re.S)


def shortened(hunk):
    """Of a long run of lines: the first, the last, and a checksum of them all."""
    for sign, run in itertools.groupby(hunk, key=lambda line: line[0]):
        run = list(run)
        if len(run) > MOST_LINES:
            checksum = zlib.crc32("\n".join(run).encode())
            run = [run[0], f"{sign}... {len(run) - 2} lines, checksum of all {checksum:08x} ...", run[-1]]
        yield from run


def hunks_of(before, after):
    """The changed lines, each run of them one text. Blanks at the ends of lines, which editors take away, do not count
    in it; lines that differ in nothing else are still a hunk."""
    if before == after:
        return
    with tempfile.TemporaryDirectory() as directory:
        files = Path(directory) / "before", Path(directory) / "after"
        for file, text in zip(files, (before, after)):
            file.write_text(text, encoding="utf-8")
        done = subprocess.run(["diff", "-a", "-U0", *files], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode in (0, 1), done.stderr
    hunk = []
    for line in done.stdout.split("\n")[2:-1] + ["@@"]:
        if not line.startswith("@@"):
            hunk.append(line.rstrip())
        elif hunk:
            yield "\n".join(shortened(hunk))
            hunk = []


class Explained:
    """The list: hunks, and masks as (test, phase) -> [(expression, replacement, how often)]."""

    def __init__(self, document):
        self.hunks = Hunks()
        self.masks = collections.defaultdict(list)
        reason, prose, where = None, False, None
        for part in BLOCK.split(document):
            if part.startswith("## "):
                reason, prose, where = part[3:].strip(), False, None
            elif part.startswith("### "):
                test, phases = part[4:].strip().split(": ")
                where = [(test, phase) for phase in phases.split()]
            elif part.startswith("```"):
                assert reason and prose and where, f"without a reason or a test:\n{part}"
                self._add(where, part.split("\n")[0].removeprefix("```").split(), part.split("\n")[1:-1])
            elif where is None and part.strip():
                prose = True

    def _add(self, where, info, lines):
        for at in where:
            if info[0] == "diff":
                hunk = "\n".join(line.rstrip() for line in lines)
                self.hunks[(*at, hunk)] += int(info[1]) if len(info) > 1 else 1
            else:
                expression, replacement = lines
                self.masks[at].append((expression, replacement, int(info[1])))

    def phases(self):
        return {phase for _, phase, _ in self.hunks} | {phase for _, phase in self.masks}

    def compare(self, phase, direct, through):
        """What differs and is not listed, and what is listed and does not differ, both in the list's own format."""
        found = Hunks()
        for test, text in direct.items():
            other = through[test].replace(f", phase {phase})", ", phase PHASE)")
            for expression, replacement, count in self.masks[test, phase]:
                other, n = re.subn(expression, replacement, other, flags=re.M)
                if n != count:
                    found[test, phase, f"{n} times instead of {count}: {expression}"] += 1
            found.update((test, phase, hunk) for hunk in hunks_of(text, other))
        listed = Hunks({key: n for key, n in self.hunks.items() if key[1] == phase})
        return report(found - listed), report(listed - found)


def report(hunks):
    """In the list's own format, to be explained or taken out."""
    parts = []
    for test, phase in sorted({(test, phase) for test, phase, _ in hunks}):
        parts.append(f"### {test}: {phase}")
        for (t, p, hunk), n in hunks.items():
            if (t, p) == (test, phase):
                parts.append(f"```diff{f' {n} times' if n > 1 else ''}\n{hunk}\n```")
    return "\n".join(parts)
