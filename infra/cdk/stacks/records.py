"""Where Amazon Connect keeps recordings, transcripts and contact records: one bucket, and a delivery stream into it."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct
from environments import Environment
from stacks.data import DataStack
from stacks.logs import log_group

_CONTACT_RECORDS = "contact-trace-records"


class ContactRecords(Construct):
    """``store`` connects one kind of record with its place in ``bucket``."""

    def __init__(self, scope: Construct, name: str, *, context: Environment, data: DataStack, key: kms.IKey) -> None:
        """Make bucket and stream; recordings go to Glacier, and all of it is deleted, by ``context``."""
        super().__init__(scope, name)
        self._key = key
        keeps = context.retention
        glacier = s3.Transition(
            storage_class=s3.StorageClass.GLACIER, transition_after=cdk.Duration.days(keeps.glacier_after_days)
        )
        rules = [
            s3.LifecycleRule(
                id=prefix, prefix=f"{prefix}/", transitions=[glacier], expiration=cdk.Duration.days(keeps.archive_days),
                noncurrent_version_expiration=cdk.Duration.days(30),
            )
            for prefix in ("call-recordings", "chat-transcripts")
        ]  # fmt: skip
        rules.append(
            s3.LifecycleRule(
                id=_CONTACT_RECORDS, prefix=f"{_CONTACT_RECORDS}/", expiration=cdk.Duration.days(keeps.contact_days)
            )
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=s3.Bucket.from_bucket_name(self, "AccessLogs", data.access_logs.ref),
            server_access_logs_prefix="records/",
            lifecycle_rules=rules,
            removal_policy=cdk.RemovalPolicy.RETAIN if context.keep_data else cdk.RemovalPolicy.DESTROY,
        )
        self._stream = self._delivery(context)

    def _delivery(self, context: Environment) -> firehose.CfnDeliveryStream:
        role = iam.Role(self, "Delivery", assumed_by=iam.ServicePrincipal("firehose.amazonaws.com"))
        arn = self.bucket.bucket_arn
        log = log_group(self, "DeliveryLog", "/omni/contact-records", context, self._key)
        stream = log.add_stream("Delivery")
        for actions, resources in (
            (["s3:PutObject"], [f"{arn}/{_CONTACT_RECORDS}/*"]),
            (["s3:ListBucket", "s3:GetBucketLocation"], [arn]),
            (["kms:Decrypt", "kms:GenerateDataKey"], [self._key.key_arn]),
            (["logs:PutLogEvents"], [log.log_group_arn]),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        return firehose.CfnDeliveryStream(
            self,
            "Stream",
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input={
                "keyType": "CUSTOMER_MANAGED_CMK",
                "keyArn": self._key.key_arn,
            },
            extended_s3_destination_configuration={
                "bucketArn": arn,
                "roleArn": role.role_arn,
                "prefix": f"{_CONTACT_RECORDS}/",
                "errorOutputPrefix": f"{_CONTACT_RECORDS}/failed/",
                "encryptionConfiguration": {"kmsEncryptionConfig": {"awskmsKeyArn": self._key.key_arn}},
                "cloudWatchLoggingOptions": {
                    "enabled": True,
                    "logGroupName": log.log_group_name,
                    "logStreamName": stream.log_stream_name,
                },
            },
        )

    def store(self, logical: str, instance: str, call: dict[str, Any]) -> None:
        """Make what a call of AssociateInstanceStorageConfig asks for."""
        config = call["StorageConfig"]
        properties: dict[str, Any] = {
            "InstanceArn": instance,
            "ResourceType": call["ResourceType"],
            "StorageType": config["StorageType"],
        }
        if config["StorageType"] == "S3":
            properties["S3Config"] = {
                "BucketName": self.bucket.bucket_name,
                "BucketPrefix": config["S3Config"]["BucketPrefix"],
                "EncryptionConfig": {"EncryptionType": "KMS", "KeyId": self._key.key_arn},
            }
        else:
            properties["KinesisFirehoseConfig"] = {"FirehoseArn": self._stream.attr_arn}
        cdk.CfnResource(self, logical, type="AWS::Connect::InstanceStorageConfig", properties=properties)
