"""Writes a sweep for people (``sweep.html``) and for machines (``sweep.json``)."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from eval.instruments.sweep.points import SweepPoint
from eval.instruments.sweep.svg import scatter
from eval.report.conclusions import baseline_sentence, judge_status, limit_text, stand_in_warning, table_metrics, why
from eval.report.page import TEMPLATES
from eval.report.reasons import badge
from eval.spine.results import Evaluation
from eval.spine.suite import MetricSpec, Suite
from figures.files import write_whole
from figures.formatting import format_metric
from figures.svg import STYLE_SHEET
from service.kit.frame.display.inert import visible

SCHEMA = "sweep-report-v1"
HTML_NAME, JSON_NAME = "sweep.html", "sweep.json"


def write_sweep(
    evaluation: Evaluation, suite: Suite, quality: MetricSpec, points: Sequence[SweepPoint], folder: Path
) -> Path:
    """Write both files into ``folder``, each as a whole or not at all, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {
        "schema": SCHEMA,
        "evaluation": evaluation.run_id,
        "task": evaluation.task,
        "dataset_name": evaluation.dataset_name,
        "dataset_digest": evaluation.dataset_digest,
        "suite_digest": evaluation.suite_digest,
        "environment": evaluation.environment,
        "quality": quality.name,
        "points": [asdict(point) for point in points],
    }
    write_whole(folder / JSON_NAME, visible(json.dumps(plain, indent=1, ensure_ascii=False)) + "\n")
    path = folder / HTML_NAME
    write_whole(path, render_sweep(evaluation, suite, quality, points))
    return path


def render_sweep(evaluation: Evaluation, suite: Suite, quality: MetricSpec, points: Sequence[SweepPoint]) -> str:
    """Return the page as HTML without scripts and external resources."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    specs = table_metrics(suite)
    pairs = {pair.pair_name: pair for pair in evaluation.pairs}
    pictures = [
        (caption, picture)
        for caption, axis in (("cost of one answer, prompt cache cold", "cost"), ("latency, p50", "latency"))
        if (
            picture := scatter(
                points, axis, higher_is_better=quality.higher_is_better, title=f"{quality.name} over {caption}"
            )
        )
    ]
    rows = [
        (
            point,
            badge(point.verdict),
            "; ".join(filter(None, (limit_text(pairs[point.name]), why(pairs[point.name])))),
            [
                format_metric(metric, evaluation.case_count)
                if (metric := pairs[point.name].metrics.get(spec.name))
                else "–"
                for spec in specs
            ],
        )
        for point in points
    ]
    page = environment.get_template("sweep.html.j2").render(
        e=evaluation,
        quality=quality,
        pictures=pictures,
        rows=rows,
        specs=specs,
        front=[point.name for point in points if point.front],
        missing=[point.name for point in points if point.front is None],
        warning=stand_in_warning(evaluation),
        baseline=baseline_sentence(evaluation),
        judge=judge_status(evaluation),
        style=STYLE_SHEET.read_text(encoding="utf-8"),
    )
    return visible(page)
