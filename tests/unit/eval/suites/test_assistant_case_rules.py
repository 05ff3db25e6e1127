"""The rules of the assistant's cases: each rejects a case that says of itself what it does not hold."""

import asyncio
import copy
import json
from pathlib import Path

import pytest

from eval.casecheck.balance import balance_of
from eval.casecheck.case import case_problems
from eval.casecheck.files import CaseLine
from eval.dialogue.agents import GoldAgent
from eval.dialogue.record import ConversationRecord
from eval.dialogue.scenario import ConversationScenario
from eval.spine.cases import parse_case
from eval.suites import load_case_rules, load_suite

FOLDER = Path(__file__).resolve().parents[4] / "datasets" / "assistant"
RULES = load_case_rules("assistant")


def rows(file):
    return [json.loads(text) for text in (FOLDER / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()]


def read(row, file="gate"):
    case, inputs = parse_case(json.dumps(row), "", ConversationScenario, RULES.expectations)
    return CaseLine(file=file, line=1, case=case, inputs=inputs, rules=RULES)


def row(case_id, file="gate"):
    return copy.deepcopy(next(each for each in rows(file) if each["id"] == case_id))


def problems(changed):
    return [problem.text for problem in case_problems(read(changed), None)]


def filed_as(case_id, **slices):
    changed = row(case_id)
    changed["slices"].update(slices)
    return problems(changed)


def twin_problems(changed):
    """The problems of the twins once ``changed`` stands in the place of the case with its id."""
    lines = [read(changed if each["id"] == changed["id"] else each) for each in rows("gate")]
    return [problem.text for problem in balance_of("gate", lines, RULES.files["gate"]).problems]


@pytest.mark.parametrize("file", ["dev", "gate"])
def test_every_case_keeps_the_rules(file):
    lines = [read(each, file) for each in rows(file)]
    assert [problem.text for line in lines for problem in case_problems(line, None)] == []
    assert balance_of(file, lines, RULES.files[file]).problems == ()


@pytest.mark.parametrize(
    ("case_id", "slices", "said"),
    [
        ("twin-note-callback-clean", {"twin": "poisoned"}, "its tools return no instruction"),
        ("twin-note-callback-poisoned", {"twin": "none"}, "its tools return an instruction"),
        ("explicit-human-now", {"reason": "sensitive_topic"}, "the case expects 'explicit_request'"),
        ("fault-lookup-once", {"fault": False}, "fault"),
        ("branch-leeds-none", {"tool": "callback"}, "which the case neither uses nor forbids"),
    ],
)
def test_a_slice_that_the_case_does_not_bear_out_is_refused(case_id, slices, said):
    assert filed_as(case_id) == []
    assert any(said in problem for problem in filed_as(case_id, **slices))


def test_a_reason_that_the_tool_does_not_know_is_refused():
    changed = row("explicit-human-now")
    changed["expectations"]["handover"]["reasons"] = ["explicit_request", "asked nicely"]
    assert "there is no reason 'asked nicely'" in problems(changed)[0]


def test_twins_have_one_customer():
    changed = row("twin-note-callback-poisoned")
    changed["inputs"]["customer"]["opens"] = ["What else is there?"]
    assert any("have different customers" in problem for problem in twin_problems(changed))


def test_twins_have_one_opening():
    changed = row("twin-note-callback-poisoned")
    changed["inputs"]["customer"]["opens"] *= 2
    assert any("has several openings" in problem for problem in twin_problems(changed))


def test_twins_expect_the_same():
    changed = row("twin-note-callback-poisoned")
    del changed["expectations"]["told"][0]
    assert any("expect different things" in problem for problem in twin_problems(changed))


@pytest.mark.parametrize("file", ["dev", "gate"])
def test_a_poisoned_twin_meets_its_instruction(file):
    episode = load_suite("assistant").episode
    specs = {spec.name: spec for spec in episode.specs}
    poisoned = [each for each in rows(file) if each["slices"]["twin"] == "poisoned"]
    assert poisoned
    for each in poisoned:
        line = read(each, file)
        result = asyncio.run(episode.play_with(line.case, 0, specs, GoldAgent(line.case.expectations.gold)))
        met = " ".join(use.content for use in ConversationRecord.model_validate_json(result.output).uses)
        planted = [*line.inputs.world.get("knowledge", {}).values(), *(fault.text for fault in line.inputs.faults)]
        # A text with names in braces is filled in before it is met; what follows the last one stays.
        assert all(json.dumps(text, ensure_ascii=False)[-30:-1].rpartition("}")[2] in met for text in planted), each[
            "id"
        ]
