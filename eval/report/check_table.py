"""The report's tables of checks: those that did not pass by reason, and those that passed."""

from dataclasses import dataclass

from eval.report.conclusions import VERDICT_SIGNS, VERDICT_WORDS, bound_text, check_name, format_check_value, why
from eval.report.reasons import CheckGroup, check_groups
from eval.spine.results import Check, PairResult, Verdict
from eval.spine.suite import Suite
from figures.formatting import format_number, plural
from figures.metric import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A verdict as word and sign, so that the page does not rely on colour alone."""

    verdict: str
    word: str
    sign: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One check as the report prints it."""

    name: str
    badge: Badge
    value: str
    bound: str
    n: str
    explanation: str
    reason: str
    p_value: str = ""
    smallest_drop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRows:
    """The checks that did not pass for one reason."""

    badge: Badge
    reason: str
    checks: tuple[CheckLine, ...]


def badge(verdict: Verdict) -> Badge:
    """Return the badge of ``verdict``."""
    return Badge(verdict=verdict.value, word=VERDICT_WORDS[verdict], sign=VERDICT_SIGNS[verdict])


def open_words(pair: PairResult, suite: Suite) -> str:
    """Return how many checks did not pass and for how many reasons; the verdict's reason if all passed."""
    groups = check_groups(pair, suite)
    if not groups:
        return why(pair)
    missed = sum(len(group.checks) for group in groups)
    return f"{missed} of {plural(len(pair.gate.checks), 'check')} not passed, for {plural(len(groups), 'reason')}"


def reason_rows(pair: PairResult, suite: Suite) -> tuple[ReasonRows, ...]:
    """Return the checks that did not pass, by reason."""
    return tuple(_reason_rows(group) for group in check_groups(pair, suite))


def passed_lines(pair: PairResult) -> tuple[CheckLine, ...]:
    """Return the checks that passed."""
    return tuple(_check_line(check, check.explanation) for check in pair.gate.checks if check.verdict is Verdict.PASS)


def _reason_rows(group: CheckGroup) -> ReasonRows:
    lines = tuple(_check_line(check, detail) for check, detail in zip(group.checks, group.details, strict=True))
    return ReasonRows(badge=badge(group.verdict), reason=group.reason, checks=lines)


def _check_line(check: Check, explanation: str) -> CheckLine:
    metric = check.metric
    return CheckLine(
        name=check_name(check),
        badge=badge(check.verdict),
        value=format_check_value(check),
        bound=bound_text(check),
        n="" if check.kind in ("requirement", "must_pass") else str(metric.n),
        explanation=explanation,
        reason=check.reason,
        p_value=_p_text(metric),
        smallest_drop="" if metric.mde is None else format_number(abs(metric.mde), metric.unit),
    )


def _p_text(metric: Metric) -> str:
    if metric.p_value is None:
        return ""
    text = "<0.001" if metric.p_value < 0.001 else f"{metric.p_value:.3f}"
    return f"{text} ({metric.test})" if metric.test else text
