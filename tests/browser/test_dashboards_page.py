"""The operators' page in a browser: the figures, the keyboard, the door, two widths, and a warehouse that is locked."""

import re
import socket
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
import uvicorn
from access_place import keep_clients
from answer_rows import answer
from axe import LOOKS, WIDTHS, violations
from playwright.sync_api import expect

from service.access.clients import new_secret
from service.access.control import open_access
from service.app import create_app
from service.dashboards.reader import DashboardReader, read_warehouse
from service.kit.settings import REPO_ROOT, Settings
from service.warehouse import open_warehouse
from service.warehouse.events import SummaryEvent

pytestmark = pytest.mark.slow
SECRET = new_secret()
NAMES = ("effectiveness", "performance", "cost")
HERE = Path(__file__).parent
# What a screen reader needs, counted: names, labels, one h1, no level left out, no id twice.
FAULTS = (HERE / "faults.js").read_text(encoding="utf-8")
# WCAG 2.1: 4.5 to 1 for text. Each visible text against the nearest background that is not transparent.
PALE_TEXTS = (HERE / "pale_texts.js").read_text(encoding="utf-8")


class Served:
    """The real application over HTTP, with a warehouse file of its own."""

    def __init__(self, runtime, settings):
        self.runtime, self.settings = runtime, settings
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.host = f"127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(create_app(runtime=runtime), log_config=None, access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)

    def token(self, client="ops"):
        return self.runtime.access.tokens.issue(client, SECRET, None).text

    def link(self):
        caller = self.runtime.access.tokens.verify(f"Bearer {self.token()}")
        return f"http://{self.host}/dashboards#code={self.runtime.access.sessions.link(caller).text}"


@pytest.fixture
def served(api_runtime, tmp_path, hand_made_warehouse):
    folder = tmp_path / "access"
    settings = Settings(state_dir=tmp_path / "state", access_dir=folder)
    keep_clients(settings, SECRET, ops=["operator"], widget=["summaries", "feedback"])
    hand_made_warehouse(settings.warehouse_file)
    reader = DashboardReader(partial(read_warehouse, settings), cache_s=0)
    running = Served(api_runtime(settings=settings, access=open_access(settings), dashboards=reader), settings)
    yield running
    running.stop()


def enter(page, served):
    page.goto(served.link())
    page.wait_for_selector(".visual")
    return page


def choose(page, name):
    page.click(f"#tab-{name}")
    ready(page, name)


def ready(page, name):
    page.wait_for_selector(f"#panel[aria-busy=false][aria-labelledby=tab-{name}] .visual")


def tile(page, visual, name):
    return page.inner_text(f'[data-name="{visual}"] [data-name="{name}"]').split("\n")


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def tab_to(page, wanted, most=40):
    for _ in range(most):
        page.keyboard.press("Tab")
        if focused(page) == wanted:
            return
    raise AssertionError(f"the keyboard does not reach {wanted!r}")


def test_the_figures_are_the_hand_worked_ones(served, open_page):
    page = enter(open_page(), served)
    # 17 of 68: Wilson 0.16235 to 0.36439, all of it above the target.
    assert tile(page, "totals", "not_helpful_rate") == [
        "Unhelpful rate", "25.0%", "95% interval 16.2% to 36.4%", "n=68", "required: below 15%", "✗ fail"]  # fmt: skip
    assert tile(page, "totals", "helpful_rate")[1] == "75.0%"
    assert tile(page, "totals", "helpful_per_not_helpful")[1] == "3.0 : 1"
    assert tile(page, "totals", "rated_rate")[1] == "91.9%"
    bars = page.locator('[data-name="by_pair"] svg text').all_text_contents()
    assert bars[:4] == ["alpha", "20.7%  n=58", "beta", "50.0%  n=10, too few"]
    choose(page, "performance")
    assert tile(page, "latency", "p50")[1:4] == ["375 ms", "95% interval 280 ms to 470 ms", "n=74"]
    assert tile(page, "latency", "p95")[1] == "704 ms"
    assert "unknown" in tile(page, "latency", "p99")[2]
    assert tile(page, "rates", "transfer_reuse_rate")[1:] == [
        "50.0%", "95% interval 9.5% to 90.5%", "n=2, too few", "required: above 70%", "? inconclusive"]  # fmt: skip
    assert tile(page, "rates", "failover_rate")[1] == "4.4%"
    choose(page, "cost")
    assert tile(page, "totals", "total")[1] == "$0.017"
    assert tile(page, "totals", "seed_low")[1] == "$0.7"
    assert tile(page, "per_summary_totals", "per_summary")[1] == "$0.00023"
    assert page.complaints == []
    assert page.hosts <= {served.host, "data:"}


