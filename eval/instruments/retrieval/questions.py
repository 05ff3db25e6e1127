"""Public sets of documents and questions with the documents that each needs; ``OMNI_PUBLIC_DATA_DIR`` names their folder."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from eval.spine.errors import RetrievalError
from service.core.knowledge.documents import Document
from service.kit.frame.display.inert import one_line
from service.kit.frame.strict import NotStrict, lines_of, parse_json, read_strict

Split = Literal["dev", "test"]

_TAU = "assistant/tau3_banking_documents.jsonl"
_TAU_TASKS = "assistant/tau3_banking_tasks_*.json"
_TWEETSUMM = "tweetsumm_*.jsonl"
# What the customer is to say stands between quotation marks; shorter quotations are names and reasons.
_SAID = re.compile(r'"([^"\n]+)"')
_FEWEST_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuestion:
    """A question and the ids of the documents that it needs. Questions of one ``source`` are one observation."""

    source: str
    text: str
    documents: frozenset[str]

    @property
    def split(self) -> Split:
        """``dev`` for every other source by its name's digest: settings are chosen there, and figures quoted from ``test``."""
        return "test" if hashlib.sha256(self.source.encode()).digest()[0] % 2 else "dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """Documents and questions; ``kind`` says in words what is asked."""

    name: str
    kind: str
    documents: tuple[Document, ...]
    questions: tuple[LabelledQuestion, ...]

    def of(self, split: Split) -> tuple[LabelledQuestion, ...]:
        """Return the questions of one split."""
        return tuple(question for question in self.questions if question.split == split)


def public_sets(folder: Path) -> tuple[list[QuestionSet], list[str]]:
    """Return the sets whose files are in ``folder``, and a sentence for each that is not.

    Raises:
        RetrievalError: a file is not what it should be.
    """
    found, missing = [], []
    for pattern, load in ((_TAU_TASKS, _tau_sets), (_TWEETSUMM, _tweetsumm_sets)):
        files = sorted(folder.glob(pattern))
        if not files:
            missing.append(f"{pattern} is not in {folder}: that set is left out")
            continue
        try:
            found += load(folder, files)
        except (KeyError, TypeError, AttributeError, ValidationError) as err:
            raise RetrievalError(
                f"{files[0]} is not what it should be: {type(err).__name__}: {one_line(str(err))}"
            ) from None
    return found, missing


def _tau_sets(folder: Path, files: Iterable[Path]) -> list[QuestionSet]:
    """tau-bench's bank: 698 documents, and tasks whose customer's part is scripted."""
    documents = tuple(
        Document(id=row["id"], version="1", title=row["title"], text=row["content"]) for row in _rows(folder / _TAU)
    )
    first, all_of_it = [], []
    for task in (task for file in files for task in _json(file)):
        said = [
            text for text in _SAID.findall(task["user_scenario"]["instructions"]) if len(text.split()) >= _FEWEST_WORDS
        ]
        if said:
            asked = partial(LabelledQuestion, source=task["id"], documents=frozenset(task["required_documents"]))
            first.append(asked(text=said[0]))
            all_of_it.append(asked(text=" ".join(said)))
    return [
        QuestionSet(name="tau-opening", kind="the customer's first words", documents=documents, questions=tuple(first)),
        QuestionSet(name="tau-all", kind="all the customer's words", documents=documents, questions=tuple(all_of_it)),
    ]


def _tweetsumm_sets(folder: Path, files: Iterable[Path]) -> list[QuestionSet]:
    """Dialogues of customer service, each with summaries that people wrote: a summary has to find its dialogue."""
    documents, questions = [], []
    for row in (row for file in files for row in _rows(file)):
        documents.append(Document(id=row["id"], version="1", title="Dialogue", text=row["dialogue"]))
        questions += [
            LabelledQuestion(source=row["id"], text=text, documents=frozenset({row["id"]}))
            for text in row["references"]
        ]
    return [
        QuestionSet(
            name="tweetsumm", kind="a summary's dialogue", documents=tuple(documents), questions=tuple(questions)
        )
    ]


def _rows(file: Path) -> list[dict[str, Any]]:
    return [_parsed(file, line, number) for number, line in enumerate(lines_of(_text(file)), 1) if line.strip()]


def _json(file: Path) -> Any:
    return _parsed(file, _text(file), 1)


def _text(file: Path) -> str:
    try:
        return read_strict(file)
    except (NotStrict, OSError) as err:
        raise RetrievalError(f"{file}: {err}") from None


def _parsed(file: Path, text: str, line: int) -> Any:
    try:
        return parse_json(text)
    except NotStrict as err:
        raise RetrievalError(f"{file}:{line}: {err}") from None
