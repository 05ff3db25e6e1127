"""The timetable of simulated contacts: which agent asks when about which customer; the same options give the same timetable."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta

from eval.instruments.traffic.stories import Episode
from eval.spine.errors import TrafficError
from service.core.unit.channel import RECORDED, Channel

CLIENTS = {"agent-desktop": 0.6, "salesforce": 0.3, "chat-console": 0.1}
# The planted weakness: the second release no longer reads this channel. Only six of the gate set's 200 cases end in it, too few
# to change the average noticeably.
CHANNEL = Channel.WEB
# Share of the contacts that follow a web form, the same for every intent: a customer who wrote an e-mail, a chat or a text
# message could have filled in a form instead.
_FORM_SHARE = 0.25
_WRITTEN = tuple(channel for channel in RECORDED if channel.can.written)
SLOT = timedelta(hours=1)
_OPEN, _CLOSE = 7, 21  # hours in UTC
_WEEKDAYS = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.3)
_TRANSFER_SHARE, _AGAIN_SHARE = 0.08, 0.10
TRANSFER_AFTER, FEEDBACK_AFTER = timedelta(minutes=4), timedelta(minutes=11)
FIRST_ACCOUNT = 7_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficOptions:
    """What to simulate. Shares are 0 to 1; ``until`` is the Monday after the last week; the second release is in the middle."""

    seed: int = 0
    weeks: int = 4
    until: date
    per_day: int = 200
    feedback_share: float = 0.35
    noise: float = 0.05

    @property
    def start(self) -> datetime:
        """Midnight (UTC) of the first week's Monday."""
        return datetime.combine(self.until - timedelta(weeks=self.weeks), time(), tzinfo=UTC)

    @property
    def released_at(self) -> datetime:
        """The time of the second release: a Monday at 06:00 UTC, before the first contact of the day."""
        return self.start + timedelta(weeks=(self.weeks + 1) // 2, hours=6)

    @property
    def digest(self) -> str:
        """The digest of these options; a run continues only with the options that it was started with."""
        text = repr([(item.name, str(getattr(self, item.name))) for item in fields(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact of a customer. ``transfer``: a second agent asks about it minutes later; ``again``: a repeated contact."""

    number: int
    at: datetime
    account_number: str
    episode: int
    gap: timedelta
    client: str
    transfer: bool
    again: bool

    @property
    def contact_id(self) -> str:
        """The contact's id."""
        return f"t-{int(self.account_number) - FIRST_ACCOUNT:09d}-{self.number}"


@dataclass(frozen=True, kw_only=True)
class TrafficPlan:
    """All contacts ordered by time, and the episodes that they refer to by index."""

    options: TrafficOptions
    episodes: tuple[Episode, ...]
    contacts: tuple[Contact, ...]

    def slots(self) -> dict[datetime, list[Contact]]:
        """Return the contacts by hour, without empty hours."""
        found: dict[datetime, list[Contact]] = {}
        for contact in self.contacts:
            found.setdefault(contact.at, []).append(contact)
        return found


def make_plan(options: TrafficOptions, told: Sequence[Episode]) -> TrafficPlan:
    """Return the timetable of ``options`` over the episodes ``told``.

    Raises:
        TrafficError: the options leave nothing to simulate.
    """
    if options.weeks < 2 or options.per_day < 1 or not told:
        raise TrafficError("traffic needs two weeks or more, one contact a day or more, and cases with facts")
    draws = random.Random(f"contacts {options.seed}")
    all_of_them = (*told, *(told[number].through(CHANNEL) for number in _written(told)))
    forms: dict[str, list[int]] = {}
    for place, number in enumerate(_written(told)):
        forms.setdefault(told[number].family, []).append(len(told) + place)
    contacts: list[Contact] = []
    account = FIRST_ACCOUNT + options.seed % 1000 * 1_000_000
    for day in range(options.weeks * 7):
        morning = options.start + timedelta(days=day)
        for _ in range(round(options.per_day * _WEEKDAYS[morning.weekday()])):
            slot = draws.randrange(_CLOSE - _OPEN)
            at = morning + timedelta(hours=_OPEN) + slot * SLOT
            earlier = contacts[-1 - draws.randrange(min(len(contacts), options.per_day))] if contacts else None
            if earlier is not None and draws.random() < _AGAIN_SHARE and earlier.at < at:
                # The same customer contacts again with no new interactions on record, within the days that the history covers.
                gap, number, again, who = earlier.gap + (at - earlier.at), earlier.episode, True, earlier.account_number
            else:
                number = draws.randrange(len(told))
                if draws.random() < _FORM_SHARE:
                    number = draws.choice(draws.choice(list(forms.values())))
                gap, again = timedelta(minutes=draws.randrange(10, 20 * 60)), False
                account += 1
                who = str(account)
            contacts.append(
                Contact(
                    number=len(contacts),
                    at=at,
                    account_number=who,
                    episode=number,
                    gap=gap,
                    client=draws.choices(list(CLIENTS), list(CLIENTS.values()))[0],
                    transfer=draws.random() < _TRANSFER_SHARE,
                    again=again,
                )
            )
    contacts.sort(key=lambda contact: (contact.at, contact.number))
    return TrafficPlan(options=options, episodes=all_of_them, contacts=tuple(contacts))


def _written(told: Sequence[Episode]) -> list[int]:
    return [number for number, item in enumerate(told) if item.channel in _WRITTEN and item.says_something]


def newest_full_week(now: datetime) -> date:
    """Return the Monday after the newest full ISO week."""
    today = now.astimezone(UTC).date()
    return today - timedelta(days=today.weekday())


def monday_after(week: str) -> date:
    """Return the Monday after an ISO week such as 2026-W46; ``TrafficError`` if ``week`` is not an ISO week."""
    try:
        return datetime.strptime(f"{week}-1", "%G-W%V-%u").date() + timedelta(weeks=1)
    except ValueError as err:
        raise TrafficError(f"{week!r} is not an ISO week; write it like 2026-W46") from err
