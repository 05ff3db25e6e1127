"""What calls for a person, or is none of the assistant's business, read from whole words: "personal" is no person."""

import re
from collections.abc import Collection

from service.core.tasks.assistant.knowledge import TransferReason

OTHER_BANKS = "other banks"
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
    r"wish|(?:transfer|connect|pass|put)(?:ring|ing)?\s+me(?:\s+(?:over|through|on))?)?\s*(?:to\s+)?(?:(?:speak|talk)(?:ing)?\s+(?:to|with)\s+)?"
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
        | (?:going\s+)?round\s+(?:and\s+round\s+)?in\s+circles | (?:not|aren'?t|never)\s+(?:even\s+)?listening
          | how\s+many\s+times
        | (?:i'?ve\s+)?had\s+enough\b | sick\s+and\s+tired | for\s+crying\s+out\s+loud | unacceptable | wasting\s+my\s+time
        | (?:complete|utter|total|absolute)\s+(?:joke|shambles|waste|farce) | (?:doing|driving)\s+my\s+(?:head|nut)\s+in
        | (?:you'?re|you\s+are|that'?s|this\s+is)\s+(?:no\s+(?:help|use)|not\s+helping|hopeless|stupid|an?\s+(?:idiot|joke))
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
          | identity\s+theft | (?:card|account)\s+(?:\w+\s+){0,3}?(?:cloned|skimmed|compromised)
        | (?:claim|pretend|say)\w*\s+(?:\w+\s+)?(?:to\s+be|they'?re|they\s+are|he'?s|he\s+is|she'?s|she\s+is)\s+(?:from\s+)?
          (?:you|my\s+bank|your\s+bank|the\s+(?:bank|police)|larkfield)
        | (?:gave|given|told|shared|sent|read)\s+(?:\w+\s+){0,4}?(?:my|our)\s+(?:\w+\s+)?(?:pin|passcode|password|security\s+code)
        | ask(?:ed|ing)\s+(?:me\s+)?for\s+my\s+(?:\w+\s+)?(?:pin|passcode|password|security\s+code)
        | (?:don'?t|do\s+not|didn'?t|did\s+not)\s+recogni[sz]e | (?:money|savings?)\s+(?:\w+\s+){0,3}?(?:stolen
          |gone\s+missing|vanished)
        | stole\s+my | (?:card|wallet|purse|phone|bag)\s+(?:\w+\s+){0,3}?(?:stolen|nicked|robbed)
        | stolen\s+(?:debit\s+|bank\s+)?card | (?:passed\s+away|bereave\w*|deceased|has\s+died|just\s+died|died
          |widow(?:ed|er)?|funeral|probate)
        | suicid\w+ | kill\s+myself | end\s+(?:it\s+all|my\s+life) | self[- ]harm\w*
          | (?:don'?t|do\s+not)\s+want\s+to\s+(?:live|be\s+(?:alive|here\s+any\s?more))
          | i\s+(?:\w+\s+){0,2}?(?:want\s+to|wanna|wish\s+(?:to|i\s+could))\s+die
          | (?:wish\s+i\s+(?:was|were)|better\s+off)\s+dead
          | tak(?:e|ing)\s+my\s+(?:own\s+)?life | hurt(?:ing)?\s+myself | no\s+(?:point|reason)\s+(?:in\s+|to\s+)?liv(?:e|ing)
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
        | (?:payments?|transactions?|withdrawals?|charges?)\s+(?:that\s+)?(?:i|we)\s+(?:didn'?t|did\s+not|never)
          \s+(?:make|authori[sz]e)
        | unauthori[sz]ed | blackmail\w* | suicidal | depress(?:ed|ion) | mental\s+health | (?:my|her|his|our)\s+late\s+\w+
        | lost\s+(?:my|our)\s+(?:wife|husband|mum|mother|dad|father|son|daughter|baby|partner) | no\s+longer\s+with\s+us
        | (?:behind\s+(?:on|with)|arrears) | struggl\w+\s+(?:to\s+(?:pay|cope|eat)|with\s+(?:money|bills|debts?)) | food\s+bank
        | (?:pressur\w+|forc\w+|threaten\w*)\s+me
          | someone\s+(?:has|have|got|is)\s+(?:\w+\s+){0,2}?(?:my\s+card|in\s+my\s+account)
        | safe\s+account | romance\s+scam | mis-?sold | compensation | taken\s+to\s+court | (?:going|gone)\s+to\s+the\s+police
        | (?:money|cash)\s+(?:has|have)\s+(?:gone|disappeared|been\s+taken) | hit(?:s|ting)?\s+me | scared\s+of | very\s+ill
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
        | joint\s+account | (?:legal\s+)?guardian\w* | tax\s+resid\w+ | inherit\w* | on\s+behalf\s+of\s+(?:my|an?|our)\b
        | (?:no|without\s+(?:an?|any))\s+(?:passport|photo\s+id|proof\s+of\s+address|fixed\s+address) | trustees?
        | (?:two|three|four|five|several)\s+(?:different\s+)?countries
          | (?:not|isn'?t|aren'?t)\s+(?:a\s+)?uk\s+(?:resident|citizen|national)s?
        | (?:dissolv\w+|wind(?:ing)?\s+up)\s+(?:the|my|our|a)\s+(?:company|business|partnership)
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
    r"\b(?:mr|mrs|ms|miss|dr)\.?\s+[a-z]+\b[^.?!]{0,60}\b(?:money|account|balance|card|troubles?|debts?|say|"
    r"said|told|bank(?:s|ing)?\s+with)\b|"
    r"\bmy\s+(?:neighbou?r|flatmate|ex|boss|colleague|landlord|tenant|sister-in-law)\b[^.?!]{0,40}\b(?:money|"
    r"balance|spen[dt]\w*|"
    r"bank(?:s|ing)?\s+with|got\s+an\s+account|have\s+an\s+account|owes?)\b|"
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
        | why\s+(?:was|is|has|did)\s+my\s+(?:card|payment|account|application)
          | (?:has|did)\s+my\s+(?:salary|wages?|payment|money|pension)
        | (?:log|sign)\s+(?:me\s+)?(?:in|back\s+in)\s+(?:to\s+my|for\s+me) | can'?t\s+(?:log|sign|get)\s+in(?:to)?\b
        | (?:cash|pay)\s+(?:in\s+)?(?:a|my|this)\s+cheque
          | (?:check|look\s+at|look\s+up|see)\s+my\s+(?:\w+\s+)?(?:account|application|balance)
        | (?:my|the)\s+(?:card|account)\s+(?:has\s+been|was|got|is)\s+(?:declined|blocked|frozen|locked|swallowed)
        | pay\s+(?:my|a|this)\s+(?:\w+\s+)?bill | (?:send|post)\s+me\s+(?:a|my)\s+(?:new\s+)?(?:card|statement|pin)
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def handover_reason(text: str, topics: Collection[str]) -> TransferReason | None:
    """Return why a person must take over after ``text``, which is about ``topics``; None if nobody must."""
    if _SENSITIVE.search(text):
        return "sensitive_topic"
    if _asks_for_person(text, topics):
        return "explicit_request"
    angry = _FRUSTRATED.search(text) or _ONLY_ANGER.search(text)
    if angry and not _SOMEBODY_ELSE.search(text):
        return "customer_frustration"
    if _COMPLEX.search(text):
        return "complex_scenario"
    if _OWN_ACCOUNT.search(text) and not names_other_customer(text):
        return "capability_limitation"
    return None


def asks_if_ai(text: str) -> bool:
    """Return whether ``text`` asks who or what is speaking."""
    return _IS_IT_AI.search(text) is not None


def names_other_customer(text: str) -> bool:
    """Return whether ``text`` asks for what belongs to another customer."""
    return _OTHER_CUSTOMER.search(text) is not None


def off_topic(text: str, topics: Collection[str]) -> str:
    """Return what ``text`` asks that the bank's tools do not cover, in its own word ("mortgage"), or ""."""
    found = (None if topics else _OUTSIDE.search(text)) or _OFF_TOPIC.search(text)
    if found is None:
        return ""
    if "better" in found[0].lower():
        return OTHER_BANKS
    return "" if _is_by_the_way(text, topics) else _matter(found[0])


def _matter(words: str) -> str:
    named = re.search(_PRODUCT, words, re.IGNORECASE)
    if named is None:
        return "that"
    kind = re.search(rf"(?:car|home|travel|life|pet|health|personal|student)\s+{_PRODUCT}", words, re.IGNORECASE)
    return (named if kind is None else kind)[0].lower()


def _is_by_the_way(text: str, topics: Collection[str]) -> bool:
    """Return whether loans and the like are only mentioned beside a question that the bank's tools answer."""
    wanted = re.search(
        rf"\b(?:apply|applying|take out|get|want|need|borrow|rates?|advice|invest|looking for|"
        rf"about)\b(?:\s+\w+){{0,4}}?\s+{_PRODUCT}(?!\s+(?:account|club|adviser|advisor|broker|company|"
        rf"payments?|firm|business))",
        text,
        re.I,
    )
    return bool(topics) and wanted is None


def _asks_for_person(text: str, topics: Collection[str]) -> bool:
    if _NO_PERSON.search(text):
        return False
    if {"callback", "queue", "hours"}.intersection(topics):
        return False
    return _PERSON.search(text) is not None or _ONLY_PERSON.search(text) is not None
