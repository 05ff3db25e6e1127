"""Amazon Connect's testing language, as far as conversations need it: what is observed, and what the simulated caller does then.

Source: Amazon Connect API Reference, "Testing language Amazon Connect" (read 2026-11-22). Its pages differ from each other and
from what CreateTestCase accepts; where they do, this follows the service as "flow-as-code" recorded it on 2026-09-01
(github.com/flow-as-code/flow-as-code, packages/core/src/simulate.ts): an utterance has a ``Value``, ``Usage`` is left out, and
an observation's version is that of the flow language.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Language(BaseModel):
    # Names on the wire are AWS's own.
    model_config = ConfigDict(extra="forbid", frozen=True)


class SimulationEvent(_Language):
    """What the system does; the observation waits for it."""

    Identifier: str = Field(min_length=1)
    Type: Literal["TestInitiated", "MessageReceived", "FlowActionStarted"]
    Actor: Literal["System"] = "System"
    Properties: Mapping[str, Any] = Field(default_factory=dict)


class ActionMove(_Language):
    """The action that follows in the same observation."""

    NextAction: str | None = None


class SimulationAction(_Language):
    """What the test does once the event was observed."""

    Identifier: str = Field(min_length=1)
    Type: Literal["SendInstruction", "Assert", "OverrideSystemBehavior", "TestControl"]
    Parameters: Mapping[str, Any]
    Transitions: ActionMove = ActionMove()


class ObservationMove(_Language):
    """The observations that may follow."""

    NextObservations: tuple[str, ...] = ()


class SimulationObservation(_Language):
    """One event, and what the test does then."""

    Identifier: str = Field(min_length=1)
    Event: SimulationEvent
    Actions: tuple[SimulationAction, ...] = ()
    Transitions: ObservationMove = ObservationMove()


class SimulationContent(_Language):
    """A whole test."""

    Version: Literal["2019-10-30"] = "2019-10-30"
    Metadata: Mapping[str, Any] = Field(default_factory=dict)
    Observations: tuple[SimulationObservation, ...] = Field(min_length=1)


def begins() -> tuple[str, Mapping[str, Any]]:
    """The test begins."""
    return "TestInitiated", {}


def says(text: str) -> tuple[str, Mapping[str, Any]]:
    """The system says something that means the same as ``text``."""
    return "MessageReceived", {"Text": text, "MatchingCriteria": {"Type": "Similarity"}}


def transfers(queue: str) -> tuple[str, Mapping[str, Any]]:
    """The flow begins to put the caller into ``queue``."""
    return "FlowActionStarted", {"ActionType": "TransferContactToQueue", "ActionParameters": {"QueueId": queue}}


def speak(text: str, locale: str) -> tuple[str, Mapping[str, Any]]:
    """The caller says ``text``."""
    instruction = {"Type": "Utterance", "Properties": {"Value": text, "LanguageCode": locale}}
    return "SendInstruction", {"ActionType": "SendInstruction", "Actor": "Customer", "Instruction": instruction}


def expect(path: str, value: str) -> tuple[str, Mapping[str, Any]]:
    """The contact's data at ``path`` must be ``value``."""
    return "Assert", {"Namespace": path, "Operator": "Equals", "Operand": value}


def substitute(action: str, name: str, real: str, instead: str) -> tuple[str, Mapping[str, Any]]:
    """The flow's ``action`` uses the resource ``instead`` where its parameter ``name`` is ``real``."""
    strategy = {"Type": "SubstituteResource", "SubstituteArn": instead}
    properties = {"ActionType": action, "ActionParameters": {name: real}, "Strategy": strategy}
    behavior = {"Type": "FlowAction", "Properties": properties}
    return "OverrideSystemBehavior", {"ActionType": "OverrideSystemBehavior", "Behavior": behavior}


def end() -> tuple[str, Mapping[str, Any]]:
    """The test ends here; without it a test lasts five minutes and fails."""
    return "TestControl", {"ActionType": "TestControl", "Command": {"Type": "EndTest"}}


Step = tuple[tuple[str, Mapping[str, Any]], tuple[tuple[str, Mapping[str, Any]], ...]]


def content_of(steps: tuple[Step, ...]) -> SimulationContent:
    """Return a test of ``steps``, an event with its actions each, one after the other."""
    observations = []
    for number, (event, actions) in enumerate(steps, start=1):
        name = f"observation-{number}"
        names = [f"{name}-action-{place}" for place in range(1, len(actions) + 1)]
        nexts = [*names[1:], None][: len(names)]
        observations.append(
            {
                "Identifier": name,
                "Event": {"Identifier": f"{name}-event", "Type": event[0], "Properties": event[1]},
                "Actions": [
                    {"Identifier": own, "Type": kind, "Parameters": parameters, "Transitions": {"NextAction": after}}
                    for own, after, (kind, parameters) in zip(names, nexts, actions, strict=True)
                ],
                "Transitions": {"NextObservations": [f"observation-{number + 1}"] if number < len(steps) else []},
            }
        )
    return SimulationContent.model_validate({"Observations": observations})
