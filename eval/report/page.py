"""Writes an evaluation for people (``report.html``, ``report.md``) and for machines (``report.json``)."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.report.conclusions import (
    VERDICT_WORDS,
    WHO_SEES,
    baseline_sentence,
    calls_sentence,
    ceiling_cases,
    ceiling_metrics,
    ceiling_title,
    failures_by_code,
    headline,
    judge_status,
    metric_notes,
    replaced_models,
    results_of,
    stand_in_warning,
    table_metrics,
    unseen_count,
    unseen_kinds,
    unseen_title,
    verdict_lead,
    verdict_reason,
)
from eval.report.junit import render_junit
from eval.report.next_step import NextStep
from eval.report.played import as_read
from eval.report.reasons import check_groups, with_cause
from eval.report.sentences import sentence_lists
from eval.spine.cases import Case
from eval.spine.results import CaseResult, Check, Evaluation, PairResult
from eval.spine.suite import Suite
from figures.files import write_whole
from figures.formatting import NOTE_MARK, format_difference, format_metric, plural
from figures.svg import STYLE_SHEET
from service.kit.frame.display.inert import markdown, visible

if TYPE_CHECKING:
    from jinja2 import Template

HTML_NAME, JSON_NAME, MARKDOWN_NAME, JUNIT_NAME = "report.html", "report.json", "report.md", "junit.xml"
SCHEMA = "evaluation-report-v1"
# GitHub rejects a comment of more than 65,536 characters; the rest is room for the workflow's own text.
MARKDOWN_LIMIT = 65_000
TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_report(
    evaluation: Evaluation,
    suite: Suite,
    cases: Mapping[str, Case],
    folder: Path,
    *,
    steps: Sequence[NextStep] = (),
) -> Path:
    """Write ``report.html``, ``report.json``, ``report.md`` and ``junit.xml`` into ``folder`` and return the path of the first.

    Each file is replaced atomically. ``report.html`` needs no other file and no network, and is the only one that holds
    the cases' texts.

    Args:
        evaluation: the evaluation to show.
        suite: the suite that it ran under.
        cases: cases by id; a result whose case is missing appears in the tables but not in the list of cases.
        folder: created if it does not exist.
        steps: what the page says to do next.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / MARKDOWN_NAME, render_markdown(evaluation, suite))
    write_whole(
        folder / JSON_NAME, visible(json.dumps(_document(evaluation, cases), indent=1, ensure_ascii=False)) + "\n"
    )
    write_whole(folder / JUNIT_NAME, render_junit(evaluation))
    path = folder / HTML_NAME
    write_whole(path, render_html(evaluation, suite, cases, steps=steps))
    return path


@cache
def page_template(name: str = "report.html.j2") -> "Template":
    """Return a page's template, compiled (0.3 s)."""
    import jinja2  # late: the console alone does not need it

    templates = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=templates, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def render_html(
    evaluation: Evaluation, suite: Suite, cases: Mapping[str, Case], *, steps: Sequence[NextStep] = ()
) -> str:
    """Return the page; text of cases and outputs is escaped, and its security policy allows only the page's own script."""
    from eval.report import cases as case_pages
    from eval.report import ceiling, changes, latency, pool_tables, sensitivity, view

    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    script_digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    views = case_pages.case_views(*as_read(evaluation, cases, suite.episode), suite=suite)
    curves, axis = latency.latency_curves(evaluation)
    page = page_template().render(
        e=evaluation,
        headline=headline(evaluation),
        steps=steps,
        baseline=baseline_sentence(evaluation),
        calls=calls_sentence(evaluation),
        warning=stand_in_warning(evaluation),
        cards=view.pair_cards(evaluation, suite),
        sentences=sentence_lists(evaluation),
        unseen=unseen_kinds(evaluation, suite),
        unseen_title=unseen_title(unseen_kinds(evaluation, suite)),
        who_sees=WHO_SEES,
        metric_rows=view.metric_rows(evaluation, suite),
        notes=metric_notes(evaluation),
        pool_tables=pool_tables.pool_tables(evaluation, suite, cases),
        note_mark=NOTE_MARK,
        backed=[pair for pair in evaluation.pairs if pair.backup_metrics],
        backup_rows=view.metric_rows(evaluation, suite, arm="backup"),
        compared=view.compared(evaluation),
        delta_rows=view.delta_rows(evaluation, suite),
        slice_tables=view.slice_tables(evaluation, suite, cases),
        small_slice=view.SMALL_SLICE,
        curves=curves,
        axis=axis,
        cost_rows=view.cost_rows(evaluation, suite),
        per_month=view.SUMMARIES_PER_MONTH,
        ceiling_rows=ceiling.ceiling_rows(evaluation, suite),
        ceiling_name=ceiling.CEILING_NAME,
        ceiling_cases=ceiling_cases(evaluation),
        judge=judge_status(evaluation),
        changed=changes.changed_lists(evaluation, suite),
        worst=case_pages.worst_lists(evaluation, suite),
        cases=views,
        without_finding=[view for view in views if not view.has_finding],
        sensitivity=sensitivity.sensitivity_of(suite, judged=any(pair.gate.looked_at for pair in evaluation.pairs)),
        provenance=view.provenance(evaluation, suite, cases),
        style=STYLE_SHEET.read_text(encoding="utf-8"),
        script=script,
        script_digest=script_digest,
    )
    return visible(page)


