"""Reads whether a message agrees to exactly what was asked: a negation, a condition or a change anywhere withdraws a yes."""

import re
from pathlib import Path
from typing import Literal

from service.core.tasks.assistant.phone import with_digits
from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "consent")

# ``given`` books, ``refused`` ends the matter, ``unclear`` agrees and does not, or to something else: it is asked again.
Consent = Literal["given", "refused", "unclear", "none"]

_IDIOM = re.compile(_TEXTS["idiom"], re.I)
_AGREES = re.compile(_TEXTS["agrees"], re.I)
_REFUSES = re.compile(_TEXTS["refuses"], re.I)
_RESERVES = re.compile(_TEXTS["reserves"], re.I)
_TIMES = re.compile(_TEXTS["times"], re.I)
_POLITE = re.compile(_TEXTS["polite"], re.I)
_DIGITS = re.compile(r"\d+")
_LEAST_DIGITS = 4


def consent_of(message: str, question: str) -> Consent:
    """Return what ``message`` answers to ``question``, which read a number and a time back."""
    text = _IDIOM.sub(" yes ", message.replace("’", "'"))
    agrees = _AGREES.search(text) is not None
    if _REFUSES.search(text):
        return "refused"
    if not agrees:
        return "none"
    reserved = _RESERVES.search(text) or "?" in _POLITE.sub("", text)
    return "unclear" if reserved or changes(text, question) else "given"


def changes(message: str, question: str) -> bool:
    """Return whether ``message`` names a number or a time that ``question`` did not."""
    asked = with_digits(question).lower()
    numbers, digits = set(_DIGITS.findall(asked)), re.sub(r"\D", "", asked)
    said = _DIGITS.findall(with_digits(message))
    again = "".join(said) in digits and len("".join(said)) >= _LEAST_DIGITS  # grouped anew
    if not again and any(number not in numbers for number in said):
        return True
    return any(found[0].lower() not in asked for found in _TIMES.finditer(message))
