from eval.labels.texts import load_texts
from eval.selftest.doses.authors import AuthorFigures, author_lines, authors_missed


def figures(objected=5, novelty=0.4):
    return AuthorFigures(author="author_a", texts=100, objected=objected, novelty=novelty)


def test_three_authors_wrote_texts_of_other_cases_and_the_third_of_some_of_the_first_one_s():
    texts = load_texts()
    assert {author: len(found) for author, found in texts.items()} == {"author_a": 100, "author_b": 100, "author_c": 60}
    assert not set(texts["author_a"]) & set(texts["author_b"])
    assert set(texts["author_c"]) <= set(texts["author_a"])


def test_the_guard_may_object_to_one_good_text_in_twenty():
    assert authors_missed([figures(), figures()], 0.6) == []
    (line,) = authors_missed([figures(), figures(objected=6)], 0.6)
    assert line == "the guard objects to 11 of 200 good texts, more than 5%"


def test_a_good_authors_sentences_stay_below_the_bound_of_novelty():
    assert authors_missed([figures(novelty=0.6)], 0.6) == []
    assert authors_missed([figures(novelty=0.61)], 0.6) == ["author_a's sentences are too novel: 0.61, bound 0.6"]


def test_the_table_has_intervals():
    assert author_lines([]) == []
    assert author_lines([figures()])[-2] == "| author_a | 100 | 5 (2.2% to 11.2%) | 0.40 |"
