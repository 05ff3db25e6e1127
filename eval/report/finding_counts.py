"""Counts the answers with a finding, by one definition for console, card, list and filter: those of ``worst_results``."""

from collections.abc import Iterable, Sequence

from eval.report.conclusions import case_metrics, findings_of, worst_results
from eval.spine.results import CaseResult
from eval.spine.suite import Suite
from figures.formatting import plural


def results_with_faults(results: Iterable[CaseResult], suite: Suite) -> list[CaseResult]:
    """Return the answers with a fault (``fault_name``), in the order of ``worst_results``."""
    from eval.verdict.kinds import kind_of  # late: scipy takes 0.3 s

    yes_or_no = {spec.score for spec in case_metrics(suite) if kind_of(spec).yes_or_no}
    return [
        item
        for item in worst_results(results, suite)
        if item.result.failure is None and any(finding.score in yes_or_no for finding in findings_of(item))
    ]


def fault_name(suite: Suite, *, many: bool = False) -> str:
    """Return what a finding of a yes-or-no score is called: of an answer what it states, of a conversation anything."""
    if suite.fault:
        return suite.fault
    if suite.episode is not None:
        return "wrong words or acts"
    return "false or unsupported statements" if many else "a false or unsupported statement"


def findings_sentence(results: Sequence[CaseResult], suite: Suite) -> str:
    """Return how many answers have a finding, and of which kind: "5 of 200 answers have a finding: 1 states ..."."""
    bad = worst_results(results, suite)
    total = plural(len(results), "answer" if suite.episode is None else "conversation")
    if not bad and not case_metrics(suite):
        return f"{total}, none scored by itself: the suite has no score of single cases (eval/scorers/)"
    if not bad:
        return f"no finding in {total}"
    false = results_with_faults(bad, suite)
    failed = sum(item.result.failure is not None for item in bad)
    incomplete = sum(item not in false and _is_incomplete(item, suite) for item in bad)
    other = len(bad) - failed - len(false) - incomplete
    parts = [
        f"{failed} got no answer" if failed else "",
        f"{len(false)} with {fault_name(suite)}" if false else "",
        f"{incomplete} incomplete" if incomplete else "",
        f"{other} with another finding" if other else "",
    ]
    verb = "has" if len(bad) == 1 else "have"
    return f"{len(bad)} of {total} {verb} a finding: {', '.join(part for part in parts if part)}"


def _is_incomplete(item: CaseResult, suite: Suite) -> bool:
    from eval.verdict.kinds import kind_of

    graded = {spec.score for spec in case_metrics(suite) if not kind_of(spec).yes_or_no}
    return item.result.failure is None and any(finding.score in graded for finding in findings_of(item))
