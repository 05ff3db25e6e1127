"""Measures the extractive digest beside lead, last and random statements of equal length, and fits its weights."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np

from eval.instruments.floor.baselines import BASELINES, baseline_texts
from eval.instruments.floor.learning import FOLDS, learn, lessons_of, out_of_fold
from eval.instruments.floor.planting import load_planted, repeated
from eval.run.loaders import load_dataset
from eval.scorers.text import rouge_l, sentence_score
from eval.spine.cases import Case
from eval.spine.errors import CaseError
from figures.arrays import Floats
from figures.formatting import format_interval, format_number, format_signed
from figures.metric import Unit
from figures.stats import mean_interval
from service.core.statements.grounding.text import form_occurs
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.tasks.summarize.digest import OWN_WEIGHTS, digest_of, extractive_digest, read_history
from service.core.tasks.summarize.selection import Weights
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.core.unit.pair_file.artifacts import artifact_of
from service.core.unit.pair_file.pin import keep_trained
from service.kit.frame.display.terminal import say
from service.kit.settings import Settings

LEARNED_FROM = ("dev", "challenge", "tweetsumm")
MEASURED_ON = ("gate", "tweetsumm")
DIGEST = "digest"
_SEED = 20261122
_UNITS = {"fact_coverage": Unit.RATE, "chrf": Unit.SCORE, "rouge_l": Unit.RATE, "words": Unit.WORDS}
_WORTH_PRINTING = ("fact_coverage", "chrf", "rouge_l")

Scores = Mapping[str, float | None]


def print_floor(settings: Settings, datasets: Sequence[str] = MEASURED_ON) -> None:
    """Print each dataset's table, then how often planted texts are repeated."""
    weights = weights_of_floor(settings)
    held_out = out_of_fold(lessons_of(cases_of(LEARNED_FROM, settings)))
    for name in datasets:
        cases = cases_of([name], settings)
        learned = name in LEARNED_FROM
        say("\n".join(_table(name, cases, weights, held_out if learned else {})))
        say()
    say("\n".join(planted_lines(settings, weights)))


def weights_of_floor(settings: Settings) -> Weights:
    """Return the weights that the pair ``extractive`` names.

    Raises:
        PairError: its file, or that of the weights, is missing or wrong.
    """
    path = settings.prompts_dir / TASK.name / "extractive.prompty"
    pair = load_pair(path, cards=ModelCards.load(settings.prompts_dir / "models.yaml"), task_variables=TASK.variables)
    return Weights.parse(artifact_of(pair, TASK.name, OWN_WEIGHTS))


def fit_floor(settings: Settings) -> tuple[Path, list[Path]]:
    """Learn the weights and pin them in the pairs that name them; return their file and those pairs."""
    weights = learn(lessons_of(cases_of(LEARNED_FROM, settings)))
    return keep_trained(settings.prompts_dir / TASK.name, OWN_WEIGHTS.name, "digest_weights", weights.content())


def scores_of(case: Case, text: str) -> Scores:
    """Return the text's scores for ``case``; None where the case lacks facts or references."""
    facts, references = case.expectations.facts, tuple(case.expectations.references)
    stated = [any(form_occurs(form, text) for form in fact.accepted) for fact in facts]
    return {
        "fact_coverage": fmean(stated) if stated else None,
        "chrf": sentence_score("chrf", text, references) if references else None,
        "rouge_l": rouge_l(text, references) if references else None,
        "words": float(len(text.split())),
    }


def scored(cases: Sequence[Case], weights_of: Callable[[Case], Weights]) -> dict[str, list[Scores]]:
    """Return the scores of the digest and of each baseline at the digest's number of words, in the order of ``cases``."""
    found: dict[str, list[Scores]] = {name: [] for name in (DIGEST, *BASELINES)}
    for case in cases:
        visible = SummarizeInputs.model_validate(case.inputs).visible()
        if not visible:
            continue
        digest = digest_of(read_history(visible), weights_of(case))
        found[DIGEST].append(scores_of(case, digest))
        for name, texts in baseline_texts(visible, len(digest.split()), case.id).items():
            found[name].append(_mean([scores_of(case, text) for text in texts]))
    return found


def guarded(cases: Sequence[Case], weights: Weights) -> list[str]:
    """Return the ids of the cases to whose digest the guard objects."""
    found = []
    for case in cases:
        inputs = SummarizeInputs.model_validate(case.inputs)
        visible = inputs.visible()
        if visible and TASK.guard(inputs)(extractive_digest(visible, weights)):
            found.append(case.id)
    return found


def cases_of(names: Sequence[str], settings: Settings) -> list[Case]:
    """Return the cases of the named datasets, in order.

    Raises:
        CaseError: a dataset is missing or wrong.
    """
    return [
        case
        for name in names
        for case in load_dataset(name, task=TASK.name, input_model=SummarizeInputs, settings=settings).cases
    ]


def _mean(scores: Sequence[Scores]) -> Scores:
    return {
        name: fmean(values) if len(values := [s for one in scores if (s := one[name]) is not None]) else None
        for name in _UNITS
    }


def _table(name: str, cases: Sequence[Case], weights: Weights, held_out: Mapping[str, Weights]) -> list[str]:
    found = scored(cases, lambda case: held_out.get(case.id, weights))
    how = f"weights learned without the case ({FOLDS} folds)" if held_out else "nothing was learned from these cases"
    lines = [f"{name}, {len(found[DIGEST])} cases, {how}; 95% intervals; baselines at the digest's number of words"]
    for metric in _WORTH_PRINTING:
        values = {kind: _values(rows, metric) for kind, rows in found.items()}
        if not len(values[DIGEST]):
            continue
        lines.append(f"  {metric}")
        for kind, numbers in values.items():
            unit = _UNITS[metric]
            mean = mean_interval(numbers, seed=_SEED)
            line = f"    {kind:<7} {format_number(mean.value, unit)} {format_interval(mean.low, mean.high, unit)}"
            if kind != DIGEST:
                gain = mean_interval(values[DIGEST] - numbers, seed=_SEED)
                ends = ", ".join(format_signed(end, unit) for end in (gain.low, gain.high) if end is not None)
                line += f"   digest {format_signed(gain.value, unit)} [{ends}]"
            lines.append(line)
    lines.append(f"  words   {fmean(_values(found[DIGEST], 'words')):.0f} on average")
    refused = guarded(cases, weights)
    lines.append(f"  guard   objects to {len(refused)} digests{': ' + ', '.join(refused) if refused else ''}")
    return lines


def _values(rows: Sequence[Scores], metric: str) -> Floats:
    return np.array([value for row in rows if (value := row[metric]) is not None], dtype=np.float64)


def planted_lines(settings: Settings, weights: Weights) -> list[str]:
    """Return how often digests repeat planted texts, as lines; one line that says why where the public texts are absent."""
    try:
        texts = load_planted(settings.public_data_dir)
    except CaseError as err:
        return [f"planted texts: not measured: {err}"]
    lines = ["planted texts of which the digest repeats six words or more; the patterns were tuned on these texts"]
    for name in ("dev", "challenge"):
        found = repeated(texts, cases_of([name], settings), partial(extractive_digest, weights=weights))
        for attack, label in ((True, "attacks"), (False, "harmless")):
            rate = mean_interval(np.array(found[attack]), seed=_SEED, bounds=(0.0, 1.0))
            shown = f"{format_number(rate.value, Unit.RATE)} {format_interval(rate.low, rate.high, Unit.RATE)}"
            lines.append(f"  {name:<9} {label:<8} {shown} n={rate.n}")
    return lines
