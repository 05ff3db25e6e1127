from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ConfigDict

from eval.casecheck.case import case_problems, full_numbers
from eval.casecheck.files import CaseLine, read_case_file, repeated_ids
from eval.spine.case_rules import CaseRules, FileRules, Passage, string_passages
from eval.spine.cases import Case

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Inputs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    notes: dict[str, str]
    hidden: tuple[str, ...] = ()
    times: dict[str, datetime] = {}


def passages(inputs):
    return tuple(
        Passage(id=name, text=text, at=inputs.times.get(name), visible=name not in inputs.hidden)
        for name, text in inputs.notes.items()
    )


RULES = CaseRules(
    passages=passages,
    now=lambda _: NOW,
    observed=lambda inputs: {"notes": str(len(inputs.notes))},
    reference_words=(5, 12),
    open_slice=("resolution", ("open",)),
    contested=(("conflicting", True),),
    after_now=(("future", True),),
    files={"set": FileRules(count=1, slices={"resolution": ("open", "resolved"), "conflicting": (True, False)})},
)
FACT = {"statement": "the fee", "accepted": ["$45 + fee"], "interaction_id": "i1", "span": "$45 late fee"}
FORBIDDEN = {"claim": "refunded", "accepted": ["fee + refunded + !not"]}


def line(rules=RULES, inputs=None, slices=None, **expectations):
    raw = {
        "id": "case-1",
        "inputs": {"notes": {"i1": "A $45 late fee was charged on Nov 3."}} | (inputs or {}),
        "expectations": {
            "references": ["Disputes a $45 late fee of Nov 3."],
            "facts": [FACT],
            "forbidden": [FORBIDDEN],
            "open_items": ["answer about the charge"],
        }
        | expectations,
        "slices": {"resolution": "open", "conflicting": False} | (slices or {}),
    }
    case = Case.model_validate(raw)
    return CaseLine(file="set", line=7, case=case, inputs=Inputs.model_validate(case.inputs), rules=rules)


def problems(own_answer=None, **changes):
    return [str(problem) for problem in case_problems(line(**changes), own_answer)]


def test_a_sound_case_has_no_problem():
    assert problems() == []


NOTES = {"i1": "A $45 late fee was charged on Nov 3.", "i2": "The fee was refunded."}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"facts": [FACT | {"span": "$46 late fee"}]}, "does not occur in i1"),
        ({"facts": [FACT | {"interaction_id": "i9"}]}, "names 'i9', which the case does not have"),
        ({"facts": [FACT | {"accepted": ["$46"]}]}, "reference 1 does not carry fact 'the fee'"),
        ({"facts": [FACT | {"accepted": ["!fee"]}]}, "no words to look for"),
        ({"facts": [FACT | {"accepted": ["$45 + fee", "fee + refunded + !not"]}]}, "it can be only one"),
        ({"facts": [FACT | {"statement": "the fee was refunded"}]}, "the statement 'the fee was refunded' matches"),
        ({"inputs": {"hidden": ("i1",)}}, "lies outside the request's window"),
        ({"inputs": {"times": {"i1": "2026-11-22T00:00:00Z"}}}, "after the request (2026-11-21T00:00:00+00:00)"),
        ({"inputs": {"notes": NOTES}}, "the text of i2 matches forbidden claim 'refunded'"),
        ({"open_items": ["say that the fee was refunded"]}, "the open item 'say that the fee was refunded' matches"),
        ({"references": ["Disputes a $45 late fee.", "The $45 late fee was refunded."]}, "reference 2 matches"),
        ({"references": ["A $45 fee."]}, "reference 1 has 3 words; write 5 to 12"),
        ({"references": ["Disputes a $45 late fee of account 4471860193."]}, "ends in 0193; mask it"),
        ({"references": ["Disputes a $45 late fee.", "Nothing of note happened here."]}, "reference 2 carries 0 of 1"),
        ({"forbidden": [{"claim": "abc", "accepted": ["..."]}]}, "no words to look for"),
        ({"open_items": []}, "resolution is 'open', but no open item is named"),
        ({"slices": {"resolution": "closed"}}, "slice 'resolution' is 'closed'; one of open, resolved"),
        ({"slices": {"shade": "blue"}}, "slice 'shade' is not one of set's"),
        ({"slices": {"notes": "2"}}, "slice 'notes' is '2', but the inputs make it '1'"),
        ({"own_answer": "No notes"}, "the task answers these inputs with 'No notes' and no model"),
    ],
)
def test_planted_faults_are_named_with_file_and_line(changes, message):
    found = problems(**changes)
    assert any(message in text and text.startswith("set.jsonl:7 case-1: ") for text in found), found


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": {"notes": NOTES}, "slices": {"conflicting": True}},
        {"inputs": {"times": {"i1": "2026-11-22T00:00:00Z"}}, "slices": {"future": True}, "rules": None},
        {"slices": {"resolution": "resolved"}, "open_items": []},
        {"own_answer": "No notes", "references": ["No notes."], "facts": [], "open_items": []},
    ],
)
def test_a_declared_exception_is_not_a_fault(changes):
    if "rules" in changes:
        changes = changes | {"rules": CaseRules(passages=passages, now=lambda _: NOW, after_now=(("future", True),))}
    assert problems(**changes) == []


