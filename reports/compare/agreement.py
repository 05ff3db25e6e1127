"""Agreement between people and the model on scored calls: rate, kappa and falls per tenant, form, version and criterion."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from figures.arrays import Floats
from figures.formatting import format_number, plural
from figures.stats import Interval
from reports.compare.difference import Contrast, contrast
from reports.compare.false_discovery import Tested, judge_families
from reports.compare.outcomes import ComparisonResult
from reports.read.data import WeekData
from reports.read.metrics import AGREEMENT, SMALLEST
from reports.read.samples import Rate

_VERDICTS = ("yes", "no", "na")


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionRatings:
    """One criterion's verdicts by people in one week: counts by (the model's verdict, the person's), and the pairs that scored.

    ``unanswered`` counts the verdicts by people where the model gave none, or one that the form does not know: they cannot agree
    with anything and count nowhere else.
    """

    table: Mapping[tuple[str, str], int]
    pairs: frozenset[str]
    unanswered: int = 0

    @property
    def rate(self) -> Rate:
        """The share of the verdicts that people confirmed."""
        return Rate(successes=sum(n for (model, human), n in self.table.items() if model == human), n=self.n)

    @property
    def n(self) -> int:
        """How many of the model's verdicts people confirmed or overruled."""
        return sum(self.table.values())

    @property
    def confirmed(self) -> int:
        """How many verdicts by people equal the model's."""
        return self.rate.successes

    @property
    def kappa(self) -> Interval | None:
        """Cohen's kappa, see ``kappa_of``."""
        counts = np.array([[self.table.get((a, b), 0) for b in _VERDICTS] for a in _VERDICTS], dtype=np.float64)
        return kappa_of(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionAgreement:
    """One criterion of one form version, this week and the week before.

    ``before`` is of version ``before_version``; None when people gave no verdict on the criterion that week.
    """

    tenant: str
    form_id: str
    version: int
    criterion: str
    question: str
    now: CriterionRatings
    before: CriterionRatings | None
    before_version: int
    found: Contrast | None

    @property
    def result(self) -> ComparisonResult:
        """The result of the comparison with the week before; NONE where there is no such comparison."""
        return ComparisonResult.NONE if self.found is None else self.found.result

    @property
    def only_overruled(self) -> bool:
        """Whether people overruled every verdict: the model was always wrong, or people record overrides only."""
        return self.now.n > 0 and self.now.confirmed == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementWeek:
    """The week's scored calls and the verdicts by people on them.

    ``calls`` and ``answered`` count the week's scored calls and the model's verdicts in them. ``criteria`` holds the criteria
    with a verdict by a person this week, ordered by tenant, form, version and id.
    """

    calls: int
    answered: int
    criteria: Sequence[CriterionAgreement]
    tested: int

    @property
    def reviewed(self) -> int:
        """How many of the model's verdicts people confirmed or overruled this week."""
        return sum(item.now.n for item in self.criteria)

    @property
    def confirmed(self) -> int:
        """How many of the model's verdicts people confirmed this week."""
        return sum(item.now.confirmed for item in self.criteria)

    @property
    def unanswered(self) -> int:
        """How many verdicts people gave this week where the model had none."""
        return sum(item.now.unanswered for item in self.criteria)

    @property
    def fallen(self) -> list[CriterionAgreement]:
        """The criteria whose agreement fell beyond chance and margin, the smallest p-value first."""
        found = [item for item in self.criteria if item.result is ComparisonResult.WORSE]
        return sorted(found, key=lambda item: (item.found.p or 0.0) if item.found is not None else 1.0)


def kappa_of(table: Floats) -> Interval | None:
    """Return Cohen's kappa (1960) of a square table of counts with its 95% interval; None without counts.

    The interval is Wilson's for the raw agreement, rescaled with the chance agreement of the two margins held fixed, as in
    Cohen's own standard error; unlike that one it keeps a width where all verdicts agree. It covered the true kappa in 0.93 to
    0.97 of 1,000 simulated tables for each n of 20, 50, 100 and true kappas of 0.29 to 0.80 (docs/decisions/0025). Kappa is
    undefined, and returned as NaN, where chance alone would always agree.
    """
    n = int(table.sum())
    if n == 0:
        return None
    chance = float((table.sum(axis=0) * table.sum(axis=1)).sum()) / n**2
    if chance >= 1 - 1e-12:
        return Interval(value=float("nan"), low=None, high=None, n=n, method="kappa is undefined with a single verdict")
    raw = Rate(successes=int(np.trace(table)), n=n).interval()
    assert raw.low is not None
    assert raw.high is not None
    value, low, high = ((share - chance) / (1 - chance) for share in (raw.value, raw.low, raw.high))
    return Interval(value=value, low=max(low, -1.0), high=min(high, 1.0), n=n, method="Wilson, margins held")


def agreement_of(data: WeekData) -> AgreementWeek:
    """Return the week's agreement; the criteria with enough verdicts in both weeks form one family of tests."""
    by_week: dict[int, dict[tuple[str, str, int, str], _VerdictCounts]] = {0: {}, -1: {}}
    for row in data.agreement.itertuples():
        item: Any = row
        if int(item.period) in by_week:
            key = (str(item.tenant_id), str(item.form_id), int(item.form_version), str(item.criterion_id))
            by_week[int(item.period)].setdefault(key, _VerdictCounts()).add(item)
    found: list[CriterionAgreement] = []
    family: list[Tested] = []
    places: list[int] = []
    for key, counts in sorted(by_week[0].items()):
        tenant, form_id, version, criterion = key
        before_version, before = _before(by_week[-1], key)
        now = counts.ratings()
        compared = None if before is None else contrast(AGREEMENT, now.rate, before.rate)
        if compared is not None and before is not None:
            places.append(len(found))
            family.append((compared, now.rate, before.rate))
        found.append(
            CriterionAgreement(
                tenant=tenant, form_id=form_id, version=version, criterion=criterion, question=counts.question, now=now,
                before=before, before_version=before_version, found=compared,
            )
        )  # fmt: skip
    for place, judged in zip(places, judge_families(family), strict=True):
        found[place] = replace(found[place], found=judged)
    week = data.calls[data.calls["period"] == 0]
    return AgreementWeek(
        calls=int(week["calls"].sum()),
        answered=int(week["n"].sum()),
        criteria=found,
        tested=sum(item[0].tested for item in family),
    )


def fall_sentence(item: CriterionAgreement) -> str:
    """Return a fall as a sentence without a full stop: criterion, both figures with n, difference, other possible causes."""
    assert item.found is not None
    assert item.before is not None
    ours, theirs = item.found.ours, item.found.theirs
    between = item.found.difference
    assert between is not None
    ends = "" if between.low is None or between.high is None else f" [{between.low:+.2f}, {between.high:+.2f}]"
    text = (
        f"Worse this week for criterion {item.criterion} of form {item.form_id} version {item.version} ({item.tenant}): "
        f"{AGREEMENT.title} {format_number(ours.value, AGREEMENT.unit)} (n={ours.n:,}) against "
        f"{format_number(theirs.value, AGREEMENT.unit)} the week before (n={theirs.n:,}), difference {between.value:+.2f}{ends}"
    )
    if item.only_overruled:
        text += "; people confirmed no verdict this week: the model got all of them wrong, or people stopped confirming"
    if item.before_version != item.version:
        text += f"; the week before used version {item.before_version} of the form"
    if item.before.pairs and item.now.pairs != item.before.pairs:
        text += "; another pair scored the calls"
    return text


def base_sentence(found: AgreementWeek) -> str:
    """Return the numbers behind the figures: scored calls, the model's verdicts, and how many people confirmed or overruled."""
    text = f"{plural(found.calls, 'scored call')} this week with {plural(found.answered, 'verdict')} by the model. "
    if not found.reviewed:
        return text + "People confirmed or overruled no verdict this week, so the agreement is unknown."
    overruled = found.reviewed - found.confirmed
    text += (
        f"People reviewed {plural(found.reviewed, 'verdict')}: {found.confirmed:,} confirmed, {overruled:,} overruled."
    )
    if found.unanswered:
        text += f" They gave {found.unanswered:,} more where the model had no verdict; these count in no figure."
    if not found.confirmed:
        text += " People confirmed no verdict: when only overrides are recorded, the agreement is always 0 and means nothing."
    return text + " The figures cover reviewed verdicts only."


def kappa_text(kappa: Interval | None) -> str:
    """Return ``0.61 [0.30, 0.84]``, "not defined", or a dash without verdicts."""
    if kappa is None:
        return "–"
    if kappa.low is None or kappa.high is None:
        return "not defined"
    return f"{kappa.value:.2f} [{kappa.low:.2f}, {kappa.high:.2f}]"


def is_small(item: CriterionAgreement) -> bool:
    """Whether this week has too few verdicts by people for a result."""
    return item.now.n < SMALLEST


@dataclass(slots=True)
class _VerdictCounts:
    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    pairs: set[str] = field(default_factory=set)
    unanswered: int = 0
    question: str = ""

    def add(self, row: Any) -> None:
        self.pairs.add(str(row.pair_digest))
        if isinstance(row.question, str):
            self.question = row.question
        if row.model_verdict in _VERDICTS:
            self.table[row.model_verdict, row.human_verdict] += int(row.n)
        else:
            self.unanswered += int(row.n)

    def ratings(self) -> CriterionRatings:
        return CriterionRatings(table=dict(self.table), pairs=frozenset(self.pairs), unanswered=self.unanswered)


def _before(
    last_week: Mapping[tuple[str, str, int, str], _VerdictCounts], key: tuple[str, str, int, str]
) -> tuple[int, CriterionRatings | None]:
    """Return version and verdicts of the week before: the same version's, otherwise those of the newest other version."""
    tenant, form_id, version, criterion = key
    others = [other for t, f, other, c in last_week if (t, f, c) == (tenant, form_id, criterion)]
    if not others:
        return version, None
    chosen = version if version in others else max(others)
    return chosen, last_week[tenant, form_id, chosen, criterion].ratings()
