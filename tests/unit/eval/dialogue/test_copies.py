"""Which cases count as copies of each other: those whose customers say the same, not those that share records."""

import json

import pytest

from eval.casecheck.check import check_folder
from eval.suites import load_case_rules
from service.core.run.task import load_task


@pytest.fixture
def problems(parcels):
    """The problems of the parcel service's cases, but for similar stories: its customers are made from three templates."""
    folder = parcels / "datasets" / "parcels"

    def found():
        checked = check_folder(folder, load_task("parcels"), load_case_rules("parcels"))
        return [problem.text for problem in checked.problems if "nearly the same story" not in problem.text]

    return found


def test_cases_may_share_records_and_planted_texts(problems):
    assert problems() == []


def test_customers_may_not_say_the_same(problems, parcels):
    file = parcels / "datasets" / "parcels" / "dev.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    said = "I moved house last week and my parcel must not go to the old address, as nobody lives there."
    for line in lines[:2]:
        line["inputs"]["customer"]["opens"] = [said]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert problems() == [
        "customer.opens.0 has the same text as customer.opens.0 of dev.jsonl:1 tracking-00; rewrite it"
    ]
