"""The template's own policies in a local AWS that enforces them, but for two things that it does not know.

It puts nothing in the place of a policy's variable: the tests write the tenant there, as AWS does for the principal who asks. It
knows no tags of a write, so ``NothingWithoutATenant`` is tested in the template alone.
"""

import json
import socket
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from service.calls.store.objects import TenantResults
from service.kit.aws.clients import LOCAL_KEY, client
from service.kit.settings import Settings
from service.local import aws
from service.local.loopback import ensure_running

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
TEMPLATES = Path(__file__).resolve().parents[3] / "infra" / "cdk" / "templates" / "prod"
ACME, BRAND = "acme", "brand"
MINE = "${aws:PrincipalTag/tenant_id}"


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory):
    """Settings of a local AWS that checks signatures and policies; its root has the key of our own clients."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(state_dir=tmp_path_factory.mktemp("omni"), local_aws_port=port, store_timeout_s=30.0)
    settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    daemon = aws.ministack(settings)
    root = {"AWS_ACCESS_KEY_ID": LOCAL_KEY.id, "AWS_SECRET_ACCESS_KEY": LOCAL_KEY.secret}
    daemon = replace(daemon, env={**daemon.env, **root, "AUTH": "true"})
    ensure_running(daemon, port=port, health_path=aws.HEALTH_PATH, port_setting="OMNI_LOCAL_AWS_PORT")
    try:
        s3 = client("s3", settings)
        for bucket in (settings.calls.bucket, settings.calls.results_bucket):
            s3.create_bucket(Bucket=bucket)
            for tenant in (ACME, BRAND):
                TenantResults(s3, bucket, tenant).put(f"{tenant}/x.json", "{}")
        # Under acme's prefix with brand's tag, and with none: as a mistake might leave it.
        for key, tags in ((f"{ACME}/wrong.json", f"tenant_id={BRAND}"), (f"{ACME}/bare.json", "")):
            s3.put_object(Bucket=settings.calls.results_bucket, Key=key, Body=b"{}", Tagging=tags)
        yield settings
    finally:
        daemon.stop()


@pytest.fixture
def person(enforcing):
    """Make a user with a tag ``tenant_id``, and rights as given; return a client of S3 with the user's own key."""
    iam, made = client("iam", enforcing), []

    def make(tenant, statements):
        name = f"p{len(made)}-{tenant}"
        made.append(name)
        iam.create_user(UserName=name, **({"Tags": [{"Key": "tenant_id", "Value": tenant}]} if tenant else {}))
        document = {"Version": "2012-10-17", "Statement": statements}
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return boto3.client(
            "s3",
            region_name=enforcing.aws.region,
            endpoint_url=enforcing.aws.endpoint,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

    yield make
    for name in made:
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName=name, PolicyName="all")
        iam.delete_user(UserName=name)


EVERYTHING = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]


def written(value, bucket, tenant):
    """A template's value with the bucket and, in the place of the variable, the tenant."""
    if isinstance(value, list):
        return [written(item, bucket, tenant) for item in value]
    if isinstance(value, dict):
        if set(value) == {"Fn::Join"}:
            return "".join(written(part, bucket, tenant) for part in value["Fn::Join"][1])
        if set(value) & {"Fn::GetAtt", "Fn::ImportValue"}:
            return f"arn:aws:s3:::{bucket}"
        return {key: written(item, bucket, tenant) for key, item in value.items()}
    return value.replace(MINE, tenant) if isinstance(value, str) else value


def wall_off(settings, tenant, *, less=()):
    """Give both buckets the template's denials as they read for somebody of ``tenant``, but those named by ``less``."""
    resources = json.loads((TEMPLATES / "omni-data.json").read_text(encoding="utf-8"))["Resources"]
    for logical, bucket in (("CallsBucket", settings.calls.bucket), ("ResultsBucket", settings.calls.results_bucket)):
        statements = [
            written(one, bucket, tenant)
            for one in resources[f"{logical}Policy"]["Properties"]["PolicyDocument"]["Statement"]
            # The local AWS is reached without TLS.
            if one.get("Sid") not in (None, "NothingWithoutATenant", *less)
        ]
        document = {"Version": "2012-10-17", "Statement": statements}
        client("s3", settings).put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))


