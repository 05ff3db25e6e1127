"""Budgets tell people before an environment's month is spent."""

import pytest
from environments import MonthlyBudget, read_environments
from pydantic import ValidationError
from stacks.budgets import NOTICES
from tags import cost_tags

BUDGET = "AWS::Budgets::Budget"


def budgets_of(resources, stage):
    return {
        one["Properties"]["Budget"]["BudgetName"]: one["Properties"]
        for at, stack, _, one in resources(BUDGET)
        if at == stage and stack == "omni-observability"
    }


@pytest.mark.parametrize("stage", ["dev", "test", "prod"])
def test_each_environment_has_a_budget_of_its_account_and_one_of_its_tag(resources, templates, stage):
    found = budgets_of(resources, stage)
    assert set(found) == {f"omni-{stage}", f"omni-{stage}-tagged"}
    for properties in found.values():
        assert properties["Budget"]["BudgetType"] == "COST"
        assert properties["Budget"]["TimeUnit"] == "MONTHLY"
    # Most model calls are billed without a tag: only the account's budget sees them.
    assert "CostFilters" not in found[f"omni-{stage}"]["Budget"]
    tag = cost_tags(stage)["stage"]
    assert found[f"omni-{stage}-tagged"]["Budget"]["CostFilters"] == {"TagKeyValue": [f"user:stage${tag}"]}


@pytest.mark.parametrize("stage", ["dev", "test", "prod"])
def test_amounts_are_parameters_with_the_environments_defaults(resources, templates, stage):
    parameters = templates[stage]["omni-observability"]["Parameters"]
    wanted = read_environments()[stage].monthly_budget_usd
    for name, amount in ((f"omni-{stage}", wanted.account), (f"omni-{stage}-tagged", wanted.tagged)):
        limit = budgets_of(resources, stage)[name]["Budget"]["BudgetLimit"]
        assert limit["Unit"] == "USD"
        parameter = parameters[limit["Amount"]["Ref"]]
        assert (parameter["Type"], parameter["Default"], parameter["MinValue"]) == ("Number", amount, 1)


def test_people_are_told_at_80_and_100_per_cent_and_of_a_forecast(resources):
    for stage in ("test", "prod"):
        for name, properties in budgets_of(resources, stage).items():
            told = {}
            for each in properties["NotificationsWithSubscribers"]:
                notice = each["Notification"]
                assert (notice["ComparisonOperator"], notice["ThresholdType"]) == ("GREATER_THAN", "PERCENTAGE"), name
                (subscriber,) = each["Subscribers"]
                assert subscriber["SubscriptionType"] == "SNS"
                told[notice["Threshold"], notice["NotificationType"]] = subscriber["Address"]["Ref"]
            assert set(told) == set(NOTICES) == {(80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED")}
            assert {topic[: len("Warning")] for topic in told.values()} == {"Warning"}
    for name, properties in budgets_of(resources, "dev").items():
        assert properties["NotificationsWithSubscribers"] == [], name


def test_an_amount_below_a_dollar_is_refused():
    with pytest.raises(ValidationError):
        MonthlyBudget(account=0, tagged=1)
