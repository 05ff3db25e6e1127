"""What /v1/calls/rescorings takes and answers."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from service.api.examples import examples
from service.calls.rescorings import RescoringOutlook, RescoringRange
from service.calls.result import Number
from service.calls.store.rescorings import RescoringOrder, RescoringState
from service.calls.tenants.store import Dollars
from service.kit.frame.strict import WHOLE_NUMBER, IsoDay


class RescoringRequest(BaseModel):
    """Which calls to score again: a form's, of these UTC days, by ``version``; null is the active one.

    The order stops before it asks about more calls, or may cost more, than it is bound to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=examples("RescoringRequest"))

    form_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")]
    version: Annotated[int, Field(ge=1, le=1_000_000), WHOLE_NUMBER] | None = None
    from_day: Annotated[IsoDay | None, Field(description="First day; null: the oldest")] = None
    to_day: Annotated[IsoDay | None, Field(description="Last day; null: today")] = None
    most_calls: Annotated[int, Field(ge=1, le=1_000_000), WHOLE_NUMBER]
    most_usd: Dollars

    def asked(self) -> RescoringRange:
        """Return the calls as the desk wants them."""
        return RescoringRange(form_id=self.form_id, version=self.version, from_day=self.from_day, to_day=self.to_day)


class RescoringEstimate(BaseModel):
    """What an order would do, by the means of the newest 50 calls' standing scorecards; null where they do not say."""

    model_config = ConfigDict(json_schema_extra=examples("RescoringEstimate"))

    form_id: str
    version: int
    calls: int
    cost_usd: Number | None
    minutes: float | None

    @classmethod
    def of(cls, outlook: RescoringOutlook) -> "RescoringEstimate":
        """Return the answer that shows ``outlook``."""
        return cls(
            form_id=outlook.form.form_id,
            version=outlook.form.version,
            calls=outlook.calls,
            cost_usd=_rounded(outlook.usd),
            minutes=None if outlook.minutes is None else round(outlook.minutes, 1),
        )


class RescoringAnswer(BaseModel):
    """An order. Of ``calls``, ``done`` have a new scorecard, ``failed`` got no usable answer, and ``gone`` are no longer kept.

    ``asked`` and ``cost_usd`` are what this order used so far; ``why`` says why it stopped or was cancelled.
    """

    model_config = ConfigDict(json_schema_extra=examples("RescoringAnswer"))

    rescoring_id: str
    form_id: str
    version: int
    from_day: date | None
    to_day: date | None
    most_calls: int
    most_usd: Decimal
    state: RescoringState
    why: str
    calls: int
    done: int
    failed: int
    gone: int
    left: int
    asked: int
    cost_usd: Number
    estimated_usd: Number | None
    ordered_by: str
    ordered_at: AwareDatetime
    updated_at: AwareDatetime

    @classmethod
    def of(cls, order: RescoringOrder) -> "RescoringAnswer":
        """Return the answer that shows ``order``."""
        said = order.model_dump(include=set(cls.model_fields) & set(RescoringOrder.model_fields))
        whole = None if order.usd_per_call is None else order.usd_per_call * order.total
        return cls(
            **said,
            version=order.form_version,
            calls=order.total,
            left=order.left,
            asked=order.used,
            cost_usd=order.used_usd,
            estimated_usd=_rounded(whole),
        )


class RescoringList(BaseModel):
    """The tenant's orders, newest first."""

    model_config = ConfigDict(json_schema_extra=examples("RescoringList"))

    tenant: str
    rescorings: list[RescoringAnswer]


def _rounded(usd: Decimal | None) -> Decimal | None:
    return None if usd is None else round(usd, 6)
