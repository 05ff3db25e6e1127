"""A tenant: a company, or a part of one, whose records nobody else sees."""

from dataclasses import dataclass
from typing import Self

_OWNER = "tenant:"
_PARTITION = "TENANT#"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant by its id, and the forms that the id takes in keys of records."""

    id: str

    @property
    def owner(self) -> str:
        """The tenant as the owner of a conversation; a client without a tenant owns its own."""
        return f"{_OWNER}{self.id}"

    @property
    def partition(self) -> str:
        """The partition of the tenant's records in tables that hold a record's kind beside it."""
        return f"{_PARTITION}{self.id}"

    @classmethod
    def of_owner(cls, owner: str) -> Self | None:
        """Return the tenant that an owner stands for; None for a client, or without access control."""
        return cls(owner.removeprefix(_OWNER)) if owner.startswith(_OWNER) else None

    def owns(self, key: str) -> bool:
        """Return whether a partition, an owner, a conversation's key or an object's key is the tenant's."""
        if key in (self.partition, self.owner):
            return True
        return f"/{self.owner}/" in key or key.startswith((f"{self.id}/", f"tmp/{self.id}/"))
