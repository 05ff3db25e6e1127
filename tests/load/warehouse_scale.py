"""A million answers and two hundred thousand verdicts into an empty warehouse: time per stage, memory, growth.

    python tests/load/warehouse_scale.py [--sizes 10000,100000,1000000] [--keep FOLDER]

The events come as files of one JSON object a line: reading a million single objects from a local stand-in for S3 would measure
the stand-in. Everything after the reading is what single objects go through too: transform, redaction, checks, merge, verdicts.
Writing the files is not timed. Memory is the sum over the process and its workers of what each holds alone or shares (RSS).
"""

import argparse
import json
import os
import random
import secrets
import shutil
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from service.answers_kept.record import utc_text
from service.core.redaction.build import build_text_redactor
from service.kit.settings import Settings
from service.loading.bulk import BulkLoader, Timings
from service.loading.merging import LoadTally
from service.warehouse import open_warehouse

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
WEEKS = 26
FEEDBACK_SHARE = 0.2
PAIRS = (("nova-lite-v1", "amazon.nova-lite-v1:0"), ("haiku-v2", "anthropic.claude-3-5-haiku-20241022-v1:0"))
CHANNELS = ("ivr", "agent", "chat", "email", "sms", "web", "mobile_app", "social")
INTENTS = (
    "billing",
    "outage",
    "move",
    "payment plan",
    "meter reading",
    "late fee",
    "refund",
    "autopay",
    "solar",
    "deposit",
)
FIRST_NAMES = (
    "Delphine Marcus Priya Ingrid Tomas Aisha Noreen Earl Corinne Lyle Beatriz Kwame Yuki Owen Tamsin Rosa".split()
)
LAST_NAMES = (
    "Marchetti Teague Okafor Lindqvist Dufresne Haddad Nguyen Castellanos Abernathy Kowalczyk Moreau Bright".split()
)
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def summary_text(rng: random.Random, account: str) -> str:
    """About seventy words, with what redaction has to find: names, a telephone number, sometimes the account or an address."""
    who = f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"
    parts = [
        f"{who} called {rng.randint(2, 6)} times since {rng.choice(MONTHS)} {rng.randint(1, 28)} about a bill of "
        f"${rng.randint(20, 900)}.{rng.randint(0, 99):02}, about twice the usual ${rng.randint(20, 400)}.",
        f"The reading of {rng.choice(MONTHS)} {rng.randint(1, 28)} was estimated because nobody was at home; agent "
        f"{rng.choice(FIRST_NAMES)} promised a manual reading within {rng.randint(2, 9)} business days.",
        f"Customer asks for a call back at {rng.randint(200, 989)}-{rng.randint(200, 999)}-{rng.randint(1000, 9999)} after 4 PM.",
        "Frustrated: says that nothing happened after the second promise, and that the late fee must go.",
        f"Open: reading outstanding, late fee of ${rng.randint(5, 45)} disputed, ticket TK-{rng.randint(10000, 99999)}.",
    ]
    if rng.random() < 0.1:
        parts.append(f"Account {account} is in {who}'s name, {rng.randint(10, 9999)} {rng.choice(LAST_NAMES)} Street.")
    return " ".join(parts)


def write_events(folder: Path, count: int, seed: int = 1) -> tuple[int, int]:
    """Write ``count`` summaries in time order and a fifth as many verdicts; return how many verdicts and interactions."""
    rng = random.Random(seed)
    step = timedelta(weeks=WEEKS) / count
    verdicts = interactions = 0
    with (folder / "2-summaries.jsonl").open("w") as summaries, (folder / "1-feedback.jsonl").open("w") as feedback:
        for number in range(count):
            at = FIRST + number * step
            account = f"{rng.randrange(10**9, 10**10)}"
            pair, model = PAIRS[number % len(PAIRS)]
            seen = [
                {"channel": rng.choice(CHANNELS), "timestamp": utc_text(at - timedelta(hours=rng.randint(1, 2000))),
                 "intent": rng.choice(INTENTS)}
                for _ in range(rng.randint(1, 7))
            ]  # fmt: skip
            interactions += len(seen)
            same = {
                "unique_process_id": f"p-{number:09}", "request_id": f"req-{number:012x}", "account_number": account,
                "contact_id": f"c-{number:09}", "initial_contact_id": f"c-{number:09}", "generated_at": utc_text(at),
                "model_used": model, "answered_by": model, "prompt_version": "1.0.0", "pair": pair, "pair_digest": pair * 5,
                "latency_ms": rng.randint(300, 4000), "cache_hit": False, "degraded": False, "schema_version": 1,
            }  # fmt: skip
            text = summary_text(rng, account)
            record = same | {
                "ivr_intent": rng.choice(INTENTS), "summary": text, "date_range": None, "arm": "primary",
                "prompt_cache_read_tokens": 0, "max_history_days": 90, "max_interactions": 10, "channel_filter": None,
                "registry_version": 3, "cost_usd": f"0.000{rng.randint(10, 99)}", "interactions_considered": len(seen),
                "client": "salesforce", "environment": "aws", "input_tokens": 900, "output_tokens": 120,
                "interactions": seen,
            }  # fmt: skip
            summaries.write(json.dumps(record) + "\n")
            if rng.random() < FEEDBACK_SHARE:
                verdicts += 1
                verdict = {
                    "feedback_id": f"fb-{number:012x}",
                    "feedback_timestamp": utc_text(at + timedelta(minutes=rng.randint(1, 60))),
                    "helpful_feedback": rng.choice(("helpful", "helpful", "helpful", "not_helpful")),
                    "comment": f"Ask {rng.choice(FIRST_NAMES)} again." if rng.random() < 0.3 else None,
                    "edited_summary": summary_text(rng, account) if rng.random() < 0.1 else None,
                }  # fmt: skip
                feedback.write(json.dumps(verdict | same) + "\n")
    return verdicts, interactions


