"""Self-test for suites of conversations: faults planted in the gold runs of a share of the cases must not pass the gate.

The gold runs act as production and as the rest of the candidate. A fault of one kind is planted in every case in which it makes
sense, or in a share of all cases, drawn by a fixed seed. Gold runs call no model: their turns get one usual time, and one cost.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from eval.dialogue.agents import GoldAgent
from eval.dialogue.mutations import Gold, mutations_of
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario
from eval.dialogue.scorers import expectations_of
from eval.run.loaders import load_dataset
from eval.run.scoring import score_one
from eval.selftest.deciding import decide_against
from eval.selftest.dialogue_faults import GENERAL_TARGETS, faults_of
from eval.selftest.trial import today
from eval.spine.cases import Case
from eval.spine.errors import HarnessError
from eval.spine.results import CaseResult, GateResult, Timing, Verdict
from eval.spine.suite import Suite
from eval.suites import load_suite
from eval.verdict.gate import GateRules
from figures.files import out_folder
from figures.formatting import plural
from service.core.knowledge.indexes import KnowledgeIndexes
from service.core.llm.pricing import Cost
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.core.unit.pair_file import load_pair
from service.kit.frame.files import write_whole
from service.kit.settings import Settings

SHARES = (1.0, 0.25, 0.1)  # of the cases; at 1.0 every case in which the fault makes sense
_SEED = 20261122
_ANY_FAULT = "conversation_right"
_TURN_MS = 800.0
_COST = Cost(metered_usd=Decimal("0.002"), cold_usd=Decimal("0.002"), warm_usd=Decimal("0.002"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedShare:
    """The gate's verdict on one kind of fault in ``planted`` of ``n`` cases.

    ``by`` are the metrics that did not pass, ``own`` those of which one must not pass.
    """

    kind: str
    share: float
    planted: int
    n: int
    verdict: Verdict
    by: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def problem(self) -> str:
        """Why the gate cannot be trusted with this fault, in one sentence; "" if it can."""
        if self.verdict is Verdict.PASS:
            return f"{self.kind} passes in {self.planted} of {self.n} cases"
        if not set(self.own) & set(self.by):
            return f"{self.kind} is not caught by {' or '.join(self.own)}, only by {', '.join(self.by)}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSelftest:
    """The results.

    ``problems`` is empty if the gold runs pass, and every kind is caught by its own metric where it is planted in all the cases
    in which it makes sense.
    """

    task: str
    dataset: str
    gold: Verdict
    tried: tuple[PlantedShare, ...]
    path: Path

    @property
    def problems(self) -> tuple[str, ...]:
        """What makes the gate untrustworthy, one sentence each."""
        found = () if self.gold is Verdict.PASS else (f"the gold runs do not pass: {self.gold.value}",)
        return (*found, *(item.problem for item in self.tried if item.share == 1.0 and item.problem))

    @property
    def page(self) -> str:
        """The results in Markdown."""
        outcome = (
            f"each of {plural(len({item.kind for item in self.tried}), 'planted fault')} is caught by its own metric"
            if not self.problems
            else "**the gate counts as broken**"
        )
        lines = [
            f"# Self-test of the gate: {self.task}, {self.dataset}",
            "",
            f"Gold runs: {self.gold.value}; {outcome}.",
            "",
        ]
        lines += [f"- {problem}" for problem in self.problems] + ([""] if self.problems else [])
        lines += ["| planted fault | in | verdict | its own metric | not passed |", "|---|---|---|---|---|"]
        lines += [
            f"| {item.kind} | {item.planted} of {item.n} | {item.verdict.value} | {', '.join(item.own)} | "
            f"{', '.join(item.by) or '-'} |"
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
    first_release: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> ConversationSelftest:
    """Plant each kind of fault, or ``kinds``, in the task's gate set, or ``dataset``, and keep the table.

    A kind may be written with hyphens for its spaces.
    ``suite`` replaces the task's own, to see what a weaker gate lets through. At a ``first_release`` nothing is in production.

    Raises:
        HarnessError: there is no such kind.
        CaseError, ConfigurationError, PairError: cases or pairs are wrong.
    """
    suite, cards = suite or load_suite(task), ModelCards.load(settings.prompts_dir / "models.yaml")
    episode = suite.episode
    assert isinstance(episode, DialogueEpisode)
    cases = load_dataset(
        dataset or suite.gate_dataset, task=task, input_model=episode.scenario_model, settings=settings
    ).cases
    planted = _planted(task, cases)
    chosen_kinds = _named(kinds, planted.keys())
    trial = _Trial(
        suite=suite,
        episode=episode.with_documents(KnowledgeIndexes.of(settings)),
        rules=GateRules(suite=suite, cards=cards, today=today()),
        pair=_any_pair(task, cards, settings),
        cases=cases,
        first_release=first_release,
    )
    gold = trial.scored({})
    own = trial.decided(gold, gold)
    tried = []
    for number, kind in enumerate(chosen_kinds, start=1):
        for share, chosen in _doses(planted[kind], len(cases)):
            gate = trial.decided(trial.scored(chosen, gold), gold)
            tried.append(_result(kind, share, chosen, len(cases), gate))
            where = f"{number} of {len(chosen_kinds)}: {kind} in {len(chosen)} of {plural(len(cases), 'case')}"
            say(f"{where}: {gate.verdict.value}")
    path = out_folder(settings.root, "selftest") / f"{task}{'-first' * first_release}-conversations.md"
    done = ConversationSelftest(
        task=task, dataset=dataset or suite.gate_dataset, gold=own.verdict, tried=tuple(tried), path=path
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, done.page)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planted:
    """A fault in one case: the gold run with it, what it changes afterwards, and the metrics that must detect it."""

    gold: Gold
    targets: tuple[str, ...]
    edit: Callable[[CaseResult], CaseResult] = lambda item: item


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    suite: Suite
    episode: DialogueEpisode
    rules: GateRules
    pair: Pair
    cases: Sequence[Case]
    first_release: bool

    def scored(self, faults: Mapping[str, _Planted], gold: Sequence[CaseResult] = ()) -> list[CaseResult]:
        """Return the scored conversations of all cases and repeats, those of ``faults`` (by case id) with the fault."""
        kept = {(item.case_id, item.repeat): item for item in gold}
        return [
            kept[case.id, repeat]
            if (case.id, repeat) in kept and case.id not in faults
            else self._scored(case, repeat, faults.get(case.id))
            for repeat in range(self.suite.least_repeats)
            for case in self.cases
        ]

    def _scored(self, case: Case, repeat: int, fault: _Planted | None) -> CaseResult:
        gold = expectations_of(case).gold if fault is None else fault.gold
        item = played(self.episode, case, repeat, gold)
        item = item if fault is None else fault.edit(item)
        return replace(item, scores=score_one(self.suite.scorers, self.suite.task, case, item.result))

    def decided(self, candidate: Sequence[CaseResult], production: Sequence[CaseResult]) -> GateResult:
        cases = [*self.cases] * self.suite.least_repeats
        return decide_against(self.rules, self.pair, cases, candidate, production, first_release=self.first_release)


def played(episode: DialogueEpisode, case: Case, repeat: int, gold: Gold) -> CaseResult:
    """Return what comes of a case if the assistant does and says what ``gold`` writes; nothing is scored yet."""
    specs = {spec.name: spec for spec in episode.specs}
    result = asyncio.run(episode.play_with(case, repeat, specs, GoldAgent(gold, episode.sources)))
    turns = len(ConversationRecord.model_validate_json(result.output or "").turns)
    return CaseResult(
        case_id=case.id,
        arm="primary",
        repeat=repeat,
        result=replace(result, cost=_COST),
        live=True,
        timings=(Timing(ms=_TURN_MS, live=True),) * turns,
    )


def _planted(task: str, cases: Sequence[Case]) -> dict[str, dict[str, _Planted]]:
    """Return one fault per kind and case in which it makes sense, by kind and case id."""
    found: dict[str, dict[str, _Planted]] = {}
    for case in cases:
        expected = expectations_of(case)
        for mutation in mutations_of(ConversationScenario.model_validate(case.inputs), expected):
            planted = _Planted(gold=mutation.gold, targets=GENERAL_TARGETS[mutation.kind])
            found.setdefault(mutation.kind, {}).setdefault(case.id, planted)
        for fault in faults_of(task):
            gold = expected.gold if fault.plant is None else fault.plant(case)
            if gold is not None:
                edit = fault.edit or (lambda item: item)
                found.setdefault(fault.kind, {})[case.id] = _Planted(gold=gold, targets=fault.targets, edit=edit)
    return found


def _named(kinds: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the ``kinds`` as they are known, all without any, sorted."""
    by_name = {name.replace(" ", "-"): name for name in known}
    asked = [kind.replace(" ", "-") for kind in kinds]
    if unknown := sorted(set(asked) - by_name.keys()):
        raise HarnessError(f"no fault {', '.join(unknown)}; faults: {', '.join(sorted(by_name))}")
    return sorted(by_name[name] for name in asked or by_name)


