"""Requests a one-time link to the dashboards from the running service."""

import http.client
import json
import urllib.error
import urllib.request

from service.kit.frame.errors import ConfigurationError

_TIMEOUT_S = 10.0


def fetch_link(url: str, token: str) -> str:
    """Return a link to the dashboards of the service at ``url``, valid once and for two minutes.

    Raises:
        ConfigurationError: no service answers there, or it refuses the token.
    """
    base = url.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url!r} is not the address of a service: it must begin with http:// or https://")
    asked = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        f"{base}/dashboards/link", method="POST", data=b"", headers={"authorization": f"Bearer {token}"}
    )
    # Without a proxy, because the token is meant only for this service.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=_TIMEOUT_S) as answer:
            return base + str(json.load(answer)["path"])
    except urllib.error.HTTPError as err:
        with err:
            raise ConfigurationError(
                f"{base} refuses with status {err.code}: check that the service runs on this machine with the same "
                "OMNI_STATE_DIR"
            ) from err
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError, KeyError) as err:
        raise ConfigurationError(
            f"no service answers at {base}: start it (omni serve), or name another: --url"
        ) from err
