"""Orders to score stored calls again, against a local AWS: over HTTP in, and carried out by the calls' worker."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
import httpx
import pytest
from access_place import keep_clients
from call_place import ACME, BRAND, TURNS, make_place, omni_calls
from rescored_calls import PRICE, Killed, activated, priced, standing
from structlog.testing import capture_logs

from service.access.clients import new_secret
from service.access.control import open_access
from service.app import create_app
from service.calls.keys import earlier_prefix
from service.calls.rescorings import place_of
from service.calls.store.rescorings import RescoringOrders
from service.calls.store.states import CallJobs
from service.calls.tenants.store import TenantSettings
from service.calls.worker.build import build_ordered
from service.calls.worker.rescoring import Rescoring
from service.calls.worker.scoring import ModelBusy
from service.calls.worker.turns import CallTurns
from service.privacy.tenants.build import build_life_cycle
from service.runtime import build_runtime

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")

PATH = "/v1/calls/rescorings"
ASKED = {"form_id": "support", "most_calls": 100, "most_usd": "100"}


@pytest.fixture(scope="module")
def stack(local_aws):
    return local_aws(store_timeout_s=20.0, redactor="patterns")


@pytest.fixture
async def place(stack, tmp_path, request):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-30:].strip("-")
    return await make_place(stack, tmp_path, name)


@asynccontextmanager
async def lead(place, api_runtime, tenant=ACME, scopes=("calls",)):
    """A QA lead's client of the service, which has no worker."""
    settings, secret = place.settings, new_secret()
    keep_clients(settings, secret, **{f"lead-of-{tenant}": {"scopes": list(scopes), "tenant": tenant}})
    token = open_access(settings).tokens.issue(f"lead-of-{tenant}", secret, None).text
    built = build_runtime(settings, guarded=False)
    runtime = api_runtime(
        settings=settings, access=open_access(settings), rescorings=built.calls.rescorings, tenants=built.calls.tenants
    )
    app = create_app(runtime=runtime)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://a", headers=headers) as http:
            yield http


def ordered(place, worker, **more):
    made = replace(build_ordered(place.settings, worker), **more)
    assert isinstance(made.orders, RescoringOrders)
    return made


async def order(http, **asked):
    answer = await http.post(PATH, json=ASKED | asked)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


@pytest.mark.acceptance("event.RESCORING_ORDERED", "event.RESCORING_ENDED", "qa-08")
async def test_an_order_is_estimated_carried_out_and_shown(place, api_runtime):
    form = await activated(place)
    worker, asked = priced(place)
    job = next(iter(place.jobs(ACME).values()))
    said = worker.reviews.override(ACME, job.call_id, "greet", "no", reason="", who="lead", edit=None)
    async with lead(place, api_runtime) as http:
        outlook = (await http.get(f"{PATH}/estimate", params={"form_id": "support"})).json()
        assert (outlook["version"], outlook["calls"], outlook["cost_usd"]) == (form.version, 4, 1.0)
        assert outlook["minutes"] is not None
        assert (await http.get(PATH)).json() == {"tenant": ACME, "rescorings": []}
        with capture_logs() as logged:
            at = await order(http)
        waiting = (await http.get(at)).json()
        assert (waiting["state"], waiting["left"], waiting["estimated_usd"], asked) == ("waiting", 4, 1.0, [])
        with capture_logs() as ended:
            await ordered(place, worker).drain()
        done = (await http.get(at)).json()
        assert (done["state"], done["done"], done["left"], done["asked"], done["cost_usd"]) == ("done", 4, 0, 4, 1.0)
        assert (await http.get(PATH)).json()["rescorings"] == [done]
    assert len(asked) == len(set(asked)) == 4
    assert standing(place) == [2, 2, 2, 2]
    (end,) = [one for one in ended if one["event"] == "RESCORING_ENDED"]
    (begun,) = [one for one in logged if one["event"] == "RESCORING_ORDERED"]
    assert (begun["form"], begun["form_version"], begun["calls"]) == ("support", 2, 4)
    assert (end["tenant"], end["state"], end["done"], end["cost_usd"]) == (ACME, "done", 4, "1.00")
    assert list(worker.reviews.read(ACME, job.call_id).overrides) == [said]
    assert len(list(worker.results(ACME).listed(earlier_prefix(ACME, job.call_id)))) == 1


