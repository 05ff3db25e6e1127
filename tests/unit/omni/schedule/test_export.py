"""The schedule for other schedulers fires at every time of the file, in each one's own notation."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cronsim import CronSim
from scheduled import job, plan_of

from omni.schedule.export import files_of
from omni.schedule.times import next_slot

CASES = [
    ("0 7 * * MON", "Europe/Berlin"),
    ("30 0 * * MON-FRI", "Europe/Berlin"),  # the day before in UTC
    ("15 23 * * SUN", "America/New_York"),  # the day after in UTC
    ("0 6 1 * *", "Asia/Kathmandu"),  # 5 h 45 min ahead: the last day of the month before
    ("0,30 8-10 * * *", "Australia/Adelaide"),
    ("45 3 1,15 1-6 *", "UTC"),
    ("10 1 29 2 *", "Pacific/Auckland"),
]


def text_of(kind, *jobs, **changes):
    return "".join(files_of(plan_of(*jobs, **changes), kind).values())


def slots(cron, zone, count=40):
    found = [datetime(2026, 1, 1, tzinfo=UTC)]
    while len(found) <= count:
        found.append(next_slot(cron, zone, found[-1]))
    return found[1:]


@pytest.mark.parametrize(("cron", "zone"), CASES)
def test_githubs_times_hit_every_time_of_the_job(cron, zone):
    workflow = yaml.safe_load(text_of("github", job(cron=cron, zone=zone)))
    crons = [item["cron"] for item in workflow[True]["schedule"]]
    assert len(crons) <= 8
    for slot in slots(cron, zone):
        before = slot - timedelta(minutes=1)
        assert any(next(CronSim(one, before)) == slot for one in crons), slot


def test_githubs_runner_trusts_the_keys_whose_releases_count():
    (work,) = yaml.safe_load(text_of("github", job()))["jobs"].values()
    (step,) = (step for step in work["steps"] if "trusted.pem" in step.get("run", ""))
    assert step["env"] == {"TRUSTED_KEYS": "${{ vars.OMNI_TRUSTED_KEYS_PEM }}"}
    assert step["run"] == "mkdir -p .omni/keys && printf '%s\\n' \"$TRUSTED_KEYS\" > .omni/keys/trusted.pem"
    assert work["steps"].index(step) < len(work["steps"]) - 1


def test_githubs_times_are_few_where_the_zone_allows():
    workflow = yaml.safe_load(text_of("github", job(cron="0 7 * * MON", zone="Europe/Berlin")))
    assert [item["cron"] for item in workflow[True]["schedule"]] == ["0 6 * * MON", "0 5 * * MON"]


def test_a_workflow_gets_the_secrets_that_its_destinations_need_and_no_other():
    chat = {"kind": "slack", "url_from": "TEAM_URL"}
    mail = {"kind": "smtp", "server": "mail.example.com:587", "user": "u", "password_from": "MAIL_PASSWORD",
            "sender": "a@example.com", "to": ["b@example.com"]}  # fmt: skip
    told = job(deliver={"what": "problems", "to": ["chat"]})
    found = yaml.safe_load(text_of("github", told, destinations={"chat": chat, "mail": mail}))
    assert found["jobs"]["run"]["env"]["TEAM_URL"] == "${{ secrets.TEAM_URL }}"
    assert "MAIL_PASSWORD" not in found["jobs"]["run"]["env"]


def test_a_frequent_job_runs_along_and_adds_no_time():
    text = text_of("github", job(cron="*/15 * * * *", id="often"), job())
    assert len(yaml.safe_load(text)[True]["schedule"]) == 1
    assert "# Too often for a workflow, so it runs whenever this one does: often (*/15 * * * *)." in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize(("cron", "zone"), [*CASES, ("*/15 * * * *", "Europe/Berlin")])
def test_systemd_elapses_at_the_same_times(cron, zone):
    (expression,) = re.findall(r"^OnCalendar=(.+)$", text_of("systemd", job(cron=cron, zone=zone)), re.MULTILINE)
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time=2026-01-01 00:00:00 UTC", "--iterations=8", expression],
        env={"TZ": "UTC", "LC_ALL": "C"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    times = re.findall(r"(?:Next elapse|\(in UTC\)|Iter\. #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d):00 UTC", done.stdout)
    found = sorted({datetime.strptime(time, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) for time in times})
    assert found == slots(cron, zone, count=8)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path):
    for name, text in files_of(plan_of(job()), "systemd").items():
        path = tmp_path / name.rpartition("/")[2]
        path.write_text(text.replace("/opt/omni/.venv/bin/omni", shutil.which("true")))
    units = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "omni-schedule" in line] == []


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 7 * * MON", "cron(0 7 ? * MON *)"),
        ("*/15 * * * *", "cron(0,15,30,45 * * * ? *)"),
        ("0 6 1 * *", "cron(0 6 1 * ? *)"),
        ("30 5 * 1-3 7,6", "cron(30 5 ? 1,2,3 SUN,SAT *)"),
    ],
)
def test_eventbridge_has_six_fields_of_which_one_is_open(cron, said):
    template = json.loads(text_of("eventbridge", job(cron=cron, zone="Europe/Berlin")))
    found = template["Resources"]["Job"]["Properties"]
    assert (found["ScheduleExpression"], found["ScheduleExpressionTimezone"]) == (said, "Europe/Berlin")


def test_eventbridge_starts_whatever_is_due():
    template = json.loads(text_of("eventbridge", job(id="weekly-report", catch_up="6d")))
    target = template["Resources"]["WeeklyReport"]["Properties"]["Target"]
    override = json.loads(target["Input"]["Fn::Sub"].replace("${Container}", "app"))
    assert override == {"containerOverrides": [{"name": "app", "command": ["schedule", "run"]}]}
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 86_400
