"""A reader of interactions with a span and a throttle counter around it."""

from datetime import datetime

from service.aws.bounded import StoreThrottled
from service.errors import StoreError
from service.interactions.interaction import HistoryFilter
from service.interactions.reader import InteractionPage, InteractionReader
from service.telemetry import metrics, tracing


class ObservedInteractions:
    """Passes reads on to another reader."""

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
