"""Tells of a record whether its customer was erased after it was made: an object that comes late must not bring them back."""

from datetime import datetime

from service.answers_kept.answer_record import AnswerVerdict, KeptAnswer
from service.answers_kept.record import FeedbackRecord
from service.audit.record import AuditRecord
from service.kit.records.tombstones import Tombstones
from service.kit.telemetry.fields import account_hash
from service.loading.objects import Record, ReleaseRecord


def is_erased(tombstones: Tombstones, record: Record) -> bool:
    """Return whether ``record`` belongs to what was erased.

    Raises:
        StoreError: nobody can tell now; load it later.
    """
    if isinstance(record, ReleaseRecord):
        return False
    if isinstance(record, AuditRecord):
        names = {name for one in record.events for name in (one.session_id, one.contact_id, one.user_id) if name}
        return tombstones.covers(names, record.recorded_at)
    if isinstance(record, KeptAnswer):
        return tombstones.covers((record.customer, record.conversation, *record.persons), _moment(record.generated_at))
    if isinstance(record, AnswerVerdict):
        return tombstones.covers((record.customer, record.conversation), _moment(record.feedback_timestamp))
    made_at = record.feedback_timestamp if isinstance(record, FeedbackRecord) else record.generated_at
    return tombstones.covers((account_hash(record.account_number),), _moment(made_at))


def _moment(text: str) -> datetime:
    # A time that cannot be read makes the object dead later, with its own reason.
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.max.astimezone()
    return found if found.tzinfo is not None else found.astimezone()
