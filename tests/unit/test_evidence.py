import pytest

from eval.evidence import refusals
from eval.tracking import Evidence

NOW = {
    "pair_name": "p",
    "pair_digest": "pair" * 16,
    "dataset_digest": "data" * 16,
    "dataset_name": "dev",
    "suite_digest": "suit" * 16,
    "production_digest": None,
    "environment": "local",
}


def evidence(**changes):
    fields = {
        "mlflow_run_id": "r1",
        "evaluation_id": "e1",
        "pair_name": "p",
        "pair_digest": "pair" * 16,
        "dataset_name": "dev",
        "dataset_digest": "data" * 16,
        "suite_digest": "suit" * 16,
        "baseline_digest": "none",
        "verdict": "pass",
        "environment": "local",
        "at": "t",
    }
    return Evidence(**fields | changes)


def test_a_passing_gate_for_exactly_this_is_enough():
    assert refusals([evidence()], **NOW) == (evidence(), [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"pair_digest": "x" * 64},
            "the pair's file differs from what the gate saw (now pairpairpair, gate saw xxxxxxxxxxxx)",
        ),
        ({"dataset_digest": "x" * 64}, "dataset 'dev' differs"),
        ({"suite_digest": "x" * 64}, "the suite differs"),
        ({"baseline_digest": "x" * 64}, "the production pair differs"),
        ({"environment": "aws"}, "the environment differs"),
        ({"verdict": "inconclusive"}, "was 'inconclusive'; only a pass is promoted"),
        ({"verdict": "fail"}, "was 'fail'"),
    ],
)
def test_what_differs_is_named_with_the_remedy(change, reason):
    found, reasons = refusals([evidence(**change)], **NOW)
    assert found is None
    assert any(reason in line for line in reasons)
    assert "make eval PAIRS=p" in reasons[-1]


def test_never_evaluated():
    found, reasons = refusals([], **NOW)
    assert found is None
    assert "never evaluated" in reasons[0]


def test_an_older_pass_counts_when_it_saw_exactly_this():
    found, _ = refusals([evidence(pair_digest="x" * 64), evidence(mlflow_run_id="r0")], **NOW)
    assert found is not None
    assert found.mlflow_run_id == "r0"


def test_the_nearest_evaluation_explains_the_refusal():
    far = evidence(pair_digest="x" * 64, dataset_digest="x" * 64, suite_digest="x" * 64)
    _, reasons = refusals([far, evidence(suite_digest="x" * 64)], **NOW)
    assert [line for line in reasons if "differs" in line] == [
        "the suite differs from what the gate saw (now suitsuitsuit, gate saw xxxxxxxxxxxx)"
    ]