def render_markdown(evaluation: Evaluation, suite: Suite) -> str:
    """Return verdicts, metrics, and the checks that did not pass, in fewer than ``MARKDOWN_LIMIT`` characters."""
    e = evaluation
    lines = [
        f"# {markdown(headline(e))}",
        "",
        markdown(
            f"Task {e.task}, dataset {e.dataset_name} ({plural(e.case_count, 'case')}, {e.dataset_digest[:8]}), "
            f"environment {e.environment}, {calls_sentence(e)}, "
            f"run {e.run_id}. {baseline_sentence(e)}"
        ),
        "",
    ]
    if warning := stand_in_warning(e):
        lines += [f"> **Stand-in.** {markdown(warning)}", ""]
    lines += [
        "| | " + " | ".join(markdown(p.pair_name) + (f" ({p.label})" if p.label else "") for p in e.pairs) + " |",
        "|---|" + "---|" * len(e.pairs),
        "| **verdict** | " + " | ".join(_verdict_cell(pair) for pair in e.pairs) + " |",
    ]
    for spec in table_metrics(suite):
        found = [pair.metrics.get(spec.name) for pair in e.pairs]
        arrow = "↑" if spec.higher_is_better else "↓"
        row = " | ".join(format_metric(metric, e.case_count) if metric else "–" for metric in found)
        lines.append(f"| {spec.name} {arrow} | {row} |")
    for gate in suite.no_worse if any(pair.deltas for pair in e.pairs) else ():
        found = [pair.deltas.get(gate.metric) for pair in e.pairs]
        row = " | ".join(format_difference(delta) if delta else "–" for delta in found)
        lines.append(f"| {gate.metric} vs production | {row} |")
    lines += ["| answered by | " + " | ".join(_answered_by(e, pair) for pair in e.pairs) + " |"]
    lines += ["| origin | " + " | ".join(", ".join(pair.origins) or "–" for pair in e.pairs) + " |", ""]
    lines += [f"{NOTE_MARK} {markdown(note)}" for note in metric_notes(e)]
    lines.append(f"Judge: {markdown(judge_status(e))}.")
    if e.ceiling:
        lines += ["", *_ceiling_lines(e, suite)]
    lines += ["", "## Why", ""]
    for pair in e.pairs:
        said = with_cause(pair, suite, verdict_reason(pair))
        lines.append(f"- **{markdown(pair.pair_name)}: {markdown(verdict_lead(pair))}.** {markdown(said)}")
        for group in check_groups(pair, suite):
            first, *rest = group.lines
            lines += [f"  - {markdown(first)}", *(f"    - {markdown(line)}" for line in rest)]
        codes = failures_by_code(results_of(pair))
        if codes:
            lines.append("  - no answer: " + ", ".join(f"{code} {count}" for code, count in codes))
    if lists := sentence_lists(e):
        lines += ["", "## Sentences", "", *(f"- **{markdown(one.pair)}**: {markdown(one.counts)}" for one in lists)]
    if unseen := unseen_kinds(e, suite):
        lines += [
            "",
            f"## {unseen_title(unseen)}",
            "",
            WHO_SEES,
            "",
        ]
        lines += [f"- {markdown(kind.name)}: {markdown(kind.description)}" for kind in unseen]
    return visible(_within_limit(lines))


def _verdict_cell(pair: PairResult) -> str:
    word, count = VERDICT_WORDS[pair.gate.verdict], unseen_count(pair)
    unread = "" if pair.gate.sentences is None else pair.gate.sentences.unread_text
    return ", ".join(filter(None, (f"**{word}**", unread, count)))


