"""``eval`` and ``gate``: evaluate pairs, compare them with production, and print their verdicts."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.commands import arguments
from eval.commands.behave import measure_behaviour
from service.commands.models import ApiBase, with_api_base
from service.kit.frame.display.output import AsJson, human_text, print_json
from service.kit.frame.display.terminal import say
from service.kit.frame.process.gc_pause import paused_gc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval.evaluation.evaluate import FinishedEvaluation, Options
    from service.core.unit.pair import Pair
    from service.kit.settings import Settings


def evaluate_pairs(
    task: arguments.TaskName = "summarize",
    pairs: Annotated[
        str | None, typer.Option(help="Pair names, comma separated; default: what can be answered well here.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Try this model with the prompts of --pairs, without writing a file: ollama/llama3.2."),
    ] = None,
    api_base: ApiBase = None,
    dataset: arguments.DatasetName = None,
    cases: arguments.CaseCount = None,
    repeats: arguments.Repeats = None,
    concurrency: arguments.Concurrency = None,
    fresh: Annotated[bool, typer.Option(help="Call the models again even where answers are cached.")] = False,
    budget: Annotated[
        int | None,
        typer.Option(min=0, max=10, help="Most repeats to add while a sampled pair is undecided; default 3."),
    ] = None,
    budget_usd: arguments.BudgetUsd = None,
    judge_model: Annotated[
        str | None,
        typer.Option(help="Judge model in place of the judges' own; of two, comma separated, both must agree."),
    ] = None,
    customer_model: Annotated[
        str | None,
        typer.Option(help="Model that plays the customers of conversations in place of their scripts; no evidence."),
    ] = None,
    families: Annotated[
        str | None, typer.Option("--with", help="Optional judges, shown beside the suite's own: ragas.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate pairs side by side, compare them with production, and print each pair's verdict.

    Exit code 0: every pair named by --pairs passes, demos apart; without --pairs, at least one pair passes.
    """
    from eval.evaluation.evaluate import Options

    with human_text(as_json=as_json):
        settings, derived = _tried(task, arguments.names_of(pairs), model, api_base)
    options = Options(
        task=task,
        pairs=tuple(pair.name for pair in derived) or arguments.names_of(pairs),
        derived=derived,
        dataset=dataset,
        case_count=cases,
        repeats=repeats,
        concurrency=concurrency,
        fresh=fresh,
        budget=budget,
        budget_usd=arguments.usd_of(budget_usd),
        judge_model=judge_model,
        customer_model=customer_model,
        families=arguments.names_of(families),
    )
    _run(options, settings, as_json=as_json)


def gate(
    pair: arguments.PairName,
    task: arguments.TaskName = "summarize",
    concurrency: arguments.Concurrency = None,
    budget_usd: arguments.BudgetUsd = None,
    as_json: AsJson = False,
) -> None:
    """Measure a pair's behaviour in the running service, evaluate it, and print one verdict over both; for CI.

    Exit code 0: the pair passes. 1: it fails or is undecided.
    """
    from eval.evaluation.evaluate import Options

    with human_text(as_json=as_json):
        # The evaluation's gate reads the behaviour record that this writes, so the verdict below covers both.
        measure_behaviour(task, pair, url=None, concurrency=concurrency, if_declared=True)
    _run(
        Options(task=task, pairs=(pair,), concurrency=concurrency, budget_usd=arguments.usd_of(budget_usd)),
        None,
        as_json=as_json,
    )


def _run(options: "Options", settings: "Settings | None", *, as_json: bool) -> None:
    with human_text(as_json=as_json):
        outcome = run_and_print(options, settings)
    if as_json:
        print_json(summary(outcome))
    if not passes(outcome, options.pairs):
        raise typer.Exit(arguments.GATE_REJECTS)


def _tried(
    task: str, names: tuple[str, ...], model: str | None, api_base: str | None
) -> "tuple[Settings | None, tuple[Pair, ...]]":
    """Return the settings and the pairs of prompts ``names`` with ``model``; neither without a model."""
    from service.kit.frame.errors import ConfigurationError

    if model is None:
        if api_base is not None:
            raise ConfigurationError("--api-base is the address of the server of --model; name the model, too")
        return None, ()
    from eval.evaluation.evaluate import load_pairs  # late: with the sweep come numpy and scipy
    from eval.instruments.sweep.run import card_named, derive
    from service.core.run.task import load_task
    from service.core.unit.cards import ModelCards
    from service.kit.settings import Settings

    if not names:
        raise ConfigurationError("--model tries a model with an existing prompt; name the prompt with --pairs")
    settings = with_api_base(Settings(), model, api_base)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    card = card_named(model, cards)
    return settings, tuple(derive(pair, card) for pair in load_pairs(load_task(task), cards, settings, names))


def _keep_lines(derived: "Sequence[Pair]", task: str) -> list[str]:
    return [
        f"{pair.name} is no file and cannot be released. To keep it: copy prompts/{task}/{pair.name.partition('@')[0]}.prompty "
        f"under a new name, with `model.id: {pair.model}` and without backup."
        for pair in derived
    ]


def run_and_print(options: "Options", settings: "Settings | None" = None) -> "FinishedEvaluation":
    """Evaluate, print the result for a person, and return it; ``settings`` None: those of the environment."""
    with paused_gc():
        from eval.evaluation.evaluate import evaluate
        from eval.report.next_step import DEV, next_steps, step_lines
        from eval.run.selection import left_out_lines
        from service.core.release.unseen import UnseenPolicy
        from service.kit.settings import Settings

    settings = settings or Settings()
    with arguments.interruptible():
        outcome = evaluate(options, settings)
    sys.stdout.write(outcome.shown)
    lines = left_out_lines(outcome.left_out, options.task, settings) + _keep_lines(options.derived, options.task)
    has_dev = (settings.datasets_dir / options.task / f"{DEV}.jsonl").exists()
    steps = next_steps(
        outcome.evaluation, outcome.suite, UnseenPolicy.of(settings), named=options.pairs, has_dev=has_dev
    )
    shown = [] if options.derived else step_lines(steps)  # a derived pair is no file, and cannot be released
    say("\n".join(["", *lines, f"Report: {outcome.report}", *shown]))
    return outcome


def passes(outcome: "FinishedEvaluation", names: tuple[str, ...]) -> bool:
    """Return True if every pair of ``names`` passes or, without names, if at least one pair passes; demos never have to."""
    from eval.spine.results import Verdict

    named = [pair for pair in outcome.evaluation.pairs if not names or pair.pair_name in names]
    passed = [pair.gate.verdict is Verdict.PASS for pair in named if not names or pair.role != "demo"]
    return all(passed) if names else any(passed)


def summary(outcome: "FinishedEvaluation") -> dict[str, Any]:
    """Return the evaluation in the format of ``report.json`` without its cases; ``report`` is the path of the HTML page."""
    from eval.report.page import to_json

    found = to_json(outcome.evaluation)
    for pair in found["pairs"]:
        del pair["cases"]
    return {**found, "left_out": [item.pair.name for item in outcome.left_out], "report": str(outcome.report)}
