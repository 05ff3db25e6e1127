"""``tenant``: the commands of a tenant's life."""

import asyncio
import getpass
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.callbacks import located
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.calls.tenants.store import ConfiguredTenant, TenantSettings
    from service.privacy.tenants.life_cycle import TenantLifeCycle

tenant = typer.Typer(
    no_args_is_help=True, help="Create, configure, suspend, export and delete the tenants of the call pipeline."
)

TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="Lower-case letters, digits and hyphens, at most 62.")]
Model = Annotated[str | None, typer.Option(help="The model that scores its calls, of a released pair; '' for any.")]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region", help="Where its data and models may be: eu, us, apac or a region; may be repeated; '' all."
    ),
]
Language = Annotated[str | None, typer.Option(help="Of recordings that declare none, as en-US; '' the deployment's.")]
Vocabulary = Annotated[str | None, typer.Option(help="Its custom vocabulary in Amazon Transcribe; '' for none.")]
Budget = Annotated[str | None, typer.Option("--budget", help="USD a month, for the account's budget; '' for none.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="NAME=VALUE for bills; may be repeated; '' for none.")]
OwnWords = Annotated[
    list[str] | None,
    typer.Option(
        "--own-word",
        help="A company, product or place that redaction keeps; may be repeated, replaces all; '' for none.",
    ),
]
Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agent",
        help="An agent's name, which becomes [agent] in transcripts; may be repeated, replaces all; '' for none.",
    ),
]
Why = Annotated[str, typer.Option("--why", help="The case, such as `contract ended, case 4711`.")]
By = Annotated[str, typer.Option("--by", help="Who ordered it; default: this machine's user.")]


@tenant.command("create")
def create_tenant(
    name: TenantId,
    title: Annotated[str | None, typer.Option("--name", help="Name for people; default: the id.")] = None,
    model: Model = None,
    regions: Regions = None,
    language: Language = None,
    vocabulary: Vocabulary = None,
    budget: Budget = None,
    tags: Tags = None,
    own_words: OwnWords = None,
    agents: Agents = None,
    by: By = "",
) -> None:
    """Add a tenant with an active default form. One that exists keeps its settings, and gets the form if it has none."""
    changes = _changes(title or name, model, regions, language, vocabulary, budget, tags, own_words, agents)
    cycle = _cycle(name)
    made = asyncio.run(cycle.create(name, _settings({}, changes), by=by or getpass.getuser()))
    say(_line(made))
    say(
        f"upload calls as {name}/calls/FILE; people get a client: omni client NAME --tenant {name} --scopes 'calls forms'"
    )


@tenant.command("set")
def set_tenant(
    name: TenantId,
    title: Annotated[str | None, typer.Option("--name", help="Name for people.")] = None,
    model: Model = None,
    regions: Regions = None,
    language: Language = None,
    vocabulary: Vocabulary = None,
    budget: Budget = None,
    tags: Tags = None,
    own_words: OwnWords = None,
    agents: Agents = None,
) -> None:
    """Change settings of a tenant; what is not named stays."""
    changes = _changes(title, model, regions, language, vocabulary, budget, tags, own_words, agents)
    cycle = _cycle(name)
    known = cycle.get(name)
    kept = {field: getattr(known, field) for field in _fields()}
    say(_line(cycle.configure(name, _settings(kept, changes))))


@tenant.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """Show the tenants, their states and their settings."""
    found = _cycle().tenants.all()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        say(_line(one))
    say(f"{len(found)} tenants")


@tenant.command("suspend")
def suspend_tenant(name: TenantId, why: Why, by: By = "") -> None:
    """Refuse a tenant's clients and stop work on its calls within ten seconds. Its data stays."""
    say(_line(_cycle(name).suspend(name, by=by or getpass.getuser(), why=why)))


@tenant.command("resume")
def resume_tenant(name: TenantId, why: Why, by: By = "") -> None:
    """Let a suspended tenant in again; its calls of the meantime follow with `omni calls replay suspended`."""
    say(_line(_cycle(name).resume(name, by=by or getpass.getuser(), why=why)))
    say(f"calls of the meantime: omni calls replay suspended --tenant {name}")


@tenant.command("export")
def export_tenant(
    name: TenantId,
    recordings: Annotated[bool, typer.Option("--recordings", help="Also the calls as they arrived.")] = False,
) -> None:
    """Write everything that is kept of a tenant to standard output as a ZIP file."""
    from service.kit.aws.clients import client
    from service.privacy.tenants.export import write_tenant

    if sys.stdout.isatty():
        raise ConfigurationError("a ZIP file is no text: add `> tenant.zip` to the command")
    cycle = _cycle(name, read_only=True)
    cycle.get(name)
    found = cycle.found(name)
    count = write_tenant(
        sys.stdout.buffer,
        found,
        s3=client("s3", located()),
        recordings=recordings,
        report=lambda line: say(line, file=sys.stderr),
    )
    say(f"{count} records from {sum(map(bool, found.values()))} places", file=sys.stderr)


@tenant.command("delete")
def delete_tenant(
    name: TenantId,
    why: Why,
    by: By = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be deleted.")] = False,
) -> None:
    """Delete a suspended tenant everywhere and keep a receipt. Run it again after an interruption.

    Exit code 1: something is left.
    """
    cycle = _cycle(name, read_only=dry_run)
    if dry_run:
        cycle.get(name)
        for place, records in cycle.found(name).items():
            say(f"{place.name}: {len(records)}")
        return
    receipt = cycle.delete(name, by=by or getpass.getuser(), why=why)
    for place_name, count in receipt.deleted.items():
        say(f"{place_name}: {count} deleted")
    left = sum(receipt.left.values())
    say(
        f"{sum(receipt.deleted.values())} records deleted in {len(receipt.deleted)} places, {len(receipt.clients)} clients "
        f"revoked; {receipt.searched} places searched again, {left} records left"
    )
    if left:
        raise typer.Exit(1)


