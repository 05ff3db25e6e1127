"""Finds an answer that does not report in the third person: speech, letters, a model's talk about itself, a refusal."""

import re
from collections.abc import Iterator

from service.core.statements.answers.finding import Finding, FindingKind
from service.core.statements.answers.prose import is_reported
from service.core.statements.answers.support import Statements
from service.core.statements.grounding.prefilters import Screened, holds_word

_PERSON_WORDS = frozenset(
    "i me my myself im ive id ill you your yours yourself yourselves ya yall u ur lets let we our rest".split()
)
_NUMBERED = (
    r"(?<!Phase )(?<!Unit )(?<!Class )(?<!Type )(?<!Part )(?<!Section )(?<!Title )(?<!Level )(?<!Schedule )(?<!Stage )"
)
_PERSON = re.compile(
    rf"{_NUMBERED}\bI(?:'(?:m|ll|ve|d))?\b(?!\.\s?[A-Z]|-\d|/)|\b[Mm](?:e|yself)\b(?!-)|\bmy\b(?!-)"
    rf"|\bMy\b(?!-| [A-Z][a-z])"
    r"|\b(?:Im|Ive)\b"
    r"|(?<![Tt]hank[ -])\b[Yy](?:ou(?:'(?:re|ll|ve|d)|rs?|rself|rselves)?|'all)\b(?!-)|\b[Ll]et's\b|(?:^"
    r"|[.:;] )Let us\b"
    r"|\b[Ww]e(?:'re|'d|'ll)? (?:apologi[sz]e\b|appreciate|hope|thank|look forward|understand (?:that|how|your|the)"
    r"|regret|value|recommend"
    r"|suggest|advise|believe|think|feel|are sorry|are (?:happy|glad|here|pleased|committed)|sorry|happy|glad|pleased"
    r"|sincerely"
    r"|truly|deeply|would like|strongly|kindly)\b|\b[Rr]est assured\b|\b[Oo]ur (?:sincere|deepest|apolog\w+)\b"
)
_LETTER = Screened(
    r"(?:^|(?<=[.!?\n]\s)|(?<=\n))(?:dear\b(?! to\b)|(?:hi|hello|hey|greetings|good (?:morning|afternoon"
    r"|evening|day))\b(?=["
    r" ,!.:])"
    r"|thank(?:s| you)\b(?! note| letter| card| to\b)|best,|(?:best|kind|warm|kindest|many) (?:regards|wishes|thanks)"
    r"|regards,|sincerely"
    r"|yours (?:truly|sincerely|faithfully)|respectfully,|cheers\b|warmly,|to whom it may concern)"
    r"|\bdear (?:customer|agent|sir|madam|valued|mr|mrs|ms|colleague|team|reader)\b"
    r"|\bhave a (?:great|nice|good|wonderful|lovely) (?:day|one|evening|weekend|week)\b|\bfeel free to\b|\blet (?:me"
    r"|us) know\b"
    # An apology, a wish or a congratulation that nobody is said to utter.
    r"|(?:^|(?<=[.!?;:,\n]\s)|(?<=- ))(?:(?:so|very|truly|deeply|terribly|many|our|my|sincere(?:st|ly)?"
    r"|deep(?:est)?|heartfelt|humble|please accept|again|with|and) ){0,3}"
    r"(?:sorry|apologies|apologi[sz]e|my bad|pardon|condolences|regrets?)\b(?! (?:was|were|is|are|has"
    r"|have|had|given|offered|sent|made|letter|received|noted|accepted|from|he\b|she\b|they\b|himself"
    r"|herself))"
    r"|(?:^|(?<=[.!?;:\n]\s))(?:congrat\w+|welcome(?: back| aboard)?\b(?=[!,. ])|much appreciated|well"
    r" done|all the best|best of luck|with (?:best|kind|warm)|wishing\b|hopefully\b|fingers crossed"
    r"|hoping (?:for|to|that)|happy (?:holidays|new|birthday)|stay (?:safe|tuned|warm|well)|take care"
    r"|thanks again|rest assured|looking forward)"
    r"|\b(?:any|the|this|for the) inconvenience(?: (?:caused|this))?(?: (?:is|was) (?:regretted|deeply))?(?=[.!,;]|$)"
    r"|\b(?:is|are|was|were) (?:sincerely|deeply|truly|greatly|highly|much) (?:regretted|appreciated|valued|sorry)\b"
    r"|\bhope (?:this|that) helps\b|\b(?:do not|don't) hesitate\b|\bhappy to help\b|\bgood luck\b|\btake care!",
    re.I,
)
_ASKS_READER = Screened(
    r"\W*(?:so |and |or |but |then )?(?:(?:should|shall|may|must|can|could|would|will) (?:we|the agent"
    r"|somebody|someone|anyone|anybody|the reader|colleagues?)\b|(?:what|how|who|which|why)"
    r" (?:\w+ )?(?:should|shall|can|could) (?:we|be done|the agent)|or\b|any (?:idea|thoughts)|anyone\b)",
    re.I,
)
_LEAST_ASKED = 0.5
_LETTER_WORDS = frozenset(
    "dear hi hello hey greetings good thanks thank best kind warm kindest many regards sincerely yours respectfully"
    " cheers warmly"
    " whom have feel let hope hesitate happy luck take sorry apologies apologize apologise bad pardon"
    " condolences regret regrets congrats"
    " congratulations congratulation welcome appreciated done all with wishing hopefully fingers hoping"
    " stay rest looking inconvenience"
    " regretted valued".split()
)
_MACHINE = Screened(
    r"\b(?:as an?|i am an?|i'm an?|being an?|this is an?) (?:ai\b|artificial intelligence|(?:large |small )?language"
    r" model|llm\b"
    r"|chatbot|automated summar\w+|bot\b|machine\b)"
    r"|\bmy (?:training|knowledge|instructions?|prompt|programming|context|cutoff|limitations)\b|\bknowledge cutoff\b"
    r"|\b(?:here(?:'s| is| are)|below (?:is|you)|the following is|this is|sure[,!]|certainly[,!]|of course[,!]"
    r"|absolutely[,!])"
    r"(?: the| a| an| your| my)?[ ,!]{0,3}(?:brief |short |concise |quick |requested |final |here is the )?(?:summary"
    r"|answer|recap|overview)"
    r"|(?:^\W{0,3}|(?<=[.!?] ))(?:sure|certainly|of course|absolutely|understood|got it|okay|ok|great question|no"
    r" problem)[,!.]"
    r"|(?:^\W{0,3}|(?<=[.!?] ))(?:\w+ )?(?:summary|answer|output|response|recap|tl;dr)\s?:"
    r"|\b(?:(?:this|my|above) (?:summary|answer|response|output|text|paragraph)|the (?:summary|output"
    r"|paragraph)) (?:is|was"
    r"|has been|follows|omits|leaves out|excludes|avoids|contains|includes|does not|doesn't|covers|provides|reflects"
    r"|summari[sz]es|above|below|complies|adheres|meets|uses|keeps)\b"
    # Customers wait for "the answer", and "the text" is a message on their phone.
    r"|\bthe (?:answer|response) (?:omits|leaves out|excludes|avoids|covers|reflects|summari[sz]es|above|below|complies"
    r"|adheres|keeps|(?:does not|doesn't) (?:mention|include|name|repeat|list|cover))\b"
    r"|\b(?:based on|according to|from|in|using) (?:the |your |this )?(?:provided|given|supplied|available|above"
    r"|following|input|shared)"
    r" (?:text|history|interactions?|information|data|notes?|context|input|transcripts?|records?"
    r"|conversation|details)\b"
    r"|\b(?:the |your )?(?:provided|given|supplied) (?:text|history|interactions?|input|context|transcripts?)\b"
    r"|\bhope this (?:summary|helps)\b|\b(?:word|character|token) count\b|\bas (?:a|your) (?:summari[sz]er|assistant)\b"
    r"|\bin (?:my|this) (?:summary|response|answer)\b|\b(?:language|ai) model\b|\bopenai\b|\bchatgpt\b",
    re.I | re.M,
)
_MACHINE_WORDS = frozenset(
    "ai artificial language llm chatbot automated bot machine my cutoff summary summaries summarizing summariser"
    " summarizer"
    " answer recap overview output response text paragraph provided given supplied available above"
    " following input shared"
    " count assistant openai chatgpt sure certainly course absolutely understood got okay ok question problem tl"
    " hope".split()
)
_REFUSES = Screened(
    r"\b(?:I(?:'m| am)?|we(?:'re| are)?) ?(?:can(?:'t|not)|won't|will not|unable to|not able to|must decline|refuse"
    r"|decline) ?(?:to )?"
    r"(?:help|assist|provide|summari[sz]e|comply|fulfil|generate|do that|answer|process|continue|create|write|produce"
    r"|share)\b"
    r"|\bplease (?:provide|share|paste) (?:the|any|more|your|me) ?(?:full |complete )?(?:text|customer's interactions"
    r"|interactions|input"
    r"|history|details|information|context)?\b"
    r"|\b(?:cannot|can't|unable to|not possible to|impossible to) (?:be )?(?:summari[sz]ed?|provide|generate|produce"
    r"|create"
    r"|write|complete) "
    r"(?:a |the |this |any )?(?:summary|answer|response|request|output|history|interactions)\b"
    r"|\bno summary (?:can|could|is)\b|\b(?:against|violates?|outside) (?:my|the|our) (?:policy|policies|guidelines"
    r"|scope|rules)\b"
    r"|\b(?:insufficient|not enough|no) (?:information|data|context) (?:was |is |has been )?(?:provided|given|to"
    r" (?:summari[sz]e|write|answer))",
    re.I,
)
_REFUSAL_WORDS = frozenset(
    "can can't cant cannot won not unable must refuse decline please impossible summary against violates violate"
    " outside insufficient"
    " enough no".split()
)


