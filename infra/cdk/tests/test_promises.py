"""What the stacks promise, one test each, over all environments."""

import json
import re
from pathlib import Path

import pytest
from stacks.models import carded_models
from stacks.naming import pascal

from service.kit.settings import Settings
from service.privacy.erasure.places import inventory

TABLE, BUCKET, QUEUE = "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"


def statements(resources):
    """Every statement of every policy that hangs at a role: (stack, logical id, statement)."""
    policies = (*resources("AWS::IAM::Policy"), *resources("AWS::IAM::ManagedPolicy"))  # the CDK moves what is too long
    for stage, stack, logical, policy in policies:
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield f"{stage} {stack}", logical, statement
    for stage, stack, logical, role in resources("AWS::IAM::Role"):
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield f"{stage} {stack}", logical, statement


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.acceptance("operation-24")
def test_every_table_can_be_restored_and_is_encrypted_with_our_key(resources):
    assert resources(TABLE)
    for stage, _, logical, table in resources(TABLE):
        found = table["Properties"]
        assert found["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, logical
        assert found["SSESpecification"]["SSEType"] == "KMS", logical
        assert found["SSESpecification"]["KMSMasterKeyId"], logical
        assert found["ContributorInsightsSpecification"] == {"Enabled": True}, logical
        assert found["DeletionProtectionEnabled"] is (stage != "dev"), logical


def test_no_bucket_is_public_and_each_is_encrypted_and_reached_by_tls_only(resources):
    policies = json.dumps([policy for *_, policy in resources("AWS::S3::BucketPolicy")])
    for _, _, logical, bucket in resources(BUCKET):
        found = bucket["Properties"]
        assert set(found["PublicAccessBlockConfiguration"].values()) == {True}, logical
        assert found["BucketEncryption"]["ServerSideEncryptionConfiguration"], logical
        assert f'{{"Bucket": {{"Ref": "{logical}"}}' in policies, logical
    for _, _, logical, policy in resources("AWS::S3::BucketPolicy"):
        denied = [one for one in policy["Properties"]["PolicyDocument"]["Statement"] if one["Effect"] == "Deny"]
        assert any(one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for one in denied), logical


def test_every_bucket_of_data_forgets_by_its_environment(resources):
    for stage, stack, logical, bucket in resources(BUCKET):
        if stack == "omni-data":
            rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
            assert any("ExpirationInDays" in rule for rule in rules), (stage, logical)


def test_reads_and_writes_of_customers_objects_are_recorded(resources):
    assert len(resources("AWS::CloudTrail::Trail")) == 6
    for _, stack, logical, trail in resources("AWS::CloudTrail::Trail"):
        found = trail["Properties"]
        (selector,) = found["EventSelectors"]
        assert selector["ReadWriteType"] == "All", logical
        assert selector["IncludeManagementEvents"] is False, logical
        text = json.dumps(selector["DataResources"])
        ours = ("RecordsBucket",) if stack == "omni-assistant" else ("ArchiveBucket", "CallsBucket", "ResultsBucket")
        for bucket in ours:
            assert bucket in text, (logical, bucket)
        assert found["EnableLogFileValidation"] is True, logical
        assert found["KMSKeyId"], logical


def test_the_output_of_transcriptions_goes_within_days(resources):
    for stage, _, logical, bucket in resources(BUCKET):
        if logical == "ResultsBucket":
            rules = {rule.get("Prefix", ""): rule for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]}
            assert rules["tmp/"]["ExpirationInDays"] == 1, stage


def test_the_end_of_a_transcription_is_told_to_the_calls_queue(resources):
    rules = [rule["Properties"] for _, _, logical, rule in resources("AWS::Events::Rule") if "EndedJobs" in logical]
    assert len(rules) == 3
    for rule in rules:
        assert rule["EventPattern"]["source"] == ["aws.transcribe"]
        assert "CallsQueue" in json.dumps(rule["Targets"])
    policies = [one for _, _, logical, one in resources("AWS::SQS::QueuePolicy") if logical == "CallsQueuePolicy"]
    assert len(policies) == 3
    assert all("events.amazonaws.com" in json.dumps(policy) for policy in policies)


def test_every_queue_is_encrypted_and_has_a_dead_letter_queue(resources):
    for _, _, logical, queue in resources(QUEUE):
        found = queue["Properties"]
        assert found["KmsMasterKeyId"], logical
        assert "RedrivePolicy" in found or logical.endswith("Aside"), logical


