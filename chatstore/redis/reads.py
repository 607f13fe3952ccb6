"""The plans of operations that read: one conversation, or lists of them."""

from collections.abc import Sequence
from typing import NamedTuple

from chatstore import clock, errors
from chatstore import operations as ops
from chatstore.arguments import EVERYTHING
from chatstore.records import Conversation, Row
from chatstore.redis import faults
from chatstore.redis import rows as layout
from chatstore.redis.asking import Ask, Asking, Plan, Run, Scan
from chatstore.redis.checks import Whole
from chatstore.redis.scripts import script

BATCH = 500
"""How many keys are asked about in one round trip."""

PAGE = 1000
"""How many messages of an export are asked for in one round trip; of long ones fewer come."""

MOST = 1 << 60
"""As a number of messages: all. Redis takes no number beyond 64 bits."""


class Head(NamedTuple):
    """A conversation, but for its messages; `header` is `None` if a newer version wrote it."""

    key: str
    header: layout.Header | None
    metadata: str

    @property
    def known(self) -> layout.Header:
        """The header.

        Raises:
            SchemaTooNewError: A newer version wrote it.
        """
        if self.header is None:
            raise faults.newer(self.key)
        return self.header


class Page(NamedTuple):
    """A part of a conversation, and what is beside its messages.

    Attributes:
        header: It is another one after every write.
        all: How many messages there are.
        metadata: As JSON text.
        state: What an adapter keeps beside it, as a member; '' for nothing.
        parted: What it has left, as a member; '' for nothing.
        members: The messages of the page.
        scores: Their ordinals.
    """

    header: layout.Header
    all: int
    metadata: str
    state: str
    parted: str
    members: Sequence[str]
    scores: Sequence[str]

    def rows(self) -> list[Row]:
        """Those of the messages that can be read."""
        return layout.known_rows(self.header.incarnation, self.members, self.scores)


def _recency(head: Head) -> tuple[int, str]:
    return head.known.updated_at, head.key


