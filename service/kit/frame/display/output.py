"""JSON output of commands: one document on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer

from service.kit.frame.display.terminal import say

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; everything else goes to standard error.")
]


@contextmanager
def human_text(*, as_json: bool) -> Iterator[None]:
    """With ``as_json``, send everything printed in the block to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_json(value: Any) -> None:
    """Print ``value`` as JSON; types that JSON lacks (money, times, paths) become strings."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str, allow_nan=False))
