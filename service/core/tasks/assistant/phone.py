"""UK phone numbers that the bank may call back."""

import re

_SEPARATORS = re.compile(r"[\s().\-\u2010-\u2015]+")
_PREFIX = re.compile(r"(?:\+44|0044|44(?=\d{10}$))0?|0")
# Ofcom's National Telephone Numbering Plan: geographic, 03 and freephone numbers, and mobiles. Premium and shared-cost numbers
# (09, 084, 087), personal numbers (070) and pagers (076) are left out: calling them costs, which fraudsters use.
_CALLABLE = re.compile(r"1\d{8,9}|2\d{9}|3\d{9}|7[1-57-9]\d{8}|80\d{8}")


def uk_number(text: str) -> str | None:
    """Return a number in E.164 form ("+447700900123"), or None if ``text`` is no UK number that may be called back."""
    digits = _SEPARATORS.sub("", text)
    prefix = _PREFIX.match(digits)
    if prefix is None:
        return None
    national = digits[prefix.end() :]
    return f"+44{national}" if _CALLABLE.fullmatch(national) else None
