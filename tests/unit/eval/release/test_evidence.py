import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from builders import gate_attestation
from tiny_evaluation import bare_evaluation, bare_gate, bare_pair

from eval.release.evidence import PairEvidence, read_evidence, refusals
from eval.spine.results import Check, JudgeNote, Verdict
from eval.tracking.store import LoggedRun, table_text
from eval.verdict.attest import attest
from figures.metric import Metric, Unit
from service.kit.frame.canonical import sha256_hex

NOW = {
    "task_name": "t",
    "pair_name": "p",
    "pair_digest": "pair" * 16,
    "dataset_digest": "data" * 16,
    "dataset_name": "dev",
    "suite_digest": "suit" * 16,
    "production_digest": None,
    "environment": "local",
    "stage": "local",
    "now": datetime(2026, 11, 21, tzinfo=UTC),
}


def evidence(run="r1", **changes):
    return PairEvidence(
        mlflow_run_id=run, envelope="{}", attestation=gate_attestation(**{"checks": {"pass": 3}} | changes)
    )


def test_a_passing_gate_for_exactly_this_is_enough():
    assert refusals([evidence()], **NOW) == (evidence(), [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"pair_digest": "x" * 64},
            "the pair's file differs from the evaluated one (now pairpairpair, evaluated xxxxxxxxxxxx)",
        ),
        ({"dataset_digest": "x" * 64}, "dataset 'dev' differs"),
        ({"suite_digest": "x" * 64}, "the suite differs"),
        ({"baseline_digest": "x" * 64}, "the production pair differs"),
        ({"verdict": "inconclusive"}, "is 'inconclusive'; only a pass may be promoted"),
        ({"verdict": "fail"}, "is 'fail'"),
        ({"scope": "other"}, "did not use the suite's whole gate set"),
        (
            {"expires_at": datetime(2026, 11, 20, 23, tzinfo=UTC)},
            "the attestation of 2026-11-20T00:00:00+00:00 expired on 2026-11-20T23:00:00+00:00",
        ),
        ({"issued_at": datetime(2026, 11, 21, 0, 6, tzinfo=UTC)}, "is dated in the future: this machine's clock"),
    ],
)
def test_each_difference_is_named_with_the_remedy(change, reason):
    found, reasons = refusals([evidence(**change)], **NOW)
    assert found is None
    assert any(reason in line for line in reasons)
    assert "omni eval --pairs p --task t" in reasons[-1]


@pytest.mark.parametrize(
    ("made", "stage", "reason"),
    [
        ({"origins": ("stand-in",)}, "prod", "a stand-in answered (answered by "),
        ({"origins": ("provider", "stand-in")}, "dev", "a stand-in answered"),
        ({"environment": "local"}, "test", "it does not say what answered"),
        ({"origins": ("stand-in",)}, "local", None),
        ({"origins": ("code", "provider")}, "prod", None),
        ({"origins": ("endpoint",)}, "prod", None),
        ({"environment": "aws"}, "prod", None),
        ({"environment": "aws", "origins": ("provider",)}, "local", None),
    ],
)
def test_what_answered_decides_where_evidence_counts(made, stage, reason):
    found, reasons = refusals([evidence(**made)], **NOW | {"stage": stage})
    if reason is None:
        assert found == evidence(**made)
    else:
        assert found is None
        assert reason in reasons[0]
        assert "stage 'local' alone" in reasons[0]


def test_a_stand_ins_failure_does_not_outweigh_what_the_model_showed_before():
    shown = evidence("r1", origins=("provider",))
    later = evidence("r2", origins=("stand-in",), verdict="fail", issued_at=datetime(2026, 11, 20, 12, tzinfo=UTC))
    assert refusals([later, shown], **NOW | {"stage": "prod"})[0] == shown
    assert refusals([later, shown], **NOW)[0] is None


def test_never_evaluated():
    found, reasons = refusals([], **NOW)
    assert found is None
    assert "never evaluated" in reasons[0]


def test_an_older_pass_counts_when_it_saw_exactly_this():
    found, _ = refusals([evidence(pair_digest="x" * 64), evidence("r0")], **NOW)
    assert found is not None
    assert found.mlflow_run_id == "r0"


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_an_older_pass_does_not_outlive_a_newer_verdict_on_exactly_this(verdict):
    newer = evidence("r2", verdict=verdict, issued_at=datetime(2026, 11, 20, 12, tzinfo=UTC))
    for order in ([newer, evidence()], [evidence(), newer]):  # the order is MLflow's, the time is signed
        found, reasons = refusals(order, **NOW)
        assert found is None
        assert f"is '{verdict}'; only a pass may be promoted" in reasons[0]
    again = evidence("r3", issued_at=datetime(2026, 11, 20, 13, tzinfo=UTC))
    assert refusals([evidence(), newer, again], **NOW)[0] == again


def test_an_evaluation_of_production_itself_does_not_allow_a_promotion():
    # It was rolled back since: its own floors say nothing about the pair that it would replace.
    own = evidence(baseline_digest="pair" * 16)
    found, reasons = refusals([own], **NOW | {"production_digest": "prod" * 16})
    assert found is None
    assert "the production pair differs from the evaluated one" in reasons[0]


def test_the_nearest_evaluation_explains_the_refusal():
    far = evidence(pair_digest="x" * 64, dataset_digest="x" * 64, suite_digest="x" * 64)
    _, reasons = refusals([far, evidence(suite_digest="x" * 64)], **NOW)
    assert [line for line in reasons if "differs" in line] == [
        "the suite differs from the evaluated one (now suitsuitsuit, evaluated xxxxxxxxxxxx)"
    ]


