"""The two releases of the simulated weeks: a pair, then a shorter edition that lost one sentence and with it one channel."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.errors import TrafficError
from eval.traffic.plan import CHANNEL
from service.local.process import LocalBedrock
from service.settings import REPO_ROOT, Settings

TASK = "summarize"
FIRST, SECOND = "nova-micro", "nova-micro-short"
RULE = "- A web form is in the customer's own words: say what it asks for, and whether anybody has answered it."
_BEFORE = "- Say who did what."  # of prompts/summarize/nova-micro.prompty; the rule is put before it
# Constant, as are all differences in time then, but for the machine's own.
LATENCY_MS = 50
# The gate asks a stand-in as slow as a model: a quarter of that is more than a busy machine's noise, a quarter of 50 ms is not.
# At that pace the simulated weeks themselves would take hours.
_EVALUATED_LATENCY_MS = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStep:
    """One pair and why it is promoted."""

    pair: str
    why: str


FIRST_STEP = ReleaseStep(pair=FIRST, why="first release of the simulated weeks")
SECOND_STEP = ReleaseStep(pair=SECOND, why="shorter prompt")


def write_root(folder: Path, settings: Settings) -> None:
    """Lay out prompts and datasets for the simulated weeks: both pairs, made from ``nova-micro``, and the cases as they are.

    Raises:
        TrafficError: the pair's text has changed, so that the edit no longer fits.
    """
    prompts = folder / "prompts"
    shutil.rmtree(prompts, ignore_errors=True)
    # Without the judges: here only the stand-in would answer them, and it cannot judge.
    (prompts / TASK).mkdir(parents=True)
    shutil.copy(settings.prompts_dir / "models.yaml", prompts)
    text = (settings.prompts_dir / TASK / f"{FIRST}.prompty").read_text(encoding="utf-8")
    if text.count(_BEFORE) != 1 or text.count(f"name: {FIRST}\n") != 1:
        raise TrafficError(f"{FIRST}.prompty no longer holds {_BEFORE!r} once; mend eval/traffic/releases.py")
    (prompts / TASK / f"{FIRST}.prompty").write_text(text.replace(_BEFORE, f"{RULE}\n{_BEFORE}"), encoding="utf-8")
    (prompts / TASK / f"{SECOND}.prompty").write_text(
        text.replace(f"name: {FIRST}\n", f"name: {SECOND}\n"), encoding="utf-8"
    )
    datasets = folder / "datasets"
    if not datasets.exists():
        datasets.symlink_to(settings.datasets_dir.resolve())


def stand_in_arguments(model: str, latency_ms: int = LATENCY_MS) -> tuple[str, ...]:
    """Return the stand-in's command line: it quotes what it reads, and reads web forms only when the prompt says so."""
    return (
        *("--models", model, "--digest-models", model),
        *("--digest-latency", str(latency_ms), "--digest-skips", f"{CHANNEL}={RULE}"),
    )


def release(step: ReleaseStep, model: str, environment: Mapping[str, str], log: Path) -> None:
    """Evaluate, gate, sign and promote as anybody would, with this environment's clock.

    Raises:
        TrafficError: the gate said no, or a command failed; the log says why.
    """
    run = ("eval", "--pairs", step.pair, "--fresh", "--concurrency", "8")
    with LocalBedrock(stand_in_arguments(model, _EVALUATED_LATENCY_MS)) as server:
        for command in (run, ("promote", step.pair, "--why", step.why)):
            with log.open("ab") as out:
                done = subprocess.run(
                    [sys.executable, "-m", "omni", *command, "--task", TASK],
                    env={**os.environ, **environment, "OMNI_BEDROCK_ENDPOINT": server.url},
                    cwd=REPO_ROOT,
                    stdout=out,
                    stderr=out,
                    check=False,
                )
            if done.returncode:
                raise TrafficError(
                    f"{step.pair} was not released: omni {command[0]} ended with {done.returncode}; see the end of {log}"
                )
