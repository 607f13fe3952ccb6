"""Which of the newest messages fit into a limit, with tool calls and their results together."""

from collections.abc import Callable, Sequence

from chatstore.messages import ChatMessage

Count = Callable[[ChatMessage], int]

_RESULTS = frozenset(("tool", "function"))
_INSTRUCTIONS = frozenset(("system", "developer"))


def is_instruction(message: ChatMessage | None) -> bool:
    """Whether the message tells the model how to behave."""
    return message is not None and message.role in _INSTRUCTIONS


def fit(
    messages: Sequence[ChatMessage], limit: int, count: Count, *, whole: bool
) -> list[ChatMessage] | None:
    """The newest messages whose tokens do not exceed the limit, oldest first.

    A tool call and its results are taken together or left together, and the first message is no
    result whose call is missing. If even the newest message is too long, it comes alone, with the
    call that it answers and that call's other results.

    Args:
        messages: The newest messages of a conversation, oldest first.
        limit: The tokens that they may take.
        count: The tokens of a message.
        whole: Whether these are all messages; else the answer may be that older ones are needed.

    Returns:
        The messages, or `None` if older ones must be seen.
    """
    groups = _groups(messages)
    left, taken = limit, 0
    for group in reversed(groups):
        if group is groups[0] and not whole:
            return None  # it may be the rest of a longer group
        left -= sum(map(count, group))
        if left < 0:
            break
        taken += 1
    fitting = groups[len(groups) - taken :] if taken else groups[-1:]
    window = [message for group in fitting for message in group]
    orphans = next((i for i, m in enumerate(window) if m.role not in _RESULTS), len(window))
    return window[orphans:]


def _groups(messages: Sequence[ChatMessage]) -> list[list[ChatMessage]]:
    """Runs that stay together: a message with the results that follow it, or a message alone."""
    groups: list[list[ChatMessage]] = []
    for message in messages:
        if groups and message.role in _RESULTS and _is_open(groups[-1]):
            groups[-1].append(message)
        else:
            groups.append([message])
    return groups


def _is_open(group: list[ChatMessage]) -> bool:
    """Whether a result may belong to the group: it began with calls, or with a result itself."""
    first = group[0]
    return (
        first.role in _RESULTS
        or any(block["block_type"] == "tool_call" for block in first.blocks)
        or bool(first.additional_kwargs.get("tool_calls"))
        or bool(first.additional_kwargs.get("function_call"))
    )
