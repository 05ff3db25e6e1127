"""`omni sql`: a table, CSV or a one-line error."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from service.__main__ import main
from service.kit.settings import REPO_ROOT, Settings
from service.warehouse import open_warehouse
from service.warehouse.events import LoadEvent
from service.warehouse.rows import to_table

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def filled(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    warehouse = open_warehouse(Settings())
    warehouse.migrate()
    rows = [
        {
            "object_key": f"key-{number:03d}",
            "etag": "[e]",
            "kind": "summary",
            "outcome": "dead" if number else "loaded",
            "reason": "half written" if number else None,
            "row_count": number,
            "loaded_at": NOW + timedelta(minutes=number),
        }
        for number in range(250)
    ]
    warehouse.merge(LoadEvent, to_table(LoadEvent, rows))
    warehouse.close()


SQL = "SELECT object_key, etag, reason, row_count, row_count / 4::FLOAT AS quarter, loaded_at, loaded_at::DATE AS day FROM omni_loads ORDER BY 1"


def test_a_table_for_a_person(filled, capsys):
    assert main(["sql", f"{SQL} LIMIT 2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["object_key", "etag", "reason", "row_count", "quarter", "loaded_at", "day"]
    assert lines[2:] == [
        ["key-000", "[e]", "0", "0", "2026-11-21", "12:00:00", "2026-11-21"],
        ["key-001", "[e]", "half", "written", "1", "0.25", "2026-11-21", "12:01:00", "2026-11-21"],
        ["2", "rows"],
    ]


def test_many_rows_are_cut_for_a_person_and_whole_for_a_program(filled, capsys):
    assert main(["sql", SQL]) == 0
    out = capsys.readouterr().out
    assert "key-199" in out
    assert "key-200" not in out
    assert out.endswith("the first 200 of 250 rows; --csv prints all\n")
    assert main(["sql", "--csv", SQL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 251
    assert lines[2] == "key-001,[e],half written,1,0.25,2026-11-21 12:01:00+00:00,2026-11-21"


def test_a_spreadsheet_computes_nothing_and_a_terminal_obeys_nothing(filled, capsys):
    sql = "SELECT '=1+1' AS a, '@x' AS b, '-1+1' AS c, -1 AS d, CHR(27) || '[2J' AS e, 'a=b' AS f, 'x' AS \"=g\""
    assert main(["sql", "--csv", sql]) == 0
    assert capsys.readouterr().out == "a,b,c,d,e,f,'=g\n'=1+1,'@x,'-1+1,-1,\\u001b[2J,a=b,x\n"
    for form in ("--json", "--csv"):
        assert main(["sql", form, sql]) == 0
        assert "\x1b" not in capsys.readouterr().out
    assert main(["sql", "SELECT CHR(27) || '[2J' AS \"e\", '[red]x[/blue]' AS f"]) == 0
    out = capsys.readouterr().out
    assert "\\u001b[2J" in out
    assert "[red]x[/blue]" in out


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "SELEC"),
        ("SELECT nothing FROM omni_loads", "nothing"),
        ("SELECT * FROM omni_load", "no table 'omni_load'"),
        ("DELETE FROM omni_loads", "only SELECT"),
        ("SELECT ADD_MONTHS(loaded_at, 1) FROM omni_loads", "ADD_MONTHS"),
        ("SELECT 'open", "cannot be read"),
    ],
)
def test_bad_sql_is_one_line(filled, capsys, sql, said):
    assert main(["sql", sql]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_no_warehouse_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path))
    assert main(["sql", "SELECT 1 AS a"]) == 2
    assert "no warehouse at" in capsys.readouterr().err
    assert not (tmp_path / "warehouse").exists()


def test_without_the_engine_the_error_names_the_package_to_install(tmp_path):
    script = "import sys; sys.modules['duckdb'] = None\nfrom service.__main__ import main\nsys.exit(main(['sql', 'SELECT 1']))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPO_ROOT, env={"OMNI_STATE_DIR": str(tmp_path), "PYTHONPATH": str(REPO_ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2,
        "error: duckdb is not installed: pip install 'omni-insights[warehouse]'\n",
    )
