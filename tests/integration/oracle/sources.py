"""The FROM clause: tables, sub-queries, CTEs, VALUES, functions, and joins of all of them."""

from .scope import Entry, Output, Scope, shaped
from .tree import Items, Node, Optional, quote
from .world import MAPPED, TABLES


class TableItem(Node):
    """A table in FROM. On the twin a wrapped one is a sub-select that has its columns under both names."""

    __slots__ = ("entry", "table", "before", "relation", "after", "is_sample")

    def __init__(self, entry, table, before, relation, after, is_sample=False):
        super().__init__()
        self.is_sample = is_sample
        self.entry, self.table, self.before, self.relation, self.after = entry, table, before, relation, after

    def sql(self, text):
        if text.twin and self.entry.is_wrapped:
            both = shaped(self.table.columns, self.entry.shape)
            after = self.after if self.after and not self.is_sample else " AS " + quote(self.entry.name)
            return f"(SELECT {', '.join(both)} FROM {self.before}{self.relation}){after}"
        return f"{self.before}{self.relation}{self.after}"


class Sources:
    """Part of the generator."""

    def fresh(self, stem):
        self.names += 1
        return f"{stem}{self.names}"

    def some_table(self, mapped=0.65):
        return self.dice.choice(MAPPED if self.dice.random() < mapped else TABLES)

    def entry(self, table, alias=None, is_schema_named=False):
        """A table as it is seen by the client's shape."""
        schema = table.schema if is_schema_named and alias is None else None
        return Entry(alias or table.name, table.columns, table, schema, self.shape)

    def is_hidden(self, table):
        """Does the bare name mean another table, by the search_path? Two schemas have one called items."""
        return table.name == "items" and table.schema != self.path

    def relation(self, table):
        return table.relation if self.is_hidden(table) else quote(table.name)

    def table_item(self, table=None, alias=None, within=None, plain=False, beside=()):
        """A table; most often under an alias, so that names do not get in each other's way. within: the scope it joins."""
        table = table or self.some_table()
        is_schema_named = self.is_hidden(table) or table.name in self.cte_names or self.dice.random() < 0.1
        relation = (self.spell(table.schema) + "." if is_schema_named else "") + self.spell(table.name)
        taken = set(self.cte_names)
        for level, scope in enumerate(within.levels() if within else ()):
            if level == 0 or self.dice.random() < 0.5:
                taken.update(entry.name for entry in scope.entries)
        taken.update(entry.name for entry in beside)
        if alias is None and (table.name in taken or self.dice.random() < 0.7):
            alias = self.fresh(table.name[0])
            awkward = self.dice.choice(["username", "nickname", "creator", "users", "body", "email"])
            if awkward not in taken and self.dice.random() < 0.04:
                alias = awkward
        entry = self.entry(table, alias, is_schema_named)
        after = "" if alias is None else self.dice.choice([" ", " AS "]) + quote(alias)
        before = "ONLY " if not plain and self.dice.random() < 0.03 else ""
        if not plain and self.dice.random() < 0.02:
            after += " TABLESAMPLE bernoulli (100)"
            return TableItem(entry, table, before, relation, after, is_sample=True), [entry]
        if not plain and self.dice.random() < 0.04:
            after = self.renamed_columns(entry, table)
        return TableItem(entry, table, before, relation, after), [entry]

    def renamed_columns(self, entry, table):
        """An alias with a column list, of some of the columns."""
        entry.is_wrapped, entry.is_plain_table, entry.schema = True, False, None
        count = self.dice.randrange(1, len(table.columns) + 1)
        seen = entry.star_outputs(False)
        names = [f"x{i}" for i in range(count)] + [o.name for o in seen[count:]]
        types = [o.type for o in seen]
        outputs = [Output(name, type_, i >= len(table.columns)) for i, (name, type_) in enumerate(zip(names, types))]
        entry._columns = lambda: outputs  # pylint: disable=protected-access
        return f" AS {quote(entry.name)} ({', '.join(names[:count])})"

    def derived_item(self, outer, depth, lateral):
        alias = self.fresh("d")
        query = self.query(None, outer if lateral else self.without_level(outer), depth - 1, named=True)
        columns, outputs = self.column_list(query)
        return Node("LATERAL " if lateral else "", "(", query, ") AS " + alias + columns), [Entry(alias, outputs)]

    @staticmethod
    def without_level(scope):
        return scope.outer if scope is not None else None

    def values_item(self):
        alias, types = self.fresh("v"), [self.dice.choice(["text", "int", "date", "json", "mood"]) for _ in range(2)]
        rows = [Node("(", Items([self.literal(t) for t in types], least=len(types)), ")") for _ in range(self.dice.randrange(1, 4))]
        names = self.dice.sample(["a", "b", "username", "nickname", "creator"], 2)
        entry = Entry(alias, [Output(n, t) for n, t in zip(names, types)])
        return Node("(VALUES ", Items(rows), f") AS {alias} ({', '.join(names)})"), [entry]

    def function_item(self):
        alias = self.fresh("g")
        return Node(f"generate_series(1, {self.dice.randrange(1, 4)}) AS {alias} (n)"), [Entry(alias, [Output("n", "int")])]

    def unnested_item(self, scope):
        """A function of a column that stands to the left."""
        found = [f for f in self.columns(scope, outer=0) if f[1].type in ("list", "json", "text")]
        if not found:
            return self.function_item()
        entry, column = self.dice.choice(found)
        alias, ref = self.fresh("f"), self.ref_to(entry, column)
        if column.type == "list":
            return Node("unnest(", ref, f") AS {alias} (v)"), [Entry(alias, [Output("v", "text")])]
        if column.type == "text":
            return Node("regexp_split_to_table(", ref, f", 'n') WITH ORDINALITY AS {alias} (v, n)"), [
                Entry(alias, [Output("v", "text"), Output("n", "int")])]
        return Node("jsonb_path_query(", ref, f", '$.a') AS {alias} (v)"), [Entry(alias, [Output("v", "json")])]

    def cte_item(self):
        name, cte = self.dice.choice(self.ctes)
        alias = self.fresh("c")
        return Node(f"{quote(name)} AS {alias}"), [Entry(alias, cte)]

    def item(self, scope, depth, beside=()):
        """One FROM item: (its node, its entries). scope: what stands to the left of it, for LATERAL. beside: entries whose
        names are taken."""
        pick = self.dice.random()
        if self.ctes and pick < 0.25:
            return self.cte_item()
        if depth > 0 and pick < 0.36:
            return self.derived_item(scope, depth, lateral=pick < 0.29)
        if pick < 0.4:
            return self.values_item()
        if pick < 0.43:
            return self.function_item()
        if pick < 0.47 and scope is not None and scope.entries:
            return self.unnested_item(scope)
        return self.table_item(within=scope, beside=beside)

    def join(self, scope, depth):
        """A join of two items; their entries are added to the scope."""
        if depth > 1 and self.dice.random() < 0.25:
            inner = Scope(outer=scope.outer)
            inner.entries += scope.entries
            before = len(scope.entries)
            left = self.join(inner, depth - 1)
            entries, scope.is_merged = inner.entries[before:], scope.is_merged or inner.is_merged
            left = Node("(", left, ")") if self.dice.random() < 0.5 else left
        else:
            left, entries = self.item(scope, depth)
        scope.entries += entries
        kind = self.dice.choice([" JOIN ", " LEFT JOIN ", " INNER JOIN ", " RIGHT JOIN ", " FULL JOIN "] * 3 + [" CROSS JOIN "])
        only_left = Scope(entries, scope.outer)
        right, more = self.item(only_left if kind in (" JOIN ", " LEFT JOIN ") else Scope([], scope.outer), depth,
                                scope.entries)
        common = self.common_columns(entries[0], more[0])
        by_name = common and len(entries) == 1 and kind != " CROSS JOIN " and self.dice.random() < 0.25
        if by_name:
            return self.join_by_name(scope, left, kind, right, entries[0], more[0], common)
        scope.entries += more
        if kind == " CROSS JOIN ":
            return Node(left, kind, right)
        if kind == " FULL JOIN ":
            return Node(left, kind, right, " ON ", self.equal_columns(entries[0], more[0], scope) or Node("true"))
        on = self.equal_columns(entries[0], more[0], scope)
        if on is None or self.dice.random() < 0.3:
            more_conditions = self.condition(Scope(entries + more, scope.outer), 1)
            on = more_conditions if on is None else Node(on, Optional(" AND ", more_conditions))
        return Node(left, kind, right, " ON ", on)

    def equal_columns(self, one, two, scope):
        """An equality that a hash join can use."""
        pairs = [(a, b) for a in one.columns() for b in two.columns() if a.type == b.type and a.type in ("text", "int", "date", "mood")]
        pairs = [(a, b) for a, b in pairs if self.is_once(one, a) and self.is_once(two, b)]
        if not pairs:
            return None
        mapped = [p for p in pairs if p[0].new or p[1].new]
        a, b = self.dice.choice(mapped if mapped and self.dice.random() < 0.6 else pairs)
        return Node(self.ref_to(one, a), " = ", self.ref_to(two, b))

    @staticmethod
    def is_once(entry, column):
        return sum(c.name == column.name for c in entry.columns()) == 1

    @staticmethod
    def common_columns(one, two):
        """Names by which both can be joined."""
        types = [{}, {}]
        for found, entry in zip(types, (one, two)):
            for column in entry.columns():
                for name in column.names:
                    found[name] = None if name in found else column.type
        return [n for n, t in types[0].items() if t is not None and t not in ("ci",) and types[1].get(n) == t]

    def join_by_name(self, scope, left, kind, right, one, two, common):
        """USING, or NATURAL, which joins by all names that both have."""
        for entry in (one, two):
            if entry.table is not None and entry.table.is_mapped:
                entry.is_wrapped, entry.is_plain_table = True, False
        scope.entries.append(two)
        scope.is_merged = True
        if self.dice.random() < 0.3:
            self.merge_names(one, two, one.named() & two.named())
            return Node(left, " NATURAL" + kind, right)
        names = self.dice.sample(common, 1 if len(common) == 1 or self.dice.random() < 0.7 else 2)
        self.merge_names(one, two, set(names))
        return Node(left, kind, right, f" USING ({', '.join(self.spell(n) for n in names)})")

    def merge_names(self, one, two, names):
        is_mapped = any(c.new and not names.isdisjoint(c.names) for entry in (one, two) for c in entry.columns())
        split = is_mapped and self.is_open("two names in a group")
        for entry in (one, two):
            entry.is_split |= split
        one.merged.update(names)
        one.joined.update(names)
        two.joined.update(names)

    def sources(self, scope, depth):
        """A whole FROM clause; fills the scope."""
        items = []
        for _ in range(1 if self.dice.random() < 0.8 or depth <= 0 else 2):
            pick = self.dice.random()
            if depth > 0 and pick < 0.35:
                items.append(self.join(scope, depth))
            else:
                node, entries = self.item(scope, depth)
                scope.entries += entries
                items.append(node)
        return Items(items)


