"""The scripted model's file: answers, uses of tools, and mistakes that are named with their line."""

import json
import random

import pytest

from service.core.unit.question import Use
from service.local.scripted_model import load_script, scripted_answer

RULES = (
    {"contains": ["branch"], "says": "I look.", "uses": [{"tool": "find", "arguments": {"city": "Leeds"}}] * 2},
    {"contains": ["hi"], "answers": ["Hello.", {"a": 1}]},
)


def written(tmp_path, *lines):
    path = tmp_path / "script.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_a_rule_uses_tools_or_answers(tmp_path):
    script = load_script(written(tmp_path, *RULES))
    said = scripted_answer(script, "a branch?", random.Random(0), turns=3)
    assert said.output == "I look."
    assert said.uses == tuple(Use(tool="find", arguments={"city": "Leeds"}, call_id=f"call_3_{n}") for n in (1, 2))
    drawn = {scripted_answer(script, "hi", random.Random(seed), turns=1).output for seed in range(9)}
    assert drawn == {"Hello.", '{"a": 1}'}
    assert scripted_answer(script, "bye", random.Random(0), turns=1) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"contains": ["x"], "uses": []}, "script.jsonl:1: .*'uses' is empty"),
        ({"contains": ["x"], "uses": [{"arguments": {}}]}, "script.jsonl:1: .*'tool'"),
        (
            {"contains": ["x"], "uses": [{"tool": "t", "arguments": "no"}]},
            "script.jsonl:1: .*'arguments' of a tool must be",
        ),
        ({"contains": ["x"], "answers": []}, "script.jsonl:1: 'answers' is empty"),
        ({"contains": ["x"]}, "script.jsonl:1: not a rule with 'contains' and 'answers' or 'uses'"),
        ("{", "script.jsonl:1: not a rule"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, line, says):
    with pytest.raises(ValueError, match=says):
        load_script(written(tmp_path, line))
