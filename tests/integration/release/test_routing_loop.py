"""A routing policy round the loop: evaluated, released, served, replaced by another one and rolled back; a bad one is refused."""

import hashlib
import shutil
import time
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from eval.evaluation.evaluate import Options, evaluate
from eval.release.promotion import promote_pair, roll_back
from eval.spine.errors import Refused
from eval.spine.results import Verdict
from service.access.control import local_token
from service.app import create_app
from service.core.tasks.route.situation import RouteInputs
from service.kit.settings import REPO_ROOT, Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SITUATION = RouteInputs.model_config["json_schema_extra"]["examples"][0]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("route")
    (root / "prompts").mkdir()
    shutil.copy(REPO_ROOT / "prompts" / "models.yaml", root / "prompts")
    for folder in ("prompts", "datasets"):
        shutil.copytree(REPO_ROOT / folder / "route", root / folder / "route")
    return Settings(
        root=root, state_dir=root / "state", registry_uri=f"sqlite:///{root}/mlflow.db", required_tasks=("route",)
    )


@contextmanager
def serving(settings):
    with TestClient(create_app(settings)) as client:
        yield client, {"authorization": f"Bearer {local_token(settings).text}"}


def asked(client, token, body, pair):
    """Return the output of ``pair``; a service that starts answers by the last good one until it has looked at the registry."""
    for _ in range(500):
        answer = client.post("/v1/route", json=body, headers=token)
        if answer.status_code == 200 and answer.json()["pair"] == pair:
            return answer.json()["output"]
        time.sleep(0.05)
    raise AssertionError(answer.text)


def policy(settings, name, *changes):
    """Write a pair whose policy differs from the one in use by ``changes``: what stood there, and what stands there now."""
    text = (REPO_ROOT / "service/core/tasks/route/policy.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    folder = settings.prompts_dir / "route"
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    shipped = (folder / "policy.prompty").read_text(encoding="utf-8")
    old = hashlib.sha256((REPO_ROOT / "service/core/tasks/route/policy.yaml").read_bytes()).hexdigest()
    new = hashlib.sha256(text.encode()).hexdigest()
    pair = shipped.replace("name: policy\n", f"name: {name}\n").replace("policy.yaml\n    sha", f"{name}.yaml\n    sha")
    (folder / f"{name}.prompty").write_text(pair.replace(old, new), encoding="utf-8")


def gate(settings, name):
    pairs = evaluate(Options(task="route", pairs=(name,)), settings).evaluation.pairs
    return next(pair.gate for pair in pairs if pair.pair_name == name)


@pytest.mark.acceptance("route-09")
def test_a_policy_is_released_replaced_and_rolled_back(settings):
    assert gate(settings, "policy").verdict is Verdict.PASS
    promote_pair("route", "policy", "the policy in use", settings)
    with serving(settings) as (client, token):
        output = asked(client, token, SITUATION, "policy")
        assert (output["destination"], output["agent"], output["policy"]) == ("agent", "agent-ines", "1.0")
        assert (output["urgency_raw"], output["urgency"]) == (12, 10)

    policy(settings, "unhurried", ('version: "1.0"', 'version: "1.1"'), ("handling_minutes: 8", "handling_minutes: 30"))
    found = gate(settings, "unhurried")
    assert found.verdict is Verdict.PASS, [check for check in found.checks if check.verdict is not Verdict.PASS]
    promote_pair("route", "unhurried", "conversations take longer since the price change", settings)
    all_busy = SITUATION | {"agents": [agent | {"status": "busy"} for agent in SITUATION["agents"]]}
    with serving(settings) as (client, token):
        output = asked(client, token, all_busy, "unhurried")
        assert (output["destination"], output["wait_minutes"], output["policy"]) == ("queue", 6, "1.1")

    roll_back("route", "the estimate frightened people", None, settings)
    with serving(settings) as (client, token):
        assert asked(client, token, all_busy, "policy")["wait_minutes"] == 2


@pytest.mark.parametrize(
    ("name", "change", "check"),
    [
        ("machines", ("person_at: 8, failures: 3", "person_at: 30, failures: 90"), "person_given"),
        ("deaf", ("request: 1, complaint: 2", "request: 0, complaint: 0"), "urgency_right"),
        ("crowded", ("most_conversations: 5", "most_conversations: 50"), "agent_able"),
        ("people", ("above: 0.85", "above: 1.0"), "automated"),
    ],
)
def test_a_policy_that_harms_is_refused(settings, name, change, check):
    policy(settings, name, change)
    found = gate(settings, name)
    assert found.verdict is not Verdict.PASS
    assert check in {one.name for one in found.checks if one.verdict is not Verdict.PASS}
    with pytest.raises(Refused):
        promote_pair("route", name, "try it", settings)
