"""``token`` and ``client``: who may call the service."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare both commands."""
    token = add("token", help="print a token of one hour for this machine's own client")
    token.add_argument("--scope", help="space-separated scopes (default: all)")
    token.set_defaults(run=_token)
    client = add("client", help="add a client, or give one a further secret; prints the secret once")
    client.add_argument("name", help="letters, digits and ._-")
    client.add_argument("--tenant", help="whose forms, calls and results it may see (default: no tenant's)")
    client.add_argument("--scopes", default="summaries feedback", help="space-separated (default: %(default)s)")
    client.set_defaults(run=_client)


def _token(settings: "Settings", options: argparse.Namespace) -> int:
    from service.access.control import local_token
    from service.access.errors import InvalidScope
    from service.errors import ConfigurationError

    try:
        print(local_token(settings, options.scope).text)
    except InvalidScope as err:
        raise ConfigurationError(str(err)) from err
    return 0


def _client(settings: "Settings", options: argparse.Namespace) -> int:
    from service.access.control import add_client

    secret = add_client(settings, options.name, options.scopes.split(), tenant=options.tenant)
    print(f"client {options.name} in {settings.access_folder / 'clients.json'}; its secret, shown this once:")
    print(secret)
    return 0
