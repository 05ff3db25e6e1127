"""The QA leads' page in a browser, on calls of the real pipeline: from a heatmap to a corrected verdict, by keyboard."""

import re
import socket
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import uvicorn
from axe import LOOKS, violations
from builders import changed
from call_place import ACME, BRAND, make_place
from playwright.sync_api import expect

from service.access.control import open_access, open_changes
from service.app import create_app
from service.calls.insights.insight import CallInsights
from service.calls.keys import transcript_key
from service.calls.worker.kept import KeptTranscript
from service.calls.worker.people import carry
from service.dashboards.reader import DashboardReader, read_warehouse
from service.runtime import build_runtime
from service.warehouse.duck import DuckWarehouse

pytestmark = pytest.mark.slow
pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
WIDTHS = (420, 1400)
MONDAY = datetime(2026, 10, 19, 9, tzinfo=UTC)
WEEKS, EACH = 5, 8
GREETING = "Good morning, you are through to Sam at Acme, how can I help you today?"
BARE = "Yes, what do you want?"
SORRY = "I am sorry to hear that, I have corrected the bill for you."


def turns(number, *, greets):
    return [
        {"speaker": "agent", "start_s": 0.0, "text": GREETING if greets else BARE},
        {"speaker": "customer", "start_s": 75.0, "text": f"My bill is wrong for the {number}. time this year."},
        {"speaker": "agent", "start_s": 92.0, "text": SORRY},
    ]


@pytest.fixture(scope="module")
def place(local_aws, tmp_path_factory):
    """Calls of five weeks in two groups; in the last week the group cards no longer greets. Brand has one call."""
    import asyncio

    async def made():
        folder = tmp_path_factory.mktemp("qa")
        place = await make_place(local_aws(store_timeout_s=30.0, redactor="patterns"), folder, "qa")
        for week in range(WEEKS):
            for number in range(EACH):
                cards = number % 2 == 0
                at = (MONDAY + timedelta(weeks=week, minutes=number)).isoformat()
                place.put(
                    f"{ACME}/calls/{week}-{number}.json",
                    turns(week * EACH + number, greets=not (cards and week == WEEKS - 1)),
                    call_date=at,
                    agent_id=f"agent-{number % 3}",
                    queue="cards" if cards else "loans",
                )
        place.put(f"{BRAND}/calls/only.json", turns(1, greets=True), call_date=MONDAY.isoformat(), queue="brand-only")
        await place.worker.drain()
        return place

    return asyncio.run(made())


class Served:
    """The real application over HTTP."""

    def __init__(self, runtime):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.host = f"127.0.0.1:{listener.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(create_app(runtime=runtime), log_config=None, access_log=False))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture
def served(place, api_runtime):
    settings = place.settings
    secrets = {
        tenant: open_changes(settings).add_client(f"lead-{tenant}", ["calls"], tenant=tenant)
        for tenant in (ACME, BRAND, "newcomer")
    }
    secrets["desk"] = open_changes(settings).add_client("lead-desk", ["handovers"], tenant=ACME)
    reviews = build_runtime(settings, guarded=False).calls.reviews
    runtime = changed(
        api_runtime(settings=settings),
        access=open_access(settings),
        calls=reviews,
        dashboards=DashboardReader(partial(read_warehouse, settings), cache_s=0),
    )
    running = Served(runtime)
    running.secrets = secrets
    yield running
    running.stop()


def sign_in(page, served, tenant=ACME):
    page.goto(f"http://{served.host}/qa")
    page.fill("#client", f"lead-{tenant}")
    page.fill("#secret", served.secrets[tenant])
    page.keyboard.press("Enter")


def figures(page):
    page.wait_for_selector("#found[aria-busy=false] .heat, #found[aria-busy=false] #headline:not(:empty)")
    return page


def focused(page):
    return page.evaluate(
        "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
    )


def tab_to(page, wanted, most=80):
    for _ in range(most):
        page.keyboard.press("Tab")
        if re.search(wanted, focused(page)):
            return
    raise AssertionError(f"the keyboard does not reach {wanted!r}")


