"""A service that answers as the bank's assistant does: its own tools, guard and pairs, with a model that is code."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

from builders import changed
from parcel_desk import desk
from parcel_service import Code, Source

from service.core.llm.gateway import build_gateway
from service.core.run.task import load_task
from service.core.tasks.assistant import tools
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tasks.assistant.rules import rules
from service.core.tools.serving import build_task_tools
from service.core.unit.cards import ModelCards
from service.core.unit.pair_file import load_pair
from service.kit.settings import REPO_ROOT

OPEN = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
PATH = "/v1/assistant/conversations"


def open_bank():
    """Return a bank of its own, on a Tuesday morning, and have the tools work on it."""
    bank = Bank(knowledge=bank_knowledge(), records={}, clock=lambda: OPEN)
    tools.live_bank = lambda: bank
    return bank


def as_a_model(so_far):
    """Answer as the rules do: a model that is right, for the real wire."""
    return rules(replace(so_far, may_use_tools=True))


def bank_model(takes_s=0.0, answer=as_a_model):
    """Serve that model over Converse until the end of the block."""
    return desk(answer, takes_s)


def assistant_runtime(build, *, model=None, deadline_ms=60_000, hedge_delay_ms=30_000, **changes):
    """Return a runtime of the assistant; ``model`` is the address of a model over Converse, without it code answers."""
    cards, task = ModelCards.load(REPO_ROOT / "prompts" / "models.yaml"), load_task("assistant")
    path = REPO_ROOT / "prompts" / "assistant" / f"{'nova-lite' if model else 'rules'}.prompty"
    loaded = load_pair(path, cards=cards, task_variables=task.variables)
    source = Source()
    serving = replace(loaded.serving, deadline_ms=deadline_ms, hedge_delay_ms=min(hedge_delay_ms, deadline_ms))
    source.served = replace(Source.served, pair=replace(loaded, serving=serving))
    fixed = {"tasks": {"assistant": task}, "pair_sources": {"assistant": source}, "cards": cards}
    made = build(**fixed, gateway=Code(task), **changes)
    if model is not None:
        served = made.settings.model_copy(update={"bedrock_endpoint": model})
        gateway = build_gateway(served, cards, task.in_process)
        gateway.warm_up()  # as a service does before it is ready
        made = changed(made, gateway=gateway)
    offered = build_task_tools(made.settings, {"assistant": task.tool_functions}, None)
    checking = threading.Thread(target=offered["assistant"].check, args=(loaded,))  # as before a pair is served
    checking.start()
    checking.join()
    return changed(made, tools=offered)


def texts(conversation):
    """Return what was said in a conversation as the API tells it: by whom, and the words."""
    return [(each["by"], each["text"]) for each in conversation["said"]]
