"""Words answers from the fields that tools returned, each with the claims that it makes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.core.statements.answers.support import content_of
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.reply import Claim
from service.core.tasks.assistant.understanding.intent import Aspect
from service.kit.frame.patterns import pattern_texts, word_list

_FILE = Path(__file__).with_name("patterns.yaml")
_TEXTS = pattern_texts(_FILE, "wording")

_ACCOUNT_NAMES: Mapping[str, str] = {"checking": "current account", "savings": "savings account"}
_CHANNEL_NAMES: Mapping[str, str] = {"branch": "in a branch", "digital": "online or in the app"}
# What a record of the bank never holds. A field with it was tampered with, so it is left out: names and notes can be written by
# people who want the assistant to say something.
_PLANTED = re.compile(_TEXTS["planted"], re.I)
# "Set your passcode" is a step, "tell us your passcode" is none.
_MOST_CHARS = {"name": 60, "address": 90, "phone": 24, "hours": 160, "distance": 20}
_EVERYWHERE = content_of(word_list(_FILE, "wording_everywhere"))
_PHONE = re.compile(r"[+\d][\d\s().-]{6,22}\d")
_KEEPS_CAPITAL = re.compile(r"(?:I|[A-Z]{2,}|National|Larkfield|Apple|Google|Student Finance)\b")


@dataclass(frozen=True, slots=True)
class Worded:
    """A part of a reply, with its claims."""

    text: str
    claims: tuple[Claim, ...] = ()


@dataclass(slots=True)
class _Ledger:
    """Collects sentences from one tool's answer."""

    tool: str
    sentences: list[str]
    claims: list[Claim]

    def state(self, lead: str, value: Any, path: str) -> None:
        """Add ``lead`` with a field's value, unless the field is missing or was tampered with."""
        texts = [text for text in ([value] if isinstance(value, str) else value or []) if is_clean(text)]
        if not texts:
            return
        several = not isinstance(value, str)
        words = listed(texts) if several else texts[0]
        sentence = f"{lead}{words}" if lead else words
        self.sentences.append(sentence if sentence.endswith((".", "!", "?")) else f"{sentence}.")
        self.claims += [Claim(text=text, tool=self.tool, field=path) for text in texts]

    @property
    def worded(self) -> Worded:
        return Worded(" ".join(self.sentences), tuple(self.claims))


def is_clean(text: Any) -> bool:
    """Return whether a tool's text may be shown: a short text without orders, links or markup."""
    return isinstance(text, str) and 0 < len(text) <= 600 and _PLANTED.search(text) is None


def listed(texts: Sequence[str]) -> str:
    """Return several texts as one enumeration."""
    plain = [(text if _KEEPS_CAPITAL.match(text) else text[:1].lower() + text[1:]).rstrip(".") for text in texts]
    return plain[0] if len(plain) == 1 else f"{', '.join(plain[:-1])}, and {plain[-1]}"


def opening_worded(tool: str, answer: Mapping[str, Any], *, aspects: frozenset[Aspect], question: str) -> Worded:
    """Word how an account is opened: what was asked about, or all that a customer needs to begin."""
    ledger = _Ledger(tool, [], [])
    account = account_name(str(answer["account_type"]))
    where = _CHANNEL_NAMES.get(str(answer["channel"]), "")
    start = f"To open a {account} {where}"
    wanted = set(aspects or {"documents", "requirements", "steps", "time", "benefits"})
    wanted |= {"requirements"} if "documents" in wanted else set()
    leads: tuple[tuple[Aspect, str, str], ...] = (
        ("documents", f"{start}, you need these documents: ", "documents_required"),
        ("requirements", "You also need: ", "requirements"),
        ("steps", f"{start}, these are the steps: ", "process_steps"),
        ("time", "", "processing_time"),
        ("benefits", f"The benefits of opening a {account} {where} are: ", "benefits"),
    )
    for aspect, lead, name in leads:
        if aspect in wanted or _is_about(question, answer.get(name)):
            ledger.state(lead, answer.get(name), name)
    if not ledger.sentences:
        ledger.state(leads[0][1], answer["documents_required"], "documents_required")
    return ledger.worded


