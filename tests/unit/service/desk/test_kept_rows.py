"""Handovers, callbacks and voice messages as items: their keys and attributes stay, because tables hold them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.channels.phone.voicemail import Voicemail, VoicemailStore
from service.desk.callback import Callback, CallbackStore
from service.desk.handover import CustomerHandover, HandoverStore
from service.kit.aws.stores import CALLBACKS, HANDOVERS, VOICEMAILS
from service.kit.records.memory import RowsInMemory
from service.kit.records.table import RecordChanged

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def handover(number, *, reason="explicit_request", at=AT):
    return CustomerHandover(
        handover_id=f"handover-{number}", conversation_id="c", reason=reason, summary=None, requested_at=at
    )


def callback(number, *, at=AT):
    return Callback(
        callback_id=f"cb-{number}", contact_id="contact", sealed_phone="kms:x", requested_at=AT, due_at=at + HOUR, next_at=at
    )  # fmt: skip


def voicemail(number, *, due=AT):
    return Voicemail(voicemail_id=f"v-{number}", instance_id="i", sealed_phone="kms:x", left_at=AT, due_at=due)


def test_a_handover_is_one_item_with_its_rank():
    rows = RowsInMemory(HANDOVERS)
    store = HandoverStore(rows, scope="prod")
    kept = store.add(handover(1, reason="sensitive_topic"))
    item = rows.get(("prod/handover-1",))
    assert item == {
        "handover_id": "prod/handover-1", "text": kept.model_dump_json(), "version": 1, "listed_in": "prod/waiting",
        "rank": "1/2026-11-23T10:00:00.000000+00:00/handover-1", "ttl": int((AT + timedelta(hours=24)).timestamp()),
    }  # fmt: skip
    store.put(kept.taken("ann", AT + HOUR))
    item = rows.get(("prod/handover-1",))
    assert (item["listed_in"], item["rank"]) == ("prod/taken", "2026-11-23T11:00:00.000000+00:00/handover-1")


def test_the_most_urgent_handover_comes_first_and_the_last_taken_one_too():
    store = HandoverStore(RowsInMemory(HANDOVERS), scope="prod")
    HandoverStore(store.rows, scope="staging").add(handover(9))
    for number, reason in enumerate(("explicit_request", "sensitive_topic", "explicit_request")):
        store.add(handover(number, reason=reason, at=AT + number * HOUR))
    assert [one.handover_id[-1] for one in store.waiting()] == ["1", "0", "2"]
    for number in (2, 0, 1):
        store.put(store.get(f"handover-{number}").taken("ann", AT + number * HOUR))
    assert [one.handover_id[-1] for one in store.latest("taken", most=2)] == ["2", "1"]
    assert store.waiting() == []


def test_a_callback_is_one_item_that_only_an_open_one_lists():
    rows = RowsInMemory(CALLBACKS)
    store = CallbackStore(rows, scope="prod")
    made = store.add(callback(1))
    assert rows.get(("prod/cb-1",)) == {
        "callback_id": "prod/cb-1", "contact_id": "contact", "queue_id": "general", "priority": "NORMAL", "status": "PENDING",
        "ring_key": "", "reason": "", "requested_at": "2026-11-23T10:00:00.000+00:00", "customer_phone": "kms:x", "rings": 0,
        "due_at": "2026-11-23T11:00:00.000+00:00", "next_at": "2026-11-23T10:00:00.000+00:00", "version": 1,
        "ttl": int((AT + HOUR + timedelta(days=7)).timestamp()), "open_in": "prod",
    }  # fmt: skip
    taken = store.put(made.taken("w1", AT, HOUR))
    assert store.get("cb-1") == taken == replace(made.taken("w1", AT, HOUR), version=2)
    store.put(taken.given_up("nobody there", AT))
    assert not {"open_in", "customer_phone"} & rows.get(("prod/cb-1",)).keys()
    assert store.get("cb-1").sealed_phone is None
    assert store.waiting() == []


def test_callbacks_are_due_in_the_order_of_their_times():
    store = CallbackStore(RowsInMemory(CALLBACKS), scope="prod")
    for number in (3, 1, 2):
        store.add(callback(number, at=AT + number * HOUR))
    assert [one.callback_id for one in store.due(AT + 2 * HOUR, most=5)] == ["cb-1", "cb-2"]
    assert [one.callback_id for one in store.due(AT + 3 * HOUR, most=1)] == ["cb-1"]
    assert len(store.waiting()) == 3


def test_a_voice_message_expires_after_its_end_only():
    rows = RowsInMemory(VOICEMAILS)
    store = VoicemailStore(rows, scope="prod")
    made = store.add(voicemail(1))
    store.add(voicemail(2, due=AT - HOUR))
    assert rows.get(("prod/v-1",)) == {
        "voicemail_id": "prod/v-1", "text": made.model_dump_json(), "version": 1, "due_at": "2026-11-23T10:00:00+00:00",
        "open_in": "prod",
    }  # fmt: skip
    assert [one.voicemail_id for one in store.waiting()] == ["v-2", "v-1"]
    store.put(made.closed("called_back", "ann", AT))
    with pytest.raises(RecordChanged, match="message 'v-1' was changed meanwhile"):
        store.put(made.closed("empty", "bob", AT))
    item = rows.get(("prod/v-1",))
    assert (item["ttl"], "open_in" in item) == (int((AT + timedelta(days=7)).timestamp()), False)
    assert [one.voicemail_id for one in store.waiting()] == ["v-2"]
