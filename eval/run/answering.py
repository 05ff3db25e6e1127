"""Collects the answers of a run: all pairs and production in turn, then further repeats of undecided pairs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from eval.run.documents import open_documents
from eval.run.progress import RunProgress, show_progress, working
from eval.run.runner import ArmJob, ArmResults, Progress, Runner, in_turn
from eval.run.scoring import Scoring
from eval.spine.cases import Dataset
from eval.spine.results import ArmName, CaseResult, Evaluation, InterimLook, Verdict
from eval.tracking.store import Production
from eval.verdict.gate import answers_vary
from service.core.llm.gateway import LiteLLMGateway
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair

DEFAULT_BUDGET = 3  # extra repeats of an undecided pair whose model samples


class Models(Protocol):
    """A source of gateways; see ``evaluate``."""

    def gateway(self, pairs: Sequence[Pair]) -> LiteLLMGateway:
        """Return a gateway that can answer ``pairs``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswers:
    """Scored answers by pair digest and arm, and the production pair; plain data, so that any process can decide on them."""

    production: Production | None
    by_arm: Mapping[tuple[str, ArmName], ArmResults]

    def results(self, pair: Pair, arm: ArmName = "primary") -> list[CaseResult]:
        """Return one arm's scored answers; empty if the arm was not run."""
        answered = self.by_arm.get((pair.digest, arm))
        return [] if answered is None else answered.results

    def in_turn(self, one: Pair, other: Pair) -> bool:
        """Return whether both pairs' primaries met the same load."""
        return in_turn(self.by_arm[one.digest, "primary"], self.by_arm[other.digest, "primary"])


