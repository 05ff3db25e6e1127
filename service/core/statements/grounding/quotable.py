"""Decides which statements of untrusted notes a digest may repeat to an agent.

It uses patterns only, so an injected instruction in unforeseen words passes. Every quantifier is bounded, so the time for a
hostile text is proportional to its length.
"""

import html
import quopri
import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from service.core.statements.grounding.language import language_of
from service.core.statements.grounding.lexicon import ABUSE
from service.core.statements.grounding.prefilters import holds_part

UnquotableReason = Literal[
    "control", "role", "instruction", "template", "markup", "encoded", "noise", "code", "link", "secret", "number",
    "abuse", "language",
]  # fmt: skip

INVISIBLE = (
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff"
)
_CONTROL = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{INVISIBLE}\u2028\u2029]")
_REVERSED = re.compile(r"[\u202d\u202e][^\u202c\n]{0,400}\u202c?")
_ANSI = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_PICTURES = re.compile(r"[\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff\ufffd\U0001f000-\U0001faff\u21a9-\u21b5]")
_SOFT_BREAK = re.compile(r"=\n")
_MIME_LINE = re.compile(r"^(?:MIME-Version|Content-[\w-]{1,40}):[^\n]*$|^--\S{1,80}$", re.M)
_HIDDEN_HTML = re.compile(r"<!--[^<>]{0,400}-->|<(?:script|style)\b[^<>]{0,200}>[^<]*|</(?:script|style)\s?>", re.I)
_BREAKING_TAG = re.compile(
    r"</?(?:p|br|div|li|ul|ol|tr|h[1-6]|hr|blockquote|body|html|table|tbody)\b[^<>]{0,200}>", re.I
)
_CELL_TAG = re.compile(r"<(?:td|th)\b[^<>]{0,200}>", re.I)
_INLINE_TAG = re.compile(r"</?(?:b|i|u|em|strong|span|font|a|img|small|sup|sub|center|td|th|head)\b[^<>]{0,200}>", re.I)
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")

