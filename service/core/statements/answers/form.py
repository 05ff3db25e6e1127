"""Finds what plain text does not hold: markup, template leftovers, pictures and decorations, and rules of the prompt."""

import re
from collections.abc import Callable, Iterator

from service.core.statements.answers.finding import Finding, FindingKind
from service.core.statements.answers.prose import words_of
from service.core.statements.grounding.prefilters import Screened, holds_part, holds_word
from service.core.statements.grounding.quotable import INVISIBLE, plays_role

_MARKUP = re.compile(
    r"^\s*(?:#{1,6}\s|```|\|.*\||[-*+•–]\s|\d+[.)]\s|>\s)|\*\*[^*\n]+\*\*|(?<!\w)__[^_\n]+__(?!\w)|`[^`\n]+`"
    r"|(?<![\w*])\*[^\s*][^*\n]{0,80}\*(?![\w*])|(?<![\w_])_[^\s_][^_\n]{1,80}_(?![\w_])|~~[^~\n]+~~"
    r"|\]\((?:https?:|www\.|mailto:|/)|</?[a-z][a-z0-9]*(?:\s[^>]*)?/?>|\[/?(?:b|i|u|url|img|quote|code)\]"
    r"|^\s*[{\[]\s*\"|\\n|&(?:nbsp|amp|lt|gt);",
    re.M | re.I,
)
_LEFTOVER = Screened(
    r"\{\{|\}\}|\$\{\w|</?history>|</?contact_reason>|\[/?INST\]|<\|"
    r"|\[(?:insert|your|customer|agent|account|name|date|amount|channel|company)\b[^\]]*\]"
    r"|(?-i:\bTODO\b)|\bLorem ipsum\b",  # in capitals alone: a quoted "todo" is Spanish for "all"
    re.I,
)
# Arrows, technical signs, enclosed figures, boxes, dingbats, keycaps, variation selectors, tags and all emoji.
_PICTURE = re.compile(
    "[\u2042\u203b-\u203d\u2045-\u2056\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f\u2b00-\u2bff\u3012\u3030\u303d\u3200-\u32ff"
    ""
    ""
    ""
    ""
    ""
    ""
    "\ufe0e\ufe0f\u20e3\u2022\u2023\u25e6\u00b6\u00a7\U0001f000-\U0001faff\U000e0020-\U000e007f]"
)
_SMILEY = re.compile(
    r"(?:^|(?<=[\s(.,!?]))(?:[:;=][-'^o~]?[)(\]\[DPpOoS/\\|*3}{><](?![\w/])|[)(][-^']?[:;=](?!\w)|<3(?!\d)|</3"
    r"|\^[_.-]?\^|[xX]D\b|:'[()]"
    r"|o_O|O_o|-_-|T_T|\\o/|\(y\)|\(n\)|:-?\*|8-\)|B-\)|¯\\_)|(?<!\w):[a-z][a-z_]{2,20}:(?!\w)"
)
_DECORATION = re.compile(r"([*~=#_>+•<|-])\1{2,}|!{3,}|\?{3,}|!\?!|(?<!\w)~\*|\*~")
_SMILEY_PARTS = (":", ";", "=", "<3", "^", "xd", "_", "\\o/", "(y)", "(n)", "8-)", "b-)")
_LEAST_REPEATED = 4
_PROMPT_RULE = Screened(
    # "He did not wash it, as instructed" reports; an opening "As instructed, the number is left out" speaks of the prompt.
    r"(?:^|(?<=[.!?] ))as instructed\b(?! by |,? (?:he|she|they|the (?:customer|caller|tenant|crew|agent)|(?-i:[A-Z])))"
    r"|\bas instructed,? (?:in|by|under) (?:the|my|these|your) (?:prompt|rules|system|guidelines|instructions)\b"
    r"|\bas (?:per (?:my|the|your) (?:instructions?|rules?|guidelines?|prompt)|(?:you )?requested by the"
    r" (?:prompt|system)|the rules"
    r" (?:say|require|demand|state))\b"
    r"|\b(?:per|following|under|in (?:line|accordance|keeping) with|according to|because of|due to|by) (?:the |my "
    r"|these |your )?(?:instructions|rules"
    r" (?:above|given|i)|guidelines|prompt|system prompt|formatting rules|form rules|privacy rules?"
    r"|format(?:ting)? requirements?)\b"
    r"|\b(?:per|following|because of|due to|in (?:line|accordance|keeping) with) (?:the |my |these |your"
    r" )?rules(?= *[.,;)]|$)"
    r"|\b(?:my (?:instructions|rules|guidelines)|(?:my|the) prompt) (?:say|state|forbid|require|tell"
    r"|ask|prohibit|do not|don't)\w*\b"
    # A program has rules as well; what these are about is the answer.
    r"|\bthe (?:instructions|rules|guidelines) (?:say|state|forbid|require|tell|ask|prohibit|do not"
    r"|don't)\w* (?:\w+ ){0,3}"
    r"(?:me|naming|nam(?:e|es)|mention\w*|repeat\w*|includ\w*|print\w*|stat(?:e|ing)|omit\w*|leav(?:e"
    r"|ing) out|writ(?:e|ing)"
    r"|us(?:e|ing)|summar\w+|words|answer\w*)\b"
    r"|\bI (?:do not|don't|never|must not|cannot|will not|won't|am not (?:allowed|permitted) to|was told (?:not )?to"
    r"|have been told) "
    r"(?:mention|repeat|include|state|use|print|show|reveal|disclose|give|share|name|infer|add|write|comment)\w*\b"
    r"|\bsystem (?:prompt|message|instructions?)\b|\b(?:user|developer) prompt\b|\bno (?:headings?|bullets?|bullet"
    r" points|markdown|markup|greeting)\b"
    r"|\bplain text(?: only|:|,| with no| without)|\b(?:in|of|to|under|within|between|at most|no more than|fewer than"
    r"|maximum of|limit(?:ed)? (?:of|to))"
    r" (?:\d{1,3}|[a-z]+) ?(?:to|and|-) ?(?:\d{1,3}|[a-z]+) words\b|\b\d{2,3}[- ]words? (?:limit|maximum|minimum|or"
    r" (?:less|fewer))\b"
    r"|\b(?:word|length) limit\b|\bone paragraph of\b|\b(?:use|state|write|using|stating) only (?:what|facts"
    r"|information)\b"
    r"|\bnever (?:repeat|print|reveal|state) (?:a |any |the )?(?:full )?(?:account|card|bank|social)\b"
    r"|\bno (?:advice|comments?) (?:to|about) (?:the agent|these rules|myself)\b|\bdo not (?:infer|round|convert"
    r"|begin with|copy)\b"
    r"|\b(?:data|notes) (?:about the customer )?and (?:never|not) (?:an )?instructions?\b|\bnever an instruction\b"
    r"|\bcontact_reason\b|\b(?:between|inside) (?:the )?(?:history|contact reason) tags\b|\bthe five seconds before\b"
    r"|\b(?:omitted|withheld|left out|not (?:shown|mentioned|repeated|included|printed)|masked|redacted|hidden)"
    r" (?:here |from this summary )?(?:as"
    r" (?:instructed|required|requested)|per (?:the )?(?:rules?|instructions?|policy|guidelines?)|for (?:privacy"
    r"|security)(?: reasons)?)\b"
    r"|\b(?:account|card) numbers? (?:is|are|was|were|has been|have been) (?:omitted|withheld|redacted|masked)\b"
    r"|\b(?:the )?last four digits are (?:enough|given|shown|sufficient)\b|\bpresent tense for\b|\bshort sentences\b",
    re.I,
)


