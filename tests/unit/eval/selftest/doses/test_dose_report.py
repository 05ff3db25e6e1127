from dataclasses import replace

from eval.selftest.doses.judging import ScriptedJudge
from eval.selftest.doses.picture import dose_picture
from eval.selftest.doses.plan import PlantedKind
from eval.selftest.doses.report import dose_markdown, dose_rows, missed_bars
from eval.selftest.doses.trial import DoseResults, DoseTrial, EqualTrial
from eval.spine.results import Verdict

DOSES = (1.0, 0.25, 0.10, 0.05)
JUDGE = ScriptedJudge(name="sharp", usual_recall=0.9, false_alarms=0.01)
F, U, P = Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS


def kind(name, seen_by="code"):
    return PlantedKind(name=name, does=f"does {name}", seen_by=seen_by, harm=name, spoil=lambda text, case, draws: text)


def trials(name, verdicts, system="full", judge=""):
    return [
        DoseTrial(
            kind=name,
            system=system,
            dose=dose,
            judge=judge,
            verdict=verdict,
            changed=round(200 * dose),
            n=200,
            blamed=(),
        )
        for dose, verdict in zip(DOSES, verdicts, strict=True)
    ]


def results(*kinds, found, equal=(), judges=()):
    return DoseResults(
        trials=tuple(found),
        equal=tuple(equal),
        kinds=kinds,
        judges=judges,
        doses=DOSES,
        cases=200,
        licensable=frozenset("m"),
    )


def equal(verdicts, judge=""):
    return [
        EqualTrial(system="full", number=number, judge=judge, verdict=verdict, blamed=("floor x: fail",))
        for number, verdict in enumerate(verdicts)
    ]


def test_the_most_lenient_system_counts_and_the_smallest_dose_is_that_below_which_something_passes():
    found = trials("a", (F, F, U, P)) + trials("a", (F, U, P, P), system="terse")
    (row,) = dose_rows(results(kind("a"), found=found), "")
    assert row.verdicts == (F, U, P, P)
    assert row.smallest == 0.25
    assert row.changed == 200


def test_a_dose_that_is_seen_below_one_that_passes_does_not_count():
    (row,) = dose_rows(results(kind("a"), found=trials("a", (F, P, U, U))), "")
    assert row.smallest == 1.0


def test_a_visible_kind_that_passes_at_a_quarter_misses_a_bar_and_an_unseen_one_does_not():
    found = trials("a", (F, P, P, P)) + trials("m", (P, P, P, P))
    missed = missed_bars(results(kind("a"), kind("m", "judge"), found=found))
    assert [line for line in missed if line.startswith("a passes at 25%")]
    assert not any("m" in line.split()[0] for line in missed)
    page = dose_markdown(
        results(kind("a"), kind("m", "judge"), found=found), task="t", suite_digest="0" * 64, cases=200
    )
    assert "| m | does m | unseen | unseen | unseen | unseen | 200 | nobody looked |" in page


def test_with_a_judge_its_kinds_must_hold_the_bars_too():
    found = trials("m", (P, P, P, P)) + trials("m", (F, P, P, P), judge="sharp")
    missed = missed_bars(results(kind("m", "judge"), found=found, judges=(JUDGE,)))
    assert "m passes at 25% with judge sharp" in missed


def test_one_kind_in_ten_may_pass_at_ten_percent():
    kinds = [kind(f"k{n}") for n in range(10)]
    found = [trial for item in kinds[1:] for trial in trials(item.name, (F, F, U, P))]
    assert missed_bars(results(*kinds, found=found + trials("k0", (F, F, P, P)))) == []
    two = [trial for item in kinds[2:] for trial in trials(item.name, (F, F, U, P))]
    two += [trial for item in kinds[:2] for trial in trials(item.name, (F, F, P, P))]
    (line,) = missed_bars(results(*kinds, found=two))
    assert line == "2 of 10 kinds pass at 10%: k0, k1"


def test_equal_systems_must_pass_eight_times_in_ten_and_hardly_ever_fail():
    good = results(kind("a"), found=trials("a", (F, F, U, P)), equal=equal([P] * 8 + [U] * 2))
    assert missed_bars(good) == []
    shy = replace(good, equal=tuple(equal([P] * 7 + [U] * 3)))
    assert missed_bars(shy) == ["equal draws of full pass only 7 of 10 times"]
    harsh = replace(good, equal=tuple(equal([P] * 80 + [F] * 20)))
    assert any("fail 20 of 100 times" in line for line in missed_bars(harsh))


def test_the_picture_says_every_verdict_in_words():
    found = trials("a", (F, U, P, P)) + trials("m<", (P, P, P, P))
    picture = dose_picture(results(kind("a"), kind("m<", "judge"), found=found))
    for word in ("rejected", "undecided", "PASS", "unseen", "m&lt;"):
        assert word in picture


def test_a_judge_sees_only_what_it_can_be_licensed_for():
    found = trials("other", (P, P, P, P)) + trials("other", (F, F, F, F), judge="sharp")
    page = dose_markdown(
        results(kind("other", "judge"), found=found, judges=(JUDGE,)), task="t", suite_digest="0" * 64, cases=200
    )
    assert page.count("nobody looked") == 2


def test_a_dose_that_fewer_answers_can_have_is_left_out():
    found = [replace(trial, changed=min(trial.changed, 24)) for trial in trials("a", (P, P, U, P))]
    (row,) = dose_rows(results(kind("a"), found=found), "")
    assert row.verdicts == (None, None, U, P)
    assert row.smallest == 0.10
    assert missed_bars(results(kind("a"), found=found)) == []


def test_kinds_that_pass_are_counted_by_class_and_system():
    found = trials("a", (F, F, P, P)) + trials("a", (F, F, F, P), system="terse") + trials("b", (F, U, P, P))
    grouped = [replace(kind(name), group="figures") for name in ("a", "b")]
    page = dose_markdown(results(*grouped, found=found), task="t", suite_digest="0" * 64, cases=200)
    assert (
        "| code | figures | none | 2 | 0 of 2 / 0 of 2 / 2 of 2 / 2 of 2 | 0 of 1 / 0 of 1 / 0 of 1 / 1 of 1 |" in page
    )


def test_a_bare_pass_misses_a_bar():
    found = trials("a", (F, F, U, P))
    told = replace(found[-1], headline="pass for form and figures; 71% of sentences read by nobody")
    assert missed_bars(results(kind("a"), found=[*found[:-1], told])) == []
    bare = replace(told, headline="pass")
    assert missed_bars(results(kind("a"), found=[*found[:-1], bare])) == ["a reads a bare pass"]


def test_planted_sentences_that_code_accounts_for_miss_a_bar_above_two_percent():
    first, *rest = trials("a", (F, F, U, P))
    assert missed_bars(results(kind("a"), found=[replace(first, planted=200, accounted=4), *rest])) == []
    (line,) = missed_bars(results(kind("a"), found=[replace(first, planted=200, accounted=5), *rest]))
    assert line == "code accounts for 5 of 200 planted sentences, more than 2%"
