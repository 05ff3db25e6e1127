"""Judges on contrast sets: objections by kind, clustered rates, the word baseline, the table, and the record on disk."""

import re
from dataclasses import replace

import pytest
from sklearn.metrics import roc_auc_score

from eval.judges.asking import JudgedScores
from eval.judges.baseline import edited_statement, flags_at, word_scores
from eval.judges.calibration import Calibration, load, records, save
from eval.judges.contrast_table import contrast_part, judge_table
from eval.judges.contrast_texts import ContrastBench
from eval.judges.contrasts import ContrastMeasure, clustered_rate, measure, objection, texts_of
from eval.labels.contrasts.sets import ContrastSets, MinimalEdit
from eval.spine.judge_spec import JudgeSpec
from eval.spine.results import Score
from figures.stats import rate_interval

SPEC = JudgeSpec(rubric="claims", bad_kinds=(), reason="r", yes_or_no=True, margin=0.07, kinds=("negation",))
CASES = {f"case-{number}": None for number in range(1, 31)}
GOOD = {name: f"The fee of {name} was waived on May 3. The customer was told." for name in CASES}


def edited(case_id, number, kind, before, after, *, wrong=True, kept=False):
    return MinimalEdit(
        id=f"{case_id}-{number}",
        case_id=case_id,
        kind=kind,
        wrong=wrong,
        kept=kept,
        before=before,
        after=after,
        good=GOOD[case_id],
        harm_class="reversal" if kind == "negation" and wrong else "",
    )


EDITS = tuple(
    edit
    for case_id in CASES
    for edit in (
        edited(case_id, 1, "negation", "was waived", "was never waived"),
        edited(case_id, 2, "mood_invented", "was told", "was furious", kept=True),
        edited(case_id, 3, "other_form", "May 3", "3 May", wrong=False),
    )
)
SETS = ContrastSets(good={"full": GOOD}, contrasts=EDITS, digest="d" * 64)
TEXTS = texts_of(SETS, CASES)


def judged(score_of):
    """Return scores by text, as from one judge that answers with ``score_of(text)``."""
    found = []
    for item in TEXTS:
        value = score_of(item)
        score = Score(value=value) if value is not None else Score(value=None, unscored="cannot say")
        found.append(JudgedScores(scores={SPEC.score: score}, by_judge=(score,), answered_by=frozenset({"m"})))
    return found


def test_the_texts_of_a_case_lie_together_with_their_labels():
    assert [(text.label, text.kind, text.kept) for text in TEXTS[:4]] == [
        ("good", "full", False),
        ("wrong", "negation", False),
        ("wrong", "mood_invented", True),
        ("right", "other_form", False),
    ]
    assert TEXTS[1].text == "The fee of case-1 was never waived on May 3. The customer was told."
    assert TEXTS[1].good == TEXTS[0].text


def test_kinds_are_counted_with_abstentions_beside():
    def score_of(text):
        number = int(text.case_id.split("-")[1])
        if text.kind == "negation":
            return None if number <= 5 else float(number <= 10)
        return 0.0 if (text.kind, number) == ("full", 1) else 1.0

    measured = measure(TEXTS, judged(score_of), SPEC)
    kinds, alarms, coverage = measured.kinds, measured.false_alarms, measured.coverage
    found = {(item.label, item.kind, item.kept): (item.n, item.flagged, item.abstained) for item in kinds}
    assert found == {
        ("wrong", "negation", False): (30, 20, 5),
        ("wrong", "mood_invented", True): (30, 0, 0),
        ("right", "other_form", False): (30, 0, 0),
        ("good", "full", False): (30, 1, 0),
    }
    assert (alarms.value, alarms.n) == (pytest.approx(0.5 / 30), 30)
    assert coverage.value == pytest.approx(1 - 5 / 120)


