"""A changed table changes its own resource in the template and nothing else, and what would empty it says so."""

import dataclasses
import json

import aws_cdk as cdk
import pytest
from app import KEPT, empty_app
from changes import EMPTIED, changes
from environments import read_environments
from stacks.data import DataStack

from service.kit.aws import stores
from service.kit.aws.stores import TableIndex

KEPT_DATA = json.loads((KEPT / "dev" / "omni-data.json").read_text(encoding="utf-8"))
BY_COLOUR, BY_NAME = TableIndex(name="by-colour", partition="colour"), TableIndex(name="by-name", partition="name")


@pytest.fixture
def changed_by(monkeypatch, tmp_path):
    """What the template says when the findings' table is changed, or left out."""

    def made(*, leave_out=False, **fields):
        tables = [
            dataclasses.replace(shape, **fields) if shape.setting == "findings_table" else shape
            for shape in stores.TABLES
            if not (leave_out and shape.setting == "findings_table")
        ]
        monkeypatch.setattr(stores, "TABLES", tables)
        context = read_environments()["dev"]
        app = empty_app(context, tmp_path)
        DataStack(
            app, "omni-data", context, synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
        )
        app.synth()
        return changes(KEPT_DATA, json.loads((tmp_path / "omni-data.template.json").read_text(encoding="utf-8")))

    return made


def test_an_unchanged_table_changes_nothing(changed_by):
    assert changed_by() == []


def test_a_new_index_changes_its_table_alone(changed_by):
    (shape,) = (one for one in stores.TABLES if one.setting == "findings_table")
    assert changed_by(indexes=(*shape.indexes, BY_COLOUR)) == [
        "~ FindingsTable (AWS::DynamoDB::Table): AttributeDefinitions, GlobalSecondaryIndexes"
    ]


def test_two_indexes_at_once_are_named_because_cloudformation_makes_one(changed_by):
    (shape,) = (one for one in stores.TABLES if one.setting == "findings_table")
    (line,) = changed_by(indexes=(*shape.indexes, BY_COLOUR, BY_NAME))
    assert "one index of a table in a deployment" in line


def test_another_key_makes_the_table_anew_without_its_content(changed_by):
    (line,) = changed_by(partition="other")
    assert line.startswith("~ FindingsTable (AWS::DynamoDB::Table): AttributeDefinitions, KeySchema")
    assert line.endswith(EMPTIED)


def test_another_expiry_keeps_the_content(changed_by):
    assert changed_by(expires="other") == ["~ FindingsTable (AWS::DynamoDB::Table): TimeToLiveSpecification"]


def test_a_table_that_is_left_out_goes_with_its_content(changed_by):
    assert changed_by(leave_out=True) == [
        "- parameter FindingsTableName",
        "- FindingsTable (AWS::DynamoDB::Table), WITH ITS CONTENT",
    ]


def test_resources_and_parameters_are_compared_by_name():
    kept = {"Resources": {"A": {"Type": "AWS::SNS::Topic"}, "B": {"Type": "AWS::SNS::Topic"}}, "Parameters": {"P": {}}}
    made = {
        "Resources": {"B": {"Type": "AWS::SNS::Topic", "DependsOn": "C"}, "C": {"Type": "AWS::SQS::Queue"}},
        "Parameters": {"P": {"Default": "x"}, "Q": {}},
    }
    assert changes(kept, made) == [
        "~ parameter P",
        "+ parameter Q",
        "- A (AWS::SNS::Topic)",
        "~ B (AWS::SNS::Topic): order, policies or metadata",
        "+ C (AWS::SQS::Queue)",
    ]
