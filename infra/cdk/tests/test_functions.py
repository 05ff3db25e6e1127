"""Functions are called by an alias of a kept version, and the one that tests a new version stands before its traffic."""

import json

import pytest

FUNCTION, VERSION, ALIAS = "AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias"
STAGES = {"dev", "test", "prod"}


@pytest.mark.acceptance("bot-deploy-02")
def test_each_function_has_one_alias_of_a_version_that_is_kept(resources):
    wanted = {(stage, logical) for stage, _, logical, _ in resources(FUNCTION)}
    assert {stage for stage, _ in wanted} == STAGES
    versions = {(stage, logical): version for stage, _, logical, version in resources(VERSION)}
    found = set()
    for stage, _, logical, alias in resources(ALIAS):
        name, number = alias["Properties"]["FunctionName"]["Ref"], alias["Properties"]["FunctionVersion"]["Fn::GetAtt"]
        version = versions[stage, number[0]]
        assert alias["Properties"]["Name"] == "live", logical
        assert version["Properties"]["FunctionName"] == {"Ref": name}, logical
        assert version["DeletionPolicy"] == "Retain", logical
        # New code has a new key, and a changed description makes a new version.
        assert version["Properties"]["Description"] == {"Ref": "FunctionsKey"}, logical
        found.add((stage, name))
    assert found == wanted


def test_nothing_calls_a_function_past_its_alias(resources, templates):
    functions = {logical for _, _, logical, _ in resources(FUNCTION)}
    callers = ("AWS::Lambda::Permission", "AWS::Lex::BotAlias", "AWS::Connect::ContactFlow", "AWS::ECS::Service")
    callers += ("AWS::Connect::IntegrationAssociation", "AWS::IAM::Policy", "AWS::Events::Rule")
    checked = 0
    for kind in callers:
        for stage, _, logical, caller in resources(kind):
            text = json.dumps(caller["Properties"])
            assert not [name for name in functions if f'"{name}"' in text], (stage, logical)
            checked += any(f"{name.partition('Function')[0]}Live" in text for name in functions)
    assert checked == 3 * (
        4 + 1 + 2 + 1 + 2 + 1 + 1
    )  # permissions, bot, flows, service, associations, the hook's role, the canary


@pytest.mark.acceptance("operation-16", "operation-23")
def test_a_new_version_is_asked_before_it_gets_traffic(resources):
    hooked = {}
    for stage, _, _, service in resources("AWS::ECS::Service"):
        for hook in service["Properties"]["DeploymentConfiguration"].get("LifecycleHooks", []):
            hooked[stage] = hook
    assert set(hooked) == STAGES
    for stage, hook in hooked.items():
        assert hook["LifecycleStages"] == ["POST_TEST_TRAFFIC_SHIFT"], stage
        assert hook["HookTargetArn"]["Ref"].startswith("SmokeLive"), stage
        assert hook["RoleArn"], stage


def test_the_smoke_test_asks_the_test_listener(resources):
    listeners = {
        stage: one["Properties"]["Port"]
        for stage, _, logical, one in resources("AWS::ElasticLoadBalancingV2::Listener")
        if "Green" in json.dumps(one["Properties"]["DefaultActions"])
    }
    for stage, stack, logical, function in resources(FUNCTION):
        if stack == "omni-service":
            names = function["Properties"]["Environment"]["Variables"]
            assert json.dumps(names["OMNI_SMOKE_URL"]).rstrip(']}"').endswith(f":{listeners[stage]}"), logical
            assert names["OMNI_SMOKE_ACCOUNT"] == {"Ref": "CanaryAccount"}, logical
            assert function["Properties"]["Handler"] == "service.operate.deployment.hook.lambda_handler"


def test_no_functions_secret_stands_in_its_template(resources):
    for *_, logical, function in resources(FUNCTION):
        for name, value in function["Properties"]["Environment"]["Variables"].items():
            if name.endswith(("_SECRET", "_CLIENT_ID")):
                assert "{{resolve:secretsmanager:" in json.dumps(value), (logical, name)
        assert function["Properties"]["KmsKeyArn"], logical
