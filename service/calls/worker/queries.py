"""Queries of one tenant's calls in the warehouse. Every query filters by the tenant, which is a parameter."""

from typing import TYPE_CHECKING

from service.calls.keys import is_tenant
from service.calls.store.objects import WallBreached
from service.warehouse.port import Warehouse

if TYPE_CHECKING:
    import pandas as pd


def leaderboard(warehouse: Warehouse, tenant: str) -> "pd.DataFrame":
    """Return the tenant's criteria, most failures first."""
    return _asked(
        warehouse,
        tenant,
        "SELECT place, form_id, criterion_id, calls, failures, fail_rate, not_applicable, without_evidence "
        "FROM v_criterion_failures WHERE tenant_id = :tenant ORDER BY place",
    )


def tone(warehouse: Warehouse, tenant: str) -> "pd.DataFrame":
    """Return tone and scores of the tenant's calls by day."""
    return _asked(
        warehouse,
        tenant,
        "SELECT day, calls, needs_review, tone_score, positive, neutral, negative, scored, percentage, pass_rate "
        "FROM v_tone WHERE tenant_id = :tenant ORDER BY day",
    )


def agreement(warehouse: Warehouse, tenant: str) -> "pd.DataFrame":
    """Return how often people agree with the model, by criterion."""
    return _asked(
        warehouse,
        tenant,
        "SELECT form_id, criterion_id, n, agreement, kappa FROM v_agreement WHERE tenant_id = :tenant "
        "ORDER BY form_id, criterion_id",
    )


def criteria(warehouse: Warehouse, tenant: str, call_id: str) -> "pd.DataFrame":
    """Return one call's criteria with verdict, evidence and a person's verdict."""
    return _asked(
        warehouse,
        tenant,
        "SELECT criterion_id, form_id, form_version, verdict, human_verdict, evidence, pair_digest FROM v_criteria "
        "WHERE tenant_id = :tenant AND call_id = :call_id ORDER BY criterion_id",
        call_id=call_id,
    )


def _asked(warehouse: Warehouse, tenant: str, sql: str, **parameters: str) -> "pd.DataFrame":
    if not is_tenant(tenant):
        raise WallBreached("a query about calls needs a tenant")
    return warehouse.query(sql, {"tenant": tenant, **parameters})