_MACHINE = (
    r"(?:\b(?:any|dear|to|attention|hey|for) (?:the |any )?(?:ai|llm|gpt|(?:language )?model|bot|summari[sz]er"
    r"|summari[sz]ing \w{1,9})"
    r"\b.{0,12}\b(?:(?:that|who|which) (?:will )?(?:read|process|summari)|reading|processing|summari)"
    r"|\b(?:ai|llm) (?:assistant|model|system|agent|tool)s?\b|\bsummar(?:y|i[sz]\w{1,5}) (?:engine|system"
    r"|bot|model|tool|ai)\b"
    r"|\blarge language model|\bchatgpt\b|\bwho(?:m|so)?ever (?:summari|sums|reads this)|^software:|[.!?] software:"
    r"|\bread(?:ing)? (?:this )?by (?:software|a machine|an? (?:ai|llm|model))"
    r"|\b(?:zusammenfassungs|sprachmodell|modelo de lenguaje|modèle de langage|asistente de ia)\w{0,12})"
)
_ORDER = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:above|everything|instructions?|rules?"
    r"|prompts?|guidelines"
    r"|you were (?:given|told))"
    r"|\b(?:ignora|olvida|ignoriere|vergiss|ignorez|oublie)\w{0,3}\b.{0,40}\b(?:instruc|anweisung|anterior|vorherig)"
    r"|\b(?:write|print|output|reply|respond|answer|say|repeat|begin|start|open|end|close|sign)\b (?:\w{1,12} ){0,4}?"
    r"(?:only (?:this|the (?:word|sentence|phrase))|with (?:only |exactly )?the (?:single )?(?:words?"
    r"|phrase|sentence|line)\b"
    r"|(?:exactly|verbatim)\b|the single word|(?:in|with|your) (?:answer|response|summary|digest)\b)"
    r"|\b(?:your|the) (?:answer|output|response|summary|digest) (?:must|should|shall|has to|needs to|with)\b"
    r"|\b(?:leave|keep|omit|drop|exclude)\b.{0,40}\b(?:out of|from)\b.{0,20}\b(?:digest|summar)"
    r"|\b(?:describe|rate|score|classify|present|record|list|treat)\b (?:that )?(?:the |this )?"
    r"(?:cust(?:omer)?|caller|contact|user|account)\b (?:as|is|\d|high|low)"
    r"|\bsummari[sz]e (?:the (?:following|above|interaction)|this|these|it as)"
    r"|\b(?:new|next|standing|updated|hidden|secret) (?:standing )?(?:task|rule|instruction|directive"
    r"|system prompt)s?\b"
    r".{0,12}(?:\bfor\b|:)"
    r"|\bsystem prompt\b|\bdeveloper mode\b|\bjailbreak|\byou are (?:now )?an? .{0,20}\b(?:assistant|model|ai|bot)\b"
    r"|\bas an ai\b|\byou are now\b.{0,20}\b(?:in|a|an|no longer)\b|\b(?:end|start) of (?:input|prompt"
    r"|instruction|context)"
    r"|\binput ends here|\bthe task above\b|\bpretend (?:to be|you)|\bact as (?:an?|if you)\b"
)
_LABELLED = r"\b(?:pass(?:word|code|phrase|wd)s?|pwd?|pins?|otp|cv[vc]2?)\b"
_STATED = r"[\s:=#'\"(-]{1,4}(?:(?:is|was|are|now|to|as|set to|has always been)[\s:='\"]{1,3})?"
_VALUE = r"(?!\d{1,2}/\d{1,2}\b|\d{1,2}(?:st|nd|rd|th|am|pm|x)\b)(?=[^\s,;]{0,30}\d)[^\s,;'\"]{3,40}"
_PASSWORDS = ("pass", "pw", "pin", "otp", "cv")
# Each pattern with the substrings of which a matching text holds at least one. Most answers hold few of them, and running all
# patterns over a whole answer would be the most expensive check of the guard.
_SECRETS: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (parts, re.compile(pattern, re.I))
    for parts, pattern in (
        (_PASSWORDS, rf"{_LABELLED}{_STATED}{_VALUE}"),
        (
            ("pass",),
            r"\bpass(?:word|code|phrase)s? (?:is|was|=|to)[\s:]{1,2}(?![a-z]+(?:ed|en|ing|ly)\b|(?:re|un|not"
            r"|never|sent|expir|wrong|incorrect|chang|updat"
            r"|accept|block|set\b|being|no longer|still|on|in|the|a|her|his|their)[a-z]*)\S{4,}",
        ),
        (
            ("otp", "code", "pin", "number"),
            r"\b(?:otp|(?:one[- ]time|verification|security|login|access|auth\w{0,12}|2fa|mfa) (?:code|pin|number"
            r"|passcode))\b"
            r"(?:(?!\b(?:ticket|request|ref|reference|case|order|call|since|phone|ending"
            r"|ends?)\b)[^$.;,]){0,40}(?<![\d$./-])\d{3,8}\b(?![/.:]\d)"
            # "sent otp, she read 448120": what somebody says is the code, although a comma stands between.
            r"|\b(?:otp|(?:one[- ]time|verification|security|login|access|2fa|mfa) (?:code|pin|passcode))\b[^$.;]{0,40}"
            r"\b(?:read|gave|said|told|typed|entered|repeated|quoted)\b"
            r"(?:(?! meter\b| bill\b)[^$.;,\d]){0,20}(?<![\d$./-])\d{4,8}\b(?![/.:]\d)",
        ),
        (
            ("security", "secret", "verbal", "the word", "maiden"),
            r"\b(?:security|secret|verbal) (?:word|answer|password)\b.{0,4}\b(?:is|was|=)(?! (?:[a-z]+(?:ed|en"
            r"|ing|ly)|set|not|now|no|on|in|still|also|wrong|to|put|asked|of|for|at|by)\b)\b|\bthe word is\b"
            r"|\bmaiden name\b.{0,4}(?:is|was|:)",
        ),
        (
            ("exp",),
            r"\b(?:card|visa|amex|mastercard|discover|debit"
            r"|credit)\b.{0,60}\bexp\w{0,8}\b[\s:.]{0,3}\d{1,2}\s?[/-]\s?\d{2}",
        ),
        (
            ("ssn", "itin", "ein", "social security", "taxpayer id", "tax id"),
            r"\b(?:ssn|itin|ein|social security|taxpayer id|tax id)\b[^$]{0,30}?(?<![\d$.,/])\d{3,}(?![/.,]\d)",
        ),
        (
            ("dob", "d.o.b", "birth", "born"),
            r"\b(?:dob|d\.o\.b\.|date of birth|birth ?date|born(?: on)?)\W{1,3}(?:(?:is|was|on)\W{1,2})?"
            r"(?:\d{1,2}[/.-]\d|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.? \d)",
        ),
        (
            ("dl", "driver", "passport"),
            r"\b(?:dl|driver'?s? licen[cs]e|passport)(?: number| no\.?| #)?\W{0,4}(?=[a-z]{0,3}-?\d)[a-z\d-]{5,}",
        ),
        (
            ("routing", "aba", "iban", "acct", "account", "a/c", "checking", "savings", "card"),
            r"\b(?:routing|aba|iban|acct|account|a/c|checking|savings|card)(?: number| no\.?| num| #)?[^\w;]{0,3}"
            r"(?:(?:in|is|was|ending) )?#?\d(?:[ -]?\d){5,}",
        ),
    )
)
_ROLE = re.compile(
    r"^\W{0,4}(?:system|assistant|developer|tool|function)\s?(?:message|prompt|note|override)?\s?(?::|>|\]|#{2,})"
    r"|#{2,}\s?(?:system|instruction|new task|end|admin)|\[/?(?:system|inst|assistant)\b|<\||<</?sys"
    r"|\bim_(?:start|end)\b"
    r"|</?(?:system|assistant|history|interaction|instructions?|prompt|context|text|user|tool\w{0,8})\b"
    r"|\bbegin (?:system|instructions?)\b",
    re.I | re.M,
)
_ROLE_PARTS = ("<", "#", "[", "im_", "system", "assistant", "developer", "tool", "function", "begin ")
_INSTRUCTION = re.compile(f"{_MACHINE}|{_ORDER}", re.I | re.S)


