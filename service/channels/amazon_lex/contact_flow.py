"""The function that a contact flow of Amazon Connect asks for what the agent's page needs: the account and a token for it.

The flow has identified the customer; whatever goes wrong here, it goes on, and the agent sees no summary.
"""

import asyncio
from collections.abc import Mapping
from functools import cache

import httpx2
from pydantic import AliasPath, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.channels.amazon_lex.service_client import ConversationGone, ServiceAway, ServiceClient
from service.kit.telemetry.log import Event, configure_logging, log

ACCOUNT, TOKEN = "omni_account", "omni_token"  # the contact's attributes that `/workspace` reads


class FlowSettings(BaseSettings):
    """Settings of the function, from ``OMNI_FLOW_*`` environment variables."""

    model_config = SettingsConfigDict(env_prefix="OMNI_FLOW_", frozen=True)

    url: str  # the service's address
    client_id: str  # of a client that may exchange tokens
    client_secret: SecretStr  # its secret
    timeout_s: float = Field(default=4.0, gt=0, le=7)  # a flow waits for 8 seconds at most


class FlowEvent(BaseModel):
    """One invocation by a contact flow, which sets the parameters."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    account_number: str = Field(
        min_length=4, max_length=32, validation_alias=AliasPath("Details", "Parameters", "account_number")
    )


async def attributes_for(event: object, service: ServiceClient, *, timeout_s: float) -> Mapping[str, str]:
    """Return the attributes to set on the contact; none if the event names no account, or the service gives no token."""
    try:
        account = FlowEvent.model_validate(event).account_number
        async with asyncio.timeout(timeout_s):
            return {ACCOUNT: account, TOKEN: await service.account_token(account)}
    except ValidationError as err:
        log(Event.REQUEST_FAILED, failure_code="INVALID_REQUEST", wrong_fields=err.error_count())
    except (ServiceAway, ConversationGone, TimeoutError, httpx2.HTTPError) as err:
        log(Event.REQUEST_FAILED, failure_code="UPSTREAM_UNAVAILABLE", error=type(err).__name__)
    return {}


def lambda_handler(event: object, context: object) -> Mapping[str, str]:
    """Answer one event: AWS Lambda's entry point."""
    runner, service, timeout_s = _opened()
    return runner.run(attributes_for(event, service, timeout_s=timeout_s))


@cache
def _opened() -> tuple[asyncio.Runner, ServiceClient, float]:
    """Open once per process: connections and the client's token outlive an event."""
    configure_logging()
    settings = FlowSettings()
    service = ServiceClient(
        http=httpx2.AsyncClient(base_url=settings.url, timeout=settings.timeout_s),
        task="",
        timeout_s=settings.timeout_s,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
    )
    return asyncio.Runner(), service, settings.timeout_s
