import pytest

from service.core.unit.pair import ToolSpec
from service.core.unit.pair_file.declared_tools import ToolsWrong, declared_tools
from service.core.unit.tool_arguments import wrong_arguments, wrong_schema


def spec(**schema):
    return ToolSpec(name="find", description="Find.", arguments={"type": "object", **schema})


UNAPPLICABLE = {
    "nowhere": {"properties": {"city": {"$ref": "#/$defs/city"}}},
    "the network": {"properties": {"city": {"$ref": "http://127.0.0.1:9/city.json"}}},
    "itself": {"$ref": "#"},
    "in a circle": {
        "properties": {"city": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    },
}


@pytest.mark.parametrize("schema", UNAPPLICABLE.values(), ids=UNAPPLICABLE)
def test_a_schema_that_cannot_be_applied_is_refused_when_the_pair_is_read(schema):
    assert wrong_schema(spec(**schema))
    with pytest.raises(ToolsWrong, match="the schema of tool 'find' is wrong"):
        declared_tools({"find": {"description": "Find.", "arguments": {"type": "object", **schema}}})


@pytest.mark.parametrize("schema", UNAPPLICABLE.values(), ids=UNAPPLICABLE)
def test_a_use_under_a_schema_that_cannot_be_applied_is_wrong_and_raises_nothing(schema):
    assert "cannot be applied" in wrong_arguments(spec(**schema), {"city": "x"})


def test_references_within_the_schema_are_followed():
    good = spec(properties={"city": {"$ref": "#/$defs/city"}}, **{"$defs": {"city": {"type": "string"}}})
    assert wrong_schema(good) == ""
    assert wrong_arguments(good, {"city": "Bath"}) == ""
    assert "city" in wrong_arguments(good, {"city": 3})


def test_a_schema_may_describe_a_tree():
    tree = spec(properties={"branches": {"type": "array", "items": {"$ref": "#"}}})
    assert wrong_schema(tree) == ""
    assert wrong_arguments(tree, {"branches": [{"branches": []}]}) == ""
    assert "branches" in wrong_arguments(tree, {"branches": [{"branches": 3}]})
