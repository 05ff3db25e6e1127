"""A command line's exit codes and error lines: what a script and a person learn from a command that did not do its work."""

import errno
import json
from decimal import Decimal

import pytest
import typer

from service.commands.running import Debug, new_app, run_app
from service.kit.frame.display.output import human_text, print_json


class Known(Exception):
    """An error whose message says what to do."""


def closed_pipe() -> None:
    raise BrokenPipeError(32, "Broken pipe")


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


def cut_off_import() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as interrupt:
        raise ImportError("numpy.core.multiarray failed to import") from interrupt


RAISED = f"tests/unit/service/commands/test_running.py:{raising.__code__.co_firstlineno + 2}"
COMMANDS = {
    "fine": lambda: None,
    "no": raising(typer.Exit(1)),
    "known": raising(Known("no pair 'x': name another")),
    "unknown": raising(KeyError("column")),
    "wordless": raising(RuntimeError()),
    "full": raising(OSError(errno.ENOSPC, "No space left on device")),
    "readonly": raising(OSError(errno.EROFS, "Read-only file system", "/state/logs")),
    "many-lines": raising(ValueError("first\nsecond")),
    "ctrl-c": raising(KeyboardInterrupt()),
    "cut-off-import": cut_off_import,
    "no-answer": raising(EOFError()),
    "closed-pipe": closed_pipe,
    "script": raising(SystemExit("error: the harness could not run")),
}


def run(*arguments: str) -> int:
    app = new_app("A test.")

    @app.callback()
    def options(debug: Debug = False) -> None:
        del debug

    for name, command in COMMANDS.items():
        app.command(name)(command)

    @app.command()
    def echo(words: list[str]) -> None:
        print(words)

    return run_app(app, name="test", expected=(Known,), arguments=arguments)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("fine", 0),
        ("no", 1),
        ("known", 2),
        ("unknown", 2),
        ("ctrl-c", 130),
        ("cut-off-import", 130),
        ("no-answer", 2),
        ("closed-pipe", 2),
        ("script", 2),
        ("nothing-of-ours", 2),
        ("--nothing-of-ours", 2),
    ],
)
def test_exit_codes(command, code):
    assert run(command) == code


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("known", "error: no pair 'x': name another\n"),
        (
            "unknown",
            f"error: unexpected KeyError: 'column' at {RAISED} (add --debug to the command for the traceback)\n",
        ),
        (
            "full",
            "error: the disk takes nothing: No space left on device; free some space, or name another folder in OMNI_STATE_DIR\n",
        ),
        (
            "readonly",
            "error: the disk takes nothing: Read-only file system (/state/logs); free some space, or name another folder in "
            "OMNI_STATE_DIR\n",
        ),
        ("wordless", f"error: unexpected RuntimeError at {RAISED} (add --debug to the command for the traceback)\n"),
        (
            "many-lines",
            f"error: unexpected ValueError: first at {RAISED} (add --debug to the command for the traceback)\n",
        ),
        ("ctrl-c", "interrupted\n"),
        ("cut-off-import", "interrupted\n"),
        ("script", "error: the harness could not run\n"),
    ],
)
def test_an_error_is_one_line_without_a_traceback(capsys, command, line):
    run(command)
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("arguments", [("--debug", "unknown"), ("unknown", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(capsys, arguments):
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith(
        f"error: unexpected KeyError: 'column' at {RAISED} (add --debug to the command for the traceback)\n"
    )


def test_debug_behind_two_dashes_is_an_argument(capsys):
    assert run("echo", "--", "--debug") == 0
    assert capsys.readouterr().out == "['--debug']\n"


def test_help_of_a_command_names_it_as_the_reader_types_it(capsys):
    assert run("fine", "--help") == 0
    assert "Usage: test fine" in capsys.readouterr().out


def test_a_command_without_arguments_shows_its_help(capsys):
    assert run() == 2
    assert "many-lines" in "".join(capsys.readouterr())


def test_json_stands_alone_on_standard_output(capsys):
    with human_text(as_json=True):
        print("for a person")
    print_json({"money": Decimal("1.50"), "name": "Ünal", "pairs": ("a",)})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"money": "1.50", "name": "Ünal", "pairs": ["a"]}
    assert err == "for a person\n"


def test_without_json_text_stays_on_standard_output(capsys):
    with human_text(as_json=False):
        print("for a person")
    assert capsys.readouterr() == ("for a person\n", "")


def test_a_number_that_json_does_not_have_is_no_silent_nan():
    with pytest.raises(ValueError, match="Out of range float"):
        print_json({"value": float("nan")})
