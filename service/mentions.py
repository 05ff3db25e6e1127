"""Finds what a text states that can be looked up: amounts, dates, numbers, ids, counts, channels and names.

A mention is read once, in one sentence, as one kind; what is read is blanked out, so that "Nov 3" is never also the
number 3. Order matters and is the order of ``_READERS``. Weekday and relative words ("Friday", "last week") are not
read.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from service.lexicon import CHANNEL_WORDS, OPENERS, ORDINARY, ROLES, SCALES, SMALL_NUMBERS
from service.text import MONTHS

MentionKind = Literal["amount", "date", "number", "name", "id", "channel", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One checkable statement of a text, as written (``value``) and as read.

    ``number`` is set for amounts, numbers and counts, ``month`` (1 to 12) with ``day`` and ``year`` where written for
    dates, ``token`` for ids (lower case, letters and digits only), ``words`` for names, ``family`` for channels and
    counts (a key of ``CHANNEL_WORDS`` or "all"). ``unit`` is the word after a number, or "in all" for a count of
    the whole history. ``loose`` marks "about",
    "nearly" and the like.
    """

    kind: MentionKind
    value: str
    statement: str
    number: Decimal | None = None
    month: int = 0
    day: int | None = None
    year: int | None = None
    token: str = ""
    words: tuple[str, ...] = ()
    family: str = ""
    unit: str = ""
    loose: bool = False


_WORD_NUMBER = "|".join(sorted([*SMALL_NUMBERS, *SCALES], key=len, reverse=True))
NUMBER_WORDS = re.compile(rf"\b(?:{_WORD_NUMBER})(?:(?:[ -]|\s+and\s+)(?:{_WORD_NUMBER}))*\b", re.I)
_FIGURE = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"

# "may" and "march" are verbs too: alone they count only capitalised and after a word that leads a month in.
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_ORD = r"(?:st|nd|rd|th)?\b"
_DAY = rf"(?:(?:1[3-9]|2\d|3[01]){_ORD}(?!\s*%)|(?:1[0-2]|0?[1-9]){_ORD}(?!\s*(?:[ap]\.?m\b|%)))(?![:.]\d|,\d{{3}})"
_LIST_DAY = _DAY + r"(?!\s+[a-z]+s\b)"
_MORE_DAYS = rf"(?:(?:,\s*{_LIST_DAY})*,?\s*(?:and|&|or)\s+{_LIST_DAY}|\s*(?:-|to|through)\s*{_LIST_DAY})"
MONTH_DAY = re.compile(rf"\b({_MONTH})\s*({_DAY}{_MORE_DAYS}?)(?:,?\s+(20\d\d)\b)?", re.I)
_DAY_MONTH = re.compile(rf"\b({_DAY})\s+(?:of\s+)?({_MONTH})(?:,?\s+(20\d\d)\b)?", re.I)
_MONTH_YEAR = re.compile(rf"\b({_MONTH}),?\s+(20\d\d)\b", re.I)
_MONTH_ALONE = re.compile(
    r"\b(?:(Jan(?:uary)?|Feb(?:ruary)?|Apr(?:il)?|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?"
    r"|Dec(?:ember)?)|(?:(?<=\bin )|(?<=\bsince )|(?<=\bearly )|(?<=\blate )|(?<=\bmid-)|(?<=\bof )|(?<=\blast )"
    r"|(?<=\bfrom )|(?<=\bby ))(March|May))\b"
)
_ISO = re.compile(r"\b(20\d\d)-(\d\d)-(\d\d)(?!\d)")
_SLASH = re.compile(r"(?<![\d/$.#-])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?:/(20\d\d|\d\d))?(?![\d/])")
DAY_DIGITS = re.compile(r"\d{1,2}")

_LOOSE = re.compile(
    r"(?:\b(?:about|around|roughly|approximately|approx\.?|nearly|almost|some|over|under|more than|less than"
    r"|close to|just)|~)\s*$",
    re.I,
)
DOLLARS = re.compile(rf"\$\s?({_FIGURE})(?:\s?(k|thousand)\b)?", re.I)
_DOLLAR_WORDS = re.compile(rf"(?<![\w$.,])({_FIGURE})(?:-|\s*)(?:dollars?|bucks|usd)\b", re.I)
_CENTS = re.compile(rf"(?<![\w$.,])({_FIGURE})\s*(?:cents?\b|¢)", re.I)

