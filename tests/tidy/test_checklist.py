"""docs/protocol.md against the tests, and the rule against what it must find."""

import checklist
from test_tidy import FILES, assert_none, read

PATH = "docs/protocol.md"


def test_every_case_has_its_tests():
    assert_none(checklist.complaints(read(PATH), set(FILES), read))


def test_every_test_with_a_number_is_listed():
    assert_none(checklist.unlisted(read(PATH), FILES, read))


def test_the_rule_finds_what_it_is_for():
    files = {"tests/integration/test_a.py": "def test_p01_x():\n    pass\ndef test_sec_y():\n    pass\n", "tests/u/c.c": "Test(s, z) {\n"}
    good = "".join(f"| {n} | it | does | `a::test_p01_x`, `u/c.c::z` |\n" for n in checklist.NUMBERS)
    row = "| {} | it | does | {} |\n".format
    assert not list(checklist.complaints(good, files, files.get))
    for bad, says in [(row(1, "`a::gone`"), "no gone"), (row(2, "`gone::x`"), "is not there"), (row(3, "none"), "no test"),
                      (row(4, "`u/c.c::a`"), "no a in"), ("", "2 rows")]:
        assert any(says in found for found in checklist.complaints(good + (bad or row(1, "`a::test_p01_x`")), files, files.get)), bad
    assert list(checklist.complaints("", files, files.get)) == [f"{n}: 0 rows" for n in checklist.NUMBERS]
    told = list(checklist.unlisted(row(2, "`a::test_p01_x`"), files, files.get))
    assert len(told) == 2 and "['1']" in told[0] and "security" in told[1]
    assert len(list(checklist.unlisted(good, files, files.get))) == 1
