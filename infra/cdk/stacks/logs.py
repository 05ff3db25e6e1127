"""Log groups: encrypted, and kept for as long as the environment says."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct
from environments import Environment

_DAYS = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
}


def log_group(scope: Construct, logical: str, name: str, context: Environment, key: kms.IKey) -> logs.LogGroup:
    """Make a log group that expires by ``context`` and that ``key`` encrypts."""
    return logs.LogGroup(
        scope,
        logical,
        log_group_name=name,
        retention=_DAYS[context.retention.logs_days],
        encryption_key=key,
        removal_policy=RemovalPolicy.RETAIN if context.keep_data else RemovalPolicy.DESTROY,
    )
