"""The committed templates stand in the local AWS one after the other, with what one takes from another."""

import json
import time

import pytest

from omni.deploying.rehearsal.templates import for_the_local_aws, read_template
from service.kit.aws.clients import client

# In the order in which they need each other.
STACKS = ("data", "network", "registry", "warehouse", "observability", "service", "assistant")
GIVEN = {
    "RegistryImage": "registry@sha256:0",
    "ServiceImage": "service@sha256:0",
    "WorkersImage": "workers@sha256:0",
    "CallbackWebhook": "https://telephone.example/ring",
    "HoldMusicUri": "s3://music/hold.wav",
}
PLACE = "stack-templates"


@pytest.fixture(scope="module")
def settings(local_aws):
    settings = local_aws(store_timeout_s=60.0)
    ssm = client("ssm", settings)
    ssm.put_parameter(Name="/omni/trusted-keys", Value="-----BEGIN PUBLIC KEY-----", Type="String")
    for name in ("flow", "lex", "smoke"):
        secret = json.dumps({"id": name, "secret": "s"})
        client("secretsmanager", settings).create_secret(Name=f"omni-{name}-client", SecretString=secret)
    client("s3", settings).create_bucket(Bucket=PLACE)
    return settings


def deploy(settings, name, template):
    formation, s3 = client("cloudformation", settings), client("s3", settings)
    s3.put_object(Bucket=PLACE, Key=f"{name}.json", Body=json.dumps(template))
    parameters = [
        {"ParameterKey": key, "ParameterValue": GIVEN.get(key, "code")}
        for key, parameter in template.get("Parameters", {}).items()
        if "Default" not in parameter
    ]
    stack = f"all-{name}"
    formation.create_stack(
        StackName=stack,
        TemplateURL=f"{settings.aws.endpoint}/{PLACE}/{name}.json",
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM"],
    )
    while (found := formation.describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"].endswith("_IN_PROGRESS"):
        time.sleep(0.05)
    failed = [
        (event["LogicalResourceId"], event.get("ResourceStatusReason"))
        for event in formation.describe_stack_events(StackName=stack)["StackEvents"]
        if event["ResourceStatus"].endswith("FAILED")
    ]
    return found["StackStatus"], failed


@pytest.mark.acceptance("operation-21", "bot-deploy-01")
def test_every_stack_stands_with_what_it_takes_from_the_others(settings):
    for name in STACKS:
        status, failed = deploy(settings, name, for_the_local_aws(read_template(f"omni-{name}")))
        assert (status, failed) == ("CREATE_COMPLETE", []), f"{name}: {failed}"
    alarms = client("cloudwatch", settings).describe_alarms(AlarmNamePrefix="omni-prod-")["MetricAlarms"]
    assert {"omni-prod-bedrock-timeouts", "omni-prod-dead-letters-events-queue"} <= {
        alarm["AlarmName"] for alarm in alarms
    }
    tasks = client("ecs", settings).list_task_definition_families()["families"]
    functions = client("lambda", settings)
    names = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    assert len(names) == 4
    for name in names:
        (alias,) = functions.list_aliases(FunctionName=name)["Aliases"]
        assert (alias["Name"], alias["FunctionVersion"]) == ("live", "1"), name
    assert {"omni-service", "omni-calls", "omni-callbacks", "omni-schedule", "omni-registry"} <= set(tasks)


def test_aws_budgets_takes_the_budgets_and_their_notices(settings):
    template = read_template("omni-observability")
    account = "000000000000"
    values = {name: str(one["Default"]) for name, one in template["Parameters"].items() if "Default" in one}

    def given(value):
        if isinstance(value, list):
            return [given(item) for item in value]
        if isinstance(value, dict) and set(value) == {"Ref"}:
            return values.get(value["Ref"], f"arn:aws:sns:us-east-1:{account}:omni-prod-warning")
        return {key: given(item) for key, item in value.items()} if isinstance(value, dict) else value

    api = client("budgets", settings)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Budgets::Budget":
            api.create_budget(AccountId=account, **given(resource["Properties"]))
    made = {one["BudgetName"]: one for one in api.describe_budgets(AccountId=account)["Budgets"]}
    assert {name: one["BudgetLimit"]["Amount"] for name, one in made.items()} == {
        "omni-prod": values["AccountMonthlyBudget"],
        "omni-prod-tagged": values["TaggedMonthlyBudget"],
    }
    for name in made:
        found = api.describe_notifications_for_budget(AccountId=account, BudgetName=name)["Notifications"]
        assert {(one["NotificationType"], one["Threshold"]) for one in found} == {
            ("ACTUAL", 80.0),
            ("ACTUAL", 100.0),
            ("FORECASTED", 100.0),
        }
