"""``bench`` and ``simulate``: measure what harness, service, warehouse and report cost, and how often the gate is right."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from reports.commands import bench_approvals, bench_months, bench_report
from service.kit.frame.display.output import AsJson, print_json
from service.kit.frame.display.terminal import say

bench = typer.Typer(no_args_is_help=True, help="Measure what harness, service, warehouse and report cost.")
bench.command("report")(bench_report)
bench.command("months")(bench_months)
bench.command("approvals")(bench_approvals)


def simulate() -> None:
    """Simulate how often the gate's intervals and verdicts are right. Exit code 1: a figure is outside its bounds."""
    from eval.instruments.bench.simulate import main

    _end(main())


@bench.command("harness")
def bench_harness() -> None:
    """Compare the harness with a bare loop over an echo model. Exit code 1: a target is missed."""
    from eval.instruments.bench.run import main

    _end(main())


@bench.command("history")
def bench_history() -> None:
    """Measure what compressing long histories keeps of the facts, saves in tokens, and takes in time."""
    from eval.instruments.bench.history import main

    _end(main())


@bench.command("checks")
def bench_checks() -> None:
    """Measure the CPU time of the guard and of accounting for an answer. Exit code 1: the guard misses its target."""
    from eval.instruments.bench.checks import main

    _end(main())


@bench.command("features")
def bench_features(
    customers: Annotated[int, typer.Option(min=1, help="Customers whose features are compared.")] = 10_000,
    served: Annotated[
        int, typer.Option(min=0, help="Customers among whom features are read; 0: time nothing.")
    ] = 100_000,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write cases, events and features as Parquet, for a reference."),
    ] = None,
) -> None:
    """Compare features in history and as served, customer by customer, and time reads. Exit code 1: two differ."""
    from eval.instruments.bench.features import main

    _end(main(customers, served, keep))


@bench.command("similar")
def bench_similar(
    messages: Annotated[int, typer.Option(min=1, help="Past messages among which is searched.")] = 100_000,
) -> None:
    """Measure what messages to similar customers tell about the offer that suits, and how long a search takes."""
    from eval.instruments.bench.similar import main
    from service.commands.knowledge import open_model
    from service.kit.settings import Settings

    settings = Settings()
    main(settings, open_model(settings), messages)


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
        bool, typer.Option("--fit", help="Learn the digest's weights and pin them in the pairs that name them.")
    ] = False,
) -> None:
    """Compare the extractive digest with the first, last and random statements of equal length, and plant attacks in it."""
    from eval.instruments.floor.measure import fit_floor, print_floor
    from service.kit.settings import Settings

    if fit:
        file, pairs = fit_floor(Settings())
        named = ", ".join(path.stem for path in pairs) or "no pair"
        say(f"{file}, named by {named}: other weights are another pair, evaluate it")
        return
    print_floor(Settings())


@bench.command("backfill")
def bench_backfill(
    items: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many items the run has.")] = 1_000_000,
    workers: Annotated[int, typer.Option(min=1, max=1000, help="Worker processes.")] = 8,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Calls in flight per worker.")] = 16,
    pair: Annotated[str, typer.Option(help="Pair that answers.")] = "nova-lite",
    inputs: Annotated[Path | None, typer.Option(help="Sample of the items; default: the task's dev cases.")] = None,
    p50: Annotated[float, typer.Option(min=0.001, help="The model's median latency in seconds.")] = 1.0,
    p95: Annotated[float, typer.Option(min=0.001, help="Its 95th percentile in seconds.")] = 2.0,
    failover: Annotated[float, typer.Option(min=0, max=1, help="Share that the backup answers, too.")] = 0.05,
    deaths: Annotated[float, typer.Option(min=0, help="How often an hour one worker dies.")] = 0.05,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Requests per second: --rate, or the quota.")] = None,
    task: Annotated[str, typer.Option(help="Task.")] = "summarize",
) -> None:
    """Simulate a bulk run on a cluster: its time and its cost, with failovers and workers that die."""
    from eval.backfill.simulation import BulkPlan, bulk_lines, item_cost, sample_items
    from service.core.run.task import load_task
    from service.core.unit.cards import ModelCards
    from service.core.unit.pair_file import load_pair
    from service.kit.settings import Settings

    if p95 < p50:
        raise typer.BadParameter("the 95th percentile is below the median", param_hint="--p95")
    settings = Settings()
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    path = settings.prompts_dir / task / f"{pair.removesuffix('.prompty')}.prompty"
    loaded = load_pair(
        path, cards=cards, task_variables=load_task(task).variables, part_variables=load_task(task).part_variables
    )
    cost = item_cost(loaded, cards, sample_items(inputs or settings.datasets_dir / task / "dev.jsonl"))
    plan = BulkPlan(
        items=items, workers=workers, concurrency=concurrency, p50_s=p50, p95_s=p95, failover=failover,
        deaths_per_hour=deaths, per_second=rate,
    )  # fmt: skip
    for line in bulk_lines(plan, cost):
        say(line)


@bench.command("knowledge")
def bench_knowledge() -> None:
    """Measure a search over 10,000 passages: time by stage, memory, building and opening. Exit code 1: the bound is missed."""
    from service.commands.knowledge import BuildLines, open_model
    from service.kit.settings import Settings

    settings = Settings()
    model = open_model(settings)
    from eval.instruments.bench.knowledge import main

    _end(main(settings, model, BuildLines()))


@bench.command("steps")
def bench_steps() -> None:
    """Measure the CPU of a run's step: a question, a tool's use as a function and over MCP. Exit code 1: a bound is missed."""
    from eval.instruments.bench.steps import main

    _end(main())


@bench.command("conversations")
def bench_conversations() -> None:
    """Measure the CPU of playing and scoring 200 conversations. Exit code 1: the bound is missed."""
    from eval.instruments.bench.conversations import main

    _end(main())


@bench.command("agentdojo")
def bench_agentdojo(as_json: AsJson = False) -> None:
    """Check tools' guard and judging on AgentDojo's banking suite (`OMNI_PUBLIC_DATA_DIR`). Exit code 1: a figure is unsound."""
    from eval.instruments.agentdojo.files import load_suite
    from eval.instruments.agentdojo.measure import as_json as report_as_json
    from eval.instruments.agentdojo.measure import measured, show
    from service.kit.settings import Settings

    suite = load_suite(Settings().public_data_dir)
    report = measured(suite)
    if as_json:
        print_json(report_as_json(report, suite))
    else:
        show(report, suite)
    _end(1 if report.problems() else 0)


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
    from service.kit.frame.errors import ConfigurationError
    from service.kit.settings import REPO_ROOT

    if not (REPO_ROOT / "tests" / "load").is_dir():
        raise ConfigurationError(
            f"this measurement needs a checkout of the project's repository, but {REPO_ROOT} has no tests/load folder"
        )
    return REPO_ROOT


def _end(code: int) -> None:
    if code:
        raise typer.Exit(code)
