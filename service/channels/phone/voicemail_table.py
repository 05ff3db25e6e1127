"""Messages that callers left, in one DynamoDB table, with a version against two people and an index of those that are open."""

from datetime import UTC
from typing import Any, Protocol

from service.channels.phone.voicemail import KEPT_FOR, Voicemail
from service.kit.aws.bounded import patiently, translated
from service.kit.aws.stores import VOICEMAILS
from service.kit.frame.errors import StoreError

_TEXT, _VERSION = "text", "version"
_KEY, _TTL = VOICEMAILS.partition, VOICEMAILS.expires
(_INDEX,) = VOICEMAILS.indexes
_OPEN, _DUE, _BY_OPEN = _INDEX.partition, _INDEX.sort, _INDEX.name


class VoicemailChanged(StoreError):
    """Somebody else changed the message since it was read; read it again."""


class VoicemailStore(Protocol):
    """Keeps messages by id. Blocking; methods raise ``StoreError`` if the store does not answer."""

    def add(self, voicemail: Voicemail) -> Voicemail:
        """Write a new message and return it with its version; if there is one with its id, return that."""
        ...

    def get(self, voicemail_id: str) -> Voicemail | None:
        """Return the newest version, or None."""
        ...

    def put(self, voicemail: Voicemail) -> Voicemail:
        """Write a changed message and return it with its new version.

        Raises:
            VoicemailChanged: the store has another version than ``voicemail``.
        """
        ...

    def waiting(self) -> list[Voicemail]:
        """Return all open messages, the earliest promise first; may miss changes of the last second."""
        ...


class VoicemailTable:
    """See ``VoicemailStore``; ``scope`` keeps stages apart that share the table. ``client`` is boto3's."""

    def __init__(self, client: Any, table: str, *, scope: str, timeout_s: float) -> None:
        """``timeout_s`` bounds one access with its retries."""
        self._client = client
        self._table = table
        self._scope = scope
        self._timeout_s = timeout_s

    def add(self, voicemail: Voicemail) -> Voicemail:
        """See ``VoicemailStore.add``."""
        try:
            return self._written(voicemail, "attribute_not_exists(#name)", _KEY, {})
        except VoicemailChanged:
            found = self.get(voicemail.voicemail_id)
            if found is None:
                raise
            return found

    def get(self, voicemail_id: str) -> Voicemail | None:
        """See ``VoicemailStore.get``."""
        found = self._called("get_item", Key={_KEY: {"S": self._full(voicemail_id)}}, ConsistentRead=True)
        return Voicemail.model_validate_json(found["Item"][_TEXT]["S"]) if "Item" in found else None

    def put(self, voicemail: Voicemail) -> Voicemail:
        """See ``VoicemailStore.put``."""
        version = {":version": {"N": str(voicemail.version)}}
        return self._written(voicemail, "#name = :version", _VERSION, {"ExpressionAttributeValues": version})

    def waiting(self) -> list[Voicemail]:
        """See ``VoicemailStore.waiting``."""
        found: list[Voicemail] = []
        asked: dict[str, Any] = {
            "IndexName": _BY_OPEN,
            "KeyConditionExpression": f"{_OPEN} = :scope",
            "ExpressionAttributeValues": {":scope": {"S": self._scope}},
        }
        while True:
            page = self._called("query", **asked)
            found += [Voicemail.model_validate_json(item[_TEXT]["S"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _written(self, voicemail: Voicemail, condition: str, name: str, more: dict[str, Any]) -> Voicemail:
        written = voicemail.model_copy(update={"version": voicemail.version + 1})
        item = {
            _KEY: {"S": self._full(written.voicemail_id)},
            _TEXT: {"S": written.model_dump_json()},
            _VERSION: {"N": str(written.version)},
            _DUE: {"S": written.due_at.astimezone(UTC).isoformat(timespec="seconds")},
        }
        if written.ended_at is None:
            item[_OPEN] = {"S": self._scope}
        else:
            item[_TTL] = {"N": str(int((written.ended_at + KEPT_FOR).timestamp()))}
        names = {"ExpressionAttributeNames": {"#name": name}}
        try:
            self._called("put_item", Item=item, ConditionExpression=condition, **names, **more)
        except StoreError as err:
            response = getattr(err.__cause__, "response", {})
            if response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                raise VoicemailChanged(f"message {voicemail.voicemail_id!r} was changed meanwhile") from err
            raise
        return written

    def _called(self, operation: str, **arguments: Any) -> dict[str, Any]:
        def access() -> dict[str, Any]:
            with translated(f"table {self._table!r}"):
                found: dict[str, Any] = getattr(self._client, operation)(TableName=self._table, **arguments)
            return found

        return patiently(access, timeout_s=self._timeout_s)

    def _full(self, voicemail_id: str) -> str:
        return f"{self._scope}/{voicemail_id}"
