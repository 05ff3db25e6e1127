"""The planted faults of ``route``: what a routing policy, or the code behind it, could do wrong, and which check must say so."""

from dataclasses import replace

from eval.selftest.faults import route
from eval.selftest.mutant import Mutant, MutantPlan
from eval.spine.cases import Case
from service.core.llm.model_call import ModelReply
from service.core.tasks.route.situation import RouteInputs


def _shown(case: Case) -> tuple[str, ...]:
    return (RouteInputs.model_validate(case.inputs).conversation_id,)


def _slower(reply: ModelReply) -> ModelReply:
    return replace(reply, latency_ms=reply.latency_ms + 2_000)


PLAN = MutantPlan(
    pairs={"extractive": "policy"},
    good=route.good_decision,
    lost="There is no message to route.",
    shown=_shown,
    habits=(),
    mutants=(
        *(
            Mutant(name=name, does=does, targets=targets, doctor=route.spoilt(edit))
            for name, (does, targets, edit) in route.FAULTS.items()
        ),
        Mutant(name="chatty", does="answers in prose", targets=("answered",), doctor=route.chatty),
        Mutant(
            name="two_seconds_late",
            does="each decision takes two seconds more",
            targets=("latency_p95",),
            edit_reply=_slower,
        ),
    ),
)
