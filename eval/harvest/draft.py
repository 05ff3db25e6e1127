"""Drafts a case's facts from an agent's correction of the summary; a person reviews them."""

import re
from collections import Counter
from collections.abc import Sequence

from eval.spine.case_rules import Passage
from eval.spine.cases import Fact
from service.core.statements.grounding.sentence import split_sentences
from service.core.statements.grounding.text import form_occurs

_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{3,}|\d{1,2}/\d{1,2}|\$?\d[\d,.]*\d|\d+")
_SHORT = frozenset(
    (
        "about after again been before could customer from have into said that "
        "their them then there they this was were what when which will with would"
    ).split()
)
_WORDS_IN_FORM = 3


def drafted_facts(edited: str, passages: Sequence[Passage]) -> tuple[Fact, ...]:
    """Return a fact for each sentence of ``edited`` that a visible passage supports; other sentences are left out.

    The fact's form is made of the sentence's most distinctive words: numbers first, then the words that the passages use least.
    Its span is the passage sentence that shares most of them.
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
    wanted = {word.lower() for word in known}
    best: tuple[int, Passage, str] | None = None
    for passage in passages:
        for line in split_sentences(passage.text) if passage.visible else []:
            # Numbers weigh more than words; of equal matches, the later contact wins.
            shared = sum(1 + word.strip("$")[0].isdigit() for word in wanted & {w.lower() for w in _words(line)})
            if shared > 1 and line in passage.text and (best is None or shared >= best[0]):
                best = (shared, passage, line)
    return None if best is None else best[1:]


def _holds(form: str, sentence: str) -> bool:
    try:
        return form_occurs(form, sentence)
    except ValueError:
        return False
