"""What the alarms on calls are made of: calls that nobody takes up, and falls of agreement beyond chance."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from call_place import ACME, BRAND, make_place
from scored_calls import ScoredCalls
from structlog.testing import capture_logs

from service.__main__ import main
from service.calls.exports.watching import STUCK_AFTER, agreement_falls, count_stuck
from service.calls.keys import read_key
from service.warehouse.duck import DuckWarehouse

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def told(logs, event):
    return [line for line in logs if line["event"] == event]


@pytest.mark.acceptance("event.CALLS_CHECKED", "call-operation-01")
async def test_calls_that_nobody_takes_up_are_counted_by_tenant(local_aws, tmp_path, monkeypatch, capsys):
    pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
    place = await make_place(local_aws(store_timeout_s=30.0, redactor="patterns"), tmp_path, "stuck")
    jobs = place.worker.jobs
    for tenant, number in ((ACME, 1), (ACME, 2), (BRAND, 3)):
        jobs.register(read_key(f"{tenant}/calls/{number}.json", etag=f"e{number}"), now=NOW)
    waits = read_key(f"{ACME}/calls/long.wav", etag="long")
    held = jobs.claim(waits, owner="w", now=NOW, lease=timedelta(minutes=1))
    jobs.release(held, awaiting="cci_job")  # its transcription takes as long as it takes
    with capture_logs() as logs:
        assert count_stuck(jobs, NOW + STUCK_AFTER - timedelta(minutes=1)) == {}
        assert count_stuck(jobs, NOW + STUCK_AFTER + timedelta(minutes=1)) == {ACME: 2, BRAND: 1}
    assert [line["stuck"] for line in told(logs, "CALLS_CHECKED")] == [0, 3]
    clock = tmp_path / "clock"
    for name, value in {
        "AWS_ENDPOINT": place.settings.aws.endpoint, "STATE_DIR": str(tmp_path), "CALLS_TABLE": place.settings.calls.table,
        "CLOCK_FILE": str(clock),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"OMNI_{name}", value)
    clock.write_text((NOW + timedelta(hours=1)).isoformat(), encoding="utf-8")
    assert main(["calls", "check-stuck"]) == 1
    assert f"{ACME}: 2 calls stand still" in capsys.readouterr().out
    clock.write_text(NOW.isoformat(), encoding="utf-8")
    assert main(["calls", "check-stuck"]) == 0


def verdicts(made, tenant, *, agreed, corrected, at, criterion="greet"):
    """People's verdicts, given a day after each call."""
    for number in range(agreed + corrected):
        result = made.add(tenant, {criterion: "yes"}, at=at + timedelta(minutes=number))
        made.say(result, criterion, "yes" if number < agreed else "no")


@pytest.fixture
def written(tmp_path):
    """acme's agreement on greet fell from 19 of 20 to 3 of 10, on recap to 6 of 10; brand's stayed, and a third has too few."""
    made = ScoredCalls()
    before, now = NOW - timedelta(days=20), NOW - timedelta(days=4)
    verdicts(made, "acme", agreed=19, corrected=1, at=before)
    verdicts(made, "acme", agreed=3, corrected=7, at=now)
    verdicts(made, "acme", agreed=17, corrected=3, at=before, criterion="recap")
    verdicts(made, "acme", agreed=6, corrected=4, at=now, criterion="recap")
    verdicts(made, "brand", agreed=19, corrected=1, at=before)
    verdicts(made, "brand", agreed=9, corrected=1, at=now)
    verdicts(made, "third", agreed=19, corrected=1, at=before)
    verdicts(made, "third", agreed=0, corrected=9, at=now)
    path = tmp_path / "w.duckdb"
    made.write(path)
    return path


@pytest.mark.acceptance("event.AGREEMENT_CHECKED")
def test_a_fall_beyond_chance_is_found_and_others_are_not(written):
    with closing(DuckWarehouse(written, read_only=True)) as warehouse, capture_logs() as logs:
        falls = agreement_falls(warehouse, NOW)
        assert agreement_falls(warehouse, NOW - timedelta(days=10)) == ()
        assert agreement_falls(warehouse, NOW + timedelta(days=40)) == ()
    assert [(fall.tenant, fall.criterion) for fall in falls] == [("acme", "greet")]
    assert falls[0].line() == (
        "acme: people confirmed 3 of 10 verdicts on criterion greet of form support in seven days, before 19 of 20"
    )
    assert [line["fallen"] for line in told(logs, "AGREEMENT_CHECKED")] == [1, 0, 0]


def test_the_command_tells_of_a_fall(written, tmp_path, monkeypatch, capsys):
    clock = tmp_path / "clock"
    clock.write_text(NOW.isoformat(), encoding="utf-8")
    for name, value in {"STATE_DIR": tmp_path, "WAREHOUSE_PATH": written, "CLOCK_FILE": clock}.items():
        monkeypatch.setenv(f"OMNI_{name}", str(value))
    assert main(["calls", "check-agreement"]) == 1
    assert "acme: people confirmed 3 of 10" in capsys.readouterr().out
    clock.write_text((NOW - timedelta(days=10)).isoformat(), encoding="utf-8")
    assert main(["calls", "check-agreement"]) == 0
