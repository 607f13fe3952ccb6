"""What stores note beside a message, for listing and for windows: its kind and its tool calls."""

import json
from collections.abc import Iterator
from typing import Any

from chatstore.messages import ChatMessage

_RESULT_ROLES = frozenset(("tool", "function"))


def derive(message: ChatMessage) -> tuple[str | None, str | None]:
    """Kind and tool-call ids of a view; the ids as a JSON array.

    Example:
        >>> derive(ChatMessage("21 C", role="tool", additional_kwargs={"tool_call_id": "c1"}))
        ('tool_result', '["c1"]')
    """
    blocks, extra = message.blocks, message.additional_kwargs
    if len(blocks) == 1 and blocks[0]["block_type"] == "text":  # nearly every one
        if message.role not in _RESULT_ROLES:
            if "tool_calls" not in extra:
                return None, None
        elif not extra:
            return "tool_result", None
    types = {block["block_type"] for block in blocks}
    calls = [block.get("tool_call_id") for block in blocks if block["block_type"] == "tool_call"]
    listed = extra.get("tool_calls")
    if isinstance(listed, list):
        calls += [call.get("id") for call in listed if isinstance(call, dict)]
    kind = None
    if calls:
        kind = "tool_call"
    elif message.role in _RESULT_ROLES:
        kind = "tool_result"
        calls = [extra.get("tool_call_id"), *_more_results(extra.get("parts"))]
    elif types == {"thinking"}:
        kind = "reasoning"
    ids = list(dict.fromkeys(call for call in calls if isinstance(call, str)))
    return kind, json.dumps(ids) if ids else None


def _more_results(parts: object) -> Iterator[Any]:
    """The calls that the parts of a message answer, if it has several."""
    for part in parts if isinstance(parts, list) else ():
        extra = part.get("additional_kwargs") if isinstance(part, dict) else None
        if isinstance(extra, dict):
            yield extra.get("tool_call_id")
