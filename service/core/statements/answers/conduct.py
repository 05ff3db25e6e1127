"""Finds contempt about a person, and dangerous advice."""

import re
from collections.abc import Iterator

from service.core.statements.answers.finding import Finding
from service.core.statements.answers.support import Statements
from service.core.statements.answers.traits import WHO, is_said_of_person
from service.core.statements.grounding.lexicon import ABUSE
from service.core.statements.grounding.prefilters import Screened

_CONTEMPT = Screened(
    r"\b(?:fool(?:s|ish)?|liars?|nut ?jobs?|nutcases?|whackos?|wackos?|psychos?|karens?|whin(?:y|er|ers|ing)|clueless"
    r"|brainless|senile"
    r"|dumb(?:er|est)?|jerks?|pathetic|worthless|hysterical|hysterics|drama queen|deadbeats?|freeloaders?|freeloading"
    r"|cranks?"
    r"|crackpots?|losers?|complainers?|cheapskates?|brats?|bratty|hags?|geezers?|lunatics?|delusional|gullible"
    r"|obnoxious|pest"
    r"|troublemakers?|nuisance|simpletons?|halfwit|half-wit|dimwit\w{0,3}|nitwits?|airheads?|ignoramus|ignorant"
    r"|insufferable"
    r"|good-for-nothing|scroungers?|parasites?|leech(?:es)?|crybab(?:y|ies)|sucker|chump|weirdos?|a creep|(?:white|is"
    r"|like) trash|vermin|con artist|con ?man|con ?men|crooks?|swindlers?|dumb as"
    r"|impossible to deal with|not (?:very |too |particularly )?(?:bright|smart|intelligent)|a bit slow|out of (?:his"
    r"|her|their) mind"
    r"|(?:lost|losing) (?:his|her|their) marbles|wast(?:es|ed|ing) (?:our|everyone'?s|the agents?'?) time|plays?"
    r" (?:the )?victim"
    r"|play(?:s|ing) dumb|should (?:have known|know) better|(?:only|just|simply) wants? attention|attention[- ]seek\w+"
    r"|brought (?:it|this) (?:up)?on (?:him|her|them)sel\w+|(?:his|her|their) own (?:stupid\w* )?fault|crocodile"
    r" tears|fake tears"
    r"|making (?:it|this|things) up|blow\w* (?:it|this|things) out of proportion|overreact\w*|chronic complainer|as"
    r" usual,? (?:he|she|they)"
    r"|typical (?:of|for) (?:him|her|them|such|these|this)|not worth (?:the|our|any|helping)|can(?:not|'t) be trusted"
    r"|no common sense"
    r"|does(?:n't| not) (?:understand|grasp) (?:even )?(?:the )?(?:simple|basic)\w*|too (?:old|slow|dense|lazy|dumb"
    r"|stupid) to"
    r"|(?:old|crazy|silly|stupid|mad|bitter|grumpy|nagging|poor) (?:woman|man|lady|bat|fool|hag|coot|girl|boy)\b)\b",
    re.I,
)
_UNKIND = (
    r"(?:dishonest|greedy|lazy|spoiled|entitled(?! to)|unreasonable|ridiculous|incompetent|useless|hopeless|annoying"
    r"|irritating|ignorant"
    r"|childish|petty|arrogant|nasty|crazy|nuts|insane|unhinged|paranoid|irrational|melodramatic|manipulative|dense"
    r"|thick|selfish|slow-witted"
    r"|pushy|bossy|whiny|needy|tiresome|exhausting to deal with|sneaky|shady|shifty|untrustworthy"
    r"|careless|irresponsible)"
)
_UNKIND_PERSON = Screened(
    r"\b(?:he|she|they|customer|caller|tenant|owner|agent|rep|man|woman|lady|supervisor|technician"
    r"|[A-Z][a-z]{1,20})\s(?:is|was|are|were|seems?|sounds?"
    rf"|remains?|acts?|acted|appears?|being)\s(?:\w+\s){{0,2}}?{_UNKIND}\b"
    rf"|\b{_UNKIND}\s(?:customer|caller|man|woman|lady|person|tenant|owner|agent|rep|supervisor|technician|crew|guy"
    rf"|people|family)s?\b"
    rf"|(?:^|[.;,]\s){_UNKIND}(?:[.;]|$|,\s\w+\.|\sand\s\w+[.;])"
)
# Contempt by its form, whatever its words. Each is found unless the interactions state the same.
_SCORN = Screened(
    # likened to something: "behaves like a spoiled child"
    rf"{WHO}\s(?:is|was|are|were|acts?|acted|acting|behav\w+|talks?|sounds?|sounded|whin\w+|complain\w+"
    rf"|carr(?:y|ies|ied) on)\s(?:\w+\s)?like"
    r"\s(?:an?|the)\s(?P<likened>[\w' -]{3,40})"
    # a lack of wits or manners: "has no clue", "cannot even count"
    r"|\b(?:has|have|had|with|shows?|showing|lacks?|lacking)\s(?:(?:absolutely|clearly|obviously"
    r"|simply)\s)?(?:no|zero|little|any|not? \w+|the|basic)?\s?"
    r"(?:clue|idea (?:of|about|how|what)|(?:common )?sense|manners|shame|brains?|respect|decency"
    r"|intelligence|class|spine|grasp|understanding|self-control)\b"
    rf"|{WHO}\s(?:(?:can(?:not|'t)|could(?:n't| not)|does(?:n't| not)|is (?:unable to|incapable of)|fails"
    rf" to|refuses to)\s(?:even|possibly|ever|seem to|manage to|be bothered to"
    r"|grasp|comprehend|read a|count to|tie (?:his|her|their)|think|get it|figure out (?:even|the simplest)))\b"
    # a person as a burden: "a nightmare to deal with", "wastes everyone's time"
    r"|\b(?:nightmare|handful|headache|pain|burden|nuisance|menace|disgrace|joke|clown|drain|mess"
    r"|embarrassment|ordeal|disaster|piece of work|lost cause"
    r"|hopeless case|basket case|waste of \w+)\b(?=\s(?:to deal|to handle|for (?:every|the|our|us|any)|on"
    r" (?:our|the)|of an?\s)|[.!,;]|$)"
    r"|\bwast(?:es?|ed|ing|e of)\s(?:\w+(?:'s)?\s){1,2}(?:time|money|effort|resources|breath)\b"
    r"|\b(?:good riddance|should be ashamed|ought to be ashamed|shame on|not worth (?:\w+\s){0,2}(?:time"
    r"|effort|trouble|bother)|deserves? (?:no|what|every|nothing|to (?:pay|suffer|lose|wait)|it)"
    r"|(?:has|had|have) only (?:him|her|them)sel\w+ to blame|no wonder|serves? (?:him|her|them) right"
    r"|what (?:a|an) \w+|how (?:dare|anyone|stupid|typical)|as (?:always|ever|expected),)"
    # dishonesty ascribed: "is lying", "invents excuses"
    rf"|{WHO}\s(?:(?:is|was|are|were|keeps?|kept|likes? to|tends? to|obviously|clearly|simply|just"
    rf"|probably|apparently|always|constantly)\s)+(?:\w+ly\s)?(?:l(?:ying|ies?|ied)|exaggerat\w+"
    rf"|pretend\w*|fak(?:es?|ed|ing)"
    r"|invent(?:s|ed|ing)?|cheat\w*|scam\w*|bluff\w*|whin\w+|moan\w*|nag\w*|rant\w*|rambl\w+|babbl\w+"
    r"|pester\w*|sulk\w*|bully\w*|manipulat\w+|feign\w*|mak(?:es?|ing) (?:up|excuses|a fuss|drama"
    r"|trouble))\b"
    r"|\b(?:tr(?:ying|ies|ied) to (?:cheat|scam|trick|con|game|milk|swindle|get (?:something|it) for"
    r" (?:nothing|free))|(?:plays?|playing|games?|gaming|milks?|milking) the system"
    r"|lies through|cries? wolf|crocodile tears|sob stor\w+|feel(?:s|ing)? sorry for (?:him|her"
    r"|them)sel\w+|drama queen|full of (?:it|him|her|them)\w*)\b"
    # too ... to: "too dense to read a bill"
    rf"|{WHO}\s(?:is|was|are|were|seems?)\s(?:simply |just |clearly |obviously |far |much )?too\s(?P<too>\w+)\sto\b",
    re.I,
)
# Words of contempt by how they are built: "unhinged", "clueless", "childish", "hot-headed".
_BUILT = Screened(
    r"\b(?!(?:never|none|regard|un|doubt|wire|paper|power|help|home|sleep|speech|breath|contact|cash|rest"
    r"|need|count|end|harm|job|penni|child(?=less))(?:the)?less"
    r"|(?:span|engl|brit|ir|pol|turk|dan|swed|finn|scott|jew|fin|establ|furn|publ|accompl|fam|per|dimin"
    r"|rel|w|blem|van|rav|cher|aston|d)ish"
    r"|un(?:able|aware|\w+(?:ed|ing)\b(?<!hinged)(?<!educated)(?<!balanced)(?<!principled)(?<!mannered)"
    r"|available|certain|sure|happy|willing|likely|usual|known|clear|comfortable))"
    r"(?:un[a-z]{4,}|(?:dis|ir|im|in)(?:honest|respectful|agreeable|gusting|loyal|graceful|rational"
    r"|responsible|mature|polite|considerate|competent|sincere"
    r"|decent|capable|sufferable|tolerable|ept)|[a-z]{3,}(?:less|ish)|[a-z]+-(?:headed|witted|minded"
    r"|brained|faced|mouthed|tempered|skinned|fisted))\b",
    re.I,
)
# "An 84-year-old woman" is no "old woman".
_AGE = Screened(r"\b(?:years?|yrs?|months?|weeks?|days?)[- ]+old\b", re.I)
_STANCE = re.compile(
    r"\b(?:calls?|called|says?|said|accus\w+|describ\w+|claims?|claimed|thinks?|feels?|felt|finds?|found"
    r"|swore|named)\b",
    re.I,
)

