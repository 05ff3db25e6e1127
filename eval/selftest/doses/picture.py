"""The dose-response as one picture: a row per kind of harm, a cell per dose; shape and colour both tell the verdict."""

from xml.sax.saxutils import escape

from eval.selftest.doses.report import DoseRow, dose_rows
from eval.selftest.doses.trial import DoseResults
from eval.spine.results import Verdict

_ROW, _NAME, _CELL, _TOP = 18, 190, 58, 64
# Okabe and Ito's palette, told apart by people with colour-blindness; the sign inside repeats the verdict.
_LOOK = {
    "reject": ("#0072b2", "#ffffff", "rejected"),
    "unsure": ("#56b4e9", "#111111", "undecided"),
    "pass": ("#d55e00", "#ffffff", "PASS"),
    "unseen": ("#e8e8e8", "#111111", "unseen"),
}


def dose_picture(results: DoseResults) -> str:
    """Return an SVG: the kinds that code must see, then those that need a judge, without and with the first scripted judge."""
    blocks = [("seen by code", [row for row in dose_rows(results, "") if row.kind.seen_by == "code"])]
    blocks.append(("meaning, no judge", [row for row in dose_rows(results, "") if row.kind.seen_by == "judge"]))
    blocks += [
        (
            f"meaning, scripted judge {judge.name}",
            [r for r in dose_rows(results, judge.name) if r.kind.seen_by == "judge"],
        )
        for judge in results.judges
    ]
    blocks = [(title, rows) for title, rows in blocks if rows]
    width = _NAME + _CELL * len(results.doses) + 20
    height = _TOP + sum((len(rows) + 2) * _ROW for _, rows in blocks)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" font-size="11">',
        "<title>Verdict of the gate by kind of harm and share of answers that have it</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_legend(),
    ]
    top = _TOP
    for title, rows in blocks:
        parts += _block(title, rows, results.doses, top)
        top += (len(rows) + 2) * _ROW
    return "\n".join([*parts, "</svg>"])


def _legend() -> list[str]:
    parts = ['<text x="8" y="18" font-size="13" font-weight="bold">Share of answers with the harm</text>']
    for place, (fill, ink, word) in enumerate(_LOOK.values()):
        left = 8 + place * 86
        parts.append(f'<rect x="{left}" y="28" width="78" height="16" rx="3" fill="{fill}"/>')
        parts.append(f'<text x="{left + 39}" y="40" text-anchor="middle" fill="{ink}">{word}</text>')
    return parts


def _block(title: str, rows: list[DoseRow], doses: tuple[float, ...], top: int) -> list[str]:
    parts = [f'<text x="8" y="{top + 13}" font-weight="bold">{escape(title)}</text>']
    for place, dose in enumerate(doses):
        middle = _NAME + place * _CELL + _CELL // 2
        parts.append(f'<text x="{middle}" y="{top + 13}" text-anchor="middle" font-weight="bold">{dose:.0%}</text>')
    for number, row in enumerate(rows, start=1):
        line = top + number * _ROW
        parts.append(f'<text x="8" y="{line + 13}">{escape(row.kind.name)}</text>')
        for place, verdict in enumerate(row.verdicts):
            if verdict is None:
                continue
            fill, ink, word = _LOOK[_look(verdict, row)]
            left = _NAME + place * _CELL
            parts.append(
                f'<rect x="{left + 1}" y="{line + 1}" width="{_CELL - 2}" height="{_ROW - 2}" rx="2" fill="{fill}"/>'
            )
            parts.append(
                f'<text x="{left + _CELL // 2}" y="{line + 13}" text-anchor="middle" fill="{ink}" font-size="10">{word}</text>'
            )
    return parts


def _look(verdict: Verdict, row: DoseRow) -> str:
    if verdict is Verdict.PASS:
        return "pass" if row.seen else "unseen"
    return "reject" if verdict is Verdict.FAIL else "unsure"
