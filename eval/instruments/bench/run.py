"""``omni bench harness``: the harness against a bare asyncio loop on the echo model, by whole processes and in ratios."""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.kit.frame.display.terminal import say
from service.kit.settings import Settings
from service.local.process import LocalBedrock

CASES, LATENCY_MS, CONCURRENCY, ROUNDS = 200, 200, 20, 3
IDEAL_S = CASES / CONCURRENCY * LATENCY_MS / 1000
RUN_PHASE_TARGET, WHOLE_PROCESS_TARGET, HELP_TARGET_S = 1.15, 2.0, 0.5
WHOLE_CPU_TARGET = 8.0  # promptfoo with two assertions in JavaScript, on the same cases
DECIDING_TARGET_CPU_S, REGATE_TARGET_S = 5.0, 6.0
ECHO_PAIR = """\
---
name: echo
task: summarize
version: 1.0.0
model:
  id: local.echo-v1
  options: {maxOutputTokens: 200}
inputs:
  history: {kind: string}
output: {schema: summary-text-v1, max_words: 400}
---
system:
The contacts stand between <history> and </history>.
user:
<history>
{{history}}
</history>
"""


@dataclass(frozen=True, slots=True)
class _Spent:
    """Seconds of a process by the clock, and of CPU: its own and that of its children that ended before it."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Medians in seconds; ``failing``: cases in a result of which some fail for good, and how many failed.

    ``bare`` and ``whole`` are each process by the clock and its CPU, that of its children included.
    """

    bare: "_Spent"
    whole: "_Spent"
    phase_s: float
    regate_s: float
    deciding_s: float
    help_s: float
    failing: tuple[int, int]


def main() -> int:
    """Run the benchmark, print its table, and return 0 when every target is met, else 1."""
    say(
        f"{CASES} cases, {LATENCY_MS} ms a call, {CONCURRENCY} in flight: ideal {IDEAL_S:.1f} s; "
        f"medians of {ROUNDS} rounds",
        flush=True,
    )
    found = _measure(Settings())
    rows = _rows(found)
    for name, figure, ratio, target, _ in rows:
        say(f"{name:<44}{figure:>12}{ratio:>12}   {target}")
    met = all(row[-1] for row in rows)
    say(
        "every target is met"
        if met
        else "a target is missed; on a shared machine run it again and compare the ratios before you rely on it"
    )
    return 0 if met else 1


def _measure(settings: Settings) -> _Measured:
    with tempfile.TemporaryDirectory(prefix="omni-bench-") as folder:
        root = Path(folder)
        cases = _prepare(root, settings)
        with LocalBedrock(("--echo-latency-ms", str(LATENCY_MS))) as server:
            environment = os.environ | {
                "OMNI_ROOT": str(root),
                "OMNI_STATE_DIR": str(root / "state"),
                "OMNI_REGISTRY_URI": f"sqlite:///{root}/mlflow.db",
                "OMNI_BEDROCK_ENDPOINT": server.url,
            }
            loop = [str(settings.root / "tools" / "bare_loop.py"), server.url, str(cases), str(root / "bare.json")]
            _harness(environment, cases=20)  # makes the MLflow schema, which is done once and not timed
            bare, whole, phase = [], [], []
            for _ in range(ROUNDS):
                bare.append(_timed([sys.executable, *loop], environment))
                spent, result = _harness(environment)
                whole.append(spent)
                phase.append(_phase_seconds(result))
            regate_s = _regate(root / "regate", settings, environment)
            failing = _with_failures(server.url, environment)  # last: the server goes on failing
        deciding = subprocess.run(
            [sys.executable, "-m", "eval.instruments.bench.deciding"], check=True, capture_output=True, text=True
        )
        return _Measured(
            bare=_median(bare),
            whole=_median(whole),
            phase_s=statistics.median(phase),
            regate_s=regate_s,
            deciding_s=float(deciding.stdout),
            help_s=_median([_timed([sys.executable, "-m", "omni", "--help"], os.environ) for _ in range(5)]).wall_s,
            failing=failing,
        )


def _rows(found: _Measured) -> list[tuple[str, str, str, str, bool]]:
    """Return what was measured, its figure, a ratio or count, the target, and whether it is met."""
    phase = found.phase_s / IDEAL_S
    whole, cpu = found.whole.wall_s / found.bare.wall_s, found.whole.cpu_s / found.bare.cpu_s
    counted, failed = found.failing

    def seconds(name: str, figure_s: float, target_s: float) -> tuple[str, str, str, str, bool]:
        return name, f"{figure_s:.2f} s", "", f"< {target_s:g} s", figure_s < target_s

    def ratio(name: str, figure_s: float, of: float, target: str, met: bool) -> tuple[str, str, str, str, bool]:
        return name, f"{figure_s:.2f} s", f"{of:.2f}", target, met

    all_counted = counted == CASES and failed > 0
    return [
        ratio("bare asyncio loop, whole process", found.bare.wall_s, 1.0, "", True),
        ratio("bare asyncio loop, CPU", found.bare.cpu_s, 1.0, "", True),
        ratio("harness, run phase / ideal", found.phase_s, phase, f"<= {RUN_PHASE_TARGET}", phase <= RUN_PHASE_TARGET),
        ratio(
            "harness, whole process / bare loop",
            found.whole.wall_s,
            whole,
            f"<= {WHOLE_PROCESS_TARGET}",
            whole <= WHOLE_PROCESS_TARGET,
        ),
        ratio(
            "harness, CPU / bare loop's", found.whole.cpu_s, cpu, f"< {WHOLE_CPU_TARGET:.0f}", cpu < WHOLE_CPU_TARGET
        ),
        (
            "cases in the result, 10% failing for good",
            f"{counted} of {CASES}",
            f"{failed} failed",
            f"= {CASES}",
            all_counted,
        ),
        seconds("score and gate 200 cases x 2 pairs, CPU", found.deciding_s, DECIDING_TARGET_CPU_S),
        seconds("gate 200 cases x 2 pairs from the cache", found.regate_s, REGATE_TARGET_S),
        seconds("omni --help", found.help_s, HELP_TARGET_S),
    ]


