"""Writes a search for people (``optimize.html``: three gains, the tree of candidates) and for machines (``optimize.json``)."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from eval.instruments.optimize.gains import Finalist, FrontFigures, offered
from eval.instruments.optimize.search import PromptCandidate, PromptSearch
from eval.instruments.optimize.wording import MODEL, TEMPERATURE
from eval.report.changes import TextPiece, word_changes
from eval.report.page import page_template
from figures.files import write_whole
from figures.formatting import format_number, format_signed, plural
from figures.metric import Unit
from figures.stats import Interval
from figures.svg import STYLE_SHEET
from service.kit.frame.display.inert import visible

SCHEMA = "optimize-report-v1"
HTML_NAME, JSON_NAME = "optimize.html", "optimize.json"
_CONTEXT = 60  # characters of unchanged text that stay on each side of a change


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizeReport:
    """A finished search. ``own`` and ``other`` count the cases of the halves, ``harvested`` those of both from production.

    ``writer`` is the model that worded the candidates; ``judges`` are those whose figures decided at the gate, with their models.
    ``spent_usd`` includes the gate, ``search_usd`` does not; kept answers count as they did when they were paid for.
    """

    run_id: str
    task: str
    start: str
    start_model: str
    writer: str
    seed: int
    quality: tuple[str, ...]
    own: int
    other: int
    harvested: int
    halves_digest: str
    search: PromptSearch
    rows: tuple[Finalist, ...]
    budget_usd: Decimal
    spent_usd: Decimal
    search_usd: Decimal
    calls: int
    most_calls: int
    lost_calls: int = 0
    gate_run: str | None = None
    gate_cases: int = 0
    judges: tuple[str, ...] = ()

    @property
    def offered(self) -> Finalist | None:
        """The finalist that is offered, or None where no gain is shown on unseen cases."""
        return offered(self.rows)

    @property
    def headline(self) -> str:
        """What came of the search, in one sentence."""
        best = self.offered
        if best is not None:
            return f"{best.name} gains {gain_text(best.other)} on cases that the search never saw"
        if not self.search.tried:
            refused = plural(len(self.search.candidates) - 1, "proposal")
            return f"No candidate was tried: of {refused} of {self.writer} none may stand in a prompt"
        if not self.rows:
            return f"None of {plural(self.search.tried, 'candidate')} was better than {self.start} on the search's own half"
        return f"No gain is shown on cases that the search never saw: keep {self.start}"

    @property
    def who_decided(self) -> str:
        """Which judges took part in the search, and which decided at the gate."""
        at_gate = ", ".join(self.judges) or "no judge"
        decided = f"at the gate {at_gate} decided beside code" if self.gate_run else "the gate has not decided"
        return (
            f"In the search code alone scored, and no judge; {decided}. No judge may run on {self.writer}, which worded the "
            "candidates."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """A candidate in the tree of candidates, with the pieces of its text that differ from its parent's, by component."""

    candidate: PromptCandidate
    depth: int
    label: str
    changes: tuple[tuple[str, tuple[TextPiece, ...]], ...]


def gain_text(interval: Interval | None) -> str:
    """Return a gain with its interval: "+0.12 [+0.03, +0.20]"; "–" where it was not measured."""
    if interval is None:
        return "–"
    value = format_signed(interval.value, Unit.RATE)
    if interval.low is None or interval.high is None:
        return value
    return f"{value} [{format_signed(interval.low, Unit.RATE)}, {format_signed(interval.high, Unit.RATE)}]"


def tree(found: PromptSearch) -> tuple[TreeNode, ...]:
    """Return all candidates, each behind its parent and one step further in; children by number."""
    children: dict[int, list[PromptCandidate]] = {}
    for candidate in found.candidates[1:]:
        children.setdefault(candidate.parents[0], []).append(candidate)

    def below(candidate: PromptCandidate, depth: int) -> Iterator[TreeNode]:
        parent = found.candidates[candidate.parents[0]] if candidate.parents else candidate
        yield TreeNode(candidate=candidate, depth=depth, label=_label(candidate), changes=_changes(candidate, parent))
        for child in children.get(candidate.number, ()):
            yield from below(child, depth + 1)

    return tuple(below(found.candidates[0], 0))


def _label(candidate: PromptCandidate) -> str:
    if candidate.own:
        return f"quality {candidate.quality:.3f} on the search's half"
    return candidate.why or candidate.status


def _changes(candidate: PromptCandidate, parent: PromptCandidate) -> tuple[tuple[str, tuple[TextPiece, ...]], ...]:
    changed = [name for name, text in candidate.texts.items() if parent.texts[name] != text]
    return tuple((name, _shortened(word_changes(parent.texts[name], candidate.texts[name])[0])) for name in changed)


