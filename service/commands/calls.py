"""``python -m service calls``: what the call pipeline is told on the command line, and what it says."""

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import ConfigurationError, WarehouseBusy

if TYPE_CHECKING:
    import pandas as pd

    from service.calls.work.worker import CallWorker, Tally
    from service.settings import Settings

_FORMS = "forms"  # the folder of a tenant's sample folder that holds its forms
_METADATA = ".meta.json"


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare ``calls`` and its commands."""
    calls = add("calls", help="score calls: run, work, watch, replay, check, rescore, override")
    calls.set_defaults(run=run)
    commands = calls.add_subparsers(dest="calls_command", required=True, metavar="WHAT")
    samples = commands.add_parser(
        "samples", help="write a folder of sample calls of two tenants, made of the dev cases"
    )
    samples.add_argument("folder")
    whole = commands.add_parser("run", help="upload a folder of calls and take them to the leaderboard (local AWS)")
    whole.add_argument("folder", help="holds one folder per tenant, or with --tenant the calls themselves")
    whole.add_argument("--tenant")
    work = commands.add_parser("work", help="empty the queue; with --follow go on until stopped")
    work.add_argument("--follow", action="store_true")
    watch = commands.add_parser("watch", help="take up calls that stand still or wait for a transcription")
    replay = commands.add_parser("replay", help="put failed calls through again")
    replay.add_argument("--tenant", help="whose; without it objects that belonged to no tenant")
    replay.add_argument("reason", nargs="?", help="only those that failed for this reason")
    check = commands.add_parser("check", help="count inputs against results; exit 1 when one is missing")
    rescore = commands.add_parser("rescore", help="try another version of a form on stored calls; changes nothing")
    rescore.add_argument("--form", required=True)
    rescore.add_argument("--version", default="draft", help="draft (default), active, or a number")
    rescore.add_argument("--most", type=int, help="only the newest so many calls")
    override = commands.add_parser(
        "override", help="put a person's verdict beside the model's; an equal one is a confirmation"
    )
    for name in ("call_id", "criterion", "verdict"):
        override.add_argument(name)
    override.add_argument("--who", default=getpass.getuser(), help="who says so (default: %(default)s)")
    override.add_argument("--reason", default="", help="why, in a sentence; personal details are taken out")
    leaderboard = commands.add_parser("leaderboard", help="failing criteria, tone and agreement of one tenant")
    for one in (watch, check, rescore, override, leaderboard):
        one.add_argument("--tenant", required=True)
    for one in (whole, work, watch, replay, rescore):
        one.add_argument("--pair", help="score with prompts/scorecard/PAIR.prompty instead of the released pair")


def run(settings: "Settings", options: argparse.Namespace) -> int:
    """Do what ``options`` say; return the exit code.

    Raises:
        ServiceError: a store, the registry or the warehouse does not answer, or an option is wrong.
    """
    if options.calls_command == "samples":
        from service.local.call_samples import write_samples

        for line in write_samples(settings, Path(options.folder)):
            print(line)
        return 0
    settings = _located(settings, start=options.calls_command == "run")
    if options.calls_command == "leaderboard":
        _show(settings, options.tenant)
        return 0
    from service.calls.work.build import build_worker
    from service.telemetry.log import configure_logging

    named = getattr(options, "pair", None)
    scores = options.calls_command in ("run", "work", "watch", "replay", "rescore")
    # A command that scores nothing needs no release: the floor's file stands in its place and is never asked.
    if scores:
        settings = with_model(settings, named)
    # Whoever looks on sees tables; a worker's log is for machines.
    configure_logging("WARNING" if options.calls_command == "run" else settings.telemetry.log_level)
    worker = build_worker(settings, pair=named if scores else "keywords")
    return asyncio.run(_do(settings, options, worker))


async def _do(settings: "Settings", options: argparse.Namespace, worker: "CallWorker") -> int:
    from service.calls.failure import Reason
    from service.calls.keys import NOBODY
    from service.calls.work import people, replay

    if options.calls_command == "run":
        return await _run(settings, options, worker)
    if options.calls_command == "work":
        while True:
            tally = await worker.drain(wait_s=20 if options.follow else 1)
            _say(tally)
            _carry(worker)
            if not options.follow:
                return 0
    if options.calls_command == "watch":
        _say(await replay.watch(worker, options.tenant))
        return 0
    if options.calls_command == "replay":
        try:
            reason = None if options.reason is None else Reason(options.reason)
        except ValueError:
            raise ConfigurationError(f"{options.reason!r} is no reason; they are {', '.join(Reason)}") from None
        _say(await replay.replay(worker, options.tenant or NOBODY, reason))
        return 0
    if options.calls_command == "check":
        found = replay.count_calls(worker, options.tenant)
        print("\n".join(found.lines()))
        return 0 if found.balanced else 1
    if options.calls_command == "rescore":
        form = await people.find_form(worker, options.tenant, options.form, options.version)
        print("\n".join((await people.rescore(worker, form, most=options.most)).lines()))
        return 0
    said = people.override(
        worker,
        options.tenant,
        options.call_id,
        options.criterion,
        options.verdict,
        who=options.who,
        reason=options.reason,
    )
    model = "gave no verdict" if said.model_verdict is None else "agrees" if said.agrees else "differs"
    print(f"recorded; the model {model}")
    return 0


def _carry(worker: "CallWorker") -> None:
    from service.calls.work.people import carry

    try:
        count = carry(worker)
    except WarehouseBusy as err:  # they wait where they are
        print(f"overrides were not carried to the warehouse: {err}", file=sys.stderr)
        return
    if count:
        print(f"{count} overrides carried to the warehouse")


async def _run(settings: "Settings", options: argparse.Namespace, worker: "CallWorker") -> int:
    from service.calls.work.replay import count_calls, watch

    tenants = _tenants(Path(options.folder), options.tenant)
    known = []
    for tenant, place in tenants.items():
        if await _add_forms(settings, tenant, place):
            known.append(tenant)
        count = 0
        for file, metadata in _files(place):
            worker.inputs.put(f"{tenant}/calls/{file.relative_to(place).as_posix()}", file.read_bytes(), metadata)
            count += 1
        print(f"{tenant}: {count} files uploaded")
    tally = await worker.drain(wait_s=2)
    for tenant in known:
        tally.add(await watch(worker, tenant))
    _say(tally)
    _carry(worker)
    balanced = True
    for tenant in known:
        _show(settings, tenant)
        found = count_calls(worker, tenant)
        balanced = balanced and found.balanced
        print("\n".join(found.lines()))
        for job in worker.jobs.of(tenant):
            if job.state == "failed":
                print(f"  {job.source.key}: failed, {job.reason}: {job.detail}")
    return 0 if balanced else 1


def _tenants(folder: Path, tenant: str | None) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder: python -m service calls samples {folder} makes one")
    return {tenant: folder} if tenant else {one.name: one for one in sorted(folder.iterdir()) if one.is_dir()}


async def _add_forms(settings: "Settings", tenant: str, place: Path) -> bool:
    """Give a local tenant the forms of its folder; return whether there is such a tenant."""
    from service.aws.clients import client
    from service.calls.keys import is_tenant
    from service.calls.store.form_store import FormStore
    from service.tasks.scorecard.form import Form

    dynamodb = client("dynamodb", settings)
    now = lambda: datetime.now(UTC)  # noqa: E731
    store = FormStore(dynamodb, settings.stores.config_table, timeout_s=settings.stores.timeout_s, now=now)
    if not is_tenant(tenant):
        return False
    found = sorted((place / _FORMS).glob("*.json"))
    if found:
        store.add_tenant(tenant, tenant)
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


def _located(settings: "Settings", *, start: bool) -> "Settings":
    if settings.environment != "local" or settings.aws.endpoint is not None:
        return settings
    from service.local import aws, stack

    if start:
        return stack.with_endpoints(settings, [stack.up_aws(settings)])
    return settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})


def _show(settings: "Settings", tenant: str) -> None:
    from service.calls.work import queries
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
            print(f"\n{tenant}: {title}")
            print_table(frame)


def _say(tally: "Tally") -> None:
    states = ", ".join(f"{count} {name}" for name, count in sorted(tally.states.items())) or "no call ended"
    print(states)
    for count, what in (
        (tally.known, "known before"),
        (tally.waiting, "waiting"),
        (tally.refused, "of no tenant (see _unknown/dead/; after a fix: python -m service calls replay)"),
        (tally.foreign, "messages about nothing of ours"),
    ):
        if count:
            print(f"{count} {what}", file=sys.stderr)
    for reason, count in sorted(tally.reasons.items()):
        print(f"{count} dead: {reason}", file=sys.stderr)


def with_model(settings: "Settings", pair: str | None) -> "Settings":
    """Return settings under which the pair's models answer: on a laptop the bundled model is started where one is needed.

    Raises:
        ConfigurationError: there is no such pair, it asks a provider's model, or the stand-in does not start.
    """
    from service.calls.work.build import served_from
    from service.cards import ModelCards
    from service.local import stack
    from service.tasks.scorecard import TASK

    if settings.environment != "local" or settings.bedrock.endpoint is not None:
        return settings
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    asked = served_from(settings, cards, pair)("").pair
    if {asked.model, asked.backup} - {None} <= set(TASK.in_process):
        return settings
    if replaced := [model for model in (asked.model, asked.backup) if model and cards.get(model).runs == "provider"]:
        # A score that the bundled model made up under another's name would count against a person.
        raise ConfigurationError(
            f"pair {asked.name!r} asks {', '.join(replaced)}, which no laptop has, and a scorecard is no place for a stand-in: "
            "set OMNI_ENVIRONMENT=aws and credentials, or OMNI_BEDROCK_ENDPOINT, or name another pair with --pair"
        )
    return stack.with_endpoints(settings, [stack.up_bedrock(settings)])
