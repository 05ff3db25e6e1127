"""``bench`` and ``simulate``: measure what harness, service, warehouse and report cost, and how often the gate is right."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from figures.command_line import omni
from reports.commands import bench_report
from service.display.terminal import say

bench = typer.Typer(no_args_is_help=True, help="Measure what harness, service, warehouse and report cost.")
bench.command("report")(bench_report)


def simulate() -> None:
    """Simulate how often the gate's intervals and verdicts are right. Exit code 1: a figure is outside its bounds."""
    from eval.bench.simulate import main

    _end(main())


@bench.command("harness")
def bench_harness() -> None:
    """Compare the harness with a bare loop over an echo model. Exit code 1: a target is missed."""
    from eval.bench.run import main

    _end(main())


@bench.command("history")
def bench_history() -> None:
    """Measure what compressing long histories keeps of the facts, saves in tokens, and takes in time."""
    from eval.bench.history import main

    _end(main())


@bench.command("service")
def bench_service(
    profile: Annotated[bool, typer.Option("--profile", help="Print where the CPU time goes.")] = False,
) -> None:
    """Measure the service's overhead over model and store, its cold start and its memory, with the container's packages."""
    root = _checkout()
    python = root / ".venv-service" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run(
        [*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, python.parents[1]], check=True
    )
    locked = ["--require-hashes", "--compile-bytecode", "-r", str(root / "requirements" / "service.txt")]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *locked], check=True)
    _run_script("overhead.py", *(["--profile"] if profile else []), LOAD_SERVICE_PYTHON=str(python))


@bench.command("floor")
def bench_floor(
    fit: Annotated[
        bool, typer.Option("--fit", help="Learn the digest's weights first, and write them and its new model id.")
    ] = False,
) -> None:
    """Compare the extractive digest with the first, last and random statements of equal length, and plant attacks in it."""
    from eval.floor.measure import fit_floor, print_floor
    from service.settings import Settings

    if fit:
        say(f"the digest is {fit_floor(Settings())} now; run `{omni('bench', 'floor')}` to measure it")
        return
    print_floor(Settings())


@bench.command("warehouse")
def bench_warehouse(
    sizes: Annotated[str, typer.Option(help="Answers, comma separated.")] = "10000,100000,1000000",
) -> None:
    """Measure loading answers and verdicts into an empty warehouse: time per stage, memory."""
    _run_script("warehouse_scale.py", "--sizes", sizes)


@bench.command("seeds")
def bench_seeds(seeds: Annotated[int, typer.Option(min=1, help="How many simulated histories.")] = 20) -> None:
    """Measure over many simulated histories how often the report finds planted changes, and how often it raises a false alarm."""
    _run_script("seeds.py", "--seeds", str(seeds))


def _run_script(name: str, *arguments: str, **environment: str) -> None:
    root = _checkout()
    script = root / "tests" / "load" / name
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        check=False,
    )
    _end(done.returncode)


def _checkout() -> Path:
    from service.errors import ConfigurationError
    from service.settings import REPO_ROOT

    if not (REPO_ROOT / "tests" / "load").is_dir():
        raise ConfigurationError(
            f"this measurement needs a checkout of the project's repository, but {REPO_ROOT} has no tests/load folder"
        )
    return REPO_ROOT


def _end(code: int) -> None:
    if code:
        raise typer.Exit(code)
