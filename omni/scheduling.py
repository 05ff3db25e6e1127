"""``schedule``: run what is due, show what ran and what was delivered, and export the schedule for other schedulers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from figures.command_line import omni
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ConfigurationError

if TYPE_CHECKING:
    from omni.schedule.plan import SchedulePlan
    from omni.schedule.scheduler import Scheduler
    from service.kit.settings import Settings

_ATTENTION = 1
# Commands that never end by themselves, wait for a person, or would run the schedule within itself.
_NOT_FOR_SCHEDULES = frozenset({"schedule", "serve", "ui", "up", "down"})

schedule = typer.Typer(no_args_is_help=True, help="Run what is due by itself, and deliver reports.")
File = Annotated[Path | None, typer.Option("--file", help="The schedule; default: infra/schedule.yaml.")]


@schedule.command("run")
def run_schedule(
    context: typer.Context,
    jobs: Annotated[list[str] | None, typer.Argument(help="Only these jobs; default: all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Continue until stopped, a turn per minute.")] = False,
    file: File = None,
) -> None:
    """Run the jobs that are due, then send what is to be delivered. Exit code 1: something did not go well."""
    import signal

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    scheduler = _open(context, file)
    if follow:
        say(f"{len(scheduler.plan.jobs)} jobs; stop with Ctrl-C", flush=True)
        scheduler.follow(jobs or ())
    elif not scheduler.turn(jobs or ()):
        raise typer.Exit(_ATTENTION)


@schedule.command("status")
def schedule_status(context: typer.Context, file: File = None, as_json: AsJson = False) -> None:
    """Show each job's next and last run, and the deliveries. Exit code 1: a run or a delivery failed, or a run was missed."""
    from omni.schedule.status import read_status

    found = read_status(_open(context, file))
    if as_json:
        print_json(
            {
                "well": found.well,
                "jobs": [
                    {
                        "id": item.job.id,
                        "next_at": item.next_at,
                        "due_now": item.overdue,
                        "missed": item.missed,
                        "last": None if item.last is None else item.last.model_dump(mode="json"),
                    }
                    for item in found.jobs
                ],
                "deliveries": [item.model_dump(mode="json") for item in found.deliveries],
            }
        )
    else:
        say("\n".join(found.lines()))
    if not found.well:
        raise typer.Exit(_ATTENTION)


@schedule.command("deliver")
def deliver_again(
    context: typer.Context,
    report: Annotated[str, typer.Argument(help="Id of one report; default: all that have not arrived.")] = "",
    file: File = None,
) -> None:
    """Send what has not arrived now, also what was given up. Exit code 1: something still did not arrive."""
    scheduler = _open(context, file)
    waiting = [item for item in scheduler.outbox.all() if report in ("", item.report_id)]
    if report and not waiting:
        raise ConfigurationError(f"no report {report!r} was ever delivered here; see `{omni('schedule', 'status')}`")
    if all(item.state == "delivered" for item in waiting):
        say("everything has arrived")
    elif not scheduler.deliver(lambda: scheduler.outbox.send_again(report)):
        raise typer.Exit(_ATTENTION)


@schedule.command("export")
def export_schedule(
    context: typer.Context,
    kind: Annotated[Literal["eventbridge", "github", "systemd"], typer.Option("--as", help="For which scheduler.")],
    to: Annotated[Path | None, typer.Option(help="Folder to write below; default: the project's root.")] = None,
    file: File = None,
) -> None:
    """Write the schedule as files of another scheduler, which then starts `omni schedule run` at the right times."""
    from omni.schedule.export import files_of
    from service.kit.frame.files import write_whole

    plan, settings = _plan(context, file)
    root = to or settings.root
    for name, text in files_of(plan, kind).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
        say(path)
    if kind != "systemd" and (lost := _delivered_to_folders(plan)):
        say(
            f"note: {', '.join(lost)} deliver to a folder, which runners and ECS tasks lose with their disk: deliver by "
            "archive, mail, chat or bucket there",
            file=sys.stderr,
        )


def _delivered_to_folders(plan: "SchedulePlan") -> list[str]:
    return [
        job.id
        for job in plan.jobs
        if job.deliver and any(plan.destinations[name].kind == "folder" for name in job.deliver.to)
    ]


def _open(context: typer.Context, file: Path | None) -> "Scheduler":
    from omni.schedule.scheduler import open_scheduler

    plan, settings = _plan(context, file)
    return open_scheduler(plan, settings, lambda line: say(line, flush=True))


def _plan(context: typer.Context, file: Path | None) -> "tuple[SchedulePlan, Settings]":
    from omni.schedule.plan import PLAN_FILE, load_plan
    from service.kit.settings import Settings

    settings = Settings()
    known = getattr(context.find_root().command, "commands", {})
    return load_plan(settings.root / PLAN_FILE if file is None else file, set(known) - _NOT_FOR_SCHEDULES), settings
