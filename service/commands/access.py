"""``token``, ``client``, ``clients`` and ``token-keys``: access to the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.access.changes import AccessChanges


def token(
    scope: Annotated[str | None, typer.Option(help="Space-separated scopes; default: all.")] = None,
) -> None:
    """Print a token for this machine's own client, valid for one hour."""
    from service.access.control import local_token
    from service.access.errors import InvalidScope
    from service.kit.aws.endpoint import reached
    from service.kit.frame.errors import ConfigurationError

    try:
        with reached() as settings:
            say(local_token(settings, scope).text)
    except InvalidScope as err:
        raise ConfigurationError(str(err)) from err


def client(
    name: Annotated[str, typer.Argument(help="Letters, digits and ._-")],
    tenant: Annotated[
        str | None, typer.Option(help="Tenant whose forms, calls and results it may see; default: none.")
    ] = None,
    scopes: Annotated[
        str,
        typer.Option(
            help="Space-separated: summaries feedback operator tools handovers calls forms tenants task:NAME task:*"
        ),
    ] = "summaries feedback",
    revoke: Annotated[bool, typer.Option("--revoke", help="Refuse it and all its tokens from now on.")] = False,
) -> None:
    """Add a client that may get tokens, or give an existing one a second secret; prints the secret once."""
    _check_tasks(scopes.split())
    with _changes() as changes:
        if revoke:
            changes.revoke_client(name)
            say(f"client {name} is revoked; every service refuses it within five seconds")
            return
        secret = changes.add_client(name, scopes.split(), tenant=tenant)
    say(f"client {name} may ask for tokens in five seconds; its secret, shown this once:")
    say(secret)


def _check_tasks(scopes: list[str]) -> None:
    """Refuse the scope of a task that does not exist: a typing error would be a client that may do nothing."""
    from service.access.clients import EVERY_TASK

    named = [scope.partition(":")[2] for scope in scopes if scope.startswith("task:") and scope != EVERY_TASK]
    if not named:
        return
    from service.core.run.task import task_names
    from service.kit.frame.errors import ConfigurationError

    unknown = [name for name in named if name not in task_names()]
    if unknown:
        raise ConfigurationError(
            f"no task {unknown[0]!r} for scope task:{unknown[0]}; tasks: {', '.join(task_names())}"
        )


def clients(
    seal: Annotated[
        bool, typer.Option("--seal", help="First seal those that are not sealed: the service lets nobody in by them.")
    ] = False,
) -> None:
    """List the clients, their scopes and limits; no secrets."""
    from service.access.clients import Revoked
    from service.access.seals import seal_all

    with _changes() as changes:
        for name in seal_all(changes.items, changes.sealer) if seal else ():
            say(f"client {name} is sealed now: take it back with `omni client {name} --revoke` if no operator made it")
        listed = sorted(changes.clients().items())
    for name, found in listed:
        if isinstance(found, Revoked):
            say(f"{name}  revoked {_time(found.revoked_at)}")
            continue
        tenant = "" if found.tenant is None else f"  tenant {found.tenant}"
        limits = f"{found.rate_per_s:g}/s, {found.concurrent} at once"
        say(f"{name}  {' '.join(found.scopes)}{tenant}  {limits}, secrets: {len(found.secrets)}")


def token_keys(
    rotate: Annotated[bool, typer.Option("--rotate", help="Add a key; the others end with their last token.")] = False,
    revoke: Annotated[str | None, typer.Option(metavar="ID", help="Refuse all tokens of a key from now on.")] = None,
) -> None:
    """List the keys that sign tokens, add a new one, or revoke one."""
    with _changes() as changes:
        if rotate:
            say(f"token key {changes.rotate_key()} was added; it signs as soon as every service knows it")
        if revoke is not None:
            made = changes.revoke_key(revoke)
            say(f"token key {revoke} is revoked" + ("" if made is None else f"; {made} was made in its place"))
        listed = sorted(changes.token_keys().items(), key=lambda item: item[1].signs_from)
    for name, key in listed:
        ends = "" if key.ends_at is None else f", verifies until {_time(key.ends_at)}"
        signs = "verifies only" if key.sealed is None else f"signs from {_time(key.signs_from)}"
        say(f"{name}  {signs}{ends}")


@contextmanager
def _changes() -> "Iterator[AccessChanges]":
    from service.access.control import open_changes
    from service.kit.aws.endpoint import reached

    with reached() as settings:
        yield open_changes(settings)


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
