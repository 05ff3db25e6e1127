"""The table that MLflow's compare view shows at once: one row per case, bounded in size."""

from typing import Any

from eval.spine.cases import Dataset, stratified
from eval.spine.results import CaseResult, PairResult
from eval.tracking.store import table_text
from eval.verdict.attest import finite

# The browser holds the tables of all compared runs: ten runs of this size are some 30 MB.
MOST_ROWS, LONGEST_TEXT = 1_000, 2_000


def compared_table(pair: PairResult, dataset: Dataset) -> str | None:
    """Return the table as MLflow's pages read it; None if the pair answered none of the dataset's cases.

    It has the primary model's first answer to each case, since the compare view shows one value per case and run, with the
    case's slices, scores, cost and findings. Of more than ``MOST_ROWS`` cases it has a stratified sample, the same one in every
    run; texts are cut at ``LONGEST_TEXT`` characters. It holds no inputs, and no texts beyond those of ``cases.json``.
    """
    shown = stratified(dataset, MOST_ROWS).cases
    first = {item.case_id: item for item in pair.cases if (item.arm, item.repeat) == ("primary", 0)}
    slices = sorted({name for case in shown for name in case.slices})
    scores = sorted({name for item in pair.cases for name in item.scores})
    rows = [
        {
            "case_id": case.id,
            **{name: str(case.slices.get(name, "")) for name in slices},  # the view's filter takes texts only
            **_answer(first[case.id], scores),
        }
        for case in shown
        if case.id in first
    ]
    return table_text(rows) if rows else None


def _answer(item: CaseResult, scores: list[str]) -> dict[str, Any]:
    result = item.result
    findings = "; ".join(finding for score in item.scores.values() for finding in score.findings)
    return {
        "output": _cut(result.output or ""),
        "failure": result.failure.value if result.failure else "",
        **{name: finite(item.scores[name].value) if name in item.scores else None for name in scores},
        "findings": _cut(findings),
        "answered_by": result.answered_by,
        "model_ms": round(result.model_ms, 3),
        "cost_usd": str(result.cost.metered_usd) if result.cost else "",
    }


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
