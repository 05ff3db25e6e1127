"""The result of one run of a task, and the joining of its questions' results into one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from service.core.llm.model_call import AnswerOrigin
from service.core.llm.pricing import Cost, Usage
from service.core.statements.answers.finding import Severity
from service.core.tools.use import TracedStep
from service.core.unit.question import Question, Use
from service.kit.frame.errors import FailureCode

NO_MODEL = "none"
_JOIN = " + "
Arm = Literal["primary", "backup", "fallback", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedFinding:
    """What a guard or validation found in ``answer``, which was shown only if the severity is low. ``value`` may be personal."""

    kind: str
    value: str
    severity: Severity
    told: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """The result of a run. ``output`` is None exactly when ``failure`` is set; ``raw_text`` is the text of a rejected answer.

    ``cost`` is None for a model without prices. ``latency_ms`` covers the whole run, ``model_ms`` only the calls that answered.
    ``usage`` is metered; ``estimated_usage`` is for cancelled and timed-out calls and for answers that stated no usage; ``cost``
    includes both. ``guarded`` lists the
    kinds of all guard findings of the run, also those in answers that were not shown, and ``guard_findings`` is their number.
    ``findings`` are the findings themselves. ``stack`` is where the error was raised that ended the run or made it fall back.
    ``repaired`` means that the output is a second attempt after such findings. ``origins`` are those of the replies that gave the
    output or failed to; empty if no model answered. ``trace`` lists the steps of the run. ``uses`` is for steps within a run.
    """

    output: str | None
    arm: Arm
    model: str
    answered_by: str
    latency_ms: float
    model_ms: float = 0.0
    usage: Usage = field(default_factory=Usage)
    cost: Cost | None = field(default_factory=Cost)
    attempts: int = 0
    failure: FailureCode | None = None
    failure_message: str = ""
    raw_text: str = ""
    estimated_usage: Usage = field(default_factory=Usage)
    guarded: tuple[str, ...] = ()
    guard_findings: int = 0
    findings: tuple[NotedFinding, ...] = ()
    stack: tuple[str, ...] = ()
    repaired: bool = False
    origins: tuple[AnswerOrigin, ...] = ()
    trace: tuple[TracedStep, ...] = ()
    uses: tuple[Use, ...] = ()

    @property
    def answerers(self) -> tuple[str, ...]:
        """The names in ``answered_by``, which joins those of a run's questions."""
        return tuple(name for name in self.answered_by.split(_JOIN) if name)

    @property
    def request_ms(self) -> float:
        """Time of the whole run in ms; at least that of its calls, which a reply from a cache took without being waited for."""
        return max(self.latency_ms, self.model_ms)

    @property
    def cost_estimated(self) -> bool:
        """True if part of ``cost`` is an estimate, because a call returned no usage."""
        return self.estimated_usage != Usage()

    @property
    def degraded(self) -> bool:
        """True if the task's own fallback answered instead of the pair's models."""
        return self.arm == "fallback"


def combined(answered: Sequence[tuple[Question, TaskResult]], output: str) -> TaskResult:
    """Return the results of all questions as one: times and attempts are summed; the arm is ``backup`` if any question's is.

    ``model`` is that of the last answer which is shown.
    """
    answers = [answer for _, answer in answered]
    last = next((answer for question, answer in reversed(answered) if question.shown), answers[-1])
    return replace(
        last,
        output=output,
        arm="backup" if any(answer.arm == "backup" for answer in answers) else last.arm,
        answered_by=_JOIN.join(dict.fromkeys(answer.answered_by for answer in answers)),
        origins=tuple(dict.fromkeys(origin for answer in answers for origin in answer.origins)),
        model_ms=sum(answer.model_ms for answer in answers),
        attempts=sum(answer.attempts for answer in answers),
        repaired=any(answer.repaired for answer in answers),
    )
