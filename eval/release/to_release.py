"""A pair that is to be released, with what its evidence must have seen: the suite and the suite's gate set as they are now."""

from dataclasses import dataclass

from eval.cases import Dataset
from eval.errors import Refused
from eval.loaders import load_gate
from eval.suite import Suite
from eval.suites import load_suite
from service.cards import ModelCards
from service.pair import Pair
from service.pair_file import load_pair
from service.settings import Settings
from service.task import load_task


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRelease:
    """The pair as its file holds it, its task's suite, and the suite's gate set."""

    pair: Pair
    suite: Suite
    dataset: Dataset


def read_to_release(task_name: str, pair_name: str, settings: Settings) -> ToRelease:
    """Read the pair's file, the suite and the gate set.

    Raises:
        PairError, CaseError, ConfigurationError: something is missing or wrong.
    """
    task, suite = load_task(task_name), load_suite(task_name)
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pair = load_pair(
        settings.prompts_dir / task_name / f"{pair_name}.prompty", cards=cards, task_variables=task.variables
    )
    return ToRelease(pair=pair, suite=suite, dataset=load_gate(suite, input_model=task.input_model, settings=settings))


def refuse_demo(pair: Pair, settings: Settings) -> None:
    """Refuse a demo outside stage ``local``.

    Raises:
        Refused: naming the file to change.
    """
    if pair.role == "demo" and settings.stage != "local":
        raise Refused(
            f"{pair.name} is a demo, and stage {settings.stage!r} serves none: say `role: candidate` in "
            f"prompts/{pair.task}/{pair.name}.prompty if it is one"
        )
