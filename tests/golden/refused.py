#!/usr/bin/env python3
"""How many valid statements on a mapped table are refused, and why.

What golden_test holds the rewriter to is counted, a statement once however many phases refuse it; one that PostgreSQL itself
would not take (the refusal has an SQLSTATE of PostgreSQL's) is left out, and so is one that is untouched in every phase. The
recorded statements of applications (orm_*.md) are the measure: fewer than 1 in 100. The other files go looking for what is
refused, and are shown for comparison.

usage: refused.py
"""

import sys
from collections import Counter
from pathlib import Path

from cases import PHASES, read

HERE = Path(__file__).resolve().parent
MOST_PERCENT = 1.0


def is_valid(case):
    codes = {text.split(":")[0] for text in case.refused.values()}
    return not any(len(code) == 5 and code.isalnum() and code != "0A000" for code in codes)


def is_concerned(case):
    return any(case.expected[phase] != case.sql for phase in PHASES)


def count(paths):
    """(statements, reasons of the refused ones)"""
    statements, reasons = 0, Counter()
    for path in paths:
        for case in filter(is_concerned, filter(is_valid, read(path).cases)):
            statements += 1
            if case.refused:
                reasons[next(iter(case.refused.values())).removeprefix("0A000: ")] += 1
    return statements, reasons


def show(title, statements, reasons):
    refused = sum(reasons.values())
    print(f"{title}: {statements} statements, {refused} refused, {100 * refused / statements:.2f} %")
    for reason, number in reasons.most_common():
        print(f"    {number:4} {reason}")
    return 100 * refused / statements


def main():
    recorded = sorted(HERE.glob("orm_*.md"))
    written = [p for p in sorted(HERE.glob("*.md")) if p not in recorded and p.name != "README.md"]
    show("written to find what is refused", *count(written))
    return 0 if show("recorded from applications", *count(recorded)) < MOST_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
