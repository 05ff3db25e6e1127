"""A tenant: its name, its state, and what its configuration allows."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from service.core.tasks.scorecard.form import Name, TenantId
from service.kit.frame.strict import AS_WRITTEN, decimal_schema

TenantState = Literal["active", "suspended", "deleting"]
# A region of AWS, or a geography, which is all its regions: "eu" is every region that begins with "eu-".
Region = Annotated[str, StringConstraints(pattern=r"^(eu|us|apac|[a-z]{2}(-[a-z]+){1,2}-\d{1,2})$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}-[A-Z]{2}$")]
Vocabulary = Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z._-]{1,200}$")]
ModelId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{1,127}$")]
# Characters and lengths that AWS takes for a tag of a resource.
_TAG_NAME, _TAG_VALUE = r"^[A-Za-z0-9][A-Za-z0-9 _.:/=+@-]{0,63}$", r"^[A-Za-z0-9 _.:/=+@-]{0,128}$"
TagName = Annotated[str, StringConstraints(pattern=_TAG_NAME)]
TagValue = Annotated[str, StringConstraints(pattern=_TAG_VALUE)]
# As OpenAPI 3.0 and generated clients understand it: pydantic writes patternProperties, which allow every other name.
_TAGS = WithJsonSchema(
    {
        "type": "object",
        "maxProperties": 20,
        "propertyNames": {"pattern": _TAG_NAME},
        "additionalProperties": {"type": "string", "pattern": _TAG_VALUE},
    }
)
Dollars = Annotated[
    Decimal,
    Field(gt=0, le=1_000_000, decimal_places=2),
    AS_WRITTEN,
    decimal_schema(
        r"^(?:1000000(?:\.0{1,2})?|0\.(?:0[1-9]|[1-9][0-9]?)|[1-9][0-9]{0,5}(?:\.[0-9]{1,2})?)$",
        decimals=2,
        exclusiveMinimum=0,
        maximum=1_000_000,
    ),
]


class TenantSettings(BaseModel):
    """What a tenant may be given. Empty ``regions``: everywhere; ``model`` None: whichever the released pair names.

    ``language`` is that of recordings which declare none, None: the deployment's. ``vocabulary`` is a custom vocabulary of Amazon
    Transcribe. ``monthly_budget_usd`` and ``tags`` are for the account's budgets and bills.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    model: ModelId | None = None
    regions: tuple[Region, ...] = Field(default=(), max_length=20)
    language: Language | None = None
    vocabulary: Vocabulary | None = None
    monthly_budget_usd: Dollars | None = None
    tags: Annotated[dict[TagName, TagValue], _TAGS] = Field(default_factory=dict, max_length=20)


class ConfiguredTenant(TenantSettings):
    """A tenant as it is kept. ``state_at``, ``state_by`` and ``state_why``: since when it is in its state, on whose word and why.

    A tenant of before tenants had a life cycle has no times.
    """

    tenant: TenantId
    state: TenantState = "active"
    created_at: AwareDatetime | None = None
    created_by: str = ""
    state_at: AwareDatetime | None = None
    state_by: str = ""
    state_why: str = ""
