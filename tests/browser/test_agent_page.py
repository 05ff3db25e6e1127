"""The agent's page beside the customer's chat: taken, answered, ended, by keyboard, on a phone, and by two agents at once."""

import re
from datetime import UTC, datetime

import pytest
from access_place import keep_clients
from assistant_service import assistant_runtime
from axe import LOOKS, WIDTHS, focus_path, violations
from loopback import serving
from playwright.sync_api import expect

from service.access.clients import new_secret
from service.access.control import open_access
from service.access.sealing import OwnerOnly
from service.desk.callback import CallbackBook, CallbackStore
from service.kit.aws.stores import CALLBACKS
from service.kit.records.memory import RowsInMemory
from service.kit.settings import Settings

pytestmark = pytest.mark.slow
STORY = ("I'd like to open a savings account in a branch", "Let me speak to a person please")
GREETING = "How can I assist you today?"


@pytest.fixture
def callbacks():
    return CallbackStore(RowsInMemory(CALLBACKS))


@pytest.fixture
def address(api_runtime, monkeypatch, callbacks):
    book = CallbackBook(store=callbacks, sealer=OwnerOnly(), now=lambda: datetime.now(UTC))
    with serving(assistant_runtime(api_runtime, monkeypatch, book=book)) as found:
        yield found


def customer(open_page, address, *messages, width=1400):
    """Open a chat whose customer is handed over."""
    page = open_page(width)
    page.goto(f"http://{address}/chat#task=assistant")
    expect(page.get_by_text(GREETING)).to_be_visible()
    for message in messages or ("Let me speak to a person please",):
        page.get_by_label("Your message").fill(message)
        page.keyboard.press("Enter")
        expect(page.locator("#said li").last).to_contain_text("AI assistant")
    expect(page.locator("#queue")).to_contain_text(re.compile("next in line|number"))
    return page


def agent(open_page, address, width=1400, name="Anna", **options):
    page = open_page(width, **options)
    page.goto(f"http://{address}/agent")
    expect(page.get_by_label("Your name, as customers see it")).to_be_visible()
    page.get_by_label("Your name, as customers see it").fill(name)
    return page


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.acceptance("connect-15", "handover-15")
def test_an_agent_takes_a_customer_and_both_talk(open_page, address, width):
    chat = customer(open_page, address, *STORY)
    expect(chat.locator("#queue")).to_have_text("You're next in line. A specialist will be with you shortly.")
    desk = agent(open_page, address, width)
    expect(desk.get_by_text("1 customer waits")).to_be_visible()
    desk.get_by_role("button", name=re.compile("^Take: Asked for a person")).focus()
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("heading", name="Asked for a person")).to_be_visible()
    expect(desk.locator("#facts")).to_contain_text("I'd like to open a savings account in a branch")
    expect(desk.locator("#collected")).to_contain_text("savings account")
    expect(desk.locator("#said li").last).to_contain_text("next in line")
    expect(desk.get_by_label("Your message to the customer")).to_be_focused()
    expect(chat.get_by_text("You are talking with Anna from our team.")).to_be_visible()
    expect(chat.locator("#queue")).to_be_hidden()
    desk.keyboard.type("Hello, which branch?")
    desk.keyboard.press("Enter")
    expect(chat.locator("#said li").last).to_have_text(re.compile("Anna.*Hello, which branch", re.DOTALL))
    chat.get_by_label("Your message").fill("The one in Leeds")
    chat.keyboard.press("Enter")
    expect(desk.locator("#said li").last).to_have_text(re.compile("Customer.*Leeds", re.DOTALL))
    assert desk.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.get_by_role("button", name="Resolved").click()
    expect(desk.get_by_text("The conversation has ended: resolved.")).to_be_visible()
    expect(desk.get_by_role("heading", name="No conversation is open")).to_be_visible()
    expect(chat.get_by_text("This conversation has ended.")).to_be_visible()
    expect(chat.get_by_label("Your message")).to_be_hidden()
    assert (chat.complaints, desk.complaints) == ([], [])
    assert desk.hosts - {"data:"} <= {address}


