"""``audit``: the questions of an audit about conversations, and the ends of those that nobody ended."""

from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from service.audit.queries import AuditRange
    from service.kit.settings import Settings

audit = typer.Typer(
    no_args_is_help=True, help="Ask what conversations were about, what was checked and how they ended."
)


AuditForm = Literal["table", "csv", "json", "insights"]
_DEFAULT_DAYS = 7
From = Annotated[
    str | None, typer.Option("--from", help=f"A day or time, UTC; default: {_DEFAULT_DAYS} days before --to.")
]
To = Annotated[str | None, typer.Option("--to", help="A day or time, UTC, itself left out; default: now.")]
SessionId = Annotated[
    str | None, typer.Option("--session", help="Id of a conversation, or its pseudonym; default: all.")
]
Form = Annotated[AuditForm, typer.Option("--format", help="insights: the query for CloudWatch Logs Insights.")]


@audit.command("handovers")
def handovers(start: From = None, end: To = None, session: SessionId = None, form: Form = "table") -> None:
    """Show which conversations went to a person, and why."""
    _ask("handovers", start, end, session, form)


@audit.command("tools")
def tools(start: From = None, end: To = None, session: SessionId = None, form: Form = "table") -> None:
    """Show which tools each conversation used, with arguments and answers."""
    _ask("tools", start, end, session, form)


@audit.command("hallucinations")
def hallucinations(start: From = None, end: To = None, session: SessionId = None, form: Form = "table") -> None:
    """Show what the guard found in replies, and what was done about it."""
    _ask("hallucinations", start, end, session, form)


@audit.command("durations")
def durations(start: From = None, end: To = None, session: SessionId = None, form: Form = "table") -> None:
    """Show how long conversations take, by how they end."""
    _ask("durations", start, end, session, form)


@audit.command("most-used")
def most_used(start: From = None, end: To = None, session: SessionId = None, form: Form = "table") -> None:
    """Show which tools are used most, and how often they fail."""
    _ask("most-used", start, end, session, form)


@audit.command("close-idle")
def close_idle(
    after_min: Annotated[
        float, typer.Option(min=1.0, help="Minutes without a message until it counts as abandoned.")
    ] = 30,
) -> None:
    """Write the end of conversations in which the customer said nothing more; they count as abandoned."""
    from service.answers_kept.archive import Archive
    from service.audit.idle import close_idle_conversations
    from service.kit.aws.clients import client
    from service.kit.aws.endpoint import reached
    from service.kit.frame.clock import wall_clock
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import configure_logging
    from service.warehouse import open_warehouse

    with reached() as settings:
        configure_logging(settings.telemetry.log_level)
        archive = Archive(client("s3", settings), settings.stores.archive_bucket)
        now, after = wall_clock(settings.clock_file)(), timedelta(minutes=after_min)
        with closing(open_warehouse(settings, read_only=True)) as warehouse, exporting(settings):
            closed = close_idle_conversations(warehouse, archive, now=now, after=after)
    say(f"ended as abandoned: {closed} (nothing happened in them for {after_min:g} minutes)")


def _ask(name: str, start: str | None, end: str | None, session: str | None, form: AuditForm) -> None:
    from service.access.control import account_key
    from service.audit.queries import audit_queries, insights_of, session_named
    from service.kit.settings import Settings
    from service.kit.telemetry.fields import set_account_key
    from service.warehouse.console import answer

    settings, query = Settings(), audit_queries()[name]
    if session is not None:
        set_account_key(account_key(settings))
    named = session_named(session)
    if form == "insights":
        say(insights_of(query, named))
        return
    asked = _range(settings, start, end, named)
    answer(settings, query.sql, form=form, parameters=asked.parameters())


def _range(settings: "Settings", start: str | None, end: str | None, session: str) -> "AuditRange":
    from service.audit.queries import AuditRange, moment
    from service.kit.frame.clock import wall_clock

    until: datetime = moment(end, "--to") if end is not None else wall_clock(settings.clock_file)()
    since = moment(start, "--from") if start is not None else until - timedelta(days=_DEFAULT_DAYS)
    if until <= since:
        raise ConfigurationError("the range ends before it begins: --from must be before --to")
    return AuditRange(start=since, end=until, session=session)
