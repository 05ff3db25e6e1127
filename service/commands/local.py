"""``up``, ``down``, ``status``: the local stand-ins for AWS and a model."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say

if TYPE_CHECKING:
    from service.local.stack import StackPart

WithoutBedrock = Annotated[
    bool, typer.Option("--without-bedrock", help="Start no model; pairs that are code can still serve.")
]


def print_part(part: "StackPart") -> None:
    """Print a stand-in's state, endpoint and process id."""
    state = "started" if part.started_now else "already running"
    answers = f", answered by {part.detail}" if part.detail else ""
    say(f"{part.name}: {state} at {part.endpoint} (pid {part.pid}{answers})")


def up(without_bedrock: WithoutBedrock = False) -> None:
    """Start the local AWS and the bundled model in the background, with sample customers."""
    from service.kit.settings import Settings
    from service.local import stack
    from service.local.samples import SAMPLE_CUSTOMERS

    settings = Settings()
    aws = stack.up_aws(settings)
    print_part(aws)
    say(f"  OMNI_AWS_ENDPOINT={aws.endpoint}")
    say(f"  table {settings.stores.interactions_table}; sample customers:")
    for account, what in SAMPLE_CUSTOMERS.items():
        say(f"    {account}  {what}")
    if not without_bedrock:
        bedrock = stack.up_bedrock(settings)
        print_part(bedrock)
        say(f"  OMNI_BEDROCK_ENDPOINT={bedrock.endpoint}")


def down() -> None:
    """Stop what `up` started."""
    from service.kit.settings import Settings
    from service.local import stack

    for name, ran in stack.down(Settings()):
        say(f"{name}: {'stopped' if ran else 'was not running'}")


def status(as_json: AsJson = False) -> None:
    """Show the state of the stand-ins. Exit code 1: one is not running or does not answer."""
    from service.kit.settings import Settings
    from service.local import stack

    parts = stack.status(Settings())
    if as_json:
        print_json([{name: getattr(part, name) for name in ("name", "healthy", "endpoint", "pid")} for part in parts])
    for part in parts if not as_json else ():
        state = "healthy" if part.healthy else "running, but does not answer" if part.pid else "not running"
        say(f"{part.name}: {state}" + (f" at {part.endpoint} (pid {part.pid})" if part.pid else ""))
    if not all(part.healthy for part in parts):
        raise typer.Exit(1)
