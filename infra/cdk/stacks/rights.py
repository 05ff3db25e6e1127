"""What each workload may do: statements over the data stack's stores, one role per workload, nothing shared."""

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from stacks.data import DataStack
from stacks.models import model_arns
from stacks.walls import only_for_a_tenant

from service.kit.aws.stores import TABLES
from service.privacy.erasure.places import inventory

READ = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:ConditionCheckItem")
CHANGE = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem")
SCAN = ("dynamodb:Scan",)
TAKE = (
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
)
RECORDS = "records_bucket"  # Amazon Connect's, of the assistant's stack, which gives the rights to it
OPEN, SEAL = ("kms:Decrypt", "kms:DescribeKey"), ("kms:Encrypt", "kms:DescribeKey")


class Rights:
    """Makes statements over the stores of ``data``."""

    def __init__(self, data: DataStack, workgroup: str) -> None:
        """``workgroup`` is the ARN of the warehouse's workgroup."""
        self._data = data
        self._workgroup = workgroup

    def table(self, setting: str, *actions: Iterable[str]) -> iam.PolicyStatement:
        """Allow ``actions`` on a table and its indexes."""
        table = self._data.tables[setting]
        arn = table.attr_arn if setting != "interactions_table" else self._interactions()
        (shape,) = (shape for shape in TABLES if shape.setting == setting)
        indexes = [f"{arn}/index/{index.name}" for index in shape.indexes]
        return _allow([action for group in actions for action in group], [arn, *indexes])

    def shared(self, *subjects: str) -> list[iam.PolicyStatement]:
        """Allow reading the table that the tasks share, and changing what it says of these ``subjects`` (its partitions)."""
        found = [self.table("shared_table", READ)]
        if subjects:
            # Every change is announced in one partition of its own.
            keys = [f"{self._data.stage}/{subject}" for subject in (*subjects, "changes")]
            arn = self._data.tables["shared_table"].attr_arn
            condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}
            found.append(iam.PolicyStatement(actions=list(CHANGE), resources=[arn], conditions=condition))
        return found

    def _interactions(self) -> str:
        # The table may belong to another system: then there is no resource to refer to.
        name = self._data.tables["interactions_table"].table_name
        return self._data.format_arn(service="dynamodb", resource="table", resource_name=name)

    def canary(self, account: str) -> iam.PolicyStatement:
        """Allow writing the history of one account that is no customer's."""
        return iam.PolicyStatement(
            actions=["dynamodb:BatchWriteItem"],
            resources=[self._interactions()],
            conditions={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [account]}},
        )

    def objects(self, setting: str, prefixes: Iterable[str], *actions: str) -> list[iam.PolicyStatement]:
        """Allow ``actions`` on the objects under ``prefixes``, and listing them."""
        arn, prefixes = self._data.buckets[setting].attr_arn, list(prefixes)
        listing = iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[arn],
            conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
        )
        return [listing, _allow(actions, [f"{arn}/{prefix}*" for prefix in prefixes])]

    def versions(self, setting: str, prefixes: Iterable[str], *, read: bool) -> list[iam.PolicyStatement]:
        """See ``erasing_objects``."""
        return erasing_objects(self._data.buckets[setting].attr_arn, prefixes, read=read)

    def exports(self) -> list[iam.PolicyStatement]:
        """Allow searching what can be one tenant's, for its export; deleting is the eraser's."""
        tables = [setting for setting, place in inventory().tables.items() if place.is_of_tenants]
        buckets = ("archive_bucket", "results_bucket", "calls_bucket")
        return [
            _allow(SCAN, [self._data.tables[setting].attr_arn for setting in tables]),
            _allow(("s3:ListBucketVersions",), [self._data.buckets[setting].attr_arn for setting in buckets]),
        ]

    def queue(self, setting: str) -> iam.PolicyStatement:
        """Allow reading a queue."""
        return _allow(TAKE, [self._data.queues[setting].attr_arn])

    def data_key(self) -> iam.PolicyStatement:
        """Allow what encrypted objects and queues need."""
        return _allow(("kms:Decrypt", "kms:GenerateDataKey"), [self._data.key.key_arn])

    def results(self) -> list[iam.PolicyStatement]:
        """Allow reading and writing the results of all tenants, each encrypted for its own."""
        actions = ("s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject")
        bucket = self._data.buckets["results_bucket"].attr_arn
        return [*self.objects("results_bucket", [""], *actions), only_for_a_tenant(bucket, self._data.key.key_arn)]

    def seal(self, setting: str, *actions: Iterable[str]) -> iam.PolicyStatement:
        """Allow ``actions`` with one of the keys that seal small secrets."""
        key: kms.Key = self._data.seals[setting]
        return _allow([action for group in actions for action in group], [key.key_arn])

    def models(self, stack: cdk.Stack) -> iam.PolicyStatement:
        """Allow calling the models that have a card."""
        actions = ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")
        return _allow(actions, model_arns(stack.partition, stack.region, stack.account))

    def redaction(self) -> iam.PolicyStatement:
        """Allow finding names, sentiment and key phrases in texts; Comprehend's detection has no resources."""
        return _allow(
            (
                *("comprehend:DetectPiiEntities", "comprehend:DetectEntities", "comprehend:DetectSentiment"),
                *("comprehend:BatchDetectSentiment", "comprehend:BatchDetectKeyPhrases"),
            ),
            ["*"],
        )

    def warehouse(self) -> list[iam.PolicyStatement]:
        """Allow SQL through Redshift's Data API; looking a statement up has no resource, only the statement's owner."""
        arn = self._workgroup
        return [
            _allow(("redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement"), [arn]),
            _allow(("redshift-serverless:GetCredentials",), [arn]),
            iam.PolicyStatement(
                actions=[
                    "redshift-data:DescribeStatement",
                    "redshift-data:GetStatementResult",
                    "redshift-data:CancelStatement",
                ],
                resources=["*"],
                conditions={"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}},
            ),
        ]


def service_rights(may: Rights, stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """The HTTP service with its writer process: answers, conversations, handovers, reviews of calls."""
    rows = (
        "summaries_table",
        "outbox_table",
        "answers_table",
        "messages_table",
        "handovers_table",
    )
    return [
        may.table("interactions_table", READ),
        *(may.table(setting, READ, CHANGE) for setting in rows),
        # Under `access` it suspends a tenant; a client or key that it wrote would not be sealed.
        *may.shared("access", "effects/*", "links", "release/*", "rollout/*", "tasks", "tenant-ledger"),
        # Of an earlier version, whose processes still write while a deployment runs: they have the same role.
        may.table("conversations_table", READ, CHANGE),
        may.table("outbox_table", SCAN),  # the writer looks for what a lost task left behind
        may.table("config_table", READ, CHANGE),
        may.table("callbacks_table", READ, ("dynamodb:PutItem",)),
        may.table("voicemails_table", READ, ("dynamodb:PutItem",)),
        may.table("findings_table", READ, ("dynamodb:PutItem",)),
        may.table("calls_table", READ, ("dynamodb:PutItem",)),
        may.table("features_table", READ),
        *may.exports(),
        *may.objects(
            "archive_bucket", ["omni-channel/", "omni-shadow/", "omni-served/"], "s3:GetObject", "s3:PutObject"
        ),
        *may.objects("results_bucket", [""], "s3:GetObject", "s3:GetObjectTagging"),
        may.data_key(),
        may.seal("access_kms_key", OPEN),
        may.seal("callbacks_kms_key", SEAL),
        may.models(stack),
        may.redaction(),
        *may.warehouse(),
    ]


def calls_rights(may: Rights, stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """The worker that turns recordings into scorecards."""
    return [
        may.queue("calls_queue"),
        may.table("calls_table", READ, CHANGE, SCAN),  # the index of unfinished calls, of all tenants
        may.table("config_table", READ),
        *may.shared("rollout/*"),
        *may.objects("calls_bucket", [""], "s3:GetObject", "s3:GetObjectTagging"),
        *may.results(),
        may.data_key(),
        may.models(stack),
        may.redaction(),
        _allow(
            # A job that is tagged as it starts needs the right to tag, too.
            ("transcribe:StartTranscriptionJob", "transcribe:GetTranscriptionJob", "transcribe:TagResource"),
            [stack.format_arn(service="transcribe", resource="transcription-job", resource_name="*")],
        ),
        *may.warehouse(),
    ]


def callbacks_rights(may: Rights, _: cdk.Stack) -> list[iam.PolicyStatement]:
    """The worker that rings promised callbacks: the one role that may open a customer's number."""
    return [
        may.table("callbacks_table", READ, CHANGE),
        *may.shared(),
        may.seal("callbacks_kms_key", OPEN),
        may.data_key(),
    ]


def schedule_rights(may: Rights, stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """The scheduled jobs: loading, reports, proposals, audits, the files of calls."""
    prefixes = ["omni-channel/", "omni-shadow/", "omni-reports/"]
    return [
        may.queue("events_queue"),
        may.table("interactions_table", READ),
        # `omni reconcile --restore` writes lost rows again.
        may.table("summaries_table", READ, SCAN, ("dynamodb:PutItem",)),
        may.table("answers_table", READ, SCAN),
        may.table("outbox_table", READ, SCAN),
        *may.shared("schedule/*"),
        may.table("config_table", READ),
        may.table("calls_table", READ, SCAN),  # calls of all tenants that nobody takes up
        may.table("features_table", READ, SCAN, CHANGE),  # `omni features compute` and `check`
        *may.results(),
        *may.objects("archive_bucket", prefixes, "s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
        *may.versions(
            "archive_bucket", ["omni-channel/"], read=False
        ),  # the loader erases what comes late of an erased customer
        may.data_key(),
        may.redaction(),
        *may.warehouse(),
    ]


def erasure_rights(may: Rights, _: cdk.Stack) -> list[iam.PolicyStatement]:
    """Whoever exports and deletes customers: every place of the inventory, and sealed numbers, which are compared."""
    places, found = inventory(), []
    for setting, place in places.tables.items():
        if place.is_searched:
            found.append(may.table(setting, SCAN, ("dynamodb:DeleteItem",)))
    for name, place in places.prefixes.items():
        if place.is_searched and place.bucket != RECORDS:
            # Any tenant's: which one, the command is told.
            prefix = (place.prefix or name).format(tenant="*")
            found += may.versions(place.bucket, [prefix], read=not place.unread)
    return [
        *found,
        # The notes for writers and loader, the ledgers, and a tenant's clients.
        *may.shared("access", "erased", "erasure-ledger", "erasure-open/*", "tenant-ledger"),
        # A tenant's deletion: its state, whether a worker holds one of its calls, and what it is given before.
        may.table("config_table", READ, ("dynamodb:UpdateItem",)),
        may.table("calls_table", READ),
        *may.objects("results_bucket", [""], "s3:GetObject"),
        *may.objects("calls_bucket", [""], "s3:GetObject"),
        may.seal("callbacks_kms_key", OPEN),
        may.data_key(),
        *may.warehouse(),
    ]


def canary_rights(may: Rights, account: str) -> list[iam.PolicyStatement]:
    """The functions that ask about the canary account: its history, and nothing else of anybody."""
    return [may.canary(account), may.data_key()]


def erasing_objects(arn: str, prefixes: Iterable[str], *, read: bool = False) -> list[iam.PolicyStatement]:
    """Allow listing and deleting all versions of a bucket's objects, and reading the present ones if ``read``."""
    prefixes = list(prefixes)
    listing = iam.PolicyStatement(
        actions=["s3:ListBucketVersions"],
        resources=[arn],
        conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
    )
    actions = ["s3:DeleteObjectVersion", *(["s3:GetObject"] if read else [])]
    return [listing, _allow(actions, [f"{arn}/{prefix}*" for prefix in prefixes])]


def _allow(actions: Iterable[str], resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=resources)
