"""``dashboards``: prints a link to the running service's dashboards, or exports their definitions for QuickSight."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.kit.settings import Settings


def dashboards(
    url: Annotated[str | None, typer.Option(help="URL of the service; default: http://OMNI_HOST:OMNI_PORT.")] = None,
    browser: Annotated[bool, typer.Option("--open", help="Also open the link in this machine's browser.")] = False,
    file: Annotated[
        Path | None, typer.Option("--export", help="Write the definitions for QuickSight (JSON) instead.")
    ] = None,
    account: Annotated[str, typer.Option(help="AWS account of the export.")] = "000000000000",
    data_source: Annotated[
        str | None, typer.Option(metavar="ARN", help="QuickSight data source over the Redshift database.")
    ] = None,
    readers: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Export calls, too: user,tenant_id says who sees whose rows."),
    ] = None,
) -> None:
    """Print a one-time link to the running service's dashboards, or export them."""
    from service.kit.settings import Settings

    settings = Settings()
    if file is not None:
        _export(settings, file, account, data_source, readers)
        return
    from service.access.control import local_token
    from service.dashboards.link import fetch_link
    from service.kit.aws.endpoint import reached

    with reached() as stores:
        token = local_token(stores, "operator").text
    link = fetch_link(url or f"http://{settings.serving.host}:{settings.serving.port}", token)
    say(link)
    what = "dashboards of the simulated weeks" if settings.simulated else "dashboards"
    say(f"this link opens the {what} once, within two minutes", file=sys.stderr)
    if browser:
        import webbrowser

        webbrowser.open(link)


def _export(settings: "Settings", file: Path, account: str, data_source: str | None, readers: Path | None) -> None:
    import json

    from service.dashboards.definitions import load_calls_dashboard, load_dashboards
    from service.dashboards.quicksight import export
    from service.dashboards.readers import read_readers
    from service.kit.frame.errors import ConfigurationError

    region = settings.aws.region
    source = data_source or f"arn:aws:quicksight:{region}:{account}:datasource/omni-redshift"
    content = export(
        [*load_dashboards().values(), load_calls_dashboard()],
        account=account,
        region=region,
        data_source_arn=source,
        readers=() if readers is None else read_readers(readers),
    )
    try:
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as err:
        raise ConfigurationError(f"{file} cannot be written ({type(err).__name__})") from err
    say(f"{file}: " + ", ".join(f"{len(requests)} {name}" for name, requests in content.items()))
