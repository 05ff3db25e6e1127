import pytest

from service.core.tools.schemas import differing_tools
from service.core.unit.pair import ToolSpec

ARGUMENTS = {
    "type": "object",
    "properties": {"title": {"type": "string", "description": "A title."}, "kind": {"enum": ["a", "b"]}},
    "required": ["title", "kind"],
}


def tool(arguments=ARGUMENTS, name="find", writes=False):
    return ToolSpec(name=name, description="Find.", arguments=arguments, writes=writes)


def with_title(**schema):
    return ARGUMENTS | {"properties": ARGUMENTS["properties"] | {"title": schema}}


@pytest.mark.parametrize(
    "listed",
    [
        ARGUMENTS,
        with_title(type="string", title="Title"),
        ARGUMENTS | {"additionalProperties": False, "title": "Find", "$schema": "x"},
        ARGUMENTS | {"required": ["kind", "title"]},
        with_title(type="string") | {"properties": {"kind": {"enum": ["b", "a"]}, "title": {"type": "string"}}},
    ],
)
def test_prose_and_order_make_no_difference(listed):
    assert differing_tools([tool()], [tool(listed), tool(name="another")]) == ""


@pytest.mark.parametrize(
    "listed",
    [
        with_title(type="integer"),
        with_title(type="string", maxLength=3),
        with_title(type="string", default="x"),
        ARGUMENTS | {"required": ["title"]},
        ARGUMENTS | {"additionalProperties": True},
        ARGUMENTS | {"properties": {"kind": {"enum": ["a", "b"]}}},  # an argument named like a word of prose
    ],
)
def test_what_takes_other_arguments_differs(listed):
    assert differing_tools([tool()], [tool(listed)]) == "'find' takes other arguments"


def test_a_missing_tool_and_one_that_writes_unsaid_differ():
    assert differing_tools([tool(), tool(name="pay")], [tool(writes=True)]) == (
        "'find' writes, and the pair does not say so; 'pay' is missing"
    )
    assert differing_tools([tool(writes=True)], [tool()]) == ""  # a server may say nothing about writing
