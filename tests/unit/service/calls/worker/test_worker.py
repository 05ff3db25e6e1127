"""The call worker on tables and buckets in memory: what becomes of a call, and of one that cannot be scored."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from call_place import ACME, TURNS, CallPlace, place_in_memory

from service.calls.failure import CallFailed, FailureReason
from service.calls.keys import read_key, transcript_key
from service.calls.redact.transcript import PatternRedactor
from service.calls.store.states import StateLost
from service.calls.tenants.store import TenantSettings
from service.calls.worker.kept import KeptTranscript
from service.calls.worker.replay import count_calls, replay, watch
from service.calls.worker.worker import MOST_ATTEMPTS, CallWorker
from service.kit.aws.event_queue import Announced
from service.kit.frame.errors import ModelError, QuotaExceeded, WarehouseBusy


@pytest.fixture
async def place(tmp_path: Path) -> CallPlace:
    return await place_in_memory(tmp_path)


async def test_a_call_becomes_a_result_and_rows_once(place: CallPlace) -> None:
    place.put("acme/calls/one.json", agent_id="a-17")
    assert dict((await place.worker.drain()).states) == {"done": 1}
    job = place.jobs(ACME)["one.json"]
    result = place.result(job)
    assert {item.id: item.verdict for item in result.qa_evaluation.criteria} == {
        "greet": "yes",
        "sorry": "yes",
        "notice": "no",
    }
    kept = place.worker.results(ACME).read(transcript_key(ACME, job.call_id))
    assert not [said for said in ("Delphine", "4111") if said in result.to_json() + kept]
    with closing(place.worker.open_warehouse()) as warehouse:
        (row,) = warehouse.query("SELECT call_id, agent_id FROM omni_calls", {}).to_dict("records")
    assert row == {"call_id": job.call_id, "agent_id": "a-17"}
    tally, again = await place.worker.work([Announced(key=job.source.key, etag=job.source.etag)])
    assert (tally.known, again) == (1, set())
    assert count_calls(place.worker, ACME).balanced


GERMAN = [
    {
        "speaker": "agent",
        "start_s": 0.0,
        "text": "Guten Tag, was kann ich für Sie tun? Die Rechnung ist noch nicht da.",
    },
    {"speaker": "customer", "start_s": 2.0, "text": "Ich habe die Rechnung nicht, und das Konto ist auch leer."},
]


@pytest.mark.parametrize(
    ("body", "state", "why"),
    [
        ({"turns": []}, "needs_review", "no_speech"),
        ({"turns": [{"speaker": "system", "start_s": 0, "text": "(music)"}]}, "needs_review", "no_speech"),
        ({"turns": [TURNS[1]]}, "needs_review", "no_agent"),
        ({"turns": [TURNS[0]]}, "needs_review", "one_speaker"),
        ({"turns": [{**turn, "speaker": "unknown"} for turn in TURNS]}, "needs_review", "speakers_unknown"),
        ({"turns": GERMAN}, "failed", "language"),
        ({"turns": TURNS, "language": "de-DE"}, "failed", "language"),
        ({"turns": TURNS, "form": "sales"}, "failed", "form"),
        ({"turns": TURNS, "call_date": "2036-11-16T09:00:00Z"}, "failed", "unreadable"),
        ({"turns": TURNS, "call_date": "0001-01-02T09:00:00Z"}, "failed", "unreadable"),
        ({"turns": TURNS, "call_date": "9999-12-30T09:00:00Z"}, "failed", "unreadable"),
        ({"turns": [{**TURNS[0], "text": "a" * 100_001}]}, "failed", "unreadable"),
        # Heard where `make setup EXTRAS=1` has put Whisper, and then it is no recording.
        (b"RIFF\x10\x00 no sound", "failed", "unreadable" if find_spec("faster_whisper") else "no_transcriber"),
        (b"{cut off", "failed", "unreadable"),
    ],
    ids=[
        "silence", "music", "no-agent", "one-speaker", "unknown", "german", "declared", "form", "2036", "1", "9999", "endless",
        "audio", "cut-off",
    ],
)  # fmt: skip
@pytest.mark.acceptance("call-step-13")
async def test_bad_calls_have_a_state_and_a_reason(place: CallPlace, body: Any, state: str, why: str) -> None:
    place.put_bytes("acme/calls/bad.json", body if isinstance(body, bytes) else json.dumps(body).encode())
    await place.worker.drain()
    job = place.jobs(ACME)["bad.json"]
    assert job.state == state
    if state == "failed":
        assert job.reason == why
        assert place.letters(ACME)["acme/calls/bad.json"].reason == why
    else:
        assert why in place.result(job).review
    assert count_calls(place.worker, ACME).balanced


class Busy:
    """A gateway in front of the real one that fails a number of times."""

    def __init__(self, real: Any, times: int, error: ModelError) -> None:
        self.real, self.times, self.error = real, times, error

    async def complete(self, call: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return await self.real.complete(call)


def _behind(worker: CallWorker, times: int, error: ModelError) -> CallWorker:
    return replace(worker, scorer=replace(worker.scorer, gateway=Busy(worker.scorer.gateway, times, error)))


@pytest.mark.acceptance("call-operation-05")
async def test_a_busy_model_is_waited_for_and_then_given_up_with_a_reason(place: CallPlace) -> None:
    place.put("acme/calls/x.json")
    announced = [Announced(key=item.key, etag=item.etag) for item in place.worker.inputs.listed(ACME)]
    busy = _behind(place.worker, 10_000, QuotaExceeded("throttled"))
    for _ in range(MOST_ATTEMPTS):  # since it last got on
        tally, again = await busy.work(announced)
        assert (tally.waiting, len(again)) == (1, 1)
    assert place.jobs(ACME)["x.json"].state == "redacted"
    tally, again = await busy.work(announced)
    assert (dict(tally.reasons), again) == ({"model": 1}, set())
    assert dict((await replay(place.worker, ACME)).states) == {"done": 1}


async def test_an_input_that_breaks_a_step_is_given_up_with_a_reason(
    place: CallPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("Delphine Marchetti")

    monkeypatch.setattr("service.calls.worker.worker.read_transcript", broken)
    place.put("acme/calls/x.json")
    announced = [Announced(key=item.key, etag=item.etag) for item in place.worker.inputs.listed(ACME)]
    for _ in range(MOST_ATTEMPTS - 1):
        tally, again = await place.worker.work(announced)
        assert (tally.waiting, len(again)) == (1, 1)
    tally, again = await place.worker.work(announced)
    assert (dict(tally.reasons), again) == ({"stuck": 1}, set())
    letter = place.letters(ACME)["acme/calls/x.json"]
    assert "ZeroDivisionError in state received" in letter.detail
    assert "Delphine" not in letter.detail
    monkeypatch.undo()
    assert dict((await replay(place.worker, ACME)).states) == {"done": 1}


async def test_two_workers_do_not_share_a_call(place: CallPlace) -> None:
    place.put("acme/calls/x.json")
    (item,) = place.worker.inputs.listed(ACME)
    source, now = read_key(item.key, etag=item.etag), datetime.now(UTC)
    job = place.worker.jobs.claim(source, owner="other", now=now, lease=timedelta(hours=1))
    tally, again = await place.worker.work([Announced(key=item.key, etag=item.etag)])
    assert (tally.waiting, len(again)) == (1, 1)
    with pytest.raises(StateLost):
        place.worker.jobs.advance(replace(job, owner="me"), "transcribed", now=now, lease=timedelta(hours=1))
    place.worker.jobs.advance(job, "transcribed", now=now, lease=timedelta(hours=1))
    with pytest.raises(StateLost):  # no way back, and none twice
        place.worker.jobs.advance(job, "transcribed", now=now, lease=timedelta(hours=1))


@pytest.mark.acceptance("call-07")
async def test_a_busy_warehouse_loses_nothing(place: CallPlace) -> None:
    def closed() -> Any:
        raise WarehouseBusy("somebody writes")

    place.put("acme/calls/x.json")
    with pytest.raises(WarehouseBusy):
        await replace(place.worker, open_warehouse=closed).drain()
    assert place.jobs(ACME)["x.json"].state == "scored"
    tally = await watch(place.worker, ACME, stuck_after=timedelta(seconds=-1))
    assert dict(tally.states) == {"done": 1}


@pytest.mark.acceptance("call-step-12")
async def test_an_unusable_answer_is_kept_apart(place: CallPlace) -> None:
    from service.kit.frame.errors import OutputInvalid

    error = OutputInvalid("no JSON", raw_text="Delphine Marchetti did well, says card 4111 1111 1111 1111")
    place.put("acme/calls/x.json")
    await _behind(place.worker, 10_000, error).drain()
    job = place.jobs(ACME)["x.json"]
    result = place.result(job)
    assert (job.state, result.review, result.qa_evaluation) == ("needs_review", ("answer_unusable",), None)
    assert result.summary_raw is not None
    kept = place.worker.results(ACME).read(result.summary_raw)
    assert kept is not None
    assert "did well" in kept
    assert "4111" not in kept
    assert count_calls(place.worker, ACME).balanced


@pytest.mark.acceptance("redaction-01")
async def test_what_cannot_be_redacted_is_kept_nowhere(place: CallPlace) -> None:
    class Broken(PatternRedactor):
        def redact(self, turns: Any, own: Any = None) -> Any:
            raise CallFailed(FailureReason.REDACTION, "turn 1: broken")

    class Short(PatternRedactor):
        def redact(self, turns: Any, own: Any = None) -> Any:
            return super().redact(turns[:-1])

    for name, redactor in (("broken", Broken()), ("short", Short())):
        place.put(f"acme/calls/{name}.json", TURNS, agent_id=name)
        await replace(place.worker, redactor=redactor).drain()
        assert place.jobs(ACME)[f"{name}.json"].reason is FailureReason.REDACTION
    assert [item.key for item in place.worker.results(ACME).listed("acme/") if "/dead/" not in item.key] == []


async def test_a_tenants_own_words_stay_in_what_is_scored_and_its_agents_are_typed(place: CallPlace) -> None:
    said = [
        {"speaker": "agent", "start_s": 0, "text": "Good morning, Larkmead Power, this is Siobhan, how can I help?"},
        {"speaker": "customer", "start_s": 4, "text": "It is about my bill, and my card is 4111 1111 1111 1111."},
    ]
    tenants = place.worker.tenants.tenants
    tenants.configure(ACME, TenantSettings(name="Acme", own_words=("Larkmead Power",), agents=("Siobhan",)))
    place.put("acme/calls/own.json", said)
    await place.worker.drain()
    job = place.jobs(ACME)["own.json"]
    results = place.worker.results(ACME)
    kept = KeptTranscript.model_validate_json(results.read(transcript_key(ACME, job.call_id)))
    assert [turn.text for turn in kept.turns] == [
        "Good morning, Larkmead Power, this is [agent], how can I help?",
        "It is about my bill, and my card is [number].",
    ]
    assert kept.redactor.endswith("+own-words")
    assert (kept.left, place.result(job).source.redaction.left) == ({}, {})
