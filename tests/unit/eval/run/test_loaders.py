import json

import pytest

from eval.run.loaders import load_dataset, load_tweetsumm
from eval.spine.errors import CaseError
from service.core.tasks.summarize import SummarizeInputs
from service.kit.settings import Settings

ROW = {"id": "tweetsumm-" + "a" * 32, "dialogue": "Customer: late again\nAgent: sorry", "references": ["One.", "Two."]}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tweetsumm_110.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    return tmp_path


def test_a_dialogue_becomes_a_case_that_the_task_accepts(folder):
    dataset = load_dataset(
        "tweetsumm", task="summarize", input_model=SummarizeInputs, settings=Settings(public_data_dir=folder)
    )
    (case,) = dataset.cases
    visible = SummarizeInputs.model_validate(case.inputs).visible()
    assert [item.text for item in visible] == [ROW["dialogue"]]
    assert case.expectations.references == ("One.", "Two.")


def test_an_absent_file_says_how_to_name_it(tmp_path):
    with pytest.raises(CaseError, match="OMNI_PUBLIC_DATA_DIR"):
        load_tweetsumm(tmp_path)


def test_a_broken_row_is_named(folder):
    with (folder / "tweetsumm_110.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "x"}\n')
    with pytest.raises(CaseError, match=r"tweetsumm_110\.jsonl:2"):
        load_tweetsumm(folder)


def test_another_name_is_a_case_file_of_the_task():
    dataset = load_dataset("dev", task="summarize", input_model=SummarizeInputs, settings=Settings())
    assert len(dataset.cases) == 40
