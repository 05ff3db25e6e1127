"""Measures the report's time and memory at growing sizes on DuckDB, one process per size (``omni bench report``)."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from service.kit.frame.display.terminal import say

TARGET_SIZE, TARGET_S, TARGET_MB = 1_000_000, 60.0, 4096.0
_FEEDBACK_SHARE = 0.2
_LOAD = """
import sys
from pathlib import Path
from reports.simulate.synthetic import Planted, Scenario, rows
from reports.read.weeks import Week
from service.warehouse.events import EVENTS
from service.warehouse.duck import DuckWarehouse
warehouse = DuckWarehouse(Path(sys.argv[1]), memory_mb=3072)
warehouse.migrate()
planted = (Planted(dimension="intent", value="outage", level=0.65),)
tables = rows(Scenario(week=Week.parse("2026-W46"), answers=int(sys.argv[2]), planted=planted, rated_share=float(sys.argv[3])))
for event in EVENTS:
    if event.table in tables:
        warehouse.merge(event, tables[event.table])
warehouse.close()
print(tables["omni_feedback"].num_rows)
"""
_REPORT = """
import json, resource, sys, time
start = time.perf_counter()
from datetime import UTC, datetime
from reports.run import write_weekly
from service.kit.settings import Settings
written = write_weekly(Settings(), week="2026-W46", now=datetime(2026, 11, 21, tzinfo=UTC))
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, written.headline]))
"""


def measure(sizes: tuple[int, ...]) -> bool:
    """Print one line per size; return False if a size of ``TARGET_SIZE`` or more missed the target."""
    met = True
    say(f"{'answers':>10} {'feedback':>10} {'report':>8} {'CPU':>8} {'memory':>9}")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="omni-report-") as folder:
            seconds, busy, megabytes, feedback, headline = _one(Path(folder), size)
        say(
            f"{size:>10,} {feedback:>10,} {seconds:>6.1f} s {busy:>6.1f} s {megabytes:>6,.0f} MB  {headline}",
            flush=True,
        )
        if size >= TARGET_SIZE:
            met = met and seconds < TARGET_S and megabytes < TARGET_MB
            say(
                f"target at {TARGET_SIZE:,}: under {TARGET_S:.0f} s and {TARGET_MB / 1024:.0f} GB: {'met' if met else 'MISSED'}"
            )
    return met


def _one(folder: Path, size: int) -> tuple[float, float, float, int, str]:
    path = folder / "omni.duckdb"
    environment = os.environ | {"OMNI_WAREHOUSE_PATH": str(path), "OMNI_ROOT": str(folder)}
    loaded = _run([_LOAD, str(path), str(size), str(_FEEDBACK_SHARE)], environment)
    seconds, busy, megabytes, headline = json.loads(_run([_REPORT], environment))
    return float(seconds), float(busy), float(megabytes), int(loaded), str(headline)


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip().splitlines()[-1]