_ID_NOUN = (
    r"(?:accounts?|acct|orders?|tickets?|cases?|claims?|confirmation|permits?|checks?|requests?|references?|ref"
    r"|work order|invoices?|complaints?|application|incident|ending(?: in)?)"
)
_ID_MIXED = re.compile(
    r"(?<![\w$.@-])(?![AP]M-)(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[A-Z]{1,8}[A-Za-z]{0,3}(?:-?[A-Z0-9])+(?![\w@])"
)
_ID_DASHED = re.compile(r"(?<![\w$.,-])\d{3,}(?:-\d{2,})+(?![\w-])|(?<![\w$.,-])\d{2,}-\d{4,}(?![\w-])")
_ID_NAMED = re.compile(
    rf"\b{_ID_NOUN}(?:\s+(?:number|no\.?|id))?\s+#?\s?(\d{{3,}})(?![\w,.]?\d)|#\s?(\d{{2,}})\b", re.I
)
_ID_LONG = re.compile(r"(?<![\w$.,])\d{5,}(?![\w]|\.\d)")
_YEARS = re.compile(r"20\d\d-20\d\d")

_NUMBER_ATOM = rf"{_FIGURE}|(?:{_WORD_NUMBER})(?:-(?:{_WORD_NUMBER}))?"
_COUNT_NOUNS = (
    ("phone", r"(?:phone |prior |previous )?(?:calls|voicemails)"),
    ("email", r"e-?mails"),
    ("chat", r"chats(?: sessions?)?|chat sessions"),
    ("sms", r"texts|text messages|sms messages|smses"),
    ("web", r"web (?:requests|forms|messages|contacts)"),
    ("app", r"app (?:messages|reviews|contacts)"),
    ("social", r"tweets|social (?:media )?posts"),
    ("all", r"(?:interactions?|contacts?)(?!\s+(?:numbers?|info|details?|address))"),
)
_COUNTED = re.compile(
    rf"(?<![\w$.,-])({_NUMBER_ATOM})\s+(?:(?!and\b|or\b|to\b)[a-z-]+\s+){{0,2}}?(?:"
    + "|".join(f"(?P<{family}>{nouns})" for family, nouns in _COUNT_NOUNS)
    + r")\b",
    re.I,
)
_SINGLE = re.compile(
    r"\b(?:single|only one|only|just one)\s+(?:[a-z-]+\s+)?(?:(?P<phone>(?:phone |ivr )?call)|(?P<email>e-?mail)"
    r"|(?P<chat>chat)|(?P<sms>text message|sms)|(?P<social>tweet|social post)|(?P<all>interaction|contact))\b"
    r"(?!\s+(?:number|info|detail|address))",
    re.I,
)
_VERB_TIMES = re.compile(
    r"\b(?:(?P<phone>call(?:ed|s)?|phoned)|(?P<email>e-?mailed)|(?P<chat>chatted)|(?P<sms>texted)"
    r"|(?P<all>contacted|wrote|written|reached))\b(?:\s+(?:us|in|out|back|the|utility|company|agent|support|about|it|this))*"
    rf"\s+(?:(?P<n>{_NUMBER_ATOM})(?:\s+times|x)\b|(?P<twice>twice)|(?P<thrice>thrice))",
    re.I,
)
_TIMES = re.compile(rf"(?<![\w$.,])(?:({_NUMBER_ATOM})(?:\s+times|x)\b|(twice)\b|(thrice)\b)", re.I)
TIME_OF_DAY = re.compile(
    r"(?<![\d:$.])([01]?\d|2[0-3])(?::([0-5]\d))?\s?([ap])(?:\.m\.|m\b|\b)|(?<![\d:$.])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])",
    re.I,
)
FIGURES = re.compile(rf"(?<![\w.]){_FIGURE}")
_NUMBER = re.compile(rf"(?<![\w$.@])(?:{_FIGURE})(?=[^\d]|$)")
_UNIT = re.compile(r"[\s-]*(?:(?:calendar|more|full|straight)\s+)?([A-Za-z%]+)")
# "Two things remain", "both issues": the writer's own tally, which no source states.
_TALLY = re.compile(
    r"(?:\s+(?:[a-z-]+\s+)?(?:things?|issues?|items?|matters?|points?|questions?|problems?|topics?|concerns?|records?|notes?"
    r"|sources?|sides?|loose ends|versions?|answers?|departments?|teams?|staff|agents?)\b"
    r"|\s+(?:remain|are|were|left)\b)",
    re.I,
)

