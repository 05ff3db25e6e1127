"""A reader of interactions with a span and a throttle counter around it."""

from datetime import datetime

from botocore.exceptions import ClientError

from service import metrics, tracing
from service.errors import StoreError
from service.interaction import HistoryFilter
from service.stores.interactions import InteractionPage, InteractionReader

# What DynamoDB and S3 call it, https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html.
_THROTTLES = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "SlowDown"}
)


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
                if is_throttle(err):
                    metrics.count(metrics.THROTTLES, "dynamodb")
                raise
            span.set("db.response.returned_rows", len(page.interactions))
            return page


def is_throttle(err: StoreError) -> bool:
    """Return whether a store refused because it gets too much, as its adapter's cause says."""
    cause = err.__cause__
    return isinstance(cause, ClientError) and cause.response.get("Error", {}).get("Code") in _THROTTLES
