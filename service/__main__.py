"""``python -m service``: its commands, each imported when it is called. Exits 0, 1 (down, not balanced) or 2 (failed)."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from service.local.stack import Part
    from service.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what cannot run is one line on standard error, never a traceback."""
    options = _parser().parse_args(arguments)
    from service.errors import ServiceError

    try:
        settings = _settings(options)
        if options.command == "up":
            return _up(settings, without_bedrock=options.without_bedrock)
        if options.command == "down":
            return _down(settings)
        if options.command == "status":
            return _status(settings)
        if options.command == "reconcile":
            return _reconcile(settings, options)
        if options.command == "load":
            from service.jobs.command import run

            return run(settings, options)
        if options.command == "calls":
            from service.jobs import calls_command

            return calls_command.run(settings, options)
        if options.command == "token":
            return _token(settings, options.scope)
        if options.command == "client":
            return _client(settings, options)
        if options.command == "dashboards":
            return _dashboards(settings, options)
        if options.command == "warehouse":
            return _warehouse(settings, options)
        return _serve(settings, without_bedrock=options.without_bedrock)
    except ServiceError as err:
        print(f"error: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="Omni-channel insights service")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the local AWS and the Bedrock stand-in in the background")
    commands.add_parser("down", help="stop both")
    commands.add_parser("status", help="say what runs; exit 1 when something does not")
    serve = commands.add_parser("serve", help="serve in the foreground, after `up` where no endpoints are set")
    serve.add_argument("--port", type=int, help="TCP port (default OMNI_PORT, 8080); 0 takes a free one")
    serve.add_argument("--host", help="address to listen on (default OMNI_HOST, 127.0.0.1)")
    reconcile = commands.add_parser(
        "reconcile", help="count answered requests against DynamoDB, S3 and the spool; exit 1 when one is missing"
    )
    reconcile.add_argument("--log", action="append", default=[], help="the service's log (JSON lines); may be repeated")
    reconcile.add_argument("--hours", type=int, default=24, help="how far to look back (default 24)")
    load = commands.add_parser("load", help="move new objects of the bucket into the warehouse")
    _load_arguments(load)
    token = commands.add_parser("token", help="print a token of one hour for this machine's own client")
    token.add_argument("--scope", help="space-separated scopes (default: all)")
    client = commands.add_parser("client", help="add a client, or give one a further secret; prints the secret once")
    client.add_argument("name", help="letters, digits and ._-")
    client.add_argument("--tenant", help="whose forms, calls and results it may see (default: no tenant's)")
    client.add_argument("--scopes", default="summaries feedback", help="space-separated (default: %(default)s)")
    dashboards = commands.add_parser("dashboards", help="print a link that opens the dashboards once, or export them")
    dashboards.add_argument("--url", help="where the service runs (default http://OMNI_HOST:OMNI_PORT)")
    dashboards.add_argument("--open", action="store_true", help="open the link in this machine's browser too")
    dashboards.add_argument("--export", metavar="FILE", help="write the definitions for QuickSight (JSON) instead")
    dashboards.add_argument("--account", default="000000000000", help="AWS account of the export (default: zeros)")
    dashboards.add_argument("--data-source", metavar="ARN", help="QuickSight data source over the Redshift database")
    _calls_arguments(
        commands.add_parser("calls", help="score calls: run, work, watch, replay, check, rescore, override")
    )
    warehouse = commands.add_parser("warehouse", help="ask the warehouse one SELECT in Redshift's dialect")
    warehouse.add_argument("sql", help="for example: SELECT day, pair, p95_ms FROM v_performance ORDER BY day")
    warehouse.add_argument("--csv", action="store_true", help="all rows as CSV")
    for command in (up, serve):
        command.add_argument(
            "--without-bedrock", action="store_true", help="no stand-in: pairs whose model is code still serve"
        )
    return parser


def _calls_arguments(calls: argparse.ArgumentParser) -> None:
    from service.jobs.calls_command import add_arguments

    add_arguments(calls)


def _load_arguments(parser: argparse.ArgumentParser) -> None:
    from service.jobs.command import add_arguments

    add_arguments(parser)


def _settings(options: argparse.Namespace) -> "Settings":
    from pydantic import ValidationError

    from service.errors import ConfigurationError
    from service.settings import Settings

    given = {name: value for name in ("port", "host") if (value := getattr(options, name, None)) is not None}
    try:
        return Settings(**given)
    except ValidationError as err:
        wrong = "; ".join(f"OMNI_{'_'.join(str(p) for p in e['loc']).upper()}: {e['msg']}" for e in err.errors())
        raise ConfigurationError(f"settings: {wrong}") from err


def _up(settings: "Settings", *, without_bedrock: bool) -> int:
    from service.local import stack
    from service.local.samples import SAMPLE_CUSTOMERS

    aws = stack.up_aws(settings)
    _print_part(aws)
    print(f"  OMNI_AWS_ENDPOINT={aws.endpoint}")
    print(f"  table {settings.interactions_table}; sample customers:")
    for account, what in SAMPLE_CUSTOMERS.items():
        print(f"    {account}  {what}")
    if not without_bedrock:
        bedrock = stack.up_bedrock(settings)
        _print_part(bedrock)
        print(f"  OMNI_BEDROCK_ENDPOINT={bedrock.endpoint}")
    return 0


def _print_part(part: "Part") -> None:
    state = "started" if part.started_now else "already running"
    answers = f", answered by {part.detail}" if part.detail else ""
    print(f"{part.name}: {state} at {part.endpoint} (pid {part.pid}{answers})")


