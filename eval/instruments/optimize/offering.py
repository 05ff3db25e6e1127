"""The pair files of a search's finalists, each with its lineage; the one that is offered goes among the task's pairs."""

from dataclasses import dataclass
from pathlib import Path

from eval.instruments.optimize.gains import Finalist
from eval.instruments.optimize.search import PromptSearch
from eval.instruments.optimize.wording import PairWording
from figures.files import write_whole
from service.core.unit.pair import Lineage, Pair
from service.core.unit.pair_file import load_pair


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalistFile:
    """A finalist's pair with the text of its file; ``fixed``: it was chosen before the gate's cases were read."""

    pair: Pair
    text: str
    fixed: bool


def finalist_file(
    wording: PairWording, run_id: str, writer: str, found: PromptSearch, row: Finalist, *, fixed: bool
) -> FinalistFile:
    """Return a finalist as a pair file with its lineage; ``writer`` is the model that worded it.

    A search never reads the gate's cases, so a candidate that was fixed before anybody did is one look at them. Any other one may
    be taken because it was lucky there: it counts as so many looks as candidates were tried.
    """
    start, texts = wording.start, row.candidate.texts
    before = start.lineage
    tried = found.tried + (0 if before is None else before.tried)
    lineage = Lineage(
        run=run_id,
        number=row.candidate.number,
        parent=start.digest,
        tried=tried,
        looks=1 + (0 if before is None else before.looks) if fixed else tried,
        writers=tuple(dict.fromkeys((writer, *(() if before is None else before.writers)))),
    )
    name = f"{start.name}-{run_id[-4:]}-{row.candidate.number}"
    text = wording.file_text(texts, name, lineage)
    return FinalistFile(pair=wording.pair(texts, name, lineage), text=text, fixed=fixed)


def write_offered(wording: PairWording, file: FinalistFile) -> Path:
    """Write a pair file among the task's pairs, and check that it is the pair that was measured."""
    path, task = wording.path.with_name(f"{file.pair.name}.prompty"), wording.task
    write_whole(path, file.text)
    read = load_pair(path, cards=wording.cards, task_variables=task.variables, part_variables=task.part_variables)
    assert read.digest == file.pair.digest, "the file is another pair than was measured"
    return path
