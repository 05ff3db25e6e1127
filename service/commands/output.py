"""What a command prints for a program: one JSON document on standard output, and nothing else there."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; everything else goes to standard error.")
]


@contextmanager
def human_text(*, as_json: bool) -> Iterator[None]:
    """Send what is printed inside to standard error where standard output is for JSON."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; what JSON has no type for (money, times, paths) becomes its text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str, allow_nan=False))
