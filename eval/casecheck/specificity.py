"""How often a fact's surface forms are found where they should not be: in the references of other cases."""

from collections.abc import Sequence

import numpy as np

from eval.casecheck.files import CaseLine
from figures.stats import Interval, mean_interval
from service.grounding.text import form_occurs

_SEED = 20261121


def false_match_rate(lines: Sequence[CaseLine]) -> Interval | None:
    """Return the share of other cases' first references in which a fact is "found", mean over facts.

    Such a reference tells another customer's story: what is found in it is a stray word or a date that two stories share.
    The interval is a bootstrap over cases, whose facts are no independent draws. None without two cases that have both
    facts and references. Seconds for some hundred cases.
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
