"""Calls as items: who holds them, how they move on, and which lists show them; on the twin of the table in memory."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from service.calls.failure import CallErased, FailureReason, NotReady
from service.calls.keys import CallObject
from service.calls.store.pages import CallPages, WrongCursor
from service.calls.store.states import CallJobs, CallScore, StateLost
from service.calls.worker.leases import LeaseKeeper
from service.kit.aws.stores import CALLS
from service.kit.records.memory import RowsInMemory

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LEASE, MINUTE, DAY = timedelta(minutes=2), timedelta(minutes=1), timedelta(days=1)
PASSED = CallScore(form_id="support", form_version=3, percentage=Decimal("87.5"), passed=True)


@pytest.fixture
def rows():
    return RowsInMemory(CALLS, page_items=3)


@pytest.fixture
def jobs(rows):
    return CallJobs(rows)


def recording(number=1, tenant="acme"):
    return CallObject(tenant=tenant, key=f"{tenant}/calls/{number}.json", etag=f"etag-{number}", version="v1")


def claim(jobs, source, *, owner="w1", now=AT):
    return jobs.claim(source, owner=owner, now=now, lease=LEASE)


def ended(jobs, source, *, now=AT, scored=PASSED, state="done", call_date=None):
    job = claim(jobs, source, now=now)
    for step in ("transcribed", "redacted", "scored"):
        job = jobs.advance(job, step, now=now, lease=LEASE, call_date=call_date if step == "transcribed" else None)
    return jobs.advance(job, state, now=now, lease=LEASE, result_key="results/1.json", scored=scored)


def test_a_claimed_call_is_one_item(rows, jobs):
    source = recording()
    claim(jobs, source)
    assert rows.get(("TENANT#acme", f"CALL#{source.call_id}")) == {
        "pk": "TENANT#acme", "sk": f"CALL#{source.call_id}", "state": "received", "open": "acme", "owner": "w1",
        "lease_until": Decimal((AT + LEASE).timestamp()), "attempts": 1, "object_key": source.key, "etag": source.etag,
        "version": "v1", **dict.fromkeys(("call_date", "received_at", "updated_at"), "2026-11-23T10:00:00.000+00:00"),
    }  # fmt: skip


def test_one_worker_holds_a_call_until_its_lease_runs_out(jobs):
    first = claim(jobs, recording())
    with pytest.raises(NotReady, match="held by another worker"):
        claim(jobs, recording(), owner="w2", now=AT + LEASE)
    assert claim(jobs, recording(), now=AT + MINUTE).attempts == 2
    second = claim(jobs, recording(), owner="w2", now=AT + MINUTE + LEASE + timedelta(milliseconds=1))
    assert (second.owner, second.attempts, second.state) == ("w2", 3, "received")
    with pytest.raises(StateLost):
        jobs.advance(first, "transcribed", now=AT, lease=LEASE)
    with pytest.raises(StateLost):
        jobs.renew(first, now=AT, lease=LEASE, since=AT - DAY)
    jobs.release(first)
    assert jobs.get("acme", first.call_id).owner == "w2"


def test_a_lease_is_renewed_while_the_call_moves_on(jobs):
    job = claim(jobs, recording())
    jobs.renew(job, now=AT + MINUTE, lease=LEASE, since=AT)
    with pytest.raises(NotReady):
        claim(jobs, recording(), owner="w2", now=AT + MINUTE + LEASE)
    with pytest.raises(StateLost):
        jobs.renew(job, now=AT + 20 * MINUTE, lease=LEASE, since=AT + MINUTE)


async def test_the_keeper_gives_up_calls_that_another_worker_took(jobs):
    now = AT
    mine, lost = claim(jobs, recording(1)), claim(jobs, recording(2))
    keeper = LeaseKeeper(jobs=jobs, lease=timedelta(milliseconds=40), now=lambda: now)
    keeper.add(mine)
    keeper.add(lost)
    claim(jobs, recording(2), owner="w2", now=AT + LEASE + MINUTE)
    async with keeper.kept():
        while len(keeper._held) > 1:
            await _a_moment()
    assert list(keeper._held) == [("acme", mine.call_id)]


async def _a_moment():
    import anyio

    await anyio.sleep(0.005)


def test_an_ended_call_has_no_lease_and_its_score(rows, jobs):
    job = ended(jobs, recording())
    assert (job.state, job.owner, job.attempts) == ("done", None, 0)
    assert jobs.get("acme", job.call_id) == job
    assert claim(jobs, recording(), owner="w2").state == "done"
    item = rows.get(("TENANT#acme", f"CALL#{job.call_id}"))
    assert not {"owner", "lease_until", "open", "awaiting"} & item.keys()
    assert (item["percentage"], item["passed"], item["form_version"]) == ("87.5", "yes", "3")
    jobs.rescored(job, CallScore(form_id="support", form_version=4, percentage=None, passed=None), "done", now=AT)
    item = rows.get(("TENANT#acme", f"CALL#{job.call_id}"))
    assert item["form_version"] == "4"
    assert not {"percentage", "passed"} & item.keys()


def test_a_failed_call_is_read_again_once(jobs):
    job = claim(jobs, recording())
    job = jobs.advance(job, "failed", now=AT, lease=LEASE, reason=FailureReason.UNREADABLE, detail="no JSON")
    found = jobs.get("acme", job.call_id)
    assert (found.reason, found.detail) == (FailureReason.UNREADABLE, "no JSON")
    assert jobs.reopen(found, now=AT)
    assert not jobs.reopen(found, now=AT)
    again = jobs.get("acme", job.call_id)
    assert (again.state, again.reason, again.detail, again.attempts) == ("received", None, None, 0)


def test_waiting_calls_are_those_that_nobody_holds_and_that_wait_for_no_transcription(jobs):
    held, awaiting, own = claim(jobs, recording(1)), claim(jobs, recording(2)), claim(jobs, recording(3), owner="w2")
    free = jobs.register(recording(4), now=AT + MINUTE)
    claim(jobs, recording(5, tenant="other"))
    jobs.release(awaiting, awaiting="job-1")
    found = jobs.waiting("acme", owner="w2", now=AT + MINUTE)
    assert [one.call_id for one in found] == [own.call_id, free.call_id]
    assert jobs.held("acme", AT + MINUTE) == 2
    assert {one.call_id for one in jobs.of("acme")} == {one.call_id for one in (held, awaiting, own, free)}
    assert jobs.register(recording(1), now=AT).owner == "w1"


def test_calls_that_stand_still_are_found_in_all_tenants(jobs):
    old, other = claim(jobs, recording(1)), claim(jobs, recording(2, tenant="other"))
    claim(jobs, recording(3), now=AT + DAY)
    ended(jobs, recording(4))
    assert [one.call_id for one in jobs.open_since("acme", AT + MINUTE)] == [old.call_id]
    assert {one.call_id for one in jobs.open_everywhere(AT + MINUTE)} == {old.call_id, other.call_id}


def test_an_erased_customers_call_is_not_taken(rows):
    with pytest.raises(CallErased):
        claim(CallJobs(rows, is_erased=lambda source: True), recording())
    assert list(rows.scan()) == []


def test_pages_show_calls_newest_first_and_continue_where_they_ended(rows, jobs):
    for number in range(5):
        ended(jobs, recording(number), call_date=AT + number * MINUTE, state="needs_review" if number == 2 else "done")
    ended(jobs, recording(9), call_date=AT - DAY)
    pages, found, after = CallPages(rows), [], None
    while True:
        page = pages.page("acme", limit=2, day=AT.date(), after=after)
        found.append([job.call_date.minute for job in page.jobs])
        after = page.after
        if after is None:
            break
        with pytest.raises(WrongCursor):
            pages.page("acme", limit=2, day=(AT - DAY).date(), after=after)
    assert [minute for minutes in found for minute in minutes] == [4, 3, 2, 1, 0]
    (only,) = pages.page("acme", limit=5, state="needs_review").jobs
    assert only.call_date == AT + 2 * MINUTE
    assert pages.page("other", limit=5).jobs == ()
