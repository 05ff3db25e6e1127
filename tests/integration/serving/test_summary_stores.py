"""SummaryCache and the archive against a local AWS (ministack): one row per answer, feedback by three shapes, replay."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from builders import make_pair, runtime_of, summary_record
from fastapi.testclient import TestClient
from made_tables import make_table

from service.__main__ import main
from service.answers_kept.archive import Archive
from service.answers_kept.feedback import (
    Ambiguous,
    ByContact,
    ByProcess,
    ByRequest,
    RatedRow,
    SaidFeedback,
    SummaryFeedback,
)
from service.answers_kept.items import side_key, to_item
from service.answers_kept.recent import RecentSummaries
from service.answers_kept.reconcile import reconcile
from service.answers_kept.record import FeedbackRecord, Helpfulness, Reusable, SeenInteraction, SummaryRecord, utc_text
from service.answers_kept.store import build_summaries
from service.answers_kept.table import SummaryTable
from service.answers_kept.writer import answer_spool, answer_writer
from service.app import create_app
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.release.served import PairSourceStatus, ServedPair
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.interactions.reader import InteractionStore
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.aws.stores import SUMMARIES
from service.kit.settings import Settings
from service.kit.telemetry.log import configure_logging
from service.local.stores.deploy import deploy_stores
from service.runtime import Runtime
from service.warehouse.events import SCHEMA_VERSION

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TABLE, BUCKET = "summaries-under-test", "archive-under-test"
TTL = timedelta(days=7)


@pytest.fixture(scope="module")
def settings(local_aws: Any) -> Settings:
    return local_aws(summaries_table=TABLE, archive_bucket=BUCKET)


@pytest.fixture(scope="module")
def dynamodb(settings: Settings) -> Iterator[Any]:
    made = client("dynamodb", settings, attempts=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def s3(settings: Settings) -> Iterator[Any]:
    made = client("s3", settings, attempts=1)
    yield made
    made.close()


@pytest.fixture
def table(dynamodb: Any) -> SummaryTable:
    return SummaryTable(dynamodb, TABLE, ttl=TTL)


@pytest.fixture
def archive(s3: Any) -> Archive:
    return Archive(s3, BUCKET)


def _record(request: str, *, minutes: float = 0, **changes: Any) -> SummaryRecord:
    fields: dict[str, Any] = {
        "unique_process_id": "p-" + request,
        "request_id": "req-" + request,
        "account_number": "acct-" + request,
        "contact_id": "c-" + request,
        "initial_contact_id": "i-" + request,
        "summary": f"Summary of {request}.",
        "reuse_key": "k-" + request,
        "generated_at": utc_text(NOW + timedelta(minutes=minutes)),
        "query": "Query t: one account",
        "interactions": (SeenInteraction(channel="ivr", timestamp="2026-11-20T10:00:00.000Z", intent="billing"),),
    }
    made: SummaryRecord = summary_record(**fields | changes)
    return made


def _item(dynamodb: Any, key: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = dynamodb.get_item(TableName=TABLE, Key={"unique_process_id": {"S": key}}).get("Item")
    return found


def _row(table: SummaryTable, request: str) -> RatedRow[SummaryRecord]:
    row = table.find(ByRequest(request_id=f"req-{request}"), NOW)
    assert isinstance(row, RatedRow)
    return row


def _verdict(row: RatedRow[SummaryRecord], at: datetime, rating: Helpfulness, **said: Any) -> FeedbackRecord:
    return SummaryFeedback._verdict(row.record, SaidFeedback(rating=rating, **said), utc_text(at))


def _rate(table: SummaryTable, request: str, rating: Helpfulness, at: datetime) -> str:
    row = _row(table, request)
    return table.set_feedback(row, _verdict(row, at, rating))


@pytest.mark.acceptance("record.process")
def test_the_same_answer_is_one_row_however_often_it_is_put(table: SummaryTable, dynamodb: Any) -> None:
    record = _record("same")
    assert [table.put(record) for _ in range(3)] == ["written", "already", "already"]
    item = _item(dynamodb, "p-same")
    assert item is not None
    assert item["expires_at"] == {"N": str(int((NOW + TTL).timestamp()))}
    assert "query" not in item
    assert "interactions" not in item
    assert _row(table, "same").record.pair_digest == "d" * 64


@pytest.mark.acceptance("record.unique_process_id")
def test_a_newer_answer_takes_the_process_and_the_older_one_keeps_its_row(table: SummaryTable, dynamodb: Any) -> None:
    first, second = (_record(name, minutes=at, unique_process_id="p-two") for name, at in (("two-a", 0), ("two-b", 6)))
    table.put(first)
    assert _rate(table, "two-a", "helpful", NOW) == "first"
    assert table.put(second) == "written"
    newest = table.find(ByProcess(unique_process_id="p-two"), NOW)
    assert isinstance(newest, RatedRow)
    assert (newest.record.request_id, newest.said) == ("req-two-b", None)
    older = _row(table, "two-a")
    assert (older.key, older.said) == (side_key("p-two", "req-two-a"), SaidFeedback(rating="helpful"))
    # Replays in any order change nothing.
    assert [table.put(item) for item in (first, second, first)] == ["already"] * 3


def test_an_older_answer_that_comes_late_never_takes_the_place_of_a_newer_one(table: SummaryTable) -> None:
    late, newer = (_record(name, minutes=at, unique_process_id="p-late") for name, at in (("late-a", 0), ("late-b", 6)))
    assert table.put(newer) == "written"
    assert table.put(late) == "behind"
    row = table.find(ByProcess(unique_process_id="p-late"), NOW)
    assert isinstance(row, RatedRow)
    assert row.record.request_id == "req-late-b"
    assert _row(table, "late-a").record.request_id == "req-late-a"


def test_feedback_that_arrives_while_a_row_moves_is_not_lost(table: SummaryTable, dynamodb: Any) -> None:
    table.put(_record("race-a", unique_process_id="p-race"))
    seen = _item(dynamodb, "p-race")
    assert seen is not None
    assert _rate(table, "race-a", "helpful", NOW) == "first"
    newer = _record("race-b", minutes=1, unique_process_id="p-race")
    # What put would do with a row that it read before the feedback.
    assert table._replace(seen, to_item(newer, ttl=TTL)) is False
    assert table.put(newer) == "written"
    assert _row(table, "race-a").said == SaidFeedback(rating="helpful")


@pytest.mark.acceptance("feedback.unique_process_id", "record.request_id", "record.contact_id")
def test_all_three_shapes_name_the_row(table: SummaryTable) -> None:
    table.put(_record("shape"))
    shapes = (
        ByProcess(unique_process_id="p-shape"),
        ByContact(contact_id="c-shape", account_number="acct-shape"),
        ByRequest(request_id="req-shape"),
    )
    rows = [table.find(shape, NOW) for shape in shapes]
    assert rows[0] == rows[1] == rows[2]
    assert isinstance(rows[0], RatedRow)
    assert table.find(ByContact(contact_id="c-shape", account_number="somebody-else"), NOW) is None
    assert table.find(ByRequest(request_id="req-never"), NOW) is None
    assert table.find(ByProcess(unique_process_id="p-never"), NOW) is None
    assert [table.find(shape, NOW + timedelta(days=7)) for shape in shapes] == [None] * 3


@pytest.mark.acceptance("feedback.contact_id", "record.reused_from")
def test_a_contact_with_several_summaries_is_ambiguous_and_its_reuses_are_not(table: SummaryTable) -> None:
    same = {"contact_id": "c-many", "account_number": "acct-many"}
    table.put(_record("many-a", **same))
    table.put(_record("many-b", minutes=1, cache_hit=True, reused_from="req-many-a", reuse_key=None, **same))
    shape = ByContact(contact_id="c-many", account_number="acct-many")
    row = table.find(shape, NOW)
    assert isinstance(row, RatedRow)
    assert row.record.request_id == "req-many-b"
    table.put(_record("many-c", minutes=2, **same))
    assert table.find(shape, NOW) == Ambiguous(request_ids=("req-many-c", "req-many-b"))


@pytest.mark.acceptance("record.account_number", "record.generated_at")
def test_recent_summaries_are_those_written_in_the_window_for_the_account(
    table: SummaryTable, dynamodb: Any, settings: Settings
) -> None:
    same = {"account_number": "acct-recent"}
    table.put(_record("recent-old", minutes=-6, **same))
    table.put(_record("recent-a", minutes=-4, **same))
    table.put(_record("recent-b", minutes=-3, **same))
    table.put(_record("recent-reuse", minutes=-1, cache_hit=True, reused_from="req-recent-a", reuse_key=None, **same))

    async def recent() -> list[Reusable]:
        async with DynamoQueries.beside(dynamodb, settings) as queries:
            reader = RecentSummaries(queries, TABLE, timeout_s=5.0)
            return await reader.of_account("acct-recent", NOW - timedelta(minutes=5))

    found = asyncio.run(recent())
    assert [(item.summary_id, item.reuse_key, item.arm) for item in found] == [
        ("req-recent-b", "k-recent-b", "primary"),
        ("req-recent-a", "k-recent-a", "primary"),
    ]
    assert found[1].answered_at == NOW - timedelta(minutes=4)


@pytest.mark.acceptance("record.expires_at")
def test_the_table_expires_rows_and_is_made_once(dynamodb: Any) -> None:
    described = dynamodb.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    assert (described["AttributeName"], described["TimeToLiveStatus"]) == ("expires_at", "ENABLED")
    dynamodb.create_table(
        TableName="without-indexes",
        KeySchema=[{"AttributeName": "unique_process_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "unique_process_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    make_table(dynamodb, SUMMARIES, "without-indexes")
    indexes = dynamodb.describe_table(TableName="without-indexes")["Table"]["GlobalSecondaryIndexes"]
    assert [index["IndexName"] for index in indexes] == ["by_account", "by_contact", "by_request"]


@pytest.mark.acceptance("record-07", "record-09")
def test_the_archive_holds_every_field_under_the_hour_once(archive: Archive, s3: Any) -> None:
    record = _record("archived")
    assert [archive.put(record), archive.put(record)] == ["written", "already"]
    key = "omni-channel/processed/year=2026/month=11/day=21/hour=12/req-archived.json"
    body = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert body["query"] == "Query t: one account"
    assert body["interactions"] == [{"channel": "ivr", "timestamp": "2026-11-20T10:00:00.000Z", "intent": "billing"}]
    assert set(body) == set(SummaryRecord.model_fields)
    assert "req-archived" in archive.request_ids("2026-11-21T12:00:00.000Z", "2026-11-21T13:00:00.000Z")
    assert "req-archived" not in archive.request_ids("2026-11-21T11:00:00.000Z", "2026-11-21T12:00:00.000Z")


@pytest.mark.acceptance(
    "verdict.feedback_id",
    "verdict-object-01",
    "verdict-object-02",
    "verdict-object-03",
    "verdict-object.schema_version",
    "record-16",
)
def test_feedback_is_kept_in_the_archive_and_in_the_row(table: SummaryTable, archive: Archive, s3: Any) -> None:
    table.put(_record("voted"))
    times = iter(NOW + timedelta(seconds=second) for second in range(60))
    store = SummaryFeedback(table, archive, timeout_s=10.0, now=lambda: next(times))

    async def vote(verdict: Any, comment: str | None) -> Any:
        row = await store.find(ByRequest(request_id="req-voted"))
        assert isinstance(row, RatedRow)
        return await store.record(row, SaidFeedback(rating=verdict, comment=comment))

    first = asyncio.run(vote("not_helpful", "misses the refund"))
    assert first.current is True
    body = json.loads(s3.get_object(Bucket=BUCKET, Key=first.object_key)["Body"].read())
    assert first.object_key.startswith("omni-channel/feedback/year=2026/month=11/day=21/hour=12/")
    assert (body["helpful_feedback"], body["comment"], body["model_used"], body["cache_hit"], body["latency_ms"]) == (
        "not_helpful",
        "misses the refund",
        "nova-lite",
        False,
        120,
    )
    assert body["schema_version"] == SCHEMA_VERSION
    again = asyncio.run(vote("not_helpful", "misses the refund"))
    assert (again.feedback_id, again.object_key, again.effect) == (first.feedback_id, first.object_key, "same")
    reworded = asyncio.run(vote("not_helpful", "misses both refunds"))
    assert (reworded.object_key != first.object_key, reworded.effect) == (True, "same")
    later = asyncio.run(vote("helpful", None))
    assert later.object_key != first.object_key
    assert (first.effect, later.effect) == ("first", "changed")
    row = _row(table, "voted")
    assert (row.said, row.said_at) == (SaidFeedback(rating="helpful"), later.feedback_timestamp)


@pytest.mark.acceptance("verdict.current")
def test_feedback_never_overwrites_a_newer_one_and_finds_a_row_that_moved(table: SummaryTable, dynamodb: Any) -> None:
    table.put(_record("moved-a", unique_process_id="p-moved"))
    row = _row(table, "moved-a")
    table.put(_record("moved-b", minutes=1, unique_process_id="p-moved"))
    later, earlier = NOW + timedelta(minutes=2), NOW
    assert table.set_feedback(row, _verdict(row, later, "helpful", comment="fine")) == "first"
    assert table.set_feedback(row, _verdict(row, earlier, "not_helpful")) == "late"
    item = _item(dynamodb, side_key("p-moved", "req-moved-a"))
    assert item is not None
    assert (item["helpful_feedback"]["S"], item["comment"]["S"]) == ("helpful", "fine")
    head = _item(dynamodb, "p-moved")
    assert head is not None
    assert "helpful_feedback" not in head


# Accepts records and dies by SIGKILL while its stores are at work; prints the request ids that it accepted.
_VICTIM = """
import os, signal, sys, time
sys.path.insert(0, os.getcwd())
from service.kit.aws.clients import client
from service.kit.settings import Settings
from service.answers_kept.archive import Archive
from service.answers_kept.table import SummaryTable
from service.answers_kept.record import SummaryRecord
from service.answers_kept.writer import answer_spool, answer_writer
from datetime import timedelta
from pathlib import Path

