"""Production rehearsed: every step of the command gets what it expects, and what is put back makes its step red."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omni.deploying.rehearsal.templates import FOLDER
from service.kit.settings import REPO_ROOT

_SERVERS = list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _SERVERS and shutil.which("pg_ctl") is None, reason="needs PostgreSQL's server"),
]


def rehearse(*arguments):
    """Run the command; return its exit code and what each step got."""
    line = [sys.executable, "-m", "omni", "rehearse", "production", *map(str, arguments)]
    done = subprocess.run(
        line,
        cwd=REPO_ROOT,
        env=os.environ | {"PYTHONPATH": str(REPO_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in done.stdout.splitlines() if row.startswith("| ")]
    return done.returncode, {row[0]: row[2] for row in rows[1:]}, done.stdout + done.stderr


@pytest.mark.acceptance("operation-21")
def test_production_comes_up_serves_is_broken_and_comes_back():
    code, got, said = rehearse()
    assert code == 0, said
    assert len(got) > 20


@pytest.fixture
def templates(tmp_path):
    """A copy of the templates, and a way to change one."""
    folder = tmp_path / "templates"
    shutil.copytree(FOLDER, folder)

    def change(stack, old, new):
        file = folder / "prod" / f"{stack}.json"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        json.loads(file.read_text(encoding="utf-8"))

    return folder, change


def test_a_registry_that_refuses_its_own_address_ends_the_rehearsal(templates):
    folder, change = templates
    change("omni-registry", "--allowed-hosts mlflow.omni.internal:5000,localhost:5000 ", "")
    code, got, said = rehearse("--templates", folder)
    assert code == 1, said
    assert "Invalid Host header" in got["First release"] or "403" in got["First release"], got


def test_two_zones_and_no_grants_are_seen_without_a_task(templates):
    folder, change = templates
    change("omni-registry", "--app-name basic-auth", "--app-name no-such-app")  # ends it before the first release
    change("omni-service", "RedshiftDbRoles", "OtherTag")
    network = folder / "prod" / "omni-network.json"
    template = json.loads(network.read_text(encoding="utf-8"))
    for logical, one in template["Resources"].items():
        if one["Type"] == "AWS::EC2::Subnet" and "Subnet3" in logical:
            one["Properties"]["AvailabilityZone"] = {"Fn::Select": [0, {"Fn::GetAZs": ""}]}
    network.write_text(json.dumps(template), encoding="utf-8")
    code, got, said = rehearse("--templates", folder)
    assert code == 1, said
    assert got["Zones"] == "FAILED: tasks have 2 zones"
    assert "no role by the tag RedshiftDbRoles" in got["Grants in the warehouse"]
    assert got["Registry"].startswith("FAILED")
    assert got["First release"] == "not reached"
