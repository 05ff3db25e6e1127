"""Reports on their way: once each, kept after a failure, tried again later, and never by two senders at once."""

from datetime import timedelta

import pytest
from scheduled import MONDAY, Clock, Receivers, plan_of

from omni.delivery.outbox import KEEP_TRYING, ReportOutbox
from omni.delivery.outgoing import DeliveryFailed, Outgoing, OutgoingFile
from omni.records import disk_place

MINUTE = timedelta(minutes=1)
TWO = {"folder": {"kind": "folder", "path": "a"}, "other": {"kind": "folder", "path": "b"}}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    place = disk_place(tmp_path)

    def build(*answers):
        destinations = plan_of({"id": "j", "what": "does", "command": ["x"], "cron": "* * * * *", "timeout": "1m",
                                "catch_up": "1m"}, destinations=TWO).destinations  # fmt: skip
        return ReportOutbox(
            place=place, destinations=destinations, send=Receivers(*answers), now=clock, sleep=lambda s: None
        )

    return build


def report(name="weekly-1"):
    page = OutgoingFile(name="page.html", media_type="text/html", content=b"PHA+eW91cyE8L3A+")
    return Outgoing(report_id=name, title="A title", lines=("evidence",), files=(page,), made_at=MONDAY)


def states(outbox):
    return {(record.report_id, record.to): record.state for record in outbox.all()}


def test_each_destination_gets_a_report_once(make, tmp_path):
    outbox = make()
    assert len(outbox.keep(report(), ["folder", "other"])) == 2
    assert outbox.keep(report(), ["folder", "other"]) == []
    assert [record.state for record in outbox.send_due()] == ["delivered", "delivered"]
    assert outbox.keep(report(), ["folder", "other"]) == []
    assert outbox.send_due() == outbox.send_again() == []
    assert [got.files[0].content for got, _ in outbox.send.got] == [b"<p>yous!</p>"] * 2
    assert list((tmp_path / "schedule" / "outbox").iterdir()) == []


def test_a_destination_that_is_added_later_gets_the_report_too(make):
    outbox = make()
    outbox.keep(report(), ["folder"])
    outbox.send_due()
    assert [record.to for record in outbox.keep(report(), ["folder", "other"])] == ["other"]


def test_a_failure_is_kept_and_tried_again_with_growing_pauses(make, clock):
    outbox = make(*["no"] * 8)
    outbox.keep(report(), ["folder"])
    for minutes in (1, 2, 4, 8, 16, 32, 60, 60):
        (record,) = outbox.send_due()
        assert (record.state, record.detail, record.next_at) == ("waiting", "no", clock.now + minutes * MINUTE)
        clock.now = record.next_at - timedelta(seconds=1)
        assert outbox.send_due() == []
        clock.now = record.next_at
    assert [record.state for record in outbox.send_due()] == ["delivered"]


def test_one_destination_that_fails_does_not_hold_up_the_other(make):
    outbox = make("no")
    outbox.keep(report(), ["folder", "other"])
    outbox.send_due()
    assert states(outbox) == {("weekly-1", "folder"): "waiting", ("weekly-1", "other"): "delivered"}


def test_what_may_pass_is_tried_three_times_in_a_turn_and_the_rest_once(make):
    down = [DeliveryFailed("503", passing=True) for _ in range(3)]
    outbox = make(*down[:2])
    outbox.keep(report(), ["folder"])
    assert outbox.send_due()[0].state == "delivered"
    outbox = make(*down, "nobody is asked a fourth time")
    outbox.keep(report("weekly-2"), ["folder"])
    assert outbox.send_due()[0].detail == "503"
    assert len(outbox.send.answers) == 1
    outbox = make(DeliveryFailed("404", passing=False))
    outbox.keep(report("weekly-3"), ["folder"])
    assert outbox.send_due()[0].detail == "404"


def test_a_receiver_that_says_when_is_not_asked_before(make, clock):
    outbox = make(DeliveryFailed("429", passing=True, retry_after_s=600))
    outbox.keep(report(), ["folder"])
    assert outbox.send_due()[0].next_at == MONDAY + 10 * MINUTE


def test_after_days_it_is_given_up_and_can_be_sent_by_hand(make, clock):
    outbox = make("no", "no")
    outbox.keep(report(), ["folder"])
    outbox.send_due()
    clock.now = MONDAY + KEEP_TRYING
    assert outbox.send_due()[0].state == "given up"
    clock.now += timedelta(days=30)
    assert outbox.send_due() == []
    assert outbox.send_again("other-report") == []
    assert outbox.send_again("weekly-1")[0].state == "delivered"


def test_what_another_process_is_sending_is_left_alone_until_its_lease_ends(make, clock):
    first, second = make(), make()
    first.keep(report(), ["folder"])

    class Killed(BaseException):
        pass

    def dies(report, destination):
        assert second.send_due() == second.send_again() == []
        raise Killed

    object.__setattr__(first, "send", dies)
    with pytest.raises(Killed):
        first.send_due()
    assert second.send_due() == []
    clock.now += 5 * MINUTE
    assert [record.state for record in second.send_due()] == ["delivered"]


def test_a_lost_content_and_a_destination_that_is_gone_are_said(make, tmp_path):
    outbox = make()
    outbox.keep(report(), ["folder"])
    (tmp_path / "schedule" / "outbox" / "weekly-1").unlink()
    assert outbox.send_due()[0].detail == "the kept report is gone; make it again"
    outbox.keep(report("weekly-2"), ["gone"])
    assert outbox.send_due()[0].detail == "the schedule names no destination 'gone' any more"


def test_kept_reports_are_readable_by_their_owner_alone(make, tmp_path):
    outbox = make("no")
    outbox.keep(report(), ["folder"])
    outbox.send_due()
    kept = list(tmp_path.rglob("weekly*"))
    assert kept
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text('{"version": 1, "body": {"state": "lost"}}'),  # as another version may write it
        lambda path: path.write_text('{"version": 1, "bo'),
        lambda path: path.write_bytes(b"\xff\xfe"),
    ],
)
def test_a_record_that_cannot_be_read_holds_up_no_other_delivery(make, tmp_path, damage):
    outbox = make()
    outbox.keep(report(), ["folder"])
    (damaged,) = (tmp_path / "schedule" / "delivery").iterdir()
    damage(damaged)
    before = damaged.read_bytes()
    outbox.keep(report("weekly-2"), ["folder"])
    tried = {record.report_id: record for record in outbox.send_due()}
    assert {name: record.state for name, record in tried.items()} == {"weekly-1": "given up", "weekly-2": "delivered"}
    assert f"delete {damaged}" in tried["weekly-1"].detail
    assert states(outbox) == {("weekly-1", "folder"): "given up", ("weekly-2", "folder"): "delivered"}
    assert [record.state for record in outbox.send_again()] == ["given up"]
    assert damaged.read_bytes() == before
    assert [path.name for path in (tmp_path / "schedule" / "outbox").iterdir()] == ["weekly-1"]


def test_a_kept_report_that_cannot_be_read_holds_up_no_other_delivery(make, tmp_path):
    outbox = make()
    for name in ("weekly-1", "weekly-2"):
        outbox.keep(report(name), ["folder"])
    (tmp_path / "schedule" / "outbox" / "weekly-1").write_text('{"report_id": "weekly-1"}')
    first, second = outbox.send_due()
    assert (first.state, first.detail) == ("waiting", "the kept report cannot be read; make it again")
    assert second.state == "delivered"
