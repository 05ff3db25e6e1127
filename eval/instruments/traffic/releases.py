"""The two releases of the simulated weeks: a pair, and a shorter version that lacks one sentence and so ignores one channel."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.instruments.traffic.plan import CHANNEL
from eval.spine.errors import TrafficError
from service.kit.settings import REPO_ROOT, Settings
from service.local.process import LocalBedrock

TASK = "summarize"
FIRST, SECOND = "nova-micro", "nova-micro-short"
RULE = "- A web form is in the customer's own words: say what it asks for, and whether anybody has answered it."
_BEFORE = "- Say who did what."  # a line of prompts/summarize/nova-micro.prompty; the rule is inserted before it
# A constant latency of the stand-in, so that only the machine itself causes differences in latency.
LATENCY_MS = 50
# For the gate, the stand-in is as slow as a model: the gate's margin of a quarter is then larger than a busy machine's noise,
# which a quarter of 50 ms is not. At that latency the simulated weeks would take hours, so they use the shorter one.
_EVALUATED_LATENCY_MS = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStep:
    """A pair to release, and the reason given for it."""

    pair: str
    why: str


FIRST_STEP = ReleaseStep(pair=FIRST, why="first release of the simulated weeks")
SECOND_STEP = ReleaseStep(pair=SECOND, why="shorter prompt")


def write_root(folder: Path, settings: Settings) -> None:
    """Write prompts and datasets for the simulated weeks: both pairs, derived from ``nova-micro``, and the unchanged cases.

    Raises:
        TrafficError: the pair's text has changed, so that the rule cannot be inserted.
    """
    prompts = folder / "prompts"
    shutil.rmtree(prompts, ignore_errors=True)
    # Without the judges, because here only the stand-in would answer for them, and it cannot judge.
    (prompts / TASK).mkdir(parents=True)
    shutil.copy(settings.prompts_dir / "models.yaml", prompts)
    text = (settings.prompts_dir / TASK / f"{FIRST}.prompty").read_text(encoding="utf-8")
    if text.count(_BEFORE) != 1 or text.count(f"name: {FIRST}\n") != 1:
        raise TrafficError(
            f"{FIRST}.prompty no longer contains {_BEFORE!r} exactly once; adapt eval/instruments/traffic/releases.py"
        )
    (prompts / TASK / f"{FIRST}.prompty").write_text(text.replace(_BEFORE, f"{RULE}\n{_BEFORE}"), encoding="utf-8")
    (prompts / TASK / f"{SECOND}.prompty").write_text(
        text.replace(f"name: {FIRST}\n", f"name: {SECOND}\n"), encoding="utf-8"
    )
    datasets = folder / "datasets"
    if not datasets.exists():
        datasets.symlink_to(settings.datasets_dir.resolve())


def stand_in_arguments(model: str, latency_ms: int = LATENCY_MS) -> tuple[str, ...]:
    """Return the stand-in's command line: it quotes the history, and reads web forms only if the prompt contains the rule."""
    return (
        *("--models", model, "--digest-models", model),
        *("--digest-latency", str(latency_ms), "--digest-skips", f"{CHANNEL}={RULE}"),
    )


def release(step: ReleaseStep, model: str, environment: Mapping[str, str], log: Path) -> None:
    """Evaluate, gate, sign and promote the pair with the usual commands, using the clock of ``environment``.

    Raises:
        TrafficError: the gate failed the pair, or a command failed; the log says why.
    """
    run = ("eval", "--pairs", step.pair, "--fresh", "--concurrency", "16")
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