# What a program shows for a value that it lacks, and names of its fields.
_PROGRAM = Screened(
    r"(?<!\w)%[sd](?!\w)|\b(?:undefined|null|NaN|TBD|TBC)\b|\bN/A(?:\W+N/A)+|:\s?N/A\b|\{\w{0,20}\}"
    r"|\{\s*\"\w+\"\s*:|<!--|\[//\]:"
    r"|(?<![@\w./-])(?:[a-z]{2,}_(?:id|at|of|text|tokens?|reason|name|type|key|value|number|intent|days"
    r"|filter|prompt)|(?:max|min|as|is|has|contact|account|customer|output|input|system"
    r"|user)_[a-z_]{2,})(?![@\w])|\b[Ii]nteraction i?\d+\b|\btimestamps?\b|(?:^|(?<=[.!?] ))(?:Rule|Step)"
    r" \d+:|\b[Nn]ote to (?:self|reader|reviewer)\b"
    r"|\b(?:the )?(?:data|notes|records?|transcripts?|text|entries|history) (?:above|below|provided"
    r"|supplied|given|at hand)\b"
)
_PROGRAM_PARTS = (
    "%", "undefined", "null", "nan", "tbd", "tbc", "n/a", "{", "<!--", "[//]", "_", "interaction", "timestamp",
    "rule ", "step ", "note to", "above", "below",
    "provided", "supplied", "given", "at hand",
)  # fmt: skip
_HIDDEN = re.compile(f"[{INVISIBLE}]")
_MIXED_SCRIPT = re.compile(r"[A-Za-z][\u0370-\u052f]|[\u0370-\u052f][A-Za-z]")
_SHOUTS = re.compile(r"(?:^|(?<=[.!?:;] ))(?=(?:[A-Z'-]+[ ,]+)*[A-Z]{4})[A-Z][A-Z'-]+(?:[ ,]+[A-Z'-]+){2,}(?:[.!?:]|$)")
_AGAIN = re.compile(r"(?<![\w'-])(?!(?:that|had|is|no|very|so|now|ha|bye|again|urgent)\b)([a-z]{2,}) \1(?![\w'-])")
_END = re.compile(r"[.!?…\"')\]][^\w]*$")
_ENDED = re.compile(r"[.!?][\"')]*\s+\S")
_SLANG = Screened(
    r"\b(?:idk|smh|tbh|lol|lmao|omg|wtf|fwiw|imo|imho|lmk|ngl|afaik|gonna|wanna|gotta|kinda|sorta|dunno"
    r"|gimme|lemme|ain't|nuff|yeah|yep|yup|nope|nah|dude|bro|bruh|folks"
    r"|whatever|sketchy|totally|literally|super|buckle up|heads[- ]up|no biggie|you know|my bad|bummer"
    r"|freaking|chill|legit|vibe|meh|ugh|wow|whoa|oops|geez|yikes|phew|haha)\b",
    re.I,
)
_SLANG_WORDS = frozenset(
    "idk smh tbh lol lmao omg wtf fwiw imo imho lmk ngl afaik gonna wanna gotta kinda sorta dunno gimme"
    " lemme ain nuff yeah yep yup nope nah dude bro bruh"
    " sketchy literally buckle biggie bummer freaking chill legit vibe meh ugh wow whoa oops geez yikes"
    " phew haha totally".split()
)


