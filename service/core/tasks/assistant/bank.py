"""The bank's tools: functions over its knowledge and its records of callbacks, transfers and the queue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.core.tasks.assistant.knowledge import (
    AccountType,
    BankBranch,
    BankKnowledge,
    BranchService,
    CallbackTime,
    CardType,
    TransferReason,
)
from service.core.tasks.assistant.phone import uk_number
from service.core.tasks.assistant.places import FoundPlace, found_places, miles_between
from service.core.tools.port import ToolError
from service.core.unit.opening_hours import in_words, spoken_day, spoken_time

_SOON = timedelta(hours=1)
_MOST_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Answers from ``knowledge``, and writes callbacks and transfers into ``records``.

    ``records`` may have ``callbacks`` and ``transfers`` by id, ``queue`` (``waiting``: how many customers; ``position``: this
    one's place if they wait already) and ``hours`` (``now``: ISO with a zone, instead of the clock). ``clock`` returns an aware
    time. Every answer carries ``knowledge_version``. The methods raise ``ToolError`` if they did nothing.
    """

    knowledge: BankKnowledge
    records: dict[str, Any]
    clock: Callable[[], datetime]

    def branch_opening(self, account_type: AccountType) -> dict[str, Any]:
        """Return how an account is opened in a branch."""
        opening = self._known("account type", self.knowledge.accounts, account_type).branch
        return self._answer(account_type=account_type, channel="branch", **opening.model_dump(mode="json"))

    def digital_opening(self, account_type: AccountType) -> dict[str, Any]:
        """Return how an account is opened online or in the app."""
        opening = self._known("account type", self.knowledge.accounts, account_type).digital
        return self._answer(account_type=account_type, channel="digital", **opening.model_dump(mode="json"))

    def debit_card(self, card_type: CardType) -> dict[str, Any]:
        """Return a debit card's details, and how it is ordered, replaced and activated."""
        card = self._known("card type", self.knowledge.cards, card_type).model_dump(mode="json")
        details = {name: card[name] for name in ("name", "features", "fees", "eligibility", "delivery_time")}
        rest = {name: card[name] for name in ("ordering_process", "replacement_info", "activation")}
        return self._answer(card_type=card_type, card_details=details, **rest)

    def nearest_branch(self, location: str, service_type: BranchService = "general") -> dict[str, Any]:
        """Return the branches of the place's city that offer a service, the nearest first."""
        places = found_places(location, self.knowledge)
        if len(places) != 1:
            message = self.knowledge.messages.which_city if places else self.knowledge.messages.no_branch
            return self._branches(location[:_MOST_SHOWN_CHARS], service_type, [], message)
        place = places[0]
        offering = (
            branch
            for branch in self.knowledge.branches.values()
            if branch.city == place.city and service_type in branch.services
        )
        near = sorted(offering, key=lambda branch: miles_between(place.at, branch.at))
        shown = [_shown(branch, place, service_type) for branch in near]
        return self._branches(place.name, service_type, shown, "" if shown else self.knowledge.messages.no_service)

    def hours(self) -> dict[str, Any]:
        """Return whether specialists can be reached now, their hours, and when they can be reached next."""
        calendar, now = self.knowledge.specialist_calendar, self._now()
        here, closes = calendar.local(now), calendar.closes(now)
        opens = None if closes else calendar.next_opening(now)
        return self._answer(
            open=closes is not None,
            now=f"{spoken_day(here.date())}, {spoken_time(here.time())}",
            hours=self._hours_in_words(),
            closes_at="" if closes is None else spoken_time(closes.time()),
            next_opening="" if opens is None else f"{spoken_day(opens.date())}, {spoken_time(opens.time())}",
            holiday=self.knowledge.holidays.get(here.date(), ""),
            timezone=self.knowledge.timezone,
        )

    def queue_position(self) -> dict[str, Any]:
        """Return the place in the queue that the customer has, or would have, and the estimated wait."""
        position, waiting = self._position()
        minutes = self._wait_minutes(position)
        return self._answer(
            position=position,
            waiting=waiting,
            estimated_wait_minutes=minutes,
            open=self.knowledge.specialist_calendar.is_open(self._now()),
            message=self.queue_message(position, minutes, waiting),
        )

    def request_callback(self, phone: str, when: CallbackTime = "soon", *, key: str | None = None) -> dict[str, Any]:
        """Write a callback down, and return its id and what to tell the customer.

        A number has one open callback at most: a later request changes its time. Calls with one ``key`` are one call.
        """
        number = uk_number(phone)
        if number is None:
            raise ToolError(self.knowledge.messages.wrong_phone)
        callbacks: dict[str, Any] = self.records.setdefault("callbacks", {})
        callback_id = _with_key(callbacks, key)
        if callback_id is None:
            start, due, promise = self._promise(when)
            of_number = (
                name for name, row in callbacks.items() if (row["phone"], row["status"]) == (number, "PENDING")
            )
            callback_id = next(of_number, None) or f"callback-{len(callbacks) + 1}"
            row = {
                "phone": number,
                "when": when,
                "status": "PENDING",
                "start": start.isoformat(timespec="minutes"),
                "due": due.isoformat(timespec="minutes"),
                "promise": promise,
            }
            callbacks[callback_id] = row | _keys(callbacks.get(callback_id, {}), key)
        row = callbacks[callback_id]
        told = {name: row[name] for name in ("phone", "when", "status", "start", "due")}
        return self._answer(callback_id=callback_id, **told, message=row["promise"])

    def transfer(self, reason: TransferReason, summary: str, *, key: str | None = None) -> dict[str, Any]:
        """Put the customer into the queue for a specialist, who reads ``summary`` first. Calls with one ``key`` are one call."""
        if not summary.strip():
            raise ToolError("summary is empty: say what the customer wants and what was found out")
        if not self.knowledge.specialist_calendar.is_open(self._now()):
            raise ToolError(self._closed_message())
        transfers: dict[str, Any] = self.records.setdefault("transfers", {})
        transfer_id = _with_key(transfers, key)
        if transfer_id is None:
            transfer_id = f"transfer-{len(transfers) + 1}"
            transfers[transfer_id] = {"reason": reason, "summary": summary.strip(), "state": "waiting"} | _keys({}, key)
        position, waiting = self._position()
        minutes = self._wait_minutes(position)
        return self._answer(
            transfer_id=transfer_id,
            reason=transfers[transfer_id]["reason"],
            state=transfers[transfer_id]["state"],
            position=position,
            estimated_wait_minutes=minutes,
            message=self.queue_message(position, minutes, waiting),
        )

    def queue_message(self, position: int, minutes: int, waiting: int | None) -> str:
        """Return what a customer is told about a place in the queue.

        ``waiting`` is how many wait, for one who still decides and may be offered another way; None for one who waits already.
        Neither is told of a wait while nobody is there.
        """
        messages, desk = self.knowledge.messages, self.knowledge.specialists
        if not self.knowledge.specialist_calendar.is_open(self._now()):
            return self._closed_message()
        if waiting is not None and waiting >= desk.most_waiting:
            return messages.queue_full
        if position == 1:
            return messages.next_in_line
        return messages.in_queue.format(position=position, minutes=minutes)

    def _known(self, what: str, known: Mapping[Any, Any], name: str) -> Any:
        if name not in known:
            raise ToolError(f"there is no {what} {name[:_MOST_SHOWN_CHARS]!r}; there are {', '.join(known)}")
        return known[name]

    def _answer(self, **fields: Any) -> dict[str, Any]:
        return fields | {"knowledge_version": self.knowledge.label}

    def _branches(self, place: str, service: str, branches: list[dict[str, Any]], message: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "search_location": place,
            "service_requested": service,
            "branches_found": len(branches),
            "branches": branches,
        }
        return self._answer(**found, **({"message": message} if message else {}))

    def _now(self) -> datetime:
        now = self.records.get("hours", {}).get("now")
        return self.clock() if now is None else datetime.fromisoformat(now)

    def _hours_in_words(self) -> str:
        return in_words(self.knowledge.specialists.hours)

    def _closed_message(self) -> str:
        return self.knowledge.messages.closed.format(hours=self._hours_in_words())

    def _position(self) -> tuple[int, int]:
        queue = self.records.get("queue", {})
        waiting = int(queue.get("waiting", 0))
        return int(queue.get("position", waiting + 1)), waiting

    def _wait_minutes(self, position: int) -> int:
        return position * self.knowledge.specialists.minutes_per_customer

    def _promise(self, when: CallbackTime) -> tuple[datetime, datetime, str]:
        """Return from when until when the bank calls back, as local times, and the words for it."""
        calendar, now = self.knowledge.specialist_calendar, self._now()
        if when == "soon":
            closes = calendar.closes(now)
            if closes is not None and calendar.local(now) + _SOON <= closes:
                here = calendar.local(now)
                return here, here + _SOON, self.knowledge.messages.callback_within_hour
            opening = calendar.next_opening(now)
            start, end = opening, opening + _SOON
        else:
            spans = calendar.spans_after(now, self.knowledge.specialists.callback_windows[when])
            # A window that has begun is no promise that somebody calls within what is left of it.
            start, end = next(span for span in spans if span[0] > calendar.local(now))
        message = self.knowledge.messages.callback_at.format(
            day=spoken_day(start.date()), start=spoken_time(start.time()), end=spoken_time(end.time())
        )
        return start, end, message


def _shown(branch: BankBranch, place: FoundPlace, service: str) -> dict[str, Any]:
    return {
        "name": branch.name,
        "address": branch.address,
        "phone": branch.phone,
        "hours": in_words(branch.hours),
        "services": list(branch.services),
        "distance": f"{miles_between(place.at, branch.at):.1f} miles",
        "specialists_available": bool(branch.specialists) if service == "general" else service in branch.specialists,
    }


def _with_key(rows: Mapping[str, Mapping[str, Any]], key: str | None) -> str | None:
    return None if key is None else next((name for name, row in rows.items() if key in row.get("keys", ())), None)


def _keys(row: Mapping[str, Any], key: str | None) -> dict[str, list[str]]:
    return {} if key is None else {"keys": [*row.get("keys", ()), key]}
