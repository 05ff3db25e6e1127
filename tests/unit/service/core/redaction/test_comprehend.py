"""Amazon Comprehend by its own service model (botocore's Stubber): one document a call, offsets, throttles, refusals."""

import boto3
import pytest
from botocore.stub import ANY, Stubber

from service.calls.failure import CallFailed, FailureReason
from service.calls.redact.transcript import FindingRedactor
from service.core.redaction.comprehend import MOST_BYTES, ComprehendFinder, documents
from service.core.tasks.scorecard.transcript import Turn
from service.kit.frame.errors import StoreError


def turn(text, speaker="customer"):
    return Turn(speaker=speaker, start_s=0, text=text)


@pytest.fixture
def amazon():
    """A stubbed client, a redactor on it, and a clock that only sleeping moves."""
    client = boto3.client("comprehend", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    slept = []
    with Stubber(client) as stub:
        yield FindingRedactor(ComprehendFinder(client, sleep=slept.append, clock=lambda: sum(slept))), stub, slept
        stub.assert_no_pending_responses()
    client.close()


def answers(stub, document, *found):
    entities = [
        {"Type": kind, "BeginOffset": start, "EndOffset": end, "Score": 0.99}
        for kind, start, end in ((kind, document.index(word), document.index(word) + len(word)) for kind, word in found)
    ]
    stub.add_response("detect_pii_entities", {"Entities": entities}, {"Text": document, "LanguageCode": "en"})


def test_a_call_is_one_document_after_the_patterns(amazon):
    redactor, stub, _ = amazon
    answers(
        stub,
        "what of the dog?\nzofia  of [email]\nsince may 2019, a * nhs thing",
        ("NAME", "zofia  of"), ("DATE_TIME", "may 2019"), ("UK_NATIONAL_HEALTH_SERVICE_NUMBER", "nhs"),
    )  # fmt: skip
    # The wide letter is no find's business; what is kept of it is what was said.
    found = redactor.redact(
        [
            turn("what of the dog?", "agent"),
            turn("zofia\n of d@example.com"),
            turn("since may 2019, a \U0001f600 nhs thing"),
        ]
    )
    assert found.turns[1].text == "[name] [email]"
    assert found.turns[2].text == "since may 2019, a \U0001f600 [number] thing"
    assert found.by == "amazon-comprehend-en+patterns-3"


def test_a_find_across_turns_goes_from_both(amazon):
    redactor, stub, _ = amazon
    answers(stub, "it is anna\nmaria here\nok", ("NAME", "anna\nmaria"))
    found = redactor.redact([turn("it is anna"), turn("maria here"), turn("ok")])
    assert [one.text for one in found.turns] == ["it is [name]", "[name] here", "ok"]
    assert found.found == {"name": 2}


def test_an_empty_call_sends_no_request(amazon):
    assert amazon[0].redact([]).turns == ()
    assert amazon[0].redact([turn(" "), turn("")]).found == {}


@pytest.mark.parametrize(
    "entity",
    [
        {"Type": "NAME", "BeginOffset": 0, "EndOffset": 99, "Score": 1.0},
        {"Type": "NAME", "BeginOffset": -1, "EndOffset": 2, "Score": 1.0},
        {"Type": "NAME", "BeginOffset": 3, "EndOffset": 3, "Score": 1.0},
        {"Type": "NAME", "BeginOffset": 0, "Score": 1.0},
        {"BeginOffset": 0, "EndOffset": 2, "Score": 1.0},
    ],
)
def test_an_answer_that_does_not_fit_fails_the_call(amazon, entity):
    redactor, stub, _ = amazon
    stub.add_response("detect_pii_entities", {"Entities": [entity]})
    with pytest.raises(CallFailed) as caught:
        redactor.redact([turn("hi zofia")])
    assert caught.value.reason is FailureReason.REDACTION
    assert "zofia" not in str(caught.value)


def test_an_answer_without_entities_fails_the_call(amazon):
    redactor, stub, _ = amazon
    stub.add_response("detect_pii_entities", {})
    with pytest.raises(CallFailed, match="no 'Entities'"):
        redactor.redact([turn("hi")])


def test_throttles_are_waited_for_and_then_the_call_waits(amazon):
    redactor, stub, slept = amazon
    stub.add_client_error("detect_pii_entities", "ThrottlingException")
    stub.add_client_error("detect_pii_entities", "TooManyRequestsException")
    stub.add_response("detect_pii_entities", {"Entities": []})
    assert redactor.redact([turn("hi")]).turns[0].text == "hi"
    assert slept == [0.25, 0.5]
    slept.clear()
    for _ in range(11):
        stub.add_client_error("detect_pii_entities", "ThrottlingException")
    with pytest.raises(StoreError, match="ThrottlingException"):
        redactor.redact([turn("hi")])
    assert sum(slept) <= 30


def test_a_client_that_breaks_fails_the_call_and_quotes_nothing():
    class Breaks:
        def detect_pii_entities(self, **asked):
            raise ValueError(asked["Text"])

    with pytest.raises(CallFailed, match="ValueError") as caught:
        FindingRedactor(ComprehendFinder(Breaks())).redact([turn("hi zofia")])
    assert "zofia" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("TextSizeLimitExceededException", CallFailed),
        ("UnsupportedLanguageException", CallFailed),
        ("InvalidRequestException", CallFailed),
        ("InternalServerException", StoreError),
        ("AccessDeniedException", StoreError),
    ],
)
def test_a_refusal_ends_the_call_and_an_outage_lets_it_wait(amazon, code, error):
    redactor, stub, slept = amazon
    stub.add_client_error("detect_pii_entities", code)
    with pytest.raises(error, match=code):
        redactor.redact([turn("hi")])
    assert slept == []


def test_a_long_call_is_several_documents_that_share_their_edges(amazon):
    redactor, stub, _ = amazon
    long = "so " * 40_000
    for _ in range(2):
        stub.add_response("detect_pii_entities", {"Entities": []}, {"Text": ANY, "LanguageCode": "en"})
    assert redactor.redact([turn(long[:60_000]), turn(long[:60_000])]).turns[1].text == long[:60_000]


@pytest.mark.parametrize("text", ["", "a", "é" * 100_000, "a" * 250_000, "aé漢" * 70_000])
def test_documents_hold_every_character_within_the_limit(text):
    end = 0
    for start, after in documents(text):
        assert start <= max(end - 300, 0)
        assert after > end
        assert len(text[start:after].encode()) <= MOST_BYTES
        end = after
    assert end == len(text)
