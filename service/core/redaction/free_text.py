"""Removes personal data from free text before it is stored: names, addresses, numbers and secrets become tags in brackets.

It uses patterns only, so a name in lower case stays. Amounts, dates, times and counts stay on purpose.
It fails closed: callers must store only texts that ``redacted_text`` returned.
"""

import re
import unicodedata

from service.core.redaction.own_words import NO_WORDS, OwnWords
from service.core.statements.grounding.names import bare, is_name, ordinary
from service.kit.frame.errors import ServiceError

LONGEST_TEXT = 100_000  # characters; a summary has hundreds
_EMAIL = re.compile(r"[^\s@<>()\[\]\",;:]{1,64}@[^\s@<>()\[\]\",;:]{1,255}")
_LINK = re.compile(r"(?:https?://|www\.)\S{1,2000}", re.I)
# The next patterns start with a character class and put the look-behind after it: a pattern that starts with a look-behind is
# tried at every character, which takes three times as long.
# A house number, one to three words of a street's name, then a word such as "street".
_ADDRESS = re.compile(
    r"\d(?<![\d$.,/:-]\d)\d{0,5}[A-Za-z]?\s+(?:[NSEW]\.?\s+)?(?:[\w'.-]{1,20}\s+){1,3}?"
    r"(?:street|st|avenue|ave|av|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|terrace|ter|highway|hwy|parkway"
    r"|pkwy|square|sq|circle|cir|trail|trl|way|close|crescent)\b\.?(?:,?\s+(?:apt|apartment|unit|suite|ste|#)\.?\s?#?\w{1,6})?",
    re.I,
)
_BOX = re.compile(r"\bP\.?\s?O\.?\s?Box\s+\d{1,8}", re.I)
_LOOKS_DATED = re.compile(
    r"(?:19|20)\d\d[-.](?:0?[1-9]|1[0-2])[-.](?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])[-.](?:0?[1-9]|[12]\d|3[01])[-.]"
    r"(?:19|20)\d\d|(?:19|20)\d\d-(?:19|20)\d\d"
)
# Groups of two or more digits, seven digits in all; or five digits in one piece that are no amount.
_GROUPS = re.compile(r"\d(?<!\d\d)(?<!\d[.,]\d)(?<!\$\d)\d+(?:(?:[ .-]|\) ?|/)\d{2,})+(?!\d)")
_DECIMAL = re.compile(r"\d{1,6}\.\d{1,2}")
_SOLID = re.compile(r"\d(?<!\d\d)\d{4,}(?!\d)")
_LONGEST_AMOUNT = 8
_FEWEST_IN_GROUPS = 7
_WORD = r"(?:oh?|zero|one|two|three|four|five|six|seven|eight|nine)"
_SPELLED = re.compile(rf"\b{_WORD}(?:[\s,.-]+(?:(?:double|triple)\s+)?{_WORD}){{4,}}\b", re.I)
_SPELLED_HINTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SECRET_WORDS = ("pin", "pass", "otp", "code", "cvv", "cvc", "secret")
_SECRET = re.compile(
    r"\b(pin|passcode|password|passphrase|one-time code|otp|verification code|security code|access code|cvv|cvc)\b"
    r"(\W{0,3}(?:is|was|code|no|number)?\W{0,3})([\w!@#$%&*-]*\d[\w!@#$%&*-]*)",
    re.I,
)
_CAPITALISED = re.compile(r"[^\W\d_a-z](?<![\w@#/$.\[-].)[\w'&]*(?:-[^\W\d_][\w']*)*")
_SPEAKER = re.compile(r"\s\((?:agent|rep|bot|supervisor|customer|caller)\)", re.I)
_WITHIN_A_NAME = frozenset({" ", "-", " de ", " la ", " von ", " van "})
_DIGITS = re.compile(r"\d+")
# Soft hyphens, joiners and direction marks: between two digits they would hide a number from every pattern.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]"
)
_OWN_DIGITS = 7  # account numbers with at least this many digits are also searched for with anything between the digits


