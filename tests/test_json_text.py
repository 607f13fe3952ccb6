"""Strict JSON: what goes in comes out, and all else is refused with its path."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstore import json_text
from chatstore.testing.conformance.refusing import REFUSED
from chatstore.testing.conformance.values import JSON, KEPT, repeated


@given(JSON)
def test_json_comes_back_as_it_was(value: Any) -> None:
    text = json_text.dump(value, "value")
    assert text.isascii()
    assert repeated(json_text.load(text)) == repeated(value)
    assert json.loads(text) == value


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_odd_values_come_back(value: Any) -> None:
    assert repeated(json_text.load(json_text.dump(value, "value"))) == repeated(value)


@pytest.mark.parametrize(("value", "where"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_json_is_refused_with_its_path(value: Any, where: str) -> None:
    with pytest.raises(json_text.NotJSONError, match=rf"value\[1\]\.a{where}"):
        json_text.dump([0, {"a": value}], "value")


@pytest.mark.parametrize("digits", [4300, 4301])
def test_integers_end_where_python_stops_printing(digits: int) -> None:
    number = 10 ** (digits - 1)
    if digits > 4300:
        with pytest.raises(json_text.NotJSONError, match=r"value\[0\] is an integer"):
            json_text.dump([-number], "value")
    else:
        assert json_text.load(json_text.dump([-number], "value")) == [-number]


@pytest.mark.parametrize("depth", [json_text.MAX_DEPTH, json_text.MAX_DEPTH + 1])
def test_nesting_has_an_end(depth: int) -> None:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    if depth > json_text.MAX_DEPTH:
        with pytest.raises(json_text.NotJSONError, match="deep"):
            json_text.dump(value, "value")
    else:
        assert json_text.load(json_text.dump(value, "value")) == value


@given(st.text(st.characters()))
def test_a_quoted_text_is_its_json(text: str) -> None:
    assert json_text.load(json_text.quote(text)) == text


@pytest.mark.parametrize("text", ["", "{", "[1,]", "nul", '"\\ud800', "[" * 100_000, "\x00"])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_text.load(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[" * 65 + "]" * 65, r"value(\[0\]){64} is nested more than 64 deep"),
        ('{"a":' * 65 + "1" + "}" * 65, r"value(\.a){64} is nested more than 64 deep"),
        (f'{{"a":[-1{"0" * 4300}]}}', r"value holds an integer of more than 4300 digits"),
    ],
)
def test_what_others_encoded_is_refused_as_well(text: str, where: str) -> None:
    with pytest.raises(json_text.NotJSONError, match=rf"^{where}"):
        json_text.check(text, "value")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 64 + "]" * 64,
        f"[1{'0' * 4299}]",
        json.dumps({"code": "[[{{" * 100, "digits": "0" * 5000, "float": 1e300}),
    ],
)
def test_what_others_encoded_is_let_pass(text: str) -> None:
    json_text.check(text, "value")