def card_worded(tool: str, answer: Mapping[str, Any], *, aspects: frozenset[Aspect], question: str) -> Worded:
    """Word a debit card: what was asked about, or all that a customer needs to choose and order it."""
    ledger, details = _Ledger(tool, [], []), answer["card_details"]
    name = details["name"] if is_clean(details["name"]) and len(details["name"]) <= _MOST_CHARS["name"] else "card"
    wanted = aspects - {"steps", "time"} if "replacement" in aspects else aspects
    wanted = wanted or frozenset({"fees", "features", "requirements", "time", "steps", "activation"})
    leads: tuple[tuple[Aspect, str, str, Any], ...] = (
        ("features", f"The {name} offers: ", "card_details.features", details["features"]),
        ("fees", f"Fees of the {name}: ", "card_details.fees", details["fees"]),
        ("requirements", "Who can have it: ", "card_details.eligibility", details["eligibility"]),
        ("replacement", "", "replacement_info", answer["replacement_info"]),
        ("time", f"Delivery time of the {name}: ", "card_details.delivery_time", details["delivery_time"]),
        ("activation", "", "activation", answer["activation"]),
        ("steps", f"To order the {name}: ", "ordering_process", answer["ordering_process"]),
    )
    for aspect, lead, path, value in leads:
        if aspect in wanted or _is_about(question, value):
            ledger.state(lead, value, path)
    if not ledger.sentences:
        ledger.state(f"Fees of the {name}: ", details["fees"], "card_details.fees")
    return ledger.worded


def _is_about(question: str, value: Any) -> bool:
    """Return whether a field speaks of something that the question names, beyond the words of every question here."""
    text = value if isinstance(value, str) else " ".join(map(str, value or ()))
    return bool((content_of(question) - _EVERYWHERE) & content_of(text))


def branches_worded(tool: str, answer: Mapping[str, Any]) -> Worded:
    """Word the branches found, the nearest first, at most three; or that there is none."""
    ledger = _Ledger(tool, [], [])
    branches = [branch for branch in answer["branches"] if isinstance(branch, Mapping)][:3]
    for number, branch in enumerate(branches):
        parts = [text for name in ("address", "distance", "phone", "hours") if (text := _of_branch(branch, name))]
        name = _of_branch(branch, "name") or "A branch"
        lead = "The nearest branch is " if number == 0 else "Then there is "
        named = name if name != "A branch" else "the one"
        ledger.sentences.append(f"{lead}{named}, {', '.join(parts)}.")
        ledger.claims += [
            Claim(text=text, tool=tool, field=f"branches.{number}.{field}")
            for field in ("name", "address", "distance", "phone", "hours")
            if (text := _of_branch(branch, field))
        ]
    if not branches:
        message = answer.get("message")
        if is_clean(message):
            ledger.state("", message, "message")
        else:
            ledger.sentences.append("I found no branch there.")
    return ledger.worded


def _of_branch(branch: Mapping[str, Any], field: str) -> str:
    value = branch.get(field)
    if not is_clean(value) or len(str(value)) > _MOST_CHARS[field]:
        return ""
    if field == "phone" and not _PHONE.fullmatch(str(value)):
        return ""
    return str(value)


def hours_worded(tool: str, answer: Mapping[str, Any]) -> Worded:
    """Word whether specialists can be reached, and when."""
    ledger = _Ledger(tool, [], [])
    ledger.sentences.append(
        "Our specialists are there now." if answer["open"] else "Our specialists are not there now."
    )
    ledger.claims.append(Claim(text=ledger.sentences[0], tool=tool, field="open"))
    ledger.state("Their hours are ", answer["hours"], "hours")
    if answer.get("holiday"):
        ledger.state("Today is ", answer["holiday"], "holiday")
    if answer["open"]:
        ledger.state("Today they are there until ", answer.get("closes_at") or None, "closes_at")
    else:
        ledger.state("They can be reached again on ", answer.get("next_opening") or None, "next_opening")
    return ledger.worded


def queue_worded(tool: str, answer: Mapping[str, Any]) -> Worded:
    """Word the place in the queue; the tool's own message says it."""
    ledger = _Ledger(tool, [], [])
    if answer.get("open", True) and isinstance(answer.get("position"), int):
        minutes = answer["estimated_wait_minutes"]
        ledger.sentences.append(persona().sayings["in_queue"].format(position=answer["position"], minutes=minutes))
        ledger.claims.append(Claim(text=f"number {answer['position']}", tool=tool, field="position"))
        ledger.claims.append(Claim(text=f"about {minutes} minutes", tool=tool, field="estimated_wait_minutes"))
    else:
        ledger.state("", answer.get("message"), "message")
    return ledger.worded


def message_worded(tool: str, answer: Mapping[str, Any]) -> Worded:
    """Word what a writing tool says that it did."""
    ledger = _Ledger(tool, [], [])
    ledger.state("", answer.get("message"), "message")
    return ledger.worded


def account_name(account_type: str) -> str:
    """Return what customers call an account type."""
    return _ACCOUNT_NAMES.get(account_type, f"{account_type} account")
