"""Types of request fields that accept exactly what their JSON Schema says; pydantic alone reads more."""

import re
from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _is_iso_time(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        raise ValueError("must be an ISO 8601 time with a zone, as in 2026-11-16T09:00:00Z, not a number")
    return value


def _is_iso_day(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and not _DAY.fullmatch(value)):
        raise ValueError("must be a day as in 2026-11-16")
    return value


def _is_whole_number(value: object) -> object:
    if isinstance(value, bool | str):  # True is an int in Python
        raise ValueError("must be a whole number, not text, true or false")
    return value


# pydantic reads a number, or text of one, as seconds since 1970, and from 2e10 as milliseconds.
IsoTime = Annotated[AwareDatetime, BeforeValidator(_is_iso_time)]
IsoDay = Annotated[date, BeforeValidator(_is_iso_day)]
# Put behind the bounds of an int, which pydantic would not write into the schema otherwise.
WHOLE_NUMBER = BeforeValidator(_is_whole_number)
