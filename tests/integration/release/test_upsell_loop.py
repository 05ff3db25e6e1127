"""Messages that sell, round the loop: evaluated, gated, released, served, rated; and a model's drafts over the wire."""

import asyncio
import json
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from eval.evaluation.evaluate import Options, evaluate
from eval.release.promotion import promote_pair
from eval.spine.results import Verdict
from service.access.control import local_token
from service.app import create_app
from service.core.llm.gateway import LiteLLMGateway
from service.core.run.task import TaskContext
from service.core.tasks.upsell import TASK
from service.core.tasks.upsell.customer import UpsellInputs
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT, Settings
from service.local.process import LocalBedrock
from service.local.scripted_model import SCRIPTED_MODEL_ID

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
CUSTOMER = UpsellInputs.model_config["json_schema_extra"]["examples"][0]
GOOD = "Hello Dana, Boiler Care is £14 a month. Homewell. Reply STOP to opt out."


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("upsell")
    (root / "prompts").mkdir()
    shutil.copy(REPO_ROOT / "prompts" / "models.yaml", root / "prompts")
    for folder in ("prompts", "datasets"):
        shutil.copytree(REPO_ROOT / folder / "upsell", root / folder / "upsell")
    return Settings(
        root=root,
        state_dir=root / "state",
        registry_uri=f"sqlite:///{root}/mlflow.db",
        required_tasks=("upsell",),
    )


@contextmanager
def serving(settings):
    with TestClient(create_app(settings)) as client:
        yield client, {"authorization": f"Bearer {local_token(settings).text}"}


def asked(client, token, body):
    for _ in range(200):
        answer = client.post("/v1/upsell", json=body, headers=token)
        if answer.status_code != 503:
            return answer
    raise AssertionError(answer.text)


@pytest.mark.acceptance("message-06")
def test_the_floor_is_evaluated_released_and_served(settings):
    outcome = evaluate(Options(task="upsell", pairs=("templates",)), settings)
    (pair,) = outcome.evaluation.pairs
    assert pair.gate.verdict is Verdict.PASS, [check for check in pair.gate.checks if check.verdict is not Verdict.PASS]
    assert "approved by code alone, without a judge" in outcome.report.read_text(encoding="utf-8")
    assert promote_pair("upsell", "templates", "first", settings).sequence == 1

    with serving(settings) as (client, token):
        answer = asked(client, token, CUSTOMER)
        assert answer.status_code == 200, answer.text
        output = answer.json()["output"]
        assert (output["decision"], output["offer_id"]) == ("send", "boiler-care")
        assert output["message"].endswith("Homewell. Reply STOP to opt out.")
        held = asked(client, token, CUSTOMER | {"vulnerable": True}).json()["output"]
        assert (held["decision"], held["reason"], held["message"]) == ("suppressed", "vulnerable", "")
        strange = asked(client, token, CUSTOMER | {"tenant": "fernside"})
        assert (strange.status_code, strange.json()["code"]) == (403, "FORBIDDEN")
        other = {"id": "m1", "tenant": "fernside", "message": "Hello Maria", "outcome": "bought"}
        refused = asked(client, token, CUSTOMER | {"examples": [other]})
        assert (refused.status_code, "another tenant" in refused.text) == (422, True)


def test_a_model_s_draft_is_refused_written_again_and_judged_over_the_wire(settings, tmp_path):
    script = tmp_path / "script.jsonl"
    hurried = {
        "send": True,
        "reason": "",
        "offer_id": "boiler-care",
        "message": GOOD.replace("Homewell", "Act now. Homewell"),
    }
    rules = (
        {"contains": ["<message>"], "answers": [{"score": 9, "reasons": []}]},
        {"contains": ["This message was not approved"], "answers": [hurried | {"message": GOOD}]},
        {"contains": ["<customer>"], "answers": [hurried]},
    )
    script.write_text("\n".join(map(json.dumps, rules)), encoding="utf-8")
    shipped = load_pair(
        settings.prompts_dir / "upsell" / "nova-lite.prompty",
        cards=ModelCards.load(settings.prompts_dir / "models.yaml"),
        task_variables=TASK.variables,
        part_variables=TASK.part_variables,
    )
    (judge,) = shipped.parts
    pair = replace(shipped, model=SCRIPTED_MODEL_ID, backup=None, parts=(replace(judge, model=SCRIPTED_MODEL_ID),))
    cards = ModelCards(
        [ModelCard(id=SCRIPTED_MODEL_ID, short_name="scripted", wire="bedrock", runs="local", context_tokens=8000)]
    )
    with LocalBedrock(["--models", SCRIPTED_MODEL_ID, "--script", str(script)]) as bedrock:
        gateway = LiteLLMGateway(cards, region="us-east-1", endpoint=bedrock.url)
        context = TaskContext(pair=pair, gateway=gateway, cards=cards, chain="primary", patience=10.0)
        result = asyncio.run(TASK.run(UpsellInputs.model_validate(CUSTOMER), context))
    assert result.failure is None, result.failure_message
    output = json.loads(result.output)
    assert (output["decision"], output["message"], output["approval"]["drafts"]) == ("send", GOOD, 2)
    assert output["approval"]["own_family"]
    assert [step.name for step in result.trace] == ["main", "main", "judge"]
