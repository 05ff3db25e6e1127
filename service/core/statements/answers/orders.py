"""Finds orders to the reader of an answer that no interaction supports.

An answer reports. "Waive every fee" is an order even where the customer demands just that; "She demands that we waive
every fee" reports the demand. An order that the interactions state as an instruction ("call Ingrid only") may be repeated.
"""

import re
from collections.abc import Iterator

from service.core.statements.answers.finding import Finding
from service.core.statements.answers.prose import is_reported
from service.core.statements.answers.support import Statements, content_of, stem
from service.core.statements.grounding.prefilters import Screened, holds_word

# Verbs that decide something: an instruction must stand in the interactions in this form, and a customer's wish is none.
_DECIDE = frozenset(
    """
    approve authorize authorise issue waive refund credit grant reverse remove reimburse compensate forgive adjust
    cancel close
    reopen reconnect restore disconnect deny reject refuse decline void override expedite escalate transfer reduce
    increase extend
    lower raise apply charge bill award give offer release suspend halt block unblock unlock reset delete pay
    discount erase
    clear drop skip comp forgo honor honour concede admit accept promise guarantee commit settle
    """.split()
)
_ACT = frozenset(
    """
    tell ask inform advise remind explain assure reassure apologize apologise ensure confirm check verify investigate
    review send mail
    forward schedule book arrange assign dispatch document log record update take make treat proceed begin start stop
    try get find
    look monitor prioritize prioritise address resolve fix acknowledge provide request obtain collect submit
    file prepare
    complete process continue hold put set move turn connect consult refer direct order instruct warn urge demand
    insist thank inspect
    visit go come bring wait sign say repeat ring notify flag hang follow reach discuss emphasize encourage allow
    permit require
    determine identify gather complete determine transfer compile generate read rush hurry double postpone delay mark
    report correct
    replace install change switch convert enroll rebook reschedule retry return show hand learn know consider cover
    include skip
    deal help calm listen push press convince persuade pretend hide conceal lie
    """.split()
)
# How to reach the customer and what to read: supported where an interaction mentions the same matter.
_MANNER = frozenset(
    "call phone contact speak talk write reply answer respond email e-mail text message use keep leave avoid ignore"
    " disregard".split()
)
_RISKY = re.compile(
    r"\b(?:smell|odor|alarm|doctor|physician|evacuat\w+|medical|warning|danger|sparks?|detector|notice|police"
    r"|requests?|demands?|complaints?|claims?|concerns?|customers?|wish\w*|questions?)\b",
    re.I,
)
# What the customer is to be told must be in the interactions, not only its subject.
_TELL = frozenset(
    "tell inform advise remind explain assure reassure apologize apologise promise guarantee instruct warn notify"
    " thank".split()
)
_ANY = 0.01
_ABSTAINS = re.compile(r"(?:do not|don't|dont|never)\b|\w+ (?:\w+ )?(?:nothing|no|none)\b", re.I)
_RINGS = frozenset({"call", "callback", "ring", "phone", "contact"})
# "Ring him in the morning" where he wrote "call me before noon".
_DAYTIMES = content_of("early late morning mornings noon midday afternoon afternoons evening evenings daytime night")
_DECIDE_STEMS = frozenset(map(stem, _DECIDE))
_BASE = _DECIDE | _ACT | _MANNER
# These are also nouns or adjectives ("Credit has not decided", "Check 2216 cleared"): an order needs an object after them.
_AMBIGUOUS = frozenset(
    """
    issue refund credit reverse close transfer bill charge offer release block reset discount check review mail
    dispatch document log
    record update start stop address fix request file process hold move order visit return report call phone contact
    reply answer text
    email e-mail message note watch mind complete direct change switch flag follow lower clear void use drop award
    schedule book
    increase promise guarantee ring look set put read cover show double mark delay push press need demand sign try
    say help lie calm
    raise adjust wait settle go come deal repeat disconnect reconnect pay override put lift remedy stay consult
    """.split()
)
_OBJECT = re.compile(
    r"\s+(?:the|a|an|this|that|these|those|him|her|them|it|his|their|any|all|every|each|both|either|whether|what"
    r"|immediately|now|asap|customers?|mr|mrs|ms|dr|\$\d)\b",
    re.I,
)
_NO_OBJECT = re.compile(
    r"\s+(?:of|is|was|has|had|were|are|from|at|did|does|and|or|but|not|stands?|remains?|awaits?|dated"
    # "Cancel deadline Nov 17", "Reset code expired": two nouns
    r"|deadlines?|dates?|codes?|forms?|windows?|periods?|options?|buttons?|links?|confirmation|number)\b|\s*[,:(|]",
    re.I,
)
_HOW = re.compile(r"\s+(?:up|back|to|by|in|only|with|after|before|on|no|through|via|at)\b", re.I)
_FOREVER = frozenset({"do", "don't", "dont", "never", "always"})
_AFTER_NEVER = re.compile(r"\s+(?:not\s+|ever\s+|also\s+)?([A-Za-z'-]+)")
_PAST = frozenset(
    """
    got came had was were heard told sent received paid went rang saw made did gave met found said knew spoke wrote
    left took
    began arrived ran felt kept lost held put set a the any his her again before quite fully really so once an in on
    to with at by
    from for about after more less much very yet both only one all and or through via
    """.split()
)
_FINITE = re.compile(
    r"\b(?:is|was|has|had|are|were|remains?|did|does|awaits?|cleared|posted|stands|ends?|expires?)\b", re.I
)
_LEAD = re.compile(
    r"(?:please|pls|kindly|let's|let us|also|then|next|first|second|finally|now|just|simply|so|and|urgent|urgently"
    r"|immediately"
    r"|quickly|promptly"
    r"|important|instead|personally|always|(?:next |follow-up )?(?:steps?|actions?)|to do|todo|recommendations?|note"
    r"|reminder|agents?"
    r"|[A-Z]\w{1,14}(?=[,:]))[,:]?\s+(?:-\s)?",
    re.I,
)
_MARKS = re.compile(r"[\s\"'(|.-]*")
_MOST_LEADS = 3
_STARTS = re.compile(r"(?:^|:\s|,\s(?:and\s|then\s|so\s)?|\s-\s|\band\s(?:then\s)?|\bor\s|\bthen\s|\|\s?)", re.I)
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_PLEASE = Screened(r"\b(?:please|kindly)\b", re.I)
_POLITE = Screened(r"\b(?:make sure|be sure|see to it|ensure that|remember to|don't forget|do not forget)\b", re.I)
_READER = (
    r"(?:agents?|reps?|representatives?|staff|(?:the )?team|we|you|whoever|next agent|advisors?"
    r"|csrs?|the (?:utility"
    r"|company|desk)"
    r"|colleagues?|personnel|employees)"
)
_MODAL = (
    r"(?:must|should|shall|need(?:s)? to|has to|have to|ought to|had better"
    r"|(?:are|is) (?:to|required to|supposed to|obliged to))"
)
_MODAL_ORDER = Screened(
    rf"\b{_READER}\s+(?:\w+ly\s|also\s|now\s)?{_MODAL}\s+(?:not\s|never\s|now\s|also\s|immediately\s|\w+ly\s)?[a-z]+"
    r"|\b\w+\s+(?:must|should|shall|needs? to|has to|have to|ought to)\s+(?:not\s|now\s|immediately\s|also\s"
    r"|\w+ly\s)?be\s"
    r"(?:\w+ly\s)?(?:waived|refunded|credited|approved|authori[sz]ed|issued|granted|reversed|removed|closed"
    r"|cancell?ed|reconnected|restored"
    r"|called|contacted|escalated|given|paid|compensated|reimbursed|told|informed|advised|offered|sent|transferred"
    r"|disconnected|denied"
    r"|rejected|refused|reopened|forgiven|lowered|reduced|extended|apologi[sz]ed|handled|prioriti[sz]ed|dispatched"
    r"|flagged|blocked|ignored"
    r"|voided|adjusted|expedited|honou?red|treated|kept|verified|assured|thanked|warned|monitored)\b"
    r"|(?:^|[.:;|]\s)(?:must|should|need(?:s)? to|have to|ought to)\s+(?:not\s)?(?P<bare>[a-z]+)"
    r"|\bit is (?:essential|important|recommended|imperative|necessary|crucial|advisable|best|vital|critical"
    r"|mandatory) (?:to|that)\b"
    r"|\b(?:is|are) (?:strongly )?(?:recommended|advised|required|urged) to\b|\brecommend(?:ed)? (?:that|to|action)\b"
    r"|\b(?:action|follow-up) (?:is )?(?:required|needed):|\bit(?:'s| is| would be| might be) (?:best|wise|good|time)"
    r" to\b|(?:^|[.:;] )time to\b",
    re.I,
)
# What would be good for a customer, or for the seller: advice in the form of a statement.
_ADVICE = Screened(
    r"\b(?:would|could|might|may|will|can|should|stands? to|likely to)\s(?:\w+ly\s|well\s"
    r"|also\s)?(?:benefit|profit|gain from|save (?:money|\$|by|with|on|up)|be interested in"
    r"|be (?:a )?(?:better|best|well|good)(?:ly)? (?:served|off|suited|fit|candidate|match)|enjoy"
    r"|appreciate (?:the|our|an?)|welcome an offer|be worth|make sense|be (?:appropriate|advisable"
    r"|sensible|prudent"
    r"|fair|wise|helpful|ideal|perfect))\b(?! (?:if|whether))"
    r"|\b(?:good|great|ideal|perfect|strong|prime|excellent|likely|natural|promising|suitable)"
    r" (?:candidate|fit|match|prospect|opportunity|time|moment|target|occasion) (?:for|to)\b"
    r"|\b(?:upsell|up-sell|cross-?sell|sales (?:opportunity|lead|potential)|upselling|cross-selling)\b"
    r"|\b(?:best|better|well|ideally|perfectly) (?:suited|served) (?:to|for|by|with)\b|\b(?:is|are|seems?"
    r"|would be) (?:well )?worth (?:offering|mentioning|considering|suggesting|pitching|proposing|trying"
    r"|a)\b"
    r"|\b(?:deserves?|merits?|warrants?) (?:an?|the|our|some|more|better|special|priority|compensation"
    r"|credit|goodwill|attention)\b|\b(?:is|seems|would be) (?:advisable|warranted|called for|overdue"
    r" for)\b"
    r"|\b(?:premium|gold|platinum|deluxe|plus|protection|warranty|add-on|bundle"
    r"|upgrade)\b[^.]{0,40}\b(?:would|could|can|offers?|saves?|gives?|ideal|perfect|recommended|available"
    r"|solves?|suits?|pays? for itself)\b"
    r"|\b(?:has|have|having) (?:much |a lot |everything )?to gain from\b",
    re.I,
)
_ADVICE_WORDS = content_of(
    "would could might may will can should benefit profit gain save interested better best well good"
    " great ideal perfect served suited fit candidate match"
    " worth sense appropriate advisable sensible prudent fair wise helpful offering mentioning"
    " considering deserves merits warrants warranted opportunity time"
)
_MODAL_WORDS = frozenset(
    "must should shall need needs ought have has had are is recommend recommended required please kindly sure"
    " remember forget"
    " essential important imperative necessary crucial advisable vital critical mandatory see ensure best wise".split()
)
_CUES = _BASE | _MODAL_WORDS | _FOREVER | {"don"}


