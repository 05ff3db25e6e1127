"""A content-addressed cache of model replies on disk: an interrupted run resumes, a repeated one is free.

It holds replies under the whole rendered call, never results: task code, checks and scorers always run.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from eval.spine.errors import RunAborted
from eval.spine.results import Timing
from service.core.llm.model_call import AnswerOrigin, Gateway, ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.question import Use
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.errors import (
    DeadlineExceeded,
    ModelError,
    ModelUnusable,
    QuotaExceeded,
    RequestRejected,
    UpstreamUnavailable,
)
from service.kit.frame.strict import lines_of

_KEY = '{"key": "'  # each line begins so, then the 64 digits of the key
MOST_SILENT = 5  # calls in a row: one may fail for its prompt, and a provider may have a bad second
# Throttled calls in a row: the first burst may be more than a provider takes, and each call is tried again after a pause.
MOST_THROTTLED = 40
_KEPT = "No evidence was written; what was answered is kept, and the same command goes on."
# Names that only our stand-ins have given themselves: what they answered before replies stated their origin is still known.
_STAND_INS = frozenset({"SmolLM2-135M-Instruct-Q4_1", "echo", "digest", "scripted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedReply:
    """A stored reply, the run whose live call it was, and how long that run's own machine held the call up."""

    reply: ModelReply
    run_id: str
    lag_ms: float = 0.0


class ReplyCache:
    """Replies as lines of ``folder/<run id>.jsonl``, appended one whole line at a time.

    Appending a line takes some microseconds; a file per reply would take milliseconds. A line cut off by a crash is ignored,
    so that call is made again.
    """

    def __init__(self, folder: Path) -> None:
        """Index what is there by key; a line is parsed when it is asked for."""
        self._folder = folder
        self._lines: dict[str, str] = {}
        self._files: dict[str, int] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="call-cache")
        for path in sorted(
            folder.glob("*.jsonl")
        ):  # run ids begin with their time: a later reply replaces an earlier one
            for line in lines_of(path.read_text(encoding="utf-8", errors="replace")):
                if line.startswith(_KEY) and line.endswith("}"):
                    self._lines[line[len(_KEY) : len(_KEY) + 64]] = line

    def get(self, key: str) -> CachedReply | None:
        """Return the stored reply; a line that cannot be read, or whose origin nobody can tell, counts as absent."""
        try:
            raw = json.loads(self._lines[key])
            uses = tuple(Use(**use) for use in raw["reply"].get("uses", ()))
            reply = ModelReply(**raw["reply"] | {"usage": Usage(**raw["reply"]["usage"]), "uses": uses})
            if "origin" not in raw["reply"]:
                if reply.answered_by not in _STAND_INS:
                    return None
                reply = replace(reply, origin="stand-in")
            return CachedReply(reply=reply, run_id=raw["run_id"], lag_ms=float(raw.get("lag_ms", 0.0)))
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, reply: ModelReply, run_id: str, *, lag_ms: float = 0.0) -> None:
        """Append ``reply`` to the run's file in one write by a separate thread, so that a busy disk delays no call."""
        kept = {"key": key, "run_id": run_id, "lag_ms": round(lag_ms, 1), "reply": asdict(reply)}
        line = json.dumps(kept, ensure_ascii=False)
        self._lines[key] = line
        self._writer.submit(self._append, line, run_id)

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._writer.shutdown(wait=True)
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def _append(self, line: str, run_id: str) -> None:
        if run_id not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._files[run_id] = os.open(self._folder / f"{run_id}.jsonl", flags, 0o600)
            os.write(self._files[run_id], b"\n")  # closes a line that a crash may have left open
        os.write(self._files[run_id], line.encode() + b"\n")


@runtime_checkable
class KnownOrigins(Protocol):
    """A gateway that knows before a call where its answer can come from."""

    def origins_of(self, model: str) -> frozenset[AnswerOrigin]:
        """Return where an answer of ``model`` can come from."""
        ...

    def server_of(self, model: str) -> str | None:
        """Return the address of the server that somebody named for ``model``, or None."""
        ...


class GatewayNotReady(Exception):
    """The cache lacks the reply to ``call`` and the gateway is not ready: make it ready, then run the case again."""

    def __init__(self, call: ModelCall) -> None:
        super().__init__(call.model)
        self.call = call


