"""Simulates the token counts of Bedrock's prompt cache: cachePoints, minimum prefix, five minutes after the last use."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from service.local.converse_wire import CachePrefix, ConverseRequest
from service.local.engines import ChatEngine, bare_model_id

TTL_S = 300.0
# The most prefixes whose lengths are kept. When it is reached, all are dropped, so that memory stays bounded.
MAX_COUNTS = 4096


def cache_minimum(model_id: str) -> int | None:
    """The shortest prefix in tokens that Bedrock caches for this model; None if it caches none.

    Source: Amazon Bedrock user guide, "Prompt caching", as recorded in the project's decisions (2026-11).
    """
    bare = bare_model_id(model_id)
    if bare.startswith(("meta.", "mistral.")):
        return None
    if bare.startswith("amazon.nova"):
        return 1000
    return 2048 if bare.startswith("anthropic.claude-3-5-haiku") else 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOutcome:
    """Prompt tokens read from and written to the cache, and the digests of prefixes to cache after a successful answer."""

    read_tokens: int = 0
    write_tokens: int = 0
    remember: tuple[str, ...] = ()


class PrefixCache:
    """Bedrock's prompt cache as Bedrock meters it; llama.cpp's own cache knows neither cachePoints nor a minimum.

    Entries expire 5 minutes after their last use. `clock` returns seconds and is monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_use: dict[tuple[str, str], float] = {}
        self._token_counts: dict[tuple[str, str], int] = {}

    async def look_up(self, request: ConverseRequest, engine: ChatEngine) -> CacheOutcome:
        """Return the tokens read (the longest cached prefix) and written (the rest of the longest cacheable prefix)."""
        minimum = cache_minimum(request.model_id)
        if minimum is None or not request.prefixes:
            return CacheOutcome()
        self._forget_expired()
        read = longest = 0
        remember: list[str] = []
        for prefix in request.prefixes:
            tokens = await self._count(prefix, engine)
            if tokens < minimum:
                continue
            longest = max(longest, tokens)
            remember.append(prefix.digest)
            if (request.model_id, prefix.digest) in self._last_use:
                read = max(read, tokens)
        return CacheOutcome(read_tokens=read, write_tokens=longest - read, remember=tuple(remember))

    def commit(self, model_id: str, outcome: CacheOutcome) -> None:
        """Cache the prefixes of an answered request, or renew their lifetime. Not called for a failed request."""
        for digest in outcome.remember:
            self._last_use[model_id, digest] = self._clock()

    async def _count(self, prefix: CachePrefix, engine: ChatEngine) -> int:
        key = (engine.answered_by, prefix.digest)
        if key not in self._token_counts:
            tokens = await engine.count_tokens(prefix.text)
            if len(self._token_counts) >= MAX_COUNTS:
                self._token_counts.clear()
            self._token_counts[key] = tokens
            return tokens
        return self._token_counts[key]

    def _forget_expired(self) -> None:
        oldest = self._clock() - TTL_S
        for key in [key for key, used in self._last_use.items() if used < oldest]:
            del self._last_use[key]