def plays_role(folded: str) -> bool:
    """Return whether ``folded`` holds a marker of a chat role."""
    return holds_part(folded, _ROLE_PARTS) and _ROLE.search(folded) is not None


def states_secret(folded: str) -> bool:
    """Return whether ``folded`` states a password, PIN, code or another secret with its label."""
    return any(pattern.search(folded) for parts, pattern in _SECRETS if holds_part(folded, parts))


_RULES: tuple[tuple[UnquotableReason, Callable[[str], object]], ...] = (
    ("role", plays_role),
    ("instruction", _INSTRUCTION.search),
    (
        "template",
        re.compile(
            r"\{\{|\}\}|\$\{|\{%|<%|%\([a-z_]{1,30}\)|_{3,}|_{2}/_{2}|\[ ?x? ?\]|\[#\]|\[[A-Z][A-Z"
            r" _/]{2,30}(?:,[^\]\[]{0,30})?\]"
            r"|\blorem ipsum\b"
            r"|\[(?i:(?:insert|enter|your)\b[^\]\[]{0,40}"
            r"|(?:customer|agent|account|company)(?:'s)? (?:name|number)|name|date|amount)\]"
        ).search,
    ),
    ("link", re.compile(r"\bhttps?:|\bwww\.\w", re.I).search),
    (
        "code",
        re.compile(
            r"\b\w{1,40}(?:\.\w{1,40}){2}\(|\bat \w{1,40}(?:\.\w{1,40}){2}|\b\w{1,40}=\S{1,40}[ ,;&]{1,3}\w{1,40}=\S"
            r"|(?<![@\w])[a-z]{1,20}_[a-z_]{1,30}\s?[=(]|\"\w{1,40}\"\s?:|\b\w{1,40}(?:Exception|Error):"
            r"|\b0x[0-9a-f]{4}"
            r"|\b(?:select|insert|delete|drop)\b.{1,40}\b(?:from|into|table)\b.{1,40}\b(?:where|values)\b"
            r"|\b\w{2,20}\(\)",
            re.I,
        ).search,
    ),
    ("markup", re.compile(r"[<>{}`*|\\]|^#{1,6}\s|[=~-]{4,}|\]\(|\[/?(?:b|i|u|url|img|quote|code)\]", re.M).search),
    (
        "encoded",
        re.compile(
            r"\S{41}|=[0-9A-F]{2}=[0-9A-F]{2}|=[0-9A-F]{2}(?=\s|$)|%[0-9A-F]{2}%[0-9A-F]{2}|&#?\w{2,8};"
            r"|(?<![\w/+])(?=[A-Za-z/+]{0,23}\d)(?=[A-Z\d/+]{0,23}[a-z])(?=[a-z\d/+]{0,23}[A-Z])[\w/+]{20,}"
        ).search,
    ),
    ("noise", re.compile(r"([^\W\d_])\1{4}|(?<!\w)(?:\w ){5}\w(?!\w)|([^\w\s.])\2{5}", re.I).search),
    ("secret", states_secret),
    ("abuse", ABUSE.search),
)
_SECRET_VALUE = re.compile(rf"(?:{_LABELLED}|\botp\b[^.\n$]{{0,30}}?(?=\b\d)){_STATED}({_VALUE})", re.I)
# Notes list dates, times and amounts next to each other; they are removed before digits are counted.
_NOT_AN_ID = re.compile(
    r"\b\d{4}-\d\d-\d\d\b|(?<![\d/])\d{1,2}/\d{1,2}(?:/\d{2,4})?(?![\d/])|\b\d{1,2}:\d\d(?::\d\d)?\b"
    r"|(?<!\w)[A-Z]{1,4}-\d{2,6}(?![\w-])|\$\s?\d{1,3}(?:,\d{3}){0,3}(?:\.\d\d)?(?!\.?\d)"
    r"|(?<![\d.-])\d{1,5}\.\d\d(?![\d-]|\.\d)"
)
_DIGITS = re.compile(r"\d(?:[ \t.\-_/·•]{0,3}\d){8}")
_MIXED_NUMBER = re.compile(r"(?<![A-Za-z\d])(?=[A-Za-z\d]{9})(?:[A-Za-z]{0,2}\d){7}")
_SEVEN_DIGITS = re.compile(r"\d(?:[A-Za-z]{0,2}\d){6}")  # part of every _MIXED_NUMBER, and faster to search for
_DIGIT_NAMES = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPOKEN_DIGITS = re.compile(rf"(?:\b(?:{'|'.join(_DIGIT_NAMES)})\b[ ,.-]{{0,2}}){{7}}", re.I)


