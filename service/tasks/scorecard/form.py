"""A form: what a tenant's calls are scored by. Sections of weighted criteria, validated as a whole; errors say what to do."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

MOST_CRITERIA = 40
MOST_SECTIONS = 20
# Also the keys of the answer that a model fills in: what every provider takes as a property's name.
_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$"
_LARGEST_WEIGHT = Decimal(1000)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("holds control characters; remove them")
    return text


Id = Annotated[str, StringConstraints(pattern=_ID)]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,61}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120), AfterValidator(_plain)]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=600), AfterValidator(_plain)]


class Criterion(BaseModel):
    """One question about a call, answered yes, no or not applicable.

    ``applies_when`` is the condition outside which the criterion is not applicable. ``holds`` says how windows of a long call
    combine: ``once`` is met when it happened anywhere, ``throughout`` is broken when it was broken anywhere.
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
            raise ValueError("a weight is a number")
        return weight

    @field_validator("weight")
    @classmethod
    def _weight_counts(cls, weight: Decimal) -> Decimal:
        if not 0 < weight <= _LARGEST_WEIGHT:
            raise ValueError("a weight is above 0 and at most 1000; leave out a criterion that is not to count")
        if -int(weight.as_tuple().exponent) > 4:
            raise ValueError("a weight has at most 4 decimals")
        return weight

    @field_validator("applies_when")
    @classmethod
    def _no_empty_condition(cls, condition: str | None) -> str | None:
        return condition or None


class Section(BaseModel):
    """Criteria that stand together on the form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    title: Name
    criteria: tuple[Criterion, ...] = Field(min_length=1)


class Form(BaseModel):
    """One version of a form. ``pass_threshold`` is the share of the reachable weight that passes, 0 to 1."""

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
            raise ValueError("a pass_threshold is a share from 0 to 1 with at most 4 decimals: 0.7, not 70")
        return threshold

    @model_validator(mode="after")
    def _stands_together(self) -> "Form":
        for what, ids in (
            ("section", [section.id for section in self.sections]),
            # Ids name criteria in results for ever, over sections and regardless of case: a spreadsheet would merge them.
            ("criterion", [criterion.id.lower() for criterion in self.criteria()]),
        ):
            twice = sorted({one for one in ids if ids.count(one) > 1})
            if twice:
                raise ValueError(f"{what} id {twice[0]!r} stands twice; give each {what} its own")
        count = len(list(self.criteria()))
        if count > MOST_CRITERIA:
            raise ValueError(f"{count} criteria; a form has at most {MOST_CRITERIA}: make it two forms")
        return self

    def criteria(self) -> Iterator[Criterion]:
        """Every criterion, in the form's order."""
        for section in self.sections:
            yield from section.criteria

    def criterion(self, criterion_id: str) -> Criterion:
        """Return one criterion.

        Raises:
            KeyError: the form has none of this id.
        """
        for criterion in self.criteria():
            if criterion.id == criterion_id:
                return criterion
        raise KeyError(criterion_id)
