"""The function that the phone's flows invoke: tells callers their place in the queue, and writes down the messages they leave.

It raises if it cannot do what was asked. Then the flow takes its error branch, on which nothing was promised.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.access.sealing import Sealer
from service.channels.phone.connect_models import ContactFlowEvent
from service.channels.phone.voicemail import Voicemail, VoicemailStore, heard_by, in_words
from service.desk.opening import ReachableHours
from service.kit.aws.bounded import translated
from service.kit.frame.errors import ServiceError
from service.kit.telemetry.log import Event, log

_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
_NEXT = "You're next in line. A specialist will be with you shortly."
_METRICS = ("POSITION_IN_QUEUE", "ESTIMATED_WAIT_TIME")


class NotDone(ServiceError):
    """What a flow asked for was not done; the message holds nothing of the caller's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneFunction:
    """Answers the flows of one stage. ``connect`` makes boto3's client at its first use."""

    store: VoicemailStore
    sealer: Sealer
    hours: ReachableHours
    connect: Callable[[], Any]
    now: Callable[[], datetime]

    def handle(self, event: object) -> dict[str, str]:
        """Return what the flow reads under ``$.External``: texts by name, no more than that.

        Raises:
            ValidationError: this is no event of a flow.
        """
        asked = ContactFlowEvent.model_validate(event)
        return self._voicemail(asked) if asked.does == "voicemail" else self._place(asked)

    def _voicemail(self, contact: ContactFlowEvent) -> dict[str, str]:
        if _NUMBER.fullmatch(contact.phone) is None:
            raise NotDone("a caller without a number cannot be called back")
        now = self.now().astimezone(UTC)
        due = heard_by(self.hours, now)
        kept = self.store.add(
            Voicemail(
                voicemail_id=contact.contact_id,
                instance_id=contact.instance_id,
                sealed_phone=self.sealer.seal(contact.phone.encode(), contact.contact_id),
                left_at=now,
                due_at=due.astimezone(UTC),
                handover_reason=contact.attributes.get("handover_reason", ""),
                conversation_id=contact.attributes.get("conversation_id", ""),
            )
        )
        log(Event.VOICEMAIL_LEFT, callback=kept.voicemail_id)
        return {"promised": in_words(kept.due_at.astimezone(due.tzinfo))}

    def _place(self, contact: ContactFlowEvent) -> dict[str, str]:
        wanted = [{"Name": name} for name in _METRICS]
        with translated("Amazon Connect"):
            found = self.connect().get_contact_metrics(
                InstanceId=contact.instance_id, ContactId=contact.contact_id, Metrics=wanted
            )
        return {"text": place_in_words(_numbers(found["MetricResults"]))}


def place_in_words(metrics: Mapping[str, float]) -> str:
    """Return what a caller hears of the place in the queue.

    Raises:
        NotDone: Connect names no place.
    """
    position = metrics.get("POSITION_IN_QUEUE", 0.0)
    if position < 1:
        raise NotDone("Amazon Connect names no place in the queue for this contact")
    if position < 2:
        return _NEXT
    place = f"You are number {int(position)} in line."
    if (wait_s := metrics.get("ESTIMATED_WAIT_TIME", 0.0)) <= 0:
        return place
    minutes = math.ceil(wait_s / 60)
    return f"{place} Estimated wait time is {minutes} {'minute' if minutes == 1 else 'minutes'}."


def _numbers(results: list[dict[str, Any]]) -> dict[str, float]:
    return {one["Name"]: float(one["Value"]["Number"]) for one in results if "Number" in one.get("Value", {})}
