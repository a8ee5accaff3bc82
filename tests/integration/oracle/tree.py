"""Statements as trees that can be written down twice: as the client sends them, and as they mean the same on the twin, a
plain table with one column under the old name. A tree can be made smaller in place, which is how a failure shrinks."""

import struct
from datetime import date

# The binary formats of some types.
BINARY = {
    "int": lambda value: struct.pack("!i", value),
    "text": lambda value: value.encode(),
    "date": lambda value: struct.pack("!i", (date.fromisoformat(value) - date(2000, 1, 1)).days),
    "json": lambda value: b"\1" + value.encode(),
    "mood": lambda value: value.encode(),
    "ci": lambda value: value.encode(),
}
OIDS = {"int": 23, "text": 25, "date": 1082, "json": 3802, "list": 1009, "bool": 16}
RESERVED = frozenset("user select table order group from where all and or not null default primary check end".split())


def quote(name):
    """As PostgreSQL would write it: bare where that is the same name."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit() and name == name.lower()
    return name if plain and name not in RESERVED else '"' + name.replace('"', '""') + '"'


class Text:
    """How one text is being written: for which side, and with which values as parameters."""

    def __init__(self, twin, numbers=None):
        self.twin = twin
        self.numbers = numbers  # None: literals. Else: {literal: its $n}, in the order of appearance


def write(part, text):
    return part if isinstance(part, str) else part.sql(text)


class Node:
    """Anything that can be written down. `parts` are strings and nodes, in order."""

    __slots__ = ("parts",)

    def __init__(self, *parts):
        self.parts = parts

    def sql(self, text):
        return "".join([part if isinstance(part, str) else part.sql(text) for part in self.parts])

    def nodes(self):
        return [part for part in self.parts if isinstance(part, Node)]


class Items(Node):
    """A list that stays meaningful when some of it is left out."""

    __slots__ = ("items", "between", "least")

    def __init__(self, items, between=", ", least=1):
        self.items, self.between, self.least = list(items), between, least

    def sql(self, text):
        return self.between.join([write(item, text) for item in self.items])

    def nodes(self):
        return [item for item in self.items if isinstance(item, Node)]


class Optional(Node):
    """Something that may be left out."""

    __slots__ = ("there",)

    def __init__(self, *parts):
        super().__init__(*parts)
        self.there = True

    def sql(self, text):
        return super().sql(text) if self.there else ""

    def nodes(self):
        return super().nodes() if self.there else []


class Value(Node):
    """An expression of a known type, which may be replaced by any other of this type."""

    __slots__ = ("type", "instead")

    def __init__(self, type_, *parts):
        super().__init__(*parts)
        self.type, self.instead = type_, None

    def sql(self, text):
        return super().sql(text) if self.instead is None else self.instead.sql(text)

    def nodes(self):
        return super().nodes() if self.instead is None else [self.instead]

    def label(self):
        """What PostgreSQL calls an output made of this, as far as it comes from a column's name: (label, twin's label)."""
        return None if self.instead is None else self.instead.label()


class Labelled(Value):
    """An expression that has the name of one of its parts, such as a cast or a scalar sub-query."""

    __slots__ = ("named",)

    def __init__(self, type_, named, *parts):
        super().__init__(type_, *parts)
        self.named = named

    def label(self):
        return self.named() if self.instead is None else self.instead.label()


class Literal(Value):
    """A constant. typed: with its type written beside it; otherwise an unknown literal, or a parameter of inferred type."""

    __slots__ = ("value", "typed", "as_parameter")

    SQL_TYPES = {"int": "int", "text": "text", "date": "date", "json": "jsonb", "list": "text[]", "mood": "mood", "bool": "boolean",
                 "ci": "text"}

    def __init__(self, type_, value, typed, as_parameter):
        super().__init__(type_)
        self.value, self.typed, self.as_parameter = value, typed, as_parameter

    def nodes(self):
        return []

    def sql(self, text):
        cast = "::" + self.SQL_TYPES[self.type] if self.typed else ""
        if text.numbers is not None and self.as_parameter:
            number = text.numbers.setdefault(self, len(text.numbers) + 1)
            return f"${number}{cast}"
        return self.plain()

    def plain(self):
        """As a literal."""
        cast = "::" + self.SQL_TYPES[self.type] if self.typed else ""
        if self.value is None:
            return "NULL" + cast
        if self.type in ("int", "bool"):
            return str(self.value).lower() if self.value >= 0 else f"({self.value})"
        return "'" + str(self.value).replace("'", "''") + "'" + cast

    def sent(self):
        """The value as a driver puts it into Bind, as text."""
        return None if self.value is None else str(self.value).lower() if self.type == "bool" else str(self.value)

    def oid(self):
        """The type that a driver declares; 0 leaves it to the server."""
        return OIDS.get(self.type, 0)

    def binary(self):
        """The value in binary format, where the type is one that the text says; None."""
        if not self.typed or self.value is None or self.type not in BINARY:
            return None
        return BINARY[self.type](self.value)


def walk(node):
    yield node
    for inner in node.nodes():
        yield from walk(inner)
