"""The interaction store against a local DynamoDB (ministack): filter, paging, window, malformed items, timeouts."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.core.unit.interaction import HistoryFilter, Interaction
from service.interactions.items import sort_key, to_item
from service.interactions.reader import InteractionPage, InteractionStore
from service.interactions.table import InteractionTable
from service.kit.aws.clients import client
from service.kit.aws.queries import DynamoQueries
from service.kit.frame.errors import ConfigurationError, StoreError
from service.kit.settings import Settings
from service.local import aws
from service.local.loopback import port_taken
from service.local.samples import SAMPLE_CUSTOMERS, sample_histories

NOW = datetime(2025, 12, 8, 12, 0, tzinfo=UTC)
TABLE = "interactions-under-test"


@pytest.fixture(scope="module")
def settings(own_aws: Any) -> Settings:
    return own_aws(interactions_table=TABLE)


@pytest.fixture(scope="module")
def dynamodb(settings: Settings) -> Iterator[Any]:
    made = client("dynamodb", settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def written(dynamodb: Any) -> InteractionTable:
    return InteractionTable(dynamodb, TABLE)


Read = Callable[..., InteractionPage]


@pytest.fixture(scope="module")
def read(settings: Settings, dynamodb: Any) -> Read:
    """Read one account's page; ``of`` replaces settings, ``table`` the table."""

    def page(
        account: str, *, of: Settings = settings, table: str = TABLE, timeout_s: float = 10.0, **wanted: Any
    ) -> InteractionPage:
        async def once() -> InteractionPage:
            made = client("dynamodb", of)
            async with DynamoQueries.beside(made, of) as queries:
                store = InteractionStore(queries, table, timeout_s=timeout_s)
                return await store.history(account, HistoryFilter(**wanted), NOW)

        return asyncio.run(once())

    return page


def _interaction(name: str, *, minutes_ago: float, channel: str = "agent") -> Interaction:
    return Interaction.model_validate(
        {
            "interaction_id": name,
            "channel": channel,
            "timestamp": NOW - timedelta(minutes=minutes_ago),
            "intent": "billing",
            "text": f"note {name}",
        }
    )


def _names(page: InteractionPage) -> list[str]:
    return [item.interaction_id for item in page.interactions]


@pytest.mark.acceptance("request.max_interactions")
def test_newest_come_back_oldest_first(written: InteractionTable, read: Read) -> None:
    written.put_many("ordered-1", [_interaction(f"i{n}", minutes_ago=n) for n in range(1, 41)])
    page = read("ordered-1", max_interactions=3)
    assert _names(page) == ["i3", "i2", "i1"]
    assert page.interactions[0] == _interaction("i3", minutes_ago=3)
    assert page.pages == 1
    assert page.consumed_capacity > 0


@pytest.mark.acceptance("request.channel_filter")
def test_rare_channel_is_found_behind_many_others(written: InteractionTable, read: Read) -> None:
    # Limit counts items before the filter, so one page of ten items would contain no sms.
    items = [_interaction(f"c{n}", minutes_ago=n, channel="chat") for n in range(1, 200)]
    items += [_interaction(f"s{n}", minutes_ago=300 + n, channel="sms") for n in range(1, 4)]
    written.put_many("rare-1", items)
    page = read("rare-1", max_interactions=2, channel_filter=("sms", "email"))
    assert _names(page) == ["s2", "s1"]
    assert page.pages > 5


def test_fewer_than_wanted_is_everything(written: InteractionTable, read: Read) -> None:
    written.put_many("few-1", [_interaction("a", minutes_ago=2), _interaction("b", minutes_ago=1)])
    assert _names(read("few-1", max_interactions=200, channel_filter=("agent",))) == ["a", "b"]
    assert _names(read("nobody-1")) == []


@pytest.mark.acceptance("request.max_history_days")
def test_the_window_includes_both_ends_and_nothing_outside(written: InteractionTable, read: Read) -> None:
    day = 24 * 60.0
    written.put_many(
        "window-1",
        [
            _interaction("too-old", minutes_ago=30 * day + 0.001),
            _interaction("oldest", minutes_ago=30 * day),
            _interaction("now", minutes_ago=0),
            _interaction("future", minutes_ago=-0.001),
        ],
    )
    assert _names(read("window-1", max_history_days=30)) == ["oldest", "now"]


def test_other_accounts_stay_out(written: InteractionTable, read: Read) -> None:
    written.put_many("mine-1", [_interaction("mine", minutes_ago=1)])
    written.put_many("mine-12", [_interaction("theirs", minutes_ago=1)])
    assert _names(read("mine-1")) == ["mine"]


def test_malformed_item_is_skipped_and_the_next_one_takes_its_place(
    written: InteractionTable, read: Read, dynamodb: Any
) -> None:
    written.put_many("bad-1", [_interaction(f"i{n}", minutes_ago=n) for n in (2, 3)])
    bad = to_item("bad-1", _interaction("i1", minutes_ago=1)) | {"channel": {"S": "pigeon"}}
    dynamodb.put_item(TableName=TABLE, Item=bad)
    with capture_logs() as logs:
        page = read("bad-1", max_interactions=2)
    assert (_names(page), page.skipped) == (["i3", "i2"], 1)
    assert "DYNAMODB_ITEM_SKIPPED" in [entry["event"] for entry in logs]


