"""Checks that a figure is told of the thing that it belongs to, where the tools told of several: branches, cards."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from service.core.run.guard import Objection
from service.core.statements.grounding.text import fold_values, sentences
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.figures import figures_in, unsupported
from service.core.tasks.assistant.validation.seen import SeenTurn

_COMPARES = re.compile(r"\b(?:instead of|rather than|than|compared|respectively|both|all|each|either)\b", re.IGNORECASE)
_CHANNELS = {"branch": r"\bbranch\b|\bin person\b", "digital": r"\bonline\b|\bin the app\b|\bdigital\w*"}
_KINDS = {"checking": r"\bcurrent\b|\bchecking\b"}


def subject_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield the figures that the tools state of another branch, card or channel than the reply does."""
    subjects = {pattern: "\n".join(texts) for pattern, texts in _subjects(seen).items()}
    if len(subjects) < 2:
        return
    everything = figures_in("\n".join(chain(subjects.values(), seen.customer, seen.assistant)))
    told = "This figure belongs to another one of the things that the tools told of; look again:"
    for sentence in sentences(reply.reply):
        if _COMPARES.search(sentence):
            continue
        for pattern, part in _parts(fold_values(sentence), tuple(subjects)):
            stated = figures_in(part)
            here = figures_in("\n".join((subjects[pattern], *seen.customer)))
            elsewhere = set(unsupported(stated, here)) - set(unsupported(stated, everything))
            yield from (Objection(kind="fabricated_data", value=value, told=told) for _, value in sorted(elsewhere))


def _parts(sentence: str, patterns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield for each subject in the sentence what is said of it: from its name, or the beginning, to the next name."""
    named = sorted((match.start(), pattern) for pattern in patterns for match in re.finditer(pattern, sentence))
    named = [item for at, item in enumerate(named) if at == 0 or named[at - 1][1] != item[1]]
    for at, (start, pattern) in enumerate(named):
        end = named[at + 1][0] if at + 1 < len(named) else len(sentence)
        yield pattern, sentence[0 if at == 0 else start : end]


def _subjects(seen: SeenTurn) -> Mapping[str, list[str]]:
    """Return the texts of each thing that the tools told of, by the pattern of its name."""
    found: dict[str, list[str]] = {}
    openings = [(tool, answer) for tool, answer in seen.answers if "documents_required" in answer]
    cards = [answer["card_type"] for _, answer in seen.answers if "card_type" in answer]
    for tool, answer in seen.answers:
        if tool == "find_nearest_branch":
            for number, branch in enumerate(answer.get("branches", ())):
                at = f"branches.{number}."
                found[_name_of(str(branch.get("name", "")))] = [
                    text for of, path, text in seen.fields if of == tool and path.startswith(at)
                ]
        elif "card_type" in answer and len(set(cards)) > 1:
            found.setdefault(rf"\b{answer['card_type']}\b", []).extend(_texts(answer))
        elif "documents_required" in answer and len(openings) > 1:
            one_type = len({other["account_type"] for _, other in openings}) == 1
            kind = str(answer["account_type"])
            pattern = _CHANNELS[str(answer["channel"])] if one_type else _KINDS.get(kind, rf"\b{kind}\b")
            found.setdefault(pattern, []).extend(_texts(answer))
    return found


def _name_of(branch: str) -> str:
    """Return a pattern for how people call a branch: "new street" for Larkfield Birmingham New Street."""
    words = fold_values(branch).removeprefix("larkfield ").split()
    cities = {"london", "manchester", "birmingham"}
    kept = words[1:] if len(words) > 1 and words[0] in cities else words
    return rf"\b{re.escape(' '.join(kept))}\b(?! (?:road|square))"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from chain.from_iterable(map(_texts, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(_texts, value))
    else:
        yield str(value)