def last_week(page):
    return page.locator('.heat button[data-criterion="greet"]').last


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.acceptance("qa-02")
def test_a_qa_lead_goes_from_the_heatmap_to_a_corrected_verdict_by_keyboard(served, place, open_page, tmp_path, width):
    page = open_page(width)
    page.goto(f"http://{served.host}/qa")
    expect(page.locator("#client")).to_be_focused()
    page.keyboard.type(f"lead-{ACME}")
    page.keyboard.press("Tab")
    page.keyboard.type(served.secrets[ACME])
    page.keyboard.press("Enter")
    figures(page)
    expect(page.locator("#whose")).to_have_text(f"For QA leads of {ACME}")
    expect(page.locator("#changes")).to_contain_text("Worse since the week of Nov 16")
    assert last_week(page).inner_text().split() == ["50%", "n=8"]
    # What changed leads to its calls.
    tab_to(page, "^Show the calls$")
    page.keyboard.press("Enter")
    expect(page.locator("#failures-said")).to_contain_text("4 calls, newest first")
    page.evaluate("document.querySelector('#from').focus()")
    # One stop for the heatmap, arrows inside it.
    tab_to(page, "Failed in .* of 8 calls")
    while "Did the agent say good morning" not in focused(page):
        page.keyboard.press("ArrowDown")
    for _ in range(WEEKS - 1):
        page.keyboard.press("ArrowRight")
    assert "Failed in 50% of 8 calls, week Mon, Nov 16, 2026" in focused(page)
    page.keyboard.press("Enter")
    expect(page.locator("#failures-said")).to_contain_text("4 calls, newest first")
    expect(page.locator("#failures")).to_be_focused()
    page.keyboard.press("Tab")
    call = page.evaluate("document.activeElement.dataset.call")
    page.keyboard.press("Enter")
    expect(page.locator("#call-title")).to_contain_text("Call of Mon, Nov 16, 2026")
    asked = page.locator(".criterion").first
    expect(asked).to_have_attribute("data-criterion", "greet")
    before = asked.locator("[data-part=person]").inner_text()
    expect(asked.locator(".badge").first).to_have_text("No")
    verdict = "Yes" if "Yes" not in before else "No"
    page.keyboard.press("Shift+Tab")  # out of the article, and in again by its first control
    tab_to(page, "Back to the figures")
    page.evaluate("document.querySelector('#transcript').focus()")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "verdict-greet":
            break
    while not page.evaluate(f"document.activeElement.parentElement.textContent === '{verdict}'"):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.type(f"The greeting was cut off, seen at {width}.")
    page.keyboard.press("Enter")
    expect(asked.locator("[role=status]")).to_contain_text("Kept")
    expect(asked.locator("[data-part=person]")).to_contain_text(f"lead-{ACME}")
    page.reload()  # the store has it, not the page
    expect(page.locator(".criterion").first.locator("[data-part=person]")).to_contain_text(f"seen at {width}")
    kept = place.worker.reviews.overrides.of(ACME, call)
    assert (kept[-1].verdict, kept[-1].who) == (verdict.lower(), f"lead-{ACME}")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    tab_to(page, "Back to the figures")
    page.keyboard.press("Enter")
    figures(page)
    assert page.complaints == []
    assert page.hosts <= {served.host, "data:"}


@pytest.mark.acceptance("qa-02")
def test_a_quote_is_highlighted_at_its_position(served, open_page):
    page = open_page()
    sign_in(page, served)
    figures(page)
    page.locator('.heat button[data-criterion="notice"]').last.click()
    page.locator("#failed button").first.click()
    sorry = page.locator('.criterion[data-criterion="sorry"]')
    expect(sorry.locator(".play")).to_be_hidden()
    page.get_by_role("button", name="Show all verdicts").click()
    expect(sorry.locator(".play")).to_have_text("at 1:32, show in the transcript")
    sorry.locator(".play").click()
    marked = page.locator(".turns mark")
    expect(marked).to_have_count(1)
    assert marked.inner_text() in SORRY
    assert marked.inner_text() in sorry.locator("blockquote").inner_text()
    assert page.locator(".turns li:has(mark) small").inner_text() == "1:32, Agent"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.acceptance("qa-02")
def test_a_sampled_call_is_judged_before_the_scorer_is_shown_with_a_quote_from_the_transcript(
    served, place, open_page, width
):
    page = open_page(width)
    sign_in(page, served)
    figures(page)
    expect(page.locator("#status")).to_contain_text("all scored by the floor: it looks for words")
    page.get_by_role("button", name="Sample of the week").click()
    expect(page.locator("#failures-said")).to_contain_text(
        "Nov 16, 2026 to Sun, Nov 22, 2026: 8 calls, drawn at random"
    )
    assert "passed" not in page.inner_text("#failed")
    page.locator("#failed button").nth(WIDTHS.index(width)).click()  # each width has a call that nobody has judged
    expect(page.locator("#call-title")).to_be_visible()
    expect(page.locator("#call")).to_contain_text("no model read the call")
    sorry = page.locator('.criterion[data-criterion="sorry"]')
    scored = sorry.locator("[data-part=scorer]")
    expect(scored).to_be_hidden()
    expect(sorry.locator("input:checked")).to_have_count(0)
    expect(page.locator(".take").first).to_be_hidden()
    sorry.get_by_label("Yes").check()
    page.locator(".turns li", has_text=SORRY).get_by_role("button", name="quote this").click()
    expect(sorry.get_by_label("Why")).to_have_value(f"“{SORRY}” (1:32)")
    sorry.get_by_role("button", name="Keep my verdict").click()
    expect(sorry.locator("[role=status]")).to_contain_text("Kept: you confirmed the floor.")
    expect(scored).to_be_visible()
    expect(scored).to_contain_text("Floor: ")
    expect(page.locator(".take").first).to_be_hidden()
    call = page.url.split("call=")[1].split("&")[0]
    assert place.worker.reviews.overrides.of(ACME, call)[-1].reason.startswith("“I am sorry to hear that")
    assert violations(page) == []
    assert page.complaints == []


