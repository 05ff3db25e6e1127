import json

import pytest

from eval.labels.contrasts.fresh_cases import CERTIFICATION, TUNED_ON, count_false_alarms
from eval.spine.errors import CaseError
from service.core.tasks.summarize import TASK
from service.kit.settings import REPO_ROOT

INPUTS = {
    "as_of": "2026-11-20T12:00:00Z",
    "account_number": "3308126945",
    "contact_id": "c-1",
    "interactions": [
        {
            "interaction_id": "i1",
            "channel": "agent",
            "timestamp": "2026-11-10T12:00:00Z",
            "intent": "Billing",
            "text": "Cust disputes 42.00 late fee, told review by 11/24",
        }
    ],
}


def write(folder, *rows):
    path = folder / "summarize" / "contrasts"
    path.mkdir(parents=True)
    (path / "certification.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_refused_answers_are_counted_by_kind(tmp_path):
    good = "The customer disputes a $42.00 late fee; a review is due by Nov 24."
    bad = "The customer disputes a $97.00 late fee; a review is due by Nov 24."
    write(
        tmp_path,
        {"id": "one", "inputs": INPUTS, "answers": [good, bad]},
        {"id": "two", "inputs": INPUTS, "answers": [good]},
    )
    found = count_false_alarms(TASK, CERTIFICATION, tmp_path)
    assert (found.cases, found.answers, found.refused, found.kinds) == (2, 3, 1, {"amount": 1})
    assert found.share.value == pytest.approx(1 / 3)


def test_without_the_file_nothing_is_counted(tmp_path):
    assert count_false_alarms(TASK, CERTIFICATION, tmp_path) is None


@pytest.mark.parametrize("row", [{"id": "one", "inputs": INPUTS}, {"id": "one", "inputs": {}, "answers": ["x"]}])
def test_a_wrong_line_is_named(tmp_path, row):
    write(tmp_path, row)
    with pytest.raises(CaseError, match=r"certification\.jsonl:1"):
        count_false_alarms(TASK, CERTIFICATION, tmp_path)


@pytest.mark.parametrize(("name", "most"), [(CERTIFICATION, 13), (TUNED_ON, 6)])
def test_the_guard_refuses_no_more_good_answers_than_it_did(name, most):
    """The aim is one in twenty; the certification cases gave 13 of 200 at first sight, and nothing was mended after it."""
    found = count_false_alarms(TASK, name, REPO_ROOT / "datasets")
    assert found is not None
    assert found.answers >= 200
    assert found.refused <= most, found.kinds
