"""Frames of the hand-built evaluation: what they hold, their types, their documentation, and what a run may be called."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tiny_evaluation import CASES as TINY_CASES
from tiny_evaluation import SUITE, answer, metric, tiny_evaluation

from eval.commands.results import results
from eval.frames import CASES, METRICS, RELEASES, RUNS, TEXTS, cases, metrics, runs
from eval.frames.columns import frame_of
from eval.frames.finished_runs import matching_runs, the_run
from eval.frames.parquet import parquet_of, write_run
from eval.report.page import write_report
from eval.run.journal import Journal
from eval.spine.errors import ResultsError
from eval.spine.results import Check, Verdict
from service.core.llm.pricing import Cost, Usage
from service.kit.settings import Settings

RUN, LATER = "20261121T040000-1f2e", "20261121T050000-9d3c"
PANDAS = {
    "text": "str",
    "number": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "time": "datetime64[us, UTC]",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, state_dir=tmp_path / "state", registry_uri=f"sqlite:///{tmp_path}/none.db")


@pytest.fixture
def finished(settings: Settings) -> Settings:
    """Settings of a root with the report of one finished run."""
    report_of(settings, RUN)
    return settings


def report_of(settings: Settings, run_id: str, **changes: object) -> Path:
    evaluation = replace(tiny_evaluation(), run_id=run_id, **changes)
    return write_report(evaluation, SUITE, TINY_CASES, settings.root / "reports" / "out" / "eval" / run_id)


def described(frame: pd.DataFrame, columns: tuple) -> None:
    """Every column of ``frame`` is described, in order and with its type; every plain name is there."""
    owners = [next(number for number, one in enumerate(columns) if one.is_of(name)) for name in frame.columns]
    assert owners == sorted(owners)
    assert {one.name for one in columns if not one.name.endswith("*")} <= set(frame.columns)
    for name, owner in zip(frame.columns, owners, strict=True):
        assert str(frame[name].dtype) == PANDAS[columns[owner].type], name


def test_runs_have_one_row_per_pair_and_the_newest_run_first(finished):
    report_of(finished, LATER)
    frame = runs(finished)
    described(frame, RUNS)
    assert list(frame["run_id"]) == [LATER] * 3 + [RUN] * 3
    row = frame.iloc[4]
    assert (row["pair_name"], row["verdict"], row["case_count"]) == ("bad-one", "fail", 12)
    assert row["started_at"] == pd.Timestamp("2026-11-21T04:00:00Z")
    assert pd.isna(row["backup"])
    assert pd.isna(row["parts"])


def test_a_run_names_the_models_of_a_pairs_parts(finished):
    parts = {"judge": "local.one, backup local.two", "router": "local.one"}
    report_of(finished, LATER, pairs=tuple(replace(pair, parts=parts) for pair in tiny_evaluation().pairs))
    assert set(runs(finished)["parts"][:3]) == {"judge: local.one, backup local.two; router: local.one"}


def test_cases_have_scores_slices_cost_and_reasons(finished):
    frame = cases(RUN, finished)
    described(frame, CASES)
    bad = frame[frame["pair_name"] == "bad-one"].set_index("case_id")
    assert len(frame) == 36
    assert (bad.loc["tiny-00", "score_grounded"], bad.loc["tiny-00", "finding_count"]) == (0.0, 3)
    assert (bad.loc["tiny-00", "slice_family"], bad.loc["tiny-11", "slice_family"]) == ("billing", "outage")
    assert (bad.loc["tiny-00", "cost_usd"], bad.loc["tiny-00", "input_tokens"]) == (0.0000756, 900)
    assert pd.isna(bad.loc["tiny-01", "score_grounded"])
    assert bad.loc["tiny-01", "unscored_grounded"] == "no answer: OUTPUT_INVALID"
    assert bad.loc["tiny-01", "failure"] == "OUTPUT_INVALID"
    assert pd.isna(bad.loc["tiny-00", "failure"])
    assert not {column.name for column in TEXTS} & set(frame.columns)


def test_each_cost_and_token_count_stands_in_its_own_column(settings):
    one = answer(0)
    cost = Cost(metered_usd=Decimal("0.3"), cold_usd=Decimal("0.4"), warm_usd=Decimal("0.2"))
    usage = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4)
    unpriced = answer(1)
    results = (
        replace(one, result=replace(one.result, cost=cost, usage=usage)),
        replace(unpriced, result=replace(unpriced.result, cost=None)),
    )
    report_of(settings, RUN, pairs=(replace(tiny_evaluation().pairs[0], cases=results),))
    first, second = cases(RUN, settings).to_dict("records")
    assert [first[f"cost{name}_usd"] for name in ("", "_cold", "_warm")] == [0.3, 0.4, 0.2]
    assert [first[f"{name}_tokens"] for name in ("input", "output", "cache_read", "cache_write")] == [1, 2, 3, 4]
    assert pd.isna(second["cost_usd"])


def test_metrics_have_figures_differences_references_and_checks(settings):
    evaluation = tiny_evaluation()
    figure = metric("grounded", 0.25)
    check = Check(
        kind="slice", metric=figure, bound=0.5, verdict=Verdict.FAIL, reason="r", explanation="e", slice="a=b"
    )
    bad = evaluation.pairs[1]
    bad = replace(bad, gate=replace(bad.gate, checks=(check,)))
    report_of(settings, RUN, pairs=(bad,), ceiling={"chrf": metric("chrf", 40.0, 2.0)})
    frame = metrics("last", settings)
    described(frame, METRICS)
    assert frame["part"].value_counts().to_dict() == {"primary": 7, "reference": 1, "difference": 1, "check": 1}
    found = frame.set_index(["part", "metric"])
    assert found.loc[("primary", "grounded"), "value"] == 0.6
    assert found.loc[("difference", "grounded"), "value"] == -0.3
    row = found.loc[("check", "grounded")]
    assert (row["slice"], row["check"], row["bound"], row["value"], row["verdict"]) == (
        "a=b",
        "slice",
        0.5,
        0.25,
        "fail",
    )
    reference = found.loc[("reference", "chrf")]
    assert pd.isna(reference["pair_name"])
    assert pd.isna(reference["check"])


def test_without_any_row_the_columns_are_there_with_their_types(settings):
    described(runs(settings), RUNS)
    described(frame_of([], RELEASES), RELEASES)


def test_a_text_that_is_no_utf8_is_kept_as_far_as_it_can_be(settings):
    report_of(settings, RUN, pairs=(replace(tiny_evaluation().pairs[0], pair_name="a\ud800b\x1b[2J"),))
    frame = runs(settings)
    assert frame["pair_name"][0] == "a?b\x1b[2J"
    assert parquet_of(frame, RUNS)


def test_parquet_gives_the_same_frame_back_and_names_unit_and_meaning(finished, tmp_path):
    paths = write_run(RUN, tmp_path / "out", finished)
    for path, frame in zip(paths, (runs(finished), cases(RUN, finished), metrics(RUN, finished)), strict=True):
        pd.testing.assert_frame_equal(pd.read_parquet(path), frame)
    worst = duckdb.sql(f"SELECT pair_name FROM '{paths[1]}' WHERE score_grounded = 0 AND slice_family = 'billing'")
    assert worst.fetchall() == [("bad-one",)]
    schema = pq.read_schema(paths[1])
    assert schema.field("cost_usd").metadata[b"unit"] == b"USD"
    assert b"NaN = unscored" in schema.field("score_grounded").metadata[b"meaning"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cases.parquet",
        "metrics.parquet",
        "runs.parquet",
    ]


def test_a_folder_that_cannot_be_written_is_one_line(finished, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"cannot write into .*file \(File exists\); name another folder with --out"):
        write_run(RUN, tmp_path / "file", finished)


def test_a_run_is_named_by_its_id_its_beginning_or_last(finished):
    report_of(finished, LATER)
    (finished.root / "reports" / "out" / "eval" / "notes").mkdir()
    assert the_run("last", finished) == LATER
    assert the_run("20261121T04", finished) == RUN
    assert matching_runs("2026", finished) == [LATER, RUN]
    with pytest.raises(ResultsError, match=f"2 runs begin with '2026' .{LATER}, {RUN}.; type more of the id"):
        the_run("2026", finished)
    with pytest.raises(ResultsError, match=r"no finished run begins with 'x'; `.*omni results` lists them"):
        the_run("x", finished)


def test_an_unfinished_run_is_named_with_what_completes_it(finished):
    record, _ = Journal(finished.state_dir / "runs").open("key")
    with pytest.raises(ResultsError, match=f"run {record.run_id} has not finished: the same `.*omni eval` again"):
        the_run(record.run_id[:10], finished)


def test_where_nothing_was_evaluated_the_message_says_how_to(settings):
    with pytest.raises(ResultsError, match=r"no run has finished here yet: run `.*omni eval`"):
        cases("last", settings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read (JSONDecodeError)"),
        ("[]", "is no evaluation-report-v1"),
        ('{"schema": "v9"}', "another version"),
    ],
)
def test_a_damaged_or_foreign_report_is_named(finished, text, words):
    path = finished.root / "reports" / "out" / "eval" / RUN / "report.json"
    path.write_text(text, encoding="utf-8")
    for read in (lambda: runs(finished), lambda: cases(RUN, finished), lambda: metrics(RUN, finished)):
        with pytest.raises(ResultsError) as caught:
            read()
        assert str(path) in str(caught.value)
        assert words in str(caught.value)


def test_a_report_without_slices_gives_cases_without_slices(finished):
    path = finished.root / "reports" / "out" / "eval" / RUN / "report.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    del plain["slices"]
    path.write_text(json.dumps(plain), encoding="utf-8")
    assert [name for name in cases(RUN, finished).columns if name.startswith("slice_")] == []


@pytest.fixture
def typed(finished, monkeypatch):
    """Run the command with the environment of ``finished``."""
    monkeypatch.setenv("OMNI_ROOT", str(finished.root))
    monkeypatch.setenv("OMNI_STATE_DIR", str(finished.state_dir))
    return results


def test_the_command_lists_runs_and_shows_ones_figures(typed, finished, capsys):
    report_of(finished, LATER)
    typed()
    listed = capsys.readouterr().out
    assert listed.index(LATER) < listed.index(RUN)
    assert "bad-one" in listed
    typed("last")
    shown = capsys.readouterr().out
    assert re.search(r"bad-one +difference +grounded +-0.3 +-0.4 +-0.2 +12 +rate", shown)
    with pytest.raises(ResultsError, match="2 runs begin with"):
        typed("2026", parquet=True)
    assert RUN in capsys.readouterr().out  # the runs that it may mean


def test_names_that_would_steer_the_terminal_are_printed_inert(typed, finished, capsys):
    report_of(finished, LATER, pairs=(replace(tiny_evaluation().pairs[0], pair_name="odd\x1b[2J\u202e"),))
    for words in ((), ("last",)):
        typed(*words)
        out = capsys.readouterr().out
        assert "odd" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_the_command_writes_into_the_folder_of_the_run(typed, finished, capsys):
    typed("last", parquet=True)
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert paths[0] == finished.root / "reports" / "out" / "results" / RUN / "runs.parquet"
    assert all(path.stat().st_size for path in paths)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": Path("x")}, "--out says what to write: add --parquet"),
        ({"texts": True}, "--texts says what to write: add --parquet"),
        ({"parquet": True}, "say which run to write"),
    ],
)
def test_options_that_need_each_other_say_so(typed, options, words):
    with pytest.raises(ResultsError, match=words):
        typed(**options)
