"""A conversation as a whole, and what can be wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatstore import clock, damage
from chatstore.records import Row
from chatstore.redis import rows as layout


@dataclass(slots=True)
class Whole:
    """Everything under one key; `ids` are the callers', `strange` what nobody knows."""

    header: layout.Header
    metadata: str
    rows: list[Row]
    ids: dict[str, int]
    strange: int
    state: tuple[str, str]

    @classmethod
    def read(cls, header: layout.Header, members: Sequence[tuple[str, int]]) -> "Whole":
        """From all members and scores, in order."""
        ids: dict[str, int] = {}
        rows, strange = [], 0
        state = parted = ""
        for member, score in members[:-1]:
            if member[0] == "@":
                ids[layout.unescape(member[1:])] = -score
            elif member[0] in "+-":
                try:
                    rows.append(layout.row(header.incarnation, member, score))
                except ValueError:
                    strange += 1
            elif member[0] == "$":
                state = member
            elif member[0] == "%":
                parted = member
            elif member[0] != "#":
                strange += 1
        metadata = layout.metadata([member for member, _ in members[-2:]])
        return cls(header, metadata, rows, ids, strange, (state, parted))


def problems(key: str, whole: Whole, lives: int) -> list[str]:
    """What is wrong with a conversation, a sentence each.

    Args:
        key: The caller's.
        whole: All of it.
        lives: For how many milliseconds its Redis key lives: -1 for ever, -2 not any more.
    """
    header, rows = whole.header, whole.rows
    found = [fault for row in rows for fault in damage.of_message(key, row)]
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
    times = (header.created_at, header.updated_at, header.expires_at or 0)
    if any(time != clock.nearest(time) for time in times):
        found.append(f"{key!r}: a time of the conversation is no time")
    found += state_problems(key, *whole.state)
    if whole.ids != {row.id: row.ordinal for row in rows if row.id is not None}:
        found.append(f"{key!r}: the index of ids does not fit the messages")
    if whole.strange:
        found.append(f"{key!r}: {whole.strange} members are neither messages nor anything known")
    if lives != -2 and (header.expires_at is None) != (lives == -1):
        never = "never " if header.expires_at is None else ""
        found.append(f"{key!r}: it should {never}expire, but its Redis key says otherwise")
    return found


def state_problems(key: str, state: str, parted: str) -> list[str]:
    """What is wrong with the members that are a state."""
    if not state:
        return [f"{key!r}: something was left, and no state says by whom"] if parted else []
    held = layout.beside(state)
    if held is None:
        return [f"{key!r}: the state beside it cannot be read"]
    return damage.of_state(key, held.body, parted[1:])
