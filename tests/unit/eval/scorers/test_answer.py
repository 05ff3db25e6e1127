"""The guard and the scorers see the same findings: an answer is clear for one exactly when it is for the other."""

from typing import get_args

import pytest

from eval.scorers.answer import AnswerScorer
from service.core.statements.answers.finding import FactKind, Finding, FormKind, LeakKind, VoiceKind


@pytest.mark.parametrize(
    "kind", [kind for kinds in (FactKind, VoiceKind, FormKind, LeakKind) for kind in get_args(kinds)]
)
def test_every_kind_that_the_guard_refuses_sets_a_score_to_zero(kind):
    finding = Finding(kind=kind, value="x", statement="an x.")
    assert finding.scores
    assert set(finding.scores) <= set(AnswerScorer.scores)
    assert finding.text
