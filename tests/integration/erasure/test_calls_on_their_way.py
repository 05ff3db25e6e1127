"""A call that is being scored, or waits to be, while its customer is erased: nothing of it is stored afterwards."""

import asyncio
import time
from contextlib import closing
from dataclasses import replace

import pytest
from call_place import TURNS, make_place

from service.access.control import account_key
from service.calls.keys import NO_TENANT
from service.calls.redact.transcript import PatternRedactor
from service.kit.aws.clients import client
from service.kit.records.tombstones import REFRESH_S
from service.kit.telemetry.fields import set_account_key
from service.privacy.erasure.build import build_eraser
from service.privacy.erasure.eraser import ErasureOrder
from service.privacy.erasure.identity import CustomerIds
from service.warehouse import open_warehouse

pytest.importorskip("ministack", reason="the local AWS is a development dependency: make setup")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
GONE, STAYS = "crm_2026_0099", "crm_2026_0100"


@pytest.fixture(scope="module")
def stack(local_aws):
    made = local_aws(store_timeout_s=20.0, redactor="patterns", warehouse_redactor="patterns")
    set_account_key(account_key(made))
    return made


def _erase(place):
    ids = CustomerIds()
    ids.learn("account", "3308126945")
    ids.learn("contact", GONE)
    eraser = replace(build_eraser(place.settings, "acme"), sleep=lambda seconds: time.sleep(REFRESH_S))
    assert eraser.erase(ErasureOrder(account="3308126945", tenant="acme", reason="case 3", by="dpo"), ids).left == 0


class _ErasedMeanwhile(PatternRedactor):
    """The customer is erased while the transcript of the call is in the worker's memory."""

    def __init__(self, place):
        super().__init__()
        self.place, self.begun = place, False

    def redact(self, turns, own):
        if not self.begun:
            self.begun = True
            _erase(self.place)
        return super().redact(turns, own)


def _kept(place):
    """Every key and text of the results, every item of the table, and every row about calls."""
    s3, dynamodb, stores = client("s3", place.settings), client("dynamodb", place.settings), place.settings.calls
    found = [str(item) for item in dynamodb.scan(TableName=stores.table)["Items"]]
    for one in s3.list_objects_v2(Bucket=stores.results_bucket).get("Contents", ()):
        with s3.get_object(Bucket=stores.results_bucket, Key=one["Key"])["Body"] as body:
            found.append(one["Key"] + body.read().decode())
    with closing(open_warehouse(place.settings)) as warehouse:
        warehouse.migrate()
        found += [str(row) for row in warehouse.query("SELECT * FROM omni_calls").to_dict("records")]
    return found


def _is_about(contact, place, kept):
    ids = {job.call_id for job in place.worker.jobs.of("acme") if contact in job.source.key}
    return [text for text in kept if any(one in text for one in {contact, *ids})]


@pytest.mark.acceptance("operation-19")
def test_a_call_that_is_scored_while_its_customer_is_erased_leaves_nothing(stack, tmp_path):
    place = asyncio.run(make_place(stack, tmp_path, "erased-meanwhile"))
    place.put(f"acme/calls/{GONE}.json", TURNS)
    worker = replace(place.worker, redactor=_ErasedMeanwhile(place))
    asyncio.run(worker.drain())
    assert worker.redactor.begun
    asyncio.run(worker.drain())
    assert _kept(place) == []


def test_a_call_that_waits_in_the_queue_while_its_customer_is_erased_is_not_begun(stack, tmp_path):
    place = asyncio.run(make_place(stack, tmp_path, "erased-before"))
    for contact in (GONE, STAYS):
        place.put(f"acme/calls/{contact}.json", TURNS if contact == GONE else TURNS[:2])
    _erase(place)
    asyncio.run(place.worker.drain())
    kept = _kept(place)
    assert _is_about(GONE, place, kept) == []
    assert len(_is_about(STAYS, place, kept)) >= 4  # state, transcript, result and row
    assert place.letters("acme") == place.letters(NO_TENANT) == {}
