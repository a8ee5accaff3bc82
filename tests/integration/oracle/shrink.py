"""Makes a failing case smaller for as long as it fails in the same way."""

from .scope import Ref
from .tree import Items, Literal, Optional, Value, walk
from .world import WORDS


class Shrinker:
    """fails(case): the kind of its failure, or None."""

    def __init__(self, case, kind, fails, most=1500):
        self.case, self.kind, self.fails, self.left = case, kind, fails, most

    def still(self):
        if self.left <= 0:
            return False
        self.left -= 1
        return self.fails(self.case) == self.kind

    def shrink(self):
        changed = True
        while changed and self.left > 0:
            changed = self.steps() | self.optional() | self.items() | self.values() | self.protocol()
        return self.case

    def steps(self):
        return self.thin(self.case.steps, 1)

    def thin(self, items, least):
        changed, size = False, max(1, len(items) // 2)
        while size:
            at = 0
            while at < len(items) and len(items) - size >= least:
                taken = items[at:at + size]
                del items[at:at + size]
                if self.still():
                    changed = True
                else:
                    items[at:at] = taken
                    at += size
            size //= 2
        return changed

    def nodes(self):
        for step in self.case.steps:
            yield from walk(step.node)

    def optional(self):
        changed = False
        for node in list(self.nodes()):
            if isinstance(node, Optional) and node.there:
                node.there = False
                if self.still():
                    changed = True
                else:
                    node.there = True
        return changed

    def items(self):
        changed = False
        for node in list(self.nodes()):
            if isinstance(node, Items) and len(node.items) > node.least:
                changed |= self.thin(node.items, max(node.least, 1))
        return changed

    def values(self):
        """Puts a part of an expression, a column or a constant in its place."""
        changed = False
        for node in list(self.nodes()):
            if not isinstance(node, Value) or isinstance(node, (Literal, Ref)) or node.instead is not None:
                continue
            parts = [n for n in walk(node) if n is not node and isinstance(n, Value) and n.type == node.type and n.instead is None]
            candidates = [n for n in parts if isinstance(n, (Literal, Ref))] + [Literal(node.type, WORDS[node.type][0], True, False)]
            for candidate in candidates + [n for n in parts if n not in candidates]:
                node.instead = candidate
                if self.still():
                    changed = True
                    break
                node.instead = None
        return changed

    def protocol(self):
        """The plainest way to send it."""
        changed = False
        for name, plain in (("mode", "simple"), ("binary", False), ("at_once", 0), ("layout", " "), ("declares", False),
                            ("describes_portal", False)):
            was = getattr(self.case, name)
            if was != plain:
                setattr(self.case, name, plain)
                if self.still():
                    changed = True
                else:
                    setattr(self.case, name, was)
        return changed


def show(case, twin=False):
    """The statements of a case as text."""
    lines = []
    for step, (sql, values) in zip(case.steps, case.texts(twin)):
        told = [f"   -- {[value.sent() for value in values]}"] if values else []
        told += [f"   -- data {b''.join(pieces)!r}" for pieces in step.data]
        lines.append(sql + ";" + "".join(told))
    return "\n    ".join(lines)
