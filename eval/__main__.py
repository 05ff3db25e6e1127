"""The harness's command line: ``python -m eval <command>``. Exit codes: 0 pass, 1 the gate says no, 2 could not run."""

import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from eval.commands.backfill import backfill
from eval.commands.behave import behave
from eval.commands.calibrate import calibrate
from eval.commands.card import card
from eval.commands.cases import check_cases
from eval.commands.changed import changed, pr_gate
from eval.commands.harvest import harvest
from eval.commands.release import history, verify
from eval.commands.releases import releases
from eval.commands.rollout import rollout, rollout_end
from eval.commands.selftest import selftest
from eval.commands.sweep import sweep
from eval.commands.traffic import traffic

# Nothing heavy at the top: `--help` answers before pandas, mlflow or litellm could even be found.

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Evaluate, gate, release. Exit codes: 0 pass, 1 the gate says no, 2 could not run.",
)
GATE_SAYS_NO, COULD_NOT_RUN = 1, 2

TaskName = Annotated[str, typer.Option("--task", help="Which task; a module in service/tasks.")]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="Cases to use; default: the suite's gate set.")]


def _stop(message: str, code: int = COULD_NOT_RUN) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _announce(release: Any) -> None:
    from eval.release.announce import announce
    from service.settings import Settings

    if (note := announce(release, Settings())) is not None:
        print(f"note: {note}", file=sys.stderr)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").replace(",", " ").split() if name)


def _evaluate(**options: Any) -> Any:
    from eval.evaluate import Options, evaluate
    from service.settings import Settings

    try:
        return evaluate(Options(**options), Settings())
    except KeyboardInterrupt:
        _stop("interrupted. What was answered is kept; run the same command again to go on.")


@app.command()
def run(
    task: TaskName = "summarize",
    pairs: Annotated[
        str | None, typer.Option(help="Pair names, comma separated; default: every pair of the task.")
    ] = None,
    dataset: DatasetName = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Take a stratified part of this many cases.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=20, help="Answers per case; for models that sample.")] = 1,
    concurrency: Annotated[int | None, typer.Option(min=1, max=256, help="Calls in flight; 2 local, 8 aws.")] = None,
    fresh: Annotated[bool, typer.Option(help="Call the models again even where answers are cached.")] = False,
    budget: Annotated[
        int | None,
        typer.Option(min=0, max=10, help="Most repeats to add while a sampled pair is undecided; default 3."),
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="Judge model in place of the judges' own.")] = None,
) -> None:
    """Evaluate pairs side by side, compare with production, and print each one's verdict.

    Exit code 0: each pair named by --pairs passes, or, with no names, at least one pair does.
    """
    from eval.report.console import render_evaluation
    from eval.results import NOT_MEASURED, Verdict, behaviour_verdict

    names = _names(pairs)
    outcome = _evaluate(
        task=task,
        pairs=names,
        dataset=dataset,
        case_count=cases,
        repeats=repeats,
        concurrency=concurrency,
        fresh=fresh,
        budget=budget,
        judge_model=judge_model,
    )
    render_evaluation(outcome.evaluation, outcome.suite)
    if outcome.left_out:
        print(
            f"\nLeft out: {', '.join(outcome.left_out)}. Their models are a provider's and here only a stand-in would answer; "
            f"to try the way there, name them: make eval PAIRS={outcome.left_out[0]} TASK={task}"
        )
    unmeasured = [p.pair_name for p in outcome.evaluation.pairs if behaviour_verdict(p.gate.checks) == NOT_MEASURED]
    if outcome.suite.behaviour is not None and unmeasured:
        again = f"make gate PAIR={unmeasured[0]} TASK={task}"
        print(f"\nBehaviour: not measured for {', '.join(unmeasured)}; to judge it too: {again}")
    print(f"\nReport: {outcome.report}")
    passed = [
        pair.gate.verdict is Verdict.PASS for pair in outcome.evaluation.pairs if not names or pair.pair_name in names
    ]
    if not (all(passed) if names else any(passed)):
        raise typer.Exit(GATE_SAYS_NO)


@app.command()
def register(pair: Annotated[str, typer.Option(help="Pair name.")], task: TaskName = "summarize") -> None:
    """Write a pair as one prompt version, read it back and compare the digest. Does not move the alias."""
    from eval.release.promotion import register_pair
    from service.settings import Settings

    done = register_pair(task, pair, Settings())
    print(f"{task}/{pair} {done.digest[:12]} is version {done.version} in the registry; read back and equal")


@app.command()
def promote(
    pair: Annotated[str, typer.Option(help="Pair name.")],
    why: Annotated[str, typer.Option(help="Reason, for those who come after you.")],
    task: TaskName = "summarize",
) -> None:
    """Move the alias `production` to a pair whose gate passed for this very pair, dataset, suite and production."""
    from eval.errors import Refused
    from eval.release.promotion import promote_pair
    from service.settings import Settings

    try:
        release = promote_pair(task, pair, why, Settings())
    except Refused as err:
        _stop(str(err), GATE_SAYS_NO)
    print(
        f"release {release.sequence}: {task} now serves {release.pair_name} {release.pair_digest[:12]} "
        f"(registry version {release.registry_version}), was {(release.from_digest or 'nothing')[:12]}"
    )
    _announce(release)


@app.command()
def rollback(
    why: Annotated[str, typer.Option(help="Reason, for those who come after you.")],
    to: Annotated[int | None, typer.Option(help="Release number to return to; default: the one before this.")] = None,
    task: TaskName = "summarize",
) -> None:
    """Return production to an earlier release; it becomes a new release with a higher number."""
    from eval.errors import Refused
    from eval.release.promotion import roll_back
    from service.settings import Settings

    try:
        release = roll_back(task, why, to, Settings())
    except Refused as err:
        _stop(str(err), GATE_SAYS_NO)
    print(
        f"release {release.sequence}: {task} serves {release.pair_name} {release.pair_digest[:12]} "
        f"(registry version {release.registry_version}) again"
    )
    _announce(release)


for _name, _command in (
    ("history", history),
    ("verify", verify),
    ("releases", releases),
    ("cases", check_cases),
    ("card", card),
    ("calibrate", calibrate),
    ("behave", behave),
    ("selftest", selftest),
    ("sweep", sweep),
    ("changed", changed),
    ("pr-gate", pr_gate),
    ("rollout", rollout),
    ("rollout-end", rollout_end),
    ("traffic", traffic),
    ("backfill", backfill),
):
    app.command(_name)(_command)


app.add_typer(harvest, name="harvest")


def main() -> None:
    """Run the command line and turn every expected error into one line and exit code 2."""
    from eval.errors import HarnessError
    from service.errors import ServiceError

    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        # Freeing litellm's and sacrebleu's modules one by one takes half a second and frees nothing that the system would
        # not; mypy ends itself in the same way. Children and files are closed by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    except (ServiceError, HarnessError) as err:
        print(f"error: {err}", file=sys.stderr)
        sys.exit(COULD_NOT_RUN)


if __name__ == "__main__":
    main()
