"""``up``, ``down``, ``status``: the stand-ins that run beside the service on a laptop."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.local.stack import Part
    from service.settings import Settings


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the three commands."""
    up = add("up", help="start the local AWS and the Bedrock stand-in in the background")
    add_without_bedrock(up)
    up.set_defaults(run=_up)
    add("down", help="stop both").set_defaults(run=_down)
    add("status", help="say what runs; exit 1 when something does not").set_defaults(run=_status)


def add_without_bedrock(parser: argparse.ArgumentParser) -> None:
    """Declare the option of every command that starts the stand-ins."""
    parser.add_argument(
        "--without-bedrock", action="store_true", help="no stand-in: pairs whose model is code still serve"
    )


def print_part(part: "Part") -> None:
    """Say where a stand-in runs and what answers there."""
    state = "started" if part.started_now else "already running"
    answers = f", answered by {part.detail}" if part.detail else ""
    print(f"{part.name}: {state} at {part.endpoint} (pid {part.pid}{answers})")


def _up(settings: "Settings", options: argparse.Namespace) -> int:
    from service.local import stack
    from service.local.samples import SAMPLE_CUSTOMERS

    aws = stack.up_aws(settings)
    print_part(aws)
    print(f"  OMNI_AWS_ENDPOINT={aws.endpoint}")
    print(f"  table {settings.stores.interactions_table}; sample customers:")
    for account, what in SAMPLE_CUSTOMERS.items():
        print(f"    {account}  {what}")
    if not options.without_bedrock:
        bedrock = stack.up_bedrock(settings)
        print_part(bedrock)
        print(f"  OMNI_BEDROCK_ENDPOINT={bedrock.endpoint}")
    return 0


def _down(settings: "Settings", _: argparse.Namespace) -> int:
    from service.local import stack

    for name, ran in stack.down(settings):
        print(f"{name}: {'stopped' if ran else 'was not running'}")
    return 0


def _status(settings: "Settings", _: argparse.Namespace) -> int:
    from service.local import stack

    parts = stack.status(settings)
    for part in parts:
        state = "healthy" if part.healthy else "running, but does not answer" if part.pid else "not running"
        print(f"{part.name}: {state}" + (f" at {part.endpoint} (pid {part.pid})" if part.pid else ""))
    return 0 if all(part.healthy for part in parts) else 1
