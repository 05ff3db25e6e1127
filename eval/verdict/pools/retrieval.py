"""Figures of what was found and cited: recall of the first k documents, and precision of citations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.spine.cases import Case
from eval.verdict.pooled import CaseMean, Ratio
from eval.verdict.pools.readers import DocumentsOf, WantedOf
from service.core.run.task import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAt(CaseMean):
    """The mean over cases of the share of the wanted documents that are among the first ``k`` found, each named once."""

    k: int
    wanted: WantedOf
    found: DocumentsOf

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return the case's recall; nothing where no document is wanted."""
        wanted = self.wanted(case)
        if not wanted:
            return {}
        first = [set(list(dict.fromkeys(self.found(result)))[: self.k]) for result in results]
        return {"of": sum(len(wanted & found) for found in first) / len(wanted) / len(results), "among": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationPrecision(Ratio):
    """The share of all citations that name a document which answers the case; an answer that cites nothing adds nothing."""

    wanted: WantedOf
    cited: DocumentsOf

    def counts(self, case: Case, results: Sequence[TaskResult]) -> Mapping[str, float]:
        """Return right citations and all; each document once per answer."""
        cited = [set(self.cited(result)) for result in results]
        among = sum(map(len, cited))
        right = sum(len(self.wanted(case) & found) for found in cited)
        return {"of": right / len(results), "among": among / len(results)} if among else {}
