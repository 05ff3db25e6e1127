"""Finds traits of a person that no interaction states: health, origin, faith, orientation, politics, family, means, age, mind.

Each group names a trait; an interaction supports it with words of the same group, so that "wheelchair" does not support
"diabetic". A guess about a person ("seems to be ...") needs support whatever it guesses, unless it is a mood.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from service.core.statements.answers.finding import Finding
from service.core.statements.answers.support import Statements, content_of
from service.core.statements.grounding.prefilters import Screened, holds_word

PEOPLE = (
    r"(?:customers?|callers?|clients?|tenants?|residents?|owners?|members?|users?|subscribers?|persons?"
    r"|people|m[ae]n|wom[ae]n"
    r"|lady|ladies|gentlem[ae]n|guys?|girls?|boys?|couples?|famil(?:y|ies)|households?|mothers?|fathers?"
    r"|moms?|dads?|parents?|sons?"
    r"|daughters?|husband|wife|spouse|partner|brother|sister|agents?|reps?|representatives?|supervisors?"
    r"|technicians?|neighbou?rs?"
    r"|landlord|roommate|account holder|homeowners?|individuals?)"
)
# Who a sentence speaks of: a role, a pronoun, or a name.
WHO = rf"(?:\b(?:s?he|they|who|{PEOPLE})|(?-i:\b[A-Z][a-z'-]{{1,20}}))"
_BEING = re.compile(
    rf"{WHO}\s(?:(?:is|was|are|were|be|being|been|became|becomes?|remains?|seems?|seemed|appears?|appeared"
    rf"|sounds?|sounded|looks?"
    r"|looked|feels?|may|might|must|could)\s)+(?:(?:\w{2,12}ly|very|quite|rather|too|so|also|still|to be"
    r"|as|an?|of|from|most|more"
    r"|perhaps|a bit|somewhat|evidently)\s)*$",
    re.I,
)
_OF_PEOPLE = re.compile(rf"(?:[- ](?!and\b)[a-z]+)?[- ]{PEOPLE}\b", re.I)
_BEFORE = 80
_STEM = 5  # letters: "Canadian" is supported by "Canada"
_ARTICLE = re.compile(r"\ban?\s(?:\w+ly\s)?$", re.I)
_DENIED = re.compile(
    r"\b(?:no|not|never|nothing|without|neither|nor|denies|denied|n't|whether|if)\b(?:\s[\w'-]+){0,4}\s?$", re.I
)


class _Group(NamedTuple):
    """Patterns for lower case: ``named`` and, of persons alone, ``adjectives`` name the trait; ``known`` also supports it."""

    named: str
    known: str
    adjectives: str = ""


_MEDICAL = (
    r"med(?:ical)?\b|med\.|meds\b|medic|health|sick|ill\b|illness|doctor|\bdr\b|physician|hospital|nurse"
    r"|clinic|patient|surger"
    r"|oxygen|o2\b|dialys|insulin|ventilat|cpap|bipap|concentrator|nebuli|pacemaker|wheelchair|disab"
    r"|diagnos|therap|treatment"
    r"|diabet|asthma|cancer|chemo|heart|stroke|kidney|lung|copd|seizure|epilep|condition|life support"
    r"|hospice|infus|feeding"
    r"|breath|pain|fever|injur|allerg|migraine|pregnan|dementia|alzheimer|ada\b|enferm|médic|medic"
)
_CHILDREN = (
    r"child|kid|\bson\b|daughter|baby|babies|infant|newborn|toddler|twins?\b|grandchild|grandson|school"
    r"|daycare|formula\b|crib"
    r"|\byo\b|teen|boy|girl|pregnan|niñ|hij[oa]|bebé|nursery|preschool|diaper|month[- ]old|year[- ]old|mo old|yr old"
)
_ORIGIN_NOUN = (
    r"(?:origins?|descent|background|heritage|ancestry|roots|extraction|ethnicit\w+|nationalit\w+|race"
    r"|accent|immigra\w+"
    r"|citizen\w*|passport|minorit\w+|communit(?:y|ies))"
)
_DEMONYM = (
    r"(?:african|arab\w*|asian|latin[oax]|hispanic|caucasian|black|white|jewish|romani|roma|indigenous"
    r"|aboriginal|native american|mexican"
    r"|cuban|puerto rican|dominican|haitian|jamaican|colombian|venezuelan|brazilian|indian|pakistani"
    r"|bangladeshi|nepali|afghan\w*|iranian"
    r"|iraqi|syrian|lebanese|turkish|turk|kurdish|israeli|palestinian|egyptian|moroccan|algerian|nigerian"
    r"|ghanaian|somali\w*|ethiopian"
    r"|kenyan|eritrean|sudanese|chinese|japanese|korean|vietnamese|filipin[oa]|thai|cambodian|hmong"
    r"|russian|ukrainian|polish|pole"
    r"|romanian|bulgarian|serbian|croatian|bosnian|albanian|greek|italian|german|french|spanish"
    r"|portuguese|dutch|irish|british|english"
    r"|scottish|swedish|norwegian|danish|finnish|canadian|american|australian|european|eastern|western"
    r"|foreign|middle eastern"
    r"|(?-i:[A-Z])\w{2,}(?:ese|stani|nian|lian|sian|rian))"
)
_GROUPS = (
    # Health.
    _Group(r"diabet\w+", "diabet|insulin|blood sugar|type [12]"),
    _Group(
        r"asthma\w*|copd|emphysema|lung (?:disease|condition|problems?)|respiratory \w+",
        "lung|breath|oxygen|o2|inhaler|nebuli",
    ),
    _Group(r"cancer\w*|tumou?rs?|leuk[a]?emia|chemotherapy|oncolog\w+", "chemo|oncolog|hospice|radiation"),
    _Group(r"dialysis|(?:kidney|renal) (?:disease|failure|patient|problems?)", "dialys|kidney|renal"),
    _Group(
        r"(?:heart|cardiac) (?:disease|condition|attack|failure|patient|problems?|trouble)|hypertension|high"
        r" blood pressure",
        "heart|cardi|pacemaker|stent|pressure",
    ),
    _Group(r"epilep\w+|seizures?", "seiz"),
    _Group(
        r"dement\w+|alzheimer\w*|senil\w+|(?:memory|cognitive) (?:loss|problems?|issues?|decline|impairment)"
        r"|forgetful\w*",
        "memory|forget|confus|cognit",
    ),
    _Group(
        r"bipolar|schizo\w+|autis\w+|adhd|ptsd|ocd|mental(?:ly)? (?:ill\w*|health|unstable|disorder|condition"
        r"|problems?|issues?)"
        r"|psychiatric\w*|depressi(?:on|ve)|clinically \w+|anxiety (?:disorder|attacks?)|panic attacks?"
        r"|suicid\w+|nervous breakdown",
        "mental|psych|depress|anxi|panic|suicid|kill (?:him|her|my)self|988|crisis|end (?:it|my life)|therap",
    ),
    _Group(
        r"alcoholi\w+|addict\w*|drunk\w*|intoxicated|substance abuse|drug (?:use|abuse|problem)\w*|hung[- ]?over|tipsy"
        r"|under the influence|slurr\w+",
        "drink|alcohol|drunk|drug|rehab|slur|beer|recover",
    ),
    _Group(r"hiv|aids|hepatitis|infectious", "hiv|hepat"),
    _Group(
        r"pregnan\w+|expectant|expecting (?:a )?(?:baby|child)",
        "pregn|expecting|due date|baby|embaraz|prenatal|midwife",
    ),
    _Group(
        r"disabilit\w+|handicap\w*|paraly[sz]\w+|wheelchair\w*|amputee|bedridden|housebound",
        r"disab|handicap|wheel|walker|crutch|paraly|bedr|bed-|ramp|\bada\b|mobility|lift|amput|cannot walk"
        r"|can't walk|stair",
        adjectives="disabled|crippled|lame|immobile",
    ),
    _Group(
        r"hearing (?:loss|impair\w+|problems?)|hard of hearing|visual(?:ly)? impair\w+|poor (?:eyesight"
        r"|vision|hearing)",
        r"deaf|hear|blind|vision|sight|braille|tty|relay|\basl\b|sign language|large print|screen reader|glasses|eyes?",
        adjectives="deaf|blind|mute",
    ),
    _Group(
        r"(?:health|medical) (?:problems?|issues?|conditions?|troubles?|histor\w+|needs?)|(?:chronic|serious"
        r"|terminal|severe|mental|physical)"
        r"(?:ly)? (?:ill\w*|diseases?|conditions?|disorders?|pain)|illness\w*|disease[ds]?|disorders?"
        r"|syndrome|on medication|frail\w*"
        r"|in (?:poor|bad|ill|failing) health|unwell|\w+(?:itis|osis|algia|plegia|opathy)",
        _MEDICAL,
        adjectives="ill|sick(?! of| and tired)|sickly|ailing",
    ),
    # Origin.
    _Group(
        rf"(?:foreign|non-native|ethnic|{_DEMONYM})[- ]{_ORIGIN_NOUN}"
        r"|(?:im|e)migrants?|foreigners?|refugees?|asylum seekers?|undocumented|illegal aliens?|foreign[-"
        r" ]born|born (?:abroad|overseas)"
        rf"|{_ORIGIN_NOUN.replace('|race', '').replace('|communit(?:y|ies)', '')}(?<!immigration) (?:is|was) \w+"
        r"|(?:of|with|has|have|had|speaks with|from) (?:an? |the )?(?:\w+ ){0,2}(?:accent|descent|ancestry"
        r"|heritage|extraction)"
        r"|(?:not|non|n't)[- ](?:an? )?native(?: english)?(?: speakers?)?|native speakers?|people of colou?r"
        r"|skin colou?r"
        r"|(?:hail|come|came|originat\w+|emigrated|immigrated|moved here)s? from (?:abroad|overseas|another country)",
        r"immigra|foreign|refugee|visa|passport|citizen|born in|country|accent|language|speak|español"
        r"|interpret|translat|ethnic",
        adjectives=_DEMONYM,
    ),
    # Faith.
    _Group(
        r"muslims?|islam\w*|christian(?:s|ity)|catholics?|protestants?|evangelicals?|baptists?|mormons?"
        r"|lutherans?|methodists?|jehovah\w*"
        r"|jews?|judaism|hindus?|hinduism|buddhis\w+|sikhs?|atheis\w+|agnostics?|churchgo\w+|religious\w*"
        r"|devout|pious|god-fearing"
        r"|ramadan|sabbath|born-again|pagans?|of (?:the )?\w+ faith|worshippers?",
        "church|mosque|synagogue|temple|parish|pastor|imam|rabbi|priest|religio|prayer|faith|congregation"
        "|christ|catholic|jewish|islam"
        r"|shabbat|amish|\blent\b|\beid\b|worship",
        adjectives="jewish|christian|orthodox|amish",
    ),
    # Orientation.
    _Group(
        r"homosexual\w*|lesbians?|bisexual\w*|heterosexual\w*|lgbt\w*|queer|transgender\w*|transsexual\w*"
        r"|non-binary|same-sex"
        r"|sexual (?:orientation|preference|identity)|in the closet",
        r"gay|lesbian|trans\\b|same-sex|partner|pronoun|pride",
        adjectives="gay|straight|trans",
    ),
    # Politics and union.
    _Group(
        r"republicans?|democrats?|socialis[tm]s?|communis[tm]s?|marxists?|libertarians?|anarchists?|maga"
        r"|trump\w*|biden\w*|right[- ]wing\w*"
        r"|left[- ]wing\w*|leftists?|far[- ](?:right|left)|political(?:ly)? (?:active|views?|opinions?"
        r"|beliefs?|conservative|liberal)"
        r"|activists?|(?:votes?|voted|voter|votes) (?:for )?(?:\w+ )?(?:party|republican|democrat\w*|left|right|green)"
        r"|party member\w*|supporters? of (?:the )?\w+ party",
        "politic|party|republican|democrat|vote|election|campaign|senat|congress|mayor|council|activis|protest",
        adjectives="conservative|liberal|progressive|radical",
    ),
    _Group(
        r"(?:trade |labou?r )?union (?:members?\w*|rep\w*|stewards?|organi[sz]ers?|activists?|officials?|dues"
        r"|card)|trade union\w*"
        r"|unionists?|unioni[sz]ed|shop stewards?|members? of (?:a|the|his|her|their) (?:\w+ )?union"
        r"|organi[sz]ed labou?r",
        r"union|local \\d|strike|steward|teamster|ibew|afl",
    ),
    # Family.
    _Group(
        r"divorc\w+|ex-(?:wife|husband|spouse)|broken marriage|marital|split(?:ting)? up|estranged",
        r"divorc|ex\\b|ex-|separat|marri|split|estrang|left (?:me|him|her)|custody",
    ),
    _Group(
        r"widow\w*|bereave\w*|grieving|in mourning|orphan\w*",
        "widow|died|death|dead|dec'?d|decd|deceased|passed|late (?:husband|wife|mother|father)|estate"
        "|funeral|loss|surviv|probate|obit|grief",
    ),
    _Group(
        r"single (?:mothers?|fathers?|moms?|dads?|parents?|mum|women|man|woman)|childless|newlyweds?"
        r"|remarried|bachelor|spinster"
        r"|(?:lives?|living) (?:all )?(?:alone|by (?:him|her)self)",
        "single|alone|marri|wedding|husband|wife|spouse|engage|by myself|on my own|just me|bachelor|lonely"
        "|only me|honeymoon|maiden",
        adjectives="married|unmarried|single|engaged(?! in)|childless|lonely",
    ),
    _Group(
        r"(?:has|have|with|raising|caring for|feeding|mother of|father of|parents? of) (?:\w+"
        r" ){0,2}(?:children|kids|toddlers?|infants?|babies"
        r"|baby|newborn|twins)|family of (?:three|four|five|six|seven|eight|\d)|young famil(?:y|ies)|large"
        r" famil(?:y|ies)",
        _CHILDREN,
    ),
    # Means and record.
    _Group(
        r"unemploy\w+|jobless|out of work|(?:lost|losing) (?:his|her|their) job|on (?:welfare|benefits|food"
        r" stamps|disability|public assistance)"
        r"|poverty|impoverished|destitute|bankrupt\w*|homeless\w*|low[- ]income|financial(?:ly)? (?:hardship"
        r"|trouble|difficult\w+|struggl\w+"
        r"|strained|insecure|irresponsible|problems?|distress|unstable)|living (?:paycheck|on a tight"
        r"|beyond)\W\w+|money (?:problems|troubles)"
        r"|in debt|struggl\w+ (?:financially|to make ends meet)|cash[- ]strapped|gambl\w+"
        r"|wealthy|well[- ]off|affluent",
        r"unemploy|job|laid off|layoff|work|hours? cut|welfare|benefit|snap|liheap|assist|income|bankrupt"
        r"|chapter \\d+|homeless|shelter|poor|poverty|hardship"
        "|afford|tight|broke|money|paycheck|pay ?day|rent|pension|fixed|ssi|ssdi|social security|medicaid"
        "|discount|care program|low-inc|debt"
        "|struggl|pantry|wages|furlough|behind|financ|can't pay|cannot pay|cant pay|eligib",
        adjectives="broke|poor|rich|needy|penniless",
    ),
    _Group(
        r"criminal (?:record|past|history|background)|ex-con(?:vict)?s?|convict(?:ed|ion)s?|felons?|on"
        r" (?:parole|probation)|(?:been|was|is) (?:in|to) (?:jail|prison)"
        r"|gang\b|drug dealers?|arrest(?:ed|s)",
        "crim|jail|prison|arrest|convict|felon|parole|probation|inmate|police|charge[ds]",
    ),
    # Age.
    _Group(
        r"elderly|pensioners?|retirees?|retired|senior citizens?|octogenarian|of (?:advanced|old) age|old age"
        r"|(?:in (?:his|her|their) )?(?:late |early |mid-?)?"
        r"(?:twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)|teenagers?",
        r"elder|senior|pension|retire|\baged?\b|\bold\b|\d+ ?(?:yo|y/o|yrs?|years?)"
        r"|(?<![$.,\d/-])\b[5-9]\d\b(?![.,:/]\d|%)|grand|medicare|nursing|assisted living|abuel|\bage\b"
        r"|turn(?:s|ed|ing)"
        r"|ninety|eighty|seventy|sixty|widow|minor|teen|student",
        adjectives="elderly|aged|middle-aged|teenaged?",
    ),
    # Mind and character.
    _Group(
        r"illitera\w+|uneducated|unintelligent|low (?:iq|intelligence|intellect)|iq\b|intelligence|(?:highly"
        r"|well|poorly|badly|little) educated"
        r"|(?:little|no|limited|low|poor) (?:education|schooling|understanding|comprehension|intellect"
        r"|literacy|judge?ment)"
        r"|slow (?:learner|thinker|on the uptake)|learning (?:disabilit\w+|difficult\w+)|cannot read or write"
        r"|can(?:not|'t) (?:read|count|spell)"
        r"|intellectual\w*|(?:low|limited) mental \w+|mentally (?:slow|limited|challenged|deficient)"
        r"|simple-?minded|feeble\w*"
        r"",
        "illiter|educat|read|literacy|school|learn|understand|naive|smart|clever|bright",
        adjectives="intelligent|bright|clever|smart|dim|slow|simple|gullible|naive|educated",
    ),
    _Group(
        r"(?:by|in) (?:character|nature|temperament|disposition)|(?:personality|character) (?:type|trait"
        r"|disorder|flaw)?s?|temperament\w*|introvert\w*|extrovert\w*"
        r"|narcissis\w+|egotis\w+|(?:hot|short|quick|bad)[- ]temper\w*|high[- ]maintenance|control freak"
        r"|perfectionist|hypochondriac\w*|hoard(?:er|ing)s?"
        r"|(?:chronic|habitual|serial|compulsive|notorious|professional|frequent|known) (?:complain\w+|liar"
        r"|late payer|non-?payer|debtor|defaulter|troublemaker"
        r"|caller|offender|delinquent|litigant)"
        r"",
        r"temper|perfection|hoard|stubborn|repeat|chronic|character",
        adjectives="stubborn|obstinate|litigious|vindictive|unreliable|immature|disorgani[sz]ed|impulsive|timid|vain"
        "|egocentric|lazy|miserly|stingy|cheap|obsessive|controlling|neurotic",
    ),
)


_GUESS = Screened(
    rf"{WHO}\s(?:(?:seems?|seemed|appears?|appeared)\sto\s(?:be|have|suffer|live|come|belong)|(?:(?:is|was"
    rf"|are|were|has|had)\s)?"
    r"(?:likely|probably|presumably|apparently|evidently|possibly|obviously|clearly|must|may|might"
    r"|could)(?:\swell)?\s(?:be|have|suffer)"
    r"|comes? across|strikes? one)\s(?P<guess>[^.,;:()|]{3,60})",
    re.I,
)
_GUESS_WORDS = frozenset(
    "seem seems seemed appear appears appeared sound sounds sounded look looks looked likely probably"
    " presumably apparently"
    " evidently possibly obviously clearly must may might could come comes strike strikes".split()
)
# Moods, manners and what somebody knows or wants: a summary may read them out of what was said.
_READ = content_of(
    "angry annoyed upset frustrated irritated impatient tired weary exhausted anxious worried nervous"
    " concerned afraid scared frightened"
    " desperate worn drained fatigued shaken shaky touched moved humbled proud distressed overwhelmed"
    " confused puzzled unsure uncertain doubtful skeptical sceptical suspicious distrustful disappointed"
    " dissatisfied unhappy sad hurt insulted offended embarrassed ashamed apologetic sorry regretful"
    " resigned indifferent calm polite"
    " courteous friendly kind patient pleased satisfied content happy glad relieved grateful thankful"
    " appreciative hopeful confident"
    " optimistic cheerful amused joking ironic sarcastic blunt curt terse brisk firm insistent"
    " determined adamant persistent resolute"
    " cooperative willing reluctant unwilling ready eager keen open unaware aware informed surprised"
    " shocked stunned stressed tense"
    " rushed urgent hurried busy cautious careful wary reserved quiet talkative chatty good-natured"
    " good-humored mood tone manner alarmed"
    " panicked tearful furious outraged exasperated fed fine okay well serious settled convinced"
    " unconvinced unimpressed interested"
    " like have been know known want wanted think understand expect pay owe call leave stay accept"
)


@cache
def _compiled() -> tuple[tuple[Screened, Screened | None, Screened], ...]:
    # At the first use: compiling takes longer than importing everything else in this package.
    return tuple(
        (
            Screened(rf"\b(?:{group.named})\b", re.I),
            Screened(rf"\b(?:{group.adjectives})\b", re.I) if group.adjectives else None,
            Screened(rf"{group.named}|{group.known}"),
        )
        for group in _GROUPS
    )


def prepare_traits() -> None:
    """Compile the patterns in advance, which takes some ten milliseconds once a process."""
    _compiled()


def traits_in(prose: str, sentences: list[str], statements: Statements) -> Iterator[Finding]:
    """Yield the traits in ``sentences``, those of ``prose``, that ``statements`` do not support."""
    for named, adjectives, known in _compiled():
        patterns = [
            (found, pattern is adjectives)
            for pattern in (named, adjectives)
            if pattern is not None and (found := pattern.within(prose))
        ]
        traits = [trait for sentence in sentences if patterns and (trait := _trait(sentence, patterns))]
        if traits and not known.search(statements.evidence):
            yield from traits
    guess = _GUESS.within(prose) if holds_word(prose, _GUESS_WORDS) else None
    if guess:
        yield from _guesses(guess, sentences, statements)


def _trait(sentence: str, patterns: list[tuple[Screened, bool]]) -> Finding | None:
    for pattern, framed in patterns:
        for match in pattern.finditer(sentence):
            if _is_trait(match, sentence, framed=framed):
                return Finding(kind="trait", value=match[0], statement=sentence)
    return None


def _is_trait(match: re.Match[str], sentence: str, *, framed: bool) -> bool:
    lead = max(0, match.start() - _BEFORE)
    if _DENIED.search(sentence, lead, match.start()):
        return False
    return not framed or is_said_of_person(sentence, match)


def is_said_of_person(sentence: str, match: re.Match[str]) -> bool:
    """Return whether the adjective that ``match`` found in ``sentence`` describes a person."""
    if _OF_PEOPLE.match(sentence, match.end()):
        return True
    lead = max(0, match.start() - _BEFORE)
    # "Is a single extension": what has an article describes the noun after it.
    return bool(_BEING.search(sentence, lead, match.start()) and not _ARTICLE.search(sentence, lead, match.start()))


def _guesses(guess: Screened, sentences: list[str], statements: Statements) -> Iterator[Finding]:
    for sentence in sentences:
        for match in guess.finditer(sentence):
            guessed = content_of(match["guess"])
            if guessed and not guessed & _READ and not statements.mention(match["guess"], share=0.01):
                yield Finding(kind="trait", value=match[0], statement=sentence)
                break
