"""Splits notes into the statements that an extractive digest may choose from, without those that later contacts overtake."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.core.statements.grounding.text import fold, sentences
from service.core.tasks.summarize.notes import Note
from service.core.tasks.summarize.shorthand import written_out
from service.kit.frame.patterns import pattern_texts

_TEXTS = pattern_texts(Path(__file__).with_name("patterns.yaml"), "statements")

_GREETING = re.compile(_TEXTS["greeting"], re.I)
_SMALL_TALK = re.compile(
    r"^(?:hi|hello|hey|dear|thanks?|thank you|regards|best|sent from|ok(?:ay)?|happy to|glad to)\b", re.I
)
_SMALL_TALK_WORDS = 7
_WRITTEN_OUT_WORDS = 4
_CLAUSE = re.compile(r"(?<=[,)]) (?=(?:and|but|so|which|then|because|if|while|although)\b)| (?:-{1,2}|[–—]) ")
# A later statement replaces an earlier one if it is a correction and both share words.
_CORRECTS = re.compile(_TEXTS["corrects"], re.I)
_CORRECTIVE = re.compile(r"correct(?:ion|ed)", re.I)
_SHARED_WORDS = 2
_MOST_CORRECTIONS = 20
_FORM_BLANKS = re.compile(r"_{3,}")
# Notes omit the dollar sign: "PD 204.15". ``service.core.statements.grounding.check`` also reads two decimals
# without a unit as an amount.
_BARE_AMOUNT = re.compile(_TEXTS["bare_amount"], re.I)
# "65 recon fee", "pay 275 by": a whole number beside a word for money.
_AFTER_PAYING = "|".join(
    rf"(?<=\b{word} )" for word in ("paid", "pay", "pd", "owes", "owe", "offers", "offered", "fee")
)
_WHOLE_AMOUNT = re.compile(_TEXTS["whole_amount"], re.I)
_AMOUNT = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3}){1,2}\.\d\d|\d{1,5}\.\d\d)(?!\d)")
_OWED = re.compile(r"\b(?:owes?|owed|past due|bal(?:ance)?|arrears|due|cut|disc(?:onnect\w{0,6})?|shut.?off)\b", re.I)
# "CARD 894.10 APPROVED", "pd 204.15": a debt that a later contact settles is left out of the digest.
_SETTLED = re.compile(_TEXTS["settled"], re.I)
# If another customer's data was disclosed, a person who is named with a debt may be that other customer.
_DISCLOSED = re.compile(_TEXTS["disclosed"], re.I)
_PERSON = re.compile(r"\b[A-Z][a-zA-Z'-]{1,20},? [A-Z][a-zA-Z'-]{1,20}\b")
_OPTIONS = re.compile(r"\w /[^/\n]{1,24} / ?\w")
_STATEMENT_WORDS = 45
_STATEMENT_CHARS = 360
_COLUMN = re.compile(r"(?<!\s)\s?\|\s?")
_STEP = re.compile(r"(?<=[\w.:)'\"]) ?> ?(?=[\w$'\"])")
# Tags and initials are looked for in the end of a line only: over a whole hostile line that would take quadratic time.
_END_CHARS = 120
# "#fifthtime @everyone" at the end of a post.
_TAGS = re.compile(r"(?:\s+[#@][A-Za-z]\w{0,40})+[.!?]*\s*$")
_MENTIONED = re.compile(r"^(?:\.?@\w{1,40}[:,]?\s+)+")
_SIGNED = re.compile(r"\s+(?:[*^/~-]{1,2}\s?[A-Z]{1,3}|[\^*][A-Z][a-z]{1,12})\s*$")
# These words make a statement somebody's own speech, which is quoted: the digest itself speaks in the third person.
_PERSONAL = re.compile(
    r"\b(?:i|i'm|im|i've|ive|i'd|i'll|me|my|mine|myself|we|we're|we've|we'll|we'd|us|our|ours|you|you're|you've|you'll|your"
    r"|yours|u|ur|let's|please|pls|plz)\b",
    re.I,
)
_NEGATIVE = re.compile(r"\b(?:no|not|none|nothing|nobody|never)\b", re.I)
# What an agent saw and kept from the caller is another customer's.
_WITHHELD = re.compile(
    r"\b(?:gave|told|disclosed|shared|released|read) (?:(?:him|her|them|cust\w*|caller) )?(?:nothing|none)\b"
    r"|\bnot (?:disclosed|shared|given out)\b",
    re.I,
)
# A contemptuous name for a customer, faces and outcries drawn with signs, and blanks.
_SCORN = re.compile(r"\b(?:karens?|senile)\b|\^\^|!\?!|__")
# "tomorrow, Nov 5": the day is relative to the contact, and a reader takes it as relative to today.
_TWO_DAYS = re.compile(r"\b(?:today|tomorrow|tonight|yesterday)\b\W{1,3}(?:on )?(?:[A-Z][a-z]{2,8}\.? )?\d", re.I)
_COUNTRY = re.compile(r"\bU\.?S\.?\b")
# "Reply STOP to opt out", "Call before you dig": an order to somebody, quoted as well.
_ORDERS = """
    do don't never always reply call keep send visit press log go check use allow contact ask tell give make let
    click stay leave turn bring mail upload download enter select see note remember expect take put get try wait
    look read have be stop write create explain describe provide list imagine add include generate complete
    determine consider ensure find show help teach start continue follow act answer respond repeat translate
    summarize summarise render attempt develop enhance introduce
