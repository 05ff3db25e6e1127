"""What a customer's message wants, read from whole words: "personal" is no person, "current" no account by itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service.tasks.assistant.knowledge import TransferReason

Topic = Literal["account", "card", "branch", "hours", "queue", "callback"]
# Which part of an answer the customer asks for; none: all of it.
Aspect = Literal[
    "documents", "steps", "time", "benefits", "requirements", "fees", "features", "replacement", "activation"
]

_GAP = (
    r"(?:(?:to|with|me|us|a|an|the|some|one|of|your|our|real|actual|live|human|proper|through|on|over|"
    r"back|just|please|straight|another|different|any|in|touch)\s+)*"
)
_WHO = (
    r"(?:agents?|humans?|persons?|people|representatives?|reps?|advis[eo]rs?|someone|somebody|anyone|"
    r"anybody|operators?|specialists?"
    r"|colleagues?|managers?|supervisors?|staff|customer services?|call handlers?|members? of staff|human being)"
    r"(?!\s+(?:rights|resources|account|agency|business|card|told|said|else'?s|called|named|who (?:told|"
    r"said)|at work)\b)(?![-'’]?\w)"
)
_PERSON = re.compile(
    rf"""\b(?:
        (?:speak|talk|chat|connect(?:ed)?|transfer(?:red)?|pass(?:ed)?|put|get|escalate)\s+{_GAP}{_WHO}
        | (?:want|need|give|get|like|prefer|require|find)\s+{_GAP}(?!(?:anyone|anybody|people
          |staff)\b){_WHO}(?!\s+to\s+(?:be|know|have))
        | (?:is|are)\s+there\s+{_GAP}{_WHO}\s+(?:there|i\s+can|available|who\s+can|to\s+(?:speak|talk|help))
        | can\s+(?:i|we)\s+(?:have|get|see)\s+{_GAP}{_WHO}
        | (?:no\s+more|not|stop\s+(?:with\s+)?(?:this|the)|sick\s+of\s+(?:this|the|talking\s+to\s+a)
          |don'?t\s+want\s+(?:to\s+(?:talk|speak)\s+to\s+)?(?:a|this|the))\s+
          (?:stupid\s+|bloody\s+)?(?:ro)?bots?
        | (?:transfer|put|patch|pass|hand)\s+(?:me|us)\s+(?:through|over|across)
        | (?:real|actual|live|human)\s+(?:human|person|agent|being|adviser|advisor|operator)\s*(?:please|now|$|[.!])
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_ONLY_PERSON = re.compile(
    rf"^\W*(?:(?:no|yes|just|please|an?|the|real|human|live|um+|uh+|er+m?|"
    rf"ok(?:ay)?)\W+)*{_WHO}\W*(?:(?:please|now|thanks|mate)\W*)*$",
    re.IGNORECASE,
)
_NO_PERSON = re.compile(
    r"\b(?:do(?:n'?t| not)|no|without|rather not|instead of)\s+(?:need|want|have|having|"
    r"wish)?\s*(?:to\s+)?(?:(?:speak|talk)(?:ing)?\s+(?:to|with)\s+)?"
    r"(?:an?\s+|any\s+)?(?:agents?|humans?|persons?|anyone|anybody|someone|advis[eo]r)\b",
    re.IGNORECASE,
)
_IS_IT_AI = re.compile(
    r"\b(?:are|r)\s+(?:you|u)\s+(?:(?:an?|the|actually|really|even|just|real|some\s+kind\s+of)\s+)*(?:ai|"
    r"a\.i\.|bot|robot|chat\s?bot|machine|computer|human|"
    r"real|person|automated|living)\b|\b(?:am\s+i|is\s+this|i'?m|i\s+am)\s+(?:(?:speaking|talking|"
    r"chatting)\s+(?:to|with)\s+)?(?:an?\s+)?(?:real\s+|actual\s+)?"
    r"(?:ai|a\.i\.|bot|robot|chat\s?bot|machine|computer|human|person)\b[^.!]*\?"
    r"|\bwhat(?:'s| is) your name\b|\bwho (?:are you|am i (?:talking|speaking|chatting) (?:to|with))\b"
    r"|\b(?:have you got|do you have) a name\b",
    re.IGNORECASE,
)
_ANGER = (
    r"frustrat\w+|annoy(?:ed|ing)|useless|terrible|awful|angry|furious|livid|ridiculous|rubbish|pathetic|"
    r"hopeless|disgrace(?:ful)?|appalling|fed up"
)
_FRUSTRATED = re.compile(
    rf"""\b(?:
        (?:i'?m|i\s+am|im|i\s+feel|i'?ve\s+been|getting|makes?\s+me|we'?re
          |this\s+is\s+making\s+me)\s+(?:\w+\s+){{0,3}}?
            (?:frustrated|annoyed|angry|furious|livid|fed\s+up|sick\s+of\s+(?:this|waiting|you))
        | (?:you|you'?re|your|u|ur|this|that|that'?s|it'?s|bot|bank|service|system|help|chat|thing|answers?
          |what\s+an?|how)\s+
            (?:\w+\s+){{0,3}}?(?:{_ANGER})\b(?!\s+(?:at|with|weather|traffic|saver|cold|headache|day|week))
        | (?:absolutely|completely|totally|utterly|so|bloody|just)\s+(?:{_ANGER})\b(?!\s+(?:at|with)\b)
        | waste\s+of\s+(?:my\s+)?(?:time|space) | for\s+(?:god'?s|heaven'?s|f\w*'?s)\s+sake
          | this\s+is\s+a\s+joke | wtf | piss(?:ed|ing)\s+(?:me\s+)?off
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_ONLY_ANGER = re.compile(rf"(?:^|[.!?,]\s*)\W*(?:oh\s+)?(?:{_ANGER})\W*(?:$|[.!])", re.IGNORECASE)
_SOMEBODY_ELSE = re.compile(
    r"\b(?:my|his|her|their|our)\s+(?:sister|brother|mum|mother|dad|father|wife|husband|partner|friend|"
    r"mate|boss|old bank|other bank|previous bank|last bank|son|daughter|neighbour)"
    r"|\b(?:barclays|hsbc|natwest|lloyds|santander|monzo|halifax|nationwide)\b|\bother banks?\b",
    re.IGNORECASE,
)
_SENSITIVE = re.compile(
    r"""\b(?:
        (?:been|being|was|got|get|think\s+i'?m|victim\s+of)\s+(?:\w+\s+){0,3}?(?:scam(?:med)?|defrauded|hacked
          |phished|robbed|mugged)
        | (?:report|reporting|victim\s+of|there'?s|is|suspect|suspected|about\s+a)\s+(?:a\s+|an?\s+)?(?:fraud
          |scam|identity\s+theft)
        | fraud(?:ulent|sters?)?\s+(?:on|in|payment|transaction|charge|activity|has|have|took) | scammers?
          | identity\s+theft
        | (?:don'?t|do\s+not|didn'?t|did\s+not)\s+recogni[sz]e | (?:money|savings?)\s+(?:\w+\s+){0,3}?(?:stolen
          |gone\s+missing|vanished)
        | stole\s+my | (?:card|wallet|purse|phone|bag)\s+(?:\w+\s+){0,3}?(?:stolen|nicked|robbed)
        | stolen\s+(?:debit\s+|bank\s+)?card | (?:passed\s+away|bereave\w*|deceased|has\s+died|just\s+died|died
          |widow(?:ed|er)?|funeral|probate)
        | suicid\w+ | kill\s+myself | end\s+(?:it\s+all|my\s+life) | self[- ]harm\w*
          | don'?t\s+want\s+to\s+(?:live|be\s+here\s+any\s?more)
        | domestic\s+(?:abuse|violence) | abusive\s+(?:partner|husband|wife|relationship|ex) | (?:he|she
          |partner|husband|wife|ex)\s+controls\s+(?:\w+\s+){0,3}?money
        | coerc\w+ | gambl\w+\s+(?:problem|addict\w*|too\s+much|debts?|my|away)
        | (?:keep|stop|can'?t\s+stop|been)\s+gambling | addict(?:ed|ion) | can'?t\s+(?:afford
          |pay|cope|make\s+ends\s+meet|feed)
        | in\s+(?:\w+\s+)?debt | bailiffs? | debt\s+(?:collectors?|problems?) | bankrupt(?:cy)?
          | lost\s+my\s+job | made\s+redundant | homeless | eviction | evicted
        | terminal(?:ly)?\s+(?:ill|diagnosis|cancer) | (?:have|got|diagnosed\s+with)\s+(?:\w+\s+)?(?:cancer
          |dementia|alzheimer'?s)
        | (?:formal|make\s+a|file\s+a|raise\s+a|lodge\s+a|put\s+in\s+a|want\s+to)\s+complain(?:t)? | ombudsman
          | solicitors? | sue\s+(?:you|the\s+bank) | legal\s+action
        | discriminat\w+ | harass\w+ | data\s+breach
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_COMPLEX = re.compile(
    r"""\b(?:
        power\s+of\s+attorney | court\s+of\s+protection | deputy(?:ship)? | trust(?:ee)?s?\s+(?:account|fund
          |deed) | (?:family|charitable|discretionary)\s+trust
        | executors? | non[- ]?(?:uk|dom|resident|domiciled)\w* | (?:live|living|resident|based
          |directors?)\s+(?:\w+\s+){0,3}?(?:abroad|overseas|outside\s+the\s+uk)
        | (?:overseas|foreign|offshore)\s+(?:compan(?:y|ies)|director|tax|parent|national) | refugee | asylum
          | visa | no\s+fixed\s+(?:address|abode)
        | (?:parent|holding|shell)\s+compan(?:y|ies) | us\s+(?:citizen|tax\s+payer) | dual\s+national\w*
          | sanctions? | insolven\w+ | liquidation
        | joint\s+(?:account\s+)?with\s+(?:\w+\s+){0,4}?(?:abroad|overseas) | merg(?:er|ing) | five\s+directors
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_PRODUCT = (
    r"(?:loans?|mortgages?|re-?mortgag\w+|invest(?:ments?|ing|or)?|stocks?(?:\s+and\s+shares)?|shares|"
    r"isas?|pensions?|crypto\w*|bitcoins?|insurance|credit\s+cards?|overdrafts?|bonds)"
)
_OFF_TOPIC = re.compile(
    rf"""\b(?:
        (?:want|need|get|getting|take|taking|apply(?:ing)?|offer|do|have|sell|about|for|interested\s+in
          |advice\s+on|recommend|borrow|rates?\s+(?:on|for)|tell\s+me|buy(?:ing)?|
           discuss|ask|looking\s+(?:for|at|into)|should\s+i|help\s+with|what'?s|what\s+is|how\s+(?:do|can)\s+i
             |consider(?:ing)?)\s+
           (?:\w+\s+){{0,5}}?{_PRODUCT}
        | (?:quote|sell|offer|cover)\s+(?:me\s+)?(?:\w+\s+){{0,3}}?insurance | better\s+than\s+(?:yours?|you|larkfield)
        | {_PRODUCT}\s+(?:rates?|advice|application|options?|deals?|calculator|quote|offers?)
        | (?:borrow|lend)\s+(?:me\s+)?(?:some\s+)?(?:money|£|\d) | invest\s+(?:my|some|in|£|\d|money)
        | remortgage
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_OUTSIDE = re.compile(
    r"\b(?:weather|football|recipe|joke|poem|homework|president|prime\s+minister|election|horoscope|"
    r"write\s+(?:me\s+)?(?:a|some|an)\s+(?:poem|story|essay|code|script)|"
    r"capital\s+of|translate|movie|film|song|restaurant|flight|lottery|premier\s+league)\b",
    re.IGNORECASE,
)
_OTHER_CUSTOMER = re.compile(
    r"\b(?:what|why)\s+(?:was|were|did|has|have)\s+(?:she|he|they)\b[^.?!]*\b(?:talk\w*|sa(?:y|id)|ask\w*|tell|"
    r"told|want\w*|call\w*)\b|"
    r"\b(?:my\s+(?:\w+'s|husbands?'?|wife'?s|wifes|neighbou?rs?'?|friends?'?|ex'?s?|boss'?s?|mums?'?|"
    r"dads?'?|sons?'?|daughters?'?|partners?'?|flatmates?'?)|(?:someone|somebody|another\s+(?:customer|"
    r"person)|"
    r"other\s+(?:customers?|people))(?:\s+else)?'?s?|(?:mr|mrs|ms|miss|dr)\.?\s+\w+'?s?|(?:his|her|"
    r"their))\s+(?:\w+\s+){0,2}?(?:balance|statements?|transactions?|account\s+(?:details|number|balance)|"
    r"pin|"
    r"address|phone\s+number|callbacks?|card\s+(?:number|details)|details)\b"
    r"|\b(?:balance|statements?|transactions?|details|address|phone\s+number|number|pin)\s+(?:of|for|on|"
    r"belonging\s+to)\s+(?:my\s+(?:husband|wife|neighbou?r|friend|ex|boss|mum|dad|partner|flatmate)"
    r"|(?:another|other|the\s+last|the\s+previous)\s+(?:customers?|callers?|people)|(?:mr|mrs|"
    r"ms)\.?\s+\w+)|\b(?:who\s+else|other\s+customers?|last\s+caller|previous\s+caller)\b",
    re.IGNORECASE,
)
_OWN_ACCOUNT = re.compile(
    r"""\b(?:
        (?:my|the)\s+(?:\w+\s+){0,2}?(?:balance|statements?|transactions?|direct\s+debits?|standing\s+orders?
          |payments?|refund|sort\s+code|iban)\b
        | what(?:'s|\s+is|\s+was)\s+my\s+pin
        | (?:put|raise|increase|extend|lower)\s+(?:up\s+)?(?:my|the)\s+(?:\w+\s+){0,3}?(?:overdraft|limit)
        | how\s+much\s+(?:money\s+)?(?:is\s+in\s+my|do\s+i\s+have|have\s+i\s+got|have\s+i)\b | (?:close|cancel
          |freeze|unfreeze|block|unblock|unlock|lock|reopen|upgrade|switch)\s+(?:down\s+)?(?:my
          |the)\s+(?:\w+\s+)?(?:account|card)
        | (?:change|update|amend)\s+(?:my|the)\s+(?:\w+\s+)?(?:address|name|number|details|email|pin|password)
        | (?:transfer|send|move|pay)\s+(?:£|\d|some\s+money|money|my\s+money|my\s+rent) | (?:reset
          |forgot(?:ten)?)\s+(?:my\s+)?(?:\w+\s+)?(?:password|passcode|pin|login)
        | locked\s+out | (?:make|set\s+up|cancel|stop)\s+(?:a|the|my)\s+(?:payment|direct\s+debit
          |standing\s+order|transfer)
        | where\s+is\s+my\s+(?:card|money|payment|refund|application) | (?:status
          |progress)\s+of\s+my\s+(?:application|card|order) | cheque\s?book | travel\s+money | foreign\s+currency
        | (?:open|order)\s+(?:it|one|the\s+(?:account|card))\s+for\s+me | (?:raise
          |increase)\s+my\s+(?:\w+\s+)?limit | dispute | charge\s?back
    )""",
    re.IGNORECASE | re.VERBOSE,
)
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


def hear(message: str) -> Wish:
    """Read a message by itself, without what was said before."""
    text = message.replace("’", "'")
    asks_if_ai = _IS_IT_AI.search(text) is not None
    topics = _topics(text)
    other = _OTHER_CUSTOMER.search(text) is not None
    outside = None if topics else _OUTSIDE.search(text)
    off_topic = outside or _OFF_TOPIC.search(text)
    compares = off_topic is not None and "better" in off_topic[0].lower()
    if off_topic is not None and not compares and _is_by_the_way(text, topics):
        off_topic = None
    return Wish(
        topics=() if compares or (off_topic and "account" not in topics and "card" not in topics) else topics,
        aspects=frozenset(name for name, pattern in _ASPECTS.items() if re.search(rf"\b(?:{pattern})", text, re.I)),
        handover=_handover_reason(text, topics, other=other),
        asks_if_ai=asks_if_ai,
        off_topic="" if off_topic is None else _matter(off_topic[0]),
        other_customer=other,
        names_branch=_BRANCH_WORD.search(text) is not None,
        looks_near=_NEAR.search(text) is not None,
        orders_card=_ORDERS_CARD.search(text) is not None,
        yes=_YES.search(text) is not None,
        no=_NO.search(text) is not None,
        bye=_BYE.search(text) is not None and not topics,
        hello=_HELLO.search(text) is not None and not topics,
    )


def _matter(words: str) -> str:
    """Return what is off topic, in the customer's word for it: "mortgage"."""
    named = re.search(_PRODUCT, words, re.IGNORECASE)
    if named is None:
        return "other banks" if "better" in words.lower() else "that"
    kind = re.search(rf"(?:car|home|travel|life|pet|health|personal|student)\s+{_PRODUCT}", words, re.IGNORECASE)
    return (named if kind is None else kind)[0].lower()


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


def _is_by_the_way(text: str, topics: tuple[Topic, ...]) -> bool:
    """Return whether loans and the like are only mentioned beside a question that the bank's tools answer."""
    wanted = re.search(
        rf"\b(?:apply|applying|take out|get|want|need|borrow|rates?|advice|invest|looking for|"
        rf"about)\b(?:\s+\w+){{0,4}}?\s+{_PRODUCT}(?!\s+(?:account|club|adviser|advisor|broker|company|"
        rf"payments?|firm|business))",
        text,
        re.I,
    )
    return bool(topics) and wanted is None


def _handover_reason(text: str, topics: tuple[Topic, ...], *, other: bool) -> TransferReason | None:
    if _SENSITIVE.search(text):
        return "sensitive_topic"
    if _asks_for_person(text, topics):
        return "explicit_request"
    angry = _FRUSTRATED.search(text) or _ONLY_ANGER.search(text)
    if angry and not _SOMEBODY_ELSE.search(text):
        return "customer_frustration"
    if _COMPLEX.search(text):
        return "complex_scenario"
    if _OWN_ACCOUNT.search(text) and not other:
        return "capability_limitation"
    return None


def _asks_for_person(text: str, topics: tuple[Topic, ...]) -> bool:
    if _NO_PERSON.search(text):
        return False
    if "callback" in topics or "queue" in topics or "hours" in topics:
        return False
    return _PERSON.search(text) is not None or _ONLY_PERSON.search(text) is not None
