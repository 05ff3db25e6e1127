"""Amazon Connect's flow language as a strict schema: the actions that our flows use, and what makes a flow whole.

Types, parameters, errors and the flows in which an action is allowed: Amazon Connect API Reference, "Actions in the Amazon
Connect Flow language". Where AWS's own console writes or CreateContactFlow demands more than the pages say, the rule follows
"flow-as-code" (github.com/flow-as-code/flow-as-code, conformance/flow-language), which tried it in accounts. Read 2026-11-22.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

FOLDER = Path(__file__).resolve().parents[1] / "infra" / "connect"
ANY = "NoMatchingError"
SILENT, OTHER_KEY = "InputTimeLimitExceeded", "NoMatchingCondition"
INBOUND, WAITING, WHISPER = "CONTACT_FLOW", "CUSTOMER_QUEUE", "AGENT_WHISPER"
# The console's block, and so the flow's text-to-speech, takes no more.
_MOST_CHARS = 3_000
_MOST_ACTIONS = 250


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Arn = Annotated[str, Field(pattern=r"^\$\{\w+Arn\}$")]
JsonPath = Annotated[str, Field(pattern=r"^\$\.[A-Za-z][\w.]*$")]
Seconds = Annotated[str, Field(pattern=r"^[1-9]\d*$")]
Switch = Literal["Enabled", "Disabled"]
Words = Annotated[str, Field(min_length=1, max_length=_MOST_CHARS)]


class Nothing(_Part):
    """No parameter is expected."""


class Spoken(_Part):
    """A text or a prompt, never both."""

    Text: Words | None = None
    PromptId: Arn | None = None

    @model_validator(mode="after")
    def _one(self):
        if (self.Text is None) == (self.PromptId is None):
            raise ValueError("exactly one of Text and PromptId")
        return self


class NationalNumber(_Part):
    NumberFormat: Literal["Local"]
    CountryCode: Annotated[str, Field(pattern="^[A-Z]{2}$")]


class FewDigits(_Part):
    MaximumLength: Seconds


class KeptDigits(_Part):
    PhoneNumberValidation: NationalNumber | None = None
    CustomValidation: FewDigits | None = None

    @model_validator(mode="after")
    def _one(self):
        if (self.PhoneNumberValidation is None) == (self.CustomValidation is None):
            raise ValueError("exactly one kind of validation")
        return self


class DtmfConfiguration(_Part):
    InputTerminationSequence: Annotated[str, Field(pattern=r"^[0-9*#]{1,5}$")]


class Input(_Part):
    """A menu of one key (``StoreInput`` False), or digits that are kept (True)."""

    Text: Words
    StoreInput: Literal["True", "False"]
    InputTimeLimitSeconds: Seconds
    InputValidation: KeptDigits | None = None
    DTMFConfiguration: DtmfConfiguration | None = None

    @model_validator(mode="after")
    def _kept(self):
        if (self.StoreInput == "True") != (self.InputValidation is not None):
            raise ValueError("InputValidation belongs to digits that are kept, and to them alone")
        if int(self.InputTimeLimitSeconds) > 180:
            raise ValueError("the console takes at most 180 seconds")
        return self


class BotAlias(_Part):
    AliasArn: Arn


class LexTimeout(_Part):
    Text: Annotated[str, Field(pattern=r"^[1-9]\d{1,5}$")]


class Bot(_Part):
    Text: Words
    LexV2Bot: BotAlias
    LexSessionAttributes: dict[str, str]
    LexTimeoutSeconds: LexTimeout


class Loop(_Part):
    Messages: Annotated[list[Spoken], Field(min_length=1)]
    InterruptFrequencySeconds: Seconds


class AnswerShape(_Part):
    ResponseType: Literal["STRING_MAP"]


class Function(_Part):
    LambdaFunctionARN: Arn
    InvocationTimeLimitSeconds: Annotated[str, Field(pattern="^[1-8]$")]
    InvocationType: Literal["SYNCHRONOUS"]
    LambdaInvocationAttributes: dict[str, str]
    ResponseValidation: AnswerShape


class CallbackOrder(_Part):
    QueueId: Arn
    InitialCallDelaySeconds: Seconds
    MaximumConnectionAttempts: Seconds
    RetryDelaySeconds: Seconds


class NumberToCall(_Part):
    CallbackNumber: JsonPath


class Compared(_Part):
    ComparisonValue: JsonPath


class FlowHooks(_Part):
    # AWS allows one entry.
    EventHooks: Annotated[dict[Literal["AgentWhisper", "CustomerQueue"], Arn], Field(min_length=1, max_length=1)]


class HoursCheck(_Part):
    HoursOfOperationId: Arn


class Queue(_Part):
    QueueId: Arn


class ContactAttributes(_Part):
    TargetContact: Literal["Current"]
    Attributes: Annotated[
        dict[Annotated[str, Field(pattern=r"^[\w-]+$")], Annotated[str, Field(max_length=1_000)]],
        Field(min_length=1),
    ]


class Voice(_Part):
    TextToSpeechVoice: str
    TextToSpeechEngine: Literal["Neural"]


class Log(_Part):
    FlowLoggingBehavior: Switch


class Priority(_Part):
    QueuePriority: Annotated[str, Field(pattern=r"^[1-9]$")]


class RecordedParts(_Part):
    # Nobody's conversation with an agent is recorded by these flows.
    RecordedParticipants: Annotated[list[str], Field(max_length=0)]
    IVRRecordingBehavior: Switch


class Recording(_Part):
    RecordingBehavior: RecordedParts


@dataclass(frozen=True)
class Rule:
    """What AWS demands of one type of action.

    ``errors`` must all be wired and no other may be; ``goes_on`` says whether ``NextAction`` is demanded, forbidden (False)
    or left open (None); ``answers`` are the operands that may stand in conditions (None: any).
    """

    parameters: type[_Part]
    flows: frozenset[str]
    errors: tuple[str, ...] = (ANY,)
    goes_on: bool | None = True
    answers: frozenset[str] | None = frozenset()


ALL = frozenset({INBOUND, WAITING, WHISPER})
CALLS = frozenset({INBOUND, WAITING})
KEYS = frozenset("0123456789*#")
RULES = {
    "CheckHoursOfOperation": Rule(HoursCheck, CALLS, answers=frozenset({"True", "False"})),
    "Compare": Rule(Compared, ALL, ("NoMatchingCondition",), goes_on=False, answers=None),
    "ConnectParticipantWithLexBot": Rule(Bot, CALLS, (SILENT, ANY, OTHER_KEY), answers=None),
    "CreateCallbackContact": Rule(CallbackOrder, CALLS),
    "DisconnectParticipant": Rule(Nothing, CALLS, (), goes_on=False),
    "EndFlowExecution": Rule(Nothing, frozenset({WAITING, WHISPER}), (), goes_on=False),
    "GetParticipantInput": Rule(Input, CALLS, answers=KEYS),  # errors: see below
    "InvokeLambdaFunction": Rule(Function, ALL),
    "MessageParticipant": Rule(Spoken, ALL),
    "MessageParticipantIteratively": Rule(
        Loop, frozenset({WAITING}), goes_on=False, answers=frozenset({"MessagesInterrupted"})
    ),
    "TransferContactToQueue": Rule(Nothing, frozenset({INBOUND}), ("QueueAtCapacity", ANY)),
    "UpdateContactAttributes": Rule(ContactAttributes, ALL),
    "UpdateContactCallbackNumber": Rule(NumberToCall, CALLS, ("InvalidCallbackNumber", "CallbackNumberNotDialable")),
    "UpdateContactEventHooks": Rule(FlowHooks, ALL),
    # The service refuses an error branch here.
    "UpdateContactRecordingBehavior": Rule(Recording, CALLS, ()),
    "UpdateContactRoutingBehavior": Rule(Priority, frozenset({INBOUND}), ()),
    "UpdateContactTargetQueue": Rule(Queue, frozenset({INBOUND})),
    "UpdateContactTextToSpeechVoice": Rule(Voice, ALL),
    "UpdateFlowLoggingBehavior": Rule(Log, ALL, ()),
}
ENDS = frozenset({"DisconnectParticipant", "EndFlowExecution"})


class Answered(_Part):
    Operator: Literal["Equals"]
    Operands: Annotated[list[str], Field(min_length=1, max_length=1)]


class ConditionMove(_Part):
    NextAction: str
    Condition: Answered


class ErrorMove(_Part):
    NextAction: str
    ErrorType: str


class Moves(_Part):
    NextAction: str | None = None
    Errors: list[ErrorMove] = []
    Conditions: list[ConditionMove] = []


class Action(_Part):
    # AWS takes more characters; these are those that all its rules allow.
    Identifier: Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,49}$")]
    Type: str
    Parameters: dict[str, Any]
    Transitions: Moves

    @property
    def errors(self) -> dict[str, str]:
        return {move.ErrorType: move.NextAction for move in self.Transitions.Errors}

    @property
    def answers(self) -> dict[str, str]:
        return {move.Condition.Operands[0]: move.NextAction for move in self.Transitions.Conditions}

    @property
    def targets(self) -> list[str]:
        next_action = self.Transitions.NextAction
        return [*([next_action] if next_action else []), *self.errors.values(), *self.answers.values()]

    @property
    def text(self) -> str:
        return self.Parameters.get("Text") or ""


class _Document(_Part):
    Version: Literal["2019-10-30"]
    StartAction: str
    Actions: Annotated[list[Action], Field(min_length=1, max_length=_MOST_ACTIONS)]


class Flow:
    """One flow, read strictly; ``kind`` is CreateContactFlow's type."""

    def __init__(self, document: object, kind: str) -> None:
        read = TypeAdapter(_Document).validate_python(document)
        self.kind, self.start, self.list = kind, read.StartAction, read.Actions
        self.actions = {action.Identifier: action for action in self.list}

    @classmethod
    def read(cls, name: str, kind: str) -> "Flow":
        return cls(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")), kind)

    def of_type(self, wanted: str) -> list[Action]:
        return [action for action in self.list if action.Type == wanted]

    def reached(self, *starts: str) -> set[str]:
        found, left = set(), list(starts)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self.actions[name].targets
        return found

    def types_reached(self, *starts: str) -> set[str]:
        return {self.actions[name].Type for name in self.reached(*starts)}

    def problems(self) -> list[str]:
        """Return what is wrong with the flow as a whole, a line each."""
        found = [problem for action in self.list for problem in _action_problems(action, self.kind)]
        if len(self.actions) != len(self.list):
            found.append("two actions have one identifier")
        unknown = {
            f"{one.Identifier} leads to {to!r}" for one in self.list for to in one.targets if to not in self.actions
        }
        if unknown or self.start not in self.actions:
            return found + sorted(unknown)
        found += [f"{name} is never reached" for name in sorted(set(self.actions) - self.reached(self.start))]
        ends = {name for name, action in self.actions.items() if action.Type in ENDS}
        return found + [f"no end follows {name}" for name in self.actions if not self.reached(name) & ends]


def _action_problems(action: Action, kind: str) -> list[str]:
    rule, name = RULES.get(action.Type), action.Identifier
    if rule is None:
        return [f"{name}: {action.Type!r} is no type that these flows use"]
    found = []
    try:
        parameters = rule.parameters.model_validate(action.Parameters)
    except ValueError as err:
        return [f"{name}: " + " ".join(str(err).split())]
    errors, answers = rule.errors, rule.answers
    if isinstance(parameters, Input):
        errors = (SILENT, OTHER_KEY, ANY)
        if parameters.InputValidation is not None:
            answers = frozenset()
            errors = ("InvalidPhoneNumber", ANY) if parameters.InputValidation.PhoneNumberValidation else (ANY,)
    if set(action.errors) != set(errors) or len(action.errors) != len(action.Transitions.Errors):
        found.append(f"{name}: errors {sorted(action.errors)}, not {sorted(errors)}")
    if kind not in rule.flows:
        found.append(f"{name}: {action.Type} is not allowed in {kind}")
    if rule.goes_on is not None and rule.goes_on != (action.Transitions.NextAction is not None):
        found.append(f"{name}: NextAction")
    if answers is not None and not set(action.answers) <= answers:
        found.append(f"{name}: answers {sorted(action.answers)}")
    if action.Type == "CheckHoursOfOperation" and set(action.answers) != answers:
        found.append(f"{name}: exactly the answers True and False")
    return found
