"""Looks for the sentence of the interactions that supports an order, an advice or a decision of an answer."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache

from service.core.statements.grounding.quotable import cleaned
from service.core.statements.grounding.sentence import clean

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)*")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+|[|>]")
_IRREGULAR = {
    "gave": "give", "given": "give", "sent": "send", "told": "tell", "paid": "pay", "went": "go", "gone": "go", "held": "hold",
    "kept": "keep", "spoke": "speak", "spoken": "speak", "wrote": "write", "written": "write", "left": "leave", "took": "take",
    "taken": "take", "made": "make", "said": "say", "got": "get", "came": "come", "rang": "ring", "saw": "see", "seen": "see",
    "found": "find", "met": "meet", "brought": "bring", "bought": "buy", "understood": "understand", "chose": "choose",
}  # fmt: skip
_ENDS = ("ations", "ation", "ings", "ing", "ers", "ed", "es", "er", "ly", "s", "e")
_LEAST_STEM = 3
_STOP = frozenset(
    """
    the a an this that these those it its he him his she her hers they them their we us our you your yours i me my
    and or but if so rather than more less mr mrs ms miss jan feb mar apr may jun jul aug sep sept oct nov dec
    january february march april june july august september october november december
    as at by for from in into of on onto to with within without up out off over again is are was were be been being
    am do does did
    done have has had having will would shall should can could may might must need needs ought please then also just
    only very too
    now there here when where while until before after about any all some every each both no not never none nothing
    nobody don't dont
    doesn't didn't
    won't cannot can't isn't sure let let's make customer customers caller client agent agents account who what which
    """.split()
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SHORT = {
    "cust": "customer", "supv": "supervisor", "sup": "supervisor", "mgr": "manager", "pmt": "pay", "pymt": "pay",
    "pd": "pay", "req": "request", "cb": "call", "svc": "service", "tech": "technician", "appt": "appointment",
    "disc": "disconnect", "recon": "reconnect", "addr": "address", "stmt": "statement", "cert": "certificate", "dr": "doctor",
    "adj": "adjust", "appr": "approve", "xfer": "transfer", "esc": "escalate", "chk": "check", "eml": "email", "ph": "phone",
    "rcpt": "receipt", "rcvd": "receive", "ck": "check", "amt": "amount", "ltr": "letter", "mtr": "meter", "bal": "balance",
    "dep": "deposit", "arr": "arrangement", "ext": "extension", "sched": "schedule", "est": "estimate", "callback": "call",
    "payment": "pay", "payments": "pay",
    "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thurs": "thursday",
    "fri": "friday", "sat": "saturday", "sun": "sunday", "pwr": "power", "gen": "generator", "emerg": "emergency",
    "elec": "electric", "ok": "safe", "okay": "safe",
    "lic": "license", "info": "information", "vm": "voicemail", "lvm": "voicemail", "txt": "text", "msg": "message",
}  # fmt: skip
_NEGATION = re.compile(
    r"\b(?:not|no|neither|none|nothing|nobody|never|without|avoid|stop|cannot|nor|\w{2,7}n't|dont|doesnt|cant|wont"
    r"|shouldnt)\b",
    re.I,
)
_DEMAND = re.compile(
    r"\b(?:want|wants|wanted|ask|asks|asked|asking|demand\w*|request\w*|insist\w*|please|pls|plz|i|i'm|my|you|your"
    r"|expect\w*"
    r"|threat\w*|beg\w*|hope\w*|wonder\w*|claim\w*)\b|\?",
    re.I,
)


_DENIED_WORDS = 4
_NEWEST = 2


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Return a crude stem, so that "waived", "waives" and "waiving" are one word."""
    word = (_IRREGULAR.get(word) or _SHORT.get(word, word)).removesuffix("'s")
    for end in _ENDS:
        if word.endswith(end) and len(word) - len(end) >= _LEAST_STEM:
            word = word[: -len(end)]
            break
    return word[:-1] if len(word) > _LEAST_STEM and word[-1] == word[-2] else word


def content_of(text: str) -> frozenset[str]:
    """Return the stems of the words of ``text`` that carry meaning."""
    return frozenset(stem(word) for word in _words(text) if word not in _STOP)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("e-mail", "email"))


_ANY_MATTER = content_of(
    "case matter issue ticket order request work job complaint problem dispute situation inquiry question everything"
)


