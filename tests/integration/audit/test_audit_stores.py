"""Audit records in a real bucket and table: announced, loaded into the warehouse, and findings that indexes find."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from audited import RIGHT, STARTED, WRONG, Scripted, audited_assistant, open_bank, talked

from service.__main__ import main
from service.answers_kept.archive import Archive
from service.audit.queries import audit_queries
from service.audit.stores import FINDINGS_KEPT, AuditObjects, FindingTable
from service.core.redaction.texts import TextRedactor
from service.kit.aws.clients import client
from service.kit.aws.event_queue import EventQueue
from service.kit.aws.stores import FINDINGS
from service.kit.records.build import open_rows
from service.kit.telemetry.fields import pseudonym_of
from service.loading.balance import balance
from service.loading.loader import Loader
from service.warehouse.duck import DuckWarehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def settings(local_aws):
    return local_aws()


@pytest.fixture
def house(settings, tmp_path, monkeypatch):
    """The warehouse that commands open, and a clock of an hour after the conversations."""
    (tmp_path / "clock").write_text((STARTED + timedelta(hours=1)).isoformat())
    monkeypatch.setenv("OMNI_AWS_ENDPOINT", settings.aws.endpoint)
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("OMNI_CLOCK_FILE", str(tmp_path / "clock"))
    monkeypatch.setenv("OMNI_WAREHOUSE_PATH", str(tmp_path / "house.duckdb"))
    return tmp_path / "house.duckdb"


@pytest.mark.acceptance("validation-14", "validation-15", "bot-test-05")
def test_what_a_conversation_left_is_found_by_every_way(settings, api_runtime, monkeypatch, house, capsys):
    open_bank(monkeypatch)
    archive = Archive(client("s3", settings), settings.stores.archive_bucket)
    dynamodb = client("dynamodb", settings)
    table = FindingTable(open_rows(settings, FINDINGS, dynamodb))
    runtime, _, lines = audited_assistant(
        api_runtime, "nova-lite", Scripted(WRONG, RIGHT), [AuditObjects(archive), table]
    )
    began = datetime.now(UTC)
    session = pseudonym_of(talked(runtime, "What does a premium card cost?"))

    loader = Loader(
        archive=archive,
        open_warehouse=partial(DuckWarehouse, house),
        redactor=TextRedactor(),
        queue=EventQueue(client("sqs", settings), settings.stores.events_queue, bucket=settings.stores.archive_bucket),
    )
    loader.prepare_warehouse()
    tally = loader.drain(wait_s=5)
    assert (tally.loaded, tally.dead.total(), tally.foreign) == (2, 0, 0)
    wide = {"from_time": "2025-12-01", "to_time": "2025-12-31", "session": session}
    with closing(DuckWarehouse(house, read_only=True)) as warehouse:
        assert tally.rows == len(lines) + 1
        (found,) = warehouse.query(audit_queries()["hallucinations"].sql, wide).to_dict("records")
        assert balance(archive, warehouse, since=None, now=began).balanced

    assert main(["audit", "close-idle"]) == 0
    assert "ended as abandoned: 1 " in capsys.readouterr().out
    assert main(["audit", "close-idle"]) == 0
    assert "ended as abandoned: 0 " in capsys.readouterr().out
    assert loader.drain(wait_s=5).loaded == 1
    assert main(["audit", "durations", "--format", "json"]) == 0
    (ends,) = json.loads(capsys.readouterr().out)
    assert (ends["resolution_status"], ends["conversations"], ends["average_turns"]) == ("abandoned", 1, 1.0)

    day = datetime(2025, 12, 8, tzinfo=UTC)
    for listed in (table.of_kind("fabricated_data", day), table.of_day("2025-12-08", day)):
        (row,) = listed
        assert (row["session_id"], row["severity"], row["action_taken"]) == (session, "medium", "regenerated")
        assert row["model_response"] == found["model_response"]
        expires = datetime.fromisoformat(row["timestamp"]) + FINDINGS_KEPT
        assert int(row["ttl"]) == int(expires.timestamp())
    assert table.of_day("2025-12-08", day + timedelta(days=1)) == []
    expiry = dynamodb.describe_time_to_live(TableName=settings.stores.findings_table)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "ttl")
