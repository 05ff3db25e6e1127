"""The summary widget in an agent desktop of another origin: every state, by keyboard, over slow and dying services."""

import re
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from axe import LOOKS, WIDTHS, violations
from builders import changed
from desk_page import ACCOUNT, PIECES, Desk, RestartableService, ToldModel, kept_feedback, told_runtime
from playwright.sync_api import expect

from service.access.account_tokens import account_token
from service.access.control import local_token, open_access
from service.access.throttle import ConversationThrottle
from service.answers_kept.reuse import Reuse
from service.answers_kept.store import Summaries
from service.interactions.reader import InteractionPage
from service.kit.frame.errors import StoreError
from service.kit.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.slow

CONTACT, TEXT = "abc-123-xyz", "".join(PIECES)


@pytest.fixture
def service():
    made = RestartableService()
    yield made
    made.stop()


@pytest.fixture
def desk(service):
    made = Desk()
    made.service = service.address
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path, desk):
    return Settings(state_dir=tmp_path / "state", embed_origins=(desk.origin,))


@pytest.fixture
def show(open_page, desk):
    """Open the desk with a widget in it; ``token`` is set as the page would do it."""

    def opened(width=1400, token=None, clock=False, attributes=None, **options):
        page = open_page(width, **options)
        if clock:
            page.clock.install()
        page.goto(desk.origin)
        page.evaluate(
            """([attributes, token]) => {
                 const widget = document.createElement("omni-summary");
                 for (const [name, value] of Object.entries(attributes)) widget.setAttribute(name, value);
                 window.told = [];
                 for (const name of ["omni-state", "omni-summary", "omni-feedback", "omni-token-needed"])
                   widget.addEventListener(name, (event) => window.told.push([name, event.detail]));
                 if (token) widget.token = token;
                 document.querySelector("main").append(widget);
               }""",
            [{"account-number": ACCOUNT, "contact-id": CONTACT} if attributes is None else attributes, token],
        )
        return page

    return opened


def widget(page):
    return page.locator("omni-summary")


@contextmanager
def in_state(page, state):
    expect(widget(page)).to_have_attribute("state", state)
    yield widget(page)


def states(page):
    return [detail["state"] for name, detail in page.evaluate("window.told") if name == "omni-state"]


def status(page):
    return widget(page).get_by_role("status")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.acceptance("operation-11")
