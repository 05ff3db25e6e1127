"""YAML that somebody else wrote is read as Python's parser reads it, whichever parser is asked first."""

from unittest.mock import patch

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.kit.frame import strict

PIECES = """a b 1 0x1 1.5 true null ~ : - ? [ ] { } , # ' " | > % @ ` --- ... 2020-01-01 ! !!str & * << = |- >+ \\ é \t""".split(
    " "
)
TEXTS = st.lists(st.sampled_from([*PIECES, " ", "\n", "\n  ", ": ", "- ", " #", "|\n  "]), max_size=12).map("".join)


def read(text):
    try:
        node, value = strict.parse_yaml(text)
    except strict.NotStrict as err:
        return str(err), err.line
    return repr(value), [key.start_mark.line for key, _ in node.value] if isinstance(node, yaml.MappingNode) else None


@given(TEXTS)
def test_both_parsers_read_the_same(text):
    found = read(text)
    with patch.object(strict, "_QUICK_LOADER", yaml.SafeLoader):
        assert read(text) == found


@pytest.mark.parametrize("text", ["b\t", "a: !", "|# told", "- &x 1", "a: [", "a: 2020-13-45"])
def test_what_only_one_of_them_reads_is_left_to_pythons(text):
    with patch.object(strict, "_QUICK_LOADER", yaml.SafeLoader):
        told = read(text)
    assert read(text) == told
