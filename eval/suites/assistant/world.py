"""The world of the assistant's cases: the bank's tools over a case's own records, time and, where it says so, texts."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from eval.dialogue.scenario import ConversationScenario
from eval.dialogue.world import RecordsWorld, ToolWork
from eval.spine.errors import CaseError
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import BankKnowledge, bank_knowledge
from service.core.tasks.assistant.tools import METHODS, SPECS

# When a case takes place that names no time: a Tuesday, half past ten in London, specialists are there.
USUAL_TIME = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
# Fields in which conversations of equal worth differ, for ``DialogueEpisode.ignored``: free text, and what follows from `when`.
IGNORED = ("summary", "start", "due", "promise")
_MOST_KNOWLEDGES = 256


def world(scenario: ConversationScenario) -> RecordsWorld:
    """Return the tools of one conversation over the records of ``scenario.world``, which are those of ``Bank``.

    ``knowledge`` in it holds texts that replace those of ``knowledge.yaml``, by dotted path (``BankKnowledge.with_texts``): a
    branch whose name holds an instruction, or another fee.

    Raises:
        CaseError: a path leads to no text, or the time of the case is wrong.
    """
    try:
        _knowledge_of(scenario.world)
        _time_of(scenario.world)
    except (ValueError, TypeError, AttributeError) as err:
        raise CaseError(f"the world of a case is wrong: {err}") from err
    return RecordsWorld(scenario.world, SPECS, WORKS)


def _work(method: Callable[..., dict[str, Any]], records: dict[str, Any], arguments: Mapping[str, Any]) -> object:
    bank = Bank(knowledge=_knowledge_of(records), records=records, clock=lambda: USUAL_TIME)
    return method(bank, **arguments)


def _time_of(records: Mapping[str, Any]) -> datetime:
    now = records.get("hours", {}).get("now")
    moment = USUAL_TIME if now is None else datetime.fromisoformat(now)
    if moment.tzinfo is None:
        raise ValueError(f"hours.now is {now!r}, a time without a zone; write +00:00")
    return moment


def _knowledge_of(records: Mapping[str, Any]) -> BankKnowledge:
    return _with_texts(json.dumps(records.get("knowledge", {}), sort_keys=True))


@lru_cache(maxsize=_MOST_KNOWLEDGES)
def _with_texts(texts: str) -> BankKnowledge:
    changed: dict[str, str] = json.loads(texts)
    return bank_knowledge().with_texts(changed) if changed else bank_knowledge()


WORKS: Mapping[str, ToolWork] = {name: partial(_work, method) for name, method in METHODS.items()}
