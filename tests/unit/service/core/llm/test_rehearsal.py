"""What a gateway does ahead of the first call must send nothing, even where litellm does not ask before it sends."""

from types import SimpleNamespace

from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

from service.core.llm.litellm_bookkeeping import unlogged_class
from service.core.llm.litellm_clients import guard_requests
from service.core.llm.litellm_wire import LiteLLMWire
from service.core.unit.cards import ModelCard


class Imported:
    """litellm with a provider whose handler sends at once."""

    in_memory_llm_clients_cache = SimpleNamespace(cache_dict={}, ttl_dict={})
    module_level_aclient = SimpleNamespace(client=None)

    def __init__(self):
        self.called = []

    def validate_environment(self, model):
        return {"keys_in_environment": True, "missing_keys": []}

    async def acompletion(self, **arguments):
        self.called.append(arguments)
        return await LiteLLMAiohttpTransport.handle_async_request(None, "a request")


async def test_a_rehearsal_sends_nothing_even_if_litellm_does_not_ask_before(monkeypatch):
    sent = []

    async def send(transport, request):
        sent.append(request)
        return SimpleNamespace(headers={})

    monkeypatch.setattr(LiteLLMAiohttpTransport, "handle_async_request", send)
    guard_requests()
    imported = Imported()
    wire = LiteLLMWire(imported, unlogged_class(), endpoints={}, https_only=True)
    card = ModelCard(id="replicate/m", short_name="mm", wire="litellm", runs="provider", context_tokens=1000)
    for _ in range(2):
        await wire.make_ready(card)
    assert ([call.get("stream") for call in imported.called], sent) == ([None, True], [])
    await imported.acompletion()
    assert sent == ["a request"]