def test_what_holds_data_outlives_its_stack_outside_dev(resources):
    for kind in (TABLE, BUCKET, QUEUE, "AWS::KMS::Key", "AWS::RDS::DBInstance", "AWS::RedshiftServerless::Namespace"):
        for stage, _, logical, resource in resources(kind):
            wanted = "Delete" if stage == "dev" else "Retain"
            assert resource.get("DeletionPolicy", "Delete") == wanted, (stage, logical)


@pytest.mark.acceptance("operation-24")
def test_no_role_may_call_a_model_that_no_card_names(resources):
    carded = set(carded_models())
    known = carded | {model.split(".", 1)[1] for model in carded if model.startswith(("us.", "eu."))}
    seen = set()
    for where, logical, statement in statements(resources):
        if not any(action.startswith("bedrock:") for action in as_list(statement["Action"])):
            continue
        assert set(as_list(statement["Action"])) <= {
            "bedrock:InvokeModel",
            "bedrock:InvokeModelWithResponseStream",
        }, (where, logical)
        for resource in as_list(statement["Resource"]):
            model = (resource if isinstance(resource, str) else resource["Fn::Join"][1][-1]).rpartition("/")[2]
            assert model in known, (where, logical, model)
            seen.add(model)
    assert carded <= seen


def test_only_workers_and_workflows_that_ask_models_may_call_them(resources):
    may = {
        re.split("Workload|DefaultPolicy|OverflowPolicy", logical)[0]
        for _, logical, statement in statements(resources)
        if "bedrock:InvokeModel" in as_list(statement["Action"])
    }
    assert may == {"Service", "Calls", "GithubEvaluation", "GithubProduction"}


def test_only_the_worker_that_rings_and_whoever_erases_may_open_telephone_numbers(resources):
    may = {}
    for _, logical, statement in statements(resources):
        if "CallbacksKmsKey" in json.dumps(statement["Resource"]):
            who = re.split("Workload|Function|DefaultPolicy|OverflowPolicy", logical)[0]
            may.setdefault(who, set()).update(as_list(statement["Action"]))
    assert may == {
        "Phone": {"kms:Encrypt", "kms:DescribeKey"},
        "Callbacks": {"kms:Decrypt", "kms:DescribeKey"},
        "Service": {"kms:Encrypt", "kms:DescribeKey"},
        "Erasure": {"kms:Decrypt", "kms:DescribeKey"},
        "Canary": {"kms:DescribeKey"},
    }


