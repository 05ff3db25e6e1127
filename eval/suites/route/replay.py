"""Replays a day's routing decisions with another policy: which would change, for whom, and how long people would have waited."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from pydantic import ValidationError

from eval.spine.errors import HarnessError
from eval.suites.route.waits import Arrival, Waits, handling_times, simulated_waits
from service.answers_kept.answer_record import ANSWERS_PREFIX, KeptAnswer
from service.answers_kept.archive import Archive
from service.answers_kept.record import time_partition
from service.core.tasks.route.decision import RouteDecision
from service.core.tasks.route.policy import RoutingPolicy
from service.core.tasks.route.routing import decided
from service.core.tasks.route.situation import RouteInputs

_MOST_BYTES = 2_000_000  # of one record
_SEED = 20261125
URGENT = 8


class ReplayError(HarnessError):
    """A day cannot be replayed; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedMessage:
    """One message of the day, with the decision that was made and the candidate's."""

    situation: RouteInputs
    was: RouteDecision
    would_be: RouteDecision

    @property
    def differs(self) -> bool:
        """Whether the message would go elsewhere."""
        return (self.was.destination, self.was.agent) != (self.would_be.destination, self.would_be.agent)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsByUrgency:
    """Waits of those who needed a person, the urgent ones apart."""

    urgent: Waits
    others: Waits


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteReplay:
    """What a candidate policy would have changed on a day.

    ``places`` is how many conversations people could hold at a time, the day's median; None if nobody was on duty, and then there
    are no waits. ``unreadable`` counts records without inputs or of another form.
    """

    day: date
    candidate: str
    messages: tuple[ReplayedMessage, ...]
    unreadable: int
    places: int | None
    waits: tuple[WaitsByUrgency, WaitsByUrgency] | None

    @property
    def moves(self) -> Counter[tuple[str, str]]:
        """How many messages go from one destination to another."""
        return Counter((one.was.destination, one.would_be.destination) for one in self.messages if one.differs)


def kept_of_day(archive: Archive, day: date) -> Iterator[str]:
    """Yield the kept answers of ``route`` of one day (UTC), as JSON.

    Raises:
        StoreError: S3 does not answer.
    """
    start = time_partition(f"{ANSWERS_PREFIX}route/", f"{day.isoformat()}T00").rpartition("hour=")[0]
    for page in archive.listed(start):
        for item in page:
            stored = archive.read(item.key, most_bytes=_MOST_BYTES)
            if stored is not None and stored.body is not None:
                yield stored.body.decode("utf-8")


def lines_of(file: Path) -> Iterator[str]:
    """Yield the lines of a file of kept answers.

    Raises:
        ReplayError: it cannot be read.
    """
    try:
        yield from (line for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as err:
        raise ReplayError(f"{file}: cannot be read ({err})") from err


def replay(kept: Iterable[str], day: date, candidate: str, policy: RoutingPolicy) -> RouteReplay:
    """Decide a day's messages again, in the order of time, by ``policy``.

    Raises:
        ReplayError: there is no message of the day.
    """
    messages, unreadable = list[ReplayedMessage](), 0
    for text in kept:
        try:
            record = KeptAnswer.model_validate_json(text)
            situation = RouteInputs.model_validate(record.inputs)
            was = RouteDecision.model_validate_json(record.output)
        except ValidationError:
            unreadable += 1
            continue
        if day <= situation.at.date() < day + timedelta(days=1):
            messages.append(ReplayedMessage(situation=situation, was=was, would_be=decided(situation, policy)))
    if not messages:
        also = f"; {unreadable} records could not be read" if unreadable else ""
        raise ReplayError(f"no decision of {day} is kept{also}: give a day on which the service answered /v1/route")
    messages.sort(key=lambda one: one.situation.at)
    places = _places(messages, policy)
    return RouteReplay(
        day=day,
        candidate=candidate,
        messages=tuple(messages),
        unreadable=unreadable,
        places=places,
        waits=None if places is None else _waits(messages, places, policy),
    )


def _places(messages: Sequence[ReplayedMessage], policy: RoutingPolicy) -> int | None:
    """Return how many conversations the agents on duty could hold, the median over the day's messages."""
    most = policy.agents.most_conversations
    held = [
        sum(
            min(most, agent.max_workload if agent.max_workload is not None else most)
            for agent in one.situation.agents
            if agent.status != "offline"
        )
        for one in messages
    ]
    on_duty = [places for places in held if places]
    return round(median(on_duty)) if on_duty else None


def _waits(
    messages: Sequence[ReplayedMessage], places: int, policy: RoutingPolicy
) -> tuple[WaitsByUrgency, WaitsByUrgency]:
    """Return the waits with the decisions that were made, and with the candidate's; conversations last equally long in both."""
    measured = [one.situation.handling_minutes for one in messages if one.situation.handling_minutes is not None]
    mean = median(measured) if measured else policy.agents.handling_minutes
    lasts = handling_times(len(messages), mean, _SEED)
    first = messages[0].situation.at

    def side(decisions: Sequence[RouteDecision]) -> WaitsByUrgency:
        arrivals = [
            Arrival(
                at=(one.situation.at - first) / timedelta(minutes=1), urgency=decision.urgency_raw, handling=handling
            )
            for one, decision, handling in zip(messages, decisions, lasts, strict=True)
            if decision.destination != "automation"
        ]
        waits = simulated_waits(arrivals, places)
        pairs = list(zip(arrivals, waits, strict=True))
        return WaitsByUrgency(
            urgent=Waits.of([wait for one, wait in pairs if one.urgency >= URGENT]),
            others=Waits.of([wait for one, wait in pairs if one.urgency < URGENT]),
        )

    return side([one.was for one in messages]), side([one.would_be for one in messages])
