"""One message that a caller left: until when somebody calls back about it, and what came of it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.desk.opening import ReachableHours
from service.kit.aws.bounded import translated
from service.kit.aws.stores import VOICEMAILS
from service.kit.records.rows import Query, Rows
from service.kit.records.table import RecordForm, RecordTable

KEPT_FOR = timedelta(days=7)  # after the end; an open one is kept until somebody closes it

VoicemailEnd = Literal["called_back", "empty", "not_reached"]


class Voicemail(BaseModel):
    """A message as it is stored; times are UTC. The recording itself is kept by Amazon Connect, under the contact's id.

    ``sealed_phone`` is the caller's number, sealed under the message's id; None once it has ended.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    voicemail_id: str
    instance_id: str
    sealed_phone: str | None = Field(repr=False)
    left_at: AwareDatetime
    due_at: AwareDatetime
    handover_reason: str = ""
    conversation_id: str = ""
    ended: VoicemailEnd | None = None
    ended_at: AwareDatetime | None = None
    ended_by: str = ""
    version: int = 0

    @property
    def contact_id(self) -> str:
        """The contact whose recording it is; a contact leaves one message."""
        return self.voicemail_id

    @property
    def is_open(self) -> bool:
        """Whether the caller still waits to hear from somebody."""
        return self.ended is None

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the promise is broken: its time was over before the message was closed."""
        return self.due_at < (self.ended_at or now)

    def closed(self, ended: VoicemailEnd, by: str, now: datetime) -> "Voicemail":
        """Return the message after its end, without the number; one that has ended is returned as it is."""
        if not self.is_open:
            return self
        changed = {"ended": ended, "ended_by": by, "ended_at": now, "sealed_phone": None}
        return self.model_copy(update=changed)


def heard_by(hours: ReachableHours, now: datetime) -> datetime:
    """Return until when a caller is promised a call: the end of the next day on which somebody is there, as a local time.

    Raises:
        ValueError: nobody is there for a month.
    """
    opening = hours.next_opening(now)
    closing = hours.closes(opening)
    return opening if closing is None else closing


def in_words(moment: datetime) -> str:
    """Return a local time as it is said: ``5 PM on Tuesday 24 November``."""
    minutes = f":{moment:%M}" if moment.minute else ""
    return f"{moment.hour % 12 or 12}{minutes} {moment:%p} on {moment:%A} {moment.day} {moment:%B}"


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


def recordings_of(voicemail: Voicemail, connect: Any) -> list[str]:
    """Return where the recordings of a message's contact lie in S3; none until some minutes after the call. Blocking.

    ``connect`` is boto3's client.
    """
    with translated("Amazon Connect"):
        found = connect.describe_contact(InstanceId=voicemail.instance_id, ContactId=voicemail.contact_id)
    recordings = found["Contact"].get("Recordings", [])
    return [one["Location"] for one in recordings if one.get("Status") != "DELETED" and one.get("Location")]
