"""``calls check-stuck`` and ``calls check-agreement``: what the alarms on calls are made of."""

from contextlib import closing

import typer

from service.kit.frame.display.terminal import say


def check_stuck() -> None:
    """Count the calls of all tenants that nobody takes up. Exit code 1: there are some."""
    from service.calls.exports.watching import STUCK_AFTER, count_stuck
    from service.calls.store.states import CallJobs
    from service.kit.aws.endpoint import reached
    from service.kit.aws.stores import CALLS
    from service.kit.frame.clock import wall_clock
    from service.kit.records.build import open_rows
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import configure_logging

    with reached() as settings:
        configure_logging(settings.telemetry.log_level)
        now = wall_clock(settings.clock_file)()
        with exporting(settings):
            found = count_stuck(CallJobs(open_rows(settings, CALLS)), now)
    minutes = f"{STUCK_AFTER.total_seconds() / 60:.0f}"
    for tenant, count in sorted(found.items()):
        say(f"{tenant}: {count} calls stand still for more than {minutes} minutes; omni calls watch --tenant {tenant}")
    if found:
        raise typer.Exit(1)
    say(f"no call stands still for more than {minutes} minutes")


def check_agreement() -> None:
    """Compare how often people confirm the model with the weeks before. Exit code 1: it fell somewhere."""
    from service.calls.exports.watching import agreement_falls
    from service.kit.frame.clock import wall_clock
    from service.kit.settings import Settings
    from service.kit.telemetry.exporting import exporting
    from service.kit.telemetry.log import configure_logging
    from service.warehouse import open_warehouse

    settings = Settings()
    configure_logging(settings.telemetry.log_level)
    now = wall_clock(settings.clock_file)()
    with closing(open_warehouse(settings, read_only=True)) as warehouse, exporting(settings):
        falls = agreement_falls(warehouse, now)
    for fall in falls:
        say(fall.line())
    if falls:
        raise typer.Exit(1)
    say("people confirm the model as often as before, or too few verdicts were given to say")