@pytest.mark.acceptance("call-step-10")
async def test_only_the_calls_of_the_days_are_scored_again(place, api_runtime):
    await activated(place)
    worker, asked = priced(place)
    async with lead(place, api_runtime) as http:
        at = await order(http, from_day="2026-11-11", to_day="2026-11-12")
        await ordered(place, worker).drain()
        assert (await http.get(at)).json()["calls"] == 2
        wrong = await http.post(PATH, json=ASKED | {"from_day": "2026-11-12", "to_day": "2026-11-11"})
        assert (wrong.status_code, wrong.json()["detail"]) == (422, "from_day is after to_day")
        days = {"form_id": "support", "from": "2026-11-10", "to": "2026-11-13"}
        assert (await http.get(f"{PATH}/estimate", params=days)).json()["calls"] == 2
        assert (await http.get(f"{PATH}/estimate", params=days | {"from": "2026-11-14"})).status_code == 422
    days = {job.call_date.day: place.result(job).qa_evaluation.qa_template_version for job in place.jobs(ACME).values()}
    assert days == {10: 1, 11: 2, 12: 2, 13: 1}
    assert len(asked) == 2


@pytest.mark.acceptance("call-step-10")
async def test_an_order_that_is_sent_twice_is_one(place, api_runtime):
    await activated(place)
    async with lead(place, api_runtime) as http:
        first = await order(http, most_usd="2.5")
        assert await order(http, most_usd="2.50") == first
        assert await order(http, most_usd="2.51") != first
        key = {"Idempotency-Key": "monday"}
        keyed = await http.post(PATH, json=ASKED, headers=key)
        assert (await http.post(PATH, json=ASKED, headers=key)).json() == keyed.json()
        refused = await http.post(PATH, json=ASKED | {"most_calls": 1}, headers=key)
        assert (refused.status_code, refused.json()["code"]) == (409, "RESCORING_REFUSED")
        assert len((await http.get(PATH)).json()["rescorings"]) == 3
        missing = await http.post(PATH, json=ASKED | {"form_id": "nothing"})
        assert (missing.status_code, missing.json()["code"]) == (404, "FORM_NOT_FOUND")
        assert (await http.post(PATH, json=ASKED | {"version": 7})).status_code == 404


@pytest.mark.acceptance("qa-08")
async def test_a_killed_worker_s_order_is_finished_by_another_and_nothing_is_double(place, api_runtime, monkeypatch):
    """Killed twice: before an answer, and between an answer's replacing the old one and its being counted."""
    await activated(place)
    async with lead(place, api_runtime) as http:
        at = await order(http)
        first, asked_first = priced(place, kill_at=1)
        with pytest.raises(Killed):
            await ordered(place, replace(first, owner="one")).drain()
        second, asked_second = priced(place)
        await ordered(place, replace(second, owner="two")).drain()
        assert asked_second == []  # the dead one's lease runs on
        later = {"now": lambda: first.now() + timedelta(hours=1)}

        def kill(*_):
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr("service.calls.worker.ordered.OrderedRescorings._count", kill)
            with pytest.raises(Killed):
                await ordered(place, replace(second, owner="two", **later)).drain()
        assert (await http.get(at)).json()["done"] == 1
        assert standing(place) == [1, 1, 2, 2]
        latest = {"now": lambda: first.now() + timedelta(hours=2)}
        third, asked_third = priced(place)
        await ordered(place, replace(third, owner="three", **latest)).drain()
        done = (await http.get(at)).json()
    asked = [*asked_first, *asked_second, *asked_third]
    assert (len(asked_first), len(asked_second), len(asked_third)) == (1, 1, 2)
    assert len(set(asked)) == 4
    assert (done["state"], done["done"], done["asked"], done["cost_usd"]) == ("done", 4, 4, float(4 * PRICE))
    assert standing(place) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("bound", "why"),
    [({"most_calls": 2}, "the bound of 2 calls is reached"), ({"most_usd": "0.60"}, "does not hold another call")],
)
@pytest.mark.acceptance("qa-08")
async def test_an_order_stops_at_its_bound_and_says_so(place, api_runtime, bound, why):
    await activated(place)
    worker, asked = priced(place)
    async with lead(place, api_runtime) as http:
        at = await order(http, **bound)
        await ordered(place, worker).drain()
        stopped = (await http.get(at)).json()
        assert (stopped["state"], stopped["done"], stopped["left"], len(asked)) == ("stopped", 2, 2, 2)
        assert why in stopped["why"]
        more = await order(http)
        await ordered(place, worker).drain()
        assert ((await http.get(more)).json()["asked"], len(set(asked))) == (2, 4)


