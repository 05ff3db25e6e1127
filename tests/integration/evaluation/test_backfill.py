"""History in bulk in whole processes: killed and resumed, twice, on two engines; the rows are the same."""

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from eval.backfill.engines import AsyncioEngine, DaskEngine
from eval.backfill.history import items_of_file
from eval.backfill.run import BackfillOrder, backfill, rows_of
from eval.backfill.work import ChunkDone
from eval.errors import BackfillError
from service.cards import ModelCards
from service.pair_file import load_pair
from service.settings import Settings
from service.task import load_task

ROOT = Path(__file__).resolve().parents[3]
INPUTS = ROOT / "datasets" / "summarize" / "dev.jsonl"


def extractive():
    settings = Settings()
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    path = settings.prompts_dir / "summarize" / "extractive.prompty"
    return load_pair(path, cards=cards, task_variables=load_task("summarize").variables)


def order(folder, **changes):
    fields = {"task": "summarize", "mode": "summarise", "folder": folder, "pair": extractive(), "chunk_size": 9}
    return BackfillOrder(**fields | changes)


def settings_in(folder):
    return Settings(state_dir=folder, registry_uri=f"sqlite:///{folder}/mlflow.db")


def work_off(some_order, engine, folder, items=None):
    return backfill(some_order, items or items_of_file(INPUTS), engine, settings_in(folder), lambda state: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The rows of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    state = work_off(order(folder), AsyncioEngine(), folder)
    assert (state.chunks, state.done, state.items, state.failed, state.resumed) == (5, 5, 40, 0, 0)
    return rows_of(folder)


def test_a_second_run_does_nothing_and_says_so(whole, tmp_path):
    work_off(order(tmp_path), AsyncioEngine(), tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    state = work_off(order(tmp_path), AsyncioEngine(), tmp_path)
    assert (state.resumed, state.done) == (5, 5)
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert rows_of(tmp_path) == whole


def test_other_work_under_the_same_name_is_refused(tmp_path):
    work_off(order(tmp_path), AsyncioEngine(), tmp_path)
    with pytest.raises(BackfillError, match="other work"):
        work_off(order(tmp_path, chunk_size=8), AsyncioEngine(), tmp_path)


def test_a_repeated_id_is_refused(tmp_path):
    items = items_of_file(INPUTS)
    with pytest.raises(BackfillError, match="twice"):
        work_off(order(tmp_path), AsyncioEngine(), tmp_path, [*items, items[0]])


def test_rescore_checks_stored_texts_without_a_model(tmp_path):
    items = items_of_file(INPUTS)[:3]
    shown = [type(item)(id=item.id, inputs=item.inputs, text="A credit of $987.65 was paid.") for item in items]
    state = work_off(order(tmp_path, mode="rescore", pair=None), AsyncioEngine(), tmp_path, shown)
    assert state.items == 3
    assert all('"kinds": ["amount"' in row for row in rows_of(tmp_path))


class Dear:
    """Writes no rows; each chunk costs a dollar an item."""

    def __init__(self):
        self.begun = []

    def run(self, work, chunks):
        for number, items in chunks:
            self.begun.append(number)
            yield ChunkDone(number=number, items=len(items), failed=0, cost_usd=Decimal(len(items)))


@pytest.mark.parametrize(
    ("budget", "begun"), [("18", [0, 1]), ("26.99", [0, 1]), ("27", [0, 1, 2]), ("1000", [0, 1, 2, 3, 4])]
)
def test_a_chunk_that_does_not_fit_the_budget_is_not_started(tmp_path, budget, begun):
    engine = Dear()
    state = work_off(order(tmp_path, budget_usd=Decimal(budget)), engine, tmp_path)
    assert engine.begun == begun
    assert bool(state.stopped) == (len(begun) < 5)


@pytest.mark.slow
def test_a_backfill_killed_at_random_moments_gives_the_same_rows(whole, tmp_path):
    line = [sys.executable, "-m", "omni", "backfill", "--name", "all", "--pair", "extractive", "--inputs", str(INPUTS)]
    line += ["--chunk", "9", "--rate", "25"]
    environment = os.environ | {"OMNI_STATE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    folder = tmp_path / "backfill" / "all"
    kills = 0
    for wanted in (1, 2, 4):  # chunks on disk when it is killed: in the middle of the next
        process = subprocess.Popen(
            line, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and len(list(folder.glob("chunk-*.jsonl"))) < wanted:
            time.sleep(0.01)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert kills == 3
    assert "40 of 40 items" in done.stdout
    assert rows_of(folder) == whole


@pytest.mark.slow
def test_dask_gives_the_same_rows(whole, tmp_path):
    pytest.importorskip("dask", reason="an optional extra: omni-insights[cluster]")
    state = work_off(order(tmp_path), DaskEngine(workers=2), tmp_path)
    assert state.items == 40
    assert rows_of(tmp_path) == whole


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(BackfillError, match="cluster"):
        DaskEngine(workers=2)
