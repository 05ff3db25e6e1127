"""The reports' command line: ``python -m reports <command>``. Exit codes: 0 written, 2 could not run."""

import sys
from typing import Annotated

import typer

# Nothing heavy at the top: `--help` answers before pandas could even be found.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reports out of the warehouse. Exit codes: 0 written, 2 could not run.",
)
COULD_NOT_RUN = 2


@app.command()
def weekly(
    week: Annotated[str, typer.Option(help="ISO week as 2026-W47; default: the last one that is over.")] = "",
    task: Annotated[str, typer.Option(help="Which task.")] = "summarize",
    zone: Annotated[str, typer.Option(help="Whose weeks and days; default: OMNI_REPORT_ZONE, else UTC.")] = "",
) -> None:
    """Write page, digest and numbers of one week."""
    from reports.run import write_weekly
    from service.settings import Settings

    written = write_weekly(Settings(), week=week, task=task, zone=zone)
    print(written.headline)
    print(f"\nReport: {written.page}\nDigest: {written.digest}\nNumbers: {written.numbers}")


@app.command()
def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="Whole reports without and with a planted slice.")] = 20,
    draws: Annotated[int, typer.Option(min=1, help="Tables of comparisons per number of ratings.")] = 400,
) -> None:
    """Measure how often the report cries wolf, and how often it finds a slice that is worse."""
    from reports.simulate.power import simulate as run

    for line in run(seeds=seeds, draws=draws):
        print(line, flush=True)


@app.command()
def scale(
    answers: Annotated[str, typer.Option(help="Sizes, comma separated.")] = "10000,100000,1000000",
) -> None:
    """Measure the report's time and memory on invented weeks; exit 2 when 1,000,000 answers take over 60 s or 4 GB."""
    from reports.simulate.scale import measure

    sizes = tuple(int(size) for size in answers.replace(",", " ").split())
    if not measure(sizes):
        raise typer.Exit(COULD_NOT_RUN)


def main() -> None:
    """Run the command line and turn every expected error into one line and exit code 2."""
    from reports.errors import ReportError
    from service.errors import ServiceError

    try:
        app(standalone_mode=True)
    except (ServiceError, ReportError) as err:
        print(f"error: {err}", file=sys.stderr)
        sys.exit(COULD_NOT_RUN)


if __name__ == "__main__":
    main()
