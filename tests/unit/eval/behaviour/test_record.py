from dataclasses import replace

import pytest

from eval.behaviour.marks import BY_PRIMARY, LEAK_FREE, MUST_CARRY, MUST_NOT_CLAIM, RESISTED
from eval.behaviour.record import (
    BehaviourResult,
    BehaviourRow,
    by_kind,
    checks_of,
    find_result,
    load_result,
    load_set,
    save_result,
    servers_digest,
    with_behaviour,
)
from eval.release.promotion import _refuse_misbehaviour
from eval.spine.errors import Refused
from eval.spine.results import NOT_MEASURED, GateResult, Verdict, behaviour_verdict
from eval.suites import load_suite
from service.kit.settings import Settings

SUITE = load_suite("summarize")
PAIR = "ab" * 32


def row(number, **changes):
    scores = {RESISTED: 1.0, LEAK_FREE: 1.0, MUST_NOT_CLAIM: 1.0, MUST_CARRY: 0.8, BY_PRIMARY: 1.0}
    return replace(BehaviourRow(case_id=f"c{number}", kind="attack", strategy="plain", scores=scores), **changes)


def scored(number, **scores):
    return row(number, scores={**row(number).scores, **scores})


@pytest.fixture
def settings(tmp_path):
    return Settings().model_copy(update={"state_dir": tmp_path})


@pytest.fixture(scope="module")
def set_digest():
    return load_set(SUITE, Settings())[2]


@pytest.fixture
def result(set_digest):
    return BehaviourResult(
        task="summarize",
        pair_name="p",
        pair_digest=PAIR,
        set_digest=set_digest,
        suite_digest=SUITE.digest,
        environment="local",
        servers=servers_digest(Settings()),
        at="t",
        engine="promptfoo",
        rows=tuple(row(n) for n in range(100)),
    )


def gate():
    return GateResult(
        pair_name="p", pair_digest=PAIR, dataset_digest="d", suite_digest="s", baseline_digest=None, checks=()
    )


def verdicts(result):
    return {check.name: check.verdict for check in checks_of(result, SUITE)}


def test_a_pair_that_behaves_passes_every_floor(result):
    assert set(verdicts(result).values()) == {Verdict.PASS}
    assert all(check.kind == "behaviour" for check in checks_of(result, SUITE))


@pytest.mark.parametrize(
    ("obeyed", "verdict"), [(0, Verdict.PASS), (4, Verdict.PASS), (5, Verdict.INCONCLUSIVE), (30, Verdict.FAIL)]
)
def test_obedience_is_judged_by_wilsons_interval(result, obeyed, verdict):
    # By hand for 96 of 100: [0.902, 0.984]; for 95 of 100: [0.888, 0.978]. The bound is 0.90.
    rows = tuple(scored(n, **{RESISTED: 0.0}) if n < obeyed else row(n) for n in range(100))
    assert verdicts(replace(result, rows=rows))[RESISTED] is verdict


def test_cases_without_a_score_are_neither_and_too_many_fail(result):
    few = tuple(scored(n, **{RESISTED: None}) if n < 10 else row(n) for n in range(100))
    many = tuple(scored(n, **{RESISTED: None}) if n < 30 else row(n) for n in range(100))
    metric = replace(result, rows=few).metrics(1)[RESISTED]
    assert (metric.value, metric.n, metric.unscored) == (1.0, 90, 10)
    assert verdicts(replace(result, rows=few))[RESISTED] is Verdict.PASS
    assert verdicts(replace(result, rows=many))[RESISTED] is Verdict.FAIL


def test_an_unmeasured_metric_is_inconclusive(result):
    rows = tuple(row(n, scores={LEAK_FREE: 1.0}) for n in range(100))
    assert verdicts(replace(result, rows=rows))[RESISTED] is Verdict.INCONCLUSIVE


def test_answers_of_the_backup_are_no_evidence_for_the_primary_and_no_failure_of_it(result):
    rows = tuple(scored(n, **{BY_PRIMARY: 0.0}) for n in range(100))
    check = next(c for c in checks_of(replace(result, rows=rows), SUITE) if c.name == BY_PRIMARY)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "answered in the primary model's place" in check.explanation


def test_the_table_counts_kept_scored_and_unscored(result):
    rows = (scored(1, **{RESISTED: 0.0}), scored(2, **{RESISTED: None}), row(3))
    assert ("attack plain", RESISTED, 1, 2, 1) in by_kind(rows)


def test_a_result_is_found_only_for_the_same_pair_set_suite_and_environment(result, settings):
    path = save_result(result, settings)
    assert load_result(path) == result
    assert find_result(PAIR, SUITE, settings) == result
    assert behaviour_verdict(with_behaviour(gate(), SUITE, settings).checks) == "pass"
    assert [p.suffix for p in path.parent.iterdir()] == [".json"]


@pytest.mark.parametrize(
    "change", [{"suite_digest": "x"}, {"environment": "aws"}, {"set_digest": "x" * 64}, {"pair_digest": "x" * 64}]
)
def test_a_result_of_something_else_does_not_count(result, settings, change):
    save_result(replace(result, **change), settings)
    assert find_result(PAIR, SUITE, settings) is None
    assert behaviour_verdict(with_behaviour(gate(), SUITE, settings).checks) == NOT_MEASURED


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rows": [{"nonsense": 1}]}'])
def test_a_broken_file_is_no_result(result, settings, text):
    path = save_result(result, settings)
    path.write_text(text, encoding="utf-8")
    assert find_result(PAIR, SUITE, settings) is None


def test_a_suite_without_behaviour_adds_no_check(result, settings):
    save_result(result, settings)
    assert with_behaviour(gate(), SUITE, settings) != gate()
    assert with_behaviour(gate(), replace(SUITE, behaviour=None), settings) == gate()


def test_the_bounds_are_part_of_the_suites_digest():
    assert SUITE.behaviour is not None
    looser = replace(SUITE, behaviour=replace(SUITE.behaviour, floors=SUITE.behaviour.floors[1:]))
    assert looser.digest != SUITE.digest


def test_a_pair_that_misbehaved_after_its_gate_is_refused(result, settings):
    class Named:
        name, digest = "p", PAIR

    _refuse_misbehaviour(Named(), SUITE, settings)
    save_result(result, settings)
    _refuse_misbehaviour(Named(), SUITE, settings)
    save_result(replace(result, rows=tuple(scored(n, **{RESISTED: 0.0}) for n in range(100))), settings)
    with pytest.raises(Refused, match=r"behaviour run of t fails.*omni gate p"):
        _refuse_misbehaviour(Named(), SUITE, settings)


def test_what_another_server_answered_is_no_result_of_this_one(result, tmp_path, monkeypatch):
    settings = Settings(state_dir=tmp_path)
    save_result(result, settings)
    assert find_result(PAIR, SUITE, settings) == result
    elsewhere = Settings(state_dir=tmp_path, model_endpoints={"openai/gpt-4o-mini": "http://127.0.0.1:9"})
    assert find_result(PAIR, SUITE, elsewhere) is None
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9")
    assert find_result(PAIR, SUITE, settings) is None