def open_call(page, served, call):
    page.goto(f"http://{served.host}/qa?call={call}")
    expect(page.locator("#insights")).to_be_visible()


HOSTILE = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script><svg/onload=document.title='taken'>"


def test_what_is_said_in_a_call_or_written_of_it_is_no_markup(served, place, open_page):
    call = place.jobs(ACME)["1-0.json"].call_id
    results = place.worker.results(ACME)
    key = transcript_key(ACME, call)
    kept = KeptTranscript.model_validate_json(results.read(key))
    said = kept.turns[1].model_copy(update={"text": HOSTILE})
    results.put(key, kept.model_copy(update={"turns": (kept.turns[0], said, *kept.turns[2:])}).model_dump_json())
    page = open_page()
    sign_in(page, served)
    figures(page)
    open_call(page, served, call)
    sorry = page.locator('.criterion[data-criterion="sorry"]')
    sorry.get_by_label("Yes").check()
    page.locator(".turns li").nth(1).get_by_role("button", name="quote this").click()
    sorry.get_by_role("button", name="Keep my verdict").click()
    expect(sorry.locator("[data-part=person]")).to_contain_text("onerror=")
    expect(page.locator(".turns")).to_contain_text(HOSTILE)
    assert page.title() != "taken"
    assert page.locator("#call img, #call script, #call svg").count() == 0
    assert page.complaints == []


@pytest.mark.acceptance("score-05")
def test_a_call_shows_the_customers_sentiment_and_who_read_it(served, place, open_page):
    page = open_page()
    sign_in(page, served)
    figures(page)
    open_call(page, served, place.jobs(ACME)["0-1.json"].call_id)
    read = page.locator("#insights")
    expect(read.locator(".badge")).to_have_text("negative")
    expect(read).to_contain_text("(−0.50, where −1 is negative and +1 positive;")
    expect(read).to_contain_text("Read by a list of English words.")
    expect(read.locator(".weak")).to_contain_text("right in 49%")
    assert page.locator(".turns .felt").all_inner_texts() == ["neutral", "negative", "negative"]
    phrases = read.locator(".phrases li").all_inner_texts()
    assert phrases
    assert all(phrase in page.inner_text("#transcript") for phrase in phrases)


@pytest.mark.parametrize(
    ("changes", "said", "silent"),
    [
        (None, "scored before sentiment and key phrases were read", "Read by"),
        (
            {"by": "local-words-v1", "failure": "the call is in German, which local-words-v1 does not read"},
            "Could not be read: the call is in German, which a list of English words does not read. The score stands.",
            "local-words",
        ),
        (
            {"by": "amazon-comprehend", "sentiment": "POSITIVE", "balance": 0.42, "turns": ()},
            "positive (+0.42, where",
            "weak",
        ),
        ({"by": "newer-reader-v7", "sentiment": "MIXED", "balance": 0.0}, "Read by newer-reader-v7.", "49%"),
    ],
)
@pytest.mark.acceptance("score-05")
def test_the_page_says_why_nothing_was_read_and_who_is_weak(served, place, open_page, changes, said, silent):
    job = place.jobs(ACME)["0-2.json"]
    stored = place.result(job)
    page = open_page(420)
    sign_in(page, served)
    figures(page)
    changed = stored.model_copy(update={"insights": None if changes is None else CallInsights(**changes)})
    place.worker.results(ACME).put(job.result_key, changed.to_json())
    try:
        open_call(page, served, job.call_id)
        expect(page.locator("#insights")).to_contain_text(said)
        expect(page.locator("#insights")).not_to_contain_text(silent)
        expect(page.locator(".turns .felt")).to_have_count(0)
        assert page.complaints == []
    finally:
        place.worker.results(ACME).put(job.result_key, stored.to_json())


