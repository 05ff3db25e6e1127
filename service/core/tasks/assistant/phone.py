"""UK phone numbers that the bank may call back, as people write and say them."""

import re

_SEPARATORS = re.compile(r"[\s().\-\u2010-\u2015]+")
_PREFIX = re.compile(r"(?:\+44|0044|44(?=\d{10}$))0?|0")
# Ofcom's National Telephone Numbering Plan: geographic, 03 and freephone numbers, and mobiles. Premium and shared-cost numbers
# (09, 084, 087), personal numbers (070) and pagers (076) are left out: calling them costs, which fraudsters use.
_CALLABLE = re.compile(r"1\d{8,9}|2\d{9}|3\d{9}|7[1-57-9]\d{8}|80\d{8}")
_WRITTEN = re.compile(r"(?<![\w+])(?:\+44|0044|44|0)[\d\s().-]{8,16}\d(?!\w)")

_UNITS = {
    **dict.fromkeys(("zero", "oh", "o", "nought", "naught", "nil", "cero"), "0"),
    **dict.fromkeys(("one", "uno", "jeden"), "1"),
    **dict.fromkeys(("two", "dos", "dwa"), "2"),
    **dict.fromkeys(("three", "tres", "trzy"), "3"),
    **dict.fromkeys(("four", "cuatro", "cztery"), "4"),
    **dict.fromkeys(("five", "cinco", "pięć"), "5"),
    **dict.fromkeys(("six", "seis", "sześć"), "6"),
    **dict.fromkeys(("seven", "siete", "siedem"), "7"),
    **dict.fromkeys(("eight", "ocho", "osiem"), "8"),
    **dict.fromkeys(("nine", "nueve", "dziewięć"), "9"),
}
_TEENS = dict(
    zip(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(),
        map(str, range(10, 20)),
        strict=True,
    )
)
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), "23456789", strict=True))
_TIMES = {"double": 2, "treble": 3, "triple": 3}
_WORD = "|".join(sorted((*_UNITS, *_TEENS, *_TENS, *_TIMES, "hundred", "thousand"), key=len, reverse=True))
# Three or more in a row: "one moment" and "two cards" are no numbers of a phone.
_SPOKEN = re.compile(
    rf"(?<![\w+])(?:plus\s+)?(?:{_WORD}|\+?\d+)(?:[\s,.\-–]+(?:and\s+|then\s+|um+\s+|er+\s+)?(?:{_WORD}|\d+)){{2,}}(?!\w)",
    re.I,
)
_PART = re.compile(rf"{_WORD}|\d+", re.I)
_NUMBER_WORD = re.compile(rf"\b(?:{_WORD})\b", re.I)


def uk_number(text: str) -> str | None:
    """Return a number in E.164 form ("+447700900123"), or None if ``text`` is no UK number that may be called back."""
    digits = _SEPARATORS.sub("", text)
    prefix = _PREFIX.match(digits)
    if prefix is None:
        return None
    national = digits[prefix.end() :]
    return f"+44{national}" if _CALLABLE.fullmatch(national) else None


def phone_in(text: str) -> str:
    """Return the first UK number in ``text`` that can be called back, as it is written or in digits; "" if there is none."""
    for written in (text, with_digits(text)):
        found = (match[0].strip(" .-") for match in _WRITTEN.finditer(written))
        if number := next((number for number in found if uk_number(number)), ""):
            return number
    return ""


def with_digits(text: str) -> str:
    """Return ``text`` with the numbers that it spells out in digits: "oh seven seven double oh" is "07700"."""
    return _SPOKEN.sub(lambda run: _digits(run[0]) if _NUMBER_WORD.search(run[0]) else run[0], text)


def digits_in(text: str) -> str:
    """Return all digits of ``text``, also of the numbers that it spells out."""
    return re.sub(r"\D", "", with_digits(text))


def digits_alone(text: str) -> str:
    """Return the digits of a message that is hardly more than a piece of a number, or ""."""
    written = _NUMBER_WORD.sub(lambda word: _digits(word[0]), with_digits(text))
    digits = re.sub(r"\D", "", written)
    others = re.findall(r"[^\W\d_]{3,}", written)
    return digits if len(digits) >= 2 and len(others) <= 3 else ""


def _digits(run: str) -> str:
    found, times, tens = "+" if run.lower().startswith("plus") else "", 1, ""
    for word in map(str.lower, _PART.findall(run)):
        if word in _TIMES:
            times = _TIMES[word]
            continue
        if word in ("hundred", "thousand"):
            found += "00" if word == "hundred" else "000"
            continue
        if tens and word in _UNITS and word not in ("zero", "oh", "o"):
            found, tens = found + tens + _UNITS[word], ""
            continue
        found, tens = found + (f"{tens}0" if tens else ""), ""
        if word in _TENS:
            tens = _TENS[word]
        else:
            found += (_UNITS.get(word) or _TEENS.get(word) or word) * times
        times = 1
    return found + (f"{tens}0" if tens else "")
