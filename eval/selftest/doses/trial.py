"""One dose-response: every kind of harm, in every good system, at every dose; and how equal systems fare."""

import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from eval.dialogue.play import DialogueEpisode
from eval.labels.contrasts.sets import ContrastSets, has_contrasts, load_contrasts
from eval.run.loaders import load_dataset
from eval.run.scoring import end_with_parent, score_one
from eval.selftest.doses.answers import answers_of
from eval.selftest.doses.authors import AuthorFigures, author_figures
from eval.selftest.doses.conversations import runs_of
from eval.selftest.doses.judging import ScriptedJudge
from eval.selftest.doses.plan import DosePlan, PlantedKind, load_dose_plan
from eval.selftest.trial import today
from eval.spine.cases import Case, cases_digest
from eval.spine.judge_spec import JudgeSpec
from eval.spine.results import CaseResult, GateResult, Verdict, read_sentences, sentences_of
from eval.spine.suite import Suite
from eval.verdict.deltas import build_deltas
from eval.verdict.gate import GateFigures, GateRules, Judgement, decide
from eval.verdict.metrics import build_metrics, build_slice_metrics
from eval.verdict.must_pass import must_pass_slices
from service.core.knowledge.indexes import KnowledgeIndexes
from service.core.release.unseen import verdict_headline
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.process.pools import SpawnedPool
from service.kit.settings import Settings

DOSES = (1.0, 0.25, 0.10, 0.05)
_REACHED = 0.8
_NO_SETS = ContrastSets(good={}, contrasts=(), digest="")  # of a task that has none
_PRODUCTION = "0" * 64  # in place of production's digest


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseTrial:
    """The gate's verdict on one kind at one dose in one system, without a judge ("") or with the scripted judge ``judge``.

    ``changed`` of ``n`` answers hold the fault: fewer than the dose asks for where the kind cannot occur in more.
    ``blamed`` are the checks that did not pass, ``headline`` the verdict as a report states it. Of the ``planted`` sentences
    code took ``accounted`` for the source's.
    """

    kind: str
    system: str
    dose: float
    judge: str
    verdict: Verdict
    changed: int
    n: int
    blamed: tuple[str, ...]
    headline: str = ""
    first_release: bool = False
    planted: int = 0
    accounted: int = 0

    @property
    def reached(self) -> bool:
        """Whether about as many answers hold the fault as the dose asks for."""
        return self.changed >= _REACHED * self.dose * self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualTrial:
    """The gate's verdict on two independent draws of one good system."""

    system: str
    number: int
    judge: str
    verdict: Verdict
    blamed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseSetting:
    """What to try; ``equal_trials`` is the number of independent draws per system. Picklable: child processes read it.

    ``first_release``: whether nothing is in production, so that nothing but bounds decides; both, to decide twice on the same
    answers. With ``strangers`` the kinds are those by an author who knew no detector, in place of the plan's own.
    """

    task: str
    settings: Settings
    suite: Suite
    dataset: str = "gate"
    doses: tuple[float, ...] = DOSES
    judges: tuple[ScriptedJudge, ...] = ()
    kinds: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    equal_trials: int = 0
    seed: int = 1
    first_release: tuple[bool, ...] = (False,)
    strangers: bool = False


