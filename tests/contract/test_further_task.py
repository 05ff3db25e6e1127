"""A further task is four places: a throw-away one is dropped into a temporary folder and driven through the whole loop."""

import json
import textwrap

import pytest
from starlette.testclient import TestClient

import eval.suites
import service.tasks
from eval.errors import Refused
from eval.evaluate import Options, evaluate
from eval.promotion import promote_pair, release_history, roll_back
from eval.results import Verdict
from service.access.control import local_token
from service.registry import RegistryPairSource
from service.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TASK = """
from typing import ClassVar
from pydantic import BaseModel
from service.errors import OutputInvalid
from service.task import Task

class ShoutInputs(BaseModel):
    text: str

class Shout(Task[ShoutInputs]):
    name: ClassVar[str] = "shout"
    input_model: ClassVar[type[BaseModel]] = ShoutInputs
    variables: ClassVar[frozenset[str]] = frozenset({"text"})
    in_process = {"local.shout-v1": lambda inputs: inputs.text.upper(), "local.whisper-v1": lambda inputs: inputs.text.lower()}
    def values(self, inputs):
        return {"text": inputs.text}
    def check(self, text, rules):
        if not text:
            raise OutputInvalid("the answer is empty")
        return text

TASK = Shout()
"""
SUITE = """
from eval.results import Score, Unit
from eval.suite import Floor, MetricSpec, NoWorse, Suite

class Loud:
    name = "loud"
    scores = ("loud",)
    def score(self, context):
        return {"loud": Score(value=float(context.output.isupper()))}

SUITE = Suite(
    task="shout", gate_dataset="dev", scorers=(Loud(),),
    metrics=(MetricSpec(name="loud", kind="rate", score="loud", unit=Unit.RATE), MetricSpec(name="answered", kind="answered", unit=Unit.RATE)),
    floors=(Floor(metric="loud", bound=0.8, reason="a shout is loud"),),
    no_worse=(NoWorse(metric="loud", margin=0.1, reason="as small as 40 cases can show"),),
    max_unscored_rate=0.1, minimum_latency_calls=1, table=("loud", "answered"),
)
"""
CARDS = """\
models:
  - {id: local.shout-v1, short_name: shouter, wire: in_process, runs: local, context_tokens: 9, prices: {input: 0, output: 0, source: test, date: 2026-11-21}}
  - {id: local.whisper-v1, short_name: whisperer, wire: in_process, runs: local, context_tokens: 9, prices: {input: 0, output: 0, source: test, date: 2026-11-21}}
"""


def _pair(name, model, version="1.0.0"):
    return textwrap.dedent(f"""\
        ---
        name: {name}
        task: shout
        version: {version}
        model:
          id: {model}
          options: {{maxOutputTokens: 10}}
        inputs:
          text: {{kind: string}}
        output: {{schema: text-v1, max_words: 50}}
        ---
        system:
        Shout what stands between <text> and </text>.
        user:
        <text>{{{{text}}}}</text>
        """)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for package, folder, code in ((service.tasks, "tasks", TASK), (eval.suites, "suites", SUITE)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shout.py").write_text(code, encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / folder)])
    prompts, datasets = tmp_path / "prompts" / "shout", tmp_path / "datasets" / "shout"
    prompts.mkdir(parents=True)
    datasets.mkdir(parents=True)
    (tmp_path / "prompts" / "models.yaml").write_text(CARDS, encoding="utf-8")
    for name, model in (("loud", "local.shout-v1"), ("quiet", "local.whisper-v1")):
        (prompts / f"{name}.prompty").write_text(_pair(name, model), encoding="utf-8")
    lines = [json.dumps({"id": f"case-{n}", "inputs": {"text": f"hello {n}"}}) for n in range(40)]
    (datasets / "dev.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Settings(root=tmp_path, state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db")


def test_a_throw_away_task_goes_round_the_loop(settings):
    outcome = evaluate(Options(task="shout"), settings)
    assert {pair.pair_name: pair.gate.verdict for pair in outcome.evaluation.pairs} == {
        "loud": Verdict.PASS,
        "quiet": Verdict.FAIL,
    }
    assert outcome.report.exists()

    with pytest.raises(Refused, match=r"verdict .* was 'fail'"):
        promote_pair("shout", "quiet", "try it", settings)
    assert promote_pair("shout", "loud", "first", settings).sequence == 1
    with pytest.raises(Refused, match="in production already"):
        promote_pair("shout", "loud", "again", settings)

    path = settings.prompts_dir / "shout" / "loud.prompty"
    path.write_text(_pair("loud", "local.shout-v1", version="1.1.0"), encoding="utf-8")
    with pytest.raises(Refused, match="the pair's file differs from what the gate saw"):
        promote_pair("shout", "loud", "one character changed", settings)
    compared = evaluate(Options(task="shout", pairs=("loud",)), settings).evaluation
    assert [(pair.pair_version, pair.is_production) for pair in compared.pairs] == [("1.1.0", False), ("1.0.0", True)]
    assert {check.kind for check in compared.pairs[0].gate.checks} >= {"no_worse"}
    assert promote_pair("shout", "loud", "second", settings).sequence == 2

    dataset = settings.datasets_dir / "shout" / "dev.jsonl"
    dataset.write_text(dataset.read_text(encoding="utf-8").replace("hello 7", "hello seven"), encoding="utf-8")
    path.write_text(_pair("loud", "local.shout-v1", version="1.2.0"), encoding="utf-8")
    with pytest.raises(Refused, match="dataset 'dev' differs"):
        promote_pair("shout", "loud", "third", settings)

    back = roll_back("shout", "1.1.0 is too loud", None, settings)
    assert (back.sequence, back.kind, back.registry_version) == (3, "rollback", 1)
    assert [release.sequence for release in release_history("shout", settings)] == [3, 2, 1]

    source = RegistryPairSource("shout", settings)
    source.refresh()
    assert (source.current().pair.version, source.current().sequence) == ("1.0.0", 3)

    _serves_the_task(settings)


def _serves_the_task(settings):
    from service.app import create_app

    with TestClient(create_app(settings)) as client:
        assert client.post("/v1/shout", json={"text": "hello"}).status_code == 401
        token = {"authorization": f"Bearer {local_token(settings).text}"}
        for _ in range(200):
            answer = client.post("/v1/shout", json={"text": "hello"}, headers=token)
            if answer.status_code == 200:
                break
        assert answer.json()["output"] == "HELLO"
