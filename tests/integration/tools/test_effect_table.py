"""What several processes wrote is known to all of them, in a real table of the local AWS."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.aws.clients import client
from service.aws.shared_state import create_shared_table, open_shared_state
from service.errors import StoreError
from service.tools.effect_table import EffectTable
from service.tools.effects import KnownEffect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(local_aws):
    settings = local_aws(shared_table="effects-test")
    create_shared_table(client("dynamodb", settings), settings.stores.shared_table)
    return settings


@pytest.fixture
def ledger(settings):
    return lambda: EffectTable(open_shared_state(settings))


def test_one_of_many_claims_an_effect(ledger):
    def claim(_):
        return asyncio.run(ledger().claim("aa-many", tool="request_callback"))

    with ThreadPoolExecutor(8) as pool:
        known = list(pool.map(claim, range(8)))
    assert known.count(None) == 1
    assert {effect.state for effect in known if effect} == {"claimed"}


def test_what_one_process_wrote_another_repeats(ledger):
    assert asyncio.run(ledger().claim("bb", tool="t")) is None
    asyncio.run(ledger().end("bb", "done", '{"ticket": 7}'))
    assert asyncio.run(ledger().claim("bb", tool="t")) == KnownEffect(state="done", content='{"ticket": 7}')


def test_a_failed_effect_may_be_claimed_again(ledger):
    assert asyncio.run(ledger().claim("cc", tool="t")) is None
    asyncio.run(ledger().end("cc", "failed", "busy"))
    assert asyncio.run(ledger().claim("cc", tool="t")) is None
    assert asyncio.run(ledger().claim("cc", tool="t")) == KnownEffect(state="claimed", content="t")


def test_without_the_table_nothing_is_claimed(settings):
    lost = open_shared_state(settings.model_copy(update={"shared_table": "missing"}))
    with pytest.raises(StoreError):
        asyncio.run(EffectTable(lost).claim("dd", tool="t"))
