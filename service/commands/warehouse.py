"""``sql``: runs one SELECT in Redshift's dialect."""

from typing import Annotated

import typer

from service.kit.frame.display.output import AsJson


def sql(
    query: Annotated[
        str, typer.Argument(metavar="SELECT", help='For example "SELECT day, pair, p95_ms FROM v_performance".')
    ],
    csv: Annotated[bool, typer.Option("--csv", help="All rows as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one SELECT in Redshift's dialect on the warehouse."""
    from service.kit.frame.errors import ConfigurationError
    from service.kit.settings import Settings
    from service.warehouse.console import answer

    if csv and as_json:
        raise ConfigurationError("choose one: --csv or --json")
    answer(Settings(), query, form="csv" if csv else "json" if as_json else "table")
