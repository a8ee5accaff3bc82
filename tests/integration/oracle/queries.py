"""SELECT: lists, grouping, windows, set operations, CTEs, ordering, locks."""

from .scope import Output, Ref, Scope, Star, Target
from .tree import Items, Node, Optional, Value, quote
from .world import TABLES

ORDERLY = ("text", "int", "date", "mood", "json", "list")


# Names for outputs that other columns have as well.
AWKWARD = ["username", "creator", "nickname", "State", "select", "user", "email"]
RECURSION = ["", "", "", " SEARCH BREADTH FIRST BY n SET at_", " CYCLE n SET again_ USING way_"]


class Select(Node):
    """A simple SELECT. Its outputs are those of its list as it stands."""

    __slots__ = ("list",)

    def __init__(self, list_, *parts):
        super().__init__(*parts)
        self.list = list_

    def outputs(self, counted):
        found = []
        for target in self.list.items:
            found += target.outputs(counted)
        return found

    def label(self):
        first = self.list.items[0]
        return None if isinstance(first, Star) else (first.alias, first.alias) if first.alias else first.value.label()


class Wrapped(Node):
    """A query with something around it that leaves its outputs as they are."""

    __slots__ = ("query",)

    def __init__(self, query, *parts):
        super().__init__(*parts)
        self.query = query

    def outputs(self, counted):
        return self.query.outputs(counted)

    def label(self):
        return self.query.label()


class Input(Node):
    """A column in ORDER BY that is not an output's name. The twin, whose outputs may well have it, needs it qualified."""

    __slots__ = ("ref",)

    def __init__(self, ref):
        super().__init__(ref)
        self.ref = ref

    def sql(self, text):
        written = self.ref.sql(text)
        if text.twin and self.ref.instead is None and not self.ref.qualifier and self.ref.spelled not in self.ref.entry.joined:
            return f"{quote(self.ref.entry.name)}.{written}"
        return written


class Fixed(Node):
    """A query whose outputs are known beforehand."""

    __slots__ = ("columns",)

    def __init__(self, columns, *parts):
        super().__init__(*parts)
        self.columns = columns

    def outputs(self, _counted):
        return self.columns

    def label(self):
        return None


