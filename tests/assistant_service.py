"""A service in which the bank's assistant answers by its rules, within opening hours, with a queue of handovers."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

from builders import changed
from parcel_service import Code, Source

from service.core.run.task import load_task
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tools.serving import build_task_tools
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.desk.handover import HandoverStore
from service.desk.queue import HandoverQueue
from service.desk.tool import with_kept_callbacks
from service.kit.aws.stores import HANDOVERS
from service.kit.records.memory import RowsInMemory
from service.kit.settings import REPO_ROOT

OPEN = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
PATH = "/v1/assistant/conversations"


def assistant_runtime(build, monkeypatch, *, store=None, book=None, left_after=None, **changes):
    """Return a runtime; ``store`` keeps the handovers, ``book`` the callbacks."""
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: OPEN)
    monkeypatch.setattr(tools, "live_bank", lambda: bank)
    monkeypatch.setattr("service.core.tasks.assistant.live_bank", lambda: bank)
    cards, task = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml"), load_task("assistant")
    pair = load_pair(REPO_ROOT / "prompts" / "assistant" / "rules.prompty", cards=cards, task_variables=task.variables)
    source = Source()
    patient = replace(pair, serving=replace(pair.serving, deadline_ms=60_000))  # a busy machine is slow
    source.served = replace(Source.served, pair=patient)
    queue = HandoverQueue(
        store=store or HandoverStore(RowsInMemory(HANDOVERS)),
        now=lambda: datetime.now(UTC),
        **({} if left_after is None else {"left_after": left_after}),
    )
    made = build(
        tasks={"assistant": task},
        pair_sources={"assistant": source},
        gateway=Code(task),
        cards=cards,
        **{"handovers": queue} | changes,
    )
    own = task.tool_functions if book is None else with_kept_callbacks(task.tool_functions, book)
    offered = build_task_tools(made.settings, {"assistant": own}, None)
    checking = threading.Thread(target=offered["assistant"].check, args=(pair,))  # as before a pair is served
    checking.start()
    checking.join()
    return changed(made, tools=offered)
