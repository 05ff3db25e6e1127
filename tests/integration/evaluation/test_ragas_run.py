"""``omni eval --with ragas`` over the real wire: ragas' own prompts, answered by a scripted model; its scores never gate."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eval.evaluation.evaluate import Options, evaluate
from eval.judges.ragas_family import open_ragas
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.local.process import LocalBedrock
from service.local.scripted_model import SCRIPTED_MODEL_ID

ABSENT = importlib.util.find_spec("ragas") is None
needs_ragas = pytest.mark.skipif(ABSENT, reason="ragas is not installed here; tools/test_ragas.sh runs this")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).resolve().parents[3]


def verdicts(*told):
    return {
        "statements": [
            {"statement": f"Statement {number}.", "reason": "scripted", "verdict": verdict}
            for number, verdict in enumerate(told)
        ]
    }


# By words of ragas' own prompts, the first that fits: if ragas words them otherwise, the scores below do not come out.
SCRIPT = [
    {"contains": ["verify if the context was useful"], "answers": [{"reason": "scripted", "verdict": 1}]},
    {"contains": ["judge the faithfulness"], "answers": [verdicts(1, 1, 1, 0)]},
    {"contains": ["Decompose and break down"], "answers": [{"claims": ["One.", "Two."]}]},
    {"contains": ["Break down each sentence"], "answers": [{"statements": ["One.", "Two.", "Three.", "Four."]}]},
]
PROSE = [{"contains": [], "answers": ["I think that this is quite good."]}]


@pytest.fixture
def root(tmp_path):
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
def settings(root, request):
    script = root / "script.jsonl"
    rules = getattr(request, "param", SCRIPT)
    script.write_text("\n".join(json.dumps(rule) for rule in rules), encoding="utf-8")
    with LocalBedrock(("--models", f"{SCRIPTED_MODEL_ID},local.echo-v1", "--script", str(script))) as bedrock:
        yield Settings(
            root=root,
            state_dir=root / "state",
            registry_uri=f"sqlite:///{root}/mlflow.db",
            bedrock_endpoint=bedrock.url,
            public_data_dir=root / "none",
        )


def run(settings, **changes):
    options = {
        "task": "summarize",
        "pairs": ("extractive",),
        "dataset": "dev",
        "case_count": 4,
        "judge_model": SCRIPTED_MODEL_ID,
        "families": ("ragas",),
    }
    return evaluate(Options(**options | changes), settings).evaluation


@needs_ragas
def test_ragas_scores_every_answer_and_gates_nothing(settings):
    evaluation = run(settings)
    (pair,) = evaluation.pairs
    found = {name: metric for name, metric in pair.metrics.items() if name.startswith("ragas_")}
    assert (found["ragas_faithfulness"].value, found["ragas_faithfulness"].n) == (pytest.approx(0.75), 4)
    assert found["ragas_context_precision"].value == pytest.approx(1.0)
    assert found["ragas_factual_correctness"].n == 4
    assert 0 < found["ragas_chrf"].value < 1
    assert not [check for check in pair.gate.checks if check.name.startswith("ragas")]
    note = next(note for note in evaluation.judges if note.rubric == "ragas")
    assert (note.gates, note.model, note.answered_by) == (False, SCRIPTED_MODEL_ID, "scripted")
    assert "shown only" in note.status


@needs_ragas
def test_answers_of_ragas_model_are_asked_for_once(settings):
    first = run(settings).pairs[0].metrics["ragas_faithfulness"]
    replies = _replies(settings)
    assert replies > 4
    assert run(settings).pairs[0].metrics["ragas_faithfulness"] == first
    assert _replies(settings) == replies


def _replies(settings):
    files = (settings.state_dir / "calls").rglob("*.jsonl")
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


@needs_ragas
@pytest.mark.parametrize("settings", [PROSE], indirect=True, ids=["prose"])
def test_a_model_that_gives_prose_scores_nothing_and_loses_nothing(settings):
    (pair,) = run(settings).pairs
    metric = pair.metrics["ragas_faithfulness"]
    assert (metric.value, metric.unscored) == (None, 4)
    assert pair.metrics["ragas_chrf"].n == 4
    assert pair.metrics["answered"].value == 1.0


@needs_ragas
def test_without_a_reachable_model_only_overlap_is_scored(root):
    settings = Settings(root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow.db")
    evaluation = run(settings, judge_model=None)
    names = {name for name in evaluation.pairs[0].metrics if name.startswith("ragas_")}
    assert names == {"ragas_bleu", "ragas_chrf", "ragas_rouge_l", "ragas_similarity"}
    note = next(note for note in evaluation.judges if note.rubric == "ragas")
    assert "overlap only: nova-pro is not reachable" in note.status


@needs_ragas
def test_a_pair_is_not_judged_by_its_own_model(root):
    settings = Settings(root=root, state_dir=root / "state")
    cards = ModelCards.load(root / "prompts" / "models.yaml")
    task = load_task("summarize")
    path = root / "prompts" / "summarize" / "smollm2-short.prompty"
    pair = load_pair(path, cards=cards, task_variables=task.variables)
    with pytest.raises(ConfigurationError, match=r"judge 'ragas' runs on local\.smollm2-135m-instruct-q4"):
        open_ragas(("ragas",), settings, cards, [pair], model=pair.model)


def test_a_family_that_does_not_exist_is_named(root):
    settings = Settings(root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow.db")
    with pytest.raises(ConfigurationError, match="--with deepeval: no such family of judges; there is ragas"):
        run(settings, families=("deepeval",), judge_model=None)


@pytest.mark.skipif(not ABSENT, reason="ragas is installed here")
def test_without_ragas_the_command_says_where_it_is(root, monkeypatch):
    from omni.app import build_app

    monkeypatch.setenv("OMNI_ROOT", str(root))
    monkeypatch.setenv("OMNI_STATE_DIR", str(root / "state"))
    monkeypatch.setenv("OMNI_REGISTRY_URI", f"sqlite:///{root}/mlflow.db")
    done = CliRunner().invoke(build_app(), ["eval", "--pairs", "extractive", "--with", "ragas"])
    assert isinstance(done.exception, ConfigurationError)
    assert "tools/setup.sh ragas" in str(done.exception)
    assert ".venv-ragas/bin/omni eval --with ragas" in str(done.exception)