_SENTENCE_END = re.compile(r"(?<=[.!?;])(?:[\"')\]]*)\s+|\n+")
_NOT_AN_END = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|Jr|Sr|vs|approx|acct|dept|Apt|a\.m|p\.m|" + "|".join(MONTHS) + r"|sept)|\b[A-Z])\.$",
    re.I,
)
_LEAD = 24  # characters looked back at before a match: longer than any word looked for there
_CLEAN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u2011": "-", "\u00a0": " ", "\u202f": " "}
)

_CAPITALISED = re.compile(r"(?<![\w@#/$.-])[^\W\d_a-z][\w'&]*(?:-[^\W\d_][\w']*)*")
_NAME_VERB = re.compile(
    r"\s+(?:says?|said|asks|asked|wants|wanted|wrote|writes|promised|paid|pays|disputes?|disputed|refuses|refused|agreed"
    r"|accepted|told|offered|confirmed|reports|reported|claims|claimed|denies|denied|thanked|disagrees|insists|owes|expects|sent"
    r"|called|phoned|texted|e-?mailed|tweeted|advised|spoke|waived)\b"
)
# "Authorized Corinne", "Contractor Larkfield": what a name is told about, not a first name.
_DERIVED = ("ed", "ing", "ly", "ist", "ion")
_MIDDLE = frozenset({"of", "de", "la", "del", "and", "&", "the"})


def clean(text: str) -> str:
    """Return ``text`` with typographic quotes, dashes and spaces made plain; the length stays the same."""
    return unicodedata.normalize("NFC", text).translate(_CLEAN)


def without_accents(text: str) -> str:
    """Return ``text`` in lower case with accents dropped, so that "Quiñones" and "quinones" are one word."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def split_sentences(text: str) -> list[str]:
    """Return the trimmed sentences of ``text``; a title, an initial or a month's abbreviation ends none."""
    parts: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if "\n" not in match[0] and _NOT_AN_END.search(text, max(start, match.start() - _LEAD), match.start()):
            continue
        parts.append(text[start : match.start()].strip())
        start = match.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def words_to_number(words: str) -> Decimal:
    """Return the value of English number words, such as "two hundred sixty seven" (267)."""
    total = current = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in SMALL_NUMBERS:
            current += SMALL_NUMBERS[word]
        elif word == "hundred":
            current = (current or 1) * 100
        elif word == "thousand":
            total += (current or 1) * 1000
            current = 0
    return Decimal(total + current)


def read_number(written: str) -> Decimal:
    """Return the value of figures ("1,250.00") or number words ("thirty-five")."""
    return Decimal(written.replace(",", "")) if written[0].isdigit() else words_to_number(written)


def month_number(name: str) -> int:
    """Return 1 to 12 for an English month's name or abbreviation."""
    return MONTHS.index(name[:3].lower()) + 1


