"""What the redactors of calls take out of what leads to a person, and what that costs: recall, other letters lost, verdicts."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from figures.stats import rate_interval
from service.calls.redact.transcript import FindingRedactor, PatternRedactor, RedactedTranscript, TranscriptRedactor
from service.core.llm.gateway import LiteLLMGateway
from service.core.redaction import presidio
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

    def redact(self, turns: Sequence[Turn]) -> RedactedTranscript:
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


def print_table(path: Path, redactors: Mapping[str, TranscriptRedactor], *, say: Callable[[str], None] = print) -> None:
    """Print recall, the price and the time of each redactor as Markdown."""
    measured = {name: measure(path, redactor) for name, redactor in redactors.items()}
    say(f"| source | kind | n | {' | '.join(measured)} |\n{'|---' * (3 + len(measured))}|")
    for rows in zip(*(one.recalls for one in measured.values()), strict=True):
        if not rows[0].kind.startswith(_NO_DETAIL):
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


def here() -> dict[str, TranscriptRedactor]:
    """Return the redactors that can be measured on this machine. Amazon Comprehend cannot: no stand-in of it is one."""
    patterns: dict[str, TranscriptRedactor] = {"patterns": PatternRedactor()}
    if not presidio.is_installed():
        return patterns
    finder = presidio.PresidioFinder()
    alone = FindingRedactor(finder, patterns=NoPatterns())
    return {**patterns, "Presidio alone": alone, "both": FindingRedactor(finder)}


def _short(source: str) -> str:
    return source.partition(" ")[0].replace("presidio-research/synth_dataset_v2", "presidio synthetic")


def _rows(path: Path) -> Iterator[dict]:  # type: ignore[type-arg] # rows of a public file, read here alone
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there: set OMNI_PUBLIC_DATA_DIR to the folder that holds it")
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    settings, redactors = Settings(), here()
    print_table(settings.public_data_dir / "pii_dev.jsonl", redactors)
    for small in (False, True):
        print(f"\nThe dev calls{' in small letters' if small else ''}:\n")
        asyncio.run(print_verdicts(settings, redactors, small=small))
