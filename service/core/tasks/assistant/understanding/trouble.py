"""Recognises a customer in trouble by words, in English, Spanish and Polish, before anything else is read in a message."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from service.kit.frame.patterns import pattern_texts

_FILE = Path(__file__).with_name("trouble.yaml")

# Sorted by what must be said first: a message may show several.
TroubleKind = Literal[
    "danger_to_life",
    "abuse",
    "code_given_away",
    "fraud",
    "lost_or_stolen",
    "child",
    "bereavement",
    "confused_caller",
    "cannot_pay",
]
HelpLanguage = Literal["en", "es", "pl"]

_BY_LANGUAGE: Mapping[HelpLanguage, Mapping[TroubleKind, re.Pattern[str]]] = {
    language: {kind: re.compile(rf"(?<!\w)(?:{texts[kind]})") for kind in get_args(TroubleKind)}
    for language in get_args(HelpLanguage)
    for texts in [pattern_texts(_FILE, language)]
}
_HARMLESS = tuple(re.compile(rf"(?<!\w)(?:{text})(?!\w)") for text in pattern_texts(_FILE, "harmless").values())


def gravest(*kinds: TroubleKind | None) -> TroubleKind | None:
    """Return which of ``kinds`` must be spoken to first; None if there is none."""
    return min((kind for kind in kinds if kind is not None), key=get_args(TroubleKind).index, default=None)


@lru_cache(maxsize=2_048)  # each turn reads the messages before it again
def trouble_in(message: str, language: HelpLanguage = "en") -> TroubleKind | None:
    """Return the trouble that a message in ``language`` tells of, the gravest if there are several; None if it tells of none."""
    text = without_pictures(message) if language == "en" else _plain(message)
    return next((kind for kind, pattern in _BY_LANGUAGE[language].items() if pattern.search(text)), None)


@lru_cache(maxsize=2_048)
def without_pictures(message: str) -> str:
    """Return an English ``message``, in plain letters, without its pictures of speech ("my phone died")."""
    text = _plain(message)
    for harmless in _HARMLESS:
        text = harmless.sub(" ", text)
    return text


def _plain(message: str) -> str:
    folded = unicodedata.normalize("NFKD", message.casefold().replace("ł", "l").replace("’", "'"))
    return " ".join("".join(char for char in folded if not unicodedata.combining(char)).split())
