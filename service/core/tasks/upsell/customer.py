"""What is known when a message is written: the customer, what was bought and felt, and what may be offered."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.core.unit.customer import TenantId

UpsellChannel = Literal["sms", "email", "mobile_app"]
SuppressionReason = Literal[
    "no_consent",
    "complaint",
    "vulnerable",
    "contacted_recently",
    "no_offer",
    "asked_for_none",
    "no_guidelines",
    "note_unread",
]
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]
_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MarketingConsent(_Strict):
    """What the customer has agreed to: messages that sell, and on which channels."""

    marketing: bool
    channels: tuple[UpsellChannel, ...] = ()


class Complaint(_Strict):
    """A complaint, from the day it was made; it is open until somebody has settled it."""

    made: date
    open: bool


class Property(_Strict):
    """The home that is served; ``built`` is a year."""

    kind: Literal["house", "flat"]
    garden: bool = False
    built: int | None = Field(default=None, ge=1500, le=2100)


class Features(_Strict):
    """Figures of a customer on the day of the message.

    ``average_satisfaction`` is of marks from 1 to 5; ``satisfaction_trend`` is their change in marks a year;
    ``lifetime_value`` is what the customer has paid, in the tenant's currency.
    """

    total_services: int = Field(ge=0)
    services_last_year: int = Field(ge=0)
    average_satisfaction: float | None = Field(default=None, ge=1, le=5)
    satisfaction_trend: float | None = Field(default=None, ge=-4, le=4)
    lifetime_value: float | None = Field(default=None, ge=0)


class Visit(_Strict):
    """One service that the customer had; ``note`` is what an agent or the customer wrote about it."""

    on: date
    service: _Line
    satisfaction: int | None = Field(default=None, ge=1, le=5)
    note: str = Field(default="", max_length=1_000)


class Offer(_Strict):
    """What may be sold, with everything that may be said about it.

    ``requires`` names what the home must be or have; ``until`` is the last day of the offer.
    """

    id: _Id
    name: _Line
    price: _Line
    includes: tuple[_Line, ...] = Field(min_length=1, max_length=12)
    terms: str = Field(default="", max_length=300)
    requires: tuple[Literal["house", "flat", "garden"], ...] = ()
    until: date | None = None


class Example(_Strict):
    """An approved message to another customer of the same tenant, with what came of it."""

    id: _Id
    tenant: TenantId
    message: str = Field(min_length=1, max_length=2_000)
    outcome: Literal["bought", "answered", "ignored", "complained"]


_EXAMPLE: dict[str, Any] = {
    "tenant": "demo-tenant",
    "customer_id": "c-1042",
    "first_name": "Dana",
    "channel": "sms",
    "as_of": "2026-11-20",
    "consent": {"marketing": True, "channels": ["sms", "email"]},
    "vulnerable": False,
    "home": {"kind": "house", "garden": True, "built": 1968},
    "features": {"total_services": 6, "services_last_year": 2, "average_satisfaction": 4.5},
    "visits": [{"on": "2026-10-02", "service": "boiler service", "satisfaction": 5}],
    "offers": [
        {
            "id": "boiler-care",
            "name": "Boiler Care",
            "price": "£14 a month",
            "includes": ["one boiler service a year", "parts and labour for repairs"],
            "terms": "You can cancel at any time.",
        }
    ],
}


class UpsellInputs(_Strict):
    """One customer of a tenant to whom something may be offered on one channel.

    ``contacted`` is the day of the last message that sold something; ``owns`` are the ids of offers taken up before.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_extra={"examples": [_EXAMPLE]}
    )

    tenant: TenantId
    customer_id: _Id
    first_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    channel: UpsellChannel
    as_of: date
    consent: MarketingConsent
    vulnerable: bool = False
    complaints: tuple[Complaint, ...] = Field(default=(), max_length=50)
    contacted: date | None = None
    home: Property
    features: Features
    visits: tuple[Visit, ...] = Field(default=(), max_length=50)
    offers: tuple[Offer, ...] = Field(default=(), max_length=40)
    owns: tuple[_Id, ...] = Field(default=(), max_length=40)
    examples: tuple[Example, ...] = Field(default=(), max_length=5)

    @model_validator(mode="after")
    def _of_one_tenant_and_time(self) -> "UpsellInputs":
        if any(one.tenant != self.tenant for one in self.examples):
            raise ValueError("an example belongs to another tenant; give examples of the customer's own tenant")
        dated = (
            [visit.on for visit in self.visits] + [one.made for one in self.complaints] + [self.contacted or self.as_of]
        )
        if max(dated) > self.as_of:
            raise ValueError("something happened after as_of; leave out what was not known on that day")
        if len({offer.id for offer in self.offers}) < len(self.offers):
            raise ValueError("two offers have one id; give each offer its own")
        return self

    def open_offers(self) -> tuple[Offer, ...]:
        """Return the offers that the customer may be made: not owned, not over, and fit for the home."""
        has = {self.home.kind} | ({"garden"} if self.home.garden else set[str]())
        return tuple(
            offer
            for offer in self.offers
            if offer.id not in self.owns
            and has.issuperset(offer.requires)
            and (offer.until is None or offer.until >= self.as_of)
        )


def spelled_day(day: date) -> str:
    """Return a day as messages write it: 2 October 2026."""
    return f"{day.day} {day:%B %Y}"
