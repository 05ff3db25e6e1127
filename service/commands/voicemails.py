"""``voicemails``: list, open and close the messages that callers left."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.callbacks import located
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.channels.phone.voicemail import Voicemail, VoicemailEnd, VoicemailStore

voicemails = typer.Typer(no_args_is_help=True, help="Work through the messages that callers left.")

MessageId = Annotated[str, typer.Argument(help="Id of the message, which is its contact's.")]


@voicemails.command("list")
def list_voicemails(as_json: AsJson = False) -> None:
    """Show the open messages, the earliest promise first, without numbers. Exit code 1: a promise is overdue."""
    from service.channels.phone.build import open_voicemails
    from service.kit.frame.clock import wall_clock

    settings = located()
    now = wall_clock(settings.clock_file)()
    waiting = open_voicemails(settings).store.waiting()
    overdue = sum(one.is_overdue(now) for one in waiting)
    if as_json:
        hidden = {"sealed_phone", "version", "ended", "ended_at", "ended_by"}
        print_json([one.model_dump(mode="json", exclude=hidden) | {"overdue": one.is_overdue(now)} for one in waiting])
    else:
        for one in waiting:
            say(_line(one) + (", OVERDUE" if one.is_overdue(now) else ""))
        say(f"{len(waiting)} messages wait, {overdue} overdue")
    if overdue:
        raise typer.Exit(1)


@voicemails.command("check")
def check_voicemails() -> None:
    """Count the open messages and those whose promise is overdue, as a metric. Exit code 1: a promise is overdue."""
    from service.channels.phone.build import open_voicemails
    from service.kit.frame.clock import wall_clock
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import Event, configure_logging, log

    settings = located()
    configure_logging(settings.telemetry.log_level)
    now = wall_clock(settings.clock_file)()
    waiting = open_voicemails(settings).store.waiting()
    overdue = sum(one.is_overdue(now) for one in waiting)
    with exporting(settings):
        log(Event.VOICEMAILS_CHECKED, waiting=len(waiting), overdue=overdue)
    say(f"{len(waiting)} messages wait, {overdue} overdue")
    if overdue:
        raise typer.Exit(1)


@voicemails.command("open")
def open_voicemail(voicemail_id: MessageId) -> None:
    """Show one message with the caller's number, and where Amazon Connect keeps its recording."""
    from service.channels.phone.build import open_voicemails
    from service.channels.phone.voicemail import recordings_of
    from service.kit.aws.clients import client

    settings = located()
    opened = open_voicemails(settings)
    found = _found(opened.store, voicemail_id)
    if found.sealed_phone is None:
        raise ConfigurationError(f"message {voicemail_id!r} was closed as {found.ended}, and its number is deleted")
    say(_line(found))
    say(f"call {opened.sealer.open(found.sealed_phone, found.voicemail_id).decode()}")
    kept = recordings_of(found, client("connect", settings))
    for address in kept:
        say(f"recording: {address}")
    if not kept:
        say("Amazon Connect has no recording yet; one is there some minutes after the call")


@voicemails.command("close")
def close_voicemail(
    voicemail_id: MessageId,
    ended: Annotated[str, typer.Option("--as", help="called_back, not_reached, or empty (nothing was said).")],
    by: Annotated[str, typer.Option("--by", help="Who closes it.")],
) -> None:
    """Close a message after somebody has called back, or if nothing was said; the caller's number is deleted."""
    from service.channels.phone.build import open_voicemails
    from service.kit.frame.clock import wall_clock
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import Event, configure_logging, log

    end, settings = _end(ended), located()
    configure_logging(settings.telemetry.log_level)
    store = open_voicemails(settings).store
    found = _found(store, voicemail_id)
    if not found.is_open:
        raise ConfigurationError(f"message {voicemail_id!r} was closed as {found.ended} by {found.ended_by!r} already")
    now = wall_clock(settings.clock_file)()
    closed = store.put(found.closed(end, by, now))
    promise = "broken" if closed.is_overdue(now) else "kept"
    with exporting(settings):
        log(Event.VOICEMAIL_CLOSED, callback=closed.voicemail_id, state=closed.ended, promise=promise)
    say(f"{closed.voicemail_id}: closed as {closed.ended}, promise {promise}")


def _found(store: "VoicemailStore", voicemail_id: str) -> "Voicemail":
    found = store.get(voicemail_id)
    if found is None:
        raise ConfigurationError(f"no message has the id {voicemail_id!r}; `omni voicemails list` shows the open ones")
    return found


def _end(text: str) -> "VoicemailEnd":
    from typing import get_args

    from service.channels.phone.voicemail import VoicemailEnd

    ends: tuple[VoicemailEnd, ...] = get_args(VoicemailEnd)
    end = next((one for one in ends if one == text), None)
    if end is None:
        raise ConfigurationError(f"--as {text!r} is not known; use one of {', '.join(ends)}")
    return end


def _line(voicemail: "Voicemail") -> str:
    why = f", after a handover for {voicemail.handover_reason}" if voicemail.handover_reason else ""
    return (
        f"{voicemail.voicemail_id}: left {voicemail.left_at:%Y-%m-%d %H:%M} UTC{why}, "
        f"a call is promised by {voicemail.due_at:%Y-%m-%d %H:%M} UTC"
    )
