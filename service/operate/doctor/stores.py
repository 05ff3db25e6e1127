"""Compares tables, queues, buckets and keys with ``service/kit/aws/stores.py``; each problem comes with what to do."""

from collections.abc import Iterator
from typing import Any

from service.kit.aws.stores import BucketShape, QueueShape, TableShape

Problems = Iterator[tuple[str, str]]
_DEPLOY = "deploy the data stack; locally: omni up"


def check_table(dynamodb: Any, shape: TableShape, name: str, *, recoverable: bool) -> Problems:
    """Yield what is wrong with a table: keys, indexes, expiry; if it must be ``recoverable``, to any point in time."""
    try:
        found = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        yield "it does not exist", f"{_DEPLOY}; or set OMNI_{shape.setting.upper()}"
        return
    wanted = shape.definition(name)
    if found["KeySchema"] != wanted["KeySchema"]:
        yield "it has other keys", f"set OMNI_{shape.setting.upper()} to the right table"
        return
    present = {index["IndexName"]: index["KeySchema"] for index in found.get("GlobalSecondaryIndexes", [])}
    for index in wanted.get("GlobalSecondaryIndexes", []):
        if index["IndexName"] not in present:
            yield f"index {index['IndexName']} is missing", _DEPLOY
        elif present[index["IndexName"]] != index["KeySchema"]:
            yield f"index {index['IndexName']} has other keys", _DEPLOY
    if shape.expires:
        ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if ttl.get("AttributeName") != shape.expires or ttl["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
            yield f"nothing expires by {shape.expires}", "set its time to live: rows would be kept for ever"
    if shape.owned and recoverable:
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        if backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
            yield "it cannot be restored to a point in time", "aws dynamodb update-continuous-backups"


def check_queue(sqs: Any, shape: QueueShape, name: str) -> Problems:
    """Yield what is wrong with a queue: its existence, and where messages go that no reader can handle."""
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        yield "it does not exist", f"{_DEPLOY}; or set OMNI_{shape.setting.upper()}"
        return
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    if not attributes.get("RedrivePolicy"):
        yield "it has no dead-letter queue", "one bad message would be read for ever: deploy the data stack"


def check_bucket(s3: Any, shape: BucketShape, name: str, *, encrypted: bool) -> Problems:
    """Yield what is wrong with a bucket: public access, missing announcements; if it must be ``encrypted``, no key of its own."""
    from botocore.exceptions import ClientError

    try:
        s3.head_bucket(Bucket=name)
    except ClientError as err:
        if err.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        yield "it does not exist", f"{_DEPLOY}; or set OMNI_{shape.setting.upper()}"
        return
    try:
        block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    except ClientError as err:
        if err.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
            raise
        block = {}
    if not block or not all(block.values()):
        yield "it may be made public", "block all public access: aws s3api put-public-access-block"
    if encrypted:
        rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        if not any(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"].startswith("aws:kms") for rule in rules):
            yield (
                "its objects are not encrypted with a key of KMS",
                f"{_DEPLOY}; objects that lie there keep what they have",
            )
    told = s3.get_bucket_notification_configuration(Bucket=name).get("QueueConfigurations", [])
    prefixes = {
        "".join(rule["Value"] for rule in one.get("Filter", {}).get("Key", {}).get("FilterRules", [])) for one in told
    }
    if missing := sorted(set(shape.announced) - prefixes):
        yield f"it does not announce {', '.join(one or 'its objects' for one in missing)}", _DEPLOY


def check_key(kms: Any, alias: str) -> Problems:
    """Yield what is wrong with a KMS key: missing, disabled, or waiting for its deletion."""
    try:
        state = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyState"]
    except kms.exceptions.NotFoundException:
        yield "it does not exist", "deploy the data stack, or correct the alias"
        return
    if state != "Enabled":
        yield f"its state is {state}", "aws kms cancel-key-deletion, then enable-key"