class Reads(Asking):
    """The plans that read."""

    def read(self, op: ops.Read) -> Plan[list[Row]]:
        """Carry out `Read`."""
        if op.window == EVERYTHING:
            # A plain command: in a script, Lua would keep the memory of a long conversation.
            whole = yield from self.whole(op.key)
            return [] if whole is None else whole.rows
        last, start, stop, status = op.window
        if last is not None and status is None:
            return (yield from self._newest(op.key, last))
        bounds = ("" if bound is None else bound for bound in (last, start, stop))
        name = self.names.conversation(op.key)
        reply = yield Run(script("read"), (name,), (layout.SIGNS[status], *bounds), op.key)
        return _rows(reply)

    def _newest(self, key: str, last: int) -> Plan[list[Row]]:
        # A plain command: what a script returns goes through Lua, which takes twice as long.
        first = -min(last, MOST) - layout.TAIL
        name = self.names.conversation(key)
        [reply] = yield Ask([("ZRANGE", name, first, -1, "WITHSCORES")], key)
        if not reply:
            return []
        members, scores = layout.parted(reply)
        header = self._header(key, members[-1])
        end = len(members) - (2 if layout.has_metadata(members) else 1)
        start = end - min(last, header.held)
        return layout.rows(header.incarnation, members[start:end], scores[start:end])

    def read_after(self, op: ops.ReadAfter) -> Plan[list[Row]]:
        """Carry out `ReadAfter`."""
        after = op.after
        mark = () if after is None else (after.ordinal, after.serial, after.conversation)
        name = self.names.conversation(op.key)
        reply = yield Run(script("read_after"), (name,), (op.limit, *mark), op.key)
        return _rows(reply)

    def count(self, op: ops.Count) -> Plan[int]:
        """Carry out `Count`."""
        head = yield from self._head(op.key)
        if head is None:
            return 0
        header = head[0]
        if op.status is None:
            return header.held
        return header.archived if op.status == "archived" else header.held - header.archived

    def describe(self, op: ops.Describe) -> Plan[Conversation | None]:
        """Carry out `Describe`."""
        head = yield from self._head(op.key)
        return None if head is None else head[0].conversation(op.key, head[1])

    def _head(self, key: str) -> Plan[tuple[layout.Header, str] | None]:
        [reply] = yield Ask([("ZRANGE", self.names.conversation(key), -2, -1)], key)
        members = layout.texts(reply)
        if not members:
            return None
        return self._header(key, members[-1]), layout.metadata(members)

    def _header(self, key: str, member: str) -> layout.Header:
        header = layout.header(member)
        if header is not None:
            return header
        raise faults.newer(key) if layout.is_newer(member) else faults.foreign(key)

    def whole(self, key: str) -> "Plan[Whole | None]":
        """Everything of a conversation, from one moment."""
        name = self.names.conversation(key)
        [reply] = yield Ask([("ZRANGE", name, 0, -1, "WITHSCORES")], key)
        members = layout.pairs(reply)
        if not members:
            return None
        return Whole.read(self._header(key, members[-1][0]), members)

    def page(self, key: str, start: int) -> "Plan[Page | None]":
        """The messages behind so many: `PAGE`, or fewer if they are long."""
        name = self.names.conversation(key)
        reply = yield Run(script("read_page"), (name,), (start, PAGE), key)
        if not reply:
            return None
        header, number, metadata, state, parted, *flat = layout.texts(reply)
        told = metadata[1:] or "{}"
        return Page(
            self._header(key, header), int(number), told, state, parted, flat[::2], flat[1::2]
        )

    # Lists

    def keys(self, prefix: str = "", after: str | None = None) -> Plan[list[str]]:
        """Keys that look like ours, in order."""
        names = yield Scan(self.names.pattern(prefix))
        keys = (self.names.key_of(layout.text(name)) for name in names)
        found = {key for key in keys if key is not None and key.startswith(prefix)}
        return sorted(key for key in found if after is None or key > after)

    def heads(self, keys: Sequence[str]) -> Plan[list[Head]]:
        """Those of some keys that are conversations."""
        found: list[Head] = []
        for start in range(0, len(keys), BATCH):
            part = keys[start : start + BATCH]
            # By score, so that no message comes along.
            asked = [
                ("ZRANGEBYSCORE", self.names.conversation(key), "+inf", "+inf") for key in part
            ]
            for key, reply in zip(part, (yield Ask(asked))):
                if isinstance(reply, Exception) or not reply:
                    continue  # another type, or gone meanwhile
                members = layout.texts(reply)
                header = layout.header(members[-1])
                if header is not None or layout.is_newer(members[-1]):
                    found.append(Head(key, header, layout.metadata(members)))
        return found

    def list_keys(self, op: ops.ListKeys) -> Plan[list[str]]:
        """Carry out `ListKeys`."""
        found = yield from self._page(op.prefix, op.after, op.limit)
        return [head.key for head in found]

    def _page(self, prefix: str, after: str | None, limit: int | None) -> Plan[list[Head]]:
        keys = yield from self.keys(prefix, after)
        found: list[Head] = []
        # Some may be no conversations: ask until there are enough.
        while keys and (limit is None or len(found) < limit):
            size = len(keys) if limit is None else min(len(keys), limit - len(found))
            found += yield from self.heads(keys[:size])
            keys = keys[size:]
        return found

    def list_conversations(self, op: ops.ListConversations) -> Plan[list[Conversation]]:
        """Carry out `ListConversations`."""
        after = op.after
        if op.order == "key":
            last = after.key if isinstance(after, Conversation) else after
            found = yield from self._page(op.prefix, last, op.limit)
        else:
            if isinstance(after, str):
                described = yield from self.describe(ops.Describe(after))
                if described is None:
                    raise errors.missing(after)
                after = described
            found = yield from self._page(op.prefix, None, None)
            found.sort(key=_recency, reverse=True)
            if after is not None:
                mark = (clock.read(after.updated_at), after.key)
                found = [head for head in found if _recency(head) < mark]
        return [head.known.conversation(head.key, head.metadata) for head in found[: op.limit]]

    def purge_expired(self, op: ops.PurgeExpired) -> Plan[int]:
        """Carry out `PurgeExpired`: Redis frees by itself."""
        yield from ()
        return 0


def _rows(reply: Sequence[str | bytes]) -> list[Row]:
    flat = layout.texts(reply)
    return layout.rows(flat[0], flat[1::2], flat[2::2]) if flat else []
