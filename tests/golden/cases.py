"""Reads golden files (format: README.md) for execute.py. golden_test.c checks the format; this one trusts it."""

import re
from dataclasses import dataclass, field, replace

PHASES = ("planned", "dual_write", "read_new", "new_only")
_NAME = r'(?:"(?:[^"]|"")*"|[^". ]+)'


def unquote(name):
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def quote(name):
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Mapping:
    schema: str
    table: str
    old: str
    new: str
    definition: str = ""  # of the old column: type and constraints
    shape: list = field(default_factory=list)

    @property
    def relation(self):
        return f"{quote(self.schema)}.{quote(self.table)}"

    @property
    def bare(self):
        """The definition without its default."""
        return self.definition.split("DEFAULT ")[0]

    @property
    def default(self):
        return self.definition.partition("DEFAULT ")[2]

    @property
    def stale(self):
        """What the new column holds in a row that the backfill has not reached."""
        return "NULL" if self.default_is_volatile or not self.default else self.default

    @property
    def default_is_volatile(self):
        """In these files: it calls something."""
        return "(" in self.default


@dataclass
class Case:
    title: str
    line: int = 0
    sql: str = None
    expected: dict = field(default_factory=dict)  # phase -> text; None for a refusal
    refused: dict = field(default_factory=dict)  # phase -> what the refusal says
    oracle: str = None
    setup: str = None
    then: str = None
    parameters: list = None
    options: dict = field(default_factory=dict)


@dataclass
class File:
    path: str
    schema: str = ""
    rows: str = ""
    mappings: list = field(default_factory=list)
    cases: list = field(default_factory=list)
    columns: dict = field(default_factory=dict)  # (schema, table) -> names, in order
    parents: dict = field(default_factory=dict)  # of partitions and inheritance children: (schema, table) -> the same

    def mapped_tables(self):
        """Relation -> its mappings; a partition or child has its parent's, with columns of its own."""
        tables = {}
        for name, columns in self.columns.items():
            above = name
            while above:
                for mapping in self.mappings:
                    if (mapping.schema, mapping.table) == above:
                        here = replace(mapping, schema=name[0], table=name[1], shape=columns)
                        tables.setdefault(here.relation, []).append(here)
                above = self.parents.get(above)
        return tables


def _phases(words):
    words = [w for w in re.split(r"[ ,.]+", words) if w and w != "and"]
    return PHASES if words[0] == "every" else words


def _options(text):
    return dict(line.split(" = ", 1) for line in text.split("\n") if line)


def _on_block(file, case, info, text, line):
    word, _, rest = info.partition(" ")
    if word == "schema":
        file.schema = text
    elif word == "rows":
        file.rows = text
    elif word == "mappings":
        for each in text.split("\n"):
            names = re.fullmatch(rf"({_NAME})\.({_NAME})\.({_NAME}) = ({_NAME})", each).groups()
            file.mappings.append(Mapping(*map(unquote, names)))
    elif word == "options":
        if case:
            case.options = _options(text)
    elif word == "sql":
        case.sql, case.line = text, line
    elif word in ("oracle", "setup", "then"):
        setattr(case, word, text)
    elif word == "parameters":
        case.parameters = [None if p == "NULL" else p for p in text.split("\n")]
    elif word == "refused":
        case.expected.update(dict.fromkeys(_phases(rest), None))
        case.refused.update(dict.fromkeys(_phases(rest), text))
    else:
        case.expected.update(dict.fromkeys(_phases(info), text))


def _table(written):
    schema, table = re.fullmatch(rf"(?:({_NAME})\.)?({_NAME})", written).groups()
    return unquote(schema or "public"), unquote(table)


def _read_columns(file):
    """The columns of every table, what it stands below, and the definition of the mapped columns, from the lines of the
    schema block."""
    table = None
    relation = rf"((?:{_NAME}\.)?{_NAME})"
    for line in file.schema.split("\n"):
        if found := re.match(rf"CREATE TABLE {relation} \($", line):
            table = _table(found[1])
            file.columns[table] = []
        elif found := re.match(rf"CREATE TABLE {relation} PARTITION OF {relation} ", line):
            file.parents[_table(found[1])] = _table(found[2])
            file.columns[_table(found[1])] = list(file.columns[_table(found[2])])
        elif found := re.match(rf"ALTER TABLE {relation} ATTACH PARTITION {relation} ", line):
            file.parents[_table(found[2])] = _table(found[1])
        elif found := re.match(rf"ALTER TABLE {relation} INHERIT {relation};", line):
            file.parents[_table(found[1])] = _table(found[2])
        elif line.startswith(")"):
            if found := re.match(rf"\) INHERITS \({relation}\);", line):
                file.parents[table] = _table(found[1])
                file.columns[table] = file.columns[_table(found[1])] + file.columns[table]
            table = None
        elif table and (found := re.match(rf"\s+({_NAME}) (.*?),?$", line)):
            if found[1] not in ("UNIQUE", "CHECK", "CONSTRAINT"):
                file.columns[table].append(unquote(found[1]))
            for mapping in file.mappings:
                if ((mapping.schema, mapping.table), mapping.old) == (table, unquote(found[1])):
                    mapping.definition = found[2]
    for mapping in file.mappings:
        mapping.shape = file.columns[mapping.schema, mapping.table]


def read(path):
    file, case = File(path), None
    lines = path.read_text(encoding="utf-8").split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.startswith("## "):
            case = Case(line[3:])
            file.cases.append(case)
        elif line.startswith("```"):
            end = lines.index("```", number)
            _on_block(file, case, line[3:], "\n".join(lines[number:end]), number)
            number = end + 1
        elif line.startswith("Untouched in "):
            case.expected.update(dict.fromkeys(_phases(line[len("Untouched in "):]), case.sql))
    _read_columns(file)
    return file