"""
_ORDER = re.compile(rf"^(?:please |kindly |can you |could you )?(?:{'|'.join(_ORDERS.split())})\b", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSentence:
    """A sentence of a note: as it was written, and as the digest shows it (shorthand written out, or speech in quotes).

    ``position``, ``block`` and ``place`` count notes, paragraphs of the note, and its sentences from 1. ``order``: it tells
    somebody to do something. ``from_thread``: it is repeated from an earlier e-mail.
    """

    note: Note
    position: int
    block: int
    place: int
    speaker: str
    source: str
    shown: str
    words: int
    order: bool
    from_thread: bool


def statements_of(notes: Sequence[Note]) -> list[NoteSentence]:
    """Return the statements of the English notes in their order, each text once."""
    found: list[NoteSentence] = []
    seen: set[str] = set()
    paid = _settled_amounts(notes)
    private = any(_DISCLOSED.search(note.text) for note in notes)
    for position, note in enumerate(notes):
        if note.language:
            continue
        found += _split(note, position, seen)
    return _without_superseded([s for s in found if not (_settled(s, paid) or (private and _names_a_debtor(s.source)))])


def _split(note: Note, position: int, seen: set[str]) -> list[NoteSentence]:
    # ``seen`` holds the texts of all notes so far, in lower case.
    found: list[NoteSentence] = []
    form = len(_FORM_BLANKS.findall(note.text)) > 1
    place = 0
    for number, block in enumerate(note.blocks):
        for line in block.split("\n"):
            speaker, said = note.spoken(line)
            for raw in _pieces(_as_prose(_bare(said))):
                place += 1
                text = _WHOLE_AMOUNT.sub(r"$\g<0>", _BARE_AMOUNT.sub(r"$\g<0>", " ".join(raw.lstrip("> ").split())))
                key = text.lower()
                if key not in seen and _is_statement(text, note, form=form):
                    seen.add(key)
                    shown = _shown(text)
                    found.append(
                        NoteSentence(
                            note=note,
                            position=position,
                            block=number,
                            place=place,
                            speaker=speaker,
                            source=text,
                            shown=shown,
                            words=len(shown.split()),
                            order=_ORDER.match(text) is not None,
                            from_thread=line.startswith(">"),
                        )
                    )
    return found


def _bare(said: str) -> str:
    """Return a line without the people whom it addresses, and without the tags and initials that end it."""
    body, end = said[:-_END_CHARS], said[-_END_CHARS:]
    return _MENTIONED.sub("", body + _TAGS.sub("", _SIGNED.sub("", end)))


def _pieces(line: str) -> Iterator[str]:
    """Yield the sentences of a line without greetings; those that are too long clause by clause."""
    for sentence in sentences(line):
        bare = _GREETING.sub("", sentence)
        yield from [bare] if len(bare.split()) <= _STATEMENT_WORDS else _CLAUSE.split(bare)


def _as_prose(line: str) -> str:
    """Return a line of a log ("PAY>CARD | APPROVED") with commas, and without asterisks."""
    if "<" not in line:  # otherwise the signs may be markup, which is not quoted
        line = _STEP.sub(", ", _COLUMN.sub(", ", line))
    return line.replace("*", "")


def _is_statement(text: str, note: Note, *, form: bool) -> bool:
    words = len(text.split())
    return not (
        words < (5 if form else 2 if _NEGATIVE.search(text) else 3)  # probably the label of an empty form field
        or _WITHHELD.search(text)
        or _TWO_DAYS.search(text)
        or _SCORN.search(text)
        or (form and _OPTIONS.search(text))
        or words > _STATEMENT_WORDS
        or len(text) > _STATEMENT_CHARS
        or (words < _SMALL_TALK_WORDS and _SMALL_TALK.match(text))
        or any(name in text.lower() for name in note.bystanders)
    )


def _shown(text: str) -> str:
    bare = text.rstrip(";,:")
    if _ORDER.match(bare) or _PERSONAL.search(_COUNTRY.sub("", bare)):
        # The full stop follows the closing mark: a sentence ends where the digest's does.
        return f'"{bare.rstrip(".").replace(chr(34), chr(39))}".'
    # A few words alone are shown as they stand: written out, they could read like a decision that nobody stated.
    whole = written_out(bare) if len(bare.split()) >= _WRITTEN_OUT_WORDS else bare
    return whole if whole[-1:] in ".!?" else f"{whole}."


def _settled_amounts(notes: Sequence[Note]) -> dict[str, int]:
    """Return each amount that is stated as paid, with the last interaction (by position) that states it."""
    return {
        amount[1]: position
        for position, note in enumerate(notes)
        for said in _SETTLED.finditer(note.text)
        for amount in _AMOUNT.finditer(said[0])
    }


def _settled(statement: NoteSentence, paid: dict[str, int]) -> bool:
    return bool(_OWED.search(statement.source)) and any(
        paid.get(amount[1], -1) > statement.position for amount in _AMOUNT.finditer(statement.source)
    )


def _names_a_debtor(text: str) -> bool:
    return bool(_OWED.search(text) and _PERSON.search(text))


def _without_superseded(statements: list[NoteSentence]) -> list[NoteSentence]:
    """Return ``statements`` without those that a later interaction corrects."""
    corrections = [
        (statement.position, _content(statement.source))
        for statement in statements
        if _CORRECTS.search(statement.source)
        or _CORRECTIVE.search(f"{statement.note.item.intent} {statement.note.item.outcome}")
    ][-_MOST_CORRECTIONS:]
    if not corrections:
        return statements
    by_position: dict[int, frozenset[str]] = {}
    for position, words in corrections:
        by_position[position] = by_position.get(position, frozenset()) | words
    return [
        statement
        for statement in statements
        if not any(
            statement.position < position and len(_content(statement.source) & words) >= _SHARED_WORDS
            for position, words in by_position.items()
        )
    ]


def _content(text: str) -> frozenset[str]:
    return frozenset(word for word in fold(text).split() if len(word) > 3 or any(c.isdigit() for c in word))
