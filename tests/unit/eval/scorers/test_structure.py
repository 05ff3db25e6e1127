"""Shape of an output: words, band, whole last sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from eval.scorers.structure import StructureScorer
from eval.spine.cases import Case
from eval.spine.results import Score
from eval.spine.scorer import ScorerContext
from service.core.run.task import TaskResult


class _Inputs(BaseModel):
    pass


def _scores(output: str, *, low: int = 3, high: int = 6) -> dict[str, Score]:
    context = ScorerContext(
        case=Case(id="c-1", inputs={}),
        inputs=_Inputs(),
        result=TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0),
        output=output,
    )
    return StructureScorer(min_words=low, max_words=high).score(context)


@pytest.mark.parametrize(("count", "fits"), [(2, 0.0), (3, 1.0), (6, 1.0), (7, 0.0)])
def test_the_band_includes_both_ends(count: int, fits: float) -> None:
    scores = _scores(" ".join(["word"] * count))
    assert scores["words"].value == count
    assert scores["length_ok"].value == fits
    assert bool(scores["length_ok"].findings) == (fits == 0.0)


def test_an_empty_output_has_no_words_and_no_end() -> None:
    scores = _scores("")
    assert (scores["words"].value, scores["length_ok"].value, scores["whole"].value) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("low", "high"), [(5, 4), (-1, 4)])
def test_a_band_that_nothing_fits_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="word band"):
        StructureScorer(min_words=low, max_words=high)


@pytest.mark.parametrize(
    ("output", "whole"),
    [
        ("It is paid.", 1.0),
        ("Is it paid?  \n", 1.0),
        ('She said "paid."', 1.0),
        ("(All paid.)", 1.0),
        ("It is", 0.0),
        ("It is...", 0.0),
        ("It is…", 0.0),
        ("It is paid,", 0.0),
    ],
)
def test_whole_texts_end_as_sentences_do(output: str, whole: float) -> None:
    assert _scores(output)["whole"].value == whole


@given(st.text(max_size=200))
def test_any_text_gets_all_scores(output: str) -> None:
    scores = _scores(output)
    assert set(scores) == {"words", "length_ok", "whole"}
    assert all(scores[name].value in (0.0, 1.0) for name in ("length_ok", "whole"))
    assert scores["words"].value == len(output.split())
