"""What an account gets before the other stacks: roles that GitHub's environments bind, a key that only two of them sign with."""

import json
import re

import pytest

ENVIRONMENTS = {"image", "evaluation", "production", "on-call"}


@pytest.fixture
def bootstrap(templates):
    return templates["prod"]["omni-bootstrap"]["Resources"]


def roles(resources):
    return {
        one["Properties"].get("RoleName", logical): (logical, one["Properties"])
        for logical, one in resources.items()
        if one["Type"] == "AWS::IAM::Role"
    }


def allowed(resources, role):
    """The statements of a role's own policies."""
    logical, _ = roles(resources)[role]
    return [
        statement
        for one in resources.values()
        if one["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        and {"Ref": logical} in one["Properties"]["Roles"]
        for statement in one["Properties"]["PolicyDocument"]["Statement"]
    ]


def actions(statements):
    return {
        action
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def test_each_workflow_role_trusts_one_environment_of_one_repository(bootstrap):
    found = {name: made for name, (_, made) in roles(bootstrap).items() if name.startswith("omni-github-")}
    assert set(found) == {f"omni-github-{environment}" for environment in ENVIRONMENTS}
    for name, made in found.items():
        (trust,) = made["AssumeRolePolicyDocument"]["Statement"]
        said = trust["Condition"]["StringEquals"]
        assert said["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
        parts = said["token.actions.githubusercontent.com:sub"]["Fn::Join"][1]
        environment = name.removeprefix("omni-github-")
        assert parts == ["repo:", {"Ref": "Repository"}, f":environment:{environment}"]


def test_people_come_with_a_second_factor_for_an_hour(bootstrap):
    for name in ("omni-operator", "omni-on-call"):
        _, made = roles(bootstrap)[name]
        (trust,) = made["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
        assert made["MaxSessionDuration"] == 3600


def test_only_production_and_on_call_sign_and_nobody_else_can_be_given_it(bootstrap):
    signers = {name for name in roles(bootstrap) if "kms:Sign" in actions(allowed(bootstrap, name))}
    assert signers == {"omni-github-production", "omni-github-on-call"}
    (key,) = (one["Properties"] for one in bootstrap.values() if one["Type"] == "AWS::KMS::Key")
    assert (key["KeySpec"], key["KeyUsage"]) == ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    (wall,) = (one for one in key["KeyPolicy"]["Statement"] if one["Effect"] == "Deny")
    assert wall["Action"] == "kms:Sign"
    logicals = {roles(bootstrap)[name][0] for name in signers}
    assert {arn["Fn::GetAtt"][0] for arn in wall["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]} == logicals


def test_a_branchs_code_may_ask_models_and_no_more(bootstrap):
    assert actions(allowed(bootstrap, "omni-github-evaluation")) == {"bedrock:InvokeModel"}


def test_only_cloudformation_administers_and_who_deploys_may_pass_it_nothing_else(bootstrap):
    managed = {name for name, (_, made) in roles(bootstrap).items() if made.get("ManagedPolicyArns")}
    assert managed == {"omni-deployer"}
    (trust,) = roles(bootstrap)["omni-deployer"][1]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "cloudformation.amazonaws.com"}
    deployer = roles(bootstrap)["omni-deployer"][0]
    for name in ("omni-operator", "omni-github-production"):
        passes = [one for one in allowed(bootstrap, name) if "iam:PassRole" in actions([one])]
        assert [one["Resource"] for one in passes] == [{"Fn::GetAtt": [deployer, "Arn"]}], name


def test_nobody_opens_a_customers_number(bootstrap):
    text = json.dumps([one for one in bootstrap.values() if "Policy" in one["Type"]])
    assert "omni-callbacks" not in re.findall(r"alias/([\w-]+)", text)


def test_on_call_starts_tasks_with_the_roles_of_scheduled_jobs_only(bootstrap):
    (passes,) = (one for one in allowed(bootstrap, "omni-on-call") if "iam:PassRole" in actions([one]))
    made = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/omni-service-ScheduleWorkload*"
    assert passes["Resource"] == {"Fn::Sub": made}
    assert passes["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def test_on_call_opens_clients_and_no_token_key(bootstrap):
    opens = [one for one in allowed(bootstrap, "omni-on-call") if "kms:Decrypt" in actions([one])]
    by_alias = {one["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"][0]: one for one in opens}
    assert set(by_alias) == {"alias/omni-data", "alias/omni-token-keys"}
    condition = by_alias["alias/omni-token-keys"]["Condition"]
    assert condition["StringLike"] == {"kms:EncryptionContext:omni-token-key": "client/*"}


def test_the_operator_reads_the_one_password_that_github_gets(bootstrap):
    reads = [one for one in allowed(bootstrap, "omni-operator") if "secretsmanager:GetSecretValue" in actions([one])]
    found = {one["Resource"]["Fn::Sub"].rpartition(":secret:")[2]: actions([one]) for one in reads}
    assert set(found) == {"omni-*-client-*", "omni-registry-writer-??????"}
    assert found["omni-registry-writer-??????"] == {"secretsmanager:GetSecretValue"}


def test_the_bucket_of_templates_names_stage_account_and_region(templates):
    """So that a deployment with the credentials of another account or region finds none."""
    for stage, stacks in templates.items():
        names = [
            one["Properties"].get("BucketName")
            for one in stacks["omni-bootstrap"]["Resources"].values()
            if one["Type"] == "AWS::S3::Bucket"
        ]
        assert {"Fn::Sub": f"omni-{stage}-templates-${{AWS::AccountId}}-${{AWS::Region}}"} in names


def test_the_runner_may_nothing_by_itself_and_reaches_what_jobs_ask(templates):
    runner = templates["prod"]["omni-runner"]["Resources"]
    (name,) = (name for name in roles(runner))
    services = {action.partition(":")[0] for action in actions(allowed(runner, name))}
    assert services == {"codeconnections", "ec2", "logs"}
    (project,) = (one["Properties"] for one in runner.values() if one["Type"] == "AWS::CodeBuild::Project")
    assert project["Name"] == "omni"
    assert project["Triggers"]["FilterGroups"] == [[{"Type": "EVENT", "Pattern": "WORKFLOW_JOB_QUEUED"}]]
    (group,) = (one["Properties"] for one in runner.values() if one["Type"] == "AWS::EC2::SecurityGroup")
    assert {rule["FromPort"] for rule in group["SecurityGroupEgress"]} == {443, 5000, 80}
