"""The licence table: the recall that the gate needs of a yes-or-no judge, by margin, false alarms and number of cases."""

from eval.verdict.needed_recall import TARGETS, JudgeBounds, most_false_alarms, needed_recall

MARGINS = (0.05, 0.07, 0.10)
CASE_COUNTS = (100, 200, 400)
FALSE_ALARMS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)


def licence_lines() -> list[str]:
    """Return the table, a line per rate of false alarms; a dash where no recall suffices."""
    bounds = [JudgeBounds(cases=cases, margin=margin) for margin in MARGINS for cases in CASE_COUNTS]
    lines = [
        "Recall that a judge of meaning needs, by its margin to production, its false alarms and the number of cases",
        f"{'margin':<16}" + "".join(f"{item.margin:>8.2f}" for item in bounds),
        f"{'cases':<16}" + "".join(f"{item.cases:>8}" for item in bounds),
    ]
    for rate in FALSE_ALARMS:
        needed = [needed_recall(item, rate) for item in bounds]
        lines.append(f"{f'false alarms {rate:.2f}':<16}" + "".join(f"{_shown(recall):>8}" for recall in needed))
    most = "".join(f"{most_false_alarms(item):>8.3f}" for item in bounds)
    return [*lines, f"{'most allowed':<16}{most}", f"Enough means: {TARGETS}."]


def _shown(recall: float | None) -> str:
    return "–" if recall is None else f"{recall:.2f}"
