"""``dashboards``: a link that opens them, or their definitions for QuickSight."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    dashboards = add("dashboards", help="print a link that opens the dashboards once, or export them")
    dashboards.add_argument("--url", help="where the service runs (default http://OMNI_HOST:OMNI_PORT)")
    dashboards.add_argument("--open", action="store_true", help="open the link in this machine's browser too")
    dashboards.add_argument("--export", metavar="FILE", help="write the definitions for QuickSight (JSON) instead")
    dashboards.add_argument("--account", default="000000000000", help="AWS account of the export (default: zeros)")
    dashboards.add_argument("--data-source", metavar="ARN", help="QuickSight data source over the Redshift database")
    dashboards.set_defaults(run=_dashboards)


def _dashboards(settings: "Settings", options: argparse.Namespace) -> int:
    if options.export is not None:
        return _export(settings, options)
    from service.access.control import local_token
    from service.dashboards.link import fetch_link

    url = options.url or f"http://{settings.serving.host}:{settings.serving.port}"
    link = fetch_link(url, local_token(settings, "operator").text)
    print(link)
    print("opens the dashboards once, within two minutes", file=sys.stderr)
    if options.open:
        import webbrowser

        webbrowser.open(link)
    return 0


def _export(settings: "Settings", options: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from service.dashboards.definitions import load_dashboards
    from service.dashboards.quicksight import export
    from service.errors import ConfigurationError

    region, account = settings.aws.region, options.account
    source = options.data_source or f"arn:aws:quicksight:{region}:{account}:datasource/omni-redshift"
    content = export(list(load_dashboards().values()), account=account, region=region, data_source_arn=source)
    try:
        Path(options.export).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as err:
        raise ConfigurationError(f"{options.export} cannot be written ({type(err).__name__})") from err
    print(f"{options.export}: " + ", ".join(f"{len(requests)} {name}" for name, requests in content.items()))
    return 0
