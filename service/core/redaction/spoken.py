"""Removes personal data that patterns for written text miss in transcribed speech: "my name is ...", the last four digits.

Transcripts may lack capitals, and numbers may be partial, so a detail is recognised by the words before it or by the agent's
question before it.
"""

import re
from pathlib import Path

from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "spoken")

_NOT_A_NAME = re.compile(_TEXTS["not_a_name"], re.I)
_SAYS_NAME = re.compile(_TEXTS["says_name"], re.I)
_THIS_IS = re.compile(r"\bthis is\s+((?:[^\W\d_][\w'-]*\s+){1,3})(?=speaking|calling)", re.I)
_WORD = re.compile(r"[^\W\d_][\w'.-]*")
_MOST_WORDS = 3
_KEYED = re.compile(_TEXTS["keyed"], re.I)
_BARE = re.compile(_TEXTS["bare"], re.I)
_ONLY_DIGITS = re.compile(_TEXTS["only_digits"], re.I)
_MAIL = re.compile(_TEXTS["mail"], re.I)
_ASKS_NAME = re.compile(r"\bnames?\b", re.I)
_ASKS_NUMBER = re.compile(_TEXTS["asks_number"], re.I)
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
