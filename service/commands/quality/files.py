"""``calls export`` and ``calls compact``: files of scored calls, by tenant."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from service.kit.frame.display.terminal import say

OneTenant = Annotated[str | None, typer.Option(help="One tenant; default: every tenant with calls.")]


def export_week(
    tenant: OneTenant = None,
    week: Annotated[str | None, typer.Option(help="ISO week, as in 2026-W47; default: the last whole one.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--to", help="Write into this folder instead of the bucket of results.")
    ] = None,
) -> None:
    """Write a week's failures, verdicts and calls of each tenant as CSV and Parquet."""
    from service.calls.exports.weekly import ExportWeek, files_of, keep_export, tenants_with_calls, week_tables
    from service.calls.store.objects import TenantResults
    from service.kit.aws.clients import client
    from service.kit.aws.endpoint import reached
    from service.kit.frame.clock import wall_clock
    from service.kit.frame.files import write_whole
    from service.warehouse import open_warehouse

    with reached() as settings, closing(open_warehouse(settings, read_only=True)) as warehouse:
        chosen = ExportWeek.parse(week) if week else ExportWeek.before(wall_clock(settings.clock_file)().date())
        s3 = None if folder is not None else client("s3", settings)
        for name in [tenant] if tenant else tenants_with_calls(warehouse):
            tables = week_tables(warehouse, name, chosen)
            files = files_of(tables)
            if folder is not None:
                place = folder / name / str(chosen)
                place.mkdir(parents=True, exist_ok=True)
                for file, body in files.items():
                    write_whole(place / file, body)
            else:
                bucket, key = settings.calls.results_bucket, settings.calls.kms_key
                keep_export(TenantResults(s3, bucket, name, kms_key=key), chosen, files)
            rows = ", ".join(f"{table.num_rows} {what}" for what, table in tables.items())
            say(f"{name}: {chosen}, {rows}")


def compact_results(
    tenant: OneTenant = None,
    days: Annotated[int, typer.Option(min=1, max=28, help="How many days back to look for changes.")] = 28,
) -> None:
    """Write each day's results as one Parquet file per table. Exit code 1: a result cannot be read."""
    from service.calls.exports.compact import compact
    from service.calls.store.objects import TenantResults, all_tenants
    from service.kit.aws.clients import client
    from service.kit.aws.endpoint import reached
    from service.kit.frame.clock import wall_clock

    with reached() as settings:
        s3, bucket, key = client("s3", settings), settings.calls.results_bucket, settings.calls.kms_key
        chosen = [TenantResults(s3, bucket, tenant, kms_key=key)] if tenant else all_tenants(s3, bucket, kms_key=key)
        today = wall_clock(settings.clock_file)().date()
        made = [compact(results, today, look_back=days) for results in chosen]
    for one in made:
        say("\n".join(one.lines()))
    if any(one.unreadable for one in made):
        raise typer.Exit(1)
