"""A strict reader of Prometheus' text format 0.0.4: what it does not understand, or what the format's documentation forbids,
raises. Stricter than promtool where it is easy: every family has HELP and TYPE, once, and all its samples together."""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


class BadExposition(Exception):
    pass


def need(good, line, why):
    if not good:
        raise BadExposition(f"{why}: {line!r}")


def labels_at(line, at):
    """{name="value",...} from the brace on; the labels and where they end."""
    labels = {}
    at += 1
    while line[at] != "}":
        name = LABEL_NAME.match(line, at)
        need(name and not name.group().startswith("__"), line, "label name")
        at = name.end()
        need(line[at:at + 2] == '="', line, "label without a value")
        at += 2
        value = ""
        while line[at] != '"':
            if line[at] == "\\":
                need(line[at + 1] in ESCAPES, line, "escape")
                value += ESCAPES[line[at + 1]]
                at += 2
            else:
                value += line[at]
                at += 1
        need(name.group() not in labels, line, "label twice")
        labels[name.group()] = value
        at += 1
        need(line[at] in ",}", line, "after a label")
        if line[at] == ",":
            at += 1
            need(line[at] != "}", line, "comma before the brace")
    return labels, at + 1


def sample(line):
    name = NAME.match(line)
    need(name, line, "sample")
    labels, at = labels_at(line, name.end()) if line[name.end():name.end() + 1] == "{" else ({}, name.end())
    need(re.fullmatch(r" [+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf|NaN)", line[at:]), line, "value")
    return name.group(), labels, float(line[at:])


class Family:
    def __init__(self, name, help_text):
        self.name, self.help, self.type, self.samples = name, help_text, None, []

    def suffixes(self):
        return {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}.get(self.type, ("",))

    def add(self, line):
        name, labels, value = sample(line)
        need(name[:len(self.name)] == self.name and name[len(self.name):] in self.suffixes(), line, "of another family")
        key = (name, tuple(sorted(labels.items())))
        need(key not in [(n, tuple(sorted(l.items()))) for n, l, _ in self.samples], line, "sample twice")
        self.samples.append((name, labels, value))

    def check(self):
        need(self.type, self.name, "family without TYPE")
        need(self.help, self.name, "family without HELP")
        if self.type == "counter":
            need(self.name.endswith("_total"), self.name, "counter without _total")
            need(all(value >= 0 and not math.isnan(value) for _, _, value in self.samples), self.name, "negative counter")
        else:
            need(not self.name.endswith("_total"), self.name, "_total, and no counter")
        if self.type == "histogram":
            self.check_histogram()

    def check_histogram(self):
        series = {}
        for name, labels, value in self.samples:
            rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
            series.setdefault(rest, []).append((name[len(self.name):], labels.get("le"), value))
        for rest, samples in series.items():
            buckets = [(float(le.replace("+Inf", "inf")), value) for suffix, le, value in samples if suffix == "_bucket"]
            need([suffix for suffix, _, _ in samples] == ["_bucket"] * len(buckets) + ["_sum", "_count"], rest, "order")
            need([b for b, _ in buckets] == sorted({b for b, _ in buckets}), rest, "bounds")
            need([v for _, v in buckets] == sorted(v for _, v in buckets), rest, "buckets are cumulative")
            need(buckets[-1][0] == math.inf, rest, "no +Inf")
            need(buckets[-1][1] == samples[-1][2], rest, "+Inf is the count")


def parse(text):
    """Families by name."""
    need(text.endswith("\n"), text[-40:], "no newline at the end")
    need("\r" not in text, "", "carriage return")
    families, family = {}, None
    for line in text[:-1].split("\n"):
        words = line.split(" ", 3)
        if line.startswith("# HELP "):
            need(NAME.fullmatch(words[2]) and words[2] not in families, line, "family twice")
            need(not re.search(r"\\(?![\\n])", words[3]), line, "escape in HELP")
            family = families[words[2]] = Family(words[2], words[3])
        elif line.startswith("# TYPE "):
            need(family and family.name == words[2] and not family.type and not family.samples, line, "TYPE")
            need(words[3] in TYPES, line, "type")
            family.type = words[3]
        else:
            need(line and not line.startswith("#"), line, "neither comment nor sample")
            need(family, line, "sample before any family")
            family.add(line)
    for family in families.values():
        family.check()
    return families
