"""The same port over OpenSearch Serverless: published, found again by its digest only, searched over HTTP."""

from pathlib import Path

import pytest

pytest.importorskip("sqlite_vec", reason="not installed: make setup EXTRAS=1")

from fake_opensearch import KEY, REGION, fake_opensearch
from word_embedder import WordEmbedder

from service.core.knowledge.documents import read_documents
from service.core.knowledge.index_file import build_index
from service.core.knowledge.opensearch import open_published, publish
from service.core.knowledge.opensearch_http import OpenSearchCollection
from service.core.knowledge.sqlite_search import open_index
from service.kit.aws.clients import AwsKey
from service.kit.frame.errors import ConfigurationError, KnowledgeError

OWN = Path(__file__).resolve().parents[2] / "knowledge_base" / "documents"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    file = tmp_path_factory.mktemp("index") / "index.sqlite"
    build_index(file, read_documents(OWN), WordEmbedder())
    return open_index(file, WordEmbedder())


@pytest.fixture
def fake():
    with fake_opensearch() as running:
        yield running


def collection(fake, key=KEY, **options):
    return OpenSearchCollection(fake.url, region=REGION, key=lambda: key, timeout_s=5.0, **options)


@pytest.fixture
def published(fake, index):
    publish(index, collection(fake), "help", sleep=lambda seconds: None)
    return open_published(collection(fake), "help", WordEmbedder(), expected=index.digest)


def test_what_was_published_is_found_with_all_that_a_result_says(published, index):
    assert published.digest == index.digest
    first = published.search("instalments missed in a row", limit=3)[0]
    beside = index.search("instalments missed in a row", limit=3)[0]
    assert first.passage_id == beside.passage_id
    assert (first.version, first.title, first.headings, first.text) == (
        beside.version, beside.title, beside.headings, beside.text,
    )  # fmt: skip
    assert (first.word_rank, first.meaning_rank) == (1, 1)


def test_both_rankings_are_filtered_and_bounded(published):
    found = published.search("the bill and the meter", limit=50, where={"product": "metering"})
    assert {one.document_id for one in found} == {"smart-meter", "solar"}
    assert len(published.search("the bill and the meter", limit=2)) == 2
    assert published.search("bill", where={"product": "none"}) == ()


@pytest.mark.parametrize("query", ["", "***", "x" * 100_000, "fee " * 9_999, '{"query": {}}\n{}', "\ud800 fee"])
def test_hostile_queries_are_ordinary_queries(published, query):
    assert len(published.search(query)) <= 10
    with pytest.raises(ValueError, match="limit is 0"):
        published.search("fee", limit=0)


def test_an_index_waits_until_all_of_it_is_visible_and_is_published_once(fake, index):
    fake.hidden_looks = 3
    waits, steps = [], []
    name = publish(index, collection(fake), "help", sleep=waits.append, progress=lambda *far: steps.append(far))
    assert name == f"help-{index.digest[:32]}"
    assert len(waits) == 3
    assert steps == [(20, 20)]
    before = len(fake.requests)
    assert publish(index, collection(fake), "help") == name
    assert [method for method, _ in fake.requests[before:]] == ["GET"]


def test_an_upload_that_broke_off_is_not_opened_and_begins_anew(fake, index):
    name = publish(index, collection(fake), "help", sleep=lambda seconds: None)
    del fake.indexes[name]["rows"][5:]
    with pytest.raises(KnowledgeError, match="does not hold all its passages; publish it again"):
        open_published(collection(fake), "help", WordEmbedder(), expected=index.digest)
    publish(index, collection(fake), "help", sleep=lambda seconds: None)
    assert len(fake.indexes[name]["rows"]) == index.passages


def test_another_digest_or_model_is_refused(fake, index, published):
    with pytest.raises(KnowledgeError, match="has no index with the digest 000000000000; publish it"):
        open_published(collection(fake), "help", WordEmbedder(), expected="0" * 64)
    with pytest.raises(KnowledgeError, match="built with another embedding model"):
        open_published(collection(fake), "help", WordEmbedder("other"), expected=index.digest)
    definition = next(iter(fake.indexes.values()))["definition"]
    definition["mappings"]["_meta"]["digest"] = index.digest[:32] + "0" * 32
    with pytest.raises(KnowledgeError, match="has no index with the digest"):
        open_published(collection(fake), "help", WordEmbedder(), expected=index.digest)


def test_a_wrong_or_missing_key_is_refused(fake, index):
    with pytest.raises(KnowledgeError, match=r"GET /help-\w+/_count: status 403"):
        publish(index, collection(fake, AwsKey("AKIDEXAMPLE", "wrong", "session")), "help")
    with pytest.raises(KnowledgeError, match="no AWS key is found"):
        publish(index, collection(fake, None), "help")


def test_a_throttled_or_failing_request_is_tried_once_more(fake, published):
    fake.break_with = [(429, b"{}")]
    assert published.search("late fee")
    fake.break_with = [(503, b"{}"), (503, b"{}")]
    with pytest.raises(KnowledgeError, match="_msearch: status 503"):
        published.search("late fee")
    fake.break_with = [(400, b"{}")]
    with pytest.raises(KnowledgeError, match="_msearch: status 400"):
        published.search("late fee")


@pytest.mark.parametrize(
    "content",
    [b"<html>", b"[]", b'{"responses": [{"error": "x"}]}', b'{"responses": []}', b"5"],
    ids=lambda content: content.decode(),
)
def test_an_answer_of_another_form_is_one_error(fake, published, content):
    fake.break_with = [(200, content)]
    with pytest.raises(KnowledgeError, match="OpenSearch at http") as caught:
        published.search("late fee")
    assert "\n" not in str(caught.value)


def test_a_collection_that_is_not_there_is_named(index):
    gone = OpenSearchCollection("http://127.0.0.1:9", region=REGION, key=lambda: KEY)
    with pytest.raises(KnowledgeError, match=r"OpenSearch at http://127\.0\.0\.1:9: GET .*: EndpointConnectionError"):
        publish(index, gone, "help")


@pytest.mark.parametrize(
    "endpoint", ["http://abc.aoss.amazonaws.com", "abc", "https://u:p@x.com", "https://x.com/?a=b", ""]
)
def test_only_an_encrypted_address_is_taken(endpoint):
    with pytest.raises(ConfigurationError, match="is not a collection's address"):
        OpenSearchCollection(endpoint, region=REGION, key=lambda: KEY)


@pytest.mark.parametrize("name", ["", "Help", "../help", "a b", "x" * 64])
def test_a_name_that_a_collection_would_refuse_is_refused(fake, index, name):
    with pytest.raises(ConfigurationError, match="cannot begin an index's name"):
        publish(index, collection(fake), name)
    assert fake.requests == []
