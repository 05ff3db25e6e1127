"""Kinds of harm by an author who knew no detector (``eval.labels.faults``), as a dose-response plants them."""

import json
import random
from collections.abc import Mapping
from functools import partial
from typing import Literal

from eval.labels.faults import WrittenFault, load, plant
from eval.selftest.doses.plan import PlantedKind
from eval.spine.cases import Case
from eval.spine.judge_spec import HarmClass

# The author's classes that a licence knows under another name; whoever reads for inventions sees what was added, of any sort.
_CLASSES: Mapping[str, HarmClass] = {
    "promise_and_deed": "promise",
    "secret_asked": "promise",  # pragma: allowlist secret
    "false_fact": "invention",
    "form": "invention",
    "language": "invention",
    "register": "invention",
    "misattribution": "roles",
    "traits": "invention",
    "conduct": "invention",
    "figures": "invention",
    "privacy": "invention",
    "discrimination": "invention",
    "blame": "invention",
    "safe_account": "invention",
    "complaint": "invention",
}


def strangers_kinds(task: Literal["summarize", "assistant", "scorecard"]) -> tuple[PlantedKind, ...]:
    """Return all kinds of ``task``; nothing is promised of them, because no bound or detector may be tuned on them."""
    spoil = {"summarize": _in_text, "assistant": _in_run, "scorecard": _in_card}[task]
    return tuple(
        PlantedKind(
            name=kind.kind,
            does=kind.does,
            seen_by="code" if kind.code_visible else "judge",
            harm=_CLASSES.get(kind.group, kind.group),
            group=kind.group,
            kept=True,
            promised=False,
            spoil=partial(spoil, kind),
        )
        for kind in load(task)
    )


def _in_text(kind: WrittenFault, text: str, case: Case, draws: random.Random) -> str:
    source = "\n".join(str(item["text"]) for item in case.inputs["interactions"])
    return plant(kind, text, source, draws) or text


def _in_run(kind: WrittenFault, text: str, case: Case, draws: random.Random) -> str:
    """Plant the fault in the last reply of an assistant's run, or in its handover note; a run without one stays as it is."""
    run = json.loads(text)
    reply = next((step for step in reversed(run[-1]) if "say" in step), None)
    place, field = (reply, "say") if kind.part != "note" else ((reply or {}).get("handover"), "context")
    if place is None:
        return text
    customer = case.inputs["customer"]
    said = (*customer["opens"], *customer.get("then", ()), *customer.get("interrupts", {}).get("says", ()))
    planted = plant(kind, place[field], "\n".join(said), draws)
    if planted is None:
        return text
    place[field] = planted
    return json.dumps(run)


def _in_card(kind: WrittenFault, text: str, case: Case, draws: random.Random) -> str:
    """Plant the fault in one field of a scorecard's answer; a list of action items gets one more."""
    source = json.dumps(case.inputs, ensure_ascii=False)
    answer = json.loads(text)
    if kind.part == "action_item":
        planted = plant(kind, "", source, draws)
        answer["overview"]["action_items"] += [planted.strip()] if planted else []
    else:
        fields = list(answer["answers"].values()) if kind.part == "reason" else [answer["overview"]]
        field = draws.choice(fields)
        field[kind.part] = plant(kind, field[kind.part], source, draws) or field[kind.part]
    return json.dumps(answer)
