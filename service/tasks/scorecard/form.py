"""A form: the sections of weighted criteria by which a tenant's calls are scored. Validation errors say what to do."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

MOST_CRITERIA = 40
MOST_SECTIONS = 20
# Ids are also property names in the schema of a model's answer, so they are limited to what every provider accepts.
_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$"
_LARGEST_WEIGHT = Decimal(1000)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("the text holds control characters; remove them")
    return text


Id = Annotated[str, StringConstraints(pattern=_ID)]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,61}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), AfterValidator(_plain)]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=600), AfterValidator(_plain)]


class Criterion(BaseModel):
    """One question about a call, answered yes, no or not applicable.

    ``applies_when`` is a condition; if it is not met, the criterion is not applicable. ``holds`` combines the windows of a long
    call: ``once`` is met if it is met in any window, ``throughout`` fails if it fails in any window.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    question: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=3, max_length=300), AfterValidator(_plain)
    ]
    guidance: _Text = ""
    weight: Decimal
    required: bool = False
    applies_when: _Text | None = None
    holds: Literal["once", "throughout"] = "once"

    @field_validator("weight", mode="before")
    @classmethod
    def _weight_is_a_number(cls, weight: Any) -> Any:
        if isinstance(weight, bool):
            raise ValueError("a weight must be a number, not true or false")
        return weight

    @field_validator("weight")
    @classmethod
    def _weight_counts(cls, weight: Decimal) -> Decimal:
        if not 0 < weight <= _LARGEST_WEIGHT:
            raise ValueError("a weight must be above 0 and at most 1000; leave out a criterion that must not count")
        if -int(weight.as_tuple().exponent) > 4:
            raise ValueError("a weight must have at most 4 decimals")
        return weight

    @field_validator("applies_when")
    @classmethod
    def _no_empty_condition(cls, condition: str | None) -> str | None:
        return condition or None


class Section(BaseModel):
    """A group of criteria on the form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    title: Name
    criteria: tuple[Criterion, ...] = Field(min_length=1)


class Form(BaseModel):
    """One version of a form. ``pass_threshold`` is the share of the applicable weight, 0 to 1, that a call needs to pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form_id: Id
    tenant: TenantId
    name: Name
    version: int = Field(ge=1, le=1_000_000)
    pass_threshold: Decimal
    sections: tuple[Section, ...] = Field(min_length=1, max_length=MOST_SECTIONS)

    @field_validator("pass_threshold")
    @classmethod
    def _threshold_is_a_share(cls, threshold: Decimal) -> Decimal:
        if not 0 <= threshold <= 1 or -int(threshold.as_tuple().exponent) > 4:
            raise ValueError("a pass_threshold must be from 0 to 1 with at most 4 decimals: 0.7, not 70")
        return threshold

    @model_validator(mode="after")
    def _has_unique_ids(self) -> "Form":
        for what, ids in (
            ("section", [section.id for section in self.sections]),
            # Results refer to criteria by id only, and spreadsheets ignore case, so ids must differ in more than case.
            ("criterion", [criterion.id.lower() for criterion in self.criteria()]),
        ):
            twice = sorted({one for one in ids if ids.count(one) > 1})
            if twice:
                raise ValueError(f"{what} id {twice[0]!r} appears twice; give each {what} its own id")
        count = len(list(self.criteria()))
        if count > MOST_CRITERIA:
            raise ValueError(f"{count} criteria; a form has at most {MOST_CRITERIA}: split it into two forms")
        return self

    def criteria(self) -> Iterator[Criterion]:
        """Yield every criterion, in the form's order."""
        for section in self.sections:
            yield from section.criteria

    def criterion(self, criterion_id: str) -> Criterion:
        """Return one criterion.

        Raises:
            KeyError: the form has no criterion with this id.
        """
        for criterion in self.criteria():
            if criterion.id == criterion_id:
                return criterion
        raise KeyError(criterion_id)
