"""What runs, once: missed times, failures, hangs, lost schedulers, and results on their way."""

import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from scheduled import MONDAY, Clock, Receivers, job, make_scheduler

from omni.schedule.status import read_status
from service.kit.frame.errors import ConfigurationError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def counting(tmp_path, more=""):
    """A program that adds a line to a file each time it runs."""
    return f"open({str(tmp_path / 'ran')!r}, 'a').write('ran\\n')\n{more}"


def ran(tmp_path):
    path = tmp_path / "ran"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_run_missed_for_two_days_is_made_up_for_once(tmp_path):
    clock = Clock(MONDAY - HOUR)
    scheduler, said = make_scheduler(tmp_path, job(counting(tmp_path), cron="0 6 * * *", catch_up="2d"), clock=clock)
    scheduler.turn()
    assert (ran(tmp_path), scheduler.runs.read("job").slot) == (1, MONDAY - DAY)
    clock.now = MONDAY + 2 * DAY + 3 * HOUR  # the machine was off from before Monday's run until Wednesday
    assert scheduler.turn()
    assert scheduler.turn()
    assert ran(tmp_path) == 2
    assert said[-1].startswith("job: done, due 2026-11-18 06:00 UTC, 3 h late")
    clock.now = MONDAY + 3 * DAY
    scheduler.turn()
    assert ran(tmp_path) == 3


def test_a_run_that_is_too_late_is_left_out_and_shown(tmp_path):
    clock = Clock()
    scheduler, _ = make_scheduler(tmp_path, job(counting(tmp_path), catch_up="1h"), clock=clock)
    scheduler.turn()
    clock.now = MONDAY + 7 * DAY + 2 * HOUR
    assert scheduler.turn()
    assert ran(tmp_path) == 1
    status = read_status(scheduler)
    assert not status.well
    assert "    missed 2026-11-23 06:00 UTC: may begin at most 1 h late" in status.lines()


def test_nothing_runs_before_its_time_or_when_the_clock_goes_back(tmp_path):
    clock = Clock(MONDAY - timedelta(seconds=1))
    scheduler, _ = make_scheduler(tmp_path, job(counting(tmp_path), catch_up="5d"), clock=clock)
    scheduler.turn()
    assert ran(tmp_path) == 0
    clock.now = MONDAY
    scheduler.turn()
    clock.now = MONDAY - 7 * DAY
    scheduler.turn()
    assert ran(tmp_path) == 1


def test_a_failed_run_is_not_repeated_for_an_older_time_when_the_clock_goes_back(tmp_path):
    clock = Clock()
    scheduler, _ = make_scheduler(tmp_path, job(counting(tmp_path, "raise SystemExit(2)"), attempts=3), clock=clock)
    scheduler.turn()
    clock.now = MONDAY - DAY
    scheduler.turn()
    assert (ran(tmp_path), scheduler.runs.read("job").slot) == (1, MONDAY)


def test_a_job_that_fails_is_recorded_with_its_last_line_and_later_ones_run(tmp_path):
    broken = job("import sys; print('some lines'); sys.exit('error: \\x1b[31mno warehouse')", id="broken")
    scheduler, _ = make_scheduler(tmp_path, broken, job(counting(tmp_path)))
    assert not scheduler.turn()
    assert ran(tmp_path) == 1
    record = scheduler.runs.read("broken")
    assert (record.state, record.exit_code) == ("attention", 1)
    assert record.detail == "error: \\u001b[31mno warehouse"
    assert not read_status(scheduler).well
    scheduler.turn()
    assert ran(tmp_path) == 1


def test_a_run_that_could_not_run_is_tried_again_as_often_as_the_job_says(tmp_path):
    clock = Clock()
    scheduler, said = make_scheduler(tmp_path, job(counting(tmp_path, "raise SystemExit(2)"), attempts=3), clock=clock)
    for expected in (1, 1, 2, 2, 3, 3):
        scheduler.turn()
        assert ran(tmp_path) == expected
        clock.now += timedelta(minutes=4)
    assert "attempt 3" in said[-1]
    assert scheduler.runs.read("job").state == "failed"


def test_a_run_that_hangs_is_ended_at_its_timeout_with_all_that_it_started(tmp_path):
    deaf = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "print('began', flush=True)\n"
        "time.sleep(600)"
    )
    scheduler, _ = make_scheduler(tmp_path, job(deaf, id="deaf", timeout="2s"), job(counting(tmp_path)), grace_s=0.2)
    assert not scheduler.turn()
    record = scheduler.runs.read("deaf")
    assert record.state == "timed out"
    assert record.detail == "ended after its timeout of 0:00:02; it last printed: began"
    for pid in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(_unreaped(int(pid)), 0)
    assert ran(tmp_path) == 1