_DANGER = Screened(
    r"\b(?:re-?light|light) (?:the|a|an|her|his|their|up|it)\b(?: (?:pilot|furnace|boiler|match|candle|lighter|stove"
    r"|heater|cigarette)s?)?"
    r"|\bstrike a match\b|\bno need to (?:call|evacuate|leave|report|worry|shut|ventilate|open|contact|see|wait)\b"
    r"|\b(?:do not|don't|need not|needn't|should not|shouldn't|must not|not to|never) (?:\w+ )?(?:call|dial|evacuate"
    r"|report|leave|ventilate"
    r"|contact|open|shut off|turn off|take) (?:\w+ ){0,3}(?:911|988|fire|emergency|gas|doctor|house|home|building"
    r"|windows?|smell|leak"
    r"|police|ambulance|medic\w+|hospital|breaker|oxygen|insulin)\b"
    r"|\b(?:is|are|it's|be|perfectly|completely|entirely|quite) safe to (?:touch|use|relight|enter|stay|run|ignore"
    r"|approach|move|drive"
    r"|step|sleep|keep|remain|turn|handle|cut|open|go|light|wait|walk|plug)\b"
    r"|\b(?:ignore|disregard|dismiss|silence) (?:\w+ ){0,3}(?:smell|odou?r|alarm|symptoms?|doctor'?s?|physician'?s?"
    r"|evacuation|warnings?"
    r"|headaches?|sparks?|detector|orders? to (?:leave|evacuate)|danger|911|firefighters?|fire department|medical)\b"
    r"|\b(?:break|cut|remove|pull|tamper with|tampering with|breaking|cutting|removing|pulling|opening|open|snip"
    r"|replace|lift|pry) (?:\w+ ){0,3}(?:seal|seals|lockout|meter"
    r" lock|lock ring)\b"
    r"|\b(?:bypass|bypassing|disabling|jump(?:er)?|defeat|bridge|disable|override|tape over|unplug|disconnect|remove)"
    r" (?:\w+"
    r" ){0,3}(?:meter|fuse|breaker"
    r"|safety|interlock|disconnect switch|ground(?:ing)?|gfci|(?:smoke|co|carbon monoxide|gas)[ -](?:alarm"
    r"|detector)s?|detectors?|alarms?"
    r"|oxygen|ventilator|concentrator|relief valve|regulator|transfer switch)\b"
    r"|\b(?:run|keep|use|put|start|place|operate|move) (?:\w+ ){0,4}(?:generator|grill|charcoal|stove|oven|propane"
    r" heater|camp stove)\b"
    r"(?: \w+){0,4} (?:indoors|inside|basement|garage|kitchen|bedroom|living room|house|heat|warm)\b"
    r"|\b(?:touch|grab|move|lift|cut|pick up|step over|step on|drive over|hold|handle|pull|drag|climb) (?:\w+"
    r" ){0,4}(?:wires?|power lines?|downed"
    r"|cables?|live|conductor|transformer|(?:power )?lines?)\b|\bclimb\w* (?:\w+ ){0,3}(?:pole|tower|transformer)\b"
    r"|\b(?:stay|remain|sleep|wait) (?:\w+ ){0,2}(?:in(?:side|doors)?) (?:\w+ ){0,3}(?:house|home|until|despite|with"
    r" the gas|building)\b"
    r"|\b(?:skip|stop|delay|postpone|cut back on|halve|ration|reduce|go without) (?:\w+ ){0,3}(?:dialysis|oxygen"
    r"|medication|medicines?|insulin"
    r"|treatments?|doses?|dose|inhaler|ventilator)\b"
    r"|\b(?:turn|flip|switch|throw) (?:\w+ ){0,4}(?:gas valve|gas|main breaker|breakers?|main|meter) (?:\w+"
    r" ){0,2}(?:back on|on (?:himself|herself|yourself"
    r"|themselves)|on again)\b|\breconnect (?:\w+ ){0,4}(?:himself|herself|yourself|themselves|on (?:his|her|their"
    r"|your) own)\b"
    r"|\bback-?feed\w*\b|\b(?:can|may|should) (?:safely )?(?:wait|be ignored|sit) (?:until|till|for) (?:the"
    r" )?(?:morning|tomorrow|monday|next)"
    r"|\bfind (?:the|a) (?:gas )?leak with\b|\b(?:not|isn't|no) (?:an? )?(?:emergency|danger(?:ous)?|real"
    r" danger|risk)\b"
    r"(?! of (?:an? |the )?"
    r"(?:cut|shut|dis|los|late|being))"
    r"|\bnothing to worry about\b|\b(?:smell|odou?r|leak|gas|wire|line|sparks?) (?:is|are) (?:\w+ )?harmless\b"
    r"|\bgenerator (?:\w+ ){0,2}(?:indoors|inside|in the (?:house|basement|garage))",
    re.I,
)
_CLAUSE_END = re.compile(r"[,;:(]|\s(?:because|until|since|and)\s")
# Somebody's wish or plan is no advice, if the interactions speak of the matter: "the landlord wants to light it himself".
_WISHED = re.compile(
    r"\b(?:want(?:s|ed)?|wish(?:es|ed)?|intend(?:s|ed)?|plan(?:s|ned)?|threaten(?:s|ed)?|tri(?:es|ed)"
    r"|hope[sd]?|propose[sd]?"
    r"|ask(?:s|ed)?(?: whether| if)?)(?: (?:he|she|they|someone|anyone|it|to|may|might"
    r"|can|could|is|was|about|on|safe)){1,4}\s*$"
)
_ASKED = re.compile(
    r"\b(?:whether|asks? if|asked if|wonder(?:s|ed) if)(?: (?:he|she|they|it|the|her|his|their|\w+)){1,3}\s*$", re.I
)
_HAZARD = re.compile(r"(?:back-?feed|bypass|tamper|cutt|remov|pull|break|disabl|open)ing\b", re.I)
# "A dangerous backfeed": a noun, which names what happened.
_NAMED_HAZARD = re.compile(r"\b(?:an?|the|this|that|of|by|(?:his|her|their|its))\s(?:\w+\s)?$", re.I)
# "A relight", "the furnace relight", "a contractor cut the cable": what is wanted or what happened, if the notes tell of it.
_NOUN_BEFORE = re.compile(r"\b(?:an?|the|this|that|of|for|his|her|their|its|another|pilot|furnace|same-day)\s$", re.I)
_NOT_DONE = re.compile(
    r"(?:^|[.;:,(]\s?|\b(?:can|could|may|might|must|should|shall|will|would|to|and|or|then|please|just"
    r"|now|safely|also|need"
    r"|let|lets|him|her|them|himself|herself|better|simply|even|customers?|caller|callers|he|she|they|you|who)\s)$",
    re.I,
)
_APPOSED = re.compile(r"\w,\s(?:[A-Z][\w'.&]{1,20}\s?){1,3},\s$")  # "a contractor, Delgrove, cut the cable"
_BACKFEED = re.compile(r"\bback-?f[e]{1,2}d", re.I)
_AGAIN = re.compile(r"\bre-?(?=light)", re.I)
_ALSO_PAST = ("cut ", "put ", "run ")
_ADVICE_CHARS = 100
_NOT_BEFORE = re.compile(
    r"\b(?:not|never|no|n't|dont|don't|without|avoid|stop|cannot|can't|nobody|refus\w+|warn\w*|against|nor|didn't"
    r"|doesn't)"
    r"(?:\s+\w+){0,4}\s*$",
    re.I,
)


