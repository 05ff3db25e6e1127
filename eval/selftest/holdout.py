"""Scorecard calls by another author: how the floor pair and scripted listeners fare on them, beside the gate set."""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from eval.labels.contrasts.sets import ContrastSets
from eval.run.loaders import load_dataset
from eval.run.reply_cache import ReplyCache
from eval.run.runner import ArmJob, Runner
from eval.run.scoring import score_one
from eval.selftest.doses.answers import answers_of
from eval.selftest.doses.plan import load_dose_plan
from eval.spine.cases import Case, Dataset
from eval.spine.errors import HarnessError
from eval.spine.results import CaseResult
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.suites.scorecard.labels import answered_pairs, card_of, form_of, labels_of
from eval.verdict.metrics import build_metrics
from figures.formatting import format_metric
from figures.stats import rate_interval
from service.core.llm.gateway import build_gateway
from service.core.tasks.scorecard import TASK
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

_FLOOR = "keywords"
_SETS = ("gate", "holdout/calls")
_PAIRS = "holdout/contrasts"
_FIGURES = (
    "accuracy",
    "wrong_yes",
    "wrong_no",
    "wrong_na",
    "kappa",
    "kappa_macro",
    "score_error",
    "passed_right",
    "required_fail_recall",
    "evidence_right",
    "right_turn",
)
_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """How a system fares on contrast pairs: ``of`` pairs whose verdict changes, and ``kept_of`` whose verdict may not."""

    changed: int
    both_right: int
    of: int
    kept_alike: int
    kept_right: int
    kept_of: int


class _Systems:
    """The floor pair and the dose plan's listeners, and their scored answers to a set of calls."""

    def __init__(self, settings: Settings, suite: Suite) -> None:
        self._settings, self.suite = settings, suite
        self._cards = ModelCards.load(settings.prompts_dir / "models.yaml")
        self._plan = load_dose_plan("scorecard", _no_contrasts(), {})
        self.names = (_FLOOR, *(system.name for system in self._plan.systems))

    def dataset(self, name: str) -> Dataset:
        return load_dataset(name, task="scorecard", input_model=TASK.input_model, settings=self._settings)

    def answers(self, system: str, cases: Sequence[Case]) -> list[CaseResult]:
        found = self._floor(cases) if system == _FLOOR else self._scripted(system, cases)
        scored = zip(cases, found, strict=True)
        return [
            replace(item, scores=score_one(self.suite.scorers, self.suite.task, case, item.result))
            for case, item in scored
        ]

    @property
    def deadline_ms(self) -> int:
        return self._pair(self._plan.pair).serving.deadline_ms

    def _pair(self, name: str) -> Pair:
        return load_pair(
            self._settings.prompts_dir / "scorecard" / f"{name}.prompty",
            cards=self._cards,
            task_variables=TASK.variables,
            part_variables=TASK.part_variables,
        )

    def _scripted(self, system: str, cases: Sequence[Case]) -> list[CaseResult]:
        draw = next(item.draw for item in self._plan.systems if item.name == system)
        texts = {case.id: draw(case, random.Random(f"{_SEED}:{system}:{case.id}")) for case in cases}
        return answers_of(
            texts, cases, task=TASK, pair=self._pair(self._plan.pair), cards=self._cards, seed=f"{_SEED}:{system}"
        )

    def _floor(self, cases: Sequence[Case]) -> list[CaseResult]:
        gateway = build_gateway(self._settings, self._cards, TASK.in_process)
        with tempfile.TemporaryDirectory(prefix="omni-holdout-") as folder, closing(ReplyCache(Path(folder))) as cache:
            runner = Runner(
                task=TASK,
                gateway=gateway,
                cards=self._cards,
                cache=cache,
                run_id="holdout",
                concurrency=8,
                spacing_s=0.0,
            )
            job = ArmJob(pair=self._pair(_FLOOR), arm="primary", cases=tuple(cases))
            return asyncio.run(runner.run(job, lambda _item, _seconds: None))


def _no_contrasts() -> ContrastSets:
    return ContrastSets(good={}, contrasts=(), digest="")


def holdout_page(task: str, settings: Settings) -> str:
    """Return the comparison as Markdown: figures on both sets, right verdicts per criterion, and the contrast pairs.

    Raises:
        CaseError: a file of calls is wrong.
        HarnessError: the task has no calls by another author.
    """
    if task != TASK.name:
        raise HarnessError(f"task {task!r} has no hold-out calls; scorecard has")
    systems = _Systems(settings, load_suite(task))
    lines = [f"# Hold-out calls by another author: {task}", "", f"Suite `{systems.suite.digest[:12]}`.", ""]
    sets = {name: systems.dataset(name) for name in _SETS}
    lines += [f"- {name}: {len(data.cases)} calls, sha256 `{data.digest[:12]}`" for name, data in sets.items()]
    answers = {
        (system, name): systems.answers(system, data.cases) for system in systems.names for name, data in sets.items()
    }
    lines += ["", *_figure_lines(systems, sets, answers), *_criterion_lines(sets, answers)]
    return "\n".join([*lines, *_pair_lines(systems)])