def why_not(text: str) -> UnquotableReason | None:
    """Return the first reason why ``text`` must not be repeated, or None if it may be.

    ``text`` is one statement or a whole answer. "language" is judged on the whole text, every other reason on any part of it.
    """
    if _CONTROL.search(text):
        return "control"
    folded = _folded(text)
    for reason, found_in in _RULES:
        if found_in(folded):
            return reason
    if holds_number(folded):
        return "number"
    return "language" if language_of(text) else None


def addresses_reader(text: str) -> bool:
    """Return whether ``text`` gives instructions to a model; the text around it then belongs to the same injection."""
    folded = _folded(text)
    return plays_role(folded) or bool(_INSTRUCTION.search(folded))


def _folded(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text).replace("’", "'")


def holds_number(text: str) -> bool:
    """Return whether ``text`` holds nine digits in a row (with separators, or up to two of them letters) or seven digit words."""
    # Each removed date or amount leaves a letter, so that its neighbours do not join into a longer number.
    if not (_DIGITS.search(text) or _SEVEN_DIGITS.search(text) or _may_spell_digits(text)):
        return False
    left = _NOT_AN_ID.sub(" x ", text)
    return bool(_DIGITS.search(left) or _MIXED_NUMBER.search(left) or _SPOKEN_DIGITS.search(left))


def _may_spell_digits(text: str) -> bool:
    return not text.isascii() or sum(map(text.lower().count, _DIGIT_NAMES)) >= 7


def secrets_in(text: str) -> frozenset[str]:
    """Return the passwords, PINs and one-time codes that ``text`` states, in lower case, to find them in other texts."""
    if not holds_part(text, _PASSWORDS):
        return frozenset()
    return frozenset(match[1].strip(".!?)'\"").lower() for match in _SECRET_VALUE.finditer(text) if len(match[1]) >= 4)


def cleaned(text: str) -> str:
    """Return ``text`` without control and invisible characters, pictures, reversed text, HTML and mail encoding.

    Tags that are not HTML stay, so that ``why_not`` finds them. Lines and paragraphs are kept.
    """
    text = _LINE_ENDS.sub("\n", text)
    if not text.isascii():
        text = _PICTURES.sub("", _REVERSED.sub("", text))
    text = _CONTROL.sub("", _ANSI.sub("", text))
    if "quoted-printable" in text[:2000].lower() or _SOFT_BREAK.search(text):
        text = quopri.decodestring(text.encode()).decode("utf-8", errors="ignore")
    text = _MIME_LINE.sub("", text)
    for _ in range(2):  # twice: "&amp;lt;" results from encoding a text twice
        text = html.unescape(text) if "&" in text else text
    if "<" in text:
        text = _BREAKING_TAG.sub("\n", _HIDDEN_HTML.sub(" ", text))
        text = _INLINE_TAG.sub("", _CELL_TAG.sub(" | ", text))
    # Again, because decoding may produce new control characters.
    return _CONTROL.sub("", _BOLD.sub(r"\1", text))
