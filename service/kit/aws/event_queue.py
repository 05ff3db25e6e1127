"""The SQS queue of notifications about new objects and ended transcriptions; a message is deleted after it was dealt with."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError

BATCH = 10  # SQS's limit for one receive and one delete
LONGEST_WAIT_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """One object that S3 reported as written."""

    key: str
    etag: str = ""
    version: str = ""  # set if the bucket keeps versions


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """One message with the objects that it names: none for S3's test event, or if it is not an S3 event.

    ``transcriptions`` names the jobs of Amazon Transcribe that EventBridge reports as ended.
    """

    receipt: str
    objects: tuple[Announced, ...]
    understood: bool
    transcriptions: tuple[str, ...] = ()


class EventQueue:
    """Blocking calls to one queue; every method raises ``StoreError`` if SQS does not answer."""

    def __init__(self, client: Any, name: str, *, bucket: str) -> None:
        self._client = client
        self._name = name
        self._bucket = bucket
        self._store = f"queue {name!r}"
        self._url: str | None = None
        self._lock = threading.Lock()

    def receive(self, *, wait_s: int, visible_after_s: int) -> list[QueueMessage]:
        """Return up to ten messages, waiting ``wait_s`` for the first; other readers see them after ``visible_after_s``."""
        with translated(self._store):
            found = self._client.receive_message(
                QueueUrl=self._address(),
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=min(wait_s, LONGEST_WAIT_S),
                VisibilityTimeout=visible_after_s,
            )
        return [self._message(item) for item in found.get("Messages", [])]

    def keep(self, receipts: Sequence[str], *, visible_after_s: int) -> None:
        """Keep up to ten received messages from other readers until ``visible_after_s`` from now; one that is gone is ignored."""
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": visible_after_s}
            for number, receipt in enumerate(receipts)
        ]
        with translated(self._store):
            self._client.change_message_visibility_batch(QueueUrl=self._address(), Entries=entries)

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete handled messages by their receipts."""
        for start in range(0, len(receipts), BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt}
                for number, receipt in enumerate(receipts[start : start + BATCH])
            ]
            with translated(self._store):
                answer = self._client.delete_message_batch(QueueUrl=self._address(), Entries=entries)
            if answer.get("Failed"):
                # SQS delivers them again; the loader then skips their objects as known.
                raise StoreError(f"{self._store} did not delete {len(answer['Failed'])} messages")

    def waiting(self) -> tuple[int, int]:
        """Return the approximate numbers of messages that wait and of messages that were received but not deleted."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        with translated(self._store):
            found = self._client.get_queue_attributes(QueueUrl=self._address(), AttributeNames=list(names))
        return int(found["Attributes"][names[0]]), int(found["Attributes"][names[1]])

    def _address(self) -> str:
        with self._lock:
            if self._url is None:
                self._url = str(self._client.get_queue_url(QueueName=self._name)["QueueUrl"])
            return self._url

    def _message(self, item: dict[str, Any]) -> QueueMessage:
        try:
            body = json.loads(item["Body"])
            if body.get("source") == "aws.transcribe":
                name = str(body["detail"]["TranscriptionJobName"])
                return QueueMessage(receipt=item["ReceiptHandle"], objects=(), understood=True, transcriptions=(name,))
            records = body.get("Records", [])
            objects = tuple(
                Announced(
                    key=unquote_plus(found["object"]["key"]),
                    etag=str(found["object"].get("eTag", "")).strip('"'),
                    version=str(found["object"].get("versionId", "")),
                )
                for found in (record["s3"] for record in records)
                if found["bucket"]["name"] == self._bucket
            )
            understood = bool(objects) or body.get("Event") == "s3:TestEvent"
        except (ValueError, KeyError, TypeError, AttributeError):
            objects, understood = (), False
        return QueueMessage(receipt=item["ReceiptHandle"], objects=objects, understood=understood)
