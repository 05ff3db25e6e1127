"""A task that replies with sources goes round the loop; with other documents than those that were evaluated it stands still."""

import base64
import json
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from throw_away import ThrowAway

from eval.evaluation.evaluate import Options, evaluate
from eval.release.promotion import promote_pair
from eval.spine.results import Verdict
from eval.suites import load_suite
from service.access.control import local_token
from service.app import create_app
from service.core.knowledge.documents import read_documents
from service.core.knowledge.installed import NEEDED
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(any(find_spec(name) is None for name in NEEDED), reason="not installed: make setup EXTRAS=1"),
]
DOCUMENTS = read_documents(Path(__file__).resolve().parents[1] / "knowledge_base" / "documents")
QUESTION = "can you take off the charge for paying late"


@pytest.fixture
def task(tmp_path):
    task = ThrowAway(tmp_path, "replies")
    yield task
    task.remove()


@pytest.fixture
def settings(tmp_path):
    return Settings(root=tmp_path, state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db")


def built(settings, documents=DOCUMENTS):
    """Put an index of ``documents`` in place and return its digest."""
    from service.core.knowledge.index_file import build_index
    from service.core.knowledge.indexes import default_index
    from service.core.knowledge.minilm import MiniLM

    return build_index(default_index(settings), documents, MiniLM.open(settings.state_dir / "models"))


def test_a_task_that_searches_documents_goes_round_the_loop(task, settings, monkeypatch):
    digest = built(settings)
    for name in ("searches", "invents"):
        task.reply_pair(name, digest)
    outcome = evaluate(Options(task="replies"), settings)
    evaluation = outcome.evaluation
    by_name = {pair.pair_name: pair for pair in evaluation.pairs}
    assert {name: pair.gate.verdict for name, pair in by_name.items()} == {
        "searches": Verdict.PASS,
        "invents": Verdict.FAIL,
    }
    assert by_name["searches"].metrics["recall_5"].value > 0.8
    assert by_name["searches"].metrics["citations_right"].value > 0.5
    assert by_name["invents"].metrics["citations_right"].value < 0.2
    assert f"documents of index {digest[:12]}" in outcome.report.read_text(encoding="utf-8")
    assert promote_pair("replies", "searches", "first", settings).sequence == 1
    (attested,) = outcome.report.parent.glob("*searches*.attestation.json")
    payload = base64.b64decode(json.loads(attested.read_text(encoding="utf-8"))["payload"])
    assert json.loads(payload)["predicate"]["documents"] == [digest]

    with TestClient(create_app(settings)) as client:
        assert _ready(client, lambda state: state["pair"])["pair"] == "searches"
        changed = built(settings, DOCUMENTS[1:])
        assert _sources(client, settings) == ["billing/late-fee"]  # what was opened stays what it was
    with TestClient(create_app(settings)) as client:
        state = _ready(client, lambda state: state["last_error"])
        assert state["pair"] is None
        assert f"no index has the digest {digest[:12]}" in state["last_error"]
        assert f"has the digest {changed[:12]}" in state["last_error"]

    def ask_nobody(*_):
        raise AssertionError("a model was asked")

    monkeypatch.setattr("eval.run.runner.Runner._answered", ask_nobody)
    with pytest.raises(ConfigurationError, match=rf"'searches' .* that are not here: no index has .* {digest[:12]}"):
        evaluate(Options(task="replies", pairs=("searches",)), settings)
    monkeypatch.setattr("service.core.knowledge.installed.NEEDED", ("no_such_package",))
    with pytest.raises(ConfigurationError, match=r"no_such_package missing\); install it: make setup EXTRAS=1"):
        evaluate(Options(task="replies", pairs=("searches",)), settings)


def test_a_pair_with_the_new_documents_is_compared_with_the_one_in_production(task, settings):
    task.reply_pair("searches", built(settings))
    evaluate(Options(task="replies"), settings)
    promote_pair("replies", "searches", "first", settings)
    old = settings.state_dir / "knowledge" / "index.sqlite"
    kept = old.rename(old.with_name("old.sqlite"))
    task.reply_pair("searches", built(settings, DOCUMENTS[:-1]), version="1.1.0")
    with pytest.raises(ConfigurationError, match=r"'searches' searches documents .* that are not here"):
        evaluate(Options(task="replies"), settings)  # production's are missing
    both = settings.model_copy(update={"knowledge_index": f"{old}, {kept}"})
    pairs = evaluate(Options(task="replies"), both).evaluation.pairs
    assert [(pair.pair_version, pair.is_production) for pair in pairs] == [("1.1.0", False), ("1.0.0", True)]


def test_cases_that_name_another_index_stop_the_run(task, settings, monkeypatch):
    from dataclasses import replace

    task.reply_pair("searches", built(settings))
    suite = replace(load_suite("replies"), documents="0" * 64)
    monkeypatch.setattr("eval.evaluation.evaluate.load_suite", lambda _: suite)
    with pytest.raises(ConfigurationError, match="cases of task 'replies' name documents of index 000000000000, and"):
        evaluate(Options(task="replies"), settings)


def _ready(client, wanted):
    for _ in range(400):
        state = client.get("/readyz").json()["tasks"]["replies"]
        if wanted(state):
            return state
        time.sleep(0.05)
    raise AssertionError(state)


def _sources(client, settings):
    token = {"authorization": f"Bearer {local_token(settings).text}"}
    answer = client.post("/v1/replies", json={"question": QUESTION}, headers=token)
    assert answer.status_code == 200, answer.text
    return answer.json()["output"]["sources"]
