"""Builds the tenants' desk from the settings."""

from typing import Any

from service.calls.tenants.desk import TenantDesk
from service.calls.tenants.residency import Residency
from service.calls.tenants.store import build_tenants
from service.core.release.released import known_released_pairs
from service.core.tasks.scorecard import TASK
from service.core.unit.cards import ModelCards
from service.kit.settings import Settings


def build_desk(settings: Settings, cards: ModelCards, *, dynamodb: Any, named: bool = False) -> TenantDesk:
    """Return the desk; contacts nothing. ``named``: a pair was named for a trial, and no tenant has one of its own."""
    return TenantDesk(
        tenants=build_tenants(settings, dynamodb=dynamodb),
        residency=Residency(region=settings.aws.region, cards=cards, endpoint=settings.bedrock.endpoint),
        released=None if named else known_released_pairs(TASK.name, settings),
    )
