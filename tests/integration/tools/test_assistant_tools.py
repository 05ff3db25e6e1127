"""The bank's tools over MCP: what a pair names is what the server lists, and the SDK's own client can use it."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_pair
from pydantic import SecretStr
from tool_server import TOKEN, served

from service.core.tasks.assistant import tools as assistant
from service.core.tasks.assistant.bank import Bank
from service.core.tasks.assistant.knowledge import bank_knowledge
from service.core.tools.allowed import AllowedTools
from service.core.tools.mcp.http import over_http
from service.core.tools.mcp.port import McpTools
from service.core.tools.mcp.server import build_server, in_process
from service.core.tools.mcp.tokens import FileTokenVerifier
from service.core.tools.port import ToolError
from service.core.tools.provenance import Sources
from service.core.tools.schemas import differing_tools
from service.core.tools.serving import build_task_tools
from service.core.unit.question import Use
from service.kit.frame.errors import ToolsDiffer
from service.kit.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    """A bank of the test's own, on a Tuesday morning."""
    own = Bank(knowledge=bank_knowledge(), records={"hours": {"now": "2026-11-24T10:30:00+00:00"}}, clock=None)
    monkeypatch.setattr(assistant, "live_bank", lambda: own)
    return own


@pytest.fixture(scope="module")
def url():
    server = build_server("assistant", assistant.FUNCTIONS, auth=FileTokenVerifier({TOKEN: "desk"}))
    with served(server.http_app("/mcp")) as address:
        yield address


@pytest.fixture(params=["in process", "over HTTP"])
def connect(request, url):
    if request.param == "in process":
        return in_process(build_server("assistant", assistant.FUNCTIONS))
    return over_http(url, SecretStr(TOKEN))


def with_tools(connect, work):
    async def run():
        tools = McpTools(connect)
        try:
            return await work(tools)
        finally:
            await tools.aclose()

    return asyncio.run(run())


@pytest.mark.acceptance("tool-01")
def test_the_server_lists_what_a_pair_names(connect):
    listed = with_tools(connect, lambda tools: tools.listed())
    assert differing_tools(assistant.SPECS, listed) == ""
    assert [tool.name for tool in listed if tool.writes] == ["request_callback", "transfer_to_agent"]
    assert all(tool.description for tool in listed)


@pytest.mark.acceptance("tool-01")
def test_a_run_uses_each_tool(connect):
    uses = [
        ("get_branch_account_opening_info", {"account_type": "business"}, "channel", "branch"),
        ("get_digital_account_opening_info", {"account_type": "business"}, "channel", "digital"),
        ("get_debit_card_info", {"card_type": "standard"}, "card_type", "standard"),
        ("find_nearest_branch", {"location": "Brum"}, "search_location", "Birmingham"),
        ("check_hours", {}, "open", True),
        ("queue_position", {}, "position", 1),
        ("request_callback", {"phone": "07700 900123", "when": "afternoon"}, "when", "afternoon"),
        ("transfer_to_agent", {"reason": "explicit_request", "summary": "Asked for a person."}, "state", "waiting"),
    ]

    async def work(tools):
        run = AllowedTools(specs={spec.name: spec for spec in assistant.SPECS}, tools=tools, run_id="r")
        said = Sources(said=["Call 07700 900123 please."])
        return [
            await run.use(Use(tool=name, arguments=arguments), sources=said, timeout_s=30)
            for name, arguments, _, _ in uses
        ]

    outcomes = with_tools(connect, work)
    assert [outcome.status for outcome in outcomes] == ["done"] * len(uses)
    answers = [json.loads(outcome.content) for outcome in outcomes]
    assert [answer[field] for answer, (_, _, field, _) in zip(answers, uses, strict=True)] == [use[3] for use in uses]
    assert {answer["knowledge_version"] for answer in answers} == {bank_knowledge().label}


def test_the_key_of_a_call_arrives_at_the_bank(connect, bank):
    async def work(tools):
        for phone in ("07700 900123", "+44 7700 900 123"):
            await tools.call("request_callback", {"phone": phone}, key="k-1")

    with_tools(connect, work)
    assert [row["keys"] for row in bank.records["callbacks"].values()] == [["k-1"]]


@pytest.mark.acceptance("bot-test-03")
def test_what_the_bank_refuses_did_nothing_and_says_why(connect, bank):
    with pytest.raises(ToolError, match="not a UK phone number"):
        with_tools(connect, lambda tools: tools.call("request_callback", {"phone": "0900 123"}, key="k"))
    assert "callbacks" not in bank.records


@contextmanager
def command(tmp_path):
    """`omni tools serve --task assistant` in a process of its own; yields its address."""
    (tmp_path / "tokens").write_text(f"desk {TOKEN}\n", encoding="utf-8")
    arguments = ["tools", "serve", "--task", "assistant", "--port", "0", "--tokens", str(tmp_path / "tokens")]
    environment = {**os.environ, "OMNI_STATE_DIR": str(tmp_path / "state")}
    with subprocess.Popen(
        [sys.executable, "-m", "omni", *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            told = process.stdout.readline()
            assert told.startswith("serving the tools of assistant on http://"), told
            yield told.split(" on ")[1].split(";")[0]
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.slow
@pytest.mark.acceptance("tool-01")
def test_the_sdks_own_client_can_use_the_command(tmp_path):
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async def run(url):
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            listed = {tool.name: tool for tool in (await client.list_tools()).tools}
            answer = await client.call_tool("get_debit_card_info", {"card_type": "premium"})
            wrong = await client.call_tool("get_debit_card_info", {"card_type": "credit"})
            written = await client.call_tool("request_callback", {"phone": "07700 900123"})
            return listed, answer, wrong, written

    with command(tmp_path) as url:
        listed, answer, wrong, written = asyncio.run(run(url))
    assert set(listed) == {spec.name for spec in assistant.SPECS}
    assert listed["get_debit_card_info"].annotations.read_only_hint is True
    assert listed["transfer_to_agent"].annotations.read_only_hint is False
    assert answer.structured_content["card_details"]["fees"].startswith("£12 a month")
    assert wrong.is_error
    assert written.structured_content["phone"] == "+447700900123"


def test_a_pair_with_other_schemas_is_refused():
    tools = build_task_tools(Settings(), {"assistant": assistant.FUNCTIONS}, None)["assistant"]
    tools.check(make_pair(tools=assistant.SPECS))
    first, *rest = assistant.SPECS
    other = replace(first, arguments={"type": "object", "properties": {"location": {"type": "string"}}})
    with pytest.raises(ToolsDiffer, match=first.name):
        tools.check(make_pair(tools=(other, *rest)))
