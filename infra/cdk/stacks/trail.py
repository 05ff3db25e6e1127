"""Who read or wrote which object: CloudTrail's data events of the buckets that hold customers' words."""

import aws_cdk as cdk
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct
from environments import Environment
from stacks.data import DataStack


class ObjectTrail(Construct):
    """Reads and writes of objects only: what is done to the account itself belongs to the account's own trail."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        buckets: dict[str, str],
        *,
        of: str,
        context: Environment,
        data: DataStack,
        key: kms.IKey,
    ) -> None:
        """``buckets`` are ARNs, ``of`` ends the trail's name; ``key`` encrypts its files, kept as long as recordings are."""
        super().__init__(scope, name)
        bucket = s3.Bucket(
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
            server_access_logs_prefix="trail/",
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(context.retention.archive_days))],
            removal_policy=cdk.RemovalPolicy.RETAIN if context.keep_data else cdk.RemovalPolicy.DESTROY,
        )
        trail = cloudtrail.Trail(
            self,
            "Trail",
            trail_name=f"omni-{context.stage}-{of}",
            bucket=bucket,
            encryption_key=key,
            enable_file_validation=True,
            include_global_service_events=False,
            is_multi_region_trail=False,
            management_events=cloudtrail.ReadWriteType.NONE,
        )
        selected = [
            cloudtrail.S3EventSelector(bucket=s3.Bucket.from_bucket_arn(self, f"Of{one}", arn))
            for one, arn in buckets.items()
        ]
        trail.add_s3_event_selector(
            selected, read_write_type=cloudtrail.ReadWriteType.ALL, include_management_events=False
        )