def orders_in(prose: str, sentences: list[str], statements: Statements) -> Iterator[Finding]:
    """Yield the orders and the advice in ``sentences``, those of ``prose``, that ``statements`` do not support."""
    advice = _ADVICE.within(prose)
    for sentence in sentences:
        for match in advice.finditer(sentence) if advice else ():
            clause = re.split(r"[,;:]", sentence[match.start() :], maxsplit=1)[0]
            matter = content_of(clause) - _ADVICE_WORDS
            if not is_reported(sentence, match.start()) and not statements.mention(
                " ".join(matter) or clause, share=0.6
            ):
                yield Finding(kind="order", value=clause.strip(), statement=sentence)
                break
    if not holds_word(prose, _CUES):
        return
    please, modal = _PLEASE.within(prose), [found for one in (_POLITE, _MODAL_ORDER) if (found := one.within(prose))]
    for sentence in sentences:
        orders = [] if sentence.endswith("?") else list(_imperatives(sentence))
        for clause, verb in orders:
            if not _supported(clause, verb, statements):
                yield Finding(kind="order", value=clause.strip(), statement=sentence)
        # "Please answer by e-mail" says how to reach the customer, for which less support is asked.
        polite = not orders or any(verb not in _MANNER for _, verb in orders)
        for match in _modal_orders(sentence, [please, *modal] if polite and please else modal):
            clause = re.split(r"[,;:]", sentence[match.start() :], maxsplit=1)[0]
            verb = match[0].split()[-1].lower()
            # "New bills must be paid": the customer pays.
            decided = verb != "paid" and (verb in _DECIDE or stem(verb) in _DECIDE_STEMS)
            backed = statements.state(clause, share=0.6, verb=verb if decided else "", decided=decided)
            if not backed and (decided or not statements.mention(clause, share=0.6, besides=(verb,))):
                yield Finding(kind="order", value=clause.strip(), statement=sentence)


