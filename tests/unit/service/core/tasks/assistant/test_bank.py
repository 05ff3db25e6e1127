import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tools.port import ToolError

KNOWLEDGE = bank_knowledge()
TUESDAY = "2026-11-24T10:30:00+00:00"
SUNDAY = "2026-11-22T20:00:00+00:00"


def bank(now=TUESDAY, knowledge=KNOWLEDGE, **records):
    return Bank(knowledge=knowledge, records=records, clock=lambda: datetime.fromisoformat(now))


@pytest.mark.acceptance("bot-test-03")
def test_every_answer_is_json_and_names_its_knowledge():
    here = bank()
    answers = [
        here.branch_opening("savings"),
        here.digital_opening("savings"),
        here.debit_card("premium"),
        here.nearest_branch("London"),
        here.nearest_branch("Leeds"),
        here.hours(),
        here.queue_position(),
        here.request_callback("07700 900123"),
        here.transfer("explicit_request", "Wants a person."),
    ]
    assert {answer["knowledge_version"] for answer in answers} == {KNOWLEDGE.label}
    assert json.loads(json.dumps(answers)) == answers


@pytest.mark.acceptance("tool-02")
def test_opening_an_account_in_a_branch_has_eight_steps():
    answer = bank().branch_opening("checking")
    assert list(answer) == [
        "account_type",
        "channel",
        "documents_required",
        "process_steps",
        "processing_time",
        "benefits",
        "knowledge_version",
    ]
    assert (answer["account_type"], answer["channel"], len(answer["process_steps"])) == ("checking", "branch", 8)
    assert "immediately" in answer["processing_time"]
    assert "5 to 7 working days" in answer["processing_time"]


@pytest.mark.acceptance("tool-03")
def test_opening_an_account_online_has_ten_steps_and_requirements():
    answer = bank().digital_opening("student")
    assert (answer["account_type"], answer["channel"], len(answer["process_steps"])) == ("student", "digital", 10)
    told = " ".join(answer["requirements"])
    assert all(word in told for word in ("UK mobile", "email", "digital photo"))
    assert set(answer["documents_required"]) != set(bank().branch_opening("student")["documents_required"])
    assert "10 to 15 minutes" in answer["processing_time"]
    assert "3 to 5 working days" in answer["processing_time"]


@pytest.mark.acceptance("tool-05")
def test_a_card_has_details_and_eight_steps_to_order_it():
    answer = bank().debit_card("virtual")
    assert list(answer["card_details"]) == ["name", "features", "fees", "eligibility", "delivery_time"]
    assert answer["card_details"]["name"] == "Larkfield Virtual Debit Card"
    assert len(answer["ordering_process"]) == 8
    assert answer["replacement_info"]
    assert answer["activation"]


@pytest.mark.acceptance("tool-06", "bot-test-03")
def test_an_unknown_type_is_named_with_the_known_ones():
    with pytest.raises(ToolError, match="no account type 'gold'; there are checking, savings, business, student"):
        bank().branch_opening("gold")
    with pytest.raises(ToolError, match="no card type 'credit'"):
        bank().debit_card("credit")


@pytest.mark.acceptance("tool-07")
def test_branches_come_by_distance_with_all_their_fields():
    answer = bank().nearest_branch("E14")
    distances = [float(branch["distance"].removesuffix(" miles")) for branch in answer["branches"]]
    assert answer["branches_found"] == len(distances) == 5
    assert distances == sorted(distances)
    assert answer["branches"][0] == {
        "name": "Larkfield Canary Wharf",
        "address": "7 Wharf Square, London E14 5QT",
        "phone": "020 7946 0214",
        "hours": "Monday to Friday, 8:30 AM to 4:30 PM",
        "services": ["account_opening", "card_services", "general", "business_banking"],
        "distance": "0.2 miles",
        "specialists_available": True,
    }
    assert (answer["search_location"], answer["service_requested"]) == ("E14, London", "general")


@pytest.mark.acceptance("tool-08")
def test_only_branches_with_the_service_are_found_and_specialists_are_those_for_it():
    answer = bank().nearest_branch("Manchester", "business_banking")
    assert [branch["name"] for branch in answer["branches"]] == [
        "Larkfield Manchester Deansgate",
        "Larkfield Salford Quays",
    ]
    cards = bank().nearest_branch("Manchester", "card_services")["branches"]
    assert {branch["name"]: branch["specialists_available"] for branch in cards} == {
        "Larkfield Manchester Deansgate": True,
        "Larkfield Manchester Piccadilly": False,
        "Larkfield Salford Quays": False,
    }


