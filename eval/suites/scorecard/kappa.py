"""Cohen's kappa of answers with people's labels: over all calls, by form and by criterion of a form.

An average hides a form whose verdicts are noise and a criterion whose verdicts are turned round. So the least of them is a figure
of its own, with the name of what is lowest, and the report has a table of all criteria with their number of calls.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.spine.cases import Case
from eval.spine.pool import PoolTable
from eval.suites.scorecard.labels import answered_pairs, form_of
from eval.verdict.pooled import kappa_of
from figures.arrays import Floats
from service.core.run.task import TaskResult

# One of four answers: a criterion without a verdict counts as a wrong answer, so it needs its own column.
_ANSWERS = ("yes", "no", "na", "none")
# With fewer labelled calls a criterion's kappa is too uncertain to average, or to be the least one.
LEAST_CALLS = 5
# Below 0.21 agreement is only slight (Landis & Koch 1977), as for the floor over all calls.
SLIGHT = 0.20
_NAMED = 3
_Z = 1.959964  # of a 95% interval
Level = Literal["all", "form", "criterion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Cohen's kappa of answers with labels: of one table of all answers, or the mean of a table for each group.

    ``by``: the groups, which are the forms, or the criteria of all forms. Groups with fewer than ``least`` labelled calls do not
    count, nor do those whose kappa is undefined.
    """

    by: Level = "all"
    least: float = LEAST_CALLS
    bounds: tuple[float, float] = (-1.0, 1.0)

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return the counts of label and answer combinations, by group."""
        form_id = "" if self.by == "all" else form_of(case).form_id
        found = Counter(
            f"{form_id}{f'/{item.id}' if self.by == 'criterion' else ''}|{label.verdict}|{item.verdict or 'none'}"
            for result in results
            for label, item in answered_pairs(case, result)
        )
        return {name: count / len(results) for name, count in found.items()}

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the mean over the groups that count, NaN without any."""
        kappas = self._counting(names, sums)
        counted = ~np.isnan(kappas)
        total = np.where(counted, kappas, 0.0).sum(axis=1)
        count = counted.sum(axis=1)
        mean: Floats = np.divide(total, count, out=np.full(len(sums), math.nan), where=count > 0)
        return mean

    def by_group(self, names: Sequence[str], sums: Floats) -> dict[str, tuple[float, float]]:
        """Return each group's kappa and number of answers in one row of sums."""
        tables = self._tables(names, sums.reshape(1, -1))[0]
        kappas = kappa_of(tables)
        return {name: (float(kappas[place]), float(tables[place].sum())) for place, name in enumerate(_groups(names))}

    def _counting(self, names: Sequence[str], sums: Floats) -> Floats:
        tables = self._tables(names, sums)
        kappas: Floats = kappa_of(tables)
        return kappas if self.by == "all" else np.where(tables.sum(axis=(-2, -1)) >= self.least, kappas, math.nan)

    def _tables(self, names: Sequence[str], sums: Floats) -> Floats:
        groups = {name: place for place, name in enumerate(_groups(names))}
        tables = np.zeros((len(sums), len(groups), len(_ANSWERS), len(_ANSWERS)))
        for column, name in enumerate(names):
            group, label, answer = name.split("|")
            tables[:, groups[group], _ANSWERS.index(label), _ANSWERS.index(answer)] = sums[:, column]
        return tables


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastKappa(Kappa):
    """The lowest kappa of all groups, with a table of them for the report.

    With ``at_best`` it is the lowest upper end of the groups' own intervals: what even chance cannot excuse. A criterion has a
    dozen calls, and of 65 figures from so few the lowest is low by chance alone.
    """

    by: Level = "criterion"
    at_best: bool = False

    def figures(self, names: Sequence[str], sums: Floats) -> Floats:
        """Return the least of the groups that count, NaN without any."""
        kappas = self._counting(names, sums)
        if self.at_best:
            kappas = np.where(np.isnan(kappas), math.nan, _ends(self._tables(names, sums))[1])
        least: Floats = np.where(np.isnan(kappas), math.inf, kappas).min(axis=1, initial=math.inf)
        return np.where(np.isinf(least), math.nan, least)

    def note(self, names: Sequence[str], counts: Floats, uncounted: int) -> str:
        """Name the lowest groups with their kappa and number of answers."""
        found = self.by_group(names, counts.sum(axis=0)) if len(counts) else {}
        rated = sorted((kappa, name, n) for name, (kappa, n) in found.items() if n >= self.least and kappa == kappa)
        lowest = ", ".join(f"{name} {kappa:.2f} (n={n:g})" for kappa, name, n in rated[:_NAMED])
        return f"lowest kappa: {lowest}" if lowest else ""

    def table(self, names: Sequence[str], sums: Floats) -> PoolTable:
        """Return one row for each group, the lowest kappa first."""
        tables = self._tables(names, np.asarray(sums).reshape(1, -1))[0]
        rows = [_row(name, table) for name, table in zip(_groups(names), tables, strict=True)]
        return PoolTable(
            caption=f"Agreement with the labels by {self.by}. The last column says whether the interval decides that kappa is at "
            f"least {SLIGHT:.2f}.",
            columns=(self.by, "n", "agree", "kappa", "95% interval", f"at least {SLIGHT:.2f}"),
            rows=tuple(cells for _, cells in sorted(rows)),
        )


def _row(name: str, table: Floats) -> tuple[float, tuple[str, ...]]:
    n, agreed = float(table.sum()), float(np.trace(table))
    kappa = float(kappa_of(table))
    if kappa != kappa:
        return math.inf, (name, f"{n:g}", f"{agreed / n:.2f}", "–", "–", "undecided: one answer throughout")
    low, high = (float(end) for end in _ends(table))
    decided = "yes" if low >= SLIGHT else "no" if high < SLIGHT else "undecided: too few calls"
    return kappa, (name, f"{n:g}", f"{agreed / n:.2f}", f"{kappa:.2f}", f"[{low:.2f}, {high:.2f}]", decided)


def _ends(tables: Floats) -> tuple[Floats, Floats]:
    """Return both ends of kappa's 95% interval: Wilson's (1927) of the agreement, with chance agreement taken as fixed."""
    n = tables.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        agreed = np.trace(tables, axis1=-2, axis2=-1) / n
        chance = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1) / n**2
        middle = (agreed + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        reach = _Z / (1 + _Z**2 / n) * np.sqrt(np.maximum(agreed * (1 - agreed) / n + _Z**2 / (4 * n**2), 0))
        low, high = ((np.clip(end, 0, 1) - chance) / (1 - chance) for end in (middle - reach, middle + reach))
    return np.maximum(low, -1.0), high


def _groups(names: Sequence[str]) -> list[str]:
    return sorted({name.split("|")[0] for name in names})
