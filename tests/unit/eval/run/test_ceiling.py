"""References scored against each other: which texts count, against what, and what a case weighs."""

from dataclasses import replace

import pytest
from sacrebleu.metrics.chrf import CHRF

from eval.run.ceiling import kept_ceiling, pairs_like_for_like, reference_ceiling
from eval.scorers.text import rouge_l
from eval.spine.cases import Case, Expectations, Fact
from eval.spine.results import CaseResult, Score
from eval.suites import load_suite
from service.core.run.task import TaskResult

SUITE = load_suite("summarize")
TEXTS = (
    ("The customer disputes a $45 late fee from March.", "A $45 late fee of March is in dispute."),
    ("The meter was exchanged on May 3.", "On May 3 a crew swapped the meter.", "A new meter was put in on May 3."),
    ("Only one person wrote this.",),
)


def make_case(number: int, references: tuple[str, ...]) -> Case:
    fact = Fact(statement="A fee is disputed", accepted=("disputes",), interaction_id="i1", span="fee")
    return Case(
        id=f"case-{number}",
        inputs={
            "as_of": "2026-06-01T12:00:00Z",
            "account_number": "6021457738",
            "contact_id": "c-1",
            "interactions": [
                {
                    "interaction_id": "i1", "channel": "chat", "timestamp": "2026-05-03T14:12:00Z", "intent": "HighBill",
                    "text": "March late fee of $45 is wrong; May 3 the meter was exchanged", "outcome": "open",
                }
            ],
        },
        expectations=Expectations(references=references, facts=(fact,) if number == 0 else ()),
    )  # fmt: skip


CASES = [make_case(number, texts) for number, texts in enumerate(TEXTS)]


def test_each_reference_is_scored_against_the_others_and_cases_weigh_the_same() -> None:
    ceiling = reference_ceiling(SUITE, CASES)
    per_case = []
    for texts in TEXTS[:2]:
        scores = [rouge_l(text, [other for other in texts if other != text]) for text in texts]
        per_case.append(sum(scores) / len(scores))
    assert ceiling["rouge_l"].value == pytest.approx(sum(per_case) / 2)
    assert ceiling["rouge_l"].n == 2


def test_the_corpus_figure_is_sacrebleus_over_all_left_out_references() -> None:
    outputs = [text for texts in TEXTS[:2] for text in texts]
    left = [[other for other in texts if other != text] for texts in TEXTS[:2] for text in texts]
    streams = [[texts[0] for texts in left], [texts[1] if len(texts) > 1 else None for texts in left]]
    expected = CHRF(word_order=2).corpus_score(outputs, streams).score  # type: ignore[arg-type]  # None: no such reference
    found = reference_ceiling(SUITE, CASES)["chrf"]
    assert found.value == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= expected <= found.high


def test_metrics_that_hold_for_references_by_construction_are_left_out() -> None:
    ceiling = reference_ceiling(SUITE, CASES)
    assert "forbidden_clear" not in ceiling
    # The first reference has the word that the fact asks for; the second, which alone counts, has not.
    assert ceiling["fact_coverage"].value == 0.0
    assert ceiling["fact_coverage"].n == 1


def test_without_a_second_reference_there_is_no_ceiling() -> None:
    assert reference_ceiling(SUITE, CASES[2:]) == {}


def answered(number: int, text: str) -> CaseResult:
    result = TaskResult(output=text, arm="primary", model="m", answered_by="m", latency_ms=1.0)
    scores = {"grounded": Score(value=0.0, findings=("made up",)), "rouge_l": Score(value=0.99)}
    return CaseResult(case_id=f"case-{number}", arm="primary", repeat=0, result=result, live=True, scores=scores)


def test_a_pair_that_answers_with_a_reference_is_scored_against_one_reference_fewer() -> None:
    results = [answered(number, texts[0]) for number, texts in enumerate(TEXTS)]
    found = pairs_like_for_like(SUITE, CASES, {"p": results})["p"]
    copies = [
        [rouge_l(texts[0], texts[:place] + texts[place + 1 :]) for place in range(len(texts))] for texts in TEXTS[:2]
    ]
    assert found["rouge_l"].value == pytest.approx(sum(sum(each) / len(each) for each in copies) / 2)
    assert found["rouge_l"].value < 0.99  # the stored score, against all references, is not taken over
    assert found["grounded"].value == 0.0  # that of a scorer which reads no reference is
    assert found["grounded"].n == 2


def test_an_answer_that_failed_is_left_out_of_the_comparison() -> None:
    failed = replace(answered(0, "x"), result=replace(answered(0, "x").result, output=None))
    found = pairs_like_for_like(SUITE, CASES, {"p": [failed, answered(1, "A meter was put in.")]})["p"]
    assert found["rouge_l"].n == 1


def test_a_ceiling_is_kept_for_its_suite_and_data_and_a_cut_off_one_is_made_again(tmp_path, monkeypatch):
    cases = [make_case(number, texts) for number, texts in enumerate(TEXTS)]
    made = []

    def counted(suite, given):
        made.append(suite.digest)
        return reference_ceiling(suite, given)

    monkeypatch.setattr("eval.run.ceiling.reference_ceiling", counted)
    first = kept_ceiling(tmp_path, SUITE, "data", cases)
    assert kept_ceiling(tmp_path, SUITE, "data", cases) == first == reference_ceiling(SUITE, cases)
    assert len(made) == 1
    kept_ceiling(tmp_path, SUITE, "other data", cases)
    kept_ceiling(tmp_path, replace(SUITE, max_unscored_rate=0.1), "data", cases)
    assert len(made) == 3
    for path in tmp_path.iterdir():
        path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    assert kept_ceiling(tmp_path, SUITE, "data", cases) == first
    assert len(made) == 4