@dataclass(slots=True)
class Sheet:
    """One sentence being read: ``left`` is what no reader has taken yet, as long as ``text``."""

    text: str
    left: str

    def take(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Yield the matches of ``pattern`` in what is left, blanking each one out."""
        for match in list(pattern.finditer(self.left)):
            self.blank(match.start(), match.end())
            yield match

    def blank(self, start: int, end: int) -> None:
        """Mark a stretch as read. A bar, not a space, so that words on both sides never join to a phrase."""
        self.left = self.left[:start] + "|" * (end - start) + self.left[end:]

    def mention(self, kind: MentionKind, start: int, end: int, **reading: object) -> Mention:
        """Return a mention of the stretch as written."""
        value = self.text[start:end].strip()
        return Mention(kind=kind, value=value, statement=self.text, **reading)  # type: ignore[arg-type]  # per kind


def read_dates(sheet: Sheet) -> Iterator[Mention]:
    """Yield every date of the sheet; several days after one month are several mentions."""
    for match in sheet.take(_ISO):
        yield sheet.mention("date", *match.span(), month=int(match[2]), day=int(match[3]), year=int(match[1]))
    for match in sheet.take(_SLASH):
        year = None if match[3] is None else int(match[3]) % 100 + 2000
        yield sheet.mention("date", *match.span(), month=int(match[1]), day=int(match[2]), year=year)
    for match in sheet.take(MONTH_DAY):
        year = int(match[3]) if match[3] else None
        for day in DAY_DIGITS.findall(match[2]):
            yield sheet.mention("date", *match.span(), month=month_number(match[1]), day=int(day), year=year)
    for match in sheet.take(_DAY_MONTH):
        day = int(DAY_DIGITS.findall(match[1])[0])
        yield sheet.mention(
            "date", *match.span(), month=month_number(match[2]), day=day, year=int(match[3]) if match[3] else None
        )
    for match in sheet.take(_MONTH_YEAR):
        yield sheet.mention("date", *match.span(), month=month_number(match[1]), year=int(match[2]))
    for match in sheet.take(_MONTH_ALONE):
        yield sheet.mention("date", *match.span(), month=month_number(match[1] or match[2]))


def read_ids(sheet: Sheet) -> Iterator[Mention]:
    """Yield order, ticket, claim, phone and account-like tokens."""
    for pattern in (_ID_MIXED, _ID_DASHED, _ID_LONG):
        for match in pattern.finditer(sheet.left):
            if _YEARS.fullmatch(match[0]):
                continue
            sheet.blank(*match.span())
            yield sheet.mention("id", *match.span(), token=re.sub(r"[^a-z0-9]", "", match[0].lower()))
    for match in _ID_NAMED.finditer(sheet.left):
        group = 1 if match[1] else 2
        sheet.blank(*match.span(group))
        yield sheet.mention("id", *match.span(group), token=match[group])


def read_amounts(sheet: Sheet) -> Iterator[Mention]:
    """Yield amounts of money in dollars; cents are dollars divided by 100."""
    for pattern in (DOLLARS, _DOLLAR_WORDS, _CENTS):
        for match in list(pattern.finditer(sheet.left)):
            number = read_number(match[1])
            if pattern is _CENTS:
                number /= 100
            elif pattern is DOLLARS and match[2]:
                number *= 1000
            loose = bool(_LOOSE.search(sheet.left, max(0, match.start() - _LEAD), match.start()))
            sheet.blank(*match.span())
            yield sheet.mention("amount", *match.span(), number=number, loose=loose)


def read_counts(sheet: Sheet) -> Iterator[Mention]:
    """Yield how often the customer was in touch, and "twice" or "3 times" of anything else as numbers."""
    for match in sheet.take(_VERB_TIMES):
        said = read_number(match["n"]) if match["n"] else Decimal(2 if match["twice"] else 3)
        yield sheet.mention("count", *match.span(), number=said, family=_family(match))
    for pattern in (_COUNTED, _SINGLE):
        for match in list(pattern.finditer(sheet.left)):
            number = read_number(match[1]) if pattern is _COUNTED else Decimal(1)
            if pattern is _COUNTED and match[1].lower() == "one":
                continue  # "one email says": an article, not a tally
            # The channel word stays for the channel reader; the number is read.
            sheet.blank(match.start(), match.end(1) if pattern is _COUNTED else match.start())
            unit = "in all" if pattern is _SINGLE else ""
            yield sheet.mention("count", *match.span(), number=number, family=_family(match), unit=unit)
    for match in sheet.take(_TIMES):
        said = read_number(match[1]) if match[1] else Decimal(2 if match[2] else 3)
        yield sheet.mention("number", *match.span(), number=said, unit="times")


def _family(match: re.Match[str]) -> str:
    return next(family for family, _ in _COUNT_NOUNS if match.groupdict().get(family))


def read_numbers(sheet: Sheet) -> Iterator[Mention]:
    """Yield the remaining numbers, in figures or words; "one", more often an article, is not read."""
    for match in list(TIME_OF_DAY.finditer(sheet.left)):
        if match[4] is None and match[2] is None and not re.search(r"[ap]\.?m", match[0], re.I):
            continue
        sheet.blank(*match.span())
        yield sheet.mention("number", *match.span(), number=Decimal(match[1] or match[4]), unit=clock_key(match))
    for pattern in (_NUMBER, NUMBER_WORDS):
        for match in list(pattern.finditer(sheet.left)):
            number = read_number(match[0])
            rest = sheet.left[match.end() :]
            sheet.blank(*match.span())
            if pattern is NUMBER_WORDS and (number <= 1 or match[0].lower() in SCALES or _TALLY.match(rest)):
                continue
            unit = _UNIT.match(rest)
            loose = bool(_LOOSE.search(sheet.left, max(0, match.start() - _LEAD), match.start()))
            yield sheet.mention(
                "number", *match.span(), number=number, unit=unit[1].lower() if unit else "", loose=loose
            )


def clock_key(match: re.Match[str]) -> str:
    """Return a time of day as ``@minutes`` on a 12-hour dial, so that "1 PM", "1:00" and "13:00" are one time."""
    hour, minute = int(match[1] or match[4]), int(match[2] or match[5] or 0)
    return f"@{hour % 12 * 60 + minute}"


def read_channels(sheet: Sheet) -> Iterator[Mention]:
    """Yield each channel family that the sheet names, once."""
    for family, pattern in CHANNEL_WORDS.items():
        match = pattern.search(sheet.left)
        if match:
            yield sheet.mention("channel", *match.span(), family=family)


def read_names(sheet: Sheet) -> Iterator[Mention]:
    """Yield capitalised sequences; a sentence's first word only with a sign of being a name (see ``_is_name``)."""
    run: list[re.Match[str]] = []
    for match in _CAPITALISED.finditer(sheet.left):
        if not _is_name(match, sheet.left):
            continue
        if run and not _joins(sheet.left[run[-1].end() : match.start()]):
            yield _name(sheet, run)
            run = []
        run.append(match)
    if run:
        yield _name(sheet, run)


def _joins(between: str) -> bool:
    return set(between.split()) <= _MIDDLE and between.isascii() and not set(between) & set("|,.;:()\"'/-")


def _name(sheet: Sheet, run: list[re.Match[str]]) -> Mention:
    words = tuple(_bare(match[0]) for match in run)
    return sheet.mention("name", run[0].start(), run[-1].end(), words=words)


def _bare(word: str) -> str:
    return without_accents(word.removesuffix("'s").rstrip("'"))


def _is_name(match: re.Match[str], sentence: str) -> bool:
    bare = _bare(match[0])
    # "Spanish-language": only the parts written with a capital could name someone.
    parts = [_bare(part) for part in match[0].split("-") if part[:1].isupper()]
    if len(bare) < 2 or bare in ORDINARY or match[0].lower() in ORDINARY or all(part in ORDINARY for part in parts):
        return False
    before = sentence[: match.start()].rstrip(" \"'([*|")
    if before and (before[-1] not in ":.!?" or _NOT_AN_END.search(before[-_LEAD:])):
        return True
    if bare in ROLES or bare in OPENERS:
        return False
    if match[0].endswith("'s") or _NAME_VERB.match(sentence, match.end()):
        return True
    following = _CAPITALISED.match(sentence, match.end() + 1)
    return following is not None and _bare(following[0]) not in ORDINARY and not bare.endswith(_DERIVED)


_READERS: tuple[Callable[[Sheet], Iterator[Mention]], ...] = (
    read_dates,
    read_amounts,
    read_ids,
    read_counts,
    read_numbers,
    read_channels,
    read_names,
)


def find_mentions(text: str) -> tuple[Mention, ...]:
    """Return every mention of ``text``: sentence by sentence, within a sentence in the order of the readers."""
    found: list[Mention] = []
    for sentence in split_sentences(clean(text)):
        sheet = Sheet(text=sentence, left=sentence)
        for reader in _READERS:
            found.extend(reader(sheet))
    return tuple(found)
