"""What /v1/tenants takes and answers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.calls.tenants.store import ConfiguredTenant, TenantSettings
from service.kit.frame.strict import NO_SPACE
from service.privacy.tenants.receipts import TenantReceipt

_SETTINGS: dict[str, Any] = {
    "name": "Brindlewick Energy",
    "model": None,
    "regions": ["eu-central-1"],
    "language": "en-GB",
    "vocabulary": None,
    "monthly_budget_usd": "120.50",
    "tags": {"cost-center": "4711"},
}
_TENANT: dict[str, Any] = {
    **_SETTINGS,
    "tenant": "brindlewick-energy",
    "state": "active",
    "created_at": "2026-11-23T09:00:00Z",
    "created_by": "ops",
    "state_at": None,
    "state_by": "",
    "state_why": "",
}
_RECEIPT: dict[str, Any] = TenantReceipt.model_json_schema()["examples"][0]


class TenantRequest(TenantSettings):
    """A tenant's settings, all of them; the id stands in the path."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SETTINGS]})


class TenantAnswer(ConfiguredTenant):
    """A tenant: its settings and its state."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TENANT]})

    @classmethod
    def of(cls, tenant: ConfiguredTenant) -> "TenantAnswer":
        """Return the answer that shows ``tenant``."""
        return cls.model_validate(tenant.model_dump())


class TenantList(BaseModel):
    """All tenants, by id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tenants": [_TENANT]}]})

    tenants: list[TenantAnswer]


class ReasonRequest(BaseModel):
    """Why a tenant is moved to another state: a case, never a person; kept under the token's client."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"why": "contract ended, case 4711"}]}
    )

    # Three characters are left when spaces around them are taken away, and the document says so.
    why: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=3, max_length=200, pattern=rf"{NO_SPACE}[\s\S]+{NO_SPACE}"),
    ]


class DeletionAnswer(BaseModel):
    """How far a tenant's deletion is. ``receipts`` are of all deletions of this id, the newest last.

    ``ordered``: an operator's `omni tenant delete` carries it out; ``done``: nothing of the tenant is kept.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"tenant": "brindlewick-energy", "state": "done", "receipts": [_RECEIPT]}],
        }
    )

    tenant: str
    state: Literal["none", "ordered", "done"] = Field(description="none: this tenant is not to be deleted")
    receipts: list[TenantReceipt]
