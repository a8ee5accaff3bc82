"""The rules of the house that a program can check. Each rule takes a file's path (relative to the top) and text, or the list
of all files, and yields complaints as text."""

import fnmatch
import re
from pathlib import PurePosixPath

MOST_LINES = 600
MOST_FUNCTION_LINES = 80
MOST_COLUMNS = 140

CODE = {".c", ".h", ".py", ".js", ".cmake"}
LEFT_OPEN = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
# A definition in this house's format: something at the left edge that ends in `{`, up to the `}` at the left edge.
C_BLOCK = re.compile(r"^(?P<head>[A-Za-z_][^\n;={}#]*\([^;{}]*\)) \{\n(?P<body>.*?)^\}", re.M | re.S)
# Criterion and libFuzzer give these names.
FOREIGN_NAMES = {"main", "LLVMFuzzerTestOneInput", "LLVMFuzzerInitialize"}


def lines(path, text):
    """No file longer than a person reads in one go, no line wider than the editor. C's width is clang-format's business."""
    count = text.count("\n")
    if PurePosixPath(path).suffix in CODE:
        if count > MOST_LINES:
            yield f"{path}: {count} lines, at most {MOST_LINES}"
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > MOST_COLUMNS and PurePosixPath(path).suffix not in {".c", ".h"}:
                yield f"{path}:{number}: {len(line)} columns, at most {MOST_COLUMNS}"
            if line != line.rstrip() or "\t" in line:
                yield f"{path}:{number}: blank at the end of the line, or a tab"


def left_open(path, text):
    """What is to be done belongs to an issue, not to the code."""
    for number, line in enumerate(text.splitlines(), 1):
        if LEFT_OPEN.search(line):
            yield f"{path}:{number}: left open: {line.strip()}"


def functions(path, text):
    """A function fits a screen."""
    if PurePosixPath(path).suffix != ".c":
        return
    for block in C_BLOCK.finditer(text):
        size = block["body"].count("\n") + 2
        if size > MOST_FUNCTION_LINES:
            name = re.search(r"(\w+)\s*\(", block["head"])
            yield f"{path}: {name[1] if name else block['head']}: {size} lines, at most {MOST_FUNCTION_LINES}"


def names(path, text):
    """What other files can see is called sg_...; files are called by a noun in small letters."""
    name = PurePosixPath(path).name
    if PurePosixPath(path).suffix not in {".c", ".h"}:
        return
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[ch]", name):
        yield f"{path}: files are named in small letters"
    if not path.startswith(("protocol/", "rewrite/", "proxy/")):
        return
    for block in C_BLOCK.finditer(text):
        head = block["head"]
        found = re.search(r"(\w+)\s*\(", head)
        if found and not head.startswith("static ") and "\n" not in head[:found.start()] \
                and not found[1].startswith("sg_") and found[1] not in FOREIGN_NAMES:
            yield f"{path}: {found[1]} is visible to others and is not called sg_..."


def guards(path, text):
    """Headers can be included twice, and say of themselves what they are."""
    if PurePosixPath(path).suffix != ".h":
        return
    if not re.search(r"^#ifndef (SEGUE_\w+_H)\n#define \1\n", text, re.M):
        yield f"{path}: no include guard SEGUE_..._H"
    if not text.startswith("/*"):
        yield f"{path}: does not begin by saying what it is"


def purity(path, text):
    """protocol and rewrite do no I/O and do not know each other; neither knows the proxy."""
    room = path.split("/")[0]
    if room not in {"protocol", "rewrite"} or PurePosixPath(path).suffix not in {".c", ".h"}:
        return
    forbidden = {"protocol": r"segue/(rewrite|catalog)\.h|rewrite/|proxy/",
                 "rewrite": r"segue/protocol\.h|protocol/|proxy/"}[room]
    forbidden += r"|uv\.h|libpq-fe\.h|openssl/.*|unistd\.h|sys/socket\.h|pthread\.h|time\.h"
    for included in re.findall(r'^#include [<"]([^>"]+)[>"]', text, re.M):
        if re.match(f"({forbidden})", included):
            yield f"{path}: includes {included}"


def links(path, text, files):
    """Links between the documents lead somewhere."""
    if not path.endswith(".md"):
        return
    known = set(files) | {str(parent) for file in files for parent in PurePosixPath(file).parents}
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        parts = []
        for part in (PurePosixPath(path).parent / target).parts:
            if part == "..":
                if parts:
                    parts.pop()
            else:
                parts.append(part)
        if "/".join(parts) not in known and "/".join(parts) != "":
            yield f"{path}: leads to {target}, which is not there"


def listed_names(readme):
    """The names in backticks: a file, a folder with its slash, or a pattern such as `*.md`."""
    return [name for line in readme.splitlines() if line.startswith(("|", "-", "*"))
            for name in re.findall(r"`([^`\s]+)`", line)]


def claimed_names(readme):
    """The files and folders that the first columns of its tables say are here; other things in backticks are no claim."""
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("|") and line.count("|") > 2]
    return [name for cell in rows for name in re.findall(r"`([\w.*\[\]-]+(?:\.\w+|\.\[ch\]|/))`", cell)]


def is_listed(name, listed):
    """By itself, by a pattern, without its suffix, or, a folder, by what is in it."""
    return any(fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, pattern + ".*")
               or (name.endswith("/") and pattern.startswith(name)) for pattern in listed)


def tree(files):
    """Each directory with the names in it; folders end in a slash."""
    directories = {}
    for file in files:
        path = PurePosixPath(file)
        directories.setdefault(str(path.parent), set()).add(path.name)
        for parent in path.parents[:-1]:
            directories.setdefault(str(parent.parent), set()).add(parent.name + "/")
    return {name: here for name, here in sorted(directories.items())
            if name != "." and not any(part.startswith(".") for part in PurePosixPath(name).parts)}


def readmes(files, read):
    """Every directory has a README that lists each of its files, and lists none that is not there. Folders of data are told of
    in the folder above; build files speak for themselves."""
    directories, told = tree(files), set()
    for directory, here in directories.items():
        if directory in told or str(PurePosixPath(directory).parent) in told:
            told.add(directory)
            continue
        if "README.md" not in here:
            yield f"{directory}: no README.md, and the one above does not tell of it"
            continue
        text = read(f"{directory}/README.md")
        listed = listed_names(text)
        for name in sorted(here - {"README.md", "CMakeLists.txt"}):
            if not is_listed(name, listed):
                yield f"{directory}/README.md: does not list {name}"
            elif name.endswith("/") and "README.md" not in directories.get(f"{directory}/{name[:-1]}", {"README.md"}):
                told.add(f"{directory}/{name[:-1]}")
        for pattern in claimed_names(text):
            if not any(fnmatch.fnmatchcase(name, pattern) for name in here):
                yield f"{directory}/README.md: lists {pattern}, which is not there"


PER_FILE = [lines, left_open, functions, names, guards, purity]
