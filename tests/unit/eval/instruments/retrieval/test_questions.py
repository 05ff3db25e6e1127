"""Public sets are read as they lie in the public data folder, here with rows of our own in their form."""

import json

import pytest

from eval.instruments.retrieval.questions import public_sets
from eval.spine.errors import RetrievalError

SAID = 'Open with "Hi, I lost both of my cards yesterday." Name the shop "Blue". Later: "Can you send them to my new address?"'


def rows(path, *values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")


@pytest.fixture
def data(tmp_path):
    rows(tmp_path / "assistant/tau3_banking_documents.jsonl", {"id": "d1", "title": "Lost cards", "content": "Freeze."})
    task = {"id": "task_1", "user_scenario": {"instructions": SAID}, "required_documents": ["d1"]}
    silent = {"id": "task_2", "user_scenario": {"instructions": "Be silent."}, "required_documents": ["d1"]}
    (tmp_path / "assistant/tau3_banking_tasks_2.json").write_text(json.dumps([task, silent]), encoding="utf-8")
    rows(
        tmp_path / "tweetsumm_1.jsonl",
        {"id": "t1", "dialogue": "Customer: help", "references": ["He asks.", "She asks."]},
    )
    return tmp_path


def test_questions_are_what_the_customer_says(data):
    (opening, everything, summaries), missing = public_sets(data)
    assert missing == []
    assert [(one.source, one.text) for one in opening.questions] == [
        ("task_1", "Hi, I lost both of my cards yesterday.")
    ]
    assert everything.questions[0].text.endswith("yesterday. Can you send them to my new address?")
    assert opening.questions[0].documents == {"d1"}
    assert [document.title for document in opening.documents] == ["Lost cards"]
    assert [one.text for one in summaries.questions] == ["He asks.", "She asks."]
    assert summaries.documents[0].text == "Customer: help"


def test_each_source_is_in_one_split(data):
    (_, _, summaries), _ = public_sets(data)
    assert len({one.split for one in summaries.questions}) == 1
    assert len(summaries.of("dev")) + len(summaries.of("test")) == 2


def test_a_set_that_is_not_there_is_named(data):
    (data / "tweetsumm_1.jsonl").unlink()
    sets, missing = public_sets(data)
    assert len(sets) == 2
    assert missing == [f"tweetsumm_*.jsonl is not in {data}: that set is left out"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tweetsumm_1.jsonl", "{}\n", "is not what it should be: KeyError"),
        ("tweetsumm_1.jsonl", "{}\n{", r"tweetsumm_1\.jsonl:2: not JSON"),
        ("assistant/tau3_banking_tasks_2.json", '[{"id": 1, "user_scenario": []}]', "is not what it should be"),
        (
            "assistant/tau3_banking_documents.jsonl",
            '{"id": "", "title": "t", "content": "c"}',
            "is not what it should be",
        ),
    ],
)
def test_a_file_of_another_form_is_named(data, file, content, message):
    (data / file).write_text(content, encoding="utf-8")
    with pytest.raises(RetrievalError, match=message) as caught:
        public_sets(data)
    assert "\n" not in str(caught.value)
