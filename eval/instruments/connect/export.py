"""Writes conversation cases as arguments of Amazon Connect's CreateTestCase: the case's gold conversation, spoken by a caller.

What an account cannot be given is left out: records of a case's own world, faults of tools, verified values.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.dialogue.agents import GoldAgent
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario
from eval.dialogue.scorers import expectations_of
from eval.spine.cases import Case
from service.kit.frame.files import write_whole


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


LOCALE = "en-GB"
# The specialists' hours are always open and their queue is nobody's, so that a test neither fails at night nor rings an agent.
_SUBSTITUTES = (
    substitute("CheckHoursOfOperation", "HoursOfOperationId", "${HoursArn}", "${TestHoursArn}"),
    substitute("TransferContactToQueue", "QueueId", "${QueueArn}", "${TestQueueArn}"),
)


@dataclass(slots=True, kw_only=True)
class ConnectTests:
    """``tests`` are CreateTestCase's arguments by case id; ``left_out`` says why a case has none."""

    tests: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def connect_tests(episode: DialogueEpisode, cases: Sequence[Case], *, greeting: str) -> ConnectTests:
    """Return a test for each case that an account can play; ``greeting`` is what a caller hears first."""
    found = ConnectTests()
    for case in cases:
        reason = _not_playable(ConversationScenario.model_validate(case.inputs))
        if reason is not None:
            found.left_out[case.id] = reason
        else:
            found.tests[case.id] = asyncio.run(_test(episode, case, greeting))
    return found


def write_tests(found: ConnectTests, folder: Path) -> None:
    """Write each test to a file of its own, ready for ``aws connect create-test-case --cli-input-json``."""
    folder.mkdir(parents=True, exist_ok=True)
    for case_id, arguments in found.tests.items():
        write_whole(folder / f"{case_id}.json", json.dumps(arguments, indent=2, ensure_ascii=False) + "\n")


def _not_playable(scenario: ConversationScenario) -> str | None:
    if scenario.faults:
        return "tools go wrong"
    if scenario.session:
        return "the session has verified values"
    own = sorted(name for name, records in scenario.world.items() if records)
    return f"the world has records of its own ({', '.join(own)})" if own else None


async def _test(episode: DialogueEpisode, case: Case, greeting: str) -> Mapping[str, Any]:
    expected, specs = expectations_of(case), {spec.name: spec for spec in episode.specs}
    played = await episode.play_with(case, 0, specs, GoldAgent(expected.gold, episode.sources))
    record = ConversationRecord.model_validate_json(played.output or "")
    steps: list[Step] = [(begins(), _SUBSTITUTES)]
    heard = says(greeting)
    for turn in record.turns:
        steps.append((heard, (speak(turn.message, LOCALE),)))
        assert turn.reply is not None, case.id  # `omni cases` proves that a gold run replies
        heard = says(turn.reply.reply)
    if expected.handover is None:
        steps.append((heard, (end(),)))
    else:
        reasons = expected.handover.reasons
        # The language knows no "one of these".
        said = (expect("$.Attributes.handover_reason", reasons[0]),) if len(reasons) == 1 else ()
        steps += [(heard, ()), (transfers("${QueueArn}"), (*said, end()))]
    content = content_of(tuple(steps)).model_dump(exclude_none=True)
    goal = ConversationScenario.model_validate(case.inputs).customer.goal
    return {
        "InstanceId": "${InstanceId}",
        "Name": case.id,
        "Description": goal,
        "Content": json.dumps(content, ensure_ascii=False),
        "EntryPoint": {"Type": "VOICE_CALL", "VoiceCallEntryPointParameters": {"FlowId": "${InboundFlowId}"}},
        "Status": "PUBLISHED",  # SAVED is not checked by Amazon Connect, and cannot run
    }
