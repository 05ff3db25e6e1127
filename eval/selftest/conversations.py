"""Self-test for suites of conversations: faults planted in the gold runs of a share of the cases must not pass the gate.

The gold runs act as production and as the rest of the candidate. A fault of one kind is planted in every case in which it makes
sense, or in a share of all cases, drawn by a fixed seed.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.cases import Case
from eval.dialogue.agents import GoldAgent
from eval.dialogue.mutations import Mutation, mutations_of
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.scenario import ConversationScenario
from eval.dialogue.scorers import expectations_of
from eval.errors import HarnessError
from eval.loaders import load_dataset
from eval.results import CaseResult, GateResult, Verdict
from eval.run.scoring import score_one
from eval.selftest.deciding import decide_against
from eval.selftest.trial import today
from eval.suite import Suite
from eval.suites import load_suite
from eval.verdict.gate import GateRules
from figures.files import out_folder
from figures.metric import Unit
from service.cards import ModelCards
from service.files import write_whole
from service.knowledge.indexes import KnowledgeIndexes
from service.pair import Pair
from service.pair_file import load_pair
from service.settings import Settings
from service.task import load_task

SHARES = (1.0, 0.25, 0.1)  # of the cases; at 1.0 every case in which the fault makes sense
_SEED = 20261122


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedShare:
    """The gate's verdict on one kind of fault in ``planted`` of ``n`` cases; ``by`` are the metrics that did not pass."""

    kind: str
    share: float
    planted: int
    n: int
    verdict: Verdict
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSelftest:
    """The results; ``problems`` is empty if the gold runs pass and no kind passes in all the cases in which it makes sense."""

    task: str
    dataset: str
    gold: Verdict
    tried: tuple[PlantedShare, ...]
    path: Path

    @property
    def problems(self) -> tuple[str, ...]:
        """What makes the gate untrustworthy, one sentence each."""
        found = () if self.gold is Verdict.PASS else (f"the gold runs do not pass: {self.gold.value}",)
        passed = [item for item in self.tried if item.share == 1.0 and item.verdict is Verdict.PASS]
        return (*found, *(f"{item.kind} passes in {item.planted} of {item.n} cases" for item in passed))

    @property
    def page(self) -> str:
        """The results in Markdown."""
        outcome = "no planted fault passes" if not self.problems else "**the gate counts as broken**"
        lines = [
            f"# Self-test of the gate: {self.task}, {self.dataset}",
            "",
            f"Gold runs: {self.gold.value}; {outcome}.",
            "",
        ]
        lines += [f"- {problem}" for problem in self.problems] + ([""] if self.problems else [])
        lines += ["| planted fault | in | verdict | not passed |", "|---|---|---|---|"]
        lines += [
            f"| {item.kind} | {item.planted} of {item.n} | {item.verdict.value} | {', '.join(item.by) or '-'} |"
            for item in self.tried
        ]
        return "\n".join(lines) + "\n"


def has_conversations(task: str) -> bool:
    """Return whether the cases of ``task`` are conversations.

    Raises:
        ConfigurationError: there is no such task, or it has no suite.
    """
    load_task(task)
    return isinstance(load_suite(task).episode, DialogueEpisode)


