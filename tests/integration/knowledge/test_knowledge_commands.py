"""`knowledge prepare|build|search` as a person meets them: what they print, and what a fault prints."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from fake_opensearch import KEY, REGION, fake_opensearch

from service.__main__ import main
from service.core.knowledge.indexes import KnowledgeIndexes
from service.core.knowledge.installed import NEEDED
from service.kit.frame.errors import KnowledgeDown, KnowledgeError
from service.kit.settings import Settings

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason="not installed: make setup EXTRAS=1"
)
OWN = Path(__file__).resolve().parents[2] / "knowledge_base" / "documents"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state folder with the model's file and an index of our own documents."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMNI_STATE_DIR", str(folder))
        assert main(["knowledge", "build", str(OWN)]) == 0
    return folder


@pytest.fixture(autouse=True)
def _here(state, monkeypatch):
    monkeypatch.setenv("OMNI_STATE_DIR", str(state))


def test_a_build_names_what_it_made_and_a_search_what_it_found(tmp_path, capsys):
    index = tmp_path / "index.sqlite"
    assert main(["knowledge", "build", str(OWN), "--index", str(index)]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("20 documents, 20 passages in ")
    assert str(index) in first
    digest = last.removeprefix("    documents: ")
    assert main(["knowledge", "search", "power cut", "--index", str(index), "--expect", digest, "--limit", "1"]) == 0
    assert capsys.readouterr().out.startswith("1. Power cuts (words 1, meaning 1)\n   outage#")


def test_a_search_as_json_and_with_a_condition(capsys):
    assert main(["knowledge", "search", "estimated bill", "--where", "language=fr", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["document_id"] for one in answer["passages"]] == ["facture-estimee"]
    assert len(answer["digest"]) == 64


def test_the_terminal_is_not_steered_by_a_document(tmp_path, capsys):
    hostile = {
        "id": "x",
        "version": "1\x1b[2J",
        "title": "Red\x1b[31m\u202e",
        "text": "late fee \x1b]0;owned\x07\n" * 40,
    }
    (tmp_path / "x.json").write_text(json.dumps(hostile), encoding="utf-8")
    index = tmp_path / "index.sqlite"
    assert main(["knowledge", "build", str(tmp_path), "--index", str(index)]) == 0
    assert main(["knowledge", "search", "late fee", "--index", str(index)]) == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert "\\u001b[31m\\u202e" in out
    assert "more lines" in out


def test_prepare_says_which_model_is_ready(capsys):
    assert main(["knowledge", "prepare"]) == 0
    assert capsys.readouterr().out.startswith("the embedding model is ready: 384 dimensions, digest ")


def test_an_index_is_published_and_searched_in_a_collection(capsys, monkeypatch):
    for name, value in zip(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"), KEY, strict=True):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("OMNI_AWS_REGION", REGION)
    with fake_opensearch() as fake:
        assert main(["knowledge", "publish", fake.url]) == 0
        line = capsys.readouterr().out
        assert line.startswith("20 passages are in knowledge-")
        digest = line.split()[-1]
        assert (
            main(["knowledge", "search", "ombudsman", "--endpoint", fake.url, "--expect", digest, "--limit", "1"]) == 0
        )
        assert capsys.readouterr().out.startswith("1. Complaints (words 1, meaning 1)\n   complaint#")

        # The service takes it from there, too, where no file has it.
        served = KnowledgeIndexes.of(Settings(knowledge_index=f"/nowhere/index.sqlite, {fake.url}"))
        assert served.opened(digest).search("ombudsman", limit=1)[0].document_id == "complaint"
        with pytest.raises(
            KnowledgeError, match=r"no index has .* OpenSearch at .* has no index with the digest 00000"
        ):
            served.opened("0" * 64)
    with pytest.raises(KnowledgeDown):
        KnowledgeIndexes.of(Settings(knowledge_index=fake.url)).opened(digest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "x", "--expect", "0" * 64), "has the digest"),
        (
            ("search", "x", "--index", "/nowhere/index.sqlite"),
            "there is no index /nowhere/index.sqlite; build it: omni",
        ),
        (("search", "x", "--endpoint", "https://x.com"), "--endpoint needs --expect"),
        (("publish", "http://x.com"), "'http://x.com' is not a collection's address"),
        (("search", "x", "--where", "product"), "'product' is no condition"),
        (("search", "x", "--where", "a=1", "--where", "a=2"), "'a' cannot have two values"),
        (("build", "/nowhere"), "/nowhere is no folder"),
    ],
)
def test_a_fault_is_one_line_that_says_what_to_do(arguments, message, capsys):
    assert main(["knowledge", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_search_that_finds_nothing_says_so(capsys):
    assert main(["knowledge", "search", "***"]) == 0
    assert capsys.readouterr().out == "no passage found\n"
