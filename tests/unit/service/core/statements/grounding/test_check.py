"""The grounding checker: what it reads, what it accepts, and how many planted errors it finds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.statements.grounding.check import GroundingSource, checked_mentions, find_unsupported
from service.core.statements.grounding.mentions import find_mentions
from service.core.statements.grounding.relative_days import gap_fits, pointed_days
from service.core.statements.grounding.sentence import Mention, split_sentences, words_to_number
from service.core.unit.channel import Channel
from service.core.unit.interaction import Interaction

AS_OF = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def _at(number: int, channel: Channel, when: str, intent: str, text: str, outcome: str | None = None) -> Interaction:
    return Interaction(
        interaction_id=f"i{number}",
        channel=channel,
        timestamp=datetime.fromisoformat(f"{when}:00+00:00"),
        intent=intent,
        text=text,
        outcome=outcome,
    )


def _source(*texts: str, channel: Channel = "agent", reason: str = "") -> GroundingSource:
    items = [_at(n, channel, f"2026-11-{n + 2:02d}T14:12", "HighBill", text) for n, text in enumerate(texts, start=1)]
    return GroundingSource(items, as_of=AS_OF, contact_reason=reason)


def _kinds(text: str, source: GroundingSource) -> list[tuple[str, str]]:
    return [(item.kind, item.value) for item in find_unsupported(text, source)]


def _read(text: str) -> list[tuple[str, str]]:
    return [(mention.kind, mention.value) for mention in find_mentions(text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    interactions: Sequence[Interaction]
    reference: str
    swaps: Sequence[tuple[str, str, str]]  # kind, as the reference has it, what is planted instead


HISTORIES = (
    _History(
        interactions=(
            _at(1, "ivr", "2026-11-03T14:12", "HighBill", "MENU>BILL>DISPUTE, zero-out to agent"),
            _at(
                2,
                "agent",
                "2026-11-03T14:20",
                "HighBill",
                "cust cld re 45.00 late fee on oct bill, amt due 212.37. sent dispute #DS-40771 to billing, "
                "adv 5-7 bd. Marla K",
                "dispute open",
            ),
            _at(3, "agent", "2026-11-12T16:02", "HighBill", "2nd call, no answer yet. Wants callback by Friday. tlm"),
        ),
        reference=(
            "Customer called 3 times since Nov 3 about a $45 late fee; total due is $212.37. Marla sent dispute "
            "DS-40771 to billing and promised an answer in 5-7 business days. On Nov 12 a callback was asked for "
            "by Nov 13."
        ),
        swaps=(
            ("count", "3 times", "6 times"),
            ("date", "Nov 3", "Nov 8"),
            ("amount", "$45 ", "$54 "),
            ("amount", "$212.37", "$221.37"),
            ("name", "Marla", "Denise"),
            ("id", "DS-40771", "DS-40717"),
            ("number", "5-7", "9-7"),
            ("date", "Nov 12", "Nov 11"),
            ("date", "Nov 13", "Nov 17"),
        ),
    ),
    _History(
        interactions=(
            _at(
                1,
                "email",
                "2026-10-02T09:00",
                "Deposit",
                "Hello,\nI was charged a deposit of $310 in three parts. My check 2216 for $103.34 cleared on "
                "September 30.\nTobias Quillfeather",
            ),
            _at(
                2,
                "chat",
                "2026-10-15T20:40",
                "Deposit",
                "Customer: any news?\nOwen: The Deposit Desk approved the refund today, order RF 88120.\n"
                "Owen: It takes ten days.",
                "refund approved",
            ),
        ),
        reference=(
            "Tobias Quillfeather e-mailed Oct 2: a $310 deposit was billed in three parts and check 2216 for "
            "$103.34 cleared Sept 30. In a chat on Oct 15, Owen said the Deposit Desk approved refund order "
            "RF-88120, due by Oct 25."
        ),
        swaps=(
            ("name", "Quillfeather", "Brandstetter"),
            ("date", "Oct 2:", "Oct 6:"),
            ("amount", "$310", "$130"),
            ("number", "three", "five"),
            ("id", "2216", "2261"),
            ("amount", "$103.34", "$113.34"),
            ("date", "Sept 30", "Aug 30"),
            ("channel", "a chat", "a text message"),
            ("name", "Owen", "Ramona"),
            ("id", "RF-88120", "RF-88210"),
            ("date", "Oct 25", "Oct 21"),
        ),
    ),
    _History(
        interactions=(
            _at(
                1,
                "social",
                "2026-11-08T01:30",
                "Outage",
                "@CityPower dark again on Alder Ct!!! 3rd time this month. meds in the fridge, my son is 7 #fail",
            ),
            _at(2, "sms", "2026-11-08T11:05", "Outage", "OUT: Crew assigned to ticket 118-20, est. restore 9:40 PM."),
            _at(
                3,
                "agent",
                "2026-11-09T18:00",
                "Outage",
                "Pwr back 11/8 10:15p. Cust Leontyne Osei wants $120 for food + $75 for insulin. Adv claim form, "
                "sup. Brannock to rvw w/in 10 days.",
                "claim form sent",
            ),
        ),
        reference=(
            "Leontyne Osei lost power on Nov 8 (ticket 118-20), the third outage of the month; restored 10:15 PM "
            "after an estimate of 9:40 PM. She claims $195 in all, $120 of it food. Supervisor Brannock reviews "
            "within 10 days, by Nov 19. First complaint was a tweet."
        ),
        swaps=(
            ("name", "Leontyne Osei lost", "Leontyne Marsh lost"),
            ("date", "Nov 8", "Nov 4"),
            ("id", "118-20", "118-26"),
            ("number", "10:15 PM", "11:15 PM"),
            ("number", "9:40 PM", "9:20 PM"),
            ("amount", "$195", "$185"),
            ("amount", "$120", "$125"),
            ("name", "Brannock", "Haldane"),
            ("number", "10 days", "14 days"),
            ("date", "Nov 19", "Nov 25"),
            ("channel", "tweet", "chat"),
        ),
    ),
    _History(
        interactions=(
            _at(
                1,
                "web",
                "2026-09-01T12:00",
                "StartService",
                "START SVC form. eff 09/14/2026. contact Pilar Ibanez-Roth",
            ),
            _at(2, "mobile_app", "2026-09-20T03:00", "Feedback", "app shows 8.2 kW, panels are 7.6. case IA-5526"),
            _at(
                3,
                "email",
                "2026-10-02T12:00",
                "Solar",
                "> IA-5526\nYour Public Works inspection is set for October 30, 2026.",
            ),
            _at(
                4,
                "email",
                "2026-10-20T12:00",
                "Solar",
                "Two crews are booked. Meter read 61,940 against 63,205 billed.",
            ),
        ),
        reference=(
            "Pilar Ibáñez-Roth started service Sept 14, 2026. The app shows 8.2 kW for a 7.6 kW array, case "
            "IA-5526. Two e-mails followed: a Public Works inspection (PW) on Oct 30 and a meter read of 61,940, "
            "not 63,205."
        ),
        swaps=(
            ("name", "Pilar Ibáñez-Roth", "Pilar Sandoval-Roth"),
            ("date", "Sept 14, 2026", "Sept 14, 2025"),
            ("number", "8.2", "8.6"),
            ("number", "7.6", "6.7"),
            ("id", "IA-5526", "IA-5562"),
            ("count", "Two e-mails", "Five e-mails"),
            ("name", "Public Works", "Harbor Works"),
            ("date", "Oct 30", "Oct 13"),
            ("number", "61,940", "61,490"),
            ("number", "63,205", "63,502"),
            ("count", "Two e-mails", "Three e-mails"),
        ),
    ),
)


def _measure() -> tuple[Counter[str], Counter[str], list[str]]:
    planted: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    alarms: list[str] = []
    for history in HISTORIES:
        source = GroundingSource(history.interactions, as_of=AS_OF)
        alarms += [
            f"{item.kind} {item.value}: {item.statement}" for item in find_unsupported(history.reference, source)
        ]
        for kind, old, new in history.swaps:
            assert old in history.reference
            found = find_unsupported(history.reference.replace(old, new, 1), source)
            planted[kind] += 1
            caught[kind] += any(item.kind == kind for item in found)
    return planted, caught, alarms


def test_camel_case_of_an_intent_states_its_words() -> None:
    item = _at(1, "agent", "2026-11-03T14:12", "HarborFund", "cust asked for help with the bill")
    source = GroundingSource([item], as_of=AS_OF)
    assert _kinds("The customer asked about the Harbor Fund.", source) == []
    assert _kinds("The customer asked about the Harbor Grant.", source) == [("name", "Harbor Grant")]


def test_references_have_no_findings_and_planted_errors_are_found() -> None:
    planted, caught, alarms = _measure()
    table = "\n".join(f"{kind:8} planted {n:3} caught {caught[kind]:3}" for kind, n in sorted(planted.items()))
    print(f"{table}\nfalse alarms on references: {len(alarms)}")
    assert alarms == []
    assert set(planted) == {"amount", "date", "number", "name", "id", "channel", "count"}
    # One miss in ten is what relative days cost on the dev cases (dates 0.92); the other kinds have no such excuse.
    assert caught["date"] >= 0.9 * planted["date"], table
    for kind in planted.keys() - {"date"}:
        assert caught[kind] == planted[kind], table


def test_known_limits_swapped_actors_and_reversed_outcomes_are_not_found() -> None:
    source = _source("Customer disputes a $45 fee. Supervisor refused the refund.")
    assert find_unsupported("The supervisor refunded the customer's $45 fee.", source) == ()
    assert find_unsupported("Supervisor disputes a $45 refund.", source) == ()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("$1,250.00", "$1250"),
        ("1250 dollars", "$1,250.00"),
        ("1,250.00", "$1,250"),
        ("$1.2k", "$1,200"),
        ("$45.50", "$45.5"),
        ("17.9 cents", "17.9 cents"),
        ("two hundred sixty seven", "$267"),
    ],
)
def test_amounts_match_across_spellings(written: str, value: str) -> None:
    assert _kinds(f"The bill was {value} then.", _source(f"bill of {written} today")) == []
    assert _kinds("The bill was $999.99 then.", _source(f"bill of {written} today")) == [("amount", "$999.99")]


def test_amounts_may_be_sums_or_differences_of_two_and_of_more_only_as_an_announced_total() -> None:
    source = _source("charged $187.42 and $34, then $100")
    assert _kinds("In all $374.84, $221.42 or $153.42.", source) == []
    assert _kinds("She owes $321.42.", source) == [("amount", "$321.42")]
    assert _kinds("In all $321.42.", source) == []


def test_a_zero_balance_does_not_follow_from_other_amounts() -> None:
    assert _kinds("The balance is $0.", _source("charged $45 and $45")) == [("amount", "$0")]
    assert _kinds("The balance is $0.", _source("balance $0.00")) == []


def test_rounded_amounts_need_a_word_such_as_about() -> None:
    source = _source("bill 127.61")
    assert _kinds("Bills were about $128.", source) == []
    assert _kinds("Bills were $128.", source) == [("amount", "$128")]
    assert _kinds("Bills were about $138.", source) == [("amount", "$138")]


@pytest.mark.parametrize(
    "written", ["11/03/2026", "11/3", "Nov. 3rd", "3 November 2026", "2026-11-03", "November third"]
)
@pytest.mark.parametrize("said", ["Nov 3", "November 3, 2026", "11/03/2026", "2026-11-03", "3rd of November"])
def test_dates_match_across_spellings(written: str, said: str) -> None:
    source = GroundingSource([_at(1, "agent", "2026-10-15T12:00", "x", f"due {written}")], as_of=AS_OF)
    assert _kinds(f"It was due {said}.", source) == []


def test_a_date_with_a_wrong_day_month_or_year_is_unsupported() -> None:
    source = GroundingSource([_at(1, "agent", "2026-10-15T12:00", "x", "due 11/3")], as_of=AS_OF)
    assert [kind for kind, _ in _kinds("Due Nov 4. Due Dec 3. Due Nov 3, 2025. In Nov 2025.", source)] == ["date"] * 4
    assert _kinds("Since October, by November 2026.", source) == []
    assert _kinds("Since July.", source) == [("date", "July")]


def test_each_day_of_a_list_or_range_is_looked_up() -> None:
    source = _source("outages on 9/15, 9/16 and 9/17")
    assert _kinds("Dark Sept 15, 16 and 17.", source) == []
    assert len(_kinds("Dark Sept 15, 16 and 19.", source)) == 1
    assert len(_kinds("Dark Sept 15-18.", source)) == 1


def test_evening_in_america_is_the_day_before_in_utc() -> None:
    source = GroundingSource([_at(1, "chat", "2026-11-08T03:40", "x", "hello")], as_of=AS_OF)
    assert _kinds("Wrote on Nov 7 and Nov 8.", source) == []
    assert _kinds("Wrote on Nov 9.", source) == [("date", "Nov 9")]


@pytest.mark.parametrize(
    ("text", "day", "absent"),
    [
        ("call back by Friday", "2026-11-06", "2026-11-05"),
        ("came on Saturday", "2026-10-31", "2026-10-29"),
        ("crew comes tomorrow", "2026-11-04", "2026-11-12"),
        ("answer within 5 business days", "2026-11-10", "2026-11-08"),
        ("adv 5-7 bd", "2026-11-12", "2026-11-09"),
        ("paid 3 days ago", "2026-10-31", "2026-11-06"),
        ("due on the 20th", "2026-11-20", "2026-11-19"),
        ("in 2 weeks", "2026-11-17", "2026-11-24"),
    ],
)
def test_relative_days_of_a_note_count_from_its_own_day(text: str, day: str, absent: str) -> None:
    written = datetime.fromisoformat("2026-11-03").date()  # a Tuesday
    pointed = pointed_days(text, written)
    assert datetime.fromisoformat(day).date() in pointed
    assert datetime.fromisoformat(absent).date() not in pointed


def test_an_impossible_date_is_no_error() -> None:
    assert _kinds("Due Feb 30.", _source("due 2/30, the 31st, or 02/31/2026")) == []


@pytest.mark.parametrize(
    ("days", "said", "unit", "fits"),
    [
        (3, 3, "days", True),
        (4, 3, "days", False),
        (15, 2, "weeks", True),
        (61, 2, "months", True),
        (61, 61, "hours", False),
    ],
)
def test_gap_fits_days_weeks_and_months(days: int, said: int, unit: str, fits: bool) -> None:
    assert gap_fits(days, said, unit) is fits


def test_ids_match_with_and_without_separator_and_by_their_end() -> None:
    source = _source("ticket SC 20964, acct 3390458802, permit E-26-1180")
    assert _kinds("Claim SC-20964, account ending 8802, permit E-26-1180, order SC20964.", source) == []
    assert _kinds("Claim SC-20946.", source) == [("id", "SC-20946")]
    assert _kinds("Account ending 8820.", source) == [("id", "8820")]
    assert _kinds("Order 77120.", source) == [("id", "77120")]


def test_numbers_match_in_words_and_figures() -> None:
    source = _source("waited 14 min, meter read 61,940, twelve months, 121/122 volts, open 9a-3p")
    assert _kinds("Waited fourteen minutes; 61940 kWh; 12 months; 121 and 122 volts; 9 AM to 3 PM.", source) == []
    assert _kinds("Waited sixteen minutes.", source) == [("number", "sixteen")]
    assert _kinds("From 8 AM.", source) == [("number", "8 AM")]


def test_days_of_dates_do_not_support_numbers() -> None:
    assert _kinds("Paid in 9 parts.", _source("due 11/9, paid Nov 9")) == [("number", "9")]


def test_the_writers_own_count_is_not_checked() -> None:
    assert _kinds("Two things remain; both notes differ.", _source("meter checked")) == []


def test_twice_matches_2_times() -> None:
    assert _kinds("He was charged twice.", _source("charged 2 times")) == []
    assert _kinds("He was charged twice.", _source("charged again 3 times")) == [("number", "twice")]


def test_counts_may_be_per_channel_per_window_or_stated_by_the_source() -> None:
    source = _source("cust cld", "cld again", "cld")
    assert _kinds("Customer called 3 times. 3 interactions. Three calls.", source) == []
    assert [kind for kind, _ in _kinds("Customer called 4 times.", source)] == ["count"]
    assert [kind for kind, _ in _kinds("7 interactions are on file.", source)] == ["count"]
    assert _kinds("Customer called 4 times.", _source("this is his 4th call")) == []
    assert [kind for kind, _ in _kinds("Two e-mails came.", source)] == ["count", "channel"]


def test_single_contact_is_a_count_of_one() -> None:
    assert _kinds("Single contact on file.", _source("x")) == []
    assert _kinds("Single contact on file.", _source("x", "y")) != []


def test_a_channel_is_supported_by_an_interaction_or_by_its_words() -> None:
    source = _source("please reply to my email", channel="web")
    assert _kinds("Sent a web form, wants an e-mail.", source) == []
    assert _kinds("Customer chatted and texted.", source) == [("channel", "chatted"), ("channel", "texted")]


def test_names_are_found_with_titles_accents_and_possessives() -> None:
    source = _source("spoke w/ mrs quinones, dtr Itzel; Kerry-Ann from Larkfield Rooftop Energy")
    assert (
        _kinds("Mrs. Quiñones and Itzel's mother spoke to Kerry-Ann of Larkfield Rooftop Energy (LRE).", source) == []
    )
    assert _kinds("Spoke to Mr. Abernathy.", source) == [("name", "Abernathy")]
    assert _kinds("Itzel Abernathy called.", source) == [("name", "Itzel Abernathy")]


@pytest.mark.parametrize("text", ["Denise says no.", "Denise's bill.", "Denise Okafor moved.", "He asked Denise."])
def test_an_unknown_name_is_found_at_any_position_with_a_sign_of_a_name(text: str) -> None:
    assert "name" in [kind for kind, _ in _kinds(text, _source("call"))]


@pytest.mark.parametrize(
    "text",
    [
        "Tenant's request was denied.",
        "Customer wants AutoPay. Supervisor promised an answer on Monday.",
        "URGENT: father needs the IVR in Spanish.",
        "Angry. Escalated. Spanish-language callback.",
        "Background: denied.",
        "Key Points: Late Fee dispute, Open Items. Current Sentiment: Frustrated.",
    ],
)
def test_ordinary_capitalised_words_are_no_names(text: str) -> None:
    assert "name" not in [kind for kind, _ in _kinds(text, _source("call"))]


def test_abbreviated_departments_support_their_full_names() -> None:
    source = _source("[REV PROT 9/28] docs recd, Coll to hold")
    assert _kinds("It is with Revenue Protection and Collections.", source) == []


def test_each_mention_is_read_as_one_kind_only() -> None:
    assert _read("On Nov 3 he paid $45.") == [("date", "Nov 3"), ("amount", "$45")]
    assert _read("Order RF-88120 and 5 parts.") == [("id", "RF-88120"), ("number", "5")]


def test_a_finding_holds_the_sentence() -> None:
    (found,) = find_unsupported("All is well. The $46 fee stays.", _source("fee $45"))
    assert (found.kind, found.value, found.statement) == ("amount", "$46", "The $46 fee stays.")


@pytest.mark.parametrize("text", ["", "  \n ", "…", "😀 ¿qué?", "--", "$", "'s", "Nov", "1,", "Mr."])
def test_odd_texts_are_read_without_error(text: str) -> None:
    assert checked_mentions(text) == len(find_mentions(text))
    find_unsupported(text, GroundingSource([], as_of=AS_OF))


def test_an_empty_history_supports_only_the_day_of_the_request() -> None:
    source = GroundingSource([], as_of=AS_OF, contact_reason="ReportOutage")
    assert _kinds("No interactions found.", source) == []
    assert _kinds("As of Nov 20, 2026: Report Outage.", source) == []
    assert _kinds("Paid $5.", source) == [("amount", "$5")]


def test_checking_does_not_change_the_source() -> None:
    source = _source("call")
    text = "In March 2024 and on Aug 5 he sent 9 tweets."
    assert find_unsupported(text, source) == find_unsupported(text, source) != ()


def test_sentences_do_not_end_in_titles_initials_or_months() -> None:
    assert split_sentences("Mr. Fauk met M. Ibarra on Oct. 5. Done.\nNext") == [
        "Mr. Fauk met M. Ibarra on Oct. 5.",
        "Done.",
        "Next",
    ]


@pytest.mark.parametrize(("words", "value"), [("two hundred sixty seven", 267), ("thirty-five", 35), ("hundred", 100)])
def test_number_words(words: str, value: int) -> None:
    assert words_to_number(words) == value


_STATEMENTS = (
    "The customer disputes a $45.00 late fee from Oct 5.",
    "Denise Okafor sent order RF-88120 on 10/14/2026.",
    "Crew arrived at 9:40 PM after three missed visits.",
    "Customer paid 1,250 dollars, twice, in 2 parts.",
    "Meter read 61,940 on Sept. 30th, Unit 14.",
    "He says the app and the portal show 17.9 cents.",
    "Larkfield Rooftop Energy (Gwen's installer) asked for 5-7 days.",
    "Únicamente la señora Quiñones llamó el 5 de octubre.",
)


@given(st.lists(st.sampled_from(_STATEMENTS), min_size=1, max_size=6))
def test_statements_of_the_source_are_always_supported(chosen: list[str]) -> None:
    source = _source(*_STATEMENTS)
    assert find_unsupported(" ".join(chosen), source) == ()


@given(st.integers(min_value=2, max_value=99_999), st.integers(min_value=0, max_value=99))
def test_any_stated_amount_is_supported_and_its_neighbour_is_not(dollars: int, cents: int) -> None:
    source = _source(f"charge ${dollars:,}.{cents:02d}")
    assert _kinds(f"The charge was ${dollars}.{cents:02d}.", source) == []
    assert [kind for kind, _ in _kinds(f"The charge was ${dollars + 1}.{cents:02d}.", source)] == ["amount"]


@given(st.text(max_size=300))
def test_any_text_can_be_read_and_each_value_is_in_its_sentence(text: str) -> None:
    for mention in find_mentions(text):
        assert isinstance(mention, Mention)
        assert mention.value in mention.statement


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("Power failed on Sawmill Road.", "outage on Sawmill Rd tap"),
        ("She lives in Sherbrooke, Quebec, and has a Canadian bank.", "home is Sherbrooke QC, pays CAD 240"),
        ("Halina B., Polish-speaking, called.", "Halina B speaks Polish"),
        ("Ada's Social Security number was used.", "Ada: opened online w/ her SSN"),
        ("Danger reported: low wires.", "wires hanging low"),
        ("Replacement LED head due soon.", "new LED head ordered"),
        ("She awaits a yes or no. The notice stands.", "asks for a yes or no"),
        ("She takes it at 3 p.m. When asked, she agreed.", "3 p.m. is fine"),
        ("That was the phone company's. Cleaning is open.", "phone co's"),
        ("The crew went to unit B. The tag is off.", "unit B"),
    ],
)
def test_names_in_the_forms_of_notes_and_first_words_are_supported(answer, note):
    assert [item for item in _kinds(answer, _source(note)) if item[0] == "name"] == []


def test_a_name_that_no_note_holds_is_found_after_a_sentence_that_ends_in_an_abbreviation():
    assert _kinds("She takes it at 3 p.m. Carla Voss said so.", _source("3 p.m. is fine")) == [("name", "Carla Voss")]
    assert _kinds("Power failed on Sawmill Lane.", _source("outage on Sawmill Rd")) == [("name", "Sawmill Lane")]


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("Empty from July 3 to July 24.", "house empty 7/3-7/24"),
        ("Filled on June 27 and 28.", "fill dates 6/27-28"),
        ("The $25.10 November bill stands.", "Nov bill $25.10"),
        ("Vans come in March.", "6 vans for March."),
        ("They opened on May 14.", "May was a half month, we opened on the 14th"),
        ("On the account since 2019.", "she's on acct since '19"),
        ("Called on the 3rd.", "hello"),
        ("412 night kWh were billed.", "412 kWh 11p-6a"),
        ("A loan over 60 months, up to $5,000.", "loan up to 5,000 / 60 mo"),
        ("The euro price of 549.00 is fine.", "price EUR 549.00"),
        ("It came two days ahead of the due date of Nov 5.", "due 11/5"),
    ],
)
def test_dates_and_numbers_in_the_forms_of_notes_are_supported(answer, note):
    assert _kinds(answer, _source(note)) == []


def test_noon_and_midnight_are_two_times_of_day():
    assert _kinds("Crew by noon.", _source("crew by 12 pm")) == []
    assert _kinds("Crew by midnight.", _source("crew by noon")) == [("number", "midnight")]


@pytest.mark.parametrize(
    ("answer", "note", "found"),
    [
        ("He called at 2 am.", "I am out between 2-4", "2 am"),
        ("He called at 2 am.", "call me 2-4, not at 11:15a", "2 am"),
        ("The crew came at 11 pm.", "call by 11, not after 3 pm", "11 pm"),
        ("He was woken at half past three at night.", "back by 3", "three at night"),
        ("He was woken at half past three at night.", "rang 3:30 PM", "three at night"),
    ],
)
def test_an_hour_of_the_dark_needs_a_source_that_speaks_of_the_dark(answer, note, found):
    assert _kinds(answer, _source(note)) == [("number", found)]


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("He called at 2 am.", "woke up, called at 2"),
        ("He called at 5 am.", "crew out 5-6a"),
        ("The crew came at 11 pm.", "crew by 11 tonight"),
        ("He was woken at half past three at night.", "alarm at 3:30a"),
        ("She called at half past nine.", "cb 9:30 AM"),
    ],
)
def test_an_hour_of_the_dark_is_supported_by_a_source_that_speaks_of_it(answer, note):
    assert _kinds(answer, _source(note)) == []


def test_cents_are_no_dollars():
    assert _kinds("It costs 17.9 cents.", _source("price 17.9 cents")) == []
    assert _kinds("It costs 17.9 dollars.", _source("price 17.9 cents")) == [("amount", "17.9 dollars")]


def test_a_note_with_the_day_and_no_amount_may_speak_of_another_note_s_amount():
    told = ("refund of $249.36 is coming", "refund ck mailed 10/5")
    assert _kinds("The $249.36 refund was mailed on October 5.", _source(*told)) == []
    other = ("refund of $249.36 is coming", "paid $12.00 on 10/5")
    assert _kinds("The $249.36 refund was mailed on October 5.", _source(*other)) != []


def test_messages_of_one_thread_may_be_counted():
    thread = "IN: stop the power\nOUT: unsubscribed\nIN: no\nIN: hello??"
    assert _kinds("Two further texts got no answer.", _source(thread, channel="sms")) == []
    assert _kinds("Nine further texts got no answer.", _source(thread, channel="sms")) != []


def test_the_half_of_the_day_may_be_said_in_words():
    assert _kinds("Calls at 7 in the evening.", _source("calls at 7 in the evening")) == []
    assert _kinds("Calls at 7 in the evening.", _source("calls at 7 pm")) == []
    assert _kinds("Calls at 7 in the morning.", _source("calls at 7 in the evening")) == [("number", "7")]
    assert _kinds("Calls at 7:40 AM.", _source("calls at 7:40 in the evening")) == [("number", "7:40 AM")]


def test_minutes_of_a_wait_support_no_seconds():
    assert _kinds("The wait was almost 14 minutes.", _source("Q-WAIT 13:52")) == []
    assert _kinds("The wait was almost 14 seconds.", _source("Q-WAIT 13:52")) == [("number", "14")]


def test_a_duplicate_is_two_and_unsigned_amounts_add_up():
    assert _kinds("He was charged twice.", _source("duplicate charge")) == []
    assert _kinds("It is $108.50 in all.", _source("96.40 and 12.10 due")) == []
