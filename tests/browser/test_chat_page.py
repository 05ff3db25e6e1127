"""The chat in a browser: by keyboard, with a screen reader's roles, on a phone, over interruptions, until a person takes over."""

import re

import pytest
from axe import LOOKS, WIDTHS, focus_path, violations
from loopback import serving
from parcel_service import GREETING, parcel_runtime
from playwright.sync_api import expect

from service.access.control import local_token, open_access
from service.api.conversations.models import HANDED_OVER
from service.kit.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def address(api_runtime):
    with serving(parcel_runtime(api_runtime)) as found:
        yield found


def opened(open_page, address, width=1400, rest="", **options):
    page = open_page(width, **options)
    page.goto(f"http://{address}/chat#task=parcels{rest}")
    expect(page.get_by_text(GREETING)).to_be_visible()
    return page


def said(page):
    return page.locator("#said li").all_inner_texts()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_conversation_by_keyboard_alone(open_page, address, width):
    page = opened(open_page, address, width)
    expect(page.get_by_text("You are talking to an AI assistant.")).to_be_visible()
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type("Please send parcel AB123456")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("to another address, 12 Elm Street.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Shall I send parcel AB123456 to 12 Elm Street?")).to_be_visible()
    page.keyboard.type("Yes, please.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Parcel AB123456 goes to 12 Elm Street")).to_be_in_viewport()
    assert [text.split("\n")[0] for text in said(page)] == ["AI assistant", *["You", "AI assistant"] * 2]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_role("log").get_attribute("aria-live") == "polite"
    assert page.hosts - {"data:"} <= {address}
    assert page.complaints == []


@pytest.mark.acceptance("handover-15")
def test_the_page_shows_when_a_person_has_taken_over(open_page, address):
    page = opened(open_page, address)
    page.get_by_label("Your message").fill("I want a human about AB123456")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status").filter(has_text=HANDED_OVER)).to_be_visible()
    expect(page.get_by_text("You were talking to an AI assistant.")).to_be_visible()
    page.get_by_label("Your message").fill("Are you there?")
    page.keyboard.press("Enter")
    expect(page.locator("#said li").last).to_contain_text("Are you there?")
    expect(page.locator("#status")).to_be_empty()
    page.reload()
    expect(page.get_by_text(HANDED_OVER)).to_be_visible()
    assert said(page)[-1].endswith("Are you there?")
    assert page.complaints == []


def test_a_page_that_opens_again_shows_the_conversation_and_its_address_no_token(open_page, address):
    page = opened(open_page, address)
    page.get_by_label("Your message").fill("Where is AB123456?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("on its way")).to_be_visible()
    before = said(page)
    page.reload()
    expect(page.get_by_text("on its way")).to_be_visible()
    assert said(page) == before
    assert page.url == f"http://{address}/chat"


def test_a_message_outlives_an_interruption_and_is_answered_once(open_page, address):
    page = opened(open_page, address)
    messages = []
    page.on("request", lambda asked: asked.url.endswith("/messages") and messages.append(asked.post_data_json))
    page.context.set_offline(True)
    page.get_by_label("Your message").fill("Where is AB123456?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not connected. Your message is kept")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("on its way")).to_be_visible()
    assert len({each["message_id"] for each in messages}) == 1
    assert len(said(page)) == 3


def test_a_service_that_is_started_again_goes_on_with_the_conversation(open_page, api_runtime):
    runtime = parcel_runtime(api_runtime)
    with serving(runtime) as address:
        page = opened(open_page, address)
        page.get_by_label("Your message").fill("Please send parcel AB123456 to another address, 12 Elm Street.")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Shall I send parcel")).to_be_visible()
    page.get_by_label("Your message").fill("Yes, please.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Not connected. Your message is kept")).to_be_visible()
    other = parcel_runtime(api_runtime, conversations=runtime.conversing.store)
    with serving(other, int(address.rpartition(":")[2])):
        expect(page.get_by_text("Parcel AB123456 goes to 12 Elm Street")).to_be_visible()
    assert len(said(page)) == 5


def test_a_link_with_a_token_opens_its_conversation_only(open_page, api_runtime, tmp_path):
    settings = Settings(state_dir=tmp_path)
    with serving(parcel_runtime(api_runtime, access=open_access(settings))) as address:
        page = open_page()
        token = {"authorization": f"Bearer {local_token(settings).text}"}
        started = page.request.post(f"http://{address}/v1/parcels/conversations", data={}, headers=token).json()
        page.goto(f"http://{address}{started['page']}")
        expect(page.get_by_text(GREETING)).to_be_visible()
        page.get_by_label("Your message").fill("Where is AB123456?")
        page.keyboard.press("Enter")
        expect(page.get_by_text("on its way")).to_be_visible()
        assert started["token"] not in page.url
        kept = page.evaluate("JSON.parse(sessionStorage.conversation).token")
        assert kept not in (None, started["token"])  # renewed by the answer
        page.evaluate("""() => { const kept = JSON.parse(sessionStorage.conversation);
                               sessionStorage.conversation = JSON.stringify({...kept, token: 'expired'}); }""")
        page.reload()
        expect(page.locator("#status")).to_have_text(re.compile("no longer good"))
        stranger = open_page()
        stranger.goto(f"http://{address}/chat#task=parcels&conversation={started['conversation_id']}")
        expect(stranger.locator("#status")).to_have_text(re.compile("no longer good"))
        expect(stranger.get_by_label("Your message")).to_be_hidden()


@pytest.mark.parametrize(("scheme", "media"), LOOKS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_violates_no_rule_of_wcag(open_page, address, width, scheme, media):
    page = opened(open_page, address, width, color_scheme=scheme)
    page.get_by_label("Your message").fill("I want a human about AB123456")
    page.keyboard.press("Enter")
    expect(page.get_by_text(HANDED_OVER)).to_be_visible()
    page.emulate_media(media=media)
    assert violations(page) == []


def test_the_keyboard_reaches_what_was_said_the_message_and_the_button(open_page, address):
    page = opened(open_page, address)
    page.locator(".skip").focus()
    reached, bare = focus_path(page)  # it goes on where the page had the focus
    assert [name.split(" ")[0] for name in reached] == ["SECTION", "TEXTAREA", "BUTTON"]
    assert bare == []
