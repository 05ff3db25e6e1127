"""Measures judges and detectors against labels, and stores the records for the gate."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from scipy import stats

from eval.judges.contrasts import ContrastMeasure
from eval.judges.labelled_rows import CALIBRATION_SET
from eval.spine.judge_spec import JudgeSpec
from figures.arrays import Floats
from figures.stats import RESAMPLES, Indices, Interval, percentile_interval
from service.kit.frame.files import write_whole

SEED = 20261121
FALL_P = 0.01  # a false alarm in 100 measurements of a judge that stays as it was


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One labelled row with its verdicts.

    ``group`` names what the row shares with others (its case): the rows of a group are resampled together. ``good`` is the
    label, ``kind`` the planted defect. ``votes`` are the repeated verdicts, None where unscored.
    """

    row_id: str
    group: str
    good: bool
    kind: str | None
    votes: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was measured on one set: rates 0 to 1, kappa -1 to 1, each with its 95% interval; None: could not be measured.

    A row without a verdict counts as a wrong verdict, so that a judge gains nothing by abstaining where it is unsure.
    ``flagged`` maps each kind of defect ("good" for rows without one) to (rows called bad, rows with a verdict). ``right`` says
    by row id whether the first verdict was the label, for a judge whose drift is watched.
    """

    set_name: str
    set_digest: str
    n: int
    bad_rows: int
    unscored: int
    kappa: Interval | None
    accuracy: Interval | None
    self_agreement: Interval | None
    flagged: dict[str, tuple[int, int]]
    swap_agreement: Interval | None = None
    right: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A judge's record, valid for ``judge_digest`` alone. ``date`` is ISO 8601, UTC; ``contrasts`` is None where not measured.

    ``first`` is what was measured first under this digest on these rows, with its date: what drift is measured against.
    """

    judge_digest: str
    rubric: str
    model: str
    answered_by: str
    environment: str
    date: str
    repeats: int
    sets: tuple[Agreement, ...] = field(default=())
    contrasts: ContrastMeasure | None = None
    first: Agreement | None = None
    first_date: str = ""


def kappa(rows: Sequence[Labelled]) -> Interval | None:
    """Return Cohen's kappa (1960) of first votes with labels; None when the labels are all equal, or nothing has a verdict."""
    if all(_first(row) is None for row in rows):
        return None
    said = np.array([not row.good if _first(row) is None else bool(_first(row)) for row in rows])
    true = np.array([row.good for row in rows])

    def statistic(index: Indices) -> float:
        # Without both labels among the drawn rows chance agreement is total and kappa undefined.
        good, called_good = float(true[index].mean()), float(said[index].mean())
        if good in (0, 1):
            return float("nan")
        observed = float((true[index] == said[index]).mean())
        by_chance = good * called_good + (1 - good) * (1 - called_good)
        return (observed - by_chance) / (1 - by_chance)

    return _bootstrap(rows, statistic)


def _first(row: Labelled) -> bool | None:
    return row.votes[0] if row.votes else None


def accuracy(rows: Sequence[Labelled]) -> Interval | None:
    """Return the share of first votes that equal the label."""
    hits = np.array([float(_first(row) == row.good) for row in rows])
    return _bootstrap(rows, lambda index: float(hits[index].mean()))


def self_agreement(rows: Sequence[Labelled]) -> Interval | None:
    """Return the mean share of equal pairs among a row's repeated votes; None when nothing was asked twice.

    A vote that is missing equals no other.
    """
    kept = [row for row in rows if len(row.votes) > 1]
    shares = []
    for row in kept:
        yes, no, n = row.votes.count(True), row.votes.count(False), len(row.votes)
        shares.append((yes * (yes - 1) + no * (no - 1)) / (n * (n - 1)))
    values: Floats = np.array(shares)
    return _bootstrap(kept, lambda index: float(values[index].mean()))


def rate(rows: Sequence[Labelled], hits: Sequence[bool]) -> Interval | None:
    """Return the share of ``hits``, one per row, resampled by group."""
    values = np.array(hits, dtype=float)
    return _bootstrap(rows, lambda index: float(values[index].mean()))


def flagged_by_kind(rows: Sequence[Labelled]) -> dict[str, tuple[int, int]]:
    """Return how many rows of each kind were called bad, of how many with a verdict."""
    table: dict[str, tuple[int, int]] = {}
    for row in sorted(rows, key=lambda row: (row.kind is not None, row.kind or "")):
        if row.votes and row.votes[0] is not None:
            bad, n = table.get(row.kind or "good", (0, 0))
            table[row.kind or "good"] = (bad + (not row.votes[0]), n + 1)
    return table


def agreement(
    rows: Sequence[Labelled],
    *,
    set_name: str,
    set_digest: str,
    swap_agreement: Interval | None = None,
    others: Sequence[Labelled] = (),
) -> Agreement:
    """Return everything measured on ``rows``; ``others`` (defects of other rubrics) are only counted by kind."""
    return Agreement(
        set_name=set_name,
        set_digest=set_digest,
        n=len(rows),
        bad_rows=sum(1 for row in rows if not row.good),
        unscored=sum(1 for row in rows if not row.votes or row.votes[0] is None),
        kappa=kappa(rows),
        accuracy=accuracy(rows),
        self_agreement=self_agreement(rows),
        flagged=flagged_by_kind([*rows, *others]),
        swap_agreement=swap_agreement,
        right={row.row_id: _first(row) == row.good for row in rows},
    )


