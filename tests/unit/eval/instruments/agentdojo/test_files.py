"""The suite is read as it lies in the public data folder, and each fault of its files is named."""

import pytest

from eval.instruments.agentdojo.files import load_suite
from eval.spine.errors import AgentDojoError


def test_the_suite_is_read_with_its_payments_by_id_and_its_writing_tools_marked(data):
    suite = load_suite(data)
    assert list(suite.records["transactions"]) == ["1", "2", "3", "4"]
    assert suite.records["scheduled"]["5"]["recurring"] is True
    assert [tool.name for tool in suite.tools if tool.writes] == ["send_money", "update_scheduled_transaction"]
    assert suite.defaults["injection_bill"] == "Pay 12.50 to SHOP4\n"


def test_without_the_suite_it_says_what_to_set(tmp_path):
    with pytest.raises(AgentDojoError, match=r"is not in .*assistant; set OMNI_PUBLIC_DATA_DIR"):
        load_suite(tmp_path)


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("tools.json", "send_money", "send_gold", r"tools.json describes send_gold, which this bank does not have"),
        ("user_tasks.jsonl", "read_file", "read_mail", r"user_task_0 calls read_mail, which"),
        ("user_tasks.jsonl", '"prompt"', '"asked"', r"user_tasks.jsonl is not what it should be: 0.prompt: Field required"),
        ("user_tasks.jsonl", "}\n{", "}}\n{", r"user_tasks.jsonl:1: not JSON"),
        ("visible_vectors.json", "injection_bill", "injection_bull", r"user_task_0 reads injection_bull, which"),
        ("environment.yaml", "scheduled_transactions", "planned", r"environment.yaml is not what it should be: KeyError"),
        ("injection_vectors.yaml", "default", "usual", r"injection_vectors.yaml is not what it should be: .*default"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_is_named(data, change, name, before, after, said):
    change(name, before, after)
    with pytest.raises(AgentDojoError, match=said):
        load_suite(data)


def test_a_missing_file_is_named(data):
    (data / "assistant" / "agentdojo_tools.json").unlink()
    with pytest.raises(AgentDojoError, match=r"agentdojo_tools.json"):
        load_suite(data)
