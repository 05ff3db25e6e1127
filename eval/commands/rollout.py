"""``rollout`` and ``rollout-end``: serve a candidate to a rising share of the customers, or end that."""

import os
from typing import Annotated

import typer

from eval.commands import arguments
from eval.commands.promote import refusals, tell
from service.kit.frame.display.terminal import say


def rollout(
    pair: arguments.PairName,
    why: arguments.Why,
    task: arguments.TaskName = "summarize",
    steps: Annotated[str, typer.Option(help="Rising shares of the customers, in per cent.")] = "10,25,50,100",
    shadow: Annotated[
        int,
        typer.Option(min=0, max=100, help="Per cent of the others whose requests it answers unseen."),
    ] = 0,
    shadow_only: Annotated[bool, typer.Option(help="Do not show the candidate's answers to customers yet.")] = False,
    restart: Annotated[bool, typer.Option(help="Begin again at the first step, even after a stop.")] = False,
    approved_by: arguments.ApprovedBy = None,
    pull_request: arguments.PullRequest = None,
    without_judge: arguments.WithoutJudge = None,
    allowed_by: arguments.AllowedBy = None,
    until: arguments.Until = None,
) -> None:
    """Start serving a pair that passed the gate to a share of the customers, or move its rollout on by one step.

    Each step is one signed statement. The service stops a rollout by itself when the candidate does worse; it never
    starts the next step.
    """
    from eval.release.releaser import Releaser
    from eval.release.rollout import advance_rollout
    from eval.spine.errors import RolloutError
    from service.kit.settings import Settings
    from service.rollouts.step_state import rollout_partition

    try:
        plan = tuple(int(step) for step in steps.replace(",", " ").split())
    except ValueError as err:
        raise RolloutError(f"--steps are whole numbers, as in --steps 10,25,50,100; not {steps!r}") from err
    with refusals():
        settings = Settings()
        by = Releaser.of(os.environ, approved_by=approved_by, pull_request=pull_request)
        done = advance_rollout(
            task,
            pair,
            why,
            settings,
            steps=plan,
            shadow_percent=shadow,
            shadow_only=shadow_only,
            restart=restart,
            by=by,
            without_judge=arguments.waiver(without_judge, allowed_by or by.approved_by, until, settings),
        )
    say(
        f"rollout step {done.sequence}: {done.pair_name} {done.pair_digest[:12]} answers {done.percent}% of the customers of "
        f"{task} beside {done.production_digest[:12]}"
        + (f", and {done.shadow_percent}% of the others unseen" if done.shadow_percent else "")
        + f"; plan {','.join(map(str, done.steps))}"
    )
    tell(rollout_partition(task))


def rollout_end(
    why: arguments.Why, task: arguments.TaskName = "summarize", approved_by: arguments.ApprovedBy = None
) -> None:
    """End the rollout: production answers all customers again."""
    from eval.release.releaser import Releaser
    from eval.release.rollout import end_rollout
    from service.kit.settings import Settings
    from service.rollouts.step_state import rollout_partition

    with refusals():
        done = end_rollout(task, why, Settings(), Releaser.of(os.environ, approved_by=approved_by))
    say(f"rollout step {done.sequence}: {task} is answered by {done.production_digest[:12]} alone")
    tell(rollout_partition(task))
