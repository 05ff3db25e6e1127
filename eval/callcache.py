"""A content-addressed cache of model replies on disk: an interrupted run resumes, a repeated one is free."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from service.canonical import canonical_json, sha256_hex
from service.llm.call import Gateway, ModelCall, ModelReply
from service.llm.pricing import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedReply:
    """A stored reply and the run whose live call it was."""

    reply: ModelReply
    run_id: str


class CallCache:
    """Replies under ``folder/ab/abcdef….json``, each written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> CachedReply | None:
        """Return the stored reply; a file that cannot be read counts as absent, the call is then made again."""
        try:
            raw = json.loads(self._path(key).read_text(encoding="utf-8"))
            reply = ModelReply(**raw["reply"] | {"usage": Usage(**raw["reply"]["usage"])})
            return CachedReply(reply=reply, run_id=raw["run_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, reply: ModelReply, run_id: str) -> None:
        """Store ``reply`` atomically: a reader, or a kill, sees the old state or the new one."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"run_id": run_id, "reply": asdict(reply)}, file, ensure_ascii=False)
        Path(temporary).replace(path)


@dataclass(slots=True)
class CachingGateway:
    """A gateway for one case of one run: answers from the cache when it can, and says whether it did.

    The key holds pair digest, case digest and repeat, and also the call itself: a change in how a task renders its history
    must not be answered from before the change. Models that are code are never cached; running them is cheaper.
    """

    inner: Gateway
    cache: CallCache
    run_id: str
    pair_digest: str
    inputs_digest: str
    repeat: int
    fresh: bool = False
    live: bool = True
    measured_in: str | None = None
    asked: bool = field(default=False)

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        self.asked = True
        key = self._key(call)
        stored = self.cache.get(key)
        # A reply of this very run is used even when fresh calls are wanted: it is the interrupted run's own.
        if stored is not None and (stored.run_id == self.run_id or not self.fresh):
            self.live = stored.run_id == self.run_id
            self.measured_in = None if self.live else stored.run_id
            return stored.reply
        reply = await self.inner.complete(call)
        self.cache.put(key, reply, self.run_id)
        return reply

    def _key(self, call: ModelCall) -> str:
        content = {
            "pair": self.pair_digest,
            "inputs": self.inputs_digest,
            "repeat": self.repeat,
            "model": call.model,
            "messages": [asdict(message) for message in call.messages],
            "sampling": asdict(call.sampling),
            "cache_prefix": call.cache_prefix,
        }
        return sha256_hex(canonical_json(content))
