"""What docs/protocol.md must say: every number, and of tests only those that there are."""

import re

NUMBERS = range(1, 56)
TEST = re.compile(r"`([\w/.]+?)(?:::(\w+))?`")


def rows(document):
    """(first cell, names of tests) of each row."""
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.split(" | ")] if line.startswith("| ") else []
        if len(cells) == 4 and cells[1] != "case":
            yield cells[0].lstrip("| "), TEST.findall(cells[3])


def file_of(name):
    return f"tests/{name}" if "/" in name else f"tests/integration/test_{name}.py"


def is_there(test, text):
    """A function of Python, or a test of Criterion."""
    return re.search(rf"^def {test}\(|^(?:Parameterized)?Test\(\w+, {test}[,)]", text, re.M) is not None


def complaints(document, files, read):
    seen = {}
    for case, tests in rows(document):
        seen[case] = seen.get(case, 0) + 1
        if not tests:
            yield f"{case}: no test"
        for name, test in tests:
            file = file_of(name)
            if file not in files:
                yield f"{case}: {file} is not there"
            elif test and not is_there(test, read(file)):
                yield f"{case}: no {test} in {file}"
    for number in NUMBERS:
        if seen.get(str(number)) != 1:
            yield f"{number}: {seen.get(str(number), 0)} rows"


def unlisted(document, files, read):
    """Tests that are named after a number, or after security, and are not in the row of that number."""
    listed = {(file_of(name), test): set() for _, tests in rows(document) for name, test in tests}
    for case, tests in rows(document):
        for name, test in tests:
            listed[file_of(name), test].add(case)
    for file in files:
        if not re.fullmatch(r"tests/integration/test_\w+\.py", file):
            continue
        for test in re.findall(r"^def (test_(?:p\d\d|sec)_\w+)\(", read(file), re.M):
            cases = listed.get((file, test), set())
            wanted = {str(int(number)) for number in re.findall(r"(?<=_p)\d\d(?=_)", test)}
            if not (cases & wanted if wanted else cases):
                yield f"{file}: {test} is not in docs/protocol.md under {sorted(wanted) or 'security'}"