class Queries:
    """Part of the generator."""

    # ---- Lists ----

    def targets(self, scope, types=None, depth=2, named=False, star=0.25):
        """A select list or RETURNING. types: of its columns, when they matter. named: each needs a name of its own."""
        counted = types is not None
        if not counted and self.dice.random() < star and scope.entries:
            return self.star_targets(scope, depth)
        targets, taken = [], set()
        for type_ in types or [self.some_type(scope) for _ in range(self.dice.randrange(1, 4))]:
            value = self.value(type_, scope, depth)
            label, alias = value.label(), None
            if (named and (label is None or label[0] in taken)) or self.dice.random() < 0.15:
                alias = self.fresh("o") if self.dice.random() < 0.8 else self.dice.choice(AWKWARD)
                if named and alias in taken:
                    alias = self.fresh("o")
            taken.add(alias or (label[0] if label else None))
            targets.append(Target(value, alias))
        return targets

    def star_targets(self, scope, depth):
        if scope.is_merged:
            for entry in scope.entries:
                if entry.table is not None and entry.table.is_mapped:
                    entry.is_wrapped, entry.is_plain_table = True, False
                    entry.is_split = self.is_open("two names in a group")
            return [Star(scope.entries, "", False, is_own=True)]
        if len(scope.entries) == 1 and self.dice.random() < 0.5 or self.dice.random() < 0.5:
            return [Star(scope.entries, "", False)]
        entry = self.dice.choice(scope.entries)
        more = [Target(self.value(self.some_type(scope), scope, depth - 1), self.fresh("o"))] if self.dice.random() < 0.5 else []
        return [Star([entry], quote(entry.name) + ".", False)] + more

    def star_for(self, types):
        """A table that gives columns of these types with a counted star."""
        fitting = [t for t in TABLES if [c.type for c in t.columns] == types]
        return self.dice.choice(fitting) if fitting else None

    # ---- Queries ----

    def query(self, types, outer, depth, named=False, ordered=False):
        """A query expression, to stand in parentheses or alone."""
        pick = self.dice.random()
        if depth > 0 and pick < 0.1:
            return self.with_query(types, outer, depth, named, ordered)
        if depth > 0 and pick < 0.22:
            return self.set_operation(types, outer, depth, ordered)
        if types is not None and pick < 0.26:
            return self.values_query(types, ordered)
        if depth > 0 and pick < 0.38:
            return self.grouped(types, outer, depth, ordered)
        return self.select(types, outer, depth, named, ordered)

    def select(self, types, outer, depth, named=False, ordered=False):
        scope = Scope(outer=outer)
        table = self.star_for(types) if types and len(types) > 2 else None
        if table and self.dice.random() < 0.5:
            item, entries = self.table_item(table, within=scope)
            scope.entries += entries
            from_ = Items([item])
            list_ = Items([Star(entries, "", True)])
            if isinstance(entries[0].columns()[0], Output) and entries[0].is_wrapped:
                list_ = Items(self.targets(scope, types, depth, named))
        else:
            from_ = self.sources(scope, depth)
            list_ = Items(self.targets(scope, types, depth, named), least=len(types) if types else 1)
        distinct = Optional("DISTINCT ")
        distinct.there = self.dice.random() < 0.08 and not ordered
        parts = ["SELECT ", distinct, list_, " FROM ", from_, self.where(scope, depth=depth)]
        select = Select(list_, *parts)
        if types is None and not ordered and not distinct.there and depth > 0 and self.dice.random() < 0.12:
            self.add_windows(select, scope)
        if ordered:
            return self.in_order(select, scope)
        return select

    def in_order(self, select, scope):
        """Ordered by everything, so that rows come in one order only."""
        outputs = select.outputs(True)
        by = [str(i + 1) for i in range(len(outputs))]
        first = []
        if scope is not None and self.dice.random() < 0.6:
            found = self.order_name(outputs, scope)
            if found is not None:
                first = [Node(found, self.dice.choice(["", " DESC", " NULLS FIRST", " ASC"]))]
        tail = [" ORDER BY ", Items(first + by, least=len(by))]
        pick = self.dice.random()
        if pick < 0.02:
            tail += [" LIMIT (", self.one_column_query("int", scope.outer if scope else None, 0, "max"), ")"]
        elif pick < 0.12:
            tail.append(f" LIMIT {self.dice.randrange(1, 6)}" + self.dice.choice(["", " OFFSET 1"]))
        elif pick < 0.16:
            tail.append(f" FETCH FIRST {self.dice.randrange(1, 4)} ROWS " + self.dice.choice(["ONLY", "WITH TIES"]))
        return Wrapped(select, select, *tail)

    def order_name(self, outputs, scope):
        """Something to order by: an output's name, or an expression over the input."""
        names = [o.name for o in outputs]
        single = [o.name for o in outputs if names.count(o.name) == 1 and o.type != "ci"]
        if single and self.dice.random() < 0.3:
            return Node(self.spell(self.dice.choice(single)))
        found = self.ref(scope, self.dice.choice(["text", "int", "date"]))
        if found is None or found.entry not in scope.entries:
            return None
        # A bare name is an output's name first: it is the column's own only if no output has it.
        if not found.qualifier and found.spelled in names:
            return None
        return Input(found)

    def add_windows(self, select, scope):
        """Window functions whose result does not depend on the order of equal rows."""
        by = self.some_type(scope, ["text", "int", "date"])
        order = self.value(by, scope, 0)
        call = self.dice.choice(["rank()", "dense_rank()", "count(*)", "sum(1)"])
        part = Optional("PARTITION BY ", self.value(self.some_type(scope, ["text", "mood", "date"]), scope, 0), " ")
        window = Node("(", part, "ORDER BY ", order, ")")
        if self.dice.random() < 0.5:
            select.list.items.append(Target(Value("int", call, " OVER ", window), self.fresh("w")))
        else:
            select.list.items.append(Target(Value("int", call, " OVER w"), self.fresh("w")))
            select.parts = (*select.parts, " WINDOW w AS ", window)

    def one_column_query(self, type_, outer, depth, aggregate=None):
        """A sub-query with one column and one row at most."""
        scope = Scope(outer=outer)
        if depth > 0 and self.dice.random() < 0.3:
            from_ = self.sources(scope, depth)
        else:
            item, entries = self.table_item(within=Scope(outer=outer))
            scope.entries += entries
            from_ = Items([item])
        value = self.value(type_, scope, 0)
        if aggregate:
            value = Value(type_, aggregate, "(", value, ")")
            list_ = Items([Target(value, None)])
            return Select(list_, "SELECT ", list_, " FROM ", from_, self.where(scope, depth=depth))
        list_ = Items([Target(value, None)])
        return Select(list_, "SELECT ", list_, " FROM ", from_, self.where(scope, depth=depth), " ORDER BY 1 LIMIT 1")

    def grouped(self, types, outer, depth, ordered):
        """GROUP BY columns, or a key on which the other columns depend; aggregates over the rest."""
        scope = Scope(outer=outer)
        from_ = self.sources(scope, depth)
        keyed = [e for e in scope.entries if e.is_plain_table and e.table.key and not e.is_wrapped]
        keys = []
        if keyed and self.dice.random() < 0.4:
            entry = self.dice.choice(keyed)
            keys = [self.ref_to(entry, entry.table.column(name), scope) for name in entry.table.key]
            usable = [(entry, c) for c in entry.columns()]
        else:
            usable = []
            for _ in range(self.dice.randrange(1, 3)):
                found = self.columns(scope, outer=0)
                if found:
                    usable.append(self.dice.choice(found))
            keys = [self.ref_to(e, c, scope) for e, c in usable]
        if not keys:
            return self.select(types, outer, depth, ordered=ordered)
        names, targets = {"count"}, []
        for type_ in types or [self.some_type(scope) for _ in range(2)]:
            fitting = [(e, c) for e, c in usable if c.type == type_]
            if fitting and self.dice.random() < 0.7:
                value = self.ref_to(*self.dice.choice(fitting), scope)
            else:
                value = self.aggregate(type_, scope)
            label = value.label()
            alias = self.fresh("o") if label is None or label[0] in names else None
            names.add(alias or label[0])
            targets.append(Target(value, alias))
        list_ = Items(targets, least=len(targets) if types else 1)
        having = Optional(" HAVING ", self.dice.choice(["count(*) > 1", Node("max(", self.value("text", scope, 0), ") <> 'zz'")]))
        having.there = self.dice.random() < 0.3
        select = Select(list_, "SELECT ", list_, " FROM ", from_, self.where(scope, 0.5, 1), " GROUP BY ",
                        self.grouping(keys, bool(keyed) and len(usable) > 2), having)
        return self.in_order(select, None) if ordered else select

    def grouping(self, keys, is_key):
        if is_key or self.dice.random() < 0.75:
            return Items(keys)
        return Node(self.dice.choice(["ROLLUP (", "CUBE (", "GROUPING SETS ((), "]), Items(keys), ")")

    def aggregate(self, type_, scope):
        of = lambda t: self.value(t, scope, 1)  # noqa: E731
        if type_ == "int":
            form = self.dice.randrange(3)
            if form == 0:
                return Value("int", "count(", of(self.some_type(scope)), ")")
            if form == 1:
                return Value("int", "count(*) FILTER (WHERE ", self.condition(scope, 1), ")")
            return Value("int", "sum(", of("int"), ")::int")
        if type_ == "text" and self.dice.random() < 0.25:
            return Value("text", "percentile_disc(0.5) WITHIN GROUP (ORDER BY ", of("text"), ")")
        if type_ == "text":
            value = of("text")
            return Value("text", "string_agg(", value, ", ',' ORDER BY ", value, ")")
        if type_ == "json":
            value = of(self.dice.choice(["int", "date", "text"]))
            return Value("json", "jsonb_agg(", value, " ORDER BY ", value, ")")
        if type_ == "list":
            value = of("text")
            return Value("list", "array_agg(", value, " ORDER BY ", value, ")::text[]")
        if type_ == "mood":
            return Value("mood", "max(", of("mood"), ")")
        if type_ == "date":
            return Value("date", "max(", of("date"), ")")
        return Value("ci", "max('x'::text)")

    def values_query(self, types, ordered):
        rows = [Node("(", Items([self.literal(t) for t in types], least=len(types)), ")") for _ in range(self.dice.randrange(1, 4))]
        made = Fixed([Output(f"column{i + 1}", t) for i, t in enumerate(types)], "VALUES ", Items(rows))
        return self.in_order(made, None) if ordered else made

    def set_operation(self, types, outer, depth, ordered):
        if types is None:
            table = self.some_table()
            types = [c.type for c in table.columns] if self.dice.random() < 0.3 else [
                self.dice.choice(ORDERLY) for _ in range(self.dice.randrange(1, 4))]
        arms = [self.select(types, outer, depth - 1, named=True) for _ in range(2 if self.dice.random() < 0.8 else 3)]
        parts = [arms[0]]
        for arm in arms[1:]:
            parts += [self.dice.choice([" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT "]), arm]
        made = Wrapped(arms[0], *parts)
        return self.in_order(made, Scope()) if ordered else made

    # ---- WITH ----

    def with_query(self, types, outer, depth, named=False, ordered=False):
        kept, kept_names = list(self.ctes), set(self.cte_names)
        ctes = Items(self.some_ctes(outer, depth))
        body = self.select(types, outer, depth - 1, named, ordered)
        self.ctes, self.cte_names = kept, kept_names
        return Wrapped(body, self.with_word(ctes), ctes, " ", body)

    @staticmethod
    def with_word(ctes):
        return "WITH RECURSIVE " if any(isinstance(c, Recursive) for c in ctes.items) else "WITH "

    def some_ctes(self, outer, depth):
        made = []
        is_recursive = self.dice.random() < 0.12
        for i in range(1 if self.dice.random() < 0.7 else 2):
            # Sometimes the name of a table, which it hides: in itself only where WITH is RECURSIVE.
            name = self.fresh("q") if self.dice.random() < 0.85 or is_recursive else self.dice.choice(["post", "users", "archive"])
            if name in self.cte_names:
                name = self.fresh("q")
            if is_recursive and i == 0:
                made.append(Recursive(self.recursive_cte(name, outer), self.dice.choice(RECURSION)))
            else:
                query = self.query(None, outer, depth - 1, named=True)
                how = self.dice.choice(["", "", "", "MATERIALIZED ", "NOT MATERIALIZED "])
                columns, outputs = self.column_list(query)
                made.append(Node(f"{quote(name)}{columns} AS {how}(", query, ")"))
                self.ctes.append((name, outputs))
            self.cte_names.add(name)
        return made

    def column_list(self, query):
        """Now and then a list of names for the first columns of a derived table: (its text, the columns after it)."""
        if self.dice.random() > 0.15:
            return "", lambda: query.outputs(False)
        counted = count_star(query)
        if counted is None:
            return "", lambda: query.outputs(False)
        names = [self.fresh("z") if self.dice.random() < 0.6 else name for name in self.dice.sample(AWKWARD * 3, 1 + len(counted) // 2)]
        names = list(dict.fromkeys(names))[:len(counted)]

        def outputs():
            return [Output(names[i], o.type) if i < len(names) else o for i, o in enumerate(query.outputs(False))]

        return f" ({', '.join(quote(n) for n in names)})", outputs

    def recursive_cte(self, name, outer):
        """Walks along a table, a bounded number of steps."""
        item, entries = self.table_item(plain=True, within=Scope(outer=outer))
        entry = entries[0]
        type_ = self.dice.choice([c.type for c in entry.columns() if c.type not in ("ci",)])
        column = self.dice.choice([c for c in entry.columns() if c.type == type_])
        step, more = self.table_item(entry.table, alias=self.fresh("r"), plain=True)
        again = Node("SELECT z.n + 1, ", self.ref_to(more[0], column), f" FROM {quote(name)} z JOIN ", step, " ON ",
                     self.condition(Scope(more), 0), " WHERE z.n < 2")
        outputs = [Output("n", "int"), Output("v", type_)]
        self.ctes.append((name, lambda: outputs))
        return Node(f"{quote(name)} (n, v) AS (SELECT 1, ", self.ref_to(entry, column), " FROM ", item,
                         self.dice.choice([" UNION ", " UNION ALL "]), again, ")")

    # ---- A statement of its own ----

    def top_query(self, depth):
        """(query, are its rows in one order)."""
        pick = self.dice.random()
        if pick < 0.08:
            return self.locking_query(), False
        if pick < 0.14:
            return self.distinct_on_query(), True
        if pick < 0.18:
            return self.whole_row_query(), False
        if pick < 0.19:
            return self.derived_row_query(), False
        if pick < 0.22:
            table = self.some_table()
            return Node("TABLE ", f"{quote(table.schema)}.{quote(table.name)}") if not table.is_mapped else self.star_query(table), False
        ordered = self.dice.random() < 0.4
        return self.query(None, None, depth, ordered=ordered), ordered

    def star_query(self, table):
        item, entries = self.table_item(table)
        list_ = Items([Star(entries, "", False)])
        return Select(list_, "SELECT ", list_, " FROM ", item)

    def locking_query(self):
        scope = Scope()
        from_, entries = self.table_item(plain=True)
        scope.entries += entries
        parts = [from_]
        if self.dice.random() < 0.4:
            more, others = self.table_item(plain=True, within=scope)
            on = self.equal_columns(entries[0], others[0], scope)
            if on is not None:
                scope.entries += others
                parts += [" JOIN ", more, " ON ", on]
        list_ = Items(self.targets(scope))
        lock = self.dice.choice([" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE", " FOR KEY SHARE"])
        of = Optional(" OF " + quote(self.dice.choice(scope.entries).name))
        tail = self.dice.choice(["", " NOWAIT", " SKIP LOCKED"])
        return Select(list_, "SELECT ", list_, " FROM ", *parts, self.where(scope), lock, of, tail)

    def distinct_on_query(self):
        scope = Scope()
        from_ = self.sources(scope, 1)
        key = self.ref(scope, self.some_type(scope, ["text", "int", "date"])) or Value("text", "(SELECT max(nickname) FROM people)")
        list_ = Items(self.targets(scope, star=0))
        if isinstance(key, Ref) and not key.qualifier and key.entry in scope.entries:
            # An output's name would come before the column's.
            key.qualifier = quote(key.entry.name) + "."
        order = [key, *(str(i + 1) for i in range(len(list_.items)))]
        list_.least = len(list_.items)
        return Select(list_, "SELECT DISTINCT ON (", key, ") ", list_, " FROM ", from_, self.where(scope), " ORDER BY ",
                      Items(order, least=len(order)))

    def whole_row_query(self):
        """Rows as values."""
        scope = Scope()
        item, entries = self.table_item(plain=True, alias=self.fresh("w"))
        entry = entries[0]
        entry.is_wrapped, entry.is_plain_table = entry.table.is_mapped, False
        entry.is_split = self.is_open("two names in a group")
        scope.entries += entries
        row = quote(entry.name)
        column = self.dice.choice(entry.columns())
        field = quote(self.name_of(column))
        form = self.dice.choice([f"row_to_json({row})", f"to_jsonb({row}) -> '{self.name_of(column)}'", f"({row}).{field}",
                                 f"{row} IS NULL", f"count({row})", f"{row}::text", f"{row}", f"json_agg({row} ORDER BY {row}.{field})"])
        if "json_agg" in form and column.type == "ci":
            form = f"{row}::text"
        list_ = Items([Target(Value("text", form), None)])
        return Select(list_, "SELECT ", list_, " FROM ", item, self.where(scope))

    def derived_row_query(self):
        """Rows of a sub-query as values."""
        scope = Scope()
        item, entries = self.derived_item(None, 1, False)
        scope.entries += entries
        row = entries[0].name
        form = self.dice.choice([f"to_jsonb({row})", f"{row}::text", f"row_to_json({row})", f"ROW({row}.*)::text", f"count({row}.*)"])
        if form.startswith("ROW"):
            return self.counted_row_query()
        list_ = Items([Target(Value("text", form), None)])
        return Select(list_, "SELECT ", list_, " FROM ", item, self.where(scope, 0.5, 1))

    def counted_row_query(self):
        """A star in ROW(): its columns are counted."""
        item, entries = self.table_item(alias=self.fresh("w"), plain=True)
        star = Star(entries, entries[0].name + ".", True, in_row=True)
        list_ = Items([Target(Value("text", "ROW(", star, ", 1)::text"), "o")])
        return Select(list_, "SELECT ", list_, " FROM ", item, self.where(Scope(entries), 0.5, 1))


def count_star(query):
    """Has the columns of a query counted, as where a list of names stands for them; those columns. None where they cannot be."""
    while isinstance(query, Wrapped):
        query = query.query
    if isinstance(query, Select):
        stars = [target for target in query.list.items if isinstance(target, Star)]
        if any(star.is_own for star in stars):
            return None
        for star in stars:
            star.counted = True
    return query.outputs(True)


class Recursive(Node):
    """A CTE that needs WITH RECURSIVE."""

    __slots__ = ()


