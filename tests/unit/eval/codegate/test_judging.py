"""An answer that the base gives and the branch does not counts against the branch, whatever the suite gates."""

from dataclasses import replace

import pytest
from throw_away import ThrowAway

from eval.codegate.answers import ANSWERS, AnsweredCase, SideAnswers
from eval.codegate.judging import judge_sides
from eval.run.loaders import load_gate
from eval.spine.results import Verdict
from eval.suites import load_suite
from service.core.run.task import TaskResult, load_task
from service.kit.frame.errors import FailureCode
from service.kit.settings import Settings

LATE = FailureCode.DEADLINE


@pytest.fixture
def settings(tmp_path):
    house = ThrowAway(tmp_path, "shout")
    yield Settings(root=tmp_path, state_dir=tmp_path / "state")
    house.remove()


@pytest.fixture
def base(settings):
    suite, task = load_suite("shout"), load_task("shout")
    cases = load_gate(suite, input_model=task.input_model, settings=settings).cases
    answers = [answer(case.id, case.inputs_digest, case.inputs["text"].upper()) for case in cases]
    return side(answers)


def answer(case_id, digest, output):
    result = TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0)
    return AnsweredCase(case_id=case_id, inputs_digest=digest, repeat=0, result=result)


def side(answers, asked=None):
    asked = answers if asked is None else asked
    return SideAnswers(
        task="shout",
        pair="loud",
        parts={ANSWERS: list(answers)},
        asked={ANSWERS: {item.case_id: item.inputs_digest for item in asked}},
    )


def failed(item):
    return replace(item, result=replace(item.result, output=None, failure=LATE))


def lost(judgement):
    return next((figure for part in judgement.parts for figure in part.figures if figure.metric == "answered"), None)


def test_the_same_answers_pass(base, settings):
    found = judge_sides(base, base, settings)
    assert (found.verdict, found.left_out, found.parts[0].compared) == (Verdict.PASS, 0, 40)


@pytest.mark.parametrize("how", ["failed", "missing"])
@pytest.mark.parametrize(("count", "verdict"), [(1, Verdict.INCONCLUSIVE), (10, Verdict.FAIL), (40, Verdict.FAIL)])
def test_answers_that_the_branch_loses_are_never_green(base, settings, how, count, verdict):
    whole = base.parts[ANSWERS]
    kept = [failed(item) for item in whole[:count]] if how == "failed" else []
    found = judge_sides(base, side([*kept, *whole[count:]], asked=whole), settings)
    figure = lost(found)
    assert (found.verdict, figure.verdict, figure.n, figure.before) == (verdict, verdict, 40, 1.0)
    assert figure.after == pytest.approx(1 - count / 40)
    assert (found.left_out, found.parts[0].compared, found.parts[0].different) == (0, 40, count)


def test_what_the_base_loses_too_is_not_held_against_the_branch(base, settings):
    whole = base.parts[ANSWERS]
    mostly = side([*map(failed, whole[:30]), *whole[30:]])
    assert judge_sides(mostly, side(whole[30:], asked=whole), settings).verdict is not Verdict.FAIL
    assert judge_sides(mostly, mostly, settings).verdict is Verdict.PASS


def test_a_case_that_the_branch_does_not_have_or_asks_otherwise_is_left_out(base, settings):
    whole = base.parts[ANSWERS]
    other = [replace(item, inputs_digest="other") for item in whole[:3]]
    found = judge_sides(base, side([*other, *whole[10:]]), settings)
    assert (found.verdict, found.parts[0].compared, found.left_out) == (Verdict.PASS, 30, 13)


def test_other_words_that_no_score_reads_are_counted_and_shown_to_a_person(base, settings):
    suite = load_suite("shout")
    words = "nothing of the kind was asked"
    suite_scorers = {score for scorer in suite.scorers for score in scorer.scores}
    assert suite_scorers  # else every change would be unread
    whole = base.parts[ANSWERS]
    first = [replace(item, result=replace(item.result, output=words)) for item in whole[:2]]
    same_scores = [replace(item, result=replace(item.result, output=f"{words}!")) for item in whole[:2]]
    before, after = side([*first, *whole[2:]]), side([*same_scores, *whole[2:]])
    part = judge_sides(before, after, settings).parts[0]
    assert (part.different, part.unread) == (2, 2)
    assert [(item.base, item.branch) for item in part.changed] == [(words, f"{words}!")] * 2
    seen = judge_sides(base, side([*first, *whole[2:]]), settings).parts[0]
    assert (seen.different, seen.unread) == (2, 0)


def test_a_sentence_that_nothing_accounts_for_is_put_before_a_person():
    task, here = load_task("summarize"), Settings()
    case = load_gate(load_suite("summarize"), input_model=task.input_model, settings=here).cases[0]
    said = case.inputs["interactions"][0]["text"].split(". ")[0]

    def side_of(output):
        answers = [answer(case.id, case.inputs_digest, output)]
        return SideAnswers(task="summarize", pair="extractive", parts={ANSWERS: answers})

    found = judge_sides(side_of(f"{said}."), side_of(f"{said}. Every complaint was resolved in Lisbon."), here)
    assert (found.parts[0].reworded, found.parts[0].unread, found.needs_person) == (1, 1, True)
