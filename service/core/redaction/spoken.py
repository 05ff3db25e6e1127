"""Removes personal data that patterns for written text miss in transcribed speech: "my name is ...", the last four digits.

Transcripts may lack capitals, and numbers may be partial, so a detail is recognised by the words before it or by the agent's
question before it.
"""

import re

_FILLER = (
    "yes|yeah|yep|sure|ok|okay|um|uh|er|so|well|it|its|it's|that|that's|thats|is|my|the|and|a|hi|hello|please|thanks|thank|you|sir"
    "|madam|number|no|of|course|name|full|first|last|this|here"
)
_NOT_A_NAME = re.compile(
    rf"(?:{_FILLER}|i|i'm|im|am|was|in|on|for|from|with|but|or|not|wrong|spelled|spelt|calling|speaking|account|card|ssn|social|phone"
    r"|email|address|to|at|as|are|have|has|would|want|need|got|will|can|your|what|changed|correct|right|same)\Z",
    re.I,
)
_SAYS_NAME = re.compile(
    r"\b(?:(?:my|the|full|first|last|his|her|husband's|wife's)\s+)+(?:sur)?name(?:'s|\s+is|\s+was)?[\s:,]+"
    r"|\b(?:sur)?name(?:'s|\s+is)\s+",
    re.I,
)
_THIS_IS = re.compile(r"\bthis is\s+((?:[^\W\d_][\w'-]*\s+){1,3})(?=speaking|calling)", re.I)
_WORD = re.compile(r"[^\W\d_][\w'.-]*")
_MOST_WORDS = 3
_KEYS = (
    r"social(?:\s+security)?|ssn|ssm|account|acct|a/?c|card|credit\s+card|policy|claim|member(?:ship)?|reference|ref|case|order|routing"
    r"|sort\s+code|pin|post\s?code|zip(?:\s?code)?|phone|telephone|mobile|cell|date\s+of\s+birth|dob|born|licen[cs]e|passport|id"
)
_SPOKEN_DIGIT = r"(?:oh?|zero|one|two|three|four|five|six|seven|eight|nine|double|triple)"
# "abd 568" is a claim number; "is 568" is not.
_LETTERS = r"(?!(?:is|it|to|no|my|in|of|or|and|the|at|on|was|are|for|by)\b)[a-z]{2,3}[\s-]?"
_DIGITS = rf"(?:(?:{_LETTERS})?\d(?:[\s./-]?(?:[a-z]\s)?\d){{2,}}|{_SPOKEN_DIGIT}(?:[\s,.-]+{_SPOKEN_DIGIT}){{2,}})"
_KEYED = re.compile(rf"\b((?:{_KEYS})\b\W{{0,3}}(?:[a-z']+\W{{1,3}}){{0,5}}?)({_DIGITS})\b", re.I)
_BARE = re.compile(rf"(?<![$£€\d.,])\b{_DIGITS}\b(?!\s*(?:dollars|pounds|euros|percent|kwh|kilowatt))", re.I)
_ONLY_DIGITS = re.compile(rf"\W*(?:(?:{_FILLER})\W+)*{_DIGITS}\W*\Z", re.I)
_MAIL_HOSTS = r"(?:gmail|g\s?mail|hotmail|yahoo|outlook|icloud|aol|live|msn|sbcglobal|comcast|verizon|proton(?:mail)?)"
_MAIL = re.compile(
    rf"\b(?:[\w.-]{{1,40}}\s+)?(?:\d{{1,8}}\s*)?(?:at\s+|@\s*)?\w{{0,40}}{_MAIL_HOSTS}\s?(?:dot\s|\.)?\s?"
    r"(?:com|net|org|co\s?uk|de)\b",
    re.I,
)
_ASKS_NAME = re.compile(r"\bnames?\b", re.I)
_ASKS_NUMBER = re.compile(rf"\b(?:{_KEYS}|number|last\s+(?:four|4)|digits|security)\b", re.I)
_LONGEST_ANSWER = 6  # words: a longer answer is more than a name


def redact_spoken(text: str, asked: str) -> str:
    """Return ``text`` with details replaced by ``[name]``, ``[number]`` or ``[email]``.

    ``asked`` is the agent's turn before ``text``: after a question for a name or number, a short answer is taken as one.
    """
    text = _MAIL.sub("[email]", text)
    text = _KEYED.sub(r"\1[number]", text)
    if _ONLY_DIGITS.match(text) or (asked and _ASKS_NUMBER.search(asked)):
        text = _BARE.sub("[number]", text)
    text = redact_said_names(text)
    if asked and _ASKS_NAME.search(asked) and len(text.split()) <= _LONGEST_ANSWER:
        text = _WORD.sub(lambda word: word[0] if _NOT_A_NAME.match(word[0]) or _tagged(word) else "[name]", text)
    return re.sub(r"\[name\](?:\s+\[name\])+", "[name]", text)


def redact_said_names(text: str) -> str:
    """Return ``text`` with the names after "my name is" and "this is ... speaking" replaced, also in small letters."""
    return _after_name(_THIS_IS.sub("this is [name] ", text))


def is_no_name(word: str) -> bool:
    """Return whether a word is certainly no name, even where a name is expected: "yes", "number", "calling"."""
    return _NOT_A_NAME.match(word) is not None


def _after_name(text: str) -> str:
    parts, end = [], 0
    for said in _SAYS_NAME.finditer(text):
        if said.start() < end:
            continue
        place, words = said.end(), 0
        while words < _MOST_WORDS and (word := _WORD.match(text, place)) and not _NOT_A_NAME.match(word[0]):
            words += 1
            place = word.end()
            space = re.match(r"[ ]+", text[place:])
            if word[0].endswith(".") or space is None:
                break
            place += space.end()
        if words:
            parts += [text[end : said.end()], "[name]", " " if text[place - 1 : place] == " " else ""]
            end = place
    return "".join([*parts, text[end:]])


def _tagged(word: "re.Match[str]") -> bool:
    return word.string[word.start() - 1 : word.start()] == "["
