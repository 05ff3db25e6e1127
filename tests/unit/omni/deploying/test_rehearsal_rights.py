"""Which requests to AWS a role's statements allow in the rehearsal."""

import json

import pytest

from omni.deploying.rehearsal.account import ACCOUNT, REGION
from omni.deploying.rehearsal.rights import AwsRequest, allows

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/omni-shared-state"
BUCKET = "arn:aws:s3:::omni-channel-insights-prod"


def allow(actions, resources, **condition):
    found = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return found | ({"Condition": condition} if condition else {})


def dynamodb(operation, **given):
    target = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    return AwsRequest(
        service="dynamodb", region=REGION, method="POST", target="/", headers=target, body=json.dumps(given).encode()
    )


def s3(method, target, body=b""):
    return AwsRequest(service="s3", region=REGION, method=method, target=target, headers={}, body=body)


def is_allowed(statements, request):
    needs = request.needs(ACCOUNT)
    assert needs
    return all(allows(statements, need) for need in needs)


def shared_item(partition):
    return {"TableName": "omni-shared-state", "Item": {"pk": {"S": partition}, "sk": {"S": "x"}}}


def test_a_table_its_index_and_each_part_of_a_transaction_need_their_action():
    may = [allow(["dynamodb:Query", "dynamodb:PutItem"], [TABLE])]
    assert is_allowed(may, dynamodb("Query", TableName="omni-shared-state"))
    assert not is_allowed(may, dynamodb("Query", TableName="omni-shared-state", IndexName="by-x"))
    assert not is_allowed(may, dynamodb("DeleteItem", TableName="omni-shared-state"))
    both = [{"Put": shared_item("a")}, {"Delete": {"TableName": "omni-shared-state", "Key": {"pk": {"S": "a"}}}}]
    assert not is_allowed(may, dynamodb("TransactWriteItems", TransactItems=both))
    assert is_allowed(may, dynamodb("TransactWriteItems", TransactItems=both[:1]))


def test_a_role_that_may_change_some_partitions_may_change_no_other():
    keys = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["prod/rollout/*"]}}
    may = [allow(["dynamodb:PutItem", "dynamodb:BatchWriteItem"], [TABLE], **keys)]
    assert is_allowed(may, dynamodb("PutItem", **shared_item("prod/rollout/summarize")))
    assert not is_allowed(may, dynamodb("PutItem", **shared_item("prod/access")))
    written = {
        "omni-shared-state": [
            {"PutRequest": {"Item": shared_item(name)["Item"]}} for name in ("prod/rollout/a", "prod/x")
        ]
    }
    assert not is_allowed(may, dynamodb("BatchWriteItem", RequestItems=written))


def test_objects_need_their_prefix_and_listing_its_own_right():
    may = [
        allow("s3:GetObject", f"{BUCKET}/omni-served/*"),
        allow("s3:ListBucket", BUCKET, StringLike={"s3:prefix": ["omni-served/*"]}),
    ]
    name = BUCKET.rpartition(":")[2]
    assert is_allowed(may, s3("GET", f"/{name}/omni-served/summarize.json"))
    assert is_allowed(may, s3("GET", f"/{name}?list-type=2&prefix=omni-served%2F"))
    for request in (
        s3("GET", f"/{name}/omni-channel/x.json"),
        s3("PUT", f"/{name}/omni-served/x.json"),
        s3("GET", f"/{name}?list-type=2&prefix="),
        s3("GET", f"/{name}?versions&prefix=omni-served%2F"),
        s3("POST", f"/{name}?delete", b"<Delete><Object><Key>omni-served/x</Key></Object></Delete>"),
    ):
        assert not is_allowed(may, request), request.target


@pytest.mark.parametrize("denied", [True, False])
def test_a_denial_wins(denied):
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": f"{BUCKET}/secret/*"}
    key = "secret" if denied else "open"
    assert is_allowed([allow("s3:*", "*"), deny], s3("GET", f"/{BUCKET.rpartition(':')[2]}/{key}/x")) is not denied


def test_secrets_and_keys_are_known_by_their_arn():
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    headers = {"x-amz-target": "TrentService.Decrypt"}
    body = json.dumps({"KeyId": arn}).encode()
    request = AwsRequest(service="kms", region=REGION, method="POST", target="/", headers=headers, body=body)
    assert is_allowed([allow("kms:Decrypt", arn)], request)
    assert not is_allowed([allow("kms:Decrypt", f"{arn}2")], request)
    assert not is_allowed([allow("kms:Encrypt", arn)], request)


def test_whoever_restores_a_table_writes_it():
    restored = TABLE.replace("shared-state", "restored")
    back = dynamodb("RestoreTableFromBackup", TargetTableName="omni-shared-state", BackupArn=f"{restored}/backup/0123")
    restores = allow("dynamodb:RestoreTableFromBackup", f"{restored}/backup/*")
    writes = allow(["dynamodb:*Item", "dynamodb:Query", "dynamodb:Scan"], TABLE)
    assert is_allowed([restores, writes], back)
    assert not is_allowed([restores], back)
    assert not is_allowed([writes], back)
    point = dynamodb("RestoreTableToPointInTime", SourceTableName="omni-shared-state", TargetTableName="omni-restored")
    assert not is_allowed([allow("dynamodb:*", TABLE)], point)
    assert is_allowed([allow("dynamodb:*", [TABLE, restored])], point)


def test_a_queue_may_be_named_by_its_arn():
    aside = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events-aside"
    move = AwsRequest(
        service="sqs", region=REGION, method="POST", target="/",
        headers={"x-amz-target": "AmazonSQS.StartMessageMoveTask"}, body=json.dumps({"SourceArn": aside}).encode(),
    )  # fmt: skip
    assert is_allowed([allow("sqs:StartMessageMoveTask", aside)], move)
    assert not is_allowed([allow("sqs:StartMessageMoveTask", f"{aside}-other")], move)
