"""What a run that is no conversation may search, and that a broken search ends it."""

import asyncio

import pytest
from builders import make_pair
from held_documents import FIRST, SECOND, Indexes, holding, searching

from eval.run.documents import check_labelled_for, open_documents, with_documents
from eval.spine.errors import RunAborted
from service.core.tools.provenance import Sources
from service.core.unit.pair import ToolSpec
from service.core.unit.question import Use
from service.kit.frame.errors import ConfigurationError

WRITE = ToolSpec(name="write", description="Write.", arguments={"type": "object"}, writes=True)
PAIR = make_pair(tools=(WRITE, *searching(FIRST)))


def used(indexes, pair=PAIR, tool="search_documents"):
    async def answer(tools):
        if tools is None:
            return None
        use = Use(tool=tool, arguments={"query": "fee"})
        return await tools.use(use, sources=Sources(), timeout_s=5)

    return asyncio.run(with_documents(pair, "case-1-0", indexes, answer))


def test_a_run_may_search_and_nothing_else():
    assert used(holding(FIRST)).status == "done"
    assert used(holding(FIRST), tool="write").reason == "not_allowed"  # nothing stands in for it
    assert used(holding(FIRST), pair=make_pair(tools=(WRITE,))) is None
    assert used(None) is None


def test_a_search_that_breaks_ends_the_run():
    with pytest.raises(RunAborted, match=r"cannot be searched \(index.sqlite has the digest 999\)"):
        used(Indexes())


def test_every_pair_s_documents_are_opened():
    open_documents([PAIR, make_pair()], holding(FIRST))
    with pytest.raises(
        ConfigurationError, match="pair 'p' searches documents with 'search_documents' that are not here"
    ):
        open_documents([make_pair(), PAIR], holding(SECOND))


def test_cases_that_name_documents_of_another_index_refuse_the_pair():
    check_labelled_for([PAIR, make_pair()], FIRST, "demo")
    check_labelled_for([PAIR], "", "demo")
    with pytest.raises(
        ConfigurationError, match="name documents of index bbbbbbbbbbbb, and pair 'p' searches aaaaaaaaa"
    ):
        check_labelled_for([PAIR], SECOND, "demo")
