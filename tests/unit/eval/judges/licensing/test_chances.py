"""Who earns a licence on the real sets: a judge of recall 0.90 at 2% false alarms mostly, those that read nothing never."""

import pytest

from eval.judges.contrast_texts import open_contrasts
from eval.judges.licence import LEAST_EDITS, classes_by_kind
from eval.judges.licensing.chances import chance, chance_lines, refused_judges, try_licence
from eval.spine.judge_spec import CONDUCT
from eval.suites import load_suite
from service.core.run.task import load_task
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings


@pytest.fixture(
    scope="module",
    params=[("summarize", "faithfulness"), ("assistant", "conduct")],
    ids=" ".join,
)
def judge(request):
    """A judge's spec, the classes of its suite's kinds, and the sets that it is measured on."""
    task, rubric = request.param
    suite = load_suite(task)
    spec = next(spec for spec in suite.judges if spec.rubric == rubric)
    return spec, classes_by_kind(suite), open_contrasts(load_task(task), Settings(), dev_cases=40, gate_cases=200)


@pytest.fixture(scope="module")
def written(judge):
    return judge[2]


@pytest.fixture(scope="module")
def bench(written):
    return written.with_held("a" * 64, "2026-Q4")


def test_each_class_has_enough_edits_and_a_third_is_held(bench):
    for name in bench.editor.classes:
        texts = [text for text in bench.texts if text.harm_class == name]
        assert len(texts) >= LEAST_EDITS, name
        assert 3 * sum(text.held for text in texts) >= len(texts), name


def test_held_edits_follow_from_the_judge_and_the_quarter(written, bench):
    again = written.with_held("a" * 64, "2027-Q1")
    other = written.with_held("b" * 64, "2026-Q4")
    held = [
        {text.text for text in one.texts if text.held and text.harm_class in ("reversal", CONDUCT)}
        for one in (bench, again, other)
    ]
    assert held[0] - held[1]
    assert held[0] - held[2]


def test_a_good_judge_earns_its_licence_in_four_tries_of_five(judge, bench):
    spec, classes, _ = judge
    assert chance(0.90, 0.02, bench.texts, spec, classes, tries=100).whole >= 0.80
    assert chance(0.75, 0.02, bench.texts, spec, classes, tries=20).whole == 0.0
    assert chance(0.95, 0.06, bench.texts, spec, classes, tries=20).whole == 0.0


def test_judges_that_read_nothing_or_know_the_sets_by_heart_earn_nothing(judge, bench):
    spec, classes, _ = judge
    found = {name: try_licence(decides, bench.texts, spec, classes) for name, decides in refused_judges(bench).items()}
    assert len(found) == 6
    assert {name: granted.licensed for name, granted in found.items()} == dict.fromkeys(found, ())


def test_a_judge_without_errors_earns_everything(judge, bench):
    spec, classes, _ = judge
    granted = try_licence(lambda text: text.label == "wrong", bench.texts, spec, classes)
    assert granted.whole
    assert granted.licensed == spec.kinds


def test_a_judge_without_a_licence_to_draw_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"'assistant' has no judge 'claims' .* judges: reader, conduct"):
        chance_lines("assistant", Settings(), "claims")