@pytest.mark.parametrize(
    ("location", "message"), [("Leeds", "no_branch"), ("", "no_branch"), ("London or Manchester", "which_city")]
)
@pytest.mark.acceptance("tool-10", "bot-test-03")
def test_without_one_place_no_branch_is_found_and_a_message_says_why(location, message):
    answer = bank().nearest_branch(location)
    assert (answer["branches_found"], answer["branches"]) == (0, [])
    assert answer["message"] == getattr(KNOWLEDGE.messages, message)


def test_a_long_location_is_not_repeated_as_a_whole():
    assert len(bank().nearest_branch("x" * 5000)["search_location"]) == 80


def test_hours_say_when_specialists_can_be_reached():
    opened, closed = bank().hours(), bank(SUNDAY).hours()
    assert (opened["open"], opened["closes_at"], opened["next_opening"]) == (True, "5 PM", "")
    assert (closed["open"], closed["closes_at"]) == (False, "")
    assert closed["next_opening"] == "Monday 23 November 2026, 9 AM"
    assert closed["hours"] == "Monday to Friday, 9 AM to 5 PM"
    assert bank("2026-12-25T10:00:00+00:00").hours()["holiday"] == "Christmas Day"


def test_the_records_time_goes_before_the_clock():
    assert bank(SUNDAY, hours={"now": TUESDAY}).hours()["open"] is True


@pytest.mark.parametrize(
    ("queue", "now", "position", "minutes", "says"),
    [
        ({}, TUESDAY, 1, 3, "You're next in line. A specialist will be with you shortly."),
        ({"waiting": 3}, TUESDAY, 4, 12, "You are number 4 in the queue. The estimated wait is about 12 minutes."),
        ({"waiting": 5, "position": 2}, TUESDAY, 2, 6, "You are number 2 in the queue."),
        ({"waiting": 10}, TUESDAY, 11, 33, "All our specialists are currently assisting other customers."),
        ({"waiting": 0}, SUNDAY, 1, 3, "Our specialists are currently unavailable. Our hours are Monday to Friday"),
    ],
)
@pytest.mark.acceptance("connect-10", "words-06")
def test_the_queue_tells_place_and_wait(queue, now, position, minutes, says):
    answer = bank(now, queue=queue).queue_position()
    assert (answer["position"], answer["estimated_wait_minutes"]) == (position, minutes)
    assert answer["message"].startswith(says)
    assert answer["open"] is (now == TUESDAY)


def test_a_callback_is_written_down_with_the_number_in_one_form():
    here = bank()
    answer = here.request_callback("(07700) 900 123")
    row = here.records["callbacks"]["callback-1"]
    assert answer["callback_id"] == "callback-1"
    assert (row["phone"], row["when"], row["status"]) == ("+447700900123", "soon", "PENDING")
    assert (row["start"], row["due"]) == ("2026-11-24T10:30+00:00", "2026-11-24T11:30+00:00")
    assert answer["message"] == "One of our specialists will call you back within the next hour."


@pytest.mark.parametrize(
    ("now", "when", "start", "due"),
    [
        ("2026-11-24T16:00:00+00:00", "soon", "2026-11-24T16:00", "2026-11-24T17:00"),
        ("2026-11-24T16:01:00+00:00", "soon", "2026-11-25T09:00", "2026-11-25T10:00"),  # less than an hour is left
        (SUNDAY, "soon", "2026-11-23T09:00", "2026-11-23T10:00"),
        (
            "2026-12-24T20:00:00+00:00",
            "soon",
            "2026-12-29T09:00",
            "2026-12-29T10:00",
        ),  # Christmas, a weekend, Boxing Day
        (TUESDAY, "morning", "2026-11-25T09:00", "2026-11-25T12:00"),  # this morning has begun
        (TUESDAY, "afternoon", "2026-11-24T13:00", "2026-11-24T17:00"),
        ("2026-11-27T14:00:00+00:00", "afternoon", "2026-11-30T13:00", "2026-11-30T17:00"),
    ],
)
@pytest.mark.acceptance("connect-12")
def test_a_callback_is_promised_for_when_somebody_is_there(now, when, start, due):
    answer = bank(now).request_callback("07700 900123", when)
    assert (answer["start"], answer["due"]) == (f"{start}+00:00", f"{due}+00:00")


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 11, 30), timezones=st.just(UTC)),
    st.sampled_from(["soon", "morning", "afternoon"]),
)
def test_a_callback_is_never_promised_for_the_past_or_for_when_nobody_is_there(now, when):
    answer = bank(now.isoformat()).request_callback("07700 900123", when)
    start, due = (datetime.fromisoformat(answer[field]) for field in ("start", "due"))
    calendar = KNOWLEDGE.specialist_calendar
    assert now.replace(second=0, microsecond=0) <= start < due
    assert calendar.is_open(start)
    assert calendar.closes(start) >= due
    assert when != "soon" or due - start == timedelta(hours=1)