def insults_in(prose: str, sentences: list[str], statements: Statements) -> Iterator[Finding]:
    """Yield contempt about a person in ``sentences``, those of ``prose``, unless somebody is said to have uttered it.

    Contempt that only its form shows is none if ``statements`` state it.
    """
    yield from _scorned(prose, sentences, statements)
    aged = _AGE.sub("aged", prose)
    patterns = [found for pattern in (_CONTEMPT, _UNKIND_PERSON, ABUSE) if (found := pattern.within(aged))]
    for sentence in sentences if patterns else ():
        read = _AGE.sub("aged", sentence)
        for pattern in patterns:
            match = pattern.search(read)
            if match and _STANCE.search(read, 0, match.start()) is None:
                yield Finding(kind="insult", value=match[0], statement=sentence)
                break


def _scorned(prose: str, sentences: list[str], statements: Statements) -> Iterator[Finding]:
    scorn, built = _SCORN.within(prose), _BUILT.within(prose)
    for sentence in sentences if scorn or built else ():
        found = list(scorn.finditer(sentence)) if scorn else []
        if built:
            found += [m for m in built.finditer(sentence) if is_said_of_person(sentence, m)]
        for match in found:
            if _STANCE.search(sentence, 0, match.start()) is None and not statements.mention(match[0], share=0.5):
                yield Finding(kind="insult", value=match[0], statement=sentence)
                break


