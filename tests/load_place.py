"""Fixtures for tests of the loader: a bucket that notifies a queue of its objects, and a warehouse."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from queues import UntilEmpty, announced

from service.answers_kept.archive import Archive
from service.kit.aws.clients import client
from service.kit.settings import Settings
from service.loading.balance import balance
from service.loading.build import build_loader
from service.loading.loader import DEAD_PREFIX, Loader
from service.local.stores.deploy import deploy_stores
from service.warehouse.duck import DuckWarehouse
from service.warehouse.events import EVENTS


@dataclass
class LoadPlace:
    """A bucket with its queue, and a warehouse, that no other test uses."""

    settings: Settings
    loader: Loader
    archive: Archive
    s3: Any
    sqs: Any

    @property
    def queue(self) -> Any:
        return self.loader.queue

    def put(self, *records: Any) -> None:
        for record in records:
            self.put_text(record.object_key, record.model_dump_json())

    def put_text(self, key: str, text: str) -> None:
        announced(self.queue, lambda: self.archive.put_json(key, text))

    def close(self) -> None:
        self.s3.close()
        self.sqs.close()

    def open(self) -> DuckWarehouse:
        return DuckWarehouse(self.settings.warehouse_file, wait_s=10)

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        warehouse = self.open()
        found = [tuple(row) for row in warehouse.query(select).itertuples(index=False)]
        warehouse.close()
        return found

    def tables(self) -> dict[str, str]:
        """Return the tables in a fixed order; loads without the time at which they were made."""
        warehouse = self.open()
        found = {
            event.table: warehouse.query(
                f"SELECT {', '.join(event.model_fields)} FROM {event.table} ORDER BY {', '.join(event.key)}"
            ).to_csv(index=False)
            for event in EVENTS
        }
        loads = "SELECT object_key, etag, kind, outcome, reason, row_count FROM omni_loads ORDER BY object_key, etag"
        found["omni_loads"] = warehouse.query(loads).to_csv(index=False)
        warehouse.close()
        return found

    def balanced(self, **changes: Any) -> Any:
        warehouse = self.open()
        try:
            return balance(self.archive, warehouse, **{"since": None, "now": datetime.now(UTC)} | changes)
        finally:
            warehouse.close()

    def dead_letters(self) -> dict[str, dict[str, Any]]:
        found = {}
        for page in self.archive.listed(DEAD_PREFIX):
            for item in page:
                stored = self.archive.read(item.key, most_bytes=100_000)
                assert stored is not None
                assert stored.body is not None
                found[item.key] = json.loads(stored.body)
        return found


def make_place(stack: Settings, folder: Path, name: str) -> LoadPlace:
    settings = stack.model_copy(
        update={
            "archive_bucket": f"bucket-{name}",
            "events_queue": f"queue-{name}",
            "warehouse_path": folder / "w.duckdb",
            "warehouse_redactor": "patterns",  # the same on every machine
        }
    )
    s3, sqs = client("s3", settings), client("sqs", settings)
    for _ in range(2):  # safe to repeat
        deploy_stores(settings)
    loader, archive = build_loader(settings)
    assert loader.queue is not None
    loader = replace(loader, queue=UntilEmpty(loader.queue), visible_after_s=300, report=lambda tally: None)
    loader.prepare_warehouse()
    return LoadPlace(settings, loader, archive, s3, sqs)
