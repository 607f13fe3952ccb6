"""Between rows and the texts that a sorted set holds: its layout, version 1.

A conversation is one sorted set. In its order it holds:

- score -inf: `$…`, what an adapter keeps beside it, and `%…`, what the conversation has left, if
  there are any; while there are no messages, they are under a name of their own;
- negative scores: `@id`, one for each id of a caller, whose score is minus the message's ordinal;
- positive scores: `+serial|…` an active message, `-serial|…` an archived one, by ordinal;
- score +inf: `#…`, the metadata, if there are any, and `~cs1|…`, the header.

The header is last, so that one plain ZRANGE has it along with the newest messages.

All is ASCII: the fields of a message are separated by bars, and what holds a bar, a backslash or
anything unprintable is written as the inside of a JSON string. No member holds a line break.
"""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from chatstore import clock
from chatstore.json_text import quote
from chatstore.records import Conversation, Draft, Row, StateDraft, Status

LAYOUT = "1"
GAP = 1 << 20
"""Between the ordinals of messages that were appended; the scripts have it, too."""

TAIL = 2
"""How many members come behind the messages, at most."""

SIGNS: dict[Status | None, str] = {None: "", "active": "+", "archived": "-"}
"""What the messages of a status begin with."""


def text(reply: str | bytes) -> str:
    """A reply, whatever `decode_responses` is."""
    return reply if isinstance(reply, str) else reply.decode("utf-8", "surrogateescape")


def texts(replies: Sequence[str | bytes]) -> Sequence[str]:
    """Replies, whatever `decode_responses` is."""
    if replies and isinstance(replies[0], bytes):
        return [reply.decode("utf-8", "surrogateescape") for reply in replies]  # type: ignore[union-attr]
    return replies  # type: ignore[return-value]


def escape(field: str) -> str:
    """A field without bars."""
    if field.isascii() and field.isprintable() and "|" not in field and "\\" not in field:
        return field
    return quote(field)[1:-1].replace("|", "\\u007c").replace("\x7f", "\\u007f")


def unescape(field: str) -> str:
    """The field again."""
    if "\\" not in field:
        return field
    whole: str = json.loads(f'"{field}"')
    return whole


@lru_cache(256)
def _described(format: str, role: str, kind: str | None) -> str:
    return f"{escape(format)}|{escape(role)}|{escape(kind or '')}"


def draft_text(draft: Draft) -> str:
    """A draft as scripts take it: a message's member, but for the serial behind its first sign."""
    id, format, payload, role, kind, calls, archived, created_at = draft
    return (
        f"{'-' if archived else '+'}{'' if id is None else escape(id)}"
        f"|{_described(format, role, kind)}|{'' if calls is None else escape(calls)}"
        f"|{created_at}|{payload}"
    )


def plain_text(draft: Draft) -> str:
    """A draft that is active and has no id, as what stands behind the serial of its member."""
    return f"|{draft_text(draft)[1:]}"


def parted(reply: Sequence[Any]) -> tuple[Sequence[str], Sequence[Any]]:
    """Members, and scores, as ZRANGE tells them: flat, or in pairs in the newer protocol."""
    if reply and isinstance(reply[0], list | tuple):
        return texts([member for member, _ in reply]), [score for _, score in reply]
    return texts(reply[::2]), reply[1::2]


def pairs(reply: Sequence[Any]) -> list[tuple[str, int]]:
    """Members with their scores, as ZRANGE tells them; 0 for those that are infinite."""
    members, scores = parted(reply)
    floats = map(float, scores)
    return list(zip(members, (int(score) if isfinite(score) else 0 for score in floats)))


def row(incarnation: str, member: str, score: str | bytes | float) -> Row:
    """The row of a message's member and score."""
    return rows(incarnation, (member,), (score,))[0]


def rows(
    incarnation: str, members: Iterable[str], scores: Iterable[str | bytes | float]
) -> list[Row]:
    """The rows of members and their scores."""
    found = []
    for member, score in zip(members, scores):
        head, id, format, role, kind, calls, created_at, payload = member.split("|", 7)
        if "\\" in member[: len(member) - len(payload)]:
            id, format, role, kind, calls = map(unescape, (id, format, role, kind, calls))
        fields = (
            incarnation,
            int(score),
            int(head[1:]),
            id or None,
            format,
            payload,
            role,
            kind or None,
            calls or None,
            head[0] == "-",
            int(created_at),
        )
        # A third of the time of a row is Row's own __new__.
        found.append(tuple.__new__(Row, fields))
    return found


def known_rows(
    incarnation: str, members: Iterable[str], scores: Iterable[str | bytes | float]
) -> list[Row]:
    """The rows of those members that are messages: of a damaged conversation, what can be read."""
    pairs = list(zip(members, scores))
    try:
        return rows(incarnation, *zip(*pairs)) if pairs else []
    except ValueError:
        found = []
        for member, score in pairs:
            with suppress(ValueError):
                found.append(row(incarnation, member, score))
        return found


