"""Word lists for finding mentions: channels, numbers, and capitalised words that are no names; also abusive words."""

import re

from service.core.statements.grounding.prefilters import Screened

# Words for contact channels, per channel family. The same words in the history support a mention of the channel.
CHANNEL_WORDS: dict[str, re.Pattern[str]] = {
    "phone": re.compile(
        r"\b(?:(?<!so-)call(?:s|ed|er|ers|ing|back|backs)?|phon(?:e(?! numbers?\b)|es|ed|ing)|telephon\w*"
        r"|voice ?mails?|rang|ring"
        r"|cld|clld|clr|vm)\b",
        re.I,
    ),
    "ivr": re.compile(r"\b(?:ivr|automated (?:line|menu|system)|phone menu)\b", re.I),
    "email": re.compile(r"\be-?mail\w*", re.I),
    "chat": re.compile(r"\b(?:chat(?:s|ted|ting|bot)?|virtual assistant)\b", re.I),
    "sms": re.compile(r"\b(?:sms|(?<!web )(?<!plain )texts?|texted|texting|txts?|txted)\b", re.I),
    "web": re.compile(r"\b(?:web|website|webform|web ?site|portal|online)\b", re.I),
    "app": re.compile(r"\b(?:app|apps|mobile app)\b", re.I),
    "social": re.compile(
        r"\b(?:tweet\w*|twitter|facebook|instagram|nextdoor|reddit|social media|social post\w*)\b", re.I
    ),
}

# A text that a family's pattern matches holds at least one of these.
CHANNEL_PARTS: dict[str, tuple[str, ...]] = {
    "phone": ("call", "phon", "voice", "rang", "ring", "cld", "clld", "clr", "vm"),
    "ivr": ("ivr", "automated", "menu"),
    "email": ("mail",),
    "chat": ("chat", "virtual"),
    "sms": ("sms", "text", "txt"),
    "web": ("web", "portal", "online"),
    "app": ("app",),
    "social": ("tweet", "twitter", "facebook", "instagram", "nextdoor", "reddit", "social"),
}

SMALL_NUMBERS: dict[str, int] = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
ORDINALS: dict[str, int] = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        start=1,
    )
} | {"thirtieth": 30}
SCALES: dict[str, int] = {"hundred": 100, "thousand": 1000}