folder, endpoint, table, bucket, lines = sys.argv[1:]
settings = Settings(aws_endpoint=endpoint, store_timeout_s=10.0)

class Slow:
    def __init__(self, store, delay_s):
        self.store, self.delay_s = store, delay_s
    def put(self, record):
        time.sleep(self.delay_s)
        return self.store.put(record)

writer = answer_writer(
    Slow(SummaryTable(client("dynamodb", settings), table, ttl=timedelta(days=7)), 0.01),
    Slow(Archive(client("s3", settings), bucket), 0.03),
    answer_spool(Path(folder), max_bytes=10**7),
)
for line in Path(lines).read_text().splitlines():
    writer.keep(SummaryRecord.model_validate_json(line))
time.sleep(0.06)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.acceptance("promise-07")
def test_a_process_killed_in_mid_write_loses_nothing_and_doubles_nothing(
    settings: Settings, table: SummaryTable, archive: Archive, dynamodb: Any, tmp_path: Path
) -> None:
    since, until = utc_text(NOW + timedelta(hours=3)), utc_text(NOW + timedelta(hours=4))
    records = [_record(f"kill{n}", minutes=180 + n / 10) for n in range(100)]
    lines, folder = tmp_path / "records.jsonl", tmp_path / "spool"
    lines.write_text("\n".join(record.to_json() for record in records), encoding="utf-8")
    assert settings.aws.endpoint is not None
    died = subprocess.run(
        [sys.executable, "-c", _VICTIM, str(folder), settings.aws.endpoint, TABLE, BUCKET, str(lines)], check=False
    )
    assert died.returncode == -signal.SIGKILL
    spool = answer_spool(folder, max_bytes=10**7)
    before = archive.request_ids(since, until)
    left = spool.ids()[0]
    # The test is about a death in mid-write: some were done and some were not.
    assert 0 < len(left) <= 100
    assert len(before) < 100
    writer = answer_writer(table, archive, spool, others_after_s=0.0)
    assert writer.replay() == len(left)
    writer.close()
    wanted = {record.request_id for record in records}
    # Lists, not sets: nothing is there twice.
    assert sorted(archive.request_ids(since, until)) == sorted(wanted)
    assert sorted(table.request_ids(since, until)) == sorted(wanted)
    assert spool.ids() == (set(), set())
    assert (
        dynamodb.get_item(TableName=TABLE, Key={"unique_process_id": {"S": side_key("p-kill0", "req-kill0")}}).get(
            "Item"
        )
        is None
    )
    assert list(folder.iterdir()) == []