def test_a_summary_is_loaded_streamed_and_rated_by_keyboard_alone(show, service, api_runtime, settings, width):
    model, store = ToldModel(held=True), kept_feedback()
    service.start(told_runtime(api_runtime, model, settings=settings, summaries=Summaries(feedback=store)))
    page = show(width)
    with in_state(page, "loading"):
        expect(status(page)).to_have_text("Reading the customer's history…")
    model.go(2)
    with in_state(page, "streaming") as found:
        expect(found.get_by_text("The customer disputes a bill")).to_be_visible()
        expect(status(page)).to_have_text("Being written. Not checked yet.")
        expect(found.locator("section")).to_have_attribute("aria-busy", "true")
        expect(found.get_by_role("group", name="Did this summary help?")).to_be_hidden()
    model.go(2)
    with in_state(page, "ready") as found:
        expect(found.get_by_text(TEXT)).to_be_visible()
        expect(status(page)).to_have_text("Summary ready.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(found.get_by_role("button", name="Not helpful")).to_be_focused()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text(re.compile("^Saved"))
    page.keyboard.press("Tab")
    page.keyboard.type("The refund is missing.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(found.get_by_label("What the summary should say")).to_be_focused()
    expect(found.get_by_label("What the summary should say")).to_have_value(TEXT)
    page.keyboard.press("Control+End")
    page.keyboard.type(" A refund was promised.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("Thank you. Your feedback is saved.")
    assert [(said.rating, said.comment, said.edited) for said in store.kept] == [
        ("not_helpful", None, None),
        ("not_helpful", "The refund is missing.", TEXT + " A refund was promised."),
    ]
    assert states(page) == ["loading", "streaming", "ready"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.complaints == []


def test_a_summary_after_a_transfer_says_that_it_was_written_before(show, service, api_runtime, settings):
    model = ToldModel()
    reuse = Reuse(
        window_s=300, recent=None, now=lambda: datetime(2025, 12, 8, 14, 30, tzinfo=UTC), clock=time.monotonic
    )
    service.start(told_runtime(api_runtime, model, settings=settings, summaries=Summaries(reuse=reuse)))
    page = show()
    with in_state(page, "ready"):
        pass
    page.evaluate(
        """() => { const widget = document.querySelector("omni-summary");
                   widget.setAttribute("initial-contact-id", widget.getAttribute("contact-id"));
                   widget.setAttribute("contact-id", "after-the-transfer"); }"""
    )
    with in_state(page, "cached") as found:
        expect(found.get_by_text("written a few minutes ago")).to_be_visible()
        expect(found.get_by_text(TEXT)).to_be_visible()
    assert model.calls == 1


def test_a_digest_says_that_no_model_answered(show, service, api_runtime, settings):
    service.start(told_runtime(api_runtime, ToldModel(fails_after=2), settings=settings))
    page = show()
    with in_state(page, "degraded") as found:
        expect(found.get_by_text("No model answered in time")).to_be_visible()
        expect(found.get_by_text("The customer disputes a bill")).to_be_hidden()


def test_a_customer_without_history(show, service, api_runtime, settings):
    class Nobody:
        async def history(self, *_):
            return InteractionPage(interactions=(), query="fake")

    service.start(api_runtime(interactions=Nobody(), settings=settings))
    page = show()
    with in_state(page, "empty") as found:
        expect(found.get_by_text("No earlier contacts in the last 90 days.")).to_be_visible()
        expect(found.get_by_role("group")).to_be_hidden()
    with in_state(show(attributes={}), "idle") as found:
        expect(found.get_by_text("The summary appears when a contact is open.")).to_be_visible()


def test_a_browser_asks_with_its_accounts_token_and_a_page_renews_it(show, service, api_runtime, settings):
    access = open_access(settings)
    caller = access.verify(f"Bearer {local_token(settings).text}", "summaries")
    token = account_token(access.tokens, caller, ACCOUNT).text
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings, access=access))
    page = show(token="expired")
    addresses = []
    page.on("request", lambda asked: addresses.append(asked.url))
    with in_state(page, "expired") as found:
        expect(found.get_by_text("Your access to summaries has expired.")).to_be_visible()
    assert ["omni-token-needed", {}] in page.evaluate("window.told")
    page.evaluate("(token) => { document.querySelector('omni-summary').token = token; }", token)
    with in_state(page, "ready"):
        pass
    # The token of one customer is not good for another, also when the page sets it.
    page.evaluate(
        """(token) => {
             const widget = document.querySelector("omni-summary");
             widget.setAttribute("account-number", "9999999999");
             widget.token = token;
           }""",
        token,
    )
    with in_state(page, "error") as found:
        expect(found.get_by_text("You may not see summaries of this customer.")).to_be_visible()
        expect(found.get_by_role("button", name="Try again")).to_be_hidden()
        expect(status(page)).to_have_text(re.compile("^For support: FORBIDDEN, req-"))
    assert not any(token in url for url in addresses)
    assert token not in page.evaluate("document.querySelector('omni-summary').outerHTML")


def test_the_guides_snippet_gets_a_token_for_the_second_customer_too(show, service, api_runtime, settings):
    """The page of docs/guides/widget.md as it stands, and its server, which asks for a token of the account that it is told."""
    access = open_access(settings)
    caller = access.verify(f"Bearer {local_token(settings).text}", "summaries")
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings, access=access))
    (snippet,) = re.findall(r"```js\n(.*?)```", (REPO_ROOT / "docs/guides/widget.md").read_text("utf-8"), re.DOTALL)
    page = show()
    asked, sent = [], []
    page.expose_function(
        "tokenOfOurServer", lambda account: asked.append(account) or token_for(access, caller, account)
    )
    page.on("request", lambda request: sent.append(request) if "insights" in request.url else None)
    with in_state(page, "expired"):
        pass
    page.evaluate(f"(async () => {{ {snippet} }})()")
    with in_state(page, "ready"):
        pass
    page.evaluate("() => document.querySelector('omni-summary').setAttribute('account-number', '2222222222')")
    expect(widget(page)).to_have_attribute("state", re.compile("ready|empty"))
    assert asked == [ACCOUNT, "2222222222"]
    tokens = {asked.post_data_json["account_number"]: asked.headers.get("authorization") for asked in sent}
    assert tokens[ACCOUNT] != tokens["2222222222"]
    assert page.evaluate("window.told.filter(([name]) => name === 'omni-token-needed').length") == 2