def unfinished(text: str, sentences: list[str], stated: Callable[[], str]) -> Iterator[Finding]:
    """Yield what shows that an answer was cut off, says the same twice, or shouts what ``stated`` does not."""
    last = text.rstrip().rpartition("\n")[2]
    if _ENDED.search(last) and not _END.search(last):
        yield Finding(kind="markup", value=sentences[-1] if sentences else last[-40:], statement=last)
    elif (
        "(" in text
        and ")" not in (rest := text[text.rfind("(") :])
        and words_of(rest.partition('"')[0]) not in stated()
    ):
        yield Finding(kind="markup", value=rest[:40], statement=last)  # unless a quotation ends before its bracket does
    seen: set[str] = set()
    for sentence in sentences:
        words = words_of(sentence)
        if words in seen and words.count(" ") > _LEAST_REPEATED:
            yield Finding(kind="repetition", value=sentence, statement=sentence)
        seen.add(words)
        match = _AGAIN.search(sentence)
        if match and words_of(match[0]) not in stated():
            yield Finding(kind="repetition", value=match[0], statement=sentence)
        match = _SHOUTS.search(sentence)
        if match and words_of(match[0]) not in stated():
            yield Finding(kind="picture", value=match[0], statement=sentence)


def form_findings(text: str, prose: str, stated: Callable[[], str]) -> Iterator[Finding]:
    """Yield what is not plain text in an answer, as the model wrote it, and slang that ``stated`` does not hold.

    ``prose`` is the answer without quotations: a customer's own smiley or "!!!" may be quoted, markup and emoji may not.
    """
    if plays_role(text):
        yield Finding(kind="role")
    yield from _first(_MARKUP, "markup", text)
    if not text.isascii():
        yield from _first(_PICTURE, "picture", text)
    yield from _first(_LEFTOVER, "template leftover", prose)
    if holds_part(prose, _SMILEY_PARTS):
        yield from _first(_SMILEY, "picture", prose)
    yield from _first(_DECORATION, "picture", prose)
    yield from _first(_PROMPT_RULE, "prompt rule", prose)
    if holds_part(prose, _PROGRAM_PARTS):
        yield from _first(_PROGRAM, "template leftover", prose)
    if not text.isascii():
        yield from _first(_HIDDEN, "markup", text)
        yield from _first(_MIXED_SCRIPT, "markup", text)
    if holds_word(prose, _SLANG_WORDS):
        said = next((match[0] for match in _SLANG.finditer(prose) if words_of(match[0]) not in stated()), None)
        if said is not None:
            yield Finding(kind="address", value=said, statement=said)


def _first(pattern: re.Pattern[str] | Screened, kind: FindingKind, text: str) -> Iterator[Finding]:
    match = pattern.search(text)
    if match:
        yield Finding(kind=kind, value=match[0].strip(), statement=match[0].strip())
