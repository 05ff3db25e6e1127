"""What becomes of a message that went wrong: a draft that a person must complete before it is a case."""

import pytest

from eval.casecheck.check import read_case_file
from eval.harvest.case_source import CaseSource
from eval.harvest.kept import KeptSource
from eval.harvest.sources.upsell import SOURCE
from eval.spine.case_rules import CaseRules
from eval.spine.cases import Case, Expectations
from eval.suites.upsell import CASE_RULES, SUITE
from service.core.redaction.persons import pseudonym_of
from service.core.tasks.upsell import TASK
from service.core.tasks.upsell.customer import UpsellInputs
from service.kit.frame.errors import ConfigurationError

EXAMPLE = UpsellInputs.model_validate(UpsellInputs.model_config["json_schema_extra"]["examples"][0])


class Labelled(Expectations):
    urgency: str


def drafted(correction=None):
    kept = TASK.without_ids(EXAMPLE, pseudonym_of)
    inputs = UpsellInputs.model_validate(kept.model_dump(mode="json"))
    return Case(
        id="reg-1",
        inputs=inputs.model_dump(mode="json"),
        expectations=SOURCE.expectations(correction, inputs, CASE_RULES),
        slices={**CASE_RULES.observed(inputs), "reason": "rated"},
    )


def test_a_draft_says_nothing_until_a_person_has_written_what_was_right():
    case = drafted("Hello Dana, Boiler Care is £14 a month.")
    assert case.expectations.references == ("Hello Dana, Boiler Care is £14 a month.",)
    assert SOURCE.missing(case) == [
        "says neither what suits nor why nothing is to be sold: write offers, or decision suppressed with reasons"
    ]


@pytest.mark.parametrize(
    "written", [{"offers": ("boiler-care",)}, {"decision": "suppressed", "reasons": ("vulnerable",)}]
)
def test_a_completed_case_is_one_that_the_suite_takes(written, tmp_path):
    case = drafted()
    case = case.model_copy(update={"expectations": case.expectations.model_copy(update=written)})
    assert SOURCE.missing(case) == []
    path = tmp_path / "regression.jsonl"
    path.write_text(case.model_dump_json() + "\n", encoding="utf-8")
    _, problems = read_case_file(path, UpsellInputs, CASE_RULES)
    assert problems == []
    assert list(CASE_RULES.labels(case, UpsellInputs.model_validate(case.inputs))) == []
    assert {demand.score for demand in SUITE.must_pass if not demand.slice} == {"held_back", "offer_fits"}


def test_a_source_that_cannot_draft_the_tasks_expectations_says_what_to_write():
    source: CaseSource = KeptSource(UpsellInputs)
    with pytest.raises(ConfigurationError, match=r"needs urgency in its expectations: override `expectations`"):
        source.expectations("a correction", EXAMPLE, CaseRules(expectations=Labelled))
    assert source.missing(Case(id="one", inputs={}, expectations=Labelled(urgency="now"))) == []
