"""Computes the totals of a scorecard, exactly in decimals; models never compute them.

A yes counts its weight and a no counts zero; criteria that are not applicable are left out of the maximum. A failed required
criterion fails the call whatever the total. The share is compared with the threshold exactly; only the percentage that is shown
is rounded, half up, to one decimal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from service.core.tasks.scorecard.form import Form

Rating = Literal["yes", "no", "na"]
_PLACE = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The totals of a form's verdicts. ``percentage`` and ``passed`` are None if no criterion applied: then there is no score.

    ``failed`` holds the ids of all criteria answered no, ``failed_required`` those that fail the call; in the form's order.
    """

    total: Decimal
    maximum: Decimal
    percentage: Decimal | None
    passed: bool | None
    failed: tuple[str, ...]
    failed_required: tuple[str, ...]
    not_applicable: tuple[str, ...]


def add_up(form: Form, verdicts: Mapping[str, Rating]) -> Total:
    """Return the total of ``verdicts``, one per criterion of ``form``.

    Raises:
        ValueError: a criterion has no verdict, or a verdict has no criterion; a partial total would be wrong.
    """
    criteria = list(form.criteria())
    ids = {criterion.id for criterion in criteria}
    if ids != set(verdicts):
        raise ValueError(
            f"verdicts for {len(verdicts)} criteria, but the form has {len(ids)}; {len(ids & set(verdicts))} are in both"
        )
    total = sum((item.weight for item in criteria if verdicts[item.id] == "yes"), Decimal(0))
    maximum = sum((item.weight for item in criteria if verdicts[item.id] != "na"), Decimal(0))
    failed = tuple(item.id for item in criteria if verdicts[item.id] == "no")
    required = tuple(item.id for item in criteria if verdicts[item.id] == "no" and item.required)
    scoreable = maximum > 0
    return Total(
        total=total,
        maximum=maximum,
        percentage=(100 * total / maximum).quantize(_PLACE, ROUND_HALF_UP) if scoreable else None,
        passed=not required and total >= form.pass_threshold * maximum if scoreable else None,
        failed=failed,
        failed_required=required,
        not_applicable=tuple(item.id for item in criteria if verdicts[item.id] == "na"),
    )
