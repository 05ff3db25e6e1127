"""The API's page: everything comes from this service, nothing is inline, and a content security policy says so."""

import re

import pytest
from starlette.testclient import TestClient

from service.api.assets import ASSETS, FOLDER
from service.app import create_app


@pytest.fixture
def client(api_runtime):
    with TestClient(create_app(runtime=api_runtime())) as client:
        yield client


def test_the_page_loads_nothing_from_another_host(client):
    page = client.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {address for address in loaded if not address.startswith(("/", "#", "data:,"))} == set()
    assert all(client.get(address).status_code == 200 for address in loaded if address.startswith("/"))
    for name in ASSETS["docs"]:
        assert not re.search(r"https?://|//cdn", (FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", ["/docs", *(f"/docs/{name}" for name in ASSETS["docs"]), "/docs/none.js"])
def test_every_part_has_a_strict_policy(client, path):
    policy = client.get(path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_nothing_is_inline_and_no_text_becomes_markup(client):
    page = client.get("/docs").text
    assert not re.search(r"<script(?![^>]*src=)|<style| on\w+=| style=", page)
    script = (FOLDER / "docs.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|localStorage|sessionStorage", script
    )


@pytest.mark.parametrize("name", ["..%2fassets.py", "dashboards.html", "../docs.html", "docs.html"])
def test_no_other_file_is_served(client, name):
    assert client.get(f"/docs/{name}").status_code == 404
