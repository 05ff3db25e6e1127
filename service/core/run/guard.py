"""Checks a model's answer before it is shown, and words the request to repair it."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.core.statements.answers.finding import Finding, FindingKind, Severity
from service.core.statements.answers.reading import AnswerSource, findings_in
from service.core.statements.grounding.prefilters import screened_is_compiled
from service.core.unit.interaction import Interaction
from service.core.unit.pair import PromptMessage
from service.kit.frame.errors import AnswerRefused, DeadlineExceeded
from service.kit.telemetry.log import Event, log

# Building a source takes up to 0.5 ms per 1,000 characters, so only the newest interactions up to this limit are used. A detail
# that only an older one states is then a finding, which is the safe error.
_MOST_CHARS = 100_000
# Longer histories are prepared in a thread, so that they do not block the event loop.
_HEAVY_CHARS = 20_000
# Preparation starts after this delay: the model request has then been sent, and the model is generating.
PREPARE_AFTER_S = 0.05
_SHOWN_CHARS = 60
_MOST_NAMED = 12
_SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")


class GuardFinding(Protocol):
    """What is wrong with an answer. ``kind`` names it without customer data; ``value`` is its spelling in the answer.

    ``severity`` says what follows. ``low``: it is logged and counted, and the answer is shown. ``medium``: the model is asked to
    repair the answer once. ``high``: the answer is refused. ``told`` is what the model is told when it shall repair it.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> Severity: ...  # noqa: D102
    @property
    def told(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A ``GuardFinding`` of a task's own guard or validation, such as a promise that no tool has kept."""

    kind: str
    told: str
    value: str = ""
    severity: Severity = "medium"


class Guard(Protocol):
    """Checks the answers to one request; built from the request's inputs and from what the run sees."""

    @property
    def heavy(self) -> bool:
        """True if preparing takes so long that it must run in a thread."""

    def prepare(self) -> None:
        """Do the work that does not depend on an answer; idempotent and thread-safe."""

    def __call__(self, text: str) -> tuple[GuardFinding, ...]:
        """Return the findings in ``text``; empty if nothing is wrong with it."""

    def prepare_soon(self) -> asyncio.Handle | asyncio.Future[None]:
        """Schedule ``prepare`` while the model is busy; cancel the returned handle once there is an answer."""


class AnswerGuard:
    """Finds everything that ``service.core.statements.answers`` finds; an evaluation's scorers count the same findings."""

    def __init__(
        self,
        interactions: Sequence[Interaction],
        *,
        as_of: datetime,
        contact_reason: str = "",
        account_number: str = "",
    ) -> None:
        """Keep the visible interactions (oldest first); nothing is computed yet."""
        self._interactions = _newest(interactions)
        self._as_of = as_of
        self._contact_reason = contact_reason
        self._account_number = account_number
        self._lock = threading.Lock()
        self._prepared: AnswerSource | None = None

    @property
    def heavy(self) -> bool:
        """See ``Guard.heavy``."""
        return sum(len(item.text) for item in self._interactions) > _HEAVY_CHARS

    @property
    def source(self) -> AnswerSource:
        """What an answer may state, and what it must not print."""
        with self._lock:
            if self._prepared is None:
                self._prepared = AnswerSource(
                    self._interactions,
                    as_of=self._as_of,
                    contact_reason=self._contact_reason,
                    account_number=self._account_number,
                )
            return self._prepared

    def prepare(self) -> None:
        """See ``Guard.prepare``."""
        self.source.prepare()

    def prepare_soon(self) -> asyncio.Handle | asyncio.Future[None]:
        """See ``Guard.prepare_soon``."""
        loop = asyncio.get_running_loop()
        if self.heavy or not screened_is_compiled():
            return loop.run_in_executor(None, self.prepare)
        return loop.call_later(PREPARE_AFTER_S, self.prepare)

    def __call__(self, text: str) -> tuple[Finding, ...]:
        """See ``Guard.__call__``."""
        return findings_in(text, self.source)


def _newest(interactions: Sequence[Interaction]) -> tuple[Interaction, ...]:
    kept: list[Interaction] = []
    left = _MOST_CHARS
    for item in reversed(interactions):
        left -= len(item.text)
        if left < 0:
            break
        kept.append(item)
    return tuple(reversed(kept))


async def check_answer(guard: Guard, text: str, remaining_s: float) -> tuple[GuardFinding, ...]:
    """Return the guard's findings in ``text``.

    Raises:
        DeadlineExceeded: a heavy guard was not ready in ``remaining_s`` seconds.
        AnswerRefused: the guard itself failed; an unchecked answer must not be shown.
    """
    try:
        if not guard.heavy:
            return guard(text)
        async with asyncio.timeout(remaining_s):
            return await asyncio.to_thread(guard, text)
    except TimeoutError as err:
        log(Event.VALIDATION_TIMEOUT, timeout_ms=round(remaining_s * 1000))
        raise DeadlineExceeded("the guard was not ready when the time budget was spent") from err
    except Exception as err:
        raise AnswerRefused(
            f"the guard failed ({type(err).__name__}), so the answer is unchecked", raw_text=text
        ) from err


def kinds_of(findings: Sequence[GuardFinding]) -> tuple[str, ...]:
    """Return the distinct kinds of ``findings`` in their order; they hold no customer data."""
    return tuple(dict.fromkeys(finding.kind for finding in findings))


def worst_of(findings: Sequence[GuardFinding]) -> Severity:
    """Return the highest severity among ``findings``, of which there is at least one."""
    return max((finding.severity for finding in findings), key=_SEVERITIES.index)


# What the model is told about findings that are no unsupported details; the text of the answer follows in quotes.
_TOLD: dict[FindingKind, str] = {
    "order": "It gives an order or advice that no interaction states; report who asked or promised what instead:",
    "address": "It speaks as a person or to one; report in the third person, without I, me or you:",
    "salutation": "It greets, thanks, apologises or signs off; leave that out:",
    "machine talk": "It speaks about itself; leave that out:",
    "refusal": "It refuses; summarise what the interactions hold:",
    "insult": "It speaks with contempt about a person; leave that out:",
    "dangerous advice": "It gives dangerous advice that no interaction states; leave that out:",
    "bare verdict": "It states a decision that no interaction states; leave that out:",
    "trait": "It infers what a person is or has, which no interaction states; leave that out:",
    "repetition": "It says the same twice; leave that out:",
    "language": "It changes to another language; write English alone:",
    "prompt rule": "It repeats its instructions; leave that out:",
    "markup": "It holds markup; write plain text without:",
    "template leftover": "It holds an unfilled template; leave out:",
    "picture": "It holds emoji or decoration; leave out:",
    "contact detail": "It names a link, address or phone number that stands in none of the interactions; leave out:",
    "credential link": "It gives a link for card or login details; leave that out:",
}


_AGAIN = (
    "Write the whole answer once more in the same form, without them. State only what the interactions state. "
    "Do not mention this correction."
)
_CORRECTED = "Write the whole answer once more in the same form, with this corrected. Do not mention this correction."


def repair_messages(
    messages: Sequence[PromptMessage], answer: str, findings: Sequence[GuardFinding]
) -> tuple[PromptMessage, ...]:
    """Return the conversation that asks the model to repeat its answer without the findings."""
    worded, others = ([item for item in findings if bool(item.told) is told] for told in (True, False))
    shown = [item for item in others if item.value][:_MOST_NAMED]
    details = [f"{item.kind} {_shown(item.value)}" for item in shown if item.kind not in _TOLD]
    kept_back = sorted({item.kind for item in others if not item.value})
    parts = []
    if details:
        parts.append(f"These details of your answer stand in none of the interactions: {'; '.join(details)}.")
    for kind, told in _TOLD.items():
        values = [_shown(item.value) for item in shown if item.kind == kind]
        if values:
            parts.append(f"{told} {'; '.join(values)}.")
    if kept_back:
        parts.append(f"It also holds what must not be repeated ({', '.join(kept_back)}).")
    for told in dict.fromkeys(item.told for item in worded[:_MOST_NAMED]):
        values = [_shown(item.value) for item in worded[:_MOST_NAMED] if item.told == told and item.value]
        parts.append(f"{told} {'; '.join(values)}".rstrip())
    parts.append(_AGAIN if others else _CORRECTED)
    return (
        *messages,
        PromptMessage(role="assistant", content=answer),
        PromptMessage(role="user", content=" ".join(parts)),
    )


def _shown(value: str) -> str:
    # On one line, in quotes: the value may be text that a customer wrote.
    return f'"{" ".join(value.split())[:_SHOWN_CHARS]}"'.replace("<", "‹")
