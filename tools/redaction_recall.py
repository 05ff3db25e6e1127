"""How much of what leads to a person the redactor of calls takes out: recall per kind on labelled texts, with intervals."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from eval.stats import rate_interval
from service.calls.redaction import PatternRedactor, Redactor
from service.errors import ConfigurationError
from service.scorecard.transcript import Turn
from service.settings import Settings

# A detail counts as taken out when so much of its letters and digits is gone: a first name left of two is a name left.
TAKEN_OUT = 0.6
_TAGS = ("[name]", "[number]", "[email]", "[link]", "[address]", "[secret]")


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


def measure(path: Path, redactor: Redactor | None = None) -> tuple[list[Recall], float]:
    """Return recall per source and kind, and the share of other letters that was taken out too (the price of it).

    Raises:
        ConfigurationError: the file is not there.
    """
    redactor = redactor or PatternRedactor()
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    lost = other = 0
    for row in _rows(path):
        text = row["text"]
        gone = gone_from(text, redactor.redact([Turn(speaker="customer", start_s=0, text=text)]).turns[0].text)
        labelled = set()
        for span in row["spans"]:
            places = [place for place in range(span["start"], span["end"]) if text[place : place + 1].isalnum()]
            labelled.update(places)
            if places:
                share = sum(place in gone for place in places) / len(places)
                found[row["origin"], span["type"]].append(share >= TAKEN_OUT)
        rest = [place for place, letter in enumerate(text) if letter.isalnum() and place not in labelled]
        other += len(rest)
        lost += sum(place in gone for place in rest)
    recalls = []
    for (source, kind), hits in sorted(found.items()):
        interval = rate_interval(sum(hits), len(hits))
        recalls.append(
            Recall(source=source, kind=kind, n=len(hits), taken_out=sum(hits), low=interval.low, high=interval.high)
        )
    return recalls, lost / other if other else 0.0


def gone_from(text: str, clean: str) -> set[int]:
    """Return the places of ``text`` whose characters are not in ``clean``; a tag's own letters stand for nothing."""
    for tag in _TAGS:
        clean = clean.replace(tag, "\0")
    kept: set[int] = set()
    for block in SequenceMatcher(None, text, clean, autojunk=False).get_matching_blocks():
        kept.update(range(block.a, block.a + block.size))
    return set(range(len(text))) - kept


def print_table(path: Path, *, say: Callable[[str], None] = print) -> None:
    """Print the table as Markdown."""
    recalls, price = measure(path)
    say(f"| source | kind | n | taken out | recall [95%] |\n{'|---' * 5}|")
    for one in recalls:
        say(
            f"| {one.source} | {one.kind} | {one.n} | {one.taken_out} | {one.rate:.2f} [{one.low:.2f}, {one.high:.2f}] |"
        )
    say(f"\n{price:.1%} of the letters and digits that no label covers were taken out too.")


def _rows(path: Path) -> Iterator[dict]:  # type: ignore[type-arg] # rows of a public file, read here alone
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there: set OMNI_PUBLIC_DATA_DIR to the folder that holds it")
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    print_table(Settings().public_data_dir / "pii_dev.jsonl")
