"""``intents`` and ``pin``: learn the weights that tell a bank customer's intents, and name weights in the pairs that use them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from eval.commands.arguments import PairName, TaskName
from figures.command_line import omni
from service.kit.frame.display.terminal import say

intents = typer.Typer(no_args_is_help=True, help="Train and measure what tells a bank customer's intent by meaning.")


@intents.command("train")
def train_intents(
    compare: Annotated[
        bool, typer.Option("--compare", help="Only compare penalties, by folds of the training messages.")
    ] = False,
    trouble: Annotated[
        bool,
        typer.Option("--trouble", help="Learn who is in trouble, from datasets/assistant/trouble, instead of intents."),
    ] = False,
) -> None:
    """Learn from train.jsonl of datasets/assistant/intents, calibrate on dev.jsonl, and pin the weights in the pairs."""
    from service.commands.knowledge import open_model
    from service.kit.settings import Settings

    settings = Settings()
    name = "trouble" if trouble else "intents"
    folder = settings.datasets_dir / "assistant" / name
    from eval.instruments.intents.train import content_of, cross_validated, learn
    from service.core.knowledge.embedding import JoinedEmbedder
    from service.core.knowledge.multilingual import SentenceEncoder
    from service.core.unit.pair_file.pin import keep_trained

    encoder = SentenceEncoder.open()
    model = encoder if trouble else JoinedEmbedder(open_model(settings), encoder)
    if compare:
        for penalty, accuracy, loss in cross_validated(folder, model):
            say(f"C={penalty:<6g} accuracy {accuracy:.3f}  log loss {loss:.3f}")
        return
    weights = learn(folder, model, trouble=trouble)
    stem = "trouble_weights" if trouble else "intent_weights"
    file, pairs = keep_trained(settings.prompts_dir / "assistant", name, stem, content_of(weights))
    say(f"{file}: {len(weights.intents)} {name}, temperature {weights.temperature}")
    say(f"named by {', '.join(path.stem for path in pairs) or 'no pair'}: other weights are another pair, evaluate it")


@intents.command("measure")
def measure_intents(
    dataset: Annotated[
        Literal["dev", "test"], typer.Option(help="dev chose the temperature; nothing is tuned on test.")
    ] = "dev",
    pair: Annotated[str, typer.Option(help="The pair of the assistant whose weights are measured.")] = "rules-minilm",
    trouble: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Count who is heard in trouble in this file of messages instead; shows none."
        ),
    ] = None,
) -> None:
    """Compare words alone, meaning alone and both on labelled messages."""
    from service.kit.settings import Settings

    settings = Settings()
    from eval.instruments.intents.measure import measure
    from eval.instruments.intents.train import read_messages
    from eval.instruments.intents.trouble import measure_trouble, read_trouble
    from service.core.tasks.assistant import TASK
    from service.core.tasks.assistant.understanding.by_meaning import guess_by_meaning
    from service.core.unit.cards import ModelCards
    from service.core.unit.pair_file import load_pair

    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    path = settings.prompts_dir / TASK.name / f"{pair}.prompty"
    measured = load_pair(path, cards=cards, task_variables=TASK.variables, part_variables=TASK.part_variables)
    if trouble is not None:
        measure_trouble(read_trouble(trouble), guess_by_meaning(measured))
        return
    messages = read_messages(settings.datasets_dir / "assistant" / "intents" / f"{dataset}.jsonl")
    measure(dataset, messages, guess_by_meaning(measured))


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
    check_names([now], loaded.artifact_names)
    if not names:
        say(f"{task}/{pair} names no artifacts; name one with --artifact NAME=FILE")
        return
    say(f"{task}/{pair} is {now.digest[:12]} now. Next: {omni('eval', '--pairs', pair, task=task)}")
