"""Faults of conversations: those that any gold run can have, and one module for those of a task, found by the task's name."""

import importlib

from eval.selftest.dialogue_faults.fault import DialogueFault

# The metrics of which one must not pass, by the kind of a fault that ``eval.dialogue.mutations`` plants.
GENERAL_TARGETS: dict[str, tuple[str, ...]] = {
    "argument changed": ("calls_right",),
    "call left out": ("calls_right",),
    "called before confirmation": ("called_unconfirmed",),
    "confirmed something else": ("called_unconfirmed",),
    "forbidden call made": ("not_permitted_proposed",),
    "fact not told": ("told_right",),
    "false claim made": ("claims_right",),
    "handed over for nothing": ("left_alone", "handover_precision"),
    "not handed over": ("handover_recall",),
    "handed over without context": ("handover_context_complete",),
    "handed over for another reason": ("handover_f1",),
    "handed over late": ("handover_turns_late",),
    "asks for ever": ("turns", "ending_right"),
    "ends too early": ("conversation_right",),
    "correction not heard": ("conversation_right",),
}


def faults_of(task: str) -> tuple[DialogueFault, ...]:
    """Return the task's own faults: ``FAULTS`` in ``eval/selftest/dialogue_faults/<task>.py``; none without that file."""
    name = f"{__name__}.{task}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name != name:
            raise
        return ()
    faults: tuple[DialogueFault, ...] = module.FAULTS
    return faults
