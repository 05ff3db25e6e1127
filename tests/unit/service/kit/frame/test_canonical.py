import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kit.frame.canonical import canonical_json, sha256_hex

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_integers_and_equal_floats_have_the_same_form():
    assert canonical_json({"temperature": 0}) == canonical_json({"temperature": 0.0}) == '{"temperature":0}'


def test_key_order_and_containers_do_not_matter():
    assert canonical_json({"b": (1, 2), "a": "ü"}) == canonical_json({"a": "ü", "b": [1.0, 2]}) == '{"a":"ü","b":[1,2]}'


def test_true_is_not_one():
    assert canonical_json(True) != canonical_json(1)


@pytest.mark.parametrize("value", [math.nan, math.inf, [float("-inf")]])
def test_nan_and_infinity_are_refused(value):
    with pytest.raises(ValueError, match="canonical"):
        canonical_json(value)


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="set has no canonical"):
        canonical_json({1})


@given(JSON)
def test_a_round_trip_through_json_keeps_the_digest(value):
    text = canonical_json(value)
    assert sha256_hex(canonical_json(json.loads(text))) == sha256_hex(text)