def may(call, **arguments):
    try:
        call(**arguments)
    except ClientError as err:
        if err.response["Error"]["Code"] not in ("AccessDenied", "403"):
            raise
        return False
    return True


def reached(s3, settings):
    """What of each bucket somebody reads, writes over and lists."""
    found = set()
    for short, bucket in (("calls", settings.calls.bucket), ("results", settings.calls.results_bucket)):
        for tenant in (ACME, BRAND):
            key = f"{tenant}/x.json"
            tries = {
                "read": may(s3.get_object, Bucket=bucket, Key=key),
                "write": may(s3.put_object, Bucket=bucket, Key=key, Body=b"{}", Tagging=f"tenant_id={tenant}"),
                "list": may(s3.list_objects_v2, Bucket=bucket, Prefix=f"{tenant}/"),
            }
            found |= {f"{what} {short} {tenant}" for what, done in tries.items() if done}
        if may(s3.list_objects_v2, Bucket=bucket):
            found.add(f"list {short}")
    return found


ALL = {f"{what} {where} {tenant}" for what in ("read", "write", "list") for where in ("calls", "results")
       for tenant in (ACME, BRAND)} | {"list calls", "list results"}  # fmt: skip


@pytest.mark.parametrize("tenant", [ACME, BRAND])
@pytest.mark.acceptance("tenant-02")
def test_a_tenants_people_reach_their_own_objects_and_no_others(enforcing, person, tenant):
    wall_off(enforcing, tenant)
    assert reached(person(tenant, EVERYTHING), enforcing) == {one for one in ALL if one.endswith(tenant)}


def test_whoever_is_bound_to_no_tenant_is_not_walled_off(enforcing, person):
    wall_off(enforcing, ACME)
    assert reached(person(None, EVERYTHING), enforcing) == ALL


def test_an_object_under_the_own_prefix_with_anothers_tag_or_none_is_not_read(enforcing, person):
    wall_off(enforcing, ACME)
    s3, bucket = person(ACME, EVERYTHING), enforcing.calls.results_bucket
    assert may(s3.get_object, Bucket=bucket, Key=f"{ACME}/x.json")
    for name in ("wrong", "bare"):
        assert not may(s3.get_object, Bucket=bucket, Key=f"{ACME}/{name}.json"), name


@pytest.mark.parametrize(
    ("without", "opens"),
    [
        ("OnlyObjectsOfItsTenant", {"read calls brand", "write calls brand", "write results brand"}),
        ("OnlyNamesOfItsTenant", {"list calls brand", "list results brand", "list calls", "list results"}),
    ],
)
def test_each_wall_holds_something_that_no_other_holds(enforcing, person, without, opens):
    wall_off(enforcing, ACME, less=[without])
    assert reached(person(ACME, EVERYTHING), enforcing) == {one for one in ALL if one.endswith(ACME)} | opens


def test_the_wall_of_tags_holds_something_that_no_other_holds(enforcing, person):
    wall_off(enforcing, ACME, less=["OnlyTagsOfItsTenant"])
    s3, bucket = person(ACME, EVERYTHING), enforcing.calls.results_bucket
    assert may(s3.get_object, Bucket=bucket, Key=f"{ACME}/wrong.json")


def test_the_readers_role_lets_them_read_and_list_results_and_nothing_else(enforcing, person):
    resources = json.loads((TEMPLATES / "omni-service.json").read_text(encoding="utf-8"))["Resources"]
    statements = [
        written(one, enforcing.calls.results_bucket, ACME)
        for logical, policy in resources.items()
        if logical.startswith("TenantReaders") and policy["Type"] == "AWS::IAM::Policy"
        for one in policy["Properties"]["PolicyDocument"]["Statement"]
        if one["Action"].startswith("s3:")
    ]
    wall_off(enforcing, ACME)
    assert reached(person(ACME, statements), enforcing) == {"read results acme", "list results acme"}
