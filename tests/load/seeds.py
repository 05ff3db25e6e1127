"""`omni bench seeds`: the weeks of many seeds through loader and report: is the planted slice found, is there false alarm?

Alarms are verdicts "worse" on ratings. The truth file knows what really changed: an alarm on a slice that did not is false.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

from figures.stats import rate_interval

ROOT = Path(__file__).resolve().parents[2]
RATINGS = ("helpful_rate", "unhelpful_rate", "edit_rate")
# What the report calls a slice's dimension, and the truth file.
DIMENSIONS = {"channel": "last_channel", "intent": "ivr_intent", "client": "client", "history": "interactions"}


def one_seed(folder, seed, week):
    """Return the numbers and the truth of one seed's weeks."""
    root = folder / f"root{seed}"
    root.mkdir(parents=True, exist_ok=True)
    for name in ("prompts", "datasets"):
        (root / name).symlink_to(ROOT / name)
    state = folder / f"state{seed}"
    environment = os.environ | {
        "OMNI_STATE_DIR": str(state),
        "OMNI_ROOT": str(root),
        "OMNI_REGISTRY_URI": f"sqlite:///{state}/mlflow.db",
        "OMP_NUM_THREADS": "1",
        "OMNI_WAREHOUSE_REDACTOR": "patterns",  # nobody in a simulated history needs a slower one
        "PYTHONPATH": str(ROOT),
    }
    records = str(state / "traffic" / "records.jsonl")
    for command in (
        ("omni", "traffic", "--offline", "--seed", str(seed), "--until", week),
        ("omni", "load-events", "--bulk", records),
        ("omni", "report", "--week", week),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"error: {' '.join(command)} ended with {done.returncode}: {done.stderr[-500:]}")
    numbers = pd.read_parquet(root / "reports" / "out" / "weekly" / week / "numbers.parquet")
    return numbers, json.loads((state / "traffic" / "truth.json").read_text(encoding="utf-8"))


def alarms(numbers):
    """Return the slices that were asked about and those whose ratings are called worse, as (slice, value) of the truth file."""
    rows = numbers[(numbers["section"] == "slice_change") & numbers["metric"].isin(RATINGS)]
    asked, worse = set(), set()
    for row in rows.to_dict("records"):
        dimension, _, value = str(row["slice"]).replace("=", " ").partition(" ")
        if dimension in DIMENSIONS and row["verdict"] != "too few to say":
            asked.add((DIMENSIONS[dimension], value))
            if row["verdict"] == "worse":
                worse.add((DIMENSIONS[dimension], value))
    return asked, worse


def main():
    parser = argparse.ArgumentParser(prog="tests/load/seeds.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--week", default="2026-W46")
    options = parser.parse_args()
    found, any_false, false, untouched, touched = 0, 0, Counter(), 0, Counter()
    with tempfile.TemporaryDirectory(prefix="omni-seeds-") as name:
        for seed in range(options.seeds):
            numbers, truth = one_seed(Path(name), seed, options.week)
            asked, worse = alarms(numbers)
            planted = (truth["planted"]["slice"], truth["planted"]["value"])
            still = {(row["slice"], row["value"]) for row in truth["slices"] if row["untouched"]}
            found += planted in worse
            wrong = worse & still
            any_false += bool(wrong)
            false.update(wrong)
            untouched += len(asked & still)
            touched.update(worse - still - {planted})
            print(
                f"seed {seed}: {'found' if planted in worse else 'NOT found'}; worse: {sorted(worse)}; false: {sorted(wrong)}",
                flush=True,
            )
    for what, count, of in (
        ("planted slice found", found, options.seeds),
        ("reports with a false alarm on an untouched slice", any_false, options.seeds),
        ("false alarms among comparisons of untouched slices", sum(false.values()), untouched),
    ):
        interval = rate_interval(count, of)
        print(f"{what}: {count} of {of} [{interval.low:.3f}, {interval.high:.3f}]")
    print(f"slices that the lost channel is part of, called worse: {dict(touched)}")


if __name__ == "__main__":
    sys.exit(main())
