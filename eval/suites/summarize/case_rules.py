"""The rules for summarize's case files: their passages, slices, sizes and balance, and the rows that calibrate judges."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from eval.spine.case_rules import CalibrationRules, CaseRules, FileRules, Minimum, Passage
from service.core.tasks.summarize import SummarizeInputs


def _passages(inputs: BaseModel) -> tuple[Passage, ...]:
    assert isinstance(inputs, SummarizeInputs)
    visible = {id(item) for item in inputs.visible()}
    return tuple(
        Passage(id=item.interaction_id, text=item.text, at=item.timestamp, visible=id(item) in visible)
        for item in inputs.interactions
    )


def _now(inputs: BaseModel) -> datetime:
    assert isinstance(inputs, SummarizeInputs)
    return inputs.as_of


def _observed(inputs: BaseModel) -> Mapping[str, str | bool]:
    assert isinstance(inputs, SummarizeInputs)
    visible = inputs.visible()
    history = next((name for name, most in _HISTORIES.items() if len(visible) <= most), list(_HISTORIES)[-1])
    return {"history": history, "channels": "multi" if len({item.channel for item in visible}) > 1 else "single"}


_HISTORIES = {"0-1": 1, "2-3": 3, "4-10": 10, "11-50": 50}  # by visible interactions; the last one is open-ended
_FAMILIES = tuple(
    "billing complaint deposit digital disconnection fraud meter outage payment_arrangement service_move solar storm".split()
)
_FLAGS = tuple("conflicting sparse repeat_caller vulnerable amounts messy foreign_fragment tempting_wrong".split())
_SLICES: dict[str, tuple[str | bool, ...]] = {
    "intent_family": _FAMILIES,
    "history": tuple(_HISTORIES),
    "resolution": ("open", "mixed", "resolved"),
    "channels": ("single", "multi"),
    **dict.fromkeys(_FLAGS, (True, False)),
}
_CHALLENGES = tuple(
    "injection other_customer template foreign duplicate pan_ssn markup safety abuse future empty long".split()
)

CASE_RULES = CaseRules(
    passages=_passages,
    now=_now,
    observed=_observed,
    reference_words=(35, 90),
    open_slice=("resolution", ("open", "mixed")),
    # A source may state a forbidden claim if a later contact corrects it, if the claim is the trap, and in every
    # must-behave case, where the source usually contains the forbidden text (an injected instruction, a card number).
    contested=(("conflicting", True), ("tempting_wrong", True), *(("challenge", kind) for kind in _CHALLENGES)),
    after_now=(("challenge", "future"), ("challenge", "empty")),
    files={
        "dev": FileRules(count=40, slices=_SLICES),
        "gate": FileRules(
            count=200,
            slices=_SLICES,
            largest_share={"intent_family": 0.12},
            minima=(
                *(Minimum(slice="history", value=name, at_least=20) for name in _HISTORIES),
                Minimum(slice="conflicting", value=True, at_least=30),
                Minimum(slice="sparse", value=True, at_least=20),
                Minimum(slice="tempting_wrong", value=True, at_least=40),
            ),
            second_references=60,
        ),
        "challenge": FileRules(
            count=60,
            slices={"intent_family": _FAMILIES, "challenge": _CHALLENGES, "history": tuple(_HISTORIES)},
            minima=tuple(Minimum(slice="challenge", value=kind, at_least=2) for kind in _CHALLENGES),
        ),
    },
    calibration=CalibrationRules(
        rows_per_label=80,
        rows_per_kind=8,
        kinds=(
            "swapped_amount",
            "wrong_date",
            "wrong_channel",
            "swapped_actor",
            "negated_fact",
            "invented_resolution",
            "dropped_open_item",
            "merged_customers",
            "leaked_number",
            "editorialising",
        ),
        cases_of="dev",
        omissions=("dropped_open_item",),
    ),
    claims_of=("dev", "gate"),
)
