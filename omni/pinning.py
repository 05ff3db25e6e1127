"""``pin``: write the digests of a pair's artifacts into its file."""

from typing import Annotated

import typer

from eval.commands.arguments import PairName, TaskName
from figures.command_line import omni
from service.kit.frame.display.terminal import say


def pin_artifacts(
    pair: PairName,
    task: TaskName = "summarize",
    artifact: Annotated[
        str | None,
        typer.Option(metavar="NAME=FILE", help="Name this file, too; default: the files that the pair names."),
    ] = None,
) -> None:
    """Write the digests of a pair's artifacts, such as learned weights, into its file. Other bytes are another pair."""
    from service.core.run.task import load_task
    from service.core.unit.cards import ModelCards
    from service.core.unit.pair_file import load_pair
    from service.core.unit.pair_file.artifacts import check_names
    from service.core.unit.pair_file.pin import pin, pinned
    from service.kit.settings import Settings

    name, _, file = (artifact or "").partition("=")
    if artifact is not None and not (name and file):
        raise typer.BadParameter("write NAME=FILE, such as intents=intent_weights.json")
    settings, loaded = Settings(), load_task(task)
    path = settings.prompts_dir / task / f"{pair}.prompty"
    if file:
        pin(path, name, file)
    names = pinned(path)
    for each in names:
        say(f"{each}: {pin(path, each)}")
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    now = load_pair(path, cards=cards, task_variables=loaded.variables, part_variables=loaded.part_variables)
    check_names([now], loaded.built_in)
    if not names:
        say(f"{task}/{pair} names no artifacts; name one with --artifact NAME=FILE")
        return
    say(f"{task}/{pair} is {now.digest[:12]} now. Next: {omni('eval', '--pairs', pair, task=task)}")
