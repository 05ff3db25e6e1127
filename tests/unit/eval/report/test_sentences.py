"""A report lists sentences without support first, then those that nobody read, the most novel first."""

from types import SimpleNamespace

import pytest

from eval.report import sentences
from eval.report.sentences import sentence_lists, sentence_views
from eval.spine.accounts import ACCOUNTED, SentenceAccount
from eval.spine.results import CaseResult, Score

SENTENCES = (
    SentenceAccount(text="known", how="verbatim"),
    SentenceAccount(text="plain", novelty=0.1),
    SentenceAccount(text="read", reading="supported"),
    SentenceAccount(text="false", reading="unsupported", why="the document says otherwise"),
    SentenceAccount(text="novel", novelty=0.9),
)
ANSWER = CaseResult(
    case_id="a",
    arm="primary",
    repeat=0,
    result=None,
    live=True,
    scores={ACCOUNTED: Score(value=0.0, sentences=SENTENCES)},
)


def test_a_case_shows_every_sentence_the_unsupported_ones_first():
    assert [view.text for view in sentence_views(ANSWER)] == ["false", "plain", "novel", "read", "known"]


@pytest.mark.parametrize(("most", "texts", "more"), [(100, ["false", "novel", "plain"], 0), (2, ["false", "novel"], 1)])
def test_a_pair_lists_what_needs_reading_the_most_novel_first(monkeypatch, most, texts, more):
    monkeypatch.setattr(sentences, "results_of", lambda pair: [ANSWER])
    monkeypatch.setattr(sentences, "MOST_LISTED", most)
    counted = SimpleNamespace(sentences=SENTENCES, counts_text="5 sentences")
    pair = SimpleNamespace(pair_name="p", gate=SimpleNamespace(sentences=counted))
    (found,) = sentence_lists(SimpleNamespace(pairs=[pair]))
    assert [view.text for view in found.lines] == texts
    assert (found.more, found.lines[0].because) == (more, "the document says otherwise")
