"""Ctrl-C while ``omni`` still imports is one line and exit code 130."""

import subprocess
import sys

import pytest

from service.kit.settings import REPO_ROOT

CUT_OFF = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv = ["omni", "history"]
from omni.main import main
main()
"""


@pytest.mark.parametrize("module", ["omni.app", "typer", "service.kit.settings"])
def test_ctrl_c_while_a_module_is_imported_is_one_line(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CUT_OFF.format(module=module)],
        cwd=REPO_ROOT,
        env={
            "PYTHONPATH": str(REPO_ROOT),
            "OMNI_STATE_DIR": str(tmp_path),
            "OMNI_REGISTRY_URI": f"sqlite:///{tmp_path}/m.db",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
