"""What a customer's message wants, read from whole words: "personal" is no person, "current" no account by itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from service.core.tasks.assistant.knowledge import TransferReason
from service.core.tasks.assistant.understanding.triggers import (
    OTHER_BANKS,
    asks_if_ai,
    handover_reason,
    names_other_customer,
    off_topic,
)

Topic = Literal["account", "card", "branch", "hours", "queue", "callback"]
# Which part of an answer the customer asks for; none: all of it.
Aspect = Literal[
    "documents", "steps", "time", "benefits", "requirements", "fees", "features", "replacement", "activation"
]

_CALLBACK = re.compile(
    r"\b(?:call\s?back|(?:call|ring|phone|telephone|contact|buzz)\s+(?:me|us)(?:\s+back)?|(?:give|"
    r"get)\s+me\s+a\s+(?:call|ring|bell|buzz)(?:\s+back)?|get\s+(?:someone|somebody|"
    r"a\s+\w+)\s+to\s+(?:call|ring|phone)|"
    r"have\s+(?:someone|somebody|a\s+\w+)\s+(?:call|ring|phone))\b(?!\s+(?:an?\s+idiot|crazy|stupid))",
    re.IGNORECASE,
)
_NO_CALL = re.compile(
    r"\b(?:no need to|don'?t|do not|not|never|they|people|friends|mates|everyone)\s+(?:call|ring|phone|contact)",
    re.IGNORECASE,
)
_QUEUE = re.compile(
    r"\b(?:queue|(?:how\s+long|what).{0,20}\bwait(?:ing)?\b.{0,25}(?:specialist|someone|person|agent|"
    r"adviser|time|speak|talk)|place\s+in\s+(?:the\s+)?line|waiting\s+time|wait\s+time|next\s+in\s+line|"
    r"how\s+many.{0,20}(?:ahead|before\s+me|in\s+front))\b",
    re.IGNORECASE,
)
_HOURS = re.compile(
    r"\b(?:when|what time|what days|how late|until when)\b[^.?!]{0,40}\bspecialists?\b|"
    r"\bspecialists?\b[^.?!]{0,40}\b(?:back|work|open|hours|closed?)\b|\b(?:christmas|easter|boxing day|new year)\b|"
    r"\b(?:specialists?|advis[eo]rs?)\b[^.?!]{0,25}\b(?:about|around|in|on|available|there)\b[^.?!]{0,15}\b"
    r"(?:today|now|tomorrow|weekend|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b|"
    r"\b(?:(?:your|the|specialists?'?|phone\s?line|lines?|call\s+centre|team|"
    r"what)\s+(?:\w+\s+)?(?:opening\s+)?(?:hours|times)|opening\s+(?:hours|times)|(?:are|r)\s+(?:you|"
    r"your\s+\w+|the\s+\w+|specialists|lines)(?:\s+\w+)?\s+open|"
    r"when\s+(?:are|do|does|is|can)\s+(?:you|your|the|specialists?|i|someone|"
    r"your\s+\w+)\s+(?:\w+\s+){0,2}?(?:open|close|available|start|shut|reach|there)|(?:what|until\s+what|"
    r"till\s+what)\s+time\s+(?:do|are|is|can|does)|open\s+(?:today|now|tomorrow|on|at\s+the\s+weekend|"
    r"late)|bank\s+holiday)\b",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"\b(?:open(?:ing)?|start(?:ing)?|set(?:ting)?\s+up|get(?:ting)?|apply(?:ing)?|new|sign(?:ing)?\s+up|"
    r"create|join|need|want|like|have|for)\b.{0,40}\b(?:account|accounts|acct|saver)\b"
    r"|\b(?:account|acct)\s+opening\b|\b(?:bank|become\s+a\s+customer)\s+with\s+you\b|\b(?:accounts?|"
    r"acct)\b.{0,30}\b(?:documents?|paperwork|papers|open|bring|id|need|require\w*|steps?|how\s+long|"
    r"process)\b"
    r"|\b(?:documents?|paperwork|papers|id|benefits?|steps?|process|requirements?)\b.{0,40}\b(?:account|"
    r"accounts|acct)\b",
    re.IGNORECASE,
)
_CARD = re.compile(
    r"\b(?:debit\s+[ck]ards?|bank\s+cards?|(?:premium|standard|contactless|virtual)(?:\s+debit)?\s+(?:cards?|"
    r"one)|cards?)\b",
    re.IGNORECASE,
)
_BRANCH = re.compile(
    r"\b(?:(?:near(?:est|by)?|closest|local|find|where|which|have\s+you\s+got|is\s+there|"
    r"are\s+there)\b[^.?!]{0,40}\bbranch(?:es)?"
    r"|branch(?:es)?\b[^.?!]{0,25}\b(?:near|around|close|address|phone|hours|located)\b"
    r"|where\s+(?:can|do)\s+i\s+(?:go|find\s+you|come)|where\s+are\s+you(?:\s+(?:based|located))?)\b",
    re.IGNORECASE,
)
_NEAR = re.compile(r"\b(?:near(?:est|by)?|closest|close to|round|address|where(?:'?s| is| are)?)\b", re.IGNORECASE)
_ORDERS_CARD = re.compile(
    r"\b(?:order|get|want|need|apply for|replace|have)\b[^.?!]{0,25}\bcards?\b|\bcards?\b[^.?!]{0,20}\b(?:fees?|cost)\b",
    re.IGNORECASE,
)
_BRANCH_WORD = re.compile(r"\bbranch(?:es)?\b", re.IGNORECASE)
_ASPECTS: Mapping[Aspect, str] = {
    "documents": r"documents?|docs|paperwork|papers|bring|take with me|proof|i\.?d\b|identification|"
    r"passport|evidence|what (?:do|will|would) i need|what'?s needed",
    "steps": r"steps?|process|procedure|walk me through|go about|what happens|apply|order(?:ing)?",
    "time": r"how (?:long|quick(?:ly)?|soon|fast)|when (?:will|does|do|can|would)|time does|deliver\w*|"
    "arrives?|processing time|same day|straight ?away|takes?",
    "benefits": r"benefits?|advantages?|perks?|why (?:should|would)|pros|better|what do i get",
    "requirements": r"requirements?|owners?|own\\b|year[- ]olds?|my (?:son|daughter|kid|child)|eligib\w+|"
    r"qualify|conditions?|am i allowed|can i (?:even )?(?:have|"
    "get)|criteria|have the|old enough|how old",
    "fees": r"fees?|costs?|charges?|pric\w+|how much|free|expensive|cheap|pay for|abroad|monthly|(?:a|per|each) month|euros?",
    "features": r"features?|limits?|what does it do|come with|includes?|insurance|cash ?back|benefits?|"
    r"offers?|withdraw\w*|(?:take|taken|draw|drawn|get) (?:\w+ )?out\b|cash ?(?:point|machine)s?|(?:apple|"
    r"google) pay|how (?:many|often)",
    "replacement": r"replac\w+|lost|damaged|broken|new one|snapped|chewed|not working|doesn'?t work|"
    "misplaced|cracked",
    "activation": r"activat\w+|start using|switch(?:ed)? on|first use",
}
_OF_TOPIC: Mapping[Topic, frozenset[Aspect]] = {
    "account": frozenset({"documents", "steps", "time", "benefits", "requirements"}),
    "card": frozenset({"fees", "features", "time", "requirements", "steps", "replacement", "activation"}),
}
_YES = re.compile(
    r"^\W*(?:(?:oh|um+|er+m?|well|ok(?:ay)?|please)\W+)*(?:yes|yeah|yep|yup|ya|sure|ok|okay|please do|"
    r"go ahead|do it|that'?s (?:right|correct|fine|it)|that is (?:correct|right)|correct|"
    r"absolutely|definitely|fine|aye|sounds good|go on|great|perfect|of course|that would be (?:great|"
    r"good|lovely))\b",
    re.IGNORECASE,
)
_NO = re.compile(
    r"^\W*(?:(?:oh|um+|er+m?|well|actually)\W+)*(?:no(?! (?:idea|clue))|nope|nah|don'?t(?! know| have)|"
    r"not (?:now|really|today)|leave it|"
    r"never ?mind|cancel that)\b",
    re.IGNORECASE,
)
_BYE = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|great|perfect|lovely|brilliant|super|no|nope|right|cool|"
    r"alright)\W+)*(?:(?:many |very )?thank(?:s| you)|cheers|ta|that'?s (?:all|everything|it)|bye|goodbye|"
    r"all good|nothing else|i'?m done)\b",
    re.IGNORECASE,
)
_HELLO = re.compile(
    r"^\W*(?:hi+|hello+|hey+|good (?:morning|afternoon|evening|day)|hiya|morning|alright|yo|"
    r"greetings)\b[\s\w,]{0,20}[\W]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a message wants: its ``topics`` in their order, ``aspects`` of them, and why a person must take over."""

    topics: tuple[Topic, ...] = ()
    aspects: frozenset[Aspect] = frozenset()
    handover: TransferReason | None = None
    asks_if_ai: bool = False
    off_topic: str = ""
    other_customer: bool = False
    names_branch: bool = False
    looks_near: bool = False
    orders_card: bool = False
    yes: bool = False
    no: bool = False
    bye: bool = False
    hello: bool = False

    def aspects_of(self, topic: Topic) -> frozenset[Aspect]:
        """Return what the message asks about ``topic``."""
        return self.aspects & _OF_TOPIC.get(topic, frozenset())


