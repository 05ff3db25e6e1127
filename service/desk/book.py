"""Writes callbacks down: seals the number, and fixes the time until which the call is promised."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.access.sealing import Sealer
from service.desk.callback import Callback, CallbackPriority, CallbackStatus
from service.desk.callback_store import CallbackStore

SEALED_AS = "omni-callback"  # the name of the KMS encryption context of sealed numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackBook:
    """Takes requests for callbacks. Blocking; raises ``StoreError`` if the store or the key does not answer."""

    store: CallbackStore
    sealer: Sealer
    now: Callable[[], datetime]

    def request(
        self,
        callback_id: str,
        phone: str,
        *,
        contact_id: str,
        promised: tuple[datetime, datetime],
        queue_id: str = "general",
        priority: CallbackPriority = "NORMAL",
    ) -> Callback:
        """Write down a callback to ``phone``, once for each id, and return it; ``promised`` is the time told to the customer."""
        now = self.now().astimezone(UTC)
        start, due = promised
        return self.store.add(
            Callback(
                callback_id=callback_id,
                contact_id=contact_id,
                sealed_phone=self.sealer.seal(phone.encode(), callback_id),
                requested_at=now,
                due_at=due.astimezone(UTC),
                next_at=start.astimezone(UTC),
                queue_id=queue_id,
                priority=priority,
            )
        )

    def move(self, callback_id: str, promised: tuple[datetime, datetime]) -> Callback | None:
        """Change the promised time of an open callback and return it; None if there is none. One that rings now is left as it is.

        Raises:
            RecordChanged: a worker takes it at the same time.
        """
        found = self.store.get(callback_id)
        if found is None or not found.is_open:
            return None
        start, due = (moment.astimezone(UTC) for moment in promised)
        if found.status is CallbackStatus.RINGING or found.due_at == due:
            return found
        return self.store.put(replace(found, next_at=start, due_at=due))
