"""Checks a model's answer before it is shown: for details without support in the interactions, and for secrets."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.errors import AnswerRefused, DeadlineExceeded
from service.grounding.check import GroundingSource, find_unsupported
from service.grounding.quotable import leak_in, secrets_in
from service.interactions.interaction import Interaction
from service.pair import Message

# Building a source takes up to 0.5 ms per 1,000 characters, so only the newest interactions up to this limit are used. A detail
# that only an older one states is then a finding, which is the safe error.
_MOST_CHARS = 100_000
# Longer histories are prepared in a thread, so that they do not block the event loop.
_HEAVY_CHARS = 20_000
# Preparation starts after this delay: the model request has then been sent, and the model is generating.
_PREPARE_AFTER_S = 0.05
_SHOWN_CHARS = 60
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFinding:
    """A detail that must not be shown: its kind and its text in the answer. ``value`` is customer data: never log it."""

    kind: str
    value: str


class Guard(Protocol):
    """Checks the answers to one request; built from the request's inputs."""

    @property
    def heavy(self) -> bool:
        """True if preparing takes so long that it must run in a thread."""
        ...

    def prepare(self) -> None:
        """Do the work that does not depend on an answer; idempotent and thread-safe."""
        ...

    def __call__(self, text: str) -> tuple[GuardFinding, ...]:
        """Return the findings in ``text``; empty if it may be shown."""
        ...

    def prepare_soon(self) -> asyncio.Handle | asyncio.Future[None]:
        """Schedule ``prepare`` while the model is busy; cancel the returned handle once there is an answer."""
        ...


class GroundingGuard:
    """Finds unsupported amounts, dates, ids, names, counts and channels, and secrets and long numbers.

    Support is checked by ``service.grounding.check``, which also scores ``grounded`` in an evaluation.
    """

    def __init__(self, interactions: Sequence[Interaction], *, as_of: datetime, contact_reason: str = "") -> None:
        """Keep the visible interactions (oldest first); nothing is computed yet."""
        self._interactions = _newest(interactions)
        self._as_of = as_of
        self._contact_reason = contact_reason
        self._lock = threading.Lock()
        self._prepared: tuple[GroundingSource, frozenset[str]] | None = None

    @property
    def heavy(self) -> bool:
        """See ``Guard.heavy``."""
        return sum(len(item.text) for item in self._interactions) > _HEAVY_CHARS

    @property
    def source(self) -> GroundingSource:
        """The grounding source of the interactions."""
        return self._ready()[0]

    def prepare(self) -> None:
        """See ``Guard.prepare``."""
        source, _ = self._ready()
        source.prepare()

    def _ready(self) -> tuple[GroundingSource, frozenset[str]]:
        with self._lock:
            if self._prepared is None:
                source = GroundingSource(self._interactions, as_of=self._as_of, contact_reason=self._contact_reason)
                secrets = frozenset[str]().union(*[secrets_in(item.text) for item in self._interactions])
                self._prepared = source, secrets
            return self._prepared

    def prepare_soon(self) -> asyncio.Handle | asyncio.Future[None]:
        """See ``Guard.prepare_soon``."""
        loop = asyncio.get_running_loop()
        if self.heavy:
            return loop.run_in_executor(None, self.prepare)
        return loop.call_later(_PREPARE_AFTER_S, self.prepare)

    def __call__(self, text: str) -> tuple[GuardFinding, ...]:
        """See ``Guard.__call__``."""
        source, secrets = self._ready()
        found = [GuardFinding(kind=item.kind, value=item.value) for item in find_unsupported(text, source)]
        reason = leak_in(text)
        if reason is not None:
            found.append(GuardFinding(kind=reason, value=""))
        folded = text.lower()
        found.extend(GuardFinding(kind="secret", value="") for secret in secrets if secret in folded)
        return tuple(dict.fromkeys(found))


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
        raise DeadlineExceeded("the guard was not ready when the time budget was spent") from err
    except Exception as err:
        raise AnswerRefused(
            f"the guard failed ({type(err).__name__}), so the answer is unchecked", raw_text=text
        ) from err


def kinds_of(findings: Sequence[GuardFinding]) -> tuple[str, ...]:
    """Return the distinct kinds of ``findings`` in their order; they hold no customer data."""
    return tuple(dict.fromkeys(finding.kind for finding in findings))


def repair_messages(messages: Sequence[Message], answer: str, findings: Sequence[GuardFinding]) -> tuple[Message, ...]:
    """Return the conversation that asks the model to repeat its answer without the findings."""
    named = [f"{item.kind} {_shown(item.value)}" for item in findings if item.value][:_MOST_NAMED]
    kept_back = sorted({item.kind for item in findings if not item.value})
    parts = []
    if named:
        parts.append(f"These details of your answer stand in none of the interactions: {'; '.join(named)}.")
    if kept_back:
        parts.append(f"It also holds what must not be repeated ({', '.join(kept_back)}).")
    request = (
        "Write the whole answer once more in the same form, without them. State only what the interactions state. "
        "Do not mention this correction."
    )
    return (
        *messages,
        Message(role="assistant", content=answer),
        Message(role="user", content=" ".join([*parts, request])),
    )


def _shown(value: str) -> str:
    # On one line, in quotes: the value may be text that a customer wrote.
    return f'"{" ".join(value.split())[:_SHOWN_CHARS]}"'.replace("<", "‹")