class _Bench:
    """Everything that the trials of one process share."""

    def __init__(self, setting: DoseSetting) -> None:
        settings, self._setting = setting.settings, setting
        self._task = load_task(setting.task)
        self._suite = setting.suite
        self._cards = ModelCards.load(settings.prompts_dir / "models.yaml")
        episode = setting.suite.episode
        self._episode = (
            episode.with_documents(KnowledgeIndexes.of(settings)) if isinstance(episode, DialogueEpisode) else None
        )
        inputs = self._task.input_model if self._episode is None else self._episode.scenario_model
        self._cases = load_dataset(setting.dataset, task=setting.task, input_model=inputs, settings=settings).cases
        self._by_id = {case.id: case for case in self._cases}
        folder = settings.datasets_dir
        sets = load_contrasts(folder, setting.task) if has_contrasts(folder, setting.task) else _NO_SETS
        plan = load_dose_plan(setting.task, sets, self._by_id)
        self.plan: DosePlan = replace(plan, kinds=plan.strangers) if setting.strangers else plan
        self._pair = load_pair(
            settings.prompts_dir / setting.task / f"{self.plan.pair}.prompty",
            cards=self._cards,
            task_variables=self._task.variables,
            part_variables=self._task.part_variables,
        )
        self._digest = cases_digest(self._cases)
        self._judge = judge_of_meaning(self._suite)
        self._sentences = replace(
            self._suite, metrics=tuple(spec for spec in self._suite.metrics if spec.name == "sentences_unread")
        )

    @property
    def case_count(self) -> int:
        """The number of cases that each system answers."""
        return len(self._cases)

    @lru_cache(maxsize=8)  # noqa: B019 - one bench per process, which dies with it
    def draw(self, system: str, number: int) -> tuple[Mapping[str, str], list[CaseResult]]:
        """Return the texts of one draw of a good system, and its scored answers."""
        good = next(item for item in self.plan.systems if item.name == system)
        texts = {
            case.id: good.draw(case, random.Random(f"{self._setting.seed}:{system}:{number}:{case.id}"))
            for case in self._cases
        }
        return texts, self._answers(texts, self._cases, f"{self._setting.seed}:{system}:{number}")

    def authors(self) -> tuple[AuthorFigures, ...]:
        """Return the figures of the fresh texts, if the task of this bench has some."""

        def scored(texts: Mapping[str, str]) -> list[CaseResult]:
            cases = [case for case in self._cases if case.id in texts]
            found = answers_of(texts, cases, task=self._task, pair=self._pair, cards=self._cards, seed="authors")
            return [
                replace(item, scores=score_one(self._suite.scorers, self._suite.task, case, item.result))
                for case, item in zip(cases, found, strict=True)
            ]

        return author_figures(scored) if self._setting.task == "summarize" else ()

    def _answers(
        self, texts: Mapping[str, str], cases: Sequence[Case], seed: str, like: Sequence[CaseResult] = ()
    ) -> list[CaseResult]:
        """Return scored answers; where a case's output equals that of ``like`` or of another repeat, so do its scores."""
        if self._episode is None:
            parts = self.plan.parts
            found = answers_of(
                texts, cases, task=self._task, pair=self._pair, cards=self._cards, seed=seed, parts=parts
            )
        else:
            found = runs_of(texts, cases, episode=self._episode, repeats=self._suite.least_repeats)
        known = {_text_of(item): item.scores for item in like}
        scored = []
        for item in found:
            if (text := _text_of(item)) not in known:
                known[text] = score_one(self._suite.scorers, self._suite.task, self._by_id[item.case_id], item.result)
            scored.append(replace(item, scores=known[text]))
        return scored

    def doses_of(self, system: str, kind: PlantedKind) -> Iterator[DoseTrial]:
        """Yield the verdict at every dose, at every release asked for, without a judge and with each scripted one."""
        texts, production = self.draw(system, 0)
        spoilt = {
            case.id: kind.spoil(texts[case.id], case, random.Random(f"{kind.name}:{self._setting.seed}:{case.id}"))
            for case in self._cases
        }
        touched = [case.id for case in self._cases if spoilt[case.id] != texts[case.id]]
        random.Random(f"{kind.name}:{system}").shuffle(touched)
        sizes = {dose: round(dose * len(self._cases)) for dose in self._setting.doses}
        most = frozenset(touched[: max(sizes.values())])
        cases = [case for case in self._cases if case.id in most]
        bad = {
            (item.case_id, item.repeat): item
            for item in self._answers(spoilt, cases, f"{self._setting.seed}:{system}:0", like=production)
        }
        for dose, size in sizes.items():
            chosen = frozenset(touched[:size])
            answers = [bad[one.case_id, one.repeat] if one.case_id in chosen else one for one in production]
            planted, accounted = _new_sentences(answers, production)
            for first, judge, gate in self._gates(answers, production, dict.fromkeys(chosen, kind.harm or kind.name)):
                yield DoseTrial(
                    kind=kind.name,
                    system=system,
                    dose=dose,
                    judge=judge.name if judge is not None else "",
                    verdict=gate.verdict,
                    changed=len(chosen),
                    n=len(self._cases),
                    blamed=_blamed(gate),
                    headline=self._headline(gate, answers, judge),
                    first_release=first,
                    planted=planted,
                    accounted=accounted,
                )

    def _gates(
        self, answers: Sequence[CaseResult], production: Sequence[CaseResult], harmed: Mapping[str, str]
    ) -> Iterator[tuple[bool, ScriptedJudge | None, GateResult]]:
        """Yield whether it is a first release, the judge, and the gate's result.

        Margins and judges add checks to bounds and take none away: what fails without them is not decided again.
        """
        failed: GateResult | None = None
        for first in sorted(self._setting.first_release, reverse=True):
            for judge in (None, *self._setting.judges):
                gate = failed or self._decide(answers, None if first else production, judge, harmed)
                if judge is None and gate.verdict is Verdict.FAIL:
                    failed = gate
                yield first, judge, gate

    def _headline(self, gate: GateResult, answers: Sequence[CaseResult], judge: ScriptedJudge | None) -> str:
        kinds = tuple(kind.name for kind in self._suite.judged_only)
        seen = self._judge.kinds if judge is not None and self._judge is not None else ()
        metrics = build_metrics(self._sentences, self._by_id, answers, deadline_ms=self._pair.serving.deadline_ms)
        unseen = tuple(kind for kind in kinds if kind not in seen)
        return verdict_headline(gate.verdict.value, unseen, seen, read_sentences(answers, [metrics]))

    def equal(self, system: str, number: int) -> Iterator[EqualTrial]:
        """Yield the verdicts on two draws that share nothing."""
        _, ours = self.draw(system, 2 * number + 1)
        _, theirs = self.draw(system, 2 * number + 2)
        for judge in (None, *self._setting.judges):
            gate = self._decide(ours, None if self._setting.first_release[0] else theirs, judge, {})
            yield EqualTrial(
                system=system,
                number=number,
                judge=judge.name if judge is not None else "",
                verdict=gate.verdict,
                blamed=_blamed(gate),
            )

    def _decide(
        self,
        candidate: Sequence[CaseResult],
        production: Sequence[CaseResult] | None,
        judge: ScriptedJudge | None,
        harmed: Mapping[str, str],
    ) -> GateResult:
        suite, spec = self._suite, self._judge
        if judge is not None and spec is not None:
            suite = self._suite.judged_by([spec], [judge.gating(spec) if production is None else spec])
            candidate = judge.grade(candidate, harmed, spec)
            production = judge.grade(production, {}, spec) if production is not None else None
        deadline_ms = self._pair.serving.deadline_ms
        return decide(
            Judgement(
                pair=self._pair,
                answers=candidate,
                figures=GateFigures(
                    metrics=build_metrics(suite, self._by_id, candidate, deadline_ms=deadline_ms),
                    slices=build_slice_metrics(suite, self._by_id, candidate, deadline_ms=deadline_ms),
                    deltas={}
                    if production is None
                    else build_deltas(suite, self._by_id, candidate, production, timing="in turn"),
                    must_pass=must_pass_slices(suite, self._by_id, candidate),
                ),
                dataset_digest=self._digest,
                baseline_digest=None if production is None else _PRODUCTION,
            ),
            GateRules(suite=suite, cards=self._cards, today=today()),
        )


