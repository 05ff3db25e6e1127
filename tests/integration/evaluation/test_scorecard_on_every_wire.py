"""The provider's pair of scorecards on each wire: what is sent, what structure is asked for, and a scorecard from the answer."""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from eval.run.loaders import load_dataset
from service.core.llm.gateway import LiteLLMGateway
from service.core.run.task import TaskContext
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.core.tasks.scorecard.reading import answer_schema
from service.core.unit.cards import ModelCard, ModelCards, Prices
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT, Settings

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
OPENAI, ANTHROPIC, NOVA = "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "amazon.nova-lite-v1:0"
PRICES = Prices(input=1, output=1, source="test", date="2026-11-21")
CARDS = ModelCards(
    [
        ModelCard(
            id=model, short_name=model, wire=wire, runs="provider", context_tokens=128_000, prices=PRICES,
        )
        for model, wire in (
            (OPENAI, "litellm"), (ANTHROPIC, "litellm"), (NOVA, "bedrock"), ("amazon.nova-micro-v1:0", "bedrock"),
        )
    ]
)  # fmt: skip
OVERVIEW = {
    "summary": "A customer called.", "outcome": "It was settled.", "action_items": [], "resolution": "resolved",
    "customer_tone": "calm", "agent_tone": "warm",
}  # fmt: skip


def answer_for(schema):
    """Return an answer to every question that ``schema`` asks: yes, with the words of the call's first turn."""
    names = schema["properties"]["answers"]["properties"]
    said = {"reason": "It is said.", "quote": "", "turn": -1, "verdict": "no"}
    found = {"answers": dict.fromkeys(names, said)}
    return found | ({"overview": OVERVIEW} if "overview" in schema["properties"] else {})


