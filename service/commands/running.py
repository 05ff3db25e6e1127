"""Runs a command line: an error is one line on standard error and exit code 2, with a traceback only on ``--debug``."""

import errno
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from service.kit.frame.display.terminal import say
from service.kit.frame.raised import raised_at

COULD_NOT_RUN, INTERRUPTED = 2, 130
_DEBUG = "--debug"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


Debug = Annotated[bool, typer.Option(_DEBUG, help="Show the traceback of an error; allowed anywhere on the line.")]


def new_app(text: str, *, completion: bool = False) -> typer.Typer:
    """Return an app without commands for ``run_app``; the app's callback must declare the option ``Debug``."""
    return typer.Typer(
        add_completion=completion,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help=text,
    )


def run_app(
    app: typer.Typer,
    *,
    name: str,
    expected: tuple[type[Exception], ...],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one command and return its exit code: the command's own, 2 when it could not run, 130 after Ctrl-C.

    Args:
        app: the commands, from ``new_app``.
        name: the program as users type it, for its help.
        expected: errors whose message says what to do; all others are reported as unexpected.
        arguments: the command line; None means ``sys.argv``.
    """
    given, debug = _without_debug(sys.argv[1:] if arguments is None else arguments)
    command: Any = typer.main.get_command(app)
    if "--help" in given:
        # Run the subcommand's group directly: from the top, Typer 0.29 imports pydantic to read the groups' options (0.3 s).
        while given[0] in getattr(command, "commands", ()):
            command, name, given = command.commands[given[0]], f"{name} {given[0]}", given[1:]
    try:
        command.main(args=given, prog_name=name, standalone_mode=True)
    except SystemExit as ended:
        return _code_of(ended)
    except Exception as err:
        if _was_interrupted(err):
            say("interrupted", file=sys.stderr)
            return INTERRUPTED
        if debug:
            say(traceback.format_exc(), end="", file=sys.stderr)
        # Indented: a quoted text with a line feed cannot begin a line of its own.
        say(f"error: {_line(err, expected)}".replace("\n", "\n  "), file=sys.stderr)
        return COULD_NOT_RUN
    return 0


def _was_interrupted(err: BaseException) -> bool:
    """Return True if Ctrl-C came while ``err`` arose: a compiled module whose import is cut off reports something else."""
    before: BaseException | None = err
    while before is not None:
        if isinstance(before, KeyboardInterrupt):
            return True
        before = before.__cause__ or before.__context__
    return False


def _without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the arguments without ``--debug``, and whether it was there; what follows ``--`` is left alone."""
    given = list(arguments)
    end = given.index("--") if "--" in given else len(given)
    options = [word for word in given[:end] if word != _DEBUG]
    return options + given[end:], len(options) < end


def _code_of(ended: SystemExit) -> int:
    if isinstance(ended.code, str):
        say(ended.code, file=sys.stderr)
        return COULD_NOT_RUN
    if ended.code == INTERRUPTED:
        say("interrupted", file=sys.stderr)
    if isinstance(ended.__context__, OSError | typer.Abort):
        return COULD_NOT_RUN  # the output was closed, or a prompt got no answer; exit code 1 would look like a verdict
    return ended.code or 0


def _line(err: Exception, expected: tuple[type[Exception], ...]) -> str:
    if isinstance(err, expected):
        return str(err)
    if getattr(err, "title", None) == "Settings":  # a pydantic.ValidationError; no other error has a title
        from service.commands.wrong_settings import wrong_settings

        return f"settings: {wrong_settings(cast(Any, err))}"
    if type(err).__name__ == "SettingsError":  # by its name: the library is not imported for `--help`
        return f"settings: {err}"
    if isinstance(err, OSError) and err.errno in _NO_ROOM:
        where = f" ({err.filename})" if err.filename else ""
        return (
            f"the disk takes nothing: {err.strerror}{where}; free some space, or name another folder in OMNI_STATE_DIR"
        )
    said = str(err).strip().splitlines()
    what = f"{type(err).__name__}: {said[0]}" if said else type(err).__name__
    place = raised_at(err)
    where = f" at {place}" if place else ""
    return f"unexpected {what}{where} (add {_DEBUG} to the command for the traceback)"
