from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from service.kit.frame.clock import set_clock, wall_clock
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings


def test_without_a_file_the_clock_is_the_machines_in_utc():
    assert abs(wall_clock()() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_time_of_a_file_stays_until_it_is_set_again(tmp_path):
    now = wall_clock(tmp_path / "clock")
    set_clock(tmp_path / "clock", datetime(2026, 10, 19, 9, 0, tzinfo=timezone(timedelta(hours=2))))
    assert now() == now() == datetime(2026, 10, 19, 7, 0, tzinfo=UTC)
    set_clock(tmp_path / "clock", datetime(2026, 10, 20, tzinfo=UTC))
    assert now() == datetime(2026, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-10-19T07:00:00"])
def test_a_file_without_a_time_is_an_error_with_a_remedy(tmp_path, text):
    (tmp_path / "clock").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="OMNI_CLOCK_FILE"):
        wall_clock(tmp_path / "clock")()


def test_aws_refuses_a_simulated_time(tmp_path):
    assert Settings(clock_file=tmp_path / "clock").clock_file
    with pytest.raises(ValidationError, match="clock_file"):
        Settings(environment="aws", clock_file=tmp_path / "clock")
