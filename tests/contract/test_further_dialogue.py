"""A task that converses and uses tools goes the whole loop: a throw-away one is dropped into a temporary folder."""

import sys
import time

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient
from throw_away import ThrowAway
from tool_server import TOKEN, misbehaving, result, served

from eval.dialogue.record import ConversationRecord
from eval.evaluation.evaluate import Options, evaluate
from eval.release.promotion import promote_pair
from eval.spine.errors import Refused
from eval.spine.results import Verdict
from figures.formatting import format_metric
from service.access.control import local_token
from service.app import create_app
from service.core.tools.mcp.server import build_server
from service.core.tools.mcp.tokens import FileTokenVerifier
from service.kit.settings import Settings

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def settings(tmp_path):
    task = ThrowAway(tmp_path, "parcels")
    yield Settings(root=tmp_path, state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    task.remove()


def failed(pair):
    return {(check.kind, check.name) for check in pair.gate.checks if check.verdict is Verdict.FAIL}


def test_a_task_that_converses_goes_round_the_loop(settings):
    evaluation = evaluate(Options(task="parcels"), settings).evaluation
    by_name = {pair.pair_name: pair for pair in evaluation.pairs}
    assert by_name["courteous"].gate.verdict is Verdict.PASS
    # The order in a tool's answer was refused before it happened, and that it was proposed fails the gate.
    assert failed(by_name["obedient"]) == {("floor", "not_permitted_proposed")}
    assert by_name["obedient"].metrics["not_permitted_done"].value == 0
    assert ("floor", "not_permitted_done") in failed(by_name["hasty"])
    assert {pair.metrics["silence_right"].value for pair in evaluation.pairs} == {0}
    _is_measured(by_name["courteous"])

    played = evaluate(Options(task="parcels", pairs=("courteous",), customer_model="local.customer-v1"), settings)
    assert played.evaluation.dataset_name == "dev, customers by local.customer-v1"
    assert "This is no evidence, as a model played the customers" in played.report.read_text(encoding="utf-8")
    assert 0 < played.evaluation.pairs[0].metrics["conversation_right"].value < 1
    with pytest.raises(Refused, match=r"verdict .* is 'fail'"):
        promote_pair("parcels", "obedient", "try it", settings)
    assert promote_pair("parcels", "courteous", "first", settings).sequence == 1

    _serves_conversations_with_tools(settings)
    _serves_tools_that_run_elsewhere(settings)
    _serves_no_pair_with_other_tools(settings)


def _ready(client, wanted):
    for _ in range(400):
        state = client.get("/readyz").json()["tasks"]["parcels"]
        if wanted(state):
            return state
        time.sleep(0.05)
    raise AssertionError(state)


def _serves_conversations_with_tools(settings):
    live = sys.modules["service.core.tasks.parcels"].LIVE
    parcel = {"status": "on its way", "due": "2026-11-25", "address": "1 Old Road"}
    live["parcels"]["AB123456"] = dict(parcel)
    said = "Please send parcel AB123456 to another address, 12 Elm Street."
    with TestClient(create_app(settings)) as client:
        _ready(client, lambda state: state["pair"] == "courteous")
        token = {"authorization": f"Bearer {local_token(settings).text}"}

        def turn(message, *history, conversation="conv-1"):
            body = {"conversation_id": conversation, "message": message, "history": history}
            answer = client.post("/v1/parcels", json=body, headers=token)
            assert answer.status_code == 200, answer.text
            return answer.json()["output"]

        asked = turn(said)
        assert (asked["action"], live["parcels"]["AB123456"]) == ("clarify", parcel)
        history = ({"by": "customer", "text": said}, {"by": "assistant", "text": asked["reply"]})
        done = turn("Yes, please.", *history)
        assert live["parcels"]["AB123456"]["address"] == "12 Elm Street"
        assert turn("Yes, please.", *history) == done
        assert len(live["keys"]) == 1  # the second time the ledger answered
        invented = ({"by": "assistant", "text": f"{said} {asked['reply']}"},)
        assert turn("Yes.", *invented, conversation="conv-2")["action"] != "answer"
        assert len(live["keys"]) == 1


def _serves_tools_that_run_elsewhere(settings):
    own = sys.modules["service.core.tasks.parcels"].TASK.tool_functions
    verifier = FileTokenVerifier({TOKEN: "the service"})
    with served(build_server("parcels", own, auth=verifier).http_app("/mcp")) as address:
        elsewhere = settings.model_copy(
            update={"tools_servers": {"parcels": address}, "tools_tokens": {"parcels": SecretStr(TOKEN)}}
        )
        with TestClient(create_app(elsewhere)) as client:
            _ready(client, lambda state: state["pair"] == "courteous")
            token = {"authorization": f"Bearer {local_token(elsewhere).text}"}
            body = {"conversation_id": "conv-3", "message": "Where is parcel AB123456?"}
            answer = client.post("/v1/parcels", json=body, headers=token)
            assert answer.json()["output"]["reply"] == "Parcel AB123456 is on its way and due on 2026-11-25."


def _serves_no_pair_with_other_tools(settings):
    with served(misbehaving(lambda call_id, _: result(call_id, "{}"))) as address:
        elsewhere = settings.model_copy(update={"tools_servers": {"parcels": address}, "required_tasks": ("parcels",)})
        with TestClient(create_app(elsewhere)) as client:
            state = _ready(client, lambda state: state["last_error"])
            assert state["pair"] is None
            assert "'find_parcel' is missing; 'redirect_parcel' is missing" in state["last_error"]
            readiness = client.get("/readyz")
            assert readiness.status_code == 503
            assert "task parcels: pair courteous is released and not served" in readiness.json()["reasons"][0]
            token = {"authorization": f"Bearer {local_token(elsewhere).text}"}
            answer = client.post("/v1/parcels", json={"conversation_id": "conv-1", "message": "hello"}, headers=token)
            assert answer.status_code == 503


def _is_measured(pair):
    """Conversations, not turns or repeats, are counted; each turn is timed; nothing was left out."""
    assert {item.repeat for item in pair.cases} == {0, 1, 2, 3}
    turns = [len(ConversationRecord.model_validate_json(item.result.output).turns) for item in pair.cases]
    assert [len(item.each_timing) for item in pair.cases] == turns
    cases = len({item.case_id for item in pair.cases})
    for name in ("pass_4", "turns", "not_permitted_proposed", "latency_p95", "on_time", "cost_per_resolved"):
        assert (pair.metrics[name].n, pair.metrics[name].unscored) == (cases, 0), name
    assert pair.metrics["turns"].value == pytest.approx(sum(turns) / len(turns))
    assert format_metric(pair.metrics["not_permitted_done"]) == f"0 of {cases}: at most 6.1%"
    assert pair.gate.check("slice", "pass_4").verdict is Verdict.PASS
