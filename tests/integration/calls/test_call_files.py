"""The weekly export and the nightly compaction against a local AWS: by tenant, repeatable, without a word of a call."""

import csv
import io
import json
from contextlib import closing
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from call_place import ACME, BRAND, make_place
from role_rights import RightsNeeded, Role

from service.__main__ import main
from service.calls.exports import compact as compacting
from service.calls.exports.compact import compact
from service.calls.exports.weekly import ExportWeek, files_of, keep_export, tenants_with_calls, week_tables
from service.calls.keys import compact_key, export_key, manifest_key
from service.calls.result import rows_of
from service.calls.store.objects import WallBreached, all_tenants
from service.calls.worker.people import carry
from service.kit.aws.clients import client
from service.kit.frame.errors import ConfigurationError
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import CallEvent
from service.warehouse.rows import to_table

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
WEEK, TODAY = ExportWeek.parse("2026-W47"), date(2026, 11, 23)
MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)
SORRY = "I am sorry to hear that, I have corrected the bill for you."


def turns(number):
    return [
        {"speaker": "agent", "start_s": 0.0, "text": "Good morning, you are through to Sam, how can I help you today?"},
        {"speaker": "customer", "start_s": 5.0, "text": f"My bill has been wrong {number} times."},
        {"speaker": "agent", "start_s": 12.0, "text": SORRY},
    ]


@pytest.fixture
async def place(local_aws, tmp_path):
    made = await make_place(local_aws(store_timeout_s=30.0, redactor="patterns"), tmp_path, "files")
    for number, day in enumerate(("16", "16", "17")):
        made.put(
            f"{ACME}/calls/{number}.json",
            turns(number),
            call_date=f"2026-11-{day}T09:00:00Z",
            agent_id="a1",
            queue="cards",
        )
    made.put(f"{BRAND}/calls/0.json", turns(9), call_date="2026-11-16T10:00:00Z", queue="brand-only")
    made.put(f"{ACME}/calls/older.json", turns(8), call_date="2026-11-08T10:00:00Z", queue="older")
    await made.worker.drain()
    return made


def results(place, tenant):
    return place.worker.results(tenant)


def rows(body):
    return pq.read_table(io.BytesIO(body)).to_pylist()


@pytest.mark.acceptance("qa-09")
async def test_a_week_s_export_is_the_tenants_and_the_weeks_alone(place):
    call = next(job.call_id for job in place.worker.jobs.of(ACME) if job.call_date.date() == TUESDAY)
    place.worker.reviews.override(ACME, call, "notice", "yes", reason="", who="dana", edit=None)
    carry(place.worker)
    with closing(DuckWarehouse(place.settings.warehouse_file, read_only=True)) as warehouse:
        assert tenants_with_calls(warehouse) == [ACME, BRAND]
        files = {tenant: files_of(week_tables(warehouse, tenant, WEEK)) for tenant in (ACME, BRAND)}
        with pytest.raises(WallBreached):
            week_tables(warehouse, "", WEEK)
        nothing = week_tables(warehouse, ACME, ExportWeek.parse("2025-W01"))
    failures = list(csv.DictReader(io.StringIO(files[ACME]["failures.csv"].decode())))
    assert [(row["criterion_id"], row["calls"], row["failures"], row["agent_group"]) for row in failures] == [
        ("notice", "3", "2", "cards"), ("greet", "3", "0", "cards"), ("sorry", "3", "0", "cards")]  # fmt: skip
    verdicts = rows(files[ACME]["verdicts.parquet"])
    assert len(verdicts) == 9
    overruled = next(row for row in verdicts if (row["call_id"], row["criterion_id"]) == (call, "notice"))
    assert (overruled["model_verdict"], overruled["human_verdict"], overruled["standing_verdict"]) == (
        "no",
        "yes",
        "yes",
    )
    calls = rows(files[ACME]["calls.parquet"])
    assert [row["call_date"].day for row in calls] == [16, 16, 17]
    assert {(row["form_id"], row["agent"], row["agent_group"]) for row in calls} == {("support", "a1", "cards")}
    assert {(row["insights_by"], row["insights_sentiment"], row["insights_failure"]) for row in calls} == {
        ("local-words-v1", "NEGATIVE", None)
    }
    assert all(-1 <= row["insights_balance"] < 0 for row in calls)
    assert [row["call_id"] for row in csv.DictReader(io.StringIO(files[ACME]["calls.csv"].decode()))] == [
        row["call_id"] for row in calls
    ]
    assert {row["agent_group"] for row in rows(files[BRAND]["calls.parquet"])} == {"brand-only"}
    assert rows(files[ACME]["failures.parquet"])[0]["fail_rate"] == pytest.approx(2 / 3)
    assert {row["agent_group"] for row in rows(files[BRAND]["verdicts.parquet"])} == {"brand-only"}
    assert b"corrected the bill" not in b"".join(files[ACME].values())
    assert {table.num_rows for table in nothing.values()} == {0}
    assert all(table.column_names for table in nothing.values())
    for tenant, made in files.items():
        keep_export(results(place, tenant), WEEK, made)
        keep_export(results(place, tenant), WEEK, made)  # replaced
        assert results(place, tenant).read_bytes(export_key(tenant, "2026-W47", "failures.csv")) == made["failures.csv"]
    with pytest.raises(WallBreached):
        results(place, BRAND).read_bytes(export_key(ACME, "2026-W47", "failures.csv"))


