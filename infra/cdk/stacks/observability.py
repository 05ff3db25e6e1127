"""What people look at, what wakes them, and who touched what: dashboard and alarms of ``infra/observability.yaml``, a trail."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import yaml
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct
from environments import Environment
from stacks.budgets import Budgets
from stacks.data import DataStack
from stacks.naming import pascal
from stacks.registry import RegistryStack
from stacks.trail import ObjectTrail

from service.kit.aws.stores import TABLES

_PLAN = Path(__file__).resolve().parents[2] / "observability.yaml"
# A deployment that sets one of these off goes back by itself.
ROLLS_BACK = ("failure-rate", "latency-p95", "degraded")
_SHARED = {"environment": "aws"}  # the service's own dimension of every figure
# Whose figures have names that AWS makes: the stacks that hold these resources watch them (``watch``).
_ELSEWHERE = ("AWS/NetworkELB:", "AWS/CertificateManager:")
Where = dict[str, str]


def read_plan() -> dict[str, Any]:
    """Return panels and alarms."""
    found: dict[str, Any] = yaml.safe_load(_PLAN.read_text(encoding="utf-8"))
    return found


def runbook(alarm: dict[str, Any]) -> str:
    """Return the page that says what to do: ``page`` names it where several alarms share one."""
    return f"docs/runbooks/{alarm.get('page', alarm['name'])}.md"


class ObservabilityStack(cdk.Stack):
    """``topics`` is where alarms go by their severity, ``rolls_back`` the names of those that end a deployment."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        context: Environment,
        *,
        data: DataStack,
        registry: RegistryStack,
        **props: Any,
    ) -> None:
        """Make topic, alarms and dashboard; they name figures, not resources, so that they stand before the service."""
        super().__init__(scope, name, **props)
        self._plan, self._stage, self._data = read_plan(), context.stage, data
        self._notifies, self._registry = context.alarms, registry
        key = data.key_for(self)
        # Critical alarms call somebody, warnings wait for the morning: two topics, so that each has subscribers of its own.
        self.topics = {
            severity: sns.Topic(
                self,
                severity.capitalize(),
                topic_name=f"omni-{context.stage}-{severity}",
                master_key=key,
                enforce_ssl=True,
            )
            for severity in ("critical", "warning")
        }
        self._let_publish("cloudwatch", self.format_arn(service="cloudwatch", resource="alarm:*"))
        self._let_publish("budgets", self.format_arn(service="budgets", resource="*", region=""))
        # Amounts are up to a day old: they wait for the morning.
        Budgets(self, "Budgets", context=context, topic=self.topics["warning"])
        for alarm in self._plan["alarms"]:
            self._alarms(alarm)
        self._dead_letters()
        self.rolls_back = [f"omni-{context.stage}-{alarm}" for alarm in ROLLS_BACK]
        self._dashboard()
        self._failures_by_code()
        watched = {setting: bucket.attr_arn for setting, bucket in data.buckets.items()}
        ObjectTrail(self, "Objects", watched, of="objects", context=context, data=data, key=key)

    def _let_publish(self, service: str, source: str) -> None:
        """Let a service of AWS notify the topics. A topic with a policy, as TLS needs, admits only whom the policy names."""
        for topic in self.topics.values():
            topic.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=["sns:Publish"],
                    resources=[topic.topic_arn],
                    conditions={
                        "StringEquals": {"aws:SourceAccount": self.account},
                        "ArnLike": {"aws:SourceArn": source},
                    },
                )
            )

    def _alarms(self, alarm: dict[str, Any]) -> None:
        """DynamoDB counts by table, so an alarm on its figures is one for each table, with its indexes."""
        metric, name = alarm["metric"], alarm["name"]
        if metric.startswith("AWS/DynamoDB:"):
            for shape in TABLES:
                table = {"TableName": str(self._data.tables[shape.setting].table_name)}
                indexes = [table | {"GlobalSecondaryIndexName": index.name} for index in shape.indexes]
                self._alarm(
                    alarm, f"{name}-{shape.setting.removesuffix('_table').replace('_', '-')}", [table, *indexes]
                )
        elif ":" not in metric:
            self._alarm(alarm, name, [{}])
        elif not metric.startswith(_ELSEWHERE):
            self._alarm(alarm, name, [self._whose(alarm)])

    def _whose(self, alarm: dict[str, Any]) -> Where:
        namespace = alarm["metric"].partition(":")[0]
        if namespace == "AWS/SQS":
            return self._of_queue(alarm)
        return {
            "AWS/ApiGateway": {"ApiName": f"omni-{self._stage}", "Stage": self._stage},
            "AWS/WAFV2": {"WebACL": "Firewall", "Region": self.region, "Rule": "ALL"},
            "AWS/RDS": {"DBInstanceIdentifier": self._registry.database.instance_identifier},
            "ECS/ContainerInsights": {"ClusterName": "omni-registry", "ServiceName": "omni-registry"},
        }[namespace]

    def watch(self, scope: Construct, name: str, wheres: list[Where]) -> None:
        """Make the alarm ``name`` of the plan in another stack, whose resources ``wheres`` names; their figures are added."""
        (alarm,) = (alarm for alarm in self._plan["alarms"] if alarm["name"] == name)
        self._alarm(alarm, name, wheres, scope=scope)

    def _of_queue(self, series: dict[str, Any]) -> dict[str, str]:
        return {"QueueName": str(self._data.queues[series["queue"]].attr_queue_name)} if "queue" in series else {}

    def _alarm(self, alarm: dict[str, Any], name: str, wheres: list[Where], *, scope: Construct | None = None) -> None:
        below, bad = "below" in alarm, alarm["missing"] == "breaches"
        compared, treated = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
        made = cloudwatch.Alarm(
            scope or self,
            pascal(name) if scope is None else f"{pascal(name)}Alarm",
            alarm_name=f"omni-{self._stage}-{name}",
            alarm_description=f"{alarm['why']}. First look: {alarm['runbook']}. Runbook: {runbook(alarm)}",
            metric=self._measured(alarm, wheres),
            threshold=alarm["below" if below else "above"],
            comparison_operator=compared.LESS_THAN_THRESHOLD if below else compared.GREATER_THAN_THRESHOLD,
            evaluation_periods=alarm.get("periods", 1),
            treat_missing_data=treated.BREACHING if bad else treated.NOT_BREACHING,
        )
        self._notify(made, alarm["severity"])

    def _notify(self, alarm: cloudwatch.Alarm, severity: str) -> None:
        if self._notifies:
            alarm.add_alarm_action(actions.SnsAction(self.topics[severity]))
            alarm.add_ok_action(actions.SnsAction(self.topics[severity]))

    def _measured(self, alarm: dict[str, Any], wheres: list[Where]) -> cloudwatch.IMetric:
        period, where = cdk.Duration.seconds(alarm["period_s"]), wheres[0]
        parts = [_metric(alarm, name, one) for one in wheres for name in (alarm["metric"], *alarm.get("plus", ()))]
        if len(parts) > 1:
            using = {f"m{number}": part for number, part in enumerate(parts)}
            total = " + ".join(f"FILL({name}, 0)" for name in using)
            return cloudwatch.MathExpression(expression=total, using_metrics=using, period=period, label=alarm["name"])
        value = parts[0]
        over, least = alarm.get("over", []), alarm.get("minimum")
        if not over and least is None:
            return value
        counted = over or ["Requests"]
        using = {"value": value} | {
            f"of{number}": _metric({"statistic": "Sum", "period_s": alarm["period_s"]}, name, where)
            for number, name in enumerate(counted)
        }
        # One of several may be silent: who blocks all lets nothing through.
        names = [f"of{number}" for number in range(len(counted))]
        total = " + ".join(f"FILL({name}, 0)" for name in names) if len(names) > 1 else names[0]
        ratio = f"FILL(value, 0) / ({total})" if over else "value"
        expression = f"IF(({total}) >= {least}, {ratio}, 0)" if least is not None else ratio
        return cloudwatch.MathExpression(
            expression=expression,
            using_metrics=using,
            period=period,
            label=alarm["name"],
        )

    def _dead_letters(self) -> None:
        for setting, queue in self._data.dead_letters.items():
            made = cloudwatch.Alarm(
                self,
                f"{pascal(setting)}Aside",
                alarm_name=f"omni-{self._stage}-dead-letters-{setting.replace('_', '-')}",
                alarm_description=f"Messages that no reader could handle. Runbook: {runbook({'name': 'dead-letters'})}",
                metric=cloudwatch.Metric(
                    namespace="AWS/SQS",
                    metric_name="ApproximateNumberOfMessagesVisible",
                    dimensions_map={"QueueName": queue.attr_queue_name},
                    statistic="Maximum",
                    period=cdk.Duration.minutes(5),
                ),
                threshold=0,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                evaluation_periods=1,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            self._notify(made, "warning")

    def _dashboard(self) -> None:
        board = cloudwatch.Dashboard(self, "Board", dashboard_name=f"omni-{self._stage}")
        widgets = [self._panel(panel) for panel in self._plan["panels"]]
        for start in range(0, len(widgets), 2):
            board.add_widgets(*widgets[start : start + 2])

    def _panel(self, panel: dict[str, Any]) -> cloudwatch.GraphWidget:
        lines = [
            cloudwatch.HorizontalAnnotation(value=line["at"], label=line["label"]) for line in panel.get("lines", [])
        ]
        return cloudwatch.GraphWidget(
            title=panel["title"],
            width=12,
            height=6,
            left=[_drawn(series, number, self._of_queue(series)) for number, series in enumerate(panel["series"])],
            left_annotations=lines,
        )

    def _failures_by_code(self) -> None:
        body = {
            "Schema": {"Name": "CloudWatchLogRule", "Version": 1},
            "LogGroupNames": ["/omni/service"],
            "LogFormat": "JSON",
            "Contribution": {"Keys": ["$.failure_code"], "Filters": [{"Match": "$.event", "In": ["REQUEST_FAILED"]}]},
            "AggregateOn": "Count",
        }
        cloudwatch.CfnInsightRule(
            self,
            "Failures",
            rule_name=f"omni-{self._stage}-failures",
            rule_state="ENABLED",
            rule_body=self.to_json_string(body),
        )


def _metric(series: dict[str, Any], name: str, where: dict[str, str]) -> cloudwatch.Metric:
    namespace, _, metric = name.rpartition(":")
    own = series.get("where", {}) if name == series.get("metric") else {}
    return cloudwatch.Metric(
        namespace=namespace or "OmniInsights",
        metric_name=metric,
        dimensions_map=where if namespace else _SHARED | own,
        statistic=series["statistic"],
        period=cdk.Duration.seconds(series["period_s"]),
    )


def _drawn(series: dict[str, Any], number: int, where: dict[str, str]) -> cloudwatch.IMetric:
    """A line, or with ``by`` one line for each value of these labels, or with ``over`` a ratio."""
    period = cdk.Duration.seconds(series["period_s"])
    if "by" in series:
        names = ",".join(["environment", *series["by"]])
        found = f'{{OmniInsights,{names}}} MetricName="{series["metric"]}"'
        search = f"SEARCH('{found}', '{series['statistic']}', {series['period_s']})"
        return cloudwatch.MathExpression(expression=search, period=period, label="", using_metrics={})
    if "over" not in series:
        return _metric(series, series["metric"], where)
    using = {f"v{number}": _metric(series, series["metric"], {})} | {
        f"o{number}x{place}": _metric({"statistic": "Sum", "period_s": series["period_s"]}, name, {})
        for place, name in enumerate(series["over"])
    }
    total = " + ".join(name for name in using if name.startswith("o"))
    return cloudwatch.MathExpression(
        expression=f"v{number} / ({total})", using_metrics=using, period=period, label=series.get("label", "")
    )
