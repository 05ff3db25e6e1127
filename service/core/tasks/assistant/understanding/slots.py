"""Reads from a customer's words what the tools need to know: account, channel, card, place, phone number, time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from service.core.tasks.assistant.knowledge import (
    AccountType,
    BankKnowledge,
    BranchService,
    CallbackTime,
    CardType,
    bank_knowledge,
)
from service.core.tasks.assistant.phone import phone_in
from service.core.tasks.assistant.places import found_places
from service.kit.frame.patterns import pattern_texts, word_list

_FILE = Path(__file__).with_name("patterns.yaml")
_TEXTS = pattern_texts(_FILE, "slots")

_I = re.IGNORECASE
N = TypeVar("N", bound=str)


def _compiled(section: str) -> Mapping[Any, re.Pattern[str]]:
    return {name: re.compile(rf"\b(?:{pattern})\b", _I) for name, pattern in pattern_texts(_FILE, section).items()}


# Words that name an account where it was asked for.
_ACCOUNTS: Mapping[AccountType, re.Pattern[str]] = _compiled("accounts")
# Said in passing, most of these words have other meanings, so "account" must stand with them.
_ACCOUNTS_IN_PASSING: Mapping[AccountType, re.Pattern[str]] = _compiled("accounts_in_passing")
_CHANNELS: Mapping[str, re.Pattern[str]] = _compiled("channels")
_CARDS: Mapping[CardType, re.Pattern[str]] = _compiled("cards")
_CARDS_BY_THEMSELVES: Mapping[CardType, re.Pattern[str]] = _compiled("cards_by_themselves")
_SERVICES: tuple[tuple[BranchService, str], ...] = (
    ("business_banking", r"business"),
    ("account_opening", r"open(?:ing)?\b[\w ]{0,25}\baccounts?|accounts? opening|open one"),
    ("card_services", r"(?:debit |bank )?cards?"),
)
_POSTCODE = re.compile(r"\b([A-Z]{1,2}\d[A-Z\d]?(?: ?\d[A-Z]{2})?)\b", _I)
_PLACE = re.compile(
    r"\b(?:in|near(?:est)?(?: to)?|around|close to|closest to|by|at|from|round|nearby)\s+(?:the\s+)?"
    r"([a-z][a-z'’-]+(?:\s+[a-z][a-z'’-]+){0,2})",
    _I,
)
_WHAT_ABOUT = re.compile(r"\b(?:what|how) about (?:in |near )?([a-z][a-z'’-]+)\W*$", _I)
_NO_PLACE = frozenset(word_list(_FILE, "slots_no_place").split())
_PLACE_ENDS = frozenset(word_list(_FILE, "slots_place_ends").split())
_FILLER = re.compile(_TEXTS["filler"], re.I)
_DO_NOT_KNOW = re.compile(r"\b(?:don'?t (?:know|have)|no idea|not sure|whatever|don'?t mind)\b", _I)
_LOOKS_FOR = re.compile(r"\b(?:branch(?:es)?|near(?:est|by)?|closest)\b", _I)
_ALIKE = 0.8  # "vertual" and "premum" pass, "visual" does not
_JOINS = re.compile(r"\b(?:join|open(?:s|ing)?|sign up|appl(?:y|ies|ying)|start)\b", _I)
_WORDS = re.compile(r"[a-z]{6,}", _I)
_NOT = re.compile(r"\b(?:not|isn'?t|rather than|instead of|no longer)\s+(?:an?\s+|the\s+|my\s+|in\s+)*([\w-]+)", _I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What is known; several accounts or cards if the customer asked about several."""

    accounts: tuple[AccountType, ...] = ()
    channels: tuple[str, ...] = ()
    cards: tuple[CardType, ...] = ()
    place: str = ""
    service: BranchService | None = None
    phone: str = ""
    when: CallbackTime | None = None

    def updated(self, newer: "Slots") -> "Slots":
        """Return these slots with those that ``newer`` states."""
        stated = {field.name: getattr(newer, field.name) for field in fields(newer) if getattr(newer, field.name)}
        return replace(self, **stated)