def judge_of_meaning(suite: Suite) -> JudgeSpec | None:
    """Return the suite's judge that is compared with production case by case, None if it has none."""
    return next((spec for spec in suite.judges if spec.margin is not None and spec.yes_or_no), None)


def _text_of(item: CaseResult) -> tuple[object, ...]:
    """Return what decides an answer's scores."""
    return item.case_id, item.result.output, item.result.raw_text, item.result.failure


def _new_sentences(answers: Sequence[CaseResult], before: Sequence[CaseResult]) -> tuple[int, int]:
    """Return how many sentences ``answers`` hold that ``before`` do not, and how many of them code accounts for."""
    found = [
        one
        for ours, theirs in zip(answers, before, strict=True)
        for one in {one.text: one for one in sentences_of([ours])}.values()
        if one.text not in {old.text for old in sentences_of([theirs])}
    ]
    return len(found), sum(one.how is not None for one in found)


def _blamed(gate: GateResult) -> tuple[str, ...]:
    found = (
        f"{check.kind} {check.name}: {check.verdict}" for check in gate.checks if check.verdict is not Verdict.PASS
    )
    return tuple(dict.fromkeys(found))


# --- one process per core --------------------------------------------------------------------------------------------------

_child: dict[str, _Bench] = {}


def _open(setting: DoseSetting) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    _child["bench"] = _Bench(setting)


