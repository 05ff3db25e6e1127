"""Results for analysis from a real run: the guide's code, the texts in MLflow, the table of its compare view, the releases."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from eval.frames import CASES, RELEASES, TEXTS, cases, releases, runs
from eval.spine.errors import ResultsError
from eval.tracking.store import CASES_FILE, COMPARED_FILE, Tracking
from service.kit.settings import Settings
from service.local.process import LocalBedrock

# mlflow's own dependencies warn; ours do not get to.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "guides" / "analysis.md"
# The stand-in answers as the floor does, and reads no letters: so the two pairs differ on some cases.
STAND_IN = ("--digest-models", "amazon.nova-lite-v1:0,amazon.nova-micro-v1:0", "--digest-skips", "email=NO SUCH RULE")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Environment of a store with one finished run of `extractive` and `nova-lite` on the gate cases, and one release."""
    root = tmp_path_factory.mktemp("results")
    for folder in ("prompts", "datasets"):
        (root / folder / "summarize").mkdir(parents=True)
    shutil.copy(ROOT / "prompts" / "models.yaml", root / "prompts")
    for name in ("extractive", "nova-lite"):
        shutil.copy(ROOT / "prompts" / "summarize" / f"{name}.prompty", root / "prompts" / "summarize")
    shutil.copy(ROOT / "datasets" / "summarize" / "gate.jsonl", root / "datasets" / "summarize")
    own = {
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{root}/mlflow.db",
        "PYTHONPATH": str(ROOT),
    }
    with LocalBedrock(STAND_IN) as bedrock:
        omni(own | {"OMNI_BEDROCK_ENDPOINT": bedrock.url}, "eval", "--pairs", "extractive,nova-lite", codes=(0, 1))
    omni(own, "promote", "extractive", "--why", "the floor")
    return own


@pytest.fixture(autouse=True)
def environment(finished, monkeypatch):
    """Let the functions find the run's store by themselves, as in a notebook."""
    for name, value in finished.items():
        monkeypatch.setenv(name, value)


def omni(own, *words, codes=(0,)):
    done = subprocess.run(
        [sys.executable, "-m", "omni", *words],
        cwd=ROOT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode in codes, done.stderr
    return done.stdout


def questions():
    """Return the guide's Python by the heading that it stands under."""
    text = GUIDE.read_text(encoding="utf-8")
    return re.findall(r"^### ([^\n]*\?)$.*?^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_guides_code_answers_its_three_questions(capsys):
    found = {}
    for title, code in questions():
        exec(compile(code, f"{GUIDE.name}: {title}", "exec"), names := {})
        found[title] = names, capsys.readouterr().out
    slices, price, apart = found
    names, said = found[slices]
    table = names["by_slice"]
    assert table["n"].sum() > 20
    assert table["change"].min() < 0  # letters went unread in some slice
    assert (table["low"] <= table["change"]).all()
    assert table.iloc[0]["slice_channels"] in said
    names, said = found[price]
    assert names["cost"].n == 200
    assert f"{names['cost'].value:.6f} USD an answer" in said
    assert names["cost"].value > 0
    assert "stand-in" in said
    names, said = found[apart]
    assert 0 < len(names["apart"]) < 200
    assert f"{len(names['apart'])} of 200 cases differ" in said


def test_a_run_is_written_as_parquet_with_its_texts(finished, tmp_path):
    printed = omni(finished, "results", "last", "--parquet", "--texts", "--out", str(tmp_path / "new" / "folder"))
    paths = [Path(line) for line in printed.splitlines()]
    assert [path.name for path in paths] == ["runs.parquet", "cases.parquet", "metrics.parquet"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    written = pd.read_parquet(paths[1])
    pd.testing.assert_frame_equal(written, cases("last", texts=True))
    assert written.loc[written["failure"].isna(), "output"].str.len().min() > 20
    assert (written["arm"] == "backup").sum() == 200
    described = {column.name for column in (*CASES, *TEXTS) if not column.name.endswith("*")}
    assert described <= set(written.columns)


def test_texts_that_mlflow_lost_are_named(finished, tmp_path):
    path = tmp_path / "other.db"
    shutil.copy(finished["OMNI_REGISTRY_URI"].removeprefix("sqlite:///"), path)
    moved = Settings(registry_uri=f"sqlite:///{path}")
    artifacts = Path(finished["OMNI_ROOT"]) / "artifacts"
    artifacts.rename(tmp_path / "away")
    try:
        with pytest.raises(ResultsError, match="MLflow holds no text of case 'gate-billing-01' of pair 'extractive'"):
            cases("last", moved, texts=True)
        assert len(cases("last", moved)) == 600
    finally:
        (tmp_path / "away").rename(artifacts)


def test_mlflows_compare_view_gets_one_table_of_both_pairs_by_case():
    settings = Settings()
    tracking = Tracking(settings.registry.uri)
    client = tracking._client
    experiment = client.get_experiment_by_name("omni/summarize").experiment_id
    found = client.search_runs([experiment])
    assert {run.data.tags["omni.pair_name"] for run in found} == {"extractive", "nova-lite"}
    for run in found:
        offered = [item["path"] for item in json.loads(run.data.tags["mlflow.loggedArtifacts"])]
        assert offered == [COMPARED_FILE, CASES_FILE]
    table = client.load_table(experiment, COMPARED_FILE, [run.info.run_id for run in found], ["run_id"])
    assert table.groupby("case_id")["run_id"].nunique().eq(2).all()
    assert len(table) == 400


def test_releases_come_from_the_ledger_and_lead_to_the_run_of_their_evidence():
    frame = releases()
    (row,) = frame.to_dict("records")
    assert list(frame.columns) == [column.name for column in RELEASES]
    assert (row["sequence"], row["kind"], row["pair_name"], row["why"]) == (1, "promote", "extractive", "the floor")
    evaluated = runs()
    (evidence,) = evaluated[evaluated["pair_digest"] == row["pair_digest"]].to_dict("records")
    assert (row["run_id"], row["verdict"], row["case_count"]) == (evidence["run_id"], evidence["verdict"], 200)
    assert pd.isna(row["problem"])
