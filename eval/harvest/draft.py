"""A first draft of what a good summary carries, from the words of the agent who corrected one; a person decides about it."""

import re
from collections import Counter
from collections.abc import Sequence

from eval.casecheck.rules import Passage
from eval.cases import Fact
from service.sheet import split_sentences
from service.text import form_occurs

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{3,}|\$?\d[\d,.]*\d|\d+")
_SHORT = frozenset(
    (
        "about after again been before could customer from have into said that "
        "their them then there they this was were what when which will with would"
    ).split()
)
_WORDS_IN_FORM = 3


def drafted_facts(edited: str, passages: Sequence[Passage]) -> tuple[Fact, ...]:
    """Return a fact for each sentence of ``edited`` that a visible passage bears out; sentences that none does are left out.

    The form asks for its most telling words (figures first, then those that the passages use least); the span is the passage's
    sentence that shares most of them.
    """
    counts = Counter(word.lower() for passage in passages if passage.visible for word in _words(passage.text))
    facts = []
    for sentence in split_sentences(edited):
        known = sorted(
            {word for word in _words(sentence) if counts[word.lower()]},
            key=lambda word: (not word.strip("$")[0].isdigit(), counts[word.lower()], word),
        )
        form = " + ".join(known[:_WORDS_IN_FORM])
        found = _best(known, passages)
        if len(known) < 2 or found is None or not _holds(form, sentence):
            continue
        passage, span = found
        facts.append(Fact(statement=sentence, accepted=(form,), interaction_id=passage.id, span=span))
    return tuple(facts)


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if word.lower() not in _SHORT]


def _best(known: Sequence[str], passages: Sequence[Passage]) -> tuple[Passage, str] | None:
    shared = [
        (sum(word.lower() in line.lower() for word in known), passage, line.strip())
        for passage in passages
        if passage.visible
        for line in split_sentences(passage.text)
        if line.strip() and line.strip() in passage.text
    ]
    best = max(shared, key=lambda item: item[0], default=None)
    return None if best is None or best[0] < 2 else (best[1], best[2])


def _holds(form: str, sentence: str) -> bool:
    try:
        return form_occurs(form, sentence)
    except ValueError:
        return False
