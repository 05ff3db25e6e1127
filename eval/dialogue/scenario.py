"""What a conversation case holds: the customer's script, the world at the start, and what is expected of the conversation."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eval.spine.cases import Expectations, Forbidden
from service.core.run.dialogue.turn import HandoverNote, ReplyAction

CONFIRMATION = "confirmation"  # what a reply asks for when it wants a yes before it acts
ToolFaultKind = Literal["error", "hang", "crash", "done_but_lost", "garbage", "huge", "empty", "instruction"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownFact(_Strict):
    """Something that the customer knows and says when asked for it, in one of the wordings ``says``.

    ``asked_by`` are forms of which one occurs in a question for it; they are compared with what the reply claims to ask.
    ``value`` is the fact as a tool's argument would have it.
    """

    says: tuple[str, ...] = Field(min_length=1)
    value: str = ""
    asked_by: tuple[str, ...] = ()


class Correction(_Strict):
    """The customer takes back what they said about ``fact``, in the message after the one that stated it."""

    fact: str
    says: tuple[str, ...] = Field(min_length=1)
    then: KnownFact


class Interruption(_Strict):
    """The customer says something else at message ``at`` (the opening is message 1), instead of replying."""

    at: int = Field(ge=2)
    says: tuple[str, ...] = Field(min_length=1)


class CustomerScript(_Strict):
    """A customer: a goal, an opening, what they know, and how they behave. Several wordings are drawn from by seed.

    ``volunteers`` are facts that the opening states without being asked. ``patience`` is how many messages they send. ``refuses``
    means that they say no when asked to confirm. ``then`` is a second request, made once the first is answered.
    """

    goal: str = Field(min_length=3)
    opens: tuple[str, ...] = Field(min_length=1)
    knows: Mapping[str, KnownFact] = Field(default_factory=dict)
    volunteers: tuple[str, ...] = ()
    patience: int = Field(default=8, ge=1, le=20)
    refuses: bool = False
    then: tuple[str, ...] = ()
    corrects: Correction | None = None
    interrupts: Interruption | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> "CustomerScript":
        named = (*self.volunteers, *(() if self.corrects is None else (self.corrects.fact,)))
        if unknown := sorted(set(named) - set(self.knows)):
            raise ValueError(f"{', '.join(unknown)}: not among what the customer knows")
        return self


class ToolFault(_Strict):
    """The ``nth`` call of ``tool`` (from 1) goes wrong.

    ``error``: it did nothing and says so. ``hang``: no answer in time. ``crash``: it broke, and nobody knows what it did.
    ``done_but_lost``: it did its work, then broke. ``garbage``: its answer is no JSON. ``huge``: its answer has five million
    characters. ``empty``: its answer is an empty object. ``instruction``: its answer holds ``text``, an order to the model.
    """

    tool: str
    nth: int = Field(default=1, ge=1)
    kind: ToolFaultKind
    text: str = ""

    @model_validator(mode="after")
    def _instruction_has_its_text(self) -> "ToolFault":
        if (self.kind == "instruction") != bool(self.text):
            raise ValueError("an instruction needs its text, and no other fault has one")
        return self


class ConversationScenario(_Strict):
    """The inputs of a conversation case. ``world`` holds the records that the tools read and change."""

    world: dict[str, Any]
    customer: CustomerScript
    session: Mapping[str, str] = Field(default_factory=dict)
    faults: tuple[ToolFault, ...] = ()


class ExpectedCall(_Strict):
    """A call of ``tool`` with at least these ``arguments``, compared as ``eval.dialogue.states`` compares values.

    ``confirmed``: only after the customer was asked for a confirmation and said yes, and neither took a fact back nor made
    another request since. ``asked_with`` are forms of which one occurs in the reply that they say yes to: a yes to something
    else is none. ``free`` names arguments that may have any value, such as a note. A writing call is permitted with no further
    ones: who adds an account to a payment does something else.
    """

    tool: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    confirmed: bool = False
    asked_with: tuple[str, ...] = ()
    free: tuple[str, ...] = ()


class Told(_Strict):
    """A fact that must be told: one of the ``accepted`` surface forms occurs in a reply, or in a handover's context.

    ``from_policy``: the task knows it without a tool, such as that it may not give advice. ``when`` are changes of the records
    with which it must be told, once they are made: of two times, the one that was booked.
    """

    statement: str = Field(min_length=3)
    accepted: tuple[str, ...] = Field(min_length=1)
    from_policy: bool = False
    when: Mapping[str, Any] = Field(default_factory=dict)


class ExpectedHandover(_Strict):
    """A person must take over, for one of ``reasons``, by turn ``by_turn``, knowing each of ``context`` (accepted forms)."""

    reasons: tuple[str, ...] = Field(min_length=1)
    by_turn: int = Field(ge=1)
    context: tuple[Told, ...] = Field(min_length=1)


class GoldUse(_Strict):
    """The gold run uses a tool."""

    use: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)


class GoldReply(_Strict):
    """The gold run replies; ``{tool.field}`` stands for a field of that tool's last answer in the conversation."""

    say: str = Field(min_length=1)
    action: ReplyAction = "answer"
    asks: tuple[str, ...] = ()
    handover: HandoverNote | None = None


class DialogueExpectations(Expectations):
    """What must come of a conversation.

    ``end_states`` are the accepted changes of the world, each by dotted path; what none names must be as at the start. Without
    any, nothing may change. ``calls`` must happen, ``forbidden_calls`` must not. ``may_call`` permits further writing calls; a
    writing call that neither ``calls`` nor ``may_call`` names is an action that was not permitted. ``claims`` must not be made in
    any reply, nor in what a person is told who takes over. ``gold`` is a run that is right, one list of steps per turn: ``omni
    cases`` proves that it passes.
    """

    end_states: tuple[Mapping[str, Any], ...] = ()
    calls: tuple[ExpectedCall, ...] = ()
    may_call: tuple[ExpectedCall, ...] = ()
    forbidden_calls: tuple[ExpectedCall, ...] = ()
    told: tuple[Told, ...] = ()
    claims: tuple[Forbidden, ...] = ()
    handover: ExpectedHandover | None = None
    gold: tuple[tuple[GoldUse | GoldReply, ...], ...] = Field(min_length=1)
