"""Finds account, card, bank and social security numbers and secrets that an answer prints in full, however they are spelled.

The last four digits are fine, and so are amounts, dates, phone numbers, and numbers that are named as a ticket or a
confirmation. A number of nine or more digits counts whether or not the interactions hold it: an invented account
number does harm as well.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from service.core.statements.answers.finding import Finding
from service.core.statements.grounding.digits import digit_runs, holds_number_of, with_plain_digits
from service.core.statements.grounding.prefilters import Screened, holds_digit
from service.core.statements.grounding.quotable import secrets_in, states_secret

# An account, bank or licence number has nine digits or more; tickets, confirmations and readings of our data have at most eight.
_ACCOUNT_DIGITS = 9
_SHORTEST_KNOWN = 5
_SHOWN_DIGITS = 4
_ID_DIGITS = range(4, _ACCOUNT_DIGITS)
_CARD_DIGITS = range(13, 20)  # ISO/IEC 7812
_LONG_NUMBER = re.compile(r"(?<![\d$])\d(?:(?:[ .,\-_/·•*:#]| [-/_·•] )?\d){8,40}(?!\d|[.,]\d)")
# What every account number and social security number begins with: few interactions hold nine digits in a row.
_NINE_DIGITS = re.compile(r"\d(?:(?:[ .,\-_/·•*:#]| [-/_·•] )?\d){8}")
# Nine characters or more, of which at most two in a row are letters.
_MIXED_NUMBER = re.compile(r"(?<![A-Za-z\d])(?=[A-Za-z\d]{9})(?=\d{0,8}[A-Za-z])(?:[A-Za-z]{0,2}\d){7}")
_SEVEN_DIGITS = re.compile(r"\d(?:[A-Za-z]{0,2}\d){6}")  # part of every _MIXED_NUMBER
_SSN = re.compile(r"(?<![\d-])\d{3}(?P<gap>[-. /_])\d{2}(?P=gap)\d{4}(?![\d-])")
_PHONE = re.compile(r"(?:\+?1[ .-]?)?(?:\(?\d{3}\)?[ .-]{1,2})?\d{3}[ .-]\d{4}")
_TIMESTAMP = re.compile(r"\d(?<!\w\d)\d{3}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?")
# Dates, times, amounts, short ids and thousands may stand side by side without being one number.
_NO_ACCOUNT = re.compile(
    r"(?<![\d/])\d{1,2}/\d{1,2}(?:/\d{2,4})?(?![\d/])|\b\d{1,2}:\d\d(?::\d\d)?\b|(?<!\w)[A-Z]{1,4}-\d{2,6}(?![\w-])"
    r"|\$\s?\d{1,3}(?:,\d{3}){0,3}(?:\.\d\d)?(?!\.?\d)|(?<![\d.,-])\d{1,5}\.\d\d(?![\d-]|[.,]\d)"
    r"|(?<![\d.,-])\d{1,3},\d{3}(?![\d,.-]|\.\d)"
)
_REFERENCE_WORD = re.compile(
    r"\b(?:confirmation|conf|ticket|tkt|request|req|case|order|reference|ref|claim|report|permit|tracking|work order|wo)"
    r"\b[^\w]{0,3}(?:(?:no|number|id|nr)\b)?[^\w]{0,3}$",
    re.I,
)
_ACCOUNT_WORD = re.compile(
    r"\b(?:accounts?|acct|ac|a/c|card|routing|aba|iban|bank|checking|savings|licen[cs]e)\b[^\w]{0,3}(?:(?:no|number"
    r"|nr|num|ending|is)\b)?"
    r"[^\w]{0,3}$",
    re.I,
)
_NAMED_SECRET = Screened(
    r"\b(?P<kind>pin|passcode|password|passphrase|one-time code|otp|verification code|security code|access code|cvv"
    r"|cvc)\b"
    r"\W{0,3}(?:is|was|code|no|number)?\W{0,3}(?P<token>[\w!@#$%&*-]*\d[\w!@#$%&*-]*)",
    re.I,
)
_LONG_CODE = 6
# Characters before and after a short secret in which its kind must be named: a PIN may equal a harmless number.
_NEAR = 40
_NEAR_AFTER = 18
_NO_SIGN = re.compile(r"[^a-z0-9]")


class Protected:
    """What an answer must not print: the served account's number, and the numbers and secrets of the interactions."""

    def __init__(self, account_number: str, texts: Sequence[str]) -> None:
        """``account_number`` may be empty."""
        self.own = re.sub(r"\D", "", account_number)
        self.own_token = _NO_SIGN.sub("", account_number.lower())
        # By its last four digits an answer may name the account, if they are not most of the number.
        self.own_end = self.own[-_SHOWN_DIGITS:] if len(self.own) >= 2 * _SHOWN_DIGITS else ""
        self._texts = texts

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The digits of other numbers that are no reference and no phone number: accounts, cards, social security numbers."""
        found: set[str] = set()
        for text in self._texts:
            if not holds_digit(text):
                continue
            plain = with_plain_digits(_TIMESTAMP.sub("#", text))
            if not _NINE_DIGITS.search(plain):
                continue
            found.update(re.sub(r"\D", "", match[0]) for match in _SSN.finditer(plain))
            for match in _LONG_NUMBER.finditer(_NO_ACCOUNT.sub(" x ", plain)):
                if not _harmless(match[0], match.string[: match.start()][-40:]):
                    found.add(re.sub(r"\D", "", match[0]))
        return frozenset(number for number in found if len(number) in range(_ACCOUNT_DIGITS, 30))

    @cached_property
    def stated_runs(self) -> frozenset[str]:
        """The runs of digits of the interactions."""
        return frozenset(run for text in self._texts for run in digit_runs(text))

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Passwords, PINs and codes that are secret wherever they stand, in lower case."""
        stated = frozenset[str]().union(*(secrets_in(text) for text in self._texts))
        return frozenset(secret for secret in stated if not secret.isdigit() or len(secret) >= _LONG_CODE)

    @cached_property
    def named_secrets(self) -> frozenset[tuple[str, str]]:
        """Secrets with the kind that must stand near them, in lower case."""
        return frozenset(
            (match["kind"].lower(), match["token"].strip("-*#").lower())
            for text in self._texts
            for match in _NAMED_SECRET.finditer(text)
        )


