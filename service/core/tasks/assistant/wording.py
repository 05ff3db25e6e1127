"""Words answers from the fields that tools returned, each with the claims that it makes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """A part of a reply, with its claims. ``pieces`` are what it may be told in, one after the other; none: all at once."""

    text: str
    claims: tuple[Claim, ...] = ()
    about: str = ""
    pieces: tuple["Worded", ...] = ()


@dataclass(slots=True)
class _Ledger:
    """Collects pieces from one tool's answer; ``spoken`` ones have no lines."""

    tool: str
    spoken: bool = False
    pieces: list[Worded] = field(default_factory=list)

    def add(self, text: str, claims: Iterable[Claim], about: str = "") -> None:
        """Add a sentence or a line with its claims."""
        self.pieces.append(Worded(text, tuple(claims), about))

    def state(self, lead: str, value: Any, path: str, about: str = "") -> None:
        """Add ``lead`` with a field's value, unless the field is missing or was tampered with."""
        texts = [text for text in ([value] if isinstance(value, str) else value or []) if is_clean(text)]
        if not texts:
            return
        several = not isinstance(value, str)
        words = listed(texts) if several else texts[0]
        self.add(_ended(f"{lead}{words}"), (Claim(text=text, tool=self.tool, field=path) for text in texts), about)

    def steps(self, lead: str, value: Any, path: str) -> None:
        """Add what is done one after the other: a numbered line for each step, or sentences where they are spoken."""
        texts = [text for text in value or [] if is_clean(text)]
        for number, text in enumerate(texts, start=1):
            line = _ended(text) if self.spoken else f"\n{number}. {text}"
            first = f"{lead}{'.' if self.spoken else ':'}{' ' if self.spoken else ''}" if number == 1 else ""
            self.add(f"{first}{line}", [Claim(text=text, tool=self.tool, field=path)], "steps")

    @property
    def worded(self) -> Worded:
        claims = tuple(claim for piece in self.pieces for claim in piece.claims)
        return Worded(joined(piece.text for piece in self.pieces), claims, pieces=tuple(self.pieces))


def joined(texts: Iterable[str]) -> str:
    """Return sentences and lines as one text; what follows a list begins on a line of its own."""
    text, in_list = "", False
    for part in filter(None, texts):
        line = part.startswith("\n")
        text += "" if line or not text else "\n" if in_list else " "
        text, in_list = text + part, line or "\n" in part
    return text.lstrip("\n")


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def is_clean(text: Any) -> bool:
    """Return whether a tool's text may be shown: a short text without orders, links or markup."""
    return isinstance(text, str) and 0 < len(text) <= 600 and _PLANTED.search(text) is None


def listed(texts: Sequence[str]) -> str:
    """Return several texts as one enumeration."""
    plain = [(text if _KEEPS_CAPITAL.match(text) else text[:1].lower() + text[1:]).rstrip(".") for text in texts]
    return plain[0] if len(plain) == 1 else f"{', '.join(plain[:-1])}, and {plain[-1]}"


def opening_worded(
    tool: str, answer: Mapping[str, Any], *, aspects: frozenset[Aspect], question: str, spoken: bool = False
) -> Worded:
    """Word how an account is opened: what was asked about, or all that a customer needs to begin."""
    ledger = _Ledger(tool, spoken)
    account = account_name(str(answer["account_type"]))
    where = _CHANNEL_NAMES.get(str(answer["channel"]), "")
    start = f"To open a {account} {where}"
    wanted = set(aspects or {"documents", "requirements", "steps", "time", "benefits"})
    wanted |= {"requirements"} if "documents" in wanted else set()
    leads: tuple[tuple[Aspect, str, str], ...] = (
        ("documents", f"{start}, you need these documents: ", "documents_required"),
        ("requirements", "What else you need: ", "requirements"),
        ("time", "", "processing_time"),
        ("steps", f"{start}, these are the steps", "process_steps"),
        ("benefits", f"The benefits of opening a {account} {where} are: ", "benefits"),
    )
    for aspect, lead, name in leads:
        if aspect in wanted or _is_about(question, answer.get(name)):
            if aspect == "steps":
                ledger.steps(lead, answer.get(name), name)
            else:
                ledger.state(lead, answer.get(name), name, aspect)
    if not ledger.pieces:
        ledger.state(leads[0][1], answer["documents_required"], "documents_required", "documents")
    return ledger.worded


