"""INSERT, UPDATE, DELETE and MERGE."""

from .queries import Select
from .scope import Entry, Output, Scope, Star, Target
from .tree import Items, Node, Optional, Value, quote
from .world import MAPPED, TABLES


class OnlyMapped(Node):
    """What the twin has not got: the second mention of a value that the client writes to both names."""

    __slots__ = ()

    def sql(self, text):
        return "" if text.twin else super().sql(text)


class Columns(Node):
    """A list of target columns, each spelled in one of its names."""

    __slots__ = ("columns", "spelled", "written")

    def __init__(self, columns, spelled, written):
        super().__init__()
        self.columns, self.spelled, self.written = columns, spelled, written

    def sql(self, text):
        return ", ".join(quote(c.name) for c in self.columns) if text.twin else ", ".join(self.written)


class Name(Node):
    """One target column."""

    __slots__ = ("column", "written")

    def __init__(self, column, written):
        super().__init__()
        self.column, self.written = column, written

    def sql(self, text):
        return quote(self.column.name) if text.twin else self.written


class Writes:
    """Part of the generator."""

    def target_name(self, column):
        return Name(column, self.spell(self.name_of(column)))

    def target(self, alias_likely=0.4, only=0.03):
        """The table to write: (node, entry)."""
        table = self.some_table(0.85)
        is_schema_named = self.is_hidden(table) or self.dice.random() < 0.1
        relation = (quote(table.schema) + "." if is_schema_named else "") + self.spell(table.name)
        alias = self.fresh("t") if self.dice.random() < alias_likely else None
        entry = self.entry(table, alias, is_schema_named)
        entry.is_plain_table = False
        before = "ONLY " if self.dice.random() < only else ""
        return Node(before, relation, f" AS {alias}" if alias else ""), entry

    # ---- INSERT ----

    def set_value(self, column, scope, depth=1, may_default=True):
        """A value for an assignment."""
        may_default = may_default and not (column.draws and self.is_open("drawn default in update"))
        return self.new_value(column, scope, depth, may_default)

    def new_value(self, column, scope, depth=1, may_default=True):
        """A value for an INSERT or an assignment, most often one that fits."""
        pick = self.dice.random()
        if may_default and pick < (0.015 if column.unique else 0.06):
            return Node("DEFAULT")
        if column.generated:
            return Node("DEFAULT")
        if column.name in ("user_id", "id", "order_id", "line") and pick < 0.75:
            return self.literal_of(column.type, self.dice.randrange(1, 12) if pick < 0.1 else self.dice.randrange(50, 9000))
        if column.type == "text" and pick < 0.3:
            self.names += 1
            return self.literal_of("text", f"new{self.names}")
        if column.type == "text" and pick < 0.36 and self.may_draw:
            # One a row: nobody says which of several is computed first.
            self.may_draw = False
            return Value("text", "'seq' || nextval('names')")
        if pick < 0.6 or column.type == "ci":
            made = self.literal(column.type, typed=False)
            return self.literal(column.type, typed=False) if made.value is None and column.required else made
        return self.value(column.type, scope, depth)

    def literal_of(self, type_, value):
        made = self.literal(type_, typed=False)
        if made.value != value:
            made = type(made)(type_, value, False, self.dice.random() < 0.6)
        return made

    def insert_columns(self, table):
        """Which columns are given: what is needed, and some more."""
        given = [c for c in table.columns if (c.required and not c.default) or self.dice.random() < 0.65]
        given = [c for c in given if not c.generated or self.dice.random() < 0.05]
        given = given or [table.columns[0]]
        mapped = [c for c in table.columns if c.new]
        if mapped and not any(c in given for c in mapped) and self.dice.random() < 0.7:
            given.append(self.dice.choice(mapped))
        if self.dice.random() < 0.5:
            self.dice.shuffle(given)
        return given

    def insert(self, depth=2):
        with_ = self.with_before(depth)
        node, entry = self.target(alias_likely=0.25, only=0)
        table = entry.table
        pick = self.dice.random()
        overriding = ""
        if table.name == "users" and self.dice.random() < 0.08:
            overriding = self.dice.choice([" OVERRIDING SYSTEM VALUE", " OVERRIDING USER VALUE"])
        if pick < 0.03:
            source, list_ = Node(" DEFAULT VALUES"), Node()
            overriding = ""
        elif pick < 0.18:
            list_ = Node()
            given = table.columns if self.dice.random() < 0.7 else table.columns[:self.dice.randrange(3, len(table.columns) + 1)]
            generated = next((i for i, c in enumerate(given) if c.generated), None)
            if generated is not None and self.dice.random() < 0.8:
                given = given[:generated]
            source = self.insert_source(given, depth, with_rows=0.5)
        else:
            given = self.insert_columns(table)
            list_, source = self.insert_list(given, depth)
        conflict = self.on_conflict(table, entry) if self.dice.random() < 0.3 else Node()
        return Node(*with_, "INSERT INTO ", node, list_, overriding, source, conflict, self.returning(Scope([entry])))

    def insert_list(self, given, depth):
        spelled = [self.name_of(c) for c in given]
        columns = Columns(given, spelled, [self.spell(n) for n in spelled])
        both = [c for c in given if c.new]
        if self.style == "mixed" and both and self.dice.random() < 0.06:
            return self.insert_both_names(given, spelled, self.dice.choice(both))
        return Node(" (", columns, ")"), self.insert_source(given, depth, with_rows=0.65)

    def insert_both_names(self, given, spelled, twice):
        """An application that knows both names and writes one value to both."""
        other = twice.new if spelled[given.index(twice)] == twice.name else twice.name
        columns = Columns(given, spelled, [self.spell(n) for n in spelled])
        rows = []
        for _ in range(self.dice.randrange(1, 3)):
            values = [self.literal(c.type, typed=False) if c is twice else
                      self.new_value(c, Scope(), may_default=False) for c in given]
            again = values[given.index(twice)]
            rows.append(Node("(", Items(values, least=len(values)), OnlyMapped(", ", again), ")"))
        return Node(" (", columns, OnlyMapped(", " + quote(other)), ")"), Node(" VALUES ", Items(rows))

    def insert_source(self, given, depth, with_rows):
        if self.dice.random() < with_rows:
            rows = []
            for _ in range(self.dice.choice([1, 1, 1, 2, 3])):
                may_draw = self.may_draw
                rows.append(Node("(", Items([self.new_value(c, Scope(), depth - 1) for c in given], least=len(given)), ")"))
                self.may_draw = may_draw
            return Node(" VALUES ", Items(rows))
        if self.may_draw and self.dice.random() < 0.12:
            return self.drawn_source(given)
        self.is_loose = True
        kept, self.may_draw = self.may_draw, False
        # A key that is drawn from a sequence needs rows in an order.
        ordered = self.dice.random() < 0.3 or "user_id" not in [c.name for c in given]
        query = self.query([c.type for c in given], None, depth - 1, ordered=ordered)
        self.may_draw = kept
        return Node(" (", query, ")") if self.dice.random() < 0.1 else Node(" ", query)

    def drawn_source(self, given):
        """Rows in an order of their own, with values that are not the same twice."""
        alias, rows = self.fresh("g"), self.dice.randrange(1, 4)
        scope = Scope([Entry(alias, [Output("n", "int")])])
        list_ = []
        drawn = self.dice.choice([c for c in given if c.new] or given)
        for column in given:
            if column is drawn and column.type == "text":
                list_.append(Value("text", "'seq' || nextval('names')"))
            elif column is drawn and column.type == "int":
                list_.append(Value("int", "nextval('names')::int"))
            elif column.type == "int":
                list_.append(Value("int", f"{alias}.n + {self.dice.randrange(100, 900)}"))
            else:
                list_.append(self.new_value(column, scope, 0, may_default=False) if not column.generated else Value("int", "1"))
        return Node(" SELECT ", Items(list_, least=len(list_)), f" FROM generate_series(1, {rows}) AS {alias} (n)")

    def on_conflict(self, table, entry):
        target, mapped = self.conflict_target(table), [c for c in table.columns if c.new]
        excluded = Entry("excluded", table.columns)
        scope = Scope([entry, excluded])
        if target is None:
            return Node(" ON CONFLICT DO NOTHING")
        if self.dice.random() < 0.3:
            return Node(" ON CONFLICT ", target, " DO NOTHING")
        kept, self.may_draw = self.may_draw, False
        sets = []
        columns = self.dice.sample([c for c in table.columns if c.name not in table.key and not c.generated],
                                   self.dice.randrange(1, 3))
        if mapped and self.dice.random() < 0.6 and not any(c.new for c in columns):
            columns[0] = self.dice.choice(mapped)
        for column in columns:
            if self.dice.random() < 0.5:
                sets.append(Node(self.target_name(column), " = ", self.ref_to(excluded, column)))
            else:
                sets.append(Node(self.target_name(column), " = ", self.set_value(column, scope)))
        self.may_draw = kept
        return Node(" ON CONFLICT ", target, " DO UPDATE SET ", Items(sets), self.where(scope, 0.3, 1))

    def conflict_target(self, table):
        """What a conflict is about; None: anything."""
        pick = self.dice.random()
        if pick < 0.1 or not table.key:
            return None
        if table.name == "users" and pick < 0.55:
            return Node("(", self.target_name(table.column("nickname")), ")")
        if table.constraint and pick < 0.7:
            return Node("ON CONSTRAINT ", table.constraint)
        if table.name == "orders" and pick < 0.5:
            return Node("(lower(", self.target_name(table.column("user")), ")) WHERE ", self.target_name(table.column("Total Price")),
                        " > 90")
        return Node("(", Items([self.target_name(table.column(k)) for k in table.key], least=len(table.key)), ")")

    # ---- UPDATE, DELETE ----

    def one_row(self, entry, scope):
        """A condition that one row meets at most."""
        keys = [entry.table.column(k) for k in entry.table.key]
        parts = []
        for key in keys:
            parts += [self.ref_to(entry, key, scope), " = ", self.literal_of("int", self.dice.randrange(1, 7)), " AND "]
        return Node(" WHERE ", *parts[:-1])

    def update(self, depth=2):
        with_ = self.with_before(depth)
        node, entry = self.target()
        scope = Scope([entry])
        table = entry.table
        from_ = Node()
        if self.dice.random() < 0.3 and table.key:
            from_, where = self.joined_by_key(entry, scope, " FROM ")
            self.is_loose = True
        elif self.dice.random() < 0.5 and table.key:
            where = self.one_row(entry, scope)
        else:
            where = None
        kept, self.may_draw = self.may_draw, where is not None and not from_.parts
        sets = self.assignments(table, scope, depth)
        self.may_draw = kept
        if where is None:
            where, self.is_loose = self.where(scope, 0.8, depth), True
        elif self.dice.random() < 0.2:
            where = Node(where, Optional(" AND ", self.condition(scope, 1)))
        return Node(*with_, "UPDATE ", node, " SET ", sets, from_, where, self.returning(scope))

    def joined_by_key(self, entry, scope, word):
        """Another source, of which one row at most belongs to a row of the target."""
        if self.dice.random() < 0.7:
            item, entries = self.table_item(self.dice.choice([t for t in MAPPED[:2]] * 2 + [self.keyed()]), self.fresh("s"), plain=True)
            other = entries[0]
            key = other.table.column(other.table.key[0]) if len(other.table.key) == 1 else None
        else:
            query = self.grouped_by_one(depth=1)
            alias = self.fresh("s")
            other = Entry(alias, lambda: query.outputs(False))
            item = Node("(", query, f") AS {alias}")
            key = other.columns()[0]
        ours = [c for c in entry.columns() if c.type == "int"]
        if key is None:
            keys = [other.table.column(k) for k in other.table.key]
            on = Node(self.ref_to(other, keys[0]), " = ", self.ref_to(entry, self.dice.choice(ours)), " AND ", self.ref_to(other, keys[1]),
                      " = 1")
        else:
            on = Node(self.ref_to(other, key), " = ", self.ref_to(entry, self.dice.choice(ours)))
        scope.entries.append(other)
        return Node(word, item), Node(" WHERE ", on)

    def keyed(self):
        return next((t for t in (self.some_table(0.5) for _ in range(50)) if len(t.key) == 1), MAPPED[0])

    def grouped_by_one(self, depth):
        """A query whose first column is a key of it."""
        scope = Scope()
        item, entries = self.table_item(self.keyed(), self.fresh("k"), plain=True)
        scope.entries += entries
        key = entries[0].table.column(entries[0].table.key[0])
        list_ = Items([Target(self.ref_to(entries[0], key), "k")] +
                      [Target(self.value(self.some_type(scope), scope, depth), self.fresh("o")) for _ in range(2)], least=2)
        return Select(list_, "SELECT ", list_, " FROM ", item, self.where(scope, 0.3, 1))

    def assignments(self, table, scope, depth):
        free = [c for c in table.columns if not c.generated and (c.name not in table.key or self.dice.random() < 0.05)]
        columns = self.dice.sample(free, min(len(free), self.dice.randrange(1, 4)))
        mapped = [c for c in free if c.new]
        if mapped and not any(c.new for c in columns) and self.dice.random() < 0.8:
            columns[0] = self.dice.choice(mapped)
        if len(columns) > 1 and self.dice.random() < 0.35:
            return Items([self.row_assignment(columns, scope, depth)])
        sets = [Node(self.target_name(c), " = ", self.set_value(c, scope, depth)) for c in columns]
        if self.style == "mixed" and self.dice.random() < 0.05:
            both = [c for c in columns if c.new]
            if both:
                column = both[0]
                value = self.literal(column.type, typed=False)
                sets = [s for c, s in zip(columns, sets) if c is not column]
                first, second = self.dice.sample([column.name, column.new], 2)
                sets.append(Node(Name(column, quote(first)), " = ", value, OnlyMapped(f", {quote(second)} = ", value)))
        tags = [c for c in free if c.name == "tags" and c not in columns]
        if tags and self.dice.random() < 0.08:
            sets.append(Node(self.target_name(tags[0]), f"[{self.dice.randrange(1, 4)}] = ", self.value("text", scope, 1)))
        return Items(sets)

    def row_assignment(self, columns, scope, depth):
        names = Items([self.target_name(c) for c in columns], least=len(columns))
        form = self.dice.randrange(4 if self.may_assign_query else 2)
        if form == 0:
            values = Items([self.set_value(c, scope, depth) for c in columns], least=len(columns))
            return Node("(", names, ") = (", values, ")")
        if form == 1:
            values = Items([self.set_value(c, scope, depth, may_default=False) for c in columns], least=len(columns))
            return Node("(", names, ") = ROW(", values, ")")
        inner = Scope(outer=scope)
        item, entries = self.table_item(plain=True, alias=self.fresh("s"))
        inner.entries += entries
        list_ = Items([self.value(c.type, inner, 1) for c in columns], least=len(columns))
        order = ", ".join(str(i + 1) for i in range(len(columns)))
        return Node("(", names, ") = (SELECT ", list_, " FROM ", item, self.where(inner, 0.8, 1), f" ORDER BY {order} LIMIT 1)")

    def delete(self, depth=2):
        with_ = self.with_before(depth)
        node, entry = self.target()
        scope = Scope([entry])
        if self.dice.random() < 0.3 and entry.table.key:
            using, where = self.joined_by_key(entry, scope, " USING ")
            where = Node(where, Optional(" AND ", self.condition(scope, 1)))
        else:
            using, where = Node(), self.where(scope, 0.95, depth)
        return Node(*with_, "DELETE FROM ", node, using, where, self.returning(scope))

    def written_on(self, alias, inner, entry, scope):
        """What one write returns goes into another."""
        self.is_loose = True
        ctes = [Node(f"{alias} AS (", inner, ")")]
        into = self.dice.choice([t for t in TABLES if t.name in ("archive", "people")])
        given = [c for c in into.columns if any(o.type == c.type for o in entry.columns())] or into.columns[:1]
        list_ = Items([self.ref(scope, c.type) or self.literal(c.type) for c in given], least=len(given))
        body = Node(f"INSERT INTO {into.name} ({', '.join(c.name if c.name != 'select' else quote(c.name) for c in given)}) SELECT ", list_,
                    f" FROM {alias}")
        if self.dice.random() < 0.5:
            again = self.fresh("q")
            ctes.append(Node(f"{again} AS (", body, " RETURNING *)"))
            body = Node(f"SELECT count(*) FROM {again}")
        return Node("WITH ", Items(ctes, least=len(ctes)), " ", body)

    # ---- MERGE ----

    def merge(self, depth=2):
        with_ = self.with_before(depth)
        node, entry = self.target()
        if not entry.table.key:
            return self.update(depth)
        scope = Scope([entry])
        using, where = self.joined_by_key(entry, scope, " USING ")
        source, self.is_loose = Scope(scope.entries[1:]), True
        arms = []
        count = self.dice.randrange(1, 4)
        for i in range(count):
            kept, self.may_draw = self.may_draw, False
            arms.append(self.merge_arm(entry, scope, source, depth, i == count - 1))
            self.may_draw = kept
        self.may_assign_query = True
        on = Node(*where.parts[1:])
        return Node(*with_, "MERGE INTO ", node, using, " ON ", on, Items(arms, ""))

    def merge_arm(self, entry, scope, source, depth, is_last):
        pick = self.dice.random()
        if pick < 0.5:
            extra = Optional(" AND ", self.condition(scope, 1))
            extra.there = not is_last or self.dice.random() < 0.5
            if pick < 0.08:
                return Node(" WHEN MATCHED", extra, " THEN DELETE")
            if pick < 0.12:
                return Node(" WHEN MATCHED", extra, " THEN DO NOTHING")
            sets = self.assignments(entry.table, scope, depth - 1)
            # PostgreSQL 15 mixes up the values of two such assignments in one MERGE, or ends.
            self.may_assign_query = False
            return Node(" WHEN MATCHED", extra, " THEN UPDATE SET ", sets)
        extra = Optional(" AND ", self.condition(source, 1))
        extra.there = not is_last or self.dice.random() < 0.4
        if pick < 0.54:
            return Node(" WHEN NOT MATCHED", extra, " THEN INSERT DEFAULT VALUES")
        given = self.insert_columns(entry.table)
        # A key that is drawn from a sequence would depend on the order of the join's rows.
        given += [c for c in entry.table.columns if c.name in entry.table.key and c not in given]
        if self.dice.random() < 0.85:
            spelled = [self.name_of(c) for c in given]
            list_ = Node(" (", Columns(given, spelled, [self.spell(n) for n in spelled]), ")")
        else:
            given, list_ = entry.table.columns, Node()
        values = Items([self.new_value(c, source, 1) for c in given], least=len(given))
        return Node(" WHEN NOT MATCHED", extra, " THEN INSERT", list_, " VALUES (", values, ")")

    # ---- WITH around them ----

    def with_before(self, depth):
        """Nothing, mostly; or CTEs, some of which write."""
        self.ctes, self.cte_names = [], set()
        if depth < 2 or self.dice.random() > 0.15:
            return []
        ctes = self.some_ctes(None, 1)
        return [self.with_word(Items(ctes)), Items(ctes), " "]

    def writing_cte(self):
        """A query over what a write in WITH returns. The write and the query see the tables as they were before."""
        kind = self.dice.choice([self.insert, self.update, self.delete])
        inner = kind(1)
        returning = inner.parts[-1]
        returning.there = True
        alias = self.fresh("q")
        list_ = returning.parts[1]
        if not isinstance(list_.items[0], Star):
            list_.items[:] = [Target(target.value, f"{alias}{i}") for i, target in enumerate(list_.items)]
        outputs = lambda: [o for target in list_.items for o in target.outputs(False)]  # noqa: E731
        entry = Entry(alias, outputs)
        scope = Scope([entry])
        if self.dice.random() < 0.35:
            return self.written_on(alias, inner, entry, scope)
        targets = Items(self.targets(scope, depth=1))
        body = Select(targets, "SELECT ", targets, f" FROM {alias}", self.where(scope, 0.4, 1))
        return Node(f"WITH {alias} AS (", inner, ") ", body)