@lru_cache(maxsize=2_048)  # each turn hears the messages before it again
def hear(message: str) -> Wish:
    """Read a message by itself, without what was said before."""
    text = message.replace("’", "'")
    topics = _topics(text)
    matter = off_topic(text, topics)
    only_off_topic = matter == OTHER_BANKS or (matter and not {"account", "card"}.intersection(topics))
    return Wish(
        topics=() if only_off_topic else topics,
        aspects=frozenset(name for name, pattern in _ASPECTS.items() if re.search(rf"\b(?:{pattern})", text, re.I)),
        handover=handover_reason(text, topics),
        asks_if_ai=asks_if_ai(text),
        off_topic=matter,
        other_customer=names_other_customer(text),
        names_branch=_BRANCH_WORD.search(text) is not None,
        looks_near=_NEAR.search(text) is not None,
        orders_card=_ORDERS_CARD.search(text) is not None,
        yes=_YES.search(text) is not None,
        no=_NO.search(text) is not None,
        bye=_BYE.search(text) is not None and not topics,
        hello=_HELLO.search(text) is not None and not topics,
    )


def _topics(text: str) -> tuple[Topic, ...]:
    patterns: Mapping[Topic, re.Pattern[str]] = {
        "account": _ACCOUNT,
        "card": _CARD,
        "branch": _BRANCH,
        "hours": _HOURS,
        "queue": _QUEUE,
        "callback": _CALLBACK,
    }
    found = {topic: match for topic, pattern in patterns.items() if (match := pattern.search(text))}
    if "branch" in found:
        found.pop("hours", None)  # a branch's answer has its hours
    if "callback" in found and _NO_CALL.search(text):
        found.pop("callback")
    if {"card", "account"} <= found.keys() and not re.search(r"\bcards?\b", _ACCOUNT.sub("", text), re.I):
        found.pop("card")
    return tuple(sorted(found, key=lambda topic: found[topic].start()))
