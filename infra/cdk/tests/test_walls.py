"""The walls between tenants, statement by statement: they are few, and a word that is wrong in one opens it."""

import copy
import json

import pytest
from test_promises import as_list

MINE = "${aws:PrincipalTag/tenant_id}"
BOUND = {"aws:PrincipalTag/tenant_id": "false"}
EVERYBODY = {"AWS": "*"}
STAGES = ("dev", "test", "prod")


def plain(value):
    """A template's value with ``BUCKET`` or ``KEY`` in place of what stands for the bucket or the key."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::Join"}:
        separator, parts = value["Fn::Join"]
        found = separator.join(plain(part) for part in parts)
        return "BUCKET" + found.removeprefix("arn:PARTITION:s3:::NAMESUFFIX") if "NAMESUFFIX" in found else found
    if set(value) & {"Fn::GetAtt", "Fn::ImportValue", "Ref"}:
        text = json.dumps(value)
        names = {
            "ResultsBucketName": "NAME",
            "BucketSuffix": "SUFFIX",
            "AWS::Partition": "PARTITION",
            "Bucket": "BUCKET",
        }
        return next((short for name, short in names.items() if name in text), "KEY" if "DataKey" in text else text)
    return {name: plain(item) for name, item in value.items()}


def denials(templates, stage, logical):
    """The statements by which a bucket's policy or the key's denies, but for plain HTTP, by their names."""
    properties = templates[stage]["omni-data"]["Resources"][logical]["Properties"]
    policy = properties.get("PolicyDocument") or properties["KeyPolicy"]
    found = [one for one in policy["Statement"] if one["Effect"] == "Deny" and "Bool" not in one["Condition"]]
    return {
        one["Sid"]: {key: plain(item) for key, item in one.items() if key not in ("Sid", "Effect")} for one in found
    }


PREFIXES = {
    "OnlyObjectsOfItsTenant": {
        "Action": "s3:*",
        "NotResource": ["BUCKET", f"BUCKET/{MINE}/*"],
        "Principal": EVERYBODY,
        "Condition": {"Null": BOUND},
    },
    "OnlyNamesOfItsTenant": {
        "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"],
        "Resource": "BUCKET",
        "Principal": EVERYBODY,
        "Condition": {"Null": BOUND, "StringNotLike": {"s3:prefix": f"{MINE}/*"}},
    },
}
TAGS = {
    "OnlyTagsOfItsTenant": {
        "Action": ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"],
        "Resource": "BUCKET/*",
        "Principal": EVERYBODY,
        "Condition": {"Null": BOUND, "StringNotEquals": {"s3:ExistingObjectTag/tenant_id": MINE}},
    },
    "NothingWithoutATenant": {
        "Action": "s3:PutObject",
        "NotResource": ["BUCKET", "BUCKET/tmp/*"],
        "Principal": EVERYBODY,
        "Condition": {"Null": {"s3:RequestObjectTag/tenant_id": "true"}},
    },
}
OPENING = {
    "OnlyOpensWhatIsItsTenants": {
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Principal": EVERYBODY,
        "Condition": {
            "Null": BOUND,
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": ["BUCKET", "BUCKET/*"]},
            "StringNotEquals": {"kms:EncryptionContext:tenant_id": MINE},
        },
    }
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_buckets_and_the_key_deny_another_tenants_people(templates, stage):
    key = next(name for name in templates[stage]["omni-data"]["Resources"] if name.startswith("DataKey"))
    assert denials(templates, stage, "CallsBucketPolicy") == PREFIXES
    assert denials(templates, stage, "ResultsBucketPolicy") == PREFIXES | TAGS
    assert denials(templates, stage, key) == OPENING
    assert denials(templates, stage, "ArchiveBucketPolicy") == {}


def role(templates, stage, name):
    """A role's trust, and its statements."""
    resources = templates[stage]["omni-service"]["Resources"]
    (trusted,) = [
        one["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        for logical, one in resources.items()
        if logical.startswith(name) and one["Type"] == "AWS::IAM::Role"
    ]
    statements = [
        {key: plain(item) for key, item in one.items()}
        for logical, policy in resources.items()
        if logical.startswith(name) and policy["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for one in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    return trusted, statements


@pytest.mark.parametrize("stage", STAGES)
def test_a_tenants_people_are_bound_to_their_own_tenant_and_read_its_results_alone(templates, stage):
    trusted, statements = role(templates, stage, "TenantReaders")
    assert sorted(action for one in trusted for action in as_list(one["Action"])) == [
        "sts:AssumeRole",
        "sts:TagSession",
    ]
    for one in trusted:
        assert set(one["Principal"]) == {"AWS"}
        assert one["Condition"] == {
            "Bool": {"aws:MultiFactorAuthPresent": "true"},
            "StringEquals": {"aws:RequestTag/tenant_id": MINE},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["tenant_id"]},
        }
    assert {one["Action"]: (one["Resource"], one.get("Condition")) for one in statements} == {
        "s3:GetObject": (f"BUCKET/{MINE}/*", None),
        "s3:ListBucket": ("BUCKET", {"StringLike": {"s3:prefix": f"{MINE}/*"}}),
        "kms:Decrypt": ("KEY", {"StringEquals": {"kms:EncryptionContext:tenant_id": MINE}}),
    }


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("workload", ["CallsWorkloadTaskTaskRole", "ScheduleWorkloadTaskTaskRole"])
def test_whoever_writes_results_of_all_tenants_names_one_with_each(templates, stage, workload):
    _, statements = role(templates, stage, workload)
    assert any("s3:PutObject" in one["Action"] and "BUCKET/*" in one["Resource"] for one in statements)
    (denied,) = [one for one in statements if one["Effect"] == "Deny"]
    assert denied == {
        "Action": "kms:GenerateDataKey",
        "Effect": "Deny",
        "Resource": "KEY",
        "Condition": {
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": ["BUCKET", "BUCKET/*"]},
            "Null": {"kms:EncryptionContext:tenant_id": "true"},
        },
    }


def test_every_task_knows_the_key_that_it_encrypts_results_with(resources):
    """Without it a task would write under the bucket's own settings, which name no tenant: refused."""
    checked = 0
    for stage, _, logical, task in resources("AWS::ECS::TaskDefinition"):
        for container in task["Properties"]["ContainerDefinitions"]:
            names = {one["Name"]: one["Value"] for one in container.get("Environment", [])}
            if "OMNI_RESULTS_BUCKET" in names:
                assert "DataKey" in json.dumps(names["OMNI_CALLS_KMS_KEY"]), (stage, logical)
                checked += 1
    assert checked == 12


def test_no_role_of_ours_is_bound_to_a_tenant(resources):
    """A tag ``tenant_id`` at a role would shut the worker out of all other tenants' objects."""
    for stage, _, logical, made in resources("AWS::IAM::Role"):
        assert "tenant_id" not in {tag["Key"] for tag in made["Properties"].get("Tags", [])}, (stage, logical)


def test_the_worker_may_tag_the_jobs_that_it_starts(templates):
    for stage in STAGES:
        _, statements = role(templates, stage, "CallsWorkloadTaskTaskRole")
        (started,) = [one for one in statements if "transcribe:StartTranscriptionJob" in one["Action"]]
        assert "transcribe:TagResource" in started["Action"], stage


@pytest.mark.parametrize("logical", ["CallsBucketPolicy", "ResultsBucketPolicy"])
def test_a_wall_that_is_taken_away_or_changed_is_noticed(templates, logical):
    made = copy.deepcopy(templates)
    statements = made["prod"]["omni-data"]["Resources"][logical]["Properties"]["PolicyDocument"]["Statement"]
    del statements[-1]
    with pytest.raises(AssertionError):
        test_the_buckets_and_the_key_deny_another_tenants_people(made, "prod")
