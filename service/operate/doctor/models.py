"""Asks Amazon Bedrock whether this account may call a model, and whether its quotas carry the required traffic."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

# What the required traffic needs in its busiest minute: docs/capacity.md.
NEEDED_TOKENS, NEEDED_REQUESTS = 170_000, 50
_PROFILES = ("us.", "eu.", "apac.", "global.")


def base_model(model_id: str) -> str:
    """Return the id of the model behind an inference profile, or the id itself."""
    return next((model_id.removeprefix(prefix) for prefix in _PROFILES if model_id.startswith(prefix)), model_id)


def check_model(bedrock: Any, quotas: Any, model_id: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a model: unknown, not allowed, not in this region, at its end of life, or with too low a quota."""
    base = base_model(model_id)
    try:
        details = bedrock.get_foundation_model(modelIdentifier=base)["modelDetails"]
    except ClientError as err:
        if err.response["Error"]["Code"] not in ("ResourceNotFoundException", "ValidationException"):
            raise
        yield "Bedrock does not know it here", "correct the pair's model, or the region"
        return
    found = bedrock.get_foundation_model_availability(modelId=base)
    if found["regionAvailability"] != "AVAILABLE" and base == model_id:
        yield "this region does not have it", "name an inference profile (us. or eu. before its id), or another region"
    if found["authorizationStatus"] != "AUTHORIZED" or found["entitlementAvailability"] != "AVAILABLE":
        yield "this account may not call it", "ask for access in the Bedrock console under Model access"
    if details.get("modelLifecycle", {}).get("status", "ACTIVE") != "ACTIVE":
        yield f"it is {details['modelLifecycle']['status']}", "release a pair with a model that stays"
    yield from _quotas(quotas, details["modelName"], profile=base != model_id)


def _quotas(quotas: Any, name: str, *, profile: bool) -> Iterator[tuple[str, str]]:
    kind = "Cross-region" if profile else "On-demand"
    values = {
        quota["QuotaName"].casefold(): float(quota["Value"])
        for page in quotas.get_paginator("list_service_quotas").paginate(ServiceCode="bedrock")
        for quota in page["Quotas"]
    }
    for unit, needed in (("tokens", NEEDED_TOKENS), ("requests", NEEDED_REQUESTS)):
        start, end = f"{kind} model inference {unit} per minute", f"{kind} InvokeModel {unit} per minute"
        value = next(
            (
                value
                for quota, value in values.items()
                if quota.startswith((start.casefold(), end.casefold())) and quota.endswith(name.casefold())
            ),
            None,
        )
        if value is not None and value < needed:
            yield (
                f"the quota is {value:,.0f} {unit} a minute, the required traffic needs {needed:,}",
                "ask for an increase in the Service Quotas console; docs/capacity.md says how the need is reckoned",
            )
