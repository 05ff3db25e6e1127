"""What a search in documents answers: bounded, whatever the passages are."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest
from held_documents import FIRST, SECOND, Indexes, Passages, holding, searching

from service.core.tools.allowed import AllowedTools
from service.core.tools.documents import NoTools, WithDocuments, documents_in
from service.core.tools.port import MOST_ANSWER_CHARS, ToolError
from service.core.tools.provenance import Sources
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use

(SEARCH,) = searching(FIRST)


class Long(Passages):
    """Finds ten passages of a document each, whose texts are ``text``."""

    def __init__(self, text):
        super().__init__(FIRST)
        self.text = text

    def search(self, query, *, limit=10, where=None):
        (one,) = super().search(query)
        return tuple(replace(one, document_id=f"d-{number}", text=self.text) for number in range(limit))


def searched(index, **arguments):
    tools = WithDocuments(NoTools(), [SEARCH], Indexes({FIRST: index}))
    return asyncio.run(tools.call("search_documents", {"query": "fee", **arguments}, key=None))


@pytest.mark.parametrize(("text", "least"), [("x" * 9_000, 10), ("\x00" * 9_000, 2), ('"é\n' * 3_000, 5)])
def test_an_answer_is_never_too_long_and_names_what_it_holds(text, least):
    answer = json.loads(content := searched(Long(text), limit=10))
    assert len(content) <= MOST_ANSWER_CHARS
    assert len(answer["passages"]) >= least
    assert answer["documents"] == [one["document_id"] for one in answer["passages"]] == list(documents_in(content))
    assert all(one["text"] == f"{text[:1_500]}…" for one in answer["passages"])


def test_a_search_ends_with_the_run_s_time():
    class Hanging(Passages):
        ended = threading.Event()

        def search(self, query, *, limit=10, where=None):
            self.ended.wait(60)
            return ()

    tools = WithDocuments(NoTools(), [SEARCH], Indexes({FIRST: Hanging(FIRST)}))
    run = AllowedTools(specs={SEARCH.name: SEARCH}, tools=tools, run_id="r")
    use = Use(tool="search_documents", arguments={"query": "fee"})
    try:
        assert asyncio.run(run.use(use, sources=Sources(), timeout_s=0.05)).status == "too_late"
    finally:
        Hanging.ended.set()


def test_an_error_holds_no_documents():
    assert documents_in('{"error": "the tool failed"}') == ()
    assert documents_in("[]") == ()


def test_documents_stand_beside_other_tools():
    class Others(NoTools):
        async def listed(self):
            return (ToolSpec(name="find", description="Find.", arguments={"type": "object"}),)

        async def call(self, name, arguments, *, key):
            return f'"{name} {key}"'

    tools = WithDocuments(Others(), [SEARCH], holding(FIRST, SECOND))
    assert [spec.name for spec in asyncio.run(tools.listed())] == ["search_documents", "find"]
    assert asyncio.run(tools.call("find", {}, key="k")) == '"find k"'
    with pytest.raises(ToolError, match="no tool 'find'"):
        asyncio.run(WithDocuments(NoTools(), [SEARCH], holding(FIRST)).call("find", {}, key=None))
    answer = asyncio.run(tools.of(searching(SECOND)).call("search_documents", {"query": "fee"}, key=None))
    assert SECOND in answer
