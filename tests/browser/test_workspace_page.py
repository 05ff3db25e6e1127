"""The page in Amazon Connect's agent workspace: the contact comes from a host that speaks the SDK's messages."""

import json
import re
from pathlib import Path

import pytest
from axe import WIDTHS, violations
from desk_page import PIECES, Desk, RestartableService, ToldModel, told_runtime
from playwright.sync_api import expect

from service.access.account_tokens import account_token
from service.access.control import local_token, open_access
from service.kit.settings import Settings

pytestmark = pytest.mark.slow
HOST = (Path(__file__).parent / "connect_host.js").read_text(encoding="utf-8")
ACCOUNT, CONTACT = "1234567890", "a1b2c3d4-contact"
SCOPE = {"type": "contact", "contactId": CONTACT}


@pytest.fixture
def service():
    made = RestartableService()
    yield made
    made.stop()


@pytest.fixture
def desk(service):
    made = Desk(framing=True)
    made.service = service.address
    yield made
    made.close()


@pytest.fixture
def workspace(open_page, service, desk, api_runtime, tmp_path):
    """Open the page in the workspace's frame; ``token`` makes the contact's token of the account's real one."""
    settings = Settings(state_dir=tmp_path / "state", embed_origins=(desk.origin,))
    access = open_access(settings)
    caller = access.verify(f"Bearer {local_token(settings).text}", "summaries")
    real = account_token(access.tokens, caller, ACCOUNT).text

    def opened(width=1400, scope=SCOPE, token=lambda real: real, attributes=None, runtime=None, query=""):
        service.start(runtime or told_runtime(api_runtime, ToldModel(), settings=settings, access=access))
        page = open_page(width)
        page.goto(desk.origin)
        given = {"omni_account": ACCOUNT, "omni_token": token(real)} if attributes is None else attributes
        page.evaluate(HOST, [service.address, scope, given, query])
        return page

    return opened


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.acceptance("operation-13")
def test_the_open_contacts_summary_is_shown(workspace, width):
    page = workspace(width)
    asked = []
    page.on("request", lambda each: each.url.endswith("/omni-channel-insights") and asked.append(each.post_data))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("".join(PIECES))).to_be_visible()
    expect(frame.locator("#said")).to_be_empty()
    assert json.loads(asked[0]) == {
        "account_number": ACCOUNT, "contact_id": CONTACT, "initial_contact_id": "first-contact",
    }  # fmt: skip
    assert page.evaluate("window.asked") == ["contact/getAttributes", "contact/getInitialContactId"]
    assert page.complaints == []
    inner = page.frames[1]
    assert inner.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(inner) == []


def test_the_address_of_the_app_names_the_gateways_key(workspace):
    page = workspace(query="?gateway-key=of-all-browsers")
    sent = []
    page.on("request", lambda each: each.url.endswith("/omni-channel-insights") and sent.append(each.headers))
    expect(page.frame_locator("iframe").get_by_text("".join(PIECES))).to_be_visible()
    assert [headers["x-api-key"] for headers in sent] == ["of-all-browsers"]


def test_a_token_that_has_expired_is_asked_for_again(workspace):
    page = workspace(token=lambda real: "expired")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Your access to summaries has expired.")).to_be_visible()
    assert page.evaluate("window.asked").count("contact/getAttributes") == 2


@pytest.mark.parametrize(
    ("scope", "attributes", "said"),
    [
        (SCOPE, {}, "No customer is known for this contact."),
        ({"type": "idle"}, None, "The summary appears when a contact is open."),
    ],
)
def test_a_workspace_without_a_customer(workspace, scope, attributes, said):
    page = workspace(scope=scope, attributes=attributes)
    expect(page.frame_locator("iframe").get_by_text(re.compile(re.escape(said)))).to_be_visible()


def test_outside_of_the_workspace_the_page_says_where_it_belongs(workspace, service):
    page = workspace()
    page.goto(f"http://{service.address}/workspace")
    expect(page.get_by_text("Open this page as an app of Amazon Connect's agent workspace.")).to_be_visible()


def test_no_other_site_may_frame_the_page(open_page, service, api_runtime, workspace):
    page = workspace()
    expect(page.frame_locator("iframe").get_by_text("".join(PIECES))).to_be_visible()
    stranger = Desk(framing=True)
    stranger.service = service.address
    other = open_page()
    other.goto(stranger.origin)
    with other.expect_console_message(lambda said: "frame-ancestors" in said.text):
        other.evaluate(HOST, [service.address, SCOPE, {}])
    stranger.close()
