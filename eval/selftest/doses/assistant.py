"""The dose plan of ``assistant``: its gold runs, and sentences that strangers wrote, said at their end.

The task's own kinds of faults, which change calls as well as words, are those of ``eval.selftest.dialogue_faults``.
"""

import random
from collections.abc import Mapping

from eval.labels.contrasts.sets import ContrastSets
from eval.selftest.doses.conversations import text_of_gold
from eval.selftest.doses.plan import DosePlan, GoodSystem
from eval.selftest.doses.strangers import strangers_kinds
from eval.spine.cases import Case


def dose_plan(sets: ContrastSets, cases: Mapping[str, Case]) -> DosePlan:
    """Return the gold runs as the only system; they differ between repeats by what the customer says."""
    return DosePlan(
        pair="nova-lite",
        systems=(GoodSystem(name="gold", about="does and says what the cases write", draw=_gold),),
        kinds=(),
        strangers=strangers_kinds("assistant"),
    )


def _gold(case: Case, draws: random.Random) -> str:
    return text_of_gold(case)