def test_simulated_weeks_say_so(served, open_page):
    page = enter(open_page(), served)
    expect(page.locator("#simulated")).to_be_hidden()
    assert not page.title().startswith("Simulated")
    changed = served.settings.model_copy(update={"simulated": True})
    object.__setattr__(served.runtime, "settings", changed)
    page.reload()
    page.wait_for_selector(".visual")
    assert page.inner_text("#simulated").startswith("Simulated weeks.\nCustomers, agents and answers are invented")
    assert page.title() == "Simulated: Summary Effectiveness · Omni Insights"
    assert violations(page) == []


def test_every_picture_has_its_figures_as_a_table(served, open_page):
    page = enter(open_page(), served)
    pictures = page.locator(".visual:not(.numbers)")
    assert pictures.count() == page.locator(".visual details table").count() == 7
    page.click('[data-name="trend"] summary')
    rows = page.locator('[data-name="trend"] tbody tr').all_inner_texts()
    assert rows[0].split("\t") == ["Mon, Nov 16, 2026", "25.0%(14.2% to 40.2%, n=40)"]
    assert rows[2].split("\t") == ["Wed, Nov 18, 2026", "–(n=0)"]
    said = page.get_attribute('[data-name="trend"] svg', "aria-label")
    assert "lowest 25.0% (Mon, Nov 16, 2026)" in said


def test_the_keyboard_reaches_and_does_everything(served, open_page):
    page = enter(open_page(), served)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the figures"
    for wanted in ("leave", "from", "to", "pair", "Show", "7 days", "28 days", "13 weeks", "tab-effectiveness"):
        tab_to(page, wanted, 4)
    outline = page.evaluate(
        "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"
    )
    assert outline == "solid3px"
    # Arrows go round, Home and End to the ends; one tab is in the order, and the panel is named after it.
    for key, name in (
        ("ArrowRight", "performance"),
        ("ArrowRight", "cost"),
        ("ArrowRight", "assistant"),
        ("ArrowRight", "effectiveness"),
        ("ArrowLeft", "assistant"),
        ("Home", "effectiveness"),
        ("End", "assistant"),
        ("Home", "effectiveness"),
    ):
        page.keyboard.press(key)
        if name == "assistant":  # no conversation is in this warehouse: a notice, no figures
            page.wait_for_selector("#panel[aria-busy=false][aria-labelledby=tab-assistant]")
        else:
            ready(page, name)
        assert focused(page) == f"tab-{name}"
        assert page.get_attribute(f"#tab-{name}", "aria-selected") == "true"
        assert page.locator("[role=tab][tabindex='0']").count() == 1
    page.keyboard.press("Tab")
    assert focused(page) == "panel"
    tab_to(page, "Table: Unhelpful rate, by day", 3)
    page.keyboard.press("Enter")
    assert page.is_visible('[data-name="trend"] table')
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region"


def test_range_and_pair_by_keyboard(served, open_page):
    page = enter(open_page(), served)
    page.focus("#from")
    page.keyboard.type("11172026")
    page.focus("#pair")
    page.keyboard.type("beta")
    tab_to(page, "Show", 3)
    with page.expect_response(re.compile("/v1/dashboards/effectiveness")) as answered:
        page.keyboard.press("Enter")
    assert answered.value.url.endswith("from=2026-11-17&to=2026-11-18&pair=beta")
    ready(page, "effectiveness")
    assert tile(page, "totals", "not_helpful_rate")[1:4] == ["50.0%", "95% interval 23.7% to 76.3%", "n=10, too few"]
    assert "beta, Tue, Nov 17, 2026 to Wed, Nov 18, 2026" in page.inner_text("#status")
    # The address holds it all: the same page again after a reload.
    page.reload()
    ready(page, "effectiveness")
    assert tile(page, "totals", "not_helpful_rate")[1] == "50.0%"


