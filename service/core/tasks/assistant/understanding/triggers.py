"""What calls for a person, or is none of the assistant's business, read from whole words: "personal" is no person."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from service.core.tasks.assistant.knowledge import TransferReason
from service.core.tasks.assistant.understanding.trouble import HelpLanguage, without_pictures
from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "triggers")

OTHER_BANKS = "other banks"
_PERSON = re.compile(_TEXTS["person"], re.I)
_ONLY_PERSON = re.compile(_TEXTS["only_person"], re.I)
_NO_PERSON = re.compile(_TEXTS["no_person"], re.I)
_PERSON_IN: Mapping[HelpLanguage, re.Pattern[str]] = {
    "es": re.compile(_TEXTS["person_es"], re.I),
    "pl": re.compile(_TEXTS["person_pl"], re.I),
}
_IS_IT_AI = re.compile(_TEXTS["is_it_ai"], re.I)
_FRUSTRATED = re.compile(_TEXTS["frustrated"], re.I)
_ONLY_ANGER = re.compile(_TEXTS["only_anger"], re.I)
_SOMEBODY_ELSE = re.compile(_TEXTS["somebody_else"], re.I)
_SENSITIVE = re.compile(_TEXTS["sensitive"], re.I)
_COMPLEX = re.compile(_TEXTS["complex"], re.I)
_PRODUCT = _TEXTS["product"]
_OFF_TOPIC = re.compile(_TEXTS["off_topic"], re.I)
_OUTSIDE = re.compile(_TEXTS["outside"], re.I)
_OTHER_CUSTOMER = re.compile(_TEXTS["other_customer"], re.I)
_OWN_ACCOUNT = re.compile(_TEXTS["own_account"], re.I)


def handover_reason(text: str, topics: Collection[str], language: HelpLanguage = "en") -> TransferReason | None:
    """Return why a person must take over after ``text``, which is about ``topics``; None if nobody must."""
    if language != "en":
        return "explicit_request" if _PERSON_IN[language].search(text) else None
    if _SENSITIVE.search(without_pictures(text)):
        return "sensitive_topic"
    return reason_besides_trouble(text, topics)


def reason_besides_trouble(text: str, topics: Collection[str]) -> TransferReason | None:
    """Return why a person must take over after an English ``text``, whatever trouble it tells of; None if nobody must."""
    if _asks_for_person(text, topics):
        return "explicit_request"
    angry = _FRUSTRATED.search(text) or _ONLY_ANGER.search(text)
    if angry and not _SOMEBODY_ELSE.search(text):
        return "customer_frustration"
    if _COMPLEX.search(text):
        return "complex_scenario"
    if _OWN_ACCOUNT.search(text) and not names_other_customer(text):
        return "capability_limitation"
    return None


def refuses_person(text: str) -> bool:
    """Return whether ``text`` says that the customer wants to speak to nobody."""
    return _NO_PERSON.search(text) is not None


def asks_if_ai(text: str) -> bool:
    """Return whether ``text`` asks who or what is speaking."""
    return _IS_IT_AI.search(text) is not None


def names_other_customer(text: str) -> bool:
    """Return whether ``text`` asks for what belongs to another customer."""
    return _OTHER_CUSTOMER.search(text) is not None


def off_topic(text: str, topics: Collection[str]) -> str:
    """Return what ``text`` asks that the bank's tools do not cover, in its own word ("mortgage"), or ""."""
    found = (None if topics else _OUTSIDE.search(text)) or _OFF_TOPIC.search(text)
    if found is None:
        return ""
    if "better" in found[0].lower():
        return OTHER_BANKS
    return "" if _is_by_the_way(text, topics) else _matter(found[0])


def _matter(words: str) -> str:
    named = re.search(_PRODUCT, words, re.IGNORECASE)
    if named is None:
        return "that"
    kind = re.search(rf"(?:car|home|travel|life|pet|health|personal|student)\s+{_PRODUCT}", words, re.IGNORECASE)
    return (named if kind is None else kind)[0].lower()


def _is_by_the_way(text: str, topics: Collection[str]) -> bool:
    """Return whether loans and the like are only mentioned beside a question that the bank's tools answer."""
    wanted = re.search(
        rf"\b(?:apply|applying|take out|get|want|need|borrow|rates?|advice|invest|looking for|"
        rf"about)\b(?:\s+\w+){{0,4}}?\s+{_PRODUCT}(?!\s+(?:account|club|adviser|advisor|broker|company|"
        rf"payments?|firm|business))",
        text,
        re.I,
    )
    return bool(topics) and wanted is None


def _asks_for_person(text: str, topics: Collection[str]) -> bool:
    if refuses_person(text):
        return False
    if {"callback", "queue", "hours"}.intersection(topics):
        return False
    return _PERSON.search(text) is not None or _ONLY_PERSON.search(text) is not None
