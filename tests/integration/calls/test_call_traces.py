"""A call's trace against a local AWS: one for each call, over all its turns, with its steps and without a word of it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from call_place import ACME, BRAND, TURNS, CallPlace, EndingJob, make_place
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rescored_calls import activated

from service.calls.worker.replay import watch
from service.calls.worker.rescoring import RescoreBound, Rescoring
from service.kit.telemetry import tracing

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
STEPS = {"fetch", "redact", "score", "insights", "store"}
NAMES = {
    *("omni.tenant", "omni.call.id", "omni.call.state", "omni.call.attempt", "omni.call.outcome"),
    *("omni.form", "omni.form.version", "omni.pair.digest", "omni.call.needs_review", "error.type"),
}


@pytest.fixture
async def place(local_aws: Any, tmp_path: Any) -> CallPlace:
    return await make_place(local_aws(store_timeout_s=30.0, redactor="patterns"), tmp_path, "traces")


@pytest.fixture
def spans() -> Any:
    exporter = InMemorySpanExporter()
    tracing.start_tracing("http://unused", environment="local", share=1.0, exporter=exporter)
    yield lambda: (tracing._provider.force_flush(), exporter.get_finished_spans())[1]
    tracing.stop_tracing()


def by_call(found: Any) -> dict[str, list[Any]]:
    """The spans of each trace, by the call that its roots name."""
    calls = {span.context.trace_id: span.attributes["omni.call.id"] for span in found if span.parent is None}
    made: dict[str, list[Any]] = {}
    for span in found:
        made.setdefault(calls[span.context.trace_id], []).append(span)
    return made


@pytest.mark.acceptance("call-operation-03")
async def test_each_call_is_one_trace_with_its_steps(place: CallPlace, spans: Any) -> None:
    place.put(f"{ACME}/calls/one.json")
    place.put(f"{BRAND}/calls/two.json")
    await place.worker.drain()
    jobs = {job.call_id: job for tenant in (ACME, BRAND) for job in place.jobs(tenant).values()}
    found = by_call(spans())
    assert set(found) == set(jobs)
    for call, made in found.items():
        (turn,) = [span for span in made if span.name == "work on call"]
        result = place.result(jobs[call])
        assert result.qa_evaluation is not None
        assert turn.attributes["omni.tenant"] == jobs[call].tenant
        assert turn.attributes["omni.form"] == result.qa_evaluation.form_id == "support"
        assert turn.attributes["omni.pair.digest"] == result.scored_by.pair_digest
        assert {span.name for span in made if span.parent and span.parent.span_id == turn.context.span_id} == STEPS
        assert [span.name for span in made if span.parent is None] == ["work on call", "store rows"]


async def test_scoring_a_call_again_is_part_of_its_trace(place: CallPlace, spans: Any) -> None:
    form = await activated(place)
    await Rescoring(worker=place.worker, form=form).run(RescoreBound(calls=10, usd=Decimal(1)))
    found = by_call(spans())
    assert set(found) == {job.call_id for job in place.jobs(ACME).values()}
    for made in found.values():
        roots = [span for span in made if span.parent is None]
        assert [span.name for span in roots] == ["work on call", "store rows", "score call again"]
        again = roots[-1]
        assert (again.attributes["omni.form"], again.attributes["omni.form.version"]) == ("support", form.version)
        below = [span.name for span in made if span.parent and span.parent.span_id == again.context.span_id]
        assert below == ["score", "store"]


@pytest.mark.acceptance("call-operation-03")
async def test_a_recording_that_waits_is_one_trace_over_both_turns(place: CallPlace, spans: Any) -> None:
    job = EndingJob()
    first = replace(place.worker, transcriber=job, owner="first")
    place.put_bytes(f"{ACME}/calls/Delphine Marchetti.wav", b"RIFF\0\0\0\0WAVEfmt ")
    await first.drain()
    job.ended = True
    await watch(replace(first, owner="second"), ACME)
    ((call, made),) = by_call(spans()).items()
    assert place.jobs(ACME)["Delphine Marchetti.wav"].call_id == call
    waited, scored = [span for span in made if span.name == "work on call"]
    assert waited.context.trace_id == scored.context.trace_id
    assert waited.attributes["omni.call.outcome"] == "waiting"
    assert waited.status.is_ok
    assert [span.name for span in made].count("transcribe") == 2
    assert scored.attributes["omni.call.attempt"] == 2
    assert scored.attributes["omni.form"] == "support"


@pytest.mark.acceptance("call-operation-03")
async def test_a_failed_call_says_its_reason_and_no_span_a_word(place: CallPlace, spans: Any) -> None:
    place.put(f"{ACME}/calls/Delphine Marchetti.json")
    place.put(
        f"{ACME}/calls/other.json", [*TURNS, {"speaker": "agent", "start_s": 20.0, "text": "Bye."}], form="unheard-of"
    )
    await place.worker.drain()
    found = spans()
    failed = [span for span in found if "error.type" in span.attributes]
    assert {(span.name, span.attributes["error.type"]) for span in failed} == {("work on call", "form")}
    said = " ".join(span.to_json() for span in found)
    for word in ("Delphine", "Marchetti", "4111", "morning", "unheard-of", ".json"):
        assert word not in said, word
    assert {name for span in found for name in span.attributes if not name.startswith("gen_ai.")} <= NAMES
