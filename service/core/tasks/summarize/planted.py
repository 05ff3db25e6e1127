"""Finds texts that ask a model to write or to behave: not one of a customer's or an agent's statements about a contact."""

import re
from pathlib import Path

from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "planted")

_ORDERED = re.compile(_TEXTS["ordered"], re.I)
_ADDRESSED = re.compile(_TEXTS["addressed"], re.I)
_CODE = re.compile(_TEXTS["code"], re.I | re.M)


def asks_for_a_text(text: str) -> bool:
    """Return whether ``text`` asks for a piece of writing, a manner of answering, or a role, or holds program code."""
    return any(pattern.search(text) is not None for pattern in (_ADDRESSED, _ORDERED, _CODE))
