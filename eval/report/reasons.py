"""Groups the checks that did not pass by their reason, so that a reason that several share is said once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from eval.report.conclusions import VERDICT_WORDS, bound_text, check_name, format_check_value, open_checks, results_of
from eval.spine.results import ArmName, CaseResult, Check, PairResult, Verdict
from eval.spine.suite import Suite
from figures.formatting import plural

# How failed answers are told of, by their only failure code.
_FAILED = {
    "OUTPUT_INVALID": "were invalid",
    "DEADLINE": "were late",
    "FAILED_SAFETY_GUIDELINES": "were refused as unsafe",
    "QUOTA_EXCEEDED": "were refused by the provider's quota",
    "UPSTREAM_UNAVAILABLE": "could not be had from the provider",
}
_BACKUP = "backup "  # what a floor's metric begins with when it is the backup's
_FIGURE = re.compile(r"[\d.,]*\d")


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
    found: dict[tuple[Verdict, str], list[tuple[Check, str, str]]] = {}
    for check in open_checks(pair):
        reason, detail = _reason(check, pair, suite)
        key = check.verdict, _FIGURE.sub("…", reason)
        found.setdefault(key, []).append((check, reason, detail))
    return [
        CheckGroup(
            verdict=verdict,
            reason=items[0][1] if len({reason for _, reason, _ in items}) == 1 else shared,
            checks=tuple(check for check, _, _ in items),
            details=tuple(detail for _, _, detail in items),
        )
        for (verdict, shared), items in found.items()
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
