"""Answers cases with candidates through ``Task.run``, keeps each answer in the ledger, and stops before a limit is passed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from eval.instruments.optimize.ledger import SearchLedger
from eval.instruments.optimize.quality import MeasuredAnswer, Quality
from eval.instruments.optimize.wording import CandidateTexts, PairWording, texts_key
from eval.run.runner import ArmJob, Runner
from eval.run.scoring import Scoring
from eval.spine.cases import Case
from eval.spine.results import CaseResult


class LimitReached(Exception):
    """The next calls could cost more than the search may; the message says which limit it is."""


@dataclass(slots=True, kw_only=True)
class Limits:
    """What a phase of the run may use, all phases before it included; ``calls`` counts answers and proposals."""

    usd: Decimal
    calls: int
    ledger: SearchLedger

    def check(self, kind: str, count: int) -> None:
        """Check that ``count`` more calls of ``kind`` fit, each as dear as the dearest so far.

        Raises:
            LimitReached: they do not.
        """
        if self.ledger.calls + count > self.calls:
            raise LimitReached(f"{self.ledger.calls:,} of {self.calls:,} calls")
        if self.ledger.spent_usd + count * self.ledger.dearest_usd.get(kind, Decimal(0)) > self.usd:
            raise LimitReached(f"${self.ledger.spent_usd:.4f} of ${self.usd:.2f}")


class CandidateAnswers(Protocol):
    """What a search asks candidates with."""

    def answers(self, texts: CandidateTexts, cases: Sequence[Case]) -> list[MeasuredAnswer]:
        """Return one scored answer per case, in their order; raises ``LimitReached``."""
        ...


@dataclass(slots=True, kw_only=True)
class Asking:
    """Asks candidates through ``runner`` on the event loop ``loop``."""

    wording: PairWording
    quality: Quality
    scoring: Scoring
    limits: Limits
    runner: Runner
    loop: asyncio.Runner

    def answers(self, texts: CandidateTexts, cases: Sequence[Case]) -> list[MeasuredAnswer]:
        """See ``CandidateAnswers``; raises ``RunAborted`` if the models cannot be reached."""
        ledger, candidate = self.limits.ledger, texts_key(texts)
        keys = {case.id: f"answer:{candidate}:{case.id}:{case.inputs_digest}" for case in cases}
        self.limits.check("answer", sum(not ledger.used(key) for key in keys.values()))
        missing = [case for case in cases if not ledger.has(keys[case.id])]
        if missing:
            ledger.begin(keys[case.id] for case in missing)
            self._ask(texts, missing, keys)
        return [MeasuredAnswer.from_plain(ledger.get(keys[case.id]) or {}) for case in cases]

    def _ask(self, texts: CandidateTexts, cases: Sequence[Case], keys: dict[str, str]) -> None:
        job = ArmJob(pair=self.wording.pair(texts), arm="primary", cases=tuple(cases))

        def answered(item: CaseResult, seconds: float) -> None:
            self.scoring.submit(item)

        results = self.loop.run(self.runner.run(job, answered))
        by_id = {case.id: case for case in cases}
        for item in self.scoring.collect(results):
            answer = self.quality.of(item, by_id[item.case_id])
            self.limits.ledger.put(keys[item.case_id], answer.cost_usd, answer.plain())
