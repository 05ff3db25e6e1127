"""Stretches between times of day, days after a stated stretch, and events counted over interactions."""

from datetime import UTC, datetime

import pytest

from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.unit.interaction import Interaction


def _found(answer: str, *texts: str) -> list[str]:
    items = [
        Interaction(
            interaction_id=f"i{number}",
            channel="agent",
            timestamp=datetime(2026, 9, 2 + 7 * number, 14, 7, tzinfo=UTC),
            intent="misc",
            text=text,
            outcome=None,
        )
        for number, text in enumerate(texts)
    ]
    source = GroundingSource(items, as_of=datetime(2026, 9, 28, 17, 9, tzinfo=UTC))
    return [found.value for found in find_unsupported(answer, source)]


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        ("Gas was shut off after 43 minutes.", ("Hit 14:05, shut 14:48.",)),
        ("The outage lasted 95 minutes.", ("Out 11:40 pm, back 1:15 am.",)),
        ("Power was out for about 2 hours.", ("Out 6:10 pm, back 8:05 pm.",)),
        ("The water came four hours late.", ("Will drop off by 3 pm.", "It came at 7 pm.")),
        ("The crew was 90 minutes early.", ("Crew due 10 am, came 8:30 am.",)),
    ],
)
def test_a_stretch_between_two_times_of_day_is_supported(answer: str, texts: tuple[str, ...]) -> None:
    assert _found(answer, *texts) == []


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        ("Gas was shut off after 53 minutes.", ("Hit 14:05, shut 14:48.",)),
        ("The crew needs 43 minutes.", ("Hit 14:05, shut 14:48.",)),
        ("The water came five hours late.", ("Will drop off by 3 pm.", "It came at 7 pm.")),
        ("The outage lasted 4 hours.", ("Will drop off by 3 pm.", "It came at 7 pm.")),
    ],
)
def test_another_stretch_is_not(answer: str, texts: tuple[str, ...]) -> None:
    assert len(_found(answer, *texts)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "Six weeks from then end on Oct 20.",
        "It takes four to six weeks, so until mid-October.",
        "Four weeks from payment is October 6.",
    ],
)
def test_a_day_a_stated_stretch_after_a_derived_day_is_supported(answer: str) -> None:
    assert _found(answer, "It takes four to six weeks once paid.", "Paid yesterday.") == []


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            "The appeal takes 15 business days from August 25, so until September 15.",
            "Appeal of 8/25, 15 business days.",
        ),
        ("One month after August 31 is September 30.", "Moved in Aug 31, deposit back in one month."),
    ],
)
def test_business_days_and_months_are_counted_too(answer: str, text: str) -> None:
    assert _found(answer, text) == []


@pytest.mark.parametrize(
    "answer",
    ["Six weeks from then end on Oct 27.", "It is due on October 20.", "Five weeks from payment is October 13."],
)
def test_other_days_and_stretches_are_not(answer: str) -> None:
    assert _found(answer, "It takes four to six weeks once paid.", "Paid yesterday.") != []


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        ("The adjustment was refused twice.", ("Refused adj.", "You do not qualify for the small rate.")),
        ("She twice asked for a waiver.", ("Please waive it.", "Asks again abt the waiver.")),
        ("The technician missed the visit twice.", ("Tech missed visit.", "missed it again")),
        ("The visit was rescheduled three times.", ("Resched to 9/4.", "Rescheduled.", "resched again")),
    ],
)
def test_events_are_counted_over_interactions(answer: str, texts: tuple[str, ...]) -> None:
    assert _found(answer, *texts) == []


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        ("The adjustment was refused three times.", ("Refused adj.", "You do not qualify for the small rate.")),
        ("The adjustment was refused twice.", ("Refused adj.", "He thanks us.")),
        ("She was billed twice.", ("Bill is due.", "Asks about the bill.")),
    ],
)
def test_more_events_than_interactions_tell_of_are_not(answer: str, texts: tuple[str, ...]) -> None:
    assert len(_found(answer, *texts)) == 1
