"""The function that ECS calls in a blue/green deployment while only the test listener leads to the new version.

It asks there what ``service/operate/deployment/smoke.py`` asks. ECS moves the customers' traffic if it answers
``SUCCEEDED``; if it answers ``FAILED``, raises or does not answer, the new version goes and nobody has met it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Literal

import httpx2
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.kit.telemetry.log import Event, configure_logging, flush_log, log
from service.operate.deployment.smoke import smoke_problem, token_of

HookStatus = Literal["SUCCEEDED", "FAILED"]


class SmokeSettings(BaseSettings):
    """Settings of the function, from ``OMNI_SMOKE_*`` environment variables."""

    model_config = SettingsConfigDict(env_prefix="OMNI_SMOKE_", frozen=True)

    url: str  # the test listener's address
    account: str = Field(min_length=4)  # the canary account: a customer that nobody is
    client_id: str
    client_secret: SecretStr
    # A model may throttle one request; a version that fails every time is refused.
    attempts: int = Field(default=3, ge=1, le=5)
    pause_s: float = Field(default=5.0, ge=0, le=30)


def hook_status(settings: SmokeSettings, *, sleep: Callable[[float], None] = time.sleep) -> HookStatus:
    """Return ECS's word for whether the version behind the test listener may get traffic."""
    for attempt in range(1, settings.attempts + 1):
        found = _problem(settings)
        log(
            Event.SMOKE_TESTED,
            outcome="failed" if found else "passed",
            reason=found or "ready, and a model answers",
            calls=attempt,
        )
        if found is None:
            return "SUCCEEDED"
        if attempt < settings.attempts:
            sleep(settings.pause_s)
    return "FAILED"


def lambda_handler(event: object, context: object) -> Mapping[str, str]:
    """Answer one call of ECS: AWS Lambda's entry point."""
    configure_logging()
    try:
        return {"hookStatus": hook_status(SmokeSettings())}
    finally:
        flush_log()  # Lambda stops the process between two calls


def _problem(settings: SmokeSettings) -> str | None:
    try:
        token = token_of(settings.url, settings.client_id, settings.client_secret.get_secret_value())
    except (httpx2.HTTPError, ValueError, KeyError) as err:
        return f"no token: {type(err).__name__}: {err!s:.200}"
    return smoke_problem(settings.url, settings.account, token)
