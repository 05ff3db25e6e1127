"""Buckets, a queue, tables, two tenants and a warehouse: what the tests of the call pipeline work in."""

import hashlib
import io
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from queues import UntilEmpty, announced

from service.calls.failure import Waiting
from service.calls.hear.transcriber import Heard
from service.calls.keys import job_name
from service.calls.result import CallResult
from service.calls.store.form_store import FormStore
from service.calls.store.objects import CallInputs, TenantResults
from service.calls.tenants.store import ConfiguredTenant
from service.calls.worker.build import build_worker
from service.calls.worker.dead_letters import CallLetters
from service.calls.worker.worker import CallWorker
from service.core.tasks.scorecard.form import Form
from service.core.tasks.scorecard.transcript import Turn
from service.kit.aws.event_queue import Announced, QueueMessage
from service.kit.settings import REPO_ROOT, Settings
from service.local.stores.deploy import deploy_stores
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import CALL_EVENTS

ACME, BRAND = "acme", "brand"
TURNS = [
    {"speaker": "agent", "start_s": 0.0, "text": "Good morning, you are through to Sam at Acme, how can I help you today?"},
    {"speaker": "customer", "start_s": 5.0, "text": "My name is Delphine Marchetti, card 4111 1111 1111 1111, my bill is wrong."},
    {"speaker": "agent", "start_s": 12.0, "text": "I am sorry to hear that, I have corrected the bill for you."},
]  # fmt: skip


def make_form(tenant: str, form_id: str = "support", **changes: Any) -> Form:
    criteria = [
        {"id": "greet", "question": "Did the agent say good morning and help?", "weight": 1, "required": True},
        {"id": "sorry", "question": "Was the agent sorry to hear of the trouble?", "weight": 1},
        {"id": "notice", "question": "Did the agent announce the recording purposes?", "weight": 1},
    ]
    fields = {"form_id": form_id, "tenant": tenant, "name": "Support", "version": 1, "pass_threshold": 0.5}
    return Form.model_validate({**fields, "sections": [{"id": "all", "title": "All", "criteria": criteria}]} | changes)


class EndingJob:
    """A transcription that ends when ``ended`` is set."""

    language = "en-US"
    ended = False

    def hear(self, source: Any, body: bytes, facts: Any) -> Heard:
        if not self.ended:
            raise Waiting(job_name(source))
        return Heard(turns=tuple(Turn.model_validate(turn) for turn in TURNS), by="job", job=job_name(source))


@dataclass
class CallPlace:
    """Buckets, a queue, tables and a warehouse that no other test uses."""

    settings: Settings
    worker: CallWorker

    def put(self, key: str, turns: Any = TURNS, **more: Any) -> None:
        self.put_bytes(key, json.dumps({"turns": turns, **more}).encode())

    def put_bytes(self, key: str, body: bytes, **metadata: str) -> None:
        announced(self.worker.queue, lambda: self.worker.inputs.put(key, body, metadata))

    def jobs(self, tenant: str) -> dict[str, Any]:
        return {job.source.key.rpartition("/")[2]: job for job in self.worker.jobs.of(tenant)}

    def result(self, job: Any) -> CallResult:
        text = self.worker.results(job.tenant).read(job.result_key)
        assert text is not None
        return CallResult.model_validate_json(text)

    def letters(self, tenant: str) -> dict[str, Any]:
        return {letter.about.key: letter for letter in CallLetters(self.worker.results(tenant)).waiting()}

    def tables(self) -> dict[str, str]:
        """Return the tables in a fixed order without moments, which differ from run to run."""
        moments = {"scored_at", "overridden_at", "latency_ms"}
        with closing(DuckWarehouse(self.settings.warehouse_file, wait_s=10)) as warehouse:
            return {
                event.table: warehouse.query(
                    f"SELECT {', '.join(name for name in event.model_fields if name not in moments)} FROM {event.table} "
                    f"ORDER BY {', '.join(name for name in event.key if name not in moments)}"
                ).to_csv(index=False)
                for event in CALL_EVENTS
            }


async def make_place(stack: Settings, folder: Path, name: str) -> CallPlace:
    settings = stack.model_copy(
        update={
            "calls_bucket": f"in-{name}",
            "results_bucket": f"out-{name}",
            "calls_queue": f"calls-{name}",
            "calls_table": f"jobs-{name}",
            "config_table": f"config-{name}",
            "warehouse_path": folder / "w.duckdb",
            "state_dir": folder,
        }
    )
    deploy_stores(settings)
    worker = build_worker(settings, pair="keywords")
    # A copy that waits for its original is seen again after a second.
    worker = replace(worker, queue=UntilEmpty(worker.queue), visible_after_s=1)
    for tenant in (ACME, BRAND):
        await add_tenant(worker, tenant)
    return CallPlace(settings=settings, worker=worker)