def leaks_in(text: str, protected: Protected) -> Iterator[Finding]:
    """Yield the numbers and secrets that ``text`` prints; ``value`` is empty, ``statement`` names the last four digits."""
    plain = with_plain_digits(text)
    timeless = _TIMESTAMP.sub("#", plain)
    numbers = list(_numbers(text, plain, timeless, protected)) if holds_digit(plain) else []
    yield from numbers
    # The labels of secrets include "account" and "card", whose numbers are found by now.
    labelled = not numbers and states_secret(text if text.isascii() else plain.replace("’", "'"))
    yield from _secrets(timeless.lower(), protected, labelled=labelled)


def _numbers(text: str, plain: str, timeless: str, protected: Protected) -> Iterator[Finding]:
    runs = digit_runs(plain)
    known = []
    if _prints_own(text, runs, protected):
        known.append(protected.own or protected.own_token)
    if sum(map(len, runs)) >= _ACCOUNT_DIGITS - 3:
        known += [number for number in sorted(protected.accounts) if holds_number_of(number, runs)]
    yield from (_finding("account number", number) for number in dict.fromkeys(known))
    yield from _long_numbers(timeless, protected, known=bool(known))


def _prints_own(text: str, runs: list[str], protected: Protected) -> bool:
    if len(protected.own) >= _SHORTEST_KNOWN:
        return holds_number_of(protected.own, runs) if len(protected.own) > 6 else protected.own in runs
    return len(protected.own_token) >= _SHORTEST_KNOWN and protected.own_token in _NO_SIGN.sub("", text.lower())


def _long_numbers(plain: str, protected: Protected, *, known: bool) -> Iterator[Finding]:
    for match in _SSN.finditer(plain):
        yield _finding("social security number", match[0])
    if known or not (_NINE_DIGITS.search(plain) or _SEVEN_DIGITS.search(plain)):
        return
    cut = _NO_ACCOUNT.sub(" x ", plain)
    for match in [*_LONG_NUMBER.finditer(cut), *_MIXED_NUMBER.finditer(cut)]:
        digits = re.sub(r"\D", "", match[0])
        if _lists(match[0], protected):
            continue
        if not _harmless(match[0], cut[: match.start()][-40:]) and not _SSN.search(match[0]):
            yield _finding("card number" if len(digits) in _CARD_DIGITS and _luhn(digits) else "account number", digits)


def _lists(written: str, protected: Protected) -> bool:
    """Return whether ``written`` lists ids of the interactions, such as "55810/55811" or "40771, 40772"."""
    runs = digit_runs(written)
    return len(runs) > 1 and all(len(run) in _ID_DIGITS and run in protected.stated_runs for run in runs)


def _secrets(folded: str, protected: Protected, *, labelled: bool) -> Iterator[Finding]:
    if labelled or any(secret in folded for secret in protected.secrets):
        yield Finding(kind="secret")
        return
    for kind, token in protected.named_secrets:
        places = re.finditer(rf"(?<!\w){re.escape(token)}(?!\w)", folded) if len(token) > 2 else ()
        if any(kind in folded[max(0, place.start() - _NEAR) : place.end() + _NEAR_AFTER] for place in places):
            yield Finding(kind="secret", statement=kind)


def _harmless(written: str, before: str) -> bool:
    if _ACCOUNT_WORD.search(before):
        return False
    return bool(_PHONE.fullmatch(written) or _REFERENCE_WORD.search(before))


def _luhn(number: str) -> bool:
    """Return whether ``number`` carries a valid check digit (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _finding(kind: str, number: str) -> Finding:
    digits = re.sub(r"\W", "", number)
    return Finding(kind=kind, statement=f"ends {digits[-4:]}")  # type: ignore[arg-type]  # one of the two leak kinds
