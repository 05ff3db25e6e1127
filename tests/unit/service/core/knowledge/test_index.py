"""An index finds what its documents say, and is opened only as what its digest names."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from word_embedder import WordEmbedder

from service.core.knowledge.documents import Document, read_documents
from service.core.knowledge.index_digest import index_digest
from service.core.knowledge.passages import Splitter
from service.kit.frame.errors import KnowledgeError

pytest.importorskip("apsw", reason="not installed: make setup EXTRAS=1")
pytest.importorskip("sqlite_vec", reason="not installed: make setup EXTRAS=1")

import apsw

from service.core.knowledge.index_file import build_index, load_vectors
from service.core.knowledge.sqlite_search import open_index

DOCUMENTS = read_documents(Path(__file__).resolve().parents[4] / "knowledge_base" / "documents")
SMALL = Splitter(most_characters=200)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    file = tmp_path_factory.mktemp("index") / "index.sqlite"
    build_index(file, DOCUMENTS, WordEmbedder(), splitter=SMALL)
    return file


@pytest.fixture(scope="module")
def index(built):
    return open_index(built, WordEmbedder())


def changed(built, folder, *statements):
    """Return a copy of the index after somebody else's changes."""
    file = folder / "changed.sqlite"
    file.write_bytes(built.read_bytes())
    connection = apsw.Connection(str(file))
    load_vectors(connection)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return file


def test_a_result_says_where_it_is_from(index):
    first = index.search("how many instalments may be missed in a row", limit=3)[0]
    assert first.document_id == "billing/payment-plan"
    assert first.passage_id.startswith("billing/payment-plan#")
    assert (first.version, first.title) == ("2", "Paying in instalments")
    assert first.headings == ("Paying in instalments",)
    assert first.text.startswith("## Breaking a plan")
    assert (first.word_rank, first.meaning_rank) == (1, 1)
    assert first.score == pytest.approx(2 / 61)


def test_results_are_ordered_bounded_and_different(index):
    found = index.search("bill meter reading", limit=7)
    assert len(found) == 7
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len({one.passage_id for one in found}) == 7
    assert index.search("bill meter reading", limit=3) == found[:3]


def test_metadata_filter_both_rankings(index):
    found = index.search("bill reading meter estimate", limit=50, where={"product": "metering"})
    assert {one.document_id for one in found} == {"smart-meter", "solar"}
    both = index.search("bill reading", limit=50, where={"product": "electricity", "audience": "customer"})
    assert {one.document_id for one in both} == {"billing/estimated-bills"}
    assert index.search("bill", where={"product": "no such product"}) == ()
    assert index.search("bill", where={"' or 1=1 --": "x"}) == ()


def test_words_are_found_by_their_stem_and_without_accents(index):
    assert index.document_of(index.by_words("waiving", depth=1)[0]) == "billing/late-fee"
    assert index.document_of(index.by_words("ESTIMEE", depth=1)[0]) == "facture-estimee"


@pytest.mark.parametrize("query", ["", "  \n", "\x00", "***", "🙂", "\u202e"])
def test_a_query_without_a_word_finds_nothing(index, query):
    assert index.search(query) == ()


@pytest.mark.parametrize(
    "query",
    [
        "x" * 1_000_000,
        "fee " * 100_000,
        "漢字 " * 500,
        'fee" OR "a',
        "fee) NEAR (",
        "title: fee*",
        "\ud800 fee",
        "the of and a",
        "'",
    ],
    ids=lambda query: query[:12].encode("ascii", "replace").decode(),
)
def test_a_hostile_query_is_an_ordinary_query(index, query):
    assert len(index.search(query)) <= 10


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_out_of_range_is_refused(index, limit):
    with pytest.raises(ValueError, match="limit is"):
        index.search("bill", limit=limit)


def test_threads_get_the_same_answers(index):
    queries = ["late fee", "solar panels", "power cut", "moving out"] * 10
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(index.search, queries)) == [index.search(query) for query in queries]


