"""Writes callbacks down: seals the number, and fixes the time until which the call is promised."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from service.access.sealing import Sealer
from service.handover.callback import Callback, CallbackPriority
from service.handover.callback_store import CallbackStore
from service.handover.opening import ReachableHours, promised_by

SEALED_AS = "omni-callback"  # the name of the KMS encryption context of sealed numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackBook:
    """Takes requests for callbacks. Blocking; raises ``StoreError`` if the store or the key does not answer."""

    store: CallbackStore
    sealer: Sealer
    hours: ReachableHours
    now: Callable[[], datetime]

    def request(
        self,
        callback_id: str,
        phone: str,
        *,
        contact_id: str,
        queue_id: str = "general",
        priority: CallbackPriority = "NORMAL",
        promised: tuple[datetime, datetime] | None = None,
    ) -> Callback:
        """Write down a callback to ``phone``, once for each id, and return it.

        ``promised`` is the time told to the customer; None: the next hour, or the first hour of the next opening.
        """
        now = self.now().astimezone(UTC)
        start, due = promised_by(self.hours, now) if promised is None else promised
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
