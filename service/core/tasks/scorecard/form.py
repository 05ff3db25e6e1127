"""A form: the sections of weighted criteria by which a tenant's calls are scored. Validation errors say what to do."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from service.core.tasks.scorecard.condition import Condition, in_order
from service.core.unit.customer import TenantId
from service.kit.frame.strict import AS_WRITTEN, decimal_schema

MOST_CRITERIA = 40
MOST_SECTIONS = 20
# Ids are also property names in the schema of a model's answer, so they are limited to what every provider accepts.
_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$"
_LARGEST_WEIGHT = Decimal(1000)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_DECIMALS = 4
# The validators below as patterns, for the OpenAPI document: spaces around a text do not count.
_PLAIN = r"[^\x00-\x08\x0b-\x1f\x7f]"
_PLAIN_END = r"[^\s\x00-\x08\x0b-\x1f\x7f\x85]"
_ANY_TEXT = {"pattern": f"^{_PLAIN}*$"}
_SOME_TEXT = {"pattern": f"^{_PLAIN}*{_PLAIN_END}{_PLAIN}*$"}
_THREE_CHARACTERS = {"pattern": rf"^[\s\x85]*{_PLAIN_END}{_PLAIN}+{_PLAIN_END}[\s\x85]*$"}


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("the text holds control characters; remove them")
    return text


_Weight = Annotated[
    Decimal,
    AS_WRITTEN,
    decimal_schema(
        r"^(?:1000(?:\.0{1,4})?|0\.(?=0*[1-9])[0-9]{1,4}|[1-9][0-9]{0,2}(?:\.[0-9]{1,4})?)$",
        decimals=_DECIMALS,
        exclusiveMinimum=0,
        maximum=1000,
    ),
]
PassThreshold = Annotated[
    Decimal,
    AS_WRITTEN,
    decimal_schema(r"^(?:0(?:\.[0-9]{1,4})?|1(?:\.0{1,4})?)$", decimals=_DECIMALS, minimum=0, maximum=1),
]
Id = Annotated[str, StringConstraints(pattern=_ID)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
    AfterValidator(_plain),
    Field(json_schema_extra=_SOME_TEXT),
]
_Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=600),
    AfterValidator(_plain),
    Field(json_schema_extra=_ANY_TEXT),
]


def _condition_kind(value: Any) -> str:
    return "prose" if isinstance(value, str) else "condition"


# Prose is of forms that were saved before conditions were data: a model interprets it. New drafts are refused it (`only_data`).
_AppliesWhen = Annotated[
    Annotated[_Text, Tag("prose")] | Annotated[Condition, Tag("condition")], Discriminator(_condition_kind)
]


class Criterion(BaseModel):
    """One question about a call, answered yes, no or not applicable.

    ``applies_when`` is a condition that code evaluates; if it is not met, the criterion is not applicable. ``holds`` combines
    the windows of a long call: ``once`` is met if it is met in any window, ``throughout`` fails if it fails in any window.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    question: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=3, max_length=300),
        AfterValidator(_plain),
        Field(json_schema_extra=_THREE_CHARACTERS),
    ]
    guidance: _Text = ""
    weight: _Weight
    required: bool = False
    applies_when: _AppliesWhen | None = None
    holds: Literal["once", "throughout"] = "once"

    @field_validator("weight")
    @classmethod
    def _weight_counts(cls, weight: Decimal) -> Decimal:
        if not 0 < weight <= _LARGEST_WEIGHT:
            raise ValueError("a weight must be above 0 and at most 1000; leave out a criterion that must not count")
        if -int(weight.as_tuple().exponent) > _DECIMALS:
            raise ValueError("a weight must have at most 4 decimals")
        return weight

    @field_validator("applies_when")
    @classmethod
    def _no_empty_condition(cls, condition: str | Condition | None) -> str | Condition | None:
        return condition or None

    @property
    def prose(self) -> str | None:
        """The condition that a model interprets, of a form that was saved before conditions were data."""
        return self.applies_when if isinstance(self.applies_when, str) else None

    @property
    def condition(self) -> Condition | None:
        """The condition that code evaluates."""
        return self.applies_when if isinstance(self.applies_when, Condition) else None


class Section(BaseModel):
    """A group of criteria on the form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    title: Name
    criteria: tuple[Criterion, ...] = Field(min_length=1, json_schema_extra={"maxItems": MOST_CRITERIA})


class Form(BaseModel):
    """One version of a form. ``pass_threshold`` is the share of the applicable weight, 0 to 1, that a call needs to pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form_id: Id
    tenant: TenantId
    name: Name
    version: int = Field(ge=1, le=1_000_000)
    pass_threshold: PassThreshold
    sections: tuple[Section, ...] = Field(min_length=1, max_length=MOST_SECTIONS)

    @field_validator("pass_threshold")
    @classmethod
    def _threshold_is_a_share(cls, threshold: Decimal) -> Decimal:
        if not 0 <= threshold <= 1 or -int(threshold.as_tuple().exponent) > _DECIMALS:
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
        self.conditions_in_order()
        return self

    def conditions_in_order(self) -> list[str]:
        """Return the ids of all criteria, each after those that its condition needs.

        Raises:
            ValueError: a condition names an unknown criterion, or conditions go in a circle.
        """
        return in_order(
            {item.id: () if item.condition is None else item.condition.criteria() for item in self.criteria()}
        )

    def criteria(self) -> Iterator[Criterion]:
        """Yield every criterion, in the form's order."""
        for section in self.sections:
            yield from section.criteria

    def criterion(self, criterion_id: str) -> Criterion:
        """Return one criterion. Raises ``KeyError``: the form has no criterion with this id."""
        for criterion in self.criteria():
            if criterion.id == criterion_id:
                return criterion
        raise KeyError(criterion_id)


def only_data(draft: Form, *before: Form | None) -> None:
    """Check that the draft's conditions are data; prose that stands in the same criterion of ``before`` may stay.

    Raises:
        ValueError: a new condition is prose.
    """
    known = {(item.id, item.prose) for form in before if form is not None for item in form.criteria()}
    for item in draft.criteria():
        if item.prose is not None and (item.id, item.prose) not in known:
            raise ValueError(
                f"applies_when of {item.id!r} is a sentence, which code cannot check; write tests instead, such as "
                '{"any": [{"words": ["refund"]}, {"criterion": "greet_01", "answered": ["yes"]}]}'
            )