def dangers_in(prose: str, sentences: list[str], statements: Statements) -> Iterator[Finding]:
    """Yield dangerous advice of ``sentences``, those of ``prose``, that ``statements`` do not hold."""
    danger = _DANGER.within(prose)
    if danger is None:
        return
    for sentence in sentences:
        for match in danger.finditer(sentence):
            if _NOT_BEFORE.search(sentence, max(0, match.start() - 60), match.start()):
                continue
            advice = _CLAUSE_END.split(sentence[match.start() :], maxsplit=1)[0][:_ADVICE_CHARS]
            if not _told(match, sentence, advice, statements):
                yield Finding(kind="dangerous advice", value=match[0], statement=sentence)
                break


def _told(match: re.Match[str], sentence: str, advice: str, statements: Statements) -> bool:
    """Return whether the interactions hold the advice, the wish that it is, or the hazard that it names."""
    if statements.state(advice, share=0.7):
        return True
    lead = max(0, match.start() - 60)
    if _ASKED.search(sentence, lead, match.start()):
        return True
    if _WISHED.search(sentence, lead, match.start()):
        return statements.mention(_AGAIN.sub("", match[0]), share=0.5)
    if _NOUN_BEFORE.search(sentence, lead, match.start()):
        return statements.mention(_AGAIN.sub("", match[0]), share=1) or statements.mention(match[0], share=1)
    if match[0].lower().startswith(_ALSO_PAST) and (
        _APPOSED.search(sentence, lead, match.start()) or not _NOT_DONE.search(sentence, lead, match.start())
    ):
        return statements.tell(advice, share=0.7)
    if match[0].lower().startswith("back") and _NAMED_HAZARD.search(sentence, lead, match.start()):
        return _BACKFEED.search(statements.whole) is not None
    return _HAZARD.match(match[0]) is not None and statements.state(match[0], share=0.6)
