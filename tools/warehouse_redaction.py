"""What the warehouse's redactors take out of texts: names that lead to a person, and amounts, dates and products that do not."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redaction_recall import Measured, measure

from figures.stats import rate_interval
from service.calls.redact.transcript import RedactedTranscript
from service.core.redaction import presidio
from service.core.redaction.texts import PersonalText, TextRedactor
from service.core.tasks.scorecard.transcript import Turn
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

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

    def redact(self, turns: Sequence[Turn]) -> RedactedTranscript:
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


def print_recall(path: Path, redactors: Mapping[str, TextRedactor], *, say: Callable[[str], None] = print) -> None:
    """Print the recall of names and places and the share of other letters that go, as Markdown."""
    found: dict[str, Measured] = {name: measure(path, AsTurns(redactor)) for name, redactor in redactors.items()}
    say(f"| source | kind | n | {' | '.join(found)} |\n{'|---' * (3 + len(found))}|")
    for rows in zip(*(one.recalls for one in found.values()), strict=True):
        if rows[0].kind.lower() in {"name", "person", "gpe", "address", "street_address"}:
            rates = " | ".join(f"{one.rate:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in rows)
            say(f"| {rows[0].source.partition(' ')[0]} | {rows[0].kind} | {rows[0].n} | {rates} |")
    say(f"| all | letters and digits without a label | | {' | '.join(f'{one.price:.1%}' for one in found.values())} |")


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


def here() -> dict[str, TextRedactor]:
    """Return the redactors that can be measured on this machine; Amazon Comprehend cannot."""
    found = {"patterns": TextRedactor()}
    if presidio.is_installed():
        found["patterns and Presidio"] = TextRedactor(presidio.PresidioFinder())
    return found


def _rows(path: Path) -> Iterator[dict]:  # type: ignore[type-arg] # rows of case files and of a public file, read here alone
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there: set OMNI_PUBLIC_DATA_DIR to the folder that holds public data")
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    settings, redactors = Settings(), here()
    print_recall(settings.public_data_dir / "pii_dev.jsonl", redactors)
    print()
    print_lost(summaries_of(settings), redactors)
