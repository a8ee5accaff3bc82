"""Cases: what is sent in one transaction. Most are one statement; some need several, or data that follow."""

import struct

from .scope import Entry, Scope, Target
from .tree import BINARY, Items, Node, Text, quote
from .world import MAPPED
from .writes import Columns


class Step:
    """One message's text. data: for each COPY FROM STDIN in it, the pieces that are sent. tells: are its rows to be compared."""

    def __init__(self, node, ordered=False, data=(), tells=True):
        self.node, self.ordered, self.data, self.tells = node, ordered, data, tells


class Case:
    """Steps in order. mode: simple, unnamed, named. binary: values and results in binary format. at_once: how many rows are
    asked for at a time. layout: what stands between some words of the client's text."""

    def __init__(self, kind, steps, mode="simple", binary=False, at_once=0, leaves_statements=False):
        self.kind, self.steps, self.mode, self.binary, self.at_once = kind, steps, mode, binary, at_once
        self.leaves_statements = leaves_statements
        self.is_loose = False  # several rows may break several rules, and which comes first is nobody's business
        self.layout = " "
        self.describes_portal = self.declares = False  # Describe of the portal, not the statement; Parse says the types

    def texts(self, twin):
        """[(the text, the values that go with it)], a step each."""
        found = []
        for step in self.steps:
            numbers = None if self.mode == "simple" else {}
            sql = step.node.sql(Text(False, numbers))
            if twin:
                sql = step.node.sql(Text(True, numbers))
            elif self.layout != " ":
                for word in (" FROM ", " WHERE ", " VALUES ", " SET ", " ON ", " RETURNING "):
                    sql = sql.replace(word, self.layout + word[1:-1] + self.layout)
            found.append((sql, list(numbers or ())))
        return found


