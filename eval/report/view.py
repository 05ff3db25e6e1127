"""The parts of the HTML report about the evaluation as a whole: verdicts, tables, slices, cost, provenance."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from eval.report import conclusions
from eval.report.changes import beside_production
from eval.report.finding_counts import findings_sentence
from eval.report.reasons import Badge, CheckLine, ReasonRows, badge, open_words, passed_lines, reason_rows, with_cause
from eval.spine.cases import Case
from eval.spine.pool import PoolTable, TabledPool
from eval.spine.results import Evaluation, PairResult
from eval.spine.suite import MetricSpec, Suite
from eval.verdict.kinds import kind_of
from eval.verdict.kinds.kind import ArmAnswers
from eval.verdict.metrics import metric_of, metric_over
from eval.verdict.pooled import Pooled, pooled, pooled_interval
from figures.formatting import MISSING, format_difference, format_metric, format_number
from figures.metric import Metric, Unit
from figures.planned_costs import STATED_COST_USD
from figures.svg import (
    difference,
    difference_limit,
    metric_scale,
    whisker,
)

SMALL_SLICE = 10
CEILING_NAME = "reference against reference"
SUMMARIES_PER_MONTH = 300_000  # R-VOLUME: about 10,000 a day


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureCell:
    """A figure in one line, its drawing, and the verdict of the check on it (None: no check)."""

    text: str
    drawing: Markup
    badge: Badge | None = None
    remark: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """A table row: its name, a remark below the name, and one cell per column."""

    name: str
    remark: str
    cells: tuple[FigureCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCard:
    """One pair's verdict with what nobody looked at (``limit``), and the models that answered for it."""

    name: str
    version: str
    badge: Badge
    limit: str
    why: str
    open_words: str
    findings: str
    beside: str
    model: str
    backup: str
    parts: tuple[tuple[str, str], ...]
    documents: tuple[tuple[str, str], ...]
    answered_by: str
    origins: str
    stand_in: bool
    is_production: bool
    label: str
    failures: tuple[tuple[str, int], ...]
    groups: tuple[ReasonRows, ...]
    passed: tuple[CheckLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One value of one slice; ``cells`` hold each pair's figure with its n; ``small`` where a figure has fewer than ten cases."""

    slice_name: str
    value: str
    n_cases: int
    small: bool
    cells: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """A pair's cost per answer and per month, with a cold and a warm prompt cache, beside the planned cost (R-COST)."""

    pair: str
    cold: str
    warm: str
    cold_month: str
    warm_month: str
    stated: str


def pair_cards(evaluation: Evaluation, suite: Suite) -> list[PairCard]:
    """Return one card per pair in the evaluation's order."""
    return [
        PairCard(
            name=pair.pair_name,
            version=pair.pair_version,
            badge=badge(pair.gate.verdict),
            limit=conclusions.limit_text(pair),
            why=with_cause(pair, suite, conclusions.why(pair)),
            open_words=open_words(pair, suite),
            beside=beside_production(pair, evaluation, suite),
            findings=findings_sentence(conclusions.results_of(pair), suite),
            model=pair.model,
            backup=pair.backup or "",
            parts=tuple(pair.parts.items()),
            documents=tuple((tool, digest[:12]) for tool, digest in pair.documents.items()),
            answered_by=", ".join(pair.answered_by) or "nothing",
            origins=", ".join(pair.origins),
            stand_in=bool(conclusions.replaced_models(evaluation, pair)),
            is_production=pair.is_production,
            label=pair.label,
            failures=tuple(conclusions.failures_by_code(conclusions.results_of(pair))),
            groups=reason_rows(pair, suite),
            passed=passed_lines(pair),
        )
        for pair in evaluation.pairs
    ]


def metric_rows(evaluation: Evaluation, suite: Suite, *, arm: str = "primary") -> list[MetricRow]:
    """Return the suite's table for one arm, each row on one scale; the backup's table has only pairs with a backup."""
    rows = []
    for spec in conclusions.table_metrics(suite):
        floor = next((floor.bound for floor in suite.floors if floor.metric == spec.name), None)
        columns = [(pair, group.get(spec.name)) for pair in evaluation.pairs if (group := _metrics_of(pair, arm))]
        scale = metric_scale([metric for _, metric in columns if metric is not None], floor)
        remark = "higher is better" if spec.higher_is_better else "lower is better"
        if floor is not None:
            remark += f", needs {'≥' if spec.higher_is_better else '≤'} {format_number(floor, spec.unit)}"
        cells = tuple(_metric_cell(pair, metric, arm, scale, floor, evaluation.case_count) for pair, metric in columns)
        rows.append(MetricRow(name=spec.name, remark=remark, cells=cells))
    return rows


def _metrics_of(pair: PairResult, arm: str) -> dict[str, Metric]:
    return pair.metrics if arm == "primary" else pair.backup_metrics


def _metric_cell(
    pair: PairResult, metric: Metric | None, arm: str, scale: tuple[float, float], floor: float | None, case_count: int
) -> FigureCell:
    if metric is None:
        return FigureCell(text="–", drawing=Markup(""))
    name = metric.name if arm == "primary" else f"{arm} {metric.name}"
    check = pair.gate.check("floor", name)
    text = format_metric(metric, case_count)
    return FigureCell(
        text=text,
        drawing=whisker(metric, scale, bound=floor, label=f"{pair.pair_name} {name} {text}"),
        badge=badge(check.verdict) if check is not None else None,
        remark=f"{metric.unscored} unscored" if metric.unscored else "",
        marked=bool(metric.note),
    )


def delta_rows(evaluation: Evaluation, suite: Suite) -> list[MetricRow]:
    """Return candidate minus production, one row per metric, for the pairs that ``compared`` returns; positive is better."""
    margins = {gate.metric: gate.margin for gate in suite.no_worse}
    names = dict.fromkeys([*margins, *(spec.name for spec in conclusions.table_metrics(suite))])
    rows = []
    for name in names:
        columns = [(pair, pair.deltas.get(name)) for pair in compared(evaluation)]
        present = [delta for _, delta in columns if delta is not None]
        if not present:
            continue
        margin = margins.get(name)
        limit = difference_limit(present, margin)
        cells = tuple(_delta_cell(pair, delta, limit, margin, evaluation.case_count) for pair, delta in columns)
        unit = present[0].unit
        remark = "shown, not gated" if margin is None else f"may lose at most {format_number(margin, unit)}"
        rows.append(MetricRow(name=name, remark=remark, cells=cells))
    return rows


def compared(evaluation: Evaluation) -> list[PairResult]:
    """Return the candidates that have a comparison with production."""
    return [pair for pair in conclusions.candidates(evaluation) if pair.deltas]


def _delta_cell(
    pair: PairResult, delta: Metric | None, limit: float, margin: float | None, case_count: int
) -> FigureCell:
    if delta is None:
        return FigureCell(text="–", drawing=Markup(""))
    check = pair.gate.check("no_worse", delta.name)
    text = format_difference(delta) + (f" n={delta.n}" if delta.value is not None and delta.n != case_count else "")
    return FigureCell(
        text=text,
        drawing=difference(delta, limit, margin=margin, label=f"{pair.pair_name} minus production {delta.name} {text}"),
        badge=badge(check.verdict) if check is not None else None,
    )


def slice_tables(
    evaluation: Evaluation, suite: Suite, cases: Mapping[str, Case]
) -> list[tuple[MetricSpec, list[SliceRow]]]:
    """Return, for each of the table's metrics of cases, one row per slice value with a figure per pair."""
    members: dict[tuple[str, str], set[str]] = {}
    for case in cases.values():
        for name in suite.slices:
            if name in case.slices:
                members.setdefault((name, _slice_value(case.slices[name])), set()).add(case.id)
    order = sorted(members, key=lambda key: (suite.slices.index(key[0]), _natural(key[1])))
    tables: list[tuple[MetricSpec, list[SliceRow]]] = [(spec, []) for spec in slice_specs(suite)]
    answers = [[item for item in conclusions.results_of(pair) if item.case_id in cases] for pair in evaluation.pairs]
    counts = {
        spec.name: [pooled(suite.pools[spec.score], results, cases) for results in answers]
        for spec, _ in tables
        if spec.kind == "pooled"
    }
    for key in order:  # slice by slice, whose figures share their draws
        inside = [[item for item in results if item.case_id in members[key]] for results in answers]
        for spec, rows in tables:
            figures = (
                [_pooled_metric(spec, side, members[key], suite) for side in counts[spec.name]]
                if spec.name in counts
                else [metric_over(spec, ArmAnswers(suite=suite, cases=cases, results=results)) for results in inside]
            )
            cells = tuple((format_metric(metric) if metric.n else MISSING, metric.n) for metric in figures)
            size, small = len(members[key]), min(n for _, n in cells) < SMALL_SLICE
            rows.append(SliceRow(slice_name=key[0], value=key[1], n_cases=size, small=small, cells=cells))
    return tables


def _pooled_metric(spec: MetricSpec, side: Pooled, inside: Collection[str], suite: Suite) -> Metric:
    """Return the figure of the cases ``inside``; counted once for all slices, because counting reads each answer."""
    part = side.only([case_id for case_id in side.case_ids if case_id in inside])
    return metric_of(spec, pooled_interval(part, seed=suite.seed))


def _natural(value: str) -> tuple[int, str]:
    """Return a key that sorts "4-10" before "11-50": the leading number (-1 without one), then the text."""
    digits = re.match(r"\d{1,9}", value)
    return int(digits[0]) if digits else -1, value


def _slice_value(value: str | bool) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def slice_specs(suite: Suite) -> list[MetricSpec]:
    """Return the metrics of the tables of slices: those with a score per case, and pooled ones that have a floor on a slice."""
    # Not all pooled ones: their bootstraps would take the report of 120 scorecards over a second per pair.
    bounded = {floor.metric for floor in suite.slice_floors}
    return [
        *conclusions.case_metrics(suite),
        *(spec for spec in suite.metrics if spec.kind == "pooled" and spec.name in bounded),
    ]


def cost_rows(evaluation: Evaluation, suite: Suite) -> list[CostRow]:
    """Return each pair's cost; "–" in place of figures if the model has no price."""
    by_kind = {spec.score: spec.name for spec in suite.metrics if kind_of(spec).axis == "cost"}
    rows = []
    for pair in evaluation.pairs:
        cold, warm = (pair.metrics.get(by_kind.get(kind, "")) for kind in ("cold", "warm"))
        stated = STATED_COST_USD.get(pair.model)
        rows.append(
            CostRow(
                pair=pair.pair_name,
                cold=format_metric(cold, evaluation.case_count) if cold else "–",
                warm=format_metric(warm, evaluation.case_count) if warm else "–",
                cold_month=_per_month(cold),
                warm_month=_per_month(warm),
                stated=_stated(stated, cold),
            )
        )
    return rows


def _per_month(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "–"
    return format_number(metric.value * SUMMARIES_PER_MONTH, Unit.USD)


def _stated(stated: tuple[str, str] | None, cold: Metric | None) -> str:
    if stated is None:
        return "not planned"
    text = f"${stated[0]} to ${stated[1]}"
    if cold is None or not cold.value:
        return text
    low, high = (float(Decimal(end)) / cold.value for end in stated)
    return f"{text} ({low:.0f} to {high:.0f} times the metered cold cost)"


def ceiling_rows(evaluation: Evaluation, suite: Suite) -> list[MetricRow]:
    """Return one row per metric: references against each other in the first cell, then each pair by the same rule."""
    rows = []
    n = conclusions.ceiling_cases(evaluation)
    for spec in conclusions.ceiling_metrics(evaluation, suite):
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


def pool_tables(evaluation: Evaluation, suite: Suite, cases: Mapping[str, Case]) -> list[tuple[str, PoolTable]]:
    """Return each pair's tables with the pair's name; one that several figures share stands there once."""
    found: list[tuple[str, PoolTable]] = []
    pools = [suite.pools[spec.score] for spec in suite.metrics if spec.kind == "pooled"]
    for pair in evaluation.pairs:
        known = [item for item in conclusions.results_of(pair) if item.case_id in cases]
        for pool in pools:
            if not isinstance(pool, TabledPool):
                continue
            side = pooled(pool, known, cases)
            shown = (pair.pair_name, pool.table(side.names, side.counts.sum(axis=0)))
            if side.case_ids and shown not in found:
                found.append(shown)
    return found


def provenance(evaluation: Evaluation, suite: Suite, cases: Mapping[str, Case]) -> list[tuple[str, str]]:
    """Return names and values that identify exactly what was measured, so that it can be measured again."""
    e = evaluation
    lines = [
        ("run", e.run_id),
        ("started", e.started_at),
        ("took", format_number(e.seconds * 1000, Unit.MS)),
        ("environment", e.environment),
        ("answers from", conclusions.calls_sentence(e)),
        ("stands in for provider models", e.stand_in or "nothing"),
        ("judge", conclusions.judge_status(e)),
        ("code", e.code_version),
        ("dataset", f"{e.dataset_name}, {e.case_count} cases, sha256 {e.dataset_digest}"),
        ("suite", f"sha256 {e.suite_digest}"),
    ]
    for pair in e.pairs:
        answered = ", ".join(pair.answered_by) or "nothing"
        digest = f"sha256 {pair.pair_digest}; answered by {answered}"
        digest += f" (origin: {', '.join(pair.origins)})" if pair.origins else ""
        digest += f"; {looks}" if (looks := pair.gate.look.words) else ""
        lines.append((f"pair {pair.pair_name} {pair.pair_version}", digest))
    lines += [(f"judge {n.rubric}", f"{n.status}; {n.model}, sha256 {n.digest}") for n in e.judges]
    return lines + _signatures(suite, cases)


def _signatures(suite: Suite, cases: Mapping[str, Case]) -> list[tuple[str, str]]:
    """Return sacrebleu's signature of each corpus metric."""
    references = [case.expectations.references for case in cases.values() if case.expectations.references]
    if not references:
        return []
    found = [(spec.name, kind_of(spec).signature(spec, references)) for spec in suite.metrics]
    return [(f"how {name} is computed", signature) for name, signature in found if signature]