def card_worded(
    tool: str, answer: Mapping[str, Any], *, aspects: frozenset[Aspect], question: str, spoken: bool = False
) -> Worded:
    """Word a debit card: what was asked about, or all that a customer needs to choose and order it."""
    ledger, details = _Ledger(tool, spoken), answer["card_details"]
    name = details["name"] if is_clean(details["name"]) and len(details["name"]) <= _MOST_CHARS["name"] else "card"
    wanted = aspects - {"steps", "time"} if "replacement" in aspects else aspects
    wanted = wanted or frozenset({"fees", "features", "requirements", "time", "steps", "activation"})
    leads: tuple[tuple[Aspect, str, str, Any], ...] = (
        ("features", f"The {name} offers: ", "card_details.features", details["features"]),
        ("fees", f"Fees of the {name}: ", "card_details.fees", details["fees"]),
        ("requirements", "Who can have it: ", "card_details.eligibility", details["eligibility"]),
        ("replacement", "", "replacement_info", answer["replacement_info"]),
        ("time", f"Delivery time of the {name}: ", "card_details.delivery_time", details["delivery_time"]),
        ("steps", f"To order the {name}, these are the steps", "ordering_process", answer["ordering_process"]),
        ("activation", "", "activation", answer["activation"]),
    )
    for aspect, lead, path, value in leads:
        if aspect in wanted or _is_about(question, value):
            if aspect == "steps":
                ledger.steps(lead, value, path)
            else:
                ledger.state(lead, value, path, aspect)
    if not ledger.pieces:
        ledger.state(f"Fees of the {name}: ", details["fees"], "card_details.fees", "fees")
    return ledger.worded


_LABELS: Mapping[str, str] = {"fees": "Fees", "features": "Features", "benefits": "Benefits", "time": "Time"}


def compared_worded(answers: Sequence[tuple[str, Worded]], *, spoken: bool = False) -> Worded:
    """Word several products side by side: what the customer asked about, one product below the other.

    ``answers`` are each product's name and its own wording.
    """
    abouts = dict.fromkeys(piece.about for _, worded in answers for piece in worded.pieces)
    pieces = list[Worded]()
    for about in sorted(abouts, key=lambda about: about != "fees"):
        told = [(name, piece) for name, worded in answers for piece in worded.pieces if piece.about == about]
        if spoken or about not in _LABELS:
            pieces += [piece for _, piece in told]
            continue
        lines = (f"\n- {name}: {listed([claim.text for claim in piece.claims])}" for name, piece in told)
        claims = tuple(claim for _, piece in told for claim in piece.claims)
        pieces.append(Worded(f"\n{_LABELS[about]}:{''.join(lines)}", claims, about))
    return Worded(joined(piece.text for piece in pieces), pieces=tuple(pieces))


def _is_about(question: str, value: Any) -> bool:
    """Return whether a field speaks of something that the question names, beyond the words of every question here."""
    text = value if isinstance(value, str) else " ".join(map(str, value or ()))
    return bool((content_of(question) - _EVERYWHERE) & content_of(text))


def branches_worded(tool: str, answer: Mapping[str, Any]) -> Worded:
    """Word the branches found, the nearest first, at most three; or that there is none."""
    ledger = _Ledger(tool)
    branches = [branch for branch in answer["branches"] if isinstance(branch, Mapping)][:3]
    for number, branch in enumerate(branches):
        parts = [text for name in ("address", "distance", "phone", "hours") if (text := _of_branch(branch, name))]
        name = _of_branch(branch, "name") or "A branch"
        lead = "The nearest branch is " if number == 0 else "Then there is "
        named = name if name != "A branch" else "the one"
        claims = [
            Claim(text=text, tool=tool, field=f"branches.{number}.{field}")
            for field in ("name", "address", "distance", "phone", "hours")
            if (text := _of_branch(branch, field))
        ]
        ledger.add(f"{lead}{named}, {', '.join(parts)}.", claims, "branches")
    if not branches:
        message = answer.get("message")
        if is_clean(message):
            ledger.state("", message, "message")
        else:
            ledger.add("I found no branch there.", ())
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
    ledger = _Ledger(tool)
    text = "Our specialists are there now." if answer["open"] else "Our specialists are not there now."
    ledger.add(text, [Claim(text=text, tool=tool, field="open")])
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
    ledger = _Ledger(tool)
    if answer.get("open", True) and isinstance(answer.get("position"), int):
        minutes = answer["estimated_wait_minutes"]
        claims = (
            Claim(text=f"number {answer['position']}", tool=tool, field="position"),
            Claim(text=f"about {minutes} minutes", tool=tool, field="estimated_wait_minutes"),
        )
        ledger.add(persona().sayings["in_queue"].format(position=answer["position"], minutes=minutes), claims)
    else:
        ledger.state("", answer.get("message"), "message")
    return ledger.worded


def message_worded(tool: str, answer: Mapping[str, Any]) -> Worded:
    """Word what a writing tool says that it did."""
    ledger = _Ledger(tool)
    ledger.state("", answer.get("message"), "message")
    return ledger.worded


def account_name(account_type: str) -> str:
    """Return what customers call an account type."""
    return _ACCOUNT_NAMES.get(account_type, f"{account_type} account")


def channel_name(channel: str) -> str:
    """Return what customers call the way to open an account."""
    return _CHANNEL_NAMES.get(channel, channel)
