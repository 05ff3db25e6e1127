"""The extractive digest: a deterministic summary from statements of the interactions, without a model."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from service.grounding.language import language_of
from service.grounding.lexicon import OPENERS, ORDINARY
from service.grounding.quotable import addresses_reader, cleaned, secrets_in, why_not
from service.grounding.relative_days import in_english
from service.grounding.text import fold, sentences
from service.interactions.interaction import Interaction

MODEL_ID = "local.extractive-digest-v2"

# Signals of what the next agent must know: danger, money, promises, open and refused matters. The weights were chosen by
# reading digests of the dev and challenge cases, not fitted.
_SAFETY = re.compile(
    r"\b(?:suicid|kill (?:my|him|her|them|your)sel|end (?:it all|my life)|(?:want|going) to die|overdos|welfare check"
    r"|threat(?:s|ened|ens)?\b|shoot|gun\b|weapon|bomb|gas (?:smell|leak|odor)|rotten|smell(?:s|ed)? gas|carbon monoxide"
    r"|generator\b.{0,30}\b(?:in the (?:house|basement|garage)|indoors|inside|basement)|wire (?:is )?down|downed (?:wire|line)"
    r"|sparks|sparking|smok(?:e|ing)\b|humming|on fire|ventilator|oxygen|dialysis|life support"
    r"|batter(?:y|ies) (?:left|last)|headaches?|vomit)",
    re.I,
)
_SIGNALS: tuple[tuple[re.Pattern[str], float], ...] = (
    (_SAFETY, 3.0),
    (re.compile(r"\$\s?\d"), 3.0),
    (re.compile(r"\b(promis|will\b|by (mon|tue|wed|thu|fri|sat|sun)|within \d|call ?back|follow)", re.I), 2.0),
    (
        re.compile(
            r"\b(pending|open|unresolved|escalat|still|waiting|not (yet|been)|never|no (one|credit|response))", re.I
        ),
        2.0,
    ),
    (
        re.compile(
            r"\b(disput|refund|credit|fee|charge|shut|disconnect|outage|deposit|medical|fraud|supervisor|complain)",
            re.I,
        ),
        1.5,
    ),
    (re.compile(r"\b(\d{1,2}/\d{1,2}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*\.? ?\d", re.I), 1.0),
    (re.compile(r"\d"), 0.5),
)
_NOISE = re.compile(
    r"^(hi|hello|hey|dear|thanks?|thank you|regards|best|sent from|ok(ay)?|agent:?\s*(hi|hello))\b", re.I
)
# A later statement replaces an earlier one if it is a correction and both share words.
_CORRECTS = re.compile(
    r"\b(?:correction|correcting|corrects|was (?:wrong|incorrect|a mistake|an error)|typo|scratch that|supersedes|replaces the"
    r"|wrong (?:date|amount|number|note|acct|account|customer|person))\b",
    re.I,
)
_CORRECTIVE = re.compile(r"correct(?:ion|ed)", re.I)
_SHARED_WORDS = 2
_MOST_CORRECTIONS = 20
_SAME = 0.8
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_FORM_BLANKS = re.compile(r"_{3,}")
# Notes omit the dollar sign: "PD 204.15". ``service.grounding.check`` also reads two decimals without a unit as an amount.
_BARE_AMOUNT = re.compile(
    r"(?<![\w$€£.,:/#+-])(?<!\bv )(?:\d{1,3}(?:,\d{3}){1,2}|\d{1,5})\.\d\d"
    r"(?![\w%.:/-]|,\d|\s?(?:%|kwh?|c/|cents?|hrs?|hours|am\b|pm\b|therms|volts?|v\b))",
    re.I,
)
_AMOUNT = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3}){1,2}\.\d\d|\d{1,5}\.\d\d)(?!\d)")
_OWED = re.compile(r"\b(?:owes?|owed|past due|bal(?:ance)?|arrears|due|cut|disc(?:onnect\w{0,6})?|shut.?off)\b", re.I)
# "CARD 894.10 APPROVED", "pd 204.15": a debt that a later contact settles is left out of the digest.
_SETTLED = re.compile(
    r"(?<!not )\b(?:paid|pd|received|posted|cleared)\b.{0,20}?\d\.\d\d(?!\d)"
    r"|\b\d[\d,]{0,8}\.\d\d\b (?:was |is |has |been ){0,2}(?:paid|pd|approved|received|posted|cleared)\b",
    re.I,
)
# If another customer's data was disclosed, a person who is named with a debt may be that other customer.
_DISCLOSED = re.compile(
    r"\bthird.party (?:acct|account|info|customer)|\b(?:another|other|wrong) customer'?s?\b|\b(?:somebody|someone) else's\b"
    r"|\bstranger'?s?\b|\bprivacy (?:incident|breach|case|complaint)",
    re.I,
)
_PERSON = re.compile(r"\b[A-Z][a-zA-Z'-]{1,20},? [A-Z][a-zA-Z'-]{1,20}\b")
_OPTIONS = re.compile(r"\w /[^/\n]{1,24} / ?\w")
# Years from 2040 are typing errors in notes written before 2040.
_IMPOSSIBLE_DATE = re.compile(r"\b\d{1,2}/\d{1,2}/20[4-9]\d\b")
_REPLY = re.compile(r"^[ \t]*[↳→⤷]\s*@(\w{1,40}):?(.{0,400})", re.M)
_GIVEN_NAME = re.compile(r"\b[A-Z][a-z]{1,20}\b")
_REFERENCE = re.compile(r"\$\s?\d{1,3}(?:,\d{3}){0,3}(?:\.\d\d)?\b|\b[A-Z]{2,4}[- ]?\d{2,6}(?:-\d{1,4})?\b")
_SAID_DAY = re.compile(r"\b(\d{1,2}) (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*", re.I)
_LABELS = {"mobile_app": "mobile app"}
_WORD_BUDGET = 100
_STATEMENT_WORDS = 34
_STATEMENT_CHARS = 300
_NOTE_VALUES = 8
# Only the start and end of a longer text are read: 200 interactions of 20,000 characters must not use up the deadline.
_HEAD_CHARS, _TAIL_CHARS = 3000, 1500
_MOST_TRIED = 400


@dataclass(frozen=True)
class _Note:
    """One interaction with its cleaned text; ``bystanders`` are names of other people who wrote in its thread."""

    item: Interaction
    text: str
    language: str | None
    bystanders: frozenset[str]

    @property
    def when(self) -> str:
        return f"{self.item.timestamp:%b} {self.item.timestamp.day} {_channel(self.item)}"

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """Paragraphs, or the lines of a text without paragraphs."""
        paragraphs = [part for part in _PARAGRAPH_END.split(self.text) if part.strip()]
        return tuple(paragraphs if len(paragraphs) > 1 else (line for line in self.text.split("\n") if line.strip()))

    @cached_property
    def foreign(self) -> dict[str, str]:
        """The text in each language other than English: the whole text, or single lines of an English one."""
        if self.language:
            return {self.language: self.text}
        found: dict[str, str] = {}
        for line in self.text.split("\n"):
            if line.strip() and (language := language_of(line)):
                found[language] = f"{found.get(language, '')}{line}\n"
        return found

    @cached_property
    def spoilt(self) -> frozenset[int]:
        """Indexes of the blocks that hold an instruction to a model: nothing in them is quoted."""
        found = frozenset(number for number, block in enumerate(self.blocks) if addresses_reader(block))
        if not found and addresses_reader(" ".join(self.text.split())):
            return frozenset(range(len(self.blocks)))  # an instruction wrapped over several lines
        return found


@dataclass(frozen=True, slots=True)
class _Statement:
    note: _Note
    position: int
    block: int
    place: int
    text: str
    words: int
    weight: float


def extractive_digest(interactions: Sequence[Interaction]) -> str:
    """Return a digest of at most about 105 words; the same interactions, oldest first, give the same text.

    It states counts, dates, channels and intents, then statements about danger, money, promises and open matters; newer
    interactions are preferred when space is short. Statements that ``service.grounding.quotable`` rejects are left out. For texts
    in other languages it gives amounts, references and dates only. An empty history gives "No interactions found."
    """
    if not interactions:
        return "No interactions found."
    notes = [_read(item) for item in interactions]
    secrets = frozenset[str]().union(*(secrets_in(note.text) for note in notes))
    opening = [_head(interactions), *_foreign(notes)]
    closing = _outcome(notes[-1])
    left = _WORD_BUDGET - len(" ".join([*opening, closing]).split())
    chosen = _choose(_statements(notes), left, secrets)
    parts = opening
    last = -1
    for statement in sorted(chosen, key=lambda s: (s.position, s.place)):
        prefix = "" if statement.position == last else f"{notes[statement.position].when}: "
        parts.append(f"{prefix}{statement.text}")
        last = statement.position
    return " ".join([*parts, closing]).strip()


def signal_weight(sentence: str) -> float:
    """Return how important a sentence is for the next agent: the sum of the weights of its signals, 0 for small talk."""
    return sum(value for pattern, value in _SIGNALS if pattern.search(sentence))


def _read(item: Interaction) -> _Note:
    raw = item.text
    if len(raw) > _HEAD_CHARS + _TAIL_CHARS:
        # Cut at white space, so that no part of a number or word is quoted.
        raw = f"{raw[:_HEAD_CHARS].rpartition(' ')[0]}\n{raw[-_TAIL_CHARS:].partition(' ')[2]}"
    bystanders: set[str] = set()
    if item.channel == "social":
        for match in _REPLY.finditer(raw):
            names = (name for name in _GIVEN_NAME.findall(match[2]) if name.lower() not in ORDINARY | OPENERS)
            bystanders |= {match[1].lower(), *(name.lower() for name in names)}
        raw = _REPLY.sub("", raw)
    text = _IMPOSSIBLE_DATE.sub("", cleaned(raw)) if item.timestamp.year < 2040 else cleaned(raw)
    return _Note(item, text, language_of(text), frozenset(bystanders))


def _choose(candidates: list[_Statement], words: int, secrets: frozenset[str]) -> list[_Statement]:
    # Dividing by the square root of the length prefers two short statements to one long one, without preferring fragments.
    by_value = sorted(candidates, key=lambda s: (-s.weight / s.words**0.5, -s.position, s.place))
    chosen: list[_Statement] = []
    said: list[frozenset[str]] = []
    for statement in by_value[:_MOST_TRIED]:
        prefix = 0 if any(statement.position == other.position for other in chosen) else 3
        if statement.words + prefix > words:
            continue
        content = frozenset(fold(statement.text).split())
        if any(len(content & other) >= _SAME * len(content | other) for other in said) or not _may_quote(
            statement, secrets
        ):
            continue
        chosen.append(statement)
        said.append(content)
        words -= statement.words + prefix
    return chosen


def _may_quote(statement: _Statement, secrets: frozenset[str]) -> bool:
    # Expensive, so it is checked last, for the few statements that would be chosen.
    lowered = statement.text.lower()
    return not (
        any(secret in lowered for secret in secrets)
        or why_not(statement.text) is not None
        or statement.block in statement.note.spoilt
    )


def _head(interactions: Sequence[Interaction]) -> str:
    first, last = interactions[0].timestamp, interactions[-1].timestamp
    channels = list(dict.fromkeys(_channel(item) for item in interactions))
    intents = list(dict.fromkeys(intent for item in interactions if (intent := _intent(item))))
    noun = "interaction" if len(interactions) == 1 else "interactions"
    when = (
        f"on {first:%b} {first.day}"
        if first.date() == last.date()
        else f"from {first:%b} {first.day} to {last:%b} {last.day}"
    )
    about = f" about {_join(intents[-2:])}" if intents else ""
    return f"{len(interactions)} {noun} {when} via {_join(channels[-3:])}{about}."


def _intent(item: Interaction) -> str:
    intent = " ".join(cleaned(item.intent).split())
    return intent if len(intent) <= 40 and why_not(intent) is None else ""


def _outcome(note: _Note) -> str:
    outcome = " ".join(cleaned(note.item.outcome or "").split()).rstrip(".")
    short = 0 < len(outcome.split()) <= 20
    return f"Latest outcome: {outcome}." if short and not note.language and why_not(outcome) is None else ""


def _foreign(notes: Sequence[_Note]) -> Iterator[str]:
    """Yield a sentence per language other than English: its interactions, amounts, references and dates."""
    for language in dict.fromkeys(language for note in notes for language in note.foreign):
        among = [note for note in notes if language in note.foreign]
        values: dict[str, None] = {}
        for note in reversed(among):
            text = in_english(note.foreign[language])
            found = [(m.start(), m[0]) for m in _REFERENCE.finditer(text) if why_not(m[0]) is None]
            found += [(m.start(), f"{m[2][:3].capitalize()} {m[1]}") for m in _SAID_DAY.finditer(text)]
            values |= dict.fromkeys(value for _, value in sorted(found))
        where = among[0].when if len(among) == 1 else f"{among[0].when} to {among[-1].when}"
        part = "" if all(note.language for note in among) else "partly "
        told = f", naming {', '.join(list(values)[:_NOTE_VALUES])}" if values else ""
        yield f"{where} {part}in {language}, not quoted{told}."


def _channel(item: Interaction) -> str:
    return _LABELS.get(item.channel, item.channel)


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _statements(notes: Sequence[_Note]) -> list[_Statement]:
    found: list[_Statement] = []
    seen: set[str] = set()
    paid = _settled_amounts(notes)
    private = any(_DISCLOSED.search(note.text) for note in notes)
    for position, note in enumerate(notes):
        if note.language:
            continue
        recency = 1.5 * (position + 1) / len(notes)
        form = len(_FORM_BLANKS.findall(note.text)) > 1
        place = 0
        for number, block in enumerate(note.blocks):
            for raw in sentences(block):
                place += 1
                quoted = raw.startswith(">")  # quoted from an earlier e-mail of the thread
                text = _BARE_AMOUNT.sub(r"$\g<0>", " ".join(raw.lstrip("> ").split()))
                words = len(text.split())
                if (
                    words < (5 if form else 3)  # probably the label of an empty form field
                    or (form and _OPTIONS.search(text))
                    or words > _STATEMENT_WORDS
                    or len(text) > _STATEMENT_CHARS
                    or _NOISE.match(text)
                    or text.lower() in seen
                    or any(name in text.lower() for name in note.bystanders)
                ):
                    continue
                seen.add(text.lower())
                weight = signal_weight(text) + recency
                weight -= 1.5 if quoted else 0.0
                whole = text if text[-1] in ".!?" else text.rstrip(";,:") + "."
                found.append(_Statement(note, position, number, place, whole, words, weight))
    return _without_superseded([s for s in found if not (_settled(s, paid) or (private and _names_a_debtor(s.text)))])


def _settled_amounts(notes: Sequence[_Note]) -> dict[str, int]:
    """Return each amount that is stated as paid, with the last interaction (by position) that states it."""
    return {
        amount[1]: position
        for position, note in enumerate(notes)
        for said in _SETTLED.finditer(note.text)
        for amount in _AMOUNT.finditer(said[0])
    }


def _settled(statement: _Statement, paid: dict[str, int]) -> bool:
    return bool(_OWED.search(statement.text)) and any(
        paid.get(amount[1], -1) > statement.position for amount in _AMOUNT.finditer(statement.text)
    )


def _names_a_debtor(text: str) -> bool:
    return bool(_OWED.search(text) and _PERSON.search(text))


def _without_superseded(statements: list[_Statement]) -> list[_Statement]:
    """Return ``statements`` without those that a later interaction corrects."""
    corrections = [
        (statement.position, _content(statement.text))
        for statement in statements
        if _CORRECTS.search(statement.text)
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
            statement.position < position and len(_content(statement.text) & words) >= _SHARED_WORDS
            for position, words in by_position.items()
        )
    ]


def _content(text: str) -> frozenset[str]:
    return frozenset(word for word in fold(text).split() if len(word) > 3 or any(c.isdigit() for c in word))
