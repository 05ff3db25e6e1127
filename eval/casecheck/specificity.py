"""Measures false matches of facts: how often a fact's surface forms occur in the references of other cases."""

from collections.abc import Sequence

import numpy as np

from eval.casecheck.files import CaseLine
from figures.stats import Interval, mean_interval
from service.core.statements.grounding.text import form_occurs

_SEED = 20261121


def false_match_rate(lines: Sequence[CaseLine]) -> Interval | None:
    """Return the share of other cases' first references in which a fact is found, averaged over facts.

    Such a match is false, because the reference is about another customer: the two share a common word or a date. The interval
    is a bootstrap over cases, because the facts of a case are not independent. None with fewer than two cases that have both
    facts and references. Takes seconds for a few hundred cases.
    """
    usable = [line for line in lines if line.case.expectations.facts and line.case.expectations.references]
    if len(usable) < 2:
        return None
    references = [line.case.expectations.references[0] for line in usable]
    per_case = []
    for number, line in enumerate(usable):
        others = references[:number] + references[number + 1 :]
        facts = line.case.expectations.facts
        found = sum(any(form_occurs(form, text) for form in fact.accepted) for fact in facts for text in others)
        per_case.append(found / (len(facts) * len(others)))
    return mean_interval(np.array(per_case), seed=_SEED)
