"""The sentences and rankings that every report of an evaluation shows: headline, reasons, worst cases."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.spine.results import ArmName, CaseResult, Check, CheckKind, Evaluation, PairResult, QuotingFinding, Verdict
from eval.spine.suite import JudgedKind, MetricSpec, Suite
from figures.command_line import is_simulated
from figures.formatting import MISSING, events_in, format_interval, format_number, format_signed, plural
from figures.metric import Unit
from service.core.llm.model_call import AnswerOrigin
from service.core.run.task_result import TaskResult

if TYPE_CHECKING:
    from eval.verdict.kinds.kind import MetricKind

VERDICT_WORDS = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "INCONCLUSIVE"}
VERDICT_SIGNS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}

_BAD_FIRST = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}
_NAMED = 4
_LOCAL = "local."  # ids of prompts/models.yaml whose `runs` is local
_NOBODY = ("", "none")
_CHECK_NAMES: dict[CheckKind, str] = {
    "floor": "{name}",
    "no_worse": "{name} vs production",
    "best_of_year": "{name} vs the best of the year",
    "requirement": "{name}",
    "slice": "{name} in {slice}",
    "behaviour": "behaviour {name}",
    "must_pass": "{name} of every {slice} case",
}
WHO_SEES = (
    "Code cannot see them. Only a judge can, which is a model that is licensed because it agrees with people; none that is "
    "licensed for them took part in this run, so no verdict covers them."
)
_NOTHING_IN_PRODUCTION = "No pair is in production yet, so only the floors decide."


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFinding:
    """One reason why a score is low.

    ``quote`` is the passage of the output that it is about ("" without one), ``head`` the text without it, and ``value``
    the wrong detail inside the passage.
    """

    score: str
    text: str
    head: str
    quote: str = ""
    value: str = ""


def candidates(evaluation: Evaluation) -> list[PairResult]:
    """Return the pairs that are not in production."""
    return [pair for pair in evaluation.pairs if not pair.is_production]


def headline(evaluation: Evaluation) -> str:
    """Return the evaluation's outcome with what nobody looked at, in one or two sentences."""
    judged = candidates(evaluation) or list(evaluation.pairs)
    passing = [pair.pair_name for pair in judged if pair.gate.verdict is Verdict.PASS]
    noun = "candidate" if candidates(evaluation) else "pair"
    if not judged:
        return "No pair was evaluated."
    if len(judged) == 1:
        name = judged[0].pair_name
        endings = {
            Verdict.PASS: f"{name} passes the gate",
            Verdict.FAIL: f"{name} fails the gate",
            Verdict.INCONCLUSIVE: f"{name} is undecided: there is too little evidence to release it",
        }
        gate = judged[0].gate
        rest = gate.headline.removeprefix(gate.verdict.value)
        return f"{endings[gate.verdict]}{rest}."
    unseen = dict.fromkeys(text for pair in judged if (text := pair.gate.limits))
    limits = "".join(f" {text[0].upper()}{text[1:]}." for text in unseen)
    if not passing:
        return f"None of {len(judged)} {noun}s passes the gate.{limits}"
    verb = "passes" if len(passing) == 1 else "pass"
    return f"{len(passing)} of {len(judged)} {noun}s {verb} the gate: {', '.join(passing)}.{limits}"


def verdict_lead(pair: PairResult) -> str:
    """Return what a line about the pair begins with: the verdict; of a pass also what limits it."""
    gate = pair.gate
    limit = gate.headline.removeprefix(gate.verdict.value) if gate.verdict is Verdict.PASS else ""
    return f"{VERDICT_WORDS[gate.verdict]}{limit}"


def verdict_reason(pair: PairResult) -> str:
    """Return the verdict's reason; of a verdict other than pass also, in a second sentence, what nobody looked at."""
    gate = pair.gate
    rest = "" if gate.verdict is Verdict.PASS else gate.headline.removeprefix(gate.verdict.value)
    return f"{why(pair)}{rest}"


def limit_text(pair: PairResult) -> str:
    """Return what stands beside the verdict's badge: what the verdict is limited to and what nobody looked at; "" for neither."""
    return pair.gate.headline.removeprefix(pair.gate.verdict.value).lstrip("; .")


def unseen_count(pair: PairResult) -> str:
    """Return how many kinds of harm nobody looked at, for narrow columns: "12 kinds unseen"; "" for none."""
    return f"{plural(len(pair.gate.unseen), 'kind')} unseen" if pair.gate.unseen else ""


