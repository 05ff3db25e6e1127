"""The committed template says what the code's own definition of its stores says: neither changes without the other."""

import json
from pathlib import Path

import pytest

from service.answers_kept.answer_record import ANSWER_FEEDBACK_PREFIX, ANSWERS_PREFIX
from service.answers_kept.record import FEEDBACK_PREFIX, PROCESSED_PREFIX, RELEASES_PREFIX
from service.audit.record import AUDIT_PREFIX
from service.kit.aws import stores
from service.kit.settings import setting_places

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "cdk" / "templates"
REMEDY = "write the templates again: make infra WRITE=1"
TEMPLATES = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*/omni-data.json"))]


def resources(template, kind):
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def parameter(shape):
    return "".join(part.capitalize() for part in shape.setting.split("_")) + "Name"


def by_name(template, kind, field):
    """Properties by the parameter that names the resource."""
    found = {}
    for one in resources(template, kind).values():
        name = one["Properties"][field]
        found[name["Ref"] if "Ref" in name else name["Fn::Join"][1][0]["Ref"]] = one["Properties"]
    return found


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.acceptance("operation-22", "call-09")
def test_the_tables_are_those_of_the_code(template):
    tables = by_name(template, "AWS::DynamoDB::Table", "TableName")
    assert set(tables) == {parameter(shape) for shape in stores.TABLES}, REMEDY
    for shape in stores.TABLES:
        found = tables[parameter(shape)]
        for name, value in shape.definition("x").items():
            if name != "TableName":
                assert found[name] == value, REMEDY
        assert ("GlobalSecondaryIndexes" in found) == bool(shape.indexes), REMEDY
        lives = found.get("TimeToLiveSpecification", {"AttributeName": ""})
        assert lives["AttributeName"] == shape.expires, REMEDY


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.acceptance("call-09", "call-step-16")
def test_every_name_is_a_setting_with_the_same_default(template):
    shapes = (*stores.TABLES, *stores.QUEUES, *stores.BUCKETS, *stores.KMS_KEYS)
    for shape in shapes:
        default = setting_places()[shape.setting][2].default
        assert template["Parameters"][parameter(shape)]["Default"] == default, REMEDY


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.acceptance("call-02")
def test_queues_and_announcements_are_those_of_the_code(template):
    queues = by_name(template, "AWS::SQS::Queue", "QueueName")
    for shape in stores.QUEUES:
        assert queues[parameter(shape)]["MessageRetentionPeriod"] == shape.kept_s, REMEDY
    buckets = by_name(template, "AWS::S3::Bucket", "BucketName")
    for shape in stores.BUCKETS:
        told = buckets[parameter(shape)].get("NotificationConfiguration", {"QueueConfigurations": []})
        prefixes = [
            one["Filter"]["S3Key"]["Rules"][0]["Value"] if "Filter" in one else ""
            for one in told["QueueConfigurations"]
        ]
        assert prefixes == list(shape.announced), REMEDY


def test_the_archive_announces_every_kind_that_the_loader_reads():
    kinds = {PROCESSED_PREFIX, FEEDBACK_PREFIX, ANSWERS_PREFIX, ANSWER_FEEDBACK_PREFIX, RELEASES_PREFIX, AUDIT_PREFIX}
    assert set(stores.ARCHIVE.announced) == kinds


def test_every_table_of_the_settings_is_in_the_definition():
    named = {name for name in setting_places() if name.endswith(("_table", "_bucket", "_queue"))}
    known = {shape.setting for shape in (*stores.TABLES, *stores.BUCKETS, *stores.QUEUES)}
    # Evaluations' own bucket, of the account that evaluates; and Amazon Connect's.
    assert named - known == {"evidence_bucket", "records_bucket"}
