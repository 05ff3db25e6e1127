"""How a code gate's outcome is worded: the figure that got worse is named, the scorers' change too."""

from dataclasses import replace

import pytest

from eval.codegate.judging import ChangedAnswer, CodeFigure, CodeJudgement, PartResult
from eval.codegate.run import CodeOutcome, _moved
from eval.codegate.words import comment, headline, lines
from eval.spine.results import Verdict


def figure(metric="fact_coverage", verdict=Verdict.FAIL, low=-0.3, high=-0.2):
    return CodeFigure(
        part="answers", metric=metric, before=0.75, after=0.5, change=-0.25, low=low, high=high, margin=0.04, n=200,
        relative=False, verdict=verdict,
    )  # fmt: skip


def outcome(*figures, compared=200, **changes):
    part = PartResult(part="answers", compared=compared, different=9, examples=("gate-01",), figures=figures)
    judgement = CodeJudgement(task="summarize", pair="extractive", parts=(part,), left_out=2)
    fields = {
        "task": "summarize",
        "pair": "extractive",
        "chosen": "the floor",
        "base": "b" * 40,
        "judgement": judgement,
    }
    return CodeOutcome(**fields | changes)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((Verdict.PASS, Verdict.PASS), Verdict.PASS),
        ((Verdict.PASS, Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        ((Verdict.INCONCLUSIVE, Verdict.FAIL), Verdict.FAIL),
    ],
)
def test_the_worst_figure_decides(verdicts, expected):
    assert outcome(*(figure(verdict=verdict) for verdict in verdicts)).verdict is expected


def test_nothing_compared_and_code_that_cannot_answer_are_no_pass():
    assert outcome(compared=0).verdict is Verdict.FAIL
    whole = outcome().judgement
    shown = PartResult(part="planted faults shown", compared=0, different=0, examples=(), figures=())
    partly = outcome(judgement=replace(whole, parts=(*whole.parts, shown)))
    assert partly.verdict is Verdict.FAIL
    assert headline(partly).endswith("FAIL, no case of planted faults shown could be compared with bbbbbbbbbbbb")
    broken = outcome(judgement=None, problem="this code cannot answer the cases: boom")
    assert broken.verdict is Verdict.FAIL
    assert headline(broken) == "summarize: extractive on this code: FAIL, this code cannot answer the cases: boom"


def test_what_got_worse_is_named_with_its_interval():
    found = outcome(figure(), figure("plain", Verdict.INCONCLUSIVE), figure("english", Verdict.PASS))
    assert headline(found) == (
        "summarize: extractive on this code: FAIL, worse than on bbbbbbbbbbbb: fact_coverage of answers 0.75 → 0.5 "
        "(-0.25 [-0.3, -0.2])"
    )
    said = lines(found)
    assert "    cannot be told: plain 0.75 → 0.5 (-0.25 [-0.3, -0.2]), may lose 0.04, n=200" in said
    assert not any("english" in line for line in said)
    assert said[-1] == "  2 cases left out: only one side asks them, or their inputs differ."
    text = comment(found)
    assert "| answers | 200 | 9 | english | 0.75 | 0.5 |" in text
    assert "The base's scorers judged both sides" in text


def test_a_scorer_that_reads_the_same_answers_otherwise_is_named():
    before = {"answers": {"plain": 1.0, "words": 90.0, "chrf": None}}
    moved = _moved(before, {"answers": {"plain": 0.5, "words": 90.0 + 1e-12, "chrf": None}})
    assert [item.metric for item in moved] == ["plain"]
    assert "says plain of answers 1 → 0.5. A person decides" in lines(outcome(moved=moved))[-1]


def test_answers_that_no_figure_tells_apart_are_put_before_a_person():
    changed = ChangedAnswer(case_id="gate-01", base="The fee is <b>open</b>.", branch="The fee | is resolved.")
    part = replace(outcome().judgement.parts[0], unread=7, changed=(changed,))
    found = outcome(judgement=replace(outcome().judgement, parts=(part,)))
    assert (
        "9 of 200 answers differ, no figure is worse; 7 differ in words that no figure reads: look at them"
        in headline(found)
    )
    row = next(line for line in comment(found).splitlines() if line.startswith("| gate"))
    assert "resolved" in row
    assert "<b>" not in row
    assert row.count("|") - row.count("\\|") - row.count("&#124;") == 4


def test_other_answers_than_the_base_gives_name_what_nobody_looked_for():
    part = replace(outcome().judgement.parts[0], reworded=9, unread=7)
    found = outcome(judgement=replace(outcome().judgement, parts=(part,), unseen=("blame_moved", "tone")))
    assert found.needs_person
    assert "PASS for form and figures, 2 kinds unseen, 9 of 200 answers differ" in headline(found)
    assert "no judge looked at them for blame_moved, tone. A person reads them" in comment(found)
    shown = replace(part, part="planted faults shown")
    assert not outcome(judgement=replace(found.judgement, parts=(shown,))).needs_person
    assert not outcome(judgement=replace(found.judgement, unseen=())).needs_person
