"""Keeps messages that callers left, with a version against two people, and an index of those that are open."""

from datetime import UTC

from service.channels.phone.voicemail import KEPT_FOR, Voicemail
from service.kit.aws.stores import VOICEMAILS
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable

(_BY_OPEN,) = VOICEMAILS.indexes


class VoicemailStore(RecordTable[Voicemail]):
    """Messages by id; ``scope`` keeps stages apart that share the table."""

    def __init__(self, rows: Rows, *, scope: str = "") -> None:
        super().__init__(rows, _FORM, scope=scope)

    def waiting(self) -> list[Voicemail]:
        """Return all open messages, the earliest promise first; may miss changes of the last second."""
        return list(self.records(Query(partition="", index=_BY_OPEN)))


_FORM: RecordForm[Voicemail] = RecordForm(
    noun="message",
    key=lambda voicemail: (voicemail.voicemail_id,),
    to_item=lambda voicemail: {
        "text": voicemail.model_dump_json(),
        _BY_OPEN.sort: voicemail.due_at.astimezone(UTC).isoformat(timespec="seconds"),
    },
    from_item=lambda item: Voicemail.model_validate_json(item["text"]),
    expires=lambda voicemail: None if voicemail.ended_at is None else voicemail.ended_at + KEPT_FOR,
    listed_in=lambda voicemail: "" if voicemail.is_open else None,
)
