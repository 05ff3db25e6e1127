"""BLEU, chrF++ and ROUGE-L: hand-worked values, and sacrebleu's own corpus scores on the same resamples."""

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from eval.scorers.corpus import CorpusMetric, corpus_signature
from eval.scorers.text import TextScorer, rouge_l, sentence_score
from eval.spine.cases import Case, Expectations
from eval.spine.results import Score
from eval.spine.scorer import ScorerContext
from service.core.run.task import TaskResult

OUTPUTS = (
    "Customer called twice about a $45 late fee.",
    "The crew came on Nov 3 and restored power.",
    "",
    "Refund RR-5530 is approved for $187.42 by Nov 18.",
    "fee",
    "Quiñones family waits for the county release ✓",
)
REFERENCES = (
    ("Customer called two times about the $45 late fee.", "A $45 late fee led to two calls."),
    ("Power was restored by the crew on Nov 3.",),
    ("No interactions found.",),
    (
        "Refund RR-5530 of $187.42 is approved, due Nov 18.",
        "Approved: $187.42 refund.",
        "RR-5530 is approved for $187.42.",
    ),
    ("The fee stands.",),
    ("The Quiñones family waits for the county to release service.",),
)
SINGLE = tuple(references[:1] for references in REFERENCES)


class _Inputs(BaseModel):
    pass


def _scores(output: str, references: tuple[str, ...]) -> dict[str, Score]:
    context = ScorerContext(
        case=Case(id="c-1", inputs={}, expectations=Expectations(references=references)),
        inputs=_Inputs(),
        result=TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0),
        output=output,
    )
    return TextScorer().score(context)


def _value(score: Score) -> float:
    assert score.value is not None
    return score.value


def _theirs(name: str, rows: Sequence[int], references: Sequence[Sequence[str]]) -> float:
    metric = BLEU() if name == "bleu" else CHRF(word_order=2)
    streams = [list(stream) for stream in zip_longest(*(references[row] for row in rows))]
    return float(metric.corpus_score([OUTPUTS[row] for row in rows], streams).score)


def test_sentence_bleu_by_hand() -> None:
    # "a b c d e" against "a b c d f": precisions 4/5, 3/4, 2/3, 1/2, equal lengths.
    expected = 100 * math.exp((math.log(4 / 5) + math.log(3 / 4) + math.log(2 / 3) + math.log(1 / 2)) / 4)
    assert _value(_scores("a b c d e", ("a b c d f",))["bleu"]) == pytest.approx(expected)


def test_sentence_bleu_of_a_short_text_uses_the_orders_it_has() -> None:
    # Two tokens have no 3-grams: precisions 2/2 and 1/1; brevity penalty exp(1 - 3/2).
    assert _value(_scores("a b", ("a b c",))["bleu"]) == pytest.approx(100 * math.exp(-0.5))


def test_chrf_by_hand() -> None:
    # "ab" against "ac": character 1-grams 1 of 2, 2-grams 0 of 1, words 0 of 1; no longer orders on both sides.
    # Mean precision and recall are (1/2 + 0 + 0) / 3 = 1/6 each, so F is 1/6 as well.
    assert _value(_scores("ab", ("ac",))["chrf"]) == pytest.approx(100 / 6)


def test_rouge_l_by_hand() -> None:
    # "customer", "about", "fee" in this order: 3 of 4 words here, 3 of 5 there.
    assert rouge_l("customer called about fee", ["Customer calls about the fee."]) == pytest.approx(2 * 3 / 9)


