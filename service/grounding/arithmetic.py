"""Computes which amounts follow from stated ones, and which rounded numbers may stand for a stated one."""

from collections.abc import Iterable
from decimal import Decimal


def sums_and_differences(stated: Iterable[Decimal]) -> set[Decimal]:
    """Return every sum and every positive difference of two values, also of one with itself."""
    derived: set[Decimal] = set()
    ordered = sorted(stated)
    for place, low in enumerate(ordered):
        for high in ordered[place:]:
            derived.add(low + high)
            # Without this condition every amount would support "$0 is due".
            if high > low:
                derived.add(high - low)
    return derived


def near(value: Decimal, known: Iterable[Decimal], share: Decimal) -> bool:
    """Return whether a known value is within ``share`` of ``value`` and one unit (1 or more) of its last non-zero digit."""
    exponent = value.normalize().as_tuple().exponent
    step = max(Decimal(1), Decimal(10) ** exponent) if isinstance(exponent, int) else Decimal(1)
    return any(abs(value - other) <= min(step, value * share) for other in known)