def _unreaped(pid):
    """Return ``pid``, or a number that no process has if it is a zombie that this container's init has not reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return pid
    return 2**22 + 1 if state == "Z" else pid


def test_what_a_command_leaves_running_ends_with_it(tmp_path):
    leaves = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))"
    )
    scheduler, _ = make_scheduler(tmp_path, job(leaves))
    assert scheduler.turn()
    with pytest.raises(ProcessLookupError):
        os.kill(_unreaped(int((tmp_path / "pid").read_text())), 0)


def test_ctrl_c_ends_the_command_and_the_run_is_repeated_once(tmp_path):
    clock = Clock()
    slow = counting(tmp_path, f"import os, signal, time\nos.kill({os.getpid()}, signal.SIGINT)\ntime.sleep(600)")
    scheduler, _ = make_scheduler(tmp_path, job(slow), clock=clock)
    for attempt in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            scheduler.turn()
        record = scheduler.runs.read("job")
        assert (record.state, record.attempt) == ("interrupted", attempt)
    scheduler.turn()
    assert ran(tmp_path) == 2


def test_two_schedulers_of_one_folder_do_not_run_the_same_thing(tmp_path):
    other, said = make_scheduler(tmp_path, job(counting(tmp_path)))

    def meanwhile(words):
        assert other.turn()
        return [sys.executable, "-c", words[1]]

    scheduler, _ = make_scheduler(tmp_path, job(counting(tmp_path)), command=meanwhile)
    assert scheduler.turn()
    assert other.turn()
    assert ran(tmp_path) == 1
    assert "job job is at work already" in said[0]


def test_a_run_of_another_machine_is_left_alone_until_its_lease_ends(tmp_path):
    clock = Clock()
    here, _ = make_scheduler(tmp_path, job(counting(tmp_path)), clock=clock)
    place = here.outbox.place
    there, _ = make_scheduler(tmp_path / "there", job(), clock=clock, place=place, machine="there")
    assert there.runs.claim(there.plan.jobs[0], MONDAY, MONDAY) is not None  # and dies without a word
    clock.now = MONDAY + timedelta(minutes=2)
    here.turn()
    assert ran(tmp_path) == 0
    clock.now = MONDAY + timedelta(minutes=4)
    assert here.turn()
    assert ran(tmp_path) == 1
    assert here.runs.read("job").attempt == 2


def test_a_run_that_nobody_will_end_is_shown_as_interrupted(tmp_path):
    clock = Clock()
    here, _ = make_scheduler(tmp_path, job(), clock=clock)
    assert here.runs.claim(here.plan.jobs[0], MONDAY, MONDAY) is not None
    assert read_status(here).well
    clock.now = MONDAY + timedelta(minutes=3)
    found = read_status(here)
    assert not found.well
    assert found.jobs[0].last.state == "interrupted"


def test_readers_hear_of_a_run_whose_machine_was_lost_each_time(tmp_path):
    clock, send = Clock(), Receivers()
    given = job(counting(tmp_path), deliver={"what": "problems", "to": ["folder"]})
    here, _ = make_scheduler(tmp_path, given, clock=clock, send=send)
    there, _ = make_scheduler(tmp_path / "there", given, clock=clock, place=here.outbox.place, machine="there")
    for _ in range(2):
        assert there.runs.claim(there.plan.jobs[0], MONDAY, clock.now) is not None
        clock.now += HOUR
    assert not here.turn()
    assert here.turn()
    assert ran(tmp_path) == 0
    assert [report.title for report, _ in send.got] == ["job could not run: does it"]


def test_a_job_waits_while_another_machine_runs_what_comes_before_it(tmp_path):
    clock = Clock()
    both = job(id="load"), job(counting(tmp_path), id="report", after=["load"])
    here, said = make_scheduler(tmp_path, *both, clock=clock)
    there, _ = make_scheduler(tmp_path / "there", *both, clock=clock, place=here.outbox.place, machine="there")
    claimed = there.runs.claim(there.plan.jobs[0], MONDAY, MONDAY)
    assert here.turn()
    assert (ran(tmp_path), said) == (0, ["report: waits for load, which another scheduler is running"])
    failed = claimed.record.model_copy(update={"state": "failed", "ended_at": MONDAY})
    there.runs.finish(there.plan.jobs[0], claimed, failed)
    here.turn()
    assert ran(tmp_path) == 1


def test_who_comes_back_after_the_lease_does_not_overwrite_the_newer_run(tmp_path):
    clock = Clock()
    here, _ = make_scheduler(tmp_path, job(counting(tmp_path)), clock=clock)
    there, _ = make_scheduler(tmp_path / "there", job(), clock=clock, place=here.outbox.place, machine="there")
    claimed = there.runs.claim(there.plan.jobs[0], MONDAY, MONDAY)
    clock.now = MONDAY + HOUR
    here.turn()
    late = claimed.record.model_copy(update={"state": "failed"})
    there.runs.finish(there.plan.jobs[0], claimed, late)
    assert here.runs.read("job").state == "done"


REPORT = """
import json, pathlib, sys
folder = pathlib.Path({folder!r})
for name in ("weekly.html", "digest.md"):
    (folder / name).write_text(name)
