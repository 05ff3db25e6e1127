"""Events of customers from a Kinesis stream and from files, features of them, and an erasure, on a local AWS over the wire."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner
from word_embedder import WordEmbedder

from omni.app import build_app
from service.access.control import account_key
from service.answers_kept.archive import Archive
from service.core.tasks.upsell.customer import UpsellInputs
from service.features.build import feature_scope, feature_table
from service.features.compute import FeatureWriter
from service.features.definitions import read_views
from service.features.online import read_features
from service.kit.aws.clients import client
from service.kit.records.shared_state import open_shared_state
from service.kit.records.tombstones import open_tombstones
from service.kit.telemetry.fields import account_hash, set_account_key
from service.loading.customers.intake import CustomerIntake
from service.loading.customers.stream import CustomerStream
from service.privacy.erasure.build import build_eraser
from service.privacy.erasure.eraser import ErasureOrder
from service.privacy.erasure.identity import CustomerIds
from service.warehouse import open_warehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
STREAM = "customer-events"
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def settings(local_aws, monkeypatch):
    made = local_aws(store_timeout_s=20.0)
    monkeypatch.setenv("OMNI_STATE_DIR", str(made.state_dir))
    monkeypatch.setenv("OMNI_AWS_ENDPOINT", made.aws.endpoint)
    set_account_key(account_key(made))
    return made


def event(number, kind="service", customer="c-1000", **more):
    at = (BEGIN + timedelta(hours=number)).isoformat()
    found = {"schema_version": 1, "tenant": "acme", "customer_id": customer, "event_id": f"{customer}-{number}"}
    found |= {"event_type": kind, "occurred_at": at, "recorded_at": at}
    found |= {"service": "boiler service"} if kind == "service" else {}
    return found | more


def intake_of(settings):
    with closing(open_warehouse(settings)) as warehouse:
        warehouse.migrate()
    return CustomerIntake(
        archive=Archive(client("s3", settings), settings.stores.archive_bucket),
        open_warehouse=lambda: open_warehouse(settings),
        tombstones=open_tombstones(settings),
    )


def put(kinesis, *events):
    for one in events:
        body = one if isinstance(one, bytes) else json.dumps(one).encode()
        kinesis.put_record(StreamName=STREAM, Data=body, PartitionKey=str(hash(body)))


def loaded(settings):
    with closing(open_warehouse(settings, read_only=True)) as warehouse:
        return sorted(warehouse.query("SELECT event_id FROM omni_customer_events")["event_id"])


def run(*arguments):
    return CliRunner().invoke(build_app(), list(arguments))


def test_a_stream_is_read_on_from_where_the_last_reader_stopped(settings):
    kinesis = client("kinesis", settings)
    kinesis.create_stream(StreamName=STREAM, ShardCount=2)
    stream = CustomerStream(client=kinesis, name=STREAM, intake=intake_of(settings), shared=open_shared_state(settings))
    put(kinesis, event(0, "customer"))
    assert [report.loaded for report in stream.drain()] == [1]
    put(kinesis, *(event(number, satisfaction=4) for number in range(1, 8)), b"{", event(3, satisfaction=4))
    reports = list(stream.drain())
    assert sum(report.loaded for report in reports) == 7
    assert sum(report.repeated for report in reports) == 1
    assert sum(report.quarantined["not_json"] for report in reports) == 1
    assert list(stream.drain()) == []
    assert len(loaded(settings)) == 8


def test_a_reader_that_was_killed_before_its_note_repeats_a_batch_without_doubles(settings):
    kinesis = client("kinesis", settings)
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)

    class Killed:
        def get(self, partition, key):
            return None

        def put(self, partition, key, text):
            raise KeyboardInterrupt

    put(kinesis, event(0, "customer"), event(1))
    parts = {"client": kinesis, "name": STREAM, "intake": intake_of(settings)}
    reading = CustomerStream(**parts, shared=Killed()).drain()
    next(reading)
    with pytest.raises(KeyboardInterrupt):
        next(reading)
    (report,) = CustomerStream(**parts, shared=open_shared_state(settings)).drain()
    assert (report.loaded, report.repeated) == (0, 2)
    assert len(loaded(settings)) == 2


def test_the_commands_load_quarantine_replay_compute_check_and_show(settings, tmp_path):
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text("\n".join(json.dumps(event(number, amount="10.10")) for number in range(1, 3)))
    second.write_text(json.dumps(event(0, "customer", home={"kind": "flat"})))
    early = run("load-customers", "--history", str(first))
    assert early.exit_code == 1, early.output
    assert "2 in quarantine: unknown_customer" in early.output
    assert run("load-customers", "--history", str(second)).exit_code == 0
    assert "2 unknown_customer" in run("load-customers", "--quarantine").output
    assert "2 loaded" in run("load-customers", "--replay", "unknown_customer").output
    assert "nothing is in quarantine" in run("load-customers", "--quarantine").output
    again = run("load-customers", "--history", str(first))
    assert (again.exit_code, "0 loaded, 2 there already" in again.output) == (0, True)
    computed = run("features", "compute")
    assert computed.exit_code == 0, computed.output
    assert "services@1: 1 customers" in computed.output
    shown = json.loads(run("features", "show", "acme", "c-1000").output)
    assert (shown["features"]["total_services"], shown["features"]["lifetime_value"]) == (2, 20.2)
    assert (shown["missing"], shown["stale_hours"]) == ([], {})
    checked = run("features", "check")
    assert checked.exit_code == 0, checked.output
    assert "services@1: 1 customers in the warehouse, 1 served, 1 equal" in checked.output
    drifted = run("features", "drift", "value", "--days", "1")
    assert drifted.exit_code == 0, drifted.output
    assert "lifetime_value: too few to say" in drifted.output
    item = feature_table(settings).get((f"{settings.stage}/acme/{account_hash('c-1000')}", "services@1"))
    feature_table(settings).put(item | {"values": item["values"] | {"total_services": 3}})
    wrong = run("features", "check", "services")
    assert (wrong.exit_code, "1 wrong: values that nothing explains" in wrong.output) == (1, True)
    listed = run("features", "list").output
    assert "services@1  served, owner customer-analytics, computed 0.0 h ago" in listed


def test_an_erased_customer_is_gone_from_events_quarantine_and_features(settings):
    intake = intake_of(settings)
    kinesis = client("kinesis", settings)
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    shared = open_shared_state(settings)
    stream = CustomerStream(client=kinesis, name=STREAM, intake=intake, shared=shared)
    both = ("c-1000", "c-2000")
    put(kinesis, *(event(0, "customer", who) for who in both), *(event(1, customer=who) for who in both))
    put(kinesis, *(event(2, customer=who, satisfaction=9) for who in both))
    list(stream.drain())
    services, scope = read_views().find("services"), feature_scope(settings)
    with closing(open_warehouse(settings)) as warehouse:
        FeatureWriter(warehouse=warehouse, rows=feature_table(settings), scope=scope).compute(services)
    eraser = build_eraser(settings, "acme")
    ids = CustomerIds()
    ids.learn("account", "c-1000")
    assert eraser.erase(ErasureOrder(account="c-1000", tenant="acme", reason="asked", by="test"), ids).left == 0
    with closing(open_warehouse(settings, read_only=True)) as warehouse:
        left = set(warehouse.query("SELECT customer FROM omni_customer_events")["customer"])
    assert left == {account_hash("c-2000")}
    texts = [intake.archive.read(letter.key, most_bytes=10**6).body for letter in intake.letters().waiting()]
    assert [b"c-2000" in text for text in texts] == [True]
    now = datetime.now(UTC)
    served = [read_features(feature_table(settings), [services], "acme", who, now, scope=scope).values for who in both]
    assert (served[0], served[1]["total_services"]) == ({}, 1)
    put(kinesis, event(5))
    (report,) = stream.drain()
    assert (report.loaded, report.erased) == (0, 1)


def test_past_messages_are_indexed_found_and_erased(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("service.commands.knowledge.open_model", lambda settings: WordEmbedder())
    asked = UpsellInputs.model_config["json_schema_extra"]["examples"][0]
    lines = [
        {"id": f"m-{who}", "inputs": asked | {"customer_id": who, "as_of": "2026-11-01", "visits": []}}
        | {"message": "Hello Dana, Boiler Care is £14 a month.", "outcome": "bought"}
        for who in ("c-1000", "c-2000")
    ]
    past, inputs = tmp_path / "past.jsonl", tmp_path / "inputs.json"
    past.write_text("\n".join(json.dumps(line) for line in lines))
    inputs.write_text(json.dumps(asked))
    gone = run("features", "similar", str(inputs))
    assert "the index of past messages is gone" in str(gone.exception)
    built = run("features", "index", str(past))
    assert built.exit_code == 0, built.output
    assert [one["id"] for one in json.loads(run("features", "similar", str(inputs)).output)["examples"]] == [
        "m-c-1000",
        "m-c-2000",
    ]
    ids = CustomerIds()
    ids.learn("account", "c-1000")
    order = ErasureOrder(account="c-1000", tenant="demo-tenant", reason="asked", by="test")
    assert build_eraser(settings, "demo-tenant").erase(order, ids).left == 0
    assert [one["id"] for one in json.loads(run("features", "similar", str(inputs)).output)["examples"]] == ["m-c-2000"]
    again = run("features", "index", str(past))
    assert "1 messages in" in again.output
    past.write_text("{}")
    assert "write one JSON object with id, inputs, message and outcome" in str(
        run("features", "index", str(past)).exception
    )
