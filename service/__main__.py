"""``python -m service``: its commands, each imported when it is called. Exits 0, 1 (down, not balanced) or 2 (failed)."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what cannot run is one line on standard error, never a traceback."""
    options = _parser().parse_args(arguments)
    from service.errors import ServiceError

    try:
        code: int = options.run(_settings(options), options)
    except ServiceError as err:
        print(f"error: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    from service.commands import access, calls, dashboards, load, local, reconcile, serve, warehouse

    parser = argparse.ArgumentParser(prog="python -m service", description="Omni-channel insights service")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (local, serve, reconcile, load, access, dashboards, calls, warehouse):
        module.add_commands(commands.add_parser)
    return parser


def _settings(options: argparse.Namespace) -> "Settings":
    from pydantic import ValidationError

    from service.errors import ConfigurationError
    from service.settings import Settings, wrong_settings

    given = {name: value for name in ("port", "host") if (value := getattr(options, name, None)) is not None}
    try:
        return Settings(**given)
    except ValidationError as err:
        raise ConfigurationError(f"settings: {wrong_settings(err)}") from err


if __name__ == "__main__":
    sys.exit(main())
