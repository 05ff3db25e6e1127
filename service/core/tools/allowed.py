"""Uses only the tools that a pair names: checks arguments before a call, bounds what comes back, writes once."""

import asyncio
import json
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from service.core.tools.documents import NoTools, WithDocuments
from service.core.tools.effects import EffectLedger, EffectsInMemory
from service.core.tools.port import MOST_ANSWER_CHARS, ToolError, Tools, ToolsDown, ToolUndecided
from service.core.tools.provenance import Sources, unproven, verified_values
from service.core.tools.use import RefusalReason, ToolOutcome
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.core.unit.tool_arguments import wrong_arguments
from service.kit.delivery.breaker import CircuitBreaker, Permit
from service.kit.frame.canonical import canonical_json, sha256_hex
from service.kit.frame.errors import StoreError
from service.kit.telemetry import tracing
from service.kit.telemetry.log import Event, log

_MOST_ERROR_CHARS = 500
_CALL_ID = re.compile(r"[\w.:-]{1,80}", re.ASCII)  # a model writes it, so anything else may stand in it
_NOTING_S = 2.0  # how long a run waits, even past its time, until the end of an effect is noted
_LEAST_PATIENCE_S = 0.5  # a tool that had less time than this is not to blame for being late


@dataclass(slots=True, kw_only=True)
class AllowedTools:
    """The tools of one run. Everything that ``specs`` do not name is refused before it happens.

    ``run_id`` is the id of the run or conversation: an equal writing call of the same run is made once. ``calls`` counts the
    attempts by (tool, status), those that were refused included. ``breaker`` is that of the tools' server: while it is open, no
    tool is called; ``search_breaker`` is the same for the search in documents. ``verified`` are the values that answers have
    verified in this run (``ToolSpec.verifies``). ``logged`` is False where the uses are kept otherwise, as in the record of an
    evaluation's conversation. ``tell`` gets the name of each tool before it is called, for whoever waits for this run's answer.
    """

    specs: Mapping[str, ToolSpec]
    tools: Tools
    run_id: str
    effects: EffectLedger = field(default_factory=EffectsInMemory)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    breaker: CircuitBreaker | None = None
    search_breaker: CircuitBreaker | None = None
    verified: list[str] = field(default_factory=list)
    logged: bool = True
    tell: Callable[[str], None] | None = None

    def only_reading(self, specs: Iterable[ToolSpec]) -> "AllowedTools":
        """Return those of ``specs`` that do not write, for another run on the same tools, such as a shadow's."""
        named = {spec.name: spec for spec in specs if not spec.writes}
        return AllowedTools(
            specs=named,
            # Another run's pair may name another index.
            tools=self.tools.of(named.values()) if isinstance(self.tools, WithDocuments) else self.tools,
            run_id=self.run_id,
            breaker=self.breaker,
            search_breaker=self.search_breaker,
            logged=self.logged,
        )

    async def use(self, use: Use, *, sources: Sources, timeout_s: float) -> ToolOutcome:
        """Return what came of ``use``; a failure or refusal is an outcome that the model reads, never an exception.

        When the run is cancelled meanwhile, that is noted and passed on. A writing call then stays claimed in the ledger, unless
        its end was noted, so it is never made a second time.
        """
        started = time.perf_counter()
        known = use.tool if use.tool in self.specs else "unknown"
        # Names from OpenTelemetry's semantic conventions for generative AI; arguments and answers are not recorded.
        attributes: dict[str, tracing.AttributeValue] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": known,
            "gen_ai.tool.type": "function",
        }
        with tracing.span(f"execute_tool {known}", "internal", attributes) as span:
            span.set("gen_ai.tool.call.id", use.call_id if _CALL_ID.fullmatch(use.call_id) else None)
            try:
                outcome = await self._used(use, sources, timeout_s)
            except asyncio.CancelledError:
                # The run is over, and nobody reads an outcome: only log, count and span can say what it left behind.
                self.calls[known, "cancelled"] += 1
                self._log(known, "cancelled", None, (time.perf_counter() - started) * 1000)
                span.set("omni.tool.outcome", "cancelled")
                raise
            span.set("omni.tool.outcome", outcome.status)
            if outcome.status != "done":
                span.fail(outcome.reason or outcome.status)
        outcome = replace(outcome, ms=(time.perf_counter() - started) * 1000)
        self.calls[known, outcome.status] += 1
        self._log(known, outcome.status, outcome.reason, outcome.ms)
        return outcome

    def _log(self, tool: str, outcome: str, reason: str | None, ms: float) -> None:
        if self.logged:
            log(Event.TOOL_USED, tool=tool, outcome=outcome, reason=reason, latency_ms=ms)

    async def _used(self, use: Use, sources: Sources, timeout_s: float) -> ToolOutcome:
        spec = self.specs.get(use.tool)
        if spec is None:
            allowed = ", ".join(sorted(self.specs)) or "none"
            return _refused("not_allowed", f"there is no tool {use.tool[:60]!r}; tools: {allowed}")
        wrong = wrong_arguments(spec, use.arguments)
        if wrong:
            return _refused("wrong_arguments", wrong)
        if not spec.writes:
            outcome = await self._called(use, None, timeout_s)
        else:
            known = replace(sources, records=(*sources.records, *self.verified))
            if missing := unproven(spec, use.arguments, known):
                return _refused(
                    "unproven_argument",
                    f"neither the customer nor a verified record states {', '.join(missing)}; ask the customer",
                )
            outcome = await self._written(use, timeout_s)
        if outcome.status == "done":
            self.verified.extend(verified_values(spec, outcome.content))
        return outcome

    async def _written(self, use: Use, timeout_s: float) -> ToolOutcome:
        own_words = self.specs[use.tool].own_words
        decisive = {name: value for name, value in use.arguments.items() if name not in own_words}
        key = sha256_hex(canonical_json([self.run_id, use.tool, _spelled_alike(decisive)]))
        until = time.monotonic() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                known = await self.effects.claim(key, tool=use.tool)
        except TimeoutError:
            return ToolOutcome(status="too_late", content=_error("the tool was not called: no time was left"))
        except StoreError:
            return ToolOutcome(
                status="failed", content=_error("the tool was not called: its effect cannot be noted now")
            )
        if known is not None and known.state == "done":
            return ToolOutcome(status="done", content=known.content, repeated=True)
        if known is not None:
            return _refused(
                "undecided_effect", "an equal call was begun before and its outcome is unknown; hand over to a person"
            )
        outcome = await self._called(use, key, until - time.monotonic())
        if not outcome.undecided:  # otherwise the claim stays, and forbids a second call
            # It also stays when its end cannot be noted; what the tool did is told all the same.
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(_NOTING_S):
                    await self.effects.end(key, "done" if outcome.status == "done" else "failed", outcome.content)
        return outcome

    async def _called(self, use: Use, key: str | None, timeout_s: float) -> ToolOutcome:
        breaker = self.search_breaker if self.specs[use.tool].documents else self.breaker
        permit = None if breaker is None else breaker.admit()
        if breaker is not None and permit is None:
            return _refused("tools_down", "the tool was not called: the tools cannot be reached at present")
        answered: bool | None = None  # None: the call says nothing about the server
        try:
            if self.tell is not None:
                self.tell(use.tool)
            async with asyncio.timeout(timeout_s):
                content: object = await self.tools.call(use.tool, use.arguments, key=key)
            answered = True
        except TimeoutError:
            answered = None if timeout_s < _LEAST_PATIENCE_S else False
            return ToolOutcome(status="too_late", content=_error("the tool did not answer in time"), undecided=True)
        except (ToolError, ToolUndecided) as err:
            answered = not isinstance(err, ToolsDown)
            undecided = isinstance(err, ToolUndecided)
            return ToolOutcome(status="failed", content=_error(str(err)[:_MOST_ERROR_CHARS]), undecided=undecided)
        except Exception as err:  # a tool is other people's code; its text may hold secrets, so only the type is shown
            answered = False
            return _broken(f"the tool failed ({type(err).__name__})")
        finally:
            if permit is not None:
                _report(permit, answered)
        return _read(content)


