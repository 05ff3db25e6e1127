"""``intents``: trains what tells the intents of the banking assistant's customers by meaning, and measures it."""

from typing import Annotated, Literal

import typer

from service.kit.frame.display.terminal import say

intents = typer.Typer(no_args_is_help=True, help="Train and measure what tells a bank customer's intent by meaning.")


@intents.command("train")
def train_intents(
    compare: Annotated[
        bool, typer.Option("--compare", help="Only compare penalties, by folds of the training messages.")
    ] = False,
) -> None:
    """Learn from datasets/assistant/intents/train.jsonl, calibrate on dev.jsonl, and write the weights."""
    from service.commands.knowledge import open_model
    from service.kit.settings import Settings

    settings = Settings()
    folder, model = settings.datasets_dir / "assistant" / "intents", open_model(settings)
    from eval.instruments.intents.train import cross_validated, learn, write_weights
    from service.core.tasks.assistant.understanding.classifier import WEIGHTS_FILE

    if compare:
        for penalty, accuracy, loss in cross_validated(folder, model):
            say(f"C={penalty:<6g} accuracy {accuracy:.3f}  log loss {loss:.3f}")
        return
    weights = learn(folder, model)
    write_weights(WEIGHTS_FILE, weights)
    say(f"{WEIGHTS_FILE}: {len(weights.intents)} intents, temperature {weights.temperature}")


@intents.command("measure")
def measure_intents(
    dataset: Annotated[
        Literal["dev", "test"], typer.Option(help="dev chose the temperature; nothing is tuned on test.")
    ] = "dev",
) -> None:
    """Compare words alone, meaning alone and both on labelled messages."""
    from service.commands.knowledge import open_model
    from service.kit.settings import Settings

    settings = Settings()
    model = open_model(settings)
    from eval.instruments.intents.measure import measure
    from eval.instruments.intents.messages import read_messages
    from service.core.tasks.assistant.understanding.classifier import IntentClassifier, read_weights

    messages = read_messages(settings.datasets_dir / "assistant" / "intents" / f"{dataset}.jsonl")
    measure(dataset, messages, IntentClassifier(read_weights(), model).guess)
