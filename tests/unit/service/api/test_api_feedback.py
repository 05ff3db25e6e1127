"""POST /feedback: three ways to name a summary, one verdict, and what is refused."""

import pytest
from builders import FakeFeedback, summary_record
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.answers_kept.feedback import Ambiguous, ByContact, ByProcess, ByRequest, RatedRow, SaidFeedback
from service.answers_kept.store import Summaries
from service.app import create_app
from service.kit.frame.errors import StoreError

ACCOUNT = "1234567890"
ROW = RatedRow(key="p-1", record=summary_record(unique_process_id="p-1", account_number=ACCOUNT, contact_id="c-1"))


def failing(target):
    raise StoreError("table 't' gave no answer within 2 s")


@pytest.fixture
def send(api_runtime):
    def post(store, body, **changes):
        with TestClient(create_app(runtime=api_runtime(summaries=Summaries(feedback=store), **changes))) as client:
            return client.post("/feedback", json=body)

    return post


@pytest.mark.parametrize(
    ("named", "shape"),
    [
        ({"unique_process_id": "p-1"}, ByProcess(unique_process_id="p-1")),
        ({"contact_id": "c-1", "customer_account": ACCOUNT}, ByContact(contact_id="c-1", account_number=ACCOUNT)),
        ({"request_id": "req-1"}, ByRequest(request_id="req-1")),
    ],
)
@pytest.mark.acceptance(
    "feedback.unique_process_id",
    "feedback.contact_id",
    "feedback.customer_account",
    "feedback.request_id",
    "verdict.request_id",
    "verdict.unique_process_id",
    "verdict.contact_id",
    "verdict.feedback",
    "verdict.feedback_timestamp",
    "verdict.current",
)
def test_three_ways_to_name_a_summary(send, named, shape):
    store = FakeFeedback(ROW)
    answer = send(store, named | {"feedback": "helpful"})
    assert answer.status_code == 200
    assert store.asked == [shape]
    assert store.kept == [SaidFeedback(rating="helpful")]
    assert answer.json() == {
        "feedback_id": "fb-1",
        "request_id": "req-1",
        "unique_process_id": "p-1",
        "contact_id": "c-1",
        "feedback": "helpful",
        "feedback_timestamp": "2025-12-08T15:00:00Z",
        "current": True,
    }


@pytest.mark.acceptance("feedback.comment", "feedback.edited_summary", "event.FEEDBACK_RECORDED")
def test_comment_and_better_text_are_kept_and_not_logged(send):
    store = FakeFeedback(ROW)
    body = {"request_id": "req-1", "feedback": "not_helpful", "comment": "it misses 4711", "edited_summary": "say 4711"}
    with capture_logs() as logs:
        send(store, body)
    assert store.kept == [SaidFeedback(rating="not_helpful", comment="it misses 4711", edited="say 4711")]
    assert "4711" not in str(logs)
    assert ACCOUNT not in str(logs)
    (entry,) = (entry for entry in logs if entry["event"] == "FEEDBACK_RECORDED")
    assert (entry["feedback"], entry["with_comment"], entry["with_edit"]) == ("not_helpful", True, True)


@pytest.mark.acceptance("code.AMBIGUOUS_SUMMARY")
def test_several_summaries_are_409_with_their_request_ids(send):
    store = FakeFeedback(Ambiguous(request_ids=("req-2", "req-1")))
    answer = send(store, {"contact_id": "c-1", "customer_account": ACCOUNT, "feedback": "helpful"})
    assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_SUMMARY")
    assert answer.json()["request_ids"] == ["req-2", "req-1"]
    assert store.kept == []


@pytest.mark.acceptance("code.SUMMARY_NOT_FOUND")
def test_feedback_on_an_unknown_summary_is_404(send):
    answer = send(FakeFeedback(None), {"request_id": "req-none", "feedback": "helpful"})
    assert (answer.status_code, answer.json()["code"]) == (404, "SUMMARY_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"feedback": "helpful"}, "body"),
        ({"request_id": "r", "unique_process_id": "p", "feedback": "helpful"}, "body"),
        ({"contact_id": "c", "feedback": "helpful"}, "body"),
        ({"contact_id": "c", "customer_account": ACCOUNT, "request_id": "r", "feedback": "helpful"}, "body"),
        ({"request_id": "r"}, "feedback"),
        ({"request_id": "r", "feedback": "meh"}, "feedback"),
        ({"request_id": "", "feedback": "helpful"}, "request_id"),
        ({"request_id": "r", "feedback": "helpful", "stars": 5}, "stars"),
        ({"request_id": "r", "feedback": "helpful", "comment": "x" * 2001}, "comment"),
    ],
)
@pytest.mark.acceptance("feedback.feedback")
def test_wrong_bodies_are_422_and_no_store_is_asked(send, body, field):
    store = FakeFeedback(ROW)
    answer = send(store, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert [item["field"] for item in answer.json()["errors"]] == [field]
    assert not any(item["message"].startswith("Value error") for item in answer.json()["errors"])
    assert store.asked == []


@pytest.mark.parametrize("store", [None, FakeFeedback(failing)])
def test_no_store_is_503(send, store):
    answer = send(store, {"request_id": "r", "feedback": "helpful"})
    assert (answer.status_code, answer.json()["code"]) == (503, "UPSTREAM_UNAVAILABLE")


class FakeRollout:
    def __init__(self):
        self.rated = []

    def rate(self, pair_digest, *, helpful, changed):
        self.rated.append((pair_digest, helpful, changed))

    def start(self):
        pass

    stop = start


@pytest.mark.parametrize(
    ("effect", "counted", "current"),
    [
        ("first", [(ROW.record.pair_digest, True, False)], True),
        ("changed", [(ROW.record.pair_digest, True, True)], True),
        ("same", [], True),
        ("late", [], False),
    ],
)
def test_a_rollout_counts_each_feedback_once(send, effect, counted, current):
    rollout = FakeRollout()
    answer = send(
        FakeFeedback(ROW, effect=effect),
        {"request_id": "req-1", "feedback": "helpful"},
        rollouts={"summarize": rollout},
    )
    assert rollout.rated == counted
    assert answer.json()["current"] is current
