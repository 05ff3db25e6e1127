"""The pages in a browser behind the gateway's own document: only its routes lead anywhere, and operations need its key."""

import json
import re
from functools import partial

import pytest
from access_place import keep_clients
from assistant_service import assistant_runtime
from loopback import serving
from playwright.sync_api import expect

from service.access.clients import new_secret
from service.access.control import open_access
from service.dashboards.reader import DashboardReader, read_warehouse
from service.kit.settings import REPO_ROOT, Settings

pytestmark = pytest.mark.slow
DOCUMENT = json.loads((REPO_ROOT / "infra" / "cdk" / "openapi.json").read_text(encoding="utf-8"))
KEY = "key-of-the-agents-browsers"
SECRET = new_secret()


class Gateway:
    """What Amazon API Gateway does with the document: other routes are 403, and so is an operation without its key."""

    def __init__(self, app):
        self.app = app
        self.routes = [
            (method.upper(), re.compile(re.sub(r"{\w+}", "[^/]+", path)), "security" in operation)
            for path, item in DOCUMENT["paths"].items()
            for method, operation in item.items()
        ]

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            asked = [
                keyed
                for method, path, keyed in self.routes
                if method == scope["method"] and path.fullmatch(scope["path"])
            ]
            key = dict(scope["headers"]).get(b"x-api-key", b"").decode()
            if not asked or (all(asked) and key != KEY):
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": b'{"detail": "Forbidden"}'})
                return
        await self.app(scope, receive, send)


@pytest.fixture
def refused(open_page):
    """Open a page behind the gateway; return it with the list of what the gateway or the service refused."""

    def opened(address, path, key=KEY):
        page, found = open_page(), []
        page.on("response", lambda answer: answer.status >= 400 and found.append((answer.status, answer.url)))
        page.goto(f"http://{address}{path.replace('#', f'?gateway-key={key}#')}")
        return page, found

    return opened


@pytest.mark.acceptance("operation-21")
def test_a_customer_and_an_agent_talk_behind_the_gateway(refused, api_runtime, monkeypatch):
    with serving(assistant_runtime(api_runtime, monkeypatch), around=Gateway) as address:
        chat, refused_chat = refused(address, "/chat#task=assistant")
        expect(chat.get_by_text("How can I assist you today?")).to_be_visible()
        chat.get_by_label("Your message").fill("Let me speak to a person please")
        chat.keyboard.press("Enter")
        expect(chat.locator("#queue")).to_contain_text(re.compile("next in line|number"))
        desk, refused_desk = refused(address, "/agent#")
        desk.get_by_label("Your name, as customers see it").fill("Anna")
        desk.get_by_role("button", name=re.compile("^Take: Asked for a person")).click()
        expect(desk.get_by_role("heading", name="Asked for a person")).to_be_visible()
        desk.goto(f"http://{address}/agent")  # the tab has kept the key
        desk.get_by_role("button", name=re.compile("^Open: Asked for a person")).click()
        expect(desk.get_by_role("heading", name="Asked for a person")).to_be_visible()
        assert refused_chat == refused_desk == []


def test_without_the_key_the_page_opens_and_its_operations_do_not(refused, api_runtime, monkeypatch):
    with serving(assistant_runtime(api_runtime, monkeypatch), around=Gateway) as address:
        page, found = refused(address, "/agent#", key="another")
        expect(page.get_by_text("This id may not take handovers.")).to_be_visible()
        assert {url.partition("/v1/")[2] for _, url in found} == {"handovers"}


@pytest.fixture
def figures(api_runtime, tmp_path, hand_made_warehouse):
    settings = Settings(state_dir=tmp_path / "state", access_dir=tmp_path / "access")
    keep_clients(settings, SECRET, ops=["operator"], lead={"scopes": ["calls"], "tenant": "acme"})
    hand_made_warehouse(settings.warehouse_file)
    reader = DashboardReader(partial(read_warehouse, settings), cache_s=0)
    return api_runtime(settings=settings, access=open_access(settings), dashboards=reader)


@pytest.mark.acceptance("operation-21")
def test_operators_see_figures_behind_the_gateway(refused, figures):
    with serving(figures, around=Gateway) as address:
        page, found = refused(address, "/dashboards#")
        page.fill("#token", figures.access.tokens.issue("ops", SECRET, None).text)
        page.keyboard.press("Enter")
        expect(page.locator(".visual").first).to_be_visible()
        assert found == [(401, f"http://{address}/v1/dashboards")]  # before the sign-in


@pytest.mark.acceptance("operation-21")
def test_qa_leads_sign_in_behind_the_gateway(refused, figures):
    with serving(figures, around=Gateway) as address:
        page, found = refused(address, "/qa#")
        page.fill("#client", "lead")
        page.fill("#secret", SECRET)
        page.keyboard.press("Enter")
        with page.expect_response(lambda answer: "/v1/" in answer.url) as asked:
            pass
        assert asked.value.status not in (401, 403)
        assert not [url for status, url in found if status == 403]
