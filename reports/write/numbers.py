"""The weekly report's numbers as one long table, for notebooks and dashboards."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from figures.stats import Interval
from reports.compare.agreement import is_small
from reports.compare.call_scores import CallFigure
from reports.compare.comparisons import EVERY_PAIR, Comparison
from reports.compare.outcomes import ComparisonResult
from reports.compare.weekly import WeekColumn, WeekFigure, WeeklyReport
from reports.read.counts import ALL
from reports.read.weeks import Week
from reports.write.headline import file_name

NAME = "numbers.parquet"
COLUMNS = (
    "section",
    "slice",
    "pair",
    "metric",
    "week",
    "value",
    "low",
    "high",
    "n",
    "verdict",
    "against",
    "task",
    "simulated",
)


def numbers(*reports: WeeklyReport) -> pd.DataFrame:
    """Return the rows of the reports, at least one, below each other.

    One row per number: sections figure, slice, change, slice_change, promise, drift, rated_share, agreement, call_score.

    ``slice`` is ``dimension=value`` or "", for agreement ``tenant/form/version/criterion``, for call_score
    ``tenant/form/criterion/agent group``, where no criterion is the whole call and no group is all of them. A change's
    ``value`` is this week minus ``against``, for latency and cost as a share of ``against``. ``simulated`` is the same in every
    row.
    """
    return pd.concat([_numbers(report) for report in reports], ignore_index=True)


def _numbers(report: WeeklyReport) -> pd.DataFrame:
    week = report.data.week
    rows: list[tuple[object, ...]] = []
    for section, figures in (("figure", report.figures.values()), ("slice", report.slice_figures)):
        rows += [_figure(section, figure, week.shifted(figure.period).name) for figure in figures if figure.side]
    rows += [_change("change", item, week.name) for item in report.whole]
    rows += [_change("slice_change", item, week.name) for item in report.sliced]
    for promise in report.promises:
        if promise.difference is not None:
            rows.append(("promise", "", promise.pair, promise.metric.name, week.name, *_ends(promise.difference),
                         promise.result.value, promise.release))  # fmt: skip
    for drift in report.drifts:
        rows.append(("drift", "", "all pairs", f"psi of {drift.name}", week.name, drift.psi, None, drift.chance, drift.n,
                     drift.result, "the week before"))  # fmt: skip
    for share in report.selection.shares:
        rows.append(("rated_share", share.slice, "all pairs", "feedback_share", week.name, *_ends(share.share), "", ""))
    for item in report.agreement.criteria:
        place = f"{item.tenant}/{item.form_id}/{item.version}/{item.criterion}"
        pairs = " ".join(sorted(item.now.pairs))
        verdict = ComparisonResult.TOO_FEW.value if is_small(item) else item.result.value
        for name, side in (
            ("agreement_rate", item.now.rate.interval() if item.now.n else None),
            ("kappa", item.now.kappa),
        ):
            if side is not None:
                rows.append(("agreement", place, pairs, name, week.name, *_ends(side), verdict, ""))
    rows += _call_figures("call_score", report.scores.figures, report.data.week)
    rows += _call_figures("call_sentiment", report.sentiments.figures, report.data.week)
    frame = pd.DataFrame(rows, columns=list(COLUMNS[:-2]))
    floats = dict.fromkeys(("value", "low", "high"), "float64")
    texts = dict.fromkeys(("section", "slice", "pair", "metric", "week", "verdict", "against"), "string")
    return frame.astype(floats | texts | {"n": "int64"}).assign(
        task=pd.array([report.data.task] * len(frame), dtype="string"), simulated=report.simulated
    )


def _call_figures(section: str, figures: Sequence[CallFigure], week: Week) -> Iterator[tuple[object, ...]]:
    for item in figures:
        about = item.place.reader or item.place.criterion
        place = "/".join((item.place.tenant, item.place.form_id, about, item.place.group))
        for side, period in ((item.now, 0), (item.before, -1)):
            if side is not None:
                compared = period == 0 and item.found is not None
                verdict, against = (item.result.value, "the week before") if compared else ("", "")
                name = week.shifted(period).name
                yield section, place, "all pairs", item.metric.name, name, *_ends(side), verdict, against


def write_numbers(folder: Path, *reports: WeeklyReport) -> Path:
    """Write ``numbers.parquet`` into ``folder``, as a whole or not at all."""
    path = folder / file_name(reports[0], NAME)
    temporary = path.with_name(f".{path.name}.tmp")
    numbers(*reports).to_parquet(temporary, index=False)
    temporary.replace(path)
    return path


def _figure(section: str, figure: WeekFigure, week: str) -> tuple[object, ...]:
    assert figure.side is not None
    place = f"{figure.dimension}={figure.value}" if figure.dimension else ""
    return (
        section,
        place,
        _pair(figure.column),
        figure.metric.name,
        week,
        *_ends(figure.side),
        figure.target.value,
        "",
    )


def _pair(column: WeekColumn) -> str:
    return EVERY_PAIR if column.digest == ALL else column.label


def _ends(side: Interval) -> tuple[float, float | None, float | None, int]:
    return side.value, side.low, side.high, side.n


def _change(section: str, item: Comparison, week: str) -> tuple[object, ...]:
    found = item.contrast
    between = found.difference
    ends = _ends(between) if between is not None else (None, None, None, min(found.ours.n, found.theirs.n))
    place = f"{item.dimension}={item.value}" if item.dimension else ""
    verdict = f"{item.result.value}, part of {item.part_of}" if item.part_of else item.result.value
    return (section, place, item.baseline.label, found.metric.name, week, *ends, verdict, item.baseline.their_label)