def replied(path, body):
    """Return what the provider at ``path`` would answer, and the schema that it was asked for."""
    if path.endswith("/chat/completions"):
        schema = body["response_format"]["json_schema"]["schema"]
        message = {"role": "assistant", "content": json.dumps(answer_for(schema))}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 900, "completion_tokens": 300, "total_tokens": 1200}
        return {
            "id": "1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }, schema
    if path.endswith("/messages"):
        usage = {"input_tokens": 900, "output_tokens": 300}
        said = {"id": "1", "type": "message", "role": "assistant", "model": body["model"], "usage": usage}
        if tools := body.get("tools"):
            schema = tools[0]["input_schema"]
            use = {"type": "tool_use", "id": "t", "name": tools[0]["name"], "input": answer_for(schema)}
            return said | {"content": [use], "stop_reason": "tool_use"}, schema
        schema = (body.get("output_format") or body["output_config"]["format"])["schema"]
        text = {"type": "text", "text": json.dumps(answer_for(schema))}
        return said | {"content": [text], "stop_reason": "end_turn"}, schema
    spec = body["toolConfig"]["tools"][0]["toolSpec"]
    schema = spec["inputSchema"]["json"]
    use = {"toolUse": {"toolUseId": "t", "name": spec["name"], "input": answer_for(schema)}}
    return {
        "output": {"message": {"role": "assistant", "content": [use]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 900, "outputTokens": 300, "totalTokens": 1200},
        "metrics": {"latencyMs": 1},
    }, schema


@contextmanager
def providers():
    """Serve the three wires on one port; yields the address and what was asked: (path, headers, body, schema)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer, schema = replied(self.path, body)
            asked.append((self.path, dict(self.headers), body, schema))
            payload = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


def _strict(schema):
    """Return whether every object of ``schema`` names all of its properties as required and allows no other."""
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        whole = set(schema["required"]) == set(schema["properties"]) and schema["additionalProperties"] is False
        return whole and all(_strict(item) for item in schema["properties"].values())
    return _strict(schema.get("items"))


def _texts(body):
    """Return the system's and the user's words of a request, whatever the wire calls them."""
    messages = list(body["messages"])
    system = body.get("system") or [item["content"] for item in messages if item["role"] == "system"]
    user = [item["content"] for item in messages if item["role"] == "user"]
    return json.dumps(system, ensure_ascii=False), json.dumps(user, ensure_ascii=False)


@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, NOVA])
@pytest.mark.acceptance("call-gate-10")
async def test_each_wire_asks_for_the_forms_own_structure_and_the_answer_is_a_scorecard(model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    pair = load_pair(
        REPO_ROOT / "prompts" / "scorecard" / "nova-lite.prompty",
        cards=CARDS,
        task_variables=TASK.variables,
        part_variables=TASK.part_variables,
    )
    pair = replace(pair, model=model)
    case = load_dataset("dev", task="scorecard", input_model=ScorecardInputs, settings=Settings()).cases[0]
    inputs = ScorecardInputs.model_validate(case.inputs)
    with providers() as (url, asked):
        gateway = LiteLLMGateway(
            CARDS, region="us-east-1", endpoint=url, endpoints={OPENAI: f"{url}/v1", ANTHROPIC: url}
        )
        gateway.warm_up()
        context = TaskContext(pair=pair, gateway=gateway, cards=CARDS, chain="primary", patience=30.0)
        result = await TASK.run(inputs, context)
    assert result.failure is None, result.failure_message
    card = json.loads(result.output)
    assert (card["status"], card["valid"], card["score"]["percentage"]) == ("scored", True, "0.0")
    ((path, _, body, schema),) = asked
    ids = [criterion.id for criterion in inputs.form.criteria()]
    assert list(schema["properties"]["answers"]["properties"]) == ids
    assert list(schema["properties"]["answers"]["properties"][ids[0]]["properties"]) == [
        "reason", "quote", "turn", "verdict",
    ]  # fmt: skip
    # Nova takes type, properties and required alone at the top of a tool's schema; litellm leaves the rest out.
    whole = schema | ({"additionalProperties": False} if model == NOVA else {})
    assert whole == answer_schema(ids, overview=True)
    assert _strict(whole)
    system, user = _texts(body)
    spoken = inputs.turns[0].text
    assert spoken not in system, "what people said stands with the data, not with the instructions"
    assert (
        user.index("<transcript>")
        < user.index(json.dumps(spoken, ensure_ascii=False)[1:-1])
        < user.index("</transcript>")
    )
    assert all(name in user for name in ids)
    assert "quality analyst" in system
    forced = {
        OPENAI: lambda: body["response_format"]["json_schema"]["strict"] and body["temperature"] == 0,
        ANTHROPIC: lambda: "output_format" in body or "output_config" in body or body["tool_choice"]["type"] == "tool",
        NOVA: lambda: (
            body["toolConfig"]["toolChoice"]["tool"]["name"] == body["toolConfig"]["tools"][0]["toolSpec"]["name"]
        ),
    }
    assert forced[model](), path


@pytest.mark.acceptance("call-gate-10")
def test_one_command_measures_the_pair_with_another_model(tmp_path):
    """``omni eval --task scorecard --model``: with a key, and here with a server that answers no to everything."""
    root = tmp_path / "root"
    root.mkdir()
    for folder in ("prompts", "datasets"):
        (root / folder).symlink_to(REPO_ROOT / folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMNI_", "OPENAI_"))}
    own = {
        "PYTHONPATH": str(REPO_ROOT),
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(tmp_path / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "OPENAI_API_KEY": "sk-planted-0123456789",  # pragma: allowlist secret
    }
    with providers() as (url, asked):
        words = (
            "--pairs",
            "nova-lite",
            "--model",
            OPENAI,
            "--api-base",
            f"{url}/v1",
            "--dataset",
            "dev",
            "--cases",
            "8",
        )
        done = subprocess.run(
            [sys.executable, "-m", "omni", "eval", "--task", "scorecard", *words, "--json"],
            cwd=root,
            env=kept | own,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    (pair,) = json.loads(done.stdout)["pairs"]
    assert (pair["pair_name"], len(asked)) == (f"nova-lite@{OPENAI}", 8)
    metrics = {name: metric["value"] for name, metric in pair["metrics"].items()}
    assert (metrics["answered"], metrics["schema_valid"]) == (1.0, 1.0)
    assert metrics["kappa"] < 0.3  # no to everything is hardly better than chance
    assert done.returncode == 1, "a pair that does not listen does not pass"
