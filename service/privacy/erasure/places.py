"""Reads the inventory of all places where something is kept, and how a customer's part of each is found."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

IdKind = Literal[
    "account", "contact", "process", "request", "conversation", "phone", "call", "object", "text", "keyed", "tenant"
]
# Kinds that lead to one tenant's records and never to another's: all but the tenant itself are ids that this service makes.
OF_TENANTS: frozenset[IdKind] = frozenset({"tenant", "request", "call", "object", "conversation"})
_FILE = Path(__file__).with_name("places.yaml")


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SealedField(_Written):
    """A field whose value is sealed under another field's value, with the name of the encryption context."""

    field: str
    under: str
    sealed_as: str


class Place(_Written):
    """One place. It names how a customer's records are found, or why there are none, or why others must delete them."""

    holds: str = ""
    found_by: Mapping[str, tuple[IdKind, ...]] = Field(default_factory=dict)
    learns: Mapping[str, IdKind] = Field(default_factory=dict)
    sealed: SealedField | None = None
    bucket: str = ""  # the setting of a prefix's bucket
    prefix: str = ""  # where it is not the place's own name
    unread: bool = False  # its objects are found by their keys alone; they may be recordings
    no_tenant: str = ""
    none: str = ""
    outside: str = ""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(map(bool, (self.found_by, self.none, self.outside))) != 1:
            raise ValueError("give one of found_by, none and outside")
        if self.found_by and not self.is_of_tenants and not self.no_tenant:
            raise ValueError("give an id in found_by that leads to a tenant, or no_tenant: why none does")
        return self

    @property
    def is_of_customers(self) -> bool:
        """Whether it may hold what is one customer's."""
        return any(set(kinds) != {"tenant"} for kinds in self.found_by.values())

    @property
    def is_of_tenants(self) -> bool:
        """Whether it may hold what is one tenant's."""
        return any(not OF_TENANTS.isdisjoint(kinds) for kinds in self.found_by.values()) and not self.no_tenant

    @property
    def is_searched(self) -> bool:
        """Whether customers are looked for in it."""
        return bool(self.found_by)


class Inventory(_Written):
    """All places: tables and queues by setting, prefixes of buckets, warehouse tables, folders of the state folder, others."""

    tables: Mapping[str, Place]
    prefixes: Mapping[str, Place]
    warehouse: Mapping[str, Place]
    folders: Mapping[str, Place]
    queues: Mapping[str, Place]
    elsewhere: Mapping[str, Place]

    def every(self) -> dict[str, Place]:
        """Return all places by name, each with its kind in front."""
        return {
            f"{kind} {name}": place
            for kind, places in (
                ("table", self.tables),
                ("objects", self.prefixes),
                ("warehouse", self.warehouse),
                ("folder", self.folders),
                ("queue", self.queues),
                ("other", self.elsewhere),
            )
            for name, place in places.items()
        }


@cache
def inventory() -> Inventory:
    """Return the inventory."""
    return Inventory.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