@pytest.mark.filterwarnings("ignore")
@given(st.text(alphabet="ab c.", max_size=40), st.text(alphabet="ab c.", max_size=40))
def test_rouge_l_is_googles(output: str, reference: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    theirs = RougeScorer(["rougeL"], use_stemmer=False).score(reference, output)["rougeL"].fmeasure
    assert rouge_l(output, [reference]) == pytest.approx(theirs)


def test_rouge_l_takes_the_best_reference() -> None:
    both = _scores("a b c", ("x y z", "a b c"))["rouge_l"]
    assert both.value == pytest.approx(1.0)


@pytest.mark.parametrize("references", [("one two three four",), ("one two three four", "five six")])
def test_identical_text_scores_full(references: tuple[str, ...]) -> None:
    scores = _scores("one two three four", references)
    assert [_value(scores[name]) for name in ("bleu", "chrf", "rouge_l")] == pytest.approx([100.0, 100.0, 1.0])


def test_empty_output_scores_zero_and_no_reference_is_unscored() -> None:
    assert {score.value for score in _scores("", ("one two",)).values()} == {0.0}
    assert {score.unscored for score in _scores("one", ()).values()} == {"the case has no references"}


def _drawn(index: object, cases: int = 6) -> np.ndarray:
    return np.array([np.bincount(row, minlength=cases) for row in np.asarray(index)], dtype=float)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
@pytest.mark.parametrize("references", [SINGLE, REFERENCES], ids=["single", "one to three"])
def test_resampled_corpus_scores_equal_sacrebleus(name: str, references: Sequence[Sequence[str]]) -> None:
    index = np.vstack([np.arange(6), np.random.default_rng(7).integers(0, 6, size=(40, 6))])
    ours = CorpusMetric(name, OUTPUTS, references).weighted_scores(_drawn(index))
    assert ours.shape == (41,)
    assert ours == pytest.approx([_theirs(name, row.tolist(), references) for row in index], abs=1e-9)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
@given(rows=st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=8))
@settings(max_examples=60)
def test_any_draw_equals_sacrebleus(name: str, rows: list[int]) -> None:
    ours = CorpusMetric(name, OUTPUTS, REFERENCES).weighted_scores(_drawn([rows]))
    assert ours[0] == pytest.approx(_theirs(name, rows, REFERENCES), abs=1e-9)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_a_draw_of_nothing_but_empty_outputs_scores_zero(name: str) -> None:
    metric = CorpusMetric(name, ["", ""], [["a b"], ["c"]])
    assert metric.weighted_scores(_drawn([[0, 1], [1, 1]], 2)).tolist() == [0.0, 0.0]


def test_order_of_cases_in_a_draw_is_irrelevant() -> None:
    metric = CorpusMetric("bleu", OUTPUTS, REFERENCES)
    forward, backward = metric.weighted_scores(_drawn([[0, 1, 3, 3], [3, 3, 1, 0]]))
    assert forward == backward


def test_repeats_of_a_case_are_one_case_with_their_mean_statistics() -> None:
    texts = [OUTPUTS[0], OUTPUTS[1], OUTPUTS[0], OUTPUTS[1]]
    twice = CorpusMetric("bleu", texts, [SINGLE[0], SINGLE[1]] * 2, ["a", "b", "a", "b"])
    once = CorpusMetric("bleu", OUTPUTS[:2], SINGLE[:2])
    assert twice.statistics == pytest.approx(once.statistics)


def test_signatures_are_sacrebleus() -> None:
    bleu, chrf = corpus_signature("bleu", SINGLE), corpus_signature("chrf", REFERENCES)
    assert bleu.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert chrf.startswith("nrefs:var|case:mixed|eff:yes|nc:6|nw:2|space:no|version:")


@pytest.mark.parametrize(
    ("name", "outputs", "references"),
    [("meteor", ["a"], [["a"]]), ("bleu", [], []), ("bleu", ["a"], []), ("chrf", ["a", "b"], [["a"], []])],
)
def test_what_cannot_be_scored_is_refused(name: str, outputs: list[str], references: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="corpus"):
        CorpusMetric(name, outputs, references)


@pytest.mark.parametrize("references", [SINGLE, REFERENCES], ids=["one reference", "several"])
def test_a_sentences_score_equals_sacrebleus_public_one(references: Sequence[Sequence[str]]) -> None:
    bleu, chrf = BLEU(effective_order=True), CHRF(word_order=2)
    for output, texts in zip([*OUTPUTS, ""], [*references, references[0]], strict=True):
        assert sentence_score("bleu", output, tuple(texts)) == bleu.sentence_score(output, list(texts)).score
        assert sentence_score("chrf", output, tuple(texts)) == chrf.sentence_score(output, list(texts)).score
