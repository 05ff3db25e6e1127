"""The bank's assistant behind the API with an auditor: what a conversation leaves, for tests to look at."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

from builders import changed
from parcel_service import Code, Source
from starlette.testclient import TestClient

from service.app import create_app
from service.audit.auditor import Auditor
from service.core.llm.model_call import ModelReply
from service.core.llm.pricing import Usage
from service.core.run.task import load_task
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tools.serving import build_task_tools
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.core.unit.question import Said, Use
from service.kit.settings import REPO_ROOT

PATH = "/v1/assistant/conversations"
PHONE, CARD, NAME = "07700 900123", "4929 1234 5678 9012", "Adaeze Okonkwo"
SESSION = {"phone": PHONE, "contact_id": "contact-71", "queue_id": "general"}
TRANSFER = Use(tool="transfer_to_agent", arguments={"reason": "explicit_request", "summary": "Wants a person."})
STARTED = datetime(2025, 12, 8, 14, 30, tzinfo=UTC)
CARDS = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml")
WRONG = {"reply": "A premium debit card costs £99 a month.", "action": "answer"}
RIGHT = {"reply": "Which of our cards are you interested in?", "action": "clarify", "asks": ["card_type"]}


class Kept:
    name = "kept"

    def __init__(self):
        self.records = []

    def put(self, record):
        self.records.append(record)


class Broken:
    name = "broken"

    def put(self, record):
        raise OSError("bucket is gone")


class Scripted:
    """A model that says what it was told to, the last of it again and again; an exception is raised."""

    def __init__(self, *replies):
        self.replies = list(replies)

    async def complete(self, call):
        said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(said, Exception):
            raise said
        uses = said.uses if isinstance(said, Said) else ()
        return ModelReply(
            text="" if uses else json.dumps({"claims": [], **said}),
            uses=uses,
            usage=Usage(),
            stop_reason="tool_use" if uses else "end_turn",
            latency_ms=3.0,
            answered_by="nova-lite",
        )


def open_bank(monkeypatch):
    """Open the bank that the tools work on, within opening hours."""
    opened = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: datetime(2026, 11, 24, 10, 30, tzinfo=UTC))
    monkeypatch.setattr(tools, "live_bank", lambda: opened)


def audited_assistant(api_runtime, pair_name="rules", gateway=None, stores=None):
    """Return a runtime of the assistant, and two lists that grow: the records and the lines of the log."""
    task, source, kept, lines = load_task("assistant"), Source(), Kept(), []
    path = REPO_ROOT / "prompts" / "assistant" / f"{pair_name}.prompty"
    pair = load_pair(path, cards=CARDS, task_variables=task.variables)
    patient = replace(pair.serving, deadline_ms=60_000, hedge_delay_ms=50_000)
    source.served = replace(Source.served, pair=replace(pair, serving=patient, backup=None))
    made = api_runtime(
        tasks={"assistant": task},
        pair_sources={"assistant": source},
        cards=CARDS,
        gateway=gateway or Code(task),
        now=partial(next, (STARTED + timedelta(seconds=second) for second in count())),
    )
    offered = build_task_tools(made.settings, {"assistant": task.tool_functions}, None)
    offered["assistant"].check(pair)
    audit = Auditor(now=made.now, environment="local", stores=stores or [kept], write=lines.append, threads=1)
    return changed(made, tools=offered, audit=audit), kept.records, lines


def talked(runtime, *messages, channel="chat", session=SESSION, status=200):
    """Return the id of a conversation in which a customer said ``messages``; what was written is there afterwards."""
    with TestClient(create_app(runtime=runtime), raise_server_exceptions=False) as client:
        begun = client.post(PATH, json={"session": session, "channel": channel}).json()
        for message in messages:
            answer = client.post(f"{PATH}/{begun['conversation_id']}/messages", json={"message": message})
            assert answer.status_code == status, answer.text
    return begun["conversation_id"]


def events_of(records):
    return [event for record in records for event in record.events]


def named(records, name):
    return [event for event in events_of(records) if event.event_type == name]
