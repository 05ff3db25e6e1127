"""The gateways of a self-test: a scripted good system, one that remembers a real system's answers, and one that adds a fault."""

import asyncio
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace

from pydantic import BaseModel

from eval.run.reply_cache import ReplyCache
from eval.selftest.faults.general import supported_part
from eval.selftest.mutant import Mutant, MutantPlan
from eval.spine.cases import Case
from service.core.llm.model_call import Gateway, ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.unit.question import Use
from service.kit.frame.canonical import sha256_hex
from service.kit.frame.errors import ConfigurationError, RequestRejected

# A scripted call's time in ms: lognormal around a median, as hosted models answer. Declared, not measured.
_P50_MS, _SIGMA = 900.0, 0.35
_CHARACTERS_PER_TOKEN = 4  # the usual rule of thumb for English
_TELL_EVERY = 20  # answers: a line a minute or so

CasesByDocument = Mapping[str, Case]


def document_key(document: object) -> str:
    """Return the key by which a call's document finds its case: what a task asks about, a model or a dataclass of values.

    Raises:
        RequestRejected: the call carries no such document.
    """
    if isinstance(document, BaseModel):
        return document.model_dump_json()
    if is_dataclass(document):
        return repr(document)
    raise RequestRejected(
        "the self-test knows a call's case by the document asked about, which this call does not carry"
    )


