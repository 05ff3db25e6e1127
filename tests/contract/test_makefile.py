"""The Makefile: few targets, all of them named in its help, and what is typed reaches ``omni`` byte for byte."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
STUB = """\
#!{python}
import json, sys
with open({out!r}, "a", encoding="utf-8") as file:
    print(json.dumps(sys.argv[1:]), file=file)
"""
HOSTILE = [
    '5$ less & "quoted" $HOME',
    "$(shell touch made)",
    "${PATH}",
    "x;touch made",
    "`touch made`",
    "$(touch made)",
    "it's \\ back\\slashed # not a comment",
    "two\nlines",
    "100% *",
    "$$PAIR $@",
    "--help",
    "a | tee made > made",
]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def make(tmp_path):
    """Runs real make with the real Makefile in an empty folder and returns what each call of ``omni`` was given."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "setup.sh").write_text("#!/bin/sh\n")
    (tmp_path / "tools" / "setup.sh").chmod(0o755)
    stub, out = tmp_path / ".venv" / "bin" / "omni", tmp_path / "calls.jsonl"
    stub.parent.mkdir(parents=True)
    stub.write_text(STUB.format(python=sys.executable, out=str(out)), encoding="utf-8")
    stub.chmod(0o755)
    kept = sorted([*(path.name for path in tmp_path.iterdir()), out.name])

    def run(*arguments, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "OMNI_"))}
        done = subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            env=clean | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == kept, "something that was typed was executed"
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

    return run


# 25, and two of deployment: the local stores from the template (`up`), and the templates themselves (`infra`).
def test_there_are_at_most_28_targets_and_each_is_phony_and_explained():
    phony = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
    assert sorted(phony) == sorted(TARGETS)
    assert len(TARGETS) <= 28
    assert sorted(re.findall(r"^([a-z-]+):[^#\n]*## \S", MAKEFILE, re.MULTILINE)) == sorted(TARGETS)


def test_each_recipe_is_one_line():
    recipes = re.findall(r"^[a-z-]+:[^\n]*\n((?:\t[^\n]*\n)+)", MAKEFILE, re.MULTILINE)
    assert len(recipes) == len(TARGETS)
    assert [recipe for recipe in recipes if recipe.count("\n") != 1] == []


def test_help_names_every_target_under_a_station():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"^  make ([a-z-]+) ", done.stdout, re.MULTILINE) == TARGETS
    for station in ("Set up", "Evaluate", "Release", "Serve", "Report"):
        assert f"\n{station}" in done.stdout


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_typed_arrives_byte_for_byte(make, text):
    assert make("promote", f"PAIR={text}", f"WHY={text}") == [["promote", f"--why={text}", "--", text]]


@pytest.mark.parametrize("text", HOSTILE)
def test_every_option_arrives_byte_for_byte(make, text):
    names = ("TASK", "PAIRS", "DATASET", "CASES", "REPEATS", "BUDGET", "CONCURRENCY")
    (given,) = make("eval", *(f"{name}={text}" for name in names))
    assert given == ["eval", *(f"--{name.lower()}={text}" for name in names)]


def options_of(target):
    """The variables that the recipe of ``target`` passes on, with the option of each."""
    recipe = re.findall(rf"^{target}:[^\n]*\n\t([^\n]*)\n", MAKEFILE, re.MULTILINE)[0]
    return re.findall(r"\$\(call option,([A-Z_]+),([a-z-]+)\)", recipe)


@pytest.mark.parametrize("target", [name for name in TARGETS if options_of(name) and name not in ("load", "chaos")])
def test_every_option_of_every_target_arrives_byte_for_byte(make, target):
    text = "5$ less & \"quoted\" '$HOME' `touch made` $(shell touch made) ;touch made \\ #"
    ((command, *given),) = make(target, *(f"{name}={text}" for name, _ in options_of(target)))[-1:]
    assert target in (command, *given)
    for _, option in options_of(target):
        assert f"--{option}={text}" in given


@pytest.mark.parametrize(("target", "name"), [("load", "ONLY"), ("load", "PROCESSES"), ("chaos", "ONLY")])
def test_the_load_targets_pass_on_what_is_typed(tmp_path, make, target, name):
    python = tmp_path / ".venv" / "bin" / "python"
    shutil.copy(tmp_path / ".venv" / "bin" / "omni", python)
    text = "$(shell touch made) `touch made` ;touch made \"'"
    (given,) = make(target, f"{name}={text}")
    assert f"--{name.lower()}={text}" in given


def test_a_variable_of_no_target_is_not_executed_either(make):
    assert make("history", "SOMETHING=$(shell touch made)") == [["history"]]


@pytest.mark.parametrize(
    "name", ["OMNI", "VENV", "SHELL", "TYPED", "omni", "option", "text", "pair", "is_typed", "simulated"]
)
def test_the_makefiles_own_names_cannot_be_typed_over(make, name):
    assert make("promote", "PAIR=p", "WHY=w", f"{name}=touch made;") == [["promote", "--why=w", "--", "p"]]


def test_only_what_is_typed_counts(make):
    given = make("eval", "CASES=", PAIRS="extractive", CASES="3", FRESH="1", OMNI_MAKE_PAIRS="extractive")
    assert given == [["eval"]]


def test_a_switch_is_on_when_it_is_given_a_value(make):
    assert make("eval", "FRESH=1") == [["eval", "--fresh"]]


def test_simulated_weeks_and_what_follows_them_share_a_store(make):
    assert make("traffic", "report", "SEED=1", "WEEK=2026-W46") == [
        ["--traffic", "traffic", "--seed=1"],
        ["--traffic", "report", "--week=2026-W46"],
    ]


def test_a_later_report_on_simulated_weeks_is_asked_for(make):
    assert make("report", "TRAFFIC=1") == [["--traffic", "report"]]
