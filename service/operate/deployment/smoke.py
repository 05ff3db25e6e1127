"""The smoke test: a version of the service is ready, and a model answers a request about the canary account."""

import uuid

import httpx2

_TIMEOUT_S = 15.0


def smoke_problem(url: str, account: str, token: str) -> str | None:
    """Return why the service at ``url`` should get no traffic, or None. A new contact, so no stored summary is the answer."""
    body = {"account_number": account, "contact_id": f"smoke-{uuid.uuid4().hex}"}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx2.Client(base_url=url, timeout=_TIMEOUT_S, headers=headers) as http:
            for answer in (http.get("/readyz"), http.post("/omni-channel-insights", json=body)):
                if answer.status_code != 200:
                    return f"{answer.request.url.path} answered {answer.status_code}"
            return "no model answered: the summary is the digest" if answer.json()["degraded"] else None
    except (httpx2.HTTPError, ValueError, KeyError) as err:
        return f"{type(err).__name__}: {err!s:.200}"


def token_of(url: str, client_id: str, client_secret: str) -> str:
    """Return a token for a client of the service at ``url``.

    Raises:
        httpx2.HTTPError: the service does not answer, or refuses the client.
        KeyError, ValueError: its answer holds no token.
    """
    fields = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    with httpx2.Client(base_url=url, timeout=_TIMEOUT_S) as http:
        return str(http.post("/oauth/token", data=fields).raise_for_status().json()["access_token"])
