"""What follows from the amounts, quantities and times of a history, and what does not."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from service.core.statements.grounding.arithmetic import sums_and_differences
from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.unit.interaction import Interaction


def _found(history: str, answer: str) -> list[str]:
    item = Interaction(
        interaction_id="i1",
        channel="agent",
        timestamp=datetime(2026, 7, 1, 14, 7, tzinfo=UTC),
        intent="misc",
        text=history,
        outcome=None,
    )
    source = GroundingSource([item], as_of=datetime(2026, 7, 23, 17, 9, tzinfo=UTC))
    return [found.value for found in find_unsupported(answer, source)]


@pytest.mark.parametrize(
    ("history", "answer"),
    [
        ("Fridge $418, opener $269, food $140.", "The claims come to $827 in all."),
        ("Fridge $418, opener $269, food 140 dollars, hotel $120.", "The damage is $947 altogether."),
        ("412 lamps, $6 a lamp.", "For 412 lamps the rebate would have been $2,472."),
        ("Pays the farm $38 each month.", "The customer has paid $114 so far."),
        ("Plan $360 over 4 mo.", "Each of four instalments is $90."),
        ("Opener $269. We offer half.", "Half of its price, $134.50, is on offer."),
        ("Rate up 12% on the $200 bill.", "The increase is $24."),
        ("Water 34,200 gal for June, norm 4,100.", "It used 30,100 gallons more than normal."),
        ("Water 34,200 gal for June, norm 4,100.", "It used some 30,000 gallons more than normal."),
        ("Water 34,200 gal for June, norm 4,100.", "It used eight times the normal 4,100 gallons."),
        ("412 kWh in March, 396 kWh in April.", "Together that is 808 kWh."),
        ("Pressure 38 psi, should be 60.", "It is 22 psi below the required 60."),
        ("Crew Thurs 7/30, 1-4 pm.", "The crew has three hours from 13:00 to 16:00."),
        ("Outage 9:15p to 11:45p.", "Power was off for 150 minutes."),
        ("Son (9), called 9:30a.", "The nine-year-old son was mentioned."),
        ("Goodwill up to 75 w/ receipts.", "Goodwill is capped at $75."),
        ("12 lamps flicker", "12 lamps flicker."),
        ("Luminor at 17.9 c/kWh vs our 11.2.", "The difference in price is 6.7 cents per kWh."),
        ("10.4 cents per kWh instead of 13.9.", "It saves 3.5 cents a kWh."),
        ("Enrolled at 17.8 cents. I was at 12.6 with you.", "She wants back the 5.2 cents' difference."),
        ("Demand charge $18.40/kW, was 16.15.", "The rise is $2.25 per kW."),
        ("Supplier 0.179/kWh, ours 0.112.", "The supplier is 6.7 cents per kWh dearer."),
        ("Caller: I'm ninety.", "The ninety-year-old caller waits."),
        ("A dozen lamps flicker.", "12 lamps flicker."),
    ],
)
def test_what_a_careful_writer_computes_is_supported(history: str, answer: str) -> None:
    assert _found(history, answer) == []


@pytest.mark.parametrize(
    ("history", "answer", "value"),
    [
        ("Fridge $418, opener $269, food $140.", "The claims come to $837 in all.", "$837"),
        ("Fridge $418, opener $269, food $140.", "The opener costs $827.", "$827"),
        ("Luminor at 17.9 c/kWh vs our 11.2.", "The difference in price is 7.6 cents per kWh.", "7.6 cents"),
        ("Luminor at 17.9 c/kWh vs our 11.2.", "Our price is 6.7 cents per kWh.", "6.7 cents"),
        ("Plan for 30 days at $42.50.", "The difference is $12.50.", "$12.50"),
        ("Caller: I'm ninety.", "She waited ninety days.", "ninety"),
        ("412 lamps, $6 a lamp.", "The rebate would have been $2,472.", "$2,472"),
        ("Pays the farm $38 each month.", "The customer paid $114.", "$114"),
        ("Plan $360 over 4 mo.", "Each of four instalments is $95.", "$95"),
        ("Rate up 12% on the $200 bill.", "The increase is $34.", "$34"),
        ("Water 34,200 gal for June, norm 4,100.", "It used 30,100 gallons.", "30,100"),
        ("Water 34,200 gal for June, norm 4,100.", "It used five times the normal 4,100 gallons.", "five times"),
        ("Crew Thurs 7/30, 1-4 pm.", "The crew comes at 15:00.", "15:00"),
        ("Crew Thurs 7/30, 1-4 pm.", "The crew has five hours.", "five"),
        ("A 60 w bulb.", "It draws 75 watts.", "75"),
    ],
)
def test_what_does_not_follow_or_is_not_announced_is_found(history: str, answer: str, value: str) -> None:
    assert _found(history, answer) == [value]


def test_nothing_is_derived_from_hundreds_of_amounts():
    many = [Decimal(number) for number in range(1, 500)]
    assert sums_and_differences(many) == set()
    assert Decimal(3) in sums_and_differences(many[:2])
