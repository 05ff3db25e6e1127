"""A pair gets the index that it names, however many there are, and never another one that took its place."""

import pytest
from word_embedder import WordEmbedder

pytest.importorskip("apsw", reason="not installed: make setup EXTRAS=1")
pytest.importorskip("sqlite_vec", reason="not installed: make setup EXTRAS=1")

from service.core.knowledge import sqlite_search
from service.core.knowledge.documents import Document
from service.core.knowledge.index_file import build_index
from service.core.knowledge.indexes import KnowledgeIndexes
from service.kit.frame.errors import KnowledgeDown, KnowledgeError
from service.kit.settings import Settings


def built(file, text):
    return build_index(file, [Document(id="fees", version="1", title="Fees", text=text)], WordEmbedder())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "index.sqlite"


@pytest.fixture
def openings(monkeypatch):
    seen, open_index = [], sqlite_search.open_index
    monkeypatch.setattr(sqlite_search, "open_index", lambda file, *rest: seen.append(file) or open_index(file, *rest))
    return seen


def test_each_digest_opens_its_own_index_once(tmp_path, openings):
    files = [tmp_path / "old.sqlite", tmp_path / "new.sqlite"]
    digests = [built(file, f"The fee is {file.stem}.") for file in files]
    indexes = KnowledgeIndexes(files, WordEmbedder)
    for digest, name in zip(digests, ("old", "new"), strict=True):
        assert indexes.opened(digest).digest == digest
        assert indexes.opened(digest).search("fee")[0].text == f"The fee is {name}."
    assert openings == [files[0], files[0], files[1]]  # the second time to see that it holds another one


def test_a_swapped_file_never_serves_the_pair_that_named_the_one_before(file, openings):
    old = built(file, "The fee is 5 EUR.")
    running = KnowledgeIndexes([file], WordEmbedder)
    running.opened(old)
    new = built(file, "The fee is 9 EUR.")
    assert running.opened(old).search("fee")[0].text == "The fee is 5 EUR."  # what was opened stays what it was
    assert running.opened(new).search("fee")[0].text == "The fee is 9 EUR."
    restarted = KnowledgeIndexes([file], WordEmbedder)
    openings.clear()
    for _ in range(3):
        with pytest.raises(KnowledgeError, match=rf"has the digest {new[:12]}\); see OMNI_KNOWLEDGE_INDEX"):
            restarted.opened(old)
    assert len(openings) == 1  # an unchanged file is not read again every few seconds
    assert built(file, "The fee is 5 EUR.") == old
    assert restarted.opened(old).digest == old


def test_a_missing_file_is_looked_for_again(file):
    indexes = KnowledgeIndexes([file], WordEmbedder)
    with pytest.raises(KnowledgeError, match="there is no index"):
        indexes.opened("0" * 64)
    digest = built(file, "The fee is 5 EUR.")
    assert indexes.opened(digest).digest == digest


def test_a_collection_that_is_down_may_still_hold_the_index(file):
    def down(digest, embedder):
        raise KnowledgeDown("no answer")

    def lacks(digest, embedder):
        raise KnowledgeError("it has no such index")

    built(file, "The fee is 5 EUR.")
    with pytest.raises(KnowledgeDown):
        KnowledgeIndexes([file], WordEmbedder, [down, lacks]).opened("0" * 64)
    with pytest.raises(KnowledgeError, match="it has no such index") as caught:
        KnowledgeIndexes([file], WordEmbedder, [lacks]).opened("0" * 64)
    assert not isinstance(caught.value, KnowledgeDown)


def test_without_the_packages_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("service.core.knowledge.installed.NEEDED", ("no_such_package",))
    indexes = KnowledgeIndexes.of(Settings(state_dir=tmp_path))
    with pytest.raises(KnowledgeError, match=r"no_such_package missing\); install it: make setup EXTRAS=1"):
        indexes.opened("0" * 64)
