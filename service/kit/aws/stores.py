"""Every DynamoDB table, bucket, queue and KMS key of the project: keys, indexes, expiry, announcements.

The stores' own code takes names of attributes and indexes from here, the infrastructure code (``infra/cdk``) makes its template
from here, and the local AWS gets that template. Standard library only: the infrastructure code has its own environment.
"""

from dataclasses import dataclass
from typing import Any

DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class TableIndex:
    """A global secondary index over text keys; ``attributes``: None copies all of an item, an empty tuple its keys alone."""

    name: str
    partition: str
    sort: str = ""
    attributes: tuple[str, ...] | None = None

    def definition(self) -> dict[str, Any]:
        """Return the index as CreateTable and UpdateTable take it."""
        keys = _keys(self.partition, self.sort)
        return {"IndexName": self.name, "KeySchema": keys, "Projection": _projection(self.attributes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """A table with text keys. ``setting``: the flat name of the setting that holds its name; ``expires``: its TTL attribute.

    An empty ``sort`` or ``expires``: it has none.
    """

    setting: str
    partition: str
    sort: str = ""
    indexes: tuple[TableIndex, ...] = ()
    expires: str = ""
    owned: bool = True  # False: on AWS another system may own it, and the stack then leaves it out

    def definition(self, name: str) -> dict[str, Any]:
        """Return the arguments of CreateTable for a table called ``name``. The TTL is set by another call."""
        made = {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": _keys(self.partition, self.sort),
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in self._keys()],
        }
        if self.indexes:
            made["GlobalSecondaryIndexes"] = [index.definition() for index in self.indexes]
        return made

    def _keys(self) -> list[str]:
        pairs = [(self.partition, self.sort), *((index.partition, index.sort) for index in self.indexes)]
        return list(dict.fromkeys(key for pair in pairs for key in pair if key))


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueShape:
    """A queue with a dead-letter queue beside it, called ``<name>-aside``."""

    setting: str
    most_received: int = 5  # deliveries before a message is put aside, because its batch killed the reader each time
    kept_s: int = 14 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketShape:
    """A bucket; ``queue`` hears of new objects under ``announced`` (an empty prefix: of every object)."""

    setting: str
    queue: QueueShape | None = None
    announced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyShape:
    """A symmetric KMS key; ``setting`` holds its alias."""

    setting: str
    seals: str


INTERACTIONS = TableShape(setting="interactions_table", partition="account_number", sort="occurred_at", owned=False)
SUMMARIES = TableShape(
    setting="summaries_table",
    partition="unique_process_id",
    expires="expires_at",
    indexes=(
        TableIndex(
            name="by_account",  # holds all that reuse needs, so one query is enough
            partition="account_number",
            sort="generated_at",
            attributes=(
                *("request_id", "reused_from", "reuse_key", "summary", "model_used", "answered_by", "arm"),
                "expires_at",
            ),
        ),
        TableIndex(
            name="by_contact",
            partition="contact_id",
            sort="generated_at",
            attributes=("account_number", "request_id", "reused_from", "expires_at"),
        ),
        TableIndex(name="by_request", partition="request_id", attributes=()),
    ),
)
# No expiry: what waits in it is in no other store. Request ids spread evenly, and nobody asks for an order.
OUTBOX = TableShape(setting="outbox_table", partition="request_id")
ANSWERS = TableShape(setting="answers_table", partition="request_id", expires="expires_at")
CONFIG = TableShape(setting="config_table", partition="pk", sort="sk")
SHARED = TableShape(setting="shared_table", partition="pk", sort="sk", expires="expires_at")
# One item for each message, in its place, and one for the conversation itself, which sorts behind them: one query of the newest
# items returns both.
MESSAGES = TableShape(setting="messages_table", partition="conversation", sort="seq", expires="expires_at")
# Conversations that were written as one item each; they are read, and written as messages when they go on.
CONVERSATIONS = TableShape(setting="conversations_table", partition="conversation", expires="expires_at")
HANDOVERS = TableShape(
    setting="handovers_table",
    partition="handover_id",
    expires="ttl",
    indexes=(TableIndex(name="by-state", partition="listed_in", sort="rank"),),
)
# Only open callbacks have the index's partition, so that looking for due ones reads no others.
CALLBACKS = TableShape(
    setting="callbacks_table",
    partition="callback_id",
    expires="ttl",
    indexes=(TableIndex(name="by-next-look", partition="open_in", sort="next_at"),),
)
# Only open messages have the index's partition, so that listing them reads no others.
VOICEMAILS = TableShape(
    setting="voicemails_table",
    partition="voicemail_id",
    expires="ttl",
    indexes=(TableIndex(name="by-due", partition="open_in", sort="due_at"),),
)
# A bare time is no partition key, so the index by time is one by day.
FINDINGS = TableShape(
    setting="findings_table",
    partition="log_id",
    sort="timestamp",
    expires="ttl",
    indexes=(
        TableIndex(name="by-hallucination-type", partition="hallucination_type", sort="timestamp"),
        TableIndex(name="by-day", partition="day", sort="timestamp"),
    ),
)
CALLS = TableShape(
    setting="calls_table",
    partition="pk",
    sort="sk",
    indexes=(
        TableIndex(name="by_open", partition="open", sort="updated_at"),
        TableIndex(name="by_date", partition="pk", sort="call_date"),
    ),
)
# One item for each version of a view, so that a query of the partition returns all that is known of a customer.
FEATURES = TableShape(setting="features_table", partition="customer", sort="view", expires="expires_at")
TABLES = (
    *(INTERACTIONS, SUMMARIES, OUTBOX, ANSWERS, CONFIG, SHARED, CONVERSATIONS, MESSAGES),
    *(HANDOVERS, CALLBACKS, VOICEMAILS, FINDINGS, CALLS, FEATURES),
)

EVENTS_QUEUE = QueueShape(setting="events_queue")
CALLS_QUEUE = QueueShape(setting="calls_queue")
QUEUES = (EVENTS_QUEUE, CALLS_QUEUE)

ARCHIVE = BucketShape(
    setting="archive_bucket",
    queue=EVENTS_QUEUE,
    announced=tuple(
        f"omni-channel/{kind}/" for kind in ("processed", "feedback", "answers", "answer-feedback", "releases", "audit")
    ),
)
# Only calls arrive in this bucket, so the queue is told of every object, whatever its key.
CALLS_INPUT = BucketShape(setting="calls_bucket", queue=CALLS_QUEUE, announced=("",))
CALLS_RESULTS = BucketShape(setting="results_bucket")
BUCKETS = (ARCHIVE, CALLS_INPUT, CALLS_RESULTS)

TOKEN_KEYS = KeyShape(setting="access_kms_key", seals="the keys that sign access tokens")
CALLBACK_NUMBERS = KeyShape(setting="callbacks_kms_key", seals="the telephone numbers of callbacks")
KMS_KEYS = (TOKEN_KEYS, CALLBACK_NUMBERS)


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    keys = [{"AttributeName": partition, "KeyType": "HASH"}]
    return keys if not sort else [*keys, {"AttributeName": sort, "KeyType": "RANGE"}]


def _projection(attributes: tuple[str, ...] | None) -> dict[str, Any]:
    if attributes is None:
        return {"ProjectionType": "ALL"}
    if not attributes:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(attributes)}
