"""pass^1 and pass^k: how often a system is right, and how often it is right every time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

from eval.spine.cases import Case
from eval.spine.results import CaseResult
from eval.verdict.pooled import CaseMean
from eval.verdict.pools.readers import IsRight
from figures.arrays import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class PassHat(CaseMean):
    """The share of cases that ``k`` independent tries would all get right (Yao et al. 2024, tau-bench: pass^k).

    With ``c`` of a case's ``n`` tries right, C(c, k) / C(n, k) estimates it without bias; the figure is the mean over cases.
    A failed answer is a try that is not right. A try that nobody can judge is none, and a case with fewer than ``k`` tries
    counts as unscored.
    """

    k: int
    right: IsRight

    def counts_scored(self, case: Case, items: Sequence[CaseResult]) -> Mapping[str, float] | None:
        """Return the case's estimate."""
        tries = [found for item in items if (found := self.right(item)) is not None]
        if len(tries) < self.k:
            return None
        return {"of": comb(sum(tries), self.k) / comb(len(tries), self.k), "among": 1.0}

    def note(self, names: Sequence[str], counts: Floats, uncounted: int) -> str:
        """Return how many cases have too few tries."""
        if not uncounted:
            return ""
        without, whose = ("1 case", "its") if uncounted == 1 else (f"{uncounted} cases", "their")
        return f"without {without}: fewer than {self.k} of {whose} answers can be judged"
