"""The archive of the functions holds every package that they import, for the Python that they run in."""

import json
import subprocess
import sys
from pathlib import Path

from tools.functions import PACKAGES, PYTHON, locked, pack

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "infra" / "cdk" / "templates" / "prod"
# Refuses every installed package but those of the archive, as Lambda would, and then does what Lambda does first.
_IMPORTS = """
import importlib, importlib.metadata, sys

kept, handlers = set(sys.argv[1].split(",")), sys.argv[2].split(",")
of = {
    top: {name.lower().replace("_", "-").replace(".", "-") for name in names}
    for top, names in importlib.metadata.packages_distributions().items()
}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top != "service" and top in of and not of[top] & kept:
            raise ModuleNotFoundError(f"No module named {name!r}: it is not in the archive", name=name)

sys.meta_path.insert(0, Refuse())
for handler in handlers:
    module, _, function = handler.rpartition(".")
    getattr(importlib.import_module(module), function)
from service.channels.phone.entry import _opened
_opened()
"""


def _functions():
    for file in TEMPLATES.glob("*.json"):
        for resource in json.loads(file.read_text(encoding="utf-8"))["Resources"].values():
            code = resource.get("Properties", {}).get("Code", {})
            if resource["Type"] == "AWS::Lambda::Function" and "ZipFile" not in code:
                yield resource["Properties"]


def _imported(packages):
    handlers = ",".join(sorted({one["Handler"] for one in _functions()}))
    return subprocess.run(
        [sys.executable, "-c", _IMPORTS, ",".join(sorted(packages)), handlers],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", "OMNI_AWS_REGION": "us-east-1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_functions_import_nothing_that_the_archive_lacks():
    assert locked().keys() >= PACKAGES
    done = _imported(PACKAGES)
    assert done.returncode == 0, done.stderr


def test_a_missing_package_is_seen():
    done = _imported(PACKAGES - {"structlog"})
    assert "structlog" in done.stderr


def test_the_wheels_are_for_the_functions_python():
    assert {one["Runtime"] for one in _functions()} == {f"python{PYTHON}"}


def test_equal_content_gives_an_equal_archive_and_other_content_another_name(tmp_path):
    installed = tmp_path / "installed"
    (installed / "pydantic" / "__pycache__").mkdir(parents=True)
    (installed / "pydantic" / "__init__.py").write_text("")
    first = pack(installed, tmp_path)
    content = first.read_bytes()
    (installed / "pydantic" / "__pycache__" / "a.pyc").write_text("compiled")
    assert pack(installed, tmp_path).read_bytes() == content
    (installed / "pydantic" / "__init__.py").write_text("changed = True")
    assert pack(installed, tmp_path).name != first.name
