"""``customer``: export or delete everything that is kept about one customer, in every place."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.callbacks import located
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.kit.settings import Settings
    from service.privacy.erasure.eraser import Eraser
    from service.privacy.erasure.identity import CustomerIds

customer = typer.Typer(no_args_is_help=True, help="Export or delete everything that is kept about one customer.")

Account = Annotated[str, typer.Option("--account", help="The customer's account number.")]
Tenant = Annotated[str, typer.Option("--tenant", help="The tenant whose customer it is.")]
Contacts = Annotated[
    list[str] | None, typer.Option("--contact", help="A contact of theirs that no summary names; may be repeated.")
]
Conversations = Annotated[
    list[str] | None, typer.Option("--conversation", help="A conversation of theirs; may be repeated.")
]
Calls = Annotated[list[str] | None, typer.Option("--call", help="Id of a call of theirs; may be repeated.")]
Phones = Annotated[
    list[str] | None, typer.Option("--phone", help="A telephone number; finds callbacks and messages by it.")
]
ReadEverything = Annotated[
    bool, typer.Option("--read-everything", help="Read every object: after OMNI_LOG_KEY was changed.")
]
_SHORTEST_ACCOUNT = 4
_CASE = re.compile(r"[A-Za-z][A-Za-z0-9 ._#/-]{2,79}")


@customer.command("export")
def export_customer(
    account: Account,
    tenant: Tenant,
    contact: Contacts = None,
    conversation: Conversations = None,
    call: Calls = None,
    phone: Phones = None,
    read_everything: ReadEverything = False,
) -> None:
    """Write everything that is found to standard output as a ZIP file: one JSON file a place."""
    import sys

    from service.privacy.erasure.export import write_zip

    if sys.stdout.isatty():
        raise ConfigurationError("a ZIP file is no text: add `> customer.zip` to the command")
    settings = _ready(account, tenant)
    eraser = _eraser(settings, tenant, read_only=True, read_everything=read_everything)
    ids = _ids(account, contact, conversation, call, phone)
    found = eraser.find(ids)
    _tell_not_there([place.name for place in found if not place.is_there])
    write_zip(sys.stdout.buffer, found, ids)
    say(f"{sum(map(len, found.values()))} records from {sum(map(bool, found.values()))} places", file=sys.stderr)


@customer.command("delete")
def delete_customer(
    account: Account,
    tenant: Tenant,
    reason: Annotated[
        str, typer.Option("--reason", help="The case, such as `GDPR 17, case 4711`; no name, no number.")
    ],
    by: Annotated[str, typer.Option("--by", help="Who ordered it: a role or an id.")],
    contact: Contacts = None,
    conversation: Conversations = None,
    call: Calls = None,
    phone: Phones = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be deleted.")] = False,
    read_everything: ReadEverything = False,
) -> None:
    """Delete a customer everywhere and keep a receipt; run it again if it was interrupted. Exit code 1: something is left."""
    from service.privacy.erasure.eraser import ErasureOrder

    settings = _ready(account, tenant)
    for option, text in (("--reason", reason), ("--by", by)):
        if not _CASE.fullmatch(text.replace(",", "")) or account in text:
            raise ConfigurationError(f"{option} names a case or a role in letters and digits, 3 to 80, and no account")
    eraser = _eraser(settings, tenant, read_only=dry_run, read_everything=read_everything)
    ids = _ids(account, contact, conversation, call, phone)
    if dry_run:
        for place, found in eraser.find(ids).items():
            say(f"{place.name}: {len(found) if place.is_there else 'does not exist'}")
        return
    receipt = eraser.erase(ErasureOrder(account=account, tenant=tenant, reason=reason, by=by), ids)
    say(f"{sum(receipt.deleted.values())} records deleted in {len(receipt.deleted)} places, {receipt.left} left")
    if not receipt.deleted:
        say("nothing was found: is the account's number the one that the service gets?")
    say("`omni customer places` lists what is not ours to delete")
    _tell_not_there(receipt.not_there)
    if receipt.left or (receipt.not_there and settings.environment == "aws"):
        raise typer.Exit(1)


@customer.command("places")
def list_places(as_json: AsJson = False) -> None:
    """Show every place: what it holds of customers, or why it holds none, or who else must delete it."""
    from service.privacy.erasure.places import inventory

    every = inventory().every()
    if as_json:
        print_json({name: place.model_dump(mode="json", exclude_defaults=True) for name, place in every.items()})
        return
    for name, place in every.items():
        if place.is_searched:
            say(f"{name}: {place.holds}")
        else:
            say(f"{name}: {'not ours: ' + place.outside if place.outside else 'no customers: ' + place.none}")


@customer.command("receipts")
def list_receipts(as_json: AsJson = False) -> None:
    """Show the ledger of deletions, oldest first; a keyed hash stands for each customer."""
    from service.kit.records.shared_state import open_shared_state
    from service.privacy.erasure.ledger import ErasureLedger

    shared = open_shared_state(located())
    receipts = [] if shared is None else ErasureLedger(shared).receipts()
    if as_json:
        print_json([one.model_dump(mode="json") for one in receipts])
        return
    for one in receipts:
        count = sum(one.deleted.values())
        say(f"{one.began_at:%Y-%m-%d %H:%M} UTC {one.customer} of {one.tenant}: {count} deleted, {one.left} left, "
            f"{one.reason}, by {one.by}")  # fmt: skip
    say(f"{len(receipts)} deletions")


def _tell_not_there(names: "Sequence[str]") -> None:
    import sys

    for name in names:
        say(f"not searched, because it does not exist: {name}", file=sys.stderr)


def _ready(account: str, tenant: str) -> "Settings":
    from service.access.control import account_key
    from service.calls.keys import is_tenant
    from service.kit.telemetry.fields import set_account_key

    if len(account.strip()) < _SHORTEST_ACCOUNT:
        raise ConfigurationError(f"--account {account!r} is too short; an account number has 4 characters or more")
    if not is_tenant(tenant):
        raise ConfigurationError(f"--tenant {tenant!r} is not a tenant's id: lower-case letters, digits and hyphens")
    settings = located()
    set_account_key(account_key(settings))
    return settings


def _eraser(settings: "Settings", tenant: str, *, read_only: bool, read_everything: bool) -> "Eraser":
    import sys

    from service.privacy.erasure.build import build_eraser

    return build_eraser(
        settings,
        tenant,
        read_only=read_only,
        read_everything=read_everything,
        report=lambda line: say(line, file=sys.stderr),
    )


def _ids(
    account: str,
    contacts: list[str] | None,
    conversations: list[str] | None,
    calls: list[str] | None,
    phones: list[str] | None,
) -> "CustomerIds":
    from service.privacy.erasure.identity import CustomerIds

    ids = CustomerIds()
    ids.learn("account", account)
    for value in contacts or ():
        ids.learn("contact", value)
    for value in conversations or ():
        ids.learn("conversation", value)
    for value in calls or ():
        ids.learn("call", value)
    for value in phones or ():
        ids.learn("phone", value.removeprefix("+"))
    return ids
