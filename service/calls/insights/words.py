"""Reads sentiment and key phrases of English turns by words: the local stand-in for Amazon Comprehend."""

import re
from collections.abc import Sequence

from service.calls.insights.insight import ReadTurn, TurnSentiment

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_TAG = re.compile(r"\[[^\]]*\]")
_ENDS = re.compile(r"[.,;:!?()\"\[\]\n–—-]+")
# Stems: a word counts when it begins with one. Courtesies such as "thanks", "good" and "lovely" are none: angry callers say them.
_GOOD = (
    "brilliant", "wonderful", "excellent", "happy", "glad", "relie", "appreciat", "helpful", "pleased", "fantastic", "awesome",
    "amazing", "grateful", "delighted", "phew", "reassur",
)  # fmt: skip
_BAD = (
    "angr", "upset", "annoy", "frustrat", "ridiculous", "terribl", "awful", "horribl", "worst", "bad", "useless", "wrong",
    "complain", "unaccept", "disappoint", "worr", "afraid", "scared", "anxious", "stress", "panic", "furious", "hate", "disgust",
    "joke", "fed", "sick", "rude", "unfair", "problem", "trouble", "fail", "broken", "mistake", "never", "lying", "stole",
    "scam", "fraud", "lost", "struggl", "nervous", "desperate", "nightmare", "insult", "outrag", "cheat", "overcharg",
    "afford", "hardship", "shout", "hung", "embarrass", "ashamed", "cry", "scar", "threat", "refus", "supervisor", "manager",
    "complaint", "wast", "sorry", "chas", "ignor", "twice", "nobody", "funeral", "redundan", "debt", "bailiff", "urgent", "hell",
    "damn", "bloody", "daft", "shock", "horrif", "messed", "mess",
)  # fmt: skip
_NOT_BAD = frozenset(
    {"lied", "life", "failing", "badge", "nevertheless", "goods", "kinda", "federal", "feder", "pleaded"}
)
_TURNED = frozenset(
    {"not", "no", "never", "isn't", "wasn't", "don't", "didn't", "can't", "cannot", "won't", "without", "hardly"}
)
_REACH = 3  # words after a negation that it turns
# Function words and talk that no phrase has; a phrase stands between them.
_PLAIN = frozenset(
    """a about after again ago ah all also am an and any anything are aren't as ask at back be because been before being but by
    bye call called calling can can't come could couldn't day did didn't do does doesn't doing don't done else even everything
    for from get getting give go going gone good got had has have haven't having he he'd hello help her here hi him his hold hour
    how i i'd i'll i'm i've if in into is isn't it it'll it's its just know let let's like little look look's make may maybe me
    mean might mine minute moment more morning much must my need new no not nothing now of off oh ok okay on one only or other
    our out over please put quite really right said same say says see she should so some someone something sorry still sure take
    tell than thank thanks that that'll that's the their them then there there's these they they're thing things think this
    those through time to today told too try two uh um under until up us very want wanted was wasn't way we we'd we'll we're
    we've welcome well went were what what's when where which while who why will with won't would wouldn't yeah yes yet you you'd
    you'll you're you've your yours""".split()
)
_LONGEST = 4  # words of a phrase


class WordReader:
    """Implements ``InsightReader`` without a model."""

    by = "local-words-v1"
    languages = frozenset({"en"})

    def read(self, texts: Sequence[str], language: str) -> list[ReadTurn]:
        """See ``InsightReader.read``."""
        return [_read(text) for text in texts]


def _read(text: str) -> ReadTurn:
    words = _WORD.findall(_TAG.sub(" ", text.lower().replace("’", "'")))
    good = bad = 0
    for place, word in enumerate(words):
        felt = 1 if word.startswith(_GOOD) else -1 if word.startswith(_BAD) else 0
        if not felt or word in _NOT_BAD:
            continue
        # "never" is bad by itself; before a good word it turns it.
        turned = _TURNED.intersection(words[max(place - _REACH, 0) : place])
        if (felt > 0) != bool(turned):
            good += 1
        else:
            bad += 1
    balance = (good - bad) / (good + bad + 1)
    sentiment: TurnSentiment = (
        "NEUTRAL" if not good + bad else "MIXED" if good == bad else "POSITIVE" if good > bad else "NEGATIVE"
    )
    return ReadTurn(sentiment=sentiment, balance=round(balance, 4), key_phrases=_phrases(text))


def _phrases(text: str) -> tuple[str, ...]:
    """Return runs of words that carry meaning, of two to four words or one long word, each once."""
    found: dict[str, None] = {}
    for clause in _ENDS.split(_TAG.sub(".", text.replace("’", "'"))):
        run: list[str] = []
        for word in [*clause.split(), "the"]:
            if word.lower() in _PLAIN or not word.isascii() or not any(map(str.isalpha, word)):
                if 2 <= len(run) <= _LONGEST or (len(run) == 1 and len(run[0]) > 6):
                    found[" ".join(run)] = None
                run = []
            else:
                run.append(word)
    return tuple(found)
