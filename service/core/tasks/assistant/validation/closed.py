"""What a reply asks and what it says was done are closed sets: the approved questions, and the deeds of the tools that answered.

A list of bad questions never ends. So a question is refused unless its words of meaning all stand in the wordings of one entry of
``persona.yaml``, and a deed unless its verb belongs to a tool that did it in this conversation.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from service.core.run.guard import Objection
from service.core.statements.answers.support import content_of, stem
from service.core.statements.grounding.text import sentences
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.seen import SeenTurn
from service.kit.frame.patterns import pattern_texts, word_list

_FILE = Path(__file__).with_name("patterns.yaml")
_TEXTS = pattern_texts(_FILE, "closed")

_I = re.IGNORECASE
_DEMAND = re.compile(_TEXTS["demand"], re.I)
_SHORT = re.compile(r"['’](?:s|re|ve|ll|d|m)\b", _I)
_OFFER = re.compile(_TEXTS["offer"], re.I)
# A reply may end in a question that passes the word back: "does that help?", "is that right?".
_EMPTY = content_of(word_list(_FILE, "closed_empty"))
_SECRET = content_of(word_list(_FILE, "closed_secret"))
_FIRST_PERSON = re.compile(_TEXTS["first_person"], re.I)
# Verbs of speaking, looking and understanding: they change nothing at the bank.
_TALK = frozenset(map(stem, word_list(_FILE, "closed_talk").split()))
_DEEDS = {
    "request_callback": "arrange book schedule request set log place organise organize note call ring phone contact",
    "transfer_to_agent": "transfer connect pass hand put tell inform notify bring forward get let",
}


@cache
def _approved_words() -> tuple[frozenset[str], ...]:
    """Return the words of meaning of each entry of the approved questions; the other wordings that ask are entries, too."""
    entries = (" ".join(wordings) for wordings in persona().questions.values())
    return tuple(content_of(text) for text in (*entries, *(text for text in persona().wordings if "?" in text)))


@cache
def _approved_offers() -> frozenset[str]:
    return frozenset[str]().union(*_approved_words(), *(content_of(text) for text in persona().wordings))


def closed_findings(reply: AssistantReply, seen: SeenTurn) -> Iterator[Objection]:
    """Yield each sentence that asks what nobody approved, or tells a deed that no tool did in this conversation."""
    for sentence in sentences(reply.reply):
        if _asks(sentence, seen) and not _is_approved(sentence, seen):
            told = "Ask only for the kind of account or card, how to open it, the place, a phone number, or a yes:"
            yield Objection(kind="question_not_approved", value=sentence, told=told)
        if "?" not in sentence and (verb := _undone(sentence, seen)):
            told = "No tool of this conversation did this, so do not say it:"
            yield Objection(kind="said_not_done", value=verb, told=told, severity="high")


def _asks(sentence: str, seen: SeenTurn) -> bool:
    """Return whether a sentence asks the customer for something; a tool's own steps ("sign in with your passcode") do not."""
    if "?" in sentence:
        return True
    found = _DEMAND.search(sentence)
    return found is not None and not content_of(sentence[found.start() :].partition(",")[0]) <= content_of(seen.known)


def _is_approved(sentence: str, seen: SeenTurn) -> bool:
    asked = _asking_part(sentence)
    # content_of knows "what" as a word without meaning, not "what's".
    words = {word for word in content_of(_SHORT.sub("", asked)) if not any(map(str.isdigit, word))} - _EMPTY
    if any(words <= approved for approved in _approved_words()):
        return True
    # What was spoken of may be asked about, but no secret: a tool tells where to choose a PIN, and nobody may ask for it.
    topic = (content_of(seen.known) | content_of(seen.message)) - _SECRET
    if _OFFER.search(asked) and not _DEMAND.search(asked):
        topic |= _approved_offers()
    return any(words <= approved | topic for approved in _approved_words())


def _asking_part(sentence: str) -> str:
    """Return the clause that asks: what stands before it states something, which other checks read."""
    demand = _DEMAND.search(sentence)
    if "?" not in sentence and demand:
        return sentence[demand.start() :]
    parts = re.split(
        r"[,:;] (?=(?:what|which|where|when|who|how|may|can|could|shall|would|do|is|are|did|will)\b)", sentence
    )
    return parts[-1]


def _undone(sentence: str, seen: SeenTurn) -> str:
    """Return the verb of a deed that nothing in this conversation did; "" if there is none."""
    did = {stem(verb) for tool, verbs in _DEEDS.items() if seen.did(tool) for verb in verbs.split()}
    for found in _FIRST_PERSON.finditer(sentence):
        verb = stem((found["done"] or found["will"] or found["passive"]).lower())
        if verb not in _TALK | did and verb not in content_of(seen.known):
            return found[0]
    return ""
