"""Preparing objects: which are accepted, how texts and accounts are redacted, and why an object is dead."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import loadable
import pytest

from service.answers_kept.feedback import RatedRow, SaidFeedback, SummaryFeedback
from service.answers_kept.record import FeedbackRecord, SummaryRecord, utc_text
from service.core.redaction.texts import RedactedText, TextRedactor
from service.kit.telemetry.fields import set_account_key
from service.kit.telemetry.log import account_hash
from service.loading import rows
from service.loading.arrow_tables import schema_of
from service.loading.batch import prepare
from service.loading.objects import MAX_OBJECT_BYTES, BadObject, DeadReason, Fetched, kind_of, kind_of_line
from service.warehouse.events import (
    EVENTS,
    SCHEMA_VERSION,
    TABLES,
    FeedbackEvent,
    InteractionEvent,
    PromiseEvent,
    ReleaseEvent,
    SummaryEvent,
)

SUMMARIES = "omni-channel/processed/"

PATTERNS = TextRedactor()


@pytest.fixture(autouse=True)
def account_key(monkeypatch):
    monkeypatch.setattr("service.kit.telemetry.fields._account_key", b"k" * 32)
    set_account_key(b"k" * 32)


@pytest.fixture
def batch():
    def made(*records, now=loadable.NOW, redactor=PATTERNS):
        return prepare([one if isinstance(one, Fetched) else loadable.item(one) for one in records], now, redactor)

    return made


def _only(table):
    (row,) = table.to_pylist()
    return row


def test_a_summary_becomes_the_row_that_its_event_describes(batch):
    record = loadable.summary()
    made = batch(record)
    row = _only(made.tables[SummaryEvent])
    event = SummaryEvent(**row)
    assert event.contact_id == "c-1"
    assert event.generation_timestamp == datetime(2025, 11, 21, 11, 0, 1, tzinfo=UTC)
    assert event.cost_usd == Decimal("0.0002340000")
    assert (event.channels, event.last_channel, event.history_days) == ("agent+ivr", "agent", 27)
    assert event.channel_filter == "ivr+agent"
    assert event.guard_kinds == "amount+number"
    assert event.helpful_feedback is None
    assert event.summary_words == len(record.summary.split())
    assert event.source_key == record.object_key
    assert not made.dead


def test_no_account_and_no_name_reaches_a_row(batch):
    record = loadable.summary(
        contact_id="c-3308126946",
        unique_process_id="p/3308126946/1",
        summary="Delphine Marchetti, account 3308126946, wants a call back at 415-555-0142.",
    )
    verdict = loadable.feedback(of=record, comment="Call Marchetti at 4155550142", edited_summary="Mail d@example.com")
    made = batch(record, verdict)
    everything = json.dumps([table.to_pylist() for table in made.tables.values()], default=str)
    for secret in ("3308126946", "Marchetti", "555", "d@example.com"):
        assert secret not in everything
    row = _only(made.tables[SummaryEvent])
    assert row["account_number"] == account_hash("3308126946")
    # The ids still join, because both contain the account's hash instead of its number.
    assert row["contact_id"] == _only(made.tables[FeedbackEvent])["contact_id"] == f"c-{account_hash('3308126946')}"


def test_interactions_are_rows_without_text(batch):
    made = batch(loadable.summary())
    found = [InteractionEvent(**row) for row in made.tables[InteractionEvent].to_pylist()]
    assert [(one.position, one.channel, one.intent) for one in found] == [
        (0, "ivr", "billing"),
        (1, "agent", "billing"),
    ]
    assert {one.generation_timestamp for one in found} == {datetime(2025, 11, 21, 11, 0, 1, tzinfo=UTC)}


def test_a_release_brings_its_promises(batch):
    made = batch(loadable.release(why="better than Haiku, ask dana@example.com"))
    release = ReleaseEvent(**_only(made.tables[ReleaseEvent]))
    promise = PromiseEvent(**_only(made.tables[PromiseEvent]))
    assert release.why == "better than Haiku, ask [email]"
    assert (promise.metric, promise.value, promise.low, promise.high, promise.n) == ("supported", 0.97, 0.95, 0.99, 200)
    assert promise.sequence == release.sequence


def test_a_record_from_before_the_newer_fields_is_accepted(batch):
    old = json.loads(loadable.summary().to_json())
    for name in ("client", "rollout_arm", "environment", "input_tokens", "output_tokens", "prompt_cache_write_tokens",
                 "guard_findings", "guard_kinds", "repaired", "schema_version"):  # fmt: skip
        old.pop(name)
    made = batch(Fetched(key=f"{SUMMARIES}x.json", etag="e", body=json.dumps(old).encode()))
    row = _only(made.tables[SummaryEvent])
    assert (row["client"], row["environment"], row["rollout_arm"], row["schema_version"]) == (
        "unknown",
        "unknown",
        "production",
        0,
    )


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        (b"", DeadReason.NOT_JSON, "0 bytes"),
        (b'{"unique_process_id": "p", "requ', DeadReason.NOT_JSON, "cut off"),
        (b"\xff\xfe\x00", DeadReason.NOT_JSON, "3 bytes"),
        (b"[" * 5000, DeadReason.NOT_JSON, "5000 bytes"),
        (b"[]", DeadReason.WRONG_SCHEMA, "a JSON list"),
        (b'{"request_id": 4}', DeadReason.WRONG_SCHEMA, "request_id string_type"),
        (b" " * (MAX_OBJECT_BYTES + 1), DeadReason.TOO_LARGE, "at most"),
    ],
)
def test_a_malformed_object_is_dead_for_a_reason(batch, body, reason, says):
    made = batch(Fetched(key=f"{SUMMARIES}x.json", etag="e", body=body))
    (dead,) = made.dead
    assert dead.reason is reason
    assert says in dead.detail


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"schema_version": SCHEMA_VERSION + 1}, DeadReason.SCHEMA_VERSION, f"version {SCHEMA_VERSION + 1}"),
        ({"schema_version": SCHEMA_VERSION + 1, "new": 1}, DeadReason.SCHEMA_VERSION, "update it"),
        ({"schema_version": -1}, DeadReason.SCHEMA_VERSION, "version -1"),
        ({"Marchetti's field": 1}, DeadReason.WRONG_SCHEMA, "? extra_forbidden"),
        ({"arm": "third"}, DeadReason.WRONG_SCHEMA, "arm literal_error"),
        ({"generated_at": "yesterday"}, DeadReason.WRONG_SCHEMA, "generated_at is no ISO 8601 time"),
        ({"generated_at": "2025-11-21T11:00:00"}, DeadReason.WRONG_SCHEMA, "no time zone"),
        ({"cost_usd": "cheap"}, DeadReason.WRONG_SCHEMA, "cost_usd"),
        ({"cost_usd": "NaN"}, DeadReason.WRONG_SCHEMA, "cost_usd"),
        ({"latency_ms": -1}, DeadReason.CHECK, "latency_ms: 0 to 600000"),
        ({"cost_usd": "-0.1"}, DeadReason.CHECK, "cost_usd: 0 to 100"),
        ({"input_tokens": -5}, DeadReason.CHECK, "input_tokens"),
        ({"interactions_considered": 3}, DeadReason.CHECK, "as many interactions as are listed"),
        ({"max_interactions": 1}, DeadReason.CHECK, "at most max_interactions"),
        ({"environment": "mars"}, DeadReason.CHECK, "environment: one of"),
        ({"summary": ""}, DeadReason.CHECK, "summary_text: 1 to"),
        ({"generated_at": "2025-11-21T13:06:00.000Z"}, DeadReason.CHECK, "generation_timestamp: not in the future"),
        ({"generated_at": "1970-01-01T00:00:00.000Z"}, DeadReason.CHECK, "generation_timestamp: not before 2020"),
        ({"contact_id": "c" * 300}, DeadReason.CHECK, "contact_id: 1 to 256 bytes"),
    ],
)
def test_a_wrong_value_is_reported_by_field_and_rule_without_the_value(batch, change, reason, says):
    record = json.loads(loadable.summary().to_json()) | change
    made = batch(Fetched(key=f"{SUMMARIES}x.json", etag="e", body=json.dumps(record).encode()), loadable.summary(2))
    (dead,) = made.dead
    assert (dead.reason, dead.key) == (reason, f"{SUMMARIES}x.json")
    assert says in dead.detail
    assert "Marchetti" not in dead.detail
    # The good object is loaded; of the bad one nothing is loaded, not even its interactions.
    assert [row["request_id"] for row in made.tables[SummaryEvent].to_pylist()] == ["req-000002"]
    assert {row["request_id"] for row in made.tables[InteractionEvent].to_pylist()} == {"req-000002"}


def test_a_clock_that_is_a_little_ahead_is_accepted(batch):
    ahead = utc_text(loadable.NOW + timedelta(minutes=4))
    seen = [{"channel": "ivr", "timestamp": ahead, "intent": "billing"}]
    made = batch(loadable.summary(generated_at=ahead, interactions=seen, interactions_considered=1))
    assert not made.dead


def test_an_interaction_newer_than_its_summary_makes_the_whole_object_dead(batch):
    late = [{"channel": "ivr", "timestamp": utc_text(loadable.NOW), "intent": "billing"}]
    made = batch(loadable.summary(interactions=late, interactions_considered=1))
    assert [dead.detail for dead in made.dead] == ["not newer than its summary"]
    assert made.tables[SummaryEvent].num_rows == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"minutes": -10}, "not before its summary"),
        ({"minutes": 200}, "feedback_timestamp: not in the future"),
    ],
)
def test_a_verdict_with_an_impossible_time_is_dead(batch, change, says):
    (dead,) = batch(loadable.feedback(**change)).dead
    assert (dead.reason, dead.kind) == (DeadReason.CHECK, "feedback")
    assert says in dead.detail


def test_an_intent_that_cannot_be_redacted_is_not_loaded(batch, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("Marchetti")

    monkeypatch.setattr(rows, "redacted_text", broken)
    made = batch(loadable.summary(ivr_intent="never seen before"))
    (dead,) = made.dead
    assert (dead.reason, "Marchetti" in dead.detail) == (DeadReason.REDACTION, False)
    assert made.tables[SummaryEvent].num_rows == 0


class Choosy:
    """Redacts nothing, and withholds what holds a word."""

    by = "choosy"

    def __init__(self, word):
        self.word = word

    def redact(self, texts):
        return [
            RedactedText(text="[withheld]", withheld="gave up")
            if self.word in one.text
            else RedactedText(text=one.text)
            for one in texts
        ]


def test_a_row_is_kept_without_the_text_that_cannot_be_redacted(batch):
    first, second = loadable.summary(0, summary="A wug called."), loadable.summary(1, summary="A dog called.")
    said = [
        loadable.feedback(0, of=first, comment="fine", edited_summary="A wug called twice."),
        loadable.feedback(1, of=first, comment=None, edited_summary="A dog called twice."),
        loadable.feedback(2, of=first, comment="wug", edited_summary=None),
    ]
    made = batch(first, second, *said, redactor=Choosy("wug"))
    assert made.dead == ()
    assert made.tables[SummaryEvent]["summary_text"].to_pylist() == ["[withheld]", "A dog called."]
    verdicts = made.tables[FeedbackEvent].select(["comment", "edited_summary"]).to_pylist()
    assert [tuple(row.values()) for row in verdicts] == [
        ("fine", "[withheld]"), (None, "A dog called twice."), ("[withheld]", None),
    ]  # fmt: skip
    assert [one.withheld for one in made.good] == ["gave up", "", "gave up", "", "gave up"]


def test_an_object_that_could_not_be_fetched_keeps_its_reason(batch):
    made = batch(Fetched(key=f"{SUMMARIES}x", etag="", problem=BadObject(DeadReason.GONE, "not there")))
    assert [dead.reason for dead in made.dead] == [DeadReason.GONE]


def test_the_prefix_decides_the_kind_and_in_bulk_files_the_fields_do():
    for record, kind in (
        (loadable.summary(), "summary"),
        (loadable.feedback(), "feedback"),
        (loadable.release(), "release"),
    ):
        assert kind_of(record.object_key) == kind
        assert kind_of_line(record.model_dump_json().encode()) == kind
    assert kind_of("omni-channel/dead/x") == "unknown"


class _Archive:
    def put_json(self, key, text):
        self.key, self.text = key, text
        return "written"


class _Table:
    def set_feedback(self, *_):
        return True


async def test_verdicts_are_read_as_the_feedback_store_writes_them():
    archive = _Archive()
    record = loadable.summary()
    store = SummaryFeedback(_Table(), archive, timeout_s=5, now=lambda: loadable.NOW)
    await store.record(RatedRow(key="k", record=record), SaidFeedback(rating="not_helpful", comment="no", edited="yes"))
    read = FeedbackRecord.model_validate_json(archive.text)
    assert read.object_key == archive.key
    assert set(json.loads(archive.text)) == set(FeedbackRecord.model_fields)
    assert (read.contact_id, read.comment, read.edited_summary) == (record.contact_id, "no", "yes")


def test_every_table_has_a_schema_with_its_columns_in_order():
    for event in TABLES:
        assert schema_of(event).names == list(event.model_fields)


def test_rows_are_in_the_order_of_their_columns(batch):
    made = batch(loadable.summary(), loadable.feedback(), loadable.release())
    for event in EVENTS:
        for row in made.tables[event].to_pylist():
            event(**row)  # a value in a wrong column would be of a wrong type


def test_a_reuse_counts_for_the_summary_that_it_repeats(batch):
    row = _only(batch(loadable.summary(cache_hit=True, reused_from="req-old")).tables[SummaryEvent])
    assert (row["summary_id"], row["cache_hit"]) == ("req-old", True)


def test_a_summary_without_interactions_has_no_channel(batch):
    row = _only(batch(loadable.summary(interactions=(), interactions_considered=0)).tables[SummaryEvent])
    assert (row["channels"], row["last_channel"], row["history_days"]) == ("", None, 0)
    assert SummaryRecord.model_fields["interactions"].default == ()