def test_a_history_is_never_empty_while_it_is_replaced(
    written: InteractionTable, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`omni up` loads the samples again under the running service; all their times are another day's then."""
    written.put_many("replace-2", [_interaction(f"old{n}", minutes_ago=n) for n in range(1, 31)])
    write, seen = written._client.batch_write_item, []

    def write_and_read(**arguments: Any) -> Any:
        answer = write(**arguments)
        seen.append(len(_names(read("replace-2"))))
        return answer

    monkeypatch.setattr(written._client, "batch_write_item", write_and_read)
    written.replace("replace-2", [_interaction("new", minutes_ago=60)])
    assert seen
    assert min(seen) > 0
    assert _names(read("replace-2")) == ["new"]


def test_replace_replaces_the_whole_history(written: InteractionTable, read: Read) -> None:
    written.put_many("replace-1", [_interaction(f"old{n}", minutes_ago=n) for n in range(1, 31)])
    written.replace("replace-1", [_interaction("new", minutes_ago=5)])
    assert _names(read("replace-1")) == ["new"]
    written.replace("replace-1", [])
    assert _names(read("replace-1")) == []


def test_missing_table_is_a_store_error_with_the_remedy(read: Read) -> None:
    with pytest.raises(StoreError, match="omni up"):
        read("a-1", table="no-such-table")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])


def test_silent_store_is_a_store_error(read: Read, settings: Settings, silent_port: int) -> None:
    silent = settings.model_copy(update={"aws_endpoint": f"http://127.0.0.1:{silent_port}", "store_timeout_s": 0.2})
    with pytest.raises(StoreError, match=r"no answer within 0\.2 s"):
        read("a-1", of=silent, timeout_s=0.2)
    with pytest.raises(StoreError, match=r"no answer within 0\.2 s"):
        read("a-1", of=silent, timeout_s=10.0)  # one query's own bound


def test_the_local_stand_in_is_reached_without_the_environments_proxy(
    written: InteractionTable, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.put_many("proxied-1", [_interaction("a", minutes_ago=1)])
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert _names(read("proxied-1")) == ["a"]


def test_absent_store_is_a_store_error(read: Read, settings: Settings) -> None:
    absent = settings.model_copy(update={"aws_endpoint": "http://127.0.0.1:1"})
    with pytest.raises(StoreError, match="ClientConnectorError"):
        read("a-1", of=absent)


def test_samples_are_there_and_loading_again_changes_nothing(dynamodb: Any, settings: Settings) -> None:
    async def counts() -> dict[str, int]:
        wanted = HistoryFilter(max_interactions=200)
        now = datetime.now(UTC)
        async with DynamoQueries.beside(dynamodb, settings) as queries:
            store = InteractionStore(queries, TABLE, timeout_s=10.0)
            return {name: len((await store.history(name, wanted, now)).interactions) for name in SAMPLE_CUSTOMERS}

    before = asyncio.run(counts())
    assert aws.start(settings) is False
    assert asyncio.run(counts()) == before == {"1234567890": 5, "2000000001": 17, "3000000003": 0}


def test_sample_days_count_back_from_today() -> None:
    early, late = (sample_histories(datetime(2026, 1, day).date()) for day in (1, 2))
    assert set(early) == set(SAMPLE_CUSTOMERS)
    for account in early:
        assert [item.timestamp + timedelta(days=1) for item in early[account]] == [i.timestamp for i in late[account]]
        assert len({sort_key(item) for item in early[account]}) == len(early[account])


def test_data_survives_a_stop(written: InteractionTable, read: Read, settings: Settings) -> None:
    written.put_many("kept-1", [_interaction("kept", minutes_ago=1)])
    assert aws.ministack(settings).stop() is True
    assert aws.start(settings) is True
    assert _names(read("kept-1")) == ["kept"]


def test_data_survives_a_kill(written: InteractionTable, read: Read, settings: Settings) -> None:
    written.put_many("kept-2", [_interaction("kept", minutes_ago=1)])
    process, saved = aws.ministack(settings), settings.state_dir / "ministack" / "state" / "dynamodb.json"
    until = time.monotonic() + 60
    while not (saved.exists() and "kept-2" in saved.read_text(encoding="utf-8")):
        assert time.monotonic() < until, "the state was not saved"
        time.sleep(0.2)
    pid = process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while process.pid() is not None or port_taken(settings.local.aws_port):  # the kernel may close its sockets later
        assert time.monotonic() < until, "the port is not free"
        time.sleep(0.05)
    assert aws.start(settings) is True
    assert _names(read("kept-2")) == ["kept"]


def test_taken_port_and_other_settings_are_clear_errors(settings: Settings, silent_port: int) -> None:
    elsewhere = settings.model_copy(update={"local_aws_port": silent_port})
    with pytest.raises(ConfigurationError, match="runs with other settings"):
        aws.start(elsewhere)
    with pytest.raises(ConfigurationError, match=f"port {silent_port} is taken"):
        aws.start(elsewhere.model_copy(update={"state_dir": settings.state_dir / "second"}))
