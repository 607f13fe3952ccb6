"""Writing and reading what an adapter keeps beside a conversation, as a member of its line."""

from collections.abc import Mapping
from typing import Any

from chatstore.errors import TransferError
from chatstore.json_text import quote
from chatstore.messages import is_kept
from chatstore.records import Conversation, StateDraft
from chatstore.transfer import message, message_in, strict
from chatstore.transfer.message_in import MemberError
from chatstore.transfer.stream import Accompanied, accompanied

_KNOWN = frozenset(("body", "parted", "scope", "updated_at", "changed"))
_TEXTS = ("body", "parted")


def told(conversation: Conversation) -> str:
    """The members of what is known of a conversation, its state among them.

    Raises:
        TransferError: The state is damaged, so that no import would take it.
    """
    text = message.told(conversation)
    if not isinstance(conversation, Accompanied):
        return text
    state = conversation.state
    try:
        for name in _TEXTS:
            _check_json(getattr(state, name), name)
    except MemberError:
        raise TransferError(
            f"the state beside {conversation.key!r} is damaged, and no import would take it; see "
            "check(), and delete the conversation, or restore a backup"
        ) from None
    parts = [f'"body":{quote(state.body)}']
    if state.parted:
        parts.append(f'"parted":{quote(state.parted)}')
    if state.scope is not None:
        parts.append(f'"scope":{quote(state.scope)}')
    parts.append(f'"updated_at":"{message.when(state.updated_at)}"')
    if conversation.changed:
        parts.append('"changed":true')
    return f'{text},"state":{{{",".join(parts)}}}'


def conversation(key: Any, members: Mapping[str, Any]) -> Conversation:
    """The conversation of a line's members, with its state, if it has one.

    Raises:
        MemberError: It is none.
    """
    if "state" not in members:
        return message_in.conversation(key, members)
    rest = {name: value for name, value in members.items() if name != "state"}
    found = message_in.conversation(key, rest)
    state = members["state"]
    if not isinstance(state, dict):
        raise MemberError("state is no object")
    if not state.keys() <= _KNOWN:
        raise MemberError(
            f"the state has members that version 1 does not know ({', '.join(sorted(_KNOWN))})"
        )
    scope, changed = state.get("scope"), state.get("changed", False)
    if "scope" in state and not is_kept(scope):
        raise MemberError("the scope of the state is no text, or holds NUL or a lone surrogate")
    if type(changed) is not bool:
        raise MemberError("changed is neither true nor false")
    body = _check_json(state.get("body"), "body")
    parted = _check_json(state["parted"], "parted") if "parted" in state else ""
    at = message_in.read_time(state.get("updated_at"), "updated_at")
    return accompanied(found, StateDraft(body, parted, scope, at), changed=changed)


def check_alone(conversation: Conversation) -> None:
    """Raise unless a conversation may come without messages: as its state alone.

    Raises:
        MemberError: It may not.
    """
    if not isinstance(conversation, Accompanied):
        raise MemberError("the conversation before this line has neither a message nor a state")
    if conversation.metadata or conversation.changed:
        raise MemberError("a state without messages has no metadata, and nothing that changed")


def _check_json(text: Any, name: str) -> str:
    """The text, if it is JSON as an adapter writes it: one line of ASCII; or nothing was left."""
    if not isinstance(text, str):
        raise MemberError(f"the {name} of the state is no text")
    if name == "parted" and not text:
        return text
    if not (text.isascii() and text.isprintable()):
        raise MemberError(f"the {name} of the state is not JSON in one line of ASCII")
    try:
        strict.load(text)
    except strict.NotStrictError as error:
        raise MemberError(f"the {name} of the state is no JSON: {error}") from None
    return text