def form_of_speech(text: str) -> Iterator[Finding]:
    """Yield salutations, a model's talk about itself, and refusals; ``text`` is without quotations, in plain quotes."""
    if holds_word(text, _LETTER_WORDS):
        yield from _all(_LETTER, "salutation", text)
    if holds_word(text, _MACHINE_WORDS):
        yield from _all(_MACHINE, "machine talk", text)
    if holds_word(text, _REFUSAL_WORDS):
        yield from _all(_REFUSES, "refusal", text)


def questions_in(sentences: list[str], statements: Statements) -> Iterator[Finding]:
    """Yield questions that ask the reader: what to do, or what no interaction speaks of."""
    for sentence in sentences:
        if sentence.endswith("?") and not is_reported(sentence, len(sentence)):
            lead, _, words = sentence[:-1].rpartition(":")
            asked_by_them = lead and statements.mention(
                sentence, share=1
            )  # "marta_k: could somebody look at my reads?"
            if (
                "question" not in lead.lower()
                and not asked_by_them
                and (_ASKS_READER.pattern.match(words) or not statements.mention(words, share=_LEAST_ASKED))
            ):
                yield Finding(kind="address", value=sentence, statement=sentence)


def persons_in(prose: str, sentences: list[str]) -> Iterator[Finding]:
    """Yield first and second persons of ``sentences``, those of ``prose``, except in reported speech.

    "We" is the utility in the house style; only a letter's "we apologize" is a finding.
    """
    if not holds_word(prose, _PERSON_WORDS):
        return
    for sentence in sentences:
        for match in _PERSON.finditer(sentence):
            if not is_reported(sentence, match.start()):
                yield Finding(kind="address", value=match[0], statement=sentence)
                break


def _all(pattern: Screened, kind: FindingKind, text: str) -> Iterator[Finding]:
    for match in pattern.finditer(text):
        if match[0].strip():
            yield Finding(kind=kind, value=match[0].strip(), statement=text)