class BucketsInMemory:
    """What boto3's S3 client does for calls, in this process."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], tuple[bytes, dict[str, Any]]] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str = "", **more: Any) -> None:  # noqa: N803
        if IfNoneMatch and (Bucket, Key) in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[Bucket, Key] = Body, more

    def get_object(self, *, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        body, more = self._at(Bucket, Key)
        return _listed(Key, body) | {"Body": io.BytesIO(body), "ContentLength": len(body)} | more

    def get_object_tagging(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        name, _, value = self._at(Bucket, Key)[1]["Tagging"].partition("=")
        return {"TagSet": [{"Key": name, "Value": value}]}

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        self.objects.pop((Bucket, Key), None)

    def get_paginator(self, _: str) -> "BucketsInMemory":
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803
        found = [(key, body) for (bucket, key), (body, _) in self.objects.items() if bucket == Bucket]
        return [{"Contents": [_listed(key, body) for key, body in sorted(found) if key.startswith(Prefix)]}]

    def _at(self, bucket: str, key: str) -> tuple[bytes, dict[str, Any]]:
        if (bucket, key) not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return self.objects[bucket, key]


def _listed(key: str, body: bytes) -> dict[str, Any]:
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return {"Key": key, "ETag": f'"{etag}"', "Size": len(body), "LastModified": datetime(2026, 11, 21, tzinfo=UTC)}


class QueueInMemory:
    """Announces every object of the inputs to each ``receive`` until its message is deleted."""

    def __init__(self, inputs: CallInputs) -> None:
        self.inputs, self.done = inputs, set[str]()

    def waiting(self) -> tuple[int]:
        return (sum(f"{item.key} {item.etag}" not in self.done for item in self.inputs.listed()),)

    def receive(self, **_: Any) -> list[QueueMessage]:
        objects = [Announced(key=item.key, etag=item.etag) for item in self.inputs.listed()]
        named = {f"{one.key} {one.etag}": one for one in objects}
        return [
            QueueMessage(receipt=name, objects=(one,), understood=True)
            for name, one in named.items()
            if name not in self.done
        ]

    def keep(self, receipts: list[str], *, visible_after_s: int) -> None:
        """Nothing is hidden from other readers."""

    def delete(self, receipts: list[str]) -> None:
        self.done.update(receipts)


async def place_in_memory(folder: Path) -> CallPlace:
    """Return a place without an AWS, whose tables and buckets end with the test."""
    settings = Settings(state_dir=folder, warehouse_path=folder / "w.duckdb", redactor="patterns", environment="local")
    worker, buckets = build_worker(settings, pair="keywords"), BucketsInMemory()
    inputs = CallInputs(buckets, "in")
    config: Any = worker.tenants.tenants._rows
    worker = replace(
        worker,
        inputs=inputs,
        results=partial(TenantResults, buckets, "out"),
        forms=FormStore(config, timeout_s=5, now=worker.now),
        queue=QueueInMemory(inputs),
    )
    for tenant in (ACME, BRAND):
        await add_tenant(worker, tenant)
    return CallPlace(settings=settings, worker=worker)


async def add_tenant(worker: CallWorker, tenant: str, form: Form | None = None) -> None:
    forms: Any = worker.forms
    worker.tenants.tenants.add(ConfiguredTenant(tenant=tenant, name=tenant))
    form = form or make_form(tenant)
    saved = await forms.save_draft(form, edit=0, who="dana")
    await forms.activate(tenant, form.form_id, edit=saved.edit, who="dana")


def omni_calls(settings: Settings, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``omni calls`` with these words on a place's stores, in a process of its own; ``more`` is further environment."""
    named = {
        "OMNI_STATE_DIR": str(settings.state_dir), "OMNI_AWS_ENDPOINT": str(settings.aws.endpoint),
        "OMNI_WAREHOUSE_PATH": str(settings.warehouse_file), "OMNI_REDACTOR": "patterns", "OMNI_STORE_TIMEOUT_S": "20",
        "OMNI_CALLS_BUCKET": settings.calls.bucket, "OMNI_RESULTS_BUCKET": settings.calls.results_bucket,
        "OMNI_CALLS_QUEUE": settings.calls.queue, "OMNI_CALLS_TABLE": settings.calls.table,
        "OMNI_CONFIG_TABLE": settings.stores.config_table,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "omni", "calls", *words, "--pair", "keywords"],
        env={**os.environ, **named, **more},
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