@pytest.mark.acceptance("qa-08")
async def test_a_cancelled_order_ends_after_the_call_that_is_being_scored(place, api_runtime):
    await activated(place)
    worker, asked = priced(place)
    async with lead(place, api_runtime) as http:
        at = await order(http)
        scorer = worker.scorer

        class Cancelling(type(scorer)):
            async def score(self, *arguments, **more):
                scored = await super().score(*arguments, **more)
                assert (await http.post(f"{at}/cancel")).json()["state"] == "cancelled"
                return scored

        object.__setattr__(scorer, "__class__", Cancelling)
        await ordered(place, worker).drain()
        ended = (await http.get(at)).json()
        assert (ended["state"], ended["done"], ended["left"], ended["cost_usd"]) == ("cancelled", 1, 3, float(PRICE))
        assert ended["why"] == "cancelled by lead-of-acme"
        assert (await http.post(f"{at}/cancel")).json() == ended
    assert len(asked) == 1


@pytest.mark.acceptance("call-step-10")
async def test_new_calls_are_scored_first_and_an_order_waits_while_the_model_is_down(place, api_runtime, monkeypatch):
    await activated(place)
    worker, asked = priced(place)
    async with lead(place, api_runtime) as http:
        at = await order(http)
        for number in range(3):
            place.put(
                f"acme/calls/new-{number}.json", [*TURNS, {"speaker": "agent", "start_s": 30.0 + number, "text": "So."}]
            )
        whole, pauses = Rescoring.settle, []

        async def down(self, job):
            raise ModelBusy("no answer")

        async def sleep(seconds):
            pauses.append(seconds)
            monkeypatch.setattr(Rescoring, "settle", whole)

        monkeypatch.setattr(Rescoring, "settle", down)
        turns = CallTurns(worker=worker, ordered=ordered(place, worker), sleep=sleep)
        rounds = iter(range(200))
        states = CallJobs.of

        def more():
            return next(rounds) < 199 and not all(
                job.scored is not None and job.scored.form_version == 2 for job in states(worker.jobs, ACME)
            )

        await turns.follow(lambda tally: None, wait_s=0, more=more)
        assert (await http.get(at)).json()["done"] == 4
    new = {job.call_id for name, job in place.jobs(ACME).items() if name.startswith("new")}
    assert set(asked[:3]) == new
    assert len(asked) == len(set(asked)) == 7
    assert pauses


@pytest.mark.parametrize("each_round", [2, 1])
@pytest.mark.acceptance("call-step-10")
async def test_an_order_ends_although_new_calls_never_do(place, api_runtime, each_round):
    """Rounds are full, or no round is: either way one is never without a new call."""
    await activated(place)
    worker, asked = priced(place)
    turns = CallTurns(worker=worker, ordered=ordered(place, worker), round_of=2)
    arrived = 0

    def more():
        """As many calls for each round as it scores."""
        nonlocal arrived
        for _ in range(each_round):
            said = {"speaker": "agent", "start_s": 30.0 + arrived, "text": "So."}
            place.put(f"acme/calls/new-{arrived}.json", [*TURNS, said])
            arrived += 1
        return arrived < 36

    async with lead(place, api_runtime) as http:
        at = await order(http)
        await turns.follow(lambda tally: None, wait_s=0, more=more)
        assert (await http.get(at)).json()["state"] == "done"
    new = {job.call_id for name, job in place.jobs(ACME).items() if name.startswith("new")}
    old = [number for number, call in enumerate(asked) if call not in new]
    assert len(asked) == len(set(asked))
    assert (len(old), old[0]) == (4, 8)  # after four rounds of two new calls, or eight of one


def clock(worker):
    """A worker whose clock goes a millisecond a look, and by what ``later`` is told; and ``later``."""
    at = worker.now()

    def later(by):
        nonlocal at
        at += by

    def now():
        later(timedelta(milliseconds=1))
        return at

    return replace(worker, now=now), later


