"""No redirect takes prompts, histories or spans elsewhere: what is not at the endpoint that the settings name is not asked."""

import threading
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.cards import ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.settings import REPO_ROOT, Settings
from service.kit.telemetry.tracing import span, start_tracing, stop_tracing

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # litellm's
MODEL = "amazon.nova-lite-v1:0"


class Servers:
    """An endpoint that redirects every request to a second server, which keeps the paths that it is asked for."""

    def __init__(self, status):
        self.asked, self.status = {"endpoint": [], "elsewhere": []}, status
        self.elsewhere = self._server("elsewhere", None)
        self.endpoint = self._server("endpoint", self.url_of(self.elsewhere))

    @staticmethod
    def url_of(server):
        return f"http://127.0.0.1:{server.server_port}"

    def _server(self, name, target):
        servers = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                servers.asked[name].append(self.path)
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(servers.status if target else 200)
                if target:
                    self.send_header("Location", f"{target}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                self.answer()

            def do_POST(self):
                self.answer()

            def do_PUT(self):
                self.answer()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        return server


@pytest.fixture(params=[301, 302, 303, 307, 308])
def servers(request):
    made = Servers(request.param)
    yield made
    for server in (made.endpoint, made.elsewhere):
        server.shutdown()
        server.server_close()


@pytest.fixture
def settings(servers, tmp_path):
    endpoint = servers.url_of(servers.endpoint)
    return Settings(state_dir=tmp_path, aws_endpoint=endpoint, bedrock_endpoint=endpoint)


CALL = ModelCall(
    model=MODEL,
    messages=(PromptMessage(role="user", content="the customer disputes a bill"),),
    sampling=Sampling(max_output_tokens=20),
    timeout_s=10.0,
)


@pytest.fixture(scope="module")
def cards():
    return ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")


def gateway_of(cards, settings):
    return LiteLLMGateway(cards, region="us-east-1", endpoint=settings.bedrock.endpoint)


async def complete(settings, cards):
    with pytest.raises(ServiceError):
        await gateway_of(cards, settings).complete(CALL)


async def stream(settings, cards):
    with pytest.raises(ServiceError):
        await gateway_of(cards, settings).stream(CALL, lambda _: None)


OTHERS = (
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "hosted_vllm/phi",
    "ollama/phi",
    "openai/gpt-4o-mini",
)


async def other_wires(settings, cards):
    for call in (replace(CALL, model=model) for model in OTHERS):
        endpoints = {call.model: f"{settings.bedrock.endpoint}/v1"}
        gateway = LiteLLMGateway(ModelCards([]), region="us-east-1", endpoints=endpoints)
        with pytest.raises(ServiceError):
            await gateway.complete(call)
        with pytest.raises(ServiceError):
            await gateway.stream(call, lambda _: None)


async def history(settings, cards):
    with pytest.raises(StoreError):
        async with DynamoQueries.beside(client("dynamodb", settings), settings) as queries:
            await queries.query(TableName="interactions", KeyConditionExpression="pk = :pk")


async def store(settings, cards):
    with suppress(Exception):
        client("dynamodb", settings, attempts=1).get_item(TableName="x", Key={"pk": {"S": "x"}})
    with suppress(Exception):
        client("s3", settings, attempts=1).get_object(Bucket="bucket", Key="x")


async def spans(settings, cards):
    start_tracing(settings.bedrock.endpoint, environment="local", share=1.0, headers={"api-key": "of the collector"})
    with span("request"):
        pass
    stop_tracing()


@pytest.mark.parametrize("ask", [complete, stream, other_wires, history, store, spans], ids=lambda ask: ask.__name__)
async def test_no_redirect_is_followed(servers, settings, cards, ask, monkeypatch):
    for provider in ("ANTHROPIC", "GEMINI", "OPENAI"):
        monkeypatch.setenv(f"{provider}_API_KEY", "k")
    await ask(settings, cards)
    assert servers.asked["endpoint"]
    assert servers.asked["elsewhere"] == []
