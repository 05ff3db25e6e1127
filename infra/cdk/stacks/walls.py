"""Walls between tenants in AWS: what nobody who is bound to a tenant, by a tag, can reach, whatever their role allows.

The service and the worker serve all tenants with one role each and have no such tag: their walls are in the code, and a tenant's
objects carry its tag and its encryption context so that these statements have something to compare.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from service.calls.keys import JOB_OUTPUT, TENANT_TAG

BOUND = f"aws:PrincipalTag/{TENANT_TAG}"
ITS_TENANT = f"${{{BOUND}}}"
_IS_BOUND = {"Null": {BOUND: "false"}}
_CONTEXT = f"kms:EncryptionContext:{TENANT_TAG}"
_LISTS = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
_READS = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectVersionTagging")


def prefix_walls(bucket: str) -> list[iam.PolicyStatement]:
    """Deny whoever is bound to a tenant all objects under other prefixes, and to list them; ``bucket`` is an ARN."""
    return [
        _deny(
            "OnlyObjectsOfItsTenant",
            ["s3:*"],
            not_resources=[bucket, f"{bucket}/{ITS_TENANT}/*"],
            conditions=_IS_BOUND,
        ),
        _deny(
            "OnlyNamesOfItsTenant",
            _LISTS,
            resources=[bucket],
            conditions={**_IS_BOUND, "StringNotLike": {"s3:prefix": f"{ITS_TENANT}/*"}},
        ),
    ]


def tag_walls(bucket: str) -> list[iam.PolicyStatement]:
    """Deny whoever is bound to a tenant to read what does not carry its tag, and everybody to write without a tenant's tag.

    Amazon Transcribe writes below ``tmp/`` and tags nothing; the worker checks the tags of its jobs.
    """
    return [
        _deny(
            "OnlyTagsOfItsTenant",
            _READS,
            resources=[f"{bucket}/*"],
            conditions={**_IS_BOUND, "StringNotEquals": {f"s3:ExistingObjectTag/{TENANT_TAG}": ITS_TENANT}},
        ),
        _deny(
            "NothingWithoutATenant",
            ["s3:PutObject"],
            not_resources=[bucket, f"{bucket}/{JOB_OUTPUT}/*"],
            conditions={"Null": {f"s3:RequestObjectTag/{TENANT_TAG}": "true"}},
        ),
    ]


def key_wall(bucket: str) -> iam.PolicyStatement:
    """Deny whoever is bound to a tenant to open objects of ``bucket`` that were not encrypted for it."""
    return _deny(
        "OnlyOpensWhatIsItsTenants",
        ["kms:Decrypt"],
        resources=["*"],
        conditions={
            **_IS_BOUND,
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
            "StringNotEquals": {_CONTEXT: ITS_TENANT},
        },
    )


def only_for_a_tenant(bucket: str, key: str) -> iam.PolicyStatement:
    """Deny a role of all tenants to encrypt an object of ``bucket`` without saying for which of them."""
    return iam.PolicyStatement(
        effect=iam.Effect.DENY,
        actions=["kms:GenerateDataKey"],
        resources=[key],
        conditions={
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
            "Null": {_CONTEXT: "true"},
        },
    )


def tenant_readers(stack: cdk.Stack, *, bucket: str, key: str) -> iam.Role:
    """Make the role in which a tenant's people read its results: whoever takes it is bound to the tenant of their own tag."""
    people = iam.AccountRootPrincipal().with_conditions(
        {
            "Bool": {"aws:MultiFactorAuthPresent": "true"},
            "StringEquals": {f"aws:RequestTag/{TENANT_TAG}": ITS_TENANT},
            "ForAllValues:StringEquals": {"aws:TagKeys": [TENANT_TAG]},
        }
    )
    role = iam.Role(
        stack,
        "TenantReaders",
        description="reads the results of the caller's own tenant; no task has it",
        assumed_by=people.with_session_tags(),
        max_session_duration=cdk.Duration.hours(1),
    )
    for statement in (
        iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{bucket}/{ITS_TENANT}/*"]),
        iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[bucket],
            conditions={"StringLike": {"s3:prefix": f"{ITS_TENANT}/*"}},
        ),
        iam.PolicyStatement(
            actions=["kms:Decrypt"], resources=[key], conditions={"StringEquals": {_CONTEXT: ITS_TENANT}}
        ),
    ):
        role.add_to_policy(statement)
    return role


def _deny(
    sid: str,
    actions: list[str] | tuple[str, ...],
    *,
    conditions: dict[str, dict[str, object]],
    resources: list[str] | None = None,
    not_resources: list[str] | None = None,
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=list(actions),
        resources=resources,
        not_resources=not_resources,
        conditions=conditions,
    )
