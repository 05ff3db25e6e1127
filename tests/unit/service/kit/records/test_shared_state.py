"""Writes to the shared table whose answers are lost."""

from botocore.exceptions import ConnectionClosedError

from service.kit.aws.stores import SHARED
from service.kit.records.dynamo import DynamoRows
from service.kit.records.shared_state import SharedState


class Client:
    """Loses the answers to the first ``lost`` transactions, and notes the token of each."""

    def __init__(self, lost):
        self.lost, self.tokens = lost, []

    def transact_write_items(self, *, TransactItems, ClientRequestToken):  # noqa: N803 - boto3's names
        self.tokens.append(ClientRequestToken)
        if len(self.tokens) <= self.lost:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")


def test_a_write_is_repeated_as_the_same_transaction_so_that_it_never_meets_its_own_version():
    client = Client(lost=2)
    state = SharedState(DynamoRows(client, SHARED, "shared", timeout_s=5), scope="prod", now=lambda: 0.0)
    state.put("access", "client/a", "text", expected=3)
    assert (len(client.tokens), len(set(client.tokens))) == (3, 1)
    state.put("access", "client/a", "text", expected=4)
    assert len(set(client.tokens)) == 2