def test_the_faster_of_two_agents_gets_the_customer_and_the_other_is_told(
    open_page, api_runtime, monkeypatch, tmp_path
):
    settings, secret = Settings(state_dir=tmp_path, access_dir=tmp_path / "access"), new_secret()
    scopes = {"anna": "handovers", "bert": "handovers", "web": "task:assistant"}
    keep_clients(settings, secret, **{name: {"scopes": [scope]} for name, scope in scopes.items()})
    access = open_access(settings)
    token = {name: access.tokens.issue(name, secret, None).text for name in scopes}
    with serving(assistant_runtime(api_runtime, monkeypatch, access=access)) as address:
        first, second = open_page(), open_page()
        web = {"authorization": f"Bearer {token['web']}"}
        url = f"http://{address}/v1/assistant/conversations"
        started = first.request.post(url, data={}, headers=web).json()["conversation_id"]
        first.request.post(f"{url}/{started}/messages", data={"message": "I want a human"}, headers=web)
        anna, bert = ({"authorization": f"Bearer {token[name]}"} for name in ("anna", "bert"))
        old = second.request.get(f"http://{address}/v1/handovers", headers=bert).json()
        second.route("**/v1/handovers", lambda route: route.fulfill(json=old))  # a list that is seconds old
        for page, name in ((first, "anna"), (second, "bert")):
            page.goto(f"http://{address}/agent#token={token[name]}")
            page.get_by_label("Your name, as customers see it").fill(name.title())
            assert page.url == f"http://{address}/agent"
        button = re.compile("^Take: ")
        first.get_by_role("button", name=button).click()
        expect(first.get_by_role("heading", name="Asked for a person")).to_be_visible()
        second.get_by_role("button", name=button).click()
        expect(second.locator("#status")).to_have_text(re.compile("nobody waits .* any more; take the next one"))
        expect(second.get_by_role("heading", name="No conversation is open")).to_be_visible()
        assert first.request.get(f"http://{address}/v1/handovers", headers=anna).json()["waiting"] == []


def test_a_callback_is_arranged_from_the_page(open_page, address, callbacks):
    chat = customer(open_page, address)
    desk = agent(open_page, address)
    desk.get_by_role("button", name=re.compile("^Take: ")).click()
    desk.get_by_label("Or call back on").fill("12345")
    desk.get_by_role("button", name="Arrange a callback and end").click()
    expect(desk.locator("#status")).to_contain_text("not a UK phone number")
    desk.get_by_label("Or call back on").fill("07700 900123")
    desk.get_by_role("button", name="Arrange a callback and end").click()
    expect(desk.locator("#status")).to_contain_text("The callback is arranged")
    expect(chat.get_by_text("will call you back within the next hour")).to_be_visible()
    assert len(callbacks.waiting()) == 1


def test_without_a_name_nobody_is_taken(open_page, address):
    customer(open_page, address)
    desk = agent(open_page, address, name="")
    desk.get_by_role("button", name=re.compile("^Take: ")).click()
    expect(desk.locator("#status")).to_have_text("Enter your name first; the customer sees it.")
    expect(desk.get_by_label("Your name, as customers see it")).to_be_focused()


def test_only_an_agent_signs_in_and_the_secret_is_not_kept(open_page, api_runtime, monkeypatch, tmp_path):
    settings, secret = Settings(state_dir=tmp_path, access_dir=tmp_path / "access"), new_secret()
    keep_clients(settings, secret, anna={"scopes": ["handovers"]}, web={"scopes": ["task:assistant"]})
    with serving(assistant_runtime(api_runtime, monkeypatch, access=open_access(settings))) as address:
        page = open_page()
        page.goto(f"http://{address}/agent")
        page.get_by_label("Your id").fill("web")
        page.get_by_label("Your secret").fill(secret)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("These are not the id and secret of an agent.")
        page.get_by_label("Your id").fill("anna")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Nobody waits.")).to_be_visible()
        kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, location.href])")
        assert secret not in kept
        page.reload()
        expect(page.get_by_text("Nobody waits.")).to_be_visible()


@pytest.mark.parametrize(("scheme", "media"), LOOKS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_violates_no_rule_of_wcag(open_page, address, width, scheme, media):
    customer(open_page, address, "My husband has died and I need help with his account")
    chat = customer(open_page, address, *STORY, width=width)
    chat.emulate_media(media=media, color_scheme=scheme)
    assert violations(chat) == []
    page = agent(open_page, address, width, color_scheme=scheme)
    page.get_by_role("button", name=re.compile("^Take: Asked")).first.click()
    expect(page.locator("#said li").first).to_be_visible()
    page.emulate_media(media=media)
    assert violations(page) == []


def test_the_keyboard_reaches_everything_in_its_order(open_page, address):
    customer(open_page, address)
    customer(open_page, address)
    page = agent(open_page, address)
    page.get_by_role("button", name=re.compile("^Take: ")).first.click()
    expect(page.locator("#said li").first).to_be_visible()
    page.locator(".skip").focus()
    reached, bare = focus_path(page)
    assert [name.split(" ")[0] for name in reached] == [
        "INPUT",
        "BUTTON",
        "BUTTON",
        "SECTION",
        "TEXTAREA",
        *["BUTTON"] * 3,
        "INPUT",
        "SELECT",
        "BUTTON",
    ]
    assert bare == []