def unseen_kinds(evaluation: Evaluation, suite: Suite) -> list[JudgedKind]:
    """Return the kinds of harm that nobody looked at in the answers of a pair of ``evaluation``, in the suite's order."""
    names = {name for pair in evaluation.pairs for name in pair.gate.unseen}
    return [kind for kind in suite.judged_only if kind.name in names]


def unseen_title(kinds: Sequence[JudgedKind]) -> str:
    """Return the heading above the kinds of harm that nobody looked at: "17 kinds of harm that no judge model looked for"."""
    return f"{plural(len(kinds), 'kind')} of harm to meaning that no judge model looked for"


def baseline_sentence(evaluation: Evaluation) -> str:
    """Return the sentence that names the pair in production."""
    if evaluation.production_name is None:
        return _NOTHING_IN_PRODUCTION
    version = "" if evaluation.production_version is None else f" (registry version {evaluation.production_version})"
    where = "In the simulation's production" if is_simulated() else "In production"
    return f"{where}: {evaluation.production_name}{version}."


def calls_sentence(evaluation: Evaluation) -> str:
    """Return where the answers came from: "0 model calls, 74 answers from the cache, 37 computed by code"."""
    e = evaluation
    live = [item.result for pair in e.pairs for item in pair.cases if item.live]
    counts = {
        "computed by code": sum(result.model in e.code_models for result in live),
        "that needed no model": sum(result.arm == "none" for result in live),
    }
    origins = {"stand-in" in item.origins for item in live if item.model not in e.code_models and item.arm != "none"}
    kinds = {frozenset({True}): "stand-in call", frozenset({True, False}): "model or stand-in call"}
    calls = plural(e.calls_live, kinds.get(frozenset(origins), "model call"))
    text = f"{calls}, {plural(e.calls_cached, 'answer')} from the cache"
    return text + "".join(f", {count:,} {what}" for what, count in counts.items() if count)


def replaced_models(evaluation: Evaluation, pair: PairResult) -> dict[str, tuple[str, ...]]:
    """Return the names of the stand-ins that answered, by the provider model that they replaced.

    Empty if the evaluation has no stand-in. Models with ``local.`` ids run on this machine and are not replaced.
    """
    found: dict[str, set[str]] = {}
    for item in pair.cases if evaluation.stand_in is not None else ():
        for asked, name, origins in _answers_of(item.result):
            own = asked.startswith(_LOCAL) or name.lower() in asked.lower()
            own = own or bool(origins and "stand-in" not in origins)
            if name not in _NOBODY and asked not in _NOBODY and not own:
                found.setdefault(asked, set()).add(name)
    return {asked: tuple(sorted(names)) for asked, names in found.items()}


def _answers_of(result: TaskResult) -> list[tuple[str, str, tuple[AnswerOrigin | None, ...]]]:
    """Return for each asked model its id, who answered in its name, and the answers' origins."""
    steps = [(step.model, step.answered_by, (step.origin,)) for step in result.trace if step.kind == "model"]
    return [*dict.fromkeys(steps)] or [(result.model, result.answered_by, result.origins)]


def stand_in_warning(evaluation: Evaluation) -> str:
    """Return the warning that a stand-in's figures are shown; "" if every model answered itself."""
    replaced = {pair.pair_name: replaced_models(evaluation, pair) for pair in evaluation.pairs}
    pairs = [name for name, models in replaced.items() if models]
    if not pairs:
        return ""
    names = sorted({name for models in replaced.values() for names in models.values() for name in names})
    return (
        f"{', '.join(names)} answered in place of the provider models of {', '.join(pairs)}. Quality and latency are "
        "the stand-in's; cost is its token count at the provider's prices. "
        "No figure of these pairs is a measurement of the provider's model."
    )


def open_checks(pair: PairResult) -> list[Check]:
    """Return the checks that did not pass: failed ones first, then undecided ones, each in the gate's order."""
    missed = [check for check in pair.gate.checks if check.verdict is not Verdict.PASS]
    return sorted(missed, key=lambda check: _BAD_FIRST[check.verdict])


def why(pair: PairResult) -> str:
    """Return the verdict's reason in a few words, "all 12 checks pass" or "3 of 12 checks fail: grounded, ..."."""
    checks, missed = pair.gate.checks, open_checks(pair)
    if not checks:
        return "the gate made no checks, and a gate without checks fails"
    if not missed:
        return "the check passes" if len(checks) == 1 else f"all {len(checks)} checks pass"
    worst = [check for check in missed if check.verdict is missed[0].verdict]
    verb = {Verdict.FAIL: ("fails", "fail"), Verdict.INCONCLUSIVE: ("is undecided", "are undecided")}[missed[0].verdict]
    names = ", ".join(check_name(check) for check in worst[:_NAMED])
    names += f" and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
    return f"{len(worst)} of {plural(len(checks), 'check')} {verb[len(worst) > 1]}: {names}"


