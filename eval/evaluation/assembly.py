"""Puts the answers of a run together into its evaluation: figures, a judgement and a verdict for each pair.

The scorers' process does this (``Scoring.compute``). So the process that makes the calls imports no numpy, scipy or report
pages: nothing heavy is imported at the top here.
"""

import datetime as dt
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.run.answering import InterimLooks, ScoredAnswers
from eval.run.journal import JournalEntry
from eval.spine.cases import Case, Dataset
from eval.spine.results import ArmName, CaseResult, Evaluation, JudgeNote, PairResult
from eval.spine.suite import Suite
from eval.verdict.gate import GateFigures, GateRules, Judgement, decide
from eval.verdict.must_pass import must_pass_checks, must_pass_slices
from figures.files import out_folder
from figures.metric import Metric
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.frame.process.gc_pause import paused_gc
from service.kit.settings import Settings

if TYPE_CHECKING:  # scipy takes 0.3 s to import, and the calls should start before that
    from eval.verdict.kinds.kind import CallOrder

STAND_IN = "SmolLM2-135M-Instruct-Q4_1"  # what the local Bedrock answers with, whatever model it is asked for


@dataclass(frozen=True, kw_only=True)
class RunSetting:
    """What a run asks and under what; ``suite`` is the task's own, without metrics of judges."""

    task: Task[Any]
    suite: Suite
    dataset: Dataset
    cards: ModelCards
    settings: Settings

    @cached_property
    def cases(self) -> dict[str, Case]:
        """The dataset's cases by id."""
        return {case.id: case for case in self.dataset.cases}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What stays the same over all looks at the answers of one run.

    ``must_pass`` are the answers to the must-pass set by pair digest; ``ceiling`` is what ``reference_ceiling`` returns;
    ``started`` is of ``time.perf_counter``, which is one clock for all processes of a machine.
    """

    setting: RunSetting
    pairs: Sequence[Pair]
    must_pass: Mapping[str, Sequence[CaseResult]]
    record: JournalEntry
    ceiling: Mapping[str, Metric]
    started: float

    def evaluation(
        self, suite: Suite, answers: ScoredAnswers, looks: InterimLooks, judges: Sequence[JudgeNote]
    ) -> Evaluation:
        """Return the evaluation of ``answers`` as they are now, under ``suite``; ``judges`` took part as they note."""
        from eval.run.ceiling import pairs_like_for_like

        rules = GateRules(suite=suite, cards=self.setting.cards, today=dt.datetime.now(dt.UTC).date())
        production = answers.production
        pairs = tuple(
            self._pair_result(
                pair,
                rules,
                answers,
                looks,
                looked_at_of(judges, suite, compared=production is not None and production.pair.digest != pair.digest),
            )
            for pair in self.pairs
        )
        everything = [item for answered in answers.by_arm.values() for item in answered.results]
        return Evaluation(
            run_id=self.record.run_id,
            task=self.setting.task.name,
            environment=self.setting.settings.environment,
            started_at=self.record.started_at,
            dataset_name=self.setting.dataset.name,
            dataset_digest=self.setting.dataset.digest,
            suite_digest=suite.digest,
            code_version=code_version(self.setting.settings.root),
            case_count=len(self.setting.dataset.cases),
            production_name=production.pair.name if production else None,
            production_version=production.release.registry_version if production else None,
            pairs=pairs,
            calls_live=sum(1 for item in everything if item.live and self._called_a_model(item)),
            calls_cached=sum(1 for item in everything if not item.live),
            code_models=tuple(sorted({item.result.model for item in everything if self._is_code(item)})),
            seconds=time.perf_counter() - self.started,
            stand_in=STAND_IN if self.setting.settings.environment == "local" else None,
            ceiling=dict(self.ceiling),
            like_for_like=pairs_like_for_like(
                suite, self.setting.dataset.cases, {pair.digest: answers.results(pair) for pair in self.pairs}
            ),
            judges=tuple(judges),
        )

    def _pair_result(
        self,
        pair: Pair,
        rules: GateRules,
        answers: ScoredAnswers,
        looks: InterimLooks,
        looked_at: frozenset[str],
    ) -> PairResult:
        from eval.behaviour.record import with_behaviour

        primary, backup = answers.results(pair), answers.results(pair, "backup")
        judgement = replace(self._judgement(pair, rules.suite, answers, looks), looked_at=looked_at)
        shown = judgement.figures
        if judgement.look.looks > 1:  # people read 95% intervals; the gate allows for its further looks
            shown = replace(
                shown,
                metrics=self._metrics(pair, "primary", rules.suite, answers),
                backup=self._metrics(pair, "backup", rules.suite, answers),
            )
        gate = with_behaviour(decide(judgement, rules), rules.suite, self.setting.settings)
        must_pass = self.must_pass.get(pair.digest, ())
        checks = must_pass_checks(rules.suite, must_pass)
        answered = (*judgement.answers, *must_pass)
        names = {name for item in judgement.answers for name in item.result.answerers}
        return PairResult(
            pair_name=pair.name,
            pair_version=pair.version,
            pair_digest=pair.digest,
            model=pair.model,
            backup=pair.backup,
            answered_by=tuple(sorted(names - {"none"})),
            origins=tuple(sorted({origin for item in answered for origin in item.result.origins})),
            is_production=pair.digest == judgement.baseline_digest,
            role=pair.role,
            parts={part.name: ", backup ".join(part.models) for part in pair.parts},
            documents={tool.name: tool.documents for tool in pair.tools if tool.documents},
            cases=(*primary, *backup),
            metrics=dict(shown.metrics),
            gate=replace(gate, checks=(*gate.checks, *checks)),
            backup_metrics=dict(shown.backup),
            deltas=dict(shown.deltas),
            seconds=answers.by_arm[pair.digest, "primary"].seconds,
        )

    def _judgement(self, pair: Pair, suite: Suite, answers: ScoredAnswers, looks: InterimLooks) -> Judgement:
        from eval.verdict.metrics import build_slice_metrics

        look = looks.at(pair)
        primary, backup = answers.results(pair), answers.results(pair, "backup")
        return Judgement(
            pair=pair,
            answers=(*primary, *backup),
            figures=GateFigures(
                metrics=self._metrics(pair, "primary", suite, answers, look.confidence),
                backup=self._metrics(pair, "backup", suite, answers, look.confidence),
                slices=build_slice_metrics(
                    suite,
                    self.setting.cases,
                    primary,
                    deadline_ms=pair.serving.deadline_ms,
                    confidence=look.confidence,
                ),
                deltas=self._deltas(pair, suite, answers, look.confidence),
                must_pass=must_pass_slices(suite, self.setting.cases, primary),
            ),
            dataset_digest=self.setting.dataset.digest,
            baseline_digest=None if answers.production is None else answers.production.pair.digest,
            look=look,
            leads={} if answers.production is None else answers.production.leads,
        )

    def _metrics(
        self, pair: Pair, arm: ArmName, suite: Suite, answers: ScoredAnswers, confidence: float = 0.95
    ) -> dict[str, Metric]:
        """Return the metrics of one arm of ``pair``; none where it was not asked."""
        from eval.verdict.metrics import build_metrics

        results, deadline_ms = answers.results(pair, arm), pair.serving.deadline_ms
        if not results and arm == "backup":
            return {}
        return build_metrics(suite, self.setting.cases, results, deadline_ms=deadline_ms, confidence=confidence)

    def _deltas(self, pair: Pair, suite: Suite, answers: ScoredAnswers, confidence: float) -> dict[str, Metric]:
        """Return the differences from production; none for production itself and where nothing is in production."""
        from eval.verdict.deltas import build_deltas

        if answers.production is None or answers.production.pair.digest == pair.digest:
            return {}
        production = answers.production.pair
        timing: CallOrder = "in turn" if answers.in_turn(pair, production) else "apart"
        if any(self._are_code(side.models_of(backup=False)) for side in (pair, production)):
            timing = "no calls"
        ours, theirs = answers.results(pair), answers.results(production)
        return build_deltas(suite, self.setting.cases, ours, theirs, timing=timing, confidence=confidence)

    def _called_a_model(self, item: CaseResult) -> bool:
        return item.result.model in self.setting.cards and not self._is_code(item)

    def _is_code(self, item: CaseResult) -> bool:
        return self._are_code({item.result.model, *(step.model for step in item.result.trace if step.kind == "model")})

    def _are_code(self, models: Collection[str]) -> bool:
        cards = self.setting.cards
        return all(model in cards and cards.get(model).wire == "in_process" for model in models)


def looked_at_of(notes: Sequence[JudgeNote], suite: Suite, *, compared: bool) -> frozenset[str]:
    """Return the kinds of harm that a judge looked at for a verdict: one whose score a floor bounds, or a comparison.

    ``compared`` says whether the pair is compared with another one in production: without that a judge with a margin alone
    decides nothing, however good it is.
    """
    by_rubric = {spec.rubric: spec for spec in suite.judges}
    decides = {
        rubric for rubric, spec in by_rubric.items() if spec.floor is not None or (compared and spec.margin is not None)
    }
    return frozenset(kind for note in notes if note.gates and note.rubric in decides for kind in note.kinds)


def reference_ceiling(setting: RunSetting) -> dict[str, Metric]:
    """Return how far a good text can get on the setting's cases; an earlier run may have kept it."""
    from eval.run.ceiling import kept_ceiling

    folder, dataset = setting.settings.state_dir / "ceilings", setting.dataset
    return kept_ceiling(folder, setting.suite, dataset.digest, dataset.cases)


