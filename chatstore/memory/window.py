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
    """Runs that stay together: calls with the results that follow them, or a message alone.

    Calls that were made at once may be a message each, and so may the thought before a message.
    """
    groups: list[list[ChatMessage]] = []
    for message in messages:
        if groups and (_answers(message, groups[-1]) or _goes_on(message, groups[-1][-1])):
            groups[-1].append(message)
        else:
            groups.append([message])
    return groups


def _answers(message: ChatMessage, group: list[ChatMessage]) -> bool:
    """Whether it may be a result of the group: that has calls, or began with a result itself."""
    return message.role in _RESULTS and (group[0].role in _RESULTS or any(map(_calls, group)))


def _goes_on(message: ChatMessage, last: ChatMessage) -> bool:
    """Whether it is one more call of those made at once, or what a thought led to."""
    if message.role != last.role or not last.blocks:
        return False
    only_thinks = all(block["block_type"] == "thinking" for block in last.blocks)
    return only_thinks or (_calls(last) and _calls(message))


def _calls(message: ChatMessage) -> bool:
    return (
        any(block["block_type"] == "tool_call" for block in message.blocks)
        or bool(message.additional_kwargs.get("tool_calls"))
        or bool(message.additional_kwargs.get("function_call"))
    )
