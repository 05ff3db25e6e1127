"""`omni knowledge measure`: on the public data where they are, and on rows of our own with a model of words."""

import pytest

pytest.importorskip("sqlite_vec", reason="not installed: make setup EXTRAS=1")

from word_embedder import WordEmbedder

from eval.instruments.retrieval import measure as measuring
from eval.instruments.retrieval.measure import Bench, measure, rankings, recalls
from eval.instruments.retrieval.questions import LabelledQuestion, QuestionSet, public_sets
from eval.spine.errors import RetrievalError
from service.core.knowledge.documents import Document
from service.core.knowledge.passages import Splitter
from service.kit.settings import Settings

PUBLIC = Settings().public_data_dir


@pytest.fixture
def bench(tmp_path):
    return Bench(folder=tmp_path / "measured", embedder=WordEmbedder(), progress=lambda: lambda done, total: None)


def own_set(count=40):
    colours = "amber azure coral ivory jade lilac ochre olive pearl ruby teal umber".split()
    texts = [f"{colours[one % 12]} account number {one} fee {one * 7}" for one in range(count)]
    return QuestionSet(
        name="own",
        kind="colours",
        documents=tuple(Document(id=f"d{one}", version="1", title="t", text=text) for one, text in enumerate(texts)),
        questions=tuple(
            LabelledQuestion(
                source=f"s{one}", text=f"what is the fee of number {one}", documents=frozenset({f"d{one}"})
            )
            for one in range(count)
        ),
    )


def test_it_prints_all_methods_of_both_splits_with_intervals(bench, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(measuring, "public_sets", lambda folder: ([own_set()], ["tau is not there"]))
    measure(tmp_path, bench)
    printed = capsys.readouterr()
    assert printed.err == "note: tau is not there\n"
    lines = printed.out.splitlines()
    assert lines[2] == "own: colours; 40 documents, 40 passages"
    assert [line.split(":")[0].strip() for line in lines[3::6]] == ["dev", "test"]
    words = next(line for line in lines if line.strip().startswith("words"))
    assert "recall@5 1.000 [" in words
    assert sum("both less" in line for line in lines) == 4
    assert len(list(bench.folder.iterdir())) == 1


def test_an_index_is_kept_and_not_built_twice(bench):
    first = bench.index(own_set(), Splitter())
    embedded = bench.embedder.embedded
    again = bench.index(own_set(), Splitter())
    assert again.digest == first.digest
    assert bench.embedder.embedded - embedded <= 5  # the vectors that opening compares


def test_tuning_asks_the_dev_split_only(bench, monkeypatch, capsys, tmp_path):
    only_dev = own_set()
    only_dev = QuestionSet(name="own", kind="k", documents=only_dev.documents, questions=only_dev.of("dev"))
    for sets in ([own_set()], [only_dev]):
        monkeypatch.setattr(measuring, "public_sets", lambda folder, sets=sets: (sets, []))
        measure(tmp_path, bench, tune=True)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 * 17
    assert printed[:17] == printed[17:]


def test_without_public_data_it_says_what_to_set(bench, tmp_path):
    with pytest.raises(RetrievalError, match=r"no public set is in .*; set OMNI_PUBLIC_DATA_DIR"):
        measure(tmp_path, bench)


@pytest.mark.skipif(not (PUBLIC / "assistant").is_dir(), reason=f"the public data are not in {PUBLIC}")
def test_the_public_banks_documents_are_found_better_than_by_chance(bench):
    (opening, _, _), missing = public_sets(PUBLIC)
    assert missing == []
    assert len(opening.documents) == 698
    found = recalls(opening.questions, rankings(bench.index(opening, Splitter()))["both"])
    assert found[10].mean() > 3 * 10 / 698
