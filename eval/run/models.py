"""The models of a run: one gateway, and the bundled model's server if a pair needs it."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from eval.run.spending import MeteredGateway, Spending
from service.core.llm.gateway import LiteLLMGateway
from service.core.llm.model_call import Gateway, ModelCall
from service.core.run.task import Task
from service.core.unit.cards import ModelCards
from service.core.unit.pair import Pair
from service.kit.aws.clients import has_credentials
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings
from service.local.process import LocalBedrock


class RunModels:
    """The gateway of this run, and the bundled model's server when a pair needs one and no endpoint is set.

    With ``spending`` every call of every gateway counts against its limit.
    """

    def __init__(
        self,
        stack: ExitStack,
        cards: ModelCards,
        settings: Settings,
        task: Task[Any],
        spending: Spending | None = None,
    ) -> None:
        self._stack, self._cards, self._settings, self._task = stack, cards, settings, task
        self._spending = spending
        self._server: LocalBedrock | None = None

    def _needed(self, pairs: Sequence[Pair]) -> bool:
        return any(self._cards.get(model).wire == "bedrock" for pair in pairs for model in pair.models)

    def start_for(self, pairs: Sequence[Pair]) -> None:
        """Start the bundled model if ``pairs`` need it; it loads in its own process.

        Raises:
            ConfigurationError: ``pairs`` need a provider, but there are no credentials, so every answer would fail.
        """
        settings = self._settings
        provider = settings.environment == "aws" and not settings.bedrock.endpoint
        if provider and self._needed(pairs) and not has_credentials():
            names = ", ".join(pair.name for pair in pairs if self._needed([pair]))
            raise ConfigurationError(
                f"no AWS credentials to ask the models of {names} with: set AWS_PROFILE, AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK; on this machine alone, OMNI_ENVIRONMENT=local"
            )
        if (
            self._server is None
            and settings.environment == "local"
            and not settings.bedrock.endpoint
            and self._needed(pairs)
        ):
            log = settings.state_dir / "logs" / "bedrock.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            self._server = self._stack.enter_context(LocalBedrock(("--preload",), log=log))

    def gateway(self, pairs: Sequence[Pair]) -> LiteLLMGateway:
        """Return a gateway that can answer ``pairs`` after it has been made ready."""
        self.start_for(pairs)
        settings = self._settings
        options: dict[str, Any] = {
            "region": settings.aws.region,
            "endpoint": settings.bedrock.endpoint or (self._server.url if self._server else None),
            "stand_in": settings.bedrock.stand_in,
            "in_process": self._task.in_process,
            "endpoints": settings.bedrock.model_endpoints,
            "https_only": settings.environment == "aws",
        }
        if self._spending is not None:
            return MeteredGateway(self._cards, spending=self._spending, **options)
        return LiteLLMGateway(self._cards, **options)

    async def make_ready(self, gateway: Gateway, call: ModelCall | None = None) -> None:
        """Import what ``call`` needs, such as litellm (3 s), before the first one like it, so that no latency includes it.

        Without it, what any call needs.
        """
        if isinstance(gateway, LiteLLMGateway):
            await asyncio.to_thread(gateway.warm_up, call)

    def died(self) -> str | None:
        """Describe the end of the model's server, or return None while it lives (or none was started)."""
        if self._server is None or self._server.alive():
            return None
        return f"The local model server died ({self._server.exit_description()})."
