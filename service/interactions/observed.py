"""Adds a trace span and a throttle counter to a reader of interactions."""

from datetime import datetime

from service.core.unit.interaction import HistoryFilter
from service.interactions.reader import InteractionPage, InteractionReader, InteractionStore
from service.kit.aws.bounded import StoreThrottled
from service.kit.aws.queries import TableQueries
from service.kit.frame.errors import StoreError
from service.kit.settings import Settings
from service.kit.telemetry import metrics, tracing


class ObservedInteractions:
    """Passes reads on to another reader, in a span, and counts throttles."""

    def __init__(self, reader: InteractionReader) -> None:
        self._reader = reader

    async def history(self, account_number: str, history_filter: HistoryFilter, as_of: datetime) -> InteractionPage:
        """See ``InteractionReader.history``."""
        attributes = {"db.system.name": "aws.dynamodb", "db.operation.name": "Query"}
        with tracing.span("Query interactions", "client", attributes) as span:
            try:
                page = await self._reader.history(account_number, history_filter, as_of)
            except StoreError as err:
                if isinstance(err, StoreThrottled):
                    metrics.count(metrics.THROTTLES, "dynamodb")
                raise
            span.set("db.response.returned_rows", len(page.interactions))
            return page


def build_interactions(settings: Settings, queries: TableQueries) -> ObservedInteractions:
    """Return the reader of the table that the settings name, without contacting AWS."""
    stores = settings.stores
    return ObservedInteractions(
        InteractionStore(queries, stores.interactions_table, timeout_s=stores.history_timeout_s)
    )