def test_a_callback_at_another_time_says_the_day():
    message = bank().request_callback("07700 900123", "morning")["message"]
    assert message == "One of our specialists will call you back on Wednesday 25 November 2026 between 9 AM and 12 PM."


def test_a_wrong_number_writes_nothing_down():
    here = bank()
    with pytest.raises(ToolError, match="not a UK phone number"):
        here.request_callback("0900 123 4567")
    assert here.records == {}


def test_calls_with_one_key_are_one_callback():
    here = bank()
    first, again = (here.request_callback("07700 900123", key="k-1") for _ in range(2))
    assert first == again
    assert list(here.records["callbacks"]) == ["callback-1"]


def test_another_time_for_the_same_number_moves_its_callback_and_a_replay_does_not_move_it_back():
    here = bank()
    here.request_callback("07700 900123", "soon", key="k-1")
    moved = here.request_callback("+447700900123", "afternoon", key="k-2")
    replayed = here.request_callback("07700 900123", "soon", key="k-1")
    assert moved == replayed
    assert [row["when"] for row in here.records["callbacks"].values()] == ["afternoon"]


def test_another_number_and_a_closed_callback_are_callbacks_of_their_own():
    here = bank(callbacks={"callback-1": {"phone": "+447700900123", "status": "DONE"}})
    here.request_callback("07700 900123")
    here.request_callback("07700 900456")
    assert list(here.records["callbacks"]) == ["callback-1", "callback-2", "callback-3"]


@pytest.mark.acceptance("handover-09")
def test_a_transfer_waits_with_its_reason_and_summary():
    here = bank(queue={"waiting": 2})
    answer = here.transfer("sensitive_topic", " Wants to report a bereavement. ")
    assert here.records["transfers"] == {
        "transfer-1": {"reason": "sensitive_topic", "summary": "Wants to report a bereavement.", "state": "waiting"}
    }
    assert (answer["transfer_id"], answer["position"], answer["estimated_wait_minutes"]) == ("transfer-1", 3, 9)


def test_calls_with_one_key_are_one_transfer():
    here = bank()
    first, again = (here.transfer("repeated_query", text, key="k-1") for text in ("one", "two"))
    assert first == again
    assert here.records["transfers"]["transfer-1"]["summary"] == "one"
    assert here.transfer("explicit_request", "three", key="k-2")["transfer_id"] == "transfer-2"


def test_without_specialists_or_summary_nobody_is_transferred():
    for here, summary, says in (
        (bank(SUNDAY), "Wants a person.", "Our hours are Monday to Friday, 9 AM to 5 PM"),
        (bank(), "  ", "summary is empty"),
    ):
        with pytest.raises(ToolError, match=says):
            here.transfer("explicit_request", summary)
        assert here.records == {}


def test_reading_changes_no_records():
    here = bank()
    here.hours()
    here.queue_position()
    here.nearest_branch("London")
    assert here.records == {}


def test_a_clock_of_another_zone_gives_the_same_hours():
    here = Bank(knowledge=KNOWLEDGE, records={}, clock=lambda: datetime(2026, 7, 7, 8, 15, tzinfo=UTC))
    assert here.hours()["now"] == "Tuesday 7 July 2026, 9:15 AM"


@pytest.mark.parametrize("waiting", [None, 3])
def test_nobody_is_told_of_a_wait_while_nobody_is_there(waiting):
    assert "about 6 minutes" in bank().queue_message(2, 6, waiting)
    told = bank("2026-11-29T03:00:00+00:00").queue_message(2, 6, waiting)
    assert "minutes" not in told
    assert "9 AM" in told
