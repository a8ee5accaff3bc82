"""Runs cases on both sides and says what differs."""

import collections

from .sides import Sent, refusal, repaired, seen, sqlstates, state
from .shrink import show
from .world import MAPPED, TABLES

AT_ONCE = 16
# query_canceled: by statement_timeout. Which of two sessions takes longer says nothing.
TOO_LONG = "57014"


class Difference:
    """Where a case came out otherwise. kind: what a smaller case must show as well to be the same failure."""

    def __init__(self, kind, got, wanted):
        self.kind, self.got, self.wanted = kind, got, wanted


def compare(case, sent, answers, has_both):
    """The first difference between the two sides' answers; None."""
    (mapped, twin), (got, wanted) = sent, answers
    for i, step in enumerate(case.steps):
        is_same_text = mapped.texts[i] == twin.texts[i]
        ours = seen([got[n] for n in mapped.steps[i]], step, case.is_loose, is_same_text)
        theirs = seen([wanted[n] for n in twin.steps[i]], step, case.is_loose, is_same_text)
        if ours != theirs:
            for one, other in zip(ours + [("nothing", None)], theirs + [("nothing", None)]):
                if one != other:
                    errors = [x[1] for x in (one, other) if x[0] == "error"]
                    return Difference((one[0], other[0], *errors), one, other)
    one, other = state(got[mapped.state]), state(wanted[twin.state])
    if (one is None) != (other is None):
        return Difference(("transaction",), one, other)
    if one is not None:
        names = [t.relation for t in TABLES]
        for name, digest, right in zip(names, one, other):
            if digest != right:
                return Difference(("table", name), f"{name} holds something else", "")
        right = dict(zip(names, other))
        for table, digest in zip(MAPPED, one[len(TABLES):] if has_both else ()):
            if digest != right[table.relation]:
                return Difference(("new column", table.relation), f"the new columns of {table.relation} hold something else", "")
    return None


class Tally:
    """How many cases ran, and what became of them."""

    def __init__(self):
        self.cases = self.statements = self.valid = self.differences = 0
        self.errors, self.refused, self.refused_valid = collections.Counter(), collections.Counter(), 0
        self.kinds, self.examples = collections.Counter(), {}

    def add(self, case, refused, errors):
        self.cases += 1
        self.statements += len(case.steps)
        self.kinds[case.kind] += not errors
        self.valid += not errors
        self.errors.update(errors[:1])
        if refused is not None:
            self.refused[refused] += 1
            self.examples.setdefault(refused, show(case))
            self.refused_valid += not errors

    def merge(self, other):
        for name in ("cases", "statements", "valid", "refused_valid", "differences"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("errors", "refused", "kinds"):
            getattr(self, name).update(getattr(other, name))
        self.examples.update(other.examples)


class Oracle:
    """Two sessions that are asked the same."""

    def __init__(self, mapped, twin, has_both):
        self.sessions, self.has_both = (mapped, twin), has_both
        self.repaired = None

    def run(self, cases):
        """[(case, what was sent, the answers)] of cases that are sent together."""
        sent = [(Sent(case, False), Sent(case, True)) for case in cases]
        for side, session in enumerate(self.sessions):
            session.send(*[pair[side].bytes for pair in sent])
        answers = []
        for side, session in enumerate(self.sessions):
            flat = session.answers(sum(pair[side].answers for pair in sent))
            split, at = [], 0
            for pair in sent:
                split.append(flat[at:at + pair[side].answers])
                at += pair[side].answers
            answers.append(split)
        return [(case, pair, (answers[0][i], answers[1][i])) for i, (case, pair) in enumerate(zip(cases, sent))]

    def one(self, case):
        """The difference in a single case; None. A refusal is none."""
        (_, sent, answers), = self.run([case])
        return None if refusal(answers[0]) else self.difference(case, sent, answers)

    def difference(self, case, sent, answers):
        too_long = any(TOO_LONG in sqlstates(side) for side in answers)
        found = None if too_long else compare(case, sent, answers, self.has_both)
        counted = repaired(answers[0][sent[0].repaired])
        if found is None and self.repaired not in (None, counted):
            found = Difference(("repaired",), f"the guards had to write: {counted}", self.repaired)
        self.repaired = counted
        return found

    def check(self, generator, numbers, tally):
        """Runs cases by number; yields those that differ."""
        numbers = list(numbers)
        for at in range(0, len(numbers), AT_ONCE):
            batch = numbers[at:at + AT_ONCE]
            for number, (case, sent, answers) in zip(batch, self.run([generator.case(n) for n in batch])):
                refused = refusal(answers[0])
                tally.add(case, refused, sqlstates(answers[1][:-1]))
                if refused is None:
                    difference = self.difference(case, sent, answers)
                    if difference is not None:
                        tally.differences += 1
                        yield number, case, difference
