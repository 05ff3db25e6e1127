"""What the redactors of calls and of the warehouse take out of texts: recall of personal details, and what is lost besides."""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from figures.stats import rate_interval
from service.calls.redact.transcript import FindingRedactor, PatternRedactor, RedactedTranscript, TranscriptRedactor
from service.core.llm.gateway import LiteLLMGateway
from service.core.redaction import presidio
from service.core.redaction.own_words import NO_WORDS, OwnWords
from service.core.redaction.texts import PersonalText, TextRedactor
from service.core.run.task import TaskContext
from service.core.tasks.scorecard import TASK, ScorecardInputs
from service.core.tasks.scorecard.card import Scorecard
from service.core.tasks.scorecard.transcript import Turn
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

# A detail counts as taken out when so much of its letters and digits is gone: a first name left of two is a name left.
TAKEN_OUT = 0.6
_TAGS = ("[name]", "[number]", "[email]", "[link]", "[address]", "[secret]")
# What leads to a person in texts of the warehouse.
_NAMES = frozenset({"name", "person", "gpe", "address", "street_address"})
# Slots of a dialogue that lead to nobody: what was charged, which car, why a card is replaced.
_NO_DETAIL = ("charge_", "lastused", "transferamount", "car_", "police_", "replacement_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Of ``n`` details of one kind in one source ``taken_out`` were; ``low`` and ``high`` bound the 95% interval (Wilson)."""

    source: str
    kind: str
    n: int
    taken_out: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share that was taken out."""
        return self.taken_out / self.n


@dataclass(slots=True, kw_only=True)
class Measured:
    """``lost`` is, per source, (letters and digits that no label covers and that were taken out too, all of them)."""

    recalls: list[Recall] = field(default_factory=list)
    lost: dict[str, tuple[int, int]] = field(default_factory=dict)
    ms_per_text: float = 0.0

    @property
    def price(self) -> float:
        """The share of other letters and digits that was taken out too."""
        gone, other = (sum(column) for column in zip(*self.lost.values(), strict=True))
        return gone / other if other else 0.0


class NoPatterns:
    """Leaves everything: nobody is served by it, it shows what Presidio finds without the patterns."""

    by = "nothing"
    languages: frozenset[str] = frozenset()

    def redact(self, turns: Sequence[Turn], own: OwnWords = NO_WORDS) -> RedactedTranscript:
        return RedactedTranscript(turns=tuple(turns), by=self.by, found={})


def measure(path: Path, redactor: TranscriptRedactor | None = None) -> Measured:
    """Return recall per source and kind, the letters lost besides, and the processor time of one text.

    Raises:
        ConfigurationError: the file is not there.
    """
    redactor = redactor or PatternRedactor()
    redactor.redact([Turn(speaker="customer", start_s=0, text="Hello.")])  # loads what it needs, untimed
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    lost: dict[str, tuple[int, int]] = {}
    spent, texts = 0.0, 0
    for row in _rows(path):
        text = row["text"]
        begun = time.process_time()
        clean = redactor.redact([Turn(speaker="customer", start_s=0, text=text)]).turns[0].text
        spent, texts = spent + time.process_time() - begun, texts + 1
        gone = gone_from(text, clean)
        labelled = set()
        for span in row["spans"]:
            places = [place for place in range(span["start"], span["end"]) if text[place : place + 1].isalnum()]
            labelled.update(places)
            if places:
                share = sum(place in gone for place in places) / len(places)
                found[row["origin"], span["type"]].append(share >= TAKEN_OUT)
        rest = [place for place, letter in enumerate(text) if letter.isalnum() and place not in labelled]
        taken, other = lost.get(row["origin"], (0, 0))
        lost[row["origin"]] = taken + sum(place in gone for place in rest), other + len(rest)
    recalls = []
    for (source, kind), hits in sorted(found.items()):
        interval = rate_interval(sum(hits), len(hits))
        recalls.append(
            Recall(source=source, kind=kind, n=len(hits), taken_out=sum(hits), low=interval.low, high=interval.high)
        )
    return Measured(recalls=recalls, lost=lost, ms_per_text=1000 * spent / max(texts, 1))


def gone_from(text: str, clean: str) -> set[int]:
    """Return the places of ``text`` whose characters are not in ``clean``; a tag's own letters stand for nothing."""
    for tag in _TAGS:
        clean = clean.replace(tag, "\0")
    kept: set[int] = set()
    for block in SequenceMatcher(None, text, clean, autojunk=False).get_matching_blocks():
        kept.update(range(block.a, block.a + block.size))
    return set(range(len(text))) - kept


def print_table(
    path: Path,
    redactors: Mapping[str, TranscriptRedactor],
    *,
    kinds: Collection[str] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Print recall, the price and the time of each redactor as Markdown; ``kinds`` (in small letters; none: all) are shown."""
    measured = {name: measure(path, redactor) for name, redactor in redactors.items()}
    say(f"| source | kind | n | {' | '.join(measured)} |\n{'|---' * (3 + len(measured))}|")
    for rows in zip(*(one.recalls for one in measured.values()), strict=True):
        if not rows[0].kind.startswith(_NO_DETAIL) and (not kinds or rows[0].kind.lower() in kinds):
            rates = " | ".join(f"{one.rate:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in rows)
            say(f"| {_short(rows[0].source)} | {rows[0].kind} | {rows[0].n} | {rates} |")
    for source in next(iter(measured.values())).lost:
        rates = " | ".join(f"{one.lost[source][0] / one.lost[source][1]:.1%}" for one in measured.values())
        say(f"| {_short(source)} | letters and digits without a label | | {rates} |")
    say(f"| all | the same | | {' | '.join(f'{one.price:.1%}' for one in measured.values())} |")
    say(f"| all | ms of CPU a text | | {' | '.join(f'{one.ms_per_text:.1f}' for one in measured.values())} |")


async def print_verdicts(
    settings: Settings, redactors: Mapping[str, TranscriptRedactor], *, small: bool, say: Callable[[str], None] = print
) -> None:
    """Print what each redactor changes in the floor pair's verdicts on the dev calls, and how much of the words goes.

    ``small`` writes every call in small letters first, as a chat or a poor transcript has it.
    """
    cards = ModelCards.load(settings.prompts_dir / "models.yaml")
    pair = load_pair(
        settings.prompts_dir / "scorecard" / "keywords.prompty", cards=cards, task_variables=TASK.variables
    )
    gateway = LiteLLMGateway(cards, region=settings.aws.region, in_process=TASK.in_process)
    context = TaskContext(pair=pair, gateway=gateway, cards=cards)
    cases = [
        (ScorecardInputs.model_validate(row["inputs"]), row["expectations"]["answers"])
        for row in _rows(settings.datasets_dir / "scorecard" / "dev.jsonl")
    ]

    async def verdicts(inputs: ScorecardInputs, turns: Sequence[Turn]) -> dict[str, str | None]:
        found = await TASK.run(inputs.model_copy(update={"turns": tuple(turns)}), context)
        assert found.output is not None
        return {one.id: one.verdict for one in Scorecard.model_validate_json(found.output).criteria}

    say(
        f"| redactor | verdicts that differ | accuracy | agents' letters gone | customers' | ms of CPU a call |\n{'|---' * 6}|"
    )
    for name, redactor in {"none": NoPatterns(), **redactors}.items():
        differ = right = n = 0
        letters = {"agent": [0, 0], "customer": [0, 0]}
        spent = 0.0
        for inputs, expected in cases:
            turns = [t.model_copy(update={"text": t.text.lower()}) if small else t for t in inputs.turns]
            begun = time.process_time()
            clean = redactor.redact(turns).turns
            spent += time.process_time() - begun
            raw, seen = await verdicts(inputs, turns), await verdicts(inputs, clean)
            n += len(raw)
            differ += sum(raw[one] != seen[one] for one in raw)
            right += sum(seen[one] == expected[one]["verdict"] for one in raw)
            for before, after in zip(turns, clean, strict=True):
                gone = gone_from(before.text, after.text)
                count = letters.get(before.speaker, [0, 0])
                count[0] += sum(before.text[place].isalnum() for place in gone)
                count[1] += sum(map(str.isalnum, before.text))
        shares = " | ".join(f"{gone / all_:.1%}" for gone, all_ in letters.values())
        say(f"| {name} | {differ} of {n} | {right / n:.3f} | {shares} | {1000 * spent / len(cases):.1f} |")


_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
# What a reader of the warehouse needs and what leads to nobody. Products and companies were listed by reading TweetSumm's
# summaries, before any of them was redacted.
KEPT: Mapping[str, re.Pattern[str]] = {
    "amounts": re.compile(r"[$£€]\s?\d[\d,]*(?:\.\d+)?"),
    "dates": re.compile(rf"\b(?:{_MONTH}\.? \d{{1,2}}|\d{{1,2}} {_MONTH}|\d{{4}}-\d\d-\d\d)\b", re.I),
    "times of day": re.compile(r"\b\d{1,2}(?::\d\d)?\s?[ap]\.?m\b", re.I),
    "weekdays and months": re.compile(
        r"\b(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|January|February|August|September|October|November|December)\b"
    ),
    "measured quantities": re.compile(r"\b\d+(?:\.\d+)?\s?(?:kWh|kW|percent|%|days|hours|GB|Mbps)\b", re.I),
    "products and companies": re.compile(
        r"\b(?:Xbox(?: One)?|iPhone|IOS|iOS|iPad|Apple(?: Music| Podcast)?|Amazon|Spotify|IHG|HP|AAdvantage|Netflix|Siri"
        r"|Microsoft|Verizon|Comcast|Hulu|Virgin Atlantic|British Airways|Delta|Sainsbury's|Nectar|Tesco|Google|Firefox"
        r"|Chrome|Sony|PS4|Bovril|Lightroom|Creative Cloud|Bluetooth|Windows|Uber|Prime|Kindle|PlayStation)\b"
    ),
}


class AsTurns:
    """Shows a text redactor to the measurement of transcripts, a text a turn."""

    def __init__(self, redactor: TextRedactor) -> None:
        self._redactor = redactor
        self.by = redactor.by

    def redact(self, turns: Sequence[Turn], own: OwnWords = NO_WORDS) -> RedactedTranscript:
        found = self._redactor.redact([PersonalText(text=turn.text, account_number="") for turn in turns])
        return RedactedTranscript(
            turns=tuple(t.model_copy(update={"text": f.text}) for t, f in zip(turns, found, strict=True)),
            by=self.by,
            found={},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Of ``n`` expressions of one kind in summaries, ``lost`` are gone after redaction."""

    kind: str
    n: int
    lost: int


def lost_by_kind(texts: Sequence[str], redactor: TextRedactor) -> list[Lost]:
    """Return how many harmless expressions of each kind a redactor takes out of ``texts``."""
    clean = [one.text for one in redactor.redact([PersonalText(text=text, account_number="") for text in texts])]
    rows = []
    for kind, pattern in KEPT.items():
        before = sum(len(pattern.findall(text)) for text in texts)
        after = sum(len(pattern.findall(text)) for text in clean)
        rows.append(Lost(kind=kind, n=before, lost=before - after))
    return rows


def summaries_of(settings: Settings) -> dict[str, list[str]]:
    """Return summaries that people wrote: the references of our own cases and those of TweetSumm."""
    own = [
        text
        for name in ("dev", "gate")
        for row in _rows(settings.datasets_dir / "summarize" / f"{name}.jsonl")
        for text in row["expectations"].get("references", ())
    ]
    public = [
        text if isinstance(text, str) else " ".join(text)
        for row in _rows(settings.public_data_dir / "tweetsumm_110.jsonl")
        for text in row["references"]
    ]
    return {"our references": own, "TweetSumm references": public}


def print_lost(
    texts: Mapping[str, Sequence[str]], redactors: Mapping[str, TextRedactor], *, say: Callable[[str], None] = print
) -> None:
    """Print what goes although it leads to nobody, and the time of a text, as Markdown."""
    say(f"| summaries | kind | n | {' | '.join(redactors)} |\n{'|---' * (3 + len(redactors))}|")
    for source, some in texts.items():
        columns = {name: lost_by_kind(some, redactor) for name, redactor in redactors.items()}
        for rows in zip(*columns.values(), strict=True):
            if rows[0].n:
                rates = " | ".join(_share(one) for one in rows)
                say(f"| {source} | {rows[0].kind} | {rows[0].n} | {rates} |")
        spent = []
        for redactor in redactors.values():
            begun = time.process_time()
            redactor.redact([PersonalText(text=text, account_number="") for text in some])
            spent.append(f"{1000 * (time.process_time() - begun) / len(some):.2f}")
        say(f"| {source} | ms of CPU a text, in one batch | {len(some)} | {' | '.join(spent)} |")


def _share(one: Lost) -> str:
    interval = rate_interval(one.lost, one.n)
    return f"{one.lost} ({one.lost / one.n:.1%} [{interval.low:.1%}, {interval.high:.1%}])"


def here() -> dict[str, TranscriptRedactor]:
    """Return the redactors that can be measured on this machine. Amazon Comprehend cannot: no stand-in of it is one."""
    patterns: dict[str, TranscriptRedactor] = {"patterns": PatternRedactor()}
    if not presidio.is_installed():
        return patterns
    finder = presidio.PresidioFinder()
    alone = FindingRedactor(finder, patterns=NoPatterns())
    return {**patterns, "Presidio alone": alone, "both": FindingRedactor(finder)}


def texts_here() -> dict[str, TextRedactor]:
    """Return the warehouse's redactors that can be measured on this machine."""
    found = {"patterns": TextRedactor()}
    if presidio.is_installed():
        found["patterns and Presidio"] = TextRedactor(presidio.PresidioFinder())
    return found


def _short(source: str) -> str:
    return source.partition(" ")[0].replace("presidio-research/synth_dataset_v2", "presidio synthetic")


def _rows(path: Path) -> Iterator[dict]:  # type: ignore[type-arg] # rows of a public file, read here alone
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there: set OMNI_PUBLIC_DATA_DIR to the folder that holds it")
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    settings, redactors, texts = Settings(), here(), texts_here()
    print_table(settings.public_data_dir / "pii_dev.jsonl", redactors)
    for small in (False, True):
        print(f"\nThe dev calls{' in small letters' if small else ''}:\n")
        asyncio.run(print_verdicts(settings, redactors, small=small))
    print("\nThe warehouse's texts:\n")
    as_turns = {name: AsTurns(redactor) for name, redactor in texts.items()}
    print_table(settings.public_data_dir / "pii_dev.jsonl", as_turns, kinds=_NAMES)
    print()
    print_lost(summaries_of(settings), texts)
