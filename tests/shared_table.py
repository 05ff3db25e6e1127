"""A stand-in for the shared table in unit tests: in memory, and down, or silent after a write, when a test says so."""

from decimal import Decimal

from service.kit.aws.shared_state import SharedItem, SharedState, SharedStateChanged
from service.kit.frame.errors import StoreError


class TableInMemory(SharedState):
    def __init__(self):
        super().__init__(None, "shared", scope="test")
        self.found = {}
        self.changed = {}
        self.down = self.silent = False
        self.writes = 0

    def _reach(self):
        if self.down:
            raise StoreError("table 'shared' cannot be reached: ConnectTimeoutError")

    def _wrote(self):
        self.writes += 1
        if self.silent:
            raise StoreError("table 'shared' cannot be reached: ReadTimeoutError")

    def get(self, partition, key):
        self._reach()
        return self.found.get((partition, key))

    def items(self, partition, *, first=" ", last="~"):
        self._reach()
        return [item for (at, key), item in sorted(self.found.items()) if at == partition and first <= key <= last]

    def put(self, partition, key, text, *, expected=None, expires_at=None):
        self._reach()
        before = self.found.get((partition, key))
        version = 0 if before is None else before.version
        if expected is not None and expected != version:
            raise SharedStateChanged("changed")
        self.found[partition, key] = SharedItem(key=key, text=text, version=version + 1)
        self.announce(partition)
        self._wrote()

    def put_quietly(self, partition, key, text, *, expires_at):
        self._reach()
        self.found[partition, key] = SharedItem(key=key, text=text, version=1)
        self._wrote()

    def delete(self, partition, key, *, expected=None):
        self._reach()
        self.found.pop((partition, key), None)
        self.announce(partition)

    def add(self, partition, key, amounts, *, writer, batch, expires_at):
        self._reach()
        item = self.found.get((partition, key)) or SharedItem(key=key, text=None, version=0)
        if item.batches.get(writer, 0) >= batch:
            return False
        counts = {name: item.counts.get(name, Decimal(0)) + amounts.get(name, 0) for name in {*item.counts, *amounts}}
        self.found[partition, key] = SharedItem(
            key=key, text=None, version=0, counts=counts, batches={**item.batches, writer: batch}
        )
        self._wrote()
        return True

    def announce(self, partition):
        self._reach()
        self.changed[partition] = self.changed.get(partition, 0) + 1

    def changes(self):
        self._reach()
        return dict(self.changed)