def _regate(root: Path, settings: Settings, environment: Mapping[str, str]) -> float:
    """Return the seconds of a whole second evaluation of two pairs on the real gate set: every reply is in the cache."""
    _prepare(root, settings)
    shutil.copy(settings.datasets_dir / "summarize" / "gate.jsonl", root / "datasets" / "summarize" / "gate.jsonl")
    shutil.copy(settings.prompts_dir / "summarize" / "extractive.prompty", root / "prompts" / "summarize")
    own = {
        "OMNI_ROOT": str(root),
        "OMNI_STATE_DIR": str(root / "state"),
        "OMNI_REGISTRY_URI": f"sqlite:///{root}/mlflow.db",
    }
    command = [sys.executable, "-m", "omni", "eval", "--pairs", "echo,extractive", "--concurrency", str(CONCURRENCY)]
    for _ in range(2):
        began = time.perf_counter()
        done = subprocess.run(command, env=dict(environment) | own, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
    if done.returncode not in (0, 1) or ": 0 model calls" not in done.stdout:
        raise SystemExit(f"the second evaluation was not answered from the cache:\n{done.stdout[:2000]}\n{done.stderr}")
    return seconds


def _prepare(root: Path, settings: Settings) -> Path:
    (root / "prompts" / "summarize").mkdir(parents=True)
    (root / "datasets" / "summarize").mkdir(parents=True)
    shutil.copy(settings.prompts_dir / "models.yaml", root / "prompts" / "models.yaml")
    (root / "prompts" / "summarize" / "echo.prompty").write_text(ECHO_PAIR, encoding="utf-8")
    source = (settings.datasets_dir / "summarize" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for line in source if (row := json.loads(line))["inputs"]["interactions"]]
    lines = []
    for number in range(CASES):
        row = json.loads(json.dumps(rows[number % len(rows)]))
        row["id"] = f"bench-{number:03d}"
        # One word makes the text, and so the call, its own: equal calls would be answered from the cache.
        row["inputs"]["interactions"][-1]["text"] += f" ref {number}"
        row["inputs"]["max_interactions"], row["inputs"]["channel_filter"], row["inputs"]["max_history_days"] = (
            50,
            None,
            3650,
        )
        lines.append(json.dumps(row, ensure_ascii=False))
    path = root / "datasets" / "summarize" / "gate.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _timed(command: Sequence[str], environment: Mapping[str, str]) -> _Spent:
    with _spending() as spent:
        subprocess.run(command, env=dict(environment), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return spent[0]


@contextmanager
def _spending() -> Iterator[list[_Spent]]:
    """Yield a list that holds, after the block, what the processes that ended in it have spent."""
    spent: list[_Spent] = []
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    yield spent
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    spent.append(_Spent(time.perf_counter() - began, cpu_s))


def _median(spent: Sequence[_Spent]) -> _Spent:
    return _Spent(statistics.median(each.wall_s for each in spent), statistics.median(each.cpu_s for each in spent))


def _harness(environment: Mapping[str, str], cases: int | None = None) -> tuple[_Spent, Path]:
    command = [sys.executable, "-m", "omni", "eval", "--pairs", "echo", "--fresh", "--concurrency", str(CONCURRENCY)]
    if cases is not None:
        command += ["--cases", str(cases)]
    with _spending() as spent:
        # Exit code 1 is the gate's verdict on an echo, which is of no interest here.
        done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"the harness could not run:\n{done.stdout}\n{done.stderr}")
    report = next(line for line in done.stdout.splitlines() if line.startswith("Report: ")).removeprefix("Report: ")
    return spent[0], Path(report).with_suffix(".json")


def _phase_seconds(result: Path) -> float:
    return float(json.loads(result.read_text(encoding="utf-8"))["pairs"][0]["seconds"])


def _with_failures(url: str, environment: Mapping[str, str]) -> tuple[int, int]:
    import urllib.request

    rule = json.dumps({"model": "local.echo-v1", "kind": "unavailable", "rate": 0.1, "key": "body"}).encode()
    request = urllib.request.Request(f"{url}/_local/faults", data=rule, headers={"content-type": "application/json"})  # noqa: S310
    urllib.request.urlopen(request).close()  # noqa: S310 - our own loopback server
    _, result = _harness(environment)
    rows = json.loads(result.read_text(encoding="utf-8"))["pairs"][0]["cases"]
    return len(rows), sum(1 for row in rows if row["failure"])


if __name__ == "__main__":
    sys.exit(main())
