import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from builders import make_pair
from held_documents import FIRST, SECOND, Indexes, Passages, holding, searching
from structlog.testing import capture_logs

from service.core.tools import serving
from service.core.tools.effects import EffectsInMemory
from service.core.tools.port import ToolsDown
from service.core.tools.provenance import Sources
from service.core.tools.serving import TaskTools, build_task_tools
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.kit.delivery.breaker import BreakerPolicy, CircuitBreaker
from service.kit.frame.errors import ConfigurationError, KnowledgeDown, RegistryError, ToolsDiffer
from service.kit.settings import Settings
from service.runtime import build_runtime

FIND = ToolSpec(name="find", description="Find.", arguments={"type": "object"})
OTHER = ToolSpec(name="find", description="Find.", arguments={"type": "object", "required": ["city"]})
PAIR = make_pair(tools=(FIND,))


class Server:
    """Lists what it is told, or raises it."""

    def __init__(self, *listed):
        self.listed_tools, self.asked = listed, 0

    async def listed(self):
        self.asked += 1
        if isinstance(self.listed_tools[0], Exception):
            raise self.listed_tools[0]
        return self.listed_tools

    async def aclose(self):
        pass


def tools_of(server, *, lasting=False, indexes=Indexes()):  # noqa: B008 - it never changes
    return TaskTools(
        task="demo",
        open_tools=lambda: server,
        effects=EffectsInMemory(),
        indexes=indexes,
        breaker=CircuitBreaker("tools", BreakerPolicy(), lambda: 0.0),
        search_breaker=CircuitBreaker("documents", BreakerPolicy(), lambda: 0.0),
        shadow_breaker=CircuitBreaker("shadows' tools", BreakerPolicy(), lambda: 0.0),
        shadow_search_breaker=CircuitBreaker("shadows' documents", BreakerPolicy(), lambda: 0.0),
        lasting=lasting,
    )


def test_a_pair_fits_the_tools_that_it_names():
    tools_of(Server(FIND)).check(PAIR)
    server = Server(OTHER)
    tools_of(server).check(make_pair())
    assert server.asked == 0  # it names none


@pytest.mark.acceptance("event.TOOLS_DIFFER")
def test_a_pair_with_other_tools_is_refused_and_told_once():
    tools = tools_of(Server(OTHER))
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(ToolsDiffer, match="'find' takes other arguments"):
                tools.check(PAIR)
    told = [(entry["task"], entry["pair"]) for entry in logs if entry["event"] == "TOOLS_DIFFER"]
    assert told == [("demo", "p")]


def test_of_two_pairs_the_refused_one_is_told_once_and_again_after_it_fitted(monkeypatch):
    monkeypatch.setattr(serving, "_LISTED_S", 0)
    server = Server(FIND)
    tools = tools_of(server)
    refused = make_pair("new", tools=(OTHER,))

    def look():  # as the registry does while a new release does not fit: at it, then at the pair in service
        with capture_logs() as logs:
            for pair in (refused, PAIR):
                with contextlib.suppress(ToolsDiffer):
                    tools.check(pair)
        return sum(entry["event"] == "TOOLS_DIFFER" for entry in logs)

    assert (look(), look()) == (1, 0)
    server.listed_tools = (OTHER,)
    look()
    server.listed_tools = (FIND,)
    assert (look(), look()) == (1, 0)


def test_while_the_tools_cannot_be_listed_nobody_says_that_they_differ(monkeypatch):
    server = Server(ToolsDown("the tools' server does not list its tools"))
    tools = tools_of(server)
    for _ in range(2):
        with pytest.raises(RegistryError, match="start or correct their server") as caught:
            tools.check(PAIR)
        assert not isinstance(caught.value, ToolsDiffer)
    assert server.asked == 1  # whoever asks next does not wait for another time limit
    monkeypatch.setattr(serving, "_FAILED_S", 0)
    server.listed_tools = (FIND,)
    tools.check(PAIR)


@pytest.mark.parametrize(("lasting", "asked"), [(True, 1), (False, 3)])
def test_another_process_is_asked_again_because_its_tools_may_change(lasting, asked, monkeypatch):
    monkeypatch.setattr(serving, "_LISTED_S", 0)
    server = Server(FIND)
    tools = tools_of(server, lasting=lasting)
    for _ in range(3):
        tools.check(PAIR)
    assert server.asked == asked


def test_a_run_gets_the_pair_s_tools_and_no_others():
    tools = tools_of(Server(FIND, OTHER))
    run = tools.for_run(PAIR, "conv-1")
    assert (list(run.specs), run.run_id, run.breaker) == (["find"], "demo/conv-1", tools.breaker)
    assert run.effects is tools.for_run(PAIR, "conv-2").effects
    assert tools.for_run(make_pair(), "conv-1") is None


