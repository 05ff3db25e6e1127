"""Statements in the trade's words that an answer's source does not make: what edits by code invent."""

import itertools
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Invention:
    """A sentence, or what follows "because"; it is false wherever the source does not match ``absent`` (lower case)."""

    kind: str
    text: str
    absent: str


_WHO = {
    "A supervisor": "supervis",
    "A team leader": "team lead",
    "The back office": "back office",
    "A technician": "technician",
    "The retention desk": "retention",
    "An engineer": "engineer",
    "The account manager": "account manager|key acc",
    "The claims handler": "claims handl|claim",
}
_DID = {
    "apologized for the delay": "apolog|sorry",
    "waived the fee as a goodwill gesture": "waive|goodwill",
    "agreed to a payment plan in twelve parts": "payment plan|instal",
    "extended the due date by two weeks": "extend|extension",
    "promised a written confirmation": "written|writing|confirm",
    "rejected the complaint as unfounded": "reject|unfounded",
    "put a note on the file that the customer was warned": "warn",
    "offered a gift card": "gift card|voucher",
    "closed the case without an answer": "without an answer",
    "recommended a cheaper tariff": "tariff|cheaper",
    "asked for a copy of the passport": "passport",
    "set up direct debit": "direct debit|autopay|auto-pay",
}
_VERDICTS = (
    ("The customer's account of it is not credible.", "credib"),
    ("The complaint is justified.", "justif"),
    ("The utility is clearly at fault.", "at fault|our fault"),
    ("The customer has only himself to blame.", "blame"),
    ("This was handled correctly throughout.", "handled correctly"),
    ("The charge is lawful.", "lawful|legal"),
    ("The customer had been informed in time.", "informed|notified|notice"),
)
_MOODS = (
    ("The customer was furious.", "furious|angr|irate|mad"),
    ("The customer was relieved and thankful.", "reliev|thank"),
    ("The customer sounded confused.", "confus"),
    ("The customer was in tears.", "tears|cry|cried|sob"),
    ("The customer was sarcastic throughout.", "sarcas"),
    ("The customer is losing patience and threatens to leave.", "patien|threat|leav"),
    ("The customer was embarrassed.", "embarrass"),
)
_EVENTS = (
    ("The customer had raised the same matter last year.", "last year|year ago"),
    ("A second visit was needed.", "visit"),
    ("The first letter went to an old address.", "address"),
    ("The line dropped twice.", "drop"),
    ("The customer has a lawyer.", "lawyer|attorney|counsel"),
    ("The regulator was informed.", "regulator|commission|ombuds"),
    ("Photos were sent as proof.", "photo|picture|image"),
    ("The meter was found to run fast.", "meter"),
    ("The customer was called back on the same day.", "call"),
    ("The refund was declined by the bank.", "bank"),
    ("A reminder had gone out before.", "remind"),
    ("The number on file is out of date.", "number|phone"),
)
_CAUSES = (
    ("the meter had been read wrongly", "meter|read"),
    ("the address on file was out of date", "address"),
    ("a card had expired", "card|expire"),
    ("an agent had mistyped the figure", "typ|typo|figure"),
    ("a storm had delayed the crews", "storm|weather|wind"),
    ("the customer had moved", "mov"),
    ("the form was incomplete", "form|incomplete"),
    ("a system update had failed", "system|update"),
    ("the letter was lost in the post", "letter|mail|post"),
    ("two accounts had been merged", "merge"),
    ("the bank had been closed for a holiday", "bank|holiday"),
    ("the previous tenant had left a debt", "tenant|debt"),
)

INVENTIONS = (
    *(
        Invention(kind="deed_invented", text=f"{who} {did}.", absent=f"{no_who}|{no_did}")
        for (who, no_who), (did, no_did) in itertools.product(_WHO.items(), _DID.items())
    ),
    *(Invention(kind="invented_verdict", text=text, absent=absent) for text, absent in _VERDICTS for _ in range(6)),
    *(Invention(kind="mood_invented", text=text, absent=absent) for text, absent in _MOODS for _ in range(6)),
    *(Invention(kind="event_invented", text=text, absent=absent) for text, absent in _EVENTS for _ in range(4)),
)
CAUSES = tuple(Invention(kind="cause_changed", text=text, absent=absent) for text, absent in _CAUSES)
