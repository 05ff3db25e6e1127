"""The schedule's file: the one of the project, and what is wrong in a file, said in one line."""

import textwrap

import pytest
import typer
import yaml

from omni.app import build_app
from omni.schedule.plan import PLAN_FILE, load_plan
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import REPO_ROOT

GOOD = """
zone: Europe/Berlin
destinations:
  shelf: {kind: folder, path: delivered}
  mail: {kind: smtp, server: "localhost:25", tls: none, sender: a@example.com, to: [b@example.com]}
jobs:
  - id: weekly
    what: writes the report
    command: [report, --json]
    cron: "0 7 * * MON"
    timeout: 30m
    catch_up: 6d
    deliver: {what: report, to: [shelf]}
  - {id: audit, what: checks releases, command: [verify], cron: "0 5 * * *", timeout: 2h, catch_up: 1d, zone: UTC}
"""


def load(tmp_path, text):
    path = tmp_path / "schedule.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_plan(path, {"report", "verify"})


def test_the_projects_own_file_names_commands_and_options_that_exist():
    app = typer.main.get_command(build_app())
    plan = load_plan(REPO_ROOT / PLAN_FILE, app.commands)
    for job in plan.jobs:
        command, words = app, list(job.command)
        while words and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, job.id


def test_what_the_project_promises_runs_by_itself():
    jobs = yaml.safe_load((REPO_ROOT / PLAN_FILE).read_text(encoding="utf-8"))["jobs"]
    assert [" ".join(job["command"][:2]) for job in jobs] == [
        "load-events", "audit close-idle", "report --json", "harvest propose", "harvest propose", "verify", "calibrate --due",
        "calls compact", "calls check-stuck", "calls check-agreement", "check-approvals", "calls export",
    ]  # fmt: skip


def test_a_job_takes_the_files_zone_or_its_own(tmp_path):
    plan = load(tmp_path, GOOD)
    assert [job.zone for job in plan.jobs] == ["Europe/Berlin", "UTC"]
    assert plan.job("weekly").timeout.total_seconds() == 1800


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[verify]", "[verfy]", "job 'audit': 'verfy' is no command of omni"),
        ('"0 5 * * *"', '"0 25 * * *"', "job 'audit': cron '0 25 * * *': Bad hour"),
        ("zone: UTC", "zone: Mars/Base", "job 'audit': zone 'Mars/Base' is no IANA time zone"),
        ("zone: UTC", "zone: ../etc", "job 'audit': zone '../etc' is no IANA time zone"),
        ("timeout: 2h", "timeout: 2", "job 'audit' timeout: write a number with its unit"),
        ("timeout: 2h", "timeout: 25h", "job 'audit': timeout is at most 24h"),
        ("catch_up: 1d", "catchup: 1d", "job 'audit' catch_up: Field required"),
        ("id: audit", "id: weekly", "two jobs have the id 'weekly'"),
        ("zone: UTC", "after: [other]", "job 'audit' runs after 'other', which does not stand before it"),
        ("timeout: 30m", "timeout: 30m\n    after: [audit]", "job 'weekly' runs after 'audit', which does not stand"),
        ("to: [shelf]", "to: [shelves]", "job 'weekly' delivers to 'shelves'; destinations are: mail, shelf"),
        ("[report, --json]", "[report]", "job 'weekly': deliver a report needs a command with --json"),
        ("localhost:25", "mail.example.com:25", "tls: none sends the report in the clear to mail.example.com"),
        ("sender: a@example.com", 'sender: "a@example.com\\nBcc: x@y.z"', "sender"),
        ("kind: folder", "kind: fax", "destinations shelf"),
        ("jobs:", "jobs: []\nwork:", "jobs"),
        ("cron: ", "cron: &a ", "schedule.yaml:"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(tmp_path / "schedule.yaml") in str(refused.value)


def test_a_missing_file_and_an_unknown_job_are_named(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no schedule"):
        load_plan(tmp_path / "none.yaml", set())
    with pytest.raises(ConfigurationError, match="no job 'x'; choose from weekly, audit"):
        load(tmp_path, GOOD).job("x")