def fallen(first: Agreement, now: Agreement) -> float | None:
    """Return the p-value of a fall since ``first`` if it is one beyond chance (below ``FALL_P``), else None.

    The exact one-sided McNemar test (1947) on the rows of both: a judge that got worse loses more rows than it wins.
    """
    shared = first.right.keys() & now.right.keys()
    lost = sum(first.right[row] and not now.right[row] for row in shared)
    won = sum(now.right[row] and not first.right[row] for row in shared)
    if not lost:
        return None
    p = float(stats.binomtest(lost, lost + won, 0.5, alternative="greater").pvalue)
    return p if p < FALL_P else None


def _bootstrap(rows: Sequence[Labelled], statistic: Callable[[Indices], float]) -> Interval | None:
    """Percentile interval over groups: rows of one case share its difficulty and are drawn together."""
    if not rows:
        return None
    value = statistic(np.arange(len(rows)))
    if np.isnan(value):
        return None
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row.group, []).append(place)
    places = [np.array(members) for members in groups.values()]
    draw = np.random.default_rng(SEED).integers(0, len(places), size=(RESAMPLES, len(places)))
    draws = np.array([statistic(np.concatenate([places[group] for group in row])) for row in draw])
    draws = draws[~np.isnan(draws)]
    return percentile_interval(value, draws, len(rows)) if len(draws) else None


def shortfall(record: Calibration | None, spec: JudgeSpec, *, set_digest: str | None, max_unscored_rate: float) -> str:
    """Return why a judge with this record may not gate, or "" when it may.

    Args:
        record: of the judge's present digest; None when there is none.
        spec: the suite's bounds.
        set_digest: of the calibration rows as they are now; None when they are not there.
        max_unscored_rate: 0 to 1, as for any score of the suite.
    """
    if record is None:
        return "never measured with this prompt and model"
    found = next((item for item in record.sets if item.set_name == CALIBRATION_SET), None)
    if found is None:
        return "not measured on the project's own calibration rows"
    if found.set_digest != set_digest:
        return "measured on calibration rows that have changed since"
    if found.unscored > max_unscored_rate * found.n:
        return f"{found.unscored} of {found.n} calibration rows could not be scored (bound {max_unscored_rate:.0%})"
    if found.bad_rows < spec.min_bad_rows:
        return f"only {found.bad_rows} calibration rows have a defect of this rubric, {spec.min_bad_rows} needed"
    low = None if found.kappa is None else found.kappa.low
    if found.kappa is None or low is None or found.kappa.value < spec.min_kappa or low < spec.min_kappa_low:
        return (
            f"kappa {interval_text(found.kappa)} on n={found.n}, needed {spec.min_kappa:.2f} "
            f"with an interval from {spec.min_kappa_low:.2f}"
        )
    steady = found.self_agreement if not spec.pairwise else found.swap_agreement
    word = "agreement of both orders" if spec.pairwise else "self-agreement"
    if steady is None:
        return f"{word} was not measured; calibrate with --repeats 2 or more"
    if steady.value < spec.min_self_agreement:
        return f"{word} {interval_text(steady)}, needed {spec.min_self_agreement:.2f}"
    return ""


def interval_text(interval: Interval | None) -> str:
    """Return ``0.71 [0.60, 0.81]``, or ``unmeasured``."""
    if interval is None:
        return "unmeasured"
    ends = "" if interval.low is None or interval.high is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{interval.value:.2f}{ends}"


def record_path(state_dir: Path, judge_digest: str) -> Path:
    """Return where the record of a judge is kept."""
    return state_dir / "calibration" / f"{judge_digest}.json"


def save(record: Calibration, state_dir: Path) -> Path:
    """Replace the judge's record by ``record`` atomically."""
    path = record_path(state_dir, record.judge_digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(record), indent=1))
    return path


def load(state_dir: Path, judge_digest: str) -> Calibration | None:
    """Return the record of a judge; None when there is none, or none that can be read (it is measured again then)."""
    try:
        raw = json.loads(record_path(state_dir, judge_digest).read_text(encoding="utf-8"))
        sets = tuple(_agreement(item) for item in raw.pop("sets"))
        contrasts = TypeAdapter(ContrastMeasure | None).validate_python(raw.pop("contrasts", None))
        earliest = raw.pop("first", None)
        first = None if earliest is None else _agreement(earliest)
        record = Calibration(**raw, sets=sets, contrasts=contrasts, first=first)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if record.judge_digest == judge_digest else None


def records(state_dir: Path) -> list[Calibration]:
    """Return every record that can be read, by digest."""
    names = sorted(path.stem for path in record_path(state_dir, "").parent.glob("*.json"))
    return [record for name in names if (record := load(state_dir, name)) is not None]


def _agreement(raw: dict[str, object]) -> Agreement:
    fields = dict(raw)
    for name in ("kappa", "accuracy", "self_agreement", "swap_agreement"):
        value = fields.get(name)
        fields[name] = Interval(**value) if isinstance(value, dict) else None
    flagged = fields["flagged"]
    assert isinstance(flagged, dict)
    fields["flagged"] = {str(kind): (int(bad), int(n)) for kind, (bad, n) in flagged.items()}
    return Agreement(**fields)  # type: ignore[arg-type]  # a wrong field is a TypeError, which counts as no record
