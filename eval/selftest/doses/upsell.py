"""The dose plan of ``upsell``: writers who misjudge seldom or more often, and faults in their drafts."""

from collections.abc import Mapping
from functools import partial

from eval.labels.contrasts.sets import ContrastSets
from eval.selftest.doses.plan import DosePlan, GoodSystem, PlantedKind
from eval.selftest.faults import upsell
from eval.spine.cases import Case


def dose_plan(sets: ContrastSets, cases: Mapping[str, Case]) -> DosePlan:
    """Return the systems and the kinds that code sees."""
    return DosePlan(
        pair="nova-lite",
        parts={"judge": upsell.approves},
        systems=(
            GoodSystem(
                name="careful", about="one decision in a hundred is another", draw=partial(upsell.drawn, slip=0.01)
            ),
            GoodSystem(name="hasty", about="one decision in 33 is another", draw=partial(upsell.drawn, slip=0.03)),
        ),
        kinds=(
            *(
                PlantedKind(
                    name=name, does=does, seen_by="code", true=name == "another_offer", spoil=upsell.spoilt(edit)
                )
                for name, (does, _, edit) in upsell.FAULTS.items()
            ),
            PlantedKind(
                name="sells_to_everyone",
                does="sells to those whose notes say that this is no moment",
                seen_by="code",
                true=True,
                spoil=upsell.sells_to_everyone,
            ),
            PlantedKind(name="sells_to_nobody", does="sends nothing", seen_by="code", spoil=upsell.sells_to_nobody),
            PlantedKind(name="chatty", does="answers in prose", seen_by="code", spoil=upsell.chatty),
        ),
    )
