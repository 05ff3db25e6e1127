"""Refuses calls with turns in a language that the redactor does not cover, before anything of them is stored or sent.

A redactor for English finds nothing in a German turn, so that "nothing found" would mean nothing. What counts is evidence of the
covered language: words in another script, and words that py3langid (Lui and Baldwin 2012; its model comes in the package) does
not take for a covered language, are refused, whatever they are. Nigerian Pidgin counts as English. Of the 176 labelled
calls eight are refused: five for phrases of Spanish, three for names and addresses with few words beside them (2026-11-24).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from service.calls.failure import CallFailed, FailureReason
from service.core.statements.tags import ANY_TAG
from service.core.tasks.scorecard.transcript import Turn

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

ENGLISH = "en"
_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "is": "Icelandic", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay", "mt": "Maltese",
    "nb": "Norwegian", "nl": "Dutch", "nn": "Norwegian", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tl": "Tagalog",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
    "af": "Afrikaans", "bn": "Bengali", "cy": "Welsh", "eu": "Basque", "ht": "Haitian Creole", "ka": "Georgian",
    "lb": "Luxembourgish", "pa": "Punjabi", "sq": "Albanian", "sw": "Swahili", "ta": "Tamil",
}  # fmt: skip
# Spelled letters tell nothing. Marks belong to the letter before them.
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f\u0900-\u0dff\u0e31-\u0e4e'])+")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = frozenset({"LATIN", "MODIFIER", "COMBINING", "APOSTROPHE", "FEMININE", "MASCULINE"})
_FEWEST_WORDS = 4
# A language is judged in pieces, so that a German sentence inside a long English turn is not outvoted.
_PIECE, _STEP = 12, 8
# The share of the covered languages from which a piece counts as theirs, and the one from which words that no other language
# has can decide. English stretches of the dev calls have at least 0.3 in 442 of 450 cases, names and addresses among the rest;
# phrases of 27 other languages, mixed ones too, at most 0.2 (2026-11-24; chosen on these).
_COVERED, _POSSIBLE = 0.3, 0.02
# A name or an address alone sounds foreign: so few words pass if most of what the speaker says is covered.
_FEW_WORDS, _MOST = 6, 0.7
# None of them is a word of another language that the Latin script writes.
_OWN_WORDS = {
    ENGLISH: frozenset(
        "the and of you your yours that that's it's i'm i've i'll we'll we've you're they what what's which with would could "
        "should have has had this these those their there where when who how why not don't didn't can't isn't from been being "
        "about said says say right yes okay thanks thank please sure know think want need get got going".split()
    )
}
_LEAST_OWN = 0.2
# Said in many languages as they are, and no evidence of any.
_NUMBERS = frozenset(
    "zero oh one two three four five six seven eight nine ten eleven twelve double triple hundred first second third".split()
)
_PIDGIN = "pcm"  # English, for a redactor: its names and numbers look alike


def base(language: str) -> str:
    """Return the language of a code: "en" of "en-US"."""
    return re.split("[-_]", language, maxsplit=1)[0].lower()


def require_covered(language: str | None, covered: Collection[str], by: str) -> None:
    """Check a declared language; None was not declared.

    Raises:
        CallFailed: the redactor ``by`` does not cover it.
    """
    if language is not None and base(language) not in covered:
        raise _refused("the call", base(language), covered, by)


def spoken_languages(turns: Sequence[Turn], covered: Collection[str], by: str) -> dict[str, int]:
    """Return the number of turns by language ("en"); turns too short to tell count as the language of most.

    Raises:
        CallFailed: a turn, or what a speaker says in short turns, is in a language that the redactor ``by`` does not cover.
    """
    found: Counter[str] = Counter()
    short: dict[str, list[Turn]] = {}
    doubts: dict[str, list[_Doubt]] = {}
    sure: Counter[str] = Counter()
    told = 0
    for index, turn in enumerate(turns):
        if script := _other_script(turn.text, covered):
            raise _refused(f"turn {index}", script, covered, by)
        if not _long_enough(turn.text):
            short.setdefault(turn.speaker, []).append(turn)
            continue
        languages = _spoken(turn, f"turn {index}", covered, by, doubts, sure)
        found.update(sorted(languages - {ENGLISH})[:1] or [ENGLISH])
        told += 1
    for speaker, few_words in short.items():
        whole = few_words[0].model_copy(update={"text": " ".join(turn.text for turn in few_words)})
        if _long_enough(whole.text):
            _spoken(whole, f"what the {speaker} says in short turns", covered, by, doubts, sure)
    sure["system"] += sure.total()  # its few words are a machine's: "[line closed]"
    for speaker, few in doubts.items():
        if sure[speaker] < _MOST * (sure[speaker] + sum(doubt.words for doubt in few)):
            raise _refused(few[0].where, few[0].language, covered, by)
    if told < len(turns) and turns:
        found[found.most_common(1)[0][0] if found else ENGLISH] += len(turns) - told
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """A few words in what may be ``language``, or a name."""

    where: str
    language: str
    words: int


def _spoken(
    turn: Turn, where: str, covered: Collection[str], by: str, doubts: dict[str, list[_Doubt]], sure: Counter[str]
) -> set[str]:
    """Return the covered languages of a turn, and note how many words of its speaker are surely theirs.

    Raises:
        CallFailed: part of the turn shows no covered language.
    """
    languages = set()
    plain = ANY_TAG.sub(" ", turn.text).lower().replace("’", "'")
    words = [word for word in plain.split() if word.strip(".,;:!?-") not in _NUMBERS]
    for start in range(0, max(len(words) - (_PIECE - _STEP), 1), _STEP):
        piece = " ".join(words[start : start + _PIECE])
        if not _long_enough(piece):
            continue
        language, evidence = _language(piece, covered)
        count = len(_WORD.findall(piece))
        if evidence == "clear":
            languages.add(language)
            sure[turn.speaker] += count
        elif evidence == "weak" and count <= _FEW_WORDS:
            doubts.setdefault(turn.speaker, []).append(_Doubt(where=where, language=language, words=count))
        else:
            raise _refused(where, language, covered, by)
    return languages


def _language(piece: str, covered: Collection[str]) -> tuple[str, Literal["clear", "weak", "none"]]:
    """Return the likeliest language of ``piece``, and the evidence that it is one of ``covered``."""
    shares = {code: float(share) for code, share in _identifier().rank(piece)}
    shares[ENGLISH] += shares.pop(_PIDGIN, 0.0)
    likeliest = max(covered, key=lambda code: shares.get(code, 0.0))
    share = sum(shares.get(code, 0.0) for code in covered)
    words = _WORD.findall(piece)
    own = max(sum(word in _OWN_WORDS.get(code, ()) for word in words) for code in covered)
    if share >= _COVERED or (share >= _POSSIBLE and own >= _LEAST_OWN * len(words)):
        return likeliest, "clear"
    other = max((code for code in shares if code not in covered), key=lambda code: shares[code])
    return other, "weak" if share >= _POSSIBLE else "none"


def _other_script(text: str, covered: Collection[str]) -> str | None:
    """Return the language of a text that has letters of another script than Latin, None if it has none; one is a sign."""
    letters = "" if text.isascii() else "".join(_LETTER.findall(text))
    names = [unicodedata.name(letter, "UNKNOWN").split()[0] for letter in letters]
    others = [name for name in names if name not in _LATIN]
    if len(others) < 2:
        return None
    likeliest = _language(text.lower(), covered)[0]
    return likeliest if likeliest in _NAMES else f"{others[0].capitalize()} script"


def _long_enough(text: str) -> bool:
    return len(_WORD.findall(ANY_TAG.sub(" ", text))) >= _FEWEST_WORDS


def _refused(what: str, language: str, covered: Iterable[str], by: str) -> CallFailed:
    remedy = "deliver no such calls until a redactor covers it"
    if language == "es":
        remedy = "set OMNI_REDACTOR=comprehend and OMNI_TRANSCRIBE_LANGUAGE=es-US in AWS, then replay"
    return CallFailed(
        FailureReason.LANGUAGE,
        f"{what} is in {_said(language)}, and the redactor {by} covers {', '.join(sorted(covered))} alone; "
        f"nothing of the call was kept: {remedy}",
    )


def _said(language: str) -> str:
    # The model knows 130 languages; with the rarer ones it means: none that it is sure of.
    return _NAMES.get(language) or (language if " " in language else "a language that cannot be told")


@cache
def _identifier() -> "LanguageIdentifier":
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise CallFailed(
            FailureReason.LANGUAGE,
            "py3langid is not installed, so no language can be told: run make setup, then replay",
        ) from None
    # About a second, once a process.
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
