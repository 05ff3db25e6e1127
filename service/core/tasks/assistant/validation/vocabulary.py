"""The words of a reply are a closed set: those of its sources, and plain words that state nothing of bank or customer.

What a bank never says has no end, and its verbs cannot be listed. Where a reply may have its words from can be: the tools'
answers, the customer, the approved wordings, what was told before, and the plain words of ``patterns.yaml`` (numbers, times,
courtesy).
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import get_args

from service.core.run.guard import Objection
from service.core.statements.answers.support import content_of
from service.core.statements.grounding.text import sentences
from service.core.tasks.assistant.first_help import first_help
from service.core.tasks.assistant.knowledge import TransferReason
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.kit.frame.patterns import pattern_texts, word_list

_FILE = Path(__file__).with_name("patterns.yaml")
_MOST_STRANGE = 1  # words of a sentence: good replies in free wording have one at times, hardly ever two
_OF_CUSTOMER = re.compile(pattern_texts(_FILE, "vocabulary")["of_customer"], re.I)


def vocabulary_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield each sentence of the reply, and of its handover note, with more words that no source has than one.

    One is too many where the sentence says what the customer, or something of theirs, is or must do.
    """
    known = content_of("\n".join((seen.known, seen.said, seen.message)))
    note = "" if reply.handover is None else reply.handover.context
    for kind, text, words in (
        ("not_accounted", reply.reply, _own_words()),
        ("note_not_accounted", note, _own_words() | _words_of_notes()),
    ):
        for sentence in sentences(text):
            strange = len(_meant(sentence) - words - known)
            if strange > (0 if _OF_CUSTOMER.search(sentence.replace("’", "'")) else _MOST_STRANGE):
                told = "Say only what the tools, the customer or the approved wordings say, in their words; leave out:"
                yield Objection(kind=kind, value=sentence, told=told)


def _meant(sentence: str) -> frozenset[str]:
    """Return the stems of the words of meaning; figures are looked up by other checks."""
    words = (word.partition("'")[0] for word in content_of(sentence.replace("’", "'")))
    return frozenset(word for word in words if len(word) > 1 and not any(map(str.isdigit, word)))


@cache
def _own_words() -> frozenset[str]:
    """Return the stems of the approved wordings, and of the plain words."""
    spoken = persona()
    deeds: Iterable[str] = (text for texts in spoken.deeds.values() for text in texts)
    greetings = (text for each in first_help().languages.values() for text in (each.disclosure, each.greeting))
    plain = word_list(_FILE, "vocabulary_plain")
    return _all_meant((*spoken.wordings, *spoken.handovers.values(), *deeds, *greetings, plain))


@cache
def _words_of_notes() -> frozenset[str]:
    return _all_meant((word_list(_FILE, "vocabulary_notes"), " ".join(get_args(TransferReason))))


def _all_meant(texts: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*map(_meant, texts))
