"""The house against its own rules, and the rules against what they must find."""

import subprocess
from pathlib import Path

import pytest

import rules

TOP = Path(__file__).resolve().parents[2]


def house_files():
    """What is, or is about to be, under version control."""
    listed = subprocess.run(["git", "-c", f"safe.directory={TOP}", "ls-files", "-co", "--exclude-standard", "-z"], cwd=TOP,
                            check=True, capture_output=True, text=True).stdout
    return sorted(file for file in set(listed.split("\0")) - {""} if (TOP / file).is_file())


def read(path):
    return (TOP / path).read_text(encoding="utf-8", errors="replace")


FILES = house_files()
TEXTS = [file for file in FILES if Path(file).suffix in rules.CODE | {".md", ".sql", ".txt", ""} and "/seeds/" not in file]


def assert_none(complaints):
    """Fails with all of them at once, a line each."""
    told = list(complaints)
    if told:
        pytest.fail("\n".join(told), pytrace=False)


@pytest.mark.parametrize("rule", rules.PER_FILE, ids=lambda rule: rule.__name__)
def test_every_file(rule):
    assert_none(complaint for file in TEXTS for complaint in rule(file, read(file)))


def test_links_between_documents():
    assert_none(complaint for file in TEXTS for complaint in rules.links(file, read(file), FILES))


def test_readmes():
    assert_none(rules.readmes(FILES, read))


HEADER = "/* a noun */\n#ifndef SEGUE_X_H\n#define SEGUE_X_H\n#endif\n"
LONG_FUNCTION = "static int f(int a) {\n" + "    a++;\n" * 90 + "}\n"


@pytest.mark.parametrize("rule, path, bad, good", [
    (rules.lines, "proxy/a.c", "\n" * 601, "\n" * 600),
    (rules.lines, "tests/a.py", "x" * 141 + "\n", "x" * 140 + "\n"),
    (rules.lines, "proxy/a.c", "x \n", "x\n"),
    (rules.left_open, "a.md", "// TO" + "DO: later\n", "// done\n"),
    (rules.functions, "proxy/a.c", LONG_FUNCTION, LONG_FUNCTION.replace("    a++;\n" * 20, "")),
    (rules.names, "proxy/a.c", "int open_it(void) {\n}\n", "int sg_open_it(void) {\n}\nstatic int f(void) {\n}\n"),
    (rules.names, "proxy/BadName.c", "", None),
    (rules.guards, "proxy/a.h", HEADER.replace("SEGUE_", ""), HEADER),
    (rules.guards, "proxy/a.h", HEADER.split("\n", 1)[1], HEADER),
    (rules.purity, "protocol/a.c", '#include "segue/catalog.h"\n', '#include "segue/protocol.h"\n'),
    (rules.purity, "rewrite/a.c", "#include <uv.h>\n", '#include "rewrite/b.h"\n'),
])
def test_a_rule_finds_what_it_is_for(rule, path, bad, good):
    assert list(rule(path, bad))
    if good is not None:
        assert not list(rule(path, good))


def test_the_readme_rule_finds_what_it_is_for():
    files = ["a/README.md", "a/one.c", "a/two.c", "a/data/x.bin", "a/data/more/y.bin", "b/lonely.c"]
    text = "| `one.c` | first |\n| `gone.c` | was here |\n| `data/` | bytes |\n"
    found = list(rules.readmes(files, {"a/README.md": text}.get))
    assert found == ["a/README.md: does not list two.c", "a/README.md: lists gone.c, which is not there",
                     "b: no README.md, and the one above does not tell of it"]


def test_the_link_rule_finds_what_it_is_for():
    files = ["README.md", "docs/a.md"]
    assert list(rules.links("docs/a.md", "[up](../README.md) [here](a.md#part) [away](https://example.org)", files)) == []
    assert list(rules.links("docs/a.md", "[gone](b.md)", files))
