"""Finds sentences that state nothing but a decision ("Refund granted.") which no interaction states."""

import re
from collections.abc import Iterator

from service.core.statements.answers.finding import Finding
from service.core.statements.answers.support import Statements, is_negative
from service.core.statements.grounding.prefilters import holds_word

# Each predicate of a decision with the words of notes that support it.
_SUPPORT: dict[str, frozenset[str]] = {
    predicate: frozenset({*predicates.split(), *words.split()})
    for predicates, words in (
        (
            "granted approved accepted allowed authorized authorised okayed",
            "appr apprvd approves okd ok'd grants accepts",
        ),
        (
            "closed resolved settled completed complete done fixed solved finished sorted",
            "closes cleared restored resolution closing corrected satisfied happy clsd compl ok okay thanks"
            " thank thx removed withdrawn credited posted"
            " refunded paid pd works working good great back gone lifted reversed received accepted approved"
            " waived perfect glad relieved installed",
        ),
        ("denied declined rejected refused disallowed", "denies rejects declines refuses"),
        ("waived", "waives removed reversed credited"),
        ("refunded issued reimbursed", "returned credited reissued"),
        ("credited", "posted applied cr"),
        ("reversed removed overturned", "waived cancelled canceled corrected voided"),
        ("cancelled canceled voided", "void stopped withdrawn cxl cxld canc"),
        ("verified confirmed", "validated verifies confirms"),
        ("paid", "pd received cleared pays posted"),
        ("scheduled booked", "set appt sched"),
        ("restored reconnected", "energized recon back"),
        ("upheld justified founded", "valid confirmed"),
        ("dismissed unfounded", "rejected closed denied"),
        ("disconnected", "cut disc off shut"),
        ("proven proved", "confirmed"),
        ("won", ""),
        ("lost", ""),
        ("right correct", "corrected accurate"),
        ("wrong incorrect mistaken", ""),
        ("liable responsible", ""),
        ("eligible qualified entitled", "qualifies approved"),
        ("ineligible unqualified", "denied"),
        ("invalid", "void"),
    )
    for predicate in predicates.split()
}
_REFUSALS = frozenset({"denied", "declined", "rejected", "refused", "disallowed"})
_CUES = frozenset(_SUPPORT)
_PREDICATES = "|".join(sorted(_SUPPORT, key=len, reverse=True))
_VERDICT = re.compile(
    rf"^[\s|\"'(]*(?:[A-Z][a-z]{{1,12}}:\s)?(?P<subject>(?:(?:the|this|her|his"
    rf"|their)\s)?(?:[\w'-]+\s){{0,2}}?)(?:(?:is|was|are|were|has|have|been|now"
    rf"|fully|already"
    rf"|hereby|officially|be|and|{_PREDICATES})\s){{0,4}}(?P<predicate>{_PREDICATES})(?:\s(?:today|now|in full|already"
    r"|successfully|immediately|as requested|without conditions|permanently))?[\s.!\"')]*$",
    re.I,
)
_TALK = re.compile(r"\b(?:chat|call|conversation|session|office|lobby|line)\b", re.I)
# "The first was paid": what it refers to stands in the sentence before.
_ANAPHORIC = re.compile(
    r"\b(?:always|usually|often|sometimes|first|second|third|last|other|one|ones|both|all|half|rest"
    r"|latter|former|each|this|that|it|everything)\b",
    re.I,
)
_SAID = re.compile(r"\b(?:says|said|told|tells|claims|claimed|wrote|writes|thinks|believes|wants|asks|asked)\b", re.I)


def verdicts_in(prose: str, sentences: list[str], statements: Statements) -> Iterator[Finding]:
    """Yield the bare decisions among ``sentences``, those of ``prose``, that ``statements`` do not support."""
    if not holds_word(prose, _CUES):
        return
    for sentence in sentences:
        match = _VERDICT.match(sentence)
        if match is None or not sentence.lstrip("|\"'( ")[:1].isupper() or is_negative(sentence):
            continue
        if any(pattern.search(match["subject"]) for pattern in (_TALK, _SAID, _ANAPHORIC)):
            continue
        predicate = match["predicate"].lower()
        if not statements.decide(match["subject"], _SUPPORT[predicate], refused=predicate in _REFUSALS):
            yield Finding(kind="bare verdict", value=sentence.strip(), statement=sentence)
