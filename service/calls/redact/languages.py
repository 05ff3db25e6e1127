"""Refuses calls with turns in a language that the redactor does not cover, before anything of them is stored or sent.

A redactor for English finds nothing in a German turn, so that "nothing found" would mean nothing. Languages are recognised by
py3langid (Lui and Baldwin 2012); the model comes in the package. Of the 176 labelled calls with 2,040 turns five
are refused, each for a turn that is Spanish, at least in part (2026-11-23).
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from service.calls.failure import CallFailed, FailureReason
from service.core.redaction.entities import ANY_TAG
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
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_FEWEST_WORDS = 4
# A language is judged in pieces, so that a German sentence inside a long English turn is not outvoted.
_PIECE, _STEP = 12, 8
_SURE = 0.6  # the least share of all other languages together
_HARDLY = 0.02  # the most that English, with Nigerian Pidgin, may have beside them
_ENGLISH_WORDS = frozenset(
    "the a an and or of to in is was were be been for on with at by from not it he she they we you i his her their our my "
    "your this that has have had will would can could but as if so me him them us do does did are am about".split()
)
_MOST_ENGLISH = 0.15


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
    short: dict[str, list[str]] = {}
    told = 0
    for index, turn in enumerate(turns):
        if not _long_enough(turn.text):
            short.setdefault(turn.speaker, []).append(turn.text)
            continue
        languages = set(_languages_of(turn.text))
        for language in sorted(languages - set(covered)):
            raise _refused(f"turn {index}", language, covered, by)
        found.update(sorted(languages - {ENGLISH})[:1] or [ENGLISH])
        told += 1
    for speaker, texts in short.items():
        for language in sorted(set(_languages_of(" ".join(texts))) - set(covered)):
            raise _refused(f"what the {speaker} says in short turns", language, covered, by)
    if told < len(turns) and turns:
        found[found.most_common(1)[0][0] if found else ENGLISH] += len(turns) - told
    return dict(sorted(found.items()))


def _languages_of(text: str) -> Iterator[str]:
    words = ANY_TAG.sub(" ", text).lower().split()
    for start in range(0, max(len(words) - (_PIECE - _STEP), 1), _STEP):
        yield _language(" ".join(words[start : start + _PIECE])) or ENGLISH


def _language(piece: str) -> str | None:
    """Return the code of the language of ``piece`` if it is clearly not English, else None."""
    words = _WORD.findall(piece)
    if not _long_enough(piece) or sum(word in _ENGLISH_WORDS for word in words) >= _MOST_ENGLISH * len(words):
        return None
    shares = {code: float(share) for code, share in _identifier().rank(piece)}
    others = {code: share for code, share in shares.items() if code in _NAMES}
    if shares["en"] + shares["pcm"] >= _HARDLY or sum(others.values()) < _SURE:
        return None
    found: str = max(others, key=lambda code: others[code])
    return found


def _long_enough(text: str) -> bool:
    plain = ANY_TAG.sub(" ", text)
    return len(_WORD.findall(plain)) >= _FEWEST_WORDS or len(_WITHOUT_SPACES.findall(plain)) >= _FEWEST_WORDS


def _refused(what: str, language: str, covered: Iterable[str], by: str) -> CallFailed:
    remedy = "deliver no such calls until a redactor covers it"
    if language == "es":
        remedy = "set OMNI_REDACTOR=comprehend and OMNI_TRANSCRIBE_LANGUAGE=es-US in AWS, then replay"
    return CallFailed(
        FailureReason.LANGUAGE,
        f"{what} is in {_NAMES.get(language, language)}, and the redactor {by} covers {', '.join(sorted(covered))} alone; "
        f"nothing of the call was kept: {remedy}",
    )


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
