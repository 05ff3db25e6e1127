"""What an evaluation produces: scores, case results, metrics with intervals, gate checks and verdicts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

from eval.spine.accounts import ACCOUNTED, SentenceAccount
from figures.metric import Metric
from service.core.llm.model_call import AnswerOrigin
from service.core.release.unseen import ReadSentences, unseen_text, verdict_headline
from service.core.run.task import TaskResult
from service.core.unit.pair import PairRole


class QuotingFinding(str):
    """A finding that quotes the answer: the text without the quoted passage is ``head``, with it the string itself.

    ``quote`` is the passage as the answer has it, ``value`` the wrong detail inside it ("" where the whole passage is wrong).
    """

    __slots__ = ("head", "quote", "value")
    head: str
    quote: str
    value: str

    def __new__(cls, head: str, *, quote: str, value: str = "") -> Self:
        """Return "<head>: '<quote>'" with its parts."""
        made = super().__new__(cls, f"{head}: {quote!r}")
        made.head, made.quote, made.value = head, quote, value
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the parts on the way to another process."""
        return _quoting_finding, (self.head, self.quote, self.value)


def _quoting_finding(head: str, quote: str, value: str) -> QuotingFinding:
    return QuotingFinding(head, quote=quote, value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One scorer's result for one case: a value with its rationale, or the reason why there is none (unscored is not zero).

    ``findings`` are the reasons for a low value, one short text each (``QuotingFinding`` where it quotes).
    ``applies`` is False where the case leaves nothing to score: it is then not missing from a comparison.
    ``sentences`` are the answer's, in the score ``eval.spine.accounts.ACCOUNTED``.
    """

    value: float | None
    rationale: str = ""
    findings: tuple[str, ...] = ()
    unscored: str | None = None
    applies: bool = True
    sentences: tuple[SentenceAccount, ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) != (self.unscored is not None):
            raise ValueError("a score has a value or a reason for being unscored, not both and not neither")


ArmName = Literal["primary", "backup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one run of a task took, and in which evaluation its model calls were made.

    ``live``: all of them in this one. ``measured_in`` names the one earlier evaluation that made all of them. Neither: they
    were made in several, so that ``ms`` measures nothing. ``lag_ms``: for how long of it the machine held the harness up.
    """

    ms: float
    live: bool
    measured_in: str | None = None
    lag_ms: float = 0.0

    @property
    def measures(self) -> bool:
        """Whether ``ms`` is a latency: all calls are from one evaluation."""
        return self.live or self.measured_in is not None

    @staticmethod
    def made_in(ms: float, runs: Iterable[str], this: str) -> "Timing":
        """Return the timing of a run whose calls were made in ``runs`` (none: it made no call), seen from run ``this``."""
        made = set(runs)
        earlier = made - {this}
        return Timing(ms=ms, live=not earlier, measured_in=earlier.pop() if earlier and len(made) == 1 else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case answered (or failed) by one arm of one pair.

    ``live`` is False when the answer, or a part of it, came from the reply cache; ``measured_in`` is the earlier run that made
    all of its calls, if one did. ``timings`` has one for each run of the task in which a model answered, such as a turn of a
    conversation; None where the case was one run. ``lag_ms``: see ``Timing``.
    """

    case_id: str
    arm: ArmName
    repeat: int
    result: TaskResult
    live: bool
    measured_in: str | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    timings: tuple[Timing, ...] | None = None
    lag_ms: float = 0.0

    @property
    def each_timing(self) -> tuple[Timing, ...]:
        """The timing of each run in which a model answered; of a case that was one run, that of ``result``."""
        if self.timings is not None:
            return self.timings
        if self.result.failure is not None or self.result.arm == "none":
            return ()
        return (Timing(ms=self.result.request_ms, live=self.live, measured_in=self.measured_in, lag_ms=self.lag_ms),)


class Verdict(StrEnum):
    """The gate's decision; only ``pass`` may be promoted."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


SHORT_OF_CPU = "this machine was short of CPU"  # how the explanation of a latency begins that the machine has made


CheckKind = Literal["floor", "no_worse", "best_of_year", "requirement", "slice", "behaviour", "must_pass"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One gated comparison: a floor (against ``bound``) or no-worse-than-production (difference against ``-margin``).

    ``metric`` is the figure for a floor and the paired difference (candidate minus production, positive is better) for a
    comparison, as the gate saw it: its confidence is above 0.95 where several interim looks are planned. A ``behaviour`` is a
    floor over the running service's behaviour; a ``best_of_year`` bounds the same difference by the best release of the last
    year, which may be better than production; a ``must_pass`` checks each case that once went wrong in production.
    ``reason`` justifies the bound; ``explanation`` is how the verdict followed from the figures. ``slice`` names the cases of
    a slice floor.
    """

    kind: CheckKind
    metric: Metric
    bound: float
    verdict: Verdict
    reason: str
    explanation: str
    slice: str = ""

    @property
    def name(self) -> str:
        """The name of the metric."""
        return self.metric.name


BehaviourVerdict = Literal["pass", "fail", "inconclusive", "not measured"]
NOT_MEASURED: BehaviourVerdict = "not measured"


def behaviour_verdict(checks: Iterable[Check]) -> BehaviourVerdict:
    """Return the worst verdict of the behaviour checks among ``checks``, or ``not measured`` when there are none."""
    verdicts = {check.verdict for check in checks if check.kind == "behaviour"}
    if Verdict.FAIL in verdicts:
        return "fail"
    if Verdict.INCONCLUSIVE in verdicts:
        return "inconclusive"
    return "pass" if verdicts else NOT_MEASURED


@dataclass(frozen=True, slots=True, kw_only=True)
class InterimLook:
    """The interim look that a verdict is from: look ``number``, from 1, of ``planned``.

    A pair that a search made (``Pair.lineage``) was chosen among ``tried`` candidates, 0 for a pair that a person wrote, and
    counts as ``searched`` looks at the same cases. Whoever takes the luckiest of several looks errs more often than with one.

    While a pair is undecided and its answers vary, repeats are added and the gate decides again. Each such decision is an
    interim look, as in a trial with interim analyses; without a correction, several decisions err more often than one.
    """

    number: int = 1
    planned: int = 1
    tried: int = 0
    searched: int = 1

    @property
    def looks(self) -> int:
        """By how many looks the gate divides the error that it allows itself."""
        return self.planned * self.searched

    @property
    def words(self) -> str:
        """Return what the verdict allows for, such as "interim look 1 of 4; chosen among 12 candidates"; "" for nothing."""
        interim = f"interim look {self.number} of {self.planned}" if self.planned > 1 else ""
        counted = f", counts as {self.searched} looks" if self.searched > 1 else ""
        chosen = f"chosen among {self.tried} candidates{counted}" if self.tried else ""
        return "; ".join(filter(None, (interim, chosen)))

    @property
    def confidence(self) -> float:
        """The confidence of each interval that the gate decides on.

        Bonferroni: all looks together err no more often than one look at 95% would. This is conservative, because looks at
        the same cases are strongly correlated; a sharper spending function would need their correlation.
        """
        return 1 - 0.05 / self.looks


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """All checks of one pair; the verdict is fail if any check fails, else inconclusive if any is, else pass.

    ``small_slices`` are slice floors with too few cases to gate; they are shown but do not count in the verdict. ``looked_at``
    and ``unseen`` divide the suite's ``judged_only`` kinds by name: those that a licensed judge looked at, and the others.
    ``sentences`` counts what code or a reader accounts for; None where the suite has no free texts.
    """

    pair_name: str
    pair_digest: str
    dataset_digest: str
    suite_digest: str
    baseline_digest: str | None
    checks: tuple[Check, ...]
    small_slices: tuple[Check, ...] = ()
    look: InterimLook = field(default_factory=InterimLook)
    unseen: tuple[str, ...] = ()
    looked_at: tuple[str, ...] = ()
    sentences: ReadSentences | None = None

    def check(self, kind: CheckKind, name: str) -> Check | None:
        """Return the check of this kind on metric ``name``, or None."""
        return next((check for check in self.checks if (check.kind, check.name) == (kind, name)), None)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all checks; fail without checks."""
        verdicts = {check.verdict for check in self.checks}
        if not verdicts or Verdict.FAIL in verdicts:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts else Verdict.PASS

    @property
    def short_of_cpu(self) -> bool:
        """Whether nothing but latencies that the machine has made keeps the pair from passing."""
        missed = [check for check in self.checks if check.verdict is not Verdict.PASS]
        return bool(missed) and all(SHORT_OF_CPU in check.explanation for check in missed)

    @property
    def headline(self) -> str:
        """The verdict with what nobody looked at; reports print it in place of the bare verdict."""
        return verdict_headline(self.verdict.value, self.unseen, self.looked_at, self.sentences)

    @property
    def limits(self) -> str:
        """What nobody looked at, in a few words; "" if every sentence and every kind of harm was."""
        return unseen_text(self.unseen, self.looked_at, self.sentences)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairResult:
    """Everything about one pair in one evaluation. ``metrics`` are the primary arm's, ``backup_metrics`` the backup's.

    ``origins`` are those of the pair's own answers, without its judges' and production's. ``parts`` are the models of the pair's
    parts, by part and joined with those of their backups. ``documents`` are the digests of the indexes that its tools search, by
    tool.
    """

    pair_name: str
    pair_version: str
    pair_digest: str
    model: str
    backup: str | None
    answered_by: tuple[str, ...]
    is_production: bool
    cases: tuple[CaseResult, ...]
    metrics: dict[str, Metric]
    gate: GateResult
    backup_metrics: dict[str, Metric] = field(default_factory=dict)
    deltas: dict[str, Metric] = field(default_factory=dict)
    seconds: float = 0.0
    origins: tuple[AnswerOrigin, ...] = ()
    role: PairRole = "candidate"
    parts: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What reports put beside the name: "production", "floor" or "demo", or two of these; "" for a candidate."""
        words = (("production",) if self.is_production else ()) + ((self.role,) if self.role != "candidate" else ())
        return ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeNote:
    """One judge of the suite in one run: its digest, the model that answered, and whether its figures gate.

    ``kinds`` are the suite's ``judged_only`` kinds, by name, that the judge was licensed for in this run. ``origins`` are
    those of its answers.
    """

    rubric: str
    digest: str
    model: str
    answered_by: str
    status: str
    gates: bool
    kinds: tuple[str, ...] = ()
    origins: tuple[AnswerOrigin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One run of the harness: several pairs on one dataset under one suite."""

    run_id: str
    task: str
    environment: str
    started_at: str
    dataset_name: str
    dataset_digest: str
    suite_digest: str
    code_version: str
    case_count: int
    production_name: str | None
    production_version: int | None
    pairs: tuple[PairResult, ...]
    calls_live: int
    calls_cached: int
    seconds: float
    stand_in: str | None = None
    ceiling: dict[str, Metric] = field(default_factory=dict)  # references scored against each other
    like_for_like: dict[str, dict[str, Metric]] = field(default_factory=dict)  # the same by pair digest
    judges: tuple[JudgeNote, ...] = ()
    code_models: tuple[str, ...] = ()  # ids of the models that are code: their answers are computed, not called


def sentences_of(items: Sequence[CaseResult]) -> list[SentenceAccount]:
    """Return the sentences of answers; of one that failed or was not accounted for there are none."""
    return [one for item in items if ACCOUNTED in item.scores for one in item.scores[ACCOUNTED].sentences]


def read_sentences(
    answers: Sequence[CaseResult], metrics_of_arms: Sequence[Mapping[str, Metric]]
) -> ReadSentences | None:
    """Return what became of the sentences of ``answers``; None if the suite does not account for them."""
    unread = [metrics["sentences_unread"] for metrics in metrics_of_arms if "sentences_unread" in metrics]
    if not unread:
        return None
    states = Counter(one.state for one in sentences_of(answers))
    return ReadSentences(
        sentences=states.total(),
        accounted=states["accounted"],
        read=states["read"],
        unsupported=states["unsupported"],
        unread_high=max((1.0 if metric.high is None else metric.high for metric in unread), default=1.0),
    )
