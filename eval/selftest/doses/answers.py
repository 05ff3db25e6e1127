"""Answers of planted systems: given texts through the task's own output check, with a declared latency and cost."""

import asyncio
import math
import random
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from eval.run.reply_cache import ReplyCache
from eval.run.runner import ArmJob, Runner
from eval.selftest.gateways import by_document, document_key
from eval.selftest.mutant import PartAnswers
from eval.spine.cases import Case
from eval.spine.results import CaseResult
from service.core.llm.model_call import ModelCall, ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair

# A call's time in ms is lognormal around a median, as hosted models answer. Declared, not measured.
_P50_MS, _SIGMA = 900.0, 0.35
_NO_PARTS: PartAnswers = {}
_CHARACTERS_PER_TOKEN = 4  # the usual rule of thumb for English


class _GivenTexts:
    """A gateway that answers each case with the text given for it, and each part of the pair as ``parts`` says."""

    def __init__(
        self, texts: Mapping[str, str], known: Mapping[str, Case], *, seed: str, parts: PartAnswers = _NO_PARTS
    ) -> None:
        self._texts, self._known, self._seed, self._parts = texts, known, seed, parts

    async def complete(self, call: ModelCall) -> ModelReply:
        """See ``Gateway.complete``; the latency is drawn from seed and case, without waiting."""
        key = document_key(call.document)
        about = key if call.part else self._known[key].id
        text = self._parts[call.part](call) if call.part else self._texts[about]
        fixed = sum(len(message.content) for message in call.messages if message.role == "system")
        prefix = fixed // _CHARACTERS_PER_TOKEN if call.cache_prefix else 0
        asked = sum(len(message.content) for message in call.messages) // _CHARACTERS_PER_TOKEN - prefix
        return ModelReply(
            text=text,
            usage=Usage(
                input_tokens=asked,
                output_tokens=max(1, len(text) // _CHARACTERS_PER_TOKEN),
                cache_read_tokens=prefix,
                cache_write_tokens=0,
            ),
            stop_reason="end_turn",
            latency_ms=_P50_MS * math.exp(_SIGMA * random.Random(f"{self._seed}:{about}:ms").gauss(0, 1)),
            answered_by="planted",
        )


class _NothingKept(ReplyCache):
    """A cache that stores nothing: its key would not tell which text was given."""

    def put(self, key: str, reply: ModelReply, run_id: str, *, lag_ms: float = 0.0) -> None:
        """Drop ``reply``."""


def answers_of(
    texts: Mapping[str, str],
    cases: Sequence[Case],
    *,
    task: Task[Any],
    pair: Pair,
    cards: ModelCards,
    seed: str,
    parts: PartAnswers = _NO_PARTS,
) -> list[CaseResult]:
    """Return a system's results, in order, that answers ``cases`` with ``texts`` (by id); ``seed`` sets its latencies."""

    def documents(case: Case) -> list[object]:
        return [item.document for item in task.questions(task.input_model.model_validate(case.inputs), pair)]

    gateway = _GivenTexts(texts, by_document(cases, cases, documents), seed=seed, parts=parts)
    with tempfile.TemporaryDirectory(prefix="omni-doses-") as folder, closing(_NothingKept(Path(folder))) as cache:
        runner = Runner(
            task=task,
            gateway=gateway,
            cards=cards,
            cache=cache,
            run_id="doses",
            concurrency=8,
            spacing_s=0.0,
        )
        job = ArmJob(pair=pair, arm="primary", cases=tuple(cases))
        return asyncio.run(runner.run(job, lambda _item, _seconds: None))