class _Model:
    """Answers every call and counts; ``delay_s`` makes twins possible."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.calls = 0
        self.delay_s = delay_s

    async def complete(self, call: ModelCall) -> ModelReply:
        self.calls += 1
        await asyncio.sleep(self.delay_s)
        return ModelReply(
            text="The customer disputes an estimated bill of $284.60.",
            usage=Usage(input_tokens=3000, output_tokens=200),
            stop_reason="end_turn",
            latency_ms=5.0,
            answered_by="nova-lite",
        )


class _Pairs:
    def current(self) -> ServedPair:
        pair = make_pair("summarize", "steady", model="amazon.nova-lite-v1:0", system="Summarise.")
        return ServedPair(
            pair=pair, registry_version=1, sequence=1, released_at="2026-11-21", released_by="dana", source="registry"
        )

    def status(self) -> PairSourceStatus:
        return PairSourceStatus(served=self.current(), last_refresh_at=None, last_error=None, age_s=0.0)

    def start(self) -> None: ...

    def stop(self) -> None: ...


def _runtime(settings: Settings, model: _Model, spool: Path) -> Runtime:
    dynamodb, s3 = (client(name, settings, attempts=1) for name in ("dynamodb", "s3"))
    settings = settings.model_copy(update={"spool_dir": spool})
    queries = DynamoQueries.beside(dynamodb, settings)
    return runtime_of(
        settings=settings,
        cards=ModelCards.load(settings.prompts_dir / "models.yaml"),
        gateway=model,
        interactions=InteractionStore(queries, settings.stores.interactions_table, timeout_s=10.0),
        tasks={"summarize": load_task("summarize")},
        pair_sources={"summarize": _Pairs()},
        summaries=build_summaries(
            settings, queries=queries, dynamodb=dynamodb, s3=s3, now=lambda: datetime.now(UTC), clock=time.monotonic
        ),
        disconnect=queries.aclose,
    )


def _post(client_: TestClient, contact: str, **changes: Any) -> dict[str, Any]:
    body = {
        "account_number": "1234567890",
        "contact_id": contact,
        "initial_contact_id": "first",
        "max_history_days": 80,
    }
    answer = client_.post("/omni-channel-insights", json=body | changes)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-cache-hit"] == str(answer.json()["cache_hit"]).lower()
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.acceptance("request.initial_contact_id", "answer.cache_hit", "header.X-Cache-Hit", "record.cache_hit")
def test_a_transfer_is_answered_from_the_table_by_another_process(settings: Settings, tmp_path: Path) -> None:
    model = _Model()
    with TestClient(create_app(runtime=_runtime(settings, model, tmp_path / "a"))) as one:
        first = _post(one, "transfer-1")
        again = _post(one, "transfer-2")
    # Closing drained the first process; the second one knows nothing but the table.
    with TestClient(create_app(runtime=_runtime(settings, model, tmp_path / "b"))) as other:
        third = _post(other, "transfer-3")
        unlike = _post(other, "transfer-4", max_interactions=2)
    assert model.calls == 2
    assert [item["cache_hit"] for item in (first, again, third, unlike)] == [False, True, True, False]
    assert (third["summary"], third["model_used"], third["cost_usd"]) == (first["summary"], "nova-lite", "0")
    assert third["unique_process_id"] != first["unique_process_id"]


@pytest.mark.acceptance("event.SUMMARY_LOST", "promise-08")
def test_answered_requests_balance_and_a_hole_is_found(
    settings: Settings, dynamodb: Any, s3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "service.log"
    settings = settings.model_copy(update={"spool_dir": tmp_path / "spool"})
    configure_logging()
    try:
        with TestClient(create_app(runtime=_runtime(settings, _Model(0.01), tmp_path / "spool"))) as one:
            answers = [_post(one, f"balance-{number}") for number in range(30)]
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
    log.write_text(capsys.readouterr().out, encoding="utf-8")
    arguments = {"hours": 1, "logs": [log], "path": "/omni-channel-insights"}
    found = reconcile(settings, now=datetime.now(UTC), **arguments)
    assert found.balanced
    assert found.answered == {item["request_id"] for item in answers}
    # One object vanishes: found, unless the log itself says that it was given up.
    gone = answers[7]
    hour = gone["generated_at"][:13]
    year, month, day = hour[:10].split("-")
    key = f"omni-channel/processed/year={year}/month={month}/day={day}/hour={hour[11:]}/{gone['request_id']}.json"
    s3.delete_object(Bucket=BUCKET, Key=key)
    holed = reconcile(settings, now=datetime.now(UTC), **arguments)
    assert holed.missing == [gone["request_id"]]
    assert "NOT balanced" in holed.lines()
    with log.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"event": "SUMMARY_LOST", "request_id": gone["request_id"]}) + "\n")
    assert reconcile(settings, now=datetime.now(UTC), **arguments).balanced


def test_an_emptied_table_is_named_and_its_rows_come_back_from_the_archive(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"summaries_table": "emptied", "archive_bucket": "emptied", "spool_dir": tmp_path / "spool"}
    settings = settings.model_copy(update=names)
    deploy_stores(settings)
    made = _runtime(settings, _Model(), tmp_path / "spool")
    with TestClient(create_app(runtime=made)) as one:
        answers = [_post(one, f"emptied-{number}", account_number="1234567890") for number in range(12)]
    assert {answer["kept"] for answer in answers} == {True}
    dynamodb = client("dynamodb", settings)
    dynamodb.delete_table(TableName="emptied")
    make_table(dynamodb, SUMMARIES, "emptied")
    arguments: dict[str, Any] = {"hours": 1, "logs": [], "path": "/omni-channel-insights"}
    found = reconcile(settings, now=datetime.now(UTC), **arguments)
    assert sorted(found.missing) == sorted(answer["request_id"] for answer in answers)
    said = "\n".join(found.lines())
    assert "holds none of the 12 answers that S3 holds" in said
    assert "omni reconcile --restore" in said

    monkeypatch.setenv("OMNI_AWS_ENDPOINT", str(settings.aws.endpoint))
    for name in ("OMNI_SUMMARIES_TABLE", "OMNI_ARCHIVE_BUCKET"):
        monkeypatch.setenv(name, "emptied")
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    capsys.readouterr()
    assert main(["reconcile", "--hours", "1"]) == 1
    assert "NOT balanced" in capsys.readouterr().out
    assert main(["reconcile", "--hours", "1", "--restore"]) == 0
    assert capsys.readouterr().out.startswith("12 rows were written again from S3\n")
    assert main(["reconcile", "--hours", "1", "--restore"]) == 0
    assert capsys.readouterr().out.startswith("0 rows")
    row = SummaryTable(dynamodb, "emptied", ttl=TTL).find(
        ByRequest(request_id=answers[3]["request_id"]), datetime.now(UTC)
    )
    assert isinstance(row, RatedRow)
    assert row.record.contact_id == "emptied-3"
    dynamodb.close()


def test_the_request_is_answered_and_kept_while_the_archive_is_down(settings: Settings, tmp_path: Path) -> None:
    model = _Model()
    broken = _runtime(settings.model_copy(update={"archive_bucket": "no-such-bucket"}), model, tmp_path / "spool")
    with TestClient(create_app(runtime=broken)) as one:
        answer = _post(one, "s3-down")
    spool = answer_spool(tmp_path / "spool", max_bytes=10**7)
    assert answer["request_id"] in spool.ids()[0]
    whole = _runtime(settings, model, tmp_path / "spool").summaries
    assert whole._writer is not None
    whole._writer._others_after_s = 0.0
    assert whole._writer.replay() == 1
    whole.close()
    assert spool.ids() == (set(), set())