@dataclass(slots=True, kw_only=True)
class RunAnswers:
    """The scored answers so far, by pair digest and arm; grows by repeats."""

    runner: Runner
    models: Models
    scoring: Scoring
    dataset: Dataset
    repeats: int
    production: Production | None = None
    by_arm: dict[tuple[str, ArmName], ArmResults] = field(default_factory=dict)

    def ask(self, pairs: Sequence[Pair], find_production: Callable[[], Production | None]) -> list[Pair]:
        """Answer every case with ``pairs``, in turn with production, which joins as soon as the store has named it.

        Returns:
            ``pairs``, followed by the production pair if it is not among them.
        """
        jobs = self._jobs(pairs, self.repeats, 0)
        asyncio.run(self._run(jobs, lambda shown: self._join(pairs, find_production, shown)))
        found = self.production
        missing = found is not None and found.pair.digest not in {pair.digest for pair in pairs}
        return [*pairs, found.pair] if found is not None and missing else list(pairs)

    def ask_again(self, pairs: Sequence[Pair]) -> None:
        """Answer every case with ``pairs`` once more."""
        self.runner = replace(self.runner, gateway=self.models.gateway(pairs))
        asked = max((item.repeat for pair in pairs for item in self.by_arm[pair.digest, "primary"].results), default=0)
        asyncio.run(self._run(self._jobs(pairs, 1, asked + 1), None))

    def ask_must_pass(self, pairs: Sequence[Pair]) -> dict[str, list[CaseResult]]:
        """Return the scored answers of each pair's primary to the must-pass set, by pair digest; metrics do not count them."""
        cases = self.dataset.must_pass
        if not cases:
            return {}
        runner = replace(self.runner, gateway=self.models.gateway(pairs))
        jobs = [ArmJob(pair=pair, arm="primary", cases=cases, repeats=self.repeats) for pair in pairs]
        found: dict[str, list[CaseResult]] = {}
        with show_progress(runner.in_flight, server=runner.server_of) as shown:
            for job in jobs:
                answers = asyncio.run(runner.run(job, self._scored(shown.callback_for(job, "must-pass cases"))))
                found[job.pair.digest] = self.scoring.collect(answers)
        return found

    def graded(self, results: Mapping[tuple[str, ArmName], list[CaseResult]]) -> "ScoredAnswers":
        """Return these answers with ``results`` in their place: the same ones, with further scores."""
        by_arm = {key: ArmResults(results[key], item.began, item.ended) for key, item in self.by_arm.items()}
        return ScoredAnswers(production=self.production, by_arm=by_arm)

    async def _join(
        self, asked: Sequence[Pair], find_production: Callable[[], Production | None], shown: RunProgress
    ) -> Sequence[ArmJob]:
        # The store's process may still be importing mlflow; the model calls continue meanwhile.
        with shown.waiting_for("the registry, which names the pair in production"):
            self.production = await asyncio.to_thread(find_production)
        if self.production is None or self.production.pair.digest in {pair.digest for pair in asked}:
            return []
        pairs = [self.production.pair]
        if self.runner.documents is not None:
            await asyncio.to_thread(open_documents, pairs, self.runner.documents)
        gateway = self.models.gateway(pairs)
        return [replace(job, gateway=gateway) for job in self._jobs(pairs, self.repeats, 0)]

    def _jobs(self, pairs: Sequence[Pair], repeats: int, first_repeat: int) -> list[ArmJob]:
        return [
            ArmJob(pair=pair, arm=arm, cases=self.dataset.cases, repeats=repeats, first_repeat=first_repeat)
            for pair in pairs
            for arm in (("primary", "backup") if pair.has_backup else ("primary",))
        ]

    def _scored(self, shown: Progress) -> Progress:
        def finished(item: CaseResult, seconds: float) -> None:
            self.scoring.submit(item)
            shown(item, seconds)

        return finished

    async def _run(
        self, jobs: Sequence[ArmJob], join: Callable[[RunProgress], Awaitable[Sequence[ArmJob]]] | None
    ) -> None:
        started: list[ArmJob] = []
        with show_progress(self.runner.in_flight, server=self.runner.server_of) as shown:

            def progress(job: ArmJob) -> Progress:
                started.append(job)
                return self._scored(shown.callback_for(job))

            answered = await self.runner.run_in_turn(jobs, progress, None if join is None else join(shown))
        with working("scoring the answers"):
            self._keep(started, answered)

    def _keep(self, started: Sequence[ArmJob], answered: Sequence[ArmResults]) -> None:
        for job, new in zip(started, answered, strict=True):
            scored = ArmResults(self.scoring.collect(new.results), new.began, new.ended)
            before = self.by_arm.get((job.pair.digest, job.arm))
            if before is not None:
                scored = ArmResults([*before.results, *scored.results], before.began, scored.ended)
            self.by_arm[job.pair.digest, job.arm] = scored


@dataclass(slots=True, kw_only=True)
class InterimLooks:
    """The planned and the used interim looks of each pair; see ``InterimLook``.

    The intervals are widened for all planned looks from the first one on, even if later ones are not needed.
    """

    planned: Mapping[str, int]
    taken: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def plan(pairs: Sequence[Pair], cards: ModelCards, budget: int | None) -> "InterimLooks":
        """Plan one look at each pair, and ``budget`` (None: 3) more at those whose answers vary."""
        extra = DEFAULT_BUDGET if budget is None else budget
        return InterimLooks(planned={pair.digest: 1 + (extra if answers_vary(pair, cards) else 0) for pair in pairs})

    def at(self, pair: Pair) -> InterimLook:
        """Return the pair's present look."""
        look = InterimLook(number=self.taken.get(pair.digest, 1), planned=self.planned[pair.digest])
        if pair.lineage is None:
            return look
        return replace(look, tried=pair.lineage.tried, searched=pair.lineage.looks)

    def undecided(self, evaluation: Evaluation, pairs: Sequence[Pair]) -> list[Pair]:
        """Return the candidates that get one more look, and count it: undecided ones with budget left."""
        by_digest = {pair.digest: pair for pair in pairs}
        more = [
            by_digest[result.pair_digest]
            for result in evaluation.pairs
            if result.gate.verdict is Verdict.INCONCLUSIVE
            and not result.is_production
            and self.at(by_digest[result.pair_digest]).number < self.planned[result.pair_digest]
        ]
        for pair in more:
            self.taken[pair.digest] = self.at(pair).number + 1
        return more
