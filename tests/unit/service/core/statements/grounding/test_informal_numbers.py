"""An informal number of a note supports its plain spelling in a summary, and no neighbouring value."""

import time
from datetime import UTC, datetime

import pytest

from service.core.statements.grounding.check import GroundingSource, find_unsupported
from service.core.statements.grounding.informal_numbers import amounts_of_notes
from service.core.unit.interaction import Interaction

AS_OF = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def kinds(note: str, text: str, channel: str = "agent") -> list[str]:
    item = Interaction(
        interaction_id="i1", channel=channel, timestamp="2026-11-04T14:12:00Z", intent="Billing", text=note
    )
    return [found.kind for found in find_unsupported(text, GroundingSource([item], as_of=AS_OF))]


@pytest.mark.parametrize(
    ("note", "said", "wrong", "kind"),
    [
        ("drop back up 1140, ckd", "Back at 11:40.", "Back at 11:50.", "number"),
        ("EST RESTORE 1100PM", "Back by 11 PM.", "Back by 10 PM.", "number"),
        ("plus de courant depuis 18h", "Dark since 6 PM.", "Dark since 7 PM.", "number"),
        ("from ten to eight until half past noon", "Waited 7:50 to 12:30.", "Waited 7:40 to 12:30.", "number"),
        ("between 8 and noon", "Between 8 and 12.", "Between 8 and 11.", "number"),
        ("J'ai trois clientes", "She had three clients.", "She had five clients.", "number"),
        ("app v7.3.0", "Since version 7.3.", "Since version 7.4.", "number"),
        ("BALANCE IS 431 DOLLARS 28 CENTS", "Balance $431.28.", "Balance $431.82.", "amount"),
        ("default svc, 10.1c", "At 10.1 cents.", "At 10.4 cents.", "amount"),
        ("turned over to state 4/2023", "Given to the state in April 2023.", "Given in April 2022.", "date"),
        ("lowry can't start til january", "He starts in January.", "He starts in March.", "date"),
        ("até dia 20 de novembro", "Due Nov 20.", "Due Nov 22.", "date"),
        ("due 11/24, PTO 11/30", "It came six days early.", "It came nine days early.", "number"),
        ("approval on 11/18", "Expected on the 18th.", "Expected on the 19th.", "number"),
        ("Sorrel Crk Water Dist", "From Sorrel Creek.", "From Sorrel Brook.", "name"),
        ("has no SSN", "Has no Social Security number.", "Has no Medical Insurance number.", "name"),
        ("ph fr Ned Quarles", "Beekeeper Ned Quarles called.", "Beekeeper Ned Fenn called.", "name"),
        ("ph fr Ned", "Ex-roommate Ned called.", "Ex-roommate Tom called.", "name"),
        ("text me, cant pick up at work", "No calls at work.", "No chats at work.", "channel"),
    ],
)
def test_an_informal_value_is_supported_and_its_neighbour_is_not(note: str, said: str, wrong: str, kind: str) -> None:
    channel = "web" if kind == "channel" else "agent"
    assert kinds(note, said, channel) == []
    assert kinds(note, wrong, channel) == [kind]


def test_a_heading_in_capitals_is_no_name_but_a_name_after_it_is() -> None:
    assert kinds("dialysis, Joaquim", "DEAF HOUSEHOLD WITH INFANT: Joaquim is on dialysis.") == []
    assert kinds("dialysis, Joaquim", "DEAF HOUSEHOLD WITH INFANT: for Ramiro.") == ["name"]


def test_two_is_checked_before_a_measure_only() -> None:
    assert kinds("billed on both meters B and D", "The two meters were swapped. Two charges remain.") == []
    assert kinds("outage", "Dark for two hours.") == ["number"]


def test_a_gap_between_two_days_needs_a_word_such_as_apart() -> None:
    assert kinds("due 11/24, PTO 11/30", "It took nine days.") == ["number"]
    assert kinds("wired 1900 on 9/30, disputes $1900", "He lost $1,900 he wired on Sept 30.") == []


def test_a_phone_number_is_no_contact_by_phone() -> None:
    assert kinds("ok", "Asked for a phone number.", "web") == []
    assert kinds("ok", "Asked by phone.", "web") == ["channel"]


def test_a_contact_with_a_date_of_its_own_is_not_tied_to_the_date_before_it() -> None:
    assert kinds("from ivr 11/3", "IVR Nov 3, call Nov 4.") == []


def test_common_words_and_other_initials_do_not_abbreviate_a_name() -> None:
    assert kinds("this is for REV PROT", "Revenue Protection said so.") == []
    assert kinds("this is her PAY stub", "Thistlewood Ames called.") == ["name"]
    assert kinds("PAY stub", "Owner Prudhomme Achterberg called.") == ["name"]


def test_a_note_of_digits_alone_is_read_in_time_proportional_to_its_length():
    started = time.process_time()
    assert list(amounts_of_notes("1" * 19_000)) == []
    assert time.process_time() - started < 1  # 15 s when every digit is a beginning
