"""Reads a Kinesis stream: each shard from where the last reader stopped, in batches, at least once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from service.kit.aws.bounded import translated
from service.kit.frame.errors import StoreError
from service.kit.records.shared_state import SharedState
from service.loading.customers.intake import BATCH_EVENTS, CustomerIntake
from service.loading.customers.quality import QualityReport
from service.loading.customers.record import ArrivedEvent

_PARTITION = "customer-stream"
_AT_ONCE = 1_000  # records of one call; Kinesis sends at most 10,000


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerStream:
    """Takes a stream's events in. ``client`` is boto3's; ``shared`` keeps how far each shard was read.

    How far is noted after a batch is in the warehouse, so a killed reader repeats a batch, which changes nothing.
    """

    client: Any
    name: str
    intake: CustomerIntake
    shared: SharedState

    def drain(self) -> Iterator[QualityReport]:
        """Take in what waits in all shards now; yield a report per batch.

        Raises:
            StoreError: the stream does not answer, or there is none of this name.
        """
        for shard in self._shards():
            yield from self._drain_shard(shard)

    def _shards(self) -> list[str]:
        found: list[str] = []
        more: dict[str, Any] = {"StreamName": self.name}
        while more:
            page = self._called("list_shards", more)
            found += [shard["ShardId"] for shard in page["Shards"]]
            more = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        return sorted(found)  # a shard's children have greater ids, so what was split is read in order

    def _drain_shard(self, shard: str) -> Iterator[QualityReport]:
        iterator: str | None = self._begin(shard)
        batch: list[ArrivedEvent] = []
        last = ""
        while iterator is not None:
            page = self._called("get_records", {"ShardIterator": iterator, "Limit": _AT_ONCE})
            for record in page["Records"]:
                last = record["SequenceNumber"]
                source = f"{self.name}/{shard}/{last}"
                arrived_at = record["ApproximateArrivalTimestamp"]
                batch.append(ArrivedEvent(source=source, body=record["Data"], arrived_at=arrived_at))
            at_end = not page["Records"] and not page.get("MillisBehindLatest")
            if batch and (at_end or len(batch) >= BATCH_EVENTS):
                yield self.intake.take(batch, f"{self.name}/{shard}/{last}")
                self.shared.put(_PARTITION, f"{self.name}/{shard}", last)
                batch = []
            iterator = None if at_end else page.get("NextShardIterator")
        if batch:  # a shard that was split ends without an empty page
            yield self.intake.take(batch, f"{self.name}/{shard}/{last}")
            self.shared.put(_PARTITION, f"{self.name}/{shard}", last)

    def _begin(self, shard: str) -> str:
        noted = self.shared.get(_PARTITION, f"{self.name}/{shard}")
        at: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if noted is not None and noted.text:
            at = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": noted.text}
        found = self._called("get_shard_iterator", {"StreamName": self.name, "ShardId": shard, **at})
        return str(found["ShardIterator"])

    def _called(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        call: Callable[..., dict[str, Any]] = getattr(self.client, operation)
        try:
            with translated(f"stream {self.name!r}"):
                return call(**arguments)
        except StoreError as err:
            code = getattr(err.__cause__, "response", {}).get("Error", {}).get("Code")
            if code == "ResourceNotFoundException":
                raise StoreError(f"there is no stream {self.name!r}: create it, or correct the name") from err
            raise
