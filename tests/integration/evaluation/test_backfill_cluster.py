"""Bulk work on a cluster whose workers or client are killed: no row is lost, no call paid twice but those in flight."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from paid_models import TOKENS_IN, TOKENS_OUT, Books, paid_model

from eval.backfill.journal import rows_of

pytest.importorskip("distributed", reason="an optional extra: omni-insights[cluster]")
pytestmark = [pytest.mark.slow, pytest.mark.cold]  # its workers are known by their command line

ROOT = Path(__file__).resolve().parents[3]
ITEMS, WORKERS, THREADS = 80, 2, 3
IN_FLIGHT = WORKERS * THREADS
# prompts/models.yaml: USD per million tokens of amazon.nova-lite-v1:0
CALL_USD = (TOKENS_IN * Decimal("0.06") + TOKENS_OUT * Decimal("0.24")) / 1_000_000


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Requests whose contact reason names them, so that a call shows in its prompt whose it is."""
    cases = [json.loads(line) for line in (ROOT / "datasets/summarize/dev.jsonl").read_text("utf-8").splitlines()]
    told = [case["inputs"] for case in cases if case["inputs"]["interactions"]]
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for n in range(ITEMS):
            item = {"id": f"r{n:04d}", "inputs": told[n % 8] | {"ivr_intent": f"item{n:04d}"}}
            lines.write(f"{json.dumps(item)}\n")
    return path


@pytest.fixture
def model() -> Iterator[tuple[str, Books]]:
    with paid_model(takes_s=0.25) as served:
        yield served


class Place:
    """A state folder, and the command that works in it."""

    def __init__(self, folder: Path, inputs: Path, address: str) -> None:
        self.folder = folder / "backfill" / "bulk"
        self._line = [
            sys.executable, "-m", "omni", "backfill", "--name", "bulk", "--pair", "nova-lite", "--inputs", str(inputs),
            "--chunk", "9", "--concurrency", str(THREADS),
        ]  # fmt: skip
        self._environment = os.environ | {
            "OMNI_STATE_DIR": str(folder),
            "OMNI_BEDROCK_ENDPOINT": address,
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._line, *options], env=self._environment, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, *options: str) -> str:
        process = self.start(*options)
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
        return out + err


def wait_for_calls(books: Books, calls: int, process: subprocess.Popen[str]) -> None:
    while books.arrived.total() < calls:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def workers_of(client: int) -> list[int]:
    """Return the process ids of the cluster's workers: the client's children that were spawned, without its bookkeeper."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            line = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if parent == client and "spawn_main" in line:
            found.append(int(stat.parent.name))
    return found


def check(place: Place, books: Books, said: str, deaths: int) -> None:
    rows = [json.loads(line) for line in rows_of(place.folder)]
    assert [row["id"] for row in rows] == [f"r{n:04d}" for n in range(ITEMS)], "a row is lost, or there twice"
    assert not any(row["failure"] for row in rows)
    again = books.arrived.total() - ITEMS
    assert set(books.arrived) == set(range(ITEMS))
    assert again <= deaths * IN_FLIGHT, f"{again} calls were paid twice"
    assert books.most_at_once <= IN_FLIGHT + deaths * THREADS  # a dead worker's calls may still run at the model
    spent = Decimal(re.search(r"failed, ([\d.]+) USD:", said)[1])
    assert books.arrived.total() * CALL_USD <= spent, "a call is not in the books"


def test_a_worker_killed_in_the_middle_costs_its_calls_in_flight_at_most(tmp_path, inputs, model):
    address, books = model
    place = Place(tmp_path, inputs, address)
    process = place.start("--cluster", f"local:{WORKERS}", "--budget", "1")
    wait_for_calls(books, 20, process)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert f"{ITEMS} of {ITEMS} items" in out
    assert re.search(r"\n[1-3] calls were lost", out), out
    check(place, books, out, deaths=1)
    assert books.arrived.total() - ITEMS <= THREADS  # one worker's


def test_a_killed_client_goes_on_where_it_was(tmp_path, inputs, model):
    address, books = model
    place = Place(tmp_path, inputs, address)
    for wanted in (15, 45):
        process = place.start("--cluster", f"local:{WORKERS}", "--budget", "1")
        wait_for_calls(books, wanted, process)
        process.kill()
        process.communicate()
    said = place.finish("--cluster", f"local:{WORKERS}", "--budget", "1")
    assert "(0 done before)" not in said
    check(place, books, said, deaths=2)


def test_the_budget_holds_across_workers(tmp_path, inputs, model):
    address, books = model
    place = Place(tmp_path, inputs, address)
    budget = Decimal("0.03")  # 80 calls cost 0.033
    process = place.start("--cluster", f"local:{WORKERS}", "--budget", str(budget))
    wait_for_calls(books, 4, process)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 1, out + err
    assert "raise --budget to continue" in out
    assert books.arrived.total() * CALL_USD <= budget
    assert books.most_at_once > 1
    assert int(re.search(r"(\d+) of 80 items \(", out)[1]) < ITEMS