class ScriptedGateway:
    """A scripted good model: answers each case as ``plan.good`` draws it, from the prompt.

    It states only what the prompt's history supports, and follows ``plan.habits`` if the system message does not forbid
    them. The effect of a lost instruction is thus declared, not observed; the bundled engine shows real effects.
    """

    def __init__(self, plan: MutantPlan, cases: CasesByDocument, *, seed: int, answered_by: str) -> None:
        self._plan, self._cases, self._seed, self._answered_by = plan, cases, seed, answered_by
        self._prefixes: set[str] = set()

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``; the latency is drawn, without waiting."""
        uses: tuple[Use, ...] = ()
        if call.part:
            drawn_for, text = f"{self._seed}:{sha256_hex(question(call))}", self._answer_of_part(call)
        else:
            case = self._cases[document_key(call.document)]
            drawn_for = f"{self._seed}:{case.id}"
            uses = self._plan.uses(call, case) if self._plan.uses is not None else ()
            text = "" if uses else self._answer(call, case, random.Random(drawn_for))
        system = "".join(message.content for message in call.messages if message.role == "system")
        rest = "".join(message.content for message in call.messages if message.role != "system")
        prefix = len(system) // _CHARACTERS_PER_TOKEN if call.cache_prefix else 0
        cached = system in self._prefixes
        self._prefixes.add(system)
        usage = Usage(
            input_tokens=len(rest if prefix else system + rest) // _CHARACTERS_PER_TOKEN,
            output_tokens=max(1, len(text or repr(uses)) // _CHARACTERS_PER_TOKEN),
            cache_read_tokens=prefix if cached else 0,
            cache_write_tokens=0 if cached else prefix,
        )
        # Drawn apart from the text: a longer answer must not shift the other draws.
        latency_ms = _P50_MS * math.exp(_SIGMA * random.Random(f"{drawn_for}:ms").gauss(0, 1))
        return ModelReply(
            text=text,
            usage=usage,
            stop_reason="tool_use" if uses else "end_turn",
            latency_ms=latency_ms,
            answered_by=self._answered_by,
            uses=uses,
        )

    def _answer_of_part(self, call: ModelCall) -> str:
        answer = self._plan.parts.get(call.part)
        if answer is None:
            raise ConfigurationError(
                f"the task asks part {call.part!r} of the pair, and the self-test's plan does not say what it answers: add it to "
                "the plan's `parts`"
            )
        return answer(call)

    def _answer(self, call: ModelCall, case: Case, draws: random.Random) -> str:
        prompt = "\n".join(message.content for message in call.messages)
        wanted = self._plan.shown(case)
        text = self._plan.good("", case, draws)
        if not all(part in prompt for part in wanted):
            text = supported_part(text, case, prompt) if any(part[:40] in prompt for part in wanted) else ""
            text = text or self._plan.lost
        for habit in self._plan.habits:
            if habit.instruction not in call.messages[0].content:
                text = habit.doctor(text, case, draws)
        return text


class RememberingGateway:
    """Asks ``inner`` each question once, so that faults are planted in exactly the answers that the good system gave."""

    def __init__(self, inner: Gateway, kept: "KeptAnswers | None" = None) -> None:
        """``kept`` holds answers of earlier runs and says what makes two questions one; without it, the document does too."""
        self._inner, self._kept = inner, kept
        self._replies: dict[str, ModelReply] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        about = "" if call.part else f"\n{document_key(call.document)}"
        key = self._kept.key(call) if self._kept is not None else f"{question(call)}{about}"
        # Two calls at a time may ask the same question: the second one waits for the first one's answer.
        async with self._asking.setdefault(key, asyncio.Lock()):
            if key not in self._replies:
                self._replies[key] = await self._answer(key, call)
        self._asking.pop(key, None)
        return self._replies[key]

    async def _answer(self, key: str, call: ModelCall) -> ModelReply:
        if self._kept is None:
            return await self._inner.complete(call)
        return self._kept.get(key) or self._kept.put(key, await self._inner.complete(call))


class KeptAnswers:
    """A real model's answers from earlier self-tests, so that an interrupted self-test resumes and a repeated one is free.

    The key is the request (model, messages, sampling) and ``about``, which names all else that decides the answer (weights,
    engine, seed).
    """

    def __init__(
        self,
        cache: ReplyCache,
        *,
        about: str,
        run_id: str,
        fresh: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._cache, self._about, self._run_id, self._fresh, self._say = cache, about, run_id, fresh, say
        self._asked = 0

    def key(self, call: ModelCall) -> str:
        """Return the digest under which the answer to ``call`` is kept."""
        return sha256_hex(f"{self._about}\n{question(call)}")

    def get(self, key: str) -> ModelReply | None:
        """Return the kept answer; with ``fresh`` only what this run asked for."""
        found = self._cache.get(key)
        return found.reply if found is not None and (not self._fresh or found.run_id == self._run_id) else None

    def put(self, key: str, reply: ModelReply) -> ModelReply:
        """Keep ``reply`` and return it; every so often, say how many were kept."""
        self._cache.put(key, reply, self._run_id)
        self._asked += 1
        if self._asked % _TELL_EVERY == 0:
            self._say(f"  {self._asked} calls made, their answers kept")
        return reply

    def close(self) -> None:
        """Wait until everything is on disk."""
        self._cache.close()


def question(call: ModelCall) -> str:
    """Return as JSON what a model on the wire is asked."""
    messages = [(message.role, message.content) for message in call.messages]
    content: dict[str, object] = {
        "model": call.model,
        "messages": messages,
        "sampling": asdict(call.sampling),
        "schema": call.answer_schema,
    }
    if call.turns:
        content["turns"] = [asdict(turn) for turn in call.turns]
    if call.tools:
        content["tools"] = [asdict(tool) for tool in call.tools]
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


class FaultyGateway:
    """Plants one mutant's fault in the replies of ``inner``; the task's own output check still comes after it.

    A reply that uses tools is no answer, so only ``edit_reply`` changes it. What a part of the pair answers stays as it is.
    """

    def __init__(self, inner: Gateway, mutant: Mutant, cases: CasesByDocument, *, seed: int) -> None:
        self._inner, self._mutant, self._cases, self._seed = inner, mutant, cases, seed

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``."""
        reply = await self._inner.complete(call)
        if call.part:
            return reply
        case = self._cases[document_key(call.document)]
        if self._mutant.doctor is not None and not reply.uses:
            draws = random.Random(f"{self._mutant.name}:{self._seed}:{case.id}")
            reply = replace(reply, text=self._mutant.doctor(reply.text, case, draws))
        return self._mutant.edit_reply(reply) if self._mutant.edit_reply is not None else reply


def by_document(
    shown: Sequence[Case], known: Sequence[Case], documents: Callable[[Case], Iterable[object]]
) -> dict[str, Case]:
    """Return each case of ``known`` under the keys of the ``documents`` of what is shown of it; both in the same order."""
    return {
        document_key(document): whole for part, whole in zip(shown, known, strict=True) for document in documents(part)
    }
