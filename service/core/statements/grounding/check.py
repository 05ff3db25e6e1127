"""Finds the mentions of a text that its source does not support: the guard when serving, and a scorer in evaluations.

Checked: amounts, dates, numbers, ids, personal and organisation names, channels and contact counts. Each is looked up in
the interactions (text, intent, outcome, time, channel), in the reason of the present contact, and in what can be derived
from them: relative days ("by Friday", "within 5 days"), days between dates, counts per channel, and what follows from
amounts and quantities (``service.core.statements.grounding.arithmetic``). Where a text explicitly connects two of them
(``service.core.statements.grounding.date_ties``), the connection is checked, too: one interaction must have both the
channel and the date, or both the amount and the date; a weekday must fit its date.

The writer's own counts ("the two charges") and what is in capitals ("SUICIDE RISK: ...") are not looked up. Informal spellings
of notes support the plain one (``service.core.statements.grounding.informal_numbers``).

Not checked: who did what, outcomes ("refunded" for "refund refused"), events without any of the kinds above, weekdays and
relative words, and names at the start of a sentence without a further sign of a name: "no finding" does not mean "true".
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Literal

from service.core.statements.grounding.arithmetic import (
    differs,
    differs_from_said,
    follows,
    is_ratio,
    near,
    price_gap,
    sums_and_differences,
)
from service.core.statements.grounding.currencies import may_name_currency
from service.core.statements.grounding.date_ties import DateTie, date_ties_in, day_fits
from service.core.statements.grounding.derived_times import (
    BETWEEN_DAYS,
    ContactCounts,
    day_spans,
    days_after,
    happened,
    is_clock_gap,
    is_near_clock,
)
from service.core.statements.grounding.history_facts import (
    SEPARATOR,
    HistoryFacts,
    InteractionFacts,
    TextDays,
    facts_of,
    families_of,
)
from service.core.statements.grounding.mentions import mentions_of
from service.core.statements.grounding.name_forms import NameForms
from service.core.statements.grounding.relative_days import counts_from_day, gap_fits, is_age, is_stretch
from service.core.statements.grounding.sentence import Mention, clean, split_sentences
from service.core.statements.grounding.units import TIMES, dimension_of, equal_quantities, quantity_of
from service.core.unit.interaction import Interaction

ClaimKind = Literal["amount", "date", "number", "name", "id", "channel", "count", "contact"]

_ALNUM_PART = re.compile(r"[a-z]+|\d+")
_ORDINAL_ENDS = frozenset({"st", "nd", "rd", "th"})
_DARK = {"a": range(6), "p": range(10, 12)}  # hours that a source must call so: before dawn, late in the evening
_OF_AMOUNT = re.compile(r"\s(?:of|at|x)\s[$|]")
_MOST_YEARS_POINTED = 3  # a note refers to at most 99 weeks ahead
# Honolulu is ten hours behind UTC: before 10:00 UTC it is still the day before somewhere in the US.
_LOCAL_MIDNIGHT_UTC_H = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """An unsupported mention: its kind, its spelling in the text, and its sentence."""

    kind: ClaimKind
    value: str
    statement: str


class GroundingSource:
    """The facts of a customer's interactions and what can be derived from them; one source can check any number of texts.

    ``interactions`` are those that the text was made from (the visible ones), in any order. ``as_of`` is the time of
    the request; its day is always supported. ``contact_reason`` is the intent of the present contact, ``account_end`` the last
    digits of the served account, by which an answer may name it.
    """

    def __init__(
        self,
        interactions: Sequence[Interaction],
        *,
        as_of: datetime,
        contact_reason: str = "",
        account_end: str = "",
    ) -> None:
        """Read the dates; all other facts are read when a mention first needs them."""
        self._as_of, self._account_end = as_of.date(), account_end
        self._interactions = interactions
        self._parts = [facts_of(SEPARATOR.join((item.text, item.intent, item.outcome or ""))) for item in interactions]
        self._dated = [
            TextDays(part, item.timestamp.date()) for part, item in zip(self._parts, interactions, strict=True)
        ]
        self._facts = HistoryFacts(self._parts, facts_of(contact_reason))

    def prepare(self) -> None:
        """Read in advance the facts that most answers need, so that checking an answer takes less time."""
        # Cached properties: the access computes them.
        _ = self._days, self._written_words, self._facts.amounts

    def supports(self, mention: Mention) -> bool:
        """Return whether the source states the mention or it can be derived from the source."""
        if mention.kind in ("id", "number") and mention.value == self._account_end and not dimension_of(mention.unit):
            return True
        match mention.kind:
            case "amount":
                found = self._has_amount(mention)
            case "date":
                found = self._has_date(mention)
            case "number":
                found = self._has_number(mention)
            case "id":
                found = self._has_id(mention.token)
            case "name":
                found = self._names.hold(mention.words)
            case "channel":
                found = mention.family in self._channel_families or self._facts.names_channel(mention.family)
            case "count":
                found = self._has_count(mention)
        return found

    def supports_tie(self, item: DateTie) -> bool:
        """Return whether one interaction has both sides of the tie; True for an amount that no interaction states."""
        if item.kind == "day":
            return day_fits(item, self._as_of)
        if item.kind == "contact":
            return any(
                facts.has_family(item.family) and facts.has_day(item.month, item.day)
                for facts in self._interaction_facts
            )
        assert item.amount is not None
        if not any(facts.has_amount(item.amount) for facts in self._interaction_facts):
            return True
        # A text that writes the day and no amount ("refund ck mailed 10/5") speaks of an amount that another one states.
        return any(
            facts.has_amount(item.amount)
            or facts.has_figure(item.amount)
            or (facts.writes_day(item.month, item.day) and not facts.names_amounts)
            for facts in self._interaction_facts
            if facts.has_day(item.month, item.day)
        )

    @cached_property
    def _channel_families(self) -> frozenset[str]:
        return frozenset(family for item in self._interactions for family in families_of(item.channel))

    @cached_property
    def _local_days(self) -> list[set[date]]:
        """The calendar days of each interaction in the time zones of the US."""
        behind = timedelta(hours=_LOCAL_MIDNIGHT_UTC_H)
        return [{item.timestamp.date(), (item.timestamp - behind).date()} for item in self._interactions]

    @cached_property
    def _contact_days(self) -> frozenset[date]:
        return frozenset[date]().union(*self._local_days)

    @cached_property
    def _known_days(self) -> frozenset[date]:
        return self._contact_days | {self._as_of}

    @cached_property
    def _interaction_facts(self) -> list[InteractionFacts]:
        parts = zip(self._interactions, self._local_days, self._parts, self._dated, strict=True)
        return [InteractionFacts(item.channel, local_days, text, dated) for item, local_days, text, dated in parts]

    @cached_property
    def _written_words(self) -> frozenset[str]:
        return self._facts.written_words.union(*(item.channel.split("_") for item in self._interactions))

    @property
    def _names(self) -> NameForms:
        return NameForms(self._facts, self._written_words)

    @cached_property
    def _derived_amounts(self) -> frozenset[Decimal]:
        return self._facts.noted_amounts | sums_and_differences(self._facts.amounts)

    @cached_property
    def _years(self) -> frozenset[Decimal]:
        return frozenset(
            Decimal(year) for year in {day.year for day in self._known_days | self._pointed} | self._facts.short_years
        )

    @cached_property
    def _numbers(self) -> frozenset[Decimal]:
        return self._facts.counted | self._facts.said | self._years

    @cached_property
    def _contact_clocks(self) -> frozenset[str]:
        # Without half of the day: a timestamp is UTC, and its local time may be in the other half.
        times = [item.timestamp for item in self._interactions]
        return frozenset([f"@{time.hour % 12 * 60 + time.minute}" for time in times])

    @cached_property
    def _pointed(self) -> frozenset[date]:
        return frozenset[date]().union(*(dated.pointed for dated in self._dated))

    @cached_property
    def _days(self) -> "dict[tuple[int, int | None], set[int]]":
        # (month, day or None) -> the years in which the source names it; each contact counts as naming its own day.
        years: dict[tuple[int, int | None], set[int]] = defaultdict(set)
        for day in self._known_days:
            years[day.month, day.day].add(day.year)
            years[day.month, None].add(day.year)
        for dated in self._dated:
            for month, day_of_month, year in dated.dates:
                years[month, day_of_month].add(year)
                years[month, None].add(year)
        return years

    @cached_property
    def _stated_days(self) -> frozenset[date]:
        return self._contact_days.union(*(dated.named for dated in self._dated))

    @cached_property
    def _named(self) -> frozenset[int]:
        """The days of the month that the source names or on which something happened."""
        named = frozenset(day for dated in self._dated for day in dated.named)
        return frozenset(day.day for day in named | self._known_days | self._pointed)

    @cached_property
    def _gaps(self) -> frozenset[int]:
        return frozenset(abs((self._as_of - day).days) for day in self._stated_days)

    @cached_property
    def _texts(self) -> list[str]:
        return [part.plain for part in self._parts]

    @cached_property
    def _stretches(self) -> frozenset[int]:
        return frozenset(abs((a - b).days) for a in self._stated_days for b in self._stated_days)

    @cached_property
    def _contacts(self) -> ContactCounts:
        return ContactCounts.of(self._interactions, self._as_of)

    def _has_amount(self, mention: Mention) -> bool:
        value = mention.number or Decimal(0)
        if mention.family:
            return (mention.family, value) in self._facts.foreign_amounts
        if value in self._facts.amounts or self._may_be_dollars(value) or value in self._derived_amounts:
            return True
        shares = [number for dimension, number in self._facts.quantities if dimension == "share"]
        stated = self._facts.amounts | self._facts.noted_amounts
        if follows(value, stated, mention.statement, counts=self._numbers, percentages=shares):
            return True
        if price_gap(value, mention.statement, self._facts.amounts, self._facts.noted_amounts, self._facts.bare):
            return True
        return mention.loose and near(
            value, self._facts.amounts | self._derived_amounts | self._numbers, Decimal("0.05")
        )

    def _has_number(self, mention: Mention) -> bool:
        value, unit = mention.number or Decimal(0), mention.unit
        if unit.startswith("@"):
            return self._has_clock(value, unit) or is_near_clock(mention, self._facts.clocks | self._contact_clocks)
        measured = dimension_of(unit)
        if self._has_quantity(mention, value) if measured else self._is_number(value):
            return True
        if measured == "time" and is_clock_gap(mention, self._texts):
            return True
        if measured and (value, measured in TIMES) in self._facts.numbers_with_unit and not counts_from_day(mention):
            return False  # stated with another unit: a gap between two days of the source may be chance
        if not measured and self._is_derived(mention):
            return True
        # "Four installments, three of $85.30 and a last one of $85.28".
        if _OF_AMOUNT.match(mention.rest) and self._is_number(value + 1):
            return True
        if value == int(value):
            # Gaps between any two days only after words such as "apart": a long history has gaps of every small number.
            if is_stretch(unit):
                gaps = self._stretches if BETWEEN_DAYS.search(mention.rest) else self._gaps
                if any(gap_fits(gap, int(value), unit) for gap in gaps):
                    return True
            if unit in ("day", "days") and value in set(day_spans(dated.named for dated in self._dated)):
                return True
            if unit in _ORDINAL_ENDS and value in self._named:
                return True
        return mention.loose and not measured and near(value, self._numbers, Decimal("0.1"))

    def _is_derived(self, mention: Mention) -> bool:
        value, sentence = mention.number or Decimal(0), mention.statement
        if mention.unit == "times":
            stated = self._facts.amounts, self._facts.quantities, self._facts.bare
            counted = ("times", int(value)) in self._facts.counts or is_ratio(value, *stated, sentence)
            return counted or happened(mention, self._texts)
        price = may_name_currency(sentence) and any(value == amount for _, amount in self._facts.foreign_amounts)
        return price or differs_from_said(value, self._facts.counted, sentence)

    def _has_quantity(self, mention: Mention, value: Decimal) -> bool:
        """Return whether the source states this number with this unit, the same in another unit, or without any unit."""
        loose, wanted, stated = mention.loose, quantity_of(value, mention.unit), self._facts.quantities
        if not stated.isdisjoint(equal_quantities(wanted)):
            return True
        if is_age(mention.rest) and value in self._facts.said:
            return True
        if value in self._facts.bare and (value, wanted[0] in TIMES) not in self._facts.numbers_with_unit:
            return True
        step = wanted[1] / value if value else Decimal(1)  # one of the unit
        same = [number / step for dimension, number in stated if dimension == wanted[0]]
        if wanted[0] not in TIMES and differs(value, same, self._facts.bare, mention.statement, loose=loose):
            return True
        return loose and near(value, [*same, *self._facts.bare], Decimal("0.1"))

    def _has_clock(self, hour: Decimal, key: str) -> bool:
        dial, half = (key[:-1], key[-1]) if key[-1] in "ap" else (key, "")
        if dial in self._contact_clocks or dial in self._facts.clocks:
            return True
        named = {said for said in "ap" if f"{dial}{said}" in self._facts.clocks}
        if named:
            return not half or half in named
        # The 9 of "9:40" must not support "9:20"; "at 9" and "9-12" in a note may be nine o'clock.
        hours = {hour, hour % 12 or Decimal(12), hour + 12 if half == "p" and hour < 12 else hour}
        if int(dial[1:]) % 60 or hours.isdisjoint(self._facts.hours):
            return False
        return int(hour) % 12 not in _DARK.get(half, ()) or half in self._facts.dark_hours

    def _may_be_dollars(self, value: Decimal) -> bool:
        return self._is_number(value) and (value in self._facts.priceable or value not in self._facts.counted)

    def _is_number(self, value: Decimal) -> bool:
        """Return whether ``value`` is one of ``_numbers``, with the cheapest look-ups first."""
        if value in self._facts.counted or value in self._facts.said:
            return True
        near = any(abs(value - day.year) <= _MOST_YEARS_POINTED for day in self._known_days)
        return (near or value in self._facts.short_years) and value in self._years

    def _has_count(self, mention: Mention) -> bool:
        family, count = mention.family, int(mention.number or 0)
        if mention.unit == "in all":
            return self._contacts.totals.get(family) == count
        if mention.unit == "nth":
            if self._contacts.has_nth(family, count):
                return True
        elif count in self._contacts.counts.get(family, ()):
            return True
        return bool({(family, count), ("times", count)} & self._facts.counts)

    def _has_date(self, mention: Mention) -> bool:
        years = self._days.get((mention.month, mention.day), set())
        if years if mention.year is None else mention.year in years:
            return True
        # Relative days of the notes ("by Friday") last: they are slower to compute.
        if any(map(mention.names_day, self._pointed)):
            return True
        known = self._stated_days | self._pointed
        return any(map(mention.names_day, days_after(mention.statement, self._facts.quantities, known)))

    def _has_id(self, token: str) -> bool:
        if token in self._facts.tokens:
            return True
        # "ending 3305" names the end of an account number; "account 3390" its beginning.
        if token.isdigit():
            if self._is_number(Decimal(token)):
                return True
            return len(token) >= 4 and any(
                known.endswith(token) or known.startswith(token) for known in self._facts.tokens
            )
        parts = _ALNUM_PART.findall(token)
        known = len(parts) == 2 and len(parts[1]) > 1 and parts[1] in self._facts.tokens
        return known and self._names.hold_letters(parts[0])


# The score, the guard and the count of checked mentions all read the same answer.
@lru_cache(maxsize=16)
def _read(text: str) -> tuple[tuple[Mention, ...], tuple[DateTie, ...]]:
    mentions: list[Mention] = []
    ties: list[DateTie] = []
    for sentence in split_sentences(clean(text)):
        mentions += mentions_of(sentence)
        ties += date_ties_in(sentence)
    return tuple(mentions), tuple(ties)


def find_unsupported(text: str, source: GroundingSource) -> tuple[Unsupported, ...]:
    """Return the mentions, then the ties, of ``text`` that ``source`` does not support; the module lists the limits."""
    mentions, ties = _read(text)
    return tuple(
        Unsupported(kind=m.kind, value=m.value, statement=m.statement) for m in mentions if not source.supports(m)
    ) + tuple(
        Unsupported(kind="date" if tie.kind == "day" else tie.kind, value=tie.value, statement=tie.statement)
        for tie in ties
        if not source.supports_tie(tie)
    )


def checked_mentions(text: str) -> int:
    """Return the number of mentions and ties of ``text`` that are checked."""
    mentions, ties = _read(text)
    return len(mentions) + len(ties)
