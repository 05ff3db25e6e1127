"""A further task is four places: a throw-away one is dropped into a temporary folder and driven through the whole loop."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from throw_away import ThrowAway

from eval.evaluation.evaluate import Options, evaluate
from eval.release.ledger import Ledger
from eval.release.promotion import promote_pair, roll_back
from eval.spine.errors import Refused
from eval.spine.results import Verdict
from eval.suites import load_suite
from service.access.control import local_token
from service.core.release.registry import RegistryPairSource
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def settings(tmp_path):
    task = ThrowAway(tmp_path)
    yield Settings(root=tmp_path, state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    task.remove()


def test_a_throw_away_task_goes_round_the_loop(settings):
    outcome = evaluate(Options(task="shout"), settings)
    assert {pair.pair_name: pair.gate.verdict for pair in outcome.evaluation.pairs} == {
        "loud": Verdict.PASS,
        "quiet": Verdict.FAIL,
    }
    assert outcome.report.exists()

    with pytest.raises(Refused, match=r"verdict .* is 'fail'"):
        promote_pair("shout", "quiet", "try it", settings)
    assert promote_pair("shout", "loud", "first", settings).sequence == 1
    with pytest.raises(Refused, match="in production already"):
        promote_pair("shout", "loud", "again", settings)

    path = settings.prompts_dir / "shout" / "loud.prompty"
    path.write_text(ThrowAway.pair("loud", "local.shout-v1", version="1.1.0"), encoding="utf-8")
    with pytest.raises(Refused, match="the pair's file differs from the evaluated one"):
        promote_pair("shout", "loud", "one character changed", settings)
    compared = evaluate(Options(task="shout", pairs=("loud",)), settings).evaluation
    assert [(pair.pair_version, pair.is_production) for pair in compared.pairs] == [("1.1.0", False), ("1.0.0", True)]
    assert {check.kind for check in compared.pairs[0].gate.checks} >= {"no_worse"}
    assert promote_pair("shout", "loud", "second", settings).sequence == 2

    dataset = settings.datasets_dir / "shout" / "dev.jsonl"
    dataset.write_text(dataset.read_text(encoding="utf-8").replace("hello 7", "hello seven"), encoding="utf-8")
    path.write_text(ThrowAway.pair("loud", "local.shout-v1", version="1.2.0"), encoding="utf-8")
    with pytest.raises(Refused, match="dataset 'dev' differs"):
        promote_pair("shout", "loud", "third", settings)

    back = roll_back("shout", "1.1.0 is too loud", None, settings)
    assert (back.sequence, back.kind, back.registry_version) == (3, "rollback", 1)
    assert [release.sequence for release in Ledger.open("shout", settings).releases()] == [3, 2, 1]

    source = RegistryPairSource("shout", settings)
    source.refresh()
    assert (source.current().pair.version, source.current().sequence) == ("1.0.0", 3)

    _serves_the_task(settings)


def test_a_run_makes_the_repeats_that_the_metrics_need(settings, monkeypatch):
    suite = replace(load_suite("shout"), least_repeats=3)
    monkeypatch.setattr("eval.evaluation.evaluate.load_suite", lambda task: suite)
    with pytest.raises(ConfigurationError, match=r"--repeats 2 is too few .* use --repeats 3, or leave it out"):
        evaluate(Options(task="shout", pairs=("loud",), repeats=2), settings)
    (pair,) = evaluate(Options(task="shout", pairs=("loud",)), settings).evaluation.pairs
    assert {item.repeat for item in pair.cases} == {0, 1, 2}


def test_a_pair_with_a_judge_of_its_own_goes_round_the_loop(settings):
    judged = ThrowAway.pair("judged", "local.shout-v1").replace("inputs:\n", f"{JUDGE}inputs:\n", 1)
    (settings.prompts_dir / "shout" / "judged.prompty").write_text(judged, encoding="utf-8")
    dataset = settings.datasets_dir / "shout" / "dev.jsonl"
    dataset.write_text(dataset.read_text(encoding="utf-8").replace("hello 7", "damn"), encoding="utf-8")

    outcome = evaluate(Options(task="shout", pairs=("judged",)), settings)
    (pair,) = outcome.evaluation.pairs
    assert (pair.gate.verdict, pair.parts) == (Verdict.PASS, {"judge": "local.judge-v1"})
    assert pair.answered_by == ("judge", "shouter")
    refused = [item for item in pair.cases if item.result.failure is not None]
    assert [(item.case_id, item.result.guarded) for item in refused] == [("case-7", ("curse",))]
    assert "<dt>judge</dt><dd>local.judge-v1</dd>" in outcome.report.read_text(encoding="utf-8")

    assert promote_pair("shout", "judged", "first", settings).sequence == 1
    source = RegistryPairSource("shout", settings)
    source.refresh()
    assert source.current().pair.part("judge").model == "local.judge-v1"
    with _serving(settings) as (client, token):
        (served,) = [pair for pair in client.get("/v1/pairs", headers=token).json()["pairs"] if pair["task"] == "shout"]
        assert served["parts"] == {"judge": ["judge"]}
        answer = client.post("/v1/shout", json={"text": "damn"}, headers=token)
        assert (answer.status_code, "DAMN" in answer.text) == (502, False)


JUDGE = """\
parts:
  judge:
    model: {id: local.judge-v1, options: {maxOutputTokens: 5}}
    inputs: {answer: {kind: string}}
    prompt: |
      system:
      Grade what stands between <answer> and </answer>.
      user:
      <answer>{{answer}}</answer>
"""


def _serves_the_task(settings):
    with _serving(settings) as (client, _):
        assert client.post("/v1/shout", json={"text": "hello"}).status_code == 401


@contextmanager
def _serving(settings):
    from service.app import create_app

    with TestClient(create_app(settings)) as client:
        token = {"authorization": f"Bearer {local_token(settings).text}"}
        for _ in range(200):
            answer = client.post("/v1/shout", json={"text": "hello"}, headers=token)
            if answer.status_code == 200:
                break
        assert answer.json()["output"] == "HELLO"
        yield client, token
