from builders import case_result

from eval.selftest.doses.judging import ScriptedJudge
from eval.spine.judge_spec import JudgeSpec
from service.kit.frame.errors import FailureCode

SPEC = JudgeSpec(rubric="claims", bad_kinds=(), reason="r", margin=0.05, yes_or_no=True)


def shares(judge, harm=None):
    answers = [case_result(n, f"text {n}") for n in range(3)]
    texts = [case_result(n % 3, f"text {n}") for n in range(900)]
    spoilt = {item.case_id: harm for item in answers} if harm else {}
    graded = judge.grade(texts, spoilt, SPEC)
    return sum(item.scores["judge_claims"].value == 0.0 for item in graded) / len(graded)


def test_it_objects_as_often_as_it_was_told():
    judge = ScriptedJudge(name="j", usual_recall=0.6, false_alarms=0.05, recall={"negation": 0.9})
    assert abs(shares(judge) - 0.05) < 0.03
    assert abs(shares(judge, "negation") - 0.9) < 0.05
    assert abs(shares(judge, "anything") - 0.6) < 0.06


def test_the_same_text_gets_the_same_grade():
    judge = ScriptedJudge(name="j", usual_recall=0.5, false_alarms=0.5)
    answers = [case_result(n, f"text {n}") for n in range(3)]
    assert judge.grade(answers, {}, SPEC) == judge.grade(answers, {}, SPEC)


def test_a_failed_answer_has_no_grade():
    (graded,) = ScriptedJudge(name="j", usual_recall=0.5, false_alarms=0.0).grade(
        [case_result(0, "", failure=FailureCode.DEADLINE)], {}, SPEC
    )
    assert graded.scores["judge_claims"].value is None