def _dose(system: str, kind: str) -> list[DoseTrial]:
    bench = _child["bench"]
    return list(bench.doses_of(system, next(item for item in bench.plan.kinds if item.name == kind)))


def _equal(system: str, number: int) -> list[EqualTrial]:
    return list(_child["bench"].equal(system, number))


def _licensable(suite: Suite) -> frozenset[str]:
    judge = judge_of_meaning(suite)
    licensed = [kind for kind in suite.judged_only if judge is not None and kind.name in judge.kinds]
    return frozenset(name for kind in licensed for name in (kind.name, kind.harm_class))


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseResults:
    """All trials, in the plan's order, with the plan's kinds.

    ``licensable`` are the harms, and the classes of them, that the suite's judge can look at. ``authors`` are the figures of
    good texts by others, beside kinds by others.
    """

    trials: tuple[DoseTrial, ...]
    equal: tuple[EqualTrial, ...]
    kinds: tuple[PlantedKind, ...]
    judges: tuple[ScriptedJudge, ...]
    doses: tuple[float, ...]
    cases: int
    licensable: frozenset[str] = frozenset()
    authors: tuple[AuthorFigures, ...] = ()
    novelty_bound: float = 1.0

    def at(self, *, first_release: bool) -> "DoseResults":
        """Return the results beside production, or at a first release."""
        return replace(self, trials=tuple(item for item in self.trials if item.first_release is first_release))


def run_doses(setting: DoseSetting, say: Callable[[str], None] = lambda line: None) -> DoseResults:
    """Try every kind in every system, one process per core; ``say`` gets a line when a system is done.

    Raises:
        CaseError, ConfigurationError, PairError: bad input; nothing was tried.
    """
    bench = _Bench(setting)
    systems = [item.name for item in bench.plan.systems if not setting.systems or item.name in setting.systems]
    kinds = [item for item in bench.plan.kinds if not setting.kinds or item.name in setting.kinds]
    trials: list[DoseTrial] = []
    equal: list[EqualTrial] = []
    with SpawnedPool(max(1, min(4, os.cpu_count() or 1)), initializer=_open, initargs=(setting,)) as pool:
        for system in systems:
            here = [kind for kind in kinds if not kind.systems or system in kind.systems]
            planted = [pool.submit(_dose, system, kind.name) for kind in here]
            drawn = [pool.submit(_equal, system, number) for number in range(setting.equal_trials)]
            trials += [trial for future in planted for trial in future.result()]
            equal += [trial for future in drawn for trial in future.result()]
            say(f"{system}: {len(here)} kinds at {len(setting.doses)} doses, {setting.equal_trials} equal trials")
    return DoseResults(
        trials=tuple(trials),
        equal=tuple(equal),
        kinds=tuple(kinds),
        judges=setting.judges,
        doses=setting.doses,
        cases=bench.case_count,
        licensable=_licensable(setting.suite),
        authors=bench.authors() if setting.strangers else (),
        novelty_bound=next((floor.bound for floor in setting.suite.floors if floor.metric == "novelty"), 1.0),
    )
