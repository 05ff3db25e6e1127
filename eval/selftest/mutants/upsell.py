"""The planted faults of ``upsell``: what could be wrong with a message that sells, and which check must say so.

The pair's own checks refuse most of them, so that fewer messages leave: ``approved`` says how few.
"""

import json
from dataclasses import replace

from eval.selftest.faults import upsell
from eval.selftest.mutant import Mutant, MutantPlan, SelftestEngine, drop_instruction
from eval.spine.cases import Case
from service.core.llm.model_call import ModelReply
from service.core.tasks.upsell.customer import UpsellInputs

_SCRIPTED: frozenset[SelftestEngine] = frozenset({"scripted"})


def _shown(case: Case) -> tuple[str, ...]:
    inputs = UpsellInputs.model_validate(case.inputs)
    return tuple(json.dumps(offer.price, ensure_ascii=False) for offer in inputs.open_offers())


def _slower(reply: ModelReply) -> ModelReply:
    return replace(reply, latency_ms=reply.latency_ms * 2)


def _dearer(reply: ModelReply) -> ModelReply:
    more = {name: round(getattr(reply.usage, name) * 3) for name in ("input_tokens", "output_tokens")}
    return replace(reply, usage=replace(reply.usage, **more))


PLAN = MutantPlan(
    pairs={"scripted": "nova-lite", "extractive": "templates"},
    good=upsell.good_draft,
    lost="There is no customer to write to.",
    shown=_shown,
    habits=(),
    parts={"judge": upsell.approves},
    mutants=(
        *(
            Mutant(name=name, does=does, targets=targets, engines=_SCRIPTED, doctor=upsell.spoilt(edit))
            for name, (does, targets, edit) in upsell.FAULTS.items()
        ),
        Mutant(
            name="sells_to_everyone",
            does="sells to those whose notes say that this is no moment",
            targets=("held_back", "held_back_noted"),
            engines=_SCRIPTED,
            doctor=upsell.sells_to_everyone,
        ),
        Mutant(
            name="sells_to_nobody",
            does="sends nothing to anybody",
            targets=("approved",),
            engines=_SCRIPTED,
            doctor=upsell.sells_to_nobody,
        ),
        Mutant(name="chatty", does="answers in prose", targets=("answered",), doctor=upsell.chatty),
        Mutant(
            name="lost_offers",
            does="{{offers}} is gone from the prompt",
            targets=("answered", "approved"),
            engines=_SCRIPTED,
            edit_pair={"scripted": drop_instruction("{{offers}}")},
        ),
        Mutant(
            name="twice_as_slow",
            does="each call takes twice as long",
            targets=("latency_p95",),
            engines=_SCRIPTED,
            edit_reply=_slower,
        ),
        Mutant(
            name="three_times_the_tokens",
            does="each draft uses three times the tokens",
            targets=("cost_cold",),
            engines=_SCRIPTED,
            edit_reply=_dearer,
        ),
    ),
)
