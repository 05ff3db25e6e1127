"""Who earns a licence on the real sets: a judge of recall 0.90 at 2% false alarms mostly, those that read nothing never."""

import pytest

from eval.judges.contrast_texts import open_contrasts
from eval.judges.licence import LEAST_EDITS, classes_by_kind
from eval.judges.licensing.chances import chance, chance_lines, refused_judges, try_licence
from eval.spine.judge_spec import HARM_CLASSES
from eval.suites import load_suite
from service.core.run.task import load_task
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

SUITE = load_suite("summarize")
CLASSES = classes_by_kind(SUITE)
SPEC = next(spec for spec in SUITE.judges if spec.rubric == "faithfulness")


@pytest.fixture(scope="module")
def written():
    return open_contrasts(load_task("summarize"), Settings(), dev_cases=40, gate_cases=200)


@pytest.fixture(scope="module")
def bench(written):
    return written.with_held("a" * 64, "2026-Q4")


def test_each_class_has_enough_edits_and_a_third_is_held(bench):
    for name in HARM_CLASSES:
        texts = [text for text in bench.texts if text.harm_class == name]
        assert len(texts) >= LEAST_EDITS, name
        assert 3 * sum(text.held for text in texts) >= len(texts), name


def test_held_edits_follow_from_the_judge_and_the_quarter(written, bench):
    again = written.with_held("a" * 64, "2027-Q1")
    other = written.with_held("b" * 64, "2026-Q4")
    held = [
        {text.text for text in one.texts if text.held and text.harm_class == "reversal"}
        for one in (bench, again, other)
    ]
    assert held[0] - held[1]
    assert held[0] - held[2]


def test_a_good_judge_earns_its_licence_in_four_tries_of_five(bench):
    assert chance(0.90, 0.02, bench.texts, SPEC, CLASSES, tries=100).whole >= 0.80
    assert chance(0.75, 0.02, bench.texts, SPEC, CLASSES, tries=20).whole == 0.0
    assert chance(0.95, 0.06, bench.texts, SPEC, CLASSES, tries=20).whole == 0.0


def test_judges_that_read_nothing_or_know_the_sets_by_heart_earn_nothing(bench):
    found = {name: try_licence(judge, bench.texts, SPEC, CLASSES) for name, judge in refused_judges(bench).items()}
    assert len(found) == 6
    assert {name: granted.licensed for name, granted in found.items()} == dict.fromkeys(found, ())


def test_a_judge_without_errors_earns_everything(bench):
    granted = try_licence(lambda text: text.label == "wrong", bench.texts, SPEC, CLASSES)
    assert granted.whole
    assert granted.licensed == SPEC.kinds


def test_a_judge_without_a_licence_to_draw_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"'assistant' has no judge 'claims' .* judges: reader, conduct"):
        chance_lines("assistant", Settings(), "claims")
