"""The dashboard and the alarms are those of infra/observability.yaml, and each alarm says what to do."""

import json
import re

import pytest
from stacks.observability import ROLLS_BACK, read_plan

PLAN = read_plan()


@pytest.fixture
def alarms(resources):
    return {
        (stage, alarm["Properties"]["AlarmName"].removeprefix(f"omni-{stage}-")): alarm["Properties"]
        for stage, stack, _, alarm in resources("AWS::CloudWatch::Alarm")
    }


@pytest.mark.parametrize("alarm", PLAN["alarms"], ids=lambda alarm: alarm["name"])
@pytest.mark.parametrize("stage", ["dev", "test", "prod"])
@pytest.mark.acceptance("operation-02")
def test_each_alarm_of_the_plan_stands_with_its_bound(alarms, alarm, stage):
    several = "dynamodb" in alarm["name"]  # one for each table
    found = [
        made
        for (at, name), made in alarms.items()
        if at == stage and (name == alarm["name"] or (several and name.startswith(alarm["name"])))
    ]
    assert found or alarm["name"] == "certificate-expiry"  # there is no domain: test_domain.py
    for made in found:
        below = "below" in alarm
        assert made["Threshold"] == alarm["below" if below else "above"]
        assert made["ComparisonOperator"] == ("LessThanThreshold" if below else "GreaterThanThreshold")
        assert made["EvaluationPeriods"] == alarm.get("periods", 1)
        assert made["TreatMissingData"] == ("breaching" if alarm["missing"] == "breaches" else "notBreaching")
        text = json.dumps(made)
        assert f'"{alarm["metric"].rpartition(":")[2]}"' in text
        for other in (*alarm.get("over", []), *alarm.get("plus", [])):
            assert f'"{other.rpartition(":")[2]}"' in text
        if "minimum" in alarm:
            assert f">= {alarm['minimum']}, " in text


def test_every_alarm_names_a_runbook(alarms):
    assert alarms
    for name, made in alarms.items():
        described = json.dumps(made["AlarmDescription"])
        assert re.search(r"Runbook: docs/runbooks/[a-z0-9-]+\.md", described), name


def test_alarms_notify_where_the_environment_says(alarms):
    for (stage, name), made in alarms.items():
        assert bool(made.get("AlarmActions")) is (stage != "dev"), name
        assert bool(made.get("OKActions")) is (stage != "dev"), name


@pytest.mark.acceptance("operation-02")
def test_critical_alarms_and_warnings_go_to_different_people(alarms):
    for alarm in PLAN["alarms"]:
        for (stage, name), made in alarms.items():
            if stage == "prod" and name.startswith(alarm["name"]):
                assert alarm["severity"].capitalize() in json.dumps(made["AlarmActions"]), name


@pytest.mark.acceptance("operation-03")
def test_throttling_is_watched_for_each_table(alarms, resources):
    tables = [logical for stage, _, logical, _ in resources("AWS::DynamoDB::Table") if stage == "prod"]
    throttles = [text for (stage, name), text in alarms.items() if stage == "prod" and "dynamodb-throttle-" in name]
    assert len(throttles) == len(tables)
    indexes = {
        index["IndexName"]
        for stage, _, _, table in resources("AWS::DynamoDB::Table")
        for index in table["Properties"].get("GlobalSecondaryIndexes", [])
        if stage == "prod"
    }
    text = json.dumps(throttles)
    assert indexes
    for index in indexes:
        assert f'"GlobalSecondaryIndexName", "Value": "{index}"' in text


@pytest.mark.acceptance("operation-03")
def test_every_dead_letter_queue_is_watched(alarms):
    assert {name for stage, name in alarms if stage == "prod" and name.startswith("dead-letters-")} == {
        "dead-letters-events-queue",
        "dead-letters-calls-queue",
    }


@pytest.mark.acceptance("operation-23")
def test_a_deployment_goes_back_on_alarms_that_exist(alarms, resources):
    (service,) = [
        one["Properties"]
        for stage, _, _, one in resources("AWS::ECS::Service")
        if stage == "prod" and one["Properties"]["DeploymentConfiguration"].get("Alarms", {}).get("AlarmNames")
    ]
    found = service["DeploymentConfiguration"]["Alarms"]
    assert found["Enable"] is True
    assert found["Rollback"] is True
    assert [name.removeprefix("omni-prod-") for name in found["AlarmNames"]] == list(ROLLS_BACK)
    assert {("prod", name) for name in ROLLS_BACK} <= set(alarms)


@pytest.mark.acceptance("operation-03")
def test_the_dashboard_has_every_panel_of_the_plan(resources):
    for *_, board in resources("AWS::CloudWatch::Dashboard"):
        text = json.dumps(board["Properties"]["DashboardBody"])
        assert len(PLAN["panels"]) >= 8
        for panel in PLAN["panels"]:
            assert panel["title"] in text


def publishers(template, topic):
    """The services that a topic's policy lets publish, with their conditions."""
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::SNS::TopicPolicy" and {"Ref": topic} in resource["Properties"]["Topics"]:
            for one in resource["Properties"]["PolicyDocument"]["Statement"]:
                if one["Effect"] == "Allow" and one["Action"] == "sns:Publish" and one["Resource"] == {"Ref": topic}:
                    found[one["Principal"]["Service"]] = one["Condition"]
    return found


@pytest.mark.parametrize("stage", ["dev", "test", "prod"])
def test_every_topic_admits_the_alarms_and_budgets_that_notify_it(templates, stage):
    """A topic's policy replaces AWS's own, which admits the whole account: whom it does not name cannot publish."""
    template = templates[stage]["omni-observability"]
    wanted = {}
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for action in (*properties.get("AlarmActions", []), *properties.get("OKActions", [])):
            wanted.setdefault(action["Ref"], set()).add("cloudwatch.amazonaws.com")
        for notice in properties.get("NotificationsWithSubscribers", []):
            for subscriber in notice["Subscribers"]:
                wanted.setdefault(subscriber["Address"]["Ref"], set()).add("budgets.amazonaws.com")
    assert bool(wanted) is (stage != "dev")
    key = next(one for one in templates[stage]["omni-data"]["Resources"].values() if one["Type"] == "AWS::KMS::Key")
    may_encrypt = {
        service
        for one in key["Properties"]["KeyPolicy"]["Statement"]
        if "kms:GenerateDataKey" in one["Action"]
        for service in [one["Principal"].get("Service", [])]
        for service in (service if isinstance(service, list) else [service])
    }
    for topic, services in wanted.items():
        found = publishers(template, topic)
        assert services <= set(found), topic
        assert services <= may_encrypt
        for service, condition in found.items():
            assert condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}, (topic, service)
            assert json.dumps(condition["ArnLike"]["aws:SourceArn"]).count("*") == 1, (topic, service)
