"""The exports of the schedule that stand in the repository are those of its file."""

import pytest
import typer

from omni.app import build_app
from omni.schedule.export import files_of
from omni.schedule.plan import PLAN_FILE, load_plan
from service.kit.settings import REPO_ROOT


@pytest.mark.parametrize("kind", ["eventbridge", "github", "systemd"])
def test_an_export_is_made_from_the_file(kind):
    plan = load_plan(REPO_ROOT / PLAN_FILE, typer.main.get_command(build_app()).commands)
    for name, text in files_of(plan, kind).items():
        told = f"{name} is older than {PLAN_FILE}: run omni schedule export --as {kind}"
        assert (REPO_ROOT / name).read_text(encoding="utf-8") == text, told
