"""The report's latency distributions: one cumulative curve per arm of each pair, on one logarithmic axis."""

import numpy as np
from markupsafe import Markup

from eval.report.conclusions import results_of
from eval.spine.results import ArmName, Evaluation, PairResult
from figures.formatting import format_number, plural
from figures.metric import Unit
from figures.svg import latency_axis, latency_curve, latency_scale

_ARMS: tuple[ArmName, ...] = ("primary", "backup")


def latency_curves(evaluation: Evaluation) -> tuple[list[tuple[str, str, Markup]], Markup]:
    """Return name, figures in words and curve of this run's live calls for each pair and arm; and the common axis.

    A pair without a backup has one curve. An arm without live calls has a text in place of the curve.
    """
    live = {
        f"{pair.pair_name}{' (backup)' if arm == 'backup' else ''}": _live(pair, arm)
        for pair in evaluation.pairs
        for arm in _ARMS
        if results_of(pair, arm) or arm == "primary"
    }
    computed = {pair.pair_name for pair in evaluation.pairs if pair.model in evaluation.code_models}
    scale = latency_scale([value for values in live.values() for value in values])
    curves = []
    for name, values in live.items():
        if not values:
            curves.append((name, "no calls in this run", Markup("")))
            continue
        stood_in = any(pair.pair_name == name and "stand-in" in pair.origins for pair in evaluation.pairs)
        quantiles = [float(value) for value in np.quantile(values, [0.5, 0.95])]
        words = (
            f"{_counted(len(values), name in computed, stood_in)}, p50 {format_number(quantiles[0], Unit.MS)}, "
            f"p95 {format_number(quantiles[1], Unit.MS)}, slowest {format_number(max(values), Unit.MS)}"
        )
        curves.append((name, words, latency_curve(values, scale, quantiles, label=f"{name}: {words}")))
    return curves, latency_axis(scale) if any(live.values()) else Markup("")


def _counted(count: int, computed: bool, stood_in: bool) -> str:
    if computed:
        return f"{plural(count, 'answer')} computed by code"
    return plural(count, "stand-in call" if stood_in else "model call")


def _live(pair: PairResult, arm: ArmName) -> list[float]:
    return [timing.ms for item in results_of(pair, arm) for timing in item.each_timing if timing.live]
