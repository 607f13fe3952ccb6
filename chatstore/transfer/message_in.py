"""Reading a message, or a conversation, from JSON members of a file."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from chatstore import arguments, clock, json_text
from chatstore.derived import derive
from chatstore.errors import ChatStoreError
from chatstore.formats import VIEWS
from chatstore.formats.chatstore import NAME
from chatstore.messages import ChatMessage
from chatstore.records import STATUSES, Conversation, Draft
from chatstore.transfer.message import HEAD, PLAIN, view

OWN = frozenset(("created_at", "id", "status"))
"""The members that stand beside a payload."""

_KNOWN = "file"  # no revision, and not `stream.NEW`: the file tells what is known
_NATIVE = frozenset(("format", "role", "kind", "tool_call_ids", "payload", "raw"))
_LINE = OWN | _NATIVE
_TOLD = frozenset(("created_at", "updated_at", "ttl", "expires_at", "metadata"))

match_line = re.compile(rf'\{{{HEAD},"payload":({PLAIN}\}})\}}').fullmatch


class MemberError(ValueError):
    """Members that are no message, or no conversation; the text says why, and quotes nothing."""


def plain_draft(
    moment: str, id: str | None, archived: str | None, payload: str, role: str
) -> Draft:
    """The message of what `PLAIN` and `HEAD` matched; the id is JSON still, and the role quoted."""
    name = role[1:-1]
    return Draft(
        None if id is None else _caller_id(json.loads(id)),
        NAME,
        payload,
        name,
        _kind(name),
        None,
        archived is not None,
        read_time(moment, "created_at"),
    )


def draft(members: Mapping[str, Any], text: str | None = None) -> Draft:
    """The message of a line's members.

    Args:
        members: Without "payload", if its text is given.
        text: The payload, in canonical JSON.

    Raises:
        MemberError: It is none.
    """
    _refuse_others(members, _LINE)
    return own(members, native_draft({k: v for k, v in members.items() if k in _NATIVE}, text))


def own(members: Mapping[str, Any], message: Draft, now: int | None = None) -> Draft:
    """The message with its own id, status and time, from the members; or with the time `now`."""
    id, status = members.get("id"), members.get("status", STATUSES[0])
    if status not in STATUSES:
        raise MemberError(f"status is neither {' nor '.join(STATUSES)}")
    return message._replace(
        id=_caller_id(id) if "id" in members else None,
        archived=status == "archived",
        created_at=now
        if now is not None and "created_at" not in members
        else read_time(members.get("created_at"), "created_at"),
    )


def native_draft(members: Mapping[str, Any], text: str | None = None) -> Draft:
    """The message of the members that hold a payload, without id, status and time."""
    _refuse_others(members, _NATIVE)
    format = _text(members.get("format", NAME), "format")
    payload = members.get("payload")
    if ("raw" in members) == ("payload" in members or text is not None):
        raise MemberError("a message holds either payload or raw")
    if "raw" in members:
        text = _text(members["raw"], "raw")
    elif text is None:
        if not isinstance(payload, dict):
            raise MemberError("payload is no object")
        text = dump(payload, "payload")
    shown = view(format, text)
    if shown is not None:
        role = _text(shown.role, "role")
        return Draft(None, format, text, role, *derive(shown), False, 0)
    if "role" not in members:
        reason = "has no role" if format in VIEWS else "is of a format that this version lacks"
        raise MemberError(f"its payload cannot be read as a message, and it {reason}")
    kind, ids = members.get("kind"), members.get("tool_call_ids")
    if ids is not None and not (isinstance(ids, list) and all(isinstance(i, str) for i in ids)):
        raise MemberError("tool_call_ids is no list of strings")
    return Draft(
        None,
        format,
        text,
        _text(members["role"], "role"),
        None if kind is None else _text(kind, "kind"),
        json.dumps(ids) if ids else None,
        False,
        0,
    )


def conversation(key: Any, members: Mapping[str, Any]) -> Conversation:
    """The conversation of a line's members.

    Raises:
        MemberError: It is none.
    """
    check_key(key)
    _refuse_others(members, _TOLD)
    ttl, metadata = members.get("ttl"), members.get("metadata", {})
    if ("ttl" in members) != ("expires_at" in members):
        raise MemberError("ttl and expires_at come together or not at all")
    if "ttl" in members:
        if ttl is None:
            raise MemberError("ttl is no number of seconds; leave it and expires_at out")
        _checked(arguments.ttl_in_us, ttl)
    if not isinstance(metadata, dict):
        raise MemberError("metadata is no object")
    dump(metadata, "metadata")
    return Conversation(
        key=key,
        count=0,
        created_at=clock.show(read_time(members.get("created_at"), "created_at")),
        updated_at=clock.show(read_time(members.get("updated_at"), "updated_at")),
        expires_at=None
        if ttl is None
        else clock.show(read_time(members["expires_at"], "expires_at")),
        ttl=ttl,
        metadata=metadata,
        revision=_KNOWN,
    )


def check_key(key: Any) -> None:
    """Raise unless it may name a conversation."""
    _checked(arguments.check_key, key)


def read_time(text: Any, name: str) -> int:
    """The moment that stands in a file, in microseconds."""
    try:
        us = clock.read(datetime.fromisoformat(text))
    except (ValueError, TypeError):
        raise MemberError(f"{name} is no time such as 2026-01-31T12:00:00.000000Z") from None
    if not clock.FIRST <= us <= clock.LAST:
        raise MemberError(f"{name} is out of the calendar")
    return us


def dump(value: Any, name: str) -> str:
    """The value as JSON, as the library writes it."""
    try:
        return json_text.dump(value, name)
    except json_text.NotJSONError:
        raise MemberError(f"{name} is nested too deep") from None


@lru_cache(maxsize=64)
def _kind(role: str) -> str | None:
    """The kind of a plain message."""
    return derive(ChatMessage("", role=role))[0]


def _caller_id(id: Any) -> str:
    return str(_checked(arguments.check_id, id, "the message"))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise MemberError(f"{name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MemberError(f"{name} holds a lone surrogate") from None
    return value


def _refuse_others(members: Mapping[str, Any], known: frozenset[str]) -> None:
    # Dropping what is not understood would lose it in silence; a newer shape has a newer version.
    if not members.keys() <= known:
        raise MemberError(
            f"it has members that version 1 does not know ({', '.join(sorted(known))})"
        )


def _checked(check: Any, *values: Any) -> Any:
    try:
        return check(*values)
    except (ChatStoreError, ValueError, OverflowError) as error:
        raise MemberError(str(error)) from None