@tenant.command("budget")
def show_budgets(
    month: Annotated[str | None, typer.Option(help="The month, as 2026-11; default: this one, in UTC.")] = None,
) -> None:
    """Show what each tenant's calls have cost in a month beside its budget. Exit code 1: a tenant is over its budget.

    Counted are the models that scored them, and the minutes that Amazon Transcribe heard at OMNI_TRANSCRIBE_USD_PER_MINUTE.
    """
    from contextlib import closing
    from datetime import UTC, datetime

    from service.privacy.tenants.spending import spending_of
    from service.warehouse import open_warehouse

    try:
        day = datetime.now(UTC).date() if month is None else datetime.strptime(f"{month}-01", "%Y-%m-%d").date()
    except ValueError:
        raise ConfigurationError(f"--month {month!r} is no month; write it as 2026-11") from None
    tenants = _cycle(read_only=True).tenants.all()
    settings = located()
    with closing(open_warehouse(settings, read_only=True)) as warehouse:
        found = spending_of(warehouse, tenants, day, minute_usd=settings.calls.transcribe_usd_per_minute)
    for one in found:
        say(one.line())
    if any(one.is_over for one in found):
        raise typer.Exit(1)


@tenant.command("receipts")
def list_receipts(as_json: AsJson = False) -> None:
    """Show the ledger of deleted tenants."""
    receipts = _cycle().ledger.receipts()
    if as_json:
        print_json([one.model_dump(mode="json") for one in receipts])
        return
    for one in receipts:
        say(
            f"{one.ended_at:%Y-%m-%d %H:%M} UTC {one.tenant}: {sum(one.deleted.values())} deleted in {len(one.deleted)} places, "
            f"{sum(one.left.values())} left of {one.searched} searched, {one.reason}, by {one.by}"
        )
    say(f"{len(receipts)} deletions")


_OPTIONS = {
    "regions": "region", "monthly_budget_usd": "budget", "tags": "tag", "own_words": "own-word", "agents": "agent"
}  # fmt: skip


def _cycle(name: str | None = None, *, read_only: bool = False) -> "TenantLifeCycle":
    from service.access.clients import unfit_tenant
    from service.calls.keys import is_tenant
    from service.kit.telemetry.log import configure_logging
    from service.privacy.tenants.build import build_life_cycle

    if name is not None and not is_tenant(name):
        why = unfit_tenant(name) or "it has at most 62 characters"
        raise ConfigurationError(f"no tenant can be called {name!r}: {why}")
    configure_logging("WARNING")  # what was done is printed, and kept with the tenant or in the ledger
    return build_life_cycle(located(), read_only=read_only, report=lambda line: say(line, file=sys.stderr))


def _fields() -> list[str]:
    from service.calls.tenants.store import TenantSettings

    return list(TenantSettings.model_fields)


def _changes(
    title: str | None,
    model: str | None,
    regions: list[str] | None,
    language: str | None,
    vocabulary: str | None,
    budget: str | None,
    tags: list[str] | None,
    own_words: list[str] | None,
    agents: list[str] | None,
) -> dict[str, Any]:
    """Return the settings that were given; an empty text removes one."""
    given: dict[str, Any] = {
        "name": title,
        "model": model,
        "regions": None if regions is None else [one for one in regions if one],
        "language": language,
        "vocabulary": vocabulary,
        "monthly_budget_usd": budget if not budget else _amount(budget),
        "tags": None if tags is None else dict(map(_tag, filter(None, tags))),
        "own_words": None if own_words is None else [one for one in own_words if one],
        "agents": None if agents is None else [one for one in agents if one],
    }
    return {name: None if value == "" else value for name, value in given.items() if value is not None}


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ConfigurationError(f"--budget {text!r} is no amount; write it as 120 or 120.50") from None


def _tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ConfigurationError(f"--tag {text!r} is no tag; write it as NAME=VALUE")
    return name, value


def _settings(kept: dict[str, Any], changes: dict[str, Any]) -> "TenantSettings":
    from pydantic import ValidationError

    from service.calls.tenants.store import TenantSettings

    try:
        return TenantSettings.model_validate({**kept, **changes})
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        option = _OPTIONS.get(str(first["loc"][0]), first["loc"][0])
        raise ConfigurationError(f"--{option}: {first['msg'].removeprefix('Value error, ')}") from None


def _line(found: "ConfiguredTenant") -> str:
    said = [f"{found.tenant}: {found.state}, {found.name}"]
    if found.state != "active":
        said.append(f"since {found.state_at:%Y-%m-%d %H:%M} UTC ({found.state_why}, {found.state_by})")
    said += [f"model {found.model}"] * bool(found.model) + [f"regions {' '.join(found.regions)}"] * bool(found.regions)
    said += [f"language {found.language}"] * bool(found.language)
    said += [f"vocabulary {found.vocabulary}"] * bool(found.vocabulary)
    said += [f"{found.monthly_budget_usd} USD a month"] * bool(found.monthly_budget_usd)
    said += [f"{name}={value}" for name, value in found.tags.items()]
    said += [f"own words {'; '.join(found.own_words)}"] * bool(found.own_words)
    said += [f"{len(found.agents)} agents"] * bool(found.agents)
    return ", ".join(said)
