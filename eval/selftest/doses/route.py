"""The dose plan of ``route``: floors that differ seldom or more often from the labels, and faults in their decisions."""

from collections.abc import Mapping
from functools import partial

from eval.labels.contrasts.sets import ContrastSets
from eval.selftest.doses.plan import DosePlan, GoodSystem, PlantedKind
from eval.selftest.faults import route
from eval.spine.cases import Case


def dose_plan(sets: ContrastSets, cases: Mapping[str, Case]) -> DosePlan:
    """Return the systems and the kinds that code sees."""
    return DosePlan(
        pair="policy",
        systems=(
            GoodSystem(name="strict", about="decides as labelled", draw=partial(route.drawn, slip=0.0)),
            GoodSystem(name="lenient", about="one decision in fifty is another", draw=partial(route.drawn, slip=0.02)),
        ),
        kinds=tuple(
            PlantedKind(name=name, does=does, seen_by="code", spoil=route.spoilt(edit))
            for name, (does, _, edit) in route.FAULTS.items()
        ),
    )
