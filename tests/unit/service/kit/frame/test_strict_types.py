from datetime import UTC, date, datetime
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from service.kit.frame.strict import WHOLE_NUMBER, IsoDay, IsoTime

COUNT = Annotated[int, Field(ge=0), WHOLE_NUMBER]


@pytest.mark.parametrize("value", [0, 1.5, True, "0", "-1", "1765200600", "1e9", "2025-12-08T14:30:00"])
def test_a_number_or_a_time_without_a_zone_is_no_time(value):
    with pytest.raises(ValidationError):
        TypeAdapter(IsoTime).validate_python(value)


def test_times_as_text_and_as_objects_are_read():
    moment = datetime(2025, 12, 8, 14, 30, tzinfo=UTC)
    for value in (moment, "2025-12-08T14:30:00Z", "2025-12-08T15:30:00+01:00"):
        assert TypeAdapter(IsoTime).validate_python(value) == moment


@pytest.mark.parametrize("value", [0, "0", "20251208", "2025-12-08T00:00:00", "2025-12-08\n", "2025-13-08"])
def test_what_is_no_day(value):
    with pytest.raises(ValidationError):
        TypeAdapter(IsoDay).validate_python(value)


def test_days_as_text_and_as_objects_are_read():
    for value in (date(2025, 12, 8), "2025-12-08"):
        assert TypeAdapter(IsoDay).validate_python(value) == date(2025, 12, 8)


def test_a_count_is_a_whole_number_and_keeps_its_bound_in_the_schema():
    adapter = TypeAdapter(COUNT)
    for value in (True, "3", 1.5, -1):
        with pytest.raises(ValidationError):
            adapter.validate_python(value)
    assert (adapter.validate_python(3), adapter.json_schema()["minimum"]) == (3, 0)
