"""Whether a text states a surface form, also as people write its dates and times: 2026-12-03 15:40 is "3 December, 3:40 pm"."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from service.core.statements.grounding.text import MONTHS, form_occurs

_ISO_DATE = re.compile(r"(?<![\d!-])(\d{3})\d-(0[1-9]|1[0-2])-(\d{2})(?![\d-])")
_CLOCK = re.compile(r"(?<![\d!:])([01]\d|2[0-3]):([0-5]\d)(?![\d:])")


def states(forms: Iterable[str], texts: Iterable[str]) -> bool:
    """Return whether one of ``forms`` occurs in one of ``texts``; see ``service.core.statements.grounding.text.form_occurs``."""
    known = tuple(texts)
    return any(form_occurs(spelling, text) for form in forms for spelling in spellings(form) for text in known)


@lru_cache(maxsize=65_536)
def spellings(form: str) -> tuple[str, ...]:
    """Return ``form``, then it with its dates without the year and its times of day by twelve hours.

    A date without a year must not stand there with another year.
    """
    dated = (form, *_without_year(form)) if _ISO_DATE.search(form) else (form,)
    return tuple(dict.fromkeys(spelled for one in dated for spelled in (one, *_by_twelve_hours(one))))


def _without_year(form: str) -> Iterator[str]:
    short = [(f"{MONTHS[int(date[2]) - 1]} {int(date[3])}", date[1]) for date in _ISO_DATE.finditer(form)]
    barred = "".join(f" + !{day} {decade}*" for day, decade in short)
    yield _ISO_DATE.sub(lambda date: f"{MONTHS[int(date[2]) - 1]} {int(date[3])}", form) + barred


def _by_twelve_hours(form: str) -> Iterator[str]:
    if _CLOCK.search(form):
        for noon in ("pm", "p.m."):
            yield _CLOCK.sub(lambda clock, noon=noon: _spelled(int(clock[1]), clock[2], noon), form)  # type: ignore[misc]


def _spelled(hour: int, minute: str, noon: str) -> str:
    return f"{hour - 12}:{minute} {noon}" if hour > 12 else f"{hour}:{minute}"
