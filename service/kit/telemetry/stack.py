"""Where an error was raised, as places in our code and in libraries: no message and no value, which may quote a customer."""

import traceback
from pathlib import PurePath

_MOST_FRAMES = 12


def stack_of(err: BaseException) -> tuple[str, ...]:
    """Return the innermost frames of ``err`` and of what caused it, outermost first, as ``file:line function``.

    Each error ends with its type. The last of them is ``err`` itself.
    """
    cause = err.__cause__ or (None if err.__suppress_context__ else err.__context__)
    before = stack_of(cause) if cause is not None and cause is not err else ()
    frames = traceback.extract_tb(err.__traceback__)[-_MOST_FRAMES:]
    places = tuple(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames)
    return (*before, *places, type(err).__name__)[-2 * _MOST_FRAMES :]


def _short(filename: str) -> str:
    """Return the last two parts of a path: enough to find the file, and nothing of the machine."""
    return "/".join(PurePath(filename).parts[-2:])