async def test_a_call_that_the_model_never_answers_holds_up_no_other_and_fails_in_the_end(
    place, api_runtime, monkeypatch
):
    await activated(place)
    priced_worker, asked = priced(place)
    worker, later = clock(priced_worker)
    stuck, tries, whole = max(place.jobs(ACME).values(), key=place_of).call_id, [], Rescoring.settle

    async def settle(self, job):
        if job.call_id != stuck:
            return await whole(self, job)
        tries.append(job.call_id)
        raise ModelBusy("no answer")

    monkeypatch.setattr(Rescoring, "settle", settle)
    async with lead(place, api_runtime) as http:
        at = await order(http)
        await ordered(place, worker).drain()
        open_still = (await http.get(at)).json()
        assert (open_still["state"], open_still["done"], open_still["left"]) == ("running", 3, 1)
        # Asked first, and once more after the model had answered about the others.
        assert (len(asked), len(tries)) == (3, 2)
        later(timedelta(minutes=59))
        await ordered(place, replace(worker, owner="another")).drain()
        assert len(tries) == 2
        later(timedelta(minutes=2))
        await ordered(place, worker).drain()
        assert len(tries) == 3
        later(timedelta(hours=1))
        await ordered(place, worker).drain()
        ended = (await http.get(at)).json()
    assert (ended["state"], ended["done"], ended["failed"], ended["left"], len(tries)) == ("done", 3, 1, 0, 4)
    assert (ended["asked"], ended["cost_usd"], len(asked)) == (4, float(3 * PRICE), 3)
    assert standing(place) == [1, 2, 2, 2]


async def test_a_call_put_aside_is_tried_again_by_a_dead_worker_s_successor(place, api_runtime, monkeypatch):
    """Killed when the call's second try was answered and not counted: it is neither asked about again nor lost."""
    await activated(place)
    first, asked = priced(place)
    slow, whole, tries = max(place.jobs(ACME).values(), key=place_of).call_id, Rescoring.settle, []

    async def settle(self, job):
        tries.append(job.call_id)
        if tries == [slow]:
            raise ModelBusy("no answer")
        settled = await whole(self, job)
        if tries.count(slow) == 2:
            raise Killed
        return settled

    async with lead(place, api_runtime) as http:
        at = await order(http)
        with monkeypatch.context() as patched:
            patched.setattr(Rescoring, "settle", settle)
            with pytest.raises(Killed):
                await ordered(place, replace(first, owner="one")).drain()
        assert (await http.get(at)).json()["left"] == 1
        second, asked_second = priced(place)
        later = {"owner": "two", "now": lambda: first.now() + timedelta(minutes=3)}
        await ordered(place, replace(second, **later)).drain()
        done = (await http.get(at)).json()
    assert (done["state"], done["done"], done["asked"], done["cost_usd"]) == ("done", 4, 4, float(4 * PRICE))
    assert (len(set(asked)), len(asked), asked_second) == (4, 4, [])
    assert standing(place) == [2, 2, 2, 2]


async def test_a_model_that_is_down_fails_no_call_of_an_order(place, api_runtime, monkeypatch):
    await activated(place)
    priced_worker, asked = priced(place)
    worker, later = clock(priced_worker)
    monkeypatch.setattr("service.calls.worker.ordered._MOST_UNANSWERED", 2)
    tries, whole = [], Rescoring.settle

    async def down(self, job):
        tries.append(job.call_id)
        raise ModelBusy("no answer")

    async with lead(place, api_runtime) as http:
        at = await order(http)
        with monkeypatch.context() as patched:
            patched.setattr(Rescoring, "settle", down)
            for _ in range(6):
                await ordered(place, worker).drain()
                later(timedelta(minutes=9))
        assert (len(tries), len(set(tries))) == (2, 2)
        assert Rescoring.settle is whole
        later(timedelta(minutes=10))
        await ordered(place, worker).drain()
        done = (await http.get(at)).json()
    assert (done["state"], done["done"], done["failed"], len(asked)) == ("done", 4, 0, 4)


async def test_an_order_stays_its_worker_s_while_a_call_is_scored_for_longer_than_the_lease(place, api_runtime):
    await activated(place)
    slow, asked = priced(place)
    slow, later = clock(slow)
    second, asked_second = priced(place)
    other = ordered(place, replace(second, owner="two", now=slow.now))
    scorer, waited = slow.scorer, []

    async def sleep(seconds):
        later(timedelta(seconds=seconds))
        waited.append(seconds)
        await anyio.sleep(0.02)

    class Slow(type(scorer)):
        async def score(self, *arguments, **more):
            until = len(waited) + 12
            while len(waited) < until:  # six minutes, under a lease of two
                await other.drain()
                await anyio.sleep(0.01)
            return await super().score(*arguments, **more)

    object.__setattr__(scorer, "__class__", Slow)
    async with lead(place, api_runtime) as http:
        at = await order(http)
        await ordered(place, replace(slow, owner="one"), sleep=sleep).drain()
        assert (await http.get(at)).json()["state"] == "done"
    assert (len(asked), asked_second) == (4, [])


