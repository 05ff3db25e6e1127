"""Steps that read the templates: what can fail is watched, and what somebody deletes by mistake stays."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from omni.deploying.rehearsal.steps import RehearsalSteps, expect
from omni.deploying.rehearsal.templates import resources
from omni.deploying.rehearsal.world import LocalProduction

STEPS = RehearsalSteps()
_THROTTLES = ("ReadThrottleEvents", "WriteThrottleEvents")
# What AWS counts beside the tables: namespace and metric.
_OTHERS = {
    "the gateway": ("AWS/ApiGateway", "5XXError"),
    "the firewall": ("AWS/WAFV2", "BlockedRequests"),
    "the balancer": ("AWS/NetworkELB", "HealthyHostCount"),
    "the registry's database": ("AWS/RDS", "FreeStorageSpace"),
    "the registry's task": ("ECS/ContainerInsights", "RunningTaskCount"),
}
Watched = set[tuple[str, str, str, str]]  # namespace, metric, and of a table's its logical id and its index


@STEPS.step("Watched", "each table's reads, writes, indexes and hot keys; gateway, firewall, balancer, registry")
def _watched(world: LocalProduction) -> str:
    alarms = [
        alarm
        for stack in ("omni-observability", "omni-service")
        for alarm in resources(world.template(stack), "AWS::CloudWatch::Alarm").values()
    ]
    found = {metric for alarm in alarms for metric in _metrics_of(alarm)}
    tables = resources(world.template("omni-data"), "AWS::DynamoDB::Table")
    lacking = Counter(what for what, metric in _OTHERS.items() if (*metric, "", "") not in found)
    for logical, table in tables.items():
        lacking["hot keys of tables"] += not table.get("ContributorInsightsSpecification", {}).get("Enabled")
        for index in ("", *(one["IndexName"] for one in table.get("GlobalSecondaryIndexes", ()))):
            for metric in _THROTTLES:
                lacking[f"{metric} of {'indexes' if index else 'tables'}"] += (
                    "AWS/DynamoDB",
                    metric,
                    logical,
                    index,
                ) not in found
    problems = [f"{what} ({count})" for what, count in lacking.items() if count]
    expect(not problems, f"nobody watches {', '.join(problems)}")
    return f"{len(alarms)} alarms; {len(tables)} tables with their indexes and hot keys"


def _metrics_of(alarm: Mapping[str, Any]) -> Watched:
    given = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", ()) if "MetricStat" in one] or [alarm]
    found: Watched = set()
    for metric in given:
        dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", ())}
        # A table of another stack: omni-data:ExportsOutputRef<logical id>Name<hash>
        table = json.dumps(dimensions.get("TableName", "")).partition("ExportsOutputRef")[2].partition("Name")[0]
        index = str(dimensions.get("GlobalSecondaryIndexName", ""))
        found.add((metric["Namespace"], metric["MetricName"], table, index))
    return found


@STEPS.step("Deleted by mistake", "tables and the registry's database refuse it, and logs have an end")
def _deleted(world: LocalProduction) -> str:
    """Termination protection of whole stacks is no part of a template: ``tools/cdk.py`` sets it after each deployment."""
    tables = resources(world.template("omni-data"), "AWS::DynamoDB::Table")
    problems = [f"{logical} can be deleted" for logical, one in tables.items() if not one["DeletionProtectionEnabled"]]
    registry = world.template("omni-registry")
    logs = {str(one.get("LogGroupName")): one for one in resources(registry, "AWS::Logs::LogGroup").values()}
    for database in resources(registry, "AWS::RDS::DBInstance").values():
        name = database["DBInstanceIdentifier"]
        problems += [f"{name} can be deleted"] * (not database.get("DeletionProtection"))
        exported = [f"/aws/rds/instance/{name}/{log}" for log in database.get("EnableCloudwatchLogsExports", ())]
        problems += [f"{log} is kept for ever" for log in exported if not logs.get(log, {}).get("RetentionInDays")]
        problems += [f"{name} sends its log nowhere"] * (not exported)
    expect(not problems, "; ".join(problems))
    return f"{len(tables)} tables and the database refuse it; {len(logs)} logs of the registry have an end"
