"""All of a scorecard's arithmetic, exact in decimals: no model ever adds up.

A yes counts its weight, a no counts nothing, and not applicable leaves the denominator. A failed required criterion fails the
call whatever the share. Shares are compared exactly; only the shown percentage is rounded, half up, to one place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from service.tasks.scorecard.form import Form

Rating = Literal["yes", "no", "na"]
_PLACE = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What a form's verdicts add up to. ``percentage`` and ``passed`` are None when no weight applied: there is no score then.

    ``failed`` names every criterion answered no, ``failed_required`` those among them that fail the call; form order.
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
        ValueError: a criterion has no verdict, or a verdict no criterion: a total over a part would be a wrong one.
    """
    criteria = list(form.criteria())
    ids = {criterion.id for criterion in criteria}
    if ids != set(verdicts):
        raise ValueError(
            f"verdicts for {len(verdicts)} criteria, {len(ids)} on the form, {len(ids & set(verdicts))} in both"
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