def is_negative(text: str) -> bool:
    """Return whether ``text`` holds a negation."""
    return _NEGATION.search(text) is not None


class _Passage:
    """One sentence of an interaction."""

    def __init__(self, text: str) -> None:
        self._text = text.lower()
        found = _words(text)
        self.words = frozenset(found)
        self.stems = frozenset(map(stem, found))

    @cached_property
    def negative(self) -> bool:
        """Whether it holds a negation."""
        return is_negative(self._text)

    @cached_property
    def demands(self) -> bool:
        """Whether it asks for something, or says that somebody did."""
        return _DEMAND.search(self._text) is not None

    def affirms(self, words: frozenset[str]) -> bool:
        """Return whether the sentence holds one of ``words`` with no negation among the four words before it."""
        stated = words & self.words
        if not stated or not self.negative:
            return bool(stated)
        return any(
            _NEGATION.search(" ".join(self._text[: place.start()].split()[-_DENIED_WORDS:])) is None
            for word in stated
            for place in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", self._text)
        )


class Statements:
    """The sentences of the interactions; read at the first use, since few answers need them."""

    def __init__(self, texts: Sequence[str], topics: str = "") -> None:
        """``texts`` are the interactions', oldest first; ``topics`` says what they are about."""
        self._texts, self._topics = texts, topics

    @cached_property
    def evidence(self) -> str:
        """All interactions and their topics in lower case."""
        return f"{self.whole}\n{_CAMEL.sub(' ', self._topics)}".lower()

    @cached_property
    def whole(self) -> str:
        """All interactions as plain text."""
        return "\n\n".join(clean(cleaned(text)) for text in self._texts)

    @cached_property
    def _interactions(self) -> list[list[_Passage]]:
        return [
            [_Passage(part) for part in _SENTENCE.split(clean(cleaned(text))) if part.strip()] for text in self._texts
        ]

    @cached_property
    def _passages(self) -> list[_Passage]:
        return [passage for interaction in self._interactions for passage in interaction]

    def state(self, clause: str, *, share: float, verb: str = "", decided: bool = False) -> bool:
        """Return whether one sentence holds at least ``share`` of the clause's content with the same polarity.

        ``verb`` must be in that sentence, with ``decided`` in this very form ("waived" does not support the order to waive)
        and in a sentence that asks for nothing.
        """
        wanted, negative = content_of(clause), is_negative(clause)
        return any(
            len(wanted & passage.stems) >= share * len(wanted)
            and passage.negative == negative
            and not (decided and passage.demands)
            and (not verb or verb in passage.words or (not decided and stem(verb) in passage.stems))
            for passage in self._passages
        )

    def tell(self, clause: str, *, share: float) -> bool:
        """Return whether one sentence holds ``share`` of the clause's content with no negation before the clause's verb."""
        wanted = content_of(clause)
        verb = stem(_words(clause)[0])
        return any(
            len(wanted & passage.stems) >= share * len(wanted)
            and passage.affirms(frozenset(word for word in passage.words if stem(word) == verb))
            for passage in self._passages
        )

    def mention(self, clause: str, *, share: float, besides: Iterable[str] = ()) -> bool:
        """Return whether one interaction holds at least ``share`` of the clause's content, ``besides`` left out."""
        wanted = content_of(clause) - {stem(word) for word in besides}
        return any(
            len(wanted & frozenset[str]().union(*(passage.stems for passage in interaction))) >= share * len(wanted)
            for interaction in self._interactions
        )

    def say_one_of(self, words: frozenset[str]) -> bool:
        """Return whether a sentence holds one of ``words`` (lower case)."""
        return any(not words.isdisjoint(passage.words) for passage in self._passages)

    def decide(self, subject: str, words: frozenset[str], *, refused: bool) -> bool:
        """Return whether an interaction states one of ``words`` without a negation, and names any ``subject``.

        A subject that names no matter in particular ("the case is closed") is what the newest interactions are about.
        """
        wanted = content_of(subject)
        anything = wanted <= _ANY_MATTER
        for interaction in self._interactions[-_NEWEST:] if anything else self._interactions:
            named = frozenset[str]().union(*(passage.stems for passage in interaction))
            if not anything and not wanted & named:
                continue
            for passage in interaction:
                if not passage.demands and passage.affirms(words):
                    return True
                # "We are not able to release the refund" supports "Refund refused."
                if refused and passage.negative and wanted & passage.stems:
                    return True
        return False
