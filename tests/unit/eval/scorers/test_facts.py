"""Facts found and forbidden claims avoided, by their surface forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from eval.scorers.facts import FactScorer
from eval.spine.cases import Case, Expectations, Fact, Forbidden
from eval.spine.scorer import ScorerContext
from service.core.run.task import TaskResult

FACTS = (
    Fact(
        statement="A $45 late fee is disputed",
        accepted=("$45 + late fee", "$45 + late charge"),
        interaction_id="i",
        span="x",
    ),
    Fact(statement="Paid on Nov 3", accepted=("paid + nov 3",), interaction_id="i", span="x"),
    Fact(statement="Called twice", accepted=("called + 2 times",), interaction_id="i", span="x"),
)
FORBIDDEN = (
    Forbidden(claim="The fee was refunded", accepted=("fee + refunded + !not", "fee + credited")),
    Forbidden(claim="The dispute is closed", accepted=("dispute + closed",)),
)


class _Inputs(BaseModel):
    pass


def _context(output: str, expectations: Expectations) -> ScorerContext:
    return ScorerContext(
        case=Case(id="c-1", inputs={}, expectations=expectations),
        inputs=_Inputs(),
        result=TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0),
        output=output,
    )


@pytest.mark.parametrize(
    ("output", "value", "missing"),
    [
        ("He called twice. The 45 dollars late charge stands. Paid 11/03/2026.", 1.0, ()),
        ("A $45.00 late fee. Paid on Nov. 3rd.", 2 / 3, ("Called twice",)),
        ("A $450 late fee, paid Nov 30.", 0.0, tuple(fact.statement for fact in FACTS)),
        ("", 0.0, tuple(fact.statement for fact in FACTS)),
    ],
)
def test_coverage_is_the_share_of_facts_found(output: str, value: float, missing: tuple[str, ...]) -> None:
    score = FactScorer().score(_context(output, Expectations(facts=FACTS)))["fact_coverage"]
    assert score.value == pytest.approx(value)
    assert score.findings == missing


def test_parts_of_a_form_must_share_a_sentence() -> None:
    score = FactScorer().score(_context("It is $45. The late fee stands.", Expectations(facts=FACTS[:1])))
    assert score["fact_coverage"].value == 0.0


def test_a_false_claim_is_named_with_its_form() -> None:
    score = FactScorer().score(_context("The fee was refunded.", Expectations(forbidden=FORBIDDEN)))["forbidden_clear"]
    assert score.value == 0.0
    assert score.findings == ("claims 'The fee was refunded' by the form 'fee + refunded'",)


@pytest.mark.parametrize("output", ["The fee was not refunded.", "", "Dispute open. Case closed."])
def test_no_false_claim_scores_one(output: str) -> None:
    score = FactScorer().score(_context(output, Expectations(forbidden=FORBIDDEN)))["forbidden_clear"]
    assert score.value == 1.0
    assert score.findings == ()


def test_what_a_case_does_not_list_is_unscored() -> None:
    scores = FactScorer().score(_context("Anything.", Expectations()))
    assert scores["fact_coverage"].unscored == "the case has no facts"
    assert scores["forbidden_clear"].unscored == "the case lists no forbidden claims"


@given(st.lists(st.sampled_from(["Paid Nov 3.", "Called twice.", "A $45 late fee.", "Nothing else."]), max_size=6))
def test_saying_more_never_lowers_coverage(sentences: list[str]) -> None:
    def coverage(output: str) -> float:
        value = FactScorer().score(_context(output, Expectations(facts=FACTS)))["fact_coverage"].value
        assert value is not None
        return value

    assert coverage(" ".join([*sentences, "Paid Nov 3."])) >= coverage(" ".join(sentences))
