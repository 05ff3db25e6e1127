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


def test_a_missing_program_is_named_with_the_package_that_has_it(machine):
    done = machine("chromium")
    assert done.returncode == 2
    assert "apt-get install chromium (as root)" in done.stderr


def test_what_is_there_is_left_alone(machine):
    done = machine("chromium", "node", chromium="exit 9", node="echo 22", npm="exit 9")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("programs", [{}, {"node": "echo 24"}, {"node": "echo 20", "npm": "exit 0"}])
def test_a_node_that_is_missing_or_too_old_is_installed_into_the_environment_once(tmp_path, programs):
    (tmp_path / "path").mkdir()
    for name, text in programs.items():
        (tmp_path / "path" / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / "path" / name).chmod(0o755)
    for name in ("dirname", "touch"):
        (tmp_path / "path" / name).symlink_to(shutil.which(name))
    for folder in ("tools", "requirements", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "tools")
    for name in ("requirements/node.txt", ".venv/.ready"):
        (tmp_path / name).touch()
    uv = tmp_path / ".venv" / "bin" / "uv"
    uv.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    uv.chmod(0o755)
    line = [shutil.which("bash"), str(tmp_path / "tools" / "setup.sh"), "node"]
    first, second = (
        subprocess.run(line, env={"PATH": str(tmp_path / "path")}, capture_output=True, text=True) for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, "")
    assert "--require-hashes -r requirements/node.txt" in first.stdout
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_an_unknown_part_is_named(machine):
    done = machine("chrome")
    assert done.returncode == 2
    assert "no part 'chrome'; there are base, extras, chromium, node" in done.stderr


def test_under_root_a_missing_program_is_installed(machine):
    done = machine("chromium", id="echo 0", **{"apt-get": 'echo "$@"'})
    assert done.returncode == 0
    assert "update -qq" in done.stdout
    assert "installing chromium" in done.stdout
