"""Re-scoring after a form's activation, against a local AWS: estimated, bounded, killed and resumed, nothing asked twice."""

from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from call_place import ACME, CallPlace, make_place
from rescored_calls import PRICE, Killed, activated, priced, standing

from service.calls.keys import earlier_prefix
from service.calls.result import CallResult
from service.calls.worker.rescoring import RescoreBound, Rescoring
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.warehouse.duck import DuckWarehouse

ENOUGH = RescoreBound(calls=100, usd=Decimal(100))


@pytest.fixture(scope="module")
def stack(local_aws: Any) -> Settings:
    made: Settings = local_aws(store_timeout_s=20.0, redactor="patterns")
    return made


@pytest.fixture
async def place(stack: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> CallPlace:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-30:].strip("-")
    return await make_place(stack, tmp_path, name)


@pytest.mark.acceptance("call-step-09", "qa-08")
async def test_a_killed_rescoring_goes_on_without_asking_or_paying_twice(place: CallPlace) -> None:
    form = await activated(place)
    estimate = Rescoring(worker=place.worker, form=form).estimate()
    assert (len(estimate.left), estimate.used, estimate.usd_per_call) == (4, 0, PRICE)
    killed, first = priced(place, kill_at=2)
    with pytest.raises(Killed):
        await Rescoring(worker=killed, form=form).run(ENOUGH)
    worker, second = priced(place)
    tally = await Rescoring(worker=worker, form=form).run(ENOUGH)
    assert len(first) == len(second) == 2
    assert not set(first) & set(second)
    assert (tally.used, tally.used_usd, tally.stopped) == (4, 4 * PRICE, False)
    assert standing(place) == [2, 2, 2, 2]
    third = await Rescoring(worker=worker, form=form).run(ENOUGH)
    assert (third.replaced, third.used, len(second)) == (0, 4, 2)


@pytest.mark.acceptance("call-step-09")
async def test_what_was_answered_before_a_kill_is_not_asked_again(place: CallPlace, monkeypatch: Any) -> None:
    """Killed after the answer was stored and before it took its place."""
    form = await activated(place)
    worker, asked = priced(place)

    def kill(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Rescoring, "_replace", kill)
        with pytest.raises(Killed):
            await Rescoring(worker=worker, form=form).run(ENOUGH)
    assert len(asked) == 1
    tally = await Rescoring(worker=worker, form=form).run(ENOUGH)
    assert len(asked) == len(set(asked)) == 4
    assert (tally.replaced, tally.used_usd) == (4, 4 * PRICE)


@pytest.mark.parametrize("bound", [RescoreBound(calls=2, usd=Decimal(100)), RescoreBound(calls=100, usd=2 * PRICE)])
@pytest.mark.acceptance("call-step-09", "qa-08")
async def test_the_bound_holds_over_all_runs(place: CallPlace, bound: RescoreBound) -> None:
    form = await activated(place)
    worker, asked = priced(place)
    for _ in range(2):
        tally = await Rescoring(worker=worker, form=form).run(bound)
        assert (tally.used, tally.used_usd, tally.stopped) == (2, 2 * PRICE, True)
    assert len(asked) == 2
    assert standing(place) == [1, 1, 2, 2]
    with pytest.raises(ConfigurationError, match="above 0"):
        await Rescoring(worker=worker, form=form).run(RescoreBound(calls=0, usd=Decimal(1)))


@pytest.mark.acceptance("call-step-09", "qa-08")
async def test_old_scorecards_stay_readable_and_rows_are_the_new_ones(place: CallPlace) -> None:
    form = await activated(place)
    before = {job.call_id: place.result(job) for job in place.jobs(ACME).values()}
    worker, _ = priced(place)
    await Rescoring(worker=worker, form=form).run(ENOUGH)
    results = place.worker.results(ACME)
    for call_id, old in before.items():
        (kept,) = results.listed(earlier_prefix(ACME, call_id))
        text = results.read(kept.key)
        assert text is not None
        assert CallResult.model_validate_json(text) == old
    for job in place.jobs(ACME).values():
        assert job.scored is not None
        assert job.scored.form_version == 2
        assert place.result(job).insights == before[job.call_id].insights
    with closing(DuckWarehouse(place.settings.warehouse_file)) as warehouse:
        rows = warehouse.query("SELECT DISTINCT criterion_id, form_version FROM omni_call_criteria ORDER BY 1")
        read = warehouse.query("SELECT call_id, insights_by, insights_sentiment, insights_balance FROM omni_calls")
    assert {row.call_id: row.insights_sentiment for row in read.itertuples()} == {
        call: result.insights.sentiment for call, result in before.items() if result.insights is not None
    }
    assert set(read["insights_by"]) == {"local-words-v1"}
    assert rows.to_dict("records") == [
        {"criterion_id": "greet", "form_version": 2},
        {"criterion_id": "sorry", "form_version": 2},
    ]