def _shortened(pieces: list[TextPiece]) -> tuple[TextPiece, ...]:
    """Return the pieces with long unchanged ones cut in the middle."""
    found = []
    for piece in pieces:
        if piece.kind or len(piece.text) <= 3 * _CONTEXT:
            found.append(piece)
        else:
            found.append(TextPiece(text=f"{piece.text[:_CONTEXT]} … {piece.text[-_CONTEXT:]}", kind=""))
    return tuple(found)


def write_optimize(report: OptimizeReport, folder: Path) -> Path:
    """Write both files into ``folder``, each as a whole or not at all, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / JSON_NAME, visible(json.dumps(plain(report), indent=1, ensure_ascii=False)) + "\n")
    path = folder / HTML_NAME
    write_whole(path, render_optimize(report))
    return path


def plain(report: OptimizeReport) -> dict[str, Any]:
    """Return the report as plain JSON types; candidates without their answers, which the ledger has."""
    best = report.offered
    return {
        "schema": SCHEMA,
        "run": report.run_id,
        "task": report.task,
        "start": report.start,
        "writer": report.writer,
        "seed": report.seed,
        "quality": list(report.quality),
        "cases": {"own": report.own, "other": report.other, "harvested": report.harvested, "gate": report.gate_cases},
        "halves_digest": report.halves_digest,
        "ended": report.search.ended,
        "tried": report.search.tried,
        "cost": {
            "budget_usd": str(report.budget_usd),
            "spent_usd": str(report.spent_usd),
            "search_usd": str(report.search_usd),
            "calls": report.calls,
            "most_calls": report.most_calls,
            "lost_calls": report.lost_calls,
        },
        "gate_run": report.gate_run,
        "judges": {"search": [], "gate": list(report.judges)},
        "offered": None if best is None else best.name,
        "finalists": [_row(row) for row in report.rows],
        "candidates": [_candidate(found) for found in report.search.candidates],
    }


def _row(row: Finalist) -> dict[str, Any]:
    return {
        "name": row.name,
        "number": row.candidate.number,
        "figures": asdict(row.point),
        "gain": {
            "own": asdict(row.own),
            "other": asdict(row.other),
            "gate": None if row.gate is None else asdict(row.gate),
        },
        "overfit": asdict(row.overfit),
        "gate_verdict": row.gate_verdict,
    }


def _candidate(found: PromptCandidate) -> dict[str, Any]:
    return {
        "number": found.number,
        "parents": list(found.parents),
        "component": found.component,
        "status": found.status,
        "why": found.why,
        "quality": found.quality if found.own else None,
        "texts": found.texts,
    }


def render_optimize(report: OptimizeReport) -> str:
    """Return the page as HTML without scripts and external resources."""
    start = report.search.candidates[0]
    page = page_template("optimize.html.j2").render(
        r=report,
        best=report.offered,
        start_figures=_figures(FrontFigures.of(start.own)),
        rows=[(row, _figures(row.point), gain_text) for row in report.rows],
        gain_text=gain_text,
        nodes=tree(report.search),
        front={row.candidate.number: row.name for row in report.rows},
        fixed=(MODEL, TEMPERATURE),
        style=STYLE_SHEET.read_text(encoding="utf-8"),
    )
    return visible(page)


def _figures(point: FrontFigures) -> tuple[str, str, str, str]:
    return (
        format_number(point.quality, Unit.RATE),
        format_number(point.cost_usd, Unit.USD),
        format_number(point.ms, Unit.MS),
        format_number(point.words, Unit.WORDS),
    )


def console_lines(report: OptimizeReport) -> list[str]:
    """Return what the console shows: the headline, one line per finalist with its three gains, and the cost."""
    lines = [report.headline, ""]
    if report.rows:
        width = max(len(row.name) for row in report.rows)
        columns = ("own half", "unseen half", "overfit", "gate")
        lines.append("  ".join([" " * width, *(f"{name:<24}" for name in columns)]).rstrip())
        for row in report.rows:
            cells = [gain_text(found) for found in (row.own, row.other, row.overfit, row.gate)]
            verdict = f"  {row.gate_verdict}" if row.gate_verdict else ""
            lines.append("  ".join([f"{row.name:<{width}}", *(f"{cell:<24}" for cell in cells)]).rstrip() + verdict)
        lines.append("")
    lost = f", {plural(report.lost_calls, 'call')} lost to interruptions" if report.lost_calls else ""
    lines.append(
        f"{plural(report.search.tried, 'candidate')} tried in {report.calls:,} calls; ${report.spent_usd:.4f} of "
        f"${report.budget_usd:.2f} spent{lost}. {report.who_decided}"
    )
    return lines
