"""The extractive digest is the last link of every chain, so the guard of every other link must have no objection to it."""

import json

import pytest

from service.core.tasks.summarize import TASK, SummarizeInputs
from service.core.tasks.summarize.digest import extractive_digest
from service.kit.settings import REPO_ROOT

# Both digests quote a note that names a day and a date which do not fit ("yesterday, Oct 8" in a note of Oct 8).
_CONFLICTING_NOTES = {"gate-disconnection-01": "date", "gate-payment_arrangement-18": "date"}


@pytest.mark.parametrize("name", ["dev", "challenge", "gate"])
def test_the_guard_has_no_objection_to_a_digest(name):
    lines = (REPO_ROOT / "datasets" / "summarize" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    refused = {}
    for line in lines:
        case = json.loads(line)
        inputs = SummarizeInputs.model_validate(case["inputs"])
        kinds = {item.kind for item in TASK.guard(inputs)(extractive_digest(inputs.visible()))}
        if kinds - {_CONFLICTING_NOTES.get(case["id"])}:
            refused[case["id"]] = kinds
    assert refused == {}
