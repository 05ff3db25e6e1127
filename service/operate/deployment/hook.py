"""The functions that ask what ``service/operate/deployment/smoke.py`` asks: before a deployment, and each minute.

ECS calls the first in a blue/green deployment while only the test listener leads to the new version. ECS moves the customers'
traffic if it answers ``SUCCEEDED``; if it answers ``FAILED``, raises or does not answer, the new version goes and nobody has met
it. The second asks where customers ask, looks at the KMS keys, and writes the figures ``CanaryAnswered`` and ``KeysUnusable``,
whose absence is an alarm, too.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

import httpx2
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError
from service.kit.telemetry import metrics
from service.kit.telemetry.emf import EmfSink
from service.kit.telemetry.log import Event, configure_logging, flush_log, log, write_line
from service.operate.deployment.smoke import smoke_problem, token_of, write_history

HookStatus = Literal["SUCCEEDED", "FAILED"]


class SmokeSettings(BaseSettings):
    """Settings of both functions, from ``OMNI_SMOKE_*`` environment variables."""

    model_config = SettingsConfigDict(env_prefix="OMNI_SMOKE_", frozen=True)

    url: str  # the test listener's address, or the gateway's
    key: SecretStr = SecretStr("")  # the gateway's
    table: str = ""  # where the canary's history is written; without it, somebody else has
    keys: tuple[str, ...] = ()  # ARNs or aliases of the KMS keys that the canary looks at
    endpoint: str | None = None  # of a local AWS
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


def canary_handler(event: object, context: object) -> Mapping[str, bool]:
    """Ask once, as a customer does, and write whether a model answered: AWS Lambda's entry point, each minute."""
    configure_logging()
    sink = EmfSink(write_line, environment="aws")
    metrics.add_sink(sink)
    try:
        settings = SmokeSettings(attempts=1)
        if settings.keys and (unusable := _unusable_keys(settings)) is not None:
            metrics.observe(metrics.KEYS_UNUSABLE, unusable)
        answered = hook_status(settings) == "SUCCEEDED"
        metrics.observe(metrics.CANARY_ANSWERED, answered)
        return {"answered": answered}
    finally:
        metrics.remove_sink(sink)
        sink.flush()
        flush_log()


def lambda_handler(event: object, context: object) -> Mapping[str, str]:
    """Answer one call of ECS: AWS Lambda's entry point."""
    configure_logging()
    try:
        return {"hookStatus": hook_status(SmokeSettings())}
    finally:
        flush_log()  # Lambda stops the process between two calls


def _unusable_keys(settings: SmokeSettings) -> int | None:
    """Return how many keys cannot be used now; None where KMS does not tell: the figure is then missing."""
    import boto3

    kms, found = boto3.client("kms", endpoint_url=settings.endpoint), 0
    for key in settings.keys:
        try:
            with translated(f"key {key!r}"):
                state = str(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])
        except StoreError as err:
            log(Event.SMOKE_TESTED, outcome="failed", reason=f"{err!s:.200}")
            return None
        if state != "Enabled":
            found += 1
            log(Event.SMOKE_TESTED, outcome="failed", reason=f"key {key!r} is {state}")
    return found


def _problem(settings: SmokeSettings) -> str | None:
    key = settings.key.get_secret_value()
    try:
        if settings.table:
            import boto3

            dynamodb = boto3.client("dynamodb", endpoint_url=settings.endpoint)
            write_history(dynamodb, settings.table, settings.account, datetime.now(UTC))
        token = token_of(settings.url, settings.client_id, settings.client_secret.get_secret_value(), key=key)
    except StoreError as err:
        return f"the canary's history cannot be written: {err!s:.200}"
    except (httpx2.HTTPError, ValueError, KeyError) as err:
        return f"no token: {type(err).__name__}: {err!s:.200}"
    return smoke_problem(settings.url, settings.account, token, key=key)
