"""Faults of meaning: who did what, whether it happened, who owes whom. The words stay on the same matters, so code sees little.

They change the first place that they find, so that one statement of the answer is wrong and the rest is right.
"""

import random
import re
from collections.abc import Sequence

from eval.selftest.faults.general import split_sentences
from eval.spine.cases import Case

_Pairs = Sequence[tuple[str, str]]

_OUTCOMES: _Pairs = (
    ("approved", "denied"),
    ("granted", "refused"),
    ("accepted", "rejected"),
    ("confirmed", "ruled out"),
    ("passed", "failed"),
    ("upheld", "dismissed"),
    ("agreed", "declined"),
    ("restored", "cut off"),
    ("resolved", "left unresolved"),
    ("allowed", "forbidden"),
    ("credited", "charged"),
    ("waived", "charged"),
    ("lifted", "kept in place"),
    ("faulty", "accurate"),
    ("normal", "abnormal"),
    ("eligible", "ineligible"),
    ("valid", "void"),
    ("posted", "reversed"),
    ("is open", "is closed"),
    ("still open", "closed"),
    ("unpaid", "paid"),
    ("late", "on time"),
)
_DIRECTIONS: _Pairs = (
    ("owes", "is owed"),
    ("credit", "charge"),
    ("refund", "payment"),
    ("overcharged", "undercharged"),
    ("overpaid", "underpaid"),
    ("paid by", "paid to"),
    ("billed", "credited"),
    ("debit", "credit"),
    ("balance due", "credit balance"),
    ("deposit", "refund"),
)
_ROLES: _Pairs = (
    ("the customer", "the agent"),
    ("customer", "agent"),
    ("the utility", "the customer"),
    ("caller", "agent"),
    ("billing", "the customer"),
    ("she", "the agent"),
    ("he", "the agent"),
)
_DONE = (
    (re.compile(r"\bwill be (\w+ed)\b"), r"was \1"),
    (re.compile(r"\b(?:is|are) to be (\w+ed)\b"), r"was \1"),
    (re.compile(r"\b(?:is|are) (?:due|scheduled|booked|set|planned) (?:for|on)\b"), "took place on"),
    (re.compile(r"\b(?:is|are) to (decide|reply|answer|call|visit|report|send|issue|post)\b"), r"did \1"),
    (re.compile(r"\bpromised (?:to|that)\b"), "has carried out the promise to"),
    (re.compile(r"\bpromised\b"), "delivered"),
    (re.compile(r"\b(?:asks|asked|wants|wanted) (?:for )?(?=(?:a|an|the|his|her|their) )"), "received "),
    (re.compile(r"\b(?:disputes|contests)\b"), "successfully contested"),
    (re.compile(r"\bpending\b"), "completed"),
    (re.compile(r"\bexpects\b"), "received"),
    (re.compile(r"\bis under review\b"), "has been decided"),
    (re.compile(r"\bdecides by\b"), "decided on"),
    (re.compile(r"\bopen\b"), "settled"),
)
_AUXILIARY = re.compile(r"\b(is|was|were|are|has|have|had|did|does|will|can|could|would|may|must)\b(?! not)")
_CONDITION = re.compile(
    r"(?:,? (?:but )?(?:only )?(?:if|unless|once|provided|as long as|until|after|when|pending|subject to|assuming)\b"
    r"[^,.;]{3,80})(?=[,.;])",
    re.I,
)
_URGENT = re.compile(
    r"\b(?:oxygen|medical\w*|dialysis|ventilator|insulin|nebuli[sz]er|cpap|concentrator|refrigerated|wheelchair|disab\w+|"
    r"pregnan\w+|infant|baby|newborn|toddler|elderly|frail|widow\w*|dementia|hospital\w*|hospice|cancer|surgery|life support|"
    r"heart|asthma\w*|blind|deaf|suicid\w+|crisis|danger\w*|unsafe|urgent\w*|emergency|vulnerable|heat(?:ing)? (?:out|off)|"
    r"no heat|shut-?off|disconnect\w*|gas (?:leak|smell|odor)|carbon monoxide|sparks?|sparking|smoke|fire|burn\w*|"
    r"8\d|9\d|years? old|alone)\b",
    re.I,
)


def _exchanged(text: str, pairs: _Pairs, draws: random.Random) -> str:
    """Replace one phrase of ``pairs``, in either direction, at one place of ``text``."""
    places = []
    for one, other in pairs:
        for old, new in ((one, other), (other, one)):
            places += [(match.span(), new) for match in re.finditer(rf"\b{re.escape(old)}\b", text, re.I)]
    if not places:
        return text
    (start, end), new = draws.choice(places)
    new = new[0].upper() + new[1:] if text[start].isupper() else new
    return text[:start] + new + text[end:]


def reversed_outcome(text: str, case: Case, draws: random.Random) -> str:
    """Turn one outcome round: approved becomes denied, and the reverse."""
    return _exchanged(text, _OUTCOMES, draws)


def inserted_not(text: str, case: Case, draws: random.Random) -> str:
    """Deny one statement."""
    places = list(_AUXILIARY.finditer(text))
    if not places:
        return text
    match = draws.choice(places)
    return f"{text[: match.end()]} not{text[match.end() :]}"


def swapped_roles(text: str, case: Case, draws: random.Random) -> str:
    """Say of the agent what the customer did, or the reverse."""
    return _exchanged(text, _ROLES, draws)


def promise_as_done(text: str, case: Case, draws: random.Random) -> str:
    """State as done what was asked for, promised or is pending."""
    for pattern, instead in draws.sample(_DONE, len(_DONE)):
        changed = pattern.sub(instead, text, count=1)
        if changed != text:
            return changed
    return text


def turned_money(text: str, case: Case, draws: random.Random) -> str:
    """Exchange credit and charge, owes and is owed, refund and payment."""
    return _exchanged(text, _DIRECTIONS, draws)


def dropped_condition(text: str, case: Case, draws: random.Random) -> str:
    """Make one conditional statement unconditional."""
    places = list(_CONDITION.finditer(text))
    if not places:
        return text
    match = draws.choice(places)
    return text[: match.start()] + text[match.end() :]


def dropped_urgency(text: str, case: Case, draws: random.Random) -> str:
    """Leave out of a vulnerable customer's summary every sentence that shows why it is urgent; one sentence always stays."""
    if not case.slices.get("vulnerable"):
        return text
    parts = split_sentences(text)
    kept = [part for part in parts if not _URGENT.search(part)]
    return " ".join(kept or parts[:1])
