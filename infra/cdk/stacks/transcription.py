"""What Amazon Transcribe needs for calls: a role that reads recordings, a topic for jobs that fail, a rule for jobs that end."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct
from stacks.data import DataStack

from service.calls.keys import JOB_PREFIX


class Transcription(Construct):
    """``environment`` are the settings of the worker that starts the jobs, ``rights`` what it needs for that."""

    def __init__(self, scope: Construct, name: str, *, data: DataStack, key: kms.IKey) -> None:
        """``key`` encrypts recordings, transcripts and the topic."""
        super().__init__(scope, name)
        stack = cdk.Stack.of(self)
        role = iam.Role(
            self,
            "Reader",
            assumed_by=iam.ServicePrincipal(
                "transcribe.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        calls, results = data.buckets["calls_bucket"].attr_arn, data.buckets["results_bucket"].attr_arn
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{calls}/*"]))
        role.add_to_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=[f"{results}/*"]))
        role.add_to_policy(iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.key_arn]))
        topic = sns.Topic(self, "FailedJobs", master_key=key, enforce_ssl=True)
        # The worker knows its own jobs by their names; their end wakes the call that waits for it.
        events.CfnRule(
            self,
            "EndedJobs",
            description="tells the calls worker of transcriptions that ended",
            event_pattern={
                "source": ["aws.transcribe"],
                "detail-type": ["Transcribe Job State Change"],
                "detail": {
                    "TranscriptionJobStatus": ["COMPLETED", "FAILED"],
                    "TranscriptionJobName": [{"prefix": JOB_PREFIX}],
                },
            },
            targets=[{"id": "calls", "arn": data.queues["calls_queue"].attr_arn}],
        )
        self.environment = {
            "OMNI_TRANSCRIBE_ROLE": role.role_arn,
            "OMNI_CALLS_TOPIC": topic.topic_arn,
        }
        self.rights = [
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "transcribe.amazonaws.com"}},
            ),
            iam.PolicyStatement(actions=["sns:Publish"], resources=[topic.topic_arn]),
        ]
