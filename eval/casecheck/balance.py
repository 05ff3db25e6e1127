"""Balance of a case file: counts by slice against the declared bounds, and the lengths of its texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from eval.casecheck.files import CaseLine, CaseProblem
from eval.spine.case_rules import FileRules, SliceValue

CHARACTERS_PER_TOKEN = (
    4  # the usual rule of thumb for English; the tokenizers of the served models are not available here
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many cases have one value of one slice, and the required bounds in words ("" if there are none)."""

    slice: str
    value: SliceValue
    count: int
    share: float
    asked: str
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The smallest, mean and largest of ``n`` lengths."""

    name: str
    n: int
    mean: float
    smallest: int
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseBalance:
    """The composition of one case file."""

    file: str
    cases: int
    second_references: int
    shares: tuple[Share, ...]
    spreads: tuple[Spread, ...]
    problems: tuple[CaseProblem, ...]


def balance_of(file: str, lines: Sequence[CaseLine], rules: FileRules | None) -> CaseBalance:
    """Count the cases of one file by slice and compare with its rules; without rules, only count."""
    shares = _shares(lines, rules)
    seconds = sum(len(line.case.expectations.references) > 1 for line in lines)
    texts = [
        f"{share.count} of {len(lines)} cases have {share.slice}={share.value}; required: {share.asked}"
        for share in shares
        if not share.kept
    ]
    if rules is not None:
        if len(lines) != rules.count:
            texts.insert(0, f"holds {len(lines)} valid cases; {rules.count} are required")
        if seconds != rules.second_references:
            texts.append(f"{seconds} cases have a second reference; {rules.second_references} are required")
        texts += rules.together([line.case for line in lines])
    return CaseBalance(
        file=file,
        cases=len(lines),
        second_references=seconds,
        shares=tuple(shares),
        spreads=_spreads(lines),
        problems=tuple(CaseProblem(file=file, text=text) for text in texts),
    )


def _shares(lines: Sequence[CaseLine], rules: FileRules | None) -> list[Share]:
    counts = Counter((name, value) for line in lines for name, value in line.case.slices.items())
    minima = {(minimum.slice, minimum.value): minimum.at_least for minimum in rules.minima} if rules else {}
    names = list(rules.slices) if rules else sorted({name for name, _ in counts})
    shares = []
    for name in names:
        listed = rules.slices[name] if rules else sorted({value for n, value in counts if n == name}, key=str)
        for value in listed:
            count = counts[name, value]
            share = count / len(lines) if lines else 0.0
            at_least = minima.get((name, value))
            at_most = rules.largest_share.get(name) if rules else None
            asked = [f"at least {at_least}"] if at_least is not None else []
            asked += [f"at most {at_most:.0%}"] if at_most is not None else []
            kept = (at_least is None or count >= at_least) and (at_most is None or share <= at_most)
            shares.append(
                Share(slice=name, value=value, count=count, share=share, asked=" and ".join(asked), kept=kept)
            )
    return shares


def _spreads(lines: Sequence[CaseLine]) -> tuple[Spread, ...]:
    measured = {
        "words per reference": [
            len(text.split())
            for line in lines
            for text in line.case.expectations.references
            if line.case.expectations.facts
        ],
        "texts per case": [sum(passage.visible for passage in line.passages) for line in lines],
        f"tokens per case, estimated as characters / {CHARACTERS_PER_TOKEN}": [
            round(sum(len(passage.text) for passage in line.passages if passage.visible) / CHARACTERS_PER_TOKEN)
            for line in lines
        ],
    }
    return tuple(
        Spread(name=name, n=len(found), mean=sum(found) / len(found), smallest=min(found), largest=max(found))
        for name, found in measured.items()
        if found
    )
