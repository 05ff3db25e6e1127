"""The shared table in memory for unit tests: down, or silent after a write, when a test says so."""

from service.kit.aws.stores import SHARED
from service.kit.frame.errors import StoreError
from service.kit.records.memory import RowsInMemory
from service.kit.records.shared_state import SharedState


class _Rows(RowsInMemory):
    """Counts its writes; announcements alone count for nothing."""

    down = silent = False
    writes = 0

    def get(self, key):
        self._reach()
        return super().get(key)

    def page(self, query):
        self._reach()
        return super().page(query)

    def together(self, writes):
        self._reach()
        super().together(writes)
        if any("/changes" not in (write.key or (write.item["pk"],))[0] for write in writes):
            self.writes += 1
            if self.silent:
                raise StoreError("table 'shared' cannot be reached: ReadTimeoutError")

    def _reach(self):
        if self.down:
            raise StoreError("table 'shared' cannot be reached: ConnectTimeoutError")


class TableInMemory(SharedState):
    def __init__(self):
        super().__init__(_Rows(SHARED), scope="test", now=lambda: 0.0)
        self.rows.name = "shared"

    @property
    def found(self):
        """All items but the announcements, by key."""
        return {(item["pk"], item["sk"]): item for item in self.rows.scan() if item["pk"] != "test/changes"}

    @property
    def writes(self):
        return self.rows.writes

    @property
    def down(self):
        return self.rows.down

    @down.setter
    def down(self, value):
        self.rows.down = value

    @property
    def silent(self):
        return self.rows.silent

    @silent.setter
    def silent(self, value):
        self.rows.silent = value
