"""The ledger of effects: what a writing call did is noted under its key, so that a retry does not do it twice."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

EffectState = Literal["claimed", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEffect:
    """What is known of a writing call. ``claimed`` without an end: it was begun, and nobody knows whether it happened."""

    state: EffectState
    content: str = ""


class EffectLedger(Protocol):
    """Notes effects by key: claimed before the call, done or failed after it."""

    async def claim(self, key: str, *, tool: str) -> KnownEffect | None:
        """Note that a call begins; return None if it may, or what is known of an earlier call with this key.

        A failed effect may be claimed again.
        """

    async def end(self, key: str, state: Literal["done", "failed"], content: str) -> None:
        """Note how a claimed call ended."""


@dataclass(slots=True)
class EffectsInMemory:
    """A ledger for one process: for evaluations, whose worlds end with the case."""

    by_key: dict[str, KnownEffect] = field(default_factory=dict)

    async def claim(self, key: str, *, tool: str) -> KnownEffect | None:
        """See ``EffectLedger.claim``."""
        known = self.by_key.get(key)
        if known is None or known.state == "failed":
            self.by_key[key] = KnownEffect(state="claimed")
            return None
        return known

    async def end(self, key: str, state: Literal["done", "failed"], content: str) -> None:
        """See ``EffectLedger.end``."""
        self.by_key[key] = KnownEffect(state=state, content=content)