def test_texts_of_a_case_do_not_count_as_cases():
    apart = clustered_rate([(str(number), number < 2) for number in range(40)])
    together = clustered_rate([(str(number // 4), number < 4) for number in range(40)])
    assert apart.n == 40
    assert together.n == 10
    assert together.high > rate_interval(4, 40).high
    assert clustered_rate([]) is None


@pytest.mark.parametrize(
    ("value", "pairwise", "objects"),
    [
        (1.0, False, False),
        (0.0, False, True),
        (1 / 3, False, True),
        (2 / 3, False, False),
        (0.5, True, False),
        (0.0, True, True),
        (None, False, None),
    ],
)
def test_an_objection_is_a_grade_in_the_lower_half_or_a_lost_comparison(value, pairwise, objects):
    score = Score(value=value) if value is not None else Score(value=None, unscored="x")
    assert objection(score, replace(SPEC, pairwise=pairwise)) is objects


def test_a_pairwise_judge_says_nothing_about_a_good_answer_alone():
    found = measure(TEXTS, judged(lambda text: 0.5), replace(SPEC, pairwise=True))
    assert {item.label for item in found.kinds} == {"wrong", "right"}
    assert found.false_alarms.value == 0.0


def test_the_edits_of_a_class_are_one_measure_over_their_cases():
    def score_of(text):
        return float(text.kind != "negation" or text.case_id == "case-1")

    found = measure(TEXTS, judged(score_of), SPEC)
    (one,) = found.classes
    assert (one.name, one.n, one.held, one.recall.n) == ("reversal", 30, 0, 30)
    assert one.recall.value == pytest.approx(29 / 30)


def test_agreement_of_two_judges_is_counted_by_kind():
    yes, no = Score(value=1.0), Score(value=0.0)
    found = []
    for number, _ in enumerate(TEXTS):
        both = (yes, no) if number % 4 == 1 and number < 40 else (no, no)
        found.append(JudgedScores(scores={SPEC.score: both[0]}, by_judge=both, answered_by=frozenset()))
    assert {item.kind: item.agreed for item in measure(TEXTS, found, SPEC).kinds} == {
        "negation": 20,
        "mood_invented": 30,
        "other_form": 30,
        "full": 30,
    }


@pytest.mark.parametrize(
    ("before", "after", "statement"),
    [
        ("waived", "kept", "The fee of case-1 was kept on May 3."),
        ("was told", "left", "The customer left."),
        (" The customer was told.", "", "The fee of case-1 was waived on May 3."),
        ("3. The customer was", "4. He was", "The fee of case-1 was waived on May 4. He was told."),
    ],
)
def test_the_edited_statement_is_every_sentence_that_the_edit_touches(before, after, statement):
    assert edited_statement(edited("case-1", 1, "negation", before, after)) == statement


def test_words_that_give_the_label_away_are_measured():
    found = word_scores(EDITS)
    assert found.auc.value > 0.95
    scores = [found.scores[item.id] for item in EDITS]
    assert found.auc.value == pytest.approx(roc_auc_score([item.wrong for item in EDITS], scores))
    flags = flags_at(found, EDITS, 0.0)
    assert not any(flags[item.id] for item in EDITS if not item.wrong)
    assert all(flags[item.id] for item in EDITS if item.wrong)


def test_words_that_say_nothing_are_at_chance():
    same = tuple(
        edited(case_id, number, "negation", "was told", "was told so", wrong=number == 1)
        for case_id in CASES
        for number in (1, 2)
    )
    found = word_scores(same)
    assert found.auc.low <= 0.5 <= found.auc.high
    assert sum(flags_at(found, same, 0.1).values()) <= 6


def test_too_few_cases_have_no_word_baseline():
    assert word_scores(EDITS[:12]) is None
    assert word_scores([item for item in EDITS if item.wrong]) is None


def measured():
    figures = measure(TEXTS, judged(lambda text: float(text.kind != "negation")), SPEC)
    bench = ContrastBench(
        sets=SETS,
        texts=tuple(TEXTS),
        sources=GOOD,
        cases={"dev": 30},
        words=word_scores(EDITS),
        by_code=lambda text: text.kind == "full",
        unread=lambda text: (),
    )
    found = ContrastMeasure(
        set_digest=SETS.digest,
        claims_digest=None,
        max_undecided=0.2,
        cases={"dev": 30},
        kinds=bench.with_baselines(figures.kinds, 0.0),
        false_alarms=figures.false_alarms,
        coverage=figures.coverage,
        classes=figures.classes,
        words_auc=bench.words.auc,
    )
    return bench, found


def record(found):
    return Calibration(
        judge_digest="a" * 64,
        rubric="claims",
        model="m",
        answered_by="m",
        environment="aws",
        date="2026-11-22T00:00:00+00:00",
        repeats=1,
        contrasts=found,
    )


def test_the_table_shows_a_judge_beside_words_and_detectors_kept_kinds_marked():
    lines = judge_table("claims", measured()[1])
    assert lines[0] == "| | n | claims | words at the same rate | detectors |"
    assert [re.split(r" \| ", line.strip("| "))[:2] for line in lines[2:]] == [
        ["negation", "30"],
        ["mood_invented (kept)", "30"],
        ["right: other_form", "30"],
        ["good: full", "30"],
    ]
    assert lines[2] == ("| negation | 30 | 1.00 [0.89, 1.00] | 1.00 [0.89, 1.00] | 0.00 [0.00, 0.11] |")
    assert lines[-1] == "| good: full | 30 | 0.00 [0.00, 0.11] | – | 1.00 [0.89, 1.00] |"


def test_the_card_names_the_judge_the_cases_and_the_digest():
    bench, found = measured()
    text = "\n".join(contrast_part(bench, [record(found)]))
    assert "| | n | detectors | words at 5% false alarms | claims (m) |" in text
    assert "Judge claims (m, 2026-11-22, cases: 30 of dev): false alarms 0.00 [0.00, 0.11] over 30 cases" in text
    assert "sha256 dddddddddddd." in text


def test_a_record_keeps_the_contrasts(tmp_path):
    kept = record(measured()[1])
    save(kept, tmp_path)
    assert load(tmp_path, kept.judge_digest) == kept
    assert records(tmp_path) == [kept]
    path = save(record(None), tmp_path)
    assert load(tmp_path, kept.judge_digest).contrasts is None
    path.write_text(path.read_text(encoding="utf-8").replace('"contrasts": null', '"contrasts": {"cases": 3}'))
    assert records(tmp_path) == []
