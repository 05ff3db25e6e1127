"""What a suite demands of a run, and what its digest covers."""

import re
from dataclasses import replace

import pytest

from eval.evaluation.evaluate import Options, _open_judges
from eval.spine.suite import METRIC_KINDS, Floor, MetricSpec, NoWorse
from eval.suites import load_suite
from eval.verdict.kinds import KINDS
from figures.metric import Unit
from service.core.unit.cards import ModelCards
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

SUITE = load_suite("summarize")


@pytest.mark.parametrize(("asked", "made"), [(None, 4), (4, 4), (5, 5)])
def test_a_run_makes_the_repeats_asked_for_and_those_needed_by_default(asked, made):
    assert replace(SUITE, least_repeats=4).repeats(asked) == made


def test_too_few_repeats_are_refused_with_the_remedy():
    with pytest.raises(ConfigurationError, match=r"--repeats 3 is too few for task 'summarize'.* use --repeats 4"):
        replace(SUITE, least_repeats=4).repeats(3)
    assert (SUITE.repeats(None), SUITE.repeats(1)) == (1, 1)


def test_the_digest_knows_how_many_repeats_are_needed():
    assert replace(SUITE, least_repeats=4).digest != SUITE.digest == replace(SUITE, least_repeats=1).digest


def test_a_suite_without_the_pool_of_a_metric_is_refused_before_any_call():
    turns = MetricSpec(name="turns", kind="pooled", score="turns", unit=Unit.COUNT)
    with pytest.raises(ConfigurationError, match=r"metric 'turns' .* needs the pool 'turns': add it to .*`pools`"):
        replace(SUITE, metrics=(*SUITE.metrics, turns))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"floors": SUITE.floors[0]}, "floors of task 'summarize' is no tuple: one alone needs a comma"),
        ({"judged_only": ("a promise",)}, "judged_only of task 'summarize': write each kind as JudgedKind"),
    ],
)
def test_what_a_suites_author_gets_wrong_is_named(part, said):
    with pytest.raises(ConfigurationError, match=said):
        replace(SUITE, **part)


@pytest.mark.parametrize(
    "text", ["SUITE = Suite()", "import no_such_thing", "from eval.spine.suite import Suite; Suite()"]
)
def test_a_suite_that_cannot_be_read_is_named_with_its_file(tmp_path, monkeypatch, text):
    (tmp_path / "broken.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr("eval.suites.__path__", [str(tmp_path)])
    with pytest.raises(ConfigurationError, match=r"eval/suites/broken cannot be read: [A-Z][A-Za-z]+Error: "):
        load_suite("broken")


@pytest.mark.parametrize("part", ["judges", "behaviour"])
def test_a_suite_of_conversations_refuses_what_reads_single_answers(part):
    episodes, answers = load_suite("assistant"), load_suite("summarize")
    said = "only readers of sentences and judges of conversations can be asked, and behaviour checks read single"
    with pytest.raises(ConfigurationError, match=said):
        replace(episodes, **{part: getattr(answers, part)})


def test_a_suite_of_single_answers_refuses_a_judge_of_conversations():
    with pytest.raises(ConfigurationError, match="task 'summarize' plays no conversations: leave its judges of"):
        replace(SUITE, judges=load_suite("assistant").judges)


def test_ragas_is_refused_for_conversations_before_any_call():
    options = Options(task="assistant", families=("ragas",))
    with pytest.raises(ConfigurationError, match="--with ragas: the cases of 'assistant' are conversations"):
        _open_judges(options, load_suite("assistant"), Settings(), ModelCards([]), [])


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            {"floors": (Floor(metric="gronded", bound=0.9, reason="r"),)},
            "has no metric 'gronded'; did you mean 'grounded'?",
        ),
        (
            {"no_worse": (NoWorse(metric="nothing_like_it", margin=0.1, reason="r"),)},
            "has no metric 'nothing_like_it'; it has: ",
        ),
        ({"table": ("blue",)}, "has no metric 'blue'; did you mean 'bleu'?"),
        ({"performance": {"approvalRate": "approvd"}}, "has no metric 'approvd'"),
        (
            {"metrics": (*SUITE.metrics, MetricSpec(name="slow", kind="latency", unit=Unit.MS))},
            "metric 'slow' of task 'summarize' counts more as better: give it higher_is_better=False",
        ),
        (
            {"metrics": (*SUITE.metrics, MetricSpec(name="sure", kind="answerd", unit=Unit.RATE))},
            "metric 'sure' of task 'summarize' is of kind 'answerd', which does not exist; did you mean 'answered'?",
        ),
        (
            {"metrics": (*SUITE.metrics, MetricSpec(name="sure", kind="mean", score="coverege", unit=Unit.RATE))},
            "metric 'sure' of task 'summarize' is made of the score 'coverege', which no scorer gives; did you mean",
        ),
        (
            {"scorers": (), "metrics": (MetricSpec(name="sure", kind="rate", score="loud", unit=Unit.RATE),)},
            "is made of the score 'loud', which no scorer gives; there is no scorer",
        ),
        (
            {
                "metrics": (
                    *SUITE.metrics,
                    MetricSpec(name="dear", kind="cost", score="hot", unit=Unit.USD, higher_is_better=False),
                )
            },
            "metric 'dear' of task 'summarize' is made of the cost 'hot', which does not exist; there are: cold, metered, warm",
        ),
        (
            {"floors": (), "slice_floors": (), "must_pass": ()},
            "the suite of task 'summarize' demands nothing of a first release: give it floors=(Floor(",
        ),
    ],
)
def test_a_bound_that_could_not_decide_is_refused_before_any_call(part, said):
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        replace(SUITE, **part).check_names()


def test_a_tasks_suite_is_looked_at_when_it_is_loaded(monkeypatch):
    floor = Floor(metric="gronded", bound=0.9, reason="r")
    monkeypatch.setattr("eval.suites.summarize.SUITE", replace(SUITE, floors=(floor,)))
    with pytest.raises(ConfigurationError, match="has no metric 'gronded'"):
        load_suite("summarize")


def test_the_kinds_that_a_suite_may_name_are_those_that_are_computed():
    assert tuple(KINDS) == METRIC_KINDS


def test_a_suite_with_a_bad_regular_expression_is_told_with_line_and_expression(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text('import re\nURGENT = re.compile("(now")\n', encoding="utf-8")
    monkeypatch.setattr("eval.suites.__path__", [str(tmp_path)])
    with pytest.raises(ConfigurationError) as told:
        load_suite("broken")
    assert str(told.value).startswith("eval/suites/broken cannot be read: error: missing ), unterminated subpattern")
    assert f"in the regular expression '(now' (raised at {tmp_path.name}/broken.py:2); mend it" in str(told.value)