@dataclass(slots=True)
class CachingGateway:
    """A gateway for one case of one run; answers from the cache if it can, and records in which run each reply was made.

    The key holds pair digest, case digest, repeat and the model call itself, so that a change in how a task renders its
    inputs misses the cache. Models that are code are never cached; running them is cheaper. A stored reply answers only where
    the gateway's own answer could have the same origin: a stand-in's never counts as the provider's.

    A model that no call can reach ends the run, so that no evidence is made of failures alone: one that is unusable at once, and
    one that has answered no call of the run after ``MOST_SILENT`` failures or ``most_throttled`` throttled calls, or only in
    prose where a form was asked for. ``silent`` counts these by model and is shared by the run's cases; None: nothing is counted.
    ``is_code`` says of a model's id whether it is code, ``lag`` how many milliseconds the machine has held this run up so far.
    """

    inner: Gateway
    cache: ReplyCache
    run_id: str
    pair_digest: str
    inputs_digest: str
    repeat: int
    fresh: bool = False
    ready: Callable[[ModelCall], bool] = lambda call: True
    silent: dict[str, int] | None = None
    is_code: Callable[[str], bool] = lambda model: False
    lag: Callable[[], float] = lambda: 0.0
    most_throttled: int = MOST_THROTTLED
    made_in: list[str] = field(default_factory=list)  # for each call, the run that made it
    lags: list[float] = field(default_factory=list)  # for each call, the lag of that run's machine
    timed: int = 0  # calls that an earlier timing covers

    def timing(self, ms: float) -> Timing:
        """Return the timing of what took ``ms`` and made the calls since the last timing, such as a turn of a conversation."""
        found = self._timing(ms, self.timed)
        self.timed = len(self.made_in)
        return found

    def whole_timing(self, ms: float) -> Timing:
        """Return the timing of what took ``ms`` and made all calls."""
        return self._timing(ms, 0)

    def _timing(self, ms: float, since: int) -> Timing:
        return replace(Timing.made_in(ms, self.made_in[since:], self.run_id), lag_ms=sum(self.lags[since:]))

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``.

        Raises:
            GatewayNotReady: the cache lacks the reply, and the gateway is not ready for the call.
            RunAborted: the model cannot be used, or has never answered.
        """
        if self.is_code(call.model):
            return await self.inner.complete(call)
        key = self._key(call)
        stored = self.cache.get(key)
        # A reply of this run is used even with --fresh: it was made before an interruption.
        if (
            stored is not None
            and (stored.run_id == self.run_id or not self.fresh)
            and self._same_origin(stored.reply, call.model)
        ):
            self.made_in.append(stored.run_id)
            self.lags.append(stored.lag_ms)
            return stored.reply
        if not self.ready(call):
            raise GatewayNotReady(call)
        self.made_in.append(self.run_id)
        self.lags.append(0.0)
        place, before = len(self.lags) - 1, self.lag()
        reply = await self._asked(call)
        self.lags[place] = self.lag() - before
        self.cache.put(key, reply, self.run_id, lag_ms=self.lags[place])
        return reply

    async def _asked(self, call: ModelCall) -> ModelReply:
        try:
            reply = await self.inner.complete(call)
        except ModelUnusable as err:
            raise RunAborted(f"{err}. {_KEPT}") from err
        except (UpstreamUnavailable, RequestRejected, DeadlineExceeded) as err:
            self._unheard(call.model, call.model, MOST_SILENT, err)
            raise
        except QuotaExceeded as err:
            self._unheard(call.model, f"{call.model} throttled", self.most_throttled, err)
            raise
        except ModelError:
            self._heard(call)
            raise
        self._heard(call)
        self._check_form(call, reply)
        return reply

    def _unheard(self, model: str, counted: str, most: int, err: ModelError) -> None:
        """Count ``err`` as ``counted``, and raise ``RunAborted`` at ``most`` of them if ``model`` has answered nothing yet."""
        if self.silent is None or self.silent.get(model, 0) < 0:
            return
        self.silent[counted] = self.silent.get(counted, 0) + 1
        if self.silent[counted] >= most:
            raise RunAborted(f"{err}; {most} calls, and none was answered. {_KEPT}") from err

    def _heard(self, call: ModelCall) -> None:
        if self.silent is not None:
            self.silent[call.model] = -1

    def _check_form(self, call: ModelCall, reply: ModelReply) -> None:
        """Raise ``RunAborted`` when the first answers of a model that was asked for a form are all prose."""
        if self.silent is None or call.answer_schema is None:
            return
        name = f"{call.model} in prose"
        if "{" in reply.text:
            self.silent[name] = -1
        elif self.silent.get(name, 0) >= 0:
            self.silent[name] = self.silent.get(name, 0) + 1
            if self.silent[name] >= MOST_SILENT:
                raise RunAborted(
                    f"{call.model} ignores the form of the answer: {MOST_SILENT} answers, and none is JSON; name a model with "
                    f"structured output. {_KEPT}"
                )

    def _same_origin(self, reply: ModelReply, model: str) -> bool:
        return not isinstance(self.inner, KnownOrigins) or reply.origin in self.inner.origins_of(model)

    def _key(self, call: ModelCall) -> str:
        content: dict[str, object] = {
            "pair": self.pair_digest,
            "inputs": self.inputs_digest,
            "repeat": self.repeat,
            "model": call.model,
            "messages": [(message.role, message.content) for message in call.messages],
            "sampling": asdict(call.sampling),
            "cache_prefix": call.cache_prefix,
        }
        if call.answer_schema is not None:
            content["answer_schema"] = call.answer_schema
        if call.turns:
            content["turns"] = [asdict(turn) for turn in call.turns]
        if call.tools:
            content["tools"] = [asdict(tool) for tool in call.tools]
        server = self.inner.server_of(call.model) if isinstance(self.inner, KnownOrigins) else None
        if server is not None:
            content["server"] = server
        return sha256_hex(json.dumps(content, sort_keys=True, ensure_ascii=False))
