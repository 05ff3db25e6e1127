"""Ragas' metrics through our own types; `tools/test_ragas.sh` runs this in an environment that has ragas."""

import importlib.util
import json

import pytest

from eval.scorers.ragas import RagasJudge, RagasTextScorer
from eval.spine.cases import Case, Expectations
from eval.spine.scorer import ScorerContext
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import TaskResult
from service.kit.frame.errors import ConfigurationError, DeadlineExceeded

ABSENT = importlib.util.find_spec("ragas") is None
needs_ragas = pytest.mark.skipif(ABSENT, reason="ragas is not installed here; tools/test_ragas.sh runs this")
SOURCE = "Agent note, Oct 7: $18.50 late fee taken off."


class StubGateway:
    """Answers each form by the fields that it asks for."""

    def __init__(self, answer):
        self.calls, self._answer = [], answer

    async def complete(self, call):
        self.calls.append(call)
        text = self._answer(call)
        return ModelReply(text=text, usage=Usage(), stop_reason="end_turn", latency_ms=1.0, answered_by="stub")


def half_supported(call):
    fields = set(call.answer_schema["properties"])
    if fields == {"statements"} and "$defs" in call.answer_schema:  # verdicts
        told = [("The fee was taken off.", 1), ("A supervisor called.", 0)]
        return json.dumps({"statements": [{"statement": s, "reason": "r", "verdict": v} for s, v in told]})
    if fields == {"claims"}:
        return json.dumps({"claims": ["The fee was taken off.", "A supervisor called."]})
    return json.dumps({"statements": ["The fee was taken off.", "A supervisor called."]})


def context(output, references):
    case = Case(id="case-1", inputs={}, expectations=Expectations(references=references))
    result = TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0)
    return ScorerContext(case=case, inputs=Expectations(), result=result, output=output)


@pytest.mark.skipif(not ABSENT, reason="ragas is installed here")
def test_without_ragas_the_error_says_what_to_install():
    with pytest.raises(ConfigurationError, match=r"omni-insights\[ragas\]"):
        RagasTextScorer()


@needs_ragas
def test_the_same_text_scores_one_and_another_less():
    scorer = RagasTextScorer()
    same = scorer.score(context("The late fee came off on Oct 7.", ("Nothing.", "The late fee came off on Oct 7.")))
    assert {name: score.value for name, score in same.items()} == pytest.approx(dict.fromkeys(scorer.scores, 1.0))
    other = scorer.score(context("Power is out.", ("The late fee came off on Oct 7.",)))
    assert all(score.value < 0.5 for score in other.values())
    assert scorer.score(context("x", ()))["ragas_bleu"].unscored == "the case has no references"


@needs_ragas
async def test_faithfulness_is_the_share_of_supported_statements():
    gateway = StubGateway(half_supported)
    score = await RagasJudge(gateway, "judge-model").faithfulness(question="q", output="o", source=SOURCE)
    assert score.value == pytest.approx(0.5)
    assert [call.model for call in gateway.calls] == ["judge-model", "judge-model"]
    assert SOURCE in gateway.calls[1].messages[1].content


@needs_ragas
async def test_factual_correctness_is_the_f1_of_claims():
    score = await RagasJudge(StubGateway(half_supported), "j").factual_correctness(output="o", reference="r")
    assert score.value == pytest.approx(0.5)


@needs_ragas
@pytest.mark.parametrize("text", ["I think so.", "{}", '{"statements": 7}'])
async def test_prose_and_a_wrong_form_are_unscored(text):
    judge = RagasJudge(StubGateway(lambda call: text), "j")
    score = await judge.faithfulness(question="q", output="o", source=SOURCE)
    assert score.value is None
    assert score.unscored.startswith("ragas could not score")


@needs_ragas
async def test_a_late_judge_is_unscored():
    def late(call):
        raise DeadlineExceeded("late")

    score = await RagasJudge(StubGateway(late), "j").faithfulness(question="q", output="o", source=SOURCE)
    assert score.unscored == "the judge did not answer: DEADLINE"
