"""The commands that messages suggest: the program's name, the task, the simulated weeks."""

import shlex
import shutil

import pytest

from figures.command_line import SIMULATED, as_typed_here, omni


@pytest.fixture(autouse=True)
def in_an_activated_environment(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv(SIMULATED, raising=False)


def test_the_task_is_named_where_it_is_not_the_default():
    assert omni("rollback", "--to", "1", task="summarize") == "omni rollback --to 1"
    assert omni("rollback", "--to", "1", task="scorecard") == "omni rollback --to 1 --task scorecard"


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("extractive", "extractive"),
        ("x;touch f", "'x;touch f'"),
        ("$(touch f)", "'$(touch f)'"),
        ("a\nb", "'a\nb'"),
        ('"why, in one sentence"', '"why, in one sentence"'),
        ('"$(touch f)"', "'\"$(touch f)\"'"),
        ("'SELECT 1'", "'SELECT 1'"),
        ("it's", "'it'\"'\"'s'"),
        ("'x'; touch f; 'y'", "''\"'\"'x'\"'\"'; touch f; '\"'\"'y'\"'\"''"),
    ],
)
def test_a_shell_reads_each_word_as_one_word_and_executes_none(word, typed):
    assert omni("promote", word) == f"omni promote {typed}"
    assert len(shlex.split(omni("promote", word))) == 3


def test_a_command_for_the_simulated_weeks_says_so(monkeypatch):
    monkeypatch.setenv(SIMULATED, "1")
    assert omni("rollback", task="scorecard") == "omni --traffic rollback --task scorecard"


def test_a_message_of_the_service_suggests_commands_for_the_same_weeks(monkeypatch):
    said = f"use `omni promote` or `{omni('rollback', '--to', '1')}`, not omni verify"
    assert as_typed_here(said) == said
    monkeypatch.setenv(SIMULATED, "1")
    said = f"use `omni promote` or `{omni('rollback')}`"
    assert as_typed_here(said) == "use `omni --traffic promote` or `omni --traffic rollback`"


def test_outside_an_activated_environment_the_program_is_named_by_its_path(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert omni("serve").endswith("/omni serve")
