"""Judges over the real wire: one that knows the labels is measured; coin-flipping and talking ones get no licence."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from eval.evaluation.evaluate import Options, evaluate
from eval.judges.calibrate import CalibrateOptions, calibrate
from eval.judges.calibration import load
from eval.judges.labelled_rows import CALIBRATION_SET
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.local.process import LocalBedrock
from service.local.scripted_model import SCRIPTED_MODEL_ID

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
ROWS = [
    json.loads(line)
    for line in (ROOT / "datasets/summarize/judge_calibration.jsonl").read_text(encoding="utf-8").splitlines()
]


def answer(grade):
    return {"evidence": ["a quote"], "reasons": "scripted", "grade": grade}


PERFECT = [
    {"contains": [row["summary"]], "answers": [answer("yes" if row["label"] == "good" else "no")]} for row in ROWS
] + [{"contains": [], "answers": [answer("yes")]}]
COIN = [{"contains": [], "answers": [answer("yes"), answer("no")]}]
PROSE = [{"contains": [], "answers": ["I think that this summary is quite good."]}]


@pytest.fixture
def root(tmp_path):
    """A root of its own whose cards know the scripted model."""
    shutil.copytree(ROOT / "prompts", tmp_path / "prompts")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "summarize").symlink_to(ROOT / "datasets" / "summarize")
    cards = tmp_path / "prompts" / "models.yaml"
    raw = yaml.safe_load(cards.read_text(encoding="utf-8"))
    echo = next(card for card in raw["models"] if card["id"] == "local.echo-v1")
    raw["models"].append(echo | {"id": SCRIPTED_MODEL_ID, "short_name": "scripted"})
    # Through JSON: the same object twice would become a YAML alias, which cards may not hold.
    cards.write_text(yaml.safe_dump(json.loads(json.dumps(raw, default=str))), encoding="utf-8")
    return tmp_path


@pytest.fixture
def scripted(root, request):
    """Settings whose Bedrock answers ``local.scripted-v1`` as a script says."""
    script = root / "script.jsonl"
    script.write_text("\n".join(json.dumps(rule) for rule in request.param), encoding="utf-8")
    arguments = ("--models", f"{SCRIPTED_MODEL_ID},local.echo-v1", "--script", str(script))
    with LocalBedrock(arguments) as bedrock:
        yield Settings(
            root=root,
            state_dir=root / "state",
            registry_uri=f"sqlite:///{root}/mlflow.db",
            bedrock_endpoint=bedrock.url,
            public_data_dir=root / "none",
        )


def measure(settings, said, *, repeats=2, sets=("own", "public")):
    options = CalibrateOptions(
        task="summarize",
        rubrics=("faithfulness",),
        model=SCRIPTED_MODEL_ID,
        repeats=repeats,
        sets=sets,
        concurrency=16,
        dev_cases=10,
        gate_cases=0,
    )
    (report,) = calibrate(options, settings, said.append)
    return report


@pytest.mark.parametrize("scripted", [PERFECT], indirect=True, ids=["perfect"])
def test_a_judge_that_knows_the_labels_agrees_fully_and_gates_only_with_a_licence(scripted):
    said = []
    report = measure(scripted, said)

    own = report.record.sets[0]
    assert (own.set_name, own.n, own.bad_rows, own.unscored) == (CALIBRATION_SET, 144, 64, 0)
    assert (own.kappa.value, own.self_agreement.value) == (1.0, 1.0)
    assert own.flagged["good"] == (0, 80)
    assert own.flagged["swapped_amount"] == (8, 8)
    assert report.shortfall.startswith("not measured on the contrast sets; run ")
    assert report.record.answered_by == "scripted"
    assert load(scripted.state_dir, report.record.judge_digest) == report.record
    assert any("consistency_sales_email left out" in line for line in said)

    options = Options(task="summarize", pairs=("extractive",), case_count=8, judge_model=SCRIPTED_MODEL_ID)
    evaluation = evaluate(options, scripted).evaluation
    (pair,) = evaluation.pairs
    faithfulness = next(note for note in evaluation.judges if note.rubric == "faithfulness")
    assert not faithfulness.gates
    assert faithfulness.status.startswith("no licence, shown only: not measured on the contrast sets")
    assert faithfulness.digest == report.record.judge_digest
    assert not [check for check in pair.gate.checks if check.name.startswith("judge_")]
    assert pair.metrics["judge_faithfulness"].n == 8
    coverage = next(note for note in evaluation.judges if note.rubric == "coverage")
    assert not coverage.gates
    assert "never measured" in coverage.status


@pytest.mark.parametrize("scripted", [COIN], indirect=True, ids=["coin"])
def test_a_coin_flipping_judge_is_refused_and_does_not_gate(scripted):
    report = measure(scripted, [], sets=("own", "contrasts"))
    assert report.shortfall.startswith("false alarms 0.")
    assert report.record.sets[0].kappa.high < 0.5
    assert report.record.contrasts.cases == {"dev": 10, "gate": 0}
    assert 0.3 < report.record.contrasts.false_alarms.value < 0.7

    options = Options(task="summarize", pairs=("extractive",), case_count=8, judge_model=SCRIPTED_MODEL_ID)
    evaluation = evaluate(options, scripted).evaluation
    faithfulness = next(note for note in evaluation.judges if note.rubric == "faithfulness")
    assert "no licence, shown only: false alarms 0." in faithfulness.status
    (pair,) = evaluation.pairs
    assert pair.metrics["judge_faithfulness"].value is not None
    assert not [check for check in pair.gate.checks if check.name.startswith("judge_")]


@pytest.mark.parametrize("scripted", [PROSE], indirect=True, ids=["prose"])
def test_prose_is_unscored_and_counted_never_zero(scripted):
    report = measure(scripted, [], repeats=1, sets=("own", "contrasts"))
    own = report.record.sets[0]
    assert own.unscored == own.n == 144
    assert own.kappa is None
    assert report.shortfall.startswith("it decides only 0.00")
    ((reason, count),) = report.failures
    assert reason == "the judge gave prose without a grade"
    assert count == report.calls > 160


@pytest.mark.parametrize("scripted", [PERFECT], indirect=True, ids=["perfect"])
def test_a_second_measurement_is_answered_from_the_cache(scripted):
    first = measure(scripted, [], repeats=1)
    gone = scripted.model_copy(update={"bedrock_endpoint": "http://127.0.0.1:9"})  # nothing listens there
    again = measure(gone, [], repeats=1)
    assert again.record.sets == first.record.sets


@pytest.mark.parametrize("scripted", [COIN], indirect=True, ids=["coin"])
def test_what_a_calibration_does_not_ask_stays_as_it_was_measured(scripted):
    first = measure(scripted, [], repeats=1)
    both = measure(scripted, [], repeats=1, sets=("contrasts",))
    assert both.record.sets == first.record.sets
    assert both.record.contrasts is not None
    assert measure(scripted, [], repeats=1).record.contrasts == both.record.contrasts


@pytest.mark.parametrize("scripted", [PERFECT], indirect=True, ids=["perfect"])
def test_a_model_does_not_judge_itself(scripted):
    pair = scripted.prompts_dir / "summarize" / "own.prompty"
    text = (scripted.prompts_dir / "summarize" / "smollm2-short.prompty").read_text(encoding="utf-8")
    text = text.replace("name: smollm2-short", "name: own").replace("local.smollm2-135m-instruct-q4", SCRIPTED_MODEL_ID)
    pair.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="which pair 'own' is made of; a model does not judge itself"):
        evaluate(Options(task="summarize", pairs=("own",), judge_model=SCRIPTED_MODEL_ID), scripted)
