"""The local AWS gets its tables, buckets, queues and keys from the template that AWS gets; what is there is kept."""

import pytest

from service.kit.aws.clients import client
from service.kit.aws.stores import BUCKETS, KMS_KEYS, QUEUES, TABLES
from service.kit.frame.errors import ConfigurationError
from service.local.stores.deploy import deploy_stores
from service.local.stores.template import StoreTemplate

NAMES = {
    "summaries_table": "Stores-summaries",
    "calls_table": "Stores-calls",
    "archive_bucket": "stores-archive",
    "events_queue": "stores-events",
}


@pytest.fixture
def settings(local_aws):
    return local_aws(**NAMES)


@pytest.mark.acceptance("operation-22")
def test_every_store_stands_with_its_keys_indexes_and_expiry(settings):
    deploy_stores(settings)
    names, dynamodb = settings.flat(), client("dynamodb", settings)
    for shape in TABLES:
        found = dynamodb.describe_table(TableName=names[shape.setting])["Table"]
        wanted = shape.definition(names[shape.setting])
        assert found["KeySchema"] == wanted["KeySchema"]
        indexes = {index["IndexName"]: index for index in found.get("GlobalSecondaryIndexes", [])}
        for index in wanted.get("GlobalSecondaryIndexes", []):
            assert indexes[index["IndexName"]]["KeySchema"] == index["KeySchema"]
            assert indexes[index["IndexName"]]["Projection"] == index["Projection"]
        lives = dynamodb.describe_time_to_live(TableName=names[shape.setting])["TimeToLiveDescription"]
        assert lives.get("AttributeName", "") == shape.expires
    buckets = {bucket["Name"] for bucket in client("s3", settings).list_buckets()["Buckets"]}
    assert {names[shape.setting] for shape in BUCKETS} <= buckets
    sqs = client("sqs", settings)
    for shape in QUEUES:
        url = sqs.get_queue_url(QueueName=names[shape.setting])["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert f"{names[shape.setting]}-aside" in attributes["RedrivePolicy"]
        assert f'"maxReceiveCount":{shape.most_received}' in attributes["RedrivePolicy"].replace(" ", "")
        assert attributes["MessageRetentionPeriod"] == str(shape.kept_s)
    for shape in KMS_KEYS:
        assert client("kms", settings).describe_key(KeyId=names[shape.setting])["KeyMetadata"]["Enabled"]


@pytest.mark.acceptance("operation-18")
def test_a_second_deployment_makes_nothing_and_keeps_the_content(settings):
    deploy_stores(settings)
    dynamodb = client("dynamodb", settings)
    dynamodb.put_item(TableName="Stores-summaries", Item={"unique_process_id": {"S": "kept"}})
    assert deploy_stores(settings) is False
    assert dynamodb.scan(TableName="Stores-summaries")["Count"] == 1


def test_a_lost_store_is_made_again_beside_the_others(settings):
    deploy_stores(settings)
    dynamodb, sqs = client("dynamodb", settings), client("sqs", settings)
    dynamodb.put_item(TableName="Stores-summaries", Item={"unique_process_id": {"S": "kept"}})
    dynamodb.delete_table(TableName="Stores-calls")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="stores-events")["QueueUrl"])
    assert deploy_stores(settings) is True
    assert dynamodb.scan(TableName="Stores-summaries")["Count"] == 1
    assert dynamodb.describe_table(TableName="Stores-calls")["Table"]["TableStatus"] == "ACTIVE"
    assert sqs.get_queue_url(QueueName="stores-events")


def test_new_objects_are_announced_also_by_a_bucket_that_did_not(settings):
    deploy_stores(settings)
    s3, sqs = client("s3", settings), client("sqs", settings)
    s3.put_bucket_notification_configuration(Bucket="stores-archive", NotificationConfiguration={})
    deploy_stores(settings)
    url = sqs.get_queue_url(QueueName="stores-events")["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)
    for key in ("omni-channel/answers/a.json", "omni-shadow/not-announced.json"):
        s3.put_object(Bucket="stores-archive", Key=key, Body=b"{}")
    bodies = [message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    assert len(bodies) == 1
    assert "omni-channel/answers/a.json" in bodies[0]


def test_a_table_with_other_keys_is_refused_by_the_name_of_its_setting(settings):
    client("dynamodb", settings).create_table(
        TableName="other-keys",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(ConfigurationError, match=r"'other-keys' exists with other keys.*OMNI_OUTBOX_TABLE"):
        deploy_stores(settings.model_copy(update={"outbox_table": "other-keys"}))


def test_a_missing_template_is_named(settings, tmp_path):
    with pytest.raises(ConfigurationError, match=r"template of the local stores, .*nowhere\.json"):
        StoreTemplate(settings, file=tmp_path / "nowhere.json")