print(json.dumps({{"report_id": "weekly-summarize-2026-W46", "headline": "Answers got worse", "evidence": "0.71 against 0.90",
                  "note": "", "page": str(folder / "weekly.html"), "digest": str(folder / "digest.md")}}))
"""


def test_a_report_is_delivered_once_whoever_makes_it_again(tmp_path):
    clock, send = Clock(), Receivers()
    weekly = job(REPORT.format(folder=str(tmp_path)), deliver={"what": "report", "to": ["folder"]}, cron="0 6 * * *")
    weekly["command"].append("--json")
    scheduler, _ = make_scheduler(tmp_path, weekly, clock=clock, send=send)
    assert scheduler.turn()
    clock.now += DAY
    assert scheduler.turn()
    assert len(send.got) == 1
    report = send.got[0][0]
    assert (report.report_id, report.title, report.lines) == (
        "weekly-summarize-2026-W46", "Answers got worse", ("0.71 against 0.90",),
    )  # fmt: skip
    assert [(file.name, file.media_type, file.content) for file in report.files] == [
        ("weekly.html", "text/html", b"weekly.html"),
        ("digest.md", "text/markdown", b"digest.md"),
    ]


@pytest.mark.parametrize("program", ["print('no JSON')", "print('{}')", "print('{\"page\": 1}')", ""])
def test_a_command_that_prints_no_report_has_failed_and_the_readers_hear_of_it(tmp_path, program):
    send = Receivers()
    weekly = job(program, deliver={"what": "report", "to": ["folder"]})
    weekly["command"].append("--json")
    scheduler, _ = make_scheduler(tmp_path, weekly, send=send)
    assert not scheduler.turn()
    assert scheduler.runs.read("job").state == "failed"
    assert send.got[0][0].title == "job could not run: does it"
    assert "printed no report" in send.got[0][0].lines[0]


@pytest.mark.parametrize(
    ("what", "code", "title"),
    [
        ("problems", 0, None),
        ("problems", 1, "job found something: does it"),
        ("problems", 2, "job could not run: does it"),
        ("output", 0, "job: does it"),
        ("output", 1, "job found something: does it"),
    ],
)
def test_who_is_told_of_what(tmp_path, what, code, title):
    send = Receivers()
    program = f"print('first'); print('last'); raise SystemExit({code})"
    scheduler, _ = make_scheduler(tmp_path, job(program, deliver={"what": what, "to": ["folder"]}), send=send)
    scheduler.turn()
    assert [report.title for report, _ in send.got] == ([] if title is None else [title])
    if code < 2 and title:
        assert send.got[0][0].lines == ("first", "last")


def test_simulated_weeks_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNI_SIMULATED", "1")
    send = Receivers()
    scheduler, _ = make_scheduler(tmp_path, job(deliver={"what": "output", "to": ["folder"]}), send=send)
    scheduler.turn()
    report = send.got[0][0]
    assert report.title == "Simulated weeks: job: does it"
    assert report.report_id == "simulated-job-2026-11-16T0600Z"


def test_only_the_named_job_runs(tmp_path):
    scheduler, _ = make_scheduler(tmp_path, job(counting(tmp_path)), job(counting(tmp_path), id="other"))
    assert scheduler.turn(["other"])
    assert (ran(tmp_path), scheduler.runs.read("job")) == (1, None)
    with pytest.raises(ConfigurationError, match="no job 'none'; choose from job, other"):
        scheduler.turn(["none"])


def test_outputs_of_old_runs_are_deleted(tmp_path):
    clock = Clock()
    scheduler, _ = make_scheduler(tmp_path, job("print(1)", cron="* * * * *"), clock=clock)
    folder = tmp_path / "schedule" / "output" / "job"
    folder.mkdir(parents=True)
    for place in range(30):
        for kind in ("out", "err"):
            (folder / f"2026-10-{place + 1:02}T0600Z-1.{kind}").write_text("")
    scheduler.turn()
    assert len(list(folder.glob("*.out"))) == len(list(folder.glob("*.err"))) == 20
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_folder_that_cannot_be_written_fails_one_job_and_the_run_is_repeated(tmp_path):
    scheduler, said = make_scheduler(tmp_path, job(counting(tmp_path)), job(counting(tmp_path), id="other"))
    blocked = tmp_path / "schedule" / "output" / "job"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file")
    assert not scheduler.turn()
    assert (ran(tmp_path), scheduler.runs.read("other").state) == (1, "done")
    assert str(blocked) in said[0]
    blocked.unlink()
    assert scheduler.turn()
    assert scheduler.runs.read("job").state == "done"


def test_a_broken_record_is_named(tmp_path):
    scheduler, said = make_scheduler(tmp_path, job(), job(counting(tmp_path), id="other"))
    scheduler.turn(["job"])
    path = tmp_path / "schedule" / "run" / "job.json"
    path.write_text(json.dumps({"version": 1}))
    assert not scheduler.turn()
    assert f"{path} holds no record of the schedule: delete it" in said[-2]
    assert ran(tmp_path) == 1
