"""Steps of those who ask from outside through the gateway: a desktop with the widget, people's pages in a browser, Salesforce."""

import asyncio
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
from aiohttp import web

from omni.deploying.rehearsal.account import CannotDeploy
from omni.deploying.rehearsal.steps import RehearsalSteps, Unexpected, expect
from omni.deploying.rehearsal.world import LocalProduction
from service.kit.settings import REPO_ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

STEPS = RehearsalSteps()
_GUIDE = REPO_ROOT / "docs" / "guides" / "widget.md"
_CREDENTIAL = (
    REPO_ROOT / "infra/salesforce/force-app/main/default/namedCredentials/OmniInsights.namedCredential-meta.xml"
)
# Each page with what it shows before anybody has signed in.
_PAGES = {"/dashboards": "#token", "/qa": "#client", "/agent": "#client", "/chat": "#message"}
_PATIENCE_MS = 30_000.0


@contextmanager
def _browser() -> Iterator["Browser"]:
    from playwright.sync_api import Error, sync_playwright

    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        raise CannotDeploy("chromium, in which pages are opened, is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        # Its sandbox needs rights that root in a container has not.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        except Error as err:
            raise Unexpected(f"Chromium: {err.message.splitlines()[0]}") from err
        finally:
            browser.close()


@STEPS.step("Salesforce through the gateway", "200, with what its named credential sends")
def _salesforce(world: LocalProduction) -> str:
    """The headers of the committed named credential, a token by client credentials, and the request of the Apex class."""
    header = (
        r"<parameterName>([^<]+)</parameterName>\s*<parameterType>HttpHeader</parameterType>\s*<parameterValue>([^<]*)<"
    )
    told = dict(re.findall(header, _CREDENTIAL.read_text(encoding="utf-8")))
    headers = {name: value.replace("GATEWAY-KEY", world.gateway_key) for name, value in told.items()}
    body = {"account_number": world.customers[0], "contact_id": "a0B5e000001"}
    got = world.ask("/omni-channel-insights", body, key=False, authorization=world.bearer, **headers)
    expect(
        got.status_code == 200,
        f"{got.status_code} with the headers {', '.join(headers) or 'of none'}: {got.text[:100]}",
    )
    return f"200 with {', '.join(headers)}"


@STEPS.step("People's pages in a browser", "open behind the gateway, and nothing of theirs is refused a route")
def _pages(world: LocalProduction) -> str:
    """Each page at the root, where a domain's mapping puts it, with the browsers' key in its first address."""
    root, problems = world.gateway.rpartition("/")[0], []
    with _browser() as browser:
        for path, shows in _PAGES.items():
            page = browser.new_page()
            answers = _answers(page)
            page.goto(f"{root}{path}?gateway-key={world.gateway_key}", wait_until="networkidle", timeout=_PATIENCE_MS)
            refused = [answer for answer in answers if answer.status in (403, 404)]
            if refused or page.locator(shows).count() == 0:
                told = ", ".join(f"{one.status} for {one.url.partition('?')[0].removeprefix(root)}" for one in refused)
                problems.append(f"{path}: {told or f'shows no {shows}'}")
            page.close()
    expect(not problems, "; ".join(problems))
    return f"{', '.join(_PAGES)} open in Chromium"


def _answers(page: "Page") -> list["Response"]:
    """Return a list to which the page's answers are added."""
    found: list[Response] = []

    def keep(answer: "Response") -> None:
        found.append(answer)

    page.on("response", keep)
    return found


@STEPS.step("The widget in a browser", "two customers one after the other, by the guide's snippet")
def _widget(world: LocalProduction) -> str:
    """The guide's own HTML and JavaScript in a page of another origin; the agent opens one contact, then another's."""
    first, second = world.customers[:2]
    with _desktop(world, first), _browser() as browser:
        page = browser.new_page()
        page.goto(world.desk, timeout=_PATIENCE_MS)
        texts = [_shown(page, 1)]
        page.evaluate(
            """(account) => {
                 const widget = document.querySelector("omni-summary");
                 widget.setAttribute("account-number", account);
                 widget.setAttribute("contact-id", "abc-123-another");
               }""",
            second,
        )
        texts.append(_shown(page, 2))
        asked = page.evaluate("window.asked")
    expect([*dict.fromkeys(asked)] == [first, second], f"tokens were asked for {asked}, not for {[first, second]}")
    expect(texts[0] != texts[1], "the second customer's contact shows the first one's summary")
    return (
        f"both summaries in Chromium, of {len(texts[0])} and {len(texts[1])} characters, each with a token of its own"
    )


def _shown(page: "Page", contacts: int) -> str:
    """Return what the widget shows when so many contacts have come to an end."""
    page.wait_for_function("(count) => window.ended >= count", arg=contacts, timeout=_PATIENCE_MS)
    widget = page.locator("omni-summary")
    text, state = " ".join(widget.locator("section").inner_text().split()), widget.get_attribute("state")
    expect(state in ("ready", "cached"), f"{state}: {text[:200]}")
    return text


@contextmanager
def _desktop(world: LocalProduction, account: str) -> Iterator[None]:
    """Serve an agent's desktop, made of the guide's snippets, at the origin that the stack lets in."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_page(world, account), content_type="text/html")

    async def token(request: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(_token, world, request.query["account"]))

    async def start() -> web.AppRunner:
        app = web.Application()
        app.add_routes([web.get("/", page), web.get("/token", token)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        host, port = world.desk.removeprefix("http://").split(":")
        await web.TCPSite(runner, host, int(port)).start()
        return runner

    runner = world.loop.run(start())
    try:
        yield
    finally:
        world.loop.run(runner.cleanup())


def _page(world: LocalProduction, account: str) -> str:
    text = _GUIDE.read_text(encoding="utf-8")
    (html,) = [
        block for block in re.findall(r"^```html\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "omni-summary" in block
    ]
    (script,) = re.findall(r"^```js\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    html = html.replace("https://omni.example.com", world.gateway.rpartition("/")[0]).replace("1234567890", account)
    html = html.replace("<omni-summary ", f'<omni-summary gateway-key="{world.gateway_key}" ')
    server = """
      window.asked = [];
      window.ended = 0;
      const tokenOfOurServer = async (account) => {
        window.asked.push(account);
        return (await fetch(`/token?account=${account}`)).text();
      };
      document.querySelector("omni-summary").addEventListener("omni-state", ({ detail }) => {
        window.ended += ["ready", "cached", "degraded", "empty", "error"].includes(detail.state);
      });"""
    head = '<!doctype html><title>Desk</title><link rel="icon" href="data:,">'
    return f'{head}{html}<script type="module">{server}{script}</script>'


def _token(world: LocalProduction, account: str) -> str:
    """Return a token for one customer, as the desktop's server asks for it."""
    headers = {"authorization": world.bearer, "x-api-key": world.gateway_key}
    url = f"{world.gateway}/account-token"
    got = httpx2.post(url, json={"account_number": account}, headers=headers, timeout=30)
    return str(got.raise_for_status().json()["token"])
