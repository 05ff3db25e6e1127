"""A customer, known by identities that a channel or a person of the company has verified."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

# Whose customers and data: a company, or a part of one.
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,61}$")]
IdentityKind = Literal["account", "contact", "phone", "email"]
# The names under which channels give verified values of these kinds; other values, such as a language, identify nobody.
IDENTITY_NAMES: Mapping[str, IdentityKind] = {
    "account_number": "account",
    "account": "account",
    "contact_id": "contact",
    "phone": "phone",
    "customer_phone": "phone",
    "email": "email",
}


def _as_it_looks(number: str) -> str:
    """Return ``number``; a character that nobody sees, or that looks like another, would name another account than it shows."""
    if not (number.isascii() and number.isprintable()):
        raise ValueError(
            "holds characters that are invisible or stand for others; type it with plain letters and digits"
        )
    return number


AccountNumber = Annotated[
    str, Field(min_length=4, max_length=32, json_schema_extra={"pattern": "^[ -~]+$"}), AfterValidator(_as_it_looks)
]


class VerifiedIdentity(BaseModel):
    """One id of a customer that somebody has checked: an account's number, a contact's id, a telephone number, an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: IdentityKind
    value: str


class Customer(BaseModel):
    """Who speaks with the company; one without identities is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identities: tuple[VerifiedIdentity, ...] = ()

    @classmethod
    def verified(cls, values: Mapping[str, str]) -> Self:
        """Return the customer of a channel's verified values, by their names."""
        found = (
            VerifiedIdentity(kind=kind, value=values[name]) for name, kind in IDENTITY_NAMES.items() if values.get(name)
        )
        return cls(identities=tuple(dict.fromkeys(found)))

    def of(self, kind: IdentityKind) -> str | None:
        """Return the first identity of a kind; None if none is verified."""
        return next((each.value for each in self.identities if each.kind == kind), None)
