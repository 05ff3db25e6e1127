"""Runs a sweep: each combination of prompt and model becomes a pair, and one evaluation covers all of them."""

from dataclasses import dataclass, replace
from pathlib import Path

from eval.evaluation.evaluate import FinishedEvaluation, Options, evaluate, load_pairs
from eval.instruments.sweep.points import quality_spec, sweep_points
from eval.spine.errors import SweepError
from figures.command_line import omni
from figures.files import out_folder
from service.core.run.task import load_task
from service.core.unit.cards import ModelCard, ModelCards
from service.core.unit.pair import Pair
from service.kit.settings import Settings

MOST_CELLS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """What to combine: the models, ids or short names of cards, with the prompts of ``of``'s pairs (none: all of the task).

    ``quality`` is the metric on the charts' vertical axis; default: the suite's first comparison with production. ``stand_in``
    includes models for which only a stand-in would answer here.
    """

    of: Options
    models: tuple[str, ...]
    quality: str | None = None
    stand_in: bool = False


def derive(pair: Pair, card: ModelCard) -> Pair:
    """Return ``pair`` with another model and without a backup, as a new pair with its own name and digest."""
    return replace(pair, name=f"{pair.name}@{card.short_name}", model=card.id, backup=None, description="")


def cells(options: SweepOptions, settings: Settings) -> list[Pair]:
    """Return the pairs of the matrix, by prompt and then by model.

    A model that is code reads no prompt, so the matrix contains it only once, with the first prompt.

    Raises:
        SweepError: no model, too many cells, an unknown metric, or a model that only a stand-in would answer.
        PairError: a pair file is wrong, or a model has no card.
    """
    if not options.models:
        again = omni("sweep", "--models", "smollm2-135m,extractive-digest", task=options.of.task)
        raise SweepError(f"name the models to sweep: {again}")
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    chosen = list(dict.fromkeys(card_named(name, cards).id for name in options.models))
    replaced = [model for model in chosen if only_stand_in(cards.get(model), settings)]
    if replaced and not options.stand_in:
        raise SweepError(
            f"only a stand-in would answer for {', '.join(replaced)} here, so the figures would not be theirs; leave "
            "them out, set OMNI_ENVIRONMENT=aws, or add --stand-in to try out the command"
        )
    pairs = load_pairs(load_task(options.of.task), cards, settings, options.of.pairs)
    found = [
        derive(pair, cards.get(model))
        for number, pair in enumerate(pairs)
        for model in chosen
        if number == 0 or cards.get(model).wire != "in_process"
    ]
    if len(found) > MOST_CELLS:
        raise SweepError(f"{len(found)} cells are more than {MOST_CELLS}; name fewer with --models and --pairs")
    return found


def card_named(name: str, cards: ModelCards) -> ModelCard:
    """Return the card with this id or short name, or one derived for an id that litellm knows; ``PairError`` if there is none."""
    for card in cards:
        if name in (card.id, card.short_name):
            return card
    return cards.get(name)


def only_stand_in(card: ModelCard, settings: Settings) -> bool:
    """Return whether nothing but a stand-in would answer for a model here."""
    own = settings.bedrock.endpoint is not None and settings.bedrock.stand_in is None
    return settings.environment == "local" and card.replaced_locally and not own


def sweep(options: SweepOptions, settings: Settings) -> tuple[FinishedEvaluation, Path]:
    """Evaluate the matrix and write its page; return the evaluation and the page's path.

    An interrupted sweep continues when it is started again with the same options, because answers are cached.

    Raises:
        SweepError, PairError, CaseError, ConfigurationError: bad input; no model was called.
        RunAborted, RegistryError: as ``evaluate``.
    """
    from eval.instruments.sweep.report import write_sweep
    from eval.suites import load_suite

    quality_spec(load_suite(options.of.task), options.quality)
    outcome = evaluate(replace(options.of, pairs=(), derived=tuple(cells(options, settings))), settings)
    spec = quality_spec(outcome.suite, options.quality)
    folder = out_folder(settings.root, "sweep") / outcome.evaluation.run_id
    points = sweep_points(outcome.evaluation, outcome.suite, spec)
    return outcome, write_sweep(outcome.evaluation, outcome.suite, spec, points, folder)
