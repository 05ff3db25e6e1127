"""``traffic``: simulate weeks of agents at work, and load their events into the warehouse."""

import sys
from typing import Annotated

import typer

from eval.commands.arguments import interruptible
from service.kit.frame.display.terminal import say


def traffic(
    until: Annotated[
        str | None, typer.Option(help="Last ISO week, e.g. 2026-W46; default: the newest full one.")
    ] = None,
    weeks: Annotated[
        int, typer.Option(min=2, max=26, help="How many weeks; a second release comes in the middle.")
    ] = 4,
    per_day: Annotated[int, typer.Option(min=1, max=5000, help="Contacts on a weekday.")] = 200,
    seed: Annotated[int, typer.Option(min=0, max=999, help="Seed of the customers and verdicts.")] = 0,
    feedback: Annotated[float, typer.Option(min=0, max=1, help="Share of summaries that get a verdict.")] = 0.35,
    noise: Annotated[float, typer.Option(min=0, max=0.5, help="Share of verdicts that say the opposite.")] = 0.05,
    offline: Annotated[
        bool, typer.Option("--offline", help="Write the same rows directly into the warehouse, without a service.")
    ] = False,
    load: Annotated[
        bool, typer.Option(help="At the end, load the events into the warehouse and stop the local AWS.")
    ] = True,
) -> None:
    """Drive the running service with synthetic agents over simulated weeks; the release in the middle makes one thing worse."""
    from datetime import UTC, datetime

    from eval.instruments.traffic.plan import TrafficOptions, monday_after, newest_full_week
    from eval.instruments.traffic.run import run_traffic, traffic_folder
    from service.kit.settings import Settings

    settings = Settings()
    options = TrafficOptions(
        seed=seed,
        weeks=weeks,
        until=monday_after(until) if until else newest_full_week(datetime.now(UTC)),
        per_day=per_day,
        feedback_share=feedback,
        noise=noise,
    )
    if offline:
        from eval.instruments.traffic.offline import write_offline

        for line in write_offline(options, settings):
            say(line)
        return
    with interruptible("What was played is kept; run the same command again to go on."):
        counts = run_traffic(options, settings, lambda line: say(line, file=sys.stderr, flush=True))
    say(
        f"{counts.summaries} contacts, {counts.transfers} transfers ({counts.reused} answered by a stored summary), "
        f"{counts.verdicts} verdicts ({counts.unhelpful} not helpful), {counts.failed} requests given up, "
        f"{counts.seconds:.0f} s"
    )
    say(f"planted differences (the ground truth): {traffic_folder(settings) / 'truth.json'}")
    if load:
        from service.commands.load import load_events
        from service.local import stack

        try:
            load_events()
        finally:
            stack.down(settings)
