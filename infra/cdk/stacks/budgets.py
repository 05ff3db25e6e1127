"""Money: the environment's monthly budgets, and who is told when they are nearly used up, used up, or will be."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_sns as sns
from constructs import Construct
from environments import Environment
from tags import tagged

# Per cent of the amount, and of what: what was spent, or what the month will have cost at its end by AWS's forecast.
NOTICES = ((80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED"))


class Budgets(Construct):
    """Two budgets, because tags do not reach everything: most model calls are billed without any.

    ``omni-<stage>`` counts all that the account costs, ``omni-<stage>-tagged`` what carries the environment's tag. Nothing
    stops when one is used up: people are told.
    """

    def __init__(self, scope: Construct, name: str, *, context: Environment, topic: sns.ITopic) -> None:
        """``topic`` hears of them where the environment's alarms notify."""
        super().__init__(scope, name)
        self._context, self._topic = context, topic
        amounts = context.monthly_budget_usd
        self._budget("Account", f"omni-{context.stage}", amounts.account, {})
        # "user:" stands before the keys of tags that people set (AWS Cost Management, "Budget filters").
        tag = {"CostFilters": {"TagKeyValue": [f"user:stage${context.stage}"]}}
        self._budget("Tagged", f"omni-{context.stage}-tagged", amounts.tagged, tag)

    def _budget(self, logical: str, name: str, default: int, counted: dict[str, Any]) -> None:
        stack = cdk.Stack.of(self)
        amount = cdk.CfnParameter(
            stack,
            f"{logical}MonthlyBudget",
            type="Number",
            min_value=1,
            default=default,
            description=f"USD a month, of the budget {name}",
        )
        kind = "AWS::Budgets::Budget"
        properties = {
            "Budget": {
                "BudgetName": name,
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": amount.value_as_string, "Unit": "USD"},
                **counted,
            },
            "NotificationsWithSubscribers": [self._notice(percent, of) for percent, of in NOTICES]
            if self._context.alarms
            else [],
        }
        made = cdk.CfnResource(self, logical, type=kind, properties=tagged(kind, properties, self._context.stage))
        made.node.add_dependency(self._topic)  # with its policy, without which the notices reach nobody

    def _notice(self, percent: int, of: str) -> dict[str, Any]:
        return {
            "Notification": {
                "NotificationType": of,
                "ComparisonOperator": "GREATER_THAN",
                "Threshold": percent,
                "ThresholdType": "PERCENTAGE",
            },
            "Subscribers": [{"SubscriptionType": "SNS", "Address": self._topic.topic_arn}],
        }