def _down(settings: "Settings") -> int:
    from service.local import stack

    for name, ran in stack.down(settings):
        print(f"{name}: {'stopped' if ran else 'was not running'}")
    return 0


def _status(settings: "Settings") -> int:
    from service.local import stack

    parts = stack.status(settings)
    for part in parts:
        state = "healthy" if part.healthy else "running, but does not answer" if part.pid else "not running"
        print(f"{part.name}: {state}" + (f" at {part.endpoint} (pid {part.pid})" if part.pid else ""))
    return 0 if all(part.healthy for part in parts) else 1


def _reconcile(settings: "Settings", options: argparse.Namespace) -> int:
    from datetime import UTC, datetime
    from pathlib import Path

    from service.api.insights import PATH
    from service.reconcile import reconcile

    if settings.environment == "local" and settings.aws_endpoint is None:
        from service.local import aws

        settings = settings.model_copy(update={"aws_endpoint": aws.endpoint(settings)})
    logs = [Path(name) for name in options.log]
    found = reconcile(settings, hours=options.hours, logs=logs, path=PATH, now=datetime.now(UTC))
    print("\n".join(found.lines()))
    return 0 if found.balanced else 1


def _token(settings: "Settings", scope: str | None) -> int:
    from service.access.control import local_token
    from service.access.errors import InvalidScope
    from service.errors import ConfigurationError

    try:
        print(local_token(settings, scope).text)
    except InvalidScope as err:
        raise ConfigurationError(str(err)) from err
    return 0


def _client(settings: "Settings", options: argparse.Namespace) -> int:
    from service.access.control import add_client

    secret = add_client(settings, options.name, options.scopes.split(), tenant=options.tenant)
    print(f"client {options.name} in {settings.access_folder / 'clients.json'}; its secret, shown this once:")
    print(secret)
    return 0


def _dashboards(settings: "Settings", options: argparse.Namespace) -> int:
    if options.export is not None:
        return _export_dashboards(settings, options)
    from service.access.control import local_token
    from service.dashboards.link import fetch_link

    url = options.url or f"http://{settings.host}:{settings.port}"
    link = fetch_link(url, local_token(settings, "operator").text)
    print(link)
    print("opens the dashboards once, within two minutes", file=sys.stderr)
    if options.open:
        import webbrowser

        webbrowser.open(link)
    return 0


def _export_dashboards(settings: "Settings", options: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from service.dashboards.definitions import load_dashboards
    from service.dashboards.quicksight import export
    from service.errors import ConfigurationError

    region, account = settings.aws_region, options.account
    source = options.data_source or f"arn:aws:quicksight:{region}:{account}:datasource/omni-redshift"
    content = export(list(load_dashboards().values()), account=account, region=region, data_source_arn=source)
    try:
        Path(options.export).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as err:
        raise ConfigurationError(f"{options.export} cannot be written ({type(err).__name__})") from err
    print(f"{options.export}: " + ", ".join(f"{len(requests)} {name}" for name, requests in content.items()))
    return 0


def _warehouse(settings: "Settings", options: argparse.Namespace) -> int:
    from service.warehouse.console import answer

    answer(settings, options.sql, csv=options.csv)
    return 0


def _serve(settings: "Settings", *, without_bedrock: bool) -> int:
    # The port first: nothing is started for a service that cannot listen.
    listener = _listen(settings)
    with listener:
        settings = _with_stand_ins(settings, without_bedrock=without_bedrock)
        from service.runtime import build_runtime
        from service.telemetry import configure_logging

        configure_logging(settings.log_level)
        if "writer_process" not in settings.model_fields_set:  # somebody may have a reason to want one process
            settings = settings.model_copy(update={"writer_process": True})
        runtime = build_runtime(settings)
        import uvicorn

        from service.app import create_app

        host, port = listener.getsockname()[:2]
        print(f"serving on http://{host}:{port} (docs at /docs, readiness at /readyz); stop with Ctrl-C", flush=True)
        if settings.environment == "local":
            print('  every call needs a token: -H "authorization: Bearer $(make -s token)"', flush=True)
        config = uvicorn.Config(
            create_app(settings, runtime),
            log_config=None,
            access_log=False,
            # Longer than the load balancer's own (NLB: 350 s), or it sends a request into a connection that we are closing.
            timeout_keep_alive=360,
            timeout_graceful_shutdown=10,
        )
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
    return 0 if server.started else 2


def _listen(settings: "Settings") -> "socket.socket":
    import socket

    from service.errors import ConfigurationError

    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        # Listening already here: without it a second service could bind too and would fail only later.
        listener.listen(2048)
    except OSError as err:
        listener.close()
        raise ConfigurationError(
            f"port {settings.port} on {settings.host} cannot be used ({err.strerror}): "
            f"stop the program that holds it, or choose another: python -m service serve --port {settings.port + 10}"
        ) from err
    return listener


def _with_stand_ins(settings: "Settings", *, without_bedrock: bool) -> "Settings":
    from service.local import stack

    if settings.environment != "local":
        return settings
    parts = []
    if settings.aws_endpoint is None:
        parts.append(stack.up_aws(settings))
    if settings.bedrock_endpoint is None and not without_bedrock:
        parts.append(stack.up_bedrock(settings))
    for part in parts:
        _print_part(part)
    return stack.with_endpoints(settings, parts)


if __name__ == "__main__":
    sys.exit(main())
