"""The data stack: tables, buckets, queues and keys, from ``service/kit/aws/stores.py``; the local AWS gets the same template."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct
from environments import Environment
from stacks.naming import pascal
from stacks.walls import key_wall, prefix_walls, tag_walls

from service.kit.aws import stores
from service.kit.aws.stores import BucketShape, KeyShape, QueueShape, TableShape
from service.kit.settings import setting_places

INTERACTIONS_OURS = "InteractionsAreOurs"


class DataStack(cdk.Stack):
    """Every store; other stacks take ``tables``, ``buckets``, ``queues`` and ``seals`` by the setting that holds the name."""

    def __init__(self, scope: Construct, name: str, context: Environment, **props: Any) -> None:
        """``context`` says how long data lives and whether it outlives the stack."""
        super().__init__(scope, name, **props)
        self._context = context
        self.stage = context.stage
        self._removal = cdk.RemovalPolicy.RETAIN if context.keep_data else cdk.RemovalPolicy.DESTROY
        self._suffix = cdk.CfnParameter(
            self, "BucketSuffix", default=context.bucket_suffix, description="ends every bucket's name"
        ).value_as_string
        self.key = self._data_key()
        self.tables = {shape.setting: self._table(shape) for shape in stores.TABLES}
        self.dead_letters: dict[str, sqs.CfnQueue] = {}
        self.queues = {shape.setting: self._queue(shape) for shape in stores.QUEUES}
        self.access_logs = self._log_bucket()
        self.buckets = {shape.setting: self._bucket(shape) for shape in stores.BUCKETS}
        self.seals = {shape.setting: self._seal(shape) for shape in stores.KMS_KEYS}

    def key_for(self, scope: Construct) -> kms.IKey:
        """Return the data key for another stack, whose roles get their rights in their own policies: the key knows no role."""
        return kms.Key.from_key_arn(scope, "DataKey", self.key.key_arn)

    def _name(self, setting: str) -> str:
        default = setting_places()[setting][2].default
        return cdk.CfnParameter(self, f"{pascal(setting)}Name", default=default).value_as_string

    def _data_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "DataKey",
            alias="alias/omni-data",
            description="encrypts tables, buckets and queues",
            enable_key_rotation=True,
            removal_policy=self._removal,
        )
        key.add_to_resource_policy(
            # S3 and EventBridge write to encrypted queues; CloudWatch's alarms and budgets notify encrypted topics.
            iam.PolicyStatement(
                principals=[
                    iam.ServicePrincipal(f"{name}.amazonaws.com") for name in ("s3", "events", "cloudwatch", "budgets")
                ],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"logs.{self.region}.amazonaws.com")],
                actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey"],
                resources=["*"],
                conditions={
                    "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{self.region}:{self.account}:*"}
                },
            )
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudtrail.amazonaws.com")],
                actions=["kms:DescribeKey", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        # By its name: the bucket itself refers to the key.
        key.add_to_resource_policy(key_wall(f"arn:{self.partition}:s3:::{self._bucket_name(stores.CALLS_RESULTS)}"))
        return key

    def _table(self, shape: TableShape) -> dynamodb.CfnTable:
        made = shape.definition(self._name(shape.setting))
        ttl = {"attributeName": shape.expires, "enabled": True} if shape.expires else None
        table = dynamodb.CfnTable(
            self,
            pascal(shape.setting),
            table_name=made["TableName"],
            billing_mode=made["BillingMode"],
            key_schema=_camel(made["KeySchema"]),
            attribute_definitions=_camel(made["AttributeDefinitions"]),
            global_secondary_indexes=_camel(made.get("GlobalSecondaryIndexes")),
            time_to_live_specification=ttl,
            point_in_time_recovery_specification={"pointInTimeRecoveryEnabled": True},
            sse_specification={"sseEnabled": True, "sseType": "KMS", "kmsMasterKeyId": self.key.key_arn},
            contributor_insights_specification={"enabled": True},
            deletion_protection_enabled=self._context.keep_data,
        )
        table.apply_removal_policy(self._removal)
        if not shape.owned:
            ours = cdk.CfnParameter(self, INTERACTIONS_OURS, default="false", allowed_values=["true", "false"])
            table.cfn_options.condition = cdk.CfnCondition(
                self, "MakesInteractions", expression=cdk.Fn.condition_equals(ours.value_as_string, "true")
            )
        return table

    def _queue(self, shape: QueueShape) -> sqs.CfnQueue:
        name, logical = self._name(shape.setting), pascal(shape.setting)
        common: dict[str, Any] = {
            "kms_master_key_id": self.key.key_arn,
            "kms_data_key_reuse_period_seconds": 3600,
            "message_retention_period": shape.kept_s,
        }
        aside = sqs.CfnQueue(self, f"{logical}Aside", queue_name=f"{name}-aside", **common)
        redrive = {"deadLetterTargetArn": aside.attr_arn, "maxReceiveCount": shape.most_received}
        queue = sqs.CfnQueue(self, logical, queue_name=name, redrive_policy=redrive, **common)
        self.dead_letters[shape.setting] = aside
        for made in (aside, queue):
            made.apply_removal_policy(self._removal)
        self._queue_policy(f"{logical}AsidePolicy", aside, [])
        buckets = [bucket for bucket in stores.BUCKETS if bucket.queue is shape]
        self._queue_policy(f"{logical}Policy", queue, buckets, hears_jobs=shape is stores.CALLS_QUEUE)
        return queue

    def _queue_policy(
        self, logical: str, queue: sqs.CfnQueue, announced_by: list[BucketShape], *, hears_jobs: bool = False
    ) -> None:
        statements = [_tls_only("sqs:*", [queue.attr_arn])]
        statements += [
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.attr_arn],
                conditions={
                    "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{self._bucket_name(bucket)}"},
                    "StringEquals": {"aws:SourceAccount": self.account},
                },
            )
            for bucket in announced_by
        ]
        if hears_jobs:
            statements.append(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[queue.attr_arn],
                    conditions={
                        "ArnLike": {"aws:SourceArn": self.format_arn(service="events", resource="rule/*")},
                        "StringEquals": {"aws:SourceAccount": self.account},
                    },
                )
            )
        sqs.CfnQueuePolicy(self, logical, queues=[queue.ref], policy_document=iam.PolicyDocument(statements=statements))

    def _bucket_name(self, shape: BucketShape) -> str:
        given = self.node.try_find_child(f"{pascal(shape.setting)}Name")
        name = given.value_as_string if isinstance(given, cdk.CfnParameter) else self._name(shape.setting)
        return f"{name}{self._suffix}"

    def _log_name(self) -> str:
        return cdk.CfnParameter(self, "AccessLogsBucketName", default="omni-access-logs").value_as_string

    def _log_bucket(self) -> s3.CfnBucket:
        bucket = s3.CfnBucket(
            self,
            "AccessLogs",
            bucket_name=f"{self._log_name()}{self._suffix}",
            # S3 delivers access logs into buckets with its own key only.
            bucket_encryption=_encrypted("AES256", None),
            public_access_block_configuration=_CLOSED,
            ownership_controls={"rules": [{"objectOwnership": "BucketOwnerEnforced"}]},
            lifecycle_configuration={"rules": [_expiry("old", "", self._context.retention.logs_days)]},
        )
        bucket.apply_removal_policy(self._removal)
        logs = iam.PolicyStatement(
            principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
            actions=["s3:PutObject"],
            resources=[f"{bucket.attr_arn}/*"],
            conditions={"StringEquals": {"aws:SourceAccount": self.account}},
        )
        self._bucket_policy("AccessLogsPolicy", bucket, [logs])
        return bucket

    def _bucket(self, shape: BucketShape) -> s3.CfnBucket:
        logical = pascal(shape.setting)
        told = None
        if shape.queue is not None:
            told = {"queueConfigurations": [_announced(self.queues[shape.queue.setting], at) for at in shape.announced]}
        bucket = s3.CfnBucket(
            self,
            logical,
            bucket_name=self._bucket_name(shape),
            bucket_encryption=_encrypted("aws:kms", self.key.key_arn),
            public_access_block_configuration=_CLOSED,
            ownership_controls={"rules": [{"objectOwnership": "BucketOwnerEnforced"}]},
            versioning_configuration={"status": "Enabled"},
            logging_configuration={
                "destinationBucketName": self.access_logs.ref,
                "logFilePrefix": f"{shape.setting}/",
            },
            notification_configuration=told,
            lifecycle_configuration={"rules": self._lifecycle(shape)},
        )
        bucket.apply_removal_policy(self._removal)
        if shape.queue is not None:  # S3 tries the queue when the bucket is made: it must accept by then
            bucket.add_resource_dependency(self.node.find_child(f"{pascal(shape.queue.setting)}Policy"))
        self._bucket_policy(f"{logical}Policy", bucket, _walls(shape, bucket.attr_arn))
        return bucket

    def _bucket_policy(self, logical: str, bucket: s3.CfnBucket, more: list[iam.PolicyStatement]) -> None:
        statements = [_tls_only("s3:*", [bucket.attr_arn, f"{bucket.attr_arn}/*"]), *more]
        s3.CfnBucketPolicy(self, logical, bucket=bucket.ref, policy_document=iam.PolicyDocument(statements=statements))

    def _lifecycle(self, shape: BucketShape) -> list[dict[str, Any]]:
        keeps = self._context.retention
        broken = {
            "id": "broken-uploads",
            "status": "Enabled",
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1},
        }
        if shape is stores.CALLS_INPUT:
            return [_expiry("inputs", "", keeps.calls_days), broken]
        if shape is stores.CALLS_RESULTS:
            # Transcriptions are copied from there, redacted, as soon as they are complete.
            return [
                _expiry("results", "", keeps.results_days),
                _expiry("transcriptions", "tmp/", keeps.calls_days),
                broken,
            ]
        return [
            _expiry("shadow-answers", "omni-shadow/", keeps.shadow_days),
            _expiry("dead-letters", "omni-channel/dead/", keeps.results_days),
            _expiry("customer-quarantine", "omni-channel/customer-quarantine/", keeps.results_days),
            _expiry("warehouse-staging", "omni-channel/warehouse-staging/", keeps.staging_days),
            {
                **_expiry("answers", "omni-channel/", keeps.archive_days),
                "transitions": [{"storageClass": "GLACIER_IR", "transitionInDays": keeps.glacier_after_days}],
            },
            broken,
        ]

    def _seal(self, shape: KeyShape) -> kms.Key:
        return kms.Key(
            self,
            pascal(shape.setting),
            alias=self._name(shape.setting),
            description=f"seals {shape.seals}",
            enable_key_rotation=True,
            removal_policy=self._removal,
        )


_CLOSED = {"blockPublicAcls": True, "blockPublicPolicy": True, "ignorePublicAcls": True, "restrictPublicBuckets": True}


def _walls(shape: BucketShape, arn: str) -> list[iam.PolicyStatement]:
    if shape is stores.CALLS_INPUT:
        return prefix_walls(arn)
    return [*prefix_walls(arn), *tag_walls(arn)] if shape is stores.CALLS_RESULTS else []


def _encrypted(algorithm: str, key: str | None) -> dict[str, Any]:
    default = {"sseAlgorithm": algorithm} | ({"kmsMasterKeyId": key} if key else {})
    rule = {"serverSideEncryptionByDefault": default} | ({"bucketKeyEnabled": True} if key else {})
    return {"serverSideEncryptionConfiguration": [rule]}


def _expiry(name: str, prefix: str, days: int) -> dict[str, Any]:
    old = {"noncurrentDays": min(days, 30)}
    rule: dict[str, Any] = {"id": name, "status": "Enabled", "expirationInDays": days}
    return rule | {"noncurrentVersionExpiration": old} | ({"prefix": prefix} if prefix else {})


def _announced(queue: sqs.CfnQueue, prefix: str) -> dict[str, Any]:
    told: dict[str, Any] = {"event": "s3:ObjectCreated:*", "queue": queue.attr_arn}
    return told | ({"filter": {"s3Key": {"rules": [{"name": "prefix", "value": prefix}]}}} if prefix else {})


def _tls_only(actions: str, resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=[actions],
        resources=resources,
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )


def _camel(value: Any) -> Any:
    """CreateTable's argument as CDK takes it."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _camel(item) for key, item in value.items()}
    return value
