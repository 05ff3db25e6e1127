"""``calls``: the commands of the call pipeline."""

import asyncio
import getpass
import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError, WarehouseBusy

if TYPE_CHECKING:
    import pandas as pd

    from service.calls.worker.worker import CallTally, CallWorker
    from service.kit.settings import Settings

_FORMS = "forms"  # the folder of a tenant's sample folder that holds its forms
_METADATA = ".meta.json"

calls = typer.Typer(
    no_args_is_help=True, help="Score recorded calls by a form, follow them to their results, and rate them."
)

Tenant = Annotated[str, typer.Option(help="Tenant of the calls.")]
PairName = Annotated[
    str | None, typer.Option(help="Score with prompts/scorecard/PAIR.prompty instead of the released pair.")
]


@calls.command("samples")
def write_sample_calls(folder: Annotated[Path, typer.Argument(help="Folder to write.")]) -> None:
    """Write a folder of sample calls of two tenants, made from the dev cases."""
    from service.kit.settings import Settings
    from service.local.call_samples import write_samples

    for line in write_samples(Settings(), folder):
        say(line)


@calls.command("run")
def run_folder(
    folder: Annotated[
        Path | None,
        typer.Argument(help="One folder per tenant, or with --tenant the calls themselves; default: sample calls."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant of the calls; default: the folders' names.")] = None,
    pair: PairName = None,
) -> None:
    """Upload and score a folder of calls, then show the leaderboard (local AWS). Exit code 1: a call is missing."""
    from service.kit.settings import Settings

    settings = Settings()
    if folder is None:
        folder = settings.state_dir / "sample-calls"
        write_sample_calls(folder)
    stacked = located(settings, start=True)
    # The user wants the tables, not the worker's JSON log.
    work_with(stacked, lambda worker: _run(stacked, folder, tenant, worker), pair=pair, log_level="WARNING")


@calls.command("work")
def work_queue(
    follow: Annotated[
        bool, typer.Option("--follow", help="Continue until stopped, and take up every tenant's stuck calls.")
    ] = False,
    pair: PairName = None,
) -> None:
    """Score the calls in the queue until it is empty, then stored ones as ordered. With --follow tenants take turns.

    Exit code 1 without --follow: calls were tried, and none could be scored or given up, because a store or the model failed.
    """
    settings = here()

    async def drain(worker: "CallWorker") -> None:
        from service.calls.worker.build import build_ordered
        from service.calls.worker.turns import CallTurns

        ordered = build_ordered(settings, worker)

        def done(tally: "CallTally") -> None:
            _say(tally)
            _carry(worker)

        turns = CallTurns(worker=worker, ordered=ordered)
        if follow:
            await turns.follow(done)
        else:
            done(tally := await turns.drain())
            await ordered.drain()
            _say_left(worker)
            if tenants := ordered.orders.open_tenants():
                say(f"stored calls are still to be scored again: {', '.join(tenants)}", file=sys.stderr)
            if (tally.busy or tally.broken) and not tally.states:
                raise typer.Exit(1)

    work_with(settings, drain, pair=pair, waits=follow)


@calls.command("watch")
def watch_calls(tenant: Tenant, pair: PairName = None) -> None:
    """Continue calls that are stuck or wait for a transcription."""

    async def look(worker: "CallWorker") -> None:
        from service.calls.worker.replay import watch

        _say(await watch(worker, tenant))

    work_with(here(), look, pair=pair)


@calls.command("replay")
def replay_calls(
    reason: Annotated[str | None, typer.Argument(help="Only calls that failed for this reason.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant of the calls; default: objects without a tenant.")] = None,
    pair: PairName = None,
) -> None:
    """Process failed calls again, after a fix."""

    async def again(worker: "CallWorker") -> None:
        from service.calls.failure import FailureReason
        from service.calls.keys import NO_TENANT
        from service.calls.worker.replay import replay

        try:
            only = None if reason is None else FailureReason(reason)
        except ValueError:
            raise ConfigurationError(
                f"{reason!r} is not a failure reason; choose from {', '.join(FailureReason)}"
            ) from None
        _say(await replay(worker, tenant or NO_TENANT, only))

    work_with(here(), again, pair=pair)


@calls.command("check")
def check_calls(tenant: Tenant) -> None:
    """Compare the numbers of inputs and results. Exit code 1: one is missing."""

    async def count(worker: "CallWorker") -> None:
        from service.calls.worker.replay import count_calls

        found = count_calls(worker, tenant)
        say("\n".join(found.lines()))
        if not found.balanced:
            raise typer.Exit(1)

    work_with(here(), count, scores=False)


@calls.command("override")
def override_rating(
    call_id: Annotated[str, typer.Argument(help="Id of the call, as in its result.")],
    criterion: Annotated[str, typer.Argument(help="Id of the criterion, as in the form.")],
    rating: Annotated[str, typer.Argument(help="yes, no or na.")],
    tenant: Tenant,
    who: Annotated[str, typer.Option(help="Name of the person; default: this machine's user.")] = "",
    reason: Annotated[str, typer.Option(help="Why, in a sentence; personal data is removed.")] = "",
) -> None:
    """Store a person's rating of a criterion beside the model's; the same rating confirms it."""

    async def put(worker: "CallWorker") -> None:
        from service.calls.worker.people import override

        said = override(worker, tenant, call_id, criterion, rating, who=who or getpass.getuser(), reason=reason)
        model = "gave no rating" if said.model_verdict is None else "agrees" if said.agrees else "differs"
        say(f"recorded; the model {model}")

    work_with(here(), put, scores=False)


@calls.command("vocabulary")
def set_vocabulary(
    tenant: Tenant,
    name: Annotated[str | None, typer.Argument(help="Its name in Amazon Transcribe; none removes it.")] = None,
) -> None:
    """Have Amazon Transcribe use a custom vocabulary for a tenant's recordings."""
    from service.commands.tenants.settings import change_tenant

    if name is not None and not re.fullmatch(r"[0-9a-zA-Z._-]{1,200}", name):
        raise ConfigurationError(
            f"{name!r} is no name of a vocabulary: use letters, digits, '.', '_' and '-', at most 200"
        )
    change_tenant(here(), tenant, {"vocabulary": name})
    say(f"{tenant}: {f'recordings are heard with vocabulary {name}' if name else 'no vocabulary'}")


@calls.command("leaderboard")
def show_leaderboard(tenant: Tenant) -> None:
    """Show failing criteria, tone and agreement of one tenant."""
    _show(here(), tenant)


def work_with(
    settings: "Settings",
    what: "Callable[[CallWorker], Awaitable[None]]",
    *,
    pair: str | None = None,
    scores: bool = True,
    log_level: str | None = None,
    waits: bool = False,
) -> None:
    """Run ``what`` with a worker. One that scores nothing needs no release: it gets the file of the pair keywords, unused."""
    from service.access.control import account_key
    from service.calls.worker.build import build_worker
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.fields import set_account_key
    from service.kit.telemetry.log import configure_logging

    set_account_key(account_key(settings))  # erased calls are noted by hashes with it
    settings = with_model(settings, pair) if scores else settings
    configure_logging(log_level or settings.telemetry.log_level)

    async def done(worker: "CallWorker") -> None:
        try:
            await what(worker)
        finally:
            if worker.scorer.rollout is not None:
                await worker.scorer.rollout.close()

    with exporting(settings):  # the tenants' figures are the worker's: the service scores none of these calls
        asyncio.run(done(build_worker(settings, pair=pair if scores else "keywords", waits=waits)))


def here() -> "Settings":
    """Return the settings with the stores that `omni up` or the environment name."""
    from service.kit.settings import Settings

    return located(Settings(), start=False)


def _carry(worker: "CallWorker") -> None:
    from service.calls.worker.people import carry

    try:
        count = carry(worker)
    except WarehouseBusy as err:  # they stay pending until the next time
        say(f"overrides were not carried to the warehouse: {err}", file=sys.stderr)
        return
    if count:
        say(f"{count} overrides carried to the warehouse")


async def _run(settings: "Settings", folder: Path, tenant: str | None, worker: "CallWorker") -> None:
    from service.calls.worker.replay import count_calls, watch

    known = []
    for name, place in _tenants(folder, tenant).items():
        if await _add_forms(settings, name, place):
            known.append(name)
        count = 0
        for file, metadata in _files(place):
            worker.inputs.put(f"{name}/calls/{file.relative_to(place).as_posix()}", file.read_bytes(), metadata)
            count += 1
        say(f"{name}: {count} files uploaded")
    tally = await worker.drain(wait_s=2)
    for name in known:
        tally.add(await watch(worker, name))
    _say(tally)
    _carry(worker)
    balanced = True
    for name in known:
        _show(settings, name)
        found = count_calls(worker, name)
        balanced = balanced and found.balanced
        say("\n".join(found.lines()))
        for job in worker.jobs.of(name):
            if job.state == "failed":
                say(f"  {job.source.key}: failed, {job.reason}: {job.detail}")
    if not balanced:
        raise typer.Exit(1)


def _tenants(folder: Path, tenant: str | None) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder: make one with omni calls samples {folder}")
    return {tenant: folder} if tenant else {one.name: one for one in sorted(folder.iterdir()) if one.is_dir()}


async def _add_forms(settings: "Settings", tenant: str, place: Path) -> bool:
    """Add a local tenant with the forms of its folder; return whether the tenant exists."""
    from service.calls.keys import is_tenant
    from service.calls.store.form_store import build_forms
    from service.calls.tenants.store import ConfiguredTenant as KeptTenant
    from service.calls.tenants.store import build_tenants
    from service.core.tasks.scorecard.form import Form
    from service.kit.aws.clients import client

    dynamodb = client("dynamodb", settings)
    now = lambda: datetime.now(UTC)  # noqa: E731
    store = build_forms(settings, dynamodb=dynamodb, now=now)
    if not is_tenant(tenant):
        return False
    found = sorted((place / _FORMS).glob("*.json"))
    if found:
        build_tenants(settings, dynamodb=dynamodb).add(KeptTenant(tenant=tenant, name=tenant))
    for file in found:
        form = Form.model_validate_json(file.read_text(encoding="utf-8"))
        head = await store.head(tenant, form.form_id)
        if head.edit == 0:
            saved = await store.save_draft(form, edit=0, who="calls run")
            await store.activate(tenant, form.form_id, edit=saved.edit, who="calls run")
    return await store.known(tenant)


def _files(place: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    for file in sorted(place.rglob("*")):
        if not file.is_file() or file.is_relative_to(place / _FORMS) or file.name.endswith(_METADATA):
            continue
        beside = file.with_name(file.name + _METADATA)
        yield file, json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}


def located(settings: "Settings", *, start: bool) -> "Settings":
    """Return settings that name the local AWS's address, started if ``start``; elsewhere the settings as they are."""
    from service.kit.aws.endpoint import with_endpoint

    if not start or settings.environment != "local" or settings.aws.endpoint is not None:
        return with_endpoint(settings)
    from service.local import stack

    return stack.with_endpoints(settings, [stack.up_aws(settings)])


def _show(settings: "Settings", tenant: str) -> None:
    from service.calls.worker import queries
    from service.warehouse import open_warehouse
    from service.warehouse.console import print_table

    with closing(open_warehouse(settings)) as warehouse:
        warehouse.migrate()
        tables: dict[str, pd.DataFrame] = {
            "criteria that fail most": queries.leaderboard(warehouse, tenant),
            "tone and scores by day": queries.tone(warehouse, tenant),
            "people and the model": queries.agreement(warehouse, tenant),
        }
    for title, frame in tables.items():
        if len(frame):
            say(f"\n{tenant}: {title}")
            print_table(frame)


def _say(tally: "CallTally") -> None:
    states = ", ".join(f"{count} {name}" for name, count in sorted(tally.states.items())) or "no call ended"
    say(states)
    for count, what in (
        (tally.known, "already processed"),
        (tally.waiting, "waiting"),
        (tally.refused, "without a tenant (see _unknown/dead/; after a fix: omni calls replay)"),
        (tally.foreign, "messages about other objects"),
    ):
        if count:
            say(f"{count} {what}", file=sys.stderr)
    for reason, count in sorted(tally.reasons.items()):
        say(f"{count} failed: {reason}", file=sys.stderr)


def _say_left(worker: "CallWorker") -> None:
    """Say how many calls have not ended, so that nobody takes an empty queue for finished work."""
    left = sum(1 for _ in worker.jobs.open_everywhere(worker.now()))
    if left:
        say(
            f"{left} not finished: another worker's, awaiting a transcription, or to be tried again in some minutes "
            "(omni calls work)",
            file=sys.stderr,
        )


def with_model(settings: "Settings", pair: str | None) -> "Settings":
    """Return settings under which the pair's models answer; in `local` starts the bundled model if the pair needs it.

    Raises:
        ConfigurationError: the pair does not exist, needs a provider's model, or the stand-in does not start.
    """
    from service.calls.worker.build import served_from
    from service.core.tasks.scorecard import TASK
    from service.core.unit.cards import ModelCards

    if settings.environment != "local" or settings.bedrock.endpoint is not None:
        return settings
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    asked = served_from(settings, cards, pair)("").pair
    if set(asked.models) <= set(TASK.in_process):
        return settings
    if replaced := [model for model in asked.models if cards.get(model).replaced_locally]:
        # A score by the bundled model under another model's name would be held against an agent.
        raise ConfigurationError(
            f"pair {asked.name!r} needs {', '.join(replaced)}, which `local` does not have, and stand-ins must not score calls: "
            "set OMNI_ENVIRONMENT=aws and credentials, or OMNI_BEDROCK_ENDPOINT, or name another pair with --pair"
        )
    from service.local import stack  # in no image

    return stack.with_endpoints(settings, [stack.up_bedrock(settings)])