@pytest.mark.acceptance("qa-02")
def test_a_correction_changes_the_figures_when_it_was_carried(served, place, open_page):
    page = open_page()
    sign_in(page, served)
    figures(page)
    page.locator("#split label", has_text="by agent group").click()
    cell = page.locator('.heat button[data-criterion="notice"][data-column="loans"]')
    before = cell.inner_text()
    cell.click()
    page.locator("#failed button").first.click()
    notice = page.locator('.criterion[data-criterion="notice"]')
    notice.get_by_label("Yes").check()
    expect(notice.locator("button[type=submit]")).to_have_text("Correct the verdict")
    notice.locator("button[type=submit]").click()
    expect(notice.locator("[role=status]")).to_contain_text("Kept: your verdict stands")
    assert carry(place.worker) > 0
    page.get_by_role("button", name="Back to the figures").click()
    page.locator("#split label", has_text="by agent group").click()
    expect(cell).not_to_have_text(before)
    expect(page.locator('[data-name="agreement"] svg')).to_be_visible()


def test_who_was_slower_is_told_and_loses_nothing(served, place, open_page):
    page = open_page()
    sign_in(page, served)
    figures(page)
    page.locator('.heat button[data-criterion="notice"]').first.click()
    button = page.locator("#failed button").last
    call = button.get_attribute("data-call")
    button.click()
    notice = page.locator('.criterion[data-criterion="notice"]')
    expect(notice).to_be_visible()
    place.worker.reviews.override(ACME, call, "notice", "na", reason="A call back.", who="second", edit=None)
    notice.get_by_label("Yes").check()
    notice.get_by_label("Why").fill("It was announced.")
    notice.locator("button[type=submit]").click()
    expect(notice.locator("[role=status]")).to_contain_text("somebody else was faster")
    expect(notice.locator("[data-part=person]")).to_contain_text("second")
    expect(notice.get_by_label("Why")).to_have_value("It was announced.")
    notice.locator("button[type=submit]").click()
    expect(notice.locator("[role=status]")).to_contain_text("Kept")
    assert place.worker.reviews.overrides.of(ACME, call)[-1].verdict == "yes"


@pytest.mark.acceptance("tenant-04")
def test_a_tenant_sees_nothing_of_another(served, place, open_page):
    page = open_page()
    sign_in(page, served, BRAND)
    figures(page)
    text = page.inner_text("body")
    assert "brand-only" in page.inner_text("#group")
    assert not re.search("cards|loans|agent-0|acme", text)
    call = next(job.call_id for job in place.worker.jobs.of(ACME))
    page.goto(f"http://{served.host}/qa?call={call}&criterion=greet")
    expect(page.locator("#notice")).to_contain_text("no call")
    assert "Good morning" not in page.inner_text("body")


def test_empty_loading_and_error_states_say_what_to_do(served, place, open_page):
    page = open_page(420)
    sign_in(page, served, "newcomer")
    expect(page.locator("#headline")).to_contain_text("No call has been scored yet")
    expect(page.locator("#heat")).to_be_hidden()
    page.click("#leave")
    page.fill("#client", "lead-acme")
    page.fill("#secret", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#door-said")).to_contain_text("not the id and secret of a QA lead")
    sign_in(page, served, "desk")
    expect(page.locator("#door-said")).to_contain_text("it needs the scope calls")
    gate, held = threading.Event(), []
    page.route("**/v1/calls/figures*", lambda route: route.continue_() if gate.is_set() else held.append(route))
    sign_in(page, served)
    expect(page.locator("#status")).to_have_text("Reading the figures…")
    gate.set()
    for route in held:
        route.continue_()
    figures(page)
    page.unroute("**/v1/calls/figures*")
    page.fill("#from", "2020-01-01")
    page.fill("#to", "2020-01-31")
    page.click("#filters button[type=submit]")
    expect(page.locator("#headline")).to_contain_text("No call was scored in this range")
    page.fill("#to", "2019-01-31")
    page.click("#filters button[type=submit]")
    expect(page.locator("#notice")).to_contain_text("`from` must not be after `to`")
    moved = place.settings.warehouse_file.with_suffix(".away")
    place.settings.warehouse_file.rename(moved)
    try:
        page.goto(f"http://{served.host}/qa")
        expect(page.locator("#notice button")).to_have_text("Try again")
    finally:
        moved.rename(place.settings.warehouse_file)
    page.click("#notice button")
    expect(page.locator(".heat")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("scheme", "media"), LOOKS)
def test_the_page_is_accessible(served, open_page, width, scheme, media):
    page = open_page(width, color_scheme=scheme)
    page.emulate_media(media=media, color_scheme=scheme)
    sign_in(page, served)
    figures(page)
    page.wait_for_selector("#visuals svg")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    last_week(page).click()
    page.wait_for_selector("#failed button")
    page.locator("#failed button").first.click()
    page.wait_for_selector(".turns li")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_warehouse_and_the_page_count_the_same(place):
    with closing(DuckWarehouse(place.settings.warehouse_file, read_only=True)) as warehouse:
        found = warehouse.query("SELECT COUNT(*) AS calls FROM omni_calls WHERE tenant_id = :tenant", {"tenant": ACME})
    assert int(found["calls"][0]) == WEEKS * EACH