def import_deciding_code() -> None:
    """Import and compile what ``Assembly.evaluation`` and ``write_report`` will need, while the models are still answering."""
    with paused_gc():
        import eval.behaviour.record
        from eval.report import cases, changes, latency, sensitivity, view  # noqa: F401
        from eval.report.page import page_template

        page_template()
        import eval.run.ceiling
        import eval.verdict.deltas
        import eval.verdict.metrics  # noqa: F401


def write_report(setting: RunSetting, evaluation: Evaluation, suite: Suite, named: Sequence[str] | None = ()) -> Path:
    """Write the run's report in all its forms and return the page's path.

    ``named``: the pairs that were asked for; None: the page does not say what to do next.
    """
    from eval.report import page
    from eval.report.next_step import DEV, next_steps
    from service.core.release.unseen import UnseenPolicy

    folder = out_folder(setting.settings.root, "eval") / evaluation.run_id
    policy = UnseenPolicy.of(setting.settings)
    has_dev = (setting.settings.datasets_dir / evaluation.task / f"{DEV}.jsonl").exists()
    steps = next_steps(evaluation, suite, policy, named=named, has_dev=has_dev) if named is not None else ()
    return page.write_report(evaluation, suite, setting.cases, folder, steps=steps)


def code_version(root: Path) -> str:
    """Return the commit of ``root`` with ``-dirty`` when files differ from it, or ``unknown`` outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],  # noqa: S607 - git from PATH, fixed arguments
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
