"""Finds the checkable mentions of a text: amounts, dates, numbers, ids, counts, channels and names.

Each mention is read once, as one kind. What a reader has taken is blanked out, so that "Nov 3" is not also read as the
number 3; the readers therefore run in the order of ``_READERS``. Weekdays and relative words ("Friday", "last week") are not
read.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

from service.core.statements.grounding.currencies import read_foreign_amounts
from service.core.statements.grounding.date_mentions import read_dates
from service.core.statements.grounding.lexicon import CHANNEL_PARTS, CHANNEL_WORDS, ORDINALS, SCALES, SMALL_NUMBERS
from service.core.statements.grounding.names import read_names
from service.core.statements.grounding.prefilters import Screened, holds_part, holds_word
from service.core.statements.grounding.sentence import (
    FIGURE,
    LEAD,
    LOOSE,
    NUMBER_NAMES,
    NUMBER_WORDS,
    WORD_NUMBER,
    Mention,
    SentenceScanner,
    clean,
    figure_after,
    hour_after,
    read_number,
    split_sentences,
)
from service.core.statements.grounding.units import METERED

DOLLARS = re.compile(rf"\$\s?({FIGURE})(?:\s?(k|thousand)\b)?", re.I)
_FIGURE_ALONE = figure_after(r"\w$.,")
_DOLLAR_WORDS = re.compile(rf"({_FIGURE_ALONE})(?:-|\s*)(?:dollars?|bucks|usd)\b", re.I)
_CENTS = re.compile(rf"({_FIGURE_ALONE})\s*(?:cents?\b|¢)", re.I)

_ID_NOUN = (
    r"(?:accounts?|acct|orders?|tickets?|cases?|claims?|confirmation|permits?|checks?|requests?|references?|ref"
    r"|work order|invoices?|complaints?|application|incident|ending(?: in)?)"
)
_ID_MIXED = re.compile(
    r"[A-Z](?<![\w$.@-][A-Z])(?!(?<=[AP])M-)(?=[\w-]*\d)[A-Z]{0,7}[A-Za-z]{0,3}(?:-?[A-Z0-9])+(?![\w@])"
)
_ID_DASHED = re.compile(r"\d(?<![\w$.,-]\d)(?:\d{2,}(?:-\d{2,})+|\d+-\d{4,})(?![\w-])")
_ID_NAMED = re.compile(
    rf"\b{_ID_NOUN}(?:\s+(?:number|no\.?|id))?\s+#?\s?(\d{{3,}})(?![\w,.]?\d)|#\s?(\d{{2,}})\b", re.I
)
_ID_LONG = re.compile(r"\d(?<![\w$.,]\d)\d{4,}(?![\w]|\.\d)")
_ID_WORDS = frozenset(
    "account accounts acct order orders ticket tickets case cases claim claims confirmation permit"
    " permits check checks request"
    " requests reference references ref work invoice invoices complaint complaints application incident ending".split()
)

_NUMBER_ATOM = rf"{FIGURE}|(?:{WORD_NUMBER})(?:-(?:{WORD_NUMBER}))?"
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
    r"|(?P<all>contacted|wrote|written|reached))\b(?:\s+(?:us|in|out|back|the|utility|company|agent"
    r"|support|about|it|this))*"
    rf"\s+(?:(?P<n>{_NUMBER_ATOM})(?:\s+times|x)\b|(?P<twice>twice)|(?P<thrice>thrice))",
    re.I,
)
_MOST_TALLIED = 6  # of more, the source says how many
_ORDINAL = rf"(?:(?P<nth>\d{{1,2}})(?:st|nd|rd|th)|(?P<said>{'|'.join(ORDINALS)}))"
# "The fifth contact", "her 3rd call", "wrote for the fourth time".
_NTH = Screened(
    rf"\b{_ORDINAL}\s(?:(?!(?:of|in|on|and|to|by|was|is|for)\b)[a-z-]+\s){{0,2}}?(?:(?P<phone>(?:phone"
    rf" )?call|voicemail)|(?P<email>e-?mail)"
    r"|(?P<chat>chat)|(?P<sms>text(?: message)?|sms)|(?P<all>contact|interaction|enquiry|inquiry))\b"
    r"(?!\s(?:number|info|detail|address|cent))"
    r"|\b(?:(?P<phone2>call(?:ed|s|ing)?|phon(?:ed|ing))|(?P<email2>e-?mail(?:ed|ing))"
    r"|(?P<all2>contact(?:ed|s|ing)|wr(?:ote|ites|iting)|reach(?:ed|es|ing) out"
    rf"|(?:was|got|been|is|gets) in touch))\b(?:\s[a-z]+){{0,3}}?\s(?:a|the|his|her|their)"
    rf" {_ORDINAL.replace('<nth>', '<nth2>').replace('<said>', '<said2>')} time\b",
    re.I,
)
_NTH_WORDS = frozenset({*ORDINALS, "st", "nd", "rd", "th"})
_TIMES = re.compile(rf"(?<![\w$.,])(?:({_NUMBER_ATOM})(?:\s+times|x)\b|(twice)\b|(thrice)\b)", re.I)
# A text that one of the four patterns above matches holds at least one of these words.
_COUNT_WORDS = frozenset(
    "calls voicemails emails mails chats sessions texts messages smses requests forms contacts reviews"
    " tweets posts interaction"
    " interactions contact".split()
)
_SINGLE_WORDS = frozenset({"single", "only", "just"})
_VERB_WORDS = frozenset(
    "call called calls phoned emailed mailed chatted texted contacted wrote written reached".split()
)
_TIMES_WORDS = frozenset({"times", "x", "twice", "thrice"})
_COUNT_CUES = _COUNT_WORDS | _SINGLE_WORDS | _VERB_WORDS | _TIMES_WORDS
_DOLLAR_NAMES = frozenset("dollar dollars bucks usd".split())
_CENT_NAMES = frozenset({"cent", "cents"})
TIME_OF_DAY = re.compile(
    hour_after(r"\d:$.") + r"(?:(?::([0-5]\d))?\s?([ap])(?:\.m\.|m\b|\b)|:([0-5]\d)(?![\d:]))", re.I
)
_HALF_NAMES = frozenset({"morning", "afternoon", "evening", "night", "clock"})
_HALF_SAID = re.compile(r"(?:\so'?clock)?\s(?:in the |this |that |at )?(morning|afternoon|evening|night)\b", re.I)
_BARE_HOUR = re.compile(
    hour_after(r"\d:$./-")
    + r"()()()(?=\so'?clock\b|\s(?:in the|this|that) (?:morning|afternoon|evening)\b|\sat night\b)",
    re.I,
)
_HOUR_NAMES = {word: value for word, value in SMALL_NUMBERS.items() if 0 < value <= 12}
_HOUR_IN_WORDS = re.compile(
    rf"\b({'|'.join(_HOUR_NAMES)})(?: o'?clock)?\s(?:([ap])\.?m\b\.?|(?:in the |at )(morning|afternoon"
    rf"|evening|night)\b)",
    re.I,
)
_HALF_WORDS = _HALF_NAMES | {"am", "pm", "m"}
_LAST_HOUR_OF_NIGHT = 5
_ADDRESS = re.compile(r"\s+address", re.I)
FIGURES = re.compile(figure_after(r"\w."))
_NUMBER = re.compile(figure_after(r"\w$.@") + r"(?=[^\d]|$)")
_NOON = re.compile(r"\b(?:noon|midday|midnight)\b", re.I)
_NOON_NAMES = frozenset({"noon", "midday", "midnight"})
_UNIT = re.compile(
    rf"[\s-]*(?:(?:calendar|more|full|straight|whole|consecutive|additional|extra|long)\s+)?{METERED}"
    r"((?:business|working)[ -]days?|[A-Za-z%]+)"
)
# "Two charges", "the two": the writer counts what the source lists. "Two" is checked only before one of these words.
_MEASURE = re.compile(
    r"[\s-]+(?:[a-z]+[\s-]+){0,2}?(?:seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?|times?"
    r"|dollars?|cents?|payments?"
    r"|installments?|parts?|halves|percent|kwh?|watts?|volts?|amps?|feet|foot|inches|miles?|yards?"
    r"|degrees?|people|persons?"
    r"|children|kids|sons|daughters|trucks?|crews?|visits?|or|to|of|-)\b",
    re.I,
)
# "Two things remain", "both issues": the writer's own count, which no source states.
_TALLY = re.compile(
    r"(?:\s+(?:[a-z-]+\s+)?(?:things?|issues?|items?|matters?|points?|questions?|problems?|topics?"
    r"|concerns?|records?|notes?"
    r"|sources?|sides?|loose ends|versions?|answers?|departments?|teams?|staff|agents?|ways?|stories"
    r"|tries|attempts?|reasons?"
    r"|explanations?|promises|mistakes|errors|contradictions|accounts of|complaints)\b"
    r"|\s+(?:remain|are|were|left)\b)",
    re.I,
)


def read_ids(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield ids: tokens like the numbers of orders, tickets, claims, phones and accounts."""
    if not scanner.holds_digit():
        return
    for pattern in (_ID_MIXED, _ID_DASHED, _ID_LONG):
        for match in pattern.finditer(scanner.remaining):
            scanner.blank(*match.span())
            yield scanner.mention("id", *match.span(), token=re.sub(r"[^a-z0-9]", "", match[0].lower()))
    if "#" not in scanner.remaining and not holds_word(scanner.text, _ID_WORDS):
        return
    for match in _ID_NAMED.finditer(scanner.remaining):
        group = 1 if match[1] else 2
        scanner.blank(*match.span(group))
        yield scanner.mention("id", *match.span(group), token=match[group])