def test_each_dashboard_says_in_a_sentence_how_it_stands_against_its_targets(served, open_page):
    page = enter(open_page(), served)
    said = page.inner_text("#verdict")
    value, word = tile(page, "totals", "not_helpful_rate")[1], page.inner_text("[data-name=not_helpful_rate] .badge")
    words = {"fail": "misses", "inconclusive": "is undecided against", "pass": "meets"}
    assert said.startswith(f"Unhelpful rate {value} {words[word.split()[-1]]} its target (required: below 15%)")
    assert "omni report" in page.inner_text("#verdict + .hint")


def test_a_dark_screen_gets_a_dark_page(served, open_page):
    page = enter(open_page(color_scheme="dark"), served)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 25, 28)"
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [1400, 420])
def test_nothing_is_wider_than_the_page(served, open_page, width):
    page = enter(open_page(width), served)
    for name in NAMES:
        choose(page, name)
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAULTS) == []
        assert page.evaluate(PALE_TEXTS) == []
        small = page.evaluate(
            "Math.min(...[...document.querySelectorAll('svg text')].map((t) => t.getBoundingClientRect().height))"
        )
        assert small >= 10  # letters keep their size at every width
    assert page.complaints == []


@pytest.mark.parametrize(("scheme", "media"), LOOKS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_violates_no_rule_of_wcag(served, open_page, width, scheme, media):
    page = enter(open_page(width, color_scheme=scheme), served)
    for name in NAMES:
        choose(page, name)
        for summary in page.locator("summary").all():
            summary.click()
        page.emulate_media(media=media)
        assert violations(page) == [], name
        page.emulate_media(media="screen")


def test_the_checks_see_faults(served, open_page):
    page = enter(open_page(), served)
    page.evaluate(
        "document.querySelector('.question').after(Object.assign(document.createElement('p'), {textContent: 'pale'}))"
    )
    page.evaluate("document.querySelector('.question + p').style.color = '#aaa'")
    assert page.evaluate(PALE_TEXTS) == ["pale"]
    page.evaluate("document.querySelector('label[for=pair]').remove(); document.querySelector('#panel h2').remove()")
    assert [fault.split(":")[0] for fault in page.evaluate(FAULTS)] == ["no label", "a level left out"]


def test_a_window_that_changes_its_width_draws_anew(served, open_page):
    page = enter(open_page(), served)
    page.set_viewport_size({"width": 420, "height": 900})
    expect(page.locator("[data-name=trend] .drawing svg")).to_have_attribute("width", re.compile("^3[0-9]{2}$"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_a_stranger_meets_a_door_and_no_figure(served, open_page):
    page = open_page()
    page.goto(f"http://{served.host}/dashboards")
    page.wait_for_selector("#door:not([hidden])")
    assert focused(page) == "token"
    assert page.locator(".visual").count() == 0
    assert page.evaluate(FAULTS) == []
    page.keyboard.type("nonsense")
    page.keyboard.press("Enter")
    expect(page.locator("#door-said")).to_contain_text("token")
    page.fill("#token", served.token("widget"))
    page.keyboard.press("Enter")
    expect(page.locator("#door-said")).to_contain_text("'operator'")
    assert page.locator(".visual").count() == 0
    page.fill("#token", served.token())
    page.keyboard.press("Enter")
    page.wait_for_selector(".visual")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("document.getElementById('token').value") == ""


def test_a_link_is_good_once_and_leaves_no_trace(served, open_page):
    link = served.link()
    page = open_page()
    page.goto(link)
    page.wait_for_selector(".visual")
    assert "code" not in page.url
    other = open_page()
    other.goto(link)
    other.wait_for_selector("#door:not([hidden])")
    assert "used before" in other.inner_text("#door-said")
    page.click("#leave")
    page.wait_for_selector("#door:not([hidden])")
    page.reload()
    page.wait_for_selector("#door:not([hidden])")


def test_a_locked_warehouse_says_what_to_do_and_comes_back(served, open_page):
    page = enter(open_page(), served)
    holder = hold(served.settings.warehouse_file)
    try:
        page.click("#tab-cost")
        page.wait_for_selector("#notice:not([hidden])")
        said = page.inner_text("#notice")
        assert "in use by another process" in said
        assert page.locator(".visual").count() == 0
    finally:
        holder.communicate("done\n", timeout=20)
    page.click("#notice button")
    ready(page, "cost")
    assert page.is_hidden("#notice")


def hold(path):
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.readline()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO_ROOT
    )
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_missing_warehouse_says_what_to_do(served, open_page):
    served.settings.warehouse_file.unlink()
    page = open_page()
    page.goto(served.link())
    page.wait_for_selector("#notice:not([hidden])")
    assert "omni load-events" in page.inner_text("#notice")


def test_days_without_answers_say_so(served, open_page):
    page = enter(open_page(), served)
    page.fill("#from", "2026-01-01")
    page.fill("#to", "2026-01-31")
    page.click("#filters button[type=submit]")
    page.wait_for_selector("#panel .notice")
    assert "No answer was given in this range" in page.inner_text("#panel")
    assert page.complaints == []


def test_names_of_the_warehouse_are_text_and_never_markup(served, open_page):
    from service.warehouse import open_warehouse

    warehouse = open_warehouse(served.settings)
    with warehouse.transaction():
        warehouse._connection.execute(
            "UPDATE omni_summaries SET client = '<img src=x onerror=alert(1)>' WHERE pair = 'beta'"
        )
    warehouse.close()
    page = enter(open_page(), served)
    assert page.locator("#panel img").count() == 0
    assert "<img src=x onerror=alert(1)>" in page.locator('[data-name="by_client"] tbody').text_content()
    assert page.complaints == []


def test_without_motion_and_in_print(served, open_page):
    page = enter(open_page(reduced_motion="reduce"), served)
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(media="print")
    assert page.is_hidden("#filters")
    assert page.is_hidden("[role=tablist]")
    assert page.is_visible('[data-name="trend"] svg')


def test_the_parts_of_a_column_differ_by_more_than_colour(served, open_page):
    page = enter(open_page(), served)
    patterns = {}
    for part in page.locator("svg .stripes").all():
        index = part.get_attribute("class").split()[-1]
        patterns[index] = part.evaluate(
            "(node) => getComputedStyle(node).strokeDasharray + getComputedStyle(node).stroke"
        )
    assert len(patterns) > 1
    assert len(set(patterns.values())) == len(patterns)


def test_another_task_is_chosen_with_its_words_and_pairs(open_page, served):
    page = open_page()
    enter(page, served)
    expect(page.locator("#task")).to_be_hidden()  # nothing to choose from
    rows = [answer(datetime(2026, 11, 18, 9, n, tzinfo=UTC), "helpful", task="shout", pair="loud") for n in range(3)]
    with closing(open_warehouse(served.settings)) as warehouse:
        warehouse.merge(SummaryEvent, pa.Table.from_pylist([row.model_dump() for row in rows]))
    page.reload()
    page.wait_for_selector(".visual")
    page.select_option("#pair", "alpha")
    page.select_option("#task", "shout")
    expect(page.locator("#panel h2")).to_have_text("Answer Effectiveness")
    expect(page.locator("#tab-effectiveness")).to_have_text("Answer Effectiveness")
    expect(page.locator("#status")).to_contain_text("Task shout: All pairs")
    expect(page.locator("#pair option")).to_have_text(["all pairs", "loud"])
    assert "task=shout" in page.url
    assert page.evaluate(FAULTS) == []


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.acceptance("audit-10")
def test_conversations_have_a_dashboard_of_their_own(open_page, served, width):
    rows = [answer(datetime(2026, 11, 17, 9, n, tzinfo=UTC), task="assistant", pair="rules") for n in range(3)]
    with closing(open_warehouse(served.settings)) as warehouse:
        warehouse.merge(SummaryEvent, pa.Table.from_pylist([row.model_dump() for row in rows]))
    page = enter(open_page(width), served)
    page.select_option("#task", "assistant")
    choose(page, "assistant")
    expect(page.locator('[data-name="conversations"] [data-name="conversations"]')).to_contain_text("11")
    assert tile(page, "conversations", "transferred_rate")[1:4] == [
        "36.4%", "95% interval 15.2% to 64.6%", "n=11, too few"]  # fmt: skip
    assert tile(page, "checks", "hallucination_rate")[1] == "4.5%"
    reasons = page.locator('[data-name="reasons"] svg text').all_text_contents()
    assert [text.strip() for text in reasons[:4]] == ["explicit_request", "3", "customer_frustration", "1"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(FAULTS) == []
    assert page.evaluate(PALE_TEXTS) == []
    assert violations(page) == []
    assert page.complaints == []
    page.select_option("#task", "summarize")
    expect(page.locator("#panel .notice")).to_contain_text("a task that answers in conversations")