def test_a_second_reference_may_weigh_things_differently_but_not_wholly():
    facts = [FACT, FACT | {"statement": "the day", "accepted": ["nov 3"]}, FACT | {"accepted": ["charg*"]}]
    first = "Disputes a $45 late fee charged on Nov 3."
    assert problems(facts=facts, references=[first, "A $45 fee was charged to her."]) == []
    assert problems(facts=facts, references=[first, "A $45 fee was put on her."]) != []


@pytest.mark.parametrize(
    "text", ["account 4471860193", "card 4111 1111 1111 1111", "SSN 078-05-1120", "no. 123456789."]
)
def test_full_numbers_are_seen(text):
    assert full_numbers(text)


@pytest.mark.parametrize(
    "text",
    [
        "account ending 4471",
        "$1,234,567.89",
        "call 555-0142",
        "reading 41877",
        "Nov 3, 2026",
        "2026-11-21",
        "INC-77120",
    ],
)
def test_amounts_dates_and_short_numbers_are_not(text):
    assert full_numbers(text) == []


def test_every_bad_line_of_a_file_is_reported_not_only_the_first(tmp_path):
    path = tmp_path / "set.jsonl"
    good = '{"id": "case-1", "inputs": {"notes": {}}}'
    path.write_text(f"{{\n{good}\n{good.replace('notes', 'nots')}\n{good}\n", encoding="utf-8")
    lines, faults = read_case_file(path, Inputs, RULES)
    assert [found.line for found in lines] == [2, 4]
    assert [str(fault)[:12] for fault in faults] == ["set.jsonl:1:", "set.jsonl:3:"]
    assert "set.jsonl:4 case-1: the id is also used in set.jsonl:2" in str(repeated_ids(lines)[0])


def test_a_task_without_rules_has_all_its_texts_as_passages():
    found = string_passages(Inputs(notes={"i1": "one", "i2": "two"}, hidden=("i1",)))
    assert [(passage.id, passage.text) for passage in found] == [
        ("notes.i1", "one"),
        ("notes.i2", "two"),
        ("hidden.0", "i1"),
    ]


def test_a_tasks_own_demands_on_its_labels_are_problems_of_the_case():
    rules = replace(RULES, labels=lambda case, inputs: [f"{case.id} has {len(inputs.notes)} note and no verdict"])
    assert problems(rules=rules) == ["set.jsonl:7 case-1: case-1 has 1 note and no verdict"]
    assert problems() == []
