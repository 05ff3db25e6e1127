"""What /v1/tenants takes and answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.api.examples import examples
from service.calls.tenants.store import ConfiguredTenant, TenantSettings
from service.kit.frame.strict import NO_SPACE
from service.privacy.tenants.receipts import TenantReceipt


class TenantRequest(TenantSettings):
    """A tenant's settings, all of them; the id stands in the path."""

    model_config = ConfigDict(json_schema_extra=examples("TenantRequest"))


class TenantAnswer(ConfiguredTenant):
    """A tenant: its settings and its state."""

    model_config = ConfigDict(json_schema_extra=examples("TenantAnswer"))

    @classmethod
    def of(cls, tenant: ConfiguredTenant) -> "TenantAnswer":
        """Return the answer that shows ``tenant``."""
        return cls.model_validate(tenant.model_dump())


class TenantList(BaseModel):
    """All tenants, by id."""

    model_config = ConfigDict(json_schema_extra=examples("TenantList"))

    tenants: list[TenantAnswer]


class ReasonRequest(BaseModel):
    """Why a tenant is moved to another state: a case, never a person; kept under the token's client."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("ReasonRequest"))

    # Three characters are left when spaces around them are taken away, and the document says so.
    why: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=3, max_length=200, pattern=rf"{NO_SPACE}[\s\S]+{NO_SPACE}"),
    ]


class DeletionAnswer(BaseModel):
    """How far a tenant's deletion is. ``receipts`` are of all deletions of this id, the newest last.

    ``ordered``: an operator's `omni tenant delete` carries it out; ``done``: nothing of the tenant is kept.
    """

    model_config = ConfigDict(json_schema_extra=examples("DeletionAnswer"))

    tenant: str
    state: Literal["none", "ordered", "done"] = Field(description="none: this tenant is not to be deleted")
    receipts: list[TenantReceipt]
