"""The table of the contrast sets: per kind of edit the share that judges, detectors and the word baseline object to."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.judges.calibration import Calibration, interval_text
from eval.judges.contrast_texts import ContrastBench
from eval.judges.contrasts import ContrastMeasure, KindMeasure
from figures.formatting import plural
from figures.stats import rate_interval

_RowKey = tuple[str, str, bool]  # label, kind, kept
_ORDER = {"wrong": 0, "right": 1, "good": 2}
BASELINE_FALSE_ALARMS = 0.05  # at which the word baseline is shown where no judge sets the rate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    flagged: int
    n: int
    abstained: int = 0
    agreed: int | None = None

    def __str__(self) -> str:
        found = rate_interval(self.flagged, self.n)
        text = f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
        text += f", {self.abstained} open" if self.abstained else ""
        return text + (f", {self.agreed}/{self.n} agreed" if self.agreed is not None else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    cells: dict[_RowKey, _Cell]


def judge_table(judge: str, measure: ContrastMeasure) -> list[str]:
    """Return the table of one judge beside words alone, at the judge's rate of false alarms, and the suite's detectors."""
    return _table([_judge(judge, measure), *_beside(measure)])


def contrast_part(bench: ContrastBench, records: Sequence[Calibration]) -> list[str]:
    """Return the data card's part as Markdown: detectors and words on all texts of ``bench``, and each judge's record."""
    kinds = bench.with_baselines(bench.kinds, BASELINE_FALSE_ALARMS)
    code = _Column(name="detectors", cells=_cells(kinds, "by_code"))
    words = _Column(name=f"words at {BASELINE_FALSE_ALARMS:.0%} false alarms", cells=_cells(kinds, "by_words"))
    measured = [(record, record.contrasts) for record in records if record.contrasts is not None]
    judges = [_judge(f"{record.rubric} ({record.answered_by})", found) for record, found in measured]
    counts = " and ".join(f"{plural(count, 'case')} of {name}" for name, count in bench.cases.items())
    lines = [
        "### Contrast sets",
        "",
        f"Share of texts objected to, with Wilson's 95% interval: recall for wrong edits, false alarms for right edits and good "
        f"answers. {counts}. A text without a verdict (open) counts as not objected to. Kinds marked kept are for testing "
        "alone.",
        "",
        *_table([column for column in (code, words, *judges) if column.cells]),
        "",
    ]
    if bench.words is not None:
        lines.append(f"Words alone separate wrong from right edits with AUC {interval_text(bench.words.auc)}.")
    lines += [_judge_line(record, found) for record, found in measured]
    return [*lines, f"Contrast sets sha256 {bench.sets.digest[:12]}.", ""]


def figure_lines(measure: ContrastMeasure) -> list[str]:
    """Return what the table has no room for: rates over all kinds, and the baseline's AUC."""
    alarms = measure.false_alarms
    lines = [
        f"false alarms {interval_text(alarms)} over {0 if alarms is None else alarms.n} cases, "
        f"decided {interval_text(measure.coverage)}",
    ]
    if measure.words_auc is not None:
        lines.append(f"words alone separate wrong from right edits with AUC {interval_text(measure.words_auc)}")
    return lines


def _judge_line(record: Calibration, measure: ContrastMeasure) -> str:
    cases = " and ".join(f"{count} of {name}" for name, count in measure.cases.items())
    return f"Judge {record.rubric} ({record.model}, {record.date[:10]}, cases: {cases}): {figure_lines(measure)[0]}."


def _judge(name: str, measure: ContrastMeasure) -> _Column:
    cells = {
        _key(item): _Cell(flagged=item.flagged, n=item.n, abstained=item.abstained, agreed=item.agreed)
        for item in measure.kinds
    }
    return _Column(name=name, cells=cells)


def _beside(measure: ContrastMeasure) -> list[_Column]:
    columns = [("words at the same rate", "by_words"), ("detectors", "by_code")]
    return [_Column(name=name, cells=cells) for name, field in columns if (cells := _cells(measure.kinds, field))]


def _cells(kinds: Sequence[KindMeasure], field: str) -> dict[_RowKey, _Cell]:
    found = {item: item.by_words if field == "by_words" else item.by_code for item in kinds}
    return {_key(item): _Cell(flagged=count, n=item.n) for item, count in found.items() if count is not None}


def _key(item: KindMeasure) -> _RowKey:
    return item.label, item.kind, item.kept


def _table(columns: Sequence[_Column]) -> list[str]:
    keys = sorted({key for column in columns for key in column.cells}, key=lambda key: (_ORDER[key[0]], key[2], key[1]))
    lines = ["| | n | " + " | ".join(column.name for column in columns) + " |", "|---|---|" + "---|" * len(columns)]
    for key in keys:
        label, kind, kept = key
        cells = [column.cells.get(key) for column in columns]
        n = max(cell.n for cell in cells if cell is not None)
        name = kind if label == "wrong" else f"{label}: {kind}"
        shown = " | ".join("–" if cell is None else str(cell) for cell in cells)
        lines.append(f"| {name}{' (kept)' if kept else ''} | {n} | {shown} |")
    return lines
