"""The call pipeline against a local AWS (ministack) and a DuckDB file: nothing lost, nothing double, tenants apart."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from call_place import ACME, BRAND, TURNS, CallPlace, EndingJob, add_tenant, make_form, make_place
from structlog.testing import capture_logs

from service.calls.failure import FailureReason, Waiting
from service.calls.hear.transcriber import Heard
from service.calls.keys import NO_TENANT, earlier_key, job_name, letter_key, read_key, result_key, transcript_key
from service.calls.redact.transcript import PatternRedactor
from service.calls.reviews import CallMissing
from service.calls.store.objects import WallBreached
from service.calls.tenants.store import build_tenants
from service.calls.worker import people, queries
from service.calls.worker.replay import count_calls, replay, watch
from service.calls.worker.worker import MOST_ATTEMPTS
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.transcript import Turn
from service.kit.aws.clients import client
from service.kit.aws.event_queue import Announced
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")


@pytest.fixture(scope="module")
def stack(local_aws: Any) -> Settings:
    made: Settings = local_aws(store_timeout_s=20.0, redactor="patterns")
    return made


@pytest.fixture
async def place(stack: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> CallPlace:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-30:].strip("-")
    return await make_place(stack, tmp_path, name)


def test_the_local_aws_knows_the_sample_tenant(stack: Settings) -> None:
    tenants = build_tenants(stack, dynamodb=client("dynamodb", stack))
    assert tenants.get("demo-tenant") is not None
    assert tenants.get("nobody") is None


class Sloppy(PatternRedactor):
    """Redacts every turn but the last one."""

    def redact(self, turns: Any, own: Any) -> Any:
        found = super().redact(turns, own)
        return replace(found, turns=(*found.turns[:-1], turns[-1]))


@pytest.mark.acceptance("redaction-02")
async def test_what_a_redactor_left_is_said_and_a_person_looks_at_it(place: CallPlace) -> None:
    worker = replace(place.worker, redactor=Sloppy())
    place.put(
        "acme/calls/sloppy.json", turns=[*TURNS, {"speaker": "customer", "start_s": 99.0, "text": "I am a@b.com"}]
    )
    await worker.drain()
    result = place.result(place.jobs(ACME)["sloppy.json"])
    assert result.source.pii_redacted is False
    assert (result.source.redaction.result, result.source.redaction.left) == ("left", {"email": 1})
    assert result.needs_review
    assert "personal_data_left" in result.review


@pytest.mark.acceptance(
    "event.CALL_SETTLED",
    "call-01",
    "call-04",
    "form-02",
    "redaction-01",
    "redaction-03",
    "redaction-05",
    "score-03",
    "score-05",
    "qa-01",
)
async def test_a_call_becomes_a_result_rows_and_a_place_on_the_leaderboard(place: CallPlace) -> None:
    place.put("acme/calls/one.json", call_date="2026-11-16T09:00:00Z", agent_id="a-104")
    with capture_logs() as logs:
        tally = await place.worker.drain()
    assert dict(tally.states) == {"done": 1}
    job = place.jobs(ACME)["one.json"]
    settled = [line for line in logs if line["event"] == "CALL_SETTLED"]
    assert [(line["tenant"], line["call_id"], line["state"]) for line in settled] == [(ACME, job.call_id, "done")]
    assert job.result_key == result_key(ACME, datetime(2026, 11, 16, tzinfo=UTC), job.call_id)
    result = place.result(job)
    evaluation = result.qa_evaluation
    assert evaluation is not None
    assert {item.id: item.verdict for item in evaluation.criteria} == {"greet": "yes", "sorry": "yes", "notice": "no"}
    assert (evaluation.form_id, evaluation.qa_template_version) == ("support", 1)
    assert (str(evaluation.percentage), evaluation.passed) == ("66.7", True)
    assert result.source.pii_redacted is True
    redaction = result.source.redaction
    assert redaction.found == {"name": 3, "number": 1}
    assert (redaction.by, redaction.turns, redaction.languages) == ("patterns-3+names-1", 3, {"en": 3})
    assert (redaction.result, redaction.left) == ("redacted", {})
    assert result.insights is not None
    assert (result.insights.by, result.insights.failure) == ("local-words-v1", None)
    assert [(one.turn, one.sentiment) for one in result.insights.turns] == [
        (0, "NEUTRAL"),
        (1, "NEGATIVE"),
        (2, "NEGATIVE"),
    ]
    assert result.insights.sentiment == "NEGATIVE"
    assert result.key_phrases == result.insights.key_phrases != ()
    assert result.scored_by.pair == "keywords"
    assert len(result.scored_by.pair_digest) > 40
    kept = place.worker.results(ACME).read(transcript_key(ACME, job.call_id))
    assert kept is not None
    for secret in ("Delphine", "Marchetti", "4111"):
        assert secret not in kept + result.to_json()
    with closing(DuckWarehouse(place.settings.warehouse_file)) as warehouse:
        board = queries.leaderboard(warehouse, ACME)
        assert len(queries.leaderboard(warehouse, BRAND)) == 0
        (row,) = warehouse.query("SELECT *, insights_failure IS NULL AS well FROM omni_calls").to_dict("records")
    assert (row["insights_by"], row["insights_sentiment"]) == ("local-words-v1", "NEGATIVE")
    assert row["insights_balance"] == pytest.approx(result.insights.balance)
    assert row["well"]
    assert not any(phrase in str(row) for phrase in result.key_phrases)
    assert board["criterion_id"].iloc[0] == "notice"
    assert list(board["fail_rate"]) == [1, 0, 0]
    assert count_calls(place.worker, ACME).balanced
    assert place.worker.queue is not None
    assert place.worker.queue.waiting() == (0, 0)


@pytest.mark.acceptance("call-step-07", "call-step-08", "call-operation-04")
async def test_names_and_copies(place: CallPlace) -> None:
    place.put("acme/calls/monday/test.json")
    place.put("acme/calls/tuesday/test.json", TURNS[:2])
    place.put("acme/calls/again.json")  # monday's bytes
    place.put("brand/calls/monday/test.json")  # monday's bytes, another tenant's call
    await place.worker.drain()
    place.put("acme/calls/monday/test.json")  # sent again
    tally = await place.worker.drain()
    assert tally.known == 1
    found = count_calls(place.worker, ACME)
    assert (found.objects, found.copies, found.ended) == (3, 1, 2)
    assert found.balanced
    assert count_calls(place.worker, BRAND).ended == 1
    place.put("acme/calls/monday/test.json", TURNS[1:])  # another version under the same name
    await place.worker.drain()
    assert count_calls(place.worker, ACME).ended == 3


@pytest.mark.acceptance("call-step-11")
async def test_a_flag_overwrites_instead_of_skipping(place: CallPlace) -> None:
    """The same bytes sent again are worked on again; an event that comes twice is not, and nothing of the old result is lost."""
    client("s3", place.settings).put_bucket_versioning(
        Bucket=place.settings.calls.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    place.put("acme/calls/one.json")
    await place.worker.drain()
    first = place.jobs(ACME)["one.json"]
    old = place.result(first)
    place.put("acme/calls/one.json")
    assert (await place.worker.drain()).known == 1
    assert place.result(place.jobs(ACME)["one.json"]) == old
    worker = replace(place.worker, overwrite=True)
    place.put("acme/calls/one.json")
    tally = await worker.drain()
    assert dict(tally.states) == {"done": 1}
    second = place.jobs(ACME)["one.json"]
    assert (second.call_id, second.state) == (first.call_id, "done")
    assert second.source.version != first.source.version
    assert place.result(second).scored_at > old.scored_at
    again = await worker.work(
        [Announced(key=second.source.key, etag=second.source.etag, version=second.source.version)]
    )
    assert again[0].known == 1
    earlier = place.worker.results(ACME).read(earlier_key(ACME, first.call_id, old.scored_at))
    assert earlier == old.to_json()
    assert count_calls(place.worker, ACME).balanced


@pytest.mark.acceptance("call-step-05")
async def test_three_hours_are_scored(place: CallPlace) -> None:
    middle = [
        {
            "speaker": "agent" if n % 2 else "customer",
            "start_s": 20 + n * 5.0,
            "text": f"I see, please tell me about item {n}.",
        }
        for n in range(2160)
    ]
    place.put("acme/calls/long.json", [*TURNS, *middle])
    await place.worker.drain()
    result = place.result(place.jobs(ACME)["long.json"])
    assert result.duration_s > 3 * 3600 - 60
    assert result.qa_evaluation is not None
    assert len(result.qa_evaluation.criteria) == 3


@pytest.mark.acceptance("call-step-01")
async def test_an_object_without_a_tenant_has_a_dead_letter_until_replayed(place: CallPlace) -> None:
    place.put("later/calls/x.json")
    place.put("acme/calls/../../brand/calls/x.json")
    place.put("acme/elsewhere/x.json")
    place.put_bytes("acme/calls/", b"")
    tally = await place.worker.drain()
    assert dict(tally.reasons) == {"unknown_tenant": 1, "bad_key": 2}
    assert tally.foreign == 1
    assert place.jobs(ACME) == place.jobs(BRAND) == {}
    await add_tenant(place.worker, "later", make_form("later"))
    tally = await replay(place.worker, NO_TENANT)
    assert dict(tally.states) == {"done": 1}
    assert set(place.letters(NO_TENANT)) == {"acme/calls/../../brand/calls/x.json", "acme/elsewhere/x.json"}


@pytest.mark.acceptance("call-step-13")
async def test_a_failed_call_is_scored_by_a_replay_after_the_fix(place: CallPlace) -> None:
    forms: Any = place.worker.forms
    sales = make_form(ACME, "sales")
    saved = await forms.save_draft(sales, edit=0, who="dana")
    await forms.activate(ACME, "sales", edit=saved.edit, who="dana")
    place.put("acme/calls/which.json")
    place.put("acme/calls/sales/clear.json", TURNS[:2])
    place.put("acme/calls/moved.json", TURNS[1:])
    await place.worker.drain()
    assert place.jobs(ACME)["clear.json"].state == "done"
    place.put(
        "acme/calls/support/moved.json", TURNS[1:]
    )  # what the reason said: the same bytes where the form is clear
    assert dict((await place.worker.drain()).states) == {"done": 1}
    assert place.jobs(ACME)["moved.json"].source.form_folder == "support"
    assert "2 active forms" in place.letters(ACME)["acme/calls/which.json"].detail
    assert dict((await replay(place.worker, ACME, FailureReason.FORM)).states) == {"failed": 1}
    assert len(place.letters(ACME)) == 1

    class OneForm:
        def __getattr__(self, name: str) -> Any:
            return getattr(forms, name)

        async def heads(self, tenant: str) -> Any:
            return (await forms.heads(tenant))[:1]

    fixed = replace(place.worker, forms=OneForm())
    assert dict((await replay(fixed, ACME, FailureReason.FORM)).states) == {"done": 1}
    assert place.letters(ACME) == {}
    assert count_calls(place.worker, ACME).balanced


@pytest.mark.acceptance("call-step-15")
async def test_a_stuck_call_is_taken_up_and_at_last_given_up(place: CallPlace) -> None:
    place.put("acme/calls/x.json")
    (item,) = place.worker.inputs.listed(ACME)
    source = read_key(item.key, etag=item.etag)
    past = datetime.now(UTC) - timedelta(hours=1)
    claimed = place.worker.jobs.claim(source, owner="dead", now=past, lease=timedelta(minutes=1))
    assert claimed.state == "received"
    assert dict((await watch(place.worker, BRAND)).states) == {}
    assert dict((await watch(place.worker, ACME)).states) == {"done": 1}
    place.put("acme/calls/y.json", TURNS[:2])
    stuck = next(item for item in place.worker.inputs.listed(ACME) if item.key.endswith("y.json"))
    for _ in range(MOST_ATTEMPTS):
        place.worker.jobs.claim(read_key(stuck.key, etag=stuck.etag), owner="dead", now=past, lease=timedelta(0))
        past += timedelta(seconds=1)
    assert dict((await watch(place.worker, ACME)).reasons) == {"stuck": 1}
    assert count_calls(place.worker, ACME).balanced


@pytest.mark.acceptance("call-03")
async def test_a_recording_waits_for_its_transcription_outside_the_queue(place: CallPlace) -> None:
    class Slow:
        language = "en-US"

        def __init__(self) -> None:
            self.asked = 0

        def hear(self, source: Any, body: bytes, facts: Any) -> Heard:
            self.asked += 1
            if self.asked <= MOST_ATTEMPTS + 2:  # a long recording is looked at more often than a call may fail
                raise Waiting("cci_acme_x")
            return Heard(
                turns=tuple(Turn.model_validate(turn) for turn in TURNS),
                by="slow",
                job="cci_acme_x",
                claimed={"name": 1},
            )

    slow = Slow()
    worker = replace(place.worker, transcriber=slow)
    place.put_bytes("acme/calls/x.wav", b"RIFF some sound")
    await worker.drain()
    assert place.worker.queue is not None
    assert place.worker.queue.waiting() == (0, 0)
    job = place.jobs(ACME)["x.wav"]
    assert (job.state, job.awaiting) == ("received", "cci_acme_x")
    while slow.asked <= MOST_ATTEMPTS + 2:
        tally = await watch(worker, ACME)
    assert dict(tally.states) == {"done": 1}
    source = place.result(place.jobs(ACME)["x.wav"]).source
    assert (source.transcribe_job, source.transcriber) == ("cci_acme_x", "slow")
    assert source.redaction.transcriber_found == {"name": 1}


def tell_of(place: CallPlace, name: str) -> None:
    """Send what EventBridge sends when a job of Amazon Transcribe has ended."""
    sqs = client("sqs", place.settings)
    detail = {"TranscriptionJobName": name, "TranscriptionJobStatus": "COMPLETED"}
    said = {"source": "aws.transcribe", "detail-type": "Transcribe Job State Change", "detail": detail}
    url = sqs.get_queue_url(QueueName=place.settings.calls.queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(said))


@pytest.mark.acceptance("call-03")
async def test_the_end_of_a_transcription_wakes_its_call(place: CallPlace) -> None:
    transcriber = EndingJob()
    worker = replace(place.worker, transcriber=transcriber)
    place.put_bytes("acme/calls/x.wav", b"RIFF some sound")
    await worker.drain()
    job = place.jobs(ACME)["x.wav"]
    assert job.awaiting == job_name(job.source)
    transcriber.ended = True
    for name in ("somebody-elses-job", f"cci_acme_call-{'0' * 24}", job.awaiting, job.awaiting):
        tell_of(place, name)
    tally = await worker.drain()
    assert (dict(tally.states), tally.waiting) == ({"done": 1}, 0)
    assert place.worker.queue is not None
    assert place.worker.queue.waiting() == (0, 0)
    tell_of(place, job.awaiting)  # told again, long after
    assert not (await worker.drain()).states


class Unasked:
    """A transcriber and a model that must not be asked."""

    language = "de-DE"

    def hear(self, source: Any, body: bytes, facts: Any) -> Heard:
        raise AssertionError("the recording was sent")

    async def score(self, *arguments: Any, **more: Any) -> Any:
        raise AssertionError("the call was sent")


@pytest.mark.acceptance("redaction-04")
async def test_a_language_that_no_redactor_covers_is_refused_before_anything_is_kept_or_sent(place: CallPlace) -> None:
    secrets = ("sabine", "krüger", "lindenstraße", "vier sieben")
    said = "ja mein name ist sabine krüger lindenstraße zwölf kontonummer vier sieben eins eins null null drei"
    worker = replace(place.worker, scorer=Unasked(), transcriber=Unasked())
    place.put("acme/calls/german.json", [*TURNS, {"speaker": "customer", "start_s": 30.0, "text": said}])
    place.put_bytes("acme/calls/german.wav", b"RIFF some sound")
    with capture_logs() as logs:
        tally = await worker.drain()
    assert dict(tally.reasons) == {"language": 2}
    jobs = place.jobs(ACME)
    assert "turn 3 is in German, and the redactor patterns-3 covers en alone" in (jobs["german.json"].detail or "")
    assert "until a redactor covers it" in (jobs["german.json"].detail or "")
    assert "the call is in German" in (jobs["german.wav"].detail or "")
    results = place.worker.results(ACME)
    kept = [item.key for item in results.listed("acme/")]
    assert all("/dead/language/" in key for key in kept)
    everything = "".join([*(results.read(key) or "" for key in kept), str(logs), str(jobs)]).lower()
    assert not [secret for secret in secrets if secret in everything]
    assert count_calls(place.worker, ACME).balanced


@pytest.mark.acceptance("call-store-05")
async def test_access_to_another_tenants_objects_is_refused(place: CallPlace) -> None:
    place.put("acme/calls/x.json")
    await place.worker.drain()
    job, acme, brand = place.jobs(ACME)["x.json"], place.worker.results(ACME), place.worker.results(BRAND)
    # another tenant's result, by its key and by ways around it
    for key in (job.result_key, f"brand/../{job.result_key}", "", "/", f"../{job.result_key}"):
        with pytest.raises(WallBreached):
            brand.read(key)
        with pytest.raises(WallBreached):
            brand.put(key, "{}")
        with pytest.raises(WallBreached):
            list(brand.listed(key))
        with pytest.raises(WallBreached):
            brand.delete(key)
    for name in ("", "../acme", "acme/", "ACME", "*"):
        with pytest.raises(WallBreached):
            place.worker.results(name)
    # an object that somebody laid under the wrong prefix
    s3 = client("s3", place.settings)
    s3.put_object(
        Bucket=place.settings.calls.results_bucket, Key="brand/stray.json", Body=b"{}", Tagging="tenant_id=acme"
    )
    s3.put_object(Bucket=place.settings.calls.results_bucket, Key="brand/untagged.json", Body=b"{}")
    for key in ("brand/stray.json", "brand/untagged.json"):
        with pytest.raises(WallBreached):
            brand.read(key)
    tags = s3.get_object_tagging(Bucket=place.settings.calls.results_bucket, Key=job.result_key)["TagSet"]
    assert tags == [{"Key": "tenant_id", "Value": ACME}]
    # another tenant's dead letter
    stolen = {"object_key": "acme/calls/x.json", "etag": job.source.etag, "version": "", "reason": "form", "detail": ""}
    brand.put(letter_key(BRAND, FailureReason.FORM, "stolen"), json.dumps(stolen))
    with pytest.raises(WallBreached):
        await replay(place.worker, BRAND)
    # another tenant's call, form and rows
    assert place.worker.jobs.get(BRAND, job.call_id) is None
    with pytest.raises(ConfigurationError):
        people.override(place.worker, BRAND, job.call_id, "greet", "no", who="dana")
    reviews = place.worker.reviews
    with pytest.raises(CallMissing):
        reviews.read(BRAND, job.call_id)
    assert reviews.pages.page(BRAND, limit=9, day=None, state=None, form_id=None, after=None).jobs == ()
    with pytest.raises(ConfigurationError):
        await people.find_form(place.worker, BRAND, "sales", "active")
    with closing(DuckWarehouse(place.settings.warehouse_file)) as warehouse:
        assert len(queries.criteria(warehouse, BRAND, job.call_id)) == 0
        assert len(queries.criteria(warehouse, ACME, job.call_id)) == 3
        for name in ("", "acme' OR '1'='1", "%", "*"):
            with pytest.raises(WallBreached):
                queries.leaderboard(warehouse, name)
    assert acme.read(job.result_key) is not None
    s3.close()


@pytest.mark.acceptance("qa-07")
async def test_a_revision_is_tried_before_it_is_active_and_people_have_their_say(place: CallPlace) -> None:
    place.put("acme/calls/x.json")
    place.put("acme/calls/y.json", TURNS[:2])
    await place.worker.drain()
    before = place.tables()
    forms: Any = place.worker.forms
    head = await forms.head(ACME, "support")
    sections = [section.model_dump(mode="json") for section in head.active.sections]
    sections[0]["criteria"][2] |= {"question": "Did the agent say that the bill was corrected?", "required": True}
    sections[0]["criteria"][0]["id"] = "opening"
    draft = Form.model_validate({**head.active.model_dump(mode="json"), "sections": sections})
    await forms.save_draft(draft, edit=head.edit, who="dana")
    found = await people.rescore(place.worker, await people.find_form(place.worker, ACME, "support", "draft"))
    x = place.jobs(ACME)["x.json"].call_id
    assert found.calls == 2
    changes = {(item.criterion, item.before, item.after) for item in found.changes if item.call_id == x}
    assert changes == {("notice", "no", "yes"), ("greet", "yes", None), ("opening", None, "yes")}
    assert "66.7% -> 100.0%" in "\n".join(found.lines())
    assert place.tables() == before
    assert (await forms.head(ACME, "support")).active.version == 1

    def agreement() -> dict[str, tuple[int, float]]:
        with closing(DuckWarehouse(place.settings.warehouse_file)) as warehouse:
            frame = queries.agreement(warehouse, ACME)
        return {row.criterion_id: (row.n, row.agreement, row.kappa) for row in frame.itertuples(index=False)}

    y = place.jobs(ACME)["y.json"].call_id
    assert agreement() == {}
    assert people.override(place.worker, ACME, x, "sorry", "yes", who="dana").agrees
    assert people.override(place.worker, ACME, y, "sorry", "no", who="dana").agrees
    assert agreement()["sorry"] == (2, 1, 1)  # two calls, a yes and a no each: kappa 1
    assert not people.override(place.worker, ACME, y, "sorry", "yes", who="dana").agrees
    assert agreement()["sorry"] == (2, 0.5, 0)  # all yes against one yes, one no: no better than chance
    kept = place.result(place.jobs(ACME)["y.json"]).qa_evaluation
    assert kept is not None
    assert kept.criteria[1].verdict == "no"  # the model's answer stays