def test_a_page_that_brings_no_token_for_the_second_customer_is_asked_again(show, service, api_runtime, settings):
    access = open_access(settings)
    caller = access.verify(f"Bearer {local_token(settings).text}", "summaries")
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings, access=access))
    page = show(token=token_for(access, caller, ACCOUNT), clock=True)
    with in_state(page, "ready"):
        pass
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.evaluate("() => document.querySelector('omni-summary').setAttribute('account-number', '2222222222')")
    with in_state(page, "loading"):
        pass
    page.clock.run_for(5_000)
    with in_state(page, "expired") as found:
        expect(found.get_by_text("Summaries need a sign-in.")).to_be_visible()
    assert not [url for url in sent if "insights" in url]


def token_for(access, caller, account):
    return account_token(access.tokens, caller, account).text


def test_behind_a_gateway_the_browsers_key_goes_with_each_request(show, service, api_runtime, settings):
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings))
    page = show(attributes={"account-number": ACCOUNT, "contact-id": CONTACT, "gateway-key": "of-all-browsers"})
    with in_state(page, "ready"):
        pass
    with page.expect_request("**/omni-channel-insights") as asked:
        page.evaluate("() => document.querySelector('omni-summary').reload()")
    assert asked.value.headers["x-api-key"] == "of-all-browsers"
    with in_state(page, "ready"):
        pass


def test_too_many_requests_are_waited_out(show, service, api_runtime, settings):
    at = [0.0]  # the time at the limit, which passes only when the test says so
    access = replace(open_access(settings), conversations=ConversationThrottle(clock=lambda: at[0]))
    caller = access.verify(f"Bearer {local_token(settings).text}", "summaries")
    token = account_token(access.tokens, caller, ACCOUNT)
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings, access=access))
    about = access.tokens.read(token.text, kind="account+jwt").about
    for _ in range(30):
        with access.conversations.admit(about):
            pass
    page = show(token=token.text)
    with in_state(page, "limited") as found:
        expect(found.get_by_text(re.compile("Too many requests just now. Trying again"))).to_be_visible()
    at[0] = 60.0
    with in_state(page, "ready"):
        pass


@pytest.mark.acceptance("operation-11")
def test_a_slow_service_is_said_to_be_slow(show, service, api_runtime, settings):
    model = ToldModel(held=True)
    service.start(told_runtime(api_runtime, model, settings=settings))
    page = show(clock=True)
    with in_state(page, "loading"):
        page.clock.run_for(5_000)
        expect(status(page)).to_have_text(re.compile("^Still working"))
    model.go(4)
    with in_state(page, "ready"):
        pass


def test_a_silent_service_counts_as_broken_and_is_asked_again(show, service, api_runtime, settings):
    model = ToldModel(held=True)
    service.start(told_runtime(api_runtime, model, settings=settings))
    page = show(clock=True)
    with in_state(page, "loading"):
        pass
    model.go(1)
    with in_state(page, "streaming"):
        pass
    page.clock.run_for(21_000)
    with in_state(page, "interrupted") as found:
        expect(found.get_by_text("What has arrived is incomplete")).to_be_visible()
        expect(found.get_by_text("The customer")).to_be_visible()
    model.go(8)
    page.clock.run_for(2_000)
    with in_state(page, "ready"):
        expect(found.get_by_text(TEXT)).to_be_visible()


