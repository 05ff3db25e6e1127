"""What pools read of a run that searched documents and cites them."""

import json

from eval.verdict.pools import CitedIn, FoundWith
from service.core.run.task import TaskResult
from service.core.tools.use import TracedStep


def result(*steps, output=None):
    return TaskResult(output=output, arm="primary", model="m", answered_by="m", latency_ms=1.0, trace=steps)


def step(name="search_documents", status="done", **content):
    return TracedStep(kind="tool", name=name, status=status, ms=1.0, content=json.dumps(content))


def test_what_was_found_stands_search_after_search():
    found = result(
        step(documents=["b", "a"]),
        step("find", documents=["other tool"]),
        step(status="failed", error="no time"),
        TracedStep(kind="model", name="search_documents", status="end_turn", ms=1.0),
        step(documents=["c", "a"]),
    )
    assert FoundWith("search_documents")(found) == ("b", "a", "c", "a")
    assert FoundWith("search_documents")(result()) == ()


def test_what_is_cited_stands_in_a_field():
    cited = CitedIn("sources")
    assert cited(result(output='{"reply": "x", "sources": ["a", "b"]}')) == ("a", "b")
    assert cited(result(output='{"reply": "x"}')) == ()
    assert cited(result()) == ()
