"""Expressions of every type, over whatever columns are in sight."""

from .scope import Ref, Row, Target
from .tree import Items, Labelled, Literal, Optional, Value, quote
from .world import TYPES, WORDS

# Types that stand beside each other in a comparison as themselves.
COMPARABLE = ["text", "int", "date", "json", "list", "mood"]
CASTS = {"text": "text", "int": "bigint", "date": "date", "json": "jsonb", "list": "text[]", "mood": "mood", "bool": "bool"}


class Expressions:
    """Part of the generator; dice, style and query() come from the others."""

    # ---- Names ----

    def spell(self, name):
        """One of the ways to write an identifier."""
        plain = quote(name)
        pick = self.dice.random()
        if plain[0] == '"' or pick < 0.8:
            return plain
        if pick < 0.88:
            return plain.upper() if plain.isascii() else plain
        if pick < 0.97:
            return f'"{name}"'
        return 'U&"' + f"\\{ord(name[0]):04x}" + name[1:] + '"'

    def name_of(self, column):
        if column.new is None:
            return column.name
        if self.style == "mixed":
            return self.dice.choice(column.names)
        return column.new if self.style == "new" else column.name

    def ref_to(self, entry, column, scope=None, bare=False):
        """A reference to this column. Without a qualifier where nothing else could be meant."""
        name = self.name_of(column)
        if name in entry.merged and scope is not None and entry in scope.entries and self.dice.random() < 0.5:
            return Ref(entry, column, name, "", self.spell(name))
        qualified = not bare and not (scope is not None and self.dice.random() < 0.5 and self.is_bare(entry, column, scope))
        qualifier = ""
        if qualified:
            qualifier = quote(entry.name) + "."
            if entry.schema and self.dice.random() < 0.4:
                qualifier = f"{quote(entry.schema)}.{qualifier}"
        return Ref(entry, column, name, qualifier, self.spell(name))

    @staticmethod
    def is_bare(entry, column, scope):
        """Neither name may be another column, nor another FROM item, at this level; and the level must be the entry's."""
        return entry in scope.entries and all(scope.is_alone(name) for name in column.names)

    def columns(self, scope, type_=None, outer=0.15):
        """(entry, column) in sight, mostly of this level."""
        found = []
        for depth, entry in scope.visible():
            if depth and self.dice.random() > outer:
                continue
            columns = entry.columns()
            names = [c.name for c in columns]
            found += [(entry, c) for c in columns if (type_ is None or c.type == type_) and names.count(c.name) == 1]
        return found

    def ref(self, scope, type_):
        found = self.columns(scope, type_)
        if not found:
            return None
        mapped = [f for f in found if f[1].new]
        entry, column = self.dice.choice(mapped if mapped and self.dice.random() < 0.6 else found)
        return self.ref_to(entry, column, scope)

    # ---- Values ----

    def literal(self, type_, typed=True):
        shared = [x for x in self.literals if x.type == type_ and x.typed == typed and x.as_parameter]
        if shared and self.dice.random() < 0.08:
            return self.dice.choice(shared)
        value = None if self.dice.random() < 0.06 else self.dice.choice(WORDS[type_])
        made = Literal(type_, value, typed, self.dice.random() < 0.6)
        self.literals.append(made)
        return made

    def value(self, type_, scope, depth=2):
        """An expression. Nothing in it fails when it is evaluated, so that it does not matter when it is."""
        pick = self.dice.random()
        if pick < 0.5:
            found = self.ref(scope, type_)
            if found is not None:
                return found
        if depth <= 0 or pick < 0.62 or type_ == "ci":
            return self.literal(type_)
        if pick < 0.68:
            return self.scalar_query(type_, scope, depth)
        inner = lambda t=type_: self.value(t, scope, depth - 1)  # noqa: E731
        common = self.dice.random()
        if common < 0.12:
            return Value(type_, "coalesce(", Items([inner(), inner()]), ")")
        if common < 0.24:
            otherwise = inner()
            return Labelled(type_, otherwise.label, "CASE WHEN ", self.condition(scope, depth - 1), " THEN ", inner(), " ELSE ",
                            otherwise, " END")
        if common < 0.3:
            return Value(type_, "nullif(", inner(), ", ", inner(), ")")
        if common < 0.36:
            inside = inner()
            return Labelled(type_, inside.label, "(", inside, ")")
        if common < 0.39 and type_ != "int":
            return Value(type_, "(ARRAY(", self.query([type_], scope, depth - 1, ordered=True), "))[1]")
        if common < 0.45 and type_ != "int":
            inside = inner()
            return Labelled(type_, inside.label, "CAST(", inside, f" AS {CASTS[type_]})")
        return getattr(self, "value_" + type_)(scope, depth - 1)

    def value_text(self, scope, depth):
        inner = lambda t="text": self.value(t, scope, depth)  # noqa: E731
        form = self.dice.randrange(8)
        if form == 0:
            return Value("text", self.dice.choice(["lower", "upper", "initcap", "md5"]), "(", inner(), ")")
        if form == 1:
            return Value("text", "(", inner(), " || ", inner(), ")")
        if form == 2:
            return Value("text", "left(", inner(), f", {self.dice.randrange(4)})")
        if form == 3:
            found = self.value(self.dice.choice(["int", "date", "mood", "json", "list"]), scope, depth)
            return Labelled("text", found.label, "(", found, ")::text")
        if form == 4:
            return Value("text", "concat_ws('-', ", Items([inner(), inner("int")]), ")")
        if form == 5:
            return Value("text", "(", inner("json"), " ->> 'a')")
        if form == 6:
            found = inner("list")
            return Labelled("text", found.label, "(", found, ")[1]")
        return Value("text", self.dice.choice(["format('%s/%L', ", "concat("]), inner(), ", ", inner(), ")")


    def value_int(self, scope, depth):
        inner = lambda t="int": self.value(t, scope, depth)  # noqa: E731
        form = self.dice.randrange(6)
        if form == 0:
            return Value("int", "(", inner(), self.dice.choice([" + ", " - "]), inner(), ")")
        if form == 1:
            return Value("int", "length(", inner("text"), ")")
        if form == 2:
            return Value("int", "cardinality(", inner("list"), ")")
        if form == 3:
            return Value("int", "extract(year FROM ", inner("date"), ")::int")
        if form == 4:
            return Value("int", "greatest(", Items([inner(), inner()]), ")")
        return Value("int", "(", inner("date"), " - ", inner("date"), ")")

    def value_date(self, scope, depth):
        if self.dice.random() < 0.5:
            return Value("date", "(", self.value("date", scope, depth), f" + {self.dice.randrange(1, 9)})")
        return Value("date", self.dice.choice(["least(", "greatest("]), Items([self.value("date", scope, depth) for _ in "ab"]), ")")

    def value_json(self, scope, depth):
        if self.dice.random() < 0.6:
            inside = self.value(self.dice.choice(["text", "int", "date", "mood"]), scope, depth)
            return Value("json", "jsonb_build_object('a', ", inside, ", 'b', ", self.value("text", scope, 0), ")")
        return Value("json", "to_jsonb(", self.value(self.dice.choice(["int", "date", "list", "mood"]), scope, depth), ")")

    def value_list(self, scope, depth):
        if self.dice.random() < 0.5:
            return Value("list", "ARRAY[", Items([self.value("text", scope, depth) for _ in range(2)]), "]::text[]")
        return Value("list", "(", self.value("list", scope, depth), " || ", self.value("text", scope, depth), ")")

    def value_mood(self, scope, depth):
        return Value("mood", "greatest(", Items([self.value("mood", scope, depth), self.value("mood", scope, depth)]), ")")

    def value_bool(self, scope, depth):
        return self.condition(scope, depth)

    def scalar_query(self, type_, scope, depth):
        """A sub-query that has one row at most."""
        orderable = type_ not in ("list", "json", "mood")
        query = self.one_column_query(type_, scope, depth - 1, aggregate="max" if orderable and self.dice.random() < 0.5 else None)
        return Labelled(type_, query.label, "(", query, ")")

    # ---- Conditions ----

    def condition(self, scope, depth=2):
        pick = self.dice.random()
        if depth > 0 and pick < 0.14:
            parts = [self.condition(scope, depth - 1) for _ in range(2)]
            return Value("bool", "(", Items(parts, self.dice.choice([" AND ", " OR "])), ")")
        if depth > 0 and pick < 0.19:
            return Value("bool", "NOT (", self.condition(scope, depth - 1), ")")
        if depth > 0 and pick < 0.34:
            return self.condition_on_query(scope, depth)
        type_ = self.some_type(scope)
        left = self.ref(scope, type_) or self.value(type_, scope, depth - 1)
        if type_ == "ci":
            return Value("bool", left, " = ", Literal("ci", self.dice.choice(["ANN", "Bob", "x"]), False, self.dice.random() < 0.6))
        form = self.dice.randrange(11)
        other = lambda: self.value(type_, scope, depth - 1)  # noqa: E731
        constant = lambda: self.literal(type_, typed=False)  # noqa: E731
        if form < 3:
            return Value("bool", left, self.dice.choice([" = ", " <> ", " < ", " >= "]), constant())
        if form == 3:
            return Value("bool", left, self.dice.choice([" = ", " <= "]), other())
        if form == 4:
            return Value("bool", left, self.dice.choice([" IN (", " NOT IN ("]), Items([constant(), constant(), constant()]), ")")
        if form == 5:
            return Value("bool", left, self.dice.choice([" IS NULL", " IS NOT NULL"]))
        if form == 6:
            return Value("bool", left, self.dice.choice([" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "]), other())
        if form == 7:
            return Value("bool", left, " BETWEEN ", constant(), " AND ", constant())
        if form == 8 and type_ == "text":
            return Value("bool", left, self.dice.choice([" LIKE '%n%'", " ILIKE 'a%'", " ~ '^[a-c]'", " SIMILAR TO '(a|b)%'"]))
        if form == 8 and type_ == "json":
            return Value("bool", left, self.dice.choice([" ? 'a'", " @> '{}'"]))
        if form == 9 and type_ != "list":
            return Value("bool", left, " = ANY (ARRAY[", Items([other(), other()]), f"]::{CASTS[type_]}[])")
        if form == 10:
            second = self.some_type(scope, COMPARABLE)
            comparison = self.dice.choice(["=", "<>", "<"])
            return Value("bool", "(", left, ", ", self.value(second, scope, 0), f") {comparison} (", other(), ", ",
                         self.value(second, scope, 0), ")")
        return Value("bool", left, " = ", constant())

    def condition_on_query(self, scope, depth):
        type_ = self.some_type(scope, ["text", "int", "date", "mood"])
        form = self.dice.randrange(6)
        if form == 5:
            second = self.some_type(scope, ["text", "int", "date"])
            both = self.query([type_, second], scope, depth - 1, ordered=True)
            return Value("bool", "(", self.value(type_, scope, 0), ", ", self.value(second, scope, 0), ") ",
                         self.dice.choice(["= (", "< ("]), "SELECT one_.* FROM (", both, ") one_ LIMIT 1)")
        if form == 0:
            return Value("bool", self.dice.choice(["EXISTS (", "NOT EXISTS ("]), self.query(None, scope, depth - 1), ")")
        left = self.ref(scope, type_) or self.literal(type_)
        if form == 1:
            second = self.some_type(scope, ["text", "int", "date"])
            return Value("bool", "(", left, ", ", self.value(second, scope, 0), ") IN (",
                         self.query([type_, second], scope, depth - 1), ")")
        if form == 2:
            return Value("bool", left, self.dice.choice([" = ANY (", " > ALL (", " <> SOME ("]), self.query([type_], scope, depth - 1), ")")
        return Value("bool", left, self.dice.choice([" IN (", " NOT IN ("]), self.query([type_], scope, depth - 1), ")")

    def some_type(self, scope, among=None):
        """Mostly one that a mapped column in sight has."""
        mapped = [c.type for _, c in self.columns(scope) if c.new and (among is None or c.type in among)]
        if mapped and self.dice.random() < 0.6:
            return self.dice.choice(mapped)
        return self.dice.choice(among or TYPES)

    def where(self, scope, likely=0.7, depth=2):
        clause = Optional(" WHERE ", self.condition(scope, depth))
        clause.there = self.dice.random() < likely
        return clause

    def returning(self, scope, likely=0.4):
        """RETURNING what the changed row holds."""
        list_ = Items(self.targets(scope, depth=1))
        if self.dice.random() < 0.03:
            list_.items.append(Target(Value("text", self.dice.choice(["to_jsonb(", "row_to_json("]), Row(scope.entries[0]), ")"), "row_"))
        clause = Optional(" RETURNING ", list_)
        clause.there = self.dice.random() < likely
        return clause
