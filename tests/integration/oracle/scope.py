"""Which names mean what at one place of a statement: the FROM items in sight, and their columns."""

from .tree import Node, Value, quote


class Output:
    """A column of a query's result. extra: it is there by its name only, as the new name among what a star gives; where
    columns are counted it is not one of them."""

    __slots__ = ("name", "type", "extra", "new", "unique")

    def __init__(self, name, type_, extra=False):
        self.name, self.type, self.extra, self.new, self.unique = name, type_, extra, None, False

    @property
    def names(self):
        return (self.name,)


class Entry:
    """A FROM item that has a name. columns() gives the columns by which it can be read."""

    def __init__(self, name, columns, table=None, schema=None, shape="both"):
        self.name, self.table, self.schema, self.shape = name, table, schema, shape
        self._columns = columns if callable(columns) else lambda: columns
        # A wrapped one is, on the twin, a sub-select that has both names: for whole rows, and joins by column names.
        self.is_wrapped = False
        # So it is through segue, too: its two names are two columns there.
        self.is_split = False
        # Columns that a join by name has merged: those that can be read without a qualifier, and all that were joined.
        self.merged, self.joined = set(), set()
        # May be written FOR UPDATE OF; may be grouped by its key.
        self.is_plain_table = table is not None

    def columns(self):
        return self._columns()

    def named(self):
        return {name for column in self.columns() for name in column.names}

    def physical(self, column, spelled):
        """The column's name on the twin."""
        if column.new is None or self.is_wrapped and (self.shape != "both" or self.is_split or spelled in self.joined):
            return spelled
        return column.name

    def shows_itself(self, counted):
        """On the twin, is its own star what the client's star means?"""
        if self.is_wrapped and (self.shape != "both" or not counted):
            return True
        return not any(counted and isinstance(c, Output) and c.extra or c.new for c in self.columns())

    def star(self, counted):
        """What `*` stands for, on the twin: [(column's name there, label)]."""
        columns = [c for c in self.columns() if not (counted and isinstance(c, Output) and c.extra)]
        names = [(c, c.new if c.new and self.shape == "new" else c.name) for c in columns]
        if not counted and self.shape == "both":
            names += [(c, c.new) for c in columns if c.new]
        return [(self.physical(c, name), name) for c, name in names]

    def star_outputs(self, counted):
        outputs = [Output(c.new if c.new and self.shape == "new" else c.name, c.type, isinstance(c, Output) and c.extra)
                   for c in self.columns()]
        if counted:
            return [o for o in outputs if not o.extra]
        return outputs + [Output(c.new, c.type, True) for c in self.columns() if c.new and self.shape == "both"]


def shaped(columns, shape):
    """The columns of a table as a client of this shape sees its rows, as the select list of a sub-select on the twin."""
    found = [f"{quote(c.name)} AS {quote(c.new)}" if c.new and shape == "new" else quote(c.name) for c in columns]
    return found + [f"{quote(c.name)} AS {quote(c.new)}" for c in columns if c.new and shape == "both"]


class Scope:
    """The entries of one query level, and the level around it."""

    def __init__(self, entries=(), outer=None):
        self.entries, self.outer = list(entries), outer
        self.is_merged = False  # by a join by column names

    def levels(self):
        scope = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def is_alone(self, name):
        """May the name stand here without a qualifier?"""
        found = 0
        for entry in self.entries:
            found += name in entry.named()
        return found == 1

    def visible(self):
        """Entries of this level and around it that no nearer one hides."""
        seen = set()
        for depth, scope in enumerate(self.levels()):
            for entry in scope.entries:
                if entry.name not in seen:
                    yield depth, entry
            seen.update(entry.name for entry in scope.entries)


class Ref(Value):
    """A column by one of its names."""

    __slots__ = ("entry", "column", "spelled", "qualifier", "written")

    def __init__(self, entry, column, spelled, qualifier, written):
        super().__init__(column.type)
        self.entry, self.column, self.spelled = entry, column, spelled
        self.qualifier, self.written = qualifier, written

    def sql(self, text):
        if self.instead is not None:
            return self.instead.sql(text)
        if not text.twin:
            return self.qualifier + self.written
        qualifier = quote(self.entry.name) + "." if self.qualifier and self.entry.is_wrapped else self.qualifier
        return qualifier + quote(self.entry.physical(self.column, self.spelled))

    def label(self):
        if self.instead is not None:
            return self.instead.label()
        return self.spelled, self.entry.physical(self.column, self.spelled)


class Target(Node):
    """An item of a select list or of RETURNING."""

    __slots__ = ("value", "alias")

    def __init__(self, value, alias):
        super().__init__(value)
        self.value, self.alias = value, alias

    def sql(self, text):
        value = self.value.sql(text)
        if self.alias is not None:
            return f"{value} AS {quote(self.alias)}"
        label = self.value.label()
        if text.twin and label is not None and label[0] != label[1]:
            return f'{value} AS {quote(label[0])}'
        return value

    def outputs(self, _counted):
        label = self.value.label()
        return [Output(self.alias or (label[0] if label else "?column?"), self.value.type)]


class Star(Node):
    """`*` of some entries. Over a join by names it is the server's own on both sides."""

    __slots__ = ("entries", "qualifier", "counted", "is_own", "in_row")

    def __init__(self, entries, qualifier, counted, is_own=False, in_row=False):
        super().__init__()
        self.entries, self.qualifier, self.counted, self.is_own, self.in_row = entries, qualifier, counted, is_own, in_row

    def sql(self, text):
        if not text.twin or self.is_own:
            return self.qualifier + "*"
        items = []
        for entry in self.entries:
            if entry.shows_itself(self.counted):
                items.append(quote(entry.name) + ".*")
                continue
            for name, label in entry.star(self.counted):
                items.append(f"{quote(entry.name)}.{quote(name)}" + ("" if name == label or self.in_row else f" AS {quote(label)}"))
        return ", ".join(items)

    def outputs(self, _counted):
        return [output for entry in self.entries for output in entry.star_outputs(self.counted)]


class Row(Node):
    """The row of a table that is written, as a value with both names."""

    __slots__ = ("entry",)

    def __init__(self, entry):
        super().__init__()
        self.entry = entry

    def sql(self, text):
        name = quote(self.entry.name)
        if not text.twin or not self.entry.table.is_mapped:
            return name
        columns = [f"{name}.{column}" for column in shaped(self.entry.table.columns, self.entry.shape)]
        return f"(SELECT row_ FROM (SELECT {', '.join(columns)}) row_)"
