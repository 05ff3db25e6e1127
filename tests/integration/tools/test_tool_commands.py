"""`omni tools`: the tools of a task as a pair file names them, and its functions served to others."""

import asyncio
import threading
import time

import pytest
import uvicorn
import yaml
from pydantic import SecretStr
from throw_away import ThrowAway

from service.__main__ import main
from service.core.tools.mcp.http import over_http
from service.core.tools.mcp.port import McpTools
from service.core.tools.port import ToolsDown
from service.core.tools.schemas import differing_tools
from service.core.unit.pair_file.declared_tools import declared_tools

TOKEN = "a-token-in-a-file-of-tokens-0001"


@pytest.fixture
def parcels(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNI_STATE_DIR", str(tmp_path / "state"))
    task = ThrowAway(tmp_path, "parcels")
    yield
    task.remove()


def test_the_listing_is_what_a_pair_file_takes(parcels, capsys):
    from service.core.tasks.parcels import SPECS

    assert main(["tools", "list", "--task", "parcels"]) == 0
    listed = declared_tools(yaml.safe_load(capsys.readouterr().out)["tools"])
    assert [(tool.name, tool.writes) for tool in listed] == [("find_parcel", False), ("redirect_parcel", True)]
    assert differing_tools(SPECS, listed) == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--task", "summarize"], "task 'summarize' has no functions as tools"),
        (["serve", "--task", "summarize"], "task 'summarize' offers no functions as tools"),
        (["serve", "--task", "nope"], "no task 'nope'"),
        (["serve", "--task", "parcels", "--tokens", "none.txt"], "none.txt cannot be read"),
    ],
)
def test_what_cannot_be_listed_or_served_is_one_line(parcels, capsys, arguments, says):
    assert main(["tools", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert says in line


@pytest.mark.parametrize("text", ["", "demo short\n", "only-a-token-without-a-client\n", "a b c\n"])
def test_a_wrong_file_of_tokens_is_refused_and_not_shown(parcels, tmp_path, capsys, text):
    file = tmp_path / "tokens"
    file.write_text(text, encoding="utf-8")
    assert main(["tools", "serve", "--task", "parcels", "--tokens", str(file)]) == 2
    shown = capsys.readouterr().err
    assert "tokens" in shown
    assert "only-a-token" not in shown


def test_a_task_s_functions_are_served_to_holders_of_a_token(parcels, tmp_path, monkeypatch):
    (tmp_path / "tokens").write_text(f"desk {TOKEN}\n", encoding="utf-8")
    servers, run = [], uvicorn.Server.run
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, **given: (servers.append(self), run(self, **given)))
    arguments = ["tools", "serve", "--task", "parcels", "--port", "0", "--tokens", str(tmp_path / "tokens")]
    ended = []
    thread = threading.Thread(target=lambda: ended.append(main(arguments)), daemon=True)
    thread.start()
    while not (servers and servers[0].started):
        assert thread.is_alive()
        time.sleep(0.01)
    port = servers[0].servers[0].sockets[0].getsockname()[1]

    def listed(token):
        return asyncio.run(McpTools(over_http(f"http://127.0.0.1:{port}/mcp", SecretStr(token))).listed())

    try:
        assert [tool.name for tool in listed(TOKEN)] == ["find_parcel", "redirect_parcel"]
        with pytest.raises(ToolsDown):
            listed(TOKEN[:-1])
    finally:
        servers[0].should_exit = True
        thread.join(15)
    assert ended == [0]
