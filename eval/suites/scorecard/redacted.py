"""Calls as production scores them: redacted by the worker's code, with the labels' quotes in the words that are left.

The patterns redact on every machine alike, so that evidence counts wherever it was made; a deployment's finder removes more.
Calls in a language that production refuses are redacted nevertheless.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.spine.cases import Case
from eval.spine.errors import CaseError
from eval.suites.scorecard.labels import Label, LabelSpan, ScorecardExpectations
from service.calls.redact.transcript import PatternRedactor, redacted_turns
from service.core.redaction.own_words import NO_WORDS, OwnWord, OwnWords
from service.core.tasks.scorecard import ScorecardInputs
from service.core.tasks.scorecard.transcript import Turn

# Beside the cases: each tenant's own words and its agents, as `omni tenant set` takes them.
TENANTS = "tenants.json"
FROM_PRODUCTION = "reason"  # the slice of a harvested case, whose call production has redacted
_TOKEN = re.compile(r"\[[a-z]+\]|\w+|\s+|[^\w\s]")


class _Tenant(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    own_words: tuple[OwnWord, ...] = ()
    agents: tuple[OwnWord, ...] = ()


class _Tenants(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: dict[str, _Tenant] = {}


def redacted_cases(cases: Sequence[Case], folder: Path) -> tuple[Case, ...]:
    """Return ``cases`` redacted with the words of the tenants that ``folder`` names.

    Raises:
        CaseError: the tenants' file is wrong.
    """
    known = {name: OwnWords(words=of.own_words, agents=of.agents) for name, of in _tenants(folder).items()}
    return tuple(
        case if FROM_PRODUCTION in case.slices else _redacted(case, known.get(str(case.inputs["tenant"]), NO_WORDS))
        for case in cases
    )


def _tenants(folder: Path) -> dict[str, _Tenant]:
    path = folder / TENANTS
    if not path.exists():
        return {}
    try:
        return _Tenants.model_validate_json(path.read_bytes()).tenants
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise CaseError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from err


def _redacted(case: Case, own: OwnWords) -> Case:
    said = ScorecardInputs.model_validate(case.inputs).turns
    clean = redacted_turns(PatternRedactor(), said, own).turns
    if [turn.text for turn in said] == [turn.text for turn in clean]:
        return case
    inputs = {**case.inputs, "turns": [turn.model_dump(mode="json") for turn in clean]}
    labels = case.expectations
    if isinstance(labels, ScorecardExpectations):
        answers = {name: _relabelled(label, said, clean) for name, label in labels.answers.items()}
        labels = labels.model_copy(update={"answers": answers})
    return case.model_copy(update={"inputs": inputs, "expectations": labels})


def _relabelled(label: Label, said: Sequence[Turn], clean: Sequence[Turn]) -> Label:
    spans = [
        LabelSpan(turn=span.turn, quote=quote_left(span.quote, said[span.turn].text, clean[span.turn].text))
        for span in label.spans
    ]
    if not spans:
        return label
    return label.model_copy(update={"quote": spans[0].quote, "also": tuple(spans[1:])})


def quote_left(quote: str, before: str, after: str) -> str:
    """Return what is left of ``quote``, words of ``before``, in ``after``: a tag stands for what was removed in its place."""
    if quote in after or quote not in before:
        return quote
    start = before.index(quote)
    end = start + len(quote)
    old, new = ([match.span() for match in _TOKEN.finditer(text)] for text in (before, after))
    words, left = [before[a:b] for a, b in old], [after[a:b] for a, b in new]
    kept = []
    for what, i1, i2, j1, j2 in SequenceMatcher(None, words, left, autojunk=False).get_opcodes():
        for at in range(j1, j2):
            # A tag stands for all the words in its place.
            here = old[i1 + at - j1] if what == "equal" else (old[i1][0], old[i2 - 1][1]) if i2 > i1 else (0, 0)
            if _within(here, start, end):
                kept.append(new[at])
    return after[kept[0][0] : kept[-1][1]].strip() if kept else quote


def _within(span: tuple[int, int], start: int, end: int) -> bool:
    return span[0] < end and span[1] > start
