"""The events of a model call that was cancelled."""

import asyncio

import pytest
from structlog.testing import capture_logs

from service.core.llm.logged_gateway import LoggedGateway
from service.core.llm.model_call import ModelCall
from service.core.unit.cards import ModelCards
from service.core.unit.pair import PromptMessage, Sampling
from service.kit.settings import REPO_ROOT


@pytest.mark.acceptance("event.BEDROCK_INVOKE_CANCELLED")
async def test_the_cancelled_loser_of_a_hedge_is_logged():
    class Hanging:
        async def complete(self, call):
            await asyncio.sleep(3600)

    gateway = LoggedGateway(Hanging(), ModelCards.load(REPO_ROOT / "prompts" / "models.yaml"))
    call = ModelCall(
        model="amazon.nova-lite-v1:0",
        messages=(PromptMessage(role="user", content="hello"),),
        sampling=Sampling(max_output_tokens=9),
        timeout_s=5.0,
    )
    with capture_logs() as logs:
        running = asyncio.create_task(gateway.complete(call))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [entry["event"] for entry in logs] == ["BEDROCK_INVOKE_START", "BEDROCK_INVOKE_CANCELLED"]
    assert {entry["model"] for entry in logs} == {"nova-lite"}