def _doses(faults: Mapping[str, _Planted], cases: int) -> Iterator[tuple[float, dict[str, _Planted]]]:
    """Yield each share with the cases that get the fault; a smaller share that takes no case away says nothing new."""
    before = -1
    for share in SHARES:
        chosen = _chosen(faults, share, cases)
        if len(chosen) != before:
            yield share, chosen
        before = len(chosen)


def _chosen(faults: Mapping[str, _Planted], share: float, cases: int) -> dict[str, _Planted]:
    names = sorted(faults)
    random.Random(_SEED).shuffle(names)
    return {name: faults[name] for name in names[: max(1, round(share * cases))]}


def _result(kind: str, share: float, chosen: Mapping[str, _Planted], n: int, gate: GateResult) -> PlantedShare:
    """Return what the gate made of a fault; a suite that does not gate on its own metrics has the general one."""
    by = tuple(dict.fromkeys(check.name for check in gate.checks if check.verdict is not Verdict.PASS))
    gated = {check.name for check in gate.checks}
    targets = next(iter(chosen.values())).targets
    own = tuple(name for name in targets if name in gated) or (_ANY_FAULT,)
    return PlantedShare(kind=kind, share=share, planted=len(chosen), n=n, verdict=gate.verdict, by=by, own=own)


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
