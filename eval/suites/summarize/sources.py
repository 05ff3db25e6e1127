"""What accounts for a summary: the interactions that were shown, as they are written and with their shorthand written out."""

import re
from collections.abc import Iterator
from functools import lru_cache

from eval.spine.accounts import FreeText
from eval.spine.scorer import ScorerContext
from service.core.statements.accounting.source import AccountSource, SourceStatement
from service.core.statements.grounding.quotable import cleaned
from service.core.tasks.summarize import SummarizeInputs
from service.core.tasks.summarize.digest import read_history
from service.core.tasks.summarize.notes import read_note
from service.core.tasks.summarize.shorthand import written_out
from service.core.tasks.summarize.statements import statements_of as note_sentences
from service.core.unit.interaction import Interaction

_SPEAKER = re.compile(r"^([A-Z][\w .'-]{0,30}(?: \([^)\n]{1,20}\))?): +(?=\S)")


def free_texts_of(context: ScorerContext) -> tuple[FreeText, ...]:
    """Return the summary with its source."""
    assert isinstance(context.inputs, SummarizeInputs)
    return (FreeText(text=context.output, source=source_of(context.inputs)),)


# All pairs and planted faults are read against the same histories, and reading one takes longer than an answer.
@lru_cache(maxsize=512)
def source_of(inputs: SummarizeInputs) -> AccountSource:
    """Return the statements of the interactions that the model sees, under their day and channel, and the digest's own labels."""
    return AccountSource(_statements_of(inputs))


def _statements_of(inputs: SummarizeInputs) -> tuple[SourceStatement, ...]:
    shown = inputs.visible()
    if not shown:
        return (SourceStatement(text="No interactions found.", how="label"),)
    history = read_history(shown)
    labels = (SourceStatement(text=text, how="label") for text in (*history.opening, history.closing) if text)
    return (*labels, *(one for item in shown for one in _told_in(item)))


def _told_in(item: Interaction) -> Iterator[SourceStatement]:
    """Yield an interaction's paragraphs, each under the interaction's head and its speaker."""
    note = read_note(item)
    when, speakers = note.when, {one.speaker for one in note_sentences([note])}
    lines = "\n".join(filter(None, (cleaned(item.text), item.outcome or ""))).split("\n")
    paragraph, speaker = list[str](), ""
    for line in [*lines, ""]:
        said = _SPEAKER.match(line)
        said = said if said and said[1] in speakers else None
        if said or not line.strip():
            yield from _statements(paragraph, when, speaker)
            paragraph, speaker = [], said[1] if said else ""
            line = line[said.end() :] if said else line
        if line.strip():
            paragraph.append(line)
    if item.outcome:
        yield SourceStatement(text=item.outcome, heads=(when, "Latest outcome", "Outcome"))


def _statements(lines: list[str], when: str, speaker: str) -> Iterator[SourceStatement]:
    text = "\n".join(lines)
    if not text.strip():
        return
    heads = (when, speaker) if speaker else (when,)
    for spelling in dict.fromkeys((text, written_out(text))):
        yield SourceStatement(text=spelling, heads=heads)
