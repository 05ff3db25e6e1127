"""What a task adds to the harvest: where its past inputs are, how persons leave them, and what a correction demands."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from eval.harvest.candidates import HarvestCandidate, find_candidates
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Case, Expectations
from eval.spine.errors import HarvestError
from service.core.redaction.free_text import RedactionFailed, redacted_text
from service.kit.frame.errors import ConfigurationError
from service.kit.settings import Settings

if TYPE_CHECKING:
    from service.warehouse.port import Warehouse

In = TypeVar("In", bound=BaseModel)
Found = TypeVar("Found", bound=BaseModel, covariant=True)


class Origin(Protocol[Found]):
    """A source of the inputs of past requests."""

    def inputs(self, source_key: str, generated_at: datetime) -> Found | None:
        """Return the inputs of the request whose record is at ``source_key``, or None if they no longer exist.

        Raises:
            StoreError: a store does not answer.
            InputsUnfit: they are there, and are no inputs of the task.
        """
        ...


class CaseSource(ABC, Generic[In]):
    """One task's part of the harvest. What a proposal shows of the inputs are the passages of the task's ``CaseRules``."""

    output: ClassVar[str] = "answer"  # what the task's output is called on screen
    drafts_inputs: ClassVar[bool] = False  # whether a person edits the case's inputs, too
    # Stands above the expectations in the editor; every line begins with "#".
    hint: ClassVar[str] = (
        "# What a good answer to these inputs must be, as the task's scorers read it.\n"
        "# Checked when you save and close; an empty file changes nothing.\n"
    )

    def candidates(self, warehouse: "Warehouse", task: str, week: str, part: str | None) -> list[HarvestCandidate]:
        """Return what went wrong in a week; the default looks at kept answers and their feedback (``find_candidates``).

        Raises:
            HarvestError: the week or the slice ``part`` is not valid.
            ServiceError: the warehouse does not answer.
        """
        return find_candidates(warehouse, task, week, part)

    @abstractmethod
    def origin(self, settings: Settings) -> Origin[In]:
        """Return where past inputs are read from; reading needs operator rights."""

    @abstractmethod
    def without_persons(self, inputs: In, key: bytes) -> In:
        """Return the inputs as git may keep them: ids replaced by pseudonyms made with ``key``, texts redacted.

        Raises:
            HarvestError: a text cannot be redacted; the message does not quote it.
        """

    def redacted(self, text: str, inputs: In) -> str:
        """Return an output, a comment or a correction about the original ``inputs`` without personal data.

        Raises:
            HarvestError: the text cannot be redacted; the message does not quote it.
        """
        return redacted_or_refused(text)

    def case_inputs(self, inputs: In) -> BaseModel:
        """Return a case's inputs: the request's own, or a draft of what the suite plays the case from."""
        return inputs

    def expectations(self, correction: str | None, inputs: In, rules: CaseRules) -> Expectations:
        """Return a draft of what a good output is: what a person's correction says about it, if there is one.

        Raises:
            ConfigurationError: the task's expectations need more than that, so its source must draft them.
        """
        try:
            return rules.expectations(references=(correction,) if correction else ())
        except ValidationError as err:
            fields = ", ".join(".".join(map(str, one["loc"])) for one in err.errors(include_url=False))
            raise ConfigurationError(
                f"a case of this task needs {fields} in its expectations: override `expectations` of the task's SOURCE in "
                "eval/harvest/sources/ with a draft, and `missing` with what a person must still write"
            ) from None

    def missing(self, case: Case) -> list[str]:
        """Return what the case lacks to be able to reject an output, each with what to do; empty where it can."""
        kind = type(case.expectations)
        if not any(field.is_required() for field in kind.model_fields.values()) and case.expectations == kind():
            return ["expects nothing, so no answer can fail: write into expectations what a good answer must be"]
        return []


def redacted_or_refused(text: str, *, account_number: str = "") -> str:
    """Return ``text`` without personal data; ``HarvestError`` if it cannot be redacted; the message does not quote it."""
    try:
        return redacted_text(text, account_number=account_number)
    except RedactionFailed as err:
        raise HarvestError(f"a text cannot be redacted: {err}") from None