def check_name(check: Check) -> str:
    """Return the check's name; floors, floors of slices and comparisons with production have different wordings."""
    return _CHECK_NAMES[check.kind].format(name=check.name, slice=check.slice or "regression")


def bound_text(check: Check) -> str:
    """Return the bound in words: "at least 0.80", "at most 5.0 s", "no lower than -0.05", or "must hold"."""
    if check.kind == "requirement":
        return "must hold"
    if check.kind == "must_pass":
        return f"at least {round(check.bound * check.metric.n)} of {check.metric.n}"
    bound = format_number(check.bound, check.metric.unit)
    if check.kind in ("no_worse", "best_of_year"):
        return f"no lower than {bound}"
    return f"{'at least' if check.metric.higher_is_better else 'at most'} {bound}"


def check_line(check: Check) -> str:
    """Return the check in one line: verdict, figures, bound, and explanation."""
    value = format_check_value(check)
    figures = f" {value}, needs {bound_text(check)}" if value else ""
    return f"{VERDICT_WORDS[check.verdict]} {check_name(check)}{figures}: {check.explanation}"


def small_slice_text(check: Check) -> str:
    """Return a slice that is too small to gate in words: its figure, its number of cases and the number needed."""
    return f"{check_name(check)} {format_check_value(check)} ({check.explanation.removeprefix('small: ')})"


def results_of(pair: PairResult, arm: ArmName = "primary") -> list[CaseResult]:
    """Return one arm's results in case order."""
    return [item for item in pair.cases if item.arm == arm]


def failures_by_code(results: Iterable[CaseResult]) -> list[tuple[str, int]]:
    """Return how many results failed with each failure code, most frequent first."""
    counts = Counter(item.result.failure.value for item in results if item.result.failure is not None)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def failures_by_message(results: Iterable[CaseResult]) -> list[tuple[str, int]]:
    """Return how many results failed with each message, its numbers blanked, most frequent first."""
    failed = (item.result for item in results if item.result.failure is not None)
    counts = Counter(re.sub(r"\d+", "…", result.failure_message) or str(result.failure) for result in failed)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def table_metrics(suite: Suite) -> list[MetricSpec]:
    """Return the metrics of the suite's table, in its order; all metrics if the suite declares no table."""
    return [suite.metric(name) for name in suite.table] if suite.table else list(suite.metrics)


def case_metrics(suite: Suite) -> list[MetricSpec]:
    """Return the table's metrics with a score from 0 to 1 per case, yes-or-no scores first."""
    units = (Unit.RATE, Unit.EVENTS)
    per_case = [spec for spec in table_metrics(suite) if _kind_of(spec).scores_cases and spec.unit in units]
    return sorted(per_case, key=lambda spec: not _kind_of(spec).yes_or_no)


def _kind_of(spec: MetricSpec) -> "MetricKind":
    from eval.verdict.kinds import (
        kind_of,
    )  # late import: scipy takes 0.3 s, and the model calls should start before that

    return kind_of(spec)


def badness(item: CaseResult, suite: Suite) -> tuple[float, ...]:
    """Return a key that sorts the worst results first: failures, each yes-or-no score, the graded ones, any other finding.

    An unscored value ranks as good: a scorer that could not decide is no evidence against the output.
    """
    values = []
    for spec in case_metrics(suite):
        score = item.scores.get(spec.score)
        value = 1.0 if score is None or score.value is None else score.value
        values.append(value if spec.higher_is_better else 1.0 - value)
    return (float(item.result.failure is None), *values, 0.0 if findings_of(item) else 1.0)


def worst_results(results: Iterable[CaseResult], suite: Suite, limit: int | None = None) -> list[CaseResult]:
    """Return at most ``limit`` results with problems, worst first; equally bad ones stay in case order."""
    bad = [item for item in results if min(badness(item, suite)) < 1.0]
    return sorted(bad, key=lambda item: badness(item, suite))[:limit]