class RedactionFailed(ServiceError):
    """A text that must not be stored: it is too long, or still holds personal data. The message never quotes the text."""


def redacted_text(text: str, *, account_number: str = "", names: bool = True, own: OwnWords = NO_WORDS) -> str:
    """Return ``text`` with personal data replaced by a tag in brackets, one per ``EntityKind``: ``[name]``, ``[number]``, ...

    Args:
        text: written by a person or a model.
        account_number: the customer's; replaced wherever it occurs in this spelling. ``""`` if unknown.
        names: False keeps names, for texts of staff about pairs and releases.
        own: words of a tenant that are no names.

    Raises:
        RedactionFailed: the text is longer than 100,000 characters, or still holds the digits of the account number.
    """
    if len(text) > LONGEST_TEXT:
        raise RedactionFailed(f"the text has {len(text)} characters; at most {LONGEST_TEXT} can be redacted")
    if not text.isascii():
        text = _HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    if "\0" in text:
        text = text.replace("\0", "")  # no Redshift column accepts it
    if len(account_number) > 3:
        text = text.replace(account_number, "[number]")
    if "@" in text:
        text = _EMAIL.sub("[email]", text)
    if "://" in text or "www." in text or "WWW." in text:
        text = _LINK.sub("[link]", text)
    lowered = text.lower()
    if any(word in lowered for word in _SECRET_WORDS):
        text = _SECRET.sub(r"\1\2[secret]", text)
    if "box" in lowered:
        text = _BOX.sub("[address]", text)
    if sum(map(lowered.count, _SPELLED_HINTS)) > 3:
        text = _SPELLED.sub("[number]", text)
    text = _ADDRESS.sub("[address]", text)
    text = _SOLID.sub(_solid, _GROUPS.sub(_group, text))
    if names:
        text = "\n".join(_without_names(line, own) for line in text.split("\n"))
    digits = "".join(_DIGITS.findall(account_number))
    if len(digits) >= _OWN_DIGITS and digits in "".join(_DIGITS.findall(text)):
        raise RedactionFailed("the account number is still in the text after redaction")
    return text


def _group(match: re.Match[str]) -> str:
    written = match[0]
    if (
        sum(map(str.isdigit, written)) < _FEWEST_IN_GROUPS
        or _LOOKS_DATED.fullmatch(written)
        or _DECIMAL.fullmatch(written)
    ):
        return written
    if "/" in written and max(map(len, _DIGITS.findall(written))) <= 4 and written.count("/") == 2:
        return written  # 10/14/2026
    return "[number]"


def _solid(match: re.Match[str]) -> str:
    written, text = match[0], match.string
    money = text[match.start() - 1 : match.start()] == "$" or re.match(r"\.\d{1,2}(?!\d)", text[match.end() :][:4])
    return written if money and len(written) <= _LONGEST_AMOUNT else "[number]"


def _without_names(text: str, own: OwnWords) -> str:
    kept = own.places(text)
    words = [
        match
        for match in _CAPITALISED.finditer(text)
        if not ordinary(match[0]) and not any(start <= match.start() < end for start, end in kept)
    ]
    named = [is_name(match, text) or _SPEAKER.match(text, match.end()) is not None for match in words]
    # A word that is a name once is replaced everywhere, also at the start of a sentence.
    known = {bare(match[0]) for match, found in zip(words, named, strict=True) if found}
    parts: list[str] = []
    end = 0
    for match in words:
        if bare(match[0]) not in known:
            continue
        start = match.start()
        if not (parts and text[end:start] in _WITHIN_A_NAME):
            parts += (text[end:start], "[name]")
        end = match.end() - 2 if match[0].endswith("'s") else match.end()
    return own.without_joined("".join((*parts, text[end:])))