def test_a_spreadsheet_calculates_nothing_that_a_name_says():
    said = ["=1+1", "@SUM(A1)", "-2", "+3", "\tx", "plain", None]
    found = files_of({"names": pa.table({"name": said, "rate": [-1.0] * len(said)})})
    lines = list(csv.reader(io.StringIO(found["names.csv"].decode(), newline="")))
    assert [line[0] for line in lines[1:]] == ["'=1+1", "'@SUM(A1)", "'-2", "'+3", "'\tx", "plain", ""]
    assert {line[1] for line in lines[1:]} == {"-1.0"}
    assert [row["name"] for row in rows(found["names.parquet"])] == said


@pytest.mark.parametrize("text", ["2026", "2026-W60", "W47", "2026-47", "x-W01"])
def test_a_wrong_week_is_said(text):
    with pytest.raises(ConfigurationError, match="is no week"):
        ExportWeek.parse(text)


def test_the_last_whole_week():
    assert str(ExportWeek.before(date(2026, 11, 23))) == "2026-W47"
    assert str(ExportWeek.before(date(2026, 11, 22))) == "2026-W46"
    assert str(ExportWeek.before(date(2027, 1, 4))) == "2026-W53"


@pytest.mark.acceptance("qa-09")
async def test_a_day_s_results_become_one_file_and_only_changed_days_are_written_again(place):
    mine = results(place, ACME)
    first = compact(mine, TODAY)
    assert first.written == [date(2026, 11, 8), MONDAY, TUESDAY]
    assert (first.objects, first.removed, first.unreadable) == (4, [], [])
    calls = rows(mine.read_bytes(compact_key(ACME, "omni_calls", MONDAY)))
    criteria = rows(mine.read_bytes(compact_key(ACME, "omni_call_criteria", MONDAY)))
    assert (len(calls), len(criteria)) == (2, 6)
    with closing(DuckWarehouse(place.settings.warehouse_file, read_only=True)) as warehouse:
        stored = warehouse.query(
            "SELECT call_id, percentage FROM omni_calls WHERE tenant_id = :tenant", {"tenant": ACME}
        )
    kept = {row.call_id: float(row.percentage) for row in stored.itertuples()}
    assert {row["call_id"]: float(row["percentage"]) for row in calls}.items() <= kept.items()
    again = compact(mine, TODAY)
    assert (again.written, again.removed, again.unchanged) == ([], [], 3)
    place.put(f"{ACME}/calls/late.json", turns(50), call_date="2026-11-17T11:00:00Z")
    await place.worker.drain()
    late = compact(mine, TODAY)
    assert late.written == [TUESDAY]
    assert len(rows(mine.read_bytes(compact_key(ACME, "omni_calls", TUESDAY)))) == 2


async def test_a_call_whose_answer_was_unusable_and_one_nobody_could_read_are_exported(place):
    answer = place.result(next(iter(place.worker.jobs.of(ACME))))
    row, _ = rows_of(answer, "k")
    monday = datetime(2026, 11, 16, 12, tzinfo=UTC)
    nothing = {"form_id": None, "form_version": None, "passed": None, "percentage": None}
    unread = {"insights_sentiment": None, "insights_balance": None, "insights_failure": "language"}
    added = [
        row.model_copy(update={"call_id": "unusable", "call_date": monday, **nothing}),
        row.model_copy(update={"call_id": "unread", "call_date": monday, **unread}),
    ]
    with closing(DuckWarehouse(place.settings.warehouse_file)) as warehouse:
        warehouse.merge(CallEvent, to_table(CallEvent, added))
        files = files_of(week_tables(warehouse, ACME, WEEK))
    kept = {one["call_id"]: one for one in rows(files["calls.parquet"])}
    assert (kept["unusable"]["form_id"], kept["unusable"]["passed"], kept["unusable"]["percentage"]) == (None,) * 3
    assert kept["unusable"]["insights_sentiment"] == "NEGATIVE"
    said = kept["unread"]
    assert (said["insights_failure"], said["insights_sentiment"], said["insights_balance"]) == ("language", None, None)