def _imperatives(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield the clauses of ``sentence`` that begin with a verb in its base form, each with that verb."""
    commanded = False  # a clause after "and" or a comma is an order only if the one before is
    for start in _STARTS.finditer(sentence):
        opening = start[0].strip().lower()
        if opening and not commanded and not opening.endswith((":", "|", "-")):
            continue
        if is_reported(sentence, start.start()):
            return
        found = _verb_at(sentence, start.end())
        if found is not None:
            commanded = True
            yield _clause(sentence, found[0]), found[1]


def _verb_at(sentence: str, place: int) -> tuple[int, str] | None:
    """Return the place and the verb of an order that begins at ``place``, or after words such as "then" or "please"."""
    marks = _MARKS.match(sentence, place)
    place = marks.end() if marks else place
    for _ in range(_MOST_LEADS):
        word = _WORD.match(sentence, place)
        if word is None:
            return None
        verb = word[0].lower()
        if verb in _FOREVER:
            inner = _AFTER_NEVER.match(sentence, word.end())
            past = inner and (inner[1].endswith(("ed", "ing")) or inner[1].lower() in _PAST)
            return (place, inner[1].lower()) if inner and not past else None
        if verb in _BASE and _is_order(verb, sentence, word.end()):
            return place, verb
        lead = _LEAD.match(sentence, place)
        if lead is None:
            return None
        place = lead.end()
    return None


def _is_order(verb: str, sentence: str, end: int) -> bool:
    if verb not in _AMBIGUOUS:
        return _NO_OBJECT.match(sentence, end) is None
    followed = _OBJECT.match(sentence, end) or (verb in _MANNER | {"follow"} and _HOW.match(sentence, end))
    return bool(followed) and _FINITE.search(_clause(sentence, end)) is None


def _clause(sentence: str, place: int) -> str:
    return re.split(r";|(?<!\d):|:(?!\d)|, (?:and|then)\b|\s(?:and|but|because|since)\s", sentence[place:], maxsplit=1)[
        0
    ]


def _modal_orders(sentence: str, patterns: list[Screened]) -> Iterator[re.Match[str]]:
    """Yield orders with a modal verb, or such as "make sure" or "please", one for each of ``patterns`` at most."""
    for pattern in patterns:
        for match in pattern.finditer(sentence):
            # "Must send the form" leaves out the customer; "must refund her" can only mean the reader.
            bare = match.groupdict().get("bare")
            theirs = bare is not None and bare.lower() not in _DECIDE | _TELL
            if not theirs and not is_reported(sentence, match.start()):
                yield match
                break


def _supported(clause: str, verb: str, statements: Statements) -> bool:
    abstains = _ABSTAINS.match(clause) is not None
    if verb in _DECIDE and not abstains:
        matter = content_of(clause) - content_of(verb)
        return bool(matter) and statements.state(clause, share=0.5, verb=verb, decided=True)
    if verb in ("ignore", "disregard"):
        # Which record is wrong is a statement about the records.
        return not _RISKY.search(clause) or statements.state(clause, share=0.7, verb=verb)
    if abstains and verb not in _MANNER:
        return statements.state(clause, share=0.5) or statements.mention(clause, share=0.6, besides=(verb,))
    # Advice on how to deal with a customer is seldom worded as the interactions word it.
    if content_of(clause) - content_of(verb) - (_DAYTIMES if verb in _RINGS else frozenset()):
        return statements.mention(clause, share=0.6 if verb in _TELL else _ANY, besides=(verb,))
    return statements.say_one_of(frozenset({verb, *(_RINGS if verb in _RINGS else ())}))
