"""Edits of conversations by code: a reply gets one more sentence, a cold or confusing one, or its kind or clear twin.

Twins (``twins.jsonl``, written by hand) share their words, so that neither words alone nor the fact that something was added tell
which of the two was said. Each fits any reply: what is wrong is wrong whatever was said before, and what is right does no harm.
No judge's prompt holds them.
"""

import hashlib
import itertools
import json
import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from eval.labels.contrasts.by_code import RIGHT
from eval.labels.contrasts.sets import MinimalEdit
from service.core.statements.grounding.sentence import split_sentences

_ROUNDS = 3
_REPLY = re.compile(r"^Assistant: (.+)$", re.M)


@cache
def twins() -> tuple[dict[str, str], ...]:
    """Return the rows of ``twins.jsonl``: a ``kind`` of harm, the ``wrong`` sentence and the ``right`` one."""
    return tuple(map(json.loads, Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()))


def edits_of_conversations(
    conversations: Iterable[tuple[str, str]],
    _sources: Mapping[str, str],
    *,
    seed: str,
    wanted: Mapping[str, int],
    besides: Collection[str] = (),
    held: bool = False,
) -> list[MinimalEdit]:
    """Return up to ``wanted`` edits of each class (``CONDUCT`` or ``RIGHT``), spread over the conversations.

    ``conversations`` are pairs of case id and transcript. The rest is as for ``edits_by_code``; the kinds of twins take turns.
    """
    ordered = sorted(conversations, key=lambda item: hashlib.sha256(f"{seed}\0{item[0]}\0{item[1]}".encode()).digest())
    kinds, found = list(dict.fromkeys(row["kind"] for row in twins())), list[MinimalEdit]()
    for harm_class, count in wanted.items():
        made: dict[str, MinimalEdit] = {}
        for again, (case_id, good) in itertools.product(range(_ROUNDS), ordered):
            if len(made) >= count:
                break
            draws = random.Random(f"{seed}/{harm_class}/{again}/{case_id}/{good}")
            kind, wrong = kinds[len(made) % len(kinds)], harm_class != RIGHT
            sentence = draws.choice([row["wrong" if wrong else "right"] for row in twins() if row["kind"] == kind])
            if not (places := list(_places(good))):
                continue
            place = draws.choice(places)
            start = next(begin for begin in range(place - 1, -1, -1) if good.count(good[begin:place]) == 1)
            edit = MinimalEdit(
                id=f"{'held' if held else 'code'}-{harm_class}-{len(made)}",
                case_id=case_id,
                kind=kind if wrong else "sentence_added",
                wrong=wrong,
                kept=False,
                before=good[start:place],
                after=f"{good[start:place]} {sentence}",
                good=good,
                harm_class=harm_class if wrong else "",
                held=held,
            )
            if edit.text not in besides:
                made.setdefault(edit.text, edit)
        found += made.values()
    return found


def _places(conversation: str) -> Iterator[int]:
    """Yield where sentences of the assistant's replies end."""
    for reply in _REPLY.finditer(conversation):
        place = reply.start(1)
        for sentence in split_sentences(reply[1]):
            place = conversation.index(sentence, place) + len(sentence)
            if sentence[-1] in ".!?":
                yield place