def conversation_selftest(
    task: str,
    settings: Settings,
    *,
    dataset: str | None = None,
    kinds: Sequence[str] = (),
    suite: Suite | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> ConversationSelftest:
    """Plant each kind of fault, or ``kinds``, in the task's gate set, or ``dataset``, and keep the table.

    ``suite`` replaces the task's own, to see what a weaker gate lets through.

    Raises:
        HarnessError: there is no such kind.
        CaseError, ConfigurationError, PairError: cases or pairs are wrong.
    """
    suite, cards = _timeless(suite or load_suite(task)), ModelCards.load(settings.prompts_dir / "models.yaml")
    episode = suite.episode
    assert isinstance(episode, DialogueEpisode)
    cases = load_dataset(
        dataset or suite.gate_dataset, task=task, input_model=episode.scenario_model, settings=settings
    ).cases
    planted = _planted(cases)
    if unknown := sorted(set(kinds) - planted.keys()):
        raise HarnessError(f"no fault {', '.join(unknown)}; faults: {', '.join(sorted(planted))}")
    trial = _Trial(
        suite=suite,
        episode=episode.with_documents(KnowledgeIndexes.of(settings)),
        rules=GateRules(suite=suite, cards=cards, today=today()),
        pair=_any_pair(task, cards, settings),
        cases=cases,
    )
    gold = trial.scored({})
    own = trial.decided(gold, gold)
    tried = []
    for kind in sorted(kinds or planted):
        for share in SHARES:
            chosen = _chosen(planted[kind], share, len(cases))
            verdict = trial.decided(trial.scored(chosen, gold), gold)
            tried.append(_result(kind, share, len(chosen), len(cases), verdict))
            say(f"{kind} in {len(chosen)} of {len(cases)}: {verdict.verdict.value}")
    path = out_folder(settings.root, "selftest") / f"{task}-conversations.md"
    done = ConversationSelftest(
        task=task, dataset=dataset or suite.gate_dataset, gold=own.verdict, tried=tuple(tried), path=path
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, done.page)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    suite: Suite
    episode: DialogueEpisode
    rules: GateRules
    pair: Pair
    cases: Sequence[Case]

    def scored(self, faults: Mapping[str, Mutation], gold: Sequence[CaseResult] = ()) -> list[CaseResult]:
        """Return the scored conversations of all cases and repeats, those of ``faults`` (by case id) with the fault."""
        kept = {(item.case_id, item.repeat): item for item in gold}
        return [
            kept[case.id, repeat]
            if (case.id, repeat) in kept and case.id not in faults
            else self._scored(case, repeat, faults.get(case.id))
            for repeat in range(self.suite.least_repeats)
            for case in self.cases
        ]

    def _scored(self, case: Case, repeat: int, fault: Mutation | None) -> CaseResult:
        gold = expectations_of(case).gold if fault is None else fault.gold
        specs = {spec.name: spec for spec in self.episode.specs}
        result = asyncio.run(self.episode.play_with(case, repeat, specs, GoldAgent(gold)))
        item = CaseResult(case_id=case.id, arm="primary", repeat=repeat, result=result, live=True)
        return replace(item, scores=score_one(self.suite.scorers, self.suite.task, case, result))

    def decided(self, candidate: Sequence[CaseResult], production: Sequence[CaseResult]) -> GateResult:
        cases = [*self.cases] * self.suite.least_repeats
        return decide_against(self.rules, self.pair, cases, candidate, production)


def _planted(cases: Sequence[Case]) -> dict[str, dict[str, Mutation]]:
    """Return one fault per kind and case in which it makes sense, by kind and case id."""
    found: dict[str, dict[str, Mutation]] = {}
    for case in cases:
        for mutation in mutations_of(ConversationScenario.model_validate(case.inputs), expectations_of(case)):
            found.setdefault(mutation.kind, {}).setdefault(case.id, mutation)
    return found


def _chosen(faults: Mapping[str, Mutation], share: float, cases: int) -> dict[str, Mutation]:
    names = sorted(faults)
    random.Random(_SEED).shuffle(names)
    return {name: faults[name] for name in names[: max(1, round(share * cases))]}


def _result(kind: str, share: float, planted: int, n: int, gate: GateResult) -> PlantedShare:
    by = dict.fromkeys(check.name for check in gate.checks if check.verdict is not Verdict.PASS)
    return PlantedShare(kind=kind, share=share, planted=planted, n=n, verdict=gate.verdict, by=tuple(by))


def _timeless(suite: Suite) -> Suite:
    """Return ``suite`` without bounds on time and money: gold runs take and cost nothing."""

    def shown(metric: str) -> bool:
        return (
            suite.metric(metric).kind not in ("latency", "on_time", "cost")
            and suite.metric(metric).unit is not Unit.USD
        )

    return replace(
        suite,
        floors=tuple(floor for floor in suite.floors if shown(floor.metric)),
        no_worse=tuple(margin for margin in suite.no_worse if shown(margin.metric)),
        slice_floors=tuple(floor for floor in suite.slice_floors if shown(floor.metric)),
    )


def _any_pair(task: str, cards: ModelCards, settings: Settings) -> Pair:
    """Return a pair of the task, for its deadline and its model's card: the gold runs are nobody's."""
    loaded = load_task(task)
    pairs = [
        load_pair(path, cards=cards, task_variables=loaded.variables, part_variables=loaded.part_variables)
        for path in sorted((settings.prompts_dir / task).glob("*.prompty"))
    ]
    if not pairs:
        raise HarnessError(f"task {task!r} has no pair yet; write one in prompts/{task}/")
    return min(pairs, key=lambda pair: cards.get(pair.model).wire != "in_process")
