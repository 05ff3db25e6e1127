"""What `infra/retention.yaml` promises is what the code's expiries and the production environment do."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from service.audit.record import AUDIT_PREFIX, AuditRecord, KeptFinding
from service.audit.stores import FindingTable
from service.channels.phone import voicemail
from service.core.tools import effect_table
from service.desk import callback, handover
from service.features import online as features
from service.kit.aws.stores import FINDINGS, QUEUES
from service.kit.records import tombstones
from service.kit.records.memory import RowsInMemory
from service.kit.settings import REPO_ROOT, Settings

KEPT = {
    one["what"]: one
    for one in yaml.safe_load((REPO_ROOT / "infra" / "retention.yaml").read_text(encoding="utf-8"))["kept"]
}
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.acceptance("validation-14", "audit-15")
def test_a_finding_goes_when_it_is_promised_to():
    found = KeptFinding(
        log_id="l",
        timestamp=AT,
        user_query="q",
        tool_name=None,
        tool_results=None,
        model_response="r",
        hallucination_type="off_topic",
        severity="low",
        validation_details="d",
        action_taken="logged",
        session_id="s",
        correlation_id="c",
        task="assistant",
    )
    rows = RowsInMemory(FINDINGS)
    record = AuditRecord(audit_id="c", recorded_at=AT, events=(), findings=(found,), schema_version=1)
    FindingTable(rows).put(record)
    (item,) = rows.scan()
    assert item["ttl"] == int((AT + timedelta(days=KEPT["findings"]["days"])).timestamp())
    assert record.object_key.startswith(AUDIT_PREFIX)


def test_a_callback_goes_when_it_is_promised_to():
    assert timedelta(days=KEPT["callbacks"]["days"]) == callback.KEPT_FOR


def test_other_tables_and_queues_forget_when_they_are_promised_to():
    settings = Settings()
    does = {
        "messages that callers left": voicemail.KEPT_FOR,
        "handovers": handover.KEPT_FOR,
        "conversations": timedelta(hours=settings.stores.conversation_hours),
        "effects of tools": timedelta(seconds=effect_table._KEPT_S),
        "rows of summaries and answers": timedelta(days=settings.summaries.days),
        "notes of erased customers": tombstones.KEPT_FOR,
        "features of customers": features.KEPT_FOR,
        "messages in queues": timedelta(seconds=max(shape.kept_s for shape in QUEUES)),
    }
    assert {what: timedelta(days=KEPT[what]["days"]) for what in does} == does


def test_a_note_of_an_erased_customer_outlives_whatever_may_come_back():
    kept = timedelta(days=KEPT["notes of erased customers"]["days"])
    waits = ("messages in queues", "dead letters", "files that Redshift copies")
    assert all(timedelta(days=KEPT[what]["days"]) < kept for what in waits)
    assert timedelta(days=35) < kept  # point-in-time recovery of tables


@pytest.mark.acceptance("audit-15", "call-operation-02")
def test_production_keeps_log_and_objects_as_promised():
    environments = yaml.safe_load((REPO_ROOT / "infra" / "cdk" / "environments.yaml").read_text(encoding="utf-8"))
    given = environments["prod"]
    assert given["retention"]["logs_days"] == KEPT["service log, with the audit's events"]["days"]
    for what, name in (
        ("shadow answers", "shadow_days"),
        ("dead letters", "results_days"),
        ("events of customers that could not be loaded", "results_days"),
        ("files that Redshift copies", "staging_days"),
        ("calls as they arrive", "calls_days"),
        ("results of calls", "results_days"),
        ("objects of summaries and answers and feedback", "archive_days"),
    ):
        assert given["retention"][name] == KEPT[what]["days"]
    records = KEPT["audit records"]
    assert given["retention"]["archive_days"] == records["days"]
    assert given["retention"]["glacier_after_days"] == records["glacier_after_days"]


@pytest.mark.parametrize(
    ("what", "days", "glacier"),
    [
        ("service log, with the audit's events", 30, None),
        ("Lex conversation logs", 30, None),
        ("findings", 90, None),
        ("audit records", 2555, 90),
        ("recordings", 2555, 90),
        ("transcripts of Connect", 2555, 90),
        ("contact records", 90, None),
    ],
)
@pytest.mark.acceptance("operation-20", "audit-15")
def test_the_agreed_times_are_promised(what, days, glacier):
    assert (KEPT[what]["days"], KEPT[what].get("glacier_after_days")) == (days, glacier)


@pytest.mark.acceptance("call-store-02", "call-store-03")
def test_what_a_call_leaves_goes_as_promised():
    path = REPO_ROOT / "infra" / "cdk" / "templates" / "prod" / "omni-data.json"
    made = json.loads(path.read_text(encoding="utf-8"))["Resources"]
    days = {
        (bucket, rule.get("Prefix", "")): rule["ExpirationInDays"]
        for bucket in ("CallsBucket", "ResultsBucket")
        for rule in made[bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
        if "ExpirationInDays" in rule
    }
    assert days == {
        ("CallsBucket", ""): KEPT["calls as they arrive"]["days"],
        ("ResultsBucket", ""): KEPT["results of calls"]["days"],
        ("ResultsBucket", "tmp/"): KEPT["transcriptions of calls, before they are redacted"]["days"],
    }


@pytest.mark.acceptance("audit-15")
def test_the_instances_records_and_the_bots_log_go_as_promised():
    folder = REPO_ROOT / "infra" / "cdk" / "templates" / "prod"
    made = json.loads((folder / "omni-assistant.json").read_text(encoding="utf-8"))["Resources"].values()
    rules = {
        rule["Prefix"]: rule
        for one in made
        if one["Type"] == "AWS::S3::Bucket"
        for rule in one["Properties"]["LifecycleConfiguration"]["Rules"]
        if "Prefix" in rule
    }
    for prefix, what in (("call-recordings/", "recordings"), ("chat-transcripts/", "transcripts of Connect")):
        assert rules[prefix]["ExpirationInDays"] == KEPT[what]["days"]
        (moved,) = rules[prefix]["Transitions"]
        assert moved == {"StorageClass": "GLACIER", "TransitionInDays": KEPT[what]["glacier_after_days"]}
    assert rules["contact-trace-records/"]["ExpirationInDays"] == KEPT["contact records"]["days"]
    logs = [one["Properties"] for one in made if one["Type"] == "AWS::Logs::LogGroup"]
    assert {log["RetentionInDays"] for log in logs} == {KEPT["Lex conversation logs"]["days"]}


@pytest.mark.acceptance("audit-16", "call-operation-03")
def test_reads_and_writes_of_what_customers_said_are_recorded():
    folder = REPO_ROOT / "infra" / "cdk" / "templates" / "prod"
    for stack in ("omni-observability", "omni-assistant"):
        made = json.loads((folder / f"{stack}.json").read_text(encoding="utf-8"))["Resources"].values()
        (trail,) = [one["Properties"] for one in made if one["Type"] == "AWS::CloudTrail::Trail"]
        (selector,) = trail["EventSelectors"]
        assert selector["ReadWriteType"] == "All"
        assert selector["DataResources"][0]["Type"] == "AWS::S3::Object"