@pytest.mark.acceptance("operation-11")
def test_a_service_that_dies_while_it_writes_is_asked_again_and_nothing_is_lost(show, service, api_runtime, settings):
    model = ToldModel(held=True)
    service.start(told_runtime(api_runtime, model, settings=settings))
    page = show()
    with in_state(page, "loading"):
        pass
    model.go(2)
    with in_state(page, "streaming") as found:
        expect(found.get_by_text("The customer disputes a bill")).to_be_visible()
    service.stop()
    with in_state(page, "interrupted"):
        expect(found.get_by_text("The connection broke off.")).to_be_visible()
        expect(found.get_by_text("The customer disputes a bill")).to_be_visible()
    store = kept_feedback()
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings, summaries=Summaries(feedback=store)))
    with in_state(page, "ready"):
        expect(found.get_by_text(TEXT)).to_be_visible()
    service.stop()
    found.get_by_role("button", name="Helpful", exact=True).click()
    expect(status(page)).to_have_text("Not saved yet. Trying again…")
    found.get_by_label("What should we know?").fill("It saved me a minute.")
    found.get_by_role("button", name="Send").click()
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings, summaries=Summaries(feedback=store)))
    expect(status(page)).to_have_text("Thank you. Your feedback is saved.")
    assert [(said.rating, said.comment, said.edited) for said in store.kept] == [
        ("helpful", "It saved me a minute.", None)
    ]


def test_a_service_that_stays_away_leaves_a_button(show, service, api_runtime, settings):
    class Broken:
        async def history(self, *_):
            raise StoreError("table 'ucdp-interactions' gave no answer within 2 s")

    runtime = told_runtime(api_runtime, ToldModel(), settings=settings)
    service.start(changed(runtime, interactions=Broken()))
    page = show(clock=True)
    for _ in range(6):
        with in_state(page, re.compile("limited|error")):
            page.clock.run_for(9_000)
    with in_state(page, "error") as found:
        expect(status(page)).to_have_text(re.compile("^For support: UPSTREAM_UNAVAILABLE, req-"))
    service.stop()
    service.start(runtime)
    found.get_by_role("button", name="Try again").focus()
    page.keyboard.press("Enter")
    with in_state(page, "ready"):
        expect(found.get_by_role("heading", name="Customer summary")).to_be_focused()


@pytest.mark.acceptance("operation-11")
def test_feedback_that_fails_is_kept_and_sent(show, service, api_runtime, settings):
    store = kept_feedback(failures=2)
    service.start(told_runtime(api_runtime, ToldModel(), settings=settings, summaries=Summaries(feedback=store)))
    page = show()
    with in_state(page, "ready") as found:
        found.get_by_role("button", name="Helpful", exact=True).click()
    expect(status(page)).to_have_text("Not saved yet. Trying again…")
    expect(status(page)).to_have_text(re.compile("^Saved"))
    expect(found.get_by_role("button", name="Helpful", exact=True)).to_have_attribute("aria-pressed", "true")
    assert [(said.rating, said.comment, said.edited) for said in store.kept] == [("helpful", None, None)]
    found.get_by_role("button", name="Send").click()
    expect(status(page)).to_have_text("Write a comment or change the summary first.")


def rated(page):
    found = widget(page)
    found.get_by_role("button", name="Not helpful").click()
    expect(status(page)).to_have_text(re.compile("^Saved"))
    found.get_by_role("button", name="Correct the summary").click()
    return found


@pytest.mark.parametrize(("scheme", "media"), LOOKS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.acceptance("operation-11")
def test_the_widget_violates_no_rule_of_wcag(show, service, api_runtime, settings, width, scheme, media):
    service.start(
        told_runtime(api_runtime, ToldModel(), settings=settings, summaries=Summaries(feedback=kept_feedback()))
    )
    page = show(width, color_scheme=scheme)
    with in_state(page, "ready"):
        rated(page)
    page.emulate_media(media=media)
    assert violations(page) == []
    page.evaluate("() => { document.querySelector('omni-summary').token = null; }")
    service.stop()
    page.evaluate("() => document.querySelector('omni-summary').reload()")
    with in_state(page, "interrupted"):
        assert violations(page) == []


def test_the_keyboard_reaches_every_control_in_order(show, service, api_runtime, settings):
    service.start(
        told_runtime(api_runtime, ToldModel(), settings=settings, summaries=Summaries(feedback=kept_feedback()))
    )
    page = show()
    with in_state(page, "ready"):
        rated(page).get_by_role("heading").focus()
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => { const node = document.activeElement.shadowRoot.activeElement;
                           return [node.id, getComputedStyle(node).outlineStyle]; }"""
            )
        )
    names = ["helpful", "not_helpful", "comment", "edited", "send", "cancel"]
    assert reached == [[name, "solid"] for name in names]
