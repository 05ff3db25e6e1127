"""The API's page in a browser that reaches this service only: every endpoint is there, and a request can be tried."""

import re
import socket
import threading

import pytest
import uvicorn
from axe import LOOKS, WIDTHS, focus_path, violations
from playwright.sync_api import expect

from service.app import create_app

pytestmark = pytest.mark.slow


@pytest.fixture
def address(api_runtime):
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(runtime=api_runtime()), log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize("width", [1400, 420])
def test_the_page_shows_the_endpoints_and_tries_one_without_the_internet(open_page, address, width):
    page = open_page(width)
    page.goto(f"http://{address}/docs")
    summaries = page.locator("summary")
    expect(summaries.filter(has_text="/omni-channel-insights")).to_be_visible()
    health = page.locator("details", has=page.locator("code", has_text="/healthz"))
    health.locator("summary").click()
    health.get_by_role("button", name="Send GET /healthz").click()
    expect(health.locator("pre")).to_contain_text('"status": "ok"')
    insights = page.locator("details", has=page.locator("code", has_text="/omni-channel-insights")).first
    insights.locator("summary").click()
    expect(insights.locator("textarea")).to_have_value(re.compile('"account_number": "1234567890"'))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.hosts - {"data:"} <= {address}
    assert page.complaints == []


@pytest.mark.parametrize(("scheme", "media"), LOOKS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_violates_no_rule_of_wcag(open_page, address, width, scheme, media):
    page = open_page(width, color_scheme=scheme)
    page.goto(f"http://{address}/docs")
    expect(page.locator("summary").filter(has_text="/omni-channel-insights")).to_be_visible()
    page.evaluate("() => document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    page.emulate_media(media=media)
    assert violations(page) == []


def test_the_keyboard_reaches_every_endpoint(open_page, address):
    page = open_page()
    page.goto(f"http://{address}/docs")
    expect(page.locator("summary").filter(has_text="/omni-channel-insights")).to_be_visible()
    reached, bare = focus_path(page)
    assert sum(name.startswith("SUMMARY") for name in reached) == page.locator("summary:visible").count()
    assert bare == []
