"""The eight-step validation on the local AWS: it passes here, and each thing that is taken away fails its own step."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from call_place import ACME, BRAND, CallPlace, make_place

from service.calls.redact.transcript import RedactedTranscript
from service.calls.store.objects import TenantResults
from service.calls.worker.validation import STEPS, CallValidation, StepDone, StepFailed
from service.kit.settings import Settings
from service.local.stores.deploy import deploy_stores
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")


@pytest.fixture(scope="module")
def stack(local_aws: Any) -> Settings:
    made: Settings = local_aws(store_timeout_s=20.0, redactor="patterns")
    return made


@pytest.fixture
async def place(stack: Settings, tmp_path: Any, request: pytest.FixtureRequest) -> CallPlace:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-30:].strip("-")
    return await make_place(stack, tmp_path, name)


def _validation(place: CallPlace, **changes: Any) -> CallValidation:
    given = {"worker": place.worker, "tenant": ACME, "other": BRAND, "alarms": list, "most_usd": 0.10}
    return CallValidation(**(given | changes))


async def _steps(validation: CallValidation) -> list[StepDone]:
    return [step async for step in validation.run()]


@pytest.mark.acceptance("call-operation-06")
async def test_eight_steps_pass(place: CallPlace) -> None:
    done = await _steps(_validation(place))
    assert [step.name for step in done] == list(STEPS)
    assert "3 rows" in done[5].saw
    assert "3 criteria" in done[6].saw
    again = await _steps(_validation(place))  # a second validation finds its own call, not the first's
    assert len(again) == 8
    assert len(place.jobs(ACME)) == 2


class _Careless:
    """Redacts nothing and says so of nothing."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.languages, self.by = real.languages, real.by

    def redact(self, turns: Any, own: Any) -> RedactedTranscript:
        return replace(self._real.redact(turns, own), turns=tuple(turns), left={})


class _Unwalled(TenantResults):
    def read(self, key: str) -> str | None:
        return "{}"


def _no_queue(place: CallPlace) -> CallPlace:
    return replace(place, worker=replace(place.worker, queue=None))


def _careless(place: CallPlace) -> CallPlace:
    return replace(place, worker=replace(place.worker, redactor=_Careless(place.worker.redactor)))  # type: ignore[arg-type]


def _unwalled(place: CallPlace) -> CallPlace:
    real, settings = place.worker.results, place.settings

    def results(tenant: str) -> TenantResults:
        if tenant == BRAND:
            return _Unwalled(None, settings.calls.results_bucket, tenant)
        return real(tenant)

    return replace(place, worker=replace(place.worker, results=results))


class _Forgetful(DuckWarehouse):
    """Loses the criteria of every call."""

    def merge(self, event: Any, rows: Any) -> Any:
        return super().merge(event, rows.slice(0, 0) if event.table == "omni_call_criteria" else rows)


class _Lacking(DuckWarehouse):
    """Shows every table without its last column."""

    def query(self, sql: str, parameters: Any = None) -> Any:
        found = super().query(sql, parameters)
        return found.iloc[:, :-1] if "WHERE 1 = 0" in sql else found


def _warehouse(kind: type[DuckWarehouse]) -> Callable[[CallPlace], CallPlace]:
    def changed(place: CallPlace) -> CallPlace:
        file = place.settings.warehouse_file
        return replace(place, worker=replace(place.worker, open_warehouse=lambda: kind(file, wait_s=10)))

    return changed


