"""``token`` and ``client``: access to the service."""

from typing import Annotated

import typer

from service.display.terminal import say


def token(
    scope: Annotated[str | None, typer.Option(help="Space-separated scopes; default: all.")] = None,
) -> None:
    """Print a token for this machine's own client, valid for one hour."""
    from service.access.control import local_token
    from service.access.errors import InvalidScope
    from service.errors import ConfigurationError
    from service.settings import Settings

    try:
        say(local_token(Settings(), scope).text)
    except InvalidScope as err:
        raise ConfigurationError(str(err)) from err


def client(
    name: Annotated[str, typer.Argument(help="Letters, digits and ._-")],
    tenant: Annotated[
        str | None, typer.Option(help="Tenant whose forms, calls and results it may see; default: none.")
    ] = None,
    scopes: Annotated[str, typer.Option(help="Space-separated.")] = "summaries feedback",
) -> None:
    """Add a client that may get tokens, or give an existing one a second secret; prints the secret once."""
    from service.access.control import add_client
    from service.settings import Settings

    settings = Settings()
    secret = add_client(settings, name, scopes.split(), tenant=tenant)
    say(f"client {name} in {settings.access_folder / 'clients.json'}; its secret, shown this once:")
    say(secret)