def test_a_clock_a_little_ahead_is_forgiven():
    ahead = evidence(issued_at=datetime(2026, 11, 21, 0, 4, tzinfo=UTC))
    assert refusals([ahead], **NOW) == (ahead, [])


def test_an_evaluation_without_attestation_is_refused_with_the_reason():
    unproven = PairEvidence(
        mlflow_run_id="r", envelope="", attestation=None, problem="evaluation e1 has no attestation"
    )
    assert refusals([unproven], **NOW)[1][0] == "evaluation e1 has no attestation"
    assert refusals([unproven, evidence("r2")], **NOW)[0].mlflow_run_id == "r2"


def test_tags_of_a_run_are_no_evidence(notary):
    def record(attestation):
        return LoggedRun(mlflow_run_id="r", evaluation_id="e1", verdict="pass", attestation=attestation, at="t")

    attested = replace(evidence().attestation, verdict="fail")
    genuine = notary.sign(attested)
    forged = type(notary)().sign(replace(attested, verdict="pass"))
    found = read_evidence([record(genuine), record(None), record(forged), record('{"verdict": "pass"}')], notary.keys)
    assert found[0].attestation == attested
    assert [item.attestation for item in found[1:]] == [None, None, None]
    assert "no signing key was set" in found[1].problem
    assert "not by a key trusted" in found[2].problem
    assert "no signed statement" in found[3].problem


def test_a_runs_name_cannot_move_the_terminals_cursor(notary):
    record = LoggedRun(mlflow_run_id="r", evaluation_id="\x1b[2Kok", verdict="pass", attestation=None, at="t")
    (found,) = read_evidence([record], notary.keys)
    assert found.problem.startswith(r"evaluation \x1b[2Kok has no attestation")


def _evaluated(dataset_name="dev"):
    pair, evaluation = _parts(dataset_name)
    return _attested(evaluation, pair)


def _attested(evaluation, pair):
    now = datetime(2026, 11, 21, 12, 0, 0, 999, tzinfo=UTC)
    return attest(evaluation, pair, gate_dataset="dev", cases=table_text([{"a": 1.0}]), now=now, days=30)


def _parts(dataset_name="dev"):
    metric = Metric(
        name="bleu", unit=Unit.SCORE, higher_is_better=True, value=30.0, low=28.0, high=float("inf"), n=40, unscored=1
    )
    check = Check(
        kind="floor",
        metric=replace(metric, high=None),
        bound=20.0,
        verdict=Verdict.PASS,
        reason="r",
        explanation="e",
    )
    gate = bare_gate("p", pair_digest="p" * 64, dataset_digest="d" * 64, suite_digest="s" * 64, checks=(check,))
    pair = bare_pair(gate, metrics={"bleu": metric})
    evaluation = bare_evaluation(
        pair,
        run_id="e1",
        task="demo",
        dataset_name=dataset_name,
        dataset_digest="d" * 64,
        suite_digest="s" * 64,
        code_version="abc",
        case_count=40,
    )
    return pair, evaluation


def test_an_attestation_fixes_figures_cases_verdict_and_time():
    found = _evaluated()
    attestation = found.attestation
    assert (attestation.scope, attestation.verdict, attestation.checks) == (
        "gate",
        "pass",
        {"pass": 1, "fail": 0, "inconclusive": 0},
    )
    assert attestation.expires_at == datetime(2026, 12, 21, 12, tzinfo=UTC)
    assert attestation.cases_digest == sha256_hex('{"columns":["a"],"data":[[1]]}')
    assert attestation.figures_digest == sha256_hex(found.figures)
    figures = json.loads(found.figures)
    assert figures["metrics"]["bleu"] == {"value": 30, "low": 28, "high": None, "n": 40, "unscored": 1, "unit": "score"}
    assert [(check["metric"], check["verdict"]) for check in figures["checks"]] == [("bleu", "pass")]


@pytest.mark.parametrize("name", ["dev[39]", "tweetsumm"])
def test_a_part_of_the_set_or_another_set_is_attested_as_such(name):
    assert _evaluated(name).attestation.scope == "other"


@pytest.mark.parametrize("behaviour", ["not measured", "fail", "inconclusive"])
def test_where_behaviour_is_required_only_a_pass_is_promoted(behaviour):
    found, reasons = refusals([evidence(behaviour=behaviour)], **NOW, behaviour_required=True)
    assert found is None
    assert f"this evaluation's is '{behaviour}'" in reasons[0]
    assert "omni gate p --task t" in reasons[0]


def test_where_behaviour_is_required_a_pass_is_enough_and_elsewhere_nothing_is_asked():
    assert refusals([evidence(behaviour="pass")], **NOW, behaviour_required=True)[0] is not None
    assert refusals([evidence(behaviour="not measured")], **NOW)[0] is not None


def test_an_attestation_names_the_origins_of_all_answers_that_its_verdict_rests_on():
    pair, evaluation = _parts()
    judge = JudgeNote(
        rubric="r", digest="d", model="m", answered_by="a", status="s", gates=False, origins=("stand-in",)
    )
    production = replace(pair, pair_name="current", is_production=True, origins=("code",))
    pair = replace(pair, origins=("provider",))
    alone = replace(evaluation, pairs=(pair, production), judges=(judge,))
    compared = replace(pair, gate=replace(pair.gate, baseline_digest="c" * 64))
    gating = replace(alone, judges=(replace(judge, gates=True),))
    assert _attested(alone, pair).attestation.origins == ("provider",)
    assert _attested(alone, compared).attestation.origins == ("code", "provider")
    assert _attested(gating, compared).attestation.origins == ("code", "provider", "stand-in")
