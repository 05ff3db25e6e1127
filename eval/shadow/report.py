"""Writes the shadow report: a page and JSON in a folder of their own, and the lines for the terminal."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.report.check_table import badge
from eval.report.conclusions import VERDICT_SIGNS, VERDICT_WORDS, check_line
from eval.report.page import page_template
from eval.shadow.decide import ScoredRequest, ShadowResult
from eval.shadow.stored import StoredShadows
from eval.spine.results import Check, Verdict
from figures.files import write_whole
from figures.formatting import MISSING, format_difference, format_metric, plural
from figures.stats import rate_interval
from figures.svg import STYLE_SHEET
from service.core.tasks.scorecard import TASK as SCORECARD
from service.core.tasks.scorecard.card import Scorecard
from service.kit.frame.display.inert import one_line, visible
from service.rollouts.shadow_record import ShadowRecord

_MOST_CRITERIA = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChanges:
    """Counts over calls that both sides scored; ``moves`` counts verdicts by (form, criterion, production's, candidate's)."""

    calls: int
    same: int
    to_passed: int
    to_failed: int
    moves: Counter[tuple[str, str, str, str]]
    asked: Counter[tuple[str, str]]

    def lines(self) -> list[str]:
        """Return the changes as sentences, the criteria with most of them first; empty without calls."""
        if not self.calls:
            return []
        share = rate_interval(self.same, self.calls)
        turned = self.to_passed + self.to_failed
        lines = [
            f"The same verdicts as production's in {self.same} of {plural(self.calls, 'call')} ({share.value:.2f} "
            f"[{share.low:.2f}, {share.high:.2f}]). {plural(turned, 'call')} would turn: {self.to_passed} to passed, "
            f"{self.to_failed} to failed. Which side is right, only people can say."
        ]
        by_criterion: Counter[tuple[str, str]] = Counter()
        for (form, criterion, *_), count in self.moves.items():
            by_criterion[form, criterion] += count
        for (form, criterion), count in sorted(by_criterion.items(), key=lambda one: (-one[1], one[0]))[
            :_MOST_CRITERIA
        ]:
            told = ", ".join(
                f"{before} to {after} {times}"
                for (one, name, before, after), times in sorted(
                    self.moves.items(), key=lambda move: (-move[1], move[0])
                )
                if (one, name) == (form, criterion)
            )
            lines.append(f"{form}, {criterion}: {count} of {plural(self.asked[form, criterion], 'call')} ({told})")
        return lines


def verdict_changes(records: Sequence[ShadowRecord]) -> VerdictChanges:
    """Return what the candidate would change in the calls of these records; calls without both scorecards do not count."""
    same = to_passed = to_failed = calls = 0
    moves: Counter[tuple[str, str, str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for record in records:
        if record.shown.output is None or record.unseen.output is None:
            continue
        shown, unseen = (Scorecard.model_validate_json(side) for side in (record.shown.output, record.unseen.output))
        calls += 1
        before, after = _verdicts(shown), _verdicts(unseen)
        asked.update((shown.form_id, name) for name in before)
        found = [(shown.form_id, name, before[name], after.get(name, "none")) for name in before]
        moves.update(move for move in found if move[2] != move[3])
        same += before == after
        was, now = (None if card.score is None else card.score.passed for card in (shown, unseen))
        to_passed += was is False and now is True
        to_failed += was is True and now is False
    return VerdictChanges(calls=calls, same=same, to_passed=to_passed, to_failed=to_failed, moves=moves, asked=asked)


def _verdicts(card: Scorecard) -> dict[str, str]:
    return {item.id: item.verdict or "none" for item in card.criteria}


SCHEMA = "shadow-report-v1"
HTML_NAME, JSON_NAME = "shadow.html", "shadow.json"
_WORST_SHOWN = 10
_WORDS = {
    Verdict.PASS: "does no worse than production in form and figures",
    Verdict.FAIL: "does worse than it may",
    Verdict.INCONCLUSIVE: "cannot be judged yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """A judged candidate with what was read, ready to be shown; ``production`` is the name of the pair beside it."""

    result: ShadowResult
    stored: StoredShadows
    production: str
    made_at: dt.datetime
    environment: str

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        verdict = self.result.gate.verdict
        return f"{VERDICT_WORDS[verdict]}: {self.result.pair.name} {_WORDS[verdict]}"

    @property
    def meaning(self) -> str:
        """What the verdict does not cover."""
        return (
            "No judge model looked at meaning: without references or a judge a reversed outcome or an exchanged role is not seen "
            f"(not measured: {', '.join(self.result.unseen_metrics)})."
        )

    @property
    def changes(self) -> list[str]:
        """What the candidate would change in scored calls; empty for other tasks."""
        records = self.result.comparison.records
        return verdict_changes(records).lines() if self.result.task == SCORECARD.name else []

    @property
    def extent(self) -> str:
        """How much was compared, of when."""
        records = self.result.comparison.records
        parts = [
            f"{plural(len(records), 'request')} of {plural(self.result.customers, 'customer')}, "
            f"{records[0].at:%Y-%m-%d %H:%M} to {records[-1].at:%Y-%m-%d %H:%M} UTC, production: {self.production}"
        ]
        if self.stored.left_out:
            parts.append(f"{plural(self.stored.left_out, 'older record')} left out (--most)")
        if self.stored.unreadable:
            parts.append(f"{plural(len(self.stored.unreadable), 'record')} could not be read")
        if self.result.comparison.others:
            parts.append(
                "other candidates with records: "
                + ", ".join(sorted({pair[0][:12] for pair in self.result.comparison.others}))
            )
        return "; ".join(parts)


def console_lines(report: ShadowReport) -> list[str]:
    """Return the report for a terminal: headline, figures side by side, the checks that did not pass."""
    result = report.result
    lines = [f"{VERDICT_SIGNS[result.gate.verdict]} {report.headline}", report.meaning, report.extent, ""]
    rows = [("", "candidate", "production", "difference (positive is better)"), *_cells(report)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", *(one_line(text, 300) for text in report.changes)] if report.changes else []
    missed = _missed(result.gate.checks)
    lines += ["", *(one_line(check_line(check), 300) for check in missed)]
    if not missed:
        lines.append(f"all {plural(len(result.gate.checks), 'check')} pass")
    return lines


def to_json(report: ShadowReport) -> dict[str, Any]:
    """Return the report as plain values, without any customer's text."""
    result = report.result
    records = result.comparison.records
    return {
        "schema": SCHEMA,
        "task": result.task,
        "environment": report.environment,
        "made_at": report.made_at.isoformat(timespec="seconds"),
        "candidate": {"name": result.pair.name, "digest": result.comparison.candidate},
        "production": {"name": report.production, "digest": result.comparison.production},
        "verdict": result.gate.verdict.value,
        "meaning": "unseen",
        "unseen_metrics": list(result.unseen_metrics),
        "requests": len(records),
        "customers": result.customers,
        "first_at": records[0].at.isoformat(),
        "last_at": records[-1].at.isoformat(),
        "unreadable": len(report.stored.unreadable),
        "left_out": report.stored.left_out,
        "places": list(report.stored.places),
        "suite_digest": result.suite.digest,
        "verdict_changes": report.changes,
        "metrics": {
            name: {
                "candidate": asdict(metric),
                "production": asdict(result.production[name]),
                "difference": asdict(result.deltas[name]) if name in result.deltas else None,
            }
            for name, metric in result.candidate.items()
        },
        "checks": [
            {
                "kind": check.kind,
                "metric": check.name,
                "verdict": check.verdict,
                "bound": check.bound,
                "value": check.metric.value,
                "low": check.metric.low,
                "high": check.metric.high,
                "n": check.metric.n,
                "reason": check.reason,
                "explanation": check.explanation,
            }
            for check in result.gate.checks
        ],
    }


