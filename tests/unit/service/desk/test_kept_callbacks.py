"""What the assistant's tool promises is written down, once, moved when the customer changes their mind, or not promised."""

from datetime import UTC, datetime, timedelta

import pytest

from service.access.sealing import OwnerOnly
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tools.functions import ToolFunction
from service.core.tools.port import ToolError
from service.core.tools.serving import build_task_tools
from service.desk.callback import CallbackBook, CallbackStore
from service.desk.tool import TOOL, with_kept_callbacks
from service.kit.aws.stores import CALLBACKS
from service.kit.frame.errors import StoreError
from service.kit.records.memory import RowsInMemory
from service.kit.settings import Settings

AT = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


@pytest.fixture
def store():
    return CallbackStore(RowsInMemory(CALLBACKS))


@pytest.fixture
def functions(store, monkeypatch):
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: AT)
    monkeypatch.setattr(tools, "live_bank", lambda: bank)
    return with_kept_callbacks(tools.FUNCTIONS, CallbackBook(store=store, sealer=OwnerOnly(), now=lambda: AT))


@pytest.fixture
def ask(functions):
    return next(one.call for one in functions if one.name == TOOL)


@pytest.mark.acceptance("connect-12", "connect-16")
async def test_a_promise_is_written_down_with_the_time_that_the_customer_was_told(ask, store):
    answer = await ask("07700 900123", key="k-1")
    assert await ask("07700 900123", key="k-1") == answer
    (made,) = store.waiting()
    assert made.callback_id == "k-1"
    assert (made.next_at, made.due_at) == tuple(datetime.fromisoformat(answer[name]) for name in ("start", "due"))
    assert OwnerOnly().open(made.sealed_phone, "k-1") == b"+447700900123"


@pytest.mark.acceptance("handover-13")
async def test_another_time_moves_the_open_callback_and_a_later_request_is_a_new_one(ask, store):
    await ask("07700 900123", key="k-1")
    moved = await ask("07700 900123", "afternoon", key="k-2")
    (made,) = store.waiting()
    assert (made.callback_id, made.due_at) == ("k-1", datetime.fromisoformat(moved["due"]))
    store.put(made.given_up("no_answer", AT))
    await ask("07700 900123", key="k-3")
    assert [one.callback_id for one in store.waiting()] == ["k-3"]


async def test_while_the_customer_is_rung_no_other_time_is_promised(ask, store):
    await ask("07700 900123", key="k-1")
    (made,) = store.waiting()
    ringing = store.put(made.taken("worker-1", AT, timedelta(minutes=10)))
    with pytest.raises(ToolError, match="being rung"):
        await ask("07700 900123", "afternoon", key="k-2")
    assert store.waiting() == [ringing]


@pytest.mark.acceptance("handover-13")
async def test_while_the_store_is_down_nothing_is_promised_and_a_repetition_is_kept(ask, store, monkeypatch):
    def down(_):
        raise StoreError("down")

    with monkeypatch.context() as patched:
        patched.setattr(store, "add", down)
        with pytest.raises(ToolError, match="promise none"):
            await ask("07700 900123", key="k-1")
    await ask("07700 900123", key="k-1")
    assert [one.callback_id for one in store.waiting()] == ["k-1"]


async def test_a_refused_number_and_another_tasks_tool_of_this_name_write_nothing(ask, store):
    with pytest.raises(ToolError):
        await ask("0905 123 4567", key="k-1")

    def request_callback(phone: str) -> str:
        """Note a number."""
        return phone

    (other,) = with_kept_callbacks(
        [ToolFunction(call=request_callback, writes=True)],
        CallbackBook(store=store, sealer=OwnerOnly(), now=lambda: AT),
    )
    assert await other.call("077") == "077"
    assert store.waiting() == []


async def test_a_server_offers_the_tools_as_before(functions):
    listed = [
        await build_task_tools(Settings(), {"assistant": some}, None)["assistant"].open_tools().listed()
        for some in (functions, tools.FUNCTIONS)
    ]
    assert listed[0] == listed[1]
    assert [one.takes_key for one in functions] == [one.takes_key for one in tools.FUNCTIONS]
