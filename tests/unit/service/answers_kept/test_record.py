"""Records of today and of before the warehouse: both read back from S3's JSON and from the table's items."""

import json
from datetime import timedelta

import pytest
from access_place import keep_clients
from builders import summary_record
from fastapi.testclient import TestClient

from service.access.clients import new_secret
from service.access.control import open_access
from service.answers_kept.items import is_side_key, side_key, to_item, to_record
from service.answers_kept.record import SeenInteraction, SummaryRecord
from service.app import create_app
from service.kit.settings import Settings
from service.warehouse.events import SCHEMA_VERSION

WEEK = timedelta(days=7)
LATER = {
    "client": "salesforce",
    "rollout_arm": "candidate",
    "environment": "aws",
    "input_tokens": 2100,
    "output_tokens": 180,
    "prompt_cache_write_tokens": 1900,
    "guard_findings": 2,
    "guard_kinds": ("amount", "date"),
    "repaired": True,
    "schema_version": SCHEMA_VERSION,
}
DEFAULTS = {
    "client": "unknown",
    "rollout_arm": "production",
    "environment": "unknown",
    "input_tokens": 0,
    "output_tokens": 0,
    "prompt_cache_write_tokens": 0,
    "guard_findings": 0,
    "guard_kinds": (),
    "repaired": False,
    "schema_version": 0,
}


def record(**changes):
    return summary_record(**{"reuse_key": "k", "prompt_cache_read_tokens": 10} | LATER | changes)


def test_a_record_comes_back_from_s3_and_from_the_table():
    full = record(interactions=(SeenInteraction(channel="ivr", timestamp="2026-11-20T10:00:00.000Z", intent="x"),))
    assert SummaryRecord.model_validate_json(full.to_json()) == full
    assert to_record(to_item(full, ttl=WEEK)) == full.model_copy(update={"interactions": ()})


@pytest.mark.parametrize("name", ["date_range", "reused_from", "reuse_key", "channel_filter", "cost_usd"])
def test_none_fields_stay_none_in_the_table(name):
    assert to_record(to_item(record(**{name: None}), ttl=WEEK)) == record(**{name: None})


def test_an_old_object_without_new_fields_reads_as_the_defaults():
    old = {name: value for name, value in json.loads(record().to_json()).items() if name not in LATER}
    found = SummaryRecord.model_validate(old)
    assert found.model_dump(include=set(LATER)) == DEFAULTS
    assert found == record(**DEFAULTS)


def test_an_old_item_without_new_fields_reads_as_the_defaults():
    old = {name: value for name, value in to_item(record(), ttl=WEEK).items() if name not in LATER}
    assert to_record(old) == record(**DEFAULTS)


def test_the_record_names_the_tokens_client_and_the_environment(api_runtime, tmp_path):
    secret, folder = new_secret(), tmp_path / "access"
    settings = Settings(state_dir=tmp_path, access_dir=folder)
    keep_clients(settings, secret, widget=["summaries"])
    runtime = api_runtime(settings=settings, access=open_access(settings))
    kept = []

    async def keep(record, *, patience_s):
        kept.append(record)
        return True

    runtime.summaries.keep = keep
    with TestClient(create_app(runtime=runtime)) as caller:
        token = runtime.access.tokens.issue("widget", secret, "summaries").text
        body = {"account_number": "1234567890", "contact_id": "abc-123-xyz"}
        answer = caller.post("/omni-channel-insights", json=body, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    (found,) = kept
    assert (found.client, found.environment, found.rollout_arm, found.schema_version) == (
        "widget",
        "local",
        "production",
        SCHEMA_VERSION,
    )
    assert answer.json()["request_id"] == found.request_id
    assert answer.json()["kept"] is True


def test_a_process_id_in_the_form_of_a_side_key_is_recognised():
    assert is_side_key(side_key("p", "req-0123456789ab"))
    assert not any(is_side_key(name) for name in ("p", "p#1", "p#req-", "req-0123456789ab", "p#req-0123456789ab-x"))