class Memory:
    """The largest sum of resident memory over this process and its children, looked at five times a second."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.peak = max(self.peak, sum(map(_resident, _family(os.getpid()))))


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += _family(int(child)) if Path(f"/proc/{child}").exists() else []
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def run(count: int, folder: Path) -> dict[str, float]:
    """Write, load, look; return the figures of one size."""
    events = folder / f"events-{count}"
    events.mkdir(parents=True)
    begun = time.perf_counter()
    verdicts, interactions = write_events(events, count)
    written_s = time.perf_counter() - begun
    settings = Settings(state_dir=folder / f"state-{count}")
    with Memory() as memory:
        loader = BulkLoader(
            open_warehouse=partial(open_warehouse, settings),
            account_key=secrets.token_bytes(32),
            redactor=partial(build_text_redactor, settings),
        )
        tally, timings = loader.load(events)
    _expect(settings, count, verdicts, interactions, tally)
    figures = _figures(count, verdicts, interactions, timings, loader.processes)
    figures |= {
        "peak_gb": memory.peak / 1e9,
        "file_mb": settings.warehouse_file.stat().st_size / 1e6,
        "writing_s": written_s,
    }
    shutil.rmtree(events)
    return figures


def _expect(settings: Settings, count: int, verdicts: int, interactions: int, tally: LoadTally) -> None:
    warehouse = open_warehouse(settings, read_only=True)
    found = warehouse.query(
        "SELECT (SELECT COUNT(*) FROM omni_summaries) AS s, (SELECT COUNT(*) FROM omni_summary_interactions) AS i, "
        "(SELECT COUNT(*) FROM omni_feedback) AS f, "
        "(SELECT COUNT(*) FROM omni_summaries WHERE helpful_feedback IS NOT NULL) AS j"
    )
    warehouse.close()
    there = tuple(int(found[name].iloc[0]) for name in "sifj")
    if there != (count, interactions, verdicts, verdicts) or tally.dead:
        raise SystemExit(
            f"wrong rows: {there}, wanted {(count, interactions, verdicts, verdicts)}; dead {dict(tally.dead)}"
        )


def _figures(count: int, verdicts: int, interactions: int, timings: Timings, processes: int) -> dict[str, float]:
    return {
        "summaries": count,
        "verdicts": verdicts,
        "interactions": interactions,
        "wall_s": timings.wall_s,
        "objects_per_s": timings.lines / timings.wall_s,
        "prepare_cpu_s": timings.prepare_cpu_s,
        "prepared_per_cpu_s": timings.lines / timings.prepare_cpu_s,
        "merge_s": timings.merge_s,
        "merge_cpu_s": timings.merge_cpu_s,
        "merged_per_s": timings.lines / timings.merge_s,
        "verdicts_s": timings.verdicts_s,
        "processes": processes,
    }


def main() -> None:
    """Print a table, one line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--keep", type=Path, help="leave the warehouses in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="omni-scale-") as temporary:
        folder = options.keep or Path(temporary)
        for size in map(int, options.sizes.split(",")):
            figures = run(size, folder)
            print(
                "  ".join(
                    f"{name} {value:,.0f}" if value >= 100 else f"{name} {value:.3g}" for name, value in figures.items()
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