_HEADER = re.compile(
    r"~cs(\d+)\|([^|]+)\|(\d*)\|(\d+)\|(\d+)\|(\d+)\|(\d+)\|(-?\d+)\|(\d+)\|(\d+)\|(\d+)\|(\d+)\|(\d*)"
    r"\|[^|]*\|\d*\|\d*\|\d*"
)
_ANY_HEADER = re.compile(r"~cs(\d+)\|")


class Header(NamedTuple):
    """What the last member of a conversation says; times and ttl in microseconds.

    What an append leaves as it was comes first: the script copies it as it stands.

    Attributes:
        incarnation: Names this life of the key; it never recurs.
        ttl: The conversation's own.
        created_at: When it came to be, by the server's clock.
        archived: How many messages are archived.
        edge: Below this ordinal every message is archived.
        moved: How often ordinals were spaced anew.
        base: The ordinal of serial 0: that of the highest serial is the highest so far.
        changes: Counts writes.
        serial: The highest serial so far.
        held: How many messages.
        updated_at: When it was last written, by the server's clock.
        expires: When it will be gone, if not a ttl behind its last write; 0: never.
    """

    incarnation: str
    ttl: int | None
    created_at: int
    archived: int
    edge: int
    moved: int
    base: int
    changes: int
    serial: int
    held: int
    updated_at: int
    expires: int | None

    @property
    def top(self) -> int:
        """The highest ordinal so far."""
        return self.base + self.serial * GAP

    @property
    def expires_at(self) -> int | None:
        """When it will be gone."""
        if self.expires is not None:
            return self.expires or None
        return None if self.ttl is None else self.updated_at + self.ttl

    def conversation(self, key: str, metadata: str) -> Conversation:
        """The conversation as callers see it."""
        return Conversation(
            key=key,
            count=self.held,
            created_at=_shown(self.created_at),
            updated_at=_shown(self.updated_at),
            expires_at=None if self.expires_at is None else _shown(self.expires_at),
            ttl=None if self.ttl is None else self.ttl / 1_000_000,
            metadata=json.loads(metadata),
            revision=f"{self.incarnation}-{self.changes}",
        )


def _shown(us: int) -> datetime:
    """The moment; of damage, the nearest that the calendar has."""
    return clock.show(clock.nearest(us))


def kept(result: str) -> tuple[str, int]:
    """What an append says, be it a header or not: the incarnation, and the first of its serials."""
    fields = result.split("|")
    return fields[1], int(fields[-2])


def is_newer(member: str) -> bool:
    """Whether it is a header that only a newer version can read."""
    found = _ANY_HEADER.match(member)
    return found is not None and found[1] != LAYOUT


def header(member: str) -> Header | None:
    """The header that a member is; `None`: it is none, or a newer version's."""
    found = _HEADER.fullmatch(member)
    if found is None or found[1] != LAYOUT:
        return None
    numbers: Iterable[int | None] = (int(field) if field else None for field in found.groups()[2:])
    return Header(found[2], *numbers)  # type: ignore[arg-type]


def metadata(members: Sequence[str]) -> str:
    """The metadata before a header, as JSON text."""
    return members[-2][1:] if has_metadata(members) else "{}"


def has_metadata(members: Sequence[str]) -> bool:
    """Whether the member before a header is metadata."""
    return len(members) > 1 and members[-2].startswith("#")


class Beside(NamedTuple):
    """What the member of a state says; `seen` is the revision that its write led to.

    Without messages, and with a ttl, `seen` ends with an `@` and the moment of its end, to the
    microsecond: Redis knows it to the millisecond.
    """

    updated_at: int
    seen: str
    ttl: str
    scope: str | None
    body: str

    @property
    def expires_at(self) -> int | None:
        """Its end, while there are no messages."""
        at = self.seen.partition("@")[2]
        return int(at) if at else None

    def draft(self, parted: str) -> StateDraft:
        """The state as it would be written elsewhere, with the member of what was left, or ''."""
        return StateDraft(self.body, parted[1:], self.scope, self.updated_at)


def state_member(state: StateDraft, seen: str, ttl: int | None) -> str:
    """The member of a state; `ttl` is its own, while there are no messages."""
    own = "" if ttl is None else ttl
    return f"${state.updated_at}|{seen}|{own}|{scope_text(state.scope)}|{state.body}"


def parted_member(state: StateDraft) -> str:
    """The member of what the conversation has left; '' if it has left nothing."""
    return f"%{state.parted}" if state.parted else ""


def beside(member: str) -> Beside | None:
    """The state that a member is; `None`: it is none."""
    found = re.fullmatch(r"\$(-?\d+)\|([^|]*)\|(\d*)\|(=[^|]*)?\|(.*)", member)
    if found is None:
        return None
    updated_at, seen, ttl, scope, body = found.groups()
    return Beside(int(updated_at), seen, ttl, unescape(scope[1:]) if scope else None, body)


def scope_text(scope: str | None) -> str:
    """A scope as it stands in a member."""
    return "" if scope is None else f"={escape(scope)}"
