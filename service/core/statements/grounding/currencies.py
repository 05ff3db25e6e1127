"""Reads amounts in other currencies than the dollar, so that "€284.60" is not supported by "$284.60"."""

import re
from collections.abc import Iterator
from decimal import Decimal

from service.core.statements.grounding.prefilters import holds_word
from service.core.statements.grounding.sentence import (
    FIGURE,
    WORD_NUMBER,
    Mention,
    SentenceScanner,
    figure_after,
    read_number,
)

# Each currency with the ways to write it: what may stand before a figure, and what may stand after it.
_BEFORE: dict[str, str] = {
    "EUR": r"€|EUR",
    "pound": r"£|GBP",
    "JPY": r"¥|JPY|CNY|RMB",
    "INR": r"₹|INR|Rs\.",
    "CAD": r"CAD\s?\$?|C\$|CA\$|CDN\s?\$?",
    "AUD": r"AUD\s?\$?|AU?\$|NZ\$|NZD",
    "peso": r"MXN\s?\$?|MX\$|₱|PHP|COP\s?\$?",
    "CHF": r"CHF|Fr\.",
    "BRL": r"BRL|R\$",
    "BTC": r"₿|BTC",
    "other": r"[₩₽₺₪฿₫₴₦]",
}
_AFTER: dict[str, str] = {
    "EUR": r"€|EUR\b|euros?\b",
    # As a weight, a pound is supported by the same weight in the source.
    "pound": r"£|GBP\b|pounds?\b|lbs?\b|quid\b|pence\b",
    "JPY": r"¥|JPY\b|yen\b|yuan\b|RMB\b",
    "INR": r"₹|INR\b|rupees?\b",
    "CAD": r"CAD\b|CDN\b|Canadian(?:\s+dollars?)?\b",
    "AUD": r"AUD\b|NZD\b|Australian(?:\s+dollars?)?\b",
    "peso": r"MXN\b|(?:Mexican\s+)?pesos?\b",
    "CHF": r"CHF\b|(?:Swiss\s+)?francs?\b",
    "BRL": r"BRL\b|reais\b",
    "BTC": r"BTC\b|bitcoins?\b(?!\s(?:ATMs?|machines?|kiosks?|wallets?|scams?|address))",
    "other": r"[₩₽₺₪฿₫₴₦]|kronor\b|kroner\b|rubles?\b|zloty\b|dinars?\b|dirhams?\b|rand\b",
}
_LETTER_DOLLAR = re.compile(r"\$(?<=[A-Za-z]\$)")
_SIGNS = re.compile(r"[€£¥₹₿₱₩₽₺₪฿₫₴₦]")
_NAMES = frozenset(
    "eur euro euros gbp pound pounds lb lbs quid pence jpy yen yuan rmb cny inr rupee rupees rs cad cdn"
    " canadian aud nzd"
    " australian mxn peso pesos mexican php cop chf franc francs fr swiss brl reais btc bitcoin bitcoins kronor"
    " kroner ruble"
    " rubles zloty dinar dinars dirham dirhams rand".split()
)


def _either(ways: dict[str, str]) -> str:
    return "|".join(f"(?P<{code}>{way})" for code, way in ways.items())


# "1.284,60" and "284,60", as most of Europe writes it.
_COMMA = r"(?:\d{0,2}(?:[. ]\d{3})+|\d*),\d\d(?![\d,])"
_SIGN_FIRST = re.compile(rf"(?<![A-Za-z])(?:{_either(_BEFORE)})\s?(?P<figure>\d{_COMMA}|{FIGURE})(?!\w)", re.I)
_FIGURE = figure_after(r"\w.,")
_SIGN_LAST = re.compile(
    rf"\$?(?P<figure>\d(?<![\w.,]\d){_COMMA}|{_FIGURE})(?:[\s-]|\s(?:in|of) )?(?:{_either(_AFTER)})", re.I
)
_IN_WORDS = re.compile(
    rf"\b(?P<figure>(?:{WORD_NUMBER})(?:(?:[ -]|\s+and\s+)(?:{WORD_NUMBER})){{0,8}})[\s-](?:{_either(_AFTER)})", re.I
)


def may_name_currency(text: str) -> bool:
    """Return whether ``text`` may hold an amount in another currency than the dollar (cheap, never wrongly False)."""
    if not text.isascii() and _SIGNS.search(text):
        return True
    return holds_word(text, _NAMES) or ("$" in text and _LETTER_DOLLAR.search(text) is not None)


def read_foreign_amounts(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield amounts in other currencies; ``family`` is the currency."""
    if not may_name_currency(scanner.remaining):
        return
    for pattern in (_SIGN_FIRST, _SIGN_LAST, _IN_WORDS):
        for match in scanner.take(pattern):
            number = _read(match["figure"].lower())
            yield scanner.mention("amount", *match.span(), number=number, family=_currency(match))


def foreign_amounts(text: str) -> Iterator[tuple[str, Decimal]]:
    """Yield the amounts of ``text`` in other currencies, as (currency, amount)."""
    for mention in read_foreign_amounts(SentenceScanner(text=text, remaining=text)):
        yield mention.family, mention.number or Decimal(0)


def without_foreign_amounts(text: str) -> str:
    """Return ``text`` without amounts in other currencies, which support no amount in dollars; weights stay."""
    if not may_name_currency(text):
        return text
    for pattern in (_SIGN_FIRST, _SIGN_LAST):
        text = pattern.sub(lambda match: match[0] if _currency(match) == "pound" else "|" * len(match[0]), text)
    return text


def _read(figure: str) -> Decimal:
    if figure[-3:-2] == ",":
        figure = figure.replace(".", "").replace(" ", "").replace(",", ".")
    return read_number(figure)


def _currency(match: re.Match[str]) -> str:
    return next(code for code, written in match.groupdict().items() if written is not None and code != "figure")
