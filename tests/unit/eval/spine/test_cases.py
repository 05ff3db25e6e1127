import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from eval.spine.cases import Case, Dataset, cases_digest, load_cases, stratified
from eval.spine.errors import CaseError


class Inputs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    interactions: list[dict]


def row(case_id="case-1", **changes):
    return {
        "id": case_id,
        "inputs": {"interactions": [{"interaction_id": "i1", "text": "A $45 late fee was charged on Nov 3."}]},
        "expectations": {
            "references": ["Disputes a $45 late fee of Nov 3."],
            "facts": [
                {"statement": "the fee", "accepted": ["$45 + fee"], "interaction_id": "i1", "span": "$45 late fee"}
            ],
            "forbidden": [{"claim": "refunded", "accepted": ["fee + refunded + !not"]}],
        },
        "slices": {"intent_family": "billing"},
    } | changes


@pytest.fixture
def write(tmp_path):
    def _write(*lines):
        path = tmp_path / "set.jsonl"
        path.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8"
        )
        return path

    return _write


def test_a_good_file_loads(write):
    dataset = load_cases(write(row("case-1"), "", row("case-2")), input_model=Inputs)
    assert [case.id for case in dataset.cases] == ["case-1", "case-2"]


@pytest.mark.parametrize(
    ("lines", "where", "message"),
    [
        (["{"], ":1", "not JSON"),
        ([row(), "nonsense"], ":2", "not JSON"),
        ([{k: v for k, v in row().items() if k != "inputs"}], ":1", "field 'inputs'"),
        ([row(inputs={})], ":1", "field 'inputs.interactions'"),
        ([row(inputs={"interactions": [], "extra": 1})], ":1", "field 'inputs.extra'"),
        ([row(expectations={"facts": [{"statement": "abc"}]})], ":1", "field 'expectations.facts.0.accepted'"),
        ([row(), row()], ":2", "stands in line 1 too"),
        (["[]"], ":1", "field 'the object'"),
        ([""], "", "holds no case"),
    ],
)
def test_each_fault_is_named_with_file_line_and_field(write, lines, where, message):
    with pytest.raises(CaseError) as caught:
        load_cases(write(*lines), input_model=Inputs)
    assert f"set.jsonl{where}" in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_lists_the_datasets_that_are_there(write):
    path = write(row())
    with pytest.raises(CaseError, match=r"datasets there: set"):
        load_cases(path.with_name("gate.jsonl"), input_model=Inputs)


def test_the_digest_sees_every_change_and_only_changes():
    one, other = Case.model_validate(row()), Case.model_validate(row())
    assert cases_digest([one]) == cases_digest([other])
    changed = row()
    changed["expectations"]["forbidden"][0]["claim"] = "refunded!"
    assert cases_digest([Case.model_validate(changed)]) != cases_digest([one])
    assert Case.model_validate(changed).inputs_digest == one.inputs_digest


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.integers(1, 40))
def test_a_stratified_part_is_proportional_and_repeatable(families, count):
    cases = tuple(Case.model_validate(row(f"case-{n}", slices={"intent_family": f})) for n, f in enumerate(families))
    dataset = Dataset(name="d", cases=cases, source="x")
    part = stratified(dataset, count)
    assert part.cases == stratified(dataset, count).cases
    assert len(part.cases) == min(count, len(cases))
    for family in set(families):
        share = families.count(family) / len(families)
        taken = sum(1 for case in part.cases if case.slices["intent_family"] == family)
        assert abs(taken - share * len(part.cases)) <= 2
