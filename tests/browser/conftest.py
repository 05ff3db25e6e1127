"""Debian's chromium behind playwright, and a page that remembers every complaint and every request it made."""

import shutil

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium():
    """A browser; ended after each module, since playwright's loop would stop the asyncio tests of other files."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # what a busy machine may need; a page that answers takes no longer for it

    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no chromium on PATH: `make test` installs it as root; else apt-get install chromium")
    with sync_playwright() as playwright:
        # Its sandbox needs rights that root in a container has not.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Open pages of a width; each has ``complaints`` (console, exceptions, failed loads) and ``hosts`` it asked."""
    contexts = []

    def opened(width=1400, **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.complaints, page.hosts = [], set()
        page.on("console", lambda said: said.type in ("error", "warning") and page.complaints.append(said.text))
        page.on("pageerror", lambda err: page.complaints.append(str(err)))
        page.on(
            "request", lambda asked: page.hosts.add(asked.url.split("/")[2] if "://" in asked.url else asked.url[:5])
        )
        return page

    yield opened
    for context in contexts:
        context.close()
