"""The phone's function: places in the queue as they are said, messages kept before they are promised, faults as errors."""

import json
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from pydantic import ValidationError

from service.access.sealing import OwnerOnly
from service.channels.phone import entry
from service.channels.phone.function import PhoneFunction, place_in_words
from service.channels.phone.voicemail import in_words, recordings_of
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.kit.frame.errors import ServiceError, StoreError
from service.kit.telemetry import log
from service.kit.telemetry.log import Event

EVENT = json.loads((Path(__file__).parents[4] / "recorded" / "connect" / "flow_event.json").read_text("utf-8"))
CONTACT, INSTANCE = "5ca32fbd-8f92-46af-92a5-6b0f970f0efe", "0f1c2c0e-0000-4000-8000-000000000000"
PHONE = "+447700900123"
SUNDAY = datetime(2026, 11, 22, 20, tzinfo=UTC)


class Kept:
    """A store in this process; ``down`` makes it fail."""

    def __init__(self):
        self.rows, self.down = {}, False

    def add(self, voicemail):
        if self.down:
            raise StoreError("table 'x' does not answer")
        return self.rows.setdefault(voicemail.voicemail_id, voicemail)


@pytest.fixture
def store():
    return Kept()


@pytest.fixture
def connect():
    client = boto3.client("connect", region_name="eu-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        client.stub = stub
        yield client


@pytest.fixture
def function(store, connect):
    return PhoneFunction(
        store=store,
        sealer=OwnerOnly(),
        hours=bank_knowledge().specialist_calendar,
        connect=lambda: connect,
        now=lambda: SUNDAY,
    )


def event(does="voicemail", **contact):
    return {
        "Name": "ContactFlowEvent",
        "Details": {"ContactData": EVENT["Details"]["ContactData"] | contact, "Parameters": {"does": does}},
    }


@pytest.mark.acceptance("event.VOICEMAIL_LEFT", "connect-13")
def test_a_message_is_kept_with_its_sealed_number_before_a_call_is_promised(function, store, monkeypatch):
    heard = []
    monkeypatch.setattr(log, "_listeners", [lambda what, fields: heard.append((what, dict(fields)))])
    assert function.handle(EVENT) == {"promised": "5 PM on Monday 23 November"}
    (row,) = store.rows.values()
    assert (row.contact_id, row.instance_id) == (CONTACT, INSTANCE)
    assert row.due_at == datetime(2026, 11, 23, 17, tzinfo=UTC)
    assert (row.handover_reason, row.conversation_id) == ("explicit_request", "conv-0123456789abcdef01234567")
    assert OwnerOnly().open(row.sealed_phone, CONTACT).decode() == PHONE
    assert PHONE not in row.model_dump_json() + repr(row)
    (said,) = [fields for what, fields in heard if what is Event.VOICEMAIL_LEFT]
    assert PHONE not in str(said)


def test_the_same_contact_leaves_one_message(function, store):
    assert function.handle(EVENT) == function.handle(EVENT)
    assert len(store.rows) == 1


@pytest.mark.parametrize(
    ("now", "promised"),
    [
        (datetime(2026, 11, 23, 10, tzinfo=UTC), "5 PM on Tuesday 24 November"),
        (datetime(2026, 12, 24, 16, tzinfo=UTC), "5 PM on Tuesday 29 December"),  # two bank holidays and a weekend
        (datetime(2027, 6, 1, 8, 30, tzinfo=UTC), "5 PM on Wednesday 2 June"),  # in summer time
    ],
)
def test_the_promise_is_the_end_of_the_next_day_on_which_somebody_is_there(store, function, now, promised):
    function = PhoneFunction(
        store=store, sealer=OwnerOnly(), hours=function.hours, connect=function.connect, now=lambda: now
    )
    assert function.handle(EVENT) == {"promised": promised}


@pytest.mark.parametrize("endpoint", [None, {"Address": "anonymous"}, {"Address": ""}])
def test_without_a_number_no_message_is_taken(function, store, endpoint):
    with pytest.raises(ServiceError, match="without a number"):
        function.handle(event(CustomerEndpoint=endpoint))
    assert not store.rows


@pytest.mark.acceptance("connect-13")
def test_while_the_store_is_down_nothing_is_promised(function, store):
    store.down = True
    with pytest.raises(StoreError):
        function.handle(EVENT)


def metrics(**values):
    results = [{"Name": name, "Value": {"Number": value}} for name, value in values.items()]
    return {"MetricResults": results, "Id": CONTACT, "Arn": "arn"}


@pytest.mark.acceptance("connect-10")
def test_a_caller_hears_place_and_wait_as_connect_knows_them(function, connect):
    asked = {
        "InstanceId": INSTANCE,
        "ContactId": CONTACT,
        "Metrics": [{"Name": "POSITION_IN_QUEUE"}, {"Name": "ESTIMATED_WAIT_TIME"}],
    }
    connect.stub.add_response("get_contact_metrics", metrics(POSITION_IN_QUEUE=3.0, ESTIMATED_WAIT_TIME=301.0), asked)
    assert function.handle(event("place_in_queue")) == {
        "text": "You are number 3 in line. Estimated wait time is 6 minutes."
    }
    connect.stub.add_client_error("get_contact_metrics", "ThrottlingException")
    with pytest.raises(StoreError, match="Amazon Connect refuses"):
        function.handle(event("place_in_queue"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"POSITION_IN_QUEUE": 1.0, "ESTIMATED_WAIT_TIME": 60.0}, "You're next in line. A specialist will be with you shortly."),
        ({"POSITION_IN_QUEUE": 2.0, "ESTIMATED_WAIT_TIME": 60.0}, "You are number 2 in line. Estimated wait time is 1 minute."),
        ({"POSITION_IN_QUEUE": 4.0}, "You are number 4 in line."),
    ],
)  # fmt: skip
@pytest.mark.acceptance("connect-10")
def test_place_in_words(found, said):
    assert place_in_words(found) == said