def _figure_lines(
    systems: _Systems, sets: Mapping[str, Dataset], answers: Mapping[tuple[str, str], list[CaseResult]]
) -> Iterator[str]:
    columns = [(system, name) for system in systems.names for name in sets]
    yield f"| figure, 95% interval | {' | '.join(f'{system}, {name}' for system, name in columns)} |"
    yield "|" + "---|" * (len(columns) + 1)
    measured = {
        key: build_metrics(
            systems.suite,
            {case.id: case for case in sets[key[1]].cases},
            answers[key],
            deadline_ms=systems.deadline_ms,
        )
        for key in columns
    }
    for figure in _FIGURES:
        cells = [format_metric(measured[key][figure], len(sets[key[1]].cases)) for key in columns]
        yield f"| {figure} | {' | '.join(cells)} |"
    yield ""


def _criterion_lines(sets: Mapping[str, Dataset], answers: Mapping[tuple[str, str], list[CaseResult]]) -> Iterator[str]:
    """Yield the floor's right verdicts by criterion of a form; a handful of calls each, so the interval is wide."""
    yield f"| criterion, {_FLOOR} right (95% interval) | {' | '.join(sets)} |"
    yield "|" + "---|" * (len(sets) + 1)
    counts = {name: _right_by_criterion(data.cases, answers[_FLOOR, name]) for name, data in sets.items()}
    for criterion in sorted({key for by_name in counts.values() for key in by_name}):
        cells = [_share(*by_name.get(criterion, (0, 0))) for by_name in counts.values()]
        yield f"| {criterion} | {' | '.join(cells)} |"
    yield ""


def _right_by_criterion(cases: Sequence[Case], results: Sequence[CaseResult]) -> dict[str, tuple[int, int]]:
    right: Counter[str] = Counter()
    among: Counter[str] = Counter()
    for case, item in zip(cases, results, strict=True):
        for label, answer in answered_pairs(case, item.result):
            name = f"{form_of(case).form_id}/{answer.id}"
            right[name] += answer.verdict == label.verdict
            among[name] += 1
    return {name: (right[name], count) for name, count in among.items()}


def _share(count: int, among: int) -> str:
    if not among:
        return "-"
    interval = rate_interval(count, among)
    return f"{count} of {among} [{interval.low:.2f}, {interval.high:.2f}]"


def _pair_lines(systems: _Systems) -> Iterator[str]:
    data = systems.dataset(_PAIRS)
    yield f"Contrast pairs: {len(data.cases) // 2}, sha256 `{data.digest[:12]}`."
    yield ""
    yield "| system | verdict changes: seen | both right | no verdict may change: same verdict | both right |"
    yield "|---|---|---|---|---|"
    for system in systems.names:
        counts = count_pairs(data.cases, systems.answers(system, data.cases))
        cells = (
            _share(counts.changed, counts.of),
            _share(counts.both_right, counts.of),
            _share(counts.kept_alike, counts.kept_of),
            _share(counts.kept_right, counts.kept_of),
        )
        yield f"| {system} | {' | '.join(cells)} |"


def count_pairs(cases: Sequence[Case], results: Sequence[CaseResult]) -> PairCounts:
    """Return how often the verdict on each pair's criterion differs between its sides, and is right on both."""
    given: dict[str, list[tuple[str | None, str]]] = {}
    changes: dict[str, bool] = {}
    for case, item in zip(cases, results, strict=True):
        criterion, pair = str(case.slices["criterion"]), str(case.slices["pair"])
        verdicts = {answer.id: answer.verdict for answer in card_of(item.result.output or "").criteria}
        given.setdefault(pair, []).append((verdicts.get(criterion), labels_of(case).answers[criterion].verdict))
        changes[pair] = case.slices["changes"] == "verdict"
    seen: Counter[tuple[bool, str]] = Counter()
    for pair, ((first, first_label), (second, second_label)) in given.items():
        seen[changes[pair], "of"] += 1
        seen[changes[pair], "differ"] += first != second
        seen[changes[pair], "right"] += first == first_label and second == second_label
    return PairCounts(
        changed=seen[True, "differ"],
        both_right=seen[True, "right"],
        of=seen[True, "of"],
        kept_alike=seen[False, "of"] - seen[False, "differ"],
        kept_right=seen[False, "right"],
        kept_of=seen[False, "of"],
    )
