"""Messages that are read without being parsed come out as those that are."""

import json
from typing import Any

import pytest

from chatstore.records import Draft
from chatstore.transfer import message_in, strict

HEAD = '"created_at":"2026-01-31T12:00:00.000000Z"'


def line(role: str, extra: str, text: str = "Hello", head: str = HEAD) -> str:
    blocks = f'[{{"block_type":"text","text":{json.dumps(text)}}}]'
    payload = f'{{"role":{json.dumps(role)},"additional_kwargs":{extra},"blocks":{blocks}}}'
    return f'{{{head},"payload":{payload}}}'


def quickly(text: str) -> Draft | None:
    found = message_in.match_line(text)
    return message_in.plain_draft(*found.groups()) if found else None


def carefully(text: str) -> Draft:
    return message_in.draft(strict.load(text))


@pytest.mark.parametrize("role", ["user", "assistant", "tool", "function", "critic"])
@pytest.mark.parametrize(
    "extra", [{}, {"sender": "ann"}, {"tool": "x"}, {"": ""}, {"a": '\x00 \ud800 \u2028 ü " \\'}]
)
def test_plain_ones_are_not_parsed(role: str, extra: dict[str, Any]) -> None:
    told = HEAD + ',"id":"m1","status":"archived"'
    text = line(role, json.dumps(extra, separators=(",", ":")), "\x00 \ud800 ü", told)
    assert quickly(text) == carefully(text)


@pytest.mark.parametrize(
    "extra",
    [
        {"tool_call_id": "c1"},
        {"tool_calls": [{"id": "c1"}]},
        {"tool_calls": "c1"},
        {"a": "b", "c": "d"},
        {"a": 1},
        {"a": {"b": "c"}},
        {"a": None},
    ],
)
def test_all_others_are(extra: dict[str, Any]) -> None:
    text = line("tool", json.dumps(extra, separators=(",", ":")))
    assert quickly(text) is None
    assert json.loads(carefully(text).payload)["additional_kwargs"] == extra


@pytest.mark.parametrize(
    "extra", ['{"a":"b","a":"b"}', '{"a":"\n"}', '{"a":"\\x"}', '{"a":"b",}', '{"a"}']
)
def test_what_is_no_strict_json_is_never_plain(extra: str) -> None:
    text = line("user", extra)
    assert quickly(text) is None
    with pytest.raises(strict.NotStrictError):
        carefully(text)