def findings_of(item: CaseResult) -> list[ScoreFinding]:
    """Return the findings of all scores of the result, each text once (two scores may name the same fault).

    A sentence that a judge found without support is one. What a scorer could not decide is none, whatever it noted.
    """
    seen: dict[str, ScoreFinding] = {}
    for name, score in item.scores.items():
        for text in score.findings if score.value is not None or item.result.failure is not None else ():
            seen.setdefault(text, _finding(name, text))
        for one in score.sentences:
            if one.state == "unsupported":
                seen.setdefault(one.text, _finding(name, QuotingFinding("a judge finds no support", quote=one.text)))
    return list(seen.values())


def _finding(score: str, text: str) -> ScoreFinding:
    if isinstance(text, QuotingFinding):
        return ScoreFinding(score=score, text=text, head=text.head, quote=text.quote, value=text.value)
    return ScoreFinding(score=score, text=text, head=text)


def problem_lines(item: CaseResult, suite: Suite) -> list[str]:
    """Return the result's problems, most serious first: its failure, or its findings in the order of ``badness``."""
    if item.result.failure is not None:
        message = item.result.failure_message
        found = [f"the rejected answer had: {finding.text}" for finding in findings_of(item)]
        return [f"no answer, {item.result.failure.value}" + (f": {message}" if message else ""), *found]
    order = {spec.score: place for place, spec in enumerate(case_metrics(suite))}
    graded = {spec.score for spec in case_metrics(suite) if not _kind_of(spec).yes_or_no}
    ranked = sorted(findings_of(item), key=lambda finding: order.get(finding.score, len(order)))
    if not ranked and min(badness(item, suite)) < 1.0:
        return ["low score without a finding"]
    return [f"missing: {finding.text}" if finding.score in graded else finding.text for finding in ranked]


def metric_notes(evaluation: Evaluation) -> list[str]:
    """Return one footnote per pair and distinct note, with the metrics that it applies to."""
    about: dict[tuple[str, str], list[str]] = {}
    for pair in evaluation.pairs:
        for prefix, metrics in (("", pair.metrics), ("backup ", pair.backup_metrics)):
            for metric in metrics.values():
                if metric.note:
                    about.setdefault((metric.note, pair.pair_name), []).append(prefix + metric.name)
    return [f"{pair_name}, {', '.join(names)}: {note}." for (note, pair_name), names in about.items()]


def ceiling_metrics(evaluation: Evaluation, suite: Suite) -> list[MetricSpec]:
    """Return the table's metrics that were computed for references against each other, in the table's order."""
    return [spec for spec in table_metrics(suite) if spec.name in evaluation.ceiling]


def ceiling_cases(evaluation: Evaluation) -> int:
    """Return how many cases have several references."""
    return max((metric.n for metric in evaluation.ceiling.values()), default=0)


def ceiling_title(evaluation: Evaluation) -> str:
    """Return the heading of the table of references scored against each other."""
    return (
        f"References against each other: {plural(ceiling_cases(evaluation), 'case')} with several references, "
        "each text scored against all references but one"
    )


def judge_lines(evaluation: Evaluation) -> list[str]:
    """Return one line per status of a judge; judges with the same status share a line."""
    by_status: dict[str, list[str]] = {}
    for note in evaluation.judges:
        by_status.setdefault(note.status, []).append(note.rubric)
    return [f"judge {', '.join(names)}: {status}" for status, names in by_status.items()]


def judge_status(evaluation: Evaluation) -> str:
    """Return in one line whether each judge's ratings gate or are only shown; "no judge took part" without judges."""
    return "; ".join(line.removeprefix("judge ") for line in judge_lines(evaluation)) or "no judge took part"


def format_check_value(check: Check) -> str:
    """Return the checked figure (metric or difference) with its interval; "" for a requirement."""
    if check.kind == "requirement":
        return ""
    metric = check.metric
    if metric.value is None:
        return f"{MISSING} n=0"
    if check.kind == "must_pass":
        return f"{round(metric.value * metric.n)} of {plural(metric.n, 'case')}"
    if metric.unit is Unit.EVENTS:
        surely = metric.low is not None and metric.low > check.bound
        end = f"at least {format_number(metric.low or 0.0, metric.unit, apart_from=check.bound)}"
        most = format_interval(metric.low, metric.high, metric.unit, apart_from=check.bound)
        return f"{events_in(metric)}: {end if surely else most}"
    write = format_signed if check.kind in ("no_worse", "best_of_year") else format_number
    figures = [
        write(figure, metric.unit, apart_from=check.bound)
        for figure in (metric.value, metric.low, metric.high)
        if figure is not None
    ]
    return figures[0] if len(figures) < 3 else f"{figures[0]} [{figures[1]}, {figures[2]}]"