def test_a_customer_is_erased_by_a_person_with_a_second_factor_for_an_hour(resources):
    roles = [role for _, _, logical, role in resources("AWS::IAM::Role") if logical.startswith("Erasure")]
    assert len(roles) == 3
    for role in roles:
        (trusted,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert trusted["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
        assert set(trusted["Principal"]) == {"AWS"}
        assert role["Properties"]["MaxSessionDuration"] == 3600


def test_whoever_erases_reaches_every_place_of_the_inventory_and_no_other_table(resources):
    granted = {"dynamodb:Scan": set(), "dynamodb:DeleteItem": set(), "s3:DeleteObjectVersion": set()}
    for where, logical, statement in statements(resources):
        if where.startswith("prod ") and logical.startswith(("Erasure", "ErasingRecords")):
            for action in set(as_list(statement["Action"])) & set(granted):
                granted[action].add(json.dumps(statement["Resource"]))
    tables = {setting: place for setting, place in inventory().tables.items() if setting != "shared_table"}
    for setting, place in tables.items():
        text = "".join(granted["dynamodb:Scan"] & granted["dynamodb:DeleteItem"])
        assert (f"{pascal(setting)}Arn" in text) is place.is_searched, setting
    for name, place in inventory().prefixes.items():
        prefix = (place.prefix or name).format(tenant="*")
        found = [text for text in granted["s3:DeleteObjectVersion"] if f'"/{prefix}*"' in text]
        assert bool(found) is place.is_searched, name


def test_old_versions_of_objects_are_deleted_by_nobody_else(resources):
    may = {
        re.split("DefaultPolicy|OverflowPolicy|[0-9A-F]{8}$", logical)[0]
        for _, logical, statement in statements(resources)
        if "s3:DeleteObjectVersion" in as_list(statement["Action"])
    }
    assert may == {"Erasure", "ErasingRecords", "ScheduleWorkloadTaskTaskRole"}


def test_a_role_changes_only_its_own_subjects_in_the_shared_table(resources):
    found = {}
    for where, logical, statement in statements(resources):
        stage = where.split()[0]
        written = re.compile(r"dynamodb:(Put|Update|Delete|Batch).*")
        actions = {action for action in as_list(statement["Action"]) if written.fullmatch(action)}
        if not actions - {"dynamodb:BatchGetItem"} or "SharedTable" not in json.dumps(statement["Resource"]):
            continue
        keys = as_list(statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"])
        assert {key.split("/")[0] for key in keys} == {stage}, logical
        role = re.split("Workload|DefaultPolicy|OverflowPolicy|[0-9A-F]{8}$", logical)[0]
        found.setdefault(role, set()).update(key.split("/")[1] for key in keys)
    assert set(found) == {"Service", "Calls", "Schedule", "Erasure"}
    assert found["Calls"] == {"rollout", "changes"}
    assert {role for role, subjects in found.items() if "access" in subjects} == {"Service", "Erasure"}
    assert not any("production-change" in subjects for subjects in found.values())


def test_no_role_has_every_action_of_a_service(resources):
    for where, logical, statement in statements(resources):
        for action in as_list(statement["Action"]):
            assert not action.endswith(":*"), (where, logical, action)
            assert action != "*", (where, logical)


def test_every_table_is_used_by_somebody(resources):
    granted = json.dumps([statement for *_, statement in statements(resources)])
    for _, _, logical, _ in resources(TABLE):
        assert logical in granted, logical


def test_every_workload_has_a_role_of_its_own(resources):
    for stage in ("dev", "test", "prod"):
        roles = [
            task["Properties"]["TaskRoleArn"]["Fn::GetAtt"][0]
            for at, _, _, task in resources("AWS::ECS::TaskDefinition")
            if at == stage
        ]
        assert len(roles) == 5
        assert len(set(roles)) == len(roles)


def test_every_task_may_pull_its_image(resources):
    text = {}
    for where, logical, statement in statements(resources):
        if "ecr:BatchGetImage" in as_list(statement["Action"]):
            text.setdefault(where, []).append((logical, json.dumps(statement["Resource"])))
    for stage in ("dev", "test", "prod"):
        assert len(text[f"{stage} omni-service"]) == 4
        ((_, registry),) = text[f"{stage} omni-registry"]
        assert "repository/omni-registry" in registry


def test_calls_to_aws_stay_in_the_network_outside_dev(resources):
    found = {stage: set() for stage in ("dev", "test", "prod")}
    for stage, _, _, endpoint in resources("AWS::EC2::VPCEndpoint"):
        found[stage].add(json.dumps(endpoint["Properties"]["ServiceName"]).rpartition(".")[2].strip('"]}'))
    assert found["dev"] == {"s3", "dynamodb"}
    assert {"s3", "dynamodb", "bedrock-runtime", "sqs", "kms", "logs", "secretsmanager"} <= found["prod"]
    assert found["test"] == found["prod"]


def containers(resources):
    for stage, _, logical, task in resources("AWS::ECS::TaskDefinition"):
        for container in task["Properties"]["ContainerDefinitions"]:
            yield f"{stage} {logical} {container['Name']}", container


def test_every_command_is_one_of_its_image(resources):
    """The images begin with ``python -m omni`` or ``python -m service``, so a command names what follows that."""
    dockerfile = (Path(__file__).resolve().parents[2] / "image" / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ENTRYPOINT (.*)$", dockerfile, re.MULTILINE) == [
        '["/opt/omni/bin/python", "-m", "omni"]',
        '["/opt/omni/bin/python", "-m", "service"]',
    ]
    words = {}
    for where, container in containers(resources):
        if container["Name"] not in ("trusted-keys", "registry"):
            assert "EntryPoint" not in container, where
            words[container["Name"]] = container["Command"][:3]
    assert words == {
        "service": ["serve"],
        "calls": ["calls", "work", "--follow"],
        "callbacks": ["callbacks", "work", "--follow"],
        "schedule": ["schedule", "run"],
    }
    for *_, schedule in resources("AWS::Scheduler::Schedule"):
        assert '"command": ["schedule", "run"]' in json.dumps(schedule["Properties"]["Target"]["Input"]).replace(
            '\\"', '"'
        )


def test_every_container_is_read_only_no_root_and_logs(resources):
    for where, container in containers(resources):
        assert container["ReadonlyRootFilesystem"] is True, where
        assert container["User"] == "10001:10001", where
        assert container["LogConfiguration"]["LogDriver"] == "awslogs", where


@pytest.mark.acceptance("operation-24")
def test_no_secret_stands_in_a_variable(resources):
    for where, container in containers(resources):
        for variable in container.get("Environment", []):
            assert not any(word in variable["Name"] for word in ("PASSWORD", "SECRET_ARN", "LOG_KEY", "TOKEN")), where


def test_the_settings_accept_every_variable_of_every_task(resources, monkeypatch):
    checked = 0
    for where, container in containers(resources):
        names = {one["Name"]: one["Value"] for one in container.get("Environment", [])}
        if "OMNI_ENVIRONMENT" not in names:
            continue
        flat = {
            name.removeprefix("OMNI_").lower(): value if isinstance(value, str) else "given-by-the-stack"
            for name, value in names.items()
            if name.startswith("OMNI_")
        }
        assert names["OMNI_EMBED_ORIGINS"] == {"Ref": "EmbedOrigins"}
        flat["embed_origins"] = ("https://desk.example.com",)
        settings = Settings(**flat)
        assert settings.environment == "aws", where
        assert settings.stage in ("dev", "test", "prod"), where
        checked += 1
    assert checked == 12


def test_log_groups_are_encrypted_and_expire(resources):
    assert resources("AWS::Logs::LogGroup")
    for stage, _, logical, group in resources("AWS::Logs::LogGroup"):
        assert group["Properties"]["RetentionInDays"] == (7 if stage == "dev" else 30), logical
        assert group["Properties"]["KmsKeyId"], logical


@pytest.mark.acceptance("operation-24")
def test_endpoints_lead_to_this_account_alone(resources):
    """An image's layers lie in a bucket of AWS's, and a workflow that takes its role has no account yet."""
    own, seen = {"Ref": "AWS::AccountId"}, 0
    for stage, _, logical, endpoint in resources("AWS::EC2::VPCEndpoint"):
        statements = endpoint["Properties"]["PolicyDocument"]["Statement"]
        key = (
            "aws:ResourceAccount" if endpoint["Properties"]["VpcEndpointType"] == "Gateway" else "aws:PrincipalAccount"
        )
        bound = [one for one in statements if one.get("Condition") == {"StringEquals": {key: own}}]
        free = [one["Action"] for one in statements if one not in bound]
        assert len(bound) == 1, (stage, logical)
        wanted = {"VpcS3": ["s3:GetObject"], "VpcSts": ["sts:AssumeRoleWithWebIdentity"]}
        assert free == next((found for name, found in wanted.items() if logical.startswith(name)), []), (stage, logical)
        seen += 1
    assert seen == 3 * 2 + 2 * 14


@pytest.mark.acceptance("operation-24")
def test_nothing_is_open_to_the_internet(resources):
    for _, _, logical, balancer in resources("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        assert balancer["Properties"]["Scheme"] == "internal", logical
    for _, _, logical, database in resources("AWS::RDS::DBInstance"):
        assert database["Properties"].get("PubliclyAccessible", False) is False, logical
    for _, _, logical, group in resources("AWS::EC2::SecurityGroup"):
        for rule in group["Properties"].get("SecurityGroupIngress", []):
            assert rule.get("CidrIp") != "0.0.0.0/0", logical
    for _, _, logical, service in resources("AWS::ECS::Service"):
        network = service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED", logical


@pytest.mark.acceptance("operation-23")
def test_the_service_is_deployed_blue_green_with_a_listener_for_tests(resources):
    (service,) = [
        one
        for stage, _, logical, one in resources("AWS::ECS::Service")
        if stage == "prod" and "BLUE" in json.dumps(one)
    ]
    deployment = service["Properties"]["DeploymentConfiguration"]
    assert deployment["Strategy"] == "BLUE_GREEN"
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    (balancer,) = service["Properties"]["LoadBalancers"]
    assert {"ProductionListenerRule", "TestListenerRule"} <= set(balancer["AdvancedConfiguration"])


@pytest.mark.acceptance("operation-23")
def test_the_service_grows_with_cpu_and_with_requests_in_flight(resources):
    policies = [
        one["Properties"]
        for stage, _, _, one in resources("AWS::ApplicationAutoScaling::ScalingPolicy")
        if stage == "prod"
    ]
    text = json.dumps(policies)
    assert "ECSServiceAverageCPUUtilization" in text
    assert "(requests / 60) * (latency / 1000) / tasks" in text


@pytest.mark.parametrize("job", ["load-events", "weekly-report", "registry-audit"])
def test_what_runs_by_itself_is_the_schedule_of_the_repository(resources, job):
    names = [one["Properties"]["Name"] for stage, _, _, one in resources("AWS::Scheduler::Schedule") if stage == "prod"]
    assert job in names
