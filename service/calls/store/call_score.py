"""The facts of a scored call that its item holds, so that lists need not open its result."""

from dataclasses import dataclass
from decimal import Decimal

from service.kit.records.items import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class CallScore:
    """The figures are None without a score."""

    form_id: str
    form_version: int
    percentage: Decimal | None
    passed: bool | None


def texts_of(scored: CallScore) -> dict[str, str | None]:
    """Return the attributes of a call's item; None: the item has none."""
    passed = None if scored.passed is None else "yes" if scored.passed else "no"
    percentage = None if scored.percentage is None else str(scored.percentage)
    return {
        "form_id": scored.form_id,
        "form_version": str(scored.form_version),
        "percentage": percentage,
        "passed": passed,
    }


def score_of(item: Item) -> CallScore | None:
    """Return what a call's item says; None without a score."""
    if "form_id" not in item:  # not scored, no usable answer, or scored before items held the score
        return None
    return CallScore(
        form_id=item["form_id"],
        form_version=int(item["form_version"]),
        percentage=Decimal(item["percentage"]) if "percentage" in item else None,
        passed=item["passed"] == "yes" if "passed" in item else None,
    )