def read_slots(text: str, asked: str, knowledge: BankKnowledge) -> Slots:
    """Return what ``text`` states; ``asked`` names the slot that was asked for, or that the last topic goes by, or is ""."""
    plain = _NOT.sub(_without_rejected, text)
    channels, dont_know = _kinds(plain, _CHANNELS), _DO_NOT_KNOW.search(text) is not None
    accounts = _kinds(plain, _ACCOUNTS if asked == "account_type" else _ACCOUNTS_IN_PASSING)
    if not accounts and channels and _JOINS.search(plain):
        accounts = _kinds(plain, _ACCOUNTS)
    about_cards = asked == "card_type" or re.search(r"\b[ck]ards?\b", plain, _I) is not None
    return Slots(
        accounts=accounts,
        channels=channels or (tuple(_CHANNELS) if asked == "channel" and dont_know else ()),
        cards=_cards(plain) if about_cards else _kinds(plain, _CARDS_BY_THEMSELVES),
        place=_place(plain, asked, knowledge),
        service=_service(plain),
        phone=phone_in(text),
        when=when_in(plain),
    )


def _without_rejected(match: re.Match[str]) -> str:
    # "not savings" takes savings back; "not sure" takes nothing back.
    rejected = match[1].lower()
    known = [*_ACCOUNTS.values(), *_CARDS.values(), *_CHANNELS.values()]
    return "" if any(pattern.fullmatch(rejected) for pattern in known) else match[0]


def _cards(text: str) -> tuple[CardType, ...]:
    """Return the cards that ``text`` names, also misspelt ones."""
    found = _kinds(text, _CARDS)
    if found:
        return found
    alike = (get_close_matches(word.lower(), get_args(CardType), n=1, cutoff=_ALIKE) for word in _WORDS.findall(text))
    return tuple(dict.fromkeys(name for names in alike for name in names))


def _kinds(text: str, patterns: Mapping[N, re.Pattern[str]]) -> tuple[N, ...]:
    """Return the kinds that ``text`` names, in the order of their places."""
    found = {name: match.start() for name, pattern in patterns.items() if (match := pattern.search(text))}
    return tuple(sorted(found, key=lambda name: found[name]))


def _service(text: str) -> BranchService | None:
    return next((name for name, pattern in _SERVICES if re.search(rf"\b(?:{pattern})\b", text, _I)), None)


def when_in(text: str) -> CallbackTime | None:
    """Return the part of the day that ``text`` names."""
    if re.search(r"\bmornings?\b", text, _I):
        return "morning"
    return "afternoon" if re.search(r"\bafternoons?\b", text, _I) else None


def _place(text: str, asked: str, knowledge: BankKnowledge) -> str:
    """Return the place in the customer's words; a town that the bank does not know counts after "in", "near" and the like."""
    postcode = _POSTCODE.search(text)
    if postcode:
        return postcode[1]
    named = _named_place(text, knowledge)
    if named:
        return named
    for match in _PLACE.finditer(text):
        words = _until(match[1].split(), _PLACE_ENDS)
        if words and words[0].lower() not in _NO_PLACE and (asked == "location" or words[0][:1].isupper()):
            return " ".join(words)
    if asked in ("location", "place") or _LOOKS_FOR.search(text):
        for word in _WORDS.findall(text):  # a misspelt city
            if word.lower() not in _NO_PLACE and _is_like_a_place(word.lower()):
                return str(word)
    another = _WHAT_ABOUT.search(text) if asked == "place" else None
    if another and another[1].lower() not in _NO_PLACE:
        return another[1]
    if asked != "location" or _DO_NOT_KNOW.search(text):
        return ""
    bare = _FILLER.sub("", text).strip(" .!?,")
    return bare if 0 < len(bare.split()) <= 4 and bare.lower() not in _NO_PLACE else ""


@lru_cache(maxsize=4_096)  # comparing one word with all names takes 1 ms
def _is_like_a_place(word: str) -> bool:
    return bool(found_places(word, bank_knowledge()))


def _named_place(text: str, knowledge: BankKnowledge) -> str:
    names = [place for city, known in knowledge.cities.items() for place in (city, *known.spellings)]
    quarters = [name for city in knowledge.cities.values() for at in city.districts.values() for name in at.names]
    for known in (quarters, names):  # a neighbourhood says more than its city
        for name in sorted(known, key=len, reverse=True):
            if found := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, _I):
                return found[0]
    return ""


def _until(words: list[str], ends: frozenset[str]) -> list[str]:
    stop = next((number for number, word in enumerate(words) if word.lower() in ends), len(words))
    return words[:stop]
