"""Looks up a name in the words of a history, in the forms in which notes write it: shortened, as initials, as a code."""

import re

from service.core.statements.grounding.history_facts import WORD, HistoryFacts
from service.core.statements.grounding.lexicon import OPENERS, ORDINARY, ROLES

# Shortened to a form that no rule below derives.
_SHORT_FORMS = {
    word: frozenset(forms.split())
    for word, forms in {
        "road": "rd", "lane": "ln", "street": "st", "avenue": "ave av", "drive": "dr", "court": "ct", "boulevard": "blvd bl",
        "place": "pl", "circle": "cir", "terrace": "ter", "highway": "hwy", "parkway": "pkwy pky", "square": "sq", "mount": "mt",
        "mountain": "mtn", "fort": "ft", "saint": "st", "heights": "hts", "apartment": "apt", "apartments": "apts",
        "building": "bldg", "suite": "ste", "north": "n", "south": "s", "east": "e", "west": "w", "company": "co", "county": "co",
        "brothers": "bros", "limited": "ltd", "incorporated": "inc", "center": "ctr", "centre": "ctr", "international": "intl",
        "association": "assn", "government": "govt", "university": "univ", "hospital": "hosp", "insurance": "ins",
        "authority": "auth", "commission": "comm", "doctor": "dr", "junior": "jr", "senior": "sr", "canadian": "cad",
        "canada": "cad", "british": "gbp uk", "britain": "uk", "mexican": "mxn", "european": "eur euros", "american": "us usa",
    }.items()
}  # fmt: skip
_LONG_FORMS = {
    short: {word for word in _SHORT_FORMS if short in _SHORT_FORMS[word]}
    for forms in _SHORT_FORMS.values()
    for short in forms
}
# Postal codes of the states and provinces, which count in capitals only: "in" and "or" are words.
_CODES = {
    name: code
    for code, name in (
        pair.split("=")
        for pair in (
            "AL=alabama AK=alaska AZ=arizona AR=arkansas CA=california CO=colorado CT=connecticut DE=delaware"
            " FL=florida"
            " GA=georgia HI=hawaii ID=idaho IL=illinois IN=indiana IA=iowa KS=kansas KY=kentucky LA=louisiana ME=maine"
            " MD=maryland MA=massachusetts MI=michigan MN=minnesota MS=mississippi MO=missouri MT=montana"
            " NE=nebraska NV=nevada"
            " OH=ohio OK=oklahoma OR=oregon PA=pennsylvania TN=tennessee TX=texas UT=utah VT=vermont VA=virginia"
            " WA=washington"
            " WI=wisconsin WY=wyoming ON=ontario QC=quebec BC=british AB=alberta MB=manitoba SK=saskatchewan NS=nova"
        ).split()
    )
}

_STATES = {code.lower(): name for name, code in _CODES.items()}


class NameForms:
    """The words of a history against which names are looked up."""

    def __init__(self, facts: HistoryFacts, written_words: frozenset[str]) -> None:
        """``written_words`` are those of the texts and of the channels."""
        self._facts, self._written = facts, written_words

    def hold(self, words: tuple[str, ...]) -> bool:
        """Return whether the history names ``words`` (lower case), in full or in another form of all of them."""
        if all(self._has(word) for word in words):
            return True
        # "Social Security" where the notes write SSN (n for number) or SSA.
        letters = "".join(word[0] for word in words)
        return len(words) > 1 and bool({letters, f"{letters}n", f"{letters}a"} & self._facts.capitals)

    def hold_letters(self, letters: str) -> bool:
        """Return whether ``letters`` are a word of the history, a part of one in CamelCase, or initials of its words."""
        return letters in self._written or letters in self._facts.camel_words or letters in self._facts.initials

    def _has(self, word: str) -> bool:
        return all(
            any(self.hold_letters(form) for form in (part, part.removesuffix("s"), f"{part}s")) or self._shortened(part)
            for part in WORD.findall(word)
        )

    def _shortened(self, word: str) -> bool:
        """Return whether the notes abbreviate the word: to 4 letters or more ("REV PROT"), 3 capitals, or consonants ("Crk")."""
        other_forms = (*_SHORT_FORMS.get(word, ()), *_LONG_FORMS.get(word, ()))
        if not self._written.isdisjoint(other_forms) or _CODES.get(word) in self._facts.codes:
            return True
        if _STATES.get(word) in self._written:
            return True
        consonants = word[:1] + re.sub(r"[aeiouy]", "", word[1:])
        if 2 < len(consonants) < len(word) and self.hold_letters(consonants):
            return True
        # "this" is no abbreviation of "Thistlewood".
        starts = {word[:length] for length in range(4, len(word) - 2)} - ORDINARY - ROLES - OPENERS
        short = word[:3] in self._facts.capitals or (len(word) > 5 and word[:3] in self._facts.dotted)
        return any(map(self.hold_letters, starts)) or short
