"""The ledger of effects in the shared DynamoDB table: all tasks of the service know what any of them has written."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from service.core.tools.effects import KnownEffect
from service.kit.aws.bounded import StoreThrottled
from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedState, SharedStateChanged

# As long as the validation records of a conversation are kept; a retry comes within minutes.
_KEPT_S = 90 * 86_400
_ATTEMPTS = 5
_EFFECT = TypeAdapter(KnownEffect)


class EffectTable:
    """See ``EffectLedger``. An effect can be claimed by one caller only, whatever the process. Methods raise ``StoreError``."""

    def __init__(self, shared: SharedState, *, now: Callable[[], float] = time.time) -> None:
        """``now`` is seconds since 1970."""
        self._shared = shared
        self._now = now
        self._giving_back: set[asyncio.Future[None]] = set()

    async def claim(self, key: str, *, tool: str) -> KnownEffect | None:
        """See ``EffectLedger.claim``; a caller who is cancelled, or out of time, claims nothing."""
        claiming = asyncio.ensure_future(asyncio.to_thread(self._claim, key, tool))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(lambda claimed: self._give_back(key, claimed))
            raise

    def _give_back(self, key: str, claimed: "asyncio.Future[KnownEffect | None]") -> None:
        """Give back what a caller who has gone has claimed: the tool is not called."""
        if claimed.cancelled() or claimed.exception() is not None or claimed.result() is not None:
            return
        failed = KnownEffect(state="failed", content="given up before the call")
        giving_back = asyncio.ensure_future(asyncio.to_thread(self._put, key, failed, None))
        self._giving_back.add(giving_back)
        giving_back.add_done_callback(self._gave_back)

    def _gave_back(self, giving_back: "asyncio.Future[None]") -> None:
        self._giving_back.discard(giving_back)
        if not giving_back.cancelled():
            giving_back.exception()  # seen: then the claim stays, and a person has to look

    async def end(self, key: str, state: Literal["done", "failed"], content: str) -> None:
        """See ``EffectLedger.end``."""
        await asyncio.to_thread(self._put, key, KnownEffect(state=state, content=content), None)

    def _claim(self, key: str, tool: str) -> KnownEffect | None:
        for _ in range(_ATTEMPTS):
            found = self._shared.get(_partition(key), key)
            known = None if found is None or found.text is None else self._known(key, found.text)
            if known is not None and known.state != "failed":
                return known
            try:
                self._put(key, KnownEffect(state="claimed", content=tool), 0 if found is None else found.version)
            except SharedStateChanged:
                continue  # another process was faster; look at what it noted
            return None
        raise StoreThrottled(f"the effect {key[:12]} is claimed by others all the time")

    def _known(self, key: str, text: str) -> KnownEffect:
        try:
            return _EFFECT.validate_json(text)
        except ValidationError as err:
            raise StoreError(
                f"{self._shared.place(_partition(key), key)} is damaged: nobody knows what was done"
            ) from err

    def _put(self, key: str, effect: KnownEffect, expected: int | None) -> None:
        self._shared.put(
            _partition(key), key, json.dumps(asdict(effect)), expected=expected, expires_at=self._now() + _KEPT_S
        )


def _partition(key: str) -> str:
    # Several partitions, so that unrelated effects do not wait for one another's announcement.
    return f"effects/{key[:2]}"
