"""``callbacks``: write down, list and ring the calls that were promised to customers."""

import asyncio
import os
import signal
import socket
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.desk.callback import Callback
    from service.desk.dialer import Dialer
    from service.desk.worker import CallbackWorker
    from service.kit.settings import Settings

callbacks = typer.Typer(no_args_is_help=True, help="Ring the callbacks that were promised to customers.")

Webhook = Annotated[
    str | None,
    typer.Option(
        help="Web hook of the telephone system, which rings and answers how it ended. "
        "Default in `local`: a log line, and nobody is rung."
    ),
]


@callbacks.command("work")
def work_callbacks(
    webhook: Webhook = None,
    follow: Annotated[bool, typer.Option("--follow", help="Continue until stopped; a ring in progress ends.")] = False,
    every_s: Annotated[float, typer.Option(min=1.0, help="Seconds between two looks with --follow.")] = 30.0,
) -> None:
    """Ring due callbacks in opening hours; retry those that were not reached, and count promises that are overdue."""
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import configure_logging

    settings = located()
    _check_webhook(settings, webhook)
    configure_logging(settings.telemetry.log_level)

    async def done() -> None:
        async with AsyncExitStack() as opened:
            worker = _worker(settings, await _dialer(webhook, opened))
            if not follow:
                say((await worker.work()).line())
                return
            stop = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            await worker.follow(stop, every_s=every_s, say=lambda tally: say(tally.line()))

    with exporting(settings):
        asyncio.run(done())


@callbacks.command("add")
def add_callback(
    phone: Annotated[str, typer.Argument(help="The customer's number, such as +447700900123.")],
    contact_id: Annotated[str, typer.Option("--contact", help="Id of the contact in which it was promised.")],
    queue_id: Annotated[str, typer.Option("--queue", help="Queue whose people call back.")] = "general",
    urgent: Annotated[bool, typer.Option("--urgent", help="Ring it before the others that are due.")] = False,
) -> None:
    """Promise a callback within the next hour, or in the first hour of the next opening; once for each contact."""
    from service.core.tasks.assistant.knowledge import bank_knowledge
    from service.core.tasks.assistant.phone import uk_number
    from service.desk.build import callback_book
    from service.desk.opening import promised_by
    from service.kit.frame.clock import wall_clock

    number = uk_number(phone)
    if number is None:
        raise ConfigurationError("this is no UK number that may be called back; write it as in +447700900123")
    settings = located()
    book = callback_book(settings, wall_clock(settings.clock_file))
    made = book.request(
        contact_id,
        number,
        contact_id=contact_id,
        promised=promised_by(bank_knowledge().specialist_calendar, book.now()),
        queue_id=queue_id,
        priority="HIGH" if urgent else "NORMAL",
    )
    say(_line(made))


@callbacks.command("list")
def list_callbacks(as_json: AsJson = False) -> None:
    """Show the open callbacks, the most urgent first, without numbers. Exit code 1: a promise is overdue."""
    from service.desk.build import open_callbacks
    from service.kit.frame.clock import wall_clock

    settings = located()
    now = wall_clock(settings.clock_file)()
    waiting = sorted(open_callbacks(settings).store.waiting(), key=lambda one: (one.priority != "HIGH", one.due_at))
    overdue = sum(one.is_overdue(now) for one in waiting)
    if as_json:
        print_json([_shown(one) | {"overdue": one.is_overdue(now)} for one in waiting])
    else:
        for one in waiting:
            say(_line(one) + (", OVERDUE" if one.is_overdue(now) else ""))
        say(f"{len(waiting)} callbacks wait, {overdue} overdue")
    if overdue:
        raise typer.Exit(1)


def located() -> "Settings":
    """Return the settings with the running local AWS, unless they name another one."""
    from service.kit.aws.endpoint import with_endpoint
    from service.kit.settings import Settings

    return with_endpoint(Settings())


def _line(callback: "Callback") -> str:
    urgent = "urgent, " if callback.priority == "HIGH" else ""
    tried = f", rung {callback.rings} times ({callback.reason})" if callback.rings else ""
    return (
        f"{callback.callback_id}: {urgent}{callback.status.lower()}, promised by {callback.due_at:%Y-%m-%d %H:%M} UTC, "
        f"next ring {callback.next_at:%Y-%m-%d %H:%M} UTC{tried}"
    )


def _shown(callback: "Callback") -> dict[str, object]:
    return {
        "callback_id": callback.callback_id,
        "contact_id": callback.contact_id,
        "queue_id": callback.queue_id,
        "priority": callback.priority,
        "status": callback.status.value,
        "requested_at": callback.requested_at.isoformat(),
        "due_at": callback.due_at.isoformat(),
        "next_at": callback.next_at.isoformat(),
        "rings": callback.rings,
    }


def _worker(settings: "Settings", dialer: "Dialer") -> "CallbackWorker":
    from service.core.tasks.assistant.knowledge import bank_knowledge
    from service.desk.build import open_callbacks
    from service.desk.worker import CallbackWorker
    from service.kit.frame.clock import wall_clock

    opened = open_callbacks(settings)
    return CallbackWorker(
        store=opened.store,
        sealer=opened.sealer,
        dialer=dialer,
        hours=bank_knowledge().specialist_calendar,
        now=wall_clock(settings.clock_file),
        owner=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
    )


async def _dialer(webhook: str | None, opened: AsyncExitStack) -> "Dialer":
    import httpx2

    from service.desk.dialer import LoggedDialer, WebhookDialer

    if webhook is None:
        return LoggedDialer()
    # The worker bounds the whole ring; connecting is quick or fails.
    http = await opened.enter_async_context(httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=5.0)))
    return WebhookDialer(http, webhook)


def _check_webhook(settings: "Settings", webhook: str | None) -> None:
    if webhook is None:
        if settings.environment != "local":
            raise ConfigurationError("nobody would be rung: name the telephone system's web hook with --webhook")
        return
    parts = urlsplit(webhook)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme not in ("http", "https") or not parts.hostname or (parts.scheme == "http" and not here):
        raise ConfigurationError("--webhook must be an https address: it gets customers' telephone numbers")