@pytest.mark.acceptance("call-step-10")
async def test_a_suspended_tenant_s_order_waits_for_its_return(place, api_runtime):
    await activated(place)
    worker, asked = priced(place)
    async with lead(place, api_runtime) as http:
        at = await order(http)
    cycle = build_life_cycle(place.settings)
    cycle.suspend(ACME, by="ops", why="unpaid")
    worker.tenants._of.clear()
    await ordered(place, worker).drain()
    assert asked == []
    cycle.resume(ACME, by="ops", why="paid")
    worker.tenants._of.clear()
    await ordered(place, worker).drain()
    async with lead(place, api_runtime) as http:
        assert (await http.get(at)).json()["state"] == "done"
    # A refusal that waiting does not end.
    await activated_again(place)
    async with lead(place, api_runtime) as http:
        at = await order(http)
        worker.tenants.tenants.configure(ACME, TenantSettings(name=ACME, regions=("eu-central-1",)))
        worker.tenants._of.clear()
        await ordered(place, worker).drain()
        refused = build_ordered(place.settings, worker).orders.of(ACME)[0]
        assert (refused.state, "eu-central-1" in refused.why) == ("stopped", True)


async def activated_again(place):
    forms = place.worker.forms
    head = await forms.head(ACME, "support")
    saved = await forms.save_draft(head.active, edit=head.edit, who="dana")
    await forms.activate(ACME, "support", edit=saved.edit, who="dana")


@pytest.mark.acceptance("call-step-10")
async def test_another_tenant_s_order_is_not_found_and_the_scope_is_calls(place, api_runtime):
    await activated(place)
    async with lead(place, api_runtime) as http:
        at = await order(http)
    async with lead(place, api_runtime, BRAND) as http:
        for answer in (await http.get(at), await http.post(f"{at}/cancel")):
            assert (answer.status_code, answer.json()["code"]) == (404, "RESCORING_NOT_FOUND")
        assert (await http.get(PATH)).json()["rescorings"] == []
    async with lead(place, api_runtime, scopes=("forms",)) as http:
        assert (await http.get(PATH)).status_code == 403
    assert build_ordered(place.settings, place.worker).orders.of(ACME)[0].state == "waiting"


@pytest.mark.acceptance("call-step-10")
async def test_a_tenant_s_export_shows_its_orders_and_its_deletion_takes_them(place, api_runtime):
    await activated(place)
    async with lead(place, api_runtime) as http:
        at = await order(http)
    rescoring_id = at.rpartition("/")[2]
    found = build_life_cycle(place.settings, read_only=True).found(ACME)
    assert [one for records in found.values() for one in records if rescoring_id in one.at]
    cycle = replace(build_life_cycle(place.settings), sleep=lambda seconds: None)
    cycle.suspend(ACME, by="ops", why="ended")
    cycle.begin_deletion(ACME, by="ops", why="ended")
    cycle.delete(ACME, by="ops", why="ended")
    assert build_ordered(place.settings, place.worker).orders.of(ACME) == []


@pytest.mark.acceptance("qa-08")
async def test_the_command_works_on_orders_and_replaces_scorecards_itself(place, api_runtime):
    await activated(place)

    def omni(*words):
        done = omni_calls(place.settings, *words)
        return done.returncode, done.stdout, done.stderr

    again = ("rescore", "--tenant", ACME, "--form", "support", "--keep")
    code, _, err = omni(*again)
    assert (code, "a draft may still change" in err) == (2, True)
    code, out, _ = omni(*again, "--version", "active")
    assert (code, "4 calls to score again" in out, "nothing was scored" in out) == (0, True, True), out
    assert standing(place) == [1, 1, 1, 1]
    code, out, _ = omni(*again, "--version", "active", "--most", "1", "--most-usd", "5")
    assert (code, "1 calls have a new scorecard" in out, "stopped at the bound" in out) == (0, True, True), out
    assert standing(place) == [1, 1, 1, 2]
    async with lead(place, api_runtime) as http:
        at = await order(http, most_usd="5")
        code, out, err = omni("work")
        assert code == 0, out + err
        done = (await http.get(at)).json()
    assert (done["state"], done["done"], done["asked"]) == ("done", 3, 3)
    assert standing(place) == [2, 2, 2, 2]