class Scripts:
    """Part of the generator."""

    def statement(self, depth):
        """(node, ordered) of one statement that can stand alone, be prepared, explained..."""
        self.ctes, self.cte_names = [], set()
        pick = self.dice.random()
        if pick < 0.42:
            query, ordered = self.top_query(depth)
            return query, ordered
        if pick < 0.64:
            return self.insert(depth), False
        if pick < 0.82:
            return self.update(depth), False
        if pick < 0.89:
            return self.delete(depth), False
        if pick < 0.94:
            return self.merge(depth), False
        self.ctes, self.cte_names = [], set()
        return self.writing_cte(), False

    def case_plain(self):
        node, ordered = self.statement(self.depth)
        mode = self.dice.choice(["simple", "simple", "unnamed", "named"])
        case = Case("plain", [Step(node, ordered)], mode, binary=mode != "simple" and self.dice.random() < 0.4)
        if ordered and mode != "simple" and self.dice.random() < 0.3:
            case.at_once = 2
        case.describes_portal = self.dice.random() < 0.2
        case.declares = self.dice.random() < 0.25
        return case

    def case_several(self):
        """One Query message with several statements."""
        parts = [self.statement(1)[0] for _ in range(self.dice.randrange(2, 4))]
        return Case("several", [Step(Items(parts, "; "))])

    def case_savepoints(self):
        steps = []
        for _ in range(self.dice.randrange(1, 3)):
            name = self.fresh("sp")
            node, ordered = self.statement(1)
            steps += [Step(Node(f"SAVEPOINT {name}")), Step(node, ordered)]
            if self.dice.random() < 0.6:
                steps.append(Step(Node(f"ROLLBACK TO {name}")))
        steps.append(Step(*self.statement(1)))
        return Case("savepoints", steps)

    def case_prepare(self):
        node, ordered = self.statement(1)
        name = self.fresh("ps")
        values = Values(node)
        return Case("prepare", [Step(Prepared(f"PREPARE {name} AS ", node, values)), Step(Node(f"EXECUTE {name}", values), ordered),
                                Step(Node(f"DEALLOCATE {name}"))], leaves_statements=True)

    def case_explain(self):
        node, _ = self.statement(1)
        how = self.dice.choice(["", "(COSTS OFF) ", "ANALYZE ", "(VERBOSE, FORMAT json) "])
        return Case("explain", [Step(Node("EXPLAIN ", how, node), tells=False)])

    def case_cursor(self):
        name = self.fresh("cur")
        how = self.dice.choice([" CURSOR FOR ", " SCROLL CURSOR FOR ", " CURSOR WITH HOLD FOR ", " BINARY CURSOR FOR "])
        steps = [Step(Node(f"DECLARE {name}{how}", self.query(None, None, 1, ordered=True)))]
        for _ in range(self.dice.randrange(1, 3)):
            steps.append(Step(Node(self.dice.choice(["FETCH ", "FETCH 2 FROM ", "FETCH ALL ", "MOVE 1 FROM "]) + name), True))
        return Case("cursor", steps + [Step(Node(f"CLOSE {name}"))])

    def case_current_of(self):
        table = next((t for t in (self.some_table(0.9) for _ in range(50)) if t.key), MAPPED[0])
        scope_node, entries = self.table_item(table, plain=True)
        scope = Scope(entries)
        list_ = Items(self.targets(scope, depth=1))
        name = self.fresh("cur")
        keys = ", ".join(f"{quote(entries[0].name)}.{quote(k)}" for k in table.key)
        steps = [Step(Node(f"DECLARE {name} CURSOR FOR SELECT ", list_, " FROM ", scope_node, f" ORDER BY {keys} FOR UPDATE"))]
        steps.append(Step(Node(f"FETCH {self.dice.randrange(1, 4)} FROM {name}"), True))
        relation = self.relation(table)
        entry = self.entry(table)
        if self.dice.random() < 0.3:
            node = Node(f"DELETE FROM {relation} WHERE CURRENT OF {name}", self.returning(Scope([entry])))
        else:
            self.may_draw = True
            node = Node(f"UPDATE {relation} SET ", self.assignments(table, Scope([entry]), 1), f" WHERE CURRENT OF {name}",
                        self.returning(Scope([entry])))
        return Case("current_of", steps + [Step(node)])

    def case_other(self):
        """Statements about whole tables."""
        table = self.dice.choice(MAPPED)
        name = self.relation(table)
        first = self.dice.choice([f"TRUNCATE {name}", f"LOCK TABLE {name} IN SHARE MODE", f"TRUNCATE ONLY {name} RESTART IDENTITY",
                                  f"ANALYZE {name}", f"DELETE FROM {name}"])
        return Case("other", [Step(Node(first)), Step(self.statement(1)[0])])

    def case_create_as(self):
        self.ctes, self.cte_names = [], set()
        name = self.fresh("made")
        types = self.some_types()
        columns = ", ".join(f"y{i}" for i in range(len(types)))
        query = self.query(types, None, 1)
        kind = self.dice.choice(["TEMP TABLE", "TABLE", "UNLOGGED TABLE"])
        by = ", ".join(str(i + 1) for i in range(len(types)))
        if self.dice.random() < 0.3:
            return self.select_into(types, name, by)
        return Case("create_as", [Step(Node(f"CREATE {kind} {name} ({columns}) AS ", query)),
                                  Step(Node(f"SELECT * FROM {name} ORDER BY {by}"), True)])

    def select_into(self, types, name, by):
        scope = Scope()
        from_ = self.sources(scope, 1)
        list_ = Items([Target(self.value(t, scope, 1), f"y{i}") for i, t in enumerate(types)], least=len(types))
        kind = self.dice.choice(["", "TEMP ", "TABLE "])
        return Case("create_as", [Step(Node("SELECT ", list_, f" INTO {kind}{name} FROM ", from_, self.where(scope))),
                                  Step(Node(f"SELECT * FROM {name} ORDER BY {by}"), True)])

    # ---- COPY ----

    def copy_columns(self, table):
        """The table with its columns, or with a list of some: (node, columns)."""
        relation = self.relation(table)
        columns = [c for c in table.columns if not c.generated]
        if self.dice.random() < 0.4:
            return Node(relation), columns
        columns = [c for c in columns if (c.required and not c.default) or self.dice.random() < 0.6] or columns[:1]
        if self.dice.random() < 0.5:
            self.dice.shuffle(columns)
        spelled = [self.name_of(c) for c in columns]
        return Node(relation, " (", Columns(columns, spelled, [self.spell(n) for n in spelled]), ")"), columns

    def case_copy_out(self):
        how = self.dice.choice(["", " (FORMAT csv)", " (FORMAT csv, HEADER)", " (FORMAT binary)", " WITH (DELIMITER '|', NULL 'nil')",
                                " CSV HEADER QUOTE '\"'"])
        if self.dice.random() < 0.5:
            table = next((t for t in (self.some_table(0.85) for _ in range(50)) if not t.is_parted), MAPPED[0])
            node, columns = self.copy_columns(table)
            return Case("copy_out", [Step(Node("COPY ", CopiedTable(node, table, columns, self.shape), " TO STDOUT", how))])
        types = self.some_types()
        return Case("copy_out", [Step(Node("COPY (", self.query(types, None, 1, ordered=True, named=True), ") TO STDOUT", how), True)])

    def some_types(self):
        """Of a query whose columns count: sometimes those of a table, so that it may be a star."""
        table = self.some_table()
        if self.dice.random() < 0.4:
            return [c.type for c in table.columns]
        return [self.some_type(Scope([Entry("x", table.columns)])) for _ in range(2)]

    def case_copy_in(self):
        self.is_loose = True
        parts, data = [], []
        for _ in range(1 if self.dice.random() < 0.85 else 2):
            node, sent = self.copy_in()
            parts.append(node)
            data.append(self.pieces(sent))
        return Case("copy_in", [Step(Items(parts, "; "), data=data)])

    def pieces(self, data):
        """Cut somewhere, as a client's buffer would."""
        cuts = sorted(self.dice.randrange(len(data) + 1) for _ in range(self.dice.randrange(4)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]

    def copy_in(self):
        table = next((t for t in (self.some_table(0.85) for _ in range(50)) if t.key), MAPPED[0])
        node, columns = self.copy_columns(table)
        rows = [[self.copy_value(c) for c in columns] for _ in range(self.dice.randrange(0, 4))]
        form = self.dice.randrange(6)
        if form == 4 and all(c.type != "list" for c in columns):
            return Node("COPY ", node, " FROM STDIN (FORMAT binary)"), binary_rows(columns, rows)
        if form == 0:
            return Node("COPY ", node, " FROM STDIN (FORMAT csv, HEADER)"), b"whatever\n" + csv_rows(rows, b",", b"")
        if form == 1:
            return Node("COPY ", node, " FROM STDIN WITH (FORMAT csv, DELIMITER ';', NULL 'nil')"), csv_rows(rows, b";", b"nil")
        if form == 2:
            return Node("COPY ", node, " FROM STDIN DELIMITER '|' NULL 'nil'"), text_rows(rows, b"|", b"nil")
        if form == 5:
            node = Node("COPY ", node, " FROM STDIN", self.where(Scope([self.entry(table)]), 0.8, 0))
            return node, text_rows(rows, b"\t", b"\\N")
        return Node("COPY ", node, " FROM STDIN"), text_rows(rows, b"\t", b"\\N")

    def copy_value(self, column):
        if column.name in ("user_id", "id", "order_id", "line"):
            return str(self.dice.randrange(1, 9) if self.dice.random() < 0.15 else self.dice.randrange(50, 9000))
        if column.type == "text" and self.dice.random() < 0.6:
            self.names += 1
            return f"new{self.names}"
        value = self.literal(column.type).value
        return None if value is None else str(value)


class CopiedTable(Node):
    """The table of a COPY TO. On the twin a query, which can give its columns the names that the client used."""

    __slots__ = ("table", "columns", "shape")

    def __init__(self, node, table, columns, shape):
        super().__init__(node)
        self.table, self.columns, self.shape = table, columns, shape

    def sql(self, text):
        if not text.twin:
            return super().sql(text)
        list_ = [part for part in self.parts[0].parts if isinstance(part, Columns)]
        labels = list_[0].spelled if list_ else [c.new if c.new and self.shape == "new" else c.name for c in self.columns]
        items = [f"{quote(c.name)} AS {quote(label)}" for c, label in zip(self.columns, labels)]
        return f"(SELECT {', '.join(items)} FROM ONLY {self.table.relation})"


class Values(Node):
    """The values of an EXECUTE. They are known once the statement has been written down."""

    __slots__ = ("node",)

    def __init__(self, node):
        super().__init__()
        self.node = node

    def sql(self, text):
        numbers = {}
        self.node.sql(Text(False, numbers))
        if not numbers:
            return ""
        return "(" + ", ".join(literal.plain() for literal in numbers) + ")"


class Prepared(Node):
    """A statement with parameters inside one that has none."""

    __slots__ = ("before", "node")

    def __init__(self, before, node, _values):
        super().__init__()
        self.before, self.node = before, node

    def nodes(self):
        return [self.node]

    def sql(self, text):
        numbers = {}
        mapped = self.node.sql(Text(False, numbers))
        return self.before + (self.node.sql(Text(True, numbers)) if text.twin else mapped)


# ---- COPY data ----

def text_field(value):
    for char, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("|", "\\|")):
        value = value.replace(char, escaped)
    return value.encode()


def text_rows(rows, delimiter, null):
    return b"".join(delimiter.join(null if v is None else text_field(v) for v in row) + b"\n" for row in rows)


def csv_rows(rows, delimiter, null):
    return b"".join(delimiter.join(null if v is None else b'"' + v.replace('"', '""').encode() + b'"' for v in row) + b"\n"
                    for row in rows)


def int_field(column, value):
    return struct.pack("!q" if column.name == "user_id" else "!i", int(value))


def binary_rows(columns, rows):
    data = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
    for row in rows:
        data += struct.pack("!h", len(columns))
        for column, value in zip(columns, row):
            if value is None:
                data += struct.pack("!i", -1)
            else:
                field = int_field(column, value) if column.type == "int" else BINARY[column.type](value)
                data += struct.pack("!i", len(field)) + field
    return data + struct.pack("!h", -1)

