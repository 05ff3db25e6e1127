"""Computes which amounts and quantities follow from stated ones, and which rounded numbers may stand for a stated one.

The sum and the difference of two amounts always count: agents need "$374.84 in all" for a bill paid twice. Sums of three or
four, multiples and parts count only in a sentence that announces them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from itertools import combinations

from service.core.statements.grounding.sentence import NUMBER_WORDS, figure_after, read_number

_TOTAL = re.compile(
    r"\b(?:total\w*|in all|all told|altogether|combined|sum|together|overall|so far|to date|add\w* up|comes? to)\b",
    re.I,
)
_MORE = re.compile(
    r"\b(?:more|less|fewer|above|below|over|under|higher|lower|rise|rose|risen|increase\w*|drop\w*|fell|fall|decrease\w*|decline\w*"
    r"|difference|differ\w*|extra|excess|short|gap|jump\w*|up|down|beyond|exceed\w*|sav(?:es?|ed|ings?)|cheaper|dearer|apart|versus|against)\b",
    re.I,
)
_COUNTED = re.compile(r"\d(?<![\w$.,/:-]\d)(?:\d{0,2}(?:,\d{3})+|\d*)(?=[ -][a-z])")
_FIGURES = re.compile(figure_after(r"\w$.,/:-"))
_TIMES_OF = re.compile(
    r"\b(?:times|twice|thrice) (?:as|the|his|her|their|its|what|that|more|higher|normal|usual|average)\b", re.I
)
_PARTS = (("hal", Decimal(2)), ("equal", Decimal(2)), ("third", Decimal(3)), ("quarter", Decimal(4)))
_MOST_TERMS = 4
_MOST_AMOUNTS = 10  # 330 sums of three or four; a longer list would reach many amounts by chance
_MOST_TIMES = 12
_PRICE_SPREAD = 3
_MOST_PRICES = 60  # a longer list would reach many differences by chance, and take long
_MOST_PAIRS = 40_000  # two hundred values with each other: a few ms
_CENTS = re.compile(r"\d\s*(?:cents?\b|¢)", re.I)
_UNIT_PRICE = re.compile(
    r"(?:\b(?:per|an?|each|every)\s|/)\s?(?:kwh?|therms?|gal(?:lon)?s?|[chm]cf|unit|liter|mile|day|month|hour|foot)\b",
    re.I,
)
_HALF_CENT = Decimal("0.005")


def follows(
    value: Decimal,
    stated: Iterable[Decimal],
    sentence: str,
    *,
    counts: frozenset[Decimal],
    percentages: Iterable[Decimal],
) -> bool:
    """Return whether an amount is a total, a multiple, a part or a stated percentage of ``stated`` ones, as ``sentence`` says.

    A multiple or part needs its number in the sentence, and, unless it is "half" or the like, in ``counts``.
    """
    amounts = sorted(amount for amount in stated if amount)
    if _TOTAL.search(sentence):
        if any(amount * times == value for amount in amounts for times in range(3, _MOST_TIMES + 1)):
            return True
        terms = [amount for amount in amounts if amount < value]
        if len(terms) <= _MOST_AMOUNTS and any(
            sum(chosen) == value for size in range(3, _MOST_TERMS + 1) for chosen in combinations(terms, size)
        ):
            return True
    if any(abs(amount * share / 100 - value) <= _HALF_CENT for share in percentages for amount in amounts):
        return True
    lower = sentence.lower()
    said = [read_number(match[0]) for pattern in (_COUNTED, NUMBER_WORDS) for match in pattern.finditer(lower)]
    multiples = [number for number in said if number > 1 and number in counts]
    parts = [*multiples, *(number for word, number in _PARTS if word in lower)]
    return any(amount * number == value for amount in amounts for number in multiples) or any(
        abs(value * number - amount) <= number * _HALF_CENT for amount in amounts for number in parts
    )


def differs(
    value: Decimal, measured: Iterable[Decimal], bare: frozenset[Decimal], sentence: str, *, loose: bool
) -> bool:
    """Return whether a quantity is the total of stated ones or by how much two differ, as ``sentence`` says.

    One of the two that differ may lack the unit.
    """
    known = sorted(set(measured))
    reached: set[Decimal] = set()
    if _MORE.search(sentence) and len(known) * (len(known) + len(bare)) <= _MOST_PAIRS:
        reached.update(abs(one - other) for one in known for other in (*known, *bare) if one != other)
    if _TOTAL.search(sentence) and len(known) <= _MOST_AMOUNTS:
        reached.update(
            sum(chosen, Decimal(0)) for size in range(2, _MOST_TERMS + 1) for chosen in combinations(known, size)
        )
    return value in reached or (loose and near(value, reached, Decimal("0.05")))


def price_gap(
    value: Decimal, sentence: str, amounts: frozenset[Decimal], noted: frozenset[Decimal], bare: frozenset[Decimal]
) -> bool:
    """Return whether ``value`` is by how much two prices of one unit differ, as ``sentence`` says.

    One of the two may be a bare figure ("17.9 c/kWh vs 11.2"), if neither is more than three times the other.
    """
    if not (_MORE.search(sentence) and (_UNIT_PRICE.search(sentence) or _CENTS.search(sentence))):
        return False
    if len(amounts) + len(noted) + len(bare) > _MOST_PRICES:
        return False
    cents = {amount * 100 for amount in noted if amount < 1}
    return any(
        abs(one - other) == wanted and max(one, other) <= _PRICE_SPREAD * min(one, other)
        for wanted, prices in (
            (value * 100, cents),
            (value, {*amounts, *noted, *(number for number in bare if number < 1)}),
        )
        for one in prices
        for other in (*prices, *bare)
    )


def differs_from_said(value: Decimal, counts: frozenset[Decimal], sentence: str) -> bool:
    """Return whether ``value`` is by how much a number of ``sentence`` differs from a stated one, as the sentence says."""
    if not _MORE.search(sentence):
        return False
    said = frozenset(read_number(match[0]) for match in _FIGURES.finditer(sentence)) & counts
    return any(value in (number - other, other - number) for number in said for other in counts if value != number)


def is_ratio(
    times: Decimal,
    amounts: frozenset[Decimal],
    quantities: Iterable[tuple[str, Decimal]],
    bare: frozenset[Decimal],
    sentence: str,
) -> bool:
    """Return whether two amounts, or two quantities of one dimension, stand in this ratio: "four times the usual $780".

    One of the two quantities may lack the unit.
    """
    if not _TIMES_OF.search(sentence):
        return False
    groups: dict[str, set[Decimal]] = defaultdict(set)
    for dimension, number in quantities:
        groups[dimension].add(number)
    pairs = [(amounts, amounts), *((numbers, numbers | bare) for numbers in groups.values())]
    pairs = [(ones, others) for ones, others in pairs if len(ones) * len(others) <= _MOST_PAIRS]
    return any(
        abs(max(one, other) - min(one, other) * times) <= min(one, other) * times / 8
        for ones, others in pairs
        for one in ones
        for other in others
        if one != other
    )


def sums_and_differences(stated: Iterable[Decimal]) -> set[Decimal]:
    """Return every sum and every positive difference of two values, also of one with itself; none of too many values.

    From hundreds of amounts nearly every amount can be derived, and a hostile history could stop the event loop.
    """
    derived: set[Decimal] = set()
    ordered = sorted(stated)
    if len(ordered) ** 2 > _MOST_PAIRS:
        return derived
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
