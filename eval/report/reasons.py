"""The checks as reports show them: those that did not pass by reason, said once where several share it, and those that passed."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.report.conclusions import (
    VERDICT_SIGNS,
    VERDICT_WORDS,
    bound_text,
    check_name,
    format_check_value,
    open_checks,
    results_of,
    why,
)
from eval.spine.results import ArmName, CaseResult, Check, PairResult, Verdict
from eval.spine.suite import Suite
from figures.formatting import format_number, plural
from figures.metric import Metric

# How failed answers are told of, by their only failure code.
_FAILED = {
    "OUTPUT_INVALID": "were invalid",
    "DEADLINE": "were late",
    "FAILED_SAFETY_GUIDELINES": "were refused as unsafe",
    "QUOTA_EXCEEDED": "were refused by the provider's quota",
    "UPSTREAM_UNAVAILABLE": "could not be had from the provider",
}
_BACKUP = "backup "  # what a floor's metric begins with when it is the backup's


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckGroup:
    """Checks of one verdict with one ``reason``; ``details`` has what only one check's explanation adds, or ""."""

    verdict: Verdict
    reason: str
    checks: tuple[Check, ...]
    details: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The group as lines: one for a single check, else the verdict with the reason, and a line per check."""
        shown = [
            figures_text(check) + (f": {detail}" if detail else "")
            for check, detail in zip(self.checks, self.details, strict=True)
        ]
        if len(shown) == 1:
            more = f": {self.details[0]}" if self.details[0] else ""
            return (f"{VERDICT_WORDS[self.verdict]} {figures_text(self.checks[0])}: {self.reason}{more}",)
        return (f"{VERDICT_WORDS[self.verdict]} {plural(len(shown), 'check')}: {self.reason}", *shown)


def figures_text(check: Check) -> str:
    """Return the check's name, figures and bound: "bleu 1.1 [0.4, 1.8], needs at least 2.0"."""
    value = format_check_value(check)
    return check_name(check) + (f" {value}, needs {bound_text(check)}" if value else "")


def check_groups(pair: PairResult, suite: Suite) -> list[CheckGroup]:
    """Return the checks that did not pass in groups of one verdict and reason: failed ones first, else in the gate's order."""
    found: dict[tuple[Verdict, str], list[tuple[Check, str]]] = {}
    for check in open_checks(pair):
        reason, detail = _reason(check, pair, suite)
        found.setdefault((check.verdict, reason), []).append((check, detail))
    return [
        CheckGroup(
            verdict=verdict,
            reason=reason,
            checks=tuple(check for check, _ in items),
            details=tuple(detail for _, detail in items),
        )
        for (verdict, reason), items in found.items()
    ]


def with_cause(pair: PairResult, suite: Suite, why: str) -> str:
    """Return ``why``, after the failed answers where these cost the pair several checks."""
    results = results_of(pair)
    failed = failed_answers(results)
    shared = any(
        group.reason == failed and sum(_lacks_scores(check, suite, results) for check in group.checks) > 1
        for group in check_groups(pair, suite)
    )
    return f"{failed}, so {why}" if shared else why


def _reason(check: Check, pair: PairResult, suite: Suite) -> tuple[str, str]:
    """Return why the check did not pass, in words that checks may share, and what its explanation adds."""
    arm: ArmName = "backup" if check.name.startswith(_BACKUP) else "primary"
    results = results_of(pair, arm)
    failed = failed_answers(results)
    if failed and (_lacks_scores(check, suite, results) or _counts_failures(check, suite)):
        return ("the backup's " if arm == "backup" else "") + failed, ""
    if check.kind == "must_pass":
        return check.explanation, ""
    reason, _, detail = check.explanation.partition(": ")
    return reason, detail


def _lacks_scores(check: Check, suite: Suite, results: Sequence[CaseResult]) -> bool:
    """Return whether too few cases have a score, and most of the others lack it because these ``results`` failed."""
    metric = check.metric
    if check.kind == "no_worse" and check.verdict is Verdict.FAIL:
        return False  # what is scored is worse already
    failed = {item.case_id for item in results if item.result.failure is not None}
    too_many = metric.unscored > suite.max_unscored_rate * max(metric.n + metric.unscored, 1)
    return too_many and 2 * len(failed) > metric.unscored  # production's failures cost a comparison its scores too


def _counts_failures(check: Check, suite: Suite) -> bool:
    name = check.name.removeprefix(_BACKUP)
    return check.verdict is Verdict.FAIL and any(
        spec.name == name and spec.kind == "answered" for spec in suite.metrics
    )


def failed_answers(results: Sequence[CaseResult]) -> str:
    """Return how many of ``results`` failed: "17 of 40 answers were invalid"; "" if none did."""
    codes = [item.result.failure.value for item in results if item.result.failure is not None]
    if not codes:
        return ""
    how = _FAILED.get(codes[0], "failed") if len(set(codes)) == 1 else "failed"
    if len(set(codes)) > 1:
        how += f" ({', '.join(f'{code} {codes.count(code)}' for code in dict.fromkeys(codes))})"
    total = plural(len(results), "answer")
    return f"{len(codes)} of {total} {how.replace('were', 'was', 1) if len(codes) == 1 else how}"


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