# Words that are capitalised inside a sentence without being names: acronyms, departments, languages, days, months, titles, and
# words that models capitalise in labels ("Key Points:", "Late Fee", "Sentiment: Frustrated").
ORDINARY = frozenset(
    """
    i i'm i'd i'll i've a am pm ok id ivr sms pin faq pdf usd us utc est pst kwh kw hvac asap eta tbd vip po nsf ach
    pto ptos autopay e-mail email app web chat urgent note notes summary customer customers caller client agent agents
    representative rep supervisor supervisors manager management technician tech crew crews billing bill bills credit
    credits collections collection payment payments account accounts service services dispatch operations field
    engineering support care team desk department dept office mr mrs ms miss dr sr jr st apt unit suite spanish
    english french german italian mandarin vietnamese korean chinese japanese arabic cyrillic portuguese american
    monday tuesday wednesday thursday friday
    saturday sunday mon tue tues wed thu thur thurs fri sat sun thanksgiving christmas easter halloween january
    february march april may june july august september october november december jan feb mar apr jun jul aug sep sept
    oct nov dec internet facebook twitter instagram yes no never not none high low mood sentiment status open pending
    resolved reason issue issues next action actions history budget outcome key point points item items detail details
    context background situation timeline resolution current latest recent recommended recommendation recommendations
    follow-up followup concern concerns contact contacts tone escalation escalated refund refunds dispute disputes
    deposit outage meter solar portal mobile phone call calls plan arrangement disconnect disconnection notice move
    start stop transfer claim claims complaint fraud power electric gas water reading estimate estimated late fee fees
    charge charges due balance medical certificate net metering interaction interactions overall important priority
    unresolved promise promised frustrated angry calm polite worried anxious satisfied neutral positive negative
    cooperative upset url urls link dm dms direct mme mlle msgr señor señora sra srta monsieur madame so finally
    """.split()
)
# Words that may start a sentence as a name would, before a possessive or a verb: "Tenant's request", "Utility promised".
ROLES = frozenset(
    """
    it he she they we you this that there what who here today yesterday tomorrow tenant owner resident homeowner
    landlord daughter son mother father wife husband spouse neighbor sister brother parent executor widow widower user
    member subscriber contractor installer electrician utility company bank bot system staff everyone nobody someone
    nothing neighbour visitor treasurer applicant victim business applicant holder person family couple household mom
    dad roommate guardian lawyer attorney doctor nurse each one provider inspector plumber driver foreman adjuster
    engineer letter text survey story case claim also still then records collector dispatcher assistant reviewer clerk
    operator senior mail website portal later again first barber beekeeper baker butcher farmer rancher grower teacher driver
    student renter retiree pensioner veteran caregiver caretaker caller buyer seller manager owner-operator baker carpenter
    grandson granddaughter grandmother grandfather grandparent stepson stepdaughter uncle aunt nephew niece cousin
    in-law son-in-law daughter-in-law mother-in-law father-in-law brother-in-law sister-in-law partner fiancé fiancée
    girlfriend boyfriend ex translator interpreter pastor reverend priest rabbi imam captain chief professor principal
    shopkeeper restaurateur caterer florist welder roofer mechanic machinist miner fisherman potter painter photographer
    musician artist author journalist chef cook waiter waitress bartender hairdresser stylist paramedic firefighter
    policeman officer soldier pilot janitor custodian superintendent bookkeeper accountant realtor broker architect
    surveyor pharmacist dentist therapist midwife veterinarian trustee attorney-in-fact conservator heir survivor
    """.split()
)
# May stand first in a sentence before a name: "Call Ingrid only", "After Carla promised".
OPENERS = frozenset(
    """
    call contact tell ask ignore speak give send see remind phone when while after before since on in at for from with
    by per as if but and or so although though because despite until once both neither another the his her their our
    your my only late new old please use keep let meanwhile however now per under without where how why whether all
    most some any always often never usually sometimes soon already ever today twice later once
    late elderly disabled local former repeat yet so an a finally
    """.split()
)
# Profanity, insults, slurs and remarks on race. Digests leave them out, because staff read digests aloud or on a shared screen.
# Published word lists are unmaintained or need a classifier; contact centres need only a short list.
ABUSE = Screened(
    r"\b(?:\w{0,7}fuck\w{0,8}|\w{0,5}shit\w{0,6}|bitch\w{0,4}|bastards?|ass ?holes?|dumb ?ass(?:es)?|arsed?|arseholes?"
    r"|(?:god)?damn\w{0,3}|crap(?:py)?|piss(?:ed|ing)?|dickheads?|cunts?|wankers?|pricks?|slut\w{0,3}"
    r"|whore\w{0,3}|wtf|stfu"
    r"|retard\w{0,3}|idiot\w{0,3}|moron\w{0,3}|imbeciles?|stupid\w{0,5}|scum\w{0,4}|hell|fags?|faggots?"
    r"|dykes?|trann(?:y|ies)"
    r"|nigg(?:er|a)\w{0,2}|chinks?|spics?|kikes?|gooks?|wetbacks?|gyps(?:y|ies)|jungle.bunn\w{1,3}|(?:towel|rag).heads?"
    r"|go back (?:to )?where (?:you|she|he|they) came|(?:talks?|speaks?) american|mierda|puta"
    r"|pendejo\w{0,2}|cabr[oó]n\w{0,2}"
    r"|(?:white|black|brown|asian|mexican|indian|foreign) (?:girl|guy|boy|man|woman|lady|person|people)s?)\b",
    re.I,
)
