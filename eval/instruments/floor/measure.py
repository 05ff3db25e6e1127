"""Measures the extractive digest beside lead, last and random statements of equal length, and fits its weights."""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from eval.instruments.floor.learning import FOLDS, learn, lessons_of, out_of_fold
from eval.run.loaders import load_dataset
from eval.scorers.text import rouge_l, sentence_score
from eval.spine.cases import Case
from eval.spine.errors import CaseError
from figures.arrays import Floats
from figures.formatting import format_interval, format_number, format_signed
from figures.metric import Unit
from figures.stats import mean_interval
from service.core.statements.grounding.text import form_occurs, sentences
from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.tasks.summarize.digest import OWN_WEIGHTS, digest_of, extractive_digest, read_history
from service.core.tasks.summarize.selection import Weights
from service.core.unit.cards import ModelCards
from service.core.unit.interaction import Interaction
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
    """Return the cases of the named datasets, in order; ``CaseError`` if a dataset is missing or wrong."""
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


BASELINES = ("lead", "last", "random")
RANDOM_DRAWS = 10  # per case; their scores are averaged, so that luck of the draw does not count


def baseline_texts(interactions: Sequence[Interaction], words: int, seed: str) -> Mapping[str, tuple[str, ...]]:
    """Return each baseline's texts of exactly ``words`` words, or fewer where the history has fewer.

    ``lead`` and ``last`` are raw words, whatever they are; ``random`` are whole statements in the history's order, the last one
    that was drawn cut to fit. The same ``seed`` gives the same draws.
    """
    raw = [word for item in interactions for word in item.text.split()]
    statements = [sentence.split() for item in interactions for sentence in sentences(item.text)]
    draws = random.Random(seed)
    return {
        "lead": (" ".join(raw[:words]),),
        "last": (" ".join(raw[max(len(raw) - words, 0) :]),),
        "random": tuple(_drawn(statements, words, draws) for _ in range(RANDOM_DRAWS)),
    }


def _drawn(statements: Sequence[Sequence[str]], words: int, draws: random.Random) -> str:
    order = list(range(len(statements)))
    draws.shuffle(order)
    taken: dict[int, Sequence[str]] = {}
    for place in order:
        if words <= 0:
            break
        taken[place] = statements[place][:words]
        words -= len(taken[place])
    return " ".join(" ".join(taken[place]) for place in sorted(taken))


RUN_WORDS = 6
_WORD = re.compile(r"[a-z0-9]+")
_MOST_CHARS = 20_000  # of an interaction's text


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedText:
    """A text to plant: an attack, or a harmless text of the same kinds."""

    text: str
    attack: bool


def load_planted(folder: Path) -> list[PlantedText]:
    """Read the public attacks and harmless texts of ``folder``.

    Raises:
        CaseError: the file is not there, or a line lacks a field.
    """
    path = folder / "injections_dev.jsonl"
    if not path.exists():
        raise CaseError(f"the public data set is not at {path}; set OMNI_PUBLIC_DATA_DIR to the folder that holds it")
    try:
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [PlantedText(text=str(row["text"]), attack=row["label"] == 1) for row in rows]
    except (ValueError, KeyError, TypeError) as err:
        raise CaseError(f"{path}: not a list of labelled texts ({type(err).__name__}: {err})") from err


def repeats(digest: str, planted: str) -> bool:
    """Return whether ``digest`` holds six words of ``planted`` in a row; case and punctuation do not count."""
    return not _runs(digest).isdisjoint(_runs(planted))


def repeated(
    texts: Sequence[PlantedText], cases: Sequence[Case], digest: Callable[[Sequence[Interaction]], str]
) -> dict[bool, list[float]]:
    """Return, for attacks (True) and harmless texts (False), 1.0 for each text that its history's digest repeats.

    Each text is planted once, as a new last line of the newest interaction; the cases take turns. Texts with fewer than six
    words are left out.
    """
    histories = [visible for case in cases if (visible := SummarizeInputs.model_validate(case.inputs).visible())]
    found: dict[bool, list[float]] = {True: [], False: []}
    for number, planted in enumerate(texts):
        if _runs(planted.text):
            *earlier, newest = histories[number % len(histories)]
            text = f"{newest.text}\n{planted.text}"[:_MOST_CHARS]
            answer = digest([*earlier, newest.model_copy(update={"text": text})])
            found[planted.attack].append(float(repeats(answer, planted.text)))
    return found


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return frozenset(tuple(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1))