def test_the_digest_names_documents_settings_and_model(index):
    names = WordEmbedder().digest
    assert index.digest == index_digest(DOCUMENTS, SMALL, names) == index_digest(DOCUMENTS[::-1], SMALL, names)
    first, *rest = DOCUMENTS
    others = {
        index_digest(rest, SMALL, names),
        index_digest([first.model_copy(update={"text": f"{first.text} "}), *rest], SMALL, names),
        index_digest([first.model_copy(update={"version": "99"}), *rest], SMALL, names),
        index_digest([first.model_copy(update={"metadata": {}}), *rest], SMALL, names),
        index_digest(DOCUMENTS, Splitter(most_characters=201), names),
        index_digest(DOCUMENTS, SMALL, WordEmbedder("other").digest),
    }
    assert len(others - {index.digest}) == 6


def test_the_same_documents_make_the_same_file(built, tmp_path):
    again = tmp_path / "again.sqlite"
    build_index(again, DOCUMENTS[::-1], WordEmbedder(), splitter=SMALL)
    assert again.read_bytes() == built.read_bytes()


def test_another_index_than_the_evaluated_one_is_not_served(built, index):
    assert open_index(built, WordEmbedder(), expected=index.digest).passages == index.passages
    with pytest.raises(
        KnowledgeError, match=f"has the digest {index.digest[:12]}, and {'0' * 12} was asked for; put"
    ) as caught:
        open_index(built, WordEmbedder(), expected="0" * 64)
    assert "\n" not in str(caught.value)


def test_documents_changed_behind_the_digest_are_noticed(built, index, tmp_path):
    file = changed(built, tmp_path, "update documents set version = '99' where id = 'solar'")
    with pytest.raises(KnowledgeError, match="was asked for"):
        open_index(file, WordEmbedder(), expected=index.digest)
    assert open_index(file, WordEmbedder()).digest != index.digest


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update documents set text = text || ' Free money.' where id = 'solar'", "its passages are not those"),
        ("update passages set start = start + 1 where number = 3", "its passages are not those"),
        ("delete from passages where number = 3", "its passages are not those"),
        ("delete from vectors where passage = 3", "lacks words or vectors"),
        (
            "update vectors set vector = (select vector from vectors where passage = 2) where passage = 1",
            "another vector",
        ),
        ("update about set value = '2' where name = 'format'", "written by another version"),
        ("update about set value = 'x' where name = 'splitter'", "is damaged"),
        ("drop table words", "is damaged"),
    ],
)
def test_a_damaged_index_is_not_opened(built, tmp_path, statement, message):
    with pytest.raises(KnowledgeError, match=message) as caught:
        open_index(changed(built, tmp_path, statement), WordEmbedder())
    assert "build it again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_index_is_not_opened(built, tmp_path):
    with pytest.raises(KnowledgeError, match=r"there is no index .*; build it: omni knowledge build FOLDER"):
        open_index(tmp_path / "absent.sqlite", WordEmbedder())
    for content in (b"", b"no database" * 1_000, built.read_bytes()[:30_000]):
        (tmp_path / "x.sqlite").write_bytes(content)
        with pytest.raises(KnowledgeError, match="is damaged"):
            open_index(tmp_path / "x.sqlite", WordEmbedder())
    with pytest.raises(KnowledgeError, match="built with another embedding model"):
        open_index(built, WordEmbedder("other"))


def test_an_interrupted_build_leaves_the_index_as_it_was(built, tmp_path):
    file = tmp_path / "index.sqlite"
    file.write_bytes(built.read_bytes())
    many = [Document(id=f"d{number}", version="1", title="t", text=f"text {number}") for number in range(200)]
    with pytest.raises(KeyboardInterrupt):
        build_index(file, many, WordEmbedder(fails_after=100))
    assert file.read_bytes() == built.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


def test_a_build_says_how_far_it_is(tmp_path):
    seen = []
    many = [Document(id=f"d{number}", version="1", title="t", text=f"text {number}") for number in range(150)]
    build_index(tmp_path / "deep" / "index.sqlite", many, WordEmbedder(), progress=lambda *far: seen.append(far))
    assert seen == [(64, 150), (128, 150), (150, 150)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(KnowledgeError, match=r"the index .*index\.sqlite cannot be written"):
        build_index(tmp_path / "file" / "index.sqlite", DOCUMENTS[:1], WordEmbedder())
