"""The report's table of references scored against each other, with the pairs scored by the same rule."""

from markupsafe import Markup

from eval.report.conclusions import ceiling_cases, ceiling_metrics
from eval.report.view import FigureCell, MetricRow
from eval.spine.results import Evaluation
from eval.spine.suite import Suite
from figures.formatting import format_metric
from figures.svg import metric_scale, whisker

CEILING_NAME = "reference against reference"


def ceiling_rows(evaluation: Evaluation, suite: Suite) -> list[MetricRow]:
    """Return one row per metric: references against each other in the first cell, then each pair by the same rule."""
    rows = []
    n = ceiling_cases(evaluation)
    for spec in ceiling_metrics(evaluation, suite):
        columns = [(CEILING_NAME, evaluation.ceiling.get(spec.name))]
        columns += [
            (p.pair_name, evaluation.like_for_like.get(p.pair_digest, {}).get(spec.name)) for p in evaluation.pairs
        ]
        scale = metric_scale([metric for _, metric in columns if metric is not None], None)
        line = evaluation.ceiling[spec.name].value
        cells = []
        for name, metric in columns:
            text = format_metric(metric, n) if metric else "–"
            label = f"{name} {spec.name} {text}"
            drawing = whisker(metric, scale, bound=line, label=label) if metric else Markup("")
            cells.append(FigureCell(text=text, drawing=drawing))
        remark = "higher is better" if spec.higher_is_better else "lower is better"
        rows.append(MetricRow(name=spec.name, remark=remark, cells=tuple(cells)))
    return rows
