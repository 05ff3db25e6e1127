"""The smoke test: a version of the service is ready, and a model answers a request about the canary account.

The canary is a customer that nobody is. Its history is written here, anew each week, because the service forgets what is old.
"""

import uuid
from datetime import UTC, datetime, time, timedelta
from typing import Any

import httpx2

from service.kit.aws.bounded import translated
from service.kit.aws.stores import INTERACTIONS
from service.kit.frame.errors import StoreError

_TIMEOUT_S = 15.0


_HISTORY = (
    (9, "billing", "Customer disputed a charge of $45.00 on the last bill.", "case opened"),
    (4, "billing", "Customer asked about the dispute. The billing department has not decided yet.", "no decision yet"),
    (1, "technical", "Router restarted twice a day. Agent replaced it.", "router replaced"),
)


def write_history(dynamodb: Any, table: str, account: str, now: datetime) -> None:
    """Write this week's history of the canary into ``table``, the same at each call; ``dynamodb`` is a boto3 client.

    Raises:
        StoreError: the table does not take it.
    """
    monday = datetime.combine(now.astimezone(UTC).date(), time(12), UTC) - timedelta(days=now.weekday())
    items = [
        {
            INTERACTIONS.partition: {"S": account},
            INTERACTIONS.sort: {"S": f"{monday - timedelta(days=days):%Y-%m-%dT%H:%M:%S.000Z}#canary-{days}"},
            "channel": {"S": "agent"},
            "intent": {"S": intent},
            "text": {"S": text},
            "outcome": {"S": outcome},
        }
        for days, intent, text, outcome in _HISTORY
    ]
    with translated(f"table {table!r}"):
        left = dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})
    if left["UnprocessedItems"]:
        raise StoreError(f"table {table!r} is too busy for the canary's history")


def smoke_problem(url: str, account: str, token: str, *, key: str = "") -> str | None:
    """Return why the service at ``url`` should get no traffic, or None. ``key`` is that of a gateway, which has no ``/readyz``.

    It asks about a new contact, so that no stored summary is the answer.
    """
    body = {"account_number": account, "contact_id": f"smoke-{uuid.uuid4().hex}"}
    headers = ({"Authorization": f"Bearer {token}"} if token else {}) | ({"x-api-key": key} if key else {})
    try:
        with httpx2.Client(base_url=url, timeout=_TIMEOUT_S, headers=headers) as http:
            for method, path in (
                (("POST", "/omni-channel-insights"),)
                if key
                else (("GET", "/readyz"), ("POST", "/omni-channel-insights"))
            ):
                answer = http.request(method, path, json=body if method == "POST" else None)
                if answer.status_code != 200:
                    return f"{answer.request.url.path} answered {answer.status_code}"
            return _unanswered(answer.json())
    except (httpx2.HTTPError, ValueError, KeyError) as err:
        return f"{type(err).__name__}: {err!s:.200}"


def _unanswered(answer: dict[str, Any]) -> str | None:
    if answer["interactions_considered"] == 0:
        return "no model was asked: the canary account has no history"
    if answer["degraded"]:
        return "no model answered: the summary is the digest"
    if answer["cache_hit"] or answer["model_used"] == "none":
        return f"no model answered: model_used is {answer['model_used']!r}, cache_hit {answer['cache_hit']}"
    return None


def token_of(url: str, client_id: str, client_secret: str, *, key: str = "") -> str:
    """Return a token for a client of the service at ``url``.

    Raises:
        httpx2.HTTPError: the service does not answer, or refuses the client.
        KeyError, ValueError: its answer holds no token.
    """
    fields = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    with httpx2.Client(base_url=url, timeout=_TIMEOUT_S, headers={"x-api-key": key} if key else {}) as http:
        return str(http.post("/oauth/token", data=fields).raise_for_status().json()["access_token"])