def _ceiling_lines(evaluation: Evaluation, suite: Suite) -> list[str]:
    n = ceiling_cases(evaluation)
    columns = [evaluation.ceiling, *(evaluation.like_for_like.get(p.pair_digest, {}) for p in evaluation.pairs)]
    names = ["reference against reference", *(markdown(pair.pair_name) for pair in evaluation.pairs)]
    lines = [f"{ceiling_title(evaluation)}:", "", "| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for spec in ceiling_metrics(evaluation, suite):
        cells = [format_metric(found[spec.name], n) if spec.name in found else "–" for found in columns]
        lines.append(f"| {spec.name} {'↑' if spec.higher_is_better else '↓'} | " + " | ".join(cells) + " |")
    return lines


def _answered_by(evaluation: Evaluation, pair: PairResult) -> str:
    names = markdown(", ".join(pair.answered_by) or "nothing")
    replaced = replaced_models(evaluation, pair)
    return f"{names}, **not** {markdown(', '.join(replaced))}" if replaced else names


def _within_limit(lines: list[str]) -> str:
    end = f"\n… cut; the whole report is {HTML_NAME}.\n"
    text = "\n".join(lines) + "\n"
    if len(text) < MARKDOWN_LIMIT:
        return text
    room = MARKDOWN_LIMIT - len(end) - 1
    return text[: text.rfind("\n", 0, room)] + end


def _document(evaluation: Evaluation, cases: Mapping[str, Case]) -> dict[str, Any]:
    """Return the evaluation with the slices of its cases, by case id and name of the slice."""
    asked = {item.case_id for pair in evaluation.pairs for item in pair.cases}
    return to_json(evaluation) | {"slices": {name: cases[name].slices for name in sorted(asked & cases.keys())}}


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as plain JSON values: metrics, checks and per-case scores, without customers' texts.

    Outputs, findings and rationales quote what customers wrote, so only their counts are included. Money is a string.
    """
    apart = ("pairs", "judges", "ceiling", "like_for_like")
    fields = {name: getattr(evaluation, name) for name in Evaluation.__slots__ if name not in apart}
    return {
        "schema": SCHEMA,
        **fields,
        "judges": [asdict(note) for note in evaluation.judges],
        "ceiling": {name: asdict(metric) for name, metric in evaluation.ceiling.items()},
        "pairs": [_pair_json(pair, evaluation) for pair in evaluation.pairs],
    }


def _pair_json(pair: PairResult, evaluation: Evaluation) -> dict[str, Any]:
    plain = {"pair_name", "pair_version", "pair_digest", "model", "backup", "answered_by", "origins"}
    plain |= {"is_production", "role", "seconds", "parts", "documents"}
    groups = ("metrics", "backup_metrics", "deltas")
    return {
        **{name: _jsonable(getattr(pair, name)) for name in PairResult.__slots__ if name in plain},
        "verdict": pair.gate.verdict.value,
        "headline": pair.gate.headline,
        "unseen": list(pair.gate.unseen),
        "looked_at": list(pair.gate.looked_at),
        "sentences": None if pair.gate.sentences is None else asdict(pair.gate.sentences),
        "checks": [_check_json(check) for check in pair.gate.checks],
        "baseline_digest": pair.gate.baseline_digest,
        **{group: {name: asdict(metric) for name, metric in getattr(pair, group).items()} for group in groups},
        "like_for_like": {
            name: asdict(metric) for name, metric in evaluation.like_for_like.get(pair.pair_digest, {}).items()
        },
        "cases": [_case_json(item) for item in pair.cases],
    }


def _check_json(check: Check) -> dict[str, Any]:
    metric = check.metric
    return {
        "kind": check.kind,
        "metric": metric.name,
        "unit": metric.unit,
        "bound": check.bound,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "n": metric.n,
        "verdict": check.verdict,
        "reason": check.reason,
        "explanation": check.explanation,
        "slice": check.slice,
        "method": metric.method,
        "confidence": metric.confidence,
        "p_value": metric.p_value,
        "test": metric.test,
        "mde": metric.mde,
        "needed_n": metric.needed_n,
    }


def _case_json(item: CaseResult) -> dict[str, Any]:
    result = item.result
    return {
        "case_id": item.case_id,
        "arm": item.arm,
        "repeat": item.repeat,
        "live": item.live,
        "measured_in": item.measured_in,
        "answered_by": result.answered_by,
        "origins": list(result.origins),
        "failure": result.failure.value if result.failure is not None else None,
        "latency_ms": result.latency_ms,
        "model_ms": result.model_ms,
        **({} if item.timings is None else {"timings": [asdict(timing) for timing in item.timings]}),
        "attempts": result.attempts,
        "usage": asdict(result.usage),
        "cost": _jsonable(asdict(result.cost)) if result.cost is not None else None,
        "scores": {name: score.value for name, score in item.scores.items()},
        "unscored": {name: score.unscored for name, score in item.scores.items() if score.unscored is not None},
        "findings": {name: len(score.findings) for name, score in item.scores.items() if score.findings},
    }


def _jsonable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, list | tuple) else value
