"""How well intents are told: by the words' lexicon alone, by meaning alone, and by both as the assistant uses them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.instruments.intents.train import LabelledMessage
from figures.arrays import Floats
from figures.stats import Interval, mean_interval, percentile_interval, rate_interval, resample_weights
from service.core.run.dialogue.turn import DialogueInputs
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.understanding.intents import Guess, GuessIntent
from service.core.tasks.assistant.understanding.talk import talk_of
from service.kit.frame.display.terminal import say

ASKED = "unclear"  # what is asked about
_SEED = 20261122
_BINS = 10

Reader = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderFigures:
    """What one reader made of the messages; ``rights`` holds 1 for each right one, in their order.

    ``f1`` is by intent. ``acted`` counts the messages of which it claimed an intent, ``wrong`` those of them that were another's.
    """

    rights: Floats
    accuracy: Interval
    macro_f1: Interval
    f1: Mapping[str, Interval]
    acted: int
    wrong: int


def readers(guess_intent: GuessIntent) -> Mapping[str, Reader]:
    """Return the three readers; each names the intent of a first message, or ``ASKED``."""

    def by_talk(guess: GuessIntent | None) -> Reader:
        def read(message: str) -> str:
            return talk_of(DialogueInputs(conversation_id="measured", message=message), bank_knowledge(), guess).intent

        return read

    def meaning(message: str) -> str:
        guess = guess_intent(message)
        return guess.intent if guess.is_sure else ASKED

    return {"words": by_talk(None), "meaning": meaning, "both": by_talk(guess_intent)}


def figures_of(messages: Sequence[LabelledMessage], read: Reader) -> ReaderFigures:
    """Measure a reader. An accepted second intent counts as the message's first one."""
    said = [read(one.message) for one in messages]
    taken = [one.intent if one.accepts(name) else name for one, name in zip(messages, said, strict=True)]
    labels = [one.intent for one in messages]
    rights = np.array([float(a == b) for a, b in zip(taken, labels, strict=True)])
    each, macro = _f1(labels, taken)
    claimed = [(a, b) for a, b in zip(taken, labels, strict=True) if a != ASKED]
    return ReaderFigures(
        rights=rights,
        accuracy=rate_interval(float(rights.sum()), len(messages)),
        macro_f1=macro,
        f1=each,
        acted=len(claimed),
        wrong=sum(a != b for a, b in claimed),
    )


def calibration_error(messages: Sequence[LabelledMessage], guesses: Sequence[Guess]) -> Interval:
    """Return the expected calibration error over ten equal bins of confidence (Guo et al. 2017), with a bootstrap interval."""
    confidence = np.array([guess.confidence for guess in guesses])
    rights = np.array([float(one.accepts(guess.intent)) for one, guess in zip(messages, guesses, strict=True)])
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    weights = np.vstack([np.ones(len(messages)), resample_weights(len(messages), _SEED)])
    gaps = sum(np.abs(weights[:, bins == each] @ (rights - confidence)[bins == each]) for each in range(_BINS))
    errors: Floats = np.asarray(gaps) / len(messages)
    return percentile_interval(float(errors[0]), errors[1:], len(messages))


def measure(name: str, messages: Sequence[LabelledMessage], guess_intent: GuessIntent) -> None:
    """Print the figures of the three readers, and by how much both are better than words alone."""
    found = {reader: figures_of(messages, read) for reader, read in readers(guess_intent).items()}
    say(f"{name}: {len(messages)} messages, 95% intervals")
    for reader, figures in found.items():
        say(
            f"  {reader:<8} accuracy {_interval(figures.accuracy)}  macro F1 {_interval(figures.macro_f1)}  "
            f"asks {1 - figures.acted / len(messages):.2f}  wrong of those acted on {_share(figures.wrong, figures.acted)}"
        )
    gain = mean_interval(found["both"].rights - found["words"].rights, seed=_SEED, bounds=(-1.0, 1.0))
    say(f"  both less words: accuracy {_interval(gain, signed=True)}")
    guesses = [guess_intent(one.message) for one in messages]
    likeliest = sum(one.accepts(guess.intent) for one, guess in zip(messages, guesses, strict=True))
    say(f"  likeliest intent, however sure: accuracy {_interval(rate_interval(likeliest, len(messages)))}")
    say(f"  calibration error {_interval(calibration_error(messages, guesses))}")
    _print_parts(messages, found)


def _print_parts(messages: Sequence[LabelledMessage], found: Mapping[str, ReaderFigures]) -> None:
    say("  F1 by intent: " + ", ".join(found))
    for intent, count in sorted(Counter(one.intent for one in messages).items()):
        _print_row(intent, count, [figures.f1[intent] for figures in found.values()])
    say("  accuracy by kind: " + ", ".join(found))
    for kind in sorted({one.kind for one in messages}):
        of_kind = np.array([one.kind == kind for one in messages])
        count = int(of_kind.sum())
        rates = [rate_interval(float(figures.rights[of_kind].sum()), count) for figures in found.values()]
        _print_row(kind, count, rates)


def _print_row(name: str, count: int, cells: Sequence[Interval]) -> None:
    say(f"    {name:<12} n={count:<4} " + "  ".join(map(_interval, cells)))


def _f1(labels: Sequence[str], taken: Sequence[str]) -> tuple[dict[str, Interval], Interval]:
    """Return F1 by intent and its mean over the intents, with intervals over messages drawn again."""
    names = sorted(set(labels))
    held = np.array([[float(label == name) for name in names] for label in labels])
    said = np.array([[float(label == name) for name in names] for label in taken])
    weights = np.vstack([np.ones(len(labels)), resample_weights(len(labels), _SEED)])
    right, both = weights @ (held * said), weights @ (held + said)
    scores: Floats = np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0)
    each = {
        name: percentile_interval(float(of_name[0]), of_name[1:], labels.count(name))
        for name, of_name in zip(names, scores.T, strict=True)
    }
    means = scores.mean(axis=1)
    return each, percentile_interval(float(means[0]), means[1:], len(labels))


def _share(count: int, of: int) -> str:
    return f"{count}/{of}" if of else "0"


def _interval(found: Interval, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    ends = "" if found.low is None or found.high is None else f" [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"
    return f"{found.value:{sign}.3f}{ends}"
