"""History in bulk in whole processes, alone and on a cluster: the rows are the same, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eval.backfill.engines import ProcessEngine, engine_of
from eval.backfill.history import items_of_file
from eval.backfill.journal import rows_of
from eval.backfill.run import BackfillOrder, backfill
from eval.spine.errors import BackfillError
from eval.suites import load_suite
from service.core.run.task import load_task
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
INPUTS = ROOT / "datasets" / "summarize" / "dev.jsonl"


def order(folder, **changes):
    prompts = Settings().prompts_dir
    cards = ModelCards.load(prompts / "models.yaml")
    path = prompts / "summarize" / "extractive.prompty"
    pair = load_pair(path, cards=cards, task_variables=load_task("summarize").variables)
    fields = {
        "task": "summarize",
        "mode": "summarise",
        "folder": folder,
        "pair": pair,
        "cards": tuple(cards),
        "chunk_size": 9,
    }
    return BackfillOrder(**fields | changes)


def settings_in(folder):
    return Settings(state_dir=folder, registry_uri=f"sqlite:///{folder}/mlflow.db")


def work_off(some_order, engine, folder, items=None):
    return backfill(some_order, items or items_of_file(INPUTS), engine, settings_in(folder), lambda state: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The rows of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    state = work_off(order(folder), ProcessEngine(concurrency=4), folder)
    assert (state.items, state.done, state.failed, state.resumed, state.lost) == (40, 40, 0, 0, 0)
    return rows_of(folder)


def test_a_second_run_does_nothing_and_says_so(whole, tmp_path):
    work_off(order(tmp_path), ProcessEngine(concurrency=4), tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("chunk-*")}
    state = work_off(order(tmp_path), ProcessEngine(concurrency=4), tmp_path)
    assert (state.resumed, state.done) == (40, 40)
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.glob("chunk-*")}
    assert rows_of(tmp_path) == whole


def test_other_work_under_the_same_name_is_refused(tmp_path):
    work_off(order(tmp_path), ProcessEngine(concurrency=4), tmp_path)
    with pytest.raises(BackfillError, match="other work"):
        work_off(order(tmp_path, chunk_size=8), ProcessEngine(concurrency=4), tmp_path)


def test_a_repeated_id_is_refused(tmp_path):
    items = items_of_file(INPUTS)
    with pytest.raises(BackfillError, match="twice"):
        work_off(order(tmp_path), ProcessEngine(concurrency=4), tmp_path, [*items, items[0]])


def test_rescore_checks_stored_texts_without_a_model(tmp_path):
    items = items_of_file(INPUTS)[:3]
    shown = [type(item)(id=item.id, inputs=item.inputs, text="A credit of $987.65 was paid.") for item in items]
    state = work_off(order(tmp_path, mode="rescore", pair=None), ProcessEngine(concurrency=4), tmp_path, shown)
    assert state.done == 3
    assert all('"kinds": ["amount"' in row for row in rows_of(tmp_path))


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
def test_a_cluster_gives_the_same_rows(whole, tmp_path):
    pytest.importorskip("distributed", reason="an optional extra: omni-insights[cluster]")
    state = work_off(order(tmp_path), engine_of("local:2", 2), tmp_path)
    assert state.done == 40
    assert rows_of(tmp_path) == whole


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "eval.backfill.cluster", raising=False)
    with pytest.raises(BackfillError, match=r"omni-insights\[cluster\]"):
        engine_of("local:2", 4)


@pytest.mark.parametrize("wrong", ["local", "local:0", "local:x", "host:8786", "http://host:1", "tcp://host"])
def test_a_cluster_that_is_none_is_named(wrong):
    with pytest.raises(BackfillError, match=f"'{wrong}' is neither local:N"):
        engine_of(wrong, 4)


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    cluster = pytest.importorskip("eval.backfill.cluster", reason="an optional extra: omni-insights[cluster]")
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.2)
    with pytest.raises(BackfillError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        work_off(order(tmp_path), engine_of("tcp://127.0.0.1:9", 1), tmp_path)


def test_scores_of_a_bulk_evaluation_are_those_of_the_suite(tmp_path):
    items = items_of_file(INPUTS)[:3]
    state = work_off(order(tmp_path, mode="score"), ProcessEngine(concurrency=2), tmp_path, items)
    rows = [json.loads(line) for line in rows_of(tmp_path)]
    assert state.failed == 0
    assert {name for row in rows for name in row["scores"]} == {
        name for scorer in load_suite("summarize").scorers for name in scorer.scores
    }
    assert all(row["scores"]["grounded"] == 1.0 for row in rows)
