"""Writes conversation cases as arguments of Amazon Connect's CreateTestCase: the case's gold conversation, spoken by a caller.

What an account cannot be given is left out: records of a case's own world, faults of tools, verified values.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.dialogue.agents import GoldAgent
from eval.dialogue.play import DialogueEpisode
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario
from eval.dialogue.scorers import expectations_of
from eval.instruments.connect.language import (
    Step,
    begins,
    content_of,
    end,
    expect,
    says,
    speak,
    substitute,
    transfers,
)
from eval.spine.cases import Case
from service.kit.frame.files import write_whole

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
    played = await episode.play_with(case, 0, specs, GoldAgent(expected.gold))
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
