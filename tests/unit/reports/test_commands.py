"""What ``omni report`` ends with."""

from pathlib import Path

import pytest
import typer

from reports import commands, run
from reports.run import WrittenReport


@pytest.mark.parametrize(("empty", "as_json", "code"), [(True, False, 1), (True, True, 0), (False, False, 0)])
def test_a_report_on_a_week_without_answers_ends_with_1(monkeypatch, capsys, empty, as_json, code):
    file = Path("weekly")
    written = WrittenReport(
        report_id="weekly", tasks=("summarize",), headline="No answers in 2026-W30", evidence="None.", note="",
        page=file, digest=file, numbers=file, empty=empty,
    )  # fmt: skip
    monkeypatch.setattr(run, "write_weekly", lambda *_, **__: written)
    ended = 0
    try:
        commands.report(week="2026-W30", task="", zone="", as_json=as_json)
    except typer.Exit as end:
        ended = end.exit_code
    assert ended == code
    assert "No answers in 2026-W30" in capsys.readouterr().out