def test_a_pair_whose_documents_are_not_here_is_not_served_and_told_once():
    pair = make_pair(tools=(*searching(SECOND), FIND))
    tools = tools_of(Server(FIND), indexes=holding(FIRST))
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(ToolsDiffer, match=r"'search_documents' searches documents that are not here: index.sq"):
                tools.check(pair)
    assert len([entry for entry in logs if entry["event"] == "TOOLS_DIFFER"]) == 1
    tools.indexes.held[SECOND] = Passages(SECOND)
    tools.check(pair)


def test_while_the_documents_cannot_be_reached_nobody_says_that_they_differ():
    tools = tools_of(Server(FIND), indexes=Indexes({FIRST: KnowledgeDown("no answer from OpenSearch")}))
    with pytest.raises(RegistryError, match="searches documents with 'search_documents', and no answer") as caught:
        tools.check(make_pair(tools=searching(FIRST)))
    assert not isinstance(caught.value, ToolsDiffer)


def test_a_pair_that_promised_other_arguments_of_a_search_is_refused():
    (old,) = searching(FIRST)
    old = replace(old, arguments={"type": "object"})
    with pytest.raises(ToolsDiffer, match="'search_documents' takes other arguments"):
        tools_of(Server(FIND), indexes=holding(FIRST)).check(make_pair(tools=(old,)))


def used(run, **arguments):
    use = Use(tool="search_documents", arguments={"query": "late fee", **arguments})
    return asyncio.run(run.use(use, sources=Sources(), timeout_s=5))


def test_a_run_searches_the_index_that_its_pair_names_without_a_server():
    indexes = holding(FIRST, SECOND)
    tools = tools_of(None, indexes=indexes)
    tools.open_tools = None  # a pair that only searches documents needs no server
    pair = make_pair(tools=searching(SECOND))
    tools.check(pair)
    run = tools.for_run(pair, "conv-1")
    outcome = used(run, where={"product": "cards"})
    assert json.loads(outcome.content) == {
        "documents": ["fees"],
        "passages": [{"document_id": "fees", "version": "2", "title": "Fees", "text": f"from {SECOND}"}],
    }
    assert indexes.held[SECOND].asked == [("late fee", 5, {"product": "cards"})]
    assert run.verified == []  # what documents say proves nothing
    assert used(run, limit=11).reason == "wrong_arguments"
    assert used(run, key="x").reason == "wrong_arguments"

    shadow = run.only_reading(searching(FIRST, verifies=["documents"]))
    assert FIRST in used(shadow).content
    assert shadow.verified == ["fees"]


def test_a_search_that_fails_is_told_and_no_reason_to_stop_the_other_tools():
    tools = tools_of(Server(FIND))
    run = tools.for_run(make_pair(tools=(*searching(FIRST), FIND)), "conv-1")
    assert used(run).content == '{"error": "the tool failed (KnowledgeError)"}'
    assert [used(run).reason for _ in range(100)][-1] == "tools_down"
    assert run.breaker.admit() is not None


def test_a_shadow_that_fails_to_read_does_not_keep_requests_from_the_tools():
    tools = tools_of(Server(FIND))
    pair = make_pair(tools=(*searching(FIRST), FIND, replace(FIND, name="pay", writes=True)))
    shadow = tools.for_shadow(pair)
    assert set(shadow.specs) == {"search_documents", "find"}
    for _ in range(100):
        used(shadow)  # no index has this digest
    assert used(shadow).reason == "tools_down"
    assert used(tools.for_run(pair, "conv-1")).reason != "tools_down"
    assert shadow.breaker is not tools.breaker
    assert tools.for_shadow(make_pair()) is None


def test_a_task_without_functions_and_server_says_what_is_missing(tmp_path):
    built = build_task_tools(Settings(state_dir=tmp_path), {"demo": ()}, None)
    with pytest.raises(ConfigurationError, match="OMNI_TOOLS_SERVERS names no server"):
        built["demo"].check(PAIR)
    asyncio.run(built["demo"].aclose())


def test_without_the_extra_a_task_s_functions_say_what_to_install(tmp_path, monkeypatch):
    from service.core.tools.functions import ToolFunction

    monkeypatch.setitem(__import__("sys").modules, "fastmcp", None)
    built = build_task_tools(Settings(state_dir=tmp_path), {"demo": (ToolFunction(call=make_pair),)}, None)
    with pytest.raises(ConfigurationError, match=r"omni-insights\[tools\]"):
        built["demo"].check(PAIR)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tools_servers": {"nope": "http://t/mcp"}}, "OMNI_TOOLS_SERVERS names nope; tasks: .*summarize"),
        ({"tools_tokens": {"summarize": "secret"}}, "OMNI_TOOLS_TOKENS names summarize, for which there is no server"),
    ],
)
def test_a_setting_for_no_task_or_no_server_ends_the_start(tmp_path, given, says):
    with pytest.raises(ConfigurationError, match=says):
        build_runtime(Settings(state_dir=tmp_path, **given))