def write_shadow_report(report: ShadowReport, folder: Path) -> Path:
    """Write page and JSON into ``folder`` and return the page's path; only the owner may read them.

    The page quotes answers, which hold what customers said.
    """
    import json

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps(to_json(report), indent=1, ensure_ascii=False, default=str)
    write_whole(folder / JSON_NAME, visible(text) + "\n")
    path = folder / HTML_NAME
    write_whole(path, render_shadow(report))
    for name in (HTML_NAME, JSON_NAME):
        (folder / name).chmod(0o600)
    return path


def render_shadow(report: ShadowReport) -> str:
    """Return the page as HTML without scripts and external resources; all text is escaped."""
    result = report.result
    page = page_template("shadow.html.j2").render(
        report=report,
        result=result,
        badge=badge(result.gate.verdict),
        rows=_cells(report),
        checks=[(badge(check.verdict), check_line(check), check.reason) for check in _missed(result.gate.checks)],
        passed=sum(check.verdict is Verdict.PASS for check in result.gate.checks),
        worst=[(item, _findings(item.ours), _findings(item.theirs)) for item in _worst(result.requests)],
        style=STYLE_SHEET.read_text(encoding="utf-8"),
    )
    return visible(page)


def _cells(report: ShadowReport) -> list[tuple[str, str, str, str]]:
    result, n = report.result, report.result.customers
    return [
        (
            f"{name} {'↑' if metric.higher_is_better else '↓'}",
            format_metric(metric, n),
            format_metric(result.production[name], n),
            format_difference(result.deltas[name]) if name in result.deltas else MISSING,
        )
        for name, metric in result.candidate.items()
    ]


def _missed(checks: Sequence[Check]) -> list[Check]:
    missed = [check for check in checks if check.verdict is not Verdict.PASS]
    return sorted(missed, key=lambda check: check.verdict is not Verdict.FAIL)


def _worst(requests: Sequence[ScoredRequest]) -> list[ScoredRequest]:
    """Return the requests in which the candidate has more findings than production, the largest differences first."""
    worse = [(len(_findings(item.ours)) - len(_findings(item.theirs)), item) for item in requests]
    ordered = sorted((entry for entry in worse if entry[0] > 0), key=lambda entry: -entry[0])
    return [item for _, item in ordered[:_WORST_SHOWN]]


def _findings(side: Any) -> list[str]:
    return [finding for score in side.scores.values() for finding in score.findings]