def _report(permit: Permit, answered: bool | None) -> None:
    if answered is None:
        permit.give_back()
    elif answered:
        permit.succeeded()
    else:
        permit.failed()


def _read(content: object) -> ToolOutcome:
    if not isinstance(content, str):
        return _broken("the tool's answer is no text")
    if len(content) > MOST_ANSWER_CHARS:
        return _broken(f"the tool's answer has {len(content):,} characters; {MOST_ANSWER_CHARS:,} are allowed")
    if not _is_json(content):
        return _broken("the tool's answer is no JSON")
    return ToolOutcome(status="done", content=content)


NO_TOOLS = AllowedTools(specs={}, tools=NoTools(), run_id="")


def _spelled_alike(value: Any) -> Any:
    """Return ``value`` with each text in one spelling, so that "Ann " and "ann" order one callback and not two."""
    if isinstance(value, Mapping):
        return {str(name): _spelled_alike(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled_alike(item) for item in value]
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split()) if isinstance(value, str) else value


def _refused(reason: RefusalReason, text: str) -> ToolOutcome:
    return ToolOutcome(status="refused", reason=reason, content=_error(text))


def _broken(text: str) -> ToolOutcome:
    return ToolOutcome(status="failed", content=_error(text), undecided=True)


def _error(text: str) -> str:
    return json.dumps({"error": text})


def _is_json(content: str) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
