"""Finds links, e-mail addresses, phone numbers and handles in an answer that no interaction holds."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property

from service.core.statements.answers.finding import Finding
from service.core.statements.grounding.digits import with_plain_digits
from service.core.statements.grounding.prefilters import Screened, holds_digit, holds_part

# What may name a host, whatever its ending; with spaces around the dot only before the end of a clause or another part.
_DOT = re.compile(
    r"\s{0,2}[\[({]\s?(?:dot|\.|punto)\s?[\])}]\s{0,2}|(?<=\w)\s(?:dot|punto)\s(?=\w)|(?<=\w)\s\.\s?(?=[a-z])"
    r"|(?<=\w)\.\s(?=(?:com|net|org|info|biz|co|io)\b(?!\s+[a-z]))",
)
# A bare "at" stays: "the form at example.org" is no address, and the host after it is found in any case.
_AT = re.compile(r"\s{0,2}[\[({]\s?(?:at|@|arroba)\s?[\])}]\s{0,2}|(?<=\w)\s@\s(?=\w)", re.I)
_SLASH = Screened(r"(?<=\w)\s(?:forward )?slash\s(?=\w)", re.I)
_SCHEME = Screened(r"\b(?:hxxps?|h\*\*ps?|meow)(?=:|\[:\])|\[:\]", re.I)
_EMAIL = Screened(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}", re.I)
_LINK = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"')\]]{1,300}|\bwww\.[^\s<>\"')\]]{2,300}"
    # Any host, whatever its top-level domain; capitals alone or none: "pls.Pay" is two sentences without a space.
    r"|(?<![\w@.$-])(?=[a-z0-9-]*[a-z])[a-z0-9][a-z0-9-]{1,62}(?:\.[a-z0-9-]{1,63}){0,3}\.(?-i:[a-z]{2"
    r",24}|[A-Z]{2,24})(?!\w|\.\w|@)"
    r"(?:[/?#:][^\s<>\"')\]]{0,300})?"
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{2,5})?(?:/[^\s<>\"')\]]{0,300})?(?![\w.]\d)",
    re.I,
)
# What every link holds: a dot before a letter, dots between figures, or one of these parts.
_DOTTED = re.compile(r"\.(?:[A-Za-z]|\d{1,3}\.\d)")
_LINK_PARTS = ("://", "www.")
# What every detail but a phone number holds, disguised or not.
_MAY_LINK = re.compile(
    r"[\w\])}]\.\w|://|@|\bwww|hxxp|[\[({\s](?:at|dot|punto|slash)[\])}\s]|\s\.|\.\s[a-z]|[^\x00-\x7f]", re.I
)
_HANDLE = Screened(r"(?<![\w.@/])@[A-Za-z_]\w{1,38}(?![\w@])(?!\.\w)")
_PHONE = re.compile(
    r"(?<![\w$.,/-])(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\)[ .-]?|\d{3}[ .-])?\d{3}[ .-]\d{4}(?![\w-]|[.,/]\d)"
    r"|\+\d{7,15}\b|(?<![\w-])(?:1[ -]?)?8\d\d[ .-](?=[A-Z0-9-]*[A-Z])[A-Z0-9]{2,8}(?:-[A-Z0-9]{2,8}){0,2}(?!\w)"
)
_RUN = re.compile(r"\+?\d[\d().\s-]{5,20}\d")
_ASKS = re.compile(
    r"\b(?:enter|confirm|verify|updat\w+|provid\w+|submit|log ?in|login|sign ?in|type|giv\w+|add|fill|validat\w+"
    r"|unlock|restor\w+|pay(?:ing)?"
    r"|share|send|register|claim)\b",
    re.I,
)
_DETAILS = re.compile(
    r"\b(?:card|cvv|cvc|pin|passwords?|passcode|login|log-in|sign-in|credentials?|bank|account details|banking"
    r"|routing|ssn|social security"
    r"|payment details|security code|user ?name|identity|personal (?:details|data|information)|wallet|gift cards?)\b",
    re.I,
)


class ContactDetails:
    """The links, addresses, handles and phone numbers of the interactions; read at their first use."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    @cached_property
    def _plain(self) -> str:
        return _plain("\n".join(self._texts))

    @cached_property
    def _written(self) -> frozenset[str]:
        return frozenset(
            [_bare(match[0]) for pattern in (_EMAIL, _LINK, _HANDLE) for match in pattern.finditer(self._plain)]
        )

    @cached_property
    def _hosts(self) -> frozenset[str]:
        return frozenset(re.split(r"[/?#:]", written.rpartition("@")[2], maxsplit=1)[0] for written in self._written)

    @cached_property
    def _numbers(self) -> frozenset[str]:
        # "Call my daughter, five five five, oh one six six" in the transcript of a voicemail.
        spoken = with_plain_digits(self._plain)
        found = [
            match for pattern in (_PHONE, _RUN) for text in (self._plain, spoken) for match in pattern.finditer(text)
        ]
        return frozenset(re.sub(r"\W", "", match[0]).lower() for match in found)

    def hold(self, detail: str) -> bool:
        """Return whether the interactions hold the link, address or handle, or its host when it has no path."""
        written = _bare(detail)
        return written in self._written or (("@" not in written) and written in self._hosts)

    def hold_phone(self, number: str) -> bool:
        """Return whether a phone number of the interactions ends in ``number``, or is all of it but the country's code."""
        wanted = re.sub(r"\W", "", number).lower()
        wanted = wanted[1:] if len(wanted) == 11 and wanted[0] == "1" else wanted
        return any(known.endswith(wanted) for known in self._numbers)


def contact_findings(text: str, known: ContactDetails) -> Iterator[Finding]:
    """Yield the links, addresses, handles and phone numbers that no interaction holds, and links for card or login details."""
    if _MAY_LINK.search(text):
        plain = _plain(text)
        seen: set[str] = set()
        linked = _DOTTED.search(plain) is not None or holds_part(plain, _LINK_PARTS)
        for pattern in (_EMAIL, _LINK, _HANDLE) if linked else (_EMAIL, _HANDLE):
            for match in pattern.finditer(plain):
                detail = match[0].rstrip(".,;:!?")
                if any(detail in other for other in seen):
                    continue
                seen.add(detail)
                if not known.hold(detail):
                    yield Finding(kind="contact detail", value=detail, statement=plain)
                if "@" not in detail and _ASKS.search(plain) and _DETAILS.search(plain) and _near_request(plain, match):
                    yield Finding(kind="credential link", value=detail, statement=plain)
    if holds_digit(text):
        for match in _PHONE.finditer(_folded(text)):
            if not known.hold_phone(match[0]):
                yield Finding(kind="contact detail", value=match[0].strip(), statement=text)


def _near_request(plain: str, link: re.Match[str]) -> bool:
    around = plain[max(0, link.start() - 120) : link.start()] + " " + plain[link.end() : link.end() + 120]
    return bool(_ASKS.search(around) and _DETAILS.search(around))


def _folded(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _plain(text: str) -> str:
    text = _SCHEME.sub(lambda match: ":" if match[0] == "[:]" else "https", _folded(text))
    text = _DOT.sub(".", text)
    if any(sign in text for sign in "[({@"):
        text = _AT.sub("@", text)
    return _SLASH.sub("/", text)


def _bare(written: str) -> str:
    text = re.sub(r"^(?:[a-z*]{2,6}:/{0,2})?(?:www\.)?", "", written.lower())
    return text.rstrip(".,;:!?/")