def read_amounts(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield amounts of money in dollars; cents are dollars divided by 100."""
    if not scanner.holds_digit():
        return
    patterns = [DOLLARS] if "$" in scanner.remaining else []
    patterns += [_DOLLAR_WORDS] if holds_word(scanner.text, _DOLLAR_NAMES) else []
    patterns += [_CENTS] if holds_word(scanner.text, _CENT_NAMES) else []
    for pattern in patterns:
        for match in list(pattern.finditer(scanner.remaining)):
            number = read_number(match[1])
            if pattern is _CENTS:
                number /= 100
            elif pattern is DOLLARS and match[2]:
                number *= 1000
            loose = bool(LOOSE.search(scanner.remaining, max(0, match.start() - LEAD), match.start()))
            scanner.blank(*match.span())
            yield scanner.mention("amount", *match.span(), number=number, loose=loose)


def read_counts(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield how often the customer was in touch; "twice" or "3 times" of anything else are numbers."""
    if holds_word(scanner.text, _NTH_WORDS):
        for match in _NTH.finditer(scanner.remaining):
            nth, said = match["nth"] or match["nth2"], match["said"] or match["said2"]
            family = next(
                name.rstrip("2")
                for name in ("phone", "email", "chat", "sms", "all", "phone2", "email2", "all2")
                if match[name]
            )
            number = Decimal(nth or ORDINALS[said.lower()])
            if number > 1:
                yield scanner.mention("count", *match.span(), number=number, family=family, unit="nth")
    if not holds_word(scanner.text, _COUNT_CUES):
        return
    times = holds_word(scanner.text, _TIMES_WORDS)
    if holds_word(scanner.text, _VERB_WORDS) and (times or holds_part(scanner.text, ("twice", "thrice"))):
        for match in scanner.take(_VERB_TIMES):
            said = read_number(match["n"]) if match["n"] else Decimal(2 if match["twice"] else 3)
            yield scanner.mention("count", *match.span(), number=said, family=_family(match))
    counted = holds_word(scanner.text, _COUNT_WORDS) and (
        scanner.holds_digit() or holds_word(scanner.text, NUMBER_NAMES)
    )
    patterns = [_COUNTED] if counted else []
    patterns += [_SINGLE] if holds_word(scanner.text, _SINGLE_WORDS) else []
    for pattern in patterns:
        for match in list(pattern.finditer(scanner.remaining)):
            number = read_number(match[1]) if pattern is _COUNTED else Decimal(1)
            if pattern is _COUNTED and match[1].lower() == "one":
                continue  # "one email says": an article, not a count
            # Only the number is blanked: the channel reader still needs the channel word.
            scanner.blank(match.start(), match.end(1) if pattern is _COUNTED else match.start())
            unit = "in all" if pattern is _SINGLE else ""
            yield scanner.mention("count", *match.span(), number=number, family=_family(match), unit=unit)
    for match in scanner.take(_TIMES) if times else ():
        said = read_number(match[1]) if match[1] else Decimal(2 if match[2] else 3)
        yield scanner.mention("number", *match.span(), number=said, unit="times")


def _family(match: re.Match[str]) -> str:
    return next(family for family, _ in _COUNT_NOUNS if match.groupdict().get(family))


def read_numbers(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield the remaining numbers, in figures or words; "one", more often an article, is not read."""
    digits = scanner.holds_digit()
    for match in list(times_of_day(scanner.remaining)) if digits else ():
        if (
            match.re is TIME_OF_DAY
            and match[2] is None
            and match[4] is None
            and not re.search(r"[ap]\.?m", match[0], re.I)
        ):
            continue
        scanner.blank(*match.span())
        yield scanner.mention("number", *match.span(), number=Decimal(match[1]), unit=clock_key(match))
    for match in scanner.take(_HOUR_IN_WORDS) if holds_word(scanner.text, _HALF_WORDS) else ():
        hour = _HOUR_NAMES[match[1].lower()]
        key = f"@{hour % 12 * 60}{(match[2] or _half_of(match[3], hour)).lower()}"
        yield scanner.mention("number", *match.span(), number=Decimal(hour), unit=key)
    for match in scanner.take(_NOON) if holds_word(scanner.text, _NOON_NAMES) else ():
        key = "@0a" if match[0].lower() == "midnight" else "@0p"
        yield scanner.mention("number", *match.span(), number=Decimal(12), unit=key)
    patterns = [_NUMBER] if digits else []
    patterns += [NUMBER_WORDS] if holds_word(scanner.text, NUMBER_NAMES) else []
    for pattern in patterns:
        for match in list(pattern.finditer(scanner.remaining.lower())):
            number = read_number(match[0])
            rest = scanner.remaining[match.end() :]
            scanner.blank(*match.span())
            tally = (number <= _MOST_TALLIED and _TALLY.match(rest)) or (number == 2 and not _MEASURE.match(rest))
            if pattern is NUMBER_WORDS and (number <= 1 or match[0] in SCALES or tally):
                continue
            unit = _UNIT.match(rest)
            loose = bool(LOOSE.search(scanner.remaining, max(0, match.start() - LEAD), match.start()))
            yield scanner.mention(
                "number", *match.span(), number=number, unit=unit[1].lower() if unit else "", rest=rest, loose=loose
            )


def clock_key(match: re.Match[str]) -> str:
    """Return a time of day as ``@minutes`` on a 12-hour dial, with "a" or "p" after it where the text names the half of the day.

    "1 PM" and "13:00" are "@60p"; "1:00" is "@60", which may be either.
    """
    hour, minute = int(match[1]), int(match[2] or match[4] or 0)
    half = "p" if hour > 12 else (match[3] or _half_said(match, hour)).lower()
    return f"@{hour % 12 * 60 + minute}{half}"


def _half_said(match: re.Match[str], hour: int) -> str:
    said = _HALF_SAID.match(match.string, match.end())
    return "" if said is None else _half_of(said[1], hour)


def _half_of(part: str, hour: int) -> str:
    night = part.lower() == "night" and hour % 12 <= _LAST_HOUR_OF_NIGHT
    return "a" if night or part.lower() == "morning" else "p"


def times_of_day(text: str) -> Iterator[re.Match[str]]:
    """Yield the times of day in ``text``, also a bare hour before "in the morning"; groups as ``clock_key`` reads them."""
    yield from TIME_OF_DAY.finditer(text)
    if holds_word(text, _HALF_NAMES):
        yield from _BARE_HOUR.finditer(text)


def channel_patterns(text: str) -> list[tuple[str, re.Pattern[str]]]:
    """Return the channel families with their patterns, without those whose pattern cannot match in ``text``."""
    if not text.isascii():
        return list(CHANNEL_WORDS.items())
    lower, found = text.lower(), []
    for family, pattern in CHANNEL_WORDS.items():
        for part in CHANNEL_PARTS[family]:
            if part in lower:
                found.append((family, pattern))
                break
    return found


def read_channels(scanner: SentenceScanner) -> Iterator[Mention]:
    """Yield each channel family that the sentence names, once."""
    for family, pattern in channel_patterns(scanner.remaining):
        # "His e-mail address" names no message, as "phone number" names no call.
        found = (
            match for match in pattern.finditer(scanner.remaining) if not _ADDRESS.match(match.string, match.end())
        )
        match = next(found, None)
        if match:
            yield scanner.mention("channel", *match.span(), family=family)


_READERS: tuple[Callable[[SentenceScanner], Iterator[Mention]], ...] = (
    read_dates,
    read_foreign_amounts,
    read_amounts,
    read_ids,
    read_counts,
    read_numbers,
    read_channels,
    read_names,
)


def find_mentions(text: str) -> tuple[Mention, ...]:
    """Return every mention of ``text`` by sentence, within a sentence in the order of the readers."""
    return tuple(mention for sentence in split_sentences(clean(text)) for mention in mentions_of(sentence))


def mentions_of(sentence: str) -> list[Mention]:
    """Return the mentions of one sentence (after ``clean``) in the order of the readers."""
    scanner = SentenceScanner(text=sentence, remaining=sentence)
    return [mention for reader in _READERS for mention in reader(scanner)]