@pytest.mark.parametrize(
    ("broken", "changes", "step", "words"),
    [
        (_no_queue, {}, 2, "no queue"),
        (_careless, {}, 4, "personal details are still in what is stored"),
        (_unwalled, {}, 4, "tenant brand could read"),
        (_warehouse(_Lacking), {}, 5, "lacks"),
        (_warehouse(_Forgetful), {}, 6, "the result says otherwise"),
        (lambda place: place, {"alarms": lambda: ["call-failures"]}, 8, "not quiet: call-failures"),
        (lambda place: place, {"most_usd": -1.0}, 8, "costs $0.0000, more than"),
    ],
)
@pytest.mark.acceptance("call-operation-06")
async def test_what_is_broken_fails_its_own_step(
    place: CallPlace, broken: Callable[[CallPlace], CallPlace], changes: dict[str, Any], step: int, words: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        await _steps(_validation(broken(place), **changes))
    assert str(caught.value).startswith(f"step {step}, {STEPS[step - 1]}: ")
    assert words in str(caught.value)


async def test_a_call_that_is_never_announced_is_awaited_and_said(place: CallPlace) -> None:
    class Deaf:
        def receive(self, **_: Any) -> list[Any]:
            return []

    worker = replace(place.worker, queue=Deaf())  # type: ignore[arg-type]
    with pytest.raises(StepFailed, match="step 2, transcribe it: after 1 s the calls are in: no state"):
        await _steps(_validation(replace(place, worker=worker), most_s=1))


async def test_an_upload_that_does_not_arrive_is_said(place: CallPlace) -> None:
    class Lost:
        def __init__(self, real: Any) -> None:
            self._real, self.bucket = real, real.bucket

        def put(self, *_: Any) -> None:
            return None

        def listed(self, tenant: str) -> Any:
            return self._real.listed(tenant)

    worker = replace(place.worker, inputs=Lost(place.worker.inputs))  # type: ignore[arg-type]
    with pytest.raises(StepFailed, match="step 1, upload a recording: not in bucket"):
        await _steps(_validation(replace(place, worker=worker)))


async def test_a_failed_call_names_its_reason(place: CallPlace) -> None:
    worker = replace(place.worker, forms=_Formless(place.worker.forms))  # type: ignore[arg-type]
    with pytest.raises(StepFailed, match=r"step \d, .*: form: "):
        await _steps(_validation(replace(place, worker=worker)))


class _Formless:
    def __init__(self, real: Any) -> None:
        self._real = real

    async def known(self, tenant: str) -> bool:
        return True

    async def heads(self, tenant: str) -> list[Any]:
        return []


async def test_rows_that_a_dashboard_does_not_show_are_said(place: CallPlace) -> None:
    broken = _warehouse(_Blind)(place)
    with pytest.raises(StepFailed, match="step 7, show failures and scores: the leaderboard lacks"):
        await _steps(_validation(broken))


class _Blind(DuckWarehouse):
    def query(self, sql: str, parameters: Any = None) -> Any:
        found = super().query(sql, parameters)
        return found.iloc[:0] if "v_criterion_failures" in sql else found


@pytest.mark.acceptance("call-operation-06")
def test_the_command_prints_each_step_and_ends_at_the_one_that_fails(stack: Settings, tmp_path: Any) -> None:
    assert stack.aws.endpoint is not None
    own = {"OMNI_AWS_ENDPOINT": stack.aws.endpoint, "OMNI_STATE_DIR": str(tmp_path), "OMNI_CALLS_QUEUE": "validated"}
    names = {
        "OMNI_CALLS_BUCKET": "in-v",
        "OMNI_RESULTS_BUCKET": "out-v",
        "OMNI_CALLS_TABLE": "v",
        "OMNI_CONFIG_TABLE": "v-c",
    }
    line = [sys.executable, "-m", "omni", "calls", "validate", "--pair", "keywords", "--most-usd", "-1"]
    deploy_stores(
        stack.model_copy(update={name.removeprefix("OMNI_").lower(): value for name, value in (own | names).items()})
    )
    done = subprocess.run(line, env={**os.environ, **own, **names}, capture_output=True, text=True, timeout=600)
    assert [said.partition(":")[0] for said in done.stdout.splitlines()] == [
        f"{number}. {name}" for number, name in enumerate(STEPS[:7], 1)
    ]
    assert (done.returncode, done.stderr.strip()[:43]) == (1, "FAILED step 8, check alarms and cost: a cal")
