"""The contact flow's function: a token for the identified customer's account, and no fault stops the flow."""

import httpx2
import pytest
from access_place import keep_clients

from service.access.clients import new_secret
from service.access.control import open_access
from service.app import create_app
from service.channels.amazon_lex.contact_flow import attributes_for
from service.channels.amazon_lex.service_client import ServiceClient
from service.kit.settings import Settings

SECRET, LONG_S, ACCOUNT = new_secret(), 60, "1234567890"


def event(**given):
    contact = {
        "ContactId": "c-1",
        "Channel": "VOICE",
        "Attributes": {},
        "CustomerEndpoint": {"Address": "+447700900123"},
    }
    return {"Name": "ContactFlowEvent", "Details": {"ContactData": contact, "Parameters": given}}


@pytest.fixture
def runtime(api_runtime, tmp_path):
    settings = Settings(state_dir=tmp_path)
    keep_clients(settings, SECRET, connect=["summaries", "feedback"], other=["operator"])
    return api_runtime(settings=settings, access=open_access(settings))


def service_of(runtime, client_id="connect"):
    app = create_app(runtime=runtime)
    app.state.runtime = runtime
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")
    return ServiceClient(http=http, task="", timeout_s=LONG_S, client_id=client_id, client_secret=SECRET)


async def test_the_contact_gets_its_account_and_a_token_that_opens_its_summaries(runtime):
    service = service_of(runtime)
    found = await attributes_for(event(account_number=ACCOUNT), service, timeout_s=LONG_S)
    assert set(found) == {"omni_account", "omni_token"}
    assert all(isinstance(value, str) and len(value) < 2048 for value in found.values())
    answers = [
        await service.http.post(
            "/omni-channel-insights",
            json={"account_number": account, "contact_id": "c-1"},
            headers={"authorization": f"Bearer {found['omni_token']}"},
        )
        for account in (found["omni_account"], "9999999999")
    ]
    assert [answer.status_code for answer in answers] == [200, 403]


@pytest.mark.parametrize("wrong", [event(), event(account_number=""), {}, None, event(account_number="1" * 40)])
async def test_an_event_without_an_account_sets_nothing(runtime, wrong):
    assert await attributes_for(wrong, service_of(runtime), timeout_s=LONG_S) == {}


@pytest.mark.parametrize("client_id", ["other", "nobody"])
async def test_a_client_that_may_not_ask_sets_nothing(runtime, client_id):
    assert await attributes_for(event(account_number=ACCOUNT), service_of(runtime, client_id), timeout_s=LONG_S) == {}


async def test_a_service_that_is_away_sets_nothing():
    def fails(request):
        raise httpx2.ConnectError("refused")

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(fails), base_url="http://test")
    away = ServiceClient(http=http, task="", timeout_s=1, client_id="connect", client_secret=SECRET)
    assert await attributes_for(event(account_number=ACCOUNT), away, timeout_s=LONG_S) == {}