@pytest.mark.acceptance("qa-09")
async def test_days_of_a_program_that_knew_fewer_columns_are_written_again(place, monkeypatch):
    mine = results(place, ACME)
    with monkeypatch.context() as older:
        fields = [name for name in CallEvent.model_fields if not name.startswith("insights_")]
        older.setattr(compacting, "_columns", lambda: fields)
        compact(mine, TODAY)
    assert compact(mine, TODAY).written == [date(2026, 11, 8), MONDAY, TUESDAY]
    kept = rows(mine.read_bytes(compact_key(ACME, "omni_calls", MONDAY)))
    assert {(row["insights_by"], row["insights_sentiment"]) for row in kept} == {("local-words-v1", "NEGATIVE")}


async def test_an_erased_call_leaves_the_compacted_days(place):
    mine = results(place, ACME)
    compact(mine, TODAY)
    jobs = [job for job in place.worker.jobs.of(ACME) if job.call_date.date() == MONDAY]
    mine.delete(jobs[0].result_key)
    assert compact(mine, TODAY).written == [MONDAY]
    left = rows(mine.read_bytes(compact_key(ACME, "omni_calls", MONDAY)))
    assert [row["call_id"] for row in left] == [jobs[1].call_id]
    mine.delete(jobs[1].result_key)
    assert compact(mine, TODAY).removed == [MONDAY]
    assert mine.read_bytes(compact_key(ACME, "omni_calls", MONDAY)) is None
    assert MONDAY.isoformat() not in json.loads(mine.read(manifest_key(ACME)))


async def test_an_unreadable_result_is_named_and_an_interrupted_run_repeated(place, monkeypatch):
    mine = results(place, ACME)
    mine.put(f"{ACME}/2026/11/17/call-000000000000000000000000.json", "{cut off")
    with monkeypatch.context() as broken:
        broken.setattr(type(mine), "put", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError):
            compact(mine, TODAY)
    made = compact(mine, TODAY)
    assert made.written == [date(2026, 11, 8), MONDAY, TUESDAY]  # all of them again
    assert made.unreadable == [f"{ACME}/2026/11/17/call-000000000000000000000000.json"]
    assert "unreadable, left out" in made.lines()[1]


@pytest.fixture
def commands(place, tmp_path, monkeypatch):
    """The place, as the settings of commands that somebody types early on 23 November."""
    clock = tmp_path / "clock"
    clock.write_text("2026-11-23T06:00:00+00:00", encoding="utf-8")
    said = {
        "AWS_ENDPOINT": place.settings.aws.endpoint,
        "STATE_DIR": str(tmp_path),
        "WAREHOUSE_PATH": str(place.settings.warehouse_file),
        "RESULTS_BUCKET": place.settings.calls.results_bucket,
        "CALLS_TABLE": place.settings.calls.table,
        "CLOCK_FILE": str(clock),
    }
    for name, value in said.items():
        monkeypatch.setenv(f"OMNI_{name}", value)
    return main


@pytest.mark.acceptance("qa-09")
async def test_the_commands_write_each_tenant_s_files(place, commands, tmp_path, capsys):
    assert commands(["calls", "export"]) == 0
    assert commands(["calls", "export", "--tenant", ACME, "--week", "2026-W45", "--to", str(tmp_path / "out")]) == 0
    assert commands(["calls", "compact"]) == 0
    out = capsys.readouterr().out
    assert f"{ACME}: 2026-W47, 3 failures, 9 verdicts, 3 calls" in out
    assert f"{BRAND}: 2026-W47, 3 failures, 3 verdicts, 1 calls" in out
    assert f"{ACME}: 4 results in 3 days compacted" in out
    assert results(place, BRAND).read_bytes(export_key(BRAND, "2026-W47", "verdicts.csv")) is not None
    older = (tmp_path / "out" / ACME / "2026-W45" / "verdicts.csv").read_text(encoding="utf-8")
    assert older.count("\n") == 4
    assert commands(["calls", "export", "--week", "soon"]) == 2


async def test_the_role_of_scheduled_jobs_may_do_what_its_jobs_on_calls_do(place, commands, monkeypatch):
    needed = RightsNeeded(monkeypatch, place.settings)
    for words in (["compact"], ["export"], ["check-stuck"]):
        assert commands(["calls", *words]) == 0
    assert {"s3:PutObject", "s3:GetObjectTagging", "dynamodb:Scan"} <= {action for action, *_ in needed.found}
    assert needed.not_of(Role("ScheduleWorkloadTaskTaskRole")) == []


async def test_each_tenant_is_compacted_behind_its_own_wall(place):
    with closing(client("s3", place.settings)) as s3:
        found = all_tenants(s3, place.settings.calls.results_bucket)
        assert [one.tenant for one in found] == [ACME, BRAND]
        for one in found:
            compact(one, TODAY)
    assert {
        row["tenant_id"] for row in rows(results(place, BRAND).read_bytes(compact_key(BRAND, "omni_calls", MONDAY)))
    } == {BRAND}
    with pytest.raises(WallBreached):
        results(place, BRAND).read_bytes(compact_key(ACME, "omni_calls", MONDAY))
