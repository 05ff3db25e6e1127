"""``tools/setup.sh`` where programs are missing: it names what to install, and installs nothing that is there."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "setup.sh"


@pytest.fixture
def machine(tmp_path):
    """A path with the given stand-ins for programs, whose user is not root."""

    def run(*parts, **programs):
        for name, text in {"id": "echo 1000", **programs}.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (tmp_path / name).chmod(0o755)
        (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
        line = [shutil.which("bash"), str(SCRIPT), *parts]
        return subprocess.run(line, env={"PATH": str(tmp_path)}, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(("part", "package"), [("chromium", "chromium"), ("node", "nodejs npm")])
def test_a_missing_program_is_named_with_the_package_that_has_it(machine, part, package):
    done = machine(part)
    assert done.returncode == 2
    assert f"apt-get install {package} (as root)" in done.stderr


def test_what_is_there_is_left_alone(machine):
    done = machine("chromium", "node", chromium="exit 9", node="exit 0", npm="exit 9")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_node_that_is_too_old_is_named(machine):
    done = machine("node", node='[ "$1" = --version ] && echo v18.0.0 || exit 1', npm="exit 0")
    assert done.returncode == 2
    assert "Node.js v18.0.0 is too old" in done.stderr


def test_an_unknown_part_is_named(machine):
    done = machine("chrome")
    assert done.returncode == 2
    assert "no part 'chrome'; there are base, extras, chromium, node" in done.stderr


def test_under_root_a_missing_program_is_installed(machine):
    done = machine("chromium", id="echo 0", **{"apt-get": 'echo "$@"'})
    assert done.returncode == 0
    assert "update -qq" in done.stdout
    assert "installing chromium" in done.stdout
