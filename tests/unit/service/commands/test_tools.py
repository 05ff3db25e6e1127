"""`omni tools serve` keeps the callbacks that it promises beside `omni up`, and says so where nothing keeps them."""

from datetime import UTC, datetime

import pytest

from service.access.sealing import OwnerOnly
from service.commands.tools import _keeping_callbacks
from service.core.tools.functions import ToolFunction
from service.desk.callback import CallbackBook, CallbackStore
from service.kit.aws.stores import CALLBACKS
from service.kit.records.memory import RowsInMemory
from service.kit.settings import Settings

AT = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


def request_callback(phone: str, *, key: str | None) -> dict[str, str]:
    """Arrange a call."""
    return {
        "callback_id": "c-1",
        "phone": phone,
        "start": "2026-11-24T11:00:00+00:00",
        "due": "2026-11-24T12:00:00+00:00",
    }


def look(place: str) -> dict[str, str]:
    """Look something up."""
    return {"place": place}


OWN = (ToolFunction(call=request_callback, writes=True), ToolFunction(call=look))


@pytest.fixture
def opened(monkeypatch):
    """The settings with which a book was opened, and the store behind it."""
    store, seen = CallbackStore(RowsInMemory(CALLBACKS)), []

    def book(settings, now):
        seen.append(settings)
        return CallbackBook(store=store, sealer=OwnerOnly(), now=lambda: AT)

    monkeypatch.setattr("service.desk.build.callback_book", book)
    return store, seen


def local_aws(monkeypatch, answers):
    monkeypatch.setattr("service.local.loopback.get_json", lambda url: {} if answers else None)


async def test_a_callback_is_kept_in_the_local_aws_that_runs(monkeypatch, opened, capsys):
    local_aws(monkeypatch, answers=True)
    store, seen = opened
    call, _ = _keeping_callbacks(OWN, Settings())
    await call.call(phone="+447700900123", key="k-1")
    assert [one.callback_id for one in store.waiting()] == ["k-1"]
    assert seen[0].aws.endpoint == f"http://127.0.0.1:{Settings().local.aws_port}"
    assert capsys.readouterr().err == ""


def test_where_no_aws_answers_it_is_said_that_no_callback_is_kept(monkeypatch, opened, capsys):
    local_aws(monkeypatch, answers=False)
    assert _keeping_callbacks(OWN, Settings()) == OWN
    assert opened[1] == []
    assert "no callback promised by request_callback is kept" in capsys.readouterr().err


def test_a_task_without_callbacks_needs_no_aws(monkeypatch, opened, capsys):
    local_aws(monkeypatch, answers=False)
    assert _keeping_callbacks(OWN[1:], Settings()) == OWN[1:]
    assert capsys.readouterr().err == ""


def test_the_aws_of_the_settings_is_asked_without_looking_for_a_local_one(monkeypatch, opened):
    local_aws(monkeypatch, answers=False)
    settings = Settings().model_copy(update={"aws_endpoint": "http://aws.test"})
    assert _keeping_callbacks(OWN, settings)[0] is not OWN[0]
    assert opened[1][0].aws.endpoint == "http://aws.test"
