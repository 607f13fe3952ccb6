"""A conversation as a whole, and what can be wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatstore import codec
from chatstore.records import Row
from chatstore.redis import rows as layout


@dataclass(slots=True)
class Whole:
    """Everything under one key: `lives` milliseconds to live (-1: for ever), `ids` of callers."""

    header: layout.Header
    metadata: str
    rows: list[Row]
    ids: dict[str, int]
    lives: int
    strange: int

    @classmethod
    def read(cls, reply: Sequence[str]) -> "Whole":
        """From what `whole.lua` says."""
        lives, members, scores = int(reply[0]), reply[1::2], reply[2::2]
        header = layout.header(members[0])
        assert header is not None  # noqa: S101 - the script has looked
        ids: dict[str, int] = {}
        rows, strange = [], 0
        for member, score in zip(members[1:], scores[1:]):
            if member[0] == "@":
                ids[layout.unescape(member[1:])] = -int(score)
            elif member[0] in "+-":
                try:
                    rows.append(layout.row(header.incarnation, member, score))
                except ValueError:
                    strange += 1
            elif member[0] != "#":
                strange += 1
        return cls(header, layout.metadata(members), rows, ids, lives, strange)


def problems(key: str, whole: Whole) -> list[str]:
    """What is wrong with a conversation, a sentence each."""
    header, rows = whole.header, whole.rows
    found = [fault for row in rows for fault in codec.faults(key, row)]
    archived = sum(bool(row.archived) for row in rows)
    if (header.held, header.archived) != (len(rows), archived):
        found.append(
            f"{key!r}: {header.held} messages are counted, {header.archived} of them archived; "
            f"there are {len(rows)} and {archived}"
        )
    if len({row.ordinal for row in rows}) < len(rows):
        found.append(f"{key!r}: two messages have the same ordinal")
    if len({row.serial for row in rows}) < len(rows):
        found.append(f"{key!r}: two messages have the same serial")
    if any(row.ordinal > header.top or row.serial > header.serial for row in rows):
        found.append(f"{key!r}: a message lies beyond what was given out; the next may collide")
    if any(not row.archived and row.ordinal < header.edge for row in rows):
        found.append(f"{key!r}: an active message lies among those known as archived")
    if whole.ids != {row.id: row.ordinal for row in rows if row.id is not None}:
        found.append(f"{key!r}: the index of ids does not fit the messages")
    if whole.strange:
        found.append(f"{key!r}: {whole.strange} members are neither messages nor anything known")
    if (header.expires_at is None) != (whole.lives < 0):
        never = "never " if header.expires_at is None else ""
        found.append(f"{key!r}: it should {never}expire, but its Redis key says otherwise")
    return found
