"""Draws cases from a seed."""

import random

from .expressions import Expressions
from .queries import Queries
from .scripts import Scripts, Step
from .sources import Sources
from .tree import Node
from .writes import Writes

KINDS = [(62, "plain"), (6, "several"), (5, "savepoints"), (5, "prepare"), (3, "explain"), (4, "cursor"), (4, "current_of"),
         (4, "create_as"), (4, "copy_out"), (5, "copy_in"), (1, "other")]


# Between words.
LAYOUTS = ["\n", "\n\t", " /* users.nickname /* username */ */ ", " -- it's nickname\n "]
# Constructs with a fault that is known and open: they are not drawn until it is mended.
OPEN = {"two names in a group", "drawn default in update"}


class Generator(Expressions, Sources, Queries, Writes, Scripts):
    """style: old, new or mixed, the names that a client uses. shape: both, old or new, what `*` shows it."""

    def __init__(self, seed, style, shape="both"):
        self.seed, self.style, self.shape, self.dice = seed, style, shape, random.Random()

    @staticmethod
    def is_open(construct):
        return construct in OPEN

    def case(self, number):
        """The case of this number: always the same one, whatever was drawn before it."""
        self.dice.seed(f"{self.seed}/{self.style}/{number}")
        self.names, self.literals, self.ctes, self.cte_names = 0, [], [], set()
        self.may_draw, self.may_assign_query, self.is_loose = True, True, False
        self.depth = self.dice.choice([1, 2, 2, 3])
        kinds = [(weight, kind) for weight, kind in KINDS if kind not in OPEN]
        kind = self.dice.choices([k for _, k in kinds], [w for w, _ in kinds])[0]
        self.path = self.dice.choice(["public"] * 9 + ["tenant"])
        case = getattr(self, "case_" + kind)()
        case.is_loose = self.is_loose
        case.layout = self.dice.choice([" "] * 4 + LAYOUTS)
        if self.path == "tenant":
            setting = self.dice.choice(["SET LOCAL search_path = tenant, public", "SET LOCAL search_path TO 'tenant', 'public'",
                                        "SELECT set_config('search_path', 'tenant,public', true)"])
            case.steps.insert(0, Step(Node(setting)))
        return case
