"""Tenants in DynamoDB: item ``META#v1`` of each partition ``TENANT#<id>`` of the table that also holds their forms."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from service.core.redaction.own_words import MOST_AGENTS, MOST_WORDS, OwnWord, OwnWords
from service.core.tasks.scorecard.form import Name
from service.core.unit.customer import TenantId
from service.core.unit.tenant import Tenant
from service.kit.aws.bounded import ItemChanged, StoreThreads
from service.kit.aws.stores import CONFIG
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.frame.strict import AS_WRITTEN, decimal_schema
from service.kit.records.build import open_rows
from service.kit.records.conditions import Changes, absent, either, equal, every, one_of, present
from service.kit.records.items import Item, Key
from service.kit.records.rows import Rows, key_attributes
from service.kit.settings import Settings

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
    Transcribe. ``monthly_budget_usd`` and ``tags`` are for the account's budgets and bills. Redaction keeps ``own_words``, as the
    company and its products, and writes ``[agent]`` for the names of ``agents``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    model: ModelId | None = None
    regions: tuple[Region, ...] = Field(default=(), max_length=20)
    language: Language | None = None
    vocabulary: Vocabulary | None = None
    monthly_budget_usd: Dollars | None = None
    tags: Annotated[dict[TagName, TagValue], _TAGS] = Field(default_factory=dict, max_length=20)
    own_words: tuple[OwnWord, ...] = Field(default=(), max_length=MOST_WORDS)
    agents: tuple[OwnWord, ...] = Field(default=(), max_length=MOST_AGENTS)

    def redaction_words(self) -> OwnWords:
        """Return what redaction must know of the tenant."""
        return OwnWords(words=self.own_words, agents=self.agents)


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


META = "META#v1"
_PARTITION = "TENANT#"
# The name that the table has had from the beginning.
_ATTRIBUTES = {"model": "bedrockModel"}
_JSON = frozenset({"regions", "tags", "own_words", "agents"})


class TenantMissing(ServiceError):
    """There is no such tenant."""

    status = 404


class TenantChanged(ServiceError):
    """The tenant is not in the state that a change needs, or exists already; the message says what to do."""

    status = 409


class TenantStore:
    """Reads and writes tenants. Blocking; every method raises ``StoreError`` when DynamoDB does not answer."""

    def __init__(self, rows: Rows, *, timeout_s: float) -> None:
        """``timeout_s`` bounds each access by ``threads``, which runs these methods for callers on the event loop."""
        self._rows = rows
        self.threads = StoreThreads(f"table {rows.name!r}", timeout_s=timeout_s)

    def get(self, tenant: str) -> ConfiguredTenant | None:
        """Return the tenant, or None."""
        item = self._rows.get(_key(tenant))
        return None if item is None else _tenant(item)

    def all(self) -> list[ConfiguredTenant]:
        """Return all tenants by id. Reads the whole table, which holds forms besides."""
        found = map(_tenant, self._rows.scan(where=equal(CONFIG.sort, META)))
        return sorted(found, key=lambda one: one.tenant)

    def add(self, tenant: ConfiguredTenant) -> bool:
        """Add a tenant; return False and change nothing when it exists."""
        item = key_attributes(CONFIG, _key(tenant.tenant)) | _texts(tenant.model_dump(mode="json", exclude={"tenant"}))
        try:
            self._rows.put(item, when=absent(CONFIG.partition))
        except ItemChanged:
            return False
        return True

    def vocabulary(self, tenant: str) -> str | None:
        """Return the name of the tenant's custom vocabulary in Amazon Transcribe, or None."""
        known = self.get(tenant)
        return None if known is None else known.vocabulary

    def tags(self, tenant: str) -> dict[str, str]:
        """Return the tags by which the tenant's bills are split; none if there is no such tenant."""
        known = self.get(tenant)
        return {} if known is None else dict(known.tags)

    def configure(self, tenant: str, wanted: TenantSettings) -> ConfiguredTenant:
        """Replace a tenant's settings and return it."""
        return self._change(tenant, wanted.model_dump(mode="json"), ("active", "suspended"))

    def move(
        self, tenant: str, state: TenantState, *, from_states: tuple[TenantState, ...], by: str, why: str, now: datetime
    ) -> ConfiguredTenant:
        """Put a tenant into another state and return it.

        Raises:
            TenantChanged: it is in none of ``from_states``.
        """
        at = now.isoformat(timespec="milliseconds")
        return self._change(tenant, {"state": state, "state_at": at, "state_by": by, "state_why": why}, from_states)

    def _change(self, tenant: str, fields: Mapping[str, Any], from_states: tuple[TenantState, ...]) -> ConfiguredTenant:
        texts = _texts(fields)
        gone = [_ATTRIBUTES.get(name, name) for name in fields if _ATTRIBUTES.get(name, name) not in texts]
        allowed = one_of("state", from_states)
        if "active" in from_states:  # a tenant that was never moved has no state
            allowed = either(allowed, absent("state"))
        going = every(present(CONFIG.partition), allowed)
        try:
            return _tenant(self._rows.update(_key(tenant), Changes(sets=texts, removes=gone), when=going))
        except ItemChanged:
            there = self.get(tenant)
        if there is None:
            raise TenantMissing(f"there is no tenant {tenant!r}: omni tenant list shows them")
        raise TenantChanged(f"tenant {tenant!r} is {there.state}; this needs one that is {' or '.join(from_states)}")


def build_tenants(settings: Settings, *, dynamodb: Any) -> TenantStore:
    """Return the tenants of the settings' table; contacts nothing."""
    return TenantStore(open_rows(settings, CONFIG, dynamodb), timeout_s=settings.stores.timeout_s)


def _key(tenant: str) -> Key:
    return Tenant(tenant).partition, META


def _texts(fields: Mapping[str, Any]) -> Item:
    """Return the attributes of an item; what is empty has none."""
    return {
        _ATTRIBUTES.get(name, name): json.dumps(value) if name in _JSON else str(value)
        for name, value in fields.items()
        if value not in (None, "", [], {})
    }


def _tenant(item: Item) -> ConfiguredTenant:
    names = {kept: name for name, kept in _ATTRIBUTES.items()}
    fields = {
        names.get(name, name): json.loads(value) if name in _JSON else value
        for name, value in item.items()
        if name not in (CONFIG.partition, CONFIG.sort)
    }
    tenant = item[CONFIG.partition].removeprefix(_PARTITION)
    try:
        return ConfiguredTenant.model_validate(fields | {"tenant": tenant})
    except ValidationError as err:
        raise StoreError(f"the item of tenant {tenant!r} is damaged: {err.error_count()} wrong fields") from err
