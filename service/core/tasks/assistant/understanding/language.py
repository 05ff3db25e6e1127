"""Tells in which of the known languages a message is written, by its commonest words."""

import re
from functools import lru_cache
from pathlib import Path

from service.core.tasks.assistant.understanding.trouble import HelpLanguage
from service.kit.frame.patterns import word_list

_FILE = Path(__file__).with_name("patterns.yaml")
_WORDS = {language: frozenset(word_list(_FILE, f"language_{language}").split()) for language in ("en", "es", "pl")}
_SIGNS: tuple[tuple[HelpLanguage, re.Pattern[str]], ...] = (
    ("pl", re.compile(r"[ąćęłńśźż]")),
    ("es", re.compile(r"[¿¡ñ]")),
)
_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=2_048)  # each turn reads the messages before it again
def language_of(message: str) -> HelpLanguage | None:
    """Return the language of ``message``; None if it has too few words to tell, such as a number."""
    text = message.casefold()
    words = _WORD.findall(text)
    found: dict[HelpLanguage, int] = {
        language: sum(word in _WORDS[language] for word in words) for language in ("en", "es", "pl")
    }
    for language, sign in _SIGNS:
        if sign.search(text):
            found[language] += 2
    best = max(found, key=lambda language: found[language])
    if not found[best]:
        return None
    return "en" if found["en"] >= found[best] else best
