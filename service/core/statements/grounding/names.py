"""Finds names of persons and organisations: capitalised words that are not in the list of ordinary words."""

import re
from collections.abc import Iterator
from functools import lru_cache

from service.core.statements.grounding.lexicon import OPENERS, ORDINARY, ROLES
from service.core.statements.grounding.sentence import LEAD, NOT_AN_END, Mention, SentenceScanner, without_accents

_CAPITALISED = re.compile(r"[^\W\d_a-z](?<![\w@#/$.-].)[\w'&]*(?:-[^\W\d_][\w']*)*")
_NAME_VERB = re.compile(
    r"\s+(?:says?|said|asks|asked|wants|wanted|wrote|writes|promised|paid|pays|disputes?|disputed|refuses"
    r"|refused|agreed"
    r"|accepted|told|offered|confirmed|reports|reported|claims|claimed|denies|denied|thanked|disagrees"
    r"|insists|owes|expects|sent"
    r"|called|phoned|texted|e-?mailed|tweeted|advised|spoke|waived)\b"
)
# "Authorized Corinne": a first word with such an ending describes the name after it and is no part of it.
_DERIVED = ("ed", "ing", "ly", "ist", "ion", "man", "woman", "person", "er", "or", "ee", "ent", "ant")
# "Danger reported:", "Refund promised by the desk": what was done, not who did it.
_PASSIVE = re.compile(r"\s+\w+ed(?:[.:;,]|\s+(?:by|from|in|on|at|for|to|via|twice|once|again|since|until)\b|$)")
_SHOUTED = re.compile(r"\b[A-Z]{2,}(?:[ -]+[A-Z]{2,})+\b(?=[:.,;!?]|$)")
_CACHED = 40  # characters; common words repeat, and caching longer ones would only fill the memory
_MIDDLE = frozenset({"of", "de", "la", "del", "and", "&", "the"})


def read_names(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield sequences of capitalised words that are names (see ``is_name``)."""
    run: list[re.Match[str]] = []
    left = _headline(scanner.remaining)
    for match in _CAPITALISED.finditer(left):
        if not is_name(match, left):
            continue
        # A possessive ends a name: in "Ada's Social Security number", two are named.
        if run and (run[-1][0].endswith("'s") or not _joins(left[run[-1].end() : match.start()])):
            yield _name(scanner, run)
            run = []
        run.append(match)
    if run:
        yield _name(scanner, run)


def _joins(between: str) -> bool:
    return set(between.split()) <= _MIDDLE and between.isascii() and not set(between) & set("|,.;:()\"'/-")


def _name(scanner: SentenceScanner, run: list[re.Match[str]]) -> Mention:
    # "Polish-speaking": the part without a capital is no name.
    words = tuple(
        bare("-".join(part for part in match[0].split("-") if not part[:1].islower() or part == match[0]))
        for match in run
    )
    return scanner.mention("name", run[0].start(), run[-1].end(), words=words)


def bare(word: str) -> str:
    """Return the word in lower case, without accents and possessive."""
    return _bare(word) if len(word) <= _CACHED else _bare.__wrapped__(word)


@lru_cache(maxsize=16_384)
def _bare(word: str) -> str:
    return without_accents(word.removesuffix("'s").rstrip("'"))


def _role(bare: str) -> bool:
    """Return whether the word is a person's role, with or without a prefix: "Roommate", "Ex-roommate", "Co-owner"."""
    return bare in ROLES or (
        bare.partition("-")[0] in ("ex", "co", "step", "grand") and bare.partition("-")[2] in ROLES
    )


def _headline(sentence: str) -> str:
    """Return ``sentence`` with what is in capitals ("DEAF HOUSEHOLD WITH INFANT: ...") blanked out, at the same length.

    Capitals are emphasis, not names, in two words or more before a mark, one of them with four letters or more.
    """
    return _SHOUTED.sub(
        lambda match: "|" * len(match[0]) if re.search(r"[^\W\d_]{4}", match[0]) else match[0], sentence
    )


def ordinary(word: str) -> bool:
    """Return whether a capitalised word is no name, whatever its position in a sentence."""
    return _ordinary(word) if len(word) <= _CACHED else _ordinary.__wrapped__(word)


@lru_cache(maxsize=16_384)
def _ordinary(word: str) -> bool:
    # "Spanish-language": only the capitalised parts could be names.
    plain, parts = bare(word), [bare(part) for part in word.split("-") if part[:1].isupper()]
    return (
        len(plain) < 2
        or bool({plain, plain.removesuffix("s"), word.lower()} & ORDINARY)
        or all(part in ORDINARY for part in parts)
    )


def is_name(match: re.Match[str], sentence: str) -> bool:
    """Return whether the capitalised word at ``match`` is a name.

    A sentence's first word is one only before a possessive, a verb such as "called", or another capitalised word.
    """
    if ordinary(match[0]):
        return False
    plain = bare(match[0])
    before = sentence[: match.start()].rstrip(" \"'([*|")
    if before and (before[-1] not in ":.!?" or NOT_AN_END.search(before[-LEAD:])):
        return True
    if _role(plain) or plain in OPENERS:
        return False
    if match[0].endswith("'s"):
        return True
    if _NAME_VERB.match(sentence, match.end()) and not _PASSIVE.match(sentence, match.end()):
        return True
    following = _CAPITALISED.match(sentence, match.end() + 1)
    if following is None or bare(following[0]) in ORDINARY or plain.endswith(_DERIVED):
        return False
    # "Replacement LED": an acronym is no surname.
    return not following[0].isupper() or match[0].isupper()
