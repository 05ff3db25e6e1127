"""What a reply asks and what it says was done are closed sets: the approved questions, and the deeds of the tools that answered.

A list of bad questions never ends. So a question is refused unless its words of meaning all stand in the wordings of one entry of
``persona.yaml``, and a deed unless its verb belongs to a tool that did it in this conversation.
"""

import re
from collections.abc import Iterator
from functools import cache

from service.core.run.guard import Objection
from service.core.statements.answers.support import content_of, stem
from service.core.statements.grounding.text import sentences
from service.core.tasks.assistant.persona import persona
from service.core.tasks.assistant.reply import AssistantReply
from service.core.tasks.assistant.validation.seen import SeenTurn

_I = re.IGNORECASE
_DEMAND = re.compile(
    r"\b(?:(?:tell|give|send|provide|show|read|text|e-?mail|confirm to) (?:it to )?(?:me|us)\b"
    r"|(?:share|confirm|enter|type|state|spell|provide|verify)\b[^.?!]{0,20}\byour\b"
    r"|(?:i|we)(?:'ll| will| do)?(?: just| also| first)? need (?:to know )?your\b)",
    _I,
)
_SHORT = re.compile(r"['’](?:s|re|ve|ll|d|m)\b", _I)
_OFFER = re.compile(
    r"\b(?:shall i|should i|can i|may i (?:connect|call|ask)|would you like (?:me|us)?|do you want (?:me|us)?)\b", _I
)
# A reply may end in a question that passes the word back: "does that help?", "is that right?".
_EMPTY = content_of(
    """ok okay all right sorry thanks please help helps helpful sense understand understood clear correct sure fine know like
    want need would prefer ask tell say said hear see look find give think sound good great happy well let question mean moment
    first next step so far today new open opening order ordering get bank larkfield assist assistance anything something
    else more further other instead maybe perhaps able choose for"""
)
_DONE = (
    r"(?:[a-z]+ed|sent|paid|put|made|set|frozen|withdrawn|written|begun|bought|built|cut|done|drawn|given|got|kept|lent|sold|taken"
    r"|won|upheld|held)"
)
_SECRET = content_of(
    """pin passcode password code cvv cvc security secret card number digits birth born birthday maiden income salary balance sort
    login username user biometric fingerprint face insurance national passport licence photo selfie expiry"""
)
_FIRST_PERSON = re.compile(
    rf"\b(?:i|we)(?:'ve| have)(?: (?:now|just|already|also|successfully|been able to|gone ahead and))* (?P<done>{_DONE})\b"
    r"|\b(?:i|we)(?:'ll| will| am going to|'m going to|'re going to)(?: (?:now|just|also|then|only|always|gladly|personally))* "
    r"(?P<will>(?!not\b|never\b)[a-z]+)\b"
    r"|\b(?:your(?: \w+){1,4}?|you|it|this|that|(?:the|a|an|our|my) \w+(?: \w+)?|some(?:one|body))"
    r"(?:'ve|'s|'re| has| have| had| is| are| was| were)(?: (?:been|being|now|just|already|also|successfully))* "
    rf"(?P<passive>{_DONE})\b(?! by\b| to\b)",
    _I,
)
# Verbs of speaking, looking and understanding: they change nothing at the bank.
_TALK = frozenset(
    map(
        stem,
        """told tell said say explained explain asked ask mentioned mention listed list given give answered answer described
        described shown show checked check looked look found find seen see read heard hear understood understand got get had have
        been be noticed notice added add tried try do done help helped need walk guide repeat repeated stop stay keep go start
        wait leave left covered cover meant mean taken assumed assume included include""".split(),
    )
)
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
