"""Numbers with units, currencies and times of day: each finds its own in the source, and no other."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.statements.grounding.units import equal_quantities, measured_in
from service.core.unit.interaction import Interaction

AS_OF = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def _missing(answer, *notes):
    items = [
        Interaction(
            interaction_id=f"i{number}",
            channel="agent",
            timestamp=datetime(2026, 5, 3, 14, 12, tzinfo=UTC),
            intent="HighBill",
            text=note,
        )
        for number, note in enumerate(notes)
    ]
    return [(item.kind, item.value) for item in find_unsupported(answer, GroundingSource(items, as_of=AS_OF))]


@pytest.mark.parametrize(
    ("note", "answer"),
    [
        ("Disputes a $284.60 charge.", "Disputes a €284.60 charge."),
        ("Disputes a $284.60 charge.", "Disputes a charge of £284.60."),
        ("Disputes a $284.60 charge.", "Disputes a charge of 284.60 euros."),
        ("Disputes a $284.60 charge.", "Disputes a charge of EUR 284.60."),
        ("Disputes a $284.60 charge.", "Disputes a $284.60 CAD charge."),
        ("Disputes a $284.60 charge.", "Disputes a C$284.60 charge."),
        ("Disputes a $40 charge.", "Disputes a charge of forty pounds."),
        ("Disputes a $40 charge.", "Disputes a charge of 40 pesos."),
        ("Disputes a €284.60 charge.", "Disputes a $284.60 charge."),
        ("Paid 284.60 today.", "Paid €284.60 today."),
        ("Hold time was 40 minutes.", "Hold time cost him $40."),
    ],
)
def test_an_amount_in_another_currency_is_unsupported(note, answer):
    assert [kind for kind, _ in _missing(answer, note)] == ["amount"]


@pytest.mark.parametrize(
    ("note", "answer"),
    [
        ("Paid 284.60 today.", "Paid $284.60 today."),
        ("Wired €284.60 from Lisbon.", "Wired 284.60 euros."),
        ("Lost 50 lbs of venison.", "Lost 50 pounds of venison."),
        ("Card charged CAD 284.60.", "Card charged $284.60 CAD."),
    ],
)
def test_an_amount_in_its_own_currency_is_supported(note, answer):
    assert _missing(answer, note) == []


@pytest.mark.parametrize(
    ("note", "answer"),
    [
        ("Refund in 3 days.", "Refund in 3 weeks."),
        ("Refund in three days.", "Refund in three months."),
        ("Refund in 5-7 business days.", "Refund in 5-7 weeks."),
        ("Refund in 10 bus days.", "Refund in 10 days."),
        ("Refund in 10 days.", "Refund in 10 business days."),
        ("Used 402 kWh.", "Used 402 kW."),
        ("Used 402 kWh.", "Used 402 therms."),
        ("Used 402 gallons.", "Used 402 percent."),
        ("Rate went up 12%.", "Rate went up 12 dollars."),
        ("Waited 45 min.", "Waited 45 hours."),
        ("Line gets 20 Mbps.", "Line gets 20 Gbps."),
        ("Hold for 48 hrs.", "Hold for 48 days."),
        ("Usage 402 kWh, 402 at the meter.", "Used 402 therms."),
        ("Moves in 28 days, first wrote on Oct 23.", "Moves in 28 weeks."),
    ],
)
def test_a_number_with_another_unit_is_unsupported(note, answer):
    assert _missing(answer, note) != []


@pytest.mark.parametrize(
    ("note", "answer"),
    [
        ("Refund in 24 hours.", "Refund in 1 day."),
        ("Refund in two wks.", "Refund in 14 days."),
        ("Plan over 3 mo.", "Plan over three months."),
        ("Plan over 3 months.", "Plan over 90 days."),
        ("Guarantee for a year.", "Guarantee for 12 months."),
        ("Refund in 5-7 business days.", "Refund in 5 to 7 business days."),
        ("WAIT 13:52 then left.", "Waited nearly 14 minutes."),
        ("Out half an hour.", "Out 30 minutes."),
        ("callback in 3 días", "Callback in 3 days."),
        ("Usage 402 this month.", "Usage was 402 kWh this month."),
    ],
)
def test_a_number_with_its_unit_or_an_equal_one_is_supported(note, answer):
    assert _missing(answer, note) == []


@pytest.mark.parametrize(
    ("note", "answer", "supported"),
    [
        ("Called at 9:40 PM.", "Called at 9:40 AM.", False),
        ("Called at 9:40 PM.", "Called at 9:40 p.m.", True),
        ("Called at 9:40 PM.", "Called at 21:40.", True),
        ("Called at 9:40 PM.", "Called at 9:40.", True),
        ("Called at 9:40.", "Called at 9:40 am.", True),
        ("Called at 21:40.", "Called at 9:40 AM.", False),
        ("Crew due 8 AM to 3 PM.", "Crew due 8 PM to 3 PM.", False),
        ("Crew due 8a-12p.", "Crew due 8 AM to 12 PM.", True),
        ("Crew due 9-3.", "Crew due 9 AM.", True),
    ],
)
def test_a_time_of_day_needs_its_half_of_the_day(note, answer, supported):
    assert (_missing(answer, note) == []) is supported


def test_the_time_of_a_contact_may_be_in_either_half_of_the_day():
    assert _missing("Wrote at 2:12 AM.", "Nothing else.") == []


def test_a_quantity_is_read_with_its_unit():
    assert {found.quantity for found in measured_in("3-5 days")} == {
        ("time", Decimal(259_200)),
        ("time", Decimal(432_000)),
    }
    assert {found.quantity for found in measured_in("about two weeks")} == {("time", Decimal(1_209_600))}
    assert ("time", Decimal(86_400 * 30)) in set(equal_quantities(("month", Decimal(1))))
