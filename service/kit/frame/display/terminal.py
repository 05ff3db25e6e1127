"""The one way to a terminal: everything printed is shown inert, and what it says to type acts on the same state."""

import os
import re
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any

from service.kit.frame.display.inert import visible

if TYPE_CHECKING:  # rich takes 60 ms to import, and most commands need none of it
    from rich.console import Console


SIMULATED = "OMNI_SIMULATED"  # set where commands act on the simulated weeks; child processes inherit it
_commands: set[str] = set()


def know_commands(names: Iterable[str]) -> None:
    """Let printed texts name these commands: on the simulated weeks `omni NAME` is printed as `omni --traffic NAME`."""
    _commands.update(names)


def _shown(text: str) -> str:
    if _commands and os.environ.get(SIMULATED) and "omni " in text:
        names = "|".join(sorted(map(re.escape, _commands), key=len, reverse=True))
        text = re.sub(rf"(?<![\w-])omni(?= (?:{names})(?![\w-]))", "omni --traffic", text)
    return visible(text)


def say(*words: object, sep: str = " ", end: str = "\n", file: IO[str] | None = None, flush: bool = False) -> None:
    """Print as ``print`` does; characters that would steer the terminal are shown as escapes."""
    print(_shown(sep.join(map(str, words))), end=end, file=file, flush=flush)


def open_console(stream: IO[str] | None = None, **options: Any) -> "Console":
    """Return a rich console on ``stream`` (default: standard output) that shows every text inert.

    A text in square brackets is no markup and ``:name:`` no emoji: styles come from ``rich.text.Text`` and ``style=``.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class InertConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(_shown(text), **options)  # before the layout, which gives the escapes their room

    return InertConsole(
        file=sys.stdout if stream is None else stream, markup=False, emoji=False, highlight=False, **options
    )