def test_a_place_that_is_not_known_is_an_error_for_the_flow():
    with pytest.raises(ServiceError, match="no place"):
        place_in_words({"ESTIMATED_WAIT_TIME": 60.0})


@pytest.mark.parametrize(
    "wrong", [{}, event("sing"), event(InstanceARN="no arn of +447700900123"), event(ContactId="")]
)
def test_what_is_no_event_of_a_flow_is_refused_without_repeating_it(function, wrong):
    with pytest.raises(ValidationError) as found:
        function.handle(wrong)
    assert PHONE not in str(found.value)


def test_a_recording_is_found_where_connect_says_that_it_lies(function, store, connect):
    function.handle(EVENT)
    kept = [
        {"StorageType": "S3", "Location": "bucket/connect/ivr/1.wav", "Status": "AVAILABLE"},
        {"StorageType": "S3", "Location": "bucket/connect/ivr/0.wav", "Status": "DELETED"},
    ]
    asked = {"InstanceId": INSTANCE, "ContactId": CONTACT}
    connect.stub.add_response("describe_contact", {"Contact": {"Recordings": kept}}, asked)
    connect.stub.add_response("describe_contact", {"Contact": {}}, asked)
    assert recordings_of(store.rows[CONTACT], connect) == ["bucket/connect/ivr/1.wav"]
    assert recordings_of(store.rows[CONTACT], connect) == []


def test_a_time_is_said_as_people_say_it():
    assert in_words(datetime(2026, 11, 23, 0, 5)) == "12:05 AM on Monday 23 November"
    assert in_words(datetime(2026, 11, 23, 12)) == "12 PM on Monday 23 November"


def test_lambda_calls_the_function_of_its_environment(function, monkeypatch):
    entry._opened.cache_clear()
    monkeypatch.setattr(entry, "phone_function", lambda settings: function)
    assert entry.lambda_handler(EVENT, None) == {"promised": "5 PM on Monday 23 November"}
    entry._opened.cache_clear()
