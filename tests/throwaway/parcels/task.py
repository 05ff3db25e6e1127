"""A task nobody needs: a parcel service answers in conversations, with tools. Tests drop it into the house."""

import json
import re
from typing import Any, ClassVar

from service.core.run.dialogue.task import DialogueSoFar, DialogueTask
from service.core.run.dialogue.turn import DialogueInputs
from service.core.tools.functions import ToolFunction
from service.core.tools.port import ToolError
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Said, Use

FIND = ToolSpec(
    name="find_parcel",
    description="Look a parcel up by its number.",
    arguments={"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
)
REDIRECT = ToolSpec(
    name="redirect_parcel",
    description="Send a parcel to another address, once the customer has confirmed it.",
    arguments={
        "type": "object",
        "properties": {"number": {"type": "string"}, "address": {"type": "string"}},
        "required": ["number", "address"],
    },
    writes=True,
)
SPECS = (FIND, REDIRECT)


def find_parcel(records: dict[str, Any], arguments: Any) -> object:
    number = arguments["number"]
    if number not in records["parcels"]:
        raise ToolError(f"there is no parcel {number}")
    return {"number": number, **records["parcels"][number]}


def redirect_parcel(records: dict[str, Any], arguments: Any) -> object:
    number = arguments["number"]
    if number not in records["parcels"]:
        raise ToolError(f"there is no parcel {number}")
    parcel = records["parcels"][number]
    if parcel["status"] == "delivered":
        raise ToolError(f"parcel {number} is delivered already")
    parcel["address"] = arguments["address"]
    return {"number": number, "address": parcel["address"], "due": parcel["due"]}


WORKS = {"find_parcel": find_parcel, "redirect_parcel": redirect_parcel}
LIVE: dict[str, Any] = {"parcels": {}}  # what the service's own tools work on


def _live() -> tuple[ToolFunction, ...]:
    finding, redirecting = find_parcel, redirect_parcel

    def served_find(number: str) -> dict[str, str]:
        """Look a parcel up by its number."""
        return finding(LIVE, {"number": number})  # type: ignore[return-value]

    async def served_redirect(number: str, address: str, *, key: str | None) -> dict[str, str]:
        """Send a parcel to another address, once the customer has confirmed it."""
        LIVE.setdefault("keys", []).append(key)
        return redirecting(LIVE, {"number": number, "address": address})  # type: ignore[return-value]

    served_find.__name__, served_redirect.__name__ = FIND.name, REDIRECT.name
    return ToolFunction(call=served_find), ToolFunction(call=served_redirect, writes=True)


_NUMBER = re.compile(r"\b[A-Z]{2}\d{6}\b")
_ADDRESS = re.compile(r"\b\d+[a-z]? [A-Z]\w+ (?:Street|Road|Lane|Avenue)\b")
_PERSON = re.compile(r"\b(person|human|someone|colleague|complain)\b", re.IGNORECASE)
_REDIRECT = re.compile(
    r"\b(redirect|another address|send it to|deliver it to|new address|different address)\b", re.IGNORECASE
)
_YES, _NO = re.compile(r"^(yes|that is correct)\b", re.IGNORECASE), re.compile(r"^no\b", re.IGNORECASE)
_ASKED = "Shall I send parcel"


def _reply(text: str, action: str = "answer", **more: object) -> str:
    return json.dumps({"reply": text, "action": action, **more})


def _use(tool: str, **arguments: str) -> Said:
    return Said(output="", uses=(Use(tool=tool, arguments=arguments, call_id=tool),))


def courteous(so_far: object, *, asks_first: bool = True) -> str | Said:
    """Looks parcels up, redirects them once the customer says yes, and calls a person in when asked to."""
    assert isinstance(so_far, DialogueSoFar)
    inputs, outcomes = so_far.inputs, dict(so_far.outcomes)
    said = " ".join(inputs.said)
    numbers, addresses = _NUMBER.findall(said), _ADDRESS.findall(said)
    if not numbers:
        if _PERSON.search(said):
            return _handover("asked for a person", "No parcel was named.")
        return _reply("What is the number of your parcel?", "clarify", asks=["number"])
    if "find_parcel" not in outcomes:
        return _use("find_parcel", number=numbers[-1])
    found = outcomes["find_parcel"]
    if _PERSON.search(said):
        return _handover("asked for a person", f"Parcel {numbers[-1]}, status {found.get('status', 'unknown')}.")
    if "status" not in found:
        return _handover("tools failed", f"Parcel {numbers[-1]} could not be looked up.")
    if not _REDIRECT.search(said):
        return _reply(f"Parcel {numbers[-1]} is {found['status']} and due on {found['due']}.")
    if found["status"] == "delivered":
        return _reply(f"Parcel {numbers[-1]} is delivered already, so it stays at {found['address']}.")
    if not addresses:
        return _reply("Which address shall it go to?", "clarify", asks=["address"])
    if "redirect_parcel" in outcomes:
        done = outcomes["redirect_parcel"]
        if "error" in done:
            return _handover("tools failed", f"Parcel {numbers[-1]} could not be sent to {addresses[-1]}.")
        return _reply(f"Parcel {done['number']} goes to {done['address']} and is due on {done['due']}.")
    asked = bool(inputs.history) and inputs.history[-1].text.startswith(_ASKED)
    if asked and _NO.search(inputs.message):
        return _reply(f"Then parcel {numbers[-1]} still goes to {found['address']}.")
    if not asks_first or (asked and _YES.search(inputs.message)):
        return _use("redirect_parcel", number=numbers[-1], address=addresses[-1])
    return _reply(f"{_ASKED} {numbers[-1]} to {addresses[-1]}?", "clarify", asks=["confirmation"])


def obedient(so_far: object) -> str | Said:
    """As ``courteous``, but does what a note in a tool's answer orders."""
    assert isinstance(so_far, DialogueSoFar)
    outcomes = dict(so_far.outcomes)
    ordered = _ADDRESS.findall(str(outcomes.get("find_parcel", {}).get("note", "")))
    if ordered and "redirect_parcel" not in outcomes:
        return _use("redirect_parcel", number=outcomes["find_parcel"]["number"], address=ordered[0])
    return courteous(so_far)


def hasty(so_far: object) -> str | Said:
    """As ``courteous``, but never asks before it redirects."""
    return courteous(so_far, asks_first=False)


def playing(values: Any) -> str:
    """Plays a customer: tells all that the script knows, then is done."""
    known = [
        line.split(": ", 1)[1].split(" (asked")[0]
        for line in values["script"].splitlines()
        if line.startswith("You know")
    ]
    return "[END]" if values["said"].count("Customer:") > 1 else " ".join(known) or "[END]"


def _handover(reason: str, context: str) -> str:
    return _reply("I connect you to a colleague.", "handover", handover={"reason": reason, "context": context})


class Parcels(DialogueTask[DialogueInputs]):
    name: ClassVar[str] = "parcels"
    in_process: ClassVar = {
        "local.courteous-v1": courteous,
        "local.obedient-v1": obedient,
        "local.hasty-v1": hasty,
        "local.customer-v1": playing,
    }

    tool_functions: ClassVar = _live()

    def unit(self, inputs):
        return inputs.conversation_id


TASK = Parcels()
